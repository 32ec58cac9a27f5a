// tile.histogram: counters in shared memory, one atomic per element; integer sums, so the order does not show.
#include "compiler/lower/SortNetwork.h"

using namespace mlir;

namespace moec::compiler {

static LinearLayout flatLayoutOf(Value v) {
  return tilegpu::layoutOf(cast<RankedTensorType>(v.getType())).flattenOuts();
}

int64_t histogramScratchBytes(tile::HistogramOp op) {
  int64_t counters = alignTo16(cast<RankedTensorType>(op.getType()).getNumElements() * 4);
  if (!op.getMask()) return counters;
  Type i1 = IntegerType::get(op.getContext(), 1);
  return std::max(counters, conversionScratchBytes(flatLayoutOf(op.getMask()), flatLayoutOf(op.getValue()), i1));
}

/// Sets counters to 0: thread t those at t, t + threads, …
static void clearCounters(Lowering &l, Value counters, int64_t bins) {
  int64_t threads = l.options.numWarps * 32;
  Value zero = l.i32(0);
  for (int64_t first = 0; first < bins; first += threads) {
    Value inside = bins < threads
                       ? Value(LLVM::ICmpOp::create(l.b, l.loc, LLVM::ICmpPredicate::ult, l.thread(), l.i32(bins)))
                       : Value();
    emitIf(l, inside, [&] { storeShared(l, counters, l.addConstant(l.thread(), first), zero); });
  }
}

LogicalResult lowerHistogram(Lowering &l, Operation *op) {
  auto histogram = cast<tile::HistogramOp>(op);
  auto &b = l.b;
  auto valueType = cast<RankedTensorType>(histogram.getValue().getType()),
       resultType = cast<RankedTensorType>(histogram.getType());
  LinearLayout layout = tilegpu::layoutOf(valueType), result = tilegpu::layoutOf(resultType);
  int64_t bins = resultType.getNumElements();
  Scratch scratch(l, op);
  SmallVector<Value> values(l.regs(histogram.getValue())), masks;
  if (Value mask = histogram.getMask())
    masks = convertTogether(l, scratch, Registers(l.regs(mask)), flatLayoutOf(mask), flatLayoutOf(histogram.getValue()))
                .front();
  Value counters = scratch.open();
  clearCounters(l, counters, bins);
  l.barrier();

  Value owner = l.isOwner(layout);
  SmallVector<unsigned> canonical = canonicalRegisters(layout);
  for (unsigned r = 0; r < values.size(); ++r) {
    if (canonical[r] != r) continue;
    Value counts = LLVM::ICmpOp::create(b, l.loc, LLVM::ICmpPredicate::ult, values[r], l.i32(bins));
    if (owner) counts = LLVM::AndOp::create(b, l.loc, counts, owner);
    if (!masks.empty()) counts = LLVM::AndOp::create(b, l.loc, counts, masks[r]);
    emitIf(l, counts, [&] {
      Value counter = l.gep(counters, b.getI32Type(), values[r]);
      LLVM::AtomicRMWOp::create(b, l.loc, LLVM::AtomicBinOp::add, counter, l.i32(1), LLVM::AtomicOrdering::monotonic,
                                "block");
    });
  }
  l.barrier();

  Registers got;
  for (auto [r, c] : llvm::enumerate(canonicalRegisters(result)))
    got.push_back(c == r ? loadShared(l, counters, flatIndex(l, result, unsigned(r), 0), b.getI32Type()) : got[c]);
  l.setRegs(histogram, got);
  return success();
}

} // namespace moec::compiler
