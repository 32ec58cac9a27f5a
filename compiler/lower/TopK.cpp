// tile.topk. Keys carry their position, so it is free in which order elements are looked at: registers first, then lanes, then warps.
//
// Where a warp has whole rows and keys fit into 32 bits, each thread sorts its own elements, and k times the least of all threads' first
// ones is found by redux and taken off that thread's list. Else sorted blocks of k are merged two at a time, keeping the better half.
#include "compiler/lower/SortNetwork.h"

using namespace mlir;

namespace moec::compiler {

using enum InDim;

namespace {
class TopKPlan {
public:
  explicit TopKPlan(tile::TopKOp op)
      : input(layoutOf(op.getValue())), work(networkLayout(input)), output(layoutOf(op.getValues())), axisBits(input.dimBits(input.rank() - 1)),
        blockBits(log2Exact(op.getK())), format(elementOf(op.getValue()), axisBits, /*descending=*/true, /*isUnsigned=*/false) {
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
    byRounds = !acrossWarps && registerBits < axisBits && elementOf(op.getValue()).getIntOrFloatBitWidth() <= 32 && blockBits <= mostRounds &&
               std::popcount(rowLanes) <= mostRowBits;
    found = byRounds ? foundByRounds() : foundByMerging();
  }

  LinearLayout input, work, output, found; ///< found: who has the result at first, packed index of the result
  int axisBits, blockBits;
  KeyFormat format;
  SmallVector<int> bits;   ///< the axis' index bits, those in registers first
  int registerBits = 0;    ///< how many of them are
  uint32_t rowLanes = 0;   ///< lane bits that number rows
  bool byRounds;

  /// Bits that number what a thread sorts by itself before the rounds.
  int listBits() const { return std::min(blockBits, registerBits); }

  int64_t scratchBytes(tile::TopKOp op, int numWarps) const {
    SmallVector<Type> components = format.components(op.getContext());
    LinearLayout values = output.flattenOuts();
    return std::max({networkScratchBytes(work, bits, numWarps, components),
                     conversionScratchBytes(input.flattenOuts(), work.flattenOuts(), components),
                     conversionScratchBytes(found, values, components), format.isReversible() ? 0 : tileBytes(op.getValue()),
                     conversionScratchBytes(values, layoutOf(op.getIndices()).flattenOuts(), IntegerType::get(op.getContext(), 32))});
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

  /// Every lane of a row has all k, in its lowest register bits.
  LinearLayout foundByRounds() const {
    LinearLayout result(Dims{output.numElements()});
    for (int i = 0; i < blockBits; ++i) result.addFlatBasis(Register, 1u << i);
    for (InDim in : {Register, Lane, Warp})
      for (int i = 0; i < work.inBits(in); ++i) {
        uint32_t row = work.flatBasis(in, i) >> axisBits << blockBits;
        if (row || in != Register) result.addFlatBasis(in, row);
      }
    return result;
  }
};

/// The rounds: for each row that a thread has a part of, its sorted list, of which the first ones compete.
class Rounds {
public:
  Rounds(Lowering &l, const TopKPlan &plan, SortNetwork &network) : l(l), plan(plan), network(network), k(1u << plan.blockBits) {}

  /// Keys in layout plan.found.
  SmallVector<Registers> run() {
    wide = network.keys[0][0].getType().isInteger(64);
    PlaceFinder finder(network.layout);
    uint32_t axisRegisters = 0;
    for (int i = 0; i < plan.registerBits; ++i) axisRegisters |= PlaceFinder(plan.work).find(1u << plan.bits[i]).reg;
    uint32_t copies = plan.work.freeMasks()[int(Register)];
    Registers keys;
    for (unsigned r = 0; r < network.keys[0].size(); ++r) {
      if (r & (axisRegisters | copies)) continue;
      SmallVector<Key> list;
      for (unsigned i = 0; i < 1u << plan.listBits(); ++i) {
        unsigned reg = r;
        for (int bit = 0; bit < plan.listBits(); ++bit)
          if (i >> bit & 1) reg ^= finder.find(1u << plan.bits[bit]).reg;
        list.push_back(split(network.keys[0][reg]));
      }
      for (Value v : select(list)) keys.push_back(v);
    }
    return {keys};
  }

private:
  /// image and position, or both in one word (then `position` is null).
  struct Key {
    Value image, position;
  };

