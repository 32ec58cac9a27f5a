// tile.topk. Keys carry their position, so it is free in which order elements are looked at: registers first, then
// lanes, then warps.
//
// Where a warp has whole rows and keys fit into 32 bits, each thread sorts its own elements, and k times the least of
// all threads' first ones is found by redux, taken off that thread's list and kept by the lane of that rank: a loop, as
// short in code for any k. Else sorted blocks of k are merged two at a time, keeping the better half.
//
// What is found are keys if values can be read off them, else only positions.
#include "compiler/lower/SortNetwork.h"

using namespace mlir;

namespace moec::compiler {

using enum InDim;

namespace {
class TopKPlan {
public:
  explicit TopKPlan(tile::TopKOp op)
      : input(layoutOf(op.getValue())), work(networkLayout(input)), output(layoutOf(op.getValues())),
        axisBits(input.dimBits(input.rank() - 1)), blockBits(log2Exact(op.getK())),
        format(elementOf(op.getValue()), axisBits, /*descending=*/true, /*isUnsigned=*/false) {
    PlaceFinder finder(work);
    bool acrossWarps = false;
    for (int level = 0; level < 3; ++level)
      for (int bit = 0; bit < axisBits; ++bit) {
        Place p = finder.find(1u << bit);
        if ((p.warp ? 2 : p.lane ? 1 : 0) != level) continue;
        bits.push_back(bit);
        if (level == 0) ++registerBits;
        acrossWarps |= level == 2;
      }
    for (int i = 0; i < work.inBits(Lane); ++i)
      if (uint32_t row = work.flatBasis(Lane, i) >> axisBits) rowLanes |= row ? 1u << i : 0;
    constexpr int mostRounds = 4, mostRowBits = 1;
    int rankBits = 0;
    for (int i = 0; i < work.inBits(Lane); ++i)
      rankBases.push_back(rowLanes >> i & 1 || rankBits == blockBits ? 0 : 1 << rankBits++);
    byRounds = rankBits == blockBits && !acrossWarps && registerBits < axisBits &&
               elementOf(op.getValue()).getIntOrFloatBitWidth() <= 32 && blockBits <= mostRounds &&
               std::popcount(rowLanes) <= mostRowBits;
    found = byRounds ? foundByRounds() : foundByMerging();
  }

  LinearLayout input, work, output, found; ///< found: who has the result at first, packed index of the result
  int axisBits, blockBits;
  KeyFormat format;
  SmallVector<int> bits;          ///< the axis' index bits, those in registers first
  int registerBits = 0;           ///< how many of them are
  uint32_t rowLanes = 0;          ///< lane bits that number rows
  SmallVector<int32_t> rankBases; ///< rounds: what each lane bit counts in the rank that its lane keeps
  bool byRounds;

  /// Bits that number what a thread sorts by itself before the rounds.
  int listBits() const { return std::min(blockBits, registerBits); }

  int64_t scratchBytes(tile::TopKOp op, int numWarps) const {
    SmallVector<Type> components = format.components(op.getContext());
    LinearLayout values = output.flattenOuts();
    return std::max({networkScratchBytes(work, bits, numWarps, components),
                     conversionScratchBytes(input.flattenOuts(), work.flattenOuts(), components),
                     conversionScratchBytes(found, values, components),
                     format.isReversible() ? 0 : tileBytes(op.getValue()),
                     conversionScratchBytes(values, layoutOf(op.getIndices()).flattenOuts(),
                                            IntegerType::get(op.getContext(), 32))});
  }

private:
  /// Rank bit i is where index bit bits[i] was; rows move down.
  LinearLayout foundByMerging() const {
    LinearLayout result(Dims{output.numElements()});
    auto rankOf = [&](uint32_t flat) {
      uint32_t rank = flat >> axisBits << blockBits;
      for (int i = 0; i < blockBits; ++i) rank |= (flat >> bits[i] & 1) << i;
      return rank;
    };
    for (InDim in : {Register, Lane, Warp})
      for (int i = 0; i < work.inBits(in); ++i) result.addFlatBasis(in, rankOf(work.flatBasis(in, i)));
    return result;
  }

  /// The lanes of a row number its k, from their lowest bits on; further lanes have copies.
  LinearLayout foundByRounds() const {
    LinearLayout result(Dims{output.numElements()});
    for (InDim in : {Register, Lane, Warp})
      for (int i = 0; i < work.inBits(in); ++i) {
        uint32_t row = work.flatBasis(in, i) >> axisBits << blockBits;
        if (in == Lane && !row)
          result.addFlatBasis(in, rankBases[i]);
        else if (row || in != Register)
          result.addFlatBasis(in, row);
      }
    return result;
  }
};

/// The rounds: for each row that a thread has a part of, its sorted list, of which the first ones compete.
class Rounds {
public:
  Rounds(Lowering &l, const TopKPlan &plan, SortNetwork &network)
      : l(l), plan(plan), network(network), k(1u << plan.blockBits), wide(network.keys[0][0].getType().isInteger(64)),
        keepsImages(!wide || plan.format.isReversible()) {}

