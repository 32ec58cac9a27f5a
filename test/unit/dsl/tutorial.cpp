// clang-format off: the regions are as the document has them.
// The snippets of docs/dsl.md: regions between "// [name]" and "// [end]" stand in the document word by word (docs_agree.py).
#include <moec/moec.h>

#include <bit>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

// [scale]
using namespace moec;

struct ScaleSpec {
  int block = 1024;
  static void fields(auto &s, auto &&f) { f("block", s.block); }
};

// y[i] = x[i] * factor
void scale(const ScaleSpec &s, View x, View y, Float factor) {
  auto [n] = y.sizes<1>();
  x.expect({n});
  grid(cdiv(n, s.block));
  Tile i = program_id(0) * s.block + arange(s.block);
  store(y(i), cast(cast(load(x(i)), f32) * factor, y.dtype()));
}
// [end]

// [dtypes]
void dtypes(const NoSpec &, View x, View y, Int n) {
  grid(1);
  Tile i = arange(64);                  // i32[64]
  Tile a = load(x(i));                  // bf16[64]: the view's dtype
  Tile b = cast(a, f32) * 2 + 1;        // f32[64]: literals take the tile's dtype
  Tile positive = b > 0;                // bool[64]
  Tile c = where(positive, b, exp(b));  // f32[64]
  Float scale = sum(c) / cast(n, f32);  // a scalar
  Tile bits = bitcast(c * scale, i32);  // the same bits
  store(y(i), cast(cast(bits, f64) + 0.5, y.dtype()));
}
// [end]

// [halves]
// y[t, c] = max(x[t, c], x[t, H + c]) for the halves of each row
void max_of_halves(const ScaleSpec &s, View x, View y) {
  auto [T, H] = y.sizes<2>();
  x.expect({T, 2 * H});
  grid(T, cdiv(H, s.block));
  auto [left, right] = x.split_cols(H);
  Int t = program_id(0);
  Tile c = program_id(1) * s.block + arange(s.block);
  store(y(t, c), maximum(load(left(t, c)), load(right(t, c))));
}
// [end]

// [transpose]
void transpose(const NoSpec &, View x, View y) {
  auto [rows, cols] = x.sizes<2>();
  y.expect({cols, rows});
  grid(cdiv(rows, 64), cdiv(cols, 64));
  Int r = program_id(0) * 64, c = program_id(1) * 64;
  store(y.tile({c, r}, {64, 64}), trans(load(x.tile({r, c}, {64, 64}))));
}
// [end]

// [gather]
// y[r, :] = x[rows[r], :], and zero where rows[r] is -1
void gather(const ScaleSpec &s, View x, View rows, View y) {
  auto [R, H] = y.sizes<2>();
  rows.expect({R});
  grid(R, cdiv(H, s.block));
  Int r = program_id(0), from = load(rows(r));
  Tile c = program_id(1) * s.block + arange(s.block);
  store(y(r, c), load(x(from, c), from >= 0));
}
// [end]

// [lanes]
struct TopkSpec {
  int topk = 6, experts = 60;
  static void fields(auto &s, auto &&f) { f("topk", s.topk), f("experts", s.experts); }
};

// counts[e] = how often expert e is chosen by row t
void count_row(const TopkSpec &s, View chosen, View counts) {
  grid(chosen.size(0));
  Int t = program_id(0);
  auto [k, real] = lanes(s.topk);                           // i32[8] and bool[8]: six real lanes, two of padding
  auto [e, live] = lanes(s.experts);                        // 64 lanes, 60 of them real
  Tile at = load(chosen(t, k), real, -1);                   // i32[8], padding reads as -1
  Tile hit = expand_dims(at, 1) == e;                       // [8, 1] against [64]: bool[8, 64]
  store(counts(t, e), sum(cast(hit, i32), 0), live);        // i32[64]
}
// [end]

// [softmax]
void softmax(const ScaleSpec &s, View x, View y) {
  auto [rows, n] = x.sizes<2>();
  y.expect({rows, n});
  grid(rows);
  Int r = program_id(0);
  Tile c = arange(s.block);
  Tile v = where(c < n, cast(load(x(r, c)), f32), -1e30f);
  Tile p = exp(v - max(v));
  store(y(r, c), cast(p / sum(p), y.dtype()));
}
// [end]

