// tile.scan in Sklansky's order: at level b every element whose index has bit b set becomes `total of the block before
// it ∘ itself`.
//
// A block's total is a node of the reduction tree, so it is kept beside the elements and grows like a reduction:
// `totals` holds the block's total in each of the block's places, the neighbour's total comes from a constant
// difference of places (register or lane). From the first level that crosses warps on, one trip through shared memory
// gives each thread the totals of all blocks along the axis, and the rest happens in its registers. A reverse scan is
// the same with every index bit inverted.
#include "compiler/lower/Combiner.h"

using namespace mlir;

namespace moec::compiler {

using enum InDim;

namespace {
/// The course of a scan, from types alone.
struct ScanPlan {
  explicit ScanPlan(tile::ScanOp op);

  CombinerTraits traits;
  SmallVector<Type> types;
  SmallVector<int> bits; ///< the axis' index bits, lowest first
  LinearLayout input, work, output;
  size_t localLevels = 0; ///< levels within warps
  // What every thread then holds of the totals: packed index bits `totalBits`, the levels' bits lowest among its
  // registers.
  uint32_t totalBits = 0;
  LinearLayout totalsFrom, totals;
  SmallVector<uint32_t> totalsRegister; ///< per register of `work`: where its row of totals begins

  int64_t scratchBytes() const {
    auto flat = [](const LinearLayout &layout) { return layout.flattenOuts(); };
    int64_t bytes = std::max(conversionScratchBytes(flat(input), flat(work), types),
                             conversionScratchBytes(flat(work), flat(output), types));
    return localLevels == bits.size() ? bytes : std::max(bytes, conversionScratchBytes(totalsFrom, totals, types));
  }

private:
  bool planLevels();
  LinearLayout friendlyLayout() const;
};

ScanPlan::ScanPlan(tile::ScanOp op) : traits(op.getCombiner()), types(storageTypes(op.getOperands())) {
  input = work = tilegpu::layoutOf(cast<RankedTensorType>(op.getOperands()[0].getType()));
  output = tilegpu::layoutOf(cast<RankedTensorType>(op.getResult(0).getType()));
  int first = firstBitOf(input, op.getAxis());
  for (int i = 0; i < input.dimBits(op.getAxis()); ++i) bits.push_back(first + i);
  if (!planLevels()) {
    work = friendlyLayout();
    planLevels();
  }
}

/// False if the totals would not fit into registers.
bool ScanPlan::planLevels() {
  LinearLayout layout = work;
  for (localLevels = 0; localLevels < bits.size(); ++localLevels) {
    uint32_t bit = 1u << bits[localLevels];
    if (PlaceFinder(layout).find(bit).warp) break;
    layout = project(layout, bit);
  }
  if (localLevels == bits.size()) return true;
  uint32_t axis = 0, left = 0;
  for (size_t i = 0; i < bits.size(); ++i) (i < localLevels ? axis : left) |= 1u << bits[i];
  axis |= left;
  totalBits = (uint32_t(work.numElements() - 1) & ~axis) | left;
  totalsFrom = compress(layout, totalBits);
  totals = LinearLayout(totalsFrom.shape());
  totalsRegister.clear();
  for (size_t i = localLevels; i < bits.size(); ++i)
    totals.addFlatBasis(Register, extractBits(1u << bits[i], totalBits));
  F2Span rows;
  int row = totals.inBits(Register);
  for (int i = 0; i < work.inBits(Register); ++i)
    if (uint32_t basis = work.flatBasis(Register, i) & ~axis; rows.grow(basis, 1u << row))
      totals.addFlatBasis(Register, extractBits(basis, totalBits)), ++row;
  for (InDim in : {Lane, Warp})
    for (int i = 0; i < work.inBits(in); ++i)
      totals.addFlatBasis(in, extractBits(work.flatBasis(in, i) & ~axis, totalBits));
  for (unsigned r = 0; r < work.inSize(Register); ++r) totalsRegister.push_back(*rows.solve(work.applyFlat(r) & ~axis));
  return row <= 6;
}

/// Axis bits to registers, then lanes; warps take the other dimensions first.
LinearLayout ScanPlan::friendlyLayout() const {
  SmallVector<int> others, registers, lanes, warps;
  int n = input.totalOutBits(), warpBits = input.inBits(Warp);
  for (int bit = n - 1; bit >= 0; --bit)
    if (!llvm::is_contained(bits, bit)) others.push_back(bit);
  while (int(warps.size()) < warpBits && !others.empty()) warps.push_back(others.pop_back_val());
  SmallVector<int> axis(bits);
  while (int(warps.size()) < warpBits && axis.size() > 5) warps.push_back(axis.pop_back_val());
  size_t perThread = axis.size() - std::min<size_t>(axis.size(), 5);
  for (int bit : axis) (registers.size() < perThread ? registers : lanes).push_back(bit);
  for (; !others.empty(); others.pop_back()) (lanes.size() < 5 ? lanes : registers).push_back(others.back());
  return layoutOfBits(n, registers, lanes, warps, warpBits).reshape(input.shape());
}

class Scanner {
public:
  Scanner(Lowering &l, tile::ScanOp op) : l(l), op(op), plan(op), combine(l, op.getCombiner()), scratch(l, op) {
    for (Value operand : op.getOperands()) values.push_back(Registers(l.regs(operand)));
  }

