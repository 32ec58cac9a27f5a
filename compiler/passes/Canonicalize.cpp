// tile-canonicalize: see Passes.td.
#include "compiler/passes/Passes.h"

#include "mlir/Rewrite/FrozenRewritePatternSet.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace moec::compiler {
#define GEN_PASS_DEF_TILECANONICALIZE
#include "compiler/passes/Passes.h.inc"
} // namespace moec::compiler

using namespace mlir;

namespace {

struct CanonicalizePass : moec::compiler::impl::TileCanonicalizeBase<CanonicalizePass> {
  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet found(context);
    for (RegisteredOperationName op : context->getRegisteredOperations())
      if (isa_and_nonnull<arith::ArithDialect, math::MathDialect, scf::SCFDialect, moec::tile::TileDialect>(
              &op.getDialect()))
        op.getCanonicalizationPatterns(found, context);
    patterns = std::make_shared<FrozenRewritePatternSet>(std::move(found));
    config.setMaxIterations(2)
        .setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled)
        .setUseTopDownTraversal(true);
    return success();
  }

  void runOnOperation() override {
    // Not reaching a fixed point in two sweeps is no failure.
    (void)applyPatternsGreedily(getOperation(), *patterns, config);
  }

  std::shared_ptr<FrozenRewritePatternSet> patterns;
  GreedyRewriteConfig config;
};

} // namespace
