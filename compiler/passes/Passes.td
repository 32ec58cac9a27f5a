// One entry per pass: name, flag, what it does. The order in which they run is in compiler/pipeline.cpp.
#ifndef MOEC_PASSES
#define MOEC_PASSES

include "mlir/Pass/PassBase.td"

def TileLowerViews : Pass<"tile-lower-views", "::moec::tile::KernelOp"> {
  let summary = "views become pointers, element offsets and masks";
  let description = [{
    Rewrites the kernel's view arguments to pointer, sizes and strides (docs/architecture.md, "Kernel parameters") and every access through a view or
    block to tile.load/store/atomic_* of a base pointer, a tile of element offsets and a mask. Scalar indices and sub-view origins
    go into the base (tile.addptr), tile indices into the offsets: i32, or i64 where a wide view's strided dimension takes part. Clipped
    dimensions give one unsigned comparison each. Shape contracts (tile.expect) replace the sizes they speak of. What is known of sizes and strides stays as
    argument attributes `tile.divisor`, and that sizes are not negative as `tile.nonnegative`.
  }];
  let dependentDialects = ["::moec::tile::TileDialect"];
}

def TileSimplifyMasks : Pass<"tile-simplify-masks", "::moec::tile::KernelOp"> {
  let summary = "masks that the shape contract proves true are gone";
  let description = [{
    Decides comparisons from what is known: constants, `0 <= program_id(i) < grid extent i`, loop bounds, divisibility of sizes, lanes of
    arange. A mask that is true everywhere is dropped from its access, one that is false everywhere folds to a constant. Afterwards tile.grid and tile.expect are
    erased: nothing later needs them.
  }];
}

def TileContractFma : Pass<"tile-contract-fma", "::moec::tile::KernelOp"> {
  let summary = "a*b + c becomes one fma";
  let description = [{
    f32 and f64 multiplications with one use by an addition or subtraction become math.fma. The only place where fma arises (besides the user's own), before
    anything is compared, so interpreter, simulator and GPU see the same. Ops with the attribute `tile.strict` are left alone.
  }];
}

#endif
