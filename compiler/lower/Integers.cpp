// Integers of the emitter as root + constant, and what divides them.
#include "compiler/lower/LoweringImpl.h"

#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace moec::compiler {

Lowering::Affine Lowering::affine(Value v) {
  if (auto it = impl->affine.find(v); it != impl->affine.end()) return it->second;
  return {v, 0};
}

/// A pure integer op on two values, emitted at most once per block.
template <class Op>
static Value once(Lowering &l, llvm::DenseMap<std::tuple<Block *, unsigned, Value, Value>, Value> &known, unsigned kind,
                  Value a, Value c) {
  Value &v = known[std::make_tuple(l.b.getInsertionBlock(), kind, a, c)];
  if (!v) v = Op::create(l.b, l.loc, a, c);
  return v;
}
enum { kAdd, kSub, kMul, kShl, kExtend };

Value Lowering::addConstant(Value v, int64_t c) {
  Affine a = affine(v);
  int64_t total = wrap(a.offset + c, v.getType().getIntOrFloatBitWidth());
  if (!a.root) return constant(v.getType(), total);
  if (total == 0) return a.root;
  Value &sum = impl->sums[std::make_tuple(b.getInsertionBlock(), a.root, total)];
  if (!sum) {
    sum = LLVM::AddOp::create(b, loc, a.root, constant(v.getType(), total));
    impl->affine[sum] = {a.root, total};
  }
  return sum;
}

Value Lowering::add(Value x, Value y) {
  Affine a = affine(x), c = affine(y);
  if (!c.root) return addConstant(x, c.offset);
  if (!a.root) return addConstant(y, a.offset);
  if (impl->known.count({b.getInsertionBlock(), kAdd, c.root, a.root})) std::swap(a, c);
  return addConstant(once<LLVM::AddOp>(*this, impl->known, kAdd, a.root, c.root), a.offset + c.offset);
}

Value Lowering::sub(Value x, Value y) {
  Affine a = affine(x), c = affine(y);
  if (!c.root) return addConstant(x, -c.offset);
  if (a.root == c.root) return constant(x.getType(), wrap(a.offset - c.offset, x.getType().getIntOrFloatBitWidth()));
  // k*y - y: sizes of halves and the like, which bounds are compared with.
  if (Operation *op = a.root ? a.root.getDefiningOp() : nullptr;
      isa_and_nonnull<LLVM::MulOp, LLVM::ShlOp>(op) && op->getOperand(0) == c.root)
    if (Affine k = affine(op->getOperand(1)); !k.root)
      return addConstant(
          mul(c.root, constant(x.getType(), (isa<LLVM::ShlOp>(op) ? int64_t(1) << k.offset : k.offset) - 1)),
          a.offset - c.offset);
  Value root = a.root ? a.root : constant(x.getType(), 0);
  return addConstant(once<LLVM::SubOp>(*this, impl->known, kSub, root, c.root), a.offset - c.offset);
}

Value Lowering::mul(Value x, Value y) {
  Affine a = affine(x), c = affine(y);
  if (!a.root) std::swap(x, y), std::swap(a, c);
  Type type = x.getType();
  unsigned bits = type.getIntOrFloatBitWidth();
  if (c.root) return once<LLVM::MulOp>(*this, impl->known, kMul, x, y);
  int64_t factor = c.offset;
  if (!a.root) return constant(type, wrap(int64_t(uint64_t(a.offset) * uint64_t(factor)), bits));
  if (factor == 0) return constant(type, 0);
  if (factor == 1) return x;
  Value root = isPowerOf2(factor)
                   ? once<LLVM::ShlOp>(*this, impl->known, kShl, a.root, constant(type, log2Exact(factor)))
                   : once<LLVM::MulOp>(*this, impl->known, kMul, a.root, constant(type, factor));
  return addConstant(root, int64_t(uint64_t(a.offset) * uint64_t(factor)));
}

