// Grouped products with all that is fused into them against a plain f64 host reference.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/moe.h"
#include "kernels/registry.h"
#include "random_data.h"
#include "runtime/error.h"
#include "runtime/jit.h"

namespace moec {
namespace {

class GroupedMmOn : public testing::TestWithParam<Device> {
protected:
  void SetUp() override { set_sim_checked(true); }
  Stream stream{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Devices, GroupedMmOn, testing::Values(Device::interp(), Device::sim()),
                         [](const auto &i) { return i.param.name(); });

size_t at(int64_t i) { return static_cast<size_t>(i); }
std::vector<double> values(const Tensor &t) { return t.defined() ? t.to_values() : std::vector<double>(); }
double rounded(double v, DType t) { return Tensor::from_values(std::vector<double>{v}, {1}, t).to_values()[0]; }

/// Expert of each row, -1 after the last group.
std::vector<int> experts_of(const Tensor &offs, bool sizes, int64_t rows) {
  std::vector<int> e(at(rows), -1);
  int64_t r = 0, end = 0;
  auto v = values(offs);
  for (size_t i = 0; i < v.size(); ++i) {
    end = static_cast<int64_t>(v[i]) + (sizes ? end : 0);
    for (; r < end; ++r) e[at(r)] = static_cast<int>(i);
  }
  return e;
}

double activation(const Activation &a, double gate, double up) {
  if (a.limit) gate = std::min(gate, *a.limit), up = std::clamp(up, -*a.limit, *a.limit);
  double f = a.gate == Gate::silu ? gate / (1 + std::exp(-a.alpha * gate))
             : a.gate == Gate::relu2
                 ? std::pow(std::max(gate, 0.0), 2)
                 : 0.5 * gate * (1 + std::tanh(0.7978845608028654 * (gate + 0.044715 * std::pow(gate, 3))));
  return a.gated ? f * (up + a.linear_offset) : f;
}

/// What the options say, in f64. `c`: what c held before.
struct Reference {
  std::vector<double> c, kept;
};
class Model {
public:
  Model(const Tensor &a, const Tensor &b, const Tensor &offs, const GroupedMmOptions &o)
      : o(o), A(values(a)), B(values(b)), gather(values(o.gather)), scatter(values(o.scatter)), bias(values(o.bias)),
        bias_weights(values(o.bias_weights)), weights(values(o.row_weights)), scale_a(values(o.scale_a)),
        scale_b(values(o.scale_b)), rows(o.gather.defined() ? o.gather.size(0) : a.size(0)), K(a.size(1)),
        U(b.size(o.transposed ? 1 : 2)), N(o.activation && o.activation->gated ? U / 2 : U),
        expert(experts_of(offs, o.sizes, rows)) {}

  /// `rounded`: what a kernel kept before the activation, which takes these values then.
  Reference run(std::vector<double> c, DType dtype, const std::vector<double> &rounded) const {
    Reference ref{std::move(c), std::vector<double>(at(rows * U))};
    for (int64_t r = 0; r < rows; ++r) {
      const int e = expert[at(r)];
      const auto to = scatter.empty() ? r : static_cast<int64_t>(scatter[at(r)]);
      for (int64_t n = 0; n < U && e >= 0; ++n) ref.kept[at(r * U + n)] = before(r, e, n);
      for (int64_t n = 0; n < N && to >= 0; ++n) {
        double &out = ref.c[at(to * N + n)];
        if (e < 0) out = o.accumulate.defined() ? out : 0;
        if (e >= 0)
          out = (o.accumulate.defined() ? out : 0) + after(rounded.empty() ? ref.kept : rounded, r, to, n, dtype);
      }
    }
    return ref;
  }
  int64_t N_() const { return N; }

private:
  double scale(const std::vector<double> &s, const Tensor &t, int64_t row, int64_t k) const {
    if (s.empty()) return 1;
    const int64_t blocks = t.size(-1);
    return s[at(row * blocks + (blocks == 1 ? 0 : k / 128))];
  }
  double scale_of_b(int e, int64_t n, int64_t k) const {
    if (scale_b.empty()) return 1;
    if (o.scale_b.rank() == 2) return scale_b[at(e * U + n)];
    const int64_t columns = o.scale_b.size(1), col = columns == U ? n : n / 128;
    return scale_b[at((e * columns + col) * o.scale_b.size(2) + k / 128)];
  }
  double before(int64_t r, int e, int64_t n) const {
    const int64_t from = gather.empty() ? r : gather[at(r)] < 0 ? -1 : static_cast<int64_t>(gather[at(r)]) / o.divide;
    double sum = 0;
    for (int64_t k = 0; k < K && from >= 0; ++k)
      sum += A[at(from * K + k)] * B[at(o.transposed ? (e * U + n) * K + k : (e * K + k) * U + n)] *
             scale(scale_a, o.scale_a, from, k) * scale_of_b(e, n, k);
    if (!bias.empty()) sum += bias[at(e * U + n)] * (bias_weights.empty() ? 1 : bias_weights[at(r)]);
    return sum;
  }
  double after(const std::vector<double> &kept, int64_t r, int64_t to, int64_t n, DType dtype) const {
    const double *x = &kept[at(r * U)];
    double v = x[n];
    if (o.activation) {
      const Activation &a = *o.activation;
      v = !a.gated        ? activation(a, x[n], 0)
          : a.interleaved ? activation(a, x[2 * n], x[2 * n + 1])
                          : activation(a, x[n], x[N + n]);
    }
    if (weights.empty()) return v;
    double w = weights[at(o.weights_by_slot ? to : r)];
    return o.round_before_weights ? rounded(v, dtype) * rounded(w, dtype) : v * w;
  }

