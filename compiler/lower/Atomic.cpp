// tile.atomic_rmw and tile.atomic_cas: relaxed at device scope, once per element whatever the layout's copies; the old
// value then goes to all copies. Monotonic only: LLVM 22's NVPTX drops any stronger ordering and any other scope of
// atomicrmw without a word.
#include "compiler/lower/Memory.h"
#include "compiler/lower/SortNetwork.h"

using namespace mlir;

namespace moec::compiler {

namespace {
constexpr StringLiteral kScope = "device";
constexpr auto kRelaxed = LLVM::AtomicOrdering::monotonic;

struct CopyMasks {
  uint32_t lanes, warps;
  bool any() const { return lanes || warps; }
};

LinearLayout layoutOrScalar(Type type) {
  auto tile = dyn_cast<RankedTensorType>(type);
  return tile ? tilegpu::layoutOf(tile) : LinearLayout();
}

/// Thread bits that tell copies from owners (see Lowering::isOwner).
CopyMasks copyMasks(const LinearLayout &layout, int numWarps) {
  auto free = layout.freeMasks();
  CopyMasks masks{free[int(InDim::Lane)], free[int(InDim::Warp)]};
  for (int bit = layout.inBits(InDim::Lane); bit < 5; ++bit) masks.lanes |= 1u << bit;
  for (int bit = layout.inBits(InDim::Warp); bit < log2Exact(numWarps); ++bit) masks.warps |= 1u << bit;
  return masks;
}

/// Owners are in the same warp, at the lane without the copy bits.
bool copiesByShuffle(const LinearLayout &layout, CopyMasks masks) {
  bool byZero = true;
  for (int i = 0; i < layout.inBits(InDim::Lane); ++i)
    if (masks.lanes >> i & 1) byZero &= layout.flatBasis(InDim::Lane, i) == 0;
  return byZero && !masks.warps;
}

class AtomicEmitter {
public:
  AtomicEmitter(Lowering &l, Operation *op, Value ptr, Value offset, Value mask)
      : l(l), op(op), type(op->getResult(0).getType()), layout(layoutOrScalar(type)), pointer(l.scalar(ptr)),
        count(l.registerCount(type)), offsets(spread(offset)), masks(mask ? spread(mask) : SmallVector<Value>(count)) {}

  /// `body` gives the old value at an address for register r.
  void emit(function_ref<Value(unsigned r, Value address)> body) {
    Type storage = l.storageType(type);
    bool used = !op->getResult(0).use_empty();
    Value owner = l.isOwner(layout), zero = l.constant(storage, 0);
    SmallVector<unsigned> canonical = canonicalRegisters(layout);
    Registers old;
    for (unsigned r = 0; r < count; ++r) {
      if (canonical[r] != r) {
        old.push_back(old[canonical[r]]);
        continue;
      }
      Value condition = !masks[r] ? owner : !owner ? masks[r] : Value(LLVM::AndOp::create(l.b, l.loc, masks[r], owner));
      auto access = [&] { return body(r, l.gep(pointer, storage, offsets[r])); };
      if (used) {
        old.push_back(emitIf(l, condition, zero, access));
      } else {
        emitIf(l, condition, [&] { access(); });
        old.push_back(zero);
      }
    }
    if (used && owner) distribute(old, canonical, owner);
    l.setRegs(op->getResult(0), old);
  }

private:
  SmallVector<Value> spread(Value v) {
    if (isa<RankedTensorType>(v.getType())) return SmallVector<Value>(l.regs(v));
    return SmallVector<Value>(count, l.scalar(v));
  }

  /// From the owners to all that hold a copy.
  void distribute(Registers &old, ArrayRef<unsigned> canonical, Value owner) {
    CopyMasks copies = copyMasks(layout, l.options.numWarps);
    bool shuffles = copiesByShuffle(layout, copies);
    Value source, buffer;
    if (shuffles) {
      source = LLVM::AndOp::create(l.b, l.loc, l.lane(), l.i32(31 & ~copies.lanes));
    } else {
      buffer = Scratch(l, op).open();
      emitIf(l, owner, [&] {
        for (unsigned r = 0; r < count; ++r)
          if (canonical[r] == r) storeShared(l, buffer, flatIndex(l, layout, r, 0), old[r]);
      });
      l.barrier();
    }
    for (unsigned r = 0; r < count; ++r)
      old[r] = canonical[r] != r ? old[canonical[r]]
               : shuffles        ? shuffleFrom(l, old[r], source)
                                 : loadShared(l, buffer, flatIndex(l, layout, r, 0), old[r].getType());
  }

