#include "runtime/convert.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace moec {

template <typename T> static T get(const void *p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <typename T> static void put(void *p, T v) { std::memcpy(p, &v, sizeof v); }

template <typename T> static T clamped(double v) {
  if (v != v) return 0;
  // max() of i64 is not an f64: compare with 2^63, the first value that does not fit.
  double first_above = std::ldexp(1.0, std::numeric_limits<T>::digits);
  if (v >= first_above) return std::numeric_limits<T>::max();
  if (v <= static_cast<double>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
  return static_cast<T>(v);
}

double load_element(DType t, const void *p) {
  switch (t) {
  case DType::boolean: return get<uint8_t>(p) != 0;
  case DType::i8: return get<int8_t>(p);
  case DType::u8: return get<uint8_t>(p);
  case DType::i32: return get<int32_t>(p);
  case DType::i64: return static_cast<double>(get<int64_t>(p));
  case DType::f16: return from_f16(get<uint16_t>(p));
  case DType::bf16: return from_bf16(get<uint16_t>(p));
  case DType::f32: return get<float>(p);
  case DType::f64: return get<double>(p);
  case DType::e4m3: return from_e4m3(get<uint8_t>(p));
  case DType::e5m2: return from_e5m2(get<uint8_t>(p));
  }
  return 0;
}

void store_element(DType t, void *p, double v) {
  switch (t) {
  case DType::boolean: return put<uint8_t>(p, v != 0);
  case DType::i8: return put(p, clamped<int8_t>(v));
  case DType::u8: return put(p, clamped<uint8_t>(v));
  case DType::i32: return put(p, clamped<int32_t>(v));
  case DType::i64: return put(p, clamped<int64_t>(v));
  case DType::f16: return put(p, to_f16(v));
  case DType::bf16: return put(p, to_bf16(v));
  case DType::f32: return put(p, to_f32(v));
  case DType::f64: return put(p, v);
  case DType::e4m3: return put(p, to_e4m3(v));
  case DType::e5m2: return put(p, to_e5m2(v));
  }
}

} // namespace moec
