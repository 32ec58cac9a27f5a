// moec_compiler_interpret: text in, launch, findings out.
#include "compiler/Result.h"
#include "compiler/Source.h"
#include "compiler/interp/Interpreter.h"
#include "compiler/passes/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

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
  auto module = parseSource(context, textOf(request.source), request.ordinal_locations, collector);
  if (!module) return MOEC_USER_ERROR;
  if (contractsFma(textOf(request.options)) && failed(contractFma(*module))) return MOEC_INTERNAL_ERROR;
  InterpretOptions options = launchOf(request);
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (size_t i = 0; i < request.num_ranges; ++i) ranges.emplace_back(request.ranges[2 * i], request.ranges[2 * i + 1]);
  options.ranges = ranges;
  MoecStatus status = MOEC_OK;
  for (const Finding &finding : interpret(*module, options)) {
    collector.add("error", finding.loc, describe(finding));
    status = finding.unsupported || status == MOEC_INTERNAL_ERROR ? MOEC_INTERNAL_ERROR : MOEC_USER_ERROR;
  }
  return status;
}

} // namespace

extern "C" __attribute__((visibility("default"))) MoecStatus moec_compiler_interpret(const MoecInterpretRequest *request,
                                                                                     MoecCompileResult *result) {
  try {
    MLIRContext &context = threadContext();
    DiagnosticCollector collector(context);
    MoecStatus status = run(*request, collector, context);
    return finishResult(result, status, "", collector.text(), "{}");
  } catch (const std::exception &error) {
    return finishResult(result, MOEC_INTERNAL_ERROR, "", std::string("error\t\t0\t0\tinternal error of moec: ") + error.what() + "\n", "{}");
  }
}
