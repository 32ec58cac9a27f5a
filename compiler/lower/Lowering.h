// From tile IR with layouts to LLVM + NVVM dialects: one walk that emits, with a map from each tile value to its
// per-thread registers.
//
// Contract of the input (after the passes of pipeline.cpp): one `tile.kernel` whose arguments are pointers and scalars
// only; no view ops; every tile type has a layout encoding; shared-memory offsets are assigned (attribute
// `tilegpu.offset` on ops that need scratch, `offset` on tilegpu.alloc); barriers are inserted. Output: the module
// holds one `llvm.func` kernel and the external shared symbol @moec_smem.
//
// A tile of layout L becomes L.register-size LLVM values: value r of a thread is the element at L(register = r, lane,
// warp). Registers that hold the same element (free register bits) carry the same SSA value. Scalars become one value.
// Storage types: i1 -> i1, f8 -> i8, everything else itself (bf16 and f16 as LLVM bfloat and half).
#pragma once

#include "compiler/ir/TileGpu.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

namespace moec::compiler {

struct LoweringOptions {
  int numWarps = 4;
  /// 80, 89, 90, 100: which instructions exist. The sim takes what the given capability has.
  int computeCapability = 80;
};

class Lowering;
/// Emits one op. Reports its own diagnostic on failure.
using LowerHandler = mlir::LogicalResult (*)(Lowering &, mlir::Operation *);
using HandlerTable = llvm::DenseMap<mlir::OperationName, LowerHandler>;

/// The lowest register of a thread that holds the same element as register r, for every r (r itself without copies).
llvm::SmallVector<unsigned> canonicalRegisters(const LinearLayout &layout);

/// Emitter state, handed to every handler.
class Lowering {
public:
  Lowering(mlir::ModuleOp module, const LoweringOptions &options);

  /// Lowers the module's kernel in place.
  mlir::LogicalResult run();
  /// Emits every op of a block (without its terminator) at the builder's insertion point.
  mlir::LogicalResult lowerBlock(mlir::Block &block);

  // ---- values
  /// The registers of a tile, or the single value of a scalar. The value must have been lowered.
  llvm::ArrayRef<mlir::Value> regs(mlir::Value tile);
  mlir::Value scalar(mlir::Value value) { return regs(value).front(); }
  void setRegs(mlir::Value tile, llvm::SmallVector<mlir::Value> registers);
  void setScalar(mlir::Value value, mlir::Value lowered) { setRegs(value, {lowered}); }
  /// LLVM type that holds one element of the given element or scalar type; pointers become !llvm.ptr<1>.
  mlir::Type storageType(mlir::Type elementType);
  /// The layout of a tile type, computed once per type.
  const LinearLayout &layoutOf(mlir::Type tile);
  /// Number of registers per thread of a type: layout's register size for tiles, 1 for scalars.
  unsigned registerCount(mlir::Type type);

  // ---- hardware coordinates, computed once at the kernel's entry
  mlir::Value thread(); ///< i32 0..32*numWarps-1
  mlir::Value lane();   ///< i32 0..31
  mlir::Value warp();   ///< i32; constant 0 with one warp

  // ---- layouts to values
  /// Coordinates (i32, one per dimension) of register `r` of this thread: the lane/warp part, emitted once per layout,
  /// XOR/ADD a constant.
  llvm::SmallVector<mlir::Value> coordinates(const LinearLayout &layout, unsigned r);
  /// The value of a linear function of lane and warp bits (bases for lane bits, then for warp bits), XORed together;
  /// constant folded.
  mlir::Value linearOfThread(llvm::ArrayRef<int32_t> laneBases, llvm::ArrayRef<int32_t> warpBases);
  /// True on exactly one of the threads that hold the same elements of `layout` (i1), or a null value where no two
  /// threads do.
  mlir::Value isOwner(const LinearLayout &layout);

  // ---- shared memory
  mlir::Value sharedBase();                 ///< !llvm.ptr<3> to @moec_smem
  mlir::Value scratch(mlir::Operation *op); ///< !llvm.ptr<3> to the op's scratch, from attribute `tilegpu.offset`
  void barrier();                           ///< nvvm.barrier0, or a bar.warp.sync with one warp

