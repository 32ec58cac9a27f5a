// Routing kernels against plain host code, with many blocks, dropped slots and ties.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "kernels/moe.h"
#include "kernels/registry.h"
#include "on_devices.h"
#include "random_data.h"
#include "runtime/error.h"
#include "runtime/jit.h"
#include "runtime/simulator.h"

namespace moec {
namespace {

using RoutingOn = OnDevice;
MOEC_ON_DEVICES(RoutingOn, test_devices());

using Ints = std::vector<int64_t>;
Ints ints(const Tensor &t) {
  Ints v;
  for (double x : t.to_values()) v.push_back(static_cast<int64_t>(x));
  return v;
}

struct Expected {
  Ints slots, tokens, rows, counts, offs;
  std::vector<double> weights;
};
Expected expected_routing(const Tensor &indices, int experts, int first, const Tensor &mask, const Tensor &weights) {
  Ints ids = ints(indices), keep = ints(mask);
  auto w = weights.to_values();
  const auto topk = static_cast<size_t>(indices.size(1));
  Expected e;
  e.rows.assign(ids.size(), -1);
  for (int x = 0; x < experts; ++x) {
    e.counts.push_back(0);
    for (size_t s = 0; s < ids.size(); ++s)
      if (ids[s] == first + x && keep[s / topk]) {
        e.rows[s] = static_cast<int64_t>(e.slots.size());
        e.slots.push_back(static_cast<int64_t>(s));
        e.tokens.push_back(static_cast<int64_t>(s / topk));
        e.weights.push_back(w[s]);
        ++e.counts.back();
      }
    e.offs.push_back(static_cast<int64_t>(e.slots.size()));
  }
  e.slots.resize(ids.size(), -1), e.tokens.resize(ids.size(), -1), e.weights.resize(ids.size(), 0);
  return e;
}

TEST_P(RoutingOn, RouteSlots) {
  struct {
    int64_t tokens, topk;
    int experts, first;
    DType index, weight;
  } shapes[] = {{1, 1, 1, 0, i64, f32},      {700, 3, 37, 0, i64, f32},
                {700, 3, 10, 20, i32, bf16}, {513, 1, 3, 1, i64, f16},
                {64, 8, 128, 0, i32, f64},   {3001, 2, 37, 3, i32, f64}}; // more than one program sorts
  for (auto &s : shapes) {
    Tensor ids = random_ints({s.tokens, s.topk}, s.index, -2, 37), mask = random_ints({s.tokens}, boolean, 0, 1);
    Tensor weights = random_floats({s.tokens, s.topk}, s.weight);
    Routing r = route_slots(stream, ids, s.experts, s.first, mask, weights);
    Expected e = expected_routing(ids, s.experts, s.first, mask, weights);
    EXPECT_EQ(ints(r.slot_ids), e.slots);
    EXPECT_EQ(ints(r.token_ids), e.tokens);
    EXPECT_EQ(ints(r.row_ids), e.rows);
    EXPECT_EQ(ints(r.counts), e.counts);
    EXPECT_EQ(ints(r.offs), e.offs);
    EXPECT_EQ(r.weights.to_values(), e.weights);
    EXPECT_EQ(count_rows(stream, r), e.offs.back());
  }
}

TEST_P(RoutingOn, RouteNoTokens) {
  Routing r = route_slots(stream, Here::zeros({0, 2}, i64), 5);
  EXPECT_EQ(ints(r.counts), Ints(5, 0));
  EXPECT_EQ(ints(r.offs), Ints(5, 0));
  EXPECT_EQ(count_rows(stream, r), 0);
  EXPECT_FALSE(r.weights.defined());
}

TEST_P(RoutingOn, RouteMap) {
  for (DType t : {boolean, i32, i64, u8, bf16}) {
    const int64_t tokens = 301, experts = 21;
    Tensor map = random_ints({tokens, experts}, t, 0, 1), probs = random_floats({tokens, experts}, bf16);
    Ints m = ints(map), sorted, rows(m.size(), -1), counts;
    std::vector<double> p = probs.to_values(), sorted_probs;
    for (int64_t e = 0; e < experts; ++e) {
      counts.push_back(0);
      for (int64_t i = 0; i < tokens; ++i)
        if (auto cell = static_cast<size_t>(i * experts + e); m[cell]) {
          rows[cell] = static_cast<int64_t>(sorted.size());
          sorted.push_back(i);
          sorted_probs.push_back(p[cell]);
          ++counts.back();
        }
    }
    RoutingMap r = route_map(stream, map, probs);
    EXPECT_EQ(ints(r.sorted_indices), sorted);
    EXPECT_EQ(r.probs.to_values(), sorted_probs);
    EXPECT_EQ(ints(dense(r)), rows);
    EXPECT_EQ(ints(r.counts), counts);
    // A bound instead of waiting for the number: rows past the last have no token.
    RoutingMap bounded = route_map(stream, map, probs, {.rows = static_cast<int64_t>(sorted.size()) + 700});
    sorted.resize(sorted.size() + 700, -1), sorted_probs.resize(sorted.size(), 0);
    EXPECT_EQ(ints(bounded.sorted_indices), sorted);
    EXPECT_EQ(bounded.probs.to_values(), sorted_probs);
  }
}

TEST_P(RoutingOn, TopKTiesGoToTheLowerExpert) {
  for (DType t : {f32, bf16, f16})
    for (bool pre : {true, false}) {
      TopKWeights r = calculate_topk(stream, Here::zeros({3, 10}, t), 4, {.pre_act = pre, .renormalize = true});
      EXPECT_EQ(ints(r.ids), (Ints{0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3}));
      for (double w : r.weights.to_values()) EXPECT_NEAR(w, 0.25, 1e-2);
    }
}

TEST_P(RoutingOn, TopKAgainstHost) {
  const int64_t tokens = 33, experts = 60;
  const int topk = 7;
  Tensor logits = random_floats({tokens, experts}, f32, 4);
  auto x = logits.to_values();
  TopKWeights r = calculate_topk(stream, logits, topk);
  auto w = r.weights.to_values();
  Ints ids = ints(r.ids);
  for (int64_t t = 0; t < tokens; ++t) {
    const double *row = x.data() + t * experts;
    Ints order(static_cast<size_t>(experts));
    for (size_t e = 0; e < order.size(); ++e) order[e] = static_cast<int64_t>(e);
    std::sort(order.begin(), order.end(),
              [&](int64_t a, int64_t b) { return row[a] > row[b] || (row[a] == row[b] && a < b); });
    double sum = 0;
    for (int64_t e = 0; e < experts; ++e) sum += std::exp(row[e]);
    for (int k = 0; k < topk; ++k) {
      auto i = static_cast<size_t>(t * topk + k);
      EXPECT_EQ(ids[i], order[static_cast<size_t>(k)]);
      EXPECT_NEAR(w[i] / (std::exp(row[ids[i]]) / sum), 1, 2e-6);
    }
  }
}

TEST_P(RoutingOn, TopKInfinities) {
  std::vector<double> row{1, -INFINITY, 2, -INFINITY, -INFINITY};
  TopKWeights r = calculate_topk(stream, Here::from_values(row, {1, 5}, f32), 5);
  EXPECT_EQ(ints(r.ids), (Ints{2, 0, 1, 3, 4})); // padding lanes never win
  auto w = r.weights.to_values();
  EXPECT_NEAR(w[0] + w[1], 1, 1e-6);
  EXPECT_EQ(w[2], 0);
}

TEST_P(RoutingOn, MultihotWraps) {
  Tensor probs = Here::from(std::vector<float>{1, 2, 3, 4}, {2, 2});
  Multihot m = indices_to_multihot_unfused(stream, Here::from(std::vector<int64_t>{-2, 1, -1, -4}, {2, 2}), probs, 4);
  EXPECT_EQ(ints(m.multihot), (Ints{0, 1, 1, 0, 1, 0, 0, 0}));
  EXPECT_EQ(m.probs.to_values(), (std::vector<double>{0, 2, 1, 0, 4, 0, 0, 0}));
  for (int64_t ignored : {4, -5, 1 << 20}) { // by the fused form
    Tensor ids = Here::from(std::vector<int64_t>{0, ignored, 1, 2}, {2, 2});
    EXPECT_EQ(ints(indices_to_multihot(stream, ids, probs, 4).position_map), (Ints{0, -1, -1, -1, -1, 0, 1, -1}));
  }
}

TEST_P(RoutingOn, MultihotLargeAndWide) {
  const int64_t tokens = 77, topk = 9;
  const int experts = 300;
  for (DType t : {f64, f16}) {
    Tensor ids = random_ints({tokens, topk}, i64, -3, experts + 3), probs = random_floats({tokens, topk}, t);
    Ints id = ints(ids), position(static_cast<size_t>(tokens * experts), -1);
    for (int64_t s = 0; s < tokens * topk; ++s)
      if (int64_t e = id[static_cast<size_t>(s)]; e >= 0 && e < experts)
        position[static_cast<size_t>(s / topk * experts + e)] = s % topk;
    Multihot m = indices_to_multihot(stream, ids, probs, experts);
    EXPECT_EQ(ints(m.position_map), position);
    auto p = probs.to_values(), dense = m.probs.to_values();
    for (size_t i = 0; i < position.size(); ++i)
      ASSERT_EQ(dense[i],
                position[i] < 0 ? 0 : p[i / static_cast<size_t>(experts) * topk + static_cast<size_t>(position[i])]);
    // Back: slots that lost against a duplicate or were out of range get 0.
    auto back = multihot_to_indices(stream, m.probs, m.position_map, topk).to_values();
    for (int64_t s = 0; s < tokens * topk; ++s) {
      int64_t e = id[static_cast<size_t>(s)];
      bool won = e >= 0 && e < experts && position[static_cast<size_t>(s / topk * experts + e)] == s % topk;
      ASSERT_EQ(back[static_cast<size_t>(s)], won ? p[static_cast<size_t>(s)] : 0);
    }
  }
}

// Ids narrower than the number of experts, which must not wrap to one of them.
TEST_P(RoutingOn, MultihotOfAnyIntegers) {
  const int experts = 300;
  Tensor probs = random_floats({9, 5}, f32);
  Tensor wide = random_ints({9, 5}, i64, -1, 127);
  Multihot m = indices_to_multihot(stream, wide, probs, experts),
           u = indices_to_multihot_unfused(stream, wide, probs, experts);
  Tensor grad = random_floats({9, experts}, f32);
  auto back = indices_to_multihot_unfused_backward(stream, grad, wide).to_bytes();
  EXPECT_EQ(m.multihot.to_bytes(), u.multihot.to_bytes());
  for (DType t : {i8, i32}) {
    Tensor ids = Here::from_values(wide.to_values(), {9, 5}, t);
    EXPECT_EQ(indices_to_multihot(stream, ids, probs, experts).position_map.to_bytes(), m.position_map.to_bytes());
    EXPECT_EQ(indices_to_multihot_unfused(stream, ids, probs, experts).probs.to_bytes(), u.probs.to_bytes());
    EXPECT_EQ(indices_to_multihot_unfused_backward(stream, grad, ids).to_bytes(), back);
  }
  // 44 + 256 would be 300: no expert.
  Tensor bytes = Here::from(std::vector<uint8_t>{255, 44, 7}, {1, 3}),
         p = Here::from(std::vector<float>{1, 2, 3}, {1, 3});
  Multihot b = indices_to_multihot(stream, bytes, p, experts);
  auto dense = b.probs.to_values();
  EXPECT_EQ(dense[255], 1);
  EXPECT_EQ(dense[44], 2);
  EXPECT_EQ(dense[7], 3);
  auto one = indices_to_multihot_unfused_backward(stream, b.probs, bytes).to_values();
  EXPECT_EQ(one, (std::vector<double>{1, 2, 3}));
}

TEST_P(RoutingOn, MultihotWithoutTokens) {
  Tensor ids = Here::empty({0, 3}, i64);
  for (DType t : {f32, f16}) {
    Multihot m = indices_to_multihot(stream, ids, Here::empty({0, 3}, t), 4);
    EXPECT_EQ(m.probs.shape(), (Dims{0, 4}));
    EXPECT_EQ(multihot_to_indices(stream, m.probs, m.position_map, 3).shape(), (Dims{0, 3}));
  }
  EXPECT_EQ(indices_to_multihot_unfused(stream, ids, Here::empty({0, 3}, f32), 4).multihot.shape(), (Dims{0, 4}));
  EXPECT_EQ(indices_to_multihot_unfused_backward(stream, Here::empty({0, 4}, f32), ids).shape(), (Dims{0, 3}));
}

TEST_P(RoutingOn, MultihotUnfusedDuplicatesAndGradient) {
  // More slots than experts; the highest slot wins, and each slot reads its expert's gradient.
  Tensor ids = Here::from(std::vector<int64_t>{1, -1, 1, 0, -2}, {1, 5});
  Tensor probs = Here::from(std::vector<float>{1, 2, 3, 4, 5}, {1, 5});
  Multihot m = indices_to_multihot_unfused(stream, ids, probs, 3);
  EXPECT_EQ(m.probs.to_values(), (std::vector<double>{4, 5, 0}));
  Tensor grad = Here::from(std::vector<float>{10, 20, 30}, {1, 3});
  EXPECT_EQ(indices_to_multihot_unfused_backward(stream, grad, ids).to_values(),
            (std::vector<double>{20, 0, 20, 10, 20}));
}

TEST_P(RoutingOn, WeightsGradient) {
  Tensor ids = random_ints({40, 3}, i64, -1, 9), weights = random_floats({40, 3}, bf16),
         mask = random_ints({40}, boolean, 0, 1);
  Routing r = route_slots(stream, ids, 5, 2, mask, weights);
  Tensor grad = random_floats({count_rows(stream, r)}, f32);
  Tensor got = route_slots_backward(stream, grad, r.row_ids, 3, bf16);
  EXPECT_EQ(got.shape(), (Dims{40, 3}));
  auto g = grad.to_values();
  std::vector<double> want;
  for (int64_t row : ints(r.row_ids)) want.push_back(row < 0 ? 0 : g[static_cast<size_t>(row)]);
  EXPECT_EQ(got.to_bytes(), Here::from_values(want, {40, 3}, bf16).to_bytes());
}

struct ExpectedIndices {
  Ints counts, gather, scatter;
};
ExpectedIndices expected_indices(const Ints &ids, int experts) {
  ExpectedIndices e{Ints(static_cast<size_t>(experts), 0), Ints(ids.size()), Ints(ids.size())};
  for (int64_t id : ids)
    if (id >= 0 && id <= experts) ++e.counts[static_cast<size_t>(std::min<int64_t>(id, experts - 1))];
  auto of = [&](int64_t slot) { return std::clamp<int64_t>(ids[static_cast<size_t>(slot)], -1, experts + 1); };
  std::iota(e.gather.begin(), e.gather.end(), 0);
  std::ranges::sort(e.gather, {}, [&](int64_t slot) { return std::pair(of(slot), slot); });
  for (size_t row = 0; row < ids.size(); ++row)
    e.scatter[static_cast<size_t>(e.gather[row])] = static_cast<int64_t>(row);
  return e;
}

TEST_P(RoutingOn, RoutingIndices) {
  struct {
    int64_t tokens, topk;
    int experts;
    int64_t low, high;
  } shapes[] = {{37, 4, 11, 0, 10},    {37, 4, 11, -3, 15}, {19, 1, 1, -1, 2},
                {50, 3, 128, -1, 130}, {40, 2, 5, -9, -1},  {2100, 2, 13, -2, 15}}; // more than one program sorts
  for (auto &s : shapes)
    for (DType t : {i32, i64}) {
      Tensor ids = random_ints({s.tokens, s.topk}, t, s.low, s.high);
      const ExpectedIndices e = expected_indices(ints(ids), s.experts);
      RoutingIndices r = routing_indices(stream, ids, s.experts);
      EXPECT_EQ(r.counts.dtype(), t);
      EXPECT_EQ(ints(r.counts), e.counts);
      EXPECT_EQ(r.gather.to_vector<int64_t>(), e.gather);
      EXPECT_EQ(r.scatter.to_vector<int64_t>(), e.scatter);
      EXPECT_EQ(routing_indices(stream, ids.reshape({s.tokens * s.topk}), s.experts).gather.to_bytes(),
                r.gather.to_bytes());
    }
  RoutingIndices none = routing_indices(stream, Here::empty({0, 4}, i32), 3);
  EXPECT_EQ(ints(none.counts), Ints(3, 0));
  EXPECT_EQ(none.gather.numel(), 0);
}

TEST_P(RoutingOn, RoutingIndicesOfExtremeIds) {
  constexpr int64_t least = std::numeric_limits<int64_t>::min(), most = std::numeric_limits<int64_t>::max();
  RoutingIndices r = routing_indices(stream, Here::from(Ints{most, 3, 1, least, 4, 3, -1}, {7}), 3);
  EXPECT_EQ(ints(r.counts), (Ints{0, 1, 2}));
  EXPECT_EQ(r.gather.to_vector<int64_t>(), (Ints{3, 6, 2, 1, 5, 0, 4}));
  EXPECT_EQ(r.scatter.to_vector<int64_t>(), (Ints{5, 3, 2, 0, 6, 4, 1}));
}

// Every row of the permuted tokens is a token's, whatever its id.
TEST_P(RoutingOn, RoutingIndicesMoveAllRows) {
  const int topk = 3;
  Tensor ids = random_ints({20, topk}, i64, -2, 9), x = random_floats({20, 8}, f64);
  NamedTensors in{{"selected_experts", ids}, {"x", x}, {"grad_permuted", random_floats({60, 8}, f64)}};
  OpCall call(op_at("unsloth_routing_permute"), stream.device(), in, {{"num_experts", "7"}}, {});
  call.run();
  const NamedTensors out = call.outputs();
  const ExpectedIndices e = expected_indices(ints(ids), 7);
  EXPECT_EQ(ints(out.at("token_counts_by_expert")), e.counts);
  const auto rows = out.at("permuted").to_values(), tokens = x.to_values(), sums = out.at("grad_x").to_values(),
             grad = in["grad_permuted"].to_values();
  for (size_t row = 0; row < e.gather.size(); ++row)
    for (size_t d = 0; d < 8; ++d)
      ASSERT_EQ(rows[row * 8 + d], tokens[static_cast<size_t>(e.gather[row]) / topk * 8 + d]);
  for (size_t t = 0; t < 20; ++t)
    for (size_t d = 0; d < 8; ++d) {
      double sum = 0;
      for (size_t k = 0; k < topk; ++k) sum += grad[static_cast<size_t>(e.scatter[t * topk + k]) * 8 + d];
      ASSERT_EQ(sums[t * 8 + d], sum);
    }
}

/// Kernels that `work` launched on the simulated GPU.
uint64_t launches_of(const std::function<void()> &work) {
  SimTraffic traffic;
  SimScope scope({.traffic = &traffic});
  work();
  uint64_t n = 0;
  for (const KernelTraffic &k : traffic.kernels()) n += k.launches;
  return n;
}

// The size of a DeepSeek-V3 step.
TEST(RoutingSize, MetadataOfAFullStepIsTwoKernels) {
  set_sim_checked(false);
  const int experts = 256;
  Tensor ids = random_ints({4096, 8}, i64, 0, experts - 1);
  RoutingIndices r;
  EXPECT_EQ(launches_of([&] { r = routing_indices(Device::sim(), ids, experts); }), 2u);
  Tensor weights = random_floats({4096, 8}, f32), mask = random_ints({4096}, boolean, 0, 1);
  EXPECT_EQ(launches_of([&] { route_slots(Device::sim(), ids, experts, 0, mask, weights); }), 2u);
  const ExpectedIndices e = expected_indices(ints(ids), experts);
  EXPECT_EQ(ints(r.gather), e.gather);
  EXPECT_EQ(ints(r.scatter), e.scatter);
  EXPECT_EQ(ints(r.counts), e.counts);
}

// Beyond 32,768 slots the blocks are the largest; the order is the same.
TEST(RoutingSize, ManySlots) {
  set_sim_checked(false);
  const int64_t tokens = 33000;
  Tensor ids = random_ints({tokens, 2}, i32, -1, 20);
  Tensor mask = Here::from_values(std::vector<double>(static_cast<size_t>(tokens), 1), {tokens}, boolean);
  Tensor weights = random_floats({tokens, 2}, f32);
  Routing r = route_slots(Device::sim(), ids, 20, 0, {}, weights);
  Expected e = expected_routing(ids, 20, 0, mask, weights);
  EXPECT_EQ(ints(r.slot_ids), e.slots);
  EXPECT_EQ(ints(r.row_ids), e.rows);
  EXPECT_EQ(ints(r.offs), e.offs);
  EXPECT_EQ(r.weights.to_values(), e.weights);
}

} // namespace
} // namespace moec
