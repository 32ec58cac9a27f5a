// Which layouts tiles should have, and what a layout of a result says about operands. Used by layout assignment and
// rematerialization.
#pragma once

#include "compiler/ir/TileGpu.h"

namespace moec::compiler {

/// The layout of tiles that nothing else decides: neighbours per thread for accesses of up to 16 bytes, then lanes,
/// then warps along the last dimension first. Follows from shape, the least element size that the kernel's accesses of
/// this shape have, and num_warps.
class DefaultLayouts {
public:
  DefaultLayouts(mlir::Operation *kernel, int numWarps);
  mlir::Attribute of(llvm::ArrayRef<int64_t> shape) const;
  /// The accumulator layout of a tensor-core dot; with `wholeRows` a warp has whole rows where there are enough of
  /// them.
  tilegpu::MmaAttr mma(mlir::MLIRContext *, llvm::ArrayRef<int64_t> shape, bool wholeRows) const;

private:
  int numWarps;
  mlir::MLIRContext *ctx;
  std::map<std::vector<int64_t>, int64_t> leastBytes;
};

/// True if both spell the same linear layout of this shape.
bool sameLayout(mlir::Attribute a, mlir::Attribute b, llvm::ArrayRef<int64_t> shape);
mlir::RankedTensorType withLayout(mlir::Type tile, mlir::Attribute layout);
/// The tile's layout, or null.
mlir::Attribute layoutAttr(mlir::Value v);

/// Ops whose tiles all have one shape and may have one layout: elementwise arith, math and tile ops.
bool isElementwise(mlir::Operation *op);
/// Ops that only rename registers: broadcast, expand_dims, reshape, trans.
bool isShapeOp(mlir::Operation *op);
/// arange, splat and constants: made in any layout at no cost.
bool isSource(mlir::Operation *op);
/// The layout that a shape op's operand must have for its result to have `layout`.
mlir::Attribute operandLayout(mlir::Operation *shapeOp, mlir::Attribute layout);
/// The layout that a shape op's result has when its operand has `layout`; null where that does not say it.
mlir::Attribute resultLayout(mlir::Operation *shapeOp, mlir::Attribute layout);
/// Changes the type of a result to have the layout; constants change their value's type too.
void setLayout(mlir::Value v, mlir::Attribute layout);
/// Gives tiles of one shape whose attributes spell the same linear layout the same attribute, as ops on tiles of one
/// type require.
void spellAlike(tile::KernelOp kernel);

} // namespace moec::compiler
