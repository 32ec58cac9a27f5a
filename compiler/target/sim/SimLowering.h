// What the steps of compileForSim share: source locations by number, and calls through a thread's function table.
#pragma once

#include "compiler/target/sim/SimTarget.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"
#include "runtime/sim/sim_abi.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

namespace llvm {
class Function;
class Module;
class TargetMachine;
} // namespace llvm

namespace moec::compiler::simtarget {

/// Source positions of an image, numbered from 1; 0 is "unknown".
class LocationTable {
public:
  struct Entry {
    std::string file;
    unsigned line, column;
  };
  /// The number of the first file:line:column found in `loc` (through names, fused locations and call sites).
  unsigned add(mlir::Location loc);
  const std::vector<Entry> &entries() const { return entries_; }

private:
  std::vector<Entry> entries_{{"", 0, 0}};
  llvm::DenseMap<mlir::Location, unsigned> numbers_;
};

/// Builds accesses to the thread context and calls of runtime functions in one function of the module.
class ContextBuilder {
public:
  ContextBuilder(mlir::OpBuilder &builder, mlir::Value context) : b(builder), context(context) {}

  mlir::Value i32(mlir::Location loc, uint32_t value);
  /// Loads a context field; fields never change while the thread runs.
  mlir::Value field(mlir::Location loc, mlir::Type type, size_t offset);
  mlir::Value ctaField(mlir::Location loc, size_t offset);
  mlir::Value offset(mlir::Location loc, mlir::Value base, uint64_t bytes);
  /// A generic pointer of any address space's pointer.
  mlir::Value generic(mlir::Location loc, mlir::Value pointer);
  /// Calls table[function](context, args...); returns the result or null for `resultType` == void.
  mlir::Value call(mlir::Location loc, sim::SimFunction function, mlir::Type resultType, mlir::ValueRange args);

  mlir::OpBuilder &b;
  mlir::Value context;
};

struct SimModuleInfo {
  LocationTable locations;
  std::string kernel;
  unsigned threads = 0;
  unsigned exchangeSlots = 0;
};

/// What lowerNvvmToSim knows of a function before it changes it.
struct FunctionState {
  mlir::LLVM::LLVMFuncOp func;
  mlir::Value context;                           ///< the new first argument
  llvm::SmallVector<mlir::Operation *> accesses; ///< the kernel's own loads, stores, atomics and divisions
  llvm::DenseSet<mlir::Value> byvalParams;
};

/// memcpy, memmove and memset become loops (MemoryOps.cpp).
void expandMemoryOps(mlir::LLVM::LLVMFuncOp func);
/// Whether instrumentAccesses has something to say about `op`.
bool isInstrumented(mlir::Operation *op);
/// Calls of kFnAccess and kFnDivision before the function's own accesses and divisions.
void instrumentAccesses(FunctionState &state, LocationTable &locations);
/// Every loop counts its iterations down in the context and calls kFnSteps when they are used up.
void countLoopSteps(FunctionState &state, LocationTable &locations);

/// Replaces runs of warp collectives by kFnBatch calls; `maxSlots` is raised to the largest exchange buffer needed.
llvm::Error batchCollectives(mlir::LLVM::LLVMFuncOp func, SimModuleInfo &info);
/// Whether batchCollectives handles `op`.
bool isWarpCollective(mlir::Operation *op);

/// In place: kernel ABI, context argument, NVVM operations to runtime calls, instrumentation. What remains is LLVM
/// dialect and NVVM operations that are pure values (they become llvm.nvvm.* intrinsics).
llvm::Error lowerNvvmToSim(mlir::ModuleOp module, const SimTargetOptions &options, SimModuleInfo &info);

/// Links what the module needs of libdevice and of our support functions, and replaces llvm.nvvm.* intrinsics by calls
/// of the latter.
llvm::Error linkDeviceFunctions(llvm::Module &module, const SimTargetOptions &options);

/// support.c as bitcode.
llvm::StringRef supportBitcode();

/// Makes floating point and integer semantics explicit and equal at every x86-64 level (half types, fma, division,
/// ...), in every function that is not in `done` yet.
void legalizeForHost(llvm::Module &module, const SimTargetOptions &options, llvm::DenseSet<llvm::Function *> &done);

/// Every NaN that arithmetic gives becomes the canonical one (CanonicalNans.cpp); before LLVM's passes, which fold
/// constants and pairs of conversions as if NaNs had no bits. Square roots (`roots`) apart and after them: they turn
/// "is NaN" into "of a number below 0" and then drop it.
void canonicalizeNans(llvm::Module &module, bool roots);

/// bf16 and f16 values that are only moved become i16; after the last LLVM pass (NarrowFloats.cpp).
void demoteNarrowFloats(llvm::Module &module);

/// Lays the relocatable object out as one flat image and applies its relocations.
llvm::Expected<SimImage> linkImage(llvm::StringRef object, const SimModuleInfo &info, const SimTargetOptions &options);

} // namespace moec::compiler::simtarget
