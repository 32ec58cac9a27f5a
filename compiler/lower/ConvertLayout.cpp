// tilegpu.convert_layout, and the same for tiles on their way through other lowerings: by registers, by shuffles or through
// swizzled shared memory, as the algebra of layouts says.
#include "compiler/layout/Conversion.h"
#include "compiler/layout/SharedAccess.h"
#include "compiler/lower/Exchange.h"

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
      result.push_back(exchanged(plan.after, plan.after.size(), r, received, [&](unsigned slot) { return round(plan.slotRound[slot]); }));
    return result;
  }

private:
  using Memo = llvm::DenseMap<std::pair<size_t, unsigned>, Value>;

  /// Register r after the first `steps` exchanges.
  Value exchanged(const std::vector<ShufflePlan::Exchange> &list, size_t steps, unsigned r, Memo &memo, function_ref<Value(unsigned)> first) {
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
    Value v = exchanged(plan.before, plan.before.size(), round.sendRegister, before, [&](unsigned r) { return source[r]; });
    if (!plan.isButterfly())
      v = shuffleFrom(l, v, sourceLane(round.laneXor));
    else if (round.laneXor)
      v = shuffleXor(l, v, round.laneXor);
    return sent[i] = v;
  }

  Value sourceLane(uint32_t laneXor) {
    SmallVector<int32_t> lanes(plan.laneBases.begin(), plan.laneBases.end()), warps(plan.warpBases.begin(), plan.warpBases.end());
    Value lane = l.linearOfThread(lanes, warps);
    return laneXor ? Value(LLVM::XOrOp::create(l.b, l.loc, lane, l.i32(laneXor))) : lane;
  }

  Lowering &l;
  const ShufflePlan &plan;
  ArrayRef<Value> source;
  std::vector<Value> sent;
  Memo before, received;
};

// ---- shared memory

/// Addresses of one layout's registers in a shared buffer, and its vector accesses there.
class SharedSide {
public:
  SharedSide(Lowering &l, Value base, const LinearLayout &regs, const LinearLayout &shared, const VectorAccess &vector, Type element)
      : l(l), base(base), regs(regs), vector(vector), element(element), bytes(sharedElementBytes(element)) {
    LinearLayout inverse = shared.inverse();
    auto offset = [&](InDim in, int i) { return int32_t(inverse.applyPacked(regs.flatBasis(in, i))) * bytes; };
    for (int i = 0; i < regs.inBits(Register); ++i) registerBases.push_back(offset(Register, i));
    for (int i = 0; i < regs.inBits(Lane); ++i) laneBases.push_back(offset(Lane, i)), threadMask |= laneBases.back();
    for (int i = 0; i < regs.inBits(Warp); ++i) warpBases.push_back(offset(Warp, i)), threadMask |= warpBases.back();
    for (int bit : vector.registerBits) vectorMask |= 1u << bit;
  }

  void store(ArrayRef<Value> values) {
    uint32_t copies = regs.freeMasks()[int(Register)];
    for (uint32_t r = 0; r < values.size(); ++r) {
      if (r & (vectorMask | copies)) continue;
      SmallVector<Value> lanes;
      for (int i = 0; i < vector.width; ++i) lanes.push_back(toMemory(values[registerAt(r, i)]));
      LLVM::StoreOp::create(l.b, l.loc, pack(lanes), address(r), alignment());
    }
  }

  Registers load() {
    Registers values(regs.inSize(Register));
    SmallVector<unsigned> canonical = canonicalRegisters(regs);
    for (uint32_t r = 0; r < values.size(); ++r) {
      if ((r & vectorMask) || llvm::none_of(llvm::seq(vector.width), [&](int i) { return canonical[registerAt(r, i)] == registerAt(r, i); })) continue;
      Type type = vector.width == 1 ? memoryType() : Type(VectorType::get(vector.width, memoryType()));
      Value word = LLVM::LoadOp::create(l.b, l.loc, type, address(r), alignment());
      for (int i = 0; i < vector.width; ++i)
        values[registerAt(r, i)] = fromMemory(vector.width == 1 ? word : Value(LLVM::ExtractElementOp::create(l.b, l.loc, word, l.i32(i))));
    }
    for (uint32_t r = 0; r < values.size(); ++r) values[r] = values[canonical[r]];
    return values;
  }

private:
  unsigned alignment() const { return unsigned(vector.width * bytes); }
  uint32_t registerAt(uint32_t r, int i) const {
    for (size_t j = 0; j < vector.registerBits.size(); ++j) r |= (i >> j & 1) << vector.registerBits[j];
    return r;
  }

