// math ops and tile's named approximations. Accurate functions are libdevice's; approximate ones the hardware's
// instructions.
#include "compiler/lower/Elementwise.h"

using namespace mlir;
using namespace moec::compiler;

Value moec::compiler::callLibdevice(Lowering &l, StringRef name, Type result, ArrayRef<Value> args) {
  auto module = l.b.getInsertionBlock()->getParentOp()->getParentOfType<ModuleOp>();
  if (!module.lookupSymbol(name)) {
    OpBuilder::InsertionGuard guard(l.b);
    l.b.setInsertionPointToEnd(module.getBody());
    SmallVector<Type> types;
    for (Value arg : args) types.push_back(arg.getType());
    LLVM::LLVMFuncOp::create(l.b, module.getLoc(), name, LLVM::LLVMFunctionType::get(result, types));
  }
  return LLVM::CallOp::create(l.b, l.loc, result, name, args).getResult();
}

namespace {

Value intrinsic(Lowering &l, StringRef name, Type result, ArrayRef<Value> args) {
  return LLVM::CallIntrinsicOp::create(l.b, l.loc, result, l.b.getStringAttr(name), args).getResult(0);
}

/// A libdevice function: `__nv_exp` for f64 and `__nv_expf` for everything narrower.
template <char... name> LogicalResult lowerLibdevice(Lowering &l, Operation *op) {
  static constexpr char base[] = {'_', '_', 'n', 'v', '_', name..., '\0'};
  return mapFloatRegisters(l, op, [&](ArrayRef<Value> v) {
    Type type = v[0].getType();
    return callLibdevice(l, type.isF64() ? std::string(base) : std::string(base) + "f", type, v);
  });
}

template <class Op> LogicalResult lowerUnary(Lowering &l, Operation *op) {
  return mapFloatRegisters(l, op, [&](ArrayRef<Value> v) -> Value { return Op::create(l.b, l.loc, v[0]); });
}
template <class Op> LogicalResult lowerBinary(Lowering &l, Operation *op) {
  return mapFloatRegisters(l, op, [&](ArrayRef<Value> v) -> Value { return Op::create(l.b, l.loc, v[0], v[1]); });
}

LogicalResult lowerAbsF(Lowering &l, Operation *op) {
  return mapRegisters(l, op, [&](ArrayRef<Value> v) -> Value {
    if (v[0].getType().isF32() || v[0].getType().isF64()) return LLVM::FAbsOp::create(l.b, l.loc, v[0]);
    unsigned bits = v[0].getType().getIntOrFloatBitWidth();
    Type integer = l.b.getIntegerType(bits);
    Value magnitude =
        LLVM::AndOp::create(l.b, l.loc, l.bitcast(v[0], integer), l.constant(integer, (int64_t(1) << (bits - 1)) - 1));
    return l.bitcast(magnitude, v[0].getType());
  });
}

LogicalResult lowerAbsI(Lowering &l, Operation *op) {
  return mapRegisters(l, op, [&](ArrayRef<Value> v) -> Value {
    return LLVM::AbsOp::create(l.b, l.loc, v[0].getType(), v[0], /*is_int_min_poison=*/false);
  });
}
LogicalResult lowerCtPop(Lowering &l, Operation *op) {
  return mapRegisters(l, op, [&](ArrayRef<Value> v) -> Value { return LLVM::CtPopOp::create(l.b, l.loc, v[0]); });
}
template <class Op> LogicalResult lowerCountZeros(Lowering &l, Operation *op) {
  return mapRegisters(l, op, [&](ArrayRef<Value> v) -> Value {
    return Op::create(l.b, l.loc, v[0].getType(), v[0], /*is_zero_poison=*/false);
  });
}

/// a*b + c rounded once to a 16- or 8-bit float. The product is exact in f64; the sum is rounded to odd there (its
/// error, by two-sum, sets the lowest bit), so the last rounding sees on which side of a midpoint the exact value lies.
Value fusedToOdd(Lowering &l, Value a, Value b_, Value c) {
  OpBuilder &b = l.b;
  auto loc = l.loc;
  Type i64 = b.getI64Type();
  Value p = LLVM::FMulOp::create(b, loc, a, b_), s = LLVM::FAddOp::create(b, loc, p, c);
  Value bb = LLVM::FSubOp::create(b, loc, s, p);
  Value e1 = LLVM::FSubOp::create(b, loc, p, LLVM::FSubOp::create(b, loc, s, bb));
  Value error = LLVM::FAddOp::create(b, loc, e1, LLVM::FSubOp::create(b, loc, c, bb));
  Value zero = l.floatConstant(b.getF64Type(), 0.0);
  // Toward zero where rounding went away from it, then the sticky bit. Inf and NaN have an unordered error and stay.
  Value bits = l.bitcast(s, i64);
  Value inexact = LLVM::FCmpOp::create(b, loc, LLVM::FCmpPredicate::one, error, zero);
  Value opposite = LLVM::ICmpOp::create(b, loc, LLVM::ICmpPredicate::slt,
                                        LLVM::XOrOp::create(b, loc, bits, l.bitcast(error, i64)), l.constant(i64, 0));
  Value away = LLVM::ZExtOp::create(b, loc, i64, LLVM::AndOp::create(b, loc, inexact, opposite));
  Value odd =
      LLVM::OrOp::create(b, loc, LLVM::SubOp::create(b, loc, bits, away), LLVM::ZExtOp::create(b, loc, i64, inexact));
  return l.bitcast(odd, b.getF64Type());
}

LogicalResult lowerFma(Lowering &l, Operation *op) {
  Type element = getElementTypeOrSelf(op->getResult(0).getType());
  Type f64 = l.b.getF64Type();
  return mapRegisters(l, op, [&](ArrayRef<Value> v) -> Value {
    if (element.isF32() || element.isF64()) return LLVM::FMAOp::create(l.b, l.loc, v[0], v[1], v[2]);
    SmallVector<Value> wide = castRegisters(l, v, element, f64);
    return castRegisters(l, fusedToOdd(l, wide[0], wide[1], wide[2]), f64, element, {.saturate = false}).front();
  });
}

// ---- approximations

Value sigmoidF32(Lowering &l, Value x) {
  Type f32 = l.b.getF32Type();
  constexpr double kLog2E = 1.4426950408889634;
  Value t = LLVM::FMulOp::create(l.b, l.loc, x, l.floatConstant(f32, -kLog2E));
  Value e = intrinsic(l, "llvm.nvvm.ex2.approx.ftz.f", f32, t);
  Value d = LLVM::FAddOp::create(l.b, l.loc, e, l.floatConstant(f32, 1.0));
  return intrinsic(l, "llvm.nvvm.rcp.approx.ftz.f", f32, d);
}

LogicalResult lowerSigmoid(Lowering &l, Operation *op) {
  return mapRegisters(l, op, [&](ArrayRef<Value> v) -> Value {
    Type type = v[0].getType();
    if (type.isF32()) return sigmoidF32(l, v[0]);
    Value one = l.floatConstant(type, 1.0);
    Value e = callLibdevice(l, "__nv_exp", type, {LLVM::FNegOp::create(l.b, l.loc, v[0])});
    return LLVM::FDivOp::create(l.b, l.loc, one, LLVM::FAddOp::create(l.b, l.loc, one, e));
  });
}

LogicalResult lowerFastExp2(Lowering &l, Operation *op) {
  return mapRegisters(l, op,
                      [&](ArrayRef<Value> v) { return intrinsic(l, "llvm.nvvm.ex2.approx.ftz.f", v[0].getType(), v); });
}
LogicalResult lowerFastDiv(Lowering &l, Operation *op) {
  return mapRegisters(l, op,
                      [&](ArrayRef<Value> v) { return intrinsic(l, "llvm.nvvm.div.approx.f", v[0].getType(), v); });
}

} // namespace

