// LLVM+NVVM dialect to PTX, for the GPU generations in the target table.
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"
#include <functional>
#include <string>

namespace moec::compiler {

/// One GPU generation. Adding one is adding a row to the table in NvptxTargets.cpp.
struct NvptxTarget {
  llvm::StringLiteral name; ///< as nvJitLink and LLVM spell it: "sm_90a"
  int capability;           ///< 10 * major + minor: 90
  int ptxVersion;           ///< PTX ISA of the text that we write, 10 * major + minor; at most 90 (CUDA 13.0)
};

/// Every target, oldest first.
llvm::ArrayRef<NvptxTarget> nvptxTargets();
/// nullptr if there is no such target.
const NvptxTarget *findNvptxTarget(llvm::StringRef name);

struct NvptxOptions {
  bool lineInfo = false;                                        ///< .loc directives, from the ops' locations
  bool verify = false;                                          ///< run LLVM's verifier before and after our passes
  std::function<void(llvm::StringRef stage, double ms)> timing; ///< told after each stage
  std::string *llvmIr = nullptr; ///< receives the LLVM IR that code generation gets, as text
  bool stopAtLlvm = false;       ///< no PTX, only llvmIr
};

/// Translates `module` (LLVM and NVVM dialects; it may be changed) to PTX. Thread-safe for modules of different
/// contexts: what is expensive to build (target machine, pass managers) is kept per thread.
llvm::Expected<std::string> compileToPtx(mlir::ModuleOp module, const NvptxTarget &target, const NvptxOptions &options);

/// Forgets this thread's kept code generators without running their destructors: for after a fatal error inside LLVM.
void abandonNvptxThreadState();

/// The libdevice functions that calls of __nv_* are linked against, as LLVM bitcode; empty if the build had no
/// libdevice.bc.
llvm::StringRef libdeviceBitcode();
/// ToolError for a kernel that calls one of its functions where there is none: what to install.
llvm::Error libdeviceMissing(llvm::StringRef function);

} // namespace moec::compiler
