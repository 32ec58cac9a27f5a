// tile.load, tile.store, tile.addptr on global memory.
//
// Registers whose offsets are `root + constant` with the same root share one computed address: base + sext(root) *
// size, and the constants become the instruction's immediate. Runs of neighbouring constants with one mask become one
// access of up to 16 bytes, if divisibility of root, base and constant shows that it is aligned. All this is read off
// the lowered values (Lowering::affine, Lowering::divisor), so it holds for whatever the kernel computed, in whatever
// layout.
//
// The offset of an element that is accessed fits its type; then so does the root's (constants are at least 0, see
// normalize), so extending the root and adding the constant in 64 bits gives the same address.
#include "compiler/lower/Memory.h"

#include "compiler/lower/Guard.h"

using namespace mlir;
using namespace moec::compiler;

namespace {
constexpr int64_t kMaxBytes = 16;

/// One register's element before grouping.
struct Element {
  Value root;       ///< null: the offset is the constant alone
  int64_t constant; ///< in elements
  Value mask;       ///< null: always
  unsigned reg;
};

unsigned bytesOf(Type storage) { return (storage.getIntOrFloatBitWidth() + 7) / 8; }

/// Makes constants at least 0 per root, by moving the least of them into the root: the root is then an offset that some
/// element has.
void normalize(Lowering &l, SmallVectorImpl<Element> &elements) {
  llvm::SmallMapVector<Value, int64_t, 4> least;
  for (Element &e : elements) {
    auto [it, fresh] = least.insert({e.root, e.constant});
    it->second = std::min(it->second, e.constant);
  }
  for (Element &e : elements)
    if (int64_t low = least[e.root]; e.root && low < 0) e.root = l.addConstant(e.root, low), e.constant -= low;
}

} // namespace

SmallVector<Access> moec::compiler::planAccesses(Lowering &l, Value ptr, ArrayRef<Value> offsets, ArrayRef<Value> masks,
                                                 ArrayRef<unsigned> regs, Type storage, bool mergeEqual) {
  int64_t size = bytesOf(storage), base = l.divisor(ptr);
  SmallVector<Element> elements;
  for (unsigned r : regs) {
    auto a = l.affineOffset(offsets[r]);
    elements.push_back({a.root, a.offset, masks.empty() ? Value() : masks[r], r});
  }
  normalize(l, elements);
  // Number roots and masks in order of appearance, so that the plan does not depend on addresses of objects.
  llvm::SmallDenseMap<Value, unsigned> number;
  auto numberOf = [&](Value v) { return v ? number.try_emplace(v, number.size() + 1).first->second : 0; };
  SmallVector<std::tuple<unsigned, unsigned, int64_t, unsigned>> order;
  for (auto [i, e] : llvm::enumerate(elements)) order.push_back({numberOf(e.mask), numberOf(e.root), e.constant, i});
  llvm::sort(order);

  SmallVector<Access> plan;
  for (size_t i = 0; i < order.size();) {
    const Element &first = elements[std::get<3>(order[i])];
    int64_t aligned =
        std::min({first.root ? l.divisor(first.root) * size : kMaxBytes,
                  first.constant ? (first.constant & -first.constant) * size : kMaxBytes, base, kMaxBytes});
    // How many neighbours follow with the same mask and root; equal places of a load join the element before.
    SmallVector<SmallVector<unsigned, 1>, 8> lanes;
    lanes.push_back({first.reg});
    size_t next = i + 1;
    for (; next < order.size(); ++next) {
      const Element &e = elements[std::get<3>(order[next])];
      if (e.mask != first.mask || e.root != first.root) break;
      int64_t step = e.constant - first.constant;
      if (mergeEqual && step == int64_t(lanes.size()) - 1)
        lanes.back().push_back(e.reg);
      else if (step == int64_t(lanes.size()) && int64_t(lanes.size() + 1) * size <= aligned)
        lanes.push_back({e.reg});
      else
        break;
    }
    size_t width = llvm::bit_floor(lanes.size());
    Access access{first.root, first.constant, first.mask, {}};
    lanes.resize(width);
    access.lanes = std::move(lanes);
    for (auto &lane : access.lanes) i += lane.size();
    plan.push_back(std::move(access));
  }
  return plan;
}

