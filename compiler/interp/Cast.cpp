// tile.cast, whose every case is defined, and arith's conversions.
#include "compiler/interp/Machine.h"

using namespace mlir;

namespace moec::compiler::interp {
namespace {

struct Signs {
  bool signedInput, signedResult;
};

Bits castElement(Type from, Type to, Bits bits, Signs signs, bool saturate) {
  bool fromFloat = isa<FloatType>(from), toFloat = isa<FloatType>(to);
  if (to.isInteger(1)) return fromFloat ? decode(from, bits) != 0 : bits != 0; // NaN is not 0
  if (from.isInteger(1)) signs.signedInput = false;
  if (from.isBF16() && to.isF32()) return bits << 16; // even of a NaN
  if (fromFloat && toFloat) return saturate ? encodeSaturating(to, decode(from, bits)) : encode(to, decode(from, bits));
  if (fromFloat) return toInteger(decode(from, bits), widthOf(to), signs.signedResult);
  if (toFloat) return encodeInteger(to, llvm::APInt(widthOf(from), bits), signs.signedInput, saturate);
  return truncate(to, signs.signedInput ? signedOf(from, bits) : bits);
}

/// An arith conversion: no saturation of f8, and i1 is a one-bit number like others.
template <typename Op, typename F> void conversion(Table &table, F f) {
  table.set(Op::getOperationName(), [f](Machine &m, Operation *op) {
    Type from = getElementTypeOrSelf(op->getOperand(0).getType()),
         to = getElementTypeOrSelf(op->getResult(0).getType());
    mapUnary(m, op, [&](Bits a) -> Bits { return f(from, to, a); });
  });
}

} // namespace

void registerCast(Table &table) {
  table.on<tile::CastOp>([](Machine &m, tile::CastOp op) {
    Type from = getElementTypeOrSelf(op.getValue().getType()), to = getElementTypeOrSelf(op.getType());
    Signs signs = {!op.getUnsignedInput(), !op.getUnsignedResult()};
    mapUnary(m, op, [&](Bits a) { return castElement(from, to, a, signs, /*saturate=*/true); });
  });
  auto signExtend = [](Type from, Type to, Bits a) { return truncate(to, signedOf(from, a)); };
  auto zeroExtend = [](Type, Type to, Bits a) { return truncate(to, a); };
  auto floatToFloat = [](Type from, Type to, Bits a) { return castElement(from, to, a, {}, /*saturate=*/false); };
  conversion<arith::ExtSIOp>(table, signExtend);
  conversion<arith::IndexCastOp>(table, signExtend);
  conversion<arith::ExtUIOp>(table, zeroExtend);
  conversion<arith::TruncIOp>(table, zeroExtend);
  conversion<arith::IndexCastUIOp>(table, zeroExtend);
  conversion<arith::ExtFOp>(table, floatToFloat);
  conversion<arith::TruncFOp>(table, floatToFloat);
  auto toFloat = [](bool isSigned) {
    return [isSigned](Type from, Type to, Bits a) {
      return encodeInteger(to, llvm::APInt(widthOf(from), a), isSigned, false);
    };
  };
  auto toInt = [](bool isSigned) {
    return [isSigned](Type from, Type to, Bits a) { return toInteger(decode(from, a), widthOf(to), isSigned); };
  };
  conversion<arith::SIToFPOp>(table, toFloat(true));
  conversion<arith::UIToFPOp>(table, toFloat(false));
  conversion<arith::FPToSIOp>(table, toInt(true));
  conversion<arith::FPToUIOp>(table, toInt(false));
}

} // namespace moec::compiler::interp