  /// base + (thread's part XOR register's part); what does not meet the thread's bits is added, to become an immediate.
  Value address(uint32_t r) {
    uint32_t constant = f2Apply(registerBases, r), mixed = constant & threadMask;
    Value &at = pointers[mixed];
    if (!at) {
      Value thread = l.linearOfThread(laneBases, warpBases);
      if (mixed) thread = LLVM::XOrOp::create(l.b, l.loc, thread, l.i32(mixed));
      at = l.gep(base, l.b.getI8Type(), thread);
    }
    return constant == mixed ? at : l.gep(at, l.b.getI8Type(), l.i32(constant & ~threadMask));
  }

  /// Elements are moved as integers: nothing is ever computed on the way.
  Type memoryType() const { return l.b.getIntegerType(bytes * 8); }
  Value toMemory(Value v) {
    if (element.isInteger(1)) return LLVM::ZExtOp::create(l.b, l.loc, memoryType(), v);
    return l.bitcast(v, memoryType());
  }
  Value fromMemory(Value v) {
    if (element.isInteger(1)) return LLVM::TruncOp::create(l.b, l.loc, element, v);
    return l.bitcast(v, element);
  }
  Value pack(ArrayRef<Value> lanes) {
    if (lanes.size() == 1) return lanes[0];
    Value v = LLVM::UndefOp::create(l.b, l.loc, VectorType::get(int64_t(lanes.size()), memoryType()));
    for (auto [i, lane] : llvm::enumerate(lanes)) v = LLVM::InsertElementOp::create(l.b, l.loc, v, lane, l.i32(int64_t(i)));
    return v;
  }

  Lowering &l;
  Value base;
  const LinearLayout &regs;
  const VectorAccess &vector;
  Type element;
  int bytes;
  SmallVector<int32_t> registerBases, laneBases, warpBases;
  uint32_t threadMask = 0, vectorMask = 0;
  llvm::DenseMap<uint32_t, Value> pointers;
};
} // namespace

void storeRowMajor(Lowering &l, Value buffer, ArrayRef<Value> values, const LinearLayout &layout) {
  LinearLayout flat = layout.flattenOuts(), rows = LinearLayout::identity(Offset, flat.shape());
  VectorAccess vector = sharedVector(flat, rows, elementBits(values[0].getType()));
  emitIf(l, l.isOwner(layout), [&] { SharedSide(l, buffer, flat, rows, vector, values[0].getType()).store(values); });
}

static SmallVector<Registers> throughShared(Lowering &l, Scratch &scratch, ArrayRef<Registers> operands, const LinearLayout &from, const LinearLayout &to) {
  Value base = scratch.open();
  SmallVector<SharedChoice> choices;
  SmallVector<Value> buffers;
  int64_t offset = 0;
  for (const Registers &operand : operands) {
    choices.push_back(chooseShared(from, to, elementBits(operand[0].getType())));
    buffers.push_back(offset ? l.gep(base, l.b.getI8Type(), l.i32(offset)) : base);
    offset += alignTo16(from.numElements() * sharedElementBytes(operand[0].getType()));
  }
  emitIf(l, l.isOwner(from), [&] {
    for (auto [i, operand] : llvm::enumerate(operands))
      SharedSide(l, buffers[i], from, choices[i].shared, choices[i].store, operand[0].getType()).store(operand);
  });
  l.barrier();
  SmallVector<Registers> result;
  for (auto [i, operand] : llvm::enumerate(operands))
    result.push_back(SharedSide(l, buffers[i], to, choices[i].shared, choices[i].load, operand[0].getType()).load());
  return result;
}

SmallVector<Registers> convertTogether(Lowering &l, Scratch &scratch, ArrayRef<Registers> operands, const LinearLayout &from, const LinearLayout &to) {
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
    for (unsigned r = 0; r < to.inSize(Register); ++r) moved.push_back(operand[plan.kind == ConversionKind::None ? r : plan.registers[r]]);
    result.push_back(std::move(moved));
  }
  return result;
}

Registers convertRegisters(Lowering &l, ArrayRef<Value> values, const LinearLayout &from, const LinearLayout &to, Type, Operation *scratchOwner) {
  Scratch scratch(l, scratchOwner);
  return convertTogether(l, scratch, Registers(values), from, to).front();
}

// ---- the op

static LogicalResult lowerConvertLayout(Lowering &l, Operation *op) {
  auto convert = cast<tilegpu::ConvertLayoutOp>(op);
  auto from = cast<RankedTensorType>(convert.getValue().getType()), to = cast<RankedTensorType>(convert.getType());
  l.setRegs(convert, convertRegisters(l, l.regs(convert.getValue()), tilegpu::layoutOf(from), tilegpu::layoutOf(to), Type(), op));
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
