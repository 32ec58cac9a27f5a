// tile-simplify-masks: see Passes.td.
#include "compiler/passes/Facts.h"
#include "compiler/passes/Passes.h"

#include "mlir/IR/Builders.h"

namespace moec::compiler {
#define GEN_PASS_DEF_TILESIMPLIFYMASKS
#include "compiler/passes/Passes.h.inc"
} // namespace moec::compiler

using namespace mlir;
using namespace moec::tile;

namespace {

bool isAllTrue(Value v) {
  if (matchPattern(v, m_One())) return true;
  if (auto c = v.getDefiningOp<arith::ConstantOp>()) {
    auto splat = dyn_cast<SplatElementsAttr>(c.getValue());
    return splat && splat.getElementType().isInteger(1) && splat.getSplatValue<bool>();
  }
  if (Operation *op = v.getDefiningOp(); isa_and_nonnull<SplatOp, BroadcastOp, ExpandDimsOp, ReshapeOp, TransOp>(op))
    return isAllTrue(op->getOperand(0));
  if (auto both = v.getDefiningOp<arith::AndIOp>()) return isAllTrue(both.getLhs()) && isAllTrue(both.getRhs());
  return false;
}

/// k*x - x is (k-1)*x, whatever wraps. A view's second half has size 2H - H: its bound is then the first half's, and so
/// is its mask.
void foldDifference(arith::SubIOp difference) {
  Value x = difference.getRhs();
  auto product = difference.getLhs().getDefiningOp<arith::MulIOp>();
  if (!product || !x.getType().isInteger()) return;
  APInt factor;
  if (product.getLhs() != x || !matchPattern(product.getRhs(), m_ConstantInt(&factor))) return;
  OpBuilder b(difference);
  Location loc = difference.getLoc();
  Value rest = x;
  if (factor != 2)
    rest =
        arith::MulIOp::create(b, loc, x, arith::ConstantOp::create(b, loc, b.getIntegerAttr(x.getType(), factor - 1)));
  difference.replaceAllUsesWith(rest);
  difference.erase();
}

struct SimplifyMasksPass : moec::compiler::impl::TileSimplifyMasksBase<SimplifyMasksPass> {
  void runOnOperation() override {
    KernelOp kernel = getOperation();
    kernel.walk(foldDifference);
    decideComparisons(kernel);
    kernel.walk([](arith::AndIOp both) {
      if (isAllTrue(both.getLhs()))
        both.replaceAllUsesWith(both.getRhs());
      else if (isAllTrue(both.getRhs()))
        both.replaceAllUsesWith(both.getLhs());
    });
    kernel.walk([](Operation *op) {
      TypeSwitch<Operation *>(op).Case<LoadOp, StoreOp, AtomicRmwOp>([](auto access) {
        if (access.getMask() && isAllTrue(access.getMask())) access.getMaskMutable().clear();
      });
      if (auto load = dyn_cast<LoadOp>(op); load && !load.getMask()) load.getOtherMutable().clear();
    });
    for (Operation &op : llvm::make_early_inc_range(kernel.getBody().front()))
      if (isa<GridOp, ExpectOp>(op)) op.erase();
  }

  void decideComparisons(KernelOp kernel) {
    moec::compiler::IntFacts facts(kernel);
    SmallVector<std::pair<arith::CmpIOp, bool>> decided;
    kernel.walk([&](arith::CmpIOp cmp) {
      if (auto value = facts.decide(cmp)) decided.push_back({cmp, *value});
    });
    OpBuilder b(kernel.getContext());
    for (auto [cmp, value] : decided) {
      b.setInsertionPoint(cmp);
      TypedAttr attr = b.getBoolAttr(value);
      if (auto tile = dyn_cast<RankedTensorType>(cmp.getType())) attr = DenseElementsAttr::get(tile, value);
      cmp.replaceAllUsesWith(arith::ConstantOp::create(b, cmp.getLoc(), attr).getResult());
      cmp.erase();
    }
  }
};

} // namespace