  /// Keys, or positions, in layout plan.found.
  SmallVector<Registers> run() {
    SmallVector<SmallVector<Key>> lists = firstLists();
    Value zero = l.i32(0), rank = l.linearOfThread(plan.rankBases, {});
    SmallVector<Key> kept(lists.size(), Key{keepsImages ? zero : Value(), wide ? zero : Value()});
    if (k == 1) {
      step(lists, kept, rank, zero);
    } else {
      mlir::Block *head = newBlock(), *exit = newBlock();
      SmallVector<Value> inits{zero};
      forEach(lists, kept, [&](Value &v) { inits.push_back(v); });
      for (Value v : inits) head->addArgument(v.getType(), l.loc);
      LLVM::BrOp::create(l.b, l.loc, inits, head);
      l.b.setInsertionPointToStart(head);
      unsigned next = 1;
      forEach(lists, kept, [&](Value &v) { v = head->getArgument(next++); });
      step(lists, kept, rank, head->getArgument(0));
      SmallVector<Value> carried{LLVM::AddOp::create(l.b, l.loc, head->getArgument(0), l.i32(1))};
      forEach(lists, kept, [&](Value &v) { carried.push_back(v); });
      Value more = LLVM::ICmpOp::create(l.b, l.loc, LLVM::ICmpPredicate::slt, carried[0], l.i32(k));
      auto back = LLVM::CondBrOp::create(l.b, l.loc, more, head, carried, exit, ValueRange());
      back.setLoopAnnotationAttr(noUnroll(l.b.getContext()));
      l.b.setInsertionPointToStart(exit);
    }
    Registers found;
    for (const Key &key : kept)
      found.push_back(plan.format.isReversible() ? join(key)
                      : wide                     ? key.position
                                                 : plan.format.position(l, key.image));
    return {found};
  }

private:
  /// image and position, or both in one word (then `position` is null).
  struct Key {
    Value image, position;
  };

  mlir::Block *newBlock() {
    OpBuilder::InsertionGuard guard(l.b);
    Region *region = l.b.getInsertionBlock()->getParent();
    return l.b.createBlock(region, region->end());
  }

  template <class F> static void forEach(SmallVector<SmallVector<Key>> &lists, SmallVector<Key> &kept, F f) {
    auto both = [&](Key &key) {
      if (key.image) f(key.image);
      if (key.position) f(key.position);
    };
    for (auto &list : lists)
      for (Key &key : list) both(key);
    for (Key &key : kept) both(key);
  }

  SmallVector<SmallVector<Key>> firstLists() {
    PlaceFinder finder(network.layout);
    uint32_t axisRegisters = 0;
    for (int i = 0; i < plan.registerBits; ++i) axisRegisters |= PlaceFinder(plan.work).find(1u << plan.bits[i]).reg;
    uint32_t copies = plan.work.freeMasks()[int(Register)];
    SmallVector<SmallVector<Key>> lists;
    for (unsigned r = 0; r < network.keys[0].size(); ++r) {
      if (r & (axisRegisters | copies)) continue;
      SmallVector<Key> list;
      for (unsigned i = 0; i < 1u << plan.listBits(); ++i) {
        unsigned reg = r;
        for (int bit = 0; bit < plan.listBits(); ++bit)
          if (i >> bit & 1) reg ^= finder.find(1u << plan.bits[bit]).reg;
        list.push_back(split(network.keys[0][reg]));
      }
      lists.push_back(std::move(list));
    }
    return lists;
  }

  Key split(Value packed) {
    if (!wide) return {packed, {}};
    auto &b = l.b;
    Value high = LLVM::LShrOp::create(b, l.loc, packed, l.constant(b.getI64Type(), 32));
    return {LLVM::TruncOp::create(b, l.loc, b.getI32Type(), high),
            LLVM::TruncOp::create(b, l.loc, b.getI32Type(), packed)};
  }
  Value join(const Key &key) {
    if (!wide) return key.image;
    auto &b = l.b;
    Value high = LLVM::ShlOp::create(b, l.loc, LLVM::ZExtOp::create(b, l.loc, b.getI64Type(), key.image),
                                     l.constant(b.getI64Type(), 32));
    return LLVM::OrOp::create(b, l.loc, high, LLVM::ZExtOp::create(b, l.loc, b.getI64Type(), key.position));
  }

