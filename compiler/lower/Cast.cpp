// tile.cast between every two dtypes, exactly as its op documentation says, and arith's conversions.
//
// Float to a narrow float goes through f32. Where the source does not fit f32 exactly (f64, i32, i64), it is first rounded *to odd* there:
// truncated, with the lowest bit set if anything was lost. f32 has more than two bits beyond every narrow format, so the second
// rounding then sees all that it needs and the result is rounded once.
#include "compiler/lower/Elementwise.h"

using namespace mlir;
using namespace moec::compiler;

namespace {

bool isNarrow(Type t) { return isa<FloatType>(t) && !t.isF32() && !t.isF64(); }

/// Short names for the integer code below.
struct Code {
  Lowering &l;
  OpBuilder &b;
  Location loc;
  Type type; ///< of the integers at work

  Code(Lowering &l, Type type) : l(l), b(l.b), loc(l.loc), type(type) {}
  Value c(int64_t v) { return l.constant(type, v); }
  Value add(Value x, Value y) { return LLVM::AddOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) { return LLVM::SubOp::create(b, loc, x, y); }
  Value and_(Value x, Value y) { return LLVM::AndOp::create(b, loc, x, y); }
  Value or_(Value x, Value y) { return LLVM::OrOp::create(b, loc, x, y); }
  Value shl(Value x, int n) { return LLVM::ShlOp::create(b, loc, x, c(n)); }
  Value shr(Value x, int n) { return LLVM::LShrOp::create(b, loc, x, c(n)); }
  Value ugt(Value x, Value y) { return LLVM::ICmpOp::create(b, loc, LLVM::ICmpPredicate::ugt, x, y); }
  Value ult(Value x, Value y) { return LLVM::ICmpOp::create(b, loc, LLVM::ICmpPredicate::ult, x, y); }
  Value ne(Value x, Value y) { return LLVM::ICmpOp::create(b, loc, LLVM::ICmpPredicate::ne, x, y); }
  Value umin(Value x, Value y) { return LLVM::UMinOp::create(b, loc, x, y); }
  Value select(Value p, Value x, Value y) { return LLVM::SelectOp::create(b, loc, p, x, y); }
  Value zext(Value x) { return LLVM::ZExtOp::create(b, loc, type, x); }
};

// ---- narrow floats to f32 (exact)

Value bf16ToF32(Lowering &l, Value v) {
  auto part = l.partOf(v);
  if (!part.word) return LLVM::FPExtOp::create(l.b, l.loc, l.b.getF32Type(), v);
  Code k(l, l.b.getI32Type());
  return l.bitcast(part.index ? k.and_(part.word, k.c(int64_t(0xffff0000))) : k.shl(part.word, 16), l.b.getF32Type());
}

constexpr int64_t kCanonicalNaN = 0x7fffffff;

Value e5m2ToF32(Lowering &l, Value v) {
  // The upper byte of an f16.
  Code k(l, l.b.getI16Type());
  Value half = l.bitcast(k.shl(k.zext(v), 8), l.b.getF16Type());
  Value x = LLVM::FPExtOp::create(l.b, l.loc, l.b.getF32Type(), half);
  Value nan = LLVM::FCmpOp::create(l.b, l.loc, LLVM::FCmpPredicate::uno, x, x);
  return k.select(nan, l.bitcast(l.i32(kCanonicalNaN), l.b.getF32Type()), x);
}

Value e4m3ToF32(Lowering &l, Value v) {
  // Exponent and mantissa moved into f32's fields are 2^-120 of the value; the multiplication is exact, denormals included.
  Code k(l, l.b.getI32Type());
  Value x = k.zext(v), magnitude = k.and_(x, k.c(0x7f));
  Type f32 = l.b.getF32Type();
  Value scaled = LLVM::FMulOp::create(l.b, l.loc, l.bitcast(k.shl(magnitude, 20), f32), l.floatConstant(f32, 0x1p120));
  Value sign = k.shl(k.and_(x, k.c(0x80)), 24);
  Value bits = k.or_(l.bitcast(scaled, l.b.getI32Type()), sign);
  return l.bitcast(k.select(LLVM::ICmpOp::create(l.b, l.loc, LLVM::ICmpPredicate::eq, magnitude, k.c(0x7f)), k.c(kCanonicalNaN), bits), f32);
}

Value narrowToF32(Lowering &l, Value v, Type from) {
  if (from.isBF16()) return bf16ToF32(l, v);
  if (from.isF16()) return LLVM::FPExtOp::create(l.b, l.loc, l.b.getF32Type(), v);
  return isa<Float8E5M2Type>(from) ? e5m2ToF32(l, v) : e4m3ToF32(l, v);
}

// ---- f32 to narrow floats (one rounding)

/// The f8 code of an f32 in the low byte of an i32; NaN to 0x7f; saturating, bit-equal to cuda_fp8.h, or with inf (e5m2) or NaN (e4m3) on overflow.
Value f32ToF8(Lowering &l, Value v, Type to, bool saturate) {
  bool e4m3 = isa<Float8E4M3FNType>(to);
  int shift = e4m3 ? 20 : 21;                                        // f32 mantissa bits that are rounded away
  int64_t minNormal = e4m3 ? 0x3c800000 : 0x38800000;                // 2^-6, 2^-14
  double denormalMagic = e4m3 ? 0x1p14 : 0x1p7;                      // its last place is the smallest f8 denormal
  int64_t magicBits = e4m3 ? 0x46800000 : 0x43000000;
  int64_t rebias = e4m3 ? 120 << 3 : 112 << 2, maximum = (e4m3 ? 0x7e : 0x7b) + (saturate ? 0 : 1);
  Code k(l, l.b.getI32Type());
  Type f32 = l.b.getF32Type();
  Value bits = l.bitcast(v, k.type), magnitude = k.and_(bits, k.c(0x7fffffff));
  Value half = k.add(k.and_(k.shr(magnitude, shift), k.c(1)), k.c((int64_t(1) << (shift - 1)) - 1));
  Value normal = k.sub(k.shr(k.add(magnitude, half), shift), k.c(rebias));
  Value sum = LLVM::FAddOp::create(l.b, l.loc, l.bitcast(magnitude, f32), l.floatConstant(f32, denormalMagic));
  Value denormal = k.sub(l.bitcast(sum, k.type), k.c(magicBits));
  Value code = k.select(k.ult(magnitude, k.c(minNormal)), denormal, k.umin(normal, k.c(maximum)));
  Value sign = k.and_(k.shr(bits, 24), k.c(0x80));
  return k.select(k.ugt(magnitude, k.c(0x7f800000)), k.c(0x7f), k.or_(code, sign));
}

SmallVector<Value> f32ToF8s(Lowering &l, ArrayRef<Value> regs, Type to, bool saturate) {
  Code k(l, l.b.getI32Type());
  SmallVector<Value> codes, result;
  for (Value v : regs) codes.push_back(f32ToF8(l, v, to, saturate));
  size_t i = 0;
  for (; i + 4 <= codes.size(); i += 4) {
    Value low = k.or_(codes[i], k.shl(codes[i + 1], 8)), high = k.or_(codes[i + 2], k.shl(codes[i + 3], 8));
    result.append(l.unpack(k.or_(low, k.shl(high, 16)), l.b.getI8Type()));
  }
  for (; i < codes.size(); ++i) result.push_back(LLVM::TruncOp::create(l.b, l.loc, l.b.getI8Type(), codes[i]));
  return result;
}

SmallVector<Value> f32ToHalves(Lowering &l, ArrayRef<Value> regs, Type to) {
  SmallVector<Value> result;
  auto pairType = [](Type t) { return VectorType::get({2}, t); };
  size_t i = 0;
  for (; i + 2 <= regs.size(); i += 2) {
    Value pair = LLVM::PoisonOp::create(l.b, l.loc, pairType(l.b.getF32Type()));
    for (int j = 0; j < 2; ++j) pair = LLVM::InsertElementOp::create(l.b, l.loc, pair, regs[i + j], l.i32(j));
    Value word = l.bitcast(LLVM::FPTruncOp::create(l.b, l.loc, pairType(to), pair), l.b.getI32Type());
    result.append(l.unpack(word, to));
  }
  if (i < regs.size()) result.push_back(LLVM::FPTruncOp::create(l.b, l.loc, to, regs[i]));
  return result;
}

SmallVector<Value> f32ToNarrow(Lowering &l, ArrayRef<Value> regs, Type to, bool saturate = true) {
  return to.isBF16() || to.isF16() ? f32ToHalves(l, regs, to) : f32ToF8s(l, regs, to, saturate);
}

/// f64 to f32, rounded to odd.
Value f64ToOddF32(Lowering &l, Value d) {
  Code k(l, l.b.getI32Type());
  Type f32 = l.b.getF32Type();
  Value f = LLVM::FPTruncOp::create(l.b, l.loc, f32, d), back = LLVM::FPExtOp::create(l.b, l.loc, l.b.getF64Type(), f);
  Value inexact = LLVM::FCmpOp::create(l.b, l.loc, LLVM::FCmpPredicate::one, back, d);
  Value away = LLVM::FCmpOp::create(l.b, l.loc, LLVM::FCmpPredicate::ogt, LLVM::FAbsOp::create(l.b, l.loc, back), LLVM::FAbsOp::create(l.b, l.loc, d));
  return l.bitcast(k.or_(k.sub(l.bitcast(f, k.type), k.zext(away)), k.zext(inexact)), f32);
}

// ---- integers

/// An f64 that rounds to every narrow float as the i64 does: beyond 2^53 the low bits are folded into one sticky bit.
Value i64ToStickyF64(Lowering &l, Value v) {
  Code k(l, l.b.getI64Type());
  Value low = k.and_(v, k.c(0x7ff));
  Value folded = k.or_(k.and_(v, k.c(~int64_t(0x7ff))), k.shl(k.zext(k.ne(low, k.c(0))), 10));
  Value small = k.ult(k.add(v, k.c(int64_t(1) << 53)), k.c(int64_t(1) << 54));
  return LLVM::SIToFPOp::create(l.b, l.loc, l.b.getF64Type(), k.select(small, v, folded));
}

SmallVector<Value> intToFloat(Lowering &l, ArrayRef<Value> regs, Type from, Type to, bool isUnsigned) {
  SmallVector<Value> wide;
  Type f32 = l.b.getF32Type(), f64 = l.b.getF64Type();
  unsigned bits = from.getIntOrFloatBitWidth();
  auto convert = [&](Value v, Type type) -> Value {
    if (isUnsigned) return LLVM::UIToFPOp::create(l.b, l.loc, type, v);
    return LLVM::SIToFPOp::create(l.b, l.loc, type, v);
  };
  for (Value v : regs) {
    if (!isNarrow(to))
      wide.push_back(convert(v, to));
    else if (bits <= 16)
      wide.push_back(convert(v, f32));
    else if (bits == 32)
      wide.push_back(f64ToOddF32(l, convert(v, f64)));
    else
      wide.push_back(f64ToOddF32(l, i64ToStickyF64(l, v)));
  }
  return isNarrow(to) ? f32ToNarrow(l, wide, to) : wide;
}

/// Toward zero, saturating, NaN gives 0.
Value floatToInt(Lowering &l, Value v, Type to, bool isUnsigned) {
  std::string name = std::string(isUnsigned ? "llvm.fptoui.sat.i" : "llvm.fptosi.sat.i") + std::to_string(to.getIntOrFloatBitWidth()) +
                     (v.getType().isF64() ? ".f64" : ".f32");
  return LLVM::CallIntrinsicOp::create(l.b, l.loc, to, l.b.getStringAttr(name), v).getResult(0);
}

Value intToInt(Lowering &l, Value v, Type to, bool zeroExtend) {
  unsigned from = v.getType().getIntOrFloatBitWidth(), bits = to.getIntOrFloatBitWidth();
  if (from == bits) return v;
  if (from > bits) return LLVM::TruncOp::create(l.b, l.loc, to, v);
  if (zeroExtend) return LLVM::ZExtOp::create(l.b, l.loc, to, v);
  return LLVM::SExtOp::create(l.b, l.loc, to, v);
}

/// != 0, and NaN is not 0.
Value toBool(Lowering &l, Value v, Type from) {
  Type type = v.getType();
  if (type.isF32() || type.isF64()) return LLVM::FCmpOp::create(l.b, l.loc, LLVM::FCmpPredicate::une, v, l.floatConstant(type, 0.0));
  unsigned bits = type.getIntOrFloatBitWidth();
  Code k(l, l.b.getIntegerType(bits));
  Value x = l.bitcast(v, k.type);
  if (isa<FloatType>(from)) x = k.and_(x, k.c((int64_t(1) << (bits - 1)) - 1)); // -0 is 0
  return k.ne(x, k.c(0));
}

Value boolTo(Lowering &l, Value v, Type to) {
  if (to.isInteger()) return LLVM::ZExtOp::create(l.b, l.loc, to, v);
  Type type = l.storageType(to);
  Value one = isa<Float8E4M3FNType>(to) ? l.constant(type, 0x38) : isa<Float8E5M2Type>(to) ? l.constant(type, 0x3c) : l.floatConstant(type, 1.0);
  return LLVM::SelectOp::create(l.b, l.loc, v, one, l.constant(type, 0));
}

template <class F> SmallVector<Value> each(ArrayRef<Value> regs, F f) {
  SmallVector<Value> result;
  for (Value v : regs) result.push_back(f(v));
  return result;
}

SmallVector<Value> floatToFloat(Lowering &l, ArrayRef<Value> regs, Type from, Type to, bool saturate) {
  Type f32 = l.b.getF32Type();
  if (from.isF64() && to.isF32()) return each(regs, [&](Value v) -> Value { return LLVM::FPTruncOp::create(l.b, l.loc, to, v); });
  SmallVector<Value> wide(regs);
  if (isNarrow(from)) wide = each(regs, [&](Value v) { return narrowToF32(l, v, from); });
  if (from.isF64()) wide = each(regs, [&](Value v) { return f64ToOddF32(l, v); });
  if (to == f32) return wide;
  if (to.isF64()) return each(wide, [&](Value v) -> Value { return LLVM::FPExtOp::create(l.b, l.loc, to, v); });
  return f32ToNarrow(l, wide, to, saturate);
}

SmallVector<Value> castDistinct(Lowering &l, ArrayRef<Value> regs, Type from, Type to, CastFlags flags) {
  if (from == to) return SmallVector<Value>(regs);
  if (to.isInteger(1)) return each(regs, [&](Value v) { return toBool(l, v, from); });
  if (from.isInteger(1)) return each(regs, [&](Value v) { return boolTo(l, v, to); });
  if (isa<FloatType>(from) && isa<FloatType>(to)) return floatToFloat(l, regs, from, to, flags.saturate);
  if (isa<FloatType>(to)) return intToFloat(l, regs, from, to, flags.unsignedInput);
  if (!isa<FloatType>(from)) return each(regs, [&](Value v) { return intToInt(l, v, to, flags.unsignedInput); });
  return each(regs, [&](Value v) { return floatToInt(l, isNarrow(from) ? narrowToF32(l, v, from) : v, to, flags.unsignedResult); });
}

LogicalResult lowerCastWith(Lowering &l, Operation *op, CastFlags flags) {
  Type from = getElementTypeOrSelf(op->getOperand(0).getType()), to = getElementTypeOrSelf(op->getResult(0).getType());
  ArrayRef<Value> regs = l.regs(op->getOperand(0));
  l.setRegs(op->getResult(0), castRegisters(l, regs, from, to, flags));
  return success();
}

LogicalResult lowerCast(Lowering &l, Operation *op) {
  auto cast = llvm::cast<moec::tile::CastOp>(op);
  return lowerCastWith(l, op, {cast.getUnsignedInput(), cast.getUnsignedResult()});
}
LogicalResult lowerSigned(Lowering &l, Operation *op) {
  if (getElementTypeOrSelf(op->getOperand(0).getType()).isInteger(1)) // arith's i1 is -1 or 0
    return mapRegisters(l, op, [&](ArrayRef<Value> v) -> Value {
      return LLVM::SExtOp::create(l.b, l.loc, getElementTypeOrSelf(op->getResult(0).getType()), v[0]);
    });
  return lowerCastWith(l, op, {.saturate = false});
}
LogicalResult lowerUnsigned(Lowering &l, Operation *op) { return lowerCastWith(l, op, {true, true}); }
LogicalResult lowerBitcast(Lowering &l, Operation *op) {
  return mapRegisters(l, op, [&](ArrayRef<Value> v) { return l.bitcast(v[0], l.storageType(op->getResult(0).getType())); });
}
LogicalResult lowerTruncI(Lowering &l, Operation *op) {
  return mapRegisters(l, op, [&](ArrayRef<Value> v) -> Value {
    return LLVM::TruncOp::create(l.b, l.loc, getElementTypeOrSelf(op->getResult(0).getType()), v[0]);
  });
}

} // namespace

