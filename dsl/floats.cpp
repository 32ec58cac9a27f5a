// Literals as bits of a float dtype.
#include "dsl/recorder.h"

#include <cmath>

namespace moec::rec {

namespace {
struct Format {
  int exponent_bits, mantissa_bits;
};
Format format(DType t) {
  switch (t) {
  case DType::f16: return {5, 10};
  case DType::bf16: return {8, 7};
  case DType::f32: return {8, 23};
  case DType::e4m3: return {4, 3};
  case DType::e5m2: return {5, 2};
  default: return {11, 52};
  }
}
} // namespace

uint64_t float_bits(double v, DType dtype) {
  if (dtype == DType::f64) {
    uint64_t bits;
    std::memcpy(&bits, &v, 8);
    return bits;
  }
  auto [ebits, mbits] = format(dtype);
  const int bias = (1 << (ebits - 1)) - 1;
  const uint64_t sign = std::signbit(v) ? uint64_t(1) << (ebits + mbits) : 0;
  const uint64_t exponent_mask = ((uint64_t(1) << ebits) - 1) << mbits;
  if (std::isnan(v)) {
    if (dtype == DType::e4m3) return sign | 0x7f;
    return sign | exponent_mask | uint64_t(1) << (mbits - 1);
  }
  const uint64_t largest = dtype == DType::e4m3 ? 0x7e : exponent_mask - 1; // e4m3 has no infinity: 0x7f is NaN
  const uint64_t too_large = is_fp8(dtype) ? largest : exponent_mask;
  if (std::isinf(v)) return sign | too_large;
  const double a = std::fabs(v);
  if (a == 0) return sign;
  int e;
  std::frexp(a, &e);                                  // a = m * 2^e, m in [0.5, 1)
  int exponent = e - 1 < 1 - bias ? 1 - bias : e - 1; // denormals share the least exponent
  // In units of the last place; nearbyint is to nearest even in the default rounding mode, and exact here.
  const double units = std::nearbyint(std::ldexp(a, mbits - exponent));
  uint64_t bits = static_cast<uint64_t>(units);
  if (bits >= uint64_t(1) << mbits) bits += uint64_t(exponent + bias - 1) << mbits; // the implicit bit adds the last 1
  return sign | (bits > largest ? too_large : bits);
}

} // namespace moec::rec
