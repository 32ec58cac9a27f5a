// tile.sort and tile.topk. Only keys go through the network; what belongs to them is fetched by position at the end.
#include "compiler/lower/SortNetwork.h"

using namespace mlir;

namespace moec::compiler {

using enum InDim;

static Type elementOf(Value v) { return cast<RankedTensorType>(v.getType()).getElementType(); }
static LinearLayout layoutOf(Value v) { return tilegpu::layoutOf(cast<RankedTensorType>(v.getType())); }

static Type storageOf(Value v) {
  Type element = elementOf(v);
  return isa<Float8E4M3FNType, Float8E5M2Type>(element) ? Type(IntegerType::get(v.getContext(), 8)) : element;
}

static int64_t tileBytes(Value v) {
  return alignTo16(cast<RankedTensorType>(v.getType()).getNumElements() * sharedElementBytes(storageOf(v)));
}

/// The layout of place p's result in which `work` holds the operand; both flat.
static SmallVector<Registers> toLayout(Lowering &l, Scratch &scratch, SmallVector<Registers> values, const LinearLayout &from, const LinearLayout &to) {
  return convertTogether(l, scratch, values, from.flattenOuts(), to.flattenOuts());
}

/// Elements row ^ position of a tile that lies row-major at `buffer`; `rows` gives each register's row, `shift` moves it into place.
static Registers fetch(Lowering &l, Value buffer, Type storage, const LinearLayout &layout, uint32_t positionMask, int shift, ArrayRef<Value> positions) {
  SmallVector<unsigned> canonical = canonicalRegisters(layout);
  Registers result;
  for (unsigned r = 0; r < canonical.size(); ++r) {
    if (canonical[r] != r) {
      result.push_back(result[canonical[r]]);
      continue;
    }
    Value index = LLVM::OrOp::create(l.b, l.loc, flatIndex(l, layout, r, positionMask, shift), positions[r]);
    result.push_back(loadShared(l, buffer, index, storage));
  }
  return result;
}

static Registers positionsOf(Lowering &l, const KeyFormat &format, ArrayRef<Registers> keys) {
  Registers result;
  for (unsigned r = 0; r < keys[0].size(); ++r) {
    SmallVector<Value> key;
    for (const Registers &component : keys) key.push_back(component[r]);
    result.push_back(format.position(l, key));
  }
  return result;
}

static Registers valuesOf(Lowering &l, const KeyFormat &format, ArrayRef<Registers> keys) {
  Registers result;
  for (unsigned r = 0; r < keys[0].size(); ++r) {
    SmallVector<Value> key;
    for (const Registers &component : keys) key.push_back(component[r]);
    result.push_back(format.value(l, key));
  }
  return result;
}

// ---- sort

namespace {
struct SortPlan {
  explicit SortPlan(tile::SortOp op)
      : input(layoutOf(op.getOperands()[0])), work(networkLayout(input)), axisBits(input.dimBits(input.rank() - 1)),
        format(elementOf(op.getOperands()[0]), axisBits, op.getDescending(), op.getUnsignedKey()) {
    for (int i = 0; i < axisBits; ++i) bits.push_back(i);
    firstFetched = format.isReversible() ? 1 : 0;
  }
  LinearLayout input, work;
  int axisBits;
  KeyFormat format;
  SmallVector<int> bits;
  unsigned firstFetched; ///< operands from here on are fetched; before it, they come from the keys

  int64_t scratchBytes(tile::SortOp op, int numWarps) const {
    SmallVector<Type> components = format.components(op.getContext());
    int64_t bytes = std::max(networkScratchBytes(work, bits, numWarps, components),
                             conversionScratchBytes(input.flattenOuts(), work.flattenOuts(), components));
    int64_t fetched = 0;
    for (auto [i, operand] : llvm::enumerate(op.getOperands())) {
      if (i >= firstFetched) fetched += tileBytes(operand);
      bytes = std::max(bytes, conversionScratchBytes(work.flattenOuts(), layoutOf(op.getResult(i)).flattenOuts(), storageOf(operand)));
    }
    return std::max(bytes, fetched);
  }
};
} // namespace

static LogicalResult lowerSort(Lowering &l, Operation *op) {
  auto sort = cast<tile::SortOp>(op);
  SortPlan plan(sort);
  Scratch scratch(l, op);
  SmallVector<Registers> keys = makeKeys(l, plan.format, l.regs(sort.getOperands()[0]), plan.input);
  SortNetwork network(l, scratch, plan.work, toLayout(l, scratch, keys, plan.input, plan.work));
  network.sortBlocks(plan.bits);
  SmallVector<Registers> sorted;
  if (plan.firstFetched == 1) sorted.push_back(valuesOf(l, plan.format, network.keys));
  if (plan.firstFetched < sort.getNumOperands()) {
    Registers positions = positionsOf(l, plan.format, network.keys);
    Value base = scratch.open();
    SmallVector<Value> buffers;
    int64_t offset = 0;
    for (Value operand : sort.getOperands().drop_front(plan.firstFetched)) {
      buffers.push_back(l.gep(base, l.b.getI8Type(), l.i32(offset)));
      storeRowMajor(l, buffers.back(), l.regs(operand), layoutOf(operand));
      offset += tileBytes(operand);
    }
    l.barrier();
    uint32_t axis = maskOf(plan.work, plan.work.rank() - 1);
    for (auto [operand, buffer] : llvm::zip(sort.getOperands().drop_front(plan.firstFetched), buffers))
      sorted.push_back(fetch(l, buffer, storageOf(operand), plan.work, axis, 0, positions));
  }
  for (auto [result, registers] : llvm::zip(sort.getResults(), sorted))
    l.setRegs(result, toLayout(l, scratch, {registers}, plan.work, layoutOf(result)).front());
  return success();
}

// ---- top-k

namespace {
/// Sorted blocks of k, two of which become one until a row has one left. Which index bits number the elements of a block is free, as
/// keys carry their position: register bits first, then lanes, then warps.
struct TopKPlan {
  explicit TopKPlan(tile::TopKOp op)
      : input(layoutOf(op.getValue())), work(networkLayout(input)), output(layoutOf(op.getValues())), axisBits(input.dimBits(input.rank() - 1)),
        format(elementOf(op.getValue()), axisBits, /*descending=*/true, /*isUnsigned=*/false) {
    PlaceFinder finder(work);
    for (int level = 0; level < 3; ++level)
      for (int bit = 0; bit < axisBits; ++bit) {
        Place p = finder.find(1u << bit);
        if ((p.warp ? 2 : p.lane ? 1 : 0) == level) bits.push_back(bit);
      }
    blockBits = log2Exact(op.getK());
    // Who holds the result: rank bit i is where index bit bits[i] was, rows move down.
    uint32_t merged = 0;
    for (int bit : ArrayRef<int>(bits).drop_front(blockBits)) merged |= 1u << bit;
    LinearLayout last = project(work, merged);
    found = LinearLayout(Dims{output.numElements()});
    for (InDim in : {Register, Lane, Warp})
      for (int i = 0; i < last.inBits(in); ++i) found.addFlatBasis(in, rankOf(last.flatBasis(in, i)));
  }

