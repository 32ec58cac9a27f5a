// tile.cast between every two dtypes, exactly as its op documentation says, and arith's conversions.
//
// Float to a narrow float goes through f32. Where the source does not fit f32 exactly (f64, i32, i64), it is first
// rounded *to odd* there: truncated, with the lowest bit set if anything was lost. f32 has more than two bits beyond
// every narrow format, so the second rounding then sees all that it needs and the result is rounded once.
#include "compiler/lower/Elementwise.h"
#include "compiler/target/F8Conversions.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace moec::compiler;

namespace {

bool isNarrow(Type t) { return isa<FloatType>(t) && !t.isF32() && !t.isF64(); }

bool isF8(Type t) { return isa<Float8E4M3FNType, Float8E5M2Type>(t); }

/// Integer code whose constants stand at the kernel's entry.
struct Code : IntegerCode {
  Code(Lowering &l, Type type) : IntegerCode{l.b, l.loc, type, [&l](Type t, int64_t v) { return l.constant(t, v); }} {}
};

// ---- narrow floats to f32 (exact)

Value bf16ToF32(Lowering &l, Value v) {
  auto part = l.partOf(v);
  if (!part.word) return LLVM::FPExtOp::create(l.b, l.loc, l.b.getF32Type(), v);
  Code k(l, l.b.getI32Type());
  return l.bitcast(part.index ? k.and_(part.word, k.c(int64_t(0xffff0000))) : k.shl(part.word, 16), l.b.getF32Type());
}

/// Two bytes as an i16; `high` may be missing.
Value bytePair(Lowering &l, Value low, Value high) {
  Code k(l, l.b.getI16Type());
  if (!high) return k.zext(low);
  auto first = l.partOf(low), second = l.partOf(high);
  if (!first.word || first.word != second.word || first.index % 2 || second.index != first.index + 1)
    return k.or_(k.zext(low), k.shl(k.zext(high), 8));
  return k.trunc(first.index ? Code(l, l.b.getI32Type()).shr(first.word, 16) : first.word);
}

/// f8 to f16, two by two: exact, NaN to 0x7fff.
SmallVector<Value> f8ToHalves(Lowering &l, ArrayRef<Value> regs, Type from) {
  Type halves = VectorType::get({2}, l.b.getF16Type()), bytes = VectorType::get({2}, l.b.getI8Type());
  SmallVector<Value> result;
  for (size_t i = 0; i < regs.size(); i += 2) {
    Value pair = l.bitcast(bytePair(l, regs[i], i + 1 < regs.size() ? regs[i + 1] : Value()), bytes);
    Value two = NVVM::ConvertF8x2ToF16x2Op::create(l.b, l.loc, halves, pair, /*relu=*/false, from);
    result.append(l.unpack(l.bitcast(two, l.b.getI32Type()), l.b.getF16Type()));
  }
  result.truncate(regs.size());
  return result;
}

SmallVector<Value> narrowToF32(Lowering &l, ArrayRef<Value> regs, Type from) {
  SmallVector<Value> halves;
  if (isF8(from)) regs = halves = f8ToHalves(l, regs, from);
  SmallVector<Value> result;
  for (Value v : regs)
    result.push_back(from.isBF16() ? bf16ToF32(l, v) : Value(LLVM::FPExtOp::create(l.b, l.loc, l.b.getF32Type(), v)));
  return result;
}

// ---- f32 to narrow floats (one rounding)

/// The f8 codes of two f32 in the low bytes of an i32.
Value f32PairToF8(Lowering &l, Value low, Value high, Type to, bool saturate) {
  Code k(l, l.b.getI32Type());
  if (saturate)
    return k.zext(NVVM::ConvertF32x2ToF8x2Op::create(l.b, l.loc, l.b.getI16Type(), high, low, NVVM::FPRoundingMode::RN,
                                                     NVVM::SaturationMode::SATFINITE,
                                                     /*relu=*/false, to));
  bool e4m3 = isa<Float8E4M3FNType>(to);
  return k.or_(f8Code(k, low, e4m3, saturate), k.shl(f8Code(k, high, e4m3, saturate), 8));
}

SmallVector<Value> f32ToF8s(Lowering &l, ArrayRef<Value> regs, Type to, bool saturate) {
  Code k(l, l.b.getI32Type());
  SmallVector<Value> pairs, result;
  Value zero = l.floatConstant(l.b.getF32Type(), 0);
  for (size_t i = 0; i < regs.size(); i += 2)
    pairs.push_back(f32PairToF8(l, regs[i], i + 1 < regs.size() ? regs[i + 1] : zero, to, saturate));
  for (size_t i = 0; i < pairs.size(); i += 2) {
    Value word = i + 1 < pairs.size() ? k.or_(pairs[i], k.shl(pairs[i + 1], 16)) : pairs[i];
    result.append(l.unpack(word, l.b.getI8Type()));
  }
  result.truncate(regs.size());
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
  Value away = LLVM::FCmpOp::create(l.b, l.loc, LLVM::FCmpPredicate::ogt, LLVM::FAbsOp::create(l.b, l.loc, back),
                                    LLVM::FAbsOp::create(l.b, l.loc, d));
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
  std::string name = std::string(isUnsigned ? "llvm.fptoui.sat.i" : "llvm.fptosi.sat.i") +
                     std::to_string(to.getIntOrFloatBitWidth()) + (v.getType().isF64() ? ".f64" : ".f32");
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
  if (type.isF32() || type.isF64())
    return LLVM::FCmpOp::create(l.b, l.loc, LLVM::FCmpPredicate::une, v, l.floatConstant(type, 0.0));
  unsigned bits = type.getIntOrFloatBitWidth();
  Code k(l, l.b.getIntegerType(bits));
  Value x = l.bitcast(v, k.type);
  if (isa<FloatType>(from)) x = k.and_(x, k.c((int64_t(1) << (bits - 1)) - 1)); // -0 is 0
  return k.ne(x, k.c(0));
}

Value boolTo(Lowering &l, Value v, Type to) {
  if (to.isInteger()) return LLVM::ZExtOp::create(l.b, l.loc, to, v);
  Type type = l.storageType(to);
  Value one = isa<Float8E4M3FNType>(to) ? l.constant(type, 0x38)
              : isa<Float8E5M2Type>(to) ? l.constant(type, 0x3c)
                                        : l.floatConstant(type, 1.0);
  return LLVM::SelectOp::create(l.b, l.loc, v, one, l.constant(type, 0));
}

template <class F> SmallVector<Value> each(ArrayRef<Value> regs, F f) {
  SmallVector<Value> result;
  for (Value v : regs) result.push_back(f(v));
  return result;
}

SmallVector<Value> floatToFloat(Lowering &l, ArrayRef<Value> regs, Type from, Type to, bool saturate) {
  Type f32 = l.b.getF32Type();
  if (from.isF64() && to.isF32())
    return each(regs, [&](Value v) -> Value { return LLVM::FPTruncOp::create(l.b, l.loc, to, v); });
  SmallVector<Value> wide(regs);
  if (isF8(from) && to.isF16()) return f8ToHalves(l, regs, from);
  if (isNarrow(from)) wide = narrowToF32(l, regs, from);
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
  SmallVector<Value> wide = isNarrow(from) ? narrowToF32(l, regs, from) : SmallVector<Value>(regs);
  return each(wide, [&](Value v) { return floatToInt(l, v, to, flags.unsignedResult); });
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
  return mapRegisters(l, op,
                      [&](ArrayRef<Value> v) { return l.bitcast(v[0], l.storageType(op->getResult(0).getType())); });
}
LogicalResult lowerTruncI(Lowering &l, Operation *op) {
  return mapRegisters(l, op, [&](ArrayRef<Value> v) -> Value {
    return LLVM::TruncOp::create(l.b, l.loc, getElementTypeOrSelf(op->getResult(0).getType()), v[0]);
  });
}

} // namespace

SmallVector<Value> moec::compiler::castRegisters(Lowering &l, ArrayRef<Value> regs, Type from, Type to,
                                                 CastFlags flags) {
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
  for (auto name :
       {arith::ExtSIOp::getOperationName(), arith::ExtFOp::getOperationName(), arith::TruncFOp::getOperationName(),
        arith::SIToFPOp::getOperationName(), arith::FPToSIOp::getOperationName()})
    t[OperationName(name, ctx)] = lowerSigned;
  for (auto name :
       {arith::ExtUIOp::getOperationName(), arith::UIToFPOp::getOperationName(), arith::FPToUIOp::getOperationName()})
    t[OperationName(name, ctx)] = lowerUnsigned;
  setHandler<arith::TruncIOp>(ctx, t, lowerTruncI);
  setHandler<arith::BitcastOp>(ctx, t, lowerBitcast);
}
