// Routing, gate and biases in a graph: nothing in them waits for the device or depends on values on the host, so that a
// replay with other values gives what a plain call gives.
#include <gtest/gtest.h>

#include "kernels/moe.h"
#include "random_data.h"
#include "replays.h"

namespace moec {
namespace {

TEST(RoutingCapture, Slots) {
  expect_replays(
      [](const Stream &s, const Tensors &in) -> Tensors {
        Routing r = route_slots(s, in[0], 12, 2, in[1], in[2]);
        RoutingIndices i = routing_indices(s, in[0], 16);
        Tensor load = expert_load(s, in[0], 16, in[1]), back = route_slots_backward(s, in[3], r.row_ids, 3, f32);
        return {r.slot_ids, r.token_ids, r.weights, r.row_ids, r.counts, r.offs,
                i.counts,   i.gather,    i.scatter, load,      back};
      },
      [] {
        return Tensors{random_ints({50, 3}, i64, 0, 15), random_ints({50}, boolean, 0, 1), random_floats({50, 3}, f32),
                       random_floats({150}, f32)};
      });
}

TEST(RoutingCapture, NoTokens) {
  expect_replays(
      [](const Stream &s, const Tensors &in) -> Tensors {
        Routing r = route_slots(s, in[0], 4);
        return {r.counts, r.offs};
      },
      [] {
        return Tensors{Tensor::empty({0, 2}, i32)};
      });
}

TEST(RoutingCapture, Multihot) {
  expect_replays(
      [](const Stream &s, const Tensors &in) -> Tensors {
        Multihot m = indices_to_multihot(s, in[0], in[1], 6), u = indices_to_multihot_unfused(s, in[0], in[1], 6);
        return {m.multihot,
                m.probs,
                m.position_map,
                multihot_to_indices(s, m.probs, m.position_map, 2),
                u.multihot,
                u.probs,
                indices_to_multihot_unfused_backward(s, u.probs, in[0])};
      },
      [] {
        return Tensors{random_ints({9, 2}, i64, -1, 5), random_floats({9, 2}, f32)};
      });
}

TEST(RoutingCapture, Gate) {
  expect_replays(
      [](const Stream &s, const Tensors &in) -> Tensors {
        GateOptions o{.topk = 3, .softmax_before_topk = true, .norm_topk_prob = true, .aux_loss_coeff = 0.1};
        GateParameters p{in[1], in[2], {}};
        GateOutput out = gate_forward(s, in[0], p, o, in[3]);
        GateGrads g = gate_backward(s, in[4], in[0], p, out, o, in[3]);
        TopKWeights k = calculate_topk(s, out.logits, 2);
        return {out.weights, out.indices, out.expert_load, out.aux_loss, g.x, g.weight, g.bias, k.weights, k.ids};
      },
      [] {
        return Tensors{random_floats({20, 8}, f32), random_floats({10, 8}, f32), random_floats({10}, f32),
                       random_ints({20}, boolean, 0, 1), random_floats({20, 3}, f32)};
      });
}

TEST(RoutingCapture, Bias) {
  expect_replays(
      [](const Stream &s, const Tensors &in) -> Tensors {
        auto rows = RowsOfExperts::by_ends(in[3]);
        BiasGrads g = apply_bias_backward(s, in[0], in[1], rows, in[2]);
        return {apply_bias(s, in[0], in[1], rows, in[2]), g.probs, g.bias};
      },
      [] {
        Tensor offs = random_offs(4, 30);
        offs.data_as<int32_t>()[3] = 30; // every row has an expert, so every one is written
        return Tensors{random_floats({30, 20}, f32), random_floats({4, 20}, f32), random_floats({30, 1}, f32), offs};
      });
}

} // namespace
} // namespace moec
