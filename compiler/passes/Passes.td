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
    argument attributes `tile.divisor`, and that sizes are not negative as `tile.nonnegative`. With `check-indices` (checked mode) these are asserted
    where the mask holds: that an index which is not clipped is inside its view, and that a sub-view is inside its parent. The origin of a block must be
    within 0..size if it depends on a load: clipping is for what hangs over the end, not for wrong numbers in memory.
  }];
  let dependentDialects = ["::moec::tile::TileDialect"];
  let options = [Option<"checkIndices", "check-indices", "bool", "false", "assert that unclipped indices, sub-views and loaded origins are in range">];
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

def TileGpuAllocateShared : Pass<"tilegpu-allocate-shared", "::mlir::ModuleOp"> {
  let summary = "offsets in shared memory, reused where live ranges do not meet";
  let description = [{
    Gives every tilegpu.alloc its `offset`, and every op whose lowering needs scratch (scratchBytes) the attribute `tilegpu.offset`. A buffer lives from its
    alloc to its last use (to the end of a loop that uses it from outside), scratch during its op. First fit, largest first, 128-byte aligned. The
    module gets `tilegpu.shared_bytes`.
  }];
  let options = [Option<"numWarps", "num-warps", "int", "4", "warps per CTA">];
}

def TileGpuInsertBarriers : Pass<"tilegpu-insert-barriers", "::moec::tile::KernelOp"> {
  let summary = "barriers where memory would otherwise be raced on";
  let description = [{
    Walks the kernel with the set of shared-memory accesses since the last barrier and puts a tilegpu.barrier before an op whose access conflicts with one of
    them. Loops are walked until the state at their end adds nothing to that at their start. An asynchronous copy counts as written at the
    async_wait that follows it: until then only the pipeliner's choice of another stage separates it from readers.
    Ops with scratch synchronize inside themselves (write, barrier, read), so they leave only their reads behind.
    Where several threads load one element, a store or atomic through the same argument waits for all of them: a later thread would load the new value.
  }];
  let dependentDialects = ["::moec::tilegpu::TileGpuDialect"];
  let options = [Option<"numWarps", "num-warps", "int", "4", "warps per CTA">];
}

def TileCanonicalize : Pass<"tile-canonicalize", "::moec::tile::KernelOp"> {
  let summary = "folds and canonical forms, at compile-time cost fit for a JIT";
  let description = [{
    MLIR's canonicalizer with a pattern set frozen once per pass manager (arith, math, scf and tile ops only), at most two sweeps and no simplification of
    regions: the generic pass costs two to three times as much and finds nothing more here.
  }];
}

def TileLegalizeDots : Pass<"tile-legalize-dots", "::moec::tile::KernelOp"> {
  let summary = "dots in the dtypes that mma.sync of sm_80 multiplies";
  let description = [{
    fp8 operands are converted to f16, which holds every e4m3 and e5m2 value exactly, so the products stay exact.
  }];
}

def TileGpuPipelineLoops : Pass<"tilegpu-pipeline-loops", "::moec::tile::KernelOp"> {
  let summary = "dot operands come through multi-buffered shared memory, copied ahead by cp.async";
  let description = [{
    In a scf.for, a tile.load that only feeds the operand of a dot (through convert_layout, perhaps trans) and whose address follows from the loop variable alone is
    turned into an asynchronous copy `num-stages - 1` iterations ahead, into a swizzled buffer of `num-stages` stages, from which the operand is
    loaded by local_load (ldmatrix). One wait and, later, one barrier per iteration. With one stage nothing changes.
  }];
  let options = [Option<"numStages", "num-stages", "int", "3", "buffers per operand">];
}

def TileGpuAssignLayouts : Pass<"tilegpu-assign-layouts", "::moec::tile::KernelOp"> {
  let summary = "every tile gets a layout";
  let description = [{
    Layouts follow from shapes, dtypes and num_warps alone. Dots, reductions and scans make their results in certain layouts, which elementwise and shape ops and
    carried values pass on. Effects then ask for their operands: a store takes its value's layout (a tensor core's fragment is first made the default,
    coalesced one), and what a value is computed from, loads included, follows. Where two wishes meet, a tilegpu.convert_layout is left.
  }];
  let options = [Option<"numWarps", "num-warps", "int", "4", "warps per CTA">];
  let dependentDialects = ["::moec::tilegpu::TileGpuDialect"];
}

def TileGpuRemoveConversions : Pass<"tilegpu-remove-conversions", "::moec::tile::KernelOp"> {
  let summary = "recomputes what is cheaper to recompute than to convert";
  let description = [{
    A conversion of what came from arange, splat and constants by cheap elementwise and shape ops is replaced by the same ops in the wanted layout. Loads and
    functions are never repeated.
  }];
}

def TileGpuLowerToNvvm : Pass<"tilegpu-lower-to-nvvm", "::mlir::ModuleOp"> {
  let summary = "one thread's program in the LLVM and NVVM dialects";
  let description = [{
    Walks the kernel once and emits, with a map from each tile to its per-thread registers (compiler/lower/Lowering.h). The module then holds one llvm.func
    kernel, declarations of the libdevice functions that it calls, and the external symbol @moec_smem if it uses shared memory.
  }];
  let options = [Option<"numWarps", "num-warps", "int", "4", "warps per CTA">,
                 Option<"computeCapability", "cc", "int", "80", "compute capability, 10 * major + minor">];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect"];
}

#endif
