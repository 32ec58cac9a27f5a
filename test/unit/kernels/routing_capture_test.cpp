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

// Tensors of other strides are copied by a kernel on the stream.
TEST(RoutingCapture, StridedTensors) {
  const Device device = test_device();
  const Tensor sizes = Tensor::from(std::vector<int64_t>{6, 3, 3}, {3}, device),
               order = Tensor::from(std::vector<int64_t>{2, 0, 1}, {3}, device),
               counts = Tensor::from(std::vector{20, 4}, {2}, device);
  auto run = [&](const Stream &s, const Tensors &in, bool copied) -> Tensors {
    auto view = [&](const Tensor &t) { return copied ? t.contiguous() : t; };
    Routing r = route_slots(s, view(in[0].slice(0, 3, 23).slice(1, 2, 7)), 12, 2, {}, view(in[1].transpose(0, 1)));
    RoutingIndices i = routing_indices(s, view(in[2].slice(1, 1, 2).reshape({40})), 16);
    Tensor x = view(in[3].transpose(0, 2));
    return {r.slot_ids,
            r.token_ids,
            r.weights,
            r.counts,
            i.gather,
            i.scatter,
            sort_chunks(s, x, sizes, order).output,
            apply_bias(s, x, in[4], counts)};
  };
  auto inputs = [] { // the memory of the strided tensors
    return Tensors{random_ints({50, 7}, i64, 0, 15), random_floats({5, 20}, f32), random_ints({40, 2}, i32, 0, 15),
                   random_floats({9, 2, 12}, f32), random_floats({2, 9}, f32)};
  };
  expect_replays([&](const Stream &s, const Tensors &in) { return run(s, in, false); }, inputs);
  const Stream stream(device);
  Tensors in;
  for (const Tensor &t : inputs()) in.push_back(t.to(device));
  const Tensors got = run(stream, in, false), expected = run(stream, in, true);
  for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i].to_bytes(), expected[i].to_bytes()) << "output " << i;
}

TEST(RoutingCapture, PackedIsTheTensorItself) {
  Stream stream(Device::sim());
  Tensor x = random_floats({4, 3, 5, 2}, bf16);
  EXPECT_EQ(packed(stream, x).data(), x.data());
  for (const Tensor &t : {x.transpose(1, 3), x.slice(3, 1, 2), x.slice(2, 1, 4).transpose(0, 1), x.transpose(0, 3),
                          random_ints({30, 4}, boolean, 0, 1).transpose(0, 1), x.slice(0, 2, 2)}) {
    SCOPED_TRACE(t.text());
    Tensor p = packed(stream, t);
    EXPECT_TRUE(p.is_contiguous());
    EXPECT_EQ(p.shape(), t.shape());
    EXPECT_EQ(p.to_bytes(), t.to_bytes());
  }
  Tensor scattered = random_floats({3, 3, 3, 3, 3}, f32).slice(4, 0, 2).transpose(0, 1).transpose(2, 3);
  EXPECT_THROW(packed(stream, scattered), UserError);
}

TEST(RoutingCapture, NoTokens) {
  expect_replays(
      [](const Stream &s, const Tensors &in) -> Tensors {
        Routing r = route_slots(s, in[0], 4);
        return {r.counts, r.offs};
      },
      [] { return Tensors{Tensor::empty({0, 2}, i32)}; });
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
      [] { return Tensors{random_ints({9, 2}, i64, -1, 5), random_floats({9, 2}, f32)}; });
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
