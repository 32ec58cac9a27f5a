// tilegpu.convert_layout, and the same for tiles on their way through other lowerings: by registers, by shuffles or
// through swizzled shared memory, as the algebra of layouts says.
#include "compiler/layout/Conversion.h"
#include "compiler/layout/SharedAccess.h"
#include "compiler/lower/Exchange.h"
#include "compiler/lower/SharedTile.h"

using namespace mlir;

namespace moec::compiler {

using enum InDim;

// ---- the choice

static int elementBits(Type storageType) { return sharedElementBytes(storageType) * 8; }

/// Instructions of a shuffle plan for one operand, roughly: a 64-bit value takes two shuffles.
static int shuffleCost(const ShufflePlan &plan, int bits) {
  int words = bits > 32 ? 2 : 1;
  int exchanged = (int(plan.before.size()) << plan.sourceBits) + (int(plan.after.size()) << plan.slotBits);
  return words * (2 * plan.numShuffles() + exchanged);
}

/// A round trip through shared memory waits for two barriers or so: worth this many instructions.
constexpr int kBarrierCost = 24;

static int sharedCost(const LinearLayout &from, const LinearLayout &to, int bits) {
  int perVector = std::max(1, 128 / bits);
  return kBarrierCost + 4 * int(from.inSize(Register) + to.inSize(Register)) / std::min<int>(perVector, 4);
}

static ConversionPlan choosePlan(const LinearLayout &from, const LinearLayout &to, int bits) {
  ConversionPlan plan = planConversion(from, to);
  if (plan.kind == ConversionKind::WarpShuffle && shuffleCost(plan.shuffle, bits) > sharedCost(from, to, bits))
    plan.kind = ConversionKind::SharedMemory;
  return plan;
}

static int widestBits(ArrayRef<Type> elements) {
  int bits = 8;
  for (Type e : elements) bits = std::max(bits, elementBits(e));
  return bits;
}

int64_t conversionScratchBytes(const LinearLayout &from, const LinearLayout &to, ArrayRef<Type> elements) {
  if (choosePlan(from, to, widestBits(elements)).kind != ConversionKind::SharedMemory) return 0;
  int64_t bytes = 0;
  for (Type e : elements) bytes += alignTo16(from.numElements() * sharedElementBytes(e));
  return bytes;
}

// ---- shuffles

namespace {
/// Emits a shuffle plan for one operand; values that no destination register needs are never made.
class ShuffleEmitter {
public:
  ShuffleEmitter(Lowering &l, const ShufflePlan &plan, ArrayRef<Value> source)
      : l(l), plan(plan), source(source), sent(plan.rounds.size()) {}

  Registers emit(unsigned count) {
    Registers result;
    for (unsigned r = 0; r < count; ++r)
      result.push_back(exchanged(plan.after, plan.after.size(), r, received,
                                 [&](unsigned slot) { return round(plan.slotRound[slot]); }));
    return result;
  }

private:
  using Memo = llvm::DenseMap<std::pair<size_t, unsigned>, Value>;

  /// Register r after the first `steps` exchanges.
  Value exchanged(const std::vector<ShufflePlan::Exchange> &list, size_t steps, unsigned r, Memo &memo,
                  function_ref<Value(unsigned)> first) {
    if (steps == 0) return first(r);
    if (auto it = memo.find({steps, r}); it != memo.end()) return it->second;
    const ShufflePlan::Exchange &e = list[steps - 1];
    Value kept = exchanged(list, steps - 1, r, memo, first);
    Value condition = e.registerXor ? threadParity(l, {e.laneMask, e.warpMask}) : Value();
    Value v = condition ? select(l, condition, exchanged(list, steps - 1, r ^ e.registerXor, memo, first), kept) : kept;
    return memo[{steps, r}] = v;
  }

  Value round(unsigned i) {
    if (sent[i]) return sent[i];
    const ShufflePlan::Round &round = plan.rounds[i];
    Value v =
        exchanged(plan.before, plan.before.size(), round.sendRegister, before, [&](unsigned r) { return source[r]; });
    if (!plan.isButterfly())
      v = shuffleFrom(l, v, sourceLane(round.laneXor));
    else if (round.laneXor)
      v = shuffleXor(l, v, round.laneXor);
    return sent[i] = v;
  }

  Value sourceLane(uint32_t laneXor) {
    SmallVector<int32_t> lanes(plan.laneBases.begin(), plan.laneBases.end()),
        warps(plan.warpBases.begin(), plan.warpBases.end());
    Value lane = l.linearOfThread(lanes, warps);
    return laneXor ? Value(LLVM::XOrOp::create(l.b, l.loc, lane, l.i32(laneXor))) : lane;
  }

