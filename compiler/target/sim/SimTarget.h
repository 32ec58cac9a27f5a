// LLVM+NVVM dialect to a position-independent x86-64 code image for the simulated GPU (runtime/sim executes it).
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"
#include <functional>
#include <string>
#include <vector>

namespace moec::compiler {

struct SimTargetOptions {
  std::string level = "v3"; ///< x86-64 level: v2, v3 or v4. Results are bit-equal on all of them
  bool checked = false;     ///< instrument accesses and fences for the checked mode
  unsigned optimize = 1;    ///< 0: quickest compile; 1: register allocation and scheduling too
  unsigned smArch = 90;     ///< what __nvvm_reflect("__CUDA_ARCH") says (times 10) to libdevice
  std::function<void(llvm::StringRef stage, double ms)> timing; ///< told after each stage
  std::string *llvmIr = nullptr;                                ///< receives the final LLVM IR as text
  std::string *assembly = nullptr;                              ///< receives the assembly text
};

struct SimImage {
  std::vector<char> bytes; ///< starts with sim::SimImageHeader
  size_t entryOffset = 0;
  std::string kernel;
};

/// Compiles the one `llvm.func` with `nvvm.kernel` in `module` (LLVM and NVVM dialects; not changed). Operations that
/// the simulated GPU does not know, calls of undefined functions and mutable globals are errors that name them.
llvm::Expected<SimImage> compileForSim(mlir::ModuleOp module, const SimTargetOptions &options);

/// The highest of "v2", "v3", "v4" that this machine's CPU runs.
llvm::StringRef hostSimLevel();

} // namespace moec::compiler
