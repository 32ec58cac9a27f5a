// tilegpu-insert-barriers: see Passes.td.
#include "compiler/lower/Lowering.h"
#include "compiler/passes/Passes.h"

#include "mlir/IR/Builders.h"

namespace moec::compiler {
#define GEN_PASS_DEF_TILEGPUINSERTBARRIERS
#include "compiler/passes/Passes.h.inc"
} // namespace moec::compiler

using namespace mlir;
using namespace moec::tilegpu;

namespace {

/// Bytes of shared memory, [begin, end).
struct Range {
  int64_t begin, end;
  bool overlaps(const Range &o) const { return begin < o.end && o.begin < end; }
  bool operator==(const Range &) const = default;
};

/// Accesses since the last barrier.
struct State {
  SmallVector<Range, 4> reads, writes, copies; ///< copies: asynchronous, not yet waited for
  SmallVector<Value, 4> shared;                ///< arguments from whose memory several threads have loaded one element

  template <class T> static bool insert(SmallVector<T, 4> &set, T r) {
    if (llvm::is_contained(set, r)) return false;
    set.push_back(r);
    return true;
  }
  /// Takes the other's accesses too; true if that added any.
  bool join(const State &other) {
    bool added = false;
    for (Range r : other.reads) added |= insert(reads, r);
    for (Range r : other.writes) added |= insert(writes, r);
    for (Range r : other.copies) added |= insert(copies, r);
    for (Value v : other.shared) added |= insert(shared, v);
    return added;
  }
  bool touches(const SmallVector<Range, 4> &set, Range r) const {
    return llvm::any_of(set, [&](Range s) { return s.overlaps(r); });
  }
  bool conflictsWithRead(Range r) const { return touches(writes, r); }
  bool conflictsWithWrite(Range r) const { return touches(writes, r) || touches(reads, r); }
  void barrier() { reads.clear(), writes.clear(), shared.clear(); }
};

/// What a pointer was made from: an argument of the kernel.
Value rootOf(Value pointer) {
  while (auto add = pointer.getDefiningOp<moec::tile::AddPtrOp>()) pointer = add.getPtr();
  return pointer;
}

Range rangeOf(Value buffer) {
  auto alloc = buffer.getDefiningOp<AllocOp>();
  auto type = cast<BufferType>(buffer.getType());
  int64_t bytes = type.getStages() * (type.getElementType().getIntOrFloatBitWidth() / 8);
  for (int64_t size : type.getShape()) bytes *= size;
  int64_t offset = alloc.getOffset().value_or(0);
  return {offset, offset + bytes};
}

struct InsertBarriersPass : moec::compiler::impl::TileGpuInsertBarriersBase<InsertBarriersPass> {
  using TileGpuInsertBarriersBase::TileGpuInsertBarriersBase;

  void runOnOperation() override {
    State state;
    visit(getOperation().getBody().front(), state);
  }

  void visit(Block &block, State &state) {
    for (Operation &op : llvm::make_early_inc_range(block)) visit(&op, state);
  }

  void visit(Operation *op, State &state) {
    if (isa<scf::ForOp, scf::WhileOp>(op)) return visitLoop(op, state);
    if (auto branch = dyn_cast<scf::IfOp>(op)) return visitIf(branch, state);
    TypeSwitch<Operation *>(op)
        .Case<BarrierOp, moec::tile::BarrierOp>([&](auto) { state.barrier(); })
        .Case<moec::tile::LoadOp>([&](moec::tile::LoadOp load) {
          if (hasCopies(load.getType())) State::insert(state.shared, rootOf(load.getPtr()));
        })
        .Case<moec::tile::StoreOp, moec::tile::AtomicRmwOp, moec::tile::AtomicCasOp>([&](auto access) {
          if (llvm::is_contained(state.shared, rootOf(access.getPtr()))) barrierBefore(op, state);
          visitScratch(op, state);
        })
        .Case<LocalLoadOp>([&](LocalLoadOp load) {
          Range r = rangeOf(load.getBuffer());
          if (state.conflictsWithRead(r)) barrierBefore(op, state);
          State::insert(state.reads, r);
        })
        .Case<LocalStoreOp>([&](LocalStoreOp store) {
          Range r = rangeOf(store.getBuffer());
          if (state.conflictsWithWrite(r)) barrierBefore(op, state);
          State::insert(state.writes, r);
        })
        .Case<AsyncCopyOp>([&](AsyncCopyOp copy) {
          Range r = rangeOf(copy.getBuffer());
          if (state.conflictsWithWrite(r)) barrierBefore(op, state);
          State::insert(state.copies, r);
        })
        .Case<AsyncWaitOp>([&](AsyncWaitOp wait) {
          for (Range r : state.copies) State::insert(state.writes, r);
          if (wait.getPending() == 0) state.copies.clear();
        })
        .Default([&](Operation *) { visitScratch(op, state); });
  }

  void visitScratch(Operation *op, State &state) {
    int64_t bytes = moec::compiler::scratchBytes(op, numWarps);
    if (!bytes) return;
    auto place = op->getAttrOfType<IntegerAttr>("tilegpu.offset");
    if (!place) {
      op->emitOpError("has no place in shared memory yet: run tilegpu-allocate-shared before this pass");
      return signalPassFailure();
    }
    int64_t offset = place.getInt();
    Range r{offset, offset + bytes};
    if (state.conflictsWithWrite(r)) barrierBefore(op, state);
    state.barrier(); // its own, between writing and reading the scratch
    State::insert(state.reads, r);
  }

  /// True if some element of a value of this type is in several threads. A scalar is in all.
  bool hasCopies(Type type) {
    auto tile = dyn_cast<RankedTensorType>(type);
    if (!tile) return true;
    int64_t threads = int64_t(numWarps) * 32, held = 1;
    const moec::compiler::LinearLayout layout = layoutOf(tile);
    auto free = layout.freeMasks();
    using moec::compiler::InDim;
    for (InDim in : {InDim::Lane, InDim::Warp}) held <<= layout.inBits(in) - llvm::popcount(free[int(in)]);
    return held < threads;
  }

  /// A loop's start is reached from before it and from its end: walk until the latter adds nothing.
  void visitLoop(Operation *loop, State &state) {
    State atStart = state, atTest;
    while (true) {
      State inside = atStart;
      for (Region &region : loop->getRegions()) {
        visit(region.front(), inside);
        if (&region == &loop->getRegion(0)) atTest = inside;
      }
      bool grown = atStart.join(inside);
      if (!grown) break;
    }
    // A for loop is left after zero or more turns, from the start of a turn; a while loop behind its test.
    state = isa<scf::WhileOp>(loop) ? atTest : atStart;
  }

  void visitIf(scf::IfOp branch, State &state) {
    State thenState = state, elseState = state;
    visit(branch.getThenRegion().front(), thenState);
    if (!branch.getElseRegion().empty()) visit(branch.getElseRegion().front(), elseState);
    thenState.join(elseState);
    state = thenState;
  }

  static void barrierBefore(Operation *op, State &state) {
    OpBuilder b(op);
    BarrierOp::create(b, op->getLoc());
    state.barrier();
  }
};

} // namespace