Lowering::Affine Lowering::affineOffset(Value v) {
  Affine a = affine(v);
  if (!a.root || !v.getType().isInteger(64)) return a;
  // Through what was computed from an extended i32: its constant moves out of the extension, and up.
  Operation *op = a.root.getDefiningOp();
  if (auto extend = dyn_cast_or_null<LLVM::SExtOp>(op)) {
    Affine inner = affine(extend.getArg());
    if (!inner.root) return a;
    // One root for all registers, also for the one whose constant is 0.
    Value &root = impl->known[std::make_tuple(b.getInsertionBlock(), kExtend, inner.root, Value())];
    if (!root) root = inner.offset == 0 ? a.root : Value(LLVM::SExtOp::create(b, loc, v.getType(), inner.root));
    return {root, a.offset + inner.offset};
  }
  if (isa_and_nonnull<LLVM::AddOp>(op)) {
    Affine x = affineOffset(op->getOperand(0)), y = affineOffset(op->getOperand(1));
    if (!x.root || !y.root) return a;
    Affine sum = affine(add(x.root, y.root));
    return {sum.root, a.offset + sum.offset + x.offset + y.offset};
  }
  if (isa_and_nonnull<LLVM::MulOp, LLVM::ShlOp>(op)) {
    Affine x = affineOffset(op->getOperand(0)), k = affine(op->getOperand(1));
    if (k.root || !x.root) return a;
    int64_t factor = isa<LLVM::ShlOp>(op) ? int64_t(1) << k.offset : k.offset;
    Affine product = affine(mul(x.root, constant(v.getType(), factor)));
    return {product.root, a.offset + product.offset + x.offset * factor};
  }
  return a;
}

static int64_t divisorOfOp(Lowering &l, Operation *op) {
  auto of = [&](unsigned i) { return l.divisor(op->getOperand(i)); };
  auto constantShift = [&]() -> std::optional<int64_t> {
    APInt k;
    if (matchPattern(op->getOperand(1), m_ConstantInt(&k))) return k.getSExtValue();
    return std::nullopt;
  };
  if (isa<LLVM::AddOp, LLVM::SubOp, LLVM::OrOp, LLVM::XOrOp, LLVM::SMinOp, LLVM::SMaxOp, LLVM::UMinOp, LLVM::UMaxOp>(
          op))
    return std::min(of(0), of(1));
  if (isa<LLVM::MulOp>(op)) return std::min(of(0) * of(1), kMaxDivisor);
  if (isa<LLVM::AndOp>(op)) return std::max(of(0), of(1));
  if (isa<LLVM::SelectOp>(op)) return std::min(of(1), of(2));
  if (isa<LLVM::SExtOp, LLVM::ZExtOp, LLVM::TruncOp>(op)) return of(0);
  if (isa<LLVM::ShlOp>(op))
    if (auto k = constantShift()) return std::min(of(0) << std::min<int64_t>(*k, 30), kMaxDivisor);
  if (isa<LLVM::LShrOp, LLVM::AShrOp>(op))
    if (auto k = constantShift()) return std::max<int64_t>(of(0) >> std::min<int64_t>(*k, 62), 1);
  if (isa<LLVM::SDivOp>(op)) { // exact where the divisor divides
    APInt k;
    if (matchPattern(op->getOperand(1), m_ConstantInt(&k)) && k.isPowerOf2())
      return std::max<int64_t>(of(0) / k.getSExtValue(), 1);
  }
  return 1;
}

int64_t Lowering::divisor(Value v) {
  if (auto it = impl->divisors.find(v); it != impl->divisors.end()) return it->second;
  int64_t d = 1;
  APInt k;
  if (matchPattern(v, m_ConstantInt(&k)))
    d = powerOf2Part(k.getSExtValue());
  else if (Operation *op = v.getDefiningOp())
    d = divisorOfOp(*this, op);
  return impl->divisors[v] = d;
}

void Lowering::setDivisor(Value v, int64_t d) { impl->divisors[v] = powerOf2Part(d); }

} // namespace moec::compiler
