#include "compiler/FatalErrors.h"

#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/PrettyStackTrace.h"
#include <cstdio>
#include <cstdlib>
#include <mutex>

namespace moec::compiler {

static thread_local int scopes = 0;

static void onFatalError(void *, const char *reason, bool crash) {
  if (scopes > 0) throw FatalLlvmError(reason);
  std::fprintf(stderr, "LLVM ERROR: %s\n", reason);
  if (crash) std::abort();
}

FatalErrorScope::FatalErrorScope() : prettyStack(llvm::SavePrettyStackState()) {
  // The handler is one per process (and this library has its own LLVM), so it is installed once and asks the thread.
  static std::once_flag once;
  std::call_once(once, [] { llvm::install_fatal_error_handler(onFatalError); });
  ++scopes;
}

FatalErrorScope::~FatalErrorScope() {
  --scopes;
  llvm::RestorePrettyStackState(prettyStack); // after a throw it points into frames that are gone
}

} // namespace moec::compiler
