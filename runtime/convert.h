// Conversions of scalars on the host, bit for bit what the GPU does: one rounding, to nearest even, denormals kept.
// Standard library only.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "dsl/dtype.h"

namespace moec {

namespace detail {

/// |x| rounded to a float with `M` mantissa bits and exponent bias `bias`, as exponent and mantissa bits without a
/// sign. The exponent may grow past the format's largest: the caller saturates. `x` is not NaN.
template <int M, int bias> constexpr uint64_t round_magnitude(double x) {
  uint64_t bits = std::bit_cast<uint64_t>(x) & ~(uint64_t{1} << 63);
  int exponent = static_cast<int>(bits >> 52) - 1023;
  if (exponent == -1023) return 0; // zero, or a denormal f64, which is below every smaller format's range
  uint64_t mantissa = (bits & ((uint64_t{1} << 52) - 1)) | (uint64_t{1} << 52);
  constexpr int min_exponent = 1 - bias;
  int below = exponent < min_exponent ? min_exponent - exponent : 0; // how far below the smallest normal number
  int drop = 52 - M + below;
  if (drop > 53) return 0; // less than half of the smallest denormal
  uint64_t kept = mantissa >> drop, rest = mantissa & ((uint64_t{1} << drop) - 1), half = uint64_t{1} << (drop - 1);
  kept += rest > half || (rest == half && (kept & 1));
  if (below) return kept;
  return (static_cast<uint64_t>(exponent - min_exponent) << M) + kept; // the hidden bit adds the exponent's one
}

/// The value of `bits` (sign above `E` exponent bits above `M` mantissa bits); no NaN or infinity.
template <int E, int M> constexpr double finite_value(uint32_t bits) {
  int exponent = static_cast<int>((bits >> M) & ((1u << E) - 1));
  uint64_t mantissa = bits & ((1u << M) - 1);
  constexpr int bias = (1 << (E - 1)) - 1;
  uint64_t sign = static_cast<uint64_t>((bits >> (E + M)) & 1) << 63;
  if (exponent == 0) {
    if (mantissa == 0) return std::bit_cast<double>(sign);
    exponent = 1;
    while (!(mantissa >> M)) mantissa <<= 1, --exponent;
    mantissa &= (uint64_t{1} << M) - 1;
  }
  return std::bit_cast<double>(sign | static_cast<uint64_t>(exponent - bias + 1023) << 52 | mantissa << (52 - M));
}
/// |x| of a format with `M` mantissa bits, exponent bias `bias` and the greatest number (or infinity) `most`, below x's
/// sign bit; NaN has all bits set but the sign.
template <class Bits, int M, int bias, Bits most> constexpr Bits encode(double x) {
  constexpr int sign_bit = 8 * sizeof(Bits) - 1;
  if (x != x) return static_cast<Bits>((1u << sign_bit) - 1);
  uint64_t magnitude = round_magnitude<M, bias>(x);
  return static_cast<Bits>((magnitude > most ? most : magnitude) | std::bit_cast<uint64_t>(x) >> 63 << sign_bit);
}

} // namespace detail

/// f64 (and with it f32) to f16: too large becomes infinity, NaN becomes 0x7fff.
constexpr uint16_t to_f16(double x) { return detail::encode<uint16_t, 10, 15, 0x7c00>(x); }
/// f64 (and with it f32) to bf16: too large becomes infinity, NaN becomes 0x7fff.
constexpr uint16_t to_bf16(double x) { return detail::encode<uint16_t, 7, 127, 0x7f80>(x); }
/// f64 (and with it f32) to e4m3, saturating to +-448 (infinity too); NaN becomes 0x7f. As cuda_fp8.h's __NV_SATFINITE.
constexpr uint8_t to_e4m3(double x) { return detail::encode<uint8_t, 3, 7, 0x7e>(x); }
/// f64 (and with it f32) to e5m2, saturating to +-57344 (infinity too); NaN becomes 0x7f. As cuda_fp8.h's
/// __NV_SATFINITE.
constexpr uint8_t to_e5m2(double x) { return detail::encode<uint8_t, 2, 15, 0x7b>(x); }

/// f16 to f32, exact.
constexpr float from_f16(uint16_t h) {
  if ((h & 0x7c00) == 0x7c00) // infinity, or NaN with its payload
    return std::bit_cast<float>((h & 0x8000u) << 16 | 0x7f800000u | (h & 0x3ffu) << 13);
  return static_cast<float>(detail::finite_value<5, 10>(h));
}
/// bf16 to f32, exact.
constexpr float from_bf16(uint16_t h) { return std::bit_cast<float>(static_cast<uint32_t>(h) << 16); }
/// e4m3 to f32, exact; 0x7f and 0xff are NaN.
constexpr float from_e4m3(uint8_t b) {
  if ((b & 0x7f) == 0x7f) return std::bit_cast<float>(0x7fffffffu);
  return static_cast<float>(detail::finite_value<4, 3>(b));
}
/// e5m2 to f32, exact.
constexpr float from_e5m2(uint8_t b) { return from_f16(static_cast<uint16_t>(b << 8)); }

/// Rounds an f64 to f32 once, through the hardware's nearest-even mode.
inline float to_f32(double x) { return static_cast<float>(x); }

/// The element at `p` as f64 (i64 beyond 2^53 rounds).
double load_element(DType t, const void *p);
/// Writes `value` at `p`, rounded once to nearest even. Integers: rounded toward zero, clamped to the type, NaN gives
/// 0.
void store_element(DType t, void *p, double value);

} // namespace moec
