// The library's C functions for compiling: see compiler.h. Nothing thrown and no LLVM type crosses.
#include "compiler/Compilation.h"
#include "compiler/FatalErrors.h"
#include "compiler/Result.h"
#include "compiler/options.h"
#include "compiler/pipeline.h"
#include "compiler/target/sim/SimTarget.h"

#include "llvm/Config/llvm-config.h"
#include "llvm/Support/JSON.h"

using namespace moec::compiler;

static CompileOutcome internalError(llvm::StringRef what) {
  std::string escaped;
  for (char c : what) escaped += c == '\n' ? "\\n" : std::string(1, c);
  return {MOEC_INTERNAL_ERROR, "", "error\t\t0\t0\tinternal error of moec: " + escaped + "\n", "{}"};
}

static CompileOutcome compileGuarded(const CompileJob &job) {
  try {
    FatalErrorScope scope;
    return compile(job);
  } catch (const FatalLlvmError &error) {
    // What LLVM was building is in no state to be used again, not even to be destroyed.
    abandonNvptxThreadState();
    return internalError(error.what());
  } catch (const std::exception &error) { return internalError(error.what()); } catch (...) {
    return internalError("unknown exception");
  }
}

extern "C" {

#define MOEC_EXPORT __attribute__((visibility("default")))

MOEC_EXPORT MoecStatus moec_compiler_compile(const MoecCompileRequest *request, MoecCompileResult *result) {
  CompileOutcome outcome = compileGuarded(
      {textOf(request->source), textOf(request->options), textOf(request->emit), request->ordinal_locations != 0});
  return finishResult(result, outcome.status, std::move(outcome.output), std::move(outcome.diagnostics),
                      std::move(outcome.info));
}

MOEC_EXPORT const char *moec_compiler_describe(void) {
  static const std::string description = [] {
    llvm::json::Array targets, stages;
    for (std::string &name : targetNames()) targets.push_back(std::move(name));
    for (const PhaseInfo &phase : phases()) stages.push_back(phase.name);
    llvm::json::Object facts{
        {"moec", MOEC_VERSION},          {"llvm", LLVM_VERSION_STRING}, {"libdevice", !libdeviceBitcode().empty()},
        {"targets", std::move(targets)}, {"sim_level", hostSimLevel()}, {"stages", std::move(stages)}};
    std::string text;
    llvm::raw_string_ostream(text) << llvm::json::Value(std::move(facts));
    return text;
  }();
  return description.c_str();
}
}
