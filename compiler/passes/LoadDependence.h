// Which values come from memory, directly or through arithmetic, loops and branches.
#pragma once

#include "compiler/ir/Tile.h"

#include "llvm/ADT/DenseSet.h"

namespace moec::compiler {

/// Every value of the kernel that depends on a load or an atomic.
llvm::DenseSet<mlir::Value> valuesFromMemory(tile::KernelOp kernel);

} // namespace moec::compiler
