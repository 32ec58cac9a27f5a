// tile.dot: the fma chain bit for bit, narrow operands within the documented bound and to the rounding that the
// interpreter promises.
#include "test/unit/interp/dtype.h"

using namespace moec;

namespace {

constexpr size_t M = 8, N = 4, K = 16;

std::string type(const Dtype &t, size_t rows, size_t columns) {
  return "tensor<" + std::to_string(rows) + "x" + std::to_string(columns) + "x" + t.name + ">";
}

/// Small random numbers of a dtype.
Words numbers(const Dtype &t, size_t n, uint64_t seed) {
  std::mt19937_64 random(seed);
  Words words;
  for (size_t i = 0; i < n; ++i) {
    double x = std::ldexp(double(int64_t(random()) >> 11), -51);
    words.push_back(t.width == 64 ? std::bit_cast<uint64_t>(x) : t.nearest(x));
  }
  return words;
}

Words dot(const Dtype &ta, const Dtype &tb, const Dtype &tc, const Words &a, const Words &b, const Words &c) {
  std::vector<unsigned char> ma = pack(ta, a), mb = pack(tb, b), mc = pack(tc, c);
  std::string text = "tile.kernel @k(";
  struct {
    const char *name;
    const Dtype &t;
    size_t rows, columns;
  } operands[] = {{"a", ta, M, K}, {"b", tb, K, N}, {"c", tc, M, N}};
  std::string loads = "%0 = arith.constant 0 : i32\n", separator, view;
  for (auto &o : operands) {
    view = std::string("!tile.view<") + o.t.name + ", sizes = [1, 1], strides = [1, 0], align = 1, wide = false>";
    text += separator + "%" + o.name + ": " + view;
    loads += std::string("%t") + o.name + " = tile.block_load %" + o.name + "[%0, %0 : i32, i32] : " + view + " -> " +
             type(o.t, o.rows, o.columns) + "\n";
    separator = ", ";
  }
  text += ") {\n" + loads + "%d = tile.dot %ta, %tb, %tc : " + type(ta, M, K) + ", " + type(tb, K, N) + " -> " +
          type(tc, M, N) + "\ntile.block_store %c[%0, %0 : i32, i32], %d : " + view + ", " + type(tc, M, N) +
          "\ntile.return\n}";
  Outcome o = Launch().view(ma, {M, K}, {K}).view(mb, {K, N}, {N}).view(mc, {M, N}, {N}).run(text);
  EXPECT_EQ(o.diagnostics, "") << text;
  return unpack(tc, mc);
}

template <typename T, typename Word> void expect_fma_chain(const Dtype &t) {
  Words a = numbers(t, M * K, 81), b = numbers(t, K * N, 82), c = numbers(t, M * N, 83), d = dot(t, t, t, a, b, c);
  for (size_t m = 0; m < M; ++m)
    for (size_t n = 0; n < N; ++n) {
      T sum = std::bit_cast<T>(Word(c[m * N + n]));
      for (size_t k = 0; k < K; ++k)
        sum = std::fma(std::bit_cast<T>(Word(a[m * K + k])), std::bit_cast<T>(Word(b[k * N + n])), sum);
      ASSERT_EQ(d[m * N + n], std::bit_cast<Word>(sum)) << t.name;
    }
}

TEST(dot, f32_and_f64_are_fma_chains) {
  expect_fma_chain<float, uint32_t>(f32);
  expect_fma_chain<double, uint64_t>(f64);
}

TEST(dot, narrow_operands_round_once_to_f32) {
  for (auto [ta, tb] : {std::pair{f16, f16}, {bf16, bf16}, {e4m3, e4m3}, {e5m2, e5m2}, {e4m3, e5m2}, {e5m2, e4m3}}) {
    Words a = numbers(ta, M * K, 84), b = numbers(tb, K * N, 85), c = numbers(f32, M * N, 86),
          d = dot(ta, tb, f32, a, b, c);
    for (size_t m = 0; m < M; ++m)
      for (size_t n = 0; n < N; ++n) {
        long double sum = f32.number(c[m * N + n]); // exact: products have at most 22 bits, of like exponents
        for (size_t k = 0; k < K; ++k)
          sum += static_cast<long double>(ta.number(a[m * K + k])) * tb.number(b[k * N + n]);
        ASSERT_EQ(d[m * N + n], f32.nearest(sum)) << ta.name << " " << tb.name;
      }
  }
}

} // namespace