Value moec::compiler::emitAddress(Lowering &l, Value ptr, const Access &access, Type storage, AddressCache &cache) {
  Value &base = cache[access.root];
  if (!base) base = access.root ? l.gep(ptr, storage, access.root) : ptr;
  if (!access.constant) return base;
  // Bytes in a 32-bit immediate; beyond that a 64-bit constant.
  if (int64_t at = access.constant; llvm::isInt<31>(at))
    return LLVM::GEPOp::create(l.b, l.loc, ptr.getType(), storage, base, ArrayRef<LLVM::GEPArg>{int32_t(at)});
  return l.gep(base, storage, l.constant(l.b.getI64Type(), access.constant));
}

namespace {

/// The LLVM type that an access of `lanes` elements moves: 32-bit words for short elements.
Type wordType(Lowering &l, Type storage, unsigned lanes) {
  unsigned bits = std::max(8u, storage.getIntOrFloatBitWidth()), total = bits * lanes;
  if (lanes == 1) return storage.isInteger(1) ? l.b.getI8Type() : storage;
  if (bits >= 32) return VectorType::get({int64_t(lanes)}, storage);
  if (total <= 32) return l.b.getIntegerType(total);
  return VectorType::get({int64_t(total / 32)}, l.b.getI32Type());
}

SmallVector<Value> scalars(Lowering &l, Value v) {
  auto vector = dyn_cast<VectorType>(v.getType());
  if (!vector) return {v};
  SmallVector<Value> result;
  for (int64_t i = 0; i < vector.getNumElements(); ++i)
    result.push_back(LLVM::ExtractElementOp::create(l.b, l.loc, v, l.i32(i)));
  return result;
}

/// The bits of a constant.
std::optional<llvm::APInt> constantBits(Value v) {
  auto constant = v.getDefiningOp<LLVM::ConstantOp>();
  if (!constant) return std::nullopt;
  if (auto integer = dyn_cast<IntegerAttr>(constant.getValue())) return integer.getValue();
  if (auto number = dyn_cast<FloatAttr>(constant.getValue())) return number.getValue().bitcastToAPInt();
  return std::nullopt;
}

Value vectorOf(Lowering &l, ArrayRef<Value> values) {
  if (values.size() == 1) return values.front();
  if (llvm::all_of(values, [](Value v) { return constantBits(v).has_value(); })) {
    SmallVector<Attribute> elements;
    for (Value v : values) elements.push_back(v.getDefiningOp<LLVM::ConstantOp>().getValue());
    auto type = VectorType::get({int64_t(values.size())}, values.front().getType());
    return LLVM::ConstantOp::create(l.b, l.loc, type, DenseElementsAttr::get(type, elements));
  }
  Value v = LLVM::PoisonOp::create(l.b, l.loc, VectorType::get({int64_t(values.size())}, values.front().getType()));
  for (auto [i, x] : llvm::enumerate(values)) v = LLVM::InsertElementOp::create(l.b, l.loc, v, x, l.i32(i));
  return v;
}

/// Elements of a loaded value.
SmallVector<Value> unpackLoaded(Lowering &l, Value loaded, Type storage, unsigned lanes) {
  Type narrow = storage.isInteger(1) ? l.b.getI8Type() : storage;
  SmallVector<Value> result;
  for (Value word : scalars(l, loaded)) {
    unsigned bits = word.getType().getIntOrFloatBitWidth(), each = narrow.getIntOrFloatBitWidth();
    if (bits == each)
      result.push_back(word);
    else if (bits == 32)
      result.append(l.unpack(word, narrow));
    else // two bytes
      for (unsigned i = 0; i < bits / each; ++i)
        result.push_back(LLVM::TruncOp::create(
            l.b, l.loc, narrow,
            i ? Value(LLVM::LShrOp::create(l.b, l.loc, word, l.constant(word.getType(), i * each))) : word));
  }
  result.resize(lanes);
  if (storage.isInteger(1))
    for (Value &v : result) v = LLVM::ICmpOp::create(l.b, l.loc, LLVM::ICmpPredicate::ne, v, l.constant(narrow, 0));
  return result;
}

/// One word of neighbouring short elements: the word they came from, or shifted together.
Value packWord(Lowering &l, ArrayRef<Value> lanes, Type word) {
  auto part = l.partOf(lanes[0]);
  bool whole = part.word && word.getIntOrFloatBitWidth() == 32;
  unsigned bits = lanes[0].getType().getIntOrFloatBitWidth();
  for (unsigned i = 0; i < lanes.size() && whole; ++i) {
    auto p = l.partOf(lanes[i]);
    whole = p.word == part.word && p.index == i;
  }
  if (whole) return part.word;
  if (llvm::all_of(lanes, [](Value v) { return constantBits(v).has_value(); })) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < lanes.size(); ++i) sum |= constantBits(lanes[i])->getZExtValue() << (i * bits);
    return l.constant(word, int64_t(sum));
  }
  if (!lanes[0].getType().isInteger()) return l.bitcast(vectorOf(l, lanes), word);
  Value sum;
  for (unsigned i = 0; i < lanes.size(); ++i) {
    Value v = LLVM::ZExtOp::create(l.b, l.loc, word, lanes[i]);
    if (i) v = LLVM::ShlOp::create(l.b, l.loc, v, l.constant(word, i * bits));
    sum = sum ? Value(LLVM::OrOp::create(l.b, l.loc, sum, v)) : v;
  }
  return sum;
}

