// The gate against plain host code, its gradients against central differences, the auxiliary loss.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "differences.h"
#include "kernels/moe.h"
#include "on_devices.h"
#include "random_data.h"
#include "runtime/error.h"
#include "runtime/jit.h"

namespace moec {
namespace {

using GateOn = OnDevice;
MOEC_ON_DEVICES(GateOn, test_devices());

using Row = std::vector<double>;

/// The lowest index of equal ones first.
std::vector<size_t> greatest(const Row &x, size_t k) {
  std::vector<size_t> order(x.size());
  for (size_t i = 0; i < x.size(); ++i) order[i] = i;
  std::ranges::sort(order, {}, [&](size_t i) { return std::pair(-x[i], i); });
  order.resize(k);
  return order;
}

Row softmax_of(const Row &x) {
  Row p;
  double total = 0, top = *std::max_element(x.begin(), x.end());
  for (double v : x) p.push_back(std::exp(v - top)), total += p.back();
  for (double &v : p) v /= total;
  return p;
}

struct Expected {
  Row weights, scores;
  std::vector<size_t> indices;
};
/// Section by section what the gate does with one token's logits.
Expected expected(const Row &logits, const Row &correction, const GateOptions &o, DType dtype) {
  const bool after = o.score == ScoreFunction::softmax && !o.softmax_before_topk;
  Expected r{{}, logits, {}};
  if (!after && (o.score == ScoreFunction::softmax || o.score == ScoreFunction::softmax_with_bias))
    r.scores = softmax_of(logits);
  for (double &s : r.scores) {
    if (o.score == ScoreFunction::sigmoid || o.score == ScoreFunction::sigmoid_with_bias)
      s = rounded(1 / (1 + std::exp(-s)), dtype);
    if (o.score == ScoreFunction::sqrtsoftplus) s = std::sqrt(std::log1p(std::exp(s)));
  }
  Row choice = r.scores;
  for (size_t e = 0; e < correction.size(); ++e) choice[e] += correction[e];
  if (o.limited_groups < o.groups) {
    const size_t size = choice.size() / static_cast<size_t>(o.groups);
    Row groups;
    for (size_t g = 0; g < choice.size(); g += size) {
      Row members(choice.begin() + static_cast<long>(g), choice.begin() + static_cast<long>(g + size));
      std::sort(members.rbegin(), members.rend());
      const bool pairs = !correction.empty() || o.score == ScoreFunction::softmax_with_bias;
      groups.push_back(pairs ? members[0] + members[1] : members[0]);
    }
    auto chosen = greatest(groups, static_cast<size_t>(o.limited_groups));
    for (size_t e = 0; e < choice.size(); ++e)
      if (std::find(chosen.begin(), chosen.end(), e / size) == chosen.end())
        choice[e] = o.score == ScoreFunction::sigmoid_with_bias ? -INFINITY : 0;
  }
  r.indices = greatest(choice, static_cast<size_t>(o.topk));
  for (size_t e : r.indices) r.weights.push_back(r.scores[e]);
  if (after) r.weights = softmax_of(r.weights);
  auto normalize = [](Row &x) {
    double total = 1e-20;
    for (double v : x) total += v;
    for (double &v : x) v /= total;
  };
  if (o.norm_topk_prob && o.topk > 1) normalize(r.weights), normalize(r.scores);
  for (double &w : r.weights) w *= o.route_scale;
  return r;
}

struct GateCase {
  const char *name;
  GateOptions options;
  bool corrected = false, biased = false;
};
using enum ScoreFunction;
const GateCase kCases[] = {
    {"softmax after", {.topk = 3}},
    {"softmax after, normalized", {.topk = 3, .norm_topk_prob = true, .route_scale = 1.5}, false, true},
    {"softmax before", {.topk = 5, .softmax_before_topk = true, .norm_topk_prob = true}},
    {"softmax before, plain", {.topk = 1, .softmax_before_topk = true, .norm_topk_prob = true, .route_scale = 3}},
    {"sigmoid", {.topk = 3, .score = sigmoid}},
    {"sigmoid, best of group", {.topk = 3, .score = sigmoid, .groups = 4, .limited_groups = 2}},
    {"sigmoid, pairs",
     {.topk = 4, .score = sigmoid, .groups = 4, .limited_groups = 2, .norm_topk_prob = true, .route_scale = 2.5},
     true},
    {"sigmoid_with_bias", {.topk = 4, .score = sigmoid_with_bias, .groups = 3, .limited_groups = 1}, true, true},
    {"softmax_with_bias",
     {.topk = 4, .score = softmax_with_bias, .groups = 6, .limited_groups = 3, .norm_topk_prob = true},
     true},
    {"sqrtsoftplus", {.topk = 3, .score = sqrtsoftplus, .norm_topk_prob = true, .route_scale = 1.5}, true},
};

/// Compares logits, choice and weights of random tokens with the host's.
void check_gate(const Stream &stream, const GateCase &c, DType t, int64_t tokens, int64_t hidden, int64_t experts) {
  SCOPED_TRACE(std::string(c.name) + " " + std::string(name(t)));
  Tensor x = random_floats({tokens, hidden}, t, 2);
  GateParameters p{random_floats({experts, hidden}, t), c.biased ? random_floats({experts}, t) : Tensor(),
                   c.corrected ? random_floats({experts}, f32) : Tensor()};
  GateOutput out = gate_forward(stream, x, p, c.options);
  EXPECT_EQ(out.weights.dtype(), t);
  EXPECT_EQ(out.logits.dtype(), t);
  auto logits = out.logits.to_values(), xs = x.to_values(), ws = p.weight.to_values(),
       weights = out.weights.to_values(), ids = out.indices.to_values();
  Row bias = c.biased ? p.bias.to_values() : Row(static_cast<size_t>(experts), 0), correction;
  if (c.corrected) correction = p.correction_bias.to_values();
  const double ulp = t == f64 ? 1e-14 : t == f32 ? 2e-6 : 8e-3;
  for (int64_t i = 0; i < tokens; ++i) {
    for (int64_t e = 0; e < experts; ++e) {
      double sum = bias[static_cast<size_t>(e)];
      for (int64_t d = 0; d < hidden; ++d)
        sum += xs[static_cast<size_t>(i * hidden + d)] * ws[static_cast<size_t>(e * hidden + d)];
      ASSERT_NEAR(logits[static_cast<size_t>(i * experts + e)], sum, ulp * (4 + std::abs(sum)));
    }
    // From the logits on as they are: then the choice is exact.
    Expected want =
        expected(Row(logits.begin() + i * experts, logits.begin() + (i + 1) * experts), correction, c.options, t);
    for (int k = 0; k < c.options.topk; ++k) {
      auto at = static_cast<size_t>(i * c.options.topk + k);
      ASSERT_EQ(ids[at], want.indices[static_cast<size_t>(k)]) << i << " " << k;
      ASSERT_NEAR(weights[at], want.weights[static_cast<size_t>(k)],
                  ulp * (0.01 + want.weights[static_cast<size_t>(k)]));
    }
  }
}

TEST_P(GateOn, AgainstHost) {
  for (const GateCase &c : kCases)
    for (DType t : {f32, bf16, f64}) check_gate(stream, c, t, 21, 19, 12);
}

TEST_P(GateOn, ModelsAgainstHost) {
  const GateOptions v3{
      .topk = 8, .score = sigmoid, .groups = 8, .limited_groups = 4, .norm_topk_prob = true, .route_scale = 2.5},
      qwen{.topk = 8, .softmax_before_topk = true, .norm_topk_prob = true};
  check_gate(stream, {"DeepSeek-V3", v3, true}, f32, 9, 40, 256);
  check_gate(stream, {"DeepSeek-V3, more tokens than run at once", v3, true}, f32, 203, 6, 256);
  check_gate(stream, {"DeepSeek-V3, no tokens", v3, true}, f32, 0, 6, 256);
  check_gate(stream, {"Qwen3-30B-A3B", qwen}, f32, 9, 40, 128);
  check_gate(stream, {"gpt-oss-120b", {.topk = 4}, false, true}, f32, 9, 40, 128);
  check_gate(stream, {"Llama-4 Maverick", {.topk = 1, .score = sigmoid}}, f32, 9, 40, 128);
  check_gate(stream, {"one expert", {.topk = 1, .softmax_before_topk = true}}, f32, 5, 7, 1);
  check_gate(stream, {"all experts", {.topk = 60, .score = sqrtsoftplus}}, f32, 5, 7, 60);
}

TEST_P(GateOn, TiesGoToTheLowerExpert) {
  Tensor x = Here::zeros({3, 4}, f32);
  GateParameters p{Here::zeros({12, 4}, f32), {}, {}};
  for (const GateCase &c : kCases) {
    GateOptions o = c.options;
    auto ids = gate_forward(stream, x, p, o).indices.to_values();
    for (size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(ids[i], i % static_cast<size_t>(o.topk)) << c.name;
  }
}

// Groups that are not chosen count 0, so they beat scores that the correction makes negative; -inf never wins.
TEST_P(GateOn, ZeroedGroupsBeatNegativeScores) {
  Tensor x = Here::zeros({1, 2}, f32);
  GateParameters p{Here::zeros({6, 2}, f32), {}, Here::from(std::vector<float>{-2, -3, 9, -8, -5, -9}, {6})};
  // Scores 0.5: pairs of groups -4, 2, -13; the middle one is chosen: 9.5, -7.5; the others are 0.
  GateOptions o{.topk = 3, .score = sigmoid, .groups = 3, .limited_groups = 1};
  EXPECT_EQ(gate_forward(stream, x, p, o).indices.to_values(), (Row{2, 0, 1}));
  o.score = sigmoid_with_bias, o.topk = 2;
  EXPECT_EQ(gate_forward(stream, x, p, o).indices.to_values(), (Row{2, 3}));
}

// Experts that the correction bias forbids lose against all others, but not against what pads the groups to 4 lanes.
TEST_P(GateOn, ForbiddenExpertsComeLast) {
  Tensor x = Here::zeros({2, 2}, f32);
  const float no = -INFINITY;
  GateParameters p{Here::zeros({9, 2}, f32), {}, Here::from(std::vector<float>{1, no, no, 3, no, 2, 0, 0, 0}, {9})};
  GateOptions o{.topk = 5, .score = sigmoid_with_bias, .groups = 3, .limited_groups = 2};
  EXPECT_EQ(gate_forward(stream, x, p, o).indices.to_values(), (Row{3, 5, 6, 7, 8, 3, 5, 6, 7, 8}));
  o.topk = 6; // one more than there are: the lowest of those that are at -inf
  EXPECT_EQ(gate_forward(stream, x.slice(0, 0, 1), p, o).indices.to_values(), (Row{3, 5, 6, 7, 8, 0}));
}

// The best expert is one that is no number: as in torch, and its id is that of an expert.
TEST_P(GateOn, NotANumber) {
  Tensor x = Here::from(std::vector<float>{NAN, 1}, {2, 1});
  for (const GateCase &c : kCases) {
    GateParameters p{random_floats({12, 1}, f32), {}, c.corrected ? random_floats({12}, f32) : Tensor()};
    auto ids = gate_forward(stream, x, p, c.options).indices.to_values();
    for (double id : ids) EXPECT_TRUE(id >= 0 && id < 12) << c.name << ": " << id;
  }
}

TEST_P(GateOn, ExtremeLogits) {
  // softplus far on both sides, and nothing overflows.
  Tensor x = Here::from(std::vector<float>{1}, {1, 1});
  GateParameters p{Here::from(std::vector<float>{-80, -20, 0, 20, 90}, {5, 1}), {}, {}};
  GateOptions o{.topk = 5, .score = sqrtsoftplus};
  GateOutput out = gate_forward(stream, x, p, o);
  auto w = out.weights.to_values();
  const double logits[] = {90, 20, 0, -20, -80};
  for (int k = 0; k < 5; ++k) {
    double s = std::sqrt(logits[k] > 40 ? logits[k] : std::log1p(std::exp(logits[k])));
    EXPECT_NEAR(w[static_cast<size_t>(k)] / s, 1, 2e-6) << k;
  }
  for (double g : gate_backward(stream, Here::from(std::vector<float>(5, 1), {1, 5}), x, p, out, o).weight.to_values())
    EXPECT_TRUE(std::isfinite(g));
}

TEST_P(GateOn, LoadAndLoss) {
  const int64_t tokens = 150, experts = 10;
  const int topk = 3;
  Tensor scores = random_floats({tokens, experts}, f32), ids = random_ints({tokens, topk}, i64, -1, experts),
         mask = random_ints({tokens}, boolean, 0, 1);
  auto s = scores.to_values(), id = ids.to_values(), keep = mask.to_values();
  for (bool masked : {true, false}) {
    Row load(experts, 0), mean(experts, 0);
    double valid = 0, loss = 0;
    for (int64_t t = 0; t < tokens; ++t) {
      if (masked && keep[static_cast<size_t>(t)] == 0) continue;
      ++valid;
      for (int k = 0; k < topk; ++k)
        if (double e = id[static_cast<size_t>(t * topk + k)]; e >= 0 && e < experts) ++load[static_cast<size_t>(e)];
      for (int64_t e = 0; e < experts; ++e) mean[static_cast<size_t>(e)] += s[static_cast<size_t>(t * experts + e)];
    }
    for (size_t e = 0; e < load.size(); ++e)
      loss += load[e] * static_cast<double>(experts) / (topk * valid) * mean[e] / valid;
    const Tensor &m = masked ? mask : Tensor();
    Tensor counted = expert_load(stream, ids, experts, m);
    EXPECT_EQ(counted.to_values(), load);
    AuxLoss got = aux_loss(stream, scores, counted, topk, m);
    EXPECT_NEAR(got.loss.to_values()[0], loss, 1e-6);
    EXPECT_EQ(got.valid.to_values()[0], valid);
    auto grad =
        aux_loss_backward(stream, Here::from(std::vector<float>{2}, {}), counted, got.valid, tokens, topk, m, 0.5)
            .to_values();
    for (int64_t i = 0; i < tokens * experts; ++i) {
      bool counts = !masked || keep[static_cast<size_t>(i / experts)] != 0;
      double f = load[static_cast<size_t>(i % experts)] * static_cast<double>(experts) / (topk * valid);
      ASSERT_NEAR(grad[static_cast<size_t>(i)], counts ? f / valid : 0, 1e-7);
    }
  }
}

TEST_P(GateOn, NoTokens) {
  Tensor x = Here::empty({0, 8}, f32), none = Here::zeros({0}, boolean);
  GateParameters p{random_floats({6, 8}, f32), random_floats({6}, f32), {}};
  GateOptions o{.topk = 2, .softmax_before_topk = true, .aux_loss_coeff = 0.1};
  GateOutput out = gate_forward(stream, x, p, o, none);
  EXPECT_EQ(out.weights.shape(), (Dims{0, 2}));
  EXPECT_EQ(out.expert_load.to_values(), Row(6, 0));
  EXPECT_EQ(out.aux_loss.to_values()[0], 0);
  GateGrads g = gate_backward(stream, out.weights, x, p, out, o, none);
  EXPECT_EQ(g.weight.to_values(), Row(48, 0));
  EXPECT_EQ(g.bias.to_values(), Row(6, 0));
  // Tokens, but none that counts.
  Tensor some = random_floats({4, 8}, f32), masked = Here::zeros({4}, boolean);
  out = gate_forward(stream, some, p, o, masked);
  EXPECT_EQ(out.aux_loss.to_values()[0], 0);
  for (double v : gate_backward(stream, Here::zeros({4, 2}, f32), some, p, out, o, masked).x.to_values())
    EXPECT_EQ(v, 0);
}

TEST_P(GateOn, ScalerPassesThrough) {
  Tensor y = random_floats({3, 4}, f32), loss = Here::from(std::vector<float>{7}, {});
  AuxLossAutoScaler scaler;
  EXPECT_EQ(scaler.forward(y, loss).data(), y.data());
  auto g = scaler.backward(stream, y, loss);
  EXPECT_EQ(g.output.data(), y.data());
  EXPECT_EQ(g.aux_loss.to_values(), Row{1});
  scaler.scale = Here::from(std::vector<float>{2.5}, {1});
  EXPECT_EQ(scaler.backward(stream, y, Here::zeros({2, 2}, bf16)).aux_loss.to_values(), Row(4, 2.5));
}

TEST(GateGradients, CentralDifferences) {
  Stream stream(Device::interp());
  const int64_t tokens = 3, hidden = 2, experts = 12;
  Tensor mask = Here::from_values(Row{1, 0, 1}, {tokens}, boolean);
  for (const GateCase &c : kCases)
    for (double coeff : {0.0, 0.3}) {
      SCOPED_TRACE(std::string(c.name) + " " + std::to_string(coeff));
      GateOptions o = c.options;
      o.aux_loss_coeff = coeff;
      Tensor x = random_floats({tokens, hidden}, f64), grad = random_floats({tokens, o.topk}, f64);
      GateParameters p{random_floats({experts, hidden}, f64), random_floats({experts}, f64),
                       c.corrected ? random_floats({experts}, f64) : Tensor()};
      auto loss = [&](const Tensor &x, const GateParameters &p) {
        GateOutput out = gate_forward(stream, x, p, o, mask);
        return dot(out.weights, grad) + (coeff > 0 ? coeff * out.aux_loss.to_values()[0] : 0);
      };
      GateGrads g = gate_backward(stream, grad, x, p, gate_forward(stream, x, p, o, mask), o, mask);
      auto with_weight = [&](const Tensor &t) { return loss(x, {t, p.bias, p.correction_bias}); };
      auto with_bias = [&](const Tensor &t) { return loss(x, {p.weight, t, p.correction_bias}); };
      expect_gradient("x", x, g.x, [&](const Tensor &t) { return loss(t, p); });
      expect_gradient("weight", p.weight, g.weight, with_weight);
      expect_gradient("bias", p.bias, g.bias, with_bias);
    }
}

TEST(GateGradients, TopKCentralDifferences) {
  Stream stream(Device::interp());
  Tensor logits = random_floats({3, 7}, f64, 2), grad = random_floats({3, 3}, f64);
  for (bool sigmoid : {false, true})
    for (bool pre : {false, true})
      for (bool renormalize : {false, true}) {
        TopKOptions o{sigmoid, pre, renormalize};
        auto loss = [&](const Tensor &x) { return dot(calculate_topk(stream, x, 3, o).weights, grad); };
        Tensor analytic = calculate_topk_backward(stream, grad, logits, calculate_topk(stream, logits, 3, o).ids, o);
        SCOPED_TRACE(testing::Message() << "sigmoid " << sigmoid << ", before " << pre << ", renormalized "
                                        << renormalize);
        expect_gradient("logits", logits, analytic, loss);
      }
}

} // namespace
} // namespace moec
