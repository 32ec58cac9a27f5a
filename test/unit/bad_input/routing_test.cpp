// Bad input of the indices converter, routing, gate and load.
#include <gtest/gtest.h>

#include "bad_input.h"

namespace moec {
namespace {

const Tensor kIds = of(i64, 4, 2), kMap = of(boolean, 4, 2), kTokens = f(3, 4);
const GateParameters kGate{f(6, 4), {}, {}};
constexpr ScoreFunction kSigmoid = ScoreFunction::sigmoid;

TEST(BadInput, IndicesConverter) {
  expect_refused({
      {"indices_to_multihot: indices", "its dtype must be i64 or i32 or i8 or u8",
       [](auto &s) { indices_to_multihot(s, f(4, 2), f(4, 2), 8); }},
      {"indices_to_multihot: indices", "it must have 2 dimensions",
       [](auto &s) { indices_to_multihot(s, of(i64, 4), f(4), 8); }},
      {"indices_to_multihot: probs", "its shape must be [4, 2]",
       [](auto &s) { indices_to_multihot(s, kIds, f(2, 4), 8); }},
      {"indices_to_multihot: probs", "it is missing", [](auto &s) { indices_to_multihot(s, kIds, {}, 8); }},
      {"indices_to_multihot", "the number of experts is 0; it must be 1 to 4096",
       [](auto &s) { indices_to_multihot(s, kIds, f(4, 2), 0); }},
      {"indices_to_multihot", "topk is 0; it must be 1 to 1024",
       [](auto &s) { indices_to_multihot(s, of(i64, 4, 0), f(4, 0), 8); }},
      {"indices_to_multihot_unfused: probs", "its dtype must be f32 or f64",
       [](auto &s) { indices_to_multihot_unfused(s, kIds, of(bf16, 4, 2), 8); }},
      {"indices_to_multihot_unfused_backward: gradient", "its shape must be [4, *]",
       [](auto &s) { indices_to_multihot_unfused_backward(s, f(3, 8), kIds); }},
      {"multihot_to_indices: position_map", "its dtype must be i32",
       [](auto &s) { multihot_to_indices(s, f(4, 8), of(i64, 4, 8), 2); }},
      {"indices_to_multihot", "the number of experts is 4097",
       [](auto &s) { indices_to_multihot(s, kIds, f(4, 2), 4097); }},
      {"multihot_to_indices: position_map", "its shape must be [4, 8]",
       [](auto &s) { multihot_to_indices(s, f(4, 8), of(i32, 4, 7), 2); }},
      {"multihot_to_indices", "topk is 1025; it must be 1 to 1024",
       [](auto &s) { multihot_to_indices(s, f(4, 8), of(i32, 4, 8), 1025); }},
      {"multihot_to_indices: probs_in_multihot", "its dtype must be f32 or bf16 or f16 or f64",
       [](auto &s) { multihot_to_indices(s, of(i32, 4, 8), of(i32, 4, 8), 2); }},
      {"indices_to_multihot_unfused: indices", "it must have 2 dimensions",
       [](auto &s) { indices_to_multihot_unfused(s, of(i64, 4), f(4), 8); }},
      {"indices_to_multihot_unfused_backward: indices", "its dtype must be i64",
       [](auto &s) { indices_to_multihot_unfused_backward(s, f(4, 8), f(4, 2)); }},
  });
}

TEST(BadInput, Slots) {
  expect_refused({
      {"route_slots: indices", "its dtype must be i32 or i64", [](auto &s) { route_slots(s, f(4, 2), 8); }},
      {"route_slots: indices", "it must have 2 dimensions", [](auto &s) { route_slots(s, of(i64, 8), 8); }},
      {"route_slots: indices", "topk is 0; it must be 1 or more", [](auto &s) { route_slots(s, of(i64, 4, 0), 8); }},
      {"route_slots", "the number of experts is 5000; it must be 1 to 4096",
       [](auto &s) { route_slots(s, kIds, 5000); }},
      {"route_slots", "the first expert is -1; it must be 0 to 2147479551",
       [](auto &s) { route_slots(s, kIds, 8, -1); }},
      {"route_slots: token_mask", "its shape must be [4]", [](auto &s) { route_slots(s, kIds, 8, 0, of(boolean, 5)); }},
      {"route_slots: token_mask", "its dtype must be bool", [](auto &s) { route_slots(s, kIds, 8, 0, of(i32, 4)); }},
      {"route_slots: weights", "its shape must be [4, 2]", [](auto &s) { route_slots(s, kIds, 8, 0, {}, f(4, 3)); }},
      {"route_slots: weights", "its dtype must be f32", [](auto &s) { route_slots(s, kIds, 8, 0, {}, kIds); }},
      {"route_slots_backward: row_ids", "its size must be a multiple of topk",
       [](auto &s) { route_slots_backward(s, f(8), of(i32, 8), 3, f32); }},
      {"route_slots_backward", "its dtype must be i32",
       [](auto &s) { route_slots_backward(s, f(8), of(i64, 8), 2, f32); }},
      {"routing_indices: indices", "its dtype must be i32 or i64", [](auto &s) { routing_indices(s, f(4, 2), 8); }},
      {"expert_load: token_mask", "its dtype must be bool", [](auto &s) { expert_load(s, kIds, 8, f(4)); }},
      {"route_slots: indices", "it is missing", [](auto &s) { route_slots(s, {}, 8); }},
      {"routing_indices: indices", "it is missing", [](auto &s) { routing_indices(s, {}, 8); }},
      {"routing_indices", "the number of experts is 0", [](auto &s) { routing_indices(s, kIds, 0); }},
      {"expert_load: indices", "its dtype must be i32 or i64", [](auto &s) { expert_load(s, of(boolean, 4, 2), 8); }},
      {"expert_load: token_mask", "its shape must be [4]", [](auto &s) { expert_load(s, kIds, 8, of(boolean, 3)); }},
      {"route_slots_backward: gradient", "it must have 1 dimension",
       [](auto &s) { route_slots_backward(s, f(8, 1), of(i32, 8), 2, f32); }},
  });
}

TEST(BadInput, Maps) {
  expect_refused({
      {"route_map: routing_map", "it must have 2 dimensions", [](auto &s) { route_map(s, of(boolean, 4)); }},
      {"route_map: routing_map", "its dtype must be bool", [](auto &s) { route_map(s, of(e4m3, 4, 2)); }},
      {"route_map: routing_map", "it is missing", [](auto &s) { route_map(s, {}); }},
      {"route_map: routing_map", "the number of experts is 4097", [](auto &s) { route_map(s, of(boolean, 2, 4097)); }},
      {"route_map: probs", "its shape must be [4, 2]", [](auto &s) { route_map(s, kMap, f(4, 3)); }},
      {"route_map", "pad_multiple is 0; it must be 1 to 65536",
       [](auto &s) { route_map(s, kMap, {}, {.pad_multiple = 0}); }},
      {"route_map: capacity", "padding to a multiple was asked for too; choose one",
       [](auto &s) { route_map(s, kMap, {}, {.pad_multiple = 2, .capacity = 2}); }},
      {"route_map", "capacity is 5; it must be 0 to 4", [](auto &s) { route_map(s, kMap, {}, {.capacity = 5}); }},
      {"pad_routing_map", "multiple is 65537; it must be 1 to 65536", [](auto &s) { pad_routing_map(s, kMap, 65537); }},
      {"pad_routing_map_in_place: routing_map",
       "elements of i32[4, 2] on host with strides [0, 1] share memory; give it memory of its own",
       [](auto &s) {
         Tensor repeated = of(i32, 1, 2).expand({4, 2});
         pad_routing_map_in_place(s, repeated, 2);
       }},
      {"limit_capacity", "capacity is -1; it must be 0 to 2147483647",
       [](auto &s) { limit_capacity(s, kMap, f(4, 2), -1); }},
      {"limit_capacity: probs", "its shape must be [4, 2]", [](auto &s) { limit_capacity(s, kMap, f(2, 4), 1); }},
      {"limit_capacity_backward: limited map", "its dtype must be bool",
       [](auto &s) { limit_capacity_backward(s, f(4, 8), of(boolean, 4, 8), of(i32, 4, 8)); }},
      {"limit_capacity_backward: gradient", "its shape must be [4, 8]",
       [](auto &s) { limit_capacity_backward(s, f(4, 7), of(boolean, 4, 8), of(boolean, 4, 8)); }},
      {"expert_capacity", "tokens is -1", [](auto &) { expert_capacity(-1, 2, 4, 1); }},
      {"expert_capacity", "topk is 0", [](auto &) { expert_capacity(5, 0, 4, 1); }},
      {"expert_capacity", "experts is 0", [](auto &) { expert_capacity(5, 2, 0, 1); }},
      {"expert_capacity", "factor is inf", [](auto &) { expert_capacity(5, 2, 4, INFINITY); }},
      {"expert_capacity", "factor is 0; it must be positive and finite", [](auto &) { expert_capacity(5, 2, 4, 0); }},
  });
}

TEST(BadInput, Gate) {
  expect_refused({
      {"calculate_topk: logits", "its dtype must be f32", [](auto &s) { calculate_topk(s, kIds, 1); }},
      {"calculate_topk", "topk is 4; it must be 1 to 3", [](auto &s) { calculate_topk(s, f(4, 3), 4); }},
      {"calculate_topk_backward: gradient", "its shape must be [4, 2]",
       [](auto &s) { calculate_topk_backward(s, f(4, 3), f(4, 8), kIds); }},
      {"calculate_topk", "the number of experts is 0", [](auto &s) { calculate_topk(s, f(4, 0), 1); }},
      {"calculate_topk_backward", "the number of experts is 4097",
       [](auto &s) { calculate_topk_backward(s, f(4, 2), f(4, 4097), kIds); }},
      {"calculate_topk_backward: indices", "its shape must be [4, *]",
       [](auto &s) { calculate_topk_backward(s, f(4, 2), f(4, 8), of(i64, 3, 2)); }},
      {"calculate_topk_backward: indices", "its dtype must be i32 or i64",
       [](auto &s) { calculate_topk_backward(s, f(4, 2), f(4, 8), f(4, 2)); }},
      {"gate", "topk is 7; it must be 1 to 6", [](auto &s) { gate_forward(s, kTokens, kGate, {.topk = 7}); }},
      {"gate: weight", "its shape must be [*, 4]", [](auto &s) { gate_forward(s, kTokens, {f(6, 5), {}, {}}, {}); }},
      {"gate: weight", "its dtype must be f32", [](auto &s) { gate_forward(s, kTokens, {of(i32, 6, 4), {}, {}}, {}); }},
      {"gate: precision", "it is e4m3; give f32, bf16, f16 or f64",
       [](auto &s) { gate_forward(s, kTokens, kGate, {.precision = e4m3}); }},
      {"gate: bias", "its shape must be [6]", [](auto &s) { gate_forward(s, kTokens, {f(6, 4), f(5), {}}, {}); }},
      {"gate: correction_bias", "its dtype must be f32",
       [](auto &s) { gate_forward(s, kTokens, {f(6, 4), {}, of(i32, 6)}, {.score = kSigmoid}); }},
      {"gate: groups", "6 experts are not 4 equal groups",
       [](auto &s) { gate_forward(s, kTokens, kGate, {.score = kSigmoid, .groups = 4}); }},
      {"gate", "limited_groups is 4; it must be 1 to 3",
       [](auto &s) { gate_forward(s, kTokens, kGate, {.score = kSigmoid, .groups = 3, .limited_groups = 4}); }},
      {"gate: groups: a group's score is the sum of its 2 greatest, but", "it has one expert; use fewer groups",
       [](auto &s) {
         gate_forward(s, kTokens, kGate, {.score = ScoreFunction::softmax_with_bias, .groups = 6, .limited_groups = 2});
       }},
      {"gate: topk", "1 groups of 2 experts have fewer than 3 experts; lower topk",
       [](auto &s) {
         gate_forward(s, kTokens, kGate,
                      {.topk = 3, .score = ScoreFunction::sigmoid_with_bias, .groups = 3, .limited_groups = 1});
       }},
      {"gate: token_mask", "its shape must be [3]",
       [](auto &s) { gate_forward(s, kTokens, kGate, {}, of(boolean, 4)); }},
      {"gate: score function", "there is no tanh; give softmax, sigmoid", [](auto &) { score_function_named("tanh"); }},
      {"gate: score function", "it is none of ScoreFunction's values",
       [](auto &s) { gate_forward(s, kTokens, kGate, {.score = static_cast<ScoreFunction>(5)}); }},
      {"gate: route_scale", "it is not a number",
       [](auto &s) { gate_forward(s, kTokens, kGate, {.route_scale = std::nan("")}); }},
      {"gate: aux_loss_coeff", "it is not a number",
       [](auto &s) { gate_forward(s, kTokens, kGate, {.aux_loss_coeff = std::nan("")}); }},
      {"gate: bias", "its shape must be [6]",
       [](auto &s) {
         gate_backward(s, f(3, 1), kTokens, {f(6, 4), f(6, 1), {}}, gate_forward(s, kTokens, kGate, {}), {});
       }},
      {"gate_backward: indices", "its shape must be [3, 2]",
       [](auto &s) { gate_backward(s, f(3, 2), kTokens, kGate, gate_forward(s, kTokens, kGate, {}), {.topk = 2}); }},
      {"gate_backward: expert_load", "its shape must be [6]",
       [](auto &s) {
         const GateOptions options{.aux_loss_coeff = 1};
         GateOutput saved = gate_forward(s, kTokens, kGate, options);
         saved.expert_load = of(i64, 5);
         gate_backward(s, f(3, 1), kTokens, kGate, saved, options);
       }},
      {"gate_backward: logits", "its shape must be [3, 6]",
       [](auto &s) { gate_backward(s, f(3, 1), kTokens, kGate, {}, {}); }},
      {"gate_backward: gradient", "its shape must be [3, 1]",
       [](auto &s) { gate_backward(s, f(3, 2), kTokens, kGate, gate_forward(s, kTokens, kGate, {}), {}); }},
  });
}

TEST(BadInput, Load) {
  expect_refused({
      {"aux_loss: load", "its shape must be [8]", [](auto &s) { aux_loss(s, f(4, 8), of(i64, 7), 2); }},
      {"aux_loss: load", "its dtype must be i64", [](auto &s) { aux_loss(s, f(4, 8), of(i32, 8), 2); }},
      {"aux_loss: token_mask", "its dtype must be bool", [](auto &s) { aux_loss(s, f(4, 8), of(i64, 8), 2, f(4)); }},
      {"aux_loss", "topk is 0; it must be 1 or more", [](auto &s) { aux_loss(s, f(4, 8), of(i64, 8), 0); }},
      {"aux_loss_backward: gradient", "it must have one element",
       [](auto &s) { aux_loss_backward(s, f(2), of(i64, 8), of(i64), 4, 2); }},
      {"aux_loss_backward", "the number of tokens is -1",
       [](auto &s) { aux_loss_backward(s, f(), of(i64, 8), of(i64), -1, 2); }},
      {"aux_loss_backward: factor", "it is not a number",
       [](auto &s) { aux_loss_backward(s, f(), of(i64, 8), of(i64), 4, 2, {}, std::nan("")); }},
      {"AuxLossAutoScaler: scale", "it must have one element",
       [](auto &s) { AuxLossAutoScaler{f(2)}.backward(s, f(3), f()); }},
      {"aux_loss: scores", "it must have 2 dimensions", [](auto &s) { aux_loss(s, f(8), of(i64, 8), 2); }},
      {"aux_loss_backward: valid", "it must have one element",
       [](auto &s) { aux_loss_backward(s, f(), of(i64, 8), of(i64, 2), 4, 2); }},
      {"aux_loss_backward: token_mask", "its shape must be [4]",
       [](auto &s) { aux_loss_backward(s, f(), of(i64, 8), of(i64), 4, 2, of(boolean, 5)); }},
  });
}

} // namespace
} // namespace moec