void moec::compiler::registerMathLowerings(MLIRContext *ctx, HandlerTable &t) {
  setHandler<math::ExpOp>(ctx, t, lowerLibdevice<'e', 'x', 'p'>);
  setHandler<math::Exp2Op>(ctx, t, lowerLibdevice<'e', 'x', 'p', '2'>);
  setHandler<math::ExpM1Op>(ctx, t, lowerLibdevice<'e', 'x', 'p', 'm', '1'>);
  setHandler<math::LogOp>(ctx, t, lowerLibdevice<'l', 'o', 'g'>);
  setHandler<math::Log2Op>(ctx, t, lowerLibdevice<'l', 'o', 'g', '2'>);
  setHandler<math::Log1pOp>(ctx, t, lowerLibdevice<'l', 'o', 'g', '1', 'p'>);
  setHandler<math::TanhOp>(ctx, t, lowerLibdevice<'t', 'a', 'n', 'h'>);
  setHandler<math::ErfOp>(ctx, t, lowerLibdevice<'e', 'r', 'f'>);
  setHandler<math::SinOp>(ctx, t, lowerLibdevice<'s', 'i', 'n'>);
  setHandler<math::CosOp>(ctx, t, lowerLibdevice<'c', 'o', 's'>);
  setHandler<math::PowFOp>(ctx, t, lowerLibdevice<'p', 'o', 'w'>);
  setHandler<math::RsqrtOp>(ctx, t, lowerLibdevice<'r', 's', 'q', 'r', 't'>);
  setHandler<math::SqrtOp>(ctx, t, lowerUnary<LLVM::SqrtOp>);
  setHandler<math::FloorOp>(ctx, t, lowerUnary<LLVM::FFloorOp>);
  setHandler<math::CeilOp>(ctx, t, lowerUnary<LLVM::FCeilOp>);
  setHandler<math::TruncOp>(ctx, t, lowerUnary<LLVM::FTruncOp>);
  setHandler<math::RoundOp>(ctx, t, lowerUnary<LLVM::RoundOp>);
  setHandler<math::RoundEvenOp>(ctx, t, lowerUnary<LLVM::RoundEvenOp>);
  setHandler<math::CopySignOp>(ctx, t, lowerBinary<LLVM::CopySignOp>);
  setHandler<math::AbsFOp>(ctx, t, lowerAbsF);
  setHandler<math::AbsIOp>(ctx, t, lowerAbsI);
  setHandler<math::CtPopOp>(ctx, t, lowerCtPop);
  setHandler<math::CountLeadingZerosOp>(ctx, t, lowerCountZeros<LLVM::CountLeadingZerosOp>);
  setHandler<math::CountTrailingZerosOp>(ctx, t, lowerCountZeros<LLVM::CountTrailingZerosOp>);
  setHandler<math::FmaOp>(ctx, t, lowerFma);
  setHandler<tile::SigmoidOp>(ctx, t, lowerSigmoid);
  setHandler<tile::FastExp2Op>(ctx, t, lowerFastExp2);
  setHandler<tile::FastDivOp>(ctx, t, lowerFastDiv);
}
