// Inputs for kernel tests, and f64 references.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "kernels/verify.h"
#include "runtime/tensor.h"

namespace moec {

inline std::mt19937_64 &engine() {
  static std::mt19937_64 e(12345);
  return e;
}
inline int64_t random_int(int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(engine());
}
inline Tensor random_floats(const Dims &shape, DType dtype, double scale = 1) {
  return hash_uniform(static_cast<uint64_t>(random_int(1, 1 << 20)), scale, shape, dtype);
}
inline Tensor random_ints(const Dims &shape, DType dtype, int64_t low, int64_t high) {
  int64_t n = 1;
  for (int64_t s : shape) n *= s;
  std::vector<double> v(static_cast<size_t>(n));
  for (double &x : v) x = static_cast<double>(random_int(low, high));
  return Tensor::from_values(v, shape, dtype);
}
/// Ends of groups of random sizes (0 among them) with `total` rows, the last end possibly below it.
inline Tensor random_offs(int experts, int64_t total) {
  std::vector<int32_t> offs(static_cast<size_t>(experts));
  for (int32_t &o : offs) o = static_cast<int32_t>(random_int(0, total));
  std::sort(offs.begin(), offs.end());
  if (experts > 2) offs[1] = offs[0]; // an empty group
  return Tensor::from(offs, {experts});
}

} // namespace moec