// [welford]
// mean and variance of each row in one pass over the values, by pairs (count, mean, sum of squares)
void moments(const ScaleSpec &s, View x, View mean, View variance) {
  grid(x.size(0));
  Int r = program_id(0);
  Tile v = load(x(r, arange(s.block)));
  auto [count, m, m2] = reduce(std::array{full({s.block}, 1, f32), v, zeros({s.block}, f32)}, 0, [](auto a, auto b) {
    Tile n = a[0] + b[0], delta = b[1] - a[1];
    return std::array{n, a[1] + delta * b[0] / n, a[2] + b[2] + delta * delta * a[0] * b[0] / n};
  });
  store(mean(r), m);
  store(variance(r), m2 / count);
}
// [end]

// [loop]
// y[r] = sum of row r, in f32, any number of columns
void row_sum(const ScaleSpec &s, View x, View y) {
  auto [rows, n] = x.sizes<2>();
  y.expect({rows});
  grid(rows);
  Int r = program_id(0);
  Tile acc = zeros({s.block}, f32);
  for (Int k : range(0, n, s.block)) acc += cast(load(x(r, k + arange(s.block))), f32);
  store(y(r), cast(sum(acc), y.dtype()));
}
// [end]

// [branches]
void collatz(const NoSpec &, View x, View steps, Int limit) {
  grid(x.size(0));
  Int t = program_id(0), v = load(x(t)), n = 0;
  while_([&] { return (v > 1) & (n < limit); },
         [&] {
           when(v % 2 == 0, [&] { v = v / 2; }, [&] { v = 3 * v + 1; });
           n += 1;
         });
  store(steps(t), n);
}
// [end]

// [unroll]
// A polynomial of any degree, by Horner's rule; the coefficients are part of the spec.
struct PolynomialSpec {
  int degree = 3;
  float c0 = 1, c1 = 1, c2 = 0.5f, c3 = 0.25f;
  static void fields(auto &s, auto &&f) { f("degree", s.degree), f("c0", s.c0), f("c1", s.c1), f("c2", s.c2), f("c3", s.c3); }
};

void polynomial(const PolynomialSpec &s, View x, View y) {
  grid(cdiv(x.size(0), 256));
  Tile i = program_id(0) * 256 + arange(256);
  const float c[] = {s.c0, s.c1, s.c2, s.c3};
  Tile v = load(x(i)), p = full({256}, c[s.degree], f32);
  for (int k = s.degree - 1; k >= 0; --k) p = fma(p, v, c[k]); // a C++ loop: unrolled
  store(y(i), p);
}
// [end]

// [atomics]
void histogram_of_bytes(const NoSpec &, View bytes, Pointer counts, Int n) {
  grid(cdiv(n, 1024));
  Tile i = program_id(0) * 1024 + arange(1024);
  Tile b = cast(load(bytes(i), i < n), i32);
  Tile h = histogram(b, 256, i < n);
  atomic_add(counts[arange(256)], h); // a raw pointer: nothing clips, all 256 lanes are written
}
// [end]

// [matmul]
struct MatmulSpec {
  int bm = 64, bn = 64, bk = 32;
  static void fields(auto &s, auto &&f) { f("bm", s.bm), f("bn", s.bn), f("bk", s.bk); }
};

// c = a * b^T
void matmul(const MatmulSpec &s, View a, View b, View c) {
  auto [M, N] = c.sizes<2>();
  Int K = a.size(1);
  a.expect({M, K});
  b.expect({N, K});
  grid(cdiv(M, s.bm), cdiv(N, s.bn));
  Int m = program_id(0) * s.bm, n = program_id(1) * s.bn;
  Tile acc = zeros({s.bm, s.bn}, f32);
  for (Int k : range(0, K, s.bk))
    acc = dot(load(a.tile({m, k}, {s.bm, s.bk})), trans(load(b.tile({n, k}, {s.bn, s.bk}))), acc);
  store(c.tile({m, n}, {s.bm, s.bn}), cast(acc, c.dtype()));
}
// [end]

// [fused]
// Routing of a mixture of experts, one row per program: softmax over the experts, the topk best, weights that sum to 1.
void route(const TopkSpec &s, View logits, View weights, View experts) {
  auto [T, E] = logits.sizes<2>();
  logits.expect({T, s.experts});
  weights.expect({T, s.topk});
  experts.expect({T, s.topk});
  grid(T);
  Int t = program_id(0);
  auto [e, live] = lanes(s.experts);
  auto [k, chosen] = lanes(s.topk);
  Tile x = where(live, cast(load(logits(t, e), live), f32), -1e30f);
  Tile p = exp(x - max(x));
  auto [best, at] = topk(p, s.topk); // descending; the lower index first among equals
  best = where(chosen, best, 0);     // padding lanes count nothing
  store(weights(t, k), cast(best / sum(best), weights.dtype()), chosen);
  store(experts(t, k), cast(at, experts.dtype()), chosen);
}
// [end]

