#include "compiler/interp/Number.h"

#include <bit>
#include <cmath>
#include <vector>

using namespace mlir;
using llvm::APFloat;
using llvm::APInt;

namespace moec::compiler::interp {

unsigned widthOf(Type element) { return element.isIntOrFloat() ? element.getIntOrFloatBitWidth() : 64; }

unsigned bytesOf(Type element) { return (widthOf(element) + 7) / 8; }

Bits truncate(Type element, uint64_t word) {
  unsigned width = widthOf(element);
  return width >= 64 ? word : word & ((uint64_t(1) << width) - 1);
}

int64_t signedOf(Type element, Bits bits) {
  unsigned unused = 64 - widthOf(element);
  return static_cast<int64_t>(bits << unused) >> unused;
}

static const llvm::fltSemantics &semantics(Type element) { return cast<FloatType>(element).getFloatSemantics(); }

static double decodeSlowly(Type element, Bits bits) {
  APFloat value(semantics(element), APInt(widthOf(element), bits));
  bool inexact;
  value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &inexact);
  return value.convertToDouble();
}

/// Every number of a narrow type, so that each is decoded once in a process.
static std::vector<double> decodeAll(Type element) {
  std::vector<double> all(size_t(1) << widthOf(element));
  for (size_t bits = 0; bits < all.size(); ++bits) all[bits] = decodeSlowly(element, bits);
  return all;
}

double decode(Type element, Bits bits) {
  if (element.isF32()) return std::bit_cast<float>(static_cast<uint32_t>(bits));
  if (element.isF64()) return std::bit_cast<double>(bits);
  if (element.isBF16()) return std::bit_cast<float>(static_cast<uint32_t>(bits << 16));
  if (element.isF16()) {
    static const std::vector<double> all = decodeAll(element);
    return all[bits];
  }
  return decodeSlowly(element, bits);
}

static Bits canonicalNaN(Type element) { return truncate(element, ~uint64_t(0)) >> 1; }

Bits encode(Type element, double value) {
  if (std::isnan(value)) return canonicalNaN(element);
  if (element.isF64()) return std::bit_cast<uint64_t>(value);
  if (element.isF32()) return std::bit_cast<uint32_t>(static_cast<float>(value));
  APFloat rounded(value);
  bool inexact;
  rounded.convert(semantics(element), APFloat::rmNearestTiesToEven, &inexact);
  return rounded.isNaN() ? canonicalNaN(element) : rounded.bitcastToAPInt().getZExtValue();
}

/// The greatest number of an f8 type, with a sign.
static Bits greatest(Type element, bool negative) {
  return APFloat::getLargest(semantics(element), negative).bitcastToAPInt().getZExtValue();
}

Bits encodeSaturating(Type element, double value) {
  if (widthOf(element) != 8 || std::isnan(value)) return encode(element, value);
  double most = decode(element, greatest(element, false));
  return std::fabs(value) >= most ? greatest(element, value < 0) : encode(element, value);
}

Bits encodeInteger(Type element, const APInt &value, bool isSigned, bool saturate) {
  // |value| up to 2^64 and the f8 types' greatest numbers are far apart from any rounding of f64's.
  if (widthOf(element) == 8) {
    double rounded = value.roundToDouble(isSigned);
    return saturate ? encodeSaturating(element, rounded) : encode(element, rounded);
  }
  APFloat result(semantics(element));
  result.convertFromAPInt(value, isSigned, APFloat::rmNearestTiesToEven);
  return result.bitcastToAPInt().getZExtValue();
}

Bits toInteger(double value, unsigned width, bool isSigned) {
  if (std::isnan(value)) return 0;
  uint64_t most = (isSigned ? uint64_t(1) << (width - 1) : width == 64 ? 0 : uint64_t(1) << width) - 1;
  double limit = std::ldexp(1.0, isSigned ? width - 1 : width); // one more than the greatest integer
  if (value >= limit) return most;
  if (!isSigned) return value <= 0 ? 0 : static_cast<uint64_t>(value);
  uint64_t word = value <= -limit ? ~most : static_cast<uint64_t>(static_cast<int64_t>(value));
  return width == 64 ? word : word & ((uint64_t(1) << width) - 1);
}

Bits fusedMultiplyAdd(Type element, Bits a, Bits b, Bits c) {
  if (element.isF64()) return encode(element, std::fma(decode(element, a), decode(element, b), decode(element, c)));
  if (element.isF32()) {
    auto f = [&](Bits bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits)); };
    return encode(element, std::fma(f(a), f(b), f(c)));
  }
  auto exact = [&](Bits bits) { return APFloat(semantics(element), APInt(widthOf(element), bits)); };
  APFloat result = exact(a);
  result.fusedMultiplyAdd(exact(b), exact(c), APFloat::rmNearestTiesToEven);
  return result.isNaN() ? canonicalNaN(element) : result.bitcastToAPInt().getZExtValue();
}

double maximum(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::nan("");
  if (a == b) return std::signbit(a) ? b : a;
  return a > b ? a : b;
}
double minimum(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::nan("");
  if (a == b) return std::signbit(a) ? a : b;
  return a < b ? a : b;
}
double maximumNumber(double a, double b) { return std::isnan(a) ? b : std::isnan(b) ? a : maximum(a, b); }
double minimumNumber(double a, double b) { return std::isnan(a) ? b : std::isnan(b) ? a : minimum(a, b); }

} // namespace moec::compiler::interp