/// The value that an access stores.
Value packForStore(Lowering &l, ArrayRef<Value> values, Type storage) {
  SmallVector<Value> lanes(values);
  if (storage.isInteger(1))
    for (Value &v : lanes) v = LLVM::ZExtOp::create(l.b, l.loc, l.b.getI8Type(), v);
  Type type = wordType(l, storage, lanes.size());
  unsigned each = lanes[0].getType().getIntOrFloatBitWidth();
  if (lanes.size() == 1) return lanes[0];
  if (each >= 32) return vectorOf(l, lanes);
  Type word = getElementTypeOrSelf(type);
  unsigned perWord = word.getIntOrFloatBitWidth() / each;
  SmallVector<Value> words;
  for (size_t i = 0; i < lanes.size(); i += perWord)
    words.push_back(packWord(l, ArrayRef<Value>(lanes).slice(i, perWord), word));
  return vectorOf(l, words);
}

/// Splits a plan into stretches of one mask each.
template <class F> void byMask(ArrayRef<Access> plan, F f) {
  for (size_t i = 0; i < plan.size();) {
    size_t end = i + 1;
    while (end < plan.size() && plan[end].mask == plan[i].mask) ++end;
    f(plan.slice(i, end - i));
    i = end;
  }
}

SmallVector<Value> masksOf(Lowering &l, Value mask, unsigned count) {
  if (!mask) return {};
  if (isa<RankedTensorType>(mask.getType())) return SmallVector<Value>(l.regs(mask));
  return SmallVector<Value>(count, l.scalar(mask));
}

SmallVector<Value> offsetsOf(Lowering &l, Value offset, unsigned count) {
  if (isa<RankedTensorType>(offset.getType())) return SmallVector<Value>(l.regs(offset));
  return SmallVector<Value>(count, l.scalar(offset));
}

LogicalResult lowerLoad(Lowering &l, Operation *op) {
  auto load = cast<moec::tile::LoadOp>(op);
  Type storage = l.storageType(load.getType());
  unsigned count = l.registerCount(load.getType());
  Value ptr = l.scalar(load.getPtr());
  SmallVector<Value> offsets = offsetsOf(l, load.getOffset(), count), masks = masksOf(l, load.getMask(), count);
  Value other = load.getOther() ? l.scalar(load.getOther()) : l.constant(storage, 0);
  SmallVector<unsigned> all = llvm::to_vector(llvm::seq(0u, count));
  auto plan = planAccesses(l, ptr, offsets, masks, all, storage, /*mergeEqual=*/true);

  SmallVector<Value> regs(count);
  AddressCache cache;
  byMask(plan, [&](ArrayRef<Access> group) {
    SmallVector<Value> otherwise, addresses;
    for (const Access &access : group) {
      if (group.front().mask)
        otherwise.push_back(packForStore(l, SmallVector<Value>(access.lanes.size(), other), storage));
      addresses.push_back(emitAddress(l, ptr, access, storage, cache));
    }
    SmallVector<Value> needs(addresses);
    needs.append(otherwise);
    SmallVector<Value> loaded = under(l, group.front().mask, GuardedAccess::Load, otherwise, needs, [&] {
      SmallVector<Value> values;
      for (auto [access, address] : llvm::zip(group, addresses))
        values.push_back(LLVM::LoadOp::create(l.b, l.loc, wordType(l, storage, access.lanes.size()), address,
                                              access.lanes.size() * bytesOf(storage)));
      return values;
    });
    for (auto [access, value] : llvm::zip(group, loaded)) {
      SmallVector<Value> lanes = unpackLoaded(l, value, storage, access.lanes.size());
      for (auto [lane, v] : llvm::zip(access.lanes, lanes))
        for (unsigned r : lane) regs[r] = v;
    }
  });
  l.setRegs(load.getResult(), std::move(regs));
  return success();
}

