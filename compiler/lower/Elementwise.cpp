// arith ops, register by register. Index arithmetic goes through Lowering::add/mul, so that equal sums are computed
// once.
#include "compiler/lower/Elementwise.h"

using namespace mlir;
using namespace moec::compiler;

// ---- shared machinery

namespace {

/// The distinct tuples of operand registers of an op, and which of them each result register needs.
struct Tuples {
  using Tuple = std::tuple<Value, Value, Value>;
  SmallVector<SmallVector<Value, 3>> distinct;
  SmallVector<unsigned> of;

  Tuples(Lowering &l, Operation *op) {
    unsigned n = l.registerCount(op->getResult(0).getType());
    llvm::SmallDenseMap<Tuple, unsigned> seen;
    for (unsigned r = 0; r < n; ++r) {
      SmallVector<Value, 3> regs;
      for (Value operand : op->getOperands()) {
        ArrayRef<Value> all = l.regs(operand);
        regs.push_back(isa<RankedTensorType>(operand.getType()) ? all[r] : all.front());
      }
      assert(regs.size() <= 3);
      auto at = [&](unsigned i) { return i < regs.size() ? regs[i] : Value(); };
      auto [it, fresh] = seen.try_emplace(Tuple(at(0), at(1), at(2)), distinct.size());
      if (fresh) distinct.push_back(regs);
      of.push_back(it->second);
    }
  }

  void set(Lowering &l, Value result, ArrayRef<Value> values) const {
    SmallVector<Value> regs;
    for (unsigned i : of) regs.push_back(values[i]);
    l.setRegs(result, std::move(regs));
  }
};

} // namespace

LogicalResult moec::compiler::mapRegisters(Lowering &l, Operation *op, RegisterFunction fn) {
  Tuples tuples(l, op);
  SmallVector<Value> values;
  for (auto &tuple : tuples.distinct) values.push_back(fn(tuple));
  tuples.set(l, op->getResult(0), values);
  return success();
}

LogicalResult moec::compiler::mapFloatRegisters(Lowering &l, Operation *op, RegisterFunction fn) {
  Type element = getElementTypeOrSelf(op->getResult(0).getType());
  if (element.isF32() || element.isF64()) return mapRegisters(l, op, fn);
  // bf16, f16 and f8: f32 has at least 2p+2 bits, so rounding its correctly rounded result once more is correct
  // rounding.
  Type f32 = l.b.getF32Type();
  Tuples tuples(l, op);
  SmallVector<SmallVector<Value>> wide; // per operand
  for (unsigned i = 0; i < op->getNumOperands(); ++i) {
    SmallVector<Value> column;
    for (auto &tuple : tuples.distinct) column.push_back(tuple[i]);
    wide.push_back(castRegisters(l, column, element, f32));
  }
  SmallVector<Value> values;
  for (unsigned t = 0; t < tuples.distinct.size(); ++t) {
    SmallVector<Value, 3> regs;
    for (auto &column : wide) regs.push_back(column[t]);
    values.push_back(fn(regs));
  }
  tuples.set(l, op->getResult(0), castRegisters(l, values, f32, element, {.saturate = false}));
  return success();
}

