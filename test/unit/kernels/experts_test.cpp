// The experts layers: the three classes against each other and a plain f64 reference, gradients against central
// differences, edges, memory kept.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "experts_data.h"
#include "kernels/experts.h"
#include "kernels/rows.h"
#include "kernels/verify.h"
#include "on_devices.h"
#include "runtime/graph.h"
#include "runtime/jit.h"

namespace moec {
namespace {

using testing::HasSubstr;

double act(const MoeConfig &c, double g, double u) {
  auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  const double a = c.activation_alpha, limit = c.activation_limit;
  if (c.expert_activation == "relu2") return g > 0 ? g * g : 0;
  if (c.expert_activation == "geglu")
    return 0.5 * g * (1 + std::tanh(std::sqrt(2 / M_PI) * (g + 0.044715 * g * g * g))) * u;
  if (c.expert_activation == "swiglu") {
    if (c.swiglu_limit > 0) g = std::min(g, c.swiglu_limit), u = std::clamp(u, -c.swiglu_limit, c.swiglu_limit);
    return g * sigmoid(g) * u;
  }
  g = std::min(g, limit), u = std::clamp(u, -limit, limit); // swigluoai, quick_geglu
  return g * sigmoid(a * g) * (u + 1);
}

/// y of the layer in f64, token by token. `parameters`: state() of a layer.
std::vector<double> reference(const MoeConfig &c, const TensorFile &parameters, const Input &in) {
  const int64_t T = in.x.size(0), D = c.expert_dim(), I = c.moe_inter_dim, U = c.up_dim();
  const int K = c.n_activated_experts;
  auto values = [&](const char *key) {
    return parameters.contains(key) ? parameters.at(key).to_values() : std::vector<double>();
  };
  auto W1 = values("gate_and_up_projs"), W2 = values("down_projs"), b1 = values("gate_up_proj_bias"),
       b2 = values("down_proj_bias"), x = in.x.to_values(), weights = in.weights.to_values(),
       ids = in.indices.to_values(), mask = in.token_mask.to_values();
  auto at = [](const std::vector<double> &v, int64_t i) { return v.empty() ? 0.0 : v[static_cast<size_t>(i)]; };
  std::vector<double> y(static_cast<size_t>(T * D)), h(static_cast<size_t>(U));
  for (int64_t slot = 0; slot < T * K; ++slot) {
    const int64_t t = slot / K, e = static_cast<int64_t>(at(ids, slot));
    if (e < 0 || at(mask, t) == 0) continue;
    for (int64_t u = 0; u < U; ++u) {
      h[static_cast<size_t>(u)] = at(b1, e * U + u);
      for (int64_t d = 0; d < D; ++d) h[static_cast<size_t>(u)] += at(x, t * D + d) * at(W1, (e * D + d) * U + u);
    }
    for (int64_t d = 0; d < D; ++d) {
      double o = at(b2, e * D + d);
      for (int64_t i = 0; i < I; ++i) {
        bool pairs = c.expert_activation == "quick_geglu";
        double g = at(h, pairs ? 2 * i : i), up = U == I ? 0 : at(h, pairs ? 2 * i + 1 : I + i);
        o += act(c, g, up) * at(W2, (e * I + i) * D + d);
      }
      y[static_cast<size_t>(t * D + d)] += o * at(weights, slot);
    }
  }
  return y;
}

class ExpertsOn : public OnDevice {
protected:
  /// The tensor on the device, if it is not the host's.
  Tensor here(const Tensor &t) { return t.to(stream.device()); }
  Input here(const Input &in) { return {here(in.x), here(in.token_mask), here(in.weights), here(in.indices)}; }
  ExpertsResult run(const ExpertsLayer &layer, const Input &host) {
    Input in = here(host);
    return layer.forward(stream, in.x, in.token_mask, in.weights, in.indices);
  }
  void expect_reference(const ExpertsLayer &layer, const Input &in, double tolerance) {
    Tensor want = Tensor::from_values(reference(layer.config(), layer.state(), in), in.x.shape(), in.x.dtype());
    TensorReport r = compare("y", run(layer, in).y.to(Device::host()), want, tolerance);
    EXPECT_EQ(r.status, CheckStatus::pass) << r.detail << " error " << r.max_error;
  }
};
MOEC_ON_DEVICES(ExpertsOn, test_devices());

const std::vector<std::string> kActivations{"swiglu", "swigluoai", "quick_geglu", "geglu", "relu2"};

TEST_P(ExpertsOn, MatchesThePlainReference) {
  for (const std::string &activation : kActivations)
    for (bool after : {false, true}) {
      SCOPED_TRACE(activation + (after ? " after" : ""));
      MoeConfig c = config_of(5, 3, 7, 9, activation.c_str(), true, after);
      GroupedExperts layer(c, stream.device());
      layer.load_state(random_state(c));
      expect_reference(layer, random_input(c, 11, f32), 4e-5);
    }
}

TEST_P(ExpertsOn, Sizes) {
  struct {
    int experts, topk;
    int64_t dim, inter, tokens;
    DType dtype;
  } cases[] = {{1, 1, 8, 8, 5, f32},    {4, 4, 3, 1, 1, f32},   {9, 2, 33, 20, 70, bf16},
               {6, 2, 24, 17, 13, f16}, {3, 2, 16, 24, 9, f64}, {7, 5, 1, 2, 3, f32}};
  for (auto &s : cases) {
    SCOPED_TRACE(s.experts);
    MoeConfig c = config_of(s.experts, s.topk, s.dim, s.inter, "swiglu", true, false, s.dtype);
    GroupedExperts layer(c, stream.device());
    layer.load_state(random_state(c));
    double tolerance = s.dtype == f32 ? 4e-5 : s.dtype == f64 ? 1e-12 : 8e-2;
    expect_reference(layer, random_input(c, s.tokens, s.dtype, s.dtype == f64 ? f64 : f32), tolerance);
  }
}

// Parameters of another dtype are rounded to that of x; gradients come back in the parameters' and weights' dtypes.
TEST_P(ExpertsOn, Dtypes) {
  MoeConfig c = config_of(4, 2, 12, 10, "swiglu", true, false, f32), low = c;
  low.dtype = bf16;
  GroupedExperts wide(c, stream.device()), narrow(low, stream.device());
  TensorFile state = random_state(c);
  wide.load_state(state), narrow.load_state(state);
  Input in = random_input(c, 9, bf16, bf16);
  ExpertsResult a = run(wide, in), b = run(narrow, in);
  EXPECT_EQ(a.y.dtype(), bf16);
  EXPECT_EQ(a.y.to_bytes(), b.y.to_bytes());
  Tensor grad = here(random_floats(in.x.shape(), bf16));
  ExpertsGrads g = wide.backward(stream, grad, a.kept), h = narrow.backward(stream, grad, b.kept);
  EXPECT_EQ(g.parameters.gate_up.dtype(), f32);
  EXPECT_EQ(g.weights.dtype(), bf16);
  auto low_bytes = [](const Tensor &t) { return Tensor::from_values(t.to_values(), t.shape(), bf16).to_bytes(); };
  EXPECT_EQ(low_bytes(g.parameters.gate_up), h.parameters.gate_up.to_bytes()); // f32 sums, not rounded in between
  EXPECT_EQ(low_bytes(g.parameters.down), h.parameters.down.to_bytes());
  EXPECT_EQ(low_bytes(g.parameters.down_bias), h.parameters.down_bias.to_bytes());
  EXPECT_NE(g.parameters.down.to_values(), h.parameters.down.to_values());
}

TEST_P(ExpertsOn, ClassesAgree) {
  for (const std::string &activation : {"swiglu", "quick_geglu"}) {
    MoeConfig c = config_of(6, 2, 24, 20, activation.c_str(), true);
    GroupedExperts plain(c, stream.device());
    GroupedExpertsDeepEP deep(c, stream.device());
    GroupedExpertsTE te(c, stream.device());
    TensorFile state = random_state(c);
    plain.load_state(state), deep.load_state(state), te.load_state(state);
    Input in = random_input(c, 17, f32);
    Tensor grad = here(random_floats(in.x.shape(), f32));
    ExpertsResult a = run(plain, in), b = run(deep, in), d = run(te, in);
    EXPECT_EQ(a.y.to_bytes(), b.y.to_bytes());
    EXPECT_EQ(a.y.to_bytes(), d.y.to_bytes());
    ExpertsGrads ga = plain.backward(stream, grad, a.kept), gb = deep.backward(stream, grad, b.kept),
                 gd = te.backward(stream, grad, d.kept);
    EXPECT_EQ(ga.x.to_bytes(), gb.x.to_bytes());
    EXPECT_EQ(ga.x.to_bytes(), gd.x.to_bytes());
    EXPECT_EQ(ga.weights.to_bytes(), gd.weights.to_bytes());
    EXPECT_EQ(ga.parameters.gate_up.to_bytes(), gd.parameters.gate_up.transpose(1, 2).to_bytes());
    EXPECT_EQ(ga.parameters.down.to_bytes(), gd.parameters.down.transpose(1, 2).to_bytes());
    EXPECT_EQ(ga.parameters.down_bias.to_bytes(), gd.parameters.down_bias.to_bytes());
  }
}

// DeepEP's combination adds rows that were weighted and rounded, GroupedExperts' f32 products.
TEST_P(ExpertsOn, DeepEPRoundsWeightedRows) {
  MoeConfig c = config_of(6, 3, 24, 20, "swiglu", true, true);
  GroupedExperts plain(c, stream.device());
  GroupedExpertsDeepEP deep(c, stream.device());
  TensorFile state = random_state(c);
  plain.load_state(state), deep.load_state(state);
  Input in = here(random_input(c, 17, bf16));
  ExpertsSteps steps;
  Tensor y = deep.forward(stream, in.x, in.token_mask, in.weights, in.indices, &steps).y;
  Tensor ids = steps.routing.row_ids;
  std::vector<int32_t> slots = ids.to_vector<int32_t>();
  for (size_t i = 0; i < slots.size(); ++i) slots[i] = slots[i] < 0 ? -1 : static_cast<int32_t>(i);
  Tensor weighted = gather_rows(stream, steps.rows, ids, 1, in.weights.reshape({in.weights.numel()}));
  EXPECT_EQ(y.to_bytes(), combine_rows(stream, weighted, Here::from(slots, {ids.numel()}), 3).to_bytes());
  EXPECT_NE(y.to_bytes(), run(plain, in).y.to_bytes());
}

// Weights before or after the second product: in exact numbers one function, with one gradient.
TEST_P(ExpertsOn, WeightsBeforeAndAfterAgree) {
  MoeConfig c = config_of(5, 3, 8, 6, "geglu", true, false, f64);
  Input in = random_input(c, 7, f64, f64);
  TensorFile state = random_state(c);
  GroupedExperts before(c, stream.device());
  c.apply_router_weight_after_down = true;
  GroupedExperts after(c, stream.device());
  before.load_state(state), after.load_state(state);
  TensorReport r = compare("y", run(after, in).y.to(Device::host()), run(before, in).y.to(Device::host()), 1e-12);
  EXPECT_EQ(r.status, CheckStatus::pass) << r.detail;
}

// ------------------------------------------------------------------------------------------------------------
// gradients

/// All values of gate_up are at least 1e-3 away from the clamps: there the loss has no derivative.
bool away_from_clamps(const MoeConfig &c, const Tensor &gate_up, int64_t rows) {
  auto limit = c.activation().limit;
  for (double v : gate_up.slice(0, 0, rows).to_values())
    if (limit && std::abs(std::abs(v) - *limit) < 1e-3) return false;
  return true;
}

class ExpertsGradients : public ExpertsOn {};
MOEC_ON_DEVICES(ExpertsGradients, std::vector{test_devices().back()});

TEST_P(ExpertsGradients, CentralDifferences) {
  struct {
    const char *activation;
    bool bias, after;
    double swiglu_limit;
  } cases[] = {{"swiglu", false, false, 0},     {"swiglu", true, true, 0},     {"swiglu", true, false, 0.5},
               {"swigluoai", true, false, 0},   {"swigluoai", false, true, 0}, {"quick_geglu", true, false, 0},
               {"quick_geglu", false, true, 0}, {"geglu", true, true, 0},      {"geglu", false, false, 0},
               {"relu2", true, false, 0},       {"relu2", false, true, 0}};
  for (auto &s : cases) {
    SCOPED_TRACE(std::string(s.activation) + (s.bias ? " bias" : "") + (s.after ? " after" : ""));
    MoeConfig c = config_of(4, 2, 6, 5, s.activation, s.bias, s.after, f64);
    c.swiglu_limit = s.swiglu_limit, c.activation_limit = 1;
    GroupedExperts layer(c, stream.device());
    Input in;
    TensorFile state;
    ExpertsResult r;
    do {
      in = random_input(c, 8, f64, f64), state = random_state(c);
      layer.load_state(state);
      r = run(layer, in);
    } while (!away_from_clamps(c, r.kept.gate_up, r.kept.offs.to_vector<int32_t>().back()));
    Tensor grad = random_floats(in.x.shape(), f64);
    ExpertsGrads g = layer.backward(stream, here(grad), r.kept);
    auto loss = [&](const Input &at) { return dot(run(layer, at).y, grad); };
    expect_gradient("x", in.x, g.x, [&](const Tensor &x) { return loss({x, in.token_mask, in.weights, in.indices}); });
    expect_gradient("weights", in.weights, g.weights,
                    [&](const Tensor &w) { return loss({in.x, in.token_mask, w, in.indices}); });
    const std::pair<const char *, Tensor> parameters[] = {{"gate_and_up_projs", g.parameters.gate_up},
                                                          {"down_projs", g.parameters.down},
                                                          {"gate_up_proj_bias", g.parameters.gate_up_bias},
                                                          {"down_proj_bias", g.parameters.down_bias}};
    for (auto &[key, gradient] : parameters) {
      ASSERT_EQ(gradient.defined(), state.contains(key)) << key;
      if (!gradient.defined()) continue;
      expect_gradient(key, state.at(key), gradient, [&, key = key](const Tensor &value) {
        TensorFile one;
        one.add(key, value);
        std::vector<std::string> others;
        layer.load_state(one, "", &others);
        return loss(in);
      });
      layer.load_state(state);
    }
  }
}

// ----------------------------------------------------------------------------------------------------------------
// edges

TEST_P(ExpertsOn, NoTokens) {
  MoeConfig c = config_of(3, 2, 8, 4, "swiglu", true);
  GroupedExperts layer(c, stream.device());
  layer.initialize(1);
  ExpertsResult r = run(layer, random_input(c, 0, f32));
  EXPECT_EQ(r.y.shape(), (Dims{0, 8}));
  ExpertsGrads g = layer.backward(stream, here(Tensor::zeros({0, 8}, f32)), r.kept);
  EXPECT_EQ(g.x.shape(), (Dims{0, 8}));
  EXPECT_EQ(g.weights.shape(), (Dims{0, 2}));
  for (const Tensor &t : {g.parameters.gate_up, g.parameters.down, g.parameters.gate_up_bias, g.parameters.down_bias})
    for (double v : t.to_values()) ASSERT_EQ(v, 0);
}

// Where no slot has an expert all gradients are zeros, and the explicit question leaves those out that the sources do.
TEST_P(ExpertsOn, NoExpertChosen) {
  MoeConfig c = config_of(3, 2, 8, 4, "swiglu", true);
  GroupedExperts plain(c, stream.device());
  GroupedExpertsDeepEP deep(c, stream.device());
  GroupedExpertsTE te(c, stream.device());
  Input in = random_input(c, 5, f32);
  in.token_mask = Tensor::zeros({5}, boolean);
  auto gradients = [&](ExpertsLayer &layer) {
    layer.initialize(1);
    ExpertsResult r = run(layer, in);
    for (double v : r.y.to_values()) EXPECT_EQ(v, 0);
    ExpertsGrads g = layer.backward(stream, here(random_floats({5, 8}, f32)), r.kept);
    for (const Tensor &t :
         {g.x, g.weights, g.parameters.gate_up, g.parameters.down, g.parameters.gate_up_bias, g.parameters.down_bias})
      for (double v : t.to_values()) EXPECT_EQ(v, 0);
    layer.drop_idle_gradients(stream, r.kept, g);
    return g;
  };
  ExpertsGrads a = gradients(plain), b = gradients(deep), d = gradients(te);
  EXPECT_FALSE(a.x.defined());
  EXPECT_FALSE(a.parameters.down_bias.defined());
  EXPECT_TRUE(a.weights.defined() && a.parameters.gate_up.defined() && a.parameters.down.defined());
  EXPECT_TRUE(b.x.defined());
  EXPECT_FALSE(b.parameters.gate_up_bias.defined());
  EXPECT_TRUE(d.x.defined() && d.parameters.gate_up_bias.defined() && d.parameters.down_bias.defined());
}

// Tensors with strides of their own, and addresses that allow no wide access.
TEST_P(ExpertsOn, Strided) {
  MoeConfig c = config_of(4, 2, 16, 12, "geglu", true);
  GroupedExperts layer(c, stream.device());
  layer.load_state(random_state(c));
  Input in = here(random_input(c, 11, f32));
  Tensor grad = here(random_floats({11, 16}, f32));
  auto strided = [&](const Tensor &t) {
    Tensor wide = here(random_floats({t.size(0) + 1, t.size(1) + 3}, f32));
    Tensor part = wide.slice(0, 1, wide.size(0)).slice(1, 1, 1 + t.size(1));
    part.copy_from(t);
    return part;
  };
  ExpertsResult r = run(layer, in);
  ExpertsGrads g = layer.backward(stream, grad, r.kept);
  in.x = strided(in.x), in.weights = strided(in.weights);
  ExpertsResult s = layer.forward(stream, in.x, in.token_mask, in.weights, in.indices);
  ExpertsGrads h = layer.backward(stream, strided(grad), s.kept);
  EXPECT_EQ(s.y.to_bytes(), r.y.to_bytes());
  EXPECT_EQ(h.x.to_bytes(), g.x.to_bytes());
  EXPECT_EQ(h.weights.to_bytes(), g.weights.to_bytes());
  EXPECT_EQ(h.parameters.gate_up.to_bytes(), g.parameters.gate_up.to_bytes());
  EXPECT_EQ(h.parameters.down.to_bytes(), g.parameters.down.to_bytes());
  EXPECT_EQ(h.parameters.down_bias.to_bytes(), g.parameters.down_bias.to_bytes());
}

// Rows that no slot has must not reach a result, whatever the memory held.
TEST_P(ExpertsOn, DroppedSlotsDoNotCount) {
  MoeConfig c = config_of(4, 2, 16, 8, "swiglu", true);
  GroupedExperts layer(c, stream.device());
  layer.load_state(random_state(c));
  Input in = random_input(c, 20, f32);
  in.indices = random_ints({20, 2}, i64, -1, 4); // 4 is out of range
  ExpertsResult r = run(layer, in);
  auto y = r.y.to_values(), keep = in.token_mask.to_values(), id = in.indices.to_values();
  for (size_t t = 0; t < 20; ++t) {
    bool routed = keep[t] != 0 && ((id[2 * t] >= 0 && id[2 * t] < 4) || (id[2 * t + 1] >= 0 && id[2 * t + 1] < 4));
    bool zero = std::all_of(y.begin() + static_cast<long>(t) * 16, y.begin() + static_cast<long>(t) * 16 + 16,
                            [](double v) { return v == 0; });
    EXPECT_EQ(zero, !routed) << t;
  }
  Tensor grad = here(random_floats({20, 16}, f32));
  ExpertsGrads g = layer.backward(stream, grad, r.kept);
  const int64_t rows = r.kept.offs.to_vector<int32_t>().back();
  ASSERT_LT(rows, 40);
  Tensor poisoned = r.kept.gate_up.to(Device::host());
  std::fill(poisoned.data_as<float>() + rows * 16, poisoned.data_as<float>() + 40 * 16, NAN);
  r.kept.gate_up = here(poisoned);
  ExpertsGrads again = layer.backward(stream, grad, r.kept);
  EXPECT_EQ(again.x.to_bytes(), g.x.to_bytes());
  EXPECT_EQ(again.weights.to_bytes(), g.weights.to_bytes());
  EXPECT_EQ(again.parameters.gate_up.to_bytes(), g.parameters.gate_up.to_bytes());
  EXPECT_EQ(again.parameters.down.to_bytes(), g.parameters.down.to_bytes());
  EXPECT_EQ(again.parameters.gate_up_bias.to_bytes(), g.parameters.gate_up_bias.to_bytes());
}

// Nothing waits: a step is captured once, and replayed for other tokens and routes.
TEST_P(ExpertsOn, Capture) {
  for (bool after : {false, true}) {
    MoeConfig c = config_of(4, 2, 16, 12, "swiglu", true, after, f32);
    GroupedExpertsDeepEP layer(c, stream.device());
    layer.load_state(random_state(c));
    Input in = here(random_input(c, 9, bf16)), other = here(random_input(c, 9, bf16));
    Tensor grad = here(random_floats({9, 16}, bf16));
    ExpertsResult r = run(layer, in); // compiles
    layer.backward(stream, grad, r.kept);
    ExpertsGrads g;
    stream.synchronize();
    const Stream own = Stream::create(stream.device()); // CUDA's default stream cannot be captured
    Graph graph = Graph::capture(own, [&] {
      r = layer.forward(own, in.x, in.token_mask, in.weights, in.indices);
      g = layer.backward(own, grad, r.kept);
    });
    in.x.copy_from(other.x), in.token_mask.copy_from(other.token_mask);
    in.weights.copy_from(other.weights), in.indices.copy_from(other.indices);
    graph.launch(own);
    own.synchronize();
    ExpertsResult want = run(layer, other);
    ExpertsGrads h = layer.backward(stream, grad, want.kept);
    stream.synchronize();
    EXPECT_EQ(r.y.to_bytes(), want.y.to_bytes());
    EXPECT_EQ(g.x.to_bytes(), h.x.to_bytes());
    EXPECT_EQ(g.weights.to_bytes(), h.weights.to_bytes());
    EXPECT_EQ(g.parameters.gate_up.to_bytes(), h.parameters.gate_up.to_bytes());
    EXPECT_EQ(g.parameters.down_bias.to_bytes(), h.parameters.down_bias.to_bytes());
  }
}

// Parameters and gradients of one dtype are not copied: they are most of a step's memory.
TEST(ExpertsMemory, NothingIsConvertedToTheDtypeThatItHas) {
  MoeConfig c = config_of(4, 2, 16, 12, "swiglu", true, false, bf16);
  GroupedExperts layer(c, Device::sim());
  layer.initialize(1);
  const Input in = random_input(c, 5, bf16);
  const Stream stream(Device::sim());
  SimTraffic traffic;
  SimScope scope({.traffic = &traffic});
  ExpertsResult r = layer.forward(stream, in.x, in.token_mask, in.weights, in.indices);
  layer.backward(stream, r.y, r.kept);
  for (const KernelTraffic &k : traffic.kernels()) EXPECT_NE(k.kernel, "convert");
  EXPECT_FALSE(traffic.kernels().empty());
}

TEST_P(ExpertsOn, KeptBytes) {
  for (DType dtype : {f32, bf16, f64})
    for (bool after : {false, true}) {
      MoeConfig c = config_of(16, 4, 32, 24, "swiglu", true, after, dtype);
      GroupedExperts layer(c, stream.device());
      layer.initialize(1);
      const int64_t T = 40, N = 160, b = size_bytes(dtype);
      const ExpertsKept kept = run(layer, random_input(c, T, dtype, dtype == f64 ? f64 : f32)).kept;
      EXPECT_LE(kept.bytes(), T * 32 * b + N * 48 * b + 16 * N + 8 * 16);
      EXPECT_GE(kept.bytes(), T * 32 * b + N * 48 * b);
      EXPECT_EQ(c.kept_bytes_bound(T, dtype), T * 32 * b + N * 48 * b + 16 * N + 8 * 16);
      EXPECT_THAT(layer.describe(T, dtype),
                  HasSubstr("at most " + std::to_string(c.kept_bytes_bound(T, dtype)) + " bytes"));
    }
}

} // namespace
} // namespace moec