  LogicalResult lower() {
    values = convertTogether(l, scratch, values, plan.input.flattenOuts(), plan.work.flattenOuts());
    totals = values;
    layout = plan.work;
    SmallVector<unsigned> copyOf = canonicalRegisters(layout);
    for (level = 0; level < plan.localLevels; ++level) localLevel();
    if (level < plan.bits.size()) {
      totals = convertTogether(l, scratch, totals, plan.totalsFrom, plan.totals);
      for (; level < plan.bits.size(); ++level) gatheredLevel();
    }
    finishPrefixes();
    for (unsigned r = 0; r < copyOf.size(); ++r) setElement(values, r, elementAt(values, copyOf[r]));
    values = convertTogether(l, scratch, values, plan.work.flattenOuts(), plan.output.flattenOuts());
    for (auto [result, registers] : llvm::zip(op.getResults(), values)) l.setRegs(result, registers);
    return failure(combine.failed());
  }

private:
  /// Bit `bit` of the scanned index of register r: a constant XOR this (null: nothing) of the thread.
  struct IndexBit {
    bool constant;
    Value thread;
  };
  IndexBit indexBit(unsigned r, int bit) {
    auto [known, isNew] = threadPart.try_emplace(bit);
    if (isNew) known->second = threadParity(l, threadBits(plan.work, bit));
    return {registerBit(plan.work, r, bit) != op.getReverse(), known->second};
  }
  /// `set` where the bit is 1, else `clear`.
  Element choose(IndexBit bit, ArrayRef<Value> set, ArrayRef<Value> clear) {
    if (!bit.thread) return Element(bit.constant ? set : clear);
    return bit.constant ? selectElement(l, bit.thread, clear, set) : selectElement(l, bit.thread, set, clear);
  }

  /// One level in which the neighbour's total is in the same warp.
  void localLevel() {
    int bit = plan.bits[level];
    Place partner = PlaceFinder(layout).find(1u << bit);
    beginPrefixes(partner);
    SmallVector<unsigned> canonical = canonicalRegisters(layout);
    SmallVector<Registers> before = totals;
    bool last = level + 1 == plan.bits.size();
    std::vector<Element> received(canonical.size());
    for (unsigned r = 0; r < canonical.size(); ++r) {
      unsigned c = canonical[r], other = canonical[r ^ partner.reg];
      IndexBit set = indexBit(r, bit);
      if (received[c].empty())
        received[c] =
            partner.lane ? shuffleElement(l, elementAt(before, other), partner.lane) : elementAt(before, other);
      apply(r, set, received[c]);
      if (last) continue;
      if (c != r)
        setElement(totals, r, elementAt(totals, c));
      else if (!partner.lane && other < r)
        setElement(totals, r, elementAt(totals, other));
      else
        setElement(totals, r, grown(set, elementAt(before, r), received[c]));
    }
    layout = project(layout, 1u << bit);
  }

  /// The total of a block and its neighbour, in order.
  Element grown(IndexBit set, ArrayRef<Value> own, ArrayRef<Value> neighbour) {
    if (combine.traits.commutative) return combine(own, neighbour);
    return combine(choose(set, neighbour, own), choose(set, own, neighbour));
  }

  /// x = total ∘ x where the index bit is set.
  void apply(unsigned r, IndexBit set, ArrayRef<Value> total) {
    if (!set.thread && !set.constant) return;
    if (inPrefixMode) return applyToPrefix(r, set, total);
    Element own = elementAt(values, r);
    setElement(values, r, choose(set, combine(total, own), own));
  }

