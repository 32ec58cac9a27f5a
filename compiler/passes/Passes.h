// moec's passes; descriptions are in Passes.td.
#pragma once

#include "compiler/ir/TileGpu.h"
#include "mlir/Pass/Pass.h"

namespace moec::compiler {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "compiler/passes/Passes.h.inc"
} // namespace moec::compiler
