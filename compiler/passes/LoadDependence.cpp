#include "compiler/passes/LoadDependence.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace moec::compiler {
namespace {

class Spread {
public:
  llvm::DenseSet<Value> run(tile::KernelOp kernel) {
    kernel.walk([&](Operation *op) {
      if (isa<tile::ViewLoadOp, tile::BlockLoadOp, tile::LoadOp, tile::ViewAtomicRmwOp, tile::ViewAtomicCasOp,
              tile::AtomicRmwOp, tile::AtomicCasOp>(op))
        for (Value result : op->getResults()) add(result);
    });
    while (!work.empty())
      for (OpOperand &use : work.pop_back_val().getUses()) through(use);
    return std::move(marked);
  }

private:
  void add(Value v) {
    if (marked.insert(v).second) work.push_back(v);
  }

  /// What a use of a marked value makes of it.
  void through(OpOperand &use) {
    Operation *op = use.getOwner(), *parent = op->getParentOp();
    unsigned i = use.getOperandNumber();
    if (auto loop = dyn_cast<scf::ForOp>(op)) {
      if (i < loop.getNumControlOperands()) return add(loop.getInductionVar());
      add(loop.getRegionIterArg(i - loop.getNumControlOperands()));
      add(loop.getResult(i - loop.getNumControlOperands()));
    } else if (auto loop = dyn_cast<scf::WhileOp>(op)) {
      add(loop.getBeforeArguments()[i]);
    } else if (isa<scf::ConditionOp>(op)) {
      auto loop = cast<scf::WhileOp>(parent);
      if (i) add(loop.getAfterArguments()[i - 1]), add(loop.getResult(i - 1));
    } else if (isa<scf::YieldOp>(op)) {
      if (auto loop = dyn_cast<scf::ForOp>(parent))
        add(loop.getRegionIterArg(i)), add(loop.getResult(i));
      else if (auto loop = dyn_cast<scf::WhileOp>(parent))
        add(loop.getBeforeArguments()[i]);
      else
        add(parent->getResult(i));
    } else {
      for (Value result : op->getResults()) add(result); // of a branch, too: its condition chooses them
    }
  }

  llvm::DenseSet<Value> marked;
  SmallVector<Value> work;
};

} // namespace

llvm::DenseSet<Value> valuesFromMemory(tile::KernelOp kernel) { return Spread().run(kernel); }

} // namespace moec::compiler
