// Grouped products in f64 on the host, with all that is fused into them, and inputs for them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/grouped_mm.h"
#include "random_data.h"

namespace moec {

inline size_t at(int64_t i) { return static_cast<size_t>(i); }
inline std::vector<double> values(const Tensor &t) { return t.defined() ? t.to_values() : std::vector<double>(); }

/// Expert of each row, -1 after the last group.
inline std::vector<int> experts_of(const Tensor &offs, bool sizes, int64_t rows) {
  std::vector<int> e(at(rows), -1);
  int64_t r = 0, end = 0;
  auto v = values(offs);
  for (size_t i = 0; i < v.size(); ++i) {
    end = static_cast<int64_t>(v[i]) + (sizes ? end : 0);
    for (; r < end; ++r) e[at(r)] = static_cast<int>(i);
  }
  return e;
}

inline double activation(const Activation &a, double gate, double up) {
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

inline double epsilon(DType t) { return t == bf16 ? 0x1p-8 : t == f16 ? 0x1p-10 : t == f32 ? 2e-5 : 1e-12; }

inline void expect_close(const std::vector<double> &got, const std::vector<double> &want, double tolerance,
                         const char *what) {
  ASSERT_EQ(got.size(), want.size());
  double largest = 0;
  for (double v : want) largest = std::max(largest, std::abs(v));
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_LE(std::abs(got[i] - want[i]), tolerance * (std::abs(want[i]) + 0.05 * largest))
        << what << " " << i << ": " << got[i] << " not " << want[i];
}

/// Runs the product and compares it with the model; every defined row is compared.
inline void check_against_model(const Stream &stream, const Tensor &a, const Tensor &b, const Tensor &offs,
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
inline Tensor shuffled(int64_t n, DType t) {
  std::vector<double> v(at(n));
  std::iota(v.begin(), v.end(), 0);
  std::ranges::shuffle(v, engine());
  return Here::from_values(v, {n}, t);
}
inline Tensor ints(const std::vector<int32_t> &v) { return Here::from(v, {static_cast<int64_t>(v.size())}); }
inline Tensor weights_of(int64_t rows, DType t = f32) { return random_floats({rows}, t); }
inline Tensor sizes_of(const Tensor &offs, DType t) {
  auto v = values(offs);
  for (size_t i = v.size(); i-- > 1;) v[i] -= v[i - 1];
  return Here::from_values(v, offs.shape(), t);
}

/// Sums as the op defines them for f32 and f64: one fma after the other.
inline double exact(DType t, double x, double y, double sum) {
  return t == f32 ? std::fmaf(static_cast<float>(x), static_cast<float>(y), static_cast<float>(sum))
                  : std::fma(x, y, sum);
}

} // namespace moec