SmallVector<Value> moec::compiler::castRegisters(Lowering &l, ArrayRef<Value> regs, Type from, Type to, CastFlags flags) {
  SmallVector<Value> distinct;
  llvm::SmallDenseMap<Value, unsigned> index;
  for (Value v : regs)
    if (index.try_emplace(v, distinct.size()).second) distinct.push_back(v);
  SmallVector<Value> done = castDistinct(l, distinct, from, to, flags), result;
  for (Value v : regs) result.push_back(done[index[v]]);
  return result;
}

void moec::compiler::registerCastLowerings(MLIRContext *ctx, HandlerTable &t) {
  setHandler<tile::CastOp>(ctx, t, lowerCast);
  for (auto name : {arith::ExtSIOp::getOperationName(), arith::ExtFOp::getOperationName(), arith::TruncFOp::getOperationName(),
                    arith::SIToFPOp::getOperationName(), arith::FPToSIOp::getOperationName()})
    t[OperationName(name, ctx)] = lowerSigned;
  for (auto name : {arith::ExtUIOp::getOperationName(), arith::UIToFPOp::getOperationName(), arith::FPToUIOp::getOperationName()})
    t[OperationName(name, ctx)] = lowerUnsigned;
  setHandler<arith::TruncIOp>(ctx, t, lowerTruncI);
  setHandler<arith::BitcastOp>(ctx, t, lowerBitcast);
}
