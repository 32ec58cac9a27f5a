// The `tilegpu` dialect's C++ side.
#pragma once

#include "compiler/ir/Tile.h"
#include "compiler/layout/LinearLayout.h"

#include "compiler/ir/TileGpuAttrInterfaces.h.inc"
#include "compiler/ir/TileGpuDialect.h.inc"

#define GET_ATTRDEF_CLASSES
#include "compiler/ir/TileGpuAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "compiler/ir/TileGpuTypes.h.inc"
#define GET_OP_CLASSES
#include "compiler/ir/TileGpuOps.h.inc"

namespace moec::tilegpu {
/// The linear layout of a tile type's encoding. The type must have one.
moec::compiler::LinearLayout layoutOf(mlir::RankedTensorType type);
} // namespace moec::tilegpu
