// tile-contract-fma: see Passes.td.
#include "compiler/passes/Passes.h"

#include "mlir/IR/Builders.h"

namespace moec::compiler {
#define GEN_PASS_DEF_TILECONTRACTFMA
#include "compiler/passes/Passes.h.inc"
} // namespace moec::compiler

using namespace mlir;

namespace {

bool isStrict(Operation *op) { return op->hasAttr("tile.strict"); }

/// v as a product that may be fused away: f32 or f64, one use, not strict.
arith::MulFOp product(Value v) {
  auto mul = v.getDefiningOp<arith::MulFOp>();
  return mul && mul->hasOneUse() && !isStrict(mul) ? mul : arith::MulFOp();
}

struct ContractFmaPass : moec::compiler::impl::TileContractFmaBase<ContractFmaPass> {
  void runOnOperation() override {
    SmallVector<Operation *> sums;
    getOperation().walk([&](Operation *op) {
      if (isa<arith::AddFOp, arith::SubFOp>(op) && !isStrict(op)) sums.push_back(op);
    });
    for (Operation *op : sums) contract(op);
  }

  void contract(Operation *op) {
    Type type = op->getResult(0).getType(), element = getElementTypeOrSelf(type);
    if (!element.isF32() && !element.isF64()) return;
    bool subtract = isa<arith::SubFOp>(op);
    Value lhs = op->getOperand(0), rhs = op->getOperand(1);
    OpBuilder b(op);
    Location loc = op->getLoc();
    auto negate = [&](Value v) -> Value { return arith::NegFOp::create(b, loc, v); };
    Value fused;
    if (arith::MulFOp mul = product(lhs)) // a*b + c, a*b - c
      fused = math::FmaOp::create(b, loc, mul.getLhs(), mul.getRhs(), subtract ? negate(rhs) : rhs);
    else if (arith::MulFOp mul = product(rhs)) // c + a*b, c - a*b
      fused = math::FmaOp::create(b, loc, subtract ? negate(mul.getLhs()) : mul.getLhs(), mul.getRhs(), lhs);
    if (!fused) return;
    op->getResult(0).replaceAllUsesWith(fused);
    op->erase();
  }
};

} // namespace