  Value least(Value v) { return NVVM::ReduxOp::create(l.b, l.loc, v.getType(), v, NVVM::ReduxKind::UMIN, l.i32(-1)); }
  Value equal(Value a, Value b) { return LLVM::ICmpOp::create(l.b, l.loc, LLVM::ICmpPredicate::eq, a, b); }
  Value choose(Value condition, Value a, Value b) { return moec::compiler::select(l, condition, a, b); }

  /// One round: the best of each row leaves its list, and the lane whose rank is the round's number keeps it.
  void step(SmallVector<SmallVector<Key>> &lists, SmallVector<Key> &kept, Value rank, Value round) {
    Value none = l.i32(-1); // behind the end of a list: loses against every key, as positions are smaller
    Value keeps = equal(rank, round);
    for (auto [list, result] : llvm::zip(lists, kept)) {
      Value mine;
      Key found = best(list[0], mine);
      if (result.image) result.image = choose(keeps, found.image, result.image);
      if (result.position) result.position = choose(keeps, found.position, result.position);
      for (unsigned i = 0; i < list.size(); ++i) {
        Key next = i + 1 < list.size() ? list[i + 1] : Key{none, none};
        list[i] = {choose(mine, next.image, list[i].image),
                   wide ? choose(mine, next.position, list[i].position) : Value()};
      }
    }
  }

  /// The least first key among the lanes of this lane's row; `mine`: it is this lane's.
  Key best(const Key &first, Value &mine) {
    if (!plan.rowLanes) return bestOfWarp(first, mine);
    Value odd = threadParity(l, {plan.rowLanes, 0}), none = l.i32(-1), evenMine, oddMine;
    auto hidden = [&](bool forOdd) {
      auto hide = [&](Value v) { return !v ? v : forOdd ? choose(odd, v, none) : choose(odd, none, v); };
      return Key{hide(first.image), hide(first.position)};
    };
    Key evenBest = bestOfWarp(hidden(false), evenMine), oddBest = bestOfWarp(hidden(true), oddMine);
    mine = choose(odd, oddMine, evenMine);
    return {choose(odd, oddBest.image, evenBest.image),
            wide ? choose(odd, oddBest.position, evenBest.position) : Value()};
  }

  Key bestOfWarp(const Key &first, Value &mine) {
    Value image = least(first.image);
    Value holds = equal(first.image, image);
    if (!wide) {
      mine = holds;
      return {image, {}};
    }
    Value candidate = choose(holds, first.position, l.i32(-1)), position = least(candidate);
    mine = equal(candidate, position);
    return {image, position};
  }

  Lowering &l;
  const TopKPlan &plan;
  SortNetwork &network;
  unsigned k;
  bool wide;        ///< image and position are two words
  bool keepsImages; ///< not where only positions are asked for
};
} // namespace

LogicalResult lowerTopK(Lowering &l, Operation *op) {
  auto topk = cast<tile::TopKOp>(op);
  TopKPlan plan(topk);
  Scratch scratch(l, op);
  SmallVector<Registers> keys = makeKeys(l, plan.format, l.regs(topk.getValue()), plan.input);
  SortNetwork network(l, scratch, plan.work, toLayout(l, scratch, keys, plan.input, plan.work));
  ArrayRef<int> bits = plan.bits;
  ArrayRef<int> block = bits.take_front(plan.byRounds ? plan.listBits() : plan.blockBits);
  network.sortBlocks(block);
  ArrayRef<int> merged =
      plan.byRounds ? bits.slice(block.size(), plan.registerBits - block.size()) : bits.drop_front(block.size());
  for (int bit : merged) network.keepLeast(block, bit);
  bool reversible = plan.format.isReversible();
  SmallVector<Registers> best = plan.byRounds ? Rounds(l, plan, network).run()
                                : reversible  ? network.keys
                                              : SmallVector<Registers>{positionsOf(l, plan.format, network.keys)};
  best = toLayout(l, scratch, best, plan.found, plan.output);

  Registers positions = reversible ? positionsOf(l, plan.format, best) : best[0], values;
  if (reversible) {
    values = valuesOf(l, plan.format, best);
  } else {
    Value buffer = scratch.open();
    storeRowMajor(l, buffer, l.regs(topk.getValue()), plan.input);
    l.barrier();
    uint32_t rank = (1u << plan.blockBits) - 1;
    values = fetchByPosition(l, buffer, storageOf(topk.getValue()), plan.output.flattenOuts(), rank,
                             plan.axisBits - plan.blockBits, positions);
  }
  l.setRegs(topk.getValues(), values);
  l.setRegs(topk.getIndices(), toLayout(l, scratch, positions, plan.output, layoutOf(topk.getIndices())).front());
  return success();
}

int64_t topKScratchBytes(tile::TopKOp op, int numWarps) { return TopKPlan(op).scratchBytes(op, numWarps); }

} // namespace moec::compiler
