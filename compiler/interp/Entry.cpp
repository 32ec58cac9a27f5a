// moec_compiler_interpret: text in, launch, findings out.
#include "compiler/Result.h"
#include "compiler/Source.h"
#include "compiler/interp/Interpreter.h"
#include "compiler/passes/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include <algorithm>

using namespace mlir;
using namespace moec::compiler;

namespace {

/// The option that changes what a kernel computes; the others only say how.
bool contractsFma(StringRef options) { return llvm::is_contained(llvm::split(options, ';'), "contract_fma=1"); }

/// What pipeline.cpp does before it contracts, as far as that can decide which products have one use.
LogicalResult contractFma(ModuleOp module) {
  PassManager manager(module.getContext());
  OpPassManager &kernel = manager.nest<moec::tile::KernelOp>();
  kernel.addPass(createTileCanonicalize());
  kernel.addPass(createCSEPass());
  kernel.addPass(createTileContractFma());
  return manager.run(module);
}

/// What a launch's module is made of.
struct ModuleText {
  std::string source;
  bool ordinal, contracted;
  bool operator==(const ModuleText &) const = default;
};

/// The text's module, or nullptr with an error in `collector`. Kernels are launched again and again, so the thread
/// keeps the modules of its latest texts, the latest first. Made after the context, they go before it.
ModuleOp moduleOf(ModuleText text, DiagnosticCollector &collector, MLIRContext &context) {
  constexpr size_t most = 16;
  thread_local std::vector<std::pair<ModuleText, OwningOpRef<ModuleOp>>> kept;
  auto found = llvm::find_if(kept, [&](auto &entry) { return entry.first == text; });
  if (found == kept.end()) {
    auto module = parseSource(context, text.source, text.ordinal, collector);
    if (!module) return nullptr;
    if (text.contracted && failed(contractFma(*module))) throw std::runtime_error("products cannot be contracted");
    if (kept.size() == most) kept.pop_back();
    found = kept.emplace(kept.end(), std::move(text), std::move(module));
  }
  std::rotate(kept.begin(), found, found + 1);
  return *kept.front().second;
}

InterpretOptions launchOf(const MoecInterpretRequest &request) {
  InterpretOptions options;
  for (int axis = 0; axis < 3; ++axis) options.grid[axis] = request.grid[axis];
  options.params = {request.params, request.num_params};
  options.whileLimit = request.while_limit;
  return options;
}

std::string describe(const Finding &finding) {
  if (finding.repeats == 0) return finding.message;
  return finding.message + " (and " + std::to_string(finding.repeats) + " more times)";
}

MoecStatus run(const MoecInterpretRequest &request, DiagnosticCollector &collector, MLIRContext &context) {
  ModuleText text{textOf(request.source).str(), request.ordinal_locations != 0, contractsFma(textOf(request.options))};
  ModuleOp module = moduleOf(std::move(text), collector, context);
  if (!module) return MOEC_USER_ERROR;
  InterpretOptions options = launchOf(request);
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (size_t i = 0; i < request.num_ranges; ++i) ranges.emplace_back(request.ranges[2 * i], request.ranges[2 * i + 1]);
  options.ranges = ranges;
  MoecStatus status = MOEC_OK;
  for (const Finding &finding : interpret(module, options)) {
    collector.add("error", finding.loc, describe(finding));
    status = finding.unsupported || status == MOEC_INTERNAL_ERROR ? MOEC_INTERNAL_ERROR : MOEC_USER_ERROR;
  }
  return status;
}

} // namespace

extern "C" __attribute__((visibility("default"))) MoecStatus
moec_compiler_interpret(const MoecInterpretRequest *request, MoecCompileResult *result) {
  try {
    MLIRContext &context = threadContext();
    DiagnosticCollector collector(context);
    MoecStatus status = run(*request, collector, context);
    return finishResult(result, status, "", collector.text(), "{}");
  } catch (const std::exception &error) {
    return finishResult(result, MOEC_INTERNAL_ERROR, "",
                        std::string("error\t\t0\t0\tinternal error of moec: ") + error.what() + "\n", "{}");
  }
}
