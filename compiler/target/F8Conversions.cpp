#include "compiler/target/F8Conversions.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace moec::compiler {

Value f8Code(IntegerCode &k, Value f32, bool e4m3, bool saturate) {
  int shift = e4m3 ? 20 : 21;                             // f32 mantissa bits that are rounded away
  int64_t minNormal = e4m3 ? 0x3c800000 : 0x38800000;     // 2^-6, 2^-14
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
            APInt bits(type.getIntOrFloatBitWidth(), static_cast<uint64_t>(v), /*isSigned=*/true,
                       /*implicitTrunc=*/true);
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

/// Both codes at once, each in its half of an i32: exact, NaN to 0x7fff.
void expand(NVVM::ConvertF8x2ToF16x2Op op) {
  OpBuilder b(op);
  IntegerCode pair = codeAt(b, op, 16), k = codeAt(b, op, 32);
  bool e4m3 = isa<Float8E4M3FNType>(op.getSrcType());
  auto both = [&](int64_t v) { return k.c(v << 16 | v); };
  Value codes = k.zext(pair.bitcast(op.getSrc(), pair.type));
  codes = k.and_(k.or_(codes, k.shl(codes, 8)), both(0xff));
  Value magnitude = k.and_(codes, both(0x7f));
  Value nan = k.and_(k.add(magnitude, both(e4m3 ? 1 : 3)), both(0x80)); // its top bit is set by a NaN's carry alone
  Value nanSign = k.shl(nan, 8), nanBits = k.sub(nanSign, k.shr(nan, 7));
  Value sign = k.sub(k.shl(k.or_(k.and_(codes, both(0x80)), nan), 8), nanSign); // 0 of a NaN
  Value bits = k.or_(k.shl(magnitude, e4m3 ? 7 : 8), sign);
  if (e4m3) { // in f16's fields the exponent makes 2^-8 of the value; the multiplication is exact, denormals included
    Value scaled =
        LLVM::FMulOp::create(b, op.getLoc(), k.bitcast(bits, op.getType()), k.bitcast(both(0x5c00), op.getType()));
    bits = k.bitcast(scaled, k.type);
  }
  op.replaceAllUsesWith(k.bitcast(k.or_(bits, nanBits), op.getType()));
  op.erase();
}

} // namespace

void expandF8Conversions(ModuleOp module) {
  module.walk([](Operation *op) {
    if (auto narrow = dyn_cast<NVVM::ConvertF32x2ToF8x2Op>(op); narrow && !narrow.getRelu())
      expand(narrow);
    else if (auto wide = dyn_cast<NVVM::ConvertF8x2ToF16x2Op>(op); wide && !wide.getRelu())
      expand(wide);
  });
}

} // namespace moec::compiler