  LinearLayout input, work, output, found; ///< found: packed index of the result
  int axisBits, blockBits;
  KeyFormat format;
  SmallVector<int> bits;

  int64_t scratchBytes(tile::TopKOp op, int numWarps) const {
    SmallVector<Type> components = format.components(op.getContext());
    LinearLayout values = output.flattenOuts();
    return std::max({networkScratchBytes(work, bits, numWarps, components),
                     conversionScratchBytes(input.flattenOuts(), work.flattenOuts(), components),
                     conversionScratchBytes(found, values, components), format.isReversible() ? 0 : tileBytes(op.getValue()),
                     conversionScratchBytes(values, layoutOf(op.getIndices()).flattenOuts(), IntegerType::get(op.getContext(), 32))});
  }

private:
  uint32_t rankOf(uint32_t flat) const {
    uint32_t rank = flat >> axisBits << blockBits;
    for (int i = 0; i < blockBits; ++i) rank |= (flat >> bits[i] & 1) << i;
    return rank;
  }
};
} // namespace

static LogicalResult lowerTopK(Lowering &l, Operation *op) {
  auto topk = cast<tile::TopKOp>(op);
  TopKPlan plan(topk);
  Scratch scratch(l, op);
  SmallVector<Registers> keys = makeKeys(l, plan.format, l.regs(topk.getValue()), plan.input);
  SortNetwork network(l, scratch, plan.work, toLayout(l, scratch, keys, plan.input, plan.work));
  ArrayRef<int> block = ArrayRef<int>(plan.bits).take_front(plan.blockBits);
  network.sortBlocks(block);
  for (int bit : ArrayRef<int>(plan.bits).drop_front(plan.blockBits)) network.keepLeast(block, bit);
  SmallVector<Registers> best = toLayout(l, scratch, network.keys, plan.found, plan.output);
  Registers positions = positionsOf(l, plan.format, best), values;
  if (plan.format.isReversible()) {
    values = valuesOf(l, plan.format, best);
  } else {
    Value buffer = scratch.open();
    storeRowMajor(l, buffer, l.regs(topk.getValue()), plan.input);
    l.barrier();
    uint32_t rank = (1u << plan.blockBits) - 1;
    values = fetch(l, buffer, storageOf(topk.getValue()), plan.output.flattenOuts(), rank, plan.axisBits - plan.blockBits, positions);
  }
  l.setRegs(topk.getValues(), values);
  l.setRegs(topk.getIndices(), toLayout(l, scratch, {positions}, plan.output, layoutOf(topk.getIndices())).front());
  return success();
}

// ---- registration

LogicalResult lowerHistogram(Lowering &l, Operation *op); // Histogram.cpp
int64_t histogramScratchBytes(tile::HistogramOp op);

void registerSortLowerings(MLIRContext *context, HandlerTable &table) {
  table[OperationName(tile::SortOp::getOperationName(), context)] = lowerSort;
  table[OperationName(tile::TopKOp::getOperationName(), context)] = lowerTopK;
  table[OperationName(tile::HistogramOp::getOperationName(), context)] = lowerHistogram;
}

int64_t sortScratchBytes(Operation *op, int numWarps) {
  if (auto sort = dyn_cast<tile::SortOp>(op)) return SortPlan(sort).scratchBytes(sort, numWarps);
  if (auto topk = dyn_cast<tile::TopKOp>(op)) return TopKPlan(topk).scratchBytes(topk, numWarps);
  if (auto histogram = dyn_cast<tile::HistogramOp>(op)) return histogramScratchBytes(histogram);
  return 0;
}

} // namespace moec::compiler
