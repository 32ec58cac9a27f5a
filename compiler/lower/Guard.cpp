#include "compiler/lower/Guard.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace moec::compiler;

namespace {

/// Functions and instructions that compute and nothing else, though MLIR cannot know.
bool isPureCode(Operation *op) {
  if (auto call = dyn_cast<LLVM::CallOp>(op)) return call.getCallee() && call.getCallee()->starts_with("__nv_");
  if (auto call = dyn_cast<LLVM::CallIntrinsicOp>(op))
    return llvm::any_of(std::array<StringRef, 4>{"llvm.nvvm.ex2.", "llvm.nvvm.rcp.", "llvm.nvvm.div.", "llvm.fpto"},
                        [&](StringRef prefix) { return call.getIntrin().starts_with(prefix); });
  return isMemoryEffectFree(op);
}

/// The same value, or the same conjunction of values.
bool sameCondition(Value a, Value b) {
  auto x = a.getDefiningOp<LLVM::AndOp>(), y = b.getDefiningOp<LLVM::AndOp>();
  return a == b || (x && y && x.getLhs() == y.getLhs() && x.getRhs() == y.getRhs());
}

/// `from` branches on `mask` to `taken`, which goes on to `join`, or to `join` at once.
struct Guard {
  Value mask;
  Block *from, *taken, *join;
};

/// The guard that ends where `join` begins.
std::optional<Guard> guardBefore(Block *join) {
  if (join->isEntryBlock() || !llvm::hasNItems(join->getPredecessors(), 2)) return std::nullopt;
  for (Block *from : join->getPredecessors()) {
    auto branch = dyn_cast<LLVM::CondBrOp>(from->getTerminator());
    if (!branch || branch.getFalseDest() != join || branch.getTrueDest() == join) continue;
    Block *taken = branch.getTrueDest();
    bool direct = taken->getTerminator()->getNumSuccessors() == 1 && taken->getSuccessor(0) == join;
    if (direct && taken->getSinglePredecessor()) return Guard{branch.getCondition(), from, taken, join};
  }
  return std::nullopt;
}

bool onlyReads(Block *block) {
  return llvm::all_of(block->without_terminator(),
                      [](Operation &op) { return isa<LLVM::LoadOp>(op) || isPureCode(&op); });
}

/// The guard under `mask` that an access at the end of `at` could join.
std::optional<Guard> findGuard(Block *at, Value mask, GuardedAccess access) {
  constexpr int kMaxPassed = 8; // looking further costs time and finds little
  for (int i = 0; i < (access == GuardedAccess::Load ? kMaxPassed : 1); ++i) {
    auto guard = guardBefore(at);
    if (!guard || sameCondition(guard->mask, mask)) return guard;
    if (!onlyReads(guard->taken)) return std::nullopt;
    at = guard->from;
  }
  return std::nullopt;
}

/// The ops between `guard` and the end of `at` that hang on nothing loaded there; nullopt if one keeps the access from
/// passing.
std::optional<SmallVector<Operation *>> independentOps(const Guard &guard, Block *at, GuardedAccess access,
                                                       llvm::SmallDenseSet<Value> &dependent) {
  SmallVector<Block *> blocks{at};
  while (blocks.back() != guard.join) blocks.push_back(guardBefore(blocks.back())->from);
  SmallVector<Operation *> independent;
  for (Block *block : llvm::reverse(blocks)) {
    dependent.insert(block->args_begin(), block->args_end());
    for (Operation &op : *block) {
      if (op.hasTrait<OpTrait::IsTerminator>()) continue;
      bool stays = access == GuardedAccess::Load && isa<LLVM::LoadOp>(op);
      if (!stays && !isPureCode(&op)) return std::nullopt;
      if (stays || llvm::any_of(op.getOperands(), [&](Value v) { return dependent.contains(v); }))
        dependent.insert(op.result_begin(), op.result_end());
      else
        independent.push_back(&op);
    }
  }
  return independent;
}

/// Opens an earlier guard under the same mask again, if nothing that `needs` comes from behind it: what was computed
/// since moves before it.
std::optional<Guard> reopen(Lowering &l, Value mask, GuardedAccess access, ArrayRef<Value> needs) {
  Block *at = l.b.getInsertionBlock();
  auto guard = findGuard(at, mask, access);
  if (!guard || !sameCondition(guard->mask, mask)) return std::nullopt;
  llvm::SmallDenseSet<Value> dependent;
  auto independent = independentOps(*guard, at, access, dependent);
  if (!independent || llvm::any_of(needs, [&](Value v) { return dependent.contains(v); })) return std::nullopt;
  for (Operation *op : *independent) op->moveBefore(guard->from->getTerminator());
  return guard;
}

/// A new guard at the end of the code so far, which goes on in its join.
Guard open(Lowering &l, Value mask) {
  Block *from = l.b.getInsertionBlock();
  Region *region = from->getParent();
  Guard guard{mask, from, l.b.createBlock(region, region->end()), l.b.createBlock(region, region->end())};
  l.b.setInsertionPointToEnd(from);
  LLVM::CondBrOp::create(l.b, l.loc, mask, guard.taken, ValueRange(), guard.join, ValueRange());
  l.b.setInsertionPointToEnd(guard.taken);
  LLVM::BrOp::create(l.b, l.loc, ValueRange(), guard.join);
  l.b.setInsertionPointToEnd(guard.join);
  return guard;
}

} // namespace

SmallVector<Value> moec::compiler::under(Lowering &l, Value mask, GuardedAccess access, ArrayRef<Value> otherwise,
                                         ArrayRef<Value> needs, llvm::function_ref<SmallVector<Value>()> body) {
  if (!mask) return body();
  auto always = l.affine(mask);
  if (!always.root) return always.offset ? body() : SmallVector<Value>(otherwise);
  auto reopened = reopen(l, mask, access, needs);
  Guard guard = reopened ? *reopened : open(l, mask);
  Block *current = l.b.getInsertionBlock();
  unsigned first = guard.join->getNumArguments();
  SmallVector<Location> locs(otherwise.size(), l.loc);
  guard.join->addArguments(TypeRange(ValueRange(otherwise)), locs);
  l.b.setInsertionPoint(guard.taken->getTerminator());
  SmallVector<Value> results = body();
  cast<LLVM::BrOp>(guard.taken->getTerminator()).getDestOperandsMutable().append(results);
  cast<LLVM::CondBrOp>(guard.from->getTerminator()).getFalseDestOperandsMutable().append(otherwise);
  l.b.setInsertionPointToEnd(current);
  return SmallVector<Value>(guard.join->getArguments().drop_front(first));
}