  Key split(Value packed) {
    if (!wide) return {packed, {}};
    auto &b = l.b;
    Value high = LLVM::LShrOp::create(b, l.loc, packed, l.constant(b.getI64Type(), 32));
    return {LLVM::TruncOp::create(b, l.loc, b.getI32Type(), high), LLVM::TruncOp::create(b, l.loc, b.getI32Type(), packed)};
  }
  Value join(const Key &key) {
    if (!wide) return key.image;
    auto &b = l.b;
    Value high = LLVM::ShlOp::create(b, l.loc, LLVM::ZExtOp::create(b, l.loc, b.getI64Type(), key.image), l.constant(b.getI64Type(), 32));
    return LLVM::OrOp::create(b, l.loc, high, LLVM::ZExtOp::create(b, l.loc, b.getI64Type(), key.position));
  }

  Value least(Value v) { return NVVM::ReduxOp::create(l.b, l.loc, v.getType(), v, NVVM::ReduxKind::UMIN, l.i32(-1)); }
  Value equal(Value a, Value b) { return LLVM::ICmpOp::create(l.b, l.loc, LLVM::ICmpPredicate::eq, a, b); }
  Value choose(Value condition, Value a, Value b) { return moec::compiler::select(l, condition, a, b); }

  /// The k least of a row, in order.
  SmallVector<Value> select(SmallVector<Key> list) {
    Value none = l.i32(-1); // behind the end of a list: loses against every key, as positions are smaller
    SmallVector<Value> result;
    for (unsigned round = 0; round < k; ++round) {
      Value mine;
      result.push_back(join(best(list[0], mine)));
      unsigned needed = std::min<unsigned>(list.size(), k - 1 - round);
      for (unsigned i = 0; i < needed; ++i) {
        Key next = i + 1 < list.size() ? list[i + 1] : Key{none, none};
        list[i] = {choose(mine, next.image, list[i].image), wide ? choose(mine, next.position, list[i].position) : Value()};
      }
    }
    return result;
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
    return {choose(odd, oddBest.image, evenBest.image), wide ? choose(odd, oddBest.position, evenBest.position) : Value()};
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
  bool wide = false;
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
  ArrayRef<int> merged = plan.byRounds ? bits.slice(block.size(), plan.registerBits - block.size()) : bits.drop_front(block.size());
  for (int bit : merged) network.keepLeast(block, bit);
  SmallVector<Registers> best = plan.byRounds ? Rounds(l, plan, network).run() : network.keys;
  best = toLayout(l, scratch, best, plan.found, plan.output);

  Registers positions = positionsOf(l, plan.format, best), values;
  if (plan.format.isReversible()) {
    values = valuesOf(l, plan.format, best);
  } else {
    Value buffer = scratch.open();
    storeRowMajor(l, buffer, l.regs(topk.getValue()), plan.input);
    l.barrier();
    uint32_t rank = (1u << plan.blockBits) - 1;
    values = fetchByPosition(l, buffer, storageOf(topk.getValue()), plan.output.flattenOuts(), rank, plan.axisBits - plan.blockBits, positions);
  }
  l.setRegs(topk.getValues(), values);
  l.setRegs(topk.getIndices(), toLayout(l, scratch, positions, plan.output, layoutOf(topk.getIndices())).front());
  return success();
}

int64_t topKScratchBytes(tile::TopKOp op, int numWarps) { return TopKPlan(op).scratchBytes(op, numWarps); }

} // namespace moec::compiler
