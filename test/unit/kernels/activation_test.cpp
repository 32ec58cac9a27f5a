// Activations against formulas written out in f64, against central differences, and what the specification says of
// ranks, e4m3, bounds and NaN.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/moe.h"
#include "on_devices.h"
#include "random_data.h"
#include "replays.h"
#include "runtime/convert.h"
#include "runtime/error.h"
#include "runtime/jit.h"

namespace moec {
namespace {

using testing::HasSubstr;
using Values = std::vector<double>;

struct Named {
  const char *name;
  Activation activation;
};
const Named kActivations[] = {
    {"swiglu", Activation::swiglu()},
    {"geglu", Activation::geglu()},
    {"quick_geglu", Activation::quick_geglu(0.5)},
    {"quick_gelu", Activation::quick_gelu(1.3)},
    {"relu2", Activation::relu2()},
    {"swiglu_clamped", Activation::swiglu_clamped(1.5)},
    {"swiglu_oai", Activation::swiglu_oai(1.702, 2)},
    {"swiglu_oai_unclamped", Activation::swiglu_oai(1.2, 0)},
    {"quick_geglu_interleaved", Activation::quick_geglu_interleaved(1.702, 1.5, 0.25)},
};

double gate_function(const Activation &a, double x) {
  if (a.gate == Gate::silu) return x / (1 + std::exp(-a.alpha * x));
  if (a.gate == Gate::gelu_tanh) return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
  return x > 0 ? x * x : 0;
}
double gate_slope(const Activation &a, double x) {
  if (a.gate == Gate::silu) {
    double s = 1 / (1 + std::exp(-a.alpha * x));
    return s * (1 + a.alpha * x * (1 - s));
  }
  if (a.gate == Gate::gelu_tanh) {
    double t = std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.7978845608028654 * (1 + 3 * 0.044715 * x * x);
  }
  return x > 0 ? 2 * x : 0;
}

/// One problem: x [T, U] and what goes with it, as f64.
struct Problem {
  Problem(const Activation &a, int64_t rows, int64_t width, DType dtype, DType weight, bool weighted, Tensor given_bias)
      : activation(a), T(rows), H(width), U(a.input_width(width)), bias(std::move(given_bias)) {
    Values v = random_floats({T, U}, f64, 4).to_values();
    const double limit = a.limit.value_or(2);
    // Both bounds exactly, beyond them, zero, and far out.
    const double special[] = {limit, -limit, limit + 1, 0, 40, -40, 1e3, -1e3};
    for (size_t i = 0; i < v.size(); i += 5) v[i] = special[i / 5 % 8];
    x = Here::from_values(v, {T, U}, dtype);
    grad = random_floats({T, H}, dtype);
    if (weighted) weights = random_floats({T, 1}, weight);
  }
  Activation activation;
  int64_t T, H, U;
  Tensor x, grad, weights, bias;
};

struct Reference {
  Values y, x, weights, bias; ///< bias: the gradient before the clamp's, [T, U]
};
/// `rounded`: what the gradients take for the clamped x (nullptr: the clamped x).
Reference reference(const Problem &p, double (*rounded)(double) = nullptr) {
  const Activation &a = p.activation;
  Values x = p.x.to_values(), g = p.grad.to_values(), b(x.size()),
         w = p.weights.defined() ? p.weights.to_values() : Values(static_cast<size_t>(p.T), 1.0);
  if (p.bias.defined()) {
    Values given = p.bias.to_values();
    for (size_t i = 0; i < b.size(); ++i) b[i] = given[i % given.size()];
  }
  Reference r{Values(g.size()), Values(x.size()), Values(w.size()), Values(x.size())};
  const double limit = a.limit.value_or(INFINITY);
  for (int64_t t = 0; t < p.T; ++t)
    for (int64_t h = 0; h < p.H; ++h) {
      auto at = static_cast<size_t>(t * p.H + h), row = static_cast<size_t>(t * p.U);
      auto ig = row + static_cast<size_t>(a.interleaved ? 2 * h : h),
           iu = a.interleaved ? ig + 1 : ig + static_cast<size_t>(p.H);
      double gate = std::min(x[ig], limit), up = a.gated ? std::clamp(x[iu], -limit, limit) : 0;
      auto factor = [&](double v) { return a.gated ? v + b[iu] + a.linear_offset : 1; };
      const double weight = w[static_cast<size_t>(t)];
      r.y[at] = gate_function(a, gate + b[ig]) * factor(up) * weight;
      if (rounded) gate = rounded(gate), up = rounded(up);
      const double value = gate_function(a, gate + b[ig]);
      r.weights[static_cast<size_t>(t)] += value * factor(up) * g[at];
      r.bias[ig] = g[at] * weight * gate_slope(a, gate + b[ig]) * factor(up);
      r.x[ig] = x[ig] < limit ? r.bias[ig] : 0;
      if (!a.gated) continue;
      r.bias[iu] = g[at] * weight * value;
      r.x[iu] = std::abs(x[iu]) < limit ? r.bias[iu] : 0;
    }
  return r;
}

double tolerance(DType t) { return t == f64 ? 1e-12 : t == f32 ? 2e-5 : t == f16 ? 1e-3 : 8e-3; }
void expect_close(const Tensor &got, const Values &want, const char *what) {
  ASSERT_EQ(got.numel(), static_cast<int64_t>(want.size())) << what;
  TensorReport r = compare(what, got, Here::from_values(want, got.shape(), got.dtype()), tolerance(got.dtype()));
  EXPECT_EQ(r.status, CheckStatus::pass) << what << ": " << r.detail << ", error " << r.max_error;
}

class ActivationOn : public OnDevice {
protected:
  bool interp() const { return GetParam() == Device::interp(); }
};
MOEC_ON_DEVICES(ActivationOn, test_devices());

TEST_P(ActivationOn, ForwardAndBackward) {
  for (const Named &n : kActivations)
    for (DType t : {bf16, f64, f32, f16})
      for (bool weighted : {true, false}) {
        if (!interp() && (t == f32 || t == f16 || !weighted)) continue; // the interpreter compiles nothing
        SCOPED_TRACE(std::string(n.name) + " " + std::string(name(t)) + (weighted ? " weighted" : ""));
        Problem p(n.activation, 7, 41, t, t == f64 ? f64 : f32, weighted, {});
        Reference want = reference(p);
        expect_close(activate(stream, p.x, p.activation, p.weights), want.y, "y");
        ActivationGrads g = activate_backward(stream, p.grad, p.x, p.activation, p.weights);
        expect_close(g.x, want.x, "grad_x");
        EXPECT_EQ(g.weights.defined(), weighted);
        if (weighted) expect_close(g.weights, want.weights, "grad_weights");
      }
}

TEST_P(ActivationOn, Bias) {
  for (const Named &n : {kActivations[2], kActivations[3], kActivations[5], kActivations[8]})
    for (bool matrix : {false, true})
      for (DType t : {f32, bf16}) {
        if (!interp() && (t == bf16) == matrix) continue;
        SCOPED_TRACE(std::string(n.name) + " " + std::string(name(t)) + (matrix ? " [M, U]" : " [U]"));
        const int64_t rows = matrix ? 6 : 1100, U = n.activation.input_width(20); // three parts of a sum
        Problem p(n.activation, rows, 20, t, f32, true, matrix ? random_floats({rows, U}, t) : random_floats({U}, t));
        Reference want = reference(p);
        expect_close(activate(stream, p.x, p.activation, p.weights, p.bias), want.y, "y");
        ActivationGrads g = activate_backward(stream, p.grad, p.x, p.activation, p.weights, p.bias);
        expect_close(g.x, want.x, "grad_x");
        expect_close(g.weights, want.weights, "grad_weights");
        EXPECT_EQ(g.bias.shape(), p.bias.shape());
        Values sums(static_cast<size_t>(matrix ? rows * U : U));
        for (size_t i = 0; i < want.bias.size(); ++i) sums[i % sums.size()] += want.bias[i];
        expect_close(g.bias, sums, "grad_bias");
      }
}

// Rows of several blocks, that begin at sectors and inside of them.
TEST_P(ActivationOn, WideRows) {
  for (int64_t H : {2051, 2064, 4613}) { // 4613: with a bias, 37 parts of a weight's gradient
    SCOPED_TRACE(H);
    Problem p(Activation::geglu(), 3, H, bf16, f32, true, H == 4613 ? random_floats({2 * H}, bf16) : Tensor());
    Reference want = reference(p);
    expect_close(activate(stream, p.x, p.activation, p.weights, p.bias), want.y, "y");
    ActivationGrads g = activate_backward(stream, p.grad, p.x, p.activation, p.weights, p.bias);
    expect_close(g.x, want.x, "grad_x");
    expect_close(g.weights, want.weights, "grad_weights");
  }
}

double through_e4m3(double v) { return from_e4m3(to_e4m3(v)); }

// The bound and what is beyond it lose their gradient, what rounds to the bound does not.
TEST_P(ActivationOn, SavedInE4m3) {
  for (const Named &n : {kActivations[0], kActivations[4], kActivations[5], kActivations[8]})
    for (double limit : {1.5, 2.296875, 0.0}) {
      Activation a = n.activation;
      if (a.limit)
        a.limit = limit;
      else if (limit != 1.5)
        continue;
      if (!interp() && limit == 0) continue;
      SCOPED_TRACE(std::string(n.name) + " limit " + std::to_string(limit));
      Problem p(a, 9, 33, f32, f32, true, {});
      Values v = p.x.to_values();
      for (size_t i = 1; i < v.size(); i += 7) v[i] = (i % 2 ? 1 : -1) * (limit - 0.01); // rounds to the bound
      p.x = Here::from_values(v, p.x.shape(), f32);
      Reference want = reference(p, through_e4m3);
      ActivatedAndSaved f = activate_saving_e4m3(stream, p.x, a, p.weights);
      EXPECT_EQ(f.y.to_bytes(), activate(stream, p.x, a, p.weights).to_bytes());
      EXPECT_EQ(f.saved.dtype(), e4m3);
      EXPECT_EQ(f.saved.shape(), p.x.shape());
      ActivationGrads g = activate_backward(stream, p.grad, f.saved, a, p.weights);
      expect_close(g.x, want.x, "grad_x");
      expect_close(g.weights, want.weights, "grad_weights");
    }
}

// Each input is moved in f64; a row's outputs depend on its own elements only, so all rows move at once.
TEST_P(ActivationOn, GradientsAreCentralDifferences) {
  for (const Named &n : kActivations) {
    SCOPED_TRACE(n.name);
    const Activation &a = n.activation;
    const int64_t T = 5, H = 12, U = a.input_width(H);
    Values x = random_floats({T, U}, f64, 3).to_values();
    for (double &v : x)
      if (a.limit && std::abs(std::abs(v) - *a.limit) < 1e-3) v += 4e-3;
    Tensor grad = random_floats({T, H}, f64), w = random_floats({T, 1}, f64), b = random_floats({U}, f64, 0.5);
    auto loss = [&](const Values &at, const Values &bias) {
      Tensor y = activate(stream, Here::from_values(at, {T, U}, f64), a, w, Here::from_values(bias, {U}, f64));
      Values v = y.to_values(), g = grad.to_values();
      for (size_t i = 0; i < v.size(); ++i) v[i] *= g[i];
      return v;
    };
    ActivationGrads g = activate_backward(stream, grad, Here::from_values(x, {T, U}, f64), a, w, b);
    Values gx = g.x.to_values(), gb = g.bias.to_values(), bias = b.to_values();
    const double h = 1e-5;
    auto near = [](double got, double numeric) { EXPECT_NEAR(got, numeric, 1e-6 * std::max(std::abs(got), 1e-2)); };
    for (int64_t u = 0; u < U; ++u) {
      Values plus = x, minus = x, bias_plus = bias, bias_minus = bias;
      for (int64_t t = 0; t < T; ++t)
        plus[static_cast<size_t>(t * U + u)] += h, minus[static_cast<size_t>(t * U + u)] -= h;
      bias_plus[static_cast<size_t>(u)] += h, bias_minus[static_cast<size_t>(u)] -= h;
      Values up = loss(plus, bias), down = loss(minus, bias), bup = loss(x, bias_plus), bdown = loss(x, bias_minus);
      double of_bias = 0;
      for (int64_t t = 0; t < T; ++t) {
        double numeric = 0;
        for (int64_t c = 0; c < H; ++c) {
          auto i = static_cast<size_t>(t * H + c);
          numeric += (up[i] - down[i]) / (2 * h), of_bias += (bup[i] - bdown[i]) / (2 * h);
        }
        near(gx[static_cast<size_t>(t * U + u)], numeric);
      }
      near(gb[static_cast<size_t>(u)], of_bias);
    }
    Values value = loss(x, bias), gw = g.weights.to_values(), weight = w.to_values(); // linear in the weights
    for (int64_t t = 0; t < T; ++t) {
      double sum = 0;
      for (int64_t c = 0; c < H; ++c) sum += value[static_cast<size_t>(t * H + c)];
      near(gw[static_cast<size_t>(t)], sum / weight[static_cast<size_t>(t)]);
    }
  }
}

TEST_P(ActivationOn, LargeInputsAndNaN) {
  for (const Named &n : kActivations) {
    SCOPED_TRACE(n.name);
    const Activation &a = n.activation;
    const int64_t U = a.input_width(8);
    Values x(static_cast<size_t>(U), 0.5);
    const double large[] = {1e4, -1e4, 1e15, -1e15, 1e30, -1e30};
    auto gate = [&](size_t i) { return a.interleaved ? 2 * i : i; };
    for (size_t i = 0; i < 6; ++i) x[gate(i)] = a.gate == Gate::relu2 ? large[i] / 1e15 : large[i];
    x[gate(6)] = NAN;
    Tensor in = Here::from_values(x, {1, U}, f32), ones = Here::from_values(Values(8, 1.0), {1, 8}, f32);
    Values y = activate(stream, in, a).to_values(), gx = activate_backward(stream, ones, in, a).x.to_values();
    for (size_t i = 0; i < 8; ++i) {
      EXPECT_EQ(std::isnan(y[i]), i == 6) << i;
      // A NaN is not inside of bounds: no gradient.
      EXPECT_EQ(std::isnan(gx[gate(i)]), i == 6 && !a.limit) << i;
      if (i < 6 && x[gate(i)] > 0 && !a.limit && a.gate != Gate::relu2)
        EXPECT_NEAR(gx[gate(i)], a.linear_offset + (a.gated ? 0.5 : 0) + (a.gated ? 0 : 1), 1e-6) << i;
      if (i < 6 && x[gate(i)] < 0) EXPECT_EQ(gx[gate(i)], 0) << i;
    }
  }
}

// A row's results do not depend on the rows around it, nor on where they lie.
TEST_P(ActivationOn, RowsAloneHaveTheSameBits) {
  const Activation a = Activation::quick_geglu_interleaved();
  Tensor wide = random_floats({12, 90}, bf16, 6), x = wide.slice(1, 3, 87), grad = random_floats({12, 42}, bf16),
         w = random_floats({12, 1}, f32);
  auto y = activate(stream, x, a, w);
  ActivationGrads g = activate_backward(stream, grad, x, a, w);
  for (auto [begin, end] : {std::pair{3, 7}, {5, 6}}) {
    auto part = [&, begin = begin, end = end](const Tensor &t) { return t.slice(0, begin, end); };
    EXPECT_EQ(activate(stream, part(x).contiguous(), a, part(w)).to_bytes(), part(y).contiguous().to_bytes());
    ActivationGrads alone = activate_backward(stream, part(grad), part(x), a, part(w));
    EXPECT_EQ(alone.x.to_bytes(), part(g.x).contiguous().to_bytes());
    EXPECT_EQ(alone.weights.to_bytes(), part(g.weights).contiguous().to_bytes());
  }
}

// A bias per row is one of one row in a slice of one row, and wide rows are summed in parts.
TEST_P(ActivationOn, RowsAloneHaveTheSameBitsWithTheirBias) {
  for (int64_t h : {40, 1440, 2880}) {
    const Activation a = Activation::geglu();
    Tensor x = random_floats({3, 2 * h}, f32), b = random_floats({3, 2 * h}, f32), grad = random_floats({3, h}, f32),
           w = random_floats({3, 1}, f32);
    Tensor y = activate(stream, x, a, w, b);
    ActivationGrads g = activate_backward(stream, grad, x, a, w, b);
    for (int64_t row = 0; row < 3; ++row) {
      auto part = [&](const Tensor &t) { return t.slice(0, row, row + 1); };
      EXPECT_EQ(activate(stream, part(x), a, part(w), part(b)).to_bytes(), part(y).to_bytes());
      ActivationGrads alone = activate_backward(stream, part(grad), part(x), a, part(w), part(b));
      EXPECT_EQ(alone.x.to_bytes(), part(g.x).to_bytes());
      EXPECT_EQ(alone.weights.to_bytes(), part(g.weights).to_bytes());
      EXPECT_EQ(alone.bias.to_bytes(), part(g.bias).to_bytes());
    }
    // The same sum where all rows share one bias.
    ActivationGrads shared = activate_backward(stream, grad, x, a, w, b.slice(0, 1, 2).reshape({2 * h}));
    ActivationGrads own =
        activate_backward(stream, grad.slice(0, 1, 2), x.slice(0, 1, 2), a, w.slice(0, 1, 2), b.slice(0, 1, 2));
    EXPECT_EQ(shared.weights.slice(0, 1, 2).to_bytes(), own.weights.to_bytes());
  }
}

TEST_P(ActivationOn, NoRows) {
  Tensor x = Here::zeros({0, 16}, f32), w = Here::zeros({0, 1}, f32), b = random_floats({16}, f32);
  EXPECT_EQ(activate(stream, x, Activation::geglu(), w, b).shape(), (Dims{0, 8}));
  ActivationGrads g = activate_backward(stream, Here::zeros({0, 8}, f32), x, Activation::geglu(), w, b);
  EXPECT_EQ(g.x.shape(), (Dims{0, 16}));
  EXPECT_EQ(g.weights.shape(), (Dims{0, 1}));
  EXPECT_EQ(g.bias.to_values(), Values(16, 0.0));
  // Nor columns.
  Tensor flat = Here::zeros({3, 0}, f32), three = random_floats({3, 1}, f32);
  EXPECT_EQ(activate(stream, flat, Activation::swiglu(), three, Here::zeros({0}, f32)).shape(), (Dims{3, 0}));
  g = activate_backward(stream, flat, flat, Activation::swiglu(), three, Here::zeros({0}, f32));
  EXPECT_EQ(g.weights.to_values(), Values(3, 0.0));
  EXPECT_EQ(g.bias.shape(), (Dims{0}));
  // The dummy call of an expert without tokens: one row, broadcast over none.
  auto f = weighted_bias_swiglu_impl(stream, random_floats({16}, f32), w, true);
  EXPECT_EQ(f.y.shape(), (Dims{0, 8}));
  EXPECT_EQ(weighted_bias_backward(stream, Here::zeros({0, 8}, f32), f).x.to_values(), Values(16, 0.0));
}

TEST_P(ActivationOn, RanksOfTheEntryPoints) {
  Tensor x = random_floats({2, 3, 5, 24}, f32), w = random_floats({30, 1}, f32), flat = x.reshape({30, 24});
  Tensor y = weighted_swiglu(stream, flat, w), grad = random_floats({30, 12}, f32);
  auto four = weighted_bias_swiglu_impl(stream, x, w),
       three = weighted_bias_swiglu_impl(stream, x.reshape({6, 5, 24}), w);
  EXPECT_EQ(four.y.shape(), (Dims{2, 3, 60}));
  EXPECT_EQ(three.y.shape(), (Dims{6, 5, 12}));
  EXPECT_EQ(four.y.to_bytes(), y.to_bytes());
  ActivationGrads g = weighted_bias_backward(stream, grad.reshape({2, 3, 60}), four);
  EXPECT_EQ(g.x.shape(), x.shape());
  EXPECT_EQ(g.x.to_bytes(), weighted_swiglu_backward(stream, grad, flat, w).x.to_bytes());
  // One row for all weights.
  Tensor row = flat.slice(0, 4, 5);
  auto one = weighted_bias_geglu_impl(stream, row.reshape({24}), w);
  EXPECT_EQ(one.y.shape(), (Dims{30, 12}));
  EXPECT_EQ(one.y.to_bytes(), activate(stream, row.expand({30, 24}), Activation::geglu(), w).to_bytes());
  Values sum(24), each = activate_backward(stream, grad, row.expand({30, 24}), Activation::geglu(), w).x.to_values();
  for (size_t i = 0; i < each.size(); ++i) sum[i % 24] += each[i];
  expect_close(weighted_bias_backward(stream, grad, one).x, sum, "grad_x");
  // A sum of sums: more rows than one step of it takes.
  Tensor many = random_floats({1100, 1}, f32), ones = random_floats({1100, 12}, f32);
  one = weighted_bias_swiglu_impl(stream, row.reshape({24}), many);
  Values total(24);
  each = activate_backward(stream, ones, row.expand({1100, 24}), Activation::swiglu(), many).x.to_values();
  for (size_t i = 0; i < each.size(); ++i) total[i % 24] += each[i];
  expect_close(weighted_bias_backward(stream, ones, one).x, total, "grad_x of many");
  // Without weights any rank goes through.
  EXPECT_EQ(activate(stream, x, Activation::swiglu()).shape(), (Dims{2, 3, 5, 12}));
  EXPECT_EQ(activate(stream, row.reshape({24}), Activation::quick_gelu()).shape(), (Dims{24}));
}

TEST(Activations, InAGraph) {
  expect_replays(
      [](const Stream &s, const Tensors &in) -> Tensors {
        auto f = weighted_bias_quick_geglu_impl(s, in[0], in[1], in[2], true, 0.5, 1.5);
        ActivationGrads g = weighted_bias_backward(s, in[3], f),
                        plain = activate_backward(s, in[3], in[0], Activation::geglu());
        return {f.y, g.x, g.weights, g.bias, plain.x, activate(s, in[0], Activation::relu2())};
      },
      [] {
        return Tensors{random_floats({21, 66}, bf16), random_floats({66}, bf16), random_floats({21, 1}, f32),
                       random_floats({21, 33}, bf16)};
      });
}

TEST(Activations, Names) {
  for (const char *name : {"swiglu", "swigluoai", "quick_geglu", "geglu"}) {
    EXPECT_TRUE(is_gated_activation(name)) << name;
    EXPECT_TRUE(activation_named(name).gated) << name;
  }
  for (const char *name : {"relu2", "silu", "", "SwiGLU"}) EXPECT_FALSE(is_gated_activation(name)) << name;
  EXPECT_EQ(activation_named("swiglu"), Activation::swiglu());
  EXPECT_EQ(activation_named("swiglu", 1.702, 7, -1), Activation::swiglu());
  EXPECT_EQ(activation_named("swiglu", 1.702, 7, 10), Activation::swiglu_clamped(10));
  EXPECT_EQ(activation_named("swigluoai", 1.5, 3), Activation::swiglu_oai(1.5, 3));
  EXPECT_EQ(activation_named("quick_geglu", 1.5, 3), Activation::quick_geglu_interleaved(1.5, 3, 1));
  EXPECT_EQ(activation_named("geglu"), Activation::geglu());
  EXPECT_EQ(activation_named("relu2"), Activation::relu2());
}

TEST(Activation, WeightsMayHaveTheLeadingSizesOfX) {
  const Stream stream{Device::sim()};
  Tensor x = hash_uniform(1, 2, {2, 3, 8}, f32), w = hash_uniform(2, 1, {2, 3, 1}, f32),
         g = hash_uniform(3, 1, {2, 3, 4}, f32);
  Tensor flat = w.reshape({6, 1});
  const Activation a = Activation::swiglu_oai();
  EXPECT_EQ(activate(stream, x, a, w).to_bytes(), activate(stream, x, a, flat).to_bytes());
  ActivationGrads deep = activate_backward(stream, g, x, a, w), even = activate_backward(stream, g, x, a, flat);
  EXPECT_EQ(deep.weights.shape(), w.shape());
  EXPECT_EQ(deep.weights.to_bytes(), even.weights.to_bytes());
  EXPECT_EQ(deep.x.to_bytes(), even.x.to_bytes());
}

} // namespace
} // namespace moec