namespace {

// ---- constants and selection

LogicalResult lowerConstant(Lowering &l, Operation *op) {
  auto attr = cast<arith::ConstantOp>(op).getValue();
  auto elements = dyn_cast<DenseElementsAttr>(attr);
  if (elements && !elements.isSplat()) return op->emitError("a constant tile has one value for all its elements");
  Attribute one = elements ? elements.getSplatValue<Attribute>() : Attribute(attr);
  Type type = getElementTypeOrSelf(op->getResult(0).getType());
  Value v;
  if (auto integer = dyn_cast<IntegerAttr>(one)) {
    v = l.constant(type, type.isInteger(1) ? integer.getValue().getZExtValue() : integer.getValue().getSExtValue());
  } else {
    APFloat x = cast<FloatAttr>(one).getValue();
    v = isa<Float8E4M3FNType, Float8E5M2Type>(type) ? l.constant(l.b.getI8Type(), x.bitcastToAPInt().getZExtValue())
                                                    : l.floatBits(type, x);
  }
  l.setRegs(op->getResult(0), SmallVector<Value>(l.registerCount(op->getResult(0).getType()), v));
  return success();
}

LogicalResult lowerSelect(Lowering &l, Operation *op) {
  return mapRegisters(l, op, [&](ArrayRef<Value> v) -> Value {
    return v[1] == v[2] ? v[1] : Value(LLVM::SelectOp::create(l.b, l.loc, v[0], v[1], v[2]));
  });
}

// ---- integers

template <class Op> LogicalResult lowerBinary(Lowering &l, Operation *op) {
  return mapRegisters(l, op, [&](ArrayRef<Value> v) -> Value { return Op::create(l.b, l.loc, v[0], v[1]); });
}

bool isIndexLike(Operation *op) {
  Type type = getElementTypeOrSelf(op->getResult(0).getType());
  return type.isInteger(32) || type.isInteger(64);
}

LogicalResult lowerAddI(Lowering &l, Operation *op) {
  if (!isIndexLike(op)) return lowerBinary<LLVM::AddOp>(l, op);
  return mapRegisters(l, op, [&](ArrayRef<Value> v) { return l.add(v[0], v[1]); });
}
LogicalResult lowerSubI(Lowering &l, Operation *op) {
  if (!isIndexLike(op)) return lowerBinary<LLVM::SubOp>(l, op);
  return mapRegisters(l, op, [&](ArrayRef<Value> v) { return l.sub(v[0], v[1]); });
}
LogicalResult lowerMulI(Lowering &l, Operation *op) {
  if (!isIndexLike(op)) return lowerBinary<LLVM::MulOp>(l, op);
  return mapRegisters(l, op, [&](ArrayRef<Value> v) { return l.mul(v[0], v[1]); });
}
/// A shift by the width or more gives 0, or the sign for an arithmetic one, as PTX has it; LLVM leaves it open.
template <class Op> Value shifted(Lowering &l, Value x, Value by) {
  OpBuilder &b = l.b;
  Type type = x.getType();
  const int64_t bits = type.getIntOrFloatBitWidth();
  auto amount = l.affine(by);
  if (!amount.root && amount.offset >= 0 && amount.offset < bits) return Op::create(b, l.loc, x, by);
  Value last = l.constant(type, bits - 1);
  if constexpr (std::is_same_v<Op, LLVM::AShrOp>)
    return Op::create(b, l.loc, x, LLVM::UMinOp::create(b, l.loc, by, last));
  Value inside = LLVM::ICmpOp::create(b, l.loc, LLVM::ICmpPredicate::ule, by, last);
  Value moved = Op::create(b, l.loc, x, LLVM::AndOp::create(b, l.loc, by, last));
  return LLVM::SelectOp::create(b, l.loc, inside, moved, l.constant(type, 0));
}
template <class Op> LogicalResult lowerShift(Lowering &l, Operation *op) {
  return mapRegisters(l, op, [&](ArrayRef<Value> v) -> Value {
    auto amount = l.affine(v[1]);
    if (std::is_same_v<Op, LLVM::ShlOp> && isIndexLike(op) && !amount.root && amount.offset >= 0 &&
        amount.offset < v[0].getType().getIntOrFloatBitWidth() - 1)
      return l.mul(v[0], l.constant(v[0].getType(), int64_t(1) << amount.offset));
    return shifted<Op>(l, v[0], v[1]);
  });
}
/// and, or of conditions: neutral and equal operands vanish, so that a vector's lanes keep one mask.
template <class Op, bool neutral> LogicalResult lowerLogic(Lowering &l, Operation *op) {
  return mapRegisters(l, op, [&](ArrayRef<Value> v) -> Value {
    if (v[0] == v[1]) return v[0];
    if (v[0].getType().isInteger(1)) {
      auto a = l.affine(v[0]), c = l.affine(v[1]);
      if (!a.root) return (a.offset != 0) == neutral ? v[1] : v[0];
      if (!c.root) return (c.offset != 0) == neutral ? v[0] : v[1];
    }
    return Op::create(l.b, l.loc, v[0], v[1]);
  });
}

/// Division rounded down or up: the truncated quotient, corrected where a remainder is left.
template <bool up> LogicalResult lowerRoundedDiv(Lowering &l, Operation *op) {
  return mapRegisters(l, op, [&](ArrayRef<Value> v) -> Value {
    OpBuilder &b = l.b;
    Type type = v[0].getType();
    Value zero = l.constant(type, 0), q = LLVM::SDivOp::create(b, l.loc, v[0], v[1]);
    Value rest = LLVM::SubOp::create(b, l.loc, v[0], LLVM::MulOp::create(b, l.loc, q, v[1]));
    Value inexact = LLVM::ICmpOp::create(b, l.loc, LLVM::ICmpPredicate::ne, rest, zero);
    Value signs = LLVM::ICmpOp::create(b, l.loc, up ? LLVM::ICmpPredicate::sge : LLVM::ICmpPredicate::slt,
                                       LLVM::XOrOp::create(b, l.loc, rest, v[1]), zero);
    Value fix = LLVM::AndOp::create(b, l.loc, inexact, signs);
    return LLVM::SelectOp::create(b, l.loc, fix, LLVM::AddOp::create(b, l.loc, q, l.constant(type, up ? 1 : -1)), q);
  });
}
LogicalResult lowerCeilDivU(Lowering &l, Operation *op) {
  return mapRegisters(l, op, [&](ArrayRef<Value> v) -> Value {
    OpBuilder &b = l.b;
    Type type = v[0].getType();
    Value q = LLVM::UDivOp::create(b, l.loc, v[0], v[1]);
    Value rest = LLVM::SubOp::create(b, l.loc, v[0], LLVM::MulOp::create(b, l.loc, q, v[1]));
    Value inexact = LLVM::ICmpOp::create(b, l.loc, LLVM::ICmpPredicate::ne, rest, l.constant(type, 0));
    return LLVM::AddOp::create(b, l.loc, q, LLVM::ZExtOp::create(b, l.loc, type, inexact));
  });
}

LLVM::ICmpPredicate icmpPredicate(arith::CmpIPredicate p) {
  using A = arith::CmpIPredicate;
  using L = LLVM::ICmpPredicate;
  switch (p) {
  case A::eq: return L::eq;
  case A::ne: return L::ne;
  case A::slt: return L::slt;
  case A::sle: return L::sle;
  case A::sgt: return L::sgt;
  case A::sge: return L::sge;
  case A::ult: return L::ult;
  case A::ule: return L::ule;
  case A::ugt: return L::ugt;
  case A::uge: return L::uge;
  }
  llvm_unreachable("predicate");
}

/// Comparisons x + c < y and x + c >= y, where both x and y are multiples of D = 2^k: c's low k bits cannot change the
/// answer (no carry leaves them), so they are dropped and the lanes of a vector share one comparison.
LogicalResult lowerCmpI(Lowering &l, Operation *op) {
  using P = LLVM::ICmpPredicate;
  P pred = icmpPredicate(cast<arith::CmpIOp>(op).getPredicate());
  bool swap = pred == P::sgt || pred == P::ugt || pred == P::sle || pred == P::ule;
  if (swap) pred = pred == P::sgt ? P::slt : pred == P::ugt ? P::ult : pred == P::sle ? P::sge : P::uge;
  bool ordered = pred != P::eq && pred != P::ne;
  llvm::SmallDenseMap<std::pair<Value, Value>, Value> seen;
  return mapRegisters(l, op, [&](ArrayRef<Value> v) -> Value {
    Value x = v[swap ? 1 : 0], y = v[swap ? 0 : 1];
    auto a = l.affine(x);
    if (ordered && a.root && a.offset != 0)
      x = l.addConstant(a.root, a.offset & -std::min(l.divisor(a.root), l.divisor(y)));
    Value &result = seen[{x, y}];
    if (!result) result = LLVM::ICmpOp::create(l.b, l.loc, pred, x, y);
    return result;
  });
}

// ---- floats

template <class Op> LogicalResult lowerFloatBinary(Lowering &l, Operation *op) {
  return mapFloatRegisters(l, op, [&](ArrayRef<Value> v) -> Value { return Op::create(l.b, l.loc, v[0], v[1]); });
}

/// Sign changes touch one bit and keep NaN payloads: done on the bits for 16- and 8-bit floats.
LogicalResult lowerNegF(Lowering &l, Operation *op) {
  Type element = getElementTypeOrSelf(op->getResult(0).getType());
  return mapRegisters(l, op, [&](ArrayRef<Value> v) -> Value {
    unsigned bits = v[0].getType().getIntOrFloatBitWidth();
    if (element.isF32() || element.isF64()) return LLVM::FNegOp::create(l.b, l.loc, v[0]);
    Type integer = l.b.getIntegerType(bits);
    Value flipped =
        LLVM::XOrOp::create(l.b, l.loc, l.bitcast(v[0], integer), l.constant(integer, int64_t(1) << (bits - 1)));
    return l.bitcast(flipped, v[0].getType());
  });
}

LLVM::FCmpPredicate fcmpPredicate(arith::CmpFPredicate p) {
  using A = arith::CmpFPredicate;
  using L = LLVM::FCmpPredicate;
  switch (p) {
  case A::AlwaysFalse: return L::_false;
  case A::OEQ: return L::oeq;
  case A::OGT: return L::ogt;
  case A::OGE: return L::oge;
  case A::OLT: return L::olt;
  case A::OLE: return L::ole;
  case A::ONE: return L::one;
  case A::ORD: return L::ord;
  case A::UEQ: return L::ueq;
  case A::UGT: return L::ugt;
  case A::UGE: return L::uge;
  case A::ULT: return L::ult;
  case A::ULE: return L::ule;
  case A::UNE: return L::une;
  case A::UNO: return L::uno;
  case A::AlwaysTrue: return L::_true;
  }
  llvm_unreachable("predicate");
}

LogicalResult lowerCmpF(Lowering &l, Operation *op) {
  auto pred = fcmpPredicate(cast<arith::CmpFOp>(op).getPredicate());
  Type element = getElementTypeOrSelf(op->getOperand(0).getType());
  bool widen = !element.isF32() && !element.isF64();
  llvm::SmallDenseMap<Value, Value> wide;
  auto widened = [&](Value v) {
    if (!widen) return v;
    Value &w = wide[v];
    if (!w) w = castRegisters(l, v, element, l.b.getF32Type()).front();
    return w;
  };
  return mapRegisters(l, op, [&](ArrayRef<Value> v) -> Value {
    Value x = widened(v[0]), y = widened(v[1]);
    return LLVM::FCmpOp::create(l.b, l.loc, pred, x, y);
  });
}

/// maximum and minimum propagate NaN and order -0 < +0; maxnum and minnum drop a NaN.
template <class Op> LogicalResult lowerFloatMinMax(Lowering &l, Operation *op) {
  return mapFloatRegisters(l, op, [&](ArrayRef<Value> v) -> Value { return Op::create(l.b, l.loc, v[0], v[1]); });
}

LogicalResult lowerRemF(Lowering &l, Operation *op) {
  return mapFloatRegisters(l, op, [&](ArrayRef<Value> v) {
    return callLibdevice(l, v[0].getType().isF64() ? "__nv_fmod" : "__nv_fmodf", v[0].getType(), v);
  });
}

} // namespace