  Lowering &l;
  Operation *op;
  Type type;
  LinearLayout layout;
  Value pointer;
  unsigned count;
  SmallVector<Value> offsets, masks;
};

struct CasResult {
  Value old, swapped;
};
CasResult emitCas(Lowering &l, Value address, Value expected, Value replacement) {
  Value both = LLVM::AtomicCmpXchgOp::create(l.b, l.loc, address, expected, replacement, kRelaxed, kRelaxed, kScope);
  return {LLVM::ExtractValueOp::create(l.b, l.loc, both, 0), LLVM::ExtractValueOp::create(l.b, l.loc, both, 1)};
}

/// A loop around compare-and-swap on integers of the element's width. `update` gives the new bits from the old ones,
/// and whether (i1) they must be written at all. Returns the old bits.
Value emitCasLoop(Lowering &l, Value address, Type bits, function_ref<std::pair<Value, Value>(Value)> update) {
  OpBuilder &b = l.b;
  Value first = LLVM::LoadOp::create(b, l.loc, bits, address, bits.getIntOrFloatBitWidth() / 8, /*isVolatile=*/false,
                                     /*isNonTemporal=*/false,
                                     /*isInvariant=*/false, /*isInvariantGroup=*/false, kRelaxed, kScope);
  Block *before = b.getInsertionBlock(), *after = before->splitBlock(b.getInsertionPoint());
  b.setInsertionPointToEnd(before);
  Block *loop = b.createBlock(after);
  b.setInsertionPointToEnd(before);
  LLVM::BrOp::create(b, l.loc, ValueRange(first), loop);
  Value old = loop->addArgument(bits, l.loc), result = after->addArgument(bits, l.loc);
  b.setInsertionPointToEnd(loop);
  auto [replacement, wanted] = update(old);
  Block *swap = b.createBlock(after);
  b.setInsertionPointToEnd(loop);
  LLVM::CondBrOp::create(b, l.loc, wanted, swap, ValueRange(), after, ValueRange(old));
  b.setInsertionPointToEnd(swap);
  CasResult cas = emitCas(l, address, old, replacement);
  LLVM::CondBrOp::create(b, l.loc, cas.swapped, after, ValueRange(old), loop, ValueRange(cas.old));
  b.setInsertionPointToStart(after);
  return result;
}

/// Bits of a float as a signed integer with the order of the numbers, -0 below +0.
Value orderedBits(Lowering &l, Value bits) {
  auto type = cast<IntegerType>(bits.getType());
  unsigned width = type.getWidth();
  Value negative = LLVM::AShrOp::create(l.b, l.loc, bits, l.constant(type, width - 1));
  Value magnitude = l.constant(type, llvm::APInt::getSignedMaxValue(width).getSExtValue());
  return LLVM::XOrOp::create(l.b, l.loc, bits, LLVM::AndOp::create(l.b, l.loc, negative, magnitude));
}

/// Float max and min: a NaN loses, -0 < +0. Written only where it changes something.
Value emitFloatExtremum(Lowering &l, Value address, Value v, bool isMax) {
  Type type = v.getType(), bits = l.b.getIntegerType(type.getIntOrFloatBitWidth());
  Value newBits = l.bitcast(v, bits), newOrdered = orderedBits(l, newBits);
  auto isNumber = [&](Value x) -> Value { return LLVM::FCmpOp::create(l.b, l.loc, LLVM::FCmpPredicate::ord, x, x); };
  Value numberGiven = isNumber(v);
  Value old = emitCasLoop(l, address, bits, [&](Value old) -> std::pair<Value, Value> {
    auto predicate = isMax ? LLVM::ICmpPredicate::sgt : LLVM::ICmpPredicate::slt;
    Value better = LLVM::ICmpOp::create(l.b, l.loc, predicate, newOrdered, orderedBits(l, old));
    Value overNan = LLVM::XOrOp::create(l.b, l.loc, isNumber(l.bitcast(old, type)), l.constant(l.b.getI1Type(), 1));
    return {newBits, LLVM::AndOp::create(l.b, l.loc, numberGiven, LLVM::OrOp::create(l.b, l.loc, better, overNan))};
  });
  return l.bitcast(old, type);
}

LLVM::AtomicBinOp integerKind(tile::AtomicKind kind) {
  switch (kind) {
  case tile::AtomicKind::add: return LLVM::AtomicBinOp::add;
  case tile::AtomicKind::max: return LLVM::AtomicBinOp::max;
  case tile::AtomicKind::min: return LLVM::AtomicBinOp::min;
  case tile::AtomicKind::umax: return LLVM::AtomicBinOp::umax;
  case tile::AtomicKind::umin: return LLVM::AtomicBinOp::umin;
  case tile::AtomicKind::exchange: return LLVM::AtomicBinOp::xchg;
  }
  llvm_unreachable("all kinds are named");
}

Value emitRmw(Lowering &l, tile::AtomicKind kind, Value address, Value v) {
  Type type = v.getType();
  bool isFloat = isa<FloatType>(type);
  if (isFloat && (kind == tile::AtomicKind::max || kind == tile::AtomicKind::min))
    return emitFloatExtremum(l, address, v, kind == tile::AtomicKind::max);
  if (isFloat && kind == tile::AtomicKind::add)
    return LLVM::AtomicRMWOp::create(l.b, l.loc, LLVM::AtomicBinOp::fadd, address, v, kRelaxed, kScope);
  Value bits = isFloat ? l.bitcast(v, l.b.getIntegerType(type.getIntOrFloatBitWidth())) : v;
  return l.bitcast(LLVM::AtomicRMWOp::create(l.b, l.loc, integerKind(kind), address, bits, kRelaxed, kScope), type);
}

SmallVector<Value> spreadValue(Lowering &l, Value v, unsigned count) {
  if (isa<RankedTensorType>(v.getType())) return SmallVector<Value>(l.regs(v));
  return SmallVector<Value>(count, l.scalar(v));
}

LogicalResult lowerAtomicRmw(Lowering &l, Operation *op) {
  auto rmw = cast<tile::AtomicRmwOp>(op);
  SmallVector<Value> values = spreadValue(l, rmw.getValue(), l.registerCount(rmw.getType()));
  AtomicEmitter(l, op, rmw.getPtr(), rmw.getOffset(), rmw.getMask()).emit([&](unsigned r, Value address) {
    return emitRmw(l, rmw.getKind(), address, values[r]);
  });
  return success();
}

LogicalResult lowerAtomicCas(Lowering &l, Operation *op) {
  auto cas = cast<tile::AtomicCasOp>(op);
  unsigned count = l.registerCount(cas.getType());
  SmallVector<Value> compare = spreadValue(l, cas.getCompare(), count), values = spreadValue(l, cas.getValue(), count);
  AtomicEmitter(l, op, cas.getPtr(), cas.getOffset(), Value()).emit([&](unsigned r, Value address) {
    return emitCas(l, address, compare[r], values[r]).old;
  });
  return success();
}
} // namespace

void registerAtomicLowerings(MLIRContext *context, HandlerTable &table) {
  setHandler<tile::AtomicRmwOp>(context, table, lowerAtomicRmw);
  setHandler<tile::AtomicCasOp>(context, table, lowerAtomicCas);
}

int64_t atomicScratchBytes(Operation *op, int numWarps) {
  if (!isa<tile::AtomicRmwOp, tile::AtomicCasOp>(op) || op->getResult(0).use_empty()) return 0;
  LinearLayout layout = layoutOrScalar(op->getResult(0).getType());
  CopyMasks masks = copyMasks(layout, numWarps);
  if (!masks.any() || copiesByShuffle(layout, masks)) return 0;
  return alignTo16(layout.numElements() *
                   (getElementTypeOrSelf(op->getResult(0).getType()).getIntOrFloatBitWidth() / 8));
}

} // namespace moec::compiler
