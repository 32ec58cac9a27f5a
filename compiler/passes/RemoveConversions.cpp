// tilegpu-remove-conversions: see Passes.td.
#include "compiler/passes/LayoutRules.h"
#include "compiler/passes/Passes.h"

#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace moec::compiler {
#define GEN_PASS_DEF_TILEGPUREMOVECONVERSIONS
#include "compiler/passes/Passes.h.inc"
} // namespace moec::compiler

using namespace mlir;
using namespace moec::compiler;
using namespace moec::tilegpu;
namespace tile = moec::tile;

namespace {

class Remover {
public:
  explicit Remover(tile::KernelOp kernel) : kernel(kernel), b(kernel.getContext()) {}

  void run() {
    SmallVector<ConvertLayoutOp> conversions;
    kernel.walk([&](ConvertLayoutOp op) { conversions.push_back(op); });
    for (ConvertLayoutOp op : conversions) {
      auto type = cast<RankedTensorType>(op.getType());
      int budget = maxOps;
      if (!isCheap(op.getValue(), type.getEncoding(), budget)) continue;
      b.setInsertionPoint(op);
      made.clear();
      op.replaceAllUsesWith(make(op.getValue(), type.getEncoding()));
      op.erase();
    }
    eraseDead(kernel.getBody().front());
    spellAlike(kernel);
  }

private:
  static constexpr int maxOps = 24;

  /// True if v can be had in `layout` by at most `budget` ops that cost registers and arithmetic only.
  bool isCheap(Value v, Attribute layout, int &budget) {
    auto type = cast<RankedTensorType>(v.getType());
    if (sameLayout(type.getEncoding(), layout, type.getShape())) return true;
    Operation *op = v.getDefiningOp();
    if (!op || --budget < 0) return false;
    if (auto conversion = dyn_cast<ConvertLayoutOp>(op)) return isCheap(conversion.getValue(), layout, budget);
    if (isSource(op)) return true;
    if (isShapeOp(op)) return isCheap(op->getOperand(0), operandLayout(op, layout), budget);
    if (!isElementwise(op) || isa<math::MathDialect>(op->getDialect()) || isa<tile::SigmoidOp>(op)) return false;
    return llvm::all_of(op->getOperands(), [&](Value operand) {
      return !isa<RankedTensorType>(operand.getType()) || isCheap(operand, layout, budget);
    });
  }

  /// v in `layout`, given isCheap.
  Value make(Value v, Attribute layout) {
    auto type = cast<RankedTensorType>(v.getType());
    if (sameLayout(type.getEncoding(), layout, type.getShape())) return v;
    Operation *op = v.getDefiningOp();
    if (auto conversion = dyn_cast<ConvertLayoutOp>(op)) return make(conversion.getValue(), layout);
    Value &done = made[{v, layout}];
    if (done) return done;
    SmallVector<Value> operands(op->getOperands());
    if (!isSource(op))
      for (Value &operand : operands)
        if (isa<RankedTensorType>(operand.getType()))
          operand = make(operand, isShapeOp(op) ? operandLayout(op, layout) : layout);
    Operation *clone = b.clone(*op);
    clone->setOperands(operands);
    setLayout(clone->getResult(0), layout);
    return made[{v, layout}] = clone->getResult(0);
  }

  static void eraseDead(Block &block) {
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
      if (isOpTriviallyDead(&op)) {
        op.erase();
        continue;
      }
      for (Region &region : op.getRegions())
        for (Block &inner : region) eraseDead(inner);
    }
  }

  tile::KernelOp kernel;
  OpBuilder b;
  DenseMap<std::pair<Value, Attribute>, Value> made;
};

struct RemoveConversionsPass : moec::compiler::impl::TileGpuRemoveConversionsBase<RemoveConversionsPass> {
  void runOnOperation() override { Remover(getOperation()).run(); }
};

} // namespace
