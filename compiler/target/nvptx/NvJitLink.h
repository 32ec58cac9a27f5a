// PTX to cubin, in process: nvJitLink, opened at first use. Nothing of CUDA is linked.
#pragma once

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace moec::compiler {

/// An outside tool refused or is missing: not the kernel author's fault, and not a defect of the passes. Carries the
/// tool's log.
class ToolError : public llvm::ErrorInfo<ToolError> {
public:
  static char ID;
  explicit ToolError(std::string message) : message(std::move(message)) {}
  void log(llvm::raw_ostream &os) const override { os << message; }
  std::error_code convertToErrorCode() const override { return llvm::inconvertibleErrorCode(); }

private:
  std::string message;
};

struct Cubin {
  std::string bytes;
  std::string warnings;   ///< empty if the assembler had nothing to say
  std::string statistics; ///< ptxas's lines about registers, stack and spills
};

/// The nvJitLink that was opened; `path` is empty if none was: then `error` says why, which is empty too if none was
/// wanted.
struct NvJitLinkFacts {
  std::string path;
  int major = 0, minor = 0;
  std::string error;
};
/// Opens nvJitLink, once per `library`: a file, "none", or empty for MOEC_CUDA_ROOT's, else the build's. Thread-safe.
const NvJitLinkFacts &nvJitLinkFacts(llvm::StringRef library = "");

/// Assembles PTX for the architecture ("sm_90a") with that library. Thread-safe. Fails with ToolError.
llvm::Expected<Cubin> assemblePtx(llvm::StringRef ptx, llvm::StringRef arch, bool lineInfo = false,
                                  llvm::StringRef library = "");

} // namespace moec::compiler
