#include "compiler/target/F8Conversions.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace moec::compiler {

Value f8Code(IntegerCode &k, Value f32, bool e4m3, bool saturate) {
  int shift = e4m3 ? 20 : 21;                           // f32 mantissa bits that are rounded away
  int64_t minNormal = e4m3 ? 0x3c800000 : 0x38800000;   // 2^-6, 2^-14
  int64_t denormalMagic = e4m3 ? 0x46800000 : 0x43000000; // 2^14, 2^7: their last place is the smallest f8 denormal
  int64_t rebias = e4m3 ? 120 << 3 : 112 << 2, maximum = (e4m3 ? 0x7e : 0x7b) + (saturate ? 0 : 1);
  Type floats = k.b.getF32Type();
  Value bits = k.bitcast(f32, k.type), magnitude = k.and_(bits, k.c(0x7fffffff));
  Value half = k.add(k.and_(k.shr(magnitude, shift), k.c(1)), k.c((int64_t(1) << (shift - 1)) - 1));
  Value normal = k.sub(k.shr(k.add(magnitude, half), shift), k.c(rebias));
  Value sum = LLVM::FAddOp::create(k.b, k.loc, k.bitcast(magnitude, floats), k.bitcast(k.c(denormalMagic), floats));
  Value denormal = k.sub(k.bitcast(sum, k.type), k.c(denormalMagic));
  Value code = k.select(k.ult(magnitude, k.c(minNormal)), denormal, k.umin(normal, k.c(maximum)));
  Value sign = k.and_(k.shr(bits, 24), k.c(0x80));
  return k.select(k.ugt(magnitude, k.c(0x7f800000)), k.c(0x7f), k.or_(code, sign));
}

namespace {

IntegerCode codeAt(OpBuilder &b, Operation *op, unsigned width) {
  return {b, op->getLoc(), b.getIntegerType(width), [&b, loc = op->getLoc()](Type type, int64_t v) -> Value {
            APInt bits(type.getIntOrFloatBitWidth(), static_cast<uint64_t>(v), /*isSigned=*/true, /*implicitTrunc=*/true);
            return LLVM::ConstantOp::create(b, loc, IntegerAttr::get(type, bits));
          }};
}

/// a goes into the upper byte.
void expand(NVVM::ConvertF32x2ToF8x2Op op) {
  OpBuilder b(op);
  IntegerCode k = codeAt(b, op, 32), bytes = codeAt(b, op, 16);
  bool e4m3 = isa<Float8E4M3FNType>(op.getDstTy());
  Value high = f8Code(k, op.getA(), e4m3, /*saturate=*/true), low = f8Code(k, op.getB(), e4m3, /*saturate=*/true);
  Value both = bytes.trunc(k.or_(k.shl(high, 8), low));
  op.replaceAllUsesWith(op.getType().isInteger(16) ? both : bytes.bitcast(both, op.getType()));
  op.erase();
}

/// The f16 of an f8 code in the low byte of an i16: exact, NaN to 0x7fff.
Value halfOf(IntegerCode &k, Value x, bool e4m3) {
  Type f16 = k.b.getF16Type();
  Value magnitude = k.and_(x, k.c(0x7f));
  Value nan = e4m3 ? k.eq(magnitude, k.c(0x7f)) : k.ugt(magnitude, k.c(0x7c));
  if (!e4m3) return k.bitcast(k.select(nan, k.c(0x7fff), k.shl(x, 8)), f16);
  // Exponent and mantissa in f16's fields are 2^-8 of the value; the multiplication is exact, denormals included.
  Value scaled = LLVM::FMulOp::create(k.b, k.loc, k.bitcast(k.shl(magnitude, 7), f16), k.bitcast(k.c(0x5c00), f16));
  Value bits = k.or_(k.bitcast(scaled, k.type), k.shl(k.and_(x, k.c(0x80)), 8));
  return k.bitcast(k.select(nan, k.c(0x7fff), bits), f16);
}

void expand(NVVM::ConvertF8x2ToF16x2Op op) {
  OpBuilder b(op);
  IntegerCode k = codeAt(b, op, 16);
  bool e4m3 = isa<Float8E4M3FNType>(op.getSrcType());
  Value both = k.bitcast(op.getSrc(), k.type), result = LLVM::PoisonOp::create(b, op.getLoc(), op.getType());
  for (int i = 0; i < 2; ++i) {
    Value code = i ? k.shr(both, 8) : k.and_(both, k.c(0xff));
    result = LLVM::InsertElementOp::create(b, op.getLoc(), result, halfOf(k, code, e4m3), k.constant(b.getI32Type(), i));
  }
  op.replaceAllUsesWith(result);
  op.erase();
}

} // namespace

void expandF8Conversions(ModuleOp module) {
  module.walk([](Operation *op) {
    if (auto narrow = dyn_cast<NVVM::ConvertF32x2ToF8x2Op>(op); narrow && !narrow.getRelu()) expand(narrow);
    else if (auto wide = dyn_cast<NVVM::ConvertF8x2ToF16x2Op>(op); wide && !wide.getRelu()) expand(wide);
  });
}

} // namespace moec::compiler