LogicalResult lowerStore(Lowering &l, Operation *op) {
  auto store = cast<moec::tile::StoreOp>(op);
  Type storage = l.storageType(store.getValue().getType());
  auto tile = dyn_cast<RankedTensorType>(store.getValue().getType());
  unsigned count = l.registerCount(store.getValue().getType());
  Value ptr = l.scalar(store.getPtr());
  ArrayRef<Value> values = l.regs(store.getValue());
  SmallVector<Value> offsets = offsetsOf(l, store.getOffset(), count), masks = masksOf(l, store.getMask(), count);

  // Copies are stored once: one register per element, one thread per element.
  SmallVector<unsigned> regs{0};
  LinearLayout layout;
  if (tile) {
    layout = l.layoutOf(tile);
    regs.clear();
    for (auto [r, first] : llvm::enumerate(canonicalRegisters(layout)))
      if (r == first) regs.push_back(r);
  }
  Value owner = l.isOwner(layout);
  if (owner) {
    if (masks.empty())
      masks.assign(count, owner);
    else {
      llvm::SmallDenseMap<Value, Value> owned;
      for (Value &mask : masks) {
        Value &m = owned[mask];
        if (!m)
          m = l.affine(mask).root     ? Value(LLVM::AndOp::create(l.b, l.loc, mask, owner))
              : l.affine(mask).offset ? owner
                                      : mask;
        mask = m;
      }
    }
  }
  auto plan = planAccesses(l, ptr, offsets, masks, regs, storage, /*mergeEqual=*/false);
  AddressCache cache;
  byMask(plan, [&](ArrayRef<Access> group) {
    SmallVector<Value> packed, addresses;
    for (const Access &access : group) {
      SmallVector<Value> lanes;
      for (auto &lane : access.lanes) lanes.push_back(values[lane.front()]);
      packed.push_back(packForStore(l, lanes, storage));
      addresses.push_back(emitAddress(l, ptr, access, storage, cache));
    }
    SmallVector<Value> needs(addresses);
    needs.append(packed);
    under(l, group.front().mask, GuardedAccess::Store, {}, needs, [&] {
      for (auto [access, address, value] : llvm::zip(group, addresses, packed))
        LLVM::StoreOp::create(l.b, l.loc, value, address, access.lanes.size() * bytesOf(storage));
      return SmallVector<Value>();
    });
  });
  return success();
}

LogicalResult lowerAddPtr(Lowering &l, Operation *op) {
  auto add = cast<moec::tile::AddPtrOp>(op);
  Type storage = l.storageType(add.getPtr().getType().getElementType());
  if (storage.isInteger(1)) storage = l.b.getI8Type();
  Value ptr = l.scalar(add.getPtr()), offset = l.scalar(add.getOffset());
  Value result = l.gep(ptr, storage, offset);
  l.setDivisor(result, std::min<int64_t>(l.divisor(ptr), l.divisor(offset) * bytesOf(storage)));
  l.setScalar(add.getResult(), result);
  return success();
}

} // namespace

void moec::compiler::registerMemoryLowerings(MLIRContext *ctx, HandlerTable &t) {
  setHandler<tile::LoadOp>(ctx, t, lowerLoad);
  setHandler<tile::StoreOp>(ctx, t, lowerStore);
  setHandler<tile::AddPtrOp>(ctx, t, lowerAddPtr);
  registerAtomicLowerings(ctx, t);
}
