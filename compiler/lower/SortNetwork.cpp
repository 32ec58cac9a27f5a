#include "compiler/lower/SortNetwork.h"

#include "llvm/ADT/Sequence.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;

namespace moec::compiler {

using enum InDim;

// ---- keys

KeyFormat::KeyFormat(Type element, int positionBits, bool descending, bool isUnsigned)
    : element(element), width(int(element.getIntOrFloatBitWidth())), positionBits(positionBits), descending(descending),
      isUnsigned(isUnsigned || element.isInteger(1)) {}

SmallVector<Type> KeyFormat::components(MLIRContext *context) const {
  if (isPacked()) return {IntegerType::get(context, packedBits())};
  return {IntegerType::get(context, 64), IntegerType::get(context, 32)};
}

bool KeyFormat::isReversible() const { return element.isInteger(); }

static Value zext(Lowering &l, Value v, int bits) {
  Type type = l.b.getIntegerType(bits);
  return v.getType() == type ? v : Value(LLVM::ZExtOp::create(l.b, l.loc, type, v));
}

static Value trunc(Lowering &l, Value v, int bits) {
  Type type = l.b.getIntegerType(bits);
  return v.getType() == type ? v : Value(LLVM::TruncOp::create(l.b, l.loc, type, v));
}

/// The least magnitude (bits without the sign) that is NaN.
static int64_t leastNan(FloatType type) {
  const llvm::fltSemantics &semantics = type.getFloatSemantics();
  llvm::APFloat greatest =
      isa<Float8E4M3FNType>(type) ? llvm::APFloat::getLargest(semantics) : llvm::APFloat::getInf(semantics);
  return greatest.bitcastToAPInt().getSExtValue() + 1;
}

/// An unsigned integer of the value's width with the value's order (reversed if descending).
Value KeyFormat::image(Lowering &l, Value v) const {
  auto &b = l.b;
  Type type = b.getIntegerType(width);
  Value bits = l.bitcast(v, type), ones = l.constant(type, -1);
  Value sign = l.constant(type, int64_t(uint64_t(1) << (width - 1)));
  if (auto f = dyn_cast<FloatType>(element)) {
    // Negative numbers: all bits inverted; others: the sign set. Both zeros are one value, all NaNs are the greatest.
    Value magnitude = LLVM::AndOp::create(b, l.loc, bits, l.constant(type, ~(uint64_t(1) << (width - 1))));
    Value negative = LLVM::AShrOp::create(b, l.loc, bits, l.constant(type, width - 1));
    Value ordered = LLVM::XOrOp::create(b, l.loc, bits, LLVM::OrOp::create(b, l.loc, negative, sign));
    Value isZero = LLVM::ICmpOp::create(b, l.loc, LLVM::ICmpPredicate::eq, magnitude, l.constant(type, 0));
    Value isNan = LLVM::ICmpOp::create(b, l.loc, LLVM::ICmpPredicate::uge, magnitude, l.constant(type, leastNan(f)));
    bits = select(l, isNan, ones, select(l, isZero, sign, ordered));
  } else if (!isUnsigned) {
    bits = LLVM::XOrOp::create(b, l.loc, bits, sign);
  }
  return descending ? Value(LLVM::XOrOp::create(b, l.loc, bits, ones)) : bits;
}

SmallVector<Value> KeyFormat::make(Lowering &l, Value v, Value position) const {
  Value bits = image(l, v);
  if (!isPacked()) return {bits, position};
  int packed = packedBits();
  if (!positionBits) return {zext(l, bits, packed)};
  Value high = LLVM::ShlOp::create(l.b, l.loc, zext(l, bits, packed), l.constant(l.b.getIntegerType(packed), shift()));
  return {LLVM::OrOp::create(l.b, l.loc, high, zext(l, position, packed))};
}

Value KeyFormat::position(Lowering &l, ArrayRef<Value> key) const {
  if (!positionBits) return l.i32(0);
  if (!isPacked()) return key[1];
  if (packedBits() == 64) return trunc(l, key[0], 32);
  return LLVM::AndOp::create(l.b, l.loc, key[0], l.i32((int64_t(1) << positionBits) - 1));
}

Value KeyFormat::value(Lowering &l, ArrayRef<Value> key) const {
  Type type = l.b.getIntegerType(width);
  Value bits = key[0];
  if (isPacked() && shift()) bits = LLVM::LShrOp::create(l.b, l.loc, bits, l.constant(bits.getType(), shift()));
  bits = trunc(l, bits, width);
  int64_t flip = isUnsigned ? 0 : int64_t(uint64_t(1) << (width - 1));
  if (descending) flip = ~flip;
  return LLVM::XOrOp::create(l.b, l.loc, bits, l.constant(type, flip));
}

Value flatIndex(Lowering &l, const LinearLayout &layout, unsigned r, uint32_t without, int shift) {
  SmallVector<int32_t> lanes, warps;
  uint32_t threadMask = 0;
  auto moved = [&](uint32_t flat) { return shift >= 0 ? (flat & ~without) << shift : (flat & ~without) >> -shift; };
  for (int i = 0; i < layout.inBits(Lane); ++i)
    lanes.push_back(int32_t(moved(layout.flatBasis(Lane, i)))), threadMask |= lanes.back();
  for (int i = 0; i < layout.inBits(Warp); ++i)
    warps.push_back(int32_t(moved(layout.flatBasis(Warp, i)))), threadMask |= warps.back();
  Value thread = l.linearOfThread(lanes, warps);
  uint32_t constant = moved(layout.applyFlat(r));
  if (!constant) return thread;
  if (constant & threadMask) return LLVM::XOrOp::create(l.b, l.loc, thread, l.i32(constant));
  return l.addConstant(thread, constant);
}

SmallVector<Registers> makeKeys(Lowering &l, const KeyFormat &format, ArrayRef<Value> values,
                                const LinearLayout &layout) {
  uint32_t axis = maskOf(layout, layout.rank() - 1);
  SmallVector<unsigned> canonical = canonicalRegisters(layout);
  SmallVector<Registers> keys(format.components(l.b.getContext()).size());
  for (unsigned r = 0; r < values.size(); ++r) {
    SmallVector<Value> key;
    if (canonical[r] == r) key = format.make(l, values[r], flatIndex(l, layout, r, ~axis));
    for (auto [k, component] : llvm::enumerate(keys))
      component.push_back(canonical[r] == r ? key[k] : component[canonical[r]]);
  }
  return keys;
}

// ---- tiles

Type elementOf(Value v) { return cast<RankedTensorType>(v.getType()).getElementType(); }
LinearLayout layoutOf(Value v) { return tilegpu::layoutOf(cast<RankedTensorType>(v.getType())); }

Type storageOf(Value v) {
  Type element = elementOf(v);
  return isa<Float8E4M3FNType, Float8E5M2Type>(element) ? Type(IntegerType::get(v.getContext(), 8)) : element;
}

int64_t tileBytes(Value v) {
  return alignTo16(cast<RankedTensorType>(v.getType()).getNumElements() * sharedElementBytes(storageOf(v)));
}

SmallVector<Registers> toLayout(Lowering &l, Scratch &scratch, ArrayRef<Registers> values, const LinearLayout &from,
                                const LinearLayout &to) {
  return convertTogether(l, scratch, values, from.flattenOuts(), to.flattenOuts());
}

Registers fetchByPosition(Lowering &l, Value buffer, Type storage, const LinearLayout &layout, uint32_t positionMask,
                          int shift, ArrayRef<Value> positions) {
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

/// The components of the key in register r.
static SmallVector<Value> keyAt(ArrayRef<Registers> keys, unsigned r) {
  SmallVector<Value> key;
  for (const Registers &component : keys) key.push_back(component[r]);
  return key;
}

Registers positionsOf(Lowering &l, const KeyFormat &format, ArrayRef<Registers> keys) {
  return llvm::map_to_vector(llvm::seq<unsigned>(keys[0].size()),
                             [&](unsigned r) { return format.position(l, keyAt(keys, r)); });
}

Registers valuesOf(Lowering &l, const KeyFormat &format, ArrayRef<Registers> keys) {
  return llvm::map_to_vector(llvm::seq<unsigned>(keys[0].size()),
                             [&](unsigned r) { return format.value(l, keyAt(keys, r)); });
}

// ---- the network

void SortNetwork::set(unsigned r, ArrayRef<Value> key) {
  for (auto [component, v] : llvm::zip(keys, key)) component[r] = v;
}

SortNetwork::IndexBit SortNetwork::indexBit(unsigned r, int bit, int flippedBy) {
  ThreadBits threads = threadBits(layout, bit);
  bool constant = registerBit(layout, r, bit);
  if (flippedBy >= 0) {
    ThreadBits more = threadBits(layout, flippedBy);
    threads = {threads.lanes ^ more.lanes, threads.warps ^ more.warps};
    constant ^= registerBit(layout, r, flippedBy);
  }
  Value &parity = parities[{threads.lanes, threads.warps}];
  if (!parity) parity = threadParity(l, threads);
  return {constant, parity};
}

Value SortNetwork::less(ArrayRef<Value> a, ArrayRef<Value> b) {
  auto compare = [&](LLVM::ICmpPredicate p, Value x, Value y) -> Value {
    return LLVM::ICmpOp::create(l.b, l.loc, p, x, y);
  };
  Value first = compare(LLVM::ICmpPredicate::ult, a[0], b[0]);
  if (a.size() == 1) return first;
  Value second = compare(LLVM::ICmpPredicate::ult, a[1], b[1]), equal = compare(LLVM::ICmpPredicate::eq, a[0], b[0]);
  return LLVM::OrOp::create(l.b, l.loc, first, LLVM::AndOp::create(l.b, l.loc, equal, second));
}

SmallVector<Registers> SortNetwork::partners(Place at, ArrayRef<unsigned> canonical) {
  SmallVector<Registers> result;
  if (!at.warp) {
    for (const Registers &component : keys) {
      Registers got(component.size());
      for (unsigned r = 0; r < got.size(); ++r) {
        if (canonical[r] != r) continue;
        Value v = component[canonical[r ^ at.reg]];
        got[r] = at.lane ? shuffleXor(l, v, at.lane) : v;
      }
      result.push_back(std::move(got));
    }
    return result;
  }
  SmallVector<unsigned> slotOf(canonical.size()), sources;
  SmallVector<Registers> compact(keys.size());
  for (unsigned r = 0, slot = 0; r < canonical.size(); ++r) {
    if (canonical[r] != r) continue;
    slotOf[r] = slot++;
    for (auto [packed, component] : llvm::zip(compact, keys)) packed.push_back(component[r]);
  }
  for (unsigned r = 0; r < canonical.size(); ++r)
    if (canonical[r] == r) sources.push_back(slotOf[canonical[r ^ at.reg]]);
  for (Registers &packed : exchangeSlots(l, scratch, compact, at, sources)) {
    Registers got(canonical.size());
    for (unsigned r = 0; r < canonical.size(); ++r)
      if (canonical[r] == r) got[r] = packed[slotOf[r]];
    result.push_back(std::move(got));
  }
  return result;
}

/// Registers r and other of one thread: the lesser goes to r unless `high` holds for r.
void SortNetwork::exchangeInThread(unsigned r, unsigned other, IndexBit high) {
  SmallVector<Value> a = keyAt(keys, r), b = keyAt(keys, other);
  if (a.size() == 1 && !high.thread) {
    Value least = LLVM::UMinOp::create(l.b, l.loc, a[0], b[0]), greatest = LLVM::UMaxOp::create(l.b, l.loc, a[0], b[0]);
    set(r, high.constant ? greatest : least);
    return set(other, high.constant ? least : greatest);
  }
  Value swap = high.constant ? less(a, b) : less(b, a);
  if (high.thread) swap = LLVM::XOrOp::create(l.b, l.loc, swap, high.thread);
  SmallVector<Value> first, second;
  for (auto [x, y] : llvm::zip(a, b)) {
    first.push_back(select(l, swap, y, x));
    second.push_back(select(l, swap, x, y));
  }
  set(r, first);
  set(other, second);
}

void SortNetwork::compareExchange(int bit, int descendingBit) {
  Place partner = PlaceFinder(layout).find(1u << bit);
  SmallVector<unsigned> canonical = canonicalRegisters(layout);
  bool inThread = !partner.lane && !partner.warp;
  SmallVector<Registers> got = inThread ? SmallVector<Registers>() : partners(partner, canonical);
  for (unsigned r = 0; r < canonical.size(); ++r) {
    if (canonical[r] != r) {
      set(r, keyAt(keys, canonical[r]));
      continue;
    }
    IndexBit high = indexBit(r, bit, descendingBit);
    if (inThread) {
      if (unsigned other = canonical[r ^ partner.reg]; other > r) exchangeInThread(r, other, high);
      continue;
    }
    SmallVector<Value> own = keyAt(keys, r), other = keyAt(got, r);
    Value take = high.constant ? less(own, other) : less(other, own);
    if (high.thread) take = LLVM::XOrOp::create(l.b, l.loc, take, high.thread);
    SmallVector<Value> key;
    for (auto [x, y] : llvm::zip(own, other)) key.push_back(select(l, take, y, x));
    set(r, key);
  }
}

void SortNetwork::sortBlocks(ArrayRef<int> bits) {
  for (size_t size = 0; size < bits.size(); ++size)
    for (size_t i = size + 1; i-- > 0;) compareExchange(bits[i], size + 1 < bits.size() ? bits[size + 1] : -1);
}

void SortNetwork::keepLeast(ArrayRef<int> bits, int bit) {
  // Element i of one block against element 2^count-1-i of the other: the lesser ones are the least of both, as a
  // bitonic sequence.
  PlaceFinder finder(layout);
  Place across = finder.find(1u << bit);
  for (int b : bits) across = across ^ finder.find(1u << b);
  SmallVector<unsigned> canonical = canonicalRegisters(layout);
  SmallVector<Registers> got = partners(across, canonical);
  SmallVector<Registers> before = keys;
  for (unsigned r = 0; r < canonical.size(); ++r) {
    if (canonical[r] != r) continue;
    SmallVector<Value> own = keyAt(before, r), other = keyAt(got, r);
    if (own.size() == 1) {
      set(r, Value(LLVM::UMinOp::create(l.b, l.loc, own[0], other[0])));
      continue;
    }
    Value take = less(other, own);
    SmallVector<Value> key;
    for (auto [x, y] : llvm::zip(own, other)) key.push_back(select(l, take, y, x));
    set(r, key);
  }
  // Both blocks now hold the same elements in mirrored order; sorted, they are equal, so one of them may stand for
  // both.
  layout = project(layout, 1u << bit);
  for (size_t i = bits.size(); i-- > 0;) compareExchange(bits[i], -1);
}

LinearLayout networkLayout(const LinearLayout &layout) {
  if (layout.isPermutationLayout()) return layout;
  SmallVector<int> registers, lanes, warps;
  int n = layout.totalOutBits(), warpBits = layout.inBits(Warp);
  for (int bit = 0; bit < n; ++bit)
    (lanes.size() < 5 ? lanes : int(warps.size()) < warpBits && n - bit <= warpBits ? warps : registers).push_back(bit);
  return layoutOfBits(n, registers, lanes, warps, warpBits).reshape(layout.shape());
}

int64_t networkScratchBytes(const LinearLayout &layout, ArrayRef<int> bits, int numWarps, ArrayRef<Type> components) {
  PlaceFinder finder(layout);
  bool crosses = llvm::any_of(bits, [&](int bit) { return finder.find(1u << bit).warp; });
  return crosses ? slotBytes(unsigned(layout.inSize(Register)), numWarps, components) : 0;
}

} // namespace moec::compiler