  // For a combiner that may be regrouped, what comes from the left is collected once per group of registers that share
  // it.
  void beginPrefixes(Place partner) {
    if (inPrefixMode || !combine.traits.orderFree || values.size() != 1 || (!partner.lane && !partner.warp)) return;
    identity = combine.traits.identity(l, values[0][0].getType());
    if (!identity) return;
    inPrefixMode = true;
    group = canonicalRegisters(layout);
    prefixes.assign(group.size(), Value());
  }
  void applyToPrefix(unsigned r, IndexBit set, ArrayRef<Value> total) {
    if (group[r] != r) return;
    Value before = prefixes[r];
    Element with = before ? combine(total, before) : Element(total);
    prefixes[r] = choose(set, with, before ? before : identity).front();
  }
  void finishPrefixes() {
    if (!inPrefixMode) return;
    for (unsigned r = 0; r < group.size(); ++r)
      if (Value prefix = prefixes[group[r]]) setElement(values, r, combine(prefix, values[0][r]));
  }

  /// One level from the totals of all blocks along the axis, which every thread holds.
  void gatheredLevel() {
    beginPrefixes({0, 0, 1});
    size_t done = level - plan.localLevels;
    llvm::DenseMap<std::pair<uint32_t, uint32_t>, Element> chosen; // by row and the register's part of the block number
    for (unsigned r = 0; r < values[0].size(); ++r) {
      if (inPrefixMode && group[r] != r) continue;
      uint32_t number = 0; // this register's part of the index above the local levels
      for (size_t i = done; i < plan.bits.size() - plan.localLevels; ++i)
        number |= uint32_t(registerBit(plan.work, r, plan.bits[plan.localLevels + i])) << i;
      Element &neighbour = chosen[{plan.totalsRegister[r], number | 1u << done}];
      if (neighbour.empty()) neighbour = neighbourTotal(r, plan.totalsRegister[r], plan.bits.size() - 1, 0);
      apply(r, indexBit(r, plan.bits[level]), neighbour);
    }
    if (level + 1 == plan.bits.size()) return;
    // Pairs of neighbours become one block, kept at the lower one's register.
    size_t step = size_t(1) << done;
    for (size_t r = 0; r < totals[0].size(); r += 2 * step) {
      Element low = elementAt(totals, r), high = elementAt(totals, r + step);
      Element both = op.getReverse() ? combine(high, low) : combine(low, high);
      setElement(totals, r, both);
    }
  }

  /// The total of the block before register r's at this level, if r's bit is set: the block whose bits above are r's
  /// own.
  Element neighbourTotal(unsigned r, uint32_t row, size_t i, uint32_t block) {
    size_t at = i - plan.localLevels;
    if (i == level) return elementAt(totals, row | block | (op.getReverse() ? 1u << at : 0));
    auto [known, isNew] = threadPart.try_emplace(plan.bits[i]);
    if (isNew) known->second = threadParity(l, threadBits(plan.work, plan.bits[i]));
    uint32_t own = uint32_t(registerBit(plan.work, r, plan.bits[i])) << at;
    if (!known->second) return neighbourTotal(r, row, i - 1, block | own);
    Value flips = known->second; // before the recursion, which may move `known`
    Element flipped = neighbourTotal(r, row, i - 1, block | (own ^ 1u << at));
    return selectElement(l, flips, flipped, neighbourTotal(r, row, i - 1, block | own));
  }

  Lowering &l;
  tile::ScanOp op;
  ScanPlan plan;
  Combiner combine;
  Scratch scratch;
  SmallVector<Registers> values, totals;
  LinearLayout layout; ///< of totals, while they are local
  size_t level = 0;
  llvm::DenseMap<int, Value> threadPart;
  bool inPrefixMode = false;
  Value identity;
  SmallVector<unsigned> group;
  Registers prefixes;
};
} // namespace

static LogicalResult lowerScan(Lowering &l, Operation *op) { return Scanner(l, cast<tile::ScanOp>(op)).lower(); }

int64_t scanScratchBytes(tile::ScanOp op) { return ScanPlan(op).scratchBytes(); }

void registerScanLowering(MLIRContext *context, HandlerTable &table) {
  table[OperationName(tile::ScanOp::getOperationName(), context)] = lowerScan;
}

} // namespace moec::compiler
