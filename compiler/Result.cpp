#include "compiler/Result.h"

#include <utility>

namespace moec::compiler {

namespace {
struct ResultStrings {
  std::string output, diagnostics, info;
};
MoecText view(const std::string &text) { return {text.data(), text.size()}; }
} // namespace

MoecStatus finishResult(MoecCompileResult *result, MoecStatus status, std::string output, std::string diagnostics,
                        std::string info) {
  auto *strings = new ResultStrings{std::move(output), std::move(diagnostics), std::move(info)};
  *result = {status, view(strings->output), view(strings->diagnostics), view(strings->info), strings};
  return status;
}

} // namespace moec::compiler

extern "C" __attribute__((visibility("default"))) void moec_compiler_free(MoecCompileResult *result) {
  if (!result) return;
  delete static_cast<moec::compiler::ResultStrings *>(result->owner);
  *result = {};
}
