// Inputs for kernel tests, and f64 references.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "here.h"
#include "kernels/routing.h"
#include "kernels/verify.h"
#include "runtime/tensor.h"

namespace moec {

/// Each test starts with the same numbers, whichever tests ran before it.
inline std::mt19937_64 &engine() {
  static std::mt19937_64 e;
  static const testing::TestInfo *test = nullptr;
  const testing::TestInfo *now = testing::UnitTest::GetInstance()->current_test_info();
  if (now != test || !now) e.seed(12345), test = now;
  return e;
}
inline int64_t random_int(int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(engine());
}
inline Tensor random_floats(const Dims &shape, DType dtype, double scale = 1) {
  return Here::copy(hash_uniform(static_cast<uint64_t>(random_int(1, 1 << 20)), scale, shape, dtype));
}
inline Tensor random_ints(const Dims &shape, DType dtype, int64_t low, int64_t high) {
  int64_t n = 1;
  for (int64_t s : shape) n *= s;
  std::vector<double> v(static_cast<size_t>(n));
  for (double &x : v) x = static_cast<double>(random_int(low, high));
  return Here::from_values(v, shape, dtype);
}
/// Ends of groups of random sizes (0 among them) with `total` rows, the last end possibly below it.
inline Tensor random_offs(int experts, int64_t total) {
  std::vector<int32_t> offs(static_cast<size_t>(experts));
  for (int32_t &o : offs) o = static_cast<int32_t>(random_int(0, total));
  std::sort(offs.begin(), offs.end());
  if (experts > 2) offs[1] = offs[0]; // an empty group
  return Here::from(offs, {experts});
}

/// The tensor with another value at `index`, in row-major order.
inline Tensor with_value(const Tensor &tensor, size_t index, double value) {
  std::vector<double> v = tensor.to_values();
  v.at(index) = value;
  return Here::from_values(v, tensor.shape(), tensor.dtype());
}

/// A value as a tensor of the dtype holds it.
inline double rounded(double value, DType t) {
  return Tensor::from_values(std::vector<double>{value}, {1}, t).to_values()[0];
}

inline size_t at(int64_t row, int64_t cols, int64_t col) { return static_cast<size_t>(row * cols + col); }
/// A map with an expert that nobody wants, one that everybody wants, and a token without experts.
inline Tensor some_map(int64_t tokens, int64_t experts, DType t = boolean) {
  std::vector<double> m = random_ints({tokens, experts}, i32, 0, 1).to_values();
  for (int64_t r = 0; r < tokens; ++r) {
    if (experts > 2) m[at(r, experts, 1)] = 0, m[at(r, experts, 2)] = 1;
    for (int64_t e = 0; e < experts; ++e)
      if (r == tokens / 2) m[at(r, experts, e)] = 0;
  }
  return Here::from_values(m, {tokens, experts}, t);
}

/// Row of each pair of a map [T, E], or -1.
inline Tensor dense(const RoutingMap &map) {
  const int64_t tokens = map.token_rows.size(0), experts = map.token_rows.size(1) / 2;
  std::vector<double> list = map.token_rows.to_values(), counts = map.row_counts.to_values(),
                      out(static_cast<size_t>(tokens * experts), -1);
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t i = 0; i < static_cast<int64_t>(counts[static_cast<size_t>(t)]); ++i) {
      auto e = static_cast<int64_t>(list[at(t, 2 * experts, experts + i)]);
      out[at(t, experts, e < 0 ? -1 - e : e)] = list[at(t, 2 * experts, i)];
    }
  return Here::from_values(out, {tokens, experts}, i32);
}

} // namespace moec