  // ---- integers as root + constant, so that the registers of an index tile share one computation
  struct Affine {
    mlir::Value root; ///< null: the value is the constant `offset`
    int64_t offset;
  };
  /// Splits an i32 or i64 value into what was computed once and what was added since (modulo the type's width).
  Affine affine(mlir::Value v);
  /// The same for an offset that is only used where it fits its type without wrapping, so the split goes through sign
  /// extensions.
  Affine affineOffset(mlir::Value v);
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value sub(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value addConstant(mlir::Value v, int64_t c);
  /// The greatest power of two (up to 2^30) that is known to divide an integer value.
  int64_t divisor(mlir::Value v);
  void setDivisor(mlir::Value v, int64_t d);

  // ---- 16-bit and 8-bit values that live in 32-bit words
  struct Part {
    mlir::Value word; ///< i32; null: the value is no part of a known word
    unsigned index;   ///< element of the word, lowest first
  };
  Part partOf(mlir::Value v);
  /// The elements of an i32 word as values of `elementType` (bf16, f16, i8: 2, 2, 4 of them); stores and casts then use
  /// the word itself.
  llvm::SmallVector<mlir::Value> unpack(mlir::Value word, mlir::Type elementType);

  // ---- small builders at the current location
  mlir::Value i32(int64_t v);
  /// An integer, float or i1 constant; emitted once, at the kernel's entry.
  mlir::Value constant(mlir::Type type, int64_t v);
  mlir::Value floatConstant(mlir::Type type, double v);
  mlir::Value floatBits(mlir::Type type, llvm::APFloat v); ///< v in the type's own format
  mlir::Value gep(mlir::Value ptr, mlir::Type elementType, mlir::Value index);
  mlir::Value bitcast(mlir::Value v, mlir::Type type);

  mlir::OpBuilder b;
  mlir::Location loc;
  const LoweringOptions &options;

private:
  struct Impl;
  std::shared_ptr<Impl> impl;
};

/// For a loop's back edge: asks ptxas not to unroll. Bodies are already unrolled over registers, and unrolling costs
/// compile time.
mlir::LLVM::LoopAnnotationAttr noUnroll(mlir::MLIRContext *context);

// One registration function per op family, each in its own file of this folder.
void registerControlLowerings(mlir::MLIRContext *,
                              HandlerTable &); // Control.cpp: kernel, scf.for/if/while, program_id, barrier, assert
void registerElementwiseLowerings(mlir::MLIRContext *, HandlerTable &); // Elementwise.cpp, Math.cpp, Cast.cpp
void registerShapeLowerings(mlir::MLIRContext *,
                            HandlerTable &); // Shape.cpp: arange, splat, broadcast, expand_dims, reshape, trans
void registerMemoryLowerings(mlir::MLIRContext *, HandlerTable &);    // Memory.cpp: load, store, addptr; Atomic.cpp
void registerReductionLowerings(mlir::MLIRContext *, HandlerTable &); // Reduce.cpp, Scan.cpp
void registerSortLowerings(mlir::MLIRContext *, HandlerTable &);      // Sort.cpp: sort, topk; Histogram.cpp
void registerConvertLowerings(mlir::MLIRContext *, HandlerTable &);   // ConvertLayout.cpp
void registerHopperLowerings(mlir::MLIRContext *, HandlerTable &);    // Hopper.cpp: TMA, mbarriers, wgmma
void registerDotLowerings(mlir::MLIRContext *, HandlerTable &);       // Dot.cpp, Shared.cpp: local_load/store, async_*

/// Bytes of shared scratch that an op's lowering uses between its own internal barriers; 0 for most. Kept beside the
/// handlers so that the allocate-shared pass and the lowering cannot disagree.
int64_t scratchBytes(mlir::Operation *op, int numWarps);
// Its parts, one beside each family's handlers; 0 for ops that are not theirs or need nothing.
int64_t reductionScratchBytes(mlir::Operation *op, int numWarps); // reduce, scan
int64_t sortScratchBytes(mlir::Operation *op, int numWarps);      // sort, topk, histogram
int64_t convertScratchBytes(mlir::Operation *op, int numWarps);   // convert_layout
int64_t atomicScratchBytes(mlir::Operation *op, int numWarps);    // atomic_rmw, atomic_cas
int64_t dotScratchBytes(mlir::Operation *op, int numWarps);       // dot

} // namespace moec::compiler