  const GroupedMmOptions &o;
  std::vector<double> A, B, gather, scatter, bias, bias_weights, weights, scale_a, scale_b;
  int64_t rows, K, U, N;
  std::vector<int> expert;
};

double epsilon(DType t) { return t == bf16 ? 0x1p-8 : t == f16 ? 0x1p-10 : t == f32 ? 2e-5 : 1e-12; }

void expect_close(const std::vector<double> &got, const std::vector<double> &want, double tolerance, const char *what) {
  ASSERT_EQ(got.size(), want.size());
  double largest = 0;
  for (double v : want) largest = std::max(largest, std::abs(v));
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_LE(std::abs(got[i] - want[i]), tolerance * (std::abs(want[i]) + 0.05 * largest))
        << what << " " << i << ": " << got[i] << " not " << want[i];
}

/// Runs the product and compares it with the model; every defined row is compared.
void check_against_model(const Stream &stream, const Tensor &a, const Tensor &b, const Tensor &offs,
                         GroupedMmOptions o) {
  o.zero_tail = true;
  Model model(a, b, offs, o);
  const DType dtype =
      o.accumulate.defined() ? o.accumulate.dtype() : o.dtype.value_or(a.dtype() == e4m3 ? bf16 : a.dtype());
  const int64_t rows = o.gather.defined() ? o.gather.size(0) : a.size(0);
  std::vector<double> before =
      o.accumulate.defined() ? values(o.accumulate) : std::vector<double>(at(rows * model.N_()));
  Tensor c = grouped_mm(stream, a, b, offs, o);
  Reference want = model.run(before, dtype, values(o.pre_activation));
  ASSERT_EQ(c.dtype(), dtype);
  std::vector<double> got = values(c), untouched(at(c.size(0)), 1);
  for (double to : values(o.scatter))
    if (to >= 0) untouched[at(static_cast<int64_t>(to))] = 0;
  if (o.scatter.defined() && !o.accumulate.defined()) // rows that nothing goes to are not defined
    for (int64_t i = 0; i < c.numel(); ++i)
      if (untouched[at(i / model.N_())] != 0) got[at(i)] = want.c[at(i)] = 0;
  expect_close(got, want.c, epsilon(dtype), "c");
  if (!o.pre_activation.defined()) return;
  std::vector<double> kept = values(o.pre_activation);
  auto expert = experts_of(offs, o.sizes, rows);
  for (size_t i = 0; i < kept.size(); ++i)
    if (expert[i / (kept.size() / at(rows))] < 0) kept[i] = want.kept[i] = 0;
  expect_close(kept, want.kept, epsilon(dtype), "pre_activation");
}

/// The numbers 0..n-1 in random order, as slots.
Tensor shuffled(int64_t n, DType t) {
  std::vector<double> v(at(n));
  std::iota(v.begin(), v.end(), 0);
  std::ranges::shuffle(v, engine());
  return Tensor::from_values(v, {n}, t);
}
Tensor ints(const std::vector<int32_t> &v) { return Tensor::from(v, {static_cast<int64_t>(v.size())}); }
Tensor weights_of(int64_t rows, DType t = f32) { return random_floats({rows}, t); }
Tensor sizes_of(const Tensor &offs, DType t) {
  auto v = values(offs);
  for (size_t i = v.size(); i-- > 1;) v[i] -= v[i - 1];
  return Tensor::from_values(v, offs.shape(), t);
}

/// Sums as the op defines them for f32 and f64: one fma after the other.
double exact(DType t, double x, double y, double sum) {
  return t == f32 ? std::fmaf(static_cast<float>(x), static_cast<float>(y), static_cast<float>(sum))
                  : std::fma(x, y, sum);
}

TEST_P(GroupedMmOn, ExactOrder) {
  struct {
    int64_t m, n, k;
    int experts;
  } shapes[] = {{19, 47, 33, 4}, {1, 1, 1, 1}, {70, 64, 16, 3}, {40, 130, 65, 9}, {0, 8, 8, 2}};
  for (auto &s : shapes)
    for (DType t : {f32, f64})
      for (bool transposed : {false, true}) {
        SCOPED_TRACE(std::string(name(t)) + " m=" + std::to_string(s.m) + " n=" + std::to_string(s.n) +
                     (transposed ? " ENK" : " EKN"));
        Tensor a = random_floats({s.m, s.k}, t), offs = random_offs(s.experts, s.m);
        Tensor b = random_floats(transposed ? Dims{s.experts, s.n, s.k} : Dims{s.experts, s.k, s.n}, t);
        auto c = values(grouped_mm(stream, a, b, offs, {.transposed = transposed, .zero_tail = true})), A = values(a),
             B = values(b);
        auto expert = experts_of(offs, false, s.m);
        for (int64_t r = 0; r < s.m; ++r)
          for (int64_t n = 0; n < s.n; ++n) {
            double sum = 0;
            const int64_t e = expert[at(r)];
            for (int64_t k = 0; k < s.k && e >= 0; ++k)
              sum = exact(t, A[at(r * s.k + k)], B[at(transposed ? (e * s.n + n) * s.k + k : (e * s.k + k) * s.n + n)],
                          sum);
            ASSERT_EQ(c[at(r * s.n + n)], sum) << r << " " << n;
          }
      }
}

TEST_P(GroupedMmOn, HalfPrecision) {
  struct {
    int64_t m, n, k;
    int experts;
  } shapes[] = {{19, 47, 33, 4}, {1, 1, 1, 1}, {70, 64, 128, 3}, {40, 130, 65, 9}};
  for (auto &s : shapes)
    for (DType t : {bf16, f16}) {
      const bool transposed = t == bf16;
      SCOPED_TRACE(std::string(name(t)) + " m=" + std::to_string(s.m) + " n=" + std::to_string(s.n));
      Tensor b = random_floats(transposed ? Dims{s.experts, s.n, s.k} : Dims{s.experts, s.k, s.n}, t);
      check_against_model(stream, random_floats({s.m, s.k}, t), b, random_offs(s.experts, s.m),
                          {.transposed = transposed});
    }
}

constexpr int64_t kRows = 40, kK = 24, kU = 48, kTokens = 20;
constexpr int kExperts = 5;

TEST_P(GroupedMmOn, FusedForms) {
  Tensor offs = random_offs(kExperts, kRows), slots = shuffled(kRows, i64),
         some = random_ints({kRows}, i32, -1, 2 * kTokens - 1);
  Tensor dropped = shuffled(kRows, i32);
  dropped.data_as<int32_t>()[3] = -1;
  auto floats = [](Dims shape, DType t) { return random_floats(shape, t); };
  struct {
    const char *name;
    DType dtype;
    GroupedMmOptions options;
  } forms[] = {
      {"sizes i32, f32 result", bf16, {.sizes = true, .dtype = f32}},
      {"gather, divided", bf16, {.gather = some, .divide = 2}},
      {"gather, transposed", f32, {.transposed = true, .gather = slots, .divide = 2}},
      {"scatter", f16, {.scatter = dropped}},
      {"scatter, slots' weights, rounded twice",
       bf16,
       {.scatter = slots,
        .row_weights = weights_of(kRows, f16),
        .weights_by_slot = true,
        .round_before_weights = true}},
      {"bias and weights", bf16, {.bias = floats({kExperts, kU}, bf16), .row_weights = weights_of(kRows)}},
      {"weighted bias", f64, {.bias = floats({kExperts, kU}, f64), .bias_weights = weights_of(kRows, f64)}},
      {"swiglu, kept",
       bf16,
       {.bias = floats({kExperts, kU}, f32),
        .pre_activation = Tensor::empty({kRows, kU}, bf16),
        .activation = Activation::swiglu(),
        .row_weights = weights_of(kRows)}},
      {"clamped, gathered, transposed",
       f16,
       {.transposed = true, .gather = some, .divide = 2, .activation = Activation::swiglu_oai(1.702, 1.5)}},
      {"interleaved, kept",
       bf16,
       {.bias = floats({kExperts, kU}, bf16),
        .pre_activation = Tensor::empty({kRows, kU}, bf16),
        .activation = Activation::quick_geglu_interleaved()}},
      {"relu2", f32, {.pre_activation = Tensor::empty({kRows, kU}, f32), .activation = Activation::relu2()}},
      {"geglu", f64, {.activation = Activation::geglu(), .row_weights = weights_of(kRows, f64)}},
      {"accumulate in f32", bf16, {.accumulate = floats({kRows, kU}, f32)}},
      {"accumulate, scattered",
       f32,
       {.scatter = dropped, .row_weights = weights_of(kRows), .accumulate = floats({kRows, kU}, f32)}},
  };
  for (auto &form : forms) {
    SCOPED_TRACE(form.name);
    const bool divided = form.options.divide == 2;
    Tensor a = floats({divided ? kTokens : kRows, kK}, form.dtype);
    Tensor b = floats(form.options.transposed ? Dims{kExperts, kU, kK} : Dims{kExperts, kK, kU}, form.dtype);
    check_against_model(stream, a, b, form.options.sizes ? sizes_of(offs, i32) : offs, form.options);
    if (HasFatalFailure()) return;
  }
}

// A layer with biases has the bits of its steps done one by one, which is how bf16 references were made.
TEST_P(GroupedMmOn, BiasOfTheRoundedProduct) {
  Tensor offs = random_offs(kExperts, kRows), weights = weights_of(kRows).to(stream.device());
  offs.data_as<int32_t>()[kExperts - 1] = kRows; // apply_bias takes no rows without an expert
  for (DType t : {bf16, f16, f32}) {
    SCOPED_TRACE(name(t));
    auto floats = [&](Dims shape) { return random_floats(shape, t).to(stream.device()); };
    Tensor a = floats({kRows, kK}), b = floats({kExperts, kK, kU}), bias = floats({kExperts, kU});
    Tensor counts = sizes_of(offs, i64).to(stream.device()), ends = offs.to(stream.device());
    auto product = [&](GroupedMmOptions o) { return grouped_mm(stream, a, b, ends, o); };
    Tensor plain = product({.zero_tail = true});
    for (bool weighted : {false, true}) {
      Tensor w = weighted ? weights : Tensor();
      Tensor steps = apply_bias(stream, plain, bias, counts, w.defined() ? w.reshape({kRows, 1}) : w);
      Tensor fused = product({.zero_tail = true, .bias = bias, .round_before_bias = true, .bias_weights = w});
      Tensor once = product({.zero_tail = true, .bias = bias, .bias_weights = w});
      stream.synchronize();
      const double ulp = t == f32 ? 2e-6 : 0;
      expect_close(fused.to_values(), steps.to_values(), ulp, "fused");
      EXPECT_EQ(fused.to_bytes() == once.to_bytes(), t == f32);
    }
  }
}

TEST_P(GroupedMmOn, Fp8) {
  const int64_t rows = 37, K = 300, U = 200, tokens = 19, blocks = 3;
  auto scales = [](Dims shape) { return random_floats(shape, f32); };
  struct {
    const char *name;
    GroupedMmOptions options;
  } forms[] = {
      {"no scales", {}},
      {"rows and columns", {.scale_a = scales({rows, 1}), .scale_b = scales({kExperts, U}), .dtype = f32}},
      {"blocks", {.transposed = true, .scale_a = scales({rows, blocks}), .scale_b = scales({kExperts, 2, blocks})}},
      {"blocks of columns, gathered, swiglu",
       {.transposed = true,
        .gather = random_ints({rows}, i32, 0, 2 * tokens - 1),
        .divide = 2,
        .scale_a = scales({tokens, blocks}),
        .scale_b = scales({kExperts, U, blocks}),
        .activation = Activation::swiglu(),
        .dtype = f32}},
      {"square blocks, swiglu",
       {.scale_a = scales({rows, 1}),
        .scale_b = scales({kExperts, 2, blocks}),
        .activation = Activation::swiglu(),
        .dtype = f32}},
  };
  for (auto &form : forms) {
    SCOPED_TRACE(form.name);
    Tensor a = random_floats({form.options.gather.defined() ? tokens : rows, K}, e4m3, 4);
    Tensor b = random_floats(form.options.transposed ? Dims{kExperts, U, K} : Dims{kExperts, K, U}, e4m3, 4);
    check_against_model(stream, a, b, random_offs(kExperts, rows), form.options);
    if (HasFatalFailure()) return;
  }
}

/// sum over rows of a[r, k] * grad[r, n], in exact order.
void check_backward_b(const Stream &stream, DType t, const GroupedMmOptions &o, bool is_exact) {
  const int64_t m = 30, n = 35, k = 20, experts = 5, tokens = 15;
  Tensor a = random_floats({o.divide == 2 ? tokens : m, k}, t), grad = random_floats({m, n}, t);
  Tensor offs = random_offs(experts, m);
  if (o.sizes) offs = sizes_of(offs, i64);
  auto G = values(grad), A = values(a), from = values(o.gather), to = values(o.scatter), before = values(o.accumulate);
  auto g = values(grouped_mm_backward_b(stream, a, grad, offs, o));
  auto expert = experts_of(offs, o.sizes, m);
  std::vector<double> want(g.size());
  for (int64_t e = 0; e < experts; ++e)
    for (int64_t i = 0; i < k; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t r = 0; r < m; ++r) {
          if (expert[at(r)] != e || (!from.empty() && from[at(r)] < 0)) continue;
          const int64_t ra = from.empty() ? r : static_cast<int64_t>(from[at(r)]) / o.divide,
                        rg = to.empty() ? r : static_cast<int64_t>(to[at(r)]);
          sum = exact(t, A[at(ra * k + i)], G[at(rg * n + j)], sum);
        }
        const size_t place = at(o.transposed ? (e * n + j) * k + i : (e * k + i) * n + j);
        want[place] = before.empty() ? sum : before[place] + sum;
      }
  if (is_exact)
    EXPECT_EQ(g, want);
  else
    expect_close(g, want, epsilon(o.accumulate.defined() ? o.accumulate.dtype() : t), "grad_b");
}

TEST_P(GroupedMmOn, BackwardOfMatrices) {
  check_backward_b(stream, f64, {}, true);
  check_backward_b(stream, f64, {.transposed = true, .sizes = true}, true);
  check_backward_b(stream, bf16, {.accumulate = random_floats({5, 20, 35}, f32)}, false);
  check_backward_b(stream, bf16, {.gather = random_ints({30}, i32, -1, 29), .divide = 2}, false);
  check_backward_b(stream, f32, {.transposed = true, .scatter = shuffled(30, i64)}, true);
}

// d/dx of sum(c * weight) by central differences, in f64, through gather, weights and both gradients.
TEST_P(GroupedMmOn, GradientsByDifferences) {
  const int64_t tokens = 6, topk = 2, rows = tokens * topk, k = 5, n = 7;
  const int experts = 3;
  Tensor x = random_floats({tokens, k}, f64), b = random_floats({experts, k, n}, f64), slots = shuffled(rows, i32);
  Tensor offs = Tensor::from(std::vector<int32_t>{4, 4, 11}, {3}), g = random_floats({rows, n}, f64);
  GroupedMmOptions forward{.zero_tail = true, .gather = slots, .divide = static_cast<int>(topk)};
  auto loss = [&] {
    auto c = values(grouped_mm(stream, x, b, offs, forward)), w = values(g);
    double sum = 0;
    for (size_t i = 0; i < c.size(); ++i) sum += c[i] * w[i];
    return sum;
  };
  Tensor by_slot = grouped_mm(stream, g, b, offs, {.transposed = true, .zero_tail = true, .scatter = slots});
  std::vector<double> dx(at(tokens * k)), v = values(by_slot);
  for (int64_t i = 0; i < rows * k; ++i) dx[at(i / (topk * k) * k + i % k)] += v[at(i)];
  auto db = values(grouped_mm_backward_b(stream, x, g, offs, forward));
  auto check = [&](Tensor &t, const std::vector<double> &gradient) {
    double *p = t.data_as<double>();
    for (size_t i = 0; i < gradient.size(); ++i) {
      const double old = p[i], h = 1e-3;
      p[i] = old + h;
      const double up = loss();
      p[i] = old - h;
      const double down = loss();
      p[i] = old;
      ASSERT_NEAR(gradient[i], (up - down) / (2 * h), 1e-6 * (1 + std::abs(gradient[i]))) << i;
    }
  };
  check(x, dx);
  check(b, db);
}

// A row's result does not depend on the rows beside it, their number, or where the batch lies in memory.
TEST_P(GroupedMmOn, SlicesOfTheBatch) {
  const int64_t rows = 45, k = 40, n = 24;
  Tensor a = random_floats({rows, k}, bf16), b = random_floats({2, k, n}, bf16);
  auto offs = [](int32_t first, int64_t all) {
    return Tensor::from(std::vector<int32_t>{first, static_cast<int32_t>(all)}, {2});
  };
  Tensor whole = grouped_mm(stream, a, b, offs(17, rows));
  for (int64_t begin : {1, 7, 16})
    for (int64_t end : {18, 33, 44})
      EXPECT_EQ(
          grouped_mm(stream, a.slice(0, begin, end), b, offs(static_cast<int32_t>(17 - begin), end - begin)).to_bytes(),
          whole.slice(0, begin, end).to_bytes());
}

// The same for all that is fused, with rows that are gathered and scales that change along K.
TEST_P(GroupedMmOn, SlicesOfTheFusedBatch) {
  const int64_t tokens = 30, rows = 40, k = 200, u = 48;
  Tensor a = random_floats({tokens, k}, e4m3, 4), b = random_floats({2, u, k}, e4m3, 4);
  Tensor gather = random_ints({rows}, i32, 0, 2 * tokens - 1), weights = weights_of(rows);
  Tensor scale_a = random_floats({tokens, 2}, f32), scale_b = random_floats({2, 1, 2}, f32);
  auto product = [&](int64_t begin, int64_t end) {
    Tensor offs =
        Tensor::from(std::vector<int32_t>{static_cast<int32_t>(15 - begin), static_cast<int32_t>(end - begin)}, {2});
    return grouped_mm(stream, a, b, offs,
                      {.transposed = true,
                       .gather = gather.slice(0, begin, end),
                       .divide = 2,
                       .scale_a = scale_a,
                       .scale_b = scale_b,
                       .activation = Activation::swiglu(),
                       .row_weights = weights.slice(0, begin, end),
                       .dtype = f32});
  };
  Tensor whole = product(0, rows);
  for (int64_t begin : {1, 13})
    for (int64_t end : {16, 31}) EXPECT_EQ(product(begin, end).to_bytes(), whole.slice(0, begin, end).to_bytes());
}

// The registered op passes every option on.
TEST_P(GroupedMmOn, OpTakesOptions) {
  Tensor a = random_floats({kTokens, kK}, bf16), b = random_floats({kExperts, kU, kK}, bf16);
  Tensor offs = random_offs(kExperts, kRows), slots = shuffled(kRows, i64);
  GroupedMmOptions o{
      .transposed = true, .sizes = true, .zero_tail = true, .gather = slots, .divide = 2, .scatter = slots};
  o.bias = random_floats({kExperts, kU}, bf16), o.bias_weights = weights_of(kRows);
  o.activation = Activation::swiglu_oai(1.5, 2), o.row_weights = weights_of(kRows);
  o.weights_by_slot = o.round_before_weights = true;
  NamedTensors in{
      {"a", a},           {"b", b},         {"offs", sizes_of(offs, i64)},    {"gather", slots},
      {"scatter", slots}, {"bias", o.bias}, {"bias_weights", o.bias_weights}, {"row_weights", o.row_weights}};
  Settings settings{{"b_layout", "[E,N,K]"},
                    {"sizes", "true"},
                    {"divide", "2"},
                    {"expert_activation", "swigluoai"},
                    {"activation_alpha", "1.5"},
                    {"activation_limit", "2"},
                    {"weights_by_slot", "true"},
                    {"round_before_weights", "true"}};
  auto run = [&](const NamedTensors &given) {
    OpCall call(op_at("grouped_mm"), stream, given, settings);
    call.run();
    return call.outputs().at("output");
  };
  EXPECT_EQ(run(in).to_bytes(), grouped_mm(stream, a, b, in["offs"], o).to_bytes());
  Tensor before = random_floats({kRows, kU / 2}, f32);
  in["accumulate"] = before;
  const std::vector<double> kept = values(before), sums = values(run(in));
  EXPECT_EQ(values(before), kept); // the op leaves its inputs alone
  o.accumulate = before;
  EXPECT_EQ(values(grouped_mm(stream, a, b, in["offs"], o)), sums);
  in["grad_output"] = random_floats({kRows, kU}, bf16);
  EXPECT_THROW(run(in), UserError);
}

// x of any rank is viewed as rows; its gradient has its shape.
TEST_P(GroupedMmOn, UnslothViewsTokensAsRows) {
  Tensor x = random_floats({2, 3, 8}, f32), w = random_floats({2, 10, 8}, f32), sizes = ints({5, 7});
  Tensor slots = shuffled(12, i64), rows = x.reshape({6, 8}), grad = random_floats({12, 10}, f32);
  UnslothGemmOptions o{.topk = 2, .gather_indices = slots, .permute_x = true};
  EXPECT_EQ(unsloth_grouped_gemm(stream, x, w, sizes, o).to_bytes(),
            unsloth_grouped_gemm(stream, rows, w.reshape({20, 8}), sizes, o).to_bytes());
  UnslothGemmGrads g = unsloth_grouped_gemm_backward(stream, grad, x, w, sizes, o);
  UnslothGemmGrads h = unsloth_grouped_gemm_backward(stream, grad, rows, w.reshape({20, 8}), sizes, o);
  EXPECT_EQ(g.x.shape(), x.shape());
  EXPECT_EQ(h.w.shape(), (Dims{20, 8}));
  EXPECT_EQ(g.x.to_bytes(), h.x.to_bytes());
  EXPECT_EQ(g.w.to_bytes(), h.w.to_bytes());
  EXPECT_EQ(torch_grouped_gemm(stream, x, w, ints({2, 3})).to_bytes(),
            torch_grouped_gemm(stream, rows, w, ints({2, 3})).to_bytes());
  UnslothGemmOptions second{.topk = 2, .gather_indices = slots, .permute_y = true, .fuse_mul_post = true};
  second.is_first_gemm = false, second.topk_weights = weights_of(12);
  Tensor y = unsloth_grouped_gemm(stream, h.x_rows, w, sizes, second);
  second.topk_weights = second.topk_weights.reshape({6, 2});
  EXPECT_EQ(unsloth_grouped_gemm(stream, h.x_rows, w, sizes, second).to_bytes(), y.to_bytes());
}

TEST_P(GroupedMmOn, StridedOperands) {
  Tensor wide = random_floats({10, 64}, bf16), a = wide.slice(1, 5, 38),
         b = random_floats({2, 40, 33}, bf16).transpose(1, 2);
  Tensor offs = Tensor::from(std::vector<int32_t>{4, 10}, {2});
  EXPECT_EQ(grouped_mm(stream, a, b, offs).to_bytes(),
            grouped_mm(stream, a.contiguous(), b.contiguous(), offs).to_bytes());
}

TEST_P(GroupedMmOn, NoRows) {
  Tensor x = Tensor::zeros({0, 16}, f32), none = Tensor::zeros({2}, i32), b = Tensor::zeros({2, 16, 8}, f32);
  EXPECT_EQ(grouped_mm(stream, x, b, none).shape(), (Dims{0, 8}));
  EXPECT_EQ(
      grouped_mm(stream, x, b, none, {.gather = Tensor::zeros({0}, i32), .activation = Activation::swiglu()}).shape(),
      (Dims{0, 4}));
  for (double v : values(grouped_mm_backward_b(stream, x, Tensor::zeros({0, 8}, f32), none))) ASSERT_EQ(v, 0);
}

} // namespace
} // namespace moec
