// Bad calls of ops by name, as the command line and recorded cases make them.
#include <gtest/gtest.h>

#include "bad_input.h"
#include "kernels/registry.h"

namespace moec {
namespace {

std::function<void(const Stream &)> run(const char *op, const NamedTensors &inputs, const Settings &parameters = {}) {
  return [=](const Stream &stream) { OpCall(op_at(op), stream, inputs, parameters).run(); };
}

TEST(BadInput, Ops) {
  const Tensor ids = of(i64, 4, 2), mask = of(boolean, 4), offs = of(i32, 3);
  const Settings experts{{"num_local_experts", "4"}};
  expect_refused({
      {"indices_to_multihot", "the parameter num_local_experts is missing",
       run("indices_to_multihot", {{"indices", ids}, {"probs", f(4, 2)}})},
      {"indices_to_multihot", "the tensor probs [T, K] is missing",
       run("indices_to_multihot", {{"indices", ids}}, experts)},
      {"indices_to_multihot: probs", "its shape must be [4, 2]",
       run("indices_to_multihot", {{"indices", ids}, {"probs", f(4, 3)}}, experts)},
      {"indices_to_multihot: indices", "its dtype must be i64 or i32 or i8 or u8",
       run("indices_to_multihot", {{"indices", f(4, 2)}, {"probs", f(4, 2)}}, experts)},
      {"indices_to_multihot: probs", "its dtype must be f32 or bf16 or f16 or f64",
       run("indices_to_multihot", {{"indices", ids}, {"probs", ids}}, experts)},
      {"indices_to_multihot: indices", "it must have 2 dimensions",
       run("indices_to_multihot", {{"indices", mask}, {"probs", f(4, 2)}}, experts)},
      {"indices_to_multihot", "the number of experts is 0; it must be 1 to 4096",
       run("indices_to_multihot", {{"indices", ids}, {"probs", f(4, 2)}}, {{"num_local_experts", "0"}})},
      {"indices_to_multihot with num_local_experts=four", "the value does not fit; give an integer: ",
       run("indices_to_multihot", {{"indices", ids}, {"probs", f(4, 2)}}, {{"num_local_experts", "four"}})},
      {"indices_to_multihot with top=1", "the op has no such parameter",
       run("indices_to_multihot", {{"indices", ids}, {"probs", f(4, 2)}}, {{"num_local_experts", "4"}, {"top", "1"}})},
      {"indices_to_multihot with tensor weights", "the op has no such input",
       run("indices_to_multihot", {{"indices", ids}, {"probs", f(4, 2)}, {"weights", f(4)}}, experts)},
      {"indices_to_multihot_unfused: probs", "its dtype must be f32",
       run("indices_to_multihot_unfused", {{"indices", ids}, {"probs", of(bf16, 4, 2)}}, experts)},
      {"multihot_to_indices: position_map", "its shape must be [4, 8]",
       run("multihot_to_indices", {{"probs_in_multihot", f(4, 8)}, {"position_map", ids}}, {{"topk", "2"}})},
      {"calculate_topk", "topk is 3; it must be 1 to 2",
       run("unsloth_calculate_topk", {{"gating_output", f(4, 2)}}, {{"topk", "3"}})},
      {"unsloth_calculate_topk", "pre_act and post_act are both true; exactly one of them must be true",
       run("unsloth_calculate_topk", {{"gating_output", f(4, 2)}}, {{"topk", "1"}, {"post_act", "true"}})},
      {"route_slots: token_mask", "its dtype must be bool",
       run("permute_tokens_for_grouped_mm", {{"indices", ids}, {"weights", f(4, 2)}, {"token_mask", f(4)}},
           {{"n_local_experts", "2"}})},
      {"permute: routing_map", "its shape must be [4, *]",
       run("permute", {{"tokens", f(4, 8)}, {"routing_map", of(boolean, 5, 2)}})},
      {"permute_drop_and_pad", "the capacity num_out_tokens / E is 5; it must be 0 to 4",
       run("permute", {{"tokens", f(4, 8)}, {"routing_map", of(boolean, 4, 2)}},
           {{"drop_and_pad", "true"}, {"num_out_tokens", "10"}})},
      {"permute: routing_map", "its dtype must be bool or i8",
       run("permute", {{"tokens", f(4, 8)}, {"routing_map", of(e4m3, 4, 2)}})},
      {"unpermute: sorted_indices", "its shape must be [3]",
       run("unpermute", {{"permuted_tokens", f(3, 8)}, {"sorted_indices", of(i64, 4)}})},
      {"unpermute", "probs need the routing map",
       run("unpermute", {{"permuted_tokens", f(4, 8)}, {"sorted_indices", of(i64, 4)}, {"probs", f(2, 2)}},
           {{"tokens", "2"}})},
      {"activate: x", "its last dimension must be even",
       run("weighted_swiglu", {{"x", f(4, 7)}, {"weights", f(4, 1)}})},
      {"activate: weights", "its shape must be [4, 1]", run("weighted_swiglu", {{"x", f(4, 8)}, {"weights", f(4)}})},
      {"activate: x", "its dtype must be f32 or bf16 or f16 or f64",
       run("weighted_swiglu", {{"x", ids}, {"weights", f(4, 1)}})},
      {"grouped_mm: b", "its shape must be [*, 8, *]",
       run("grouped_mm", {{"a", f(4, 8)}, {"b", f(3, 7, 5)}, {"offs", offs}})},
      {"grouped_mm: b", "its dtype must be f32",
       run("grouped_mm", {{"a", f(4, 8)}, {"b", of(bf16, 3, 8, 5)}, {"offs", offs}})},
      {"grouped_mm: offs", "its shape must be [2]",
       run("grouped_mm", {{"a", f(4, 8)}, {"b", f(2, 8, 5)}, {"offs", offs}})},
      {"grouped_mm: offs", "its dtype must be i32",
       run("grouped_mm", {{"a", f(4, 8)}, {"b", f(3, 8, 5)}, {"offs", of(i64, 3)}})},
      {"grouped_mm with b_layout=[K,E,N]: moec does not do this value;", "it may be [E,K,N], [E,N,K]",
       run("grouped_mm", {{"a", f(4, 8)}, {"b", f(3, 8, 5)}, {"offs", offs}}, {{"b_layout", "[K,E,N]"}})},
      {"grouped_mm: grad_output", "gradients are asked for a product with row_weights",
       run("grouped_mm",
           {{"a", f(4, 8)}, {"b", f(3, 8, 5)}, {"offs", offs}, {"row_weights", f(4)}, {"grad_output", f(4, 5)}})},
  });
}

} // namespace
} // namespace moec