  Lowering &l;
  const ShufflePlan &plan;
  ArrayRef<Value> source;
  std::vector<Value> sent;
  Memo before, received;
};
} // namespace

// ---- shared memory

/// i1 lies in shared memory as i8.
static Type sharedType(Lowering &l, Type storage) { return storage.isInteger(1) ? Type(l.b.getI8Type()) : storage; }

static void storeShared(Lowering &l, Value buffer, ArrayRef<Value> values, const LinearLayout &regs,
                        const LinearLayout &shared) {
  Type type = values[0].getType();
  Registers stored(values);
  if (type.isInteger(1))
    for (Value &v : stored) v = LLVM::ZExtOp::create(l.b, l.loc, l.b.getI8Type(), v);
  SharedTile(l, buffer, shared, regs, sharedType(l, type)).store(stored);
}

static Registers loadShared(Lowering &l, Value buffer, Type type, const LinearLayout &regs,
                            const LinearLayout &shared) {
  Registers loaded = SharedTile(l, buffer, shared, regs, sharedType(l, type)).load();
  if (type.isInteger(1))
    for (Value &v : loaded) v = LLVM::TruncOp::create(l.b, l.loc, type, v);
  return loaded;
}

void storeRowMajor(Lowering &l, Value buffer, ArrayRef<Value> values, const LinearLayout &layout) {
  LinearLayout flat = layout.flattenOuts();
  emitIf(l, l.isOwner(layout),
         [&] { storeShared(l, buffer, values, flat, LinearLayout::identity(Offset, flat.shape())); });
}

static SmallVector<Registers> throughShared(Lowering &l, Scratch &scratch, ArrayRef<Registers> operands,
                                            const LinearLayout &from, const LinearLayout &to) {
  Value base = scratch.open();
  SmallVector<LinearLayout> layouts;
  SmallVector<Value> buffers;
  int64_t offset = 0;
  for (const Registers &operand : operands) {
    layouts.push_back(chooseShared(from, to, elementBits(operand[0].getType())).shared);
    buffers.push_back(offset ? l.gep(base, l.b.getI8Type(), l.i32(offset)) : base);
    offset += alignTo16(from.numElements() * sharedElementBytes(operand[0].getType()));
  }
  emitIf(l, l.isOwner(from), [&] {
    for (auto [operand, buffer, shared] : llvm::zip(operands, buffers, layouts))
      storeShared(l, buffer, operand, from, shared);
  });
  l.barrier();
  SmallVector<Registers> result;
  for (auto [operand, buffer, shared] : llvm::zip(operands, buffers, layouts))
    result.push_back(loadShared(l, buffer, operand[0].getType(), to, shared));
  return result;
}

SmallVector<Registers> convertTogether(Lowering &l, Scratch &scratch, ArrayRef<Registers> operands,
                                       const LinearLayout &from, const LinearLayout &to) {
  SmallVector<Type> elements;
  for (const Registers &operand : operands) elements.push_back(operand[0].getType());
  ConversionPlan plan = choosePlan(from, to, widestBits(elements));
  if (plan.kind == ConversionKind::SharedMemory) return throughShared(l, scratch, operands, from, to);
  assert(plan.kind != ConversionKind::ClusterMemory && "layouts of this compiler have no block bits");
  SmallVector<Registers> result;
  for (const Registers &operand : operands) {
    if (plan.kind == ConversionKind::WarpShuffle) {
      result.push_back(ShuffleEmitter(l, plan.shuffle, operand).emit(to.inSize(Register)));
      continue;
    }
    Registers moved;
    for (unsigned r = 0; r < to.inSize(Register); ++r)
      moved.push_back(operand[plan.kind == ConversionKind::None ? r : plan.registers[r]]);
    result.push_back(std::move(moved));
  }
  return result;
}

Registers convertRegisters(Lowering &l, ArrayRef<Value> values, const LinearLayout &from, const LinearLayout &to, Type,
                           Operation *scratchOwner) {
  Scratch scratch(l, scratchOwner);
  return convertTogether(l, scratch, Registers(values), from, to).front();
}

// ---- the op

static LogicalResult lowerConvertLayout(Lowering &l, Operation *op) {
  auto convert = cast<tilegpu::ConvertLayoutOp>(op);
  auto from = cast<RankedTensorType>(convert.getValue().getType()), to = cast<RankedTensorType>(convert.getType());
  l.setRegs(convert, convertRegisters(l, l.regs(convert.getValue()), tilegpu::layoutOf(from), tilegpu::layoutOf(to),
                                      Type(), op));
  return success();
}

void registerConvertLowerings(MLIRContext *context, HandlerTable &table) {
  table[OperationName(tilegpu::ConvertLayoutOp::getOperationName(), context)] = lowerConvertLayout;
}

int64_t convertScratchBytes(Operation *op, int) {
  auto convert = dyn_cast<tilegpu::ConvertLayoutOp>(op);
  if (!convert) return 0;
  auto from = cast<RankedTensorType>(convert.getValue().getType()), to = cast<RankedTensorType>(convert.getType());
  return conversionScratchBytes(tilegpu::layoutOf(from), tilegpu::layoutOf(to), from.getElementType());
}

} // namespace moec::compiler
