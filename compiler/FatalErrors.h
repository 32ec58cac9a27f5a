// LLVM's fatal errors (an instruction that cannot be selected, say) as exceptions, inside a compile only.
#pragma once

#include <stdexcept>

namespace moec::compiler {

struct FatalLlvmError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// While one lives on a thread, a fatal error of LLVM on that thread throws FatalLlvmError; on threads without one the
/// process ends as LLVM would end it. LLVM's code has no cleanups on the way, so what it was working on is leaked.
class FatalErrorScope {
public:
  FatalErrorScope();
  ~FatalErrorScope();
  FatalErrorScope(const FatalErrorScope &) = delete;
  FatalErrorScope &operator=(const FatalErrorScope &) = delete;

private:
  const void *prettyStack;
};

} // namespace moec::compiler