// [launch]
Tensor scaled(const Tensor &x, float factor) {
  static const auto run = jit(scale, {.num_warps = 4});
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  run(x.device(), ScaleSpec{.block = 256}, x, y, factor); // on the device's default stream
  return y;
}
// [end]

namespace {

/// Each test runs on the reference interpreter and on the checked simulated GPU.
Device device;
class DslTutorial : public testing::TestWithParam<Device> {
protected:
  void SetUp() override {
    set_sim_checked(true);
    device = GetParam();
  }
};
INSTANTIATE_TEST_SUITE_P(On, DslTutorial, testing::Values(Device::interp(), Device::sim()), [](const auto &info) { return info.param.name(); });

/// values(i) for i in 0..count, as a tensor.
template <class F> Tensor make(const Dims &shape, DType dtype, F values) {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  std::vector<double> v;
  for (int64_t i = 0; i < n; ++i) v.push_back(values(i));
  return Tensor::from_values(v, shape, dtype, device);
}
Tensor empty(const Dims &shape, DType dtype) { return make(shape, dtype, [](int64_t) { return -77; }); }

TEST_P(DslTutorial, Scale) {
  auto y = scaled(make({1000}, bf16, [](int64_t i) { return i % 100; }), 2).to_values();
  for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(y[i], 2.0 * static_cast<double>(i % 100));
}

TEST_P(DslTutorial, Dtypes) {
  Tensor y = empty({64}, f64);
  jit(dtypes)(device, NoSpec{}, make({64}, bf16, [](int64_t i) { return i == 0 ? 3.5 : 0; }), y, 64);
  // b = 1 everywhere but at 0, where it is 8: c * scale = 71/64 and 8 * 71/64, read as bits
  auto bits = [](float v) { return std::bit_cast<int32_t>(v) + 0.5; };
  EXPECT_EQ(y.to_values()[1], bits(71.0f / 64));
  EXPECT_EQ(y.to_values()[0], bits(8 * (71.0f / 64)));
}

TEST_P(DslTutorial, MaxOfHalves) {
  Tensor y = empty({3, 100}, f32);
  jit(max_of_halves)(device, ScaleSpec{.block = 64}, make({3, 200}, f32, [](int64_t i) { return i * 7 % 31; }), y);
  auto v = y.to_values();
  for (int t = 0; t < 3; ++t)
    for (int c = 0; c < 100; ++c) EXPECT_EQ(v[static_cast<size_t>(t * 100 + c)], std::max((t * 200 + c) * 7 % 31, (t * 200 + 100 + c) * 7 % 31));
}

TEST_P(DslTutorial, Transpose) {
  Tensor y = empty({70, 90}, f16);
  jit(transpose)(device, NoSpec{}, make({90, 70}, f16, [](int64_t i) { return i % 1000; }), y);
  auto v = y.to_values();
  for (int r = 0; r < 90; ++r)
    for (int c = 0; c < 70; ++c) EXPECT_EQ(v[static_cast<size_t>(c * 90 + r)], (r * 70 + c) % 1000);
}

TEST_P(DslTutorial, Gather) {
  const double rows[] = {2, -1, 0};
  Tensor y = empty({3, 40}, f32);
  jit(gather)(device, ScaleSpec{.block = 32}, make({4, 40}, f32, [](int64_t i) { return i; }), make({3}, i64, [&](int64_t i) { return rows[i]; }), y);
  auto v = y.to_values();
  for (int r = 0; r < 3; ++r)
    for (int c = 0; c < 40; ++c) EXPECT_EQ(v[static_cast<size_t>(r * 40 + c)], rows[r] < 0 ? 0 : rows[r] * 40 + c);
}

TEST_P(DslTutorial, Lanes) {
  Tensor counts = empty({2, 60}, i32);
  jit(count_row)(device, TopkSpec{}, make({2, 6}, i32, [](int64_t i) { return i < 6 ? 59 : i; }), counts);
  auto v = counts.to_values();
  EXPECT_EQ(v[59], 6);
  EXPECT_EQ(v[0], 0);
  for (int e = 0; e < 60; ++e) EXPECT_EQ(v[static_cast<size_t>(60 + e)], e >= 6 && e < 12);
}

TEST_P(DslTutorial, Softmax) {
  Tensor y = empty({2, 50}, f32);
  jit(softmax)(device, ScaleSpec{.block = 64}, make({2, 50}, f32, [](int64_t i) { return i % 50 * 0.1; }), y);
  auto v = y.to_values();
  double sum = 0, total = 0;
  for (int i = 0; i < 50; ++i) sum += std::exp(i * 0.1);
  for (size_t i = 0; i < 50; ++i) {
    EXPECT_NEAR(v[i], std::exp(static_cast<double>(i) * 0.1) / sum, 1e-6);
    total += v[50 + i];
  }
  EXPECT_NEAR(total, 1, 1e-5);
}

TEST_P(DslTutorial, Moments) {
  Tensor mean = empty({2}, f32), variance = empty({2}, f32);
  jit(moments)(device, ScaleSpec{.block = 64}, make({2, 64}, f32, [](int64_t i) { return i; }), mean, variance);
  EXPECT_NEAR(mean.to_values()[1], 95.5, 1e-4);
  EXPECT_NEAR(variance.to_values()[1], (64.0 * 64 - 1) / 12, 1e-2);
}

TEST_P(DslTutorial, RowSum) {
  Tensor y = empty({2}, f32);
  jit(row_sum)(device, ScaleSpec{.block = 32}, make({2, 100}, bf16, [](int64_t i) { return i % 100; }), y);
  EXPECT_THAT(y.to_values(), testing::Each(4950));
}

TEST_P(DslTutorial, Collatz) {
  const double x[] = {1, 2, 3, 27};
  Tensor steps = empty({4}, i32);
  jit(collatz)(device, NoSpec{}, make({4}, i32, [&](int64_t i) { return x[i]; }), steps, 1000);
  EXPECT_THAT(steps.to_values(), testing::ElementsAre(0, 1, 7, 111));
}

TEST_P(DslTutorial, Polynomial) {
  Tensor y = empty({4}, f32);
  jit(polynomial)(device, PolynomialSpec{}, make({4}, f32, [](int64_t i) { return i; }), y);
  EXPECT_THAT(y.to_values(), testing::ElementsAre(1, 2.75, 7, 15.25));
}

TEST_P(DslTutorial, HistogramOfBytes) {
  Tensor counts = make({256}, i32, [](int64_t) { return 0; });
  jit(histogram_of_bytes)(device, NoSpec{}, make({3000}, u8, [](int64_t i) { return i % 250; }), counts, 3000);
  auto v = counts.to_values();
  for (size_t b = 0; b < 256; ++b) EXPECT_EQ(v[b], b < 250 ? 12 : 0);
}

TEST_P(DslTutorial, Matmul) {
  Tensor c = empty({40, 70}, f32);
  jit(matmul)(device, MatmulSpec{}, make({40, 50}, bf16, [](int64_t i) { return i % 5 - 2; }), make({70, 50}, bf16, [](int64_t i) { return i % 3; }), c);
  auto v = c.to_values();
  for (int m = 0; m < 40; ++m)
    for (int n = 0; n < 70; ++n) {
      double sum = 0;
      for (int k = 0; k < 50; ++k) sum += ((m * 50 + k) % 5 - 2) * ((n * 50 + k) % 3);
      EXPECT_EQ(v[static_cast<size_t>(m * 70 + n)], sum);
    }
}

TEST_P(DslTutorial, Route) {
  Tensor weights = empty({2, 6}, f32), experts = empty({2, 6}, i64);
  jit(route)(device, TopkSpec{}, make({2, 60}, f32, [](int64_t i) { return i * 17 % 60 * 0.1; }), weights, experts);
  auto w = weights.to_values(), e = experts.to_values();
  for (size_t t = 0; t < 2; ++t) {
    double sum = 0, total = 0;
    for (int k = 0; k < 6; ++k) sum += std::exp((59 - k) * 0.1);
    for (size_t k = 0; k < 6; ++k) {
      EXPECT_EQ(static_cast<int>(e[t * 6 + k]) * 17 % 60, 59 - static_cast<int>(k));
      EXPECT_NEAR(w[t * 6 + k], std::exp((59 - static_cast<double>(k)) * 0.1) / sum, 1e-6);
      total += w[t * 6 + k];
    }
    EXPECT_NEAR(total, 1, 1e-5);
  }
}

} // namespace