void moec::compiler::registerElementwiseLowerings(MLIRContext *ctx, HandlerTable &t) {
  setHandler<arith::ConstantOp>(ctx, t, lowerConstant);
  setHandler<arith::SelectOp>(ctx, t, lowerSelect);
  setHandler<arith::AddIOp>(ctx, t, lowerAddI);
  setHandler<arith::SubIOp>(ctx, t, lowerSubI);
  setHandler<arith::MulIOp>(ctx, t, lowerMulI);
  setHandler<arith::DivSIOp>(ctx, t, lowerBinary<LLVM::SDivOp>);
  setHandler<arith::DivUIOp>(ctx, t, lowerBinary<LLVM::UDivOp>);
  setHandler<arith::RemSIOp>(ctx, t, lowerBinary<LLVM::SRemOp>);
  setHandler<arith::RemUIOp>(ctx, t, lowerBinary<LLVM::URemOp>);
  setHandler<arith::FloorDivSIOp>(ctx, t, lowerRoundedDiv<false>);
  setHandler<arith::CeilDivSIOp>(ctx, t, lowerRoundedDiv<true>);
  setHandler<arith::CeilDivUIOp>(ctx, t, lowerCeilDivU);
  setHandler<arith::AndIOp>(ctx, t, lowerLogic<LLVM::AndOp, true>);
  setHandler<arith::OrIOp>(ctx, t, lowerLogic<LLVM::OrOp, false>);
  setHandler<arith::XOrIOp>(ctx, t, lowerBinary<LLVM::XOrOp>);
  setHandler<arith::ShLIOp>(ctx, t, lowerShift<LLVM::ShlOp>);
  setHandler<arith::ShRSIOp>(ctx, t, lowerShift<LLVM::AShrOp>);
  setHandler<arith::ShRUIOp>(ctx, t, lowerShift<LLVM::LShrOp>);
  setHandler<arith::MaxSIOp>(ctx, t, lowerBinary<LLVM::SMaxOp>);
  setHandler<arith::MinSIOp>(ctx, t, lowerBinary<LLVM::SMinOp>);
  setHandler<arith::MaxUIOp>(ctx, t, lowerBinary<LLVM::UMaxOp>);
  setHandler<arith::MinUIOp>(ctx, t, lowerBinary<LLVM::UMinOp>);
  setHandler<arith::CmpIOp>(ctx, t, lowerCmpI);
  setHandler<arith::AddFOp>(ctx, t, lowerFloatBinary<LLVM::FAddOp>);
  setHandler<arith::SubFOp>(ctx, t, lowerFloatBinary<LLVM::FSubOp>);
  setHandler<arith::MulFOp>(ctx, t, lowerFloatBinary<LLVM::FMulOp>);
  setHandler<arith::DivFOp>(ctx, t, lowerFloatBinary<LLVM::FDivOp>);
  setHandler<arith::RemFOp>(ctx, t, lowerRemF);
  setHandler<arith::NegFOp>(ctx, t, lowerNegF);
  setHandler<arith::CmpFOp>(ctx, t, lowerCmpF);
  setHandler<arith::MaximumFOp>(ctx, t, lowerFloatMinMax<LLVM::MaximumOp>);
  setHandler<arith::MinimumFOp>(ctx, t, lowerFloatMinMax<LLVM::MinimumOp>);
  setHandler<arith::MaxNumFOp>(ctx, t, lowerFloatMinMax<LLVM::MaxNumOp>);
  setHandler<arith::MinNumFOp>(ctx, t, lowerFloatMinMax<LLVM::MinNumOp>);
  registerMathLowerings(ctx, t);
  registerCastLowerings(ctx, t);
}
