// tile.sort. Only keys go through the network; what belongs to them is fetched by position at the end.
#include "compiler/lower/SortNetwork.h"

using namespace mlir;

namespace moec::compiler {

namespace {
struct SortPlan {
  explicit SortPlan(tile::SortOp op)
      : input(layoutOf(op.getOperands()[0])), work(networkLayout(input)), axisBits(input.dimBits(input.rank() - 1)),
        format(elementOf(op.getOperands()[0]), needsPosition(op) ? axisBits : 0, op.getDescending(),
               op.getUnsignedKey()) {
    for (int i = 0; i < axisBits; ++i) bits.push_back(i);
    firstFetched = format.isReversible() ? 1 : 0;
  }
  /// Equal integers are the same integer; whatever else an element has must be found by its position.
  static bool needsPosition(tile::SortOp op) {
    return op.getNumOperands() > 1 || !elementOf(op.getOperands()[0]).isInteger();
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
      bytes = std::max(bytes, conversionScratchBytes(work.flattenOuts(), layoutOf(op.getResult(i)).flattenOuts(),
                                                     storageOf(operand)));
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
      sorted.push_back(fetchByPosition(l, buffer, storageOf(operand), plan.work, axis, 0, positions));
  }
  for (auto [result, registers] : llvm::zip(sort.getResults(), sorted))
    l.setRegs(result, toLayout(l, scratch, {registers}, plan.work, layoutOf(result)).front());
  return success();
}

// ---- registration

LogicalResult lowerTopK(Lowering &l, Operation *op); // TopK.cpp
int64_t topKScratchBytes(tile::TopKOp op, int numWarps);
LogicalResult lowerHistogram(Lowering &l, Operation *op); // Histogram.cpp
int64_t histogramScratchBytes(tile::HistogramOp op);

void registerSortLowerings(MLIRContext *context, HandlerTable &table) {
  table[OperationName(tile::SortOp::getOperationName(), context)] = lowerSort;
  table[OperationName(tile::TopKOp::getOperationName(), context)] = lowerTopK;
  table[OperationName(tile::HistogramOp::getOperationName(), context)] = lowerHistogram;
}

int64_t sortScratchBytes(Operation *op, int numWarps) {
  if (auto sort = dyn_cast<tile::SortOp>(op)) return SortPlan(sort).scratchBytes(sort, numWarps);
  if (auto topk = dyn_cast<tile::TopKOp>(op)) return topKScratchBytes(topk, numWarps);
  if (auto histogram = dyn_cast<tile::HistogramOp>(op)) return histogramScratchBytes(histogram);
  return 0;
}

} // namespace moec::compiler
