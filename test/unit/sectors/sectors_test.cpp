// Memory-bound ops move each 32-byte sector of their inputs and outputs about once: sectors moved, summed over the CTAs
// of all kernels of the op, over distinct sectors of its inputs and outputs. One line per shape; an op of the registry
// that has no shape here has a reason.
#include <gtest/gtest.h>

#include <cstdio>
#include <functional>
#include <map>
#include <set>

#include "kernels/registry.h"
#include "kernels/verify.h"
#include "runtime/hash_values.h"
#include "runtime/simulator.h"

namespace moec {
namespace {

constexpr double kMostRatio = 1.02;

struct Call {
  NamedTensors inputs;
  Settings parameters;
  std::vector<std::string> outputs; ///< that are made; empty: all
};
struct Row {
  const char *op;
  const char *shape;
  std::function<Call()> call;
};

NamedTensors run(const char *op, const Call &call) {
  OpCall c(op_at(op), Device::sim(), call.inputs, call.parameters, call.outputs);
  c.run();
  return c.outputs();
}

// -- inputs

Tensor floats(const Dims &shape, DType dtype, uint64_t seed = 1) { return hash_uniform(seed, 1, shape, dtype); }

/// T tokens, D hidden, E experts, K experts of each token.
struct Sizes {
  int64_t T, D, E = 8, K = 2;
};
/// K different experts for each token.
Tensor experts_of(const Sizes &s) {
  std::vector<double> ids;
  for (int64_t t = 0; t < s.T; ++t)
    for (int64_t k = 0; k < s.K; ++k) ids.push_back(static_cast<double>((t * 7 + k * (s.E / s.K)) % s.E));
  return Tensor::from_values(ids, {s.T, s.K}, i64);
}
Tensor map_of(const Sizes &s) {
  Tensor map = Tensor::zeros({s.T, s.E}, boolean), ids = experts_of(s);
  for (int64_t i = 0; i < s.T * s.K; ++i)
    static_cast<uint8_t *>(map.data())[i / s.K * s.E + ids.data_as<int64_t>()[i]] = 1;
  return map;
}
/// N rows shared out among E experts.
Tensor counts_of(int64_t N, int64_t E) {
  std::vector<double> counts(static_cast<size_t>(E), static_cast<double>(N / E));
  counts[0] += static_cast<double>(N % E);
  return Tensor::from_values(counts, {E}, i64);
}

// -- calls

/// An activation of x [T, 2*H], or [T, H] if it has no gate. `weights`: their name, if it takes any.
struct Glu {
  const char *weights = "weights";
  bool gated = true, bias = false;
};
Call glu(const Glu &op, int64_t T, int64_t H, DType dtype, bool backward) {
  const int64_t columns = op.gated ? 2 * H : H;
  Call c{{{"x", floats({T, columns}, dtype)}}, {}, {"y"}};
  if (op.weights) c.inputs[op.weights] = floats({T, 1}, f32, 2);
  if (op.bias) c.inputs["bias"] = floats({columns}, dtype, 3);
  if (!backward) return c;
  c.inputs["grad_output"] = floats({T, H}, dtype, 4);
  c.outputs = {"grad_x"};
  if (op.weights) c.outputs.push_back(std::string("grad_") + op.weights);
  return c;
}
Call permute(const Sizes &s, DType dtype) {
  return {{{"tokens", floats({s.T, s.D}, dtype)}, {"routing_map", map_of(s)}, {"probs", floats({s.T, s.E}, f32, 2)}},
          {},
          {"permuted_tokens", "permuted_probs", "sorted_indices"}};
}
Call permute_drop_and_pad(const Sizes &s, DType dtype) {
  Call c = permute(s, dtype);
  c.parameters = {{"num_out_tokens", std::to_string(s.T * s.K / s.E * s.E)}};
  return c;
}
Call permute_fused(const Sizes &s, DType dtype) {
  Call c = permute(s, dtype);
  c.parameters = {{"num_out_tokens", std::to_string(s.T * s.K)}};
  c.outputs = {"permuted_tokens", "permuted_probs", "row_id_map"};
  return c;
}
/// `forward`: what the rows come from.
Call unpermute(const char *permute, const Call &forward) {
  NamedTensors rows = run(permute, forward);
  return {{{"permuted_tokens", rows.at("permuted_tokens")},
           {"sorted_indices", rows.at("sorted_indices")},
           {"routing_map", forward.inputs.at("routing_map")},
           {"probs", forward.inputs.at("probs")}},
          {},
          {"output"}};
}
/// Gradients of the rows alone: the forward's part of the op is not asked for.
Call permute_backward(const Sizes &s, DType dtype) {
  Call c = permute(s, dtype);
  c.inputs["grad_permuted_tokens"] = floats({s.T * s.K, s.D}, dtype, 5);
  c.inputs["grad_permuted_probs"] = floats({s.T * s.K}, f32, 6);
  c.outputs = {"permuted_tokens", "grad_tokens", "grad_probs"};
  return c;
}
Call unpermute_backward(const Sizes &s, DType dtype) {
  Call c = unpermute("permute", permute(s, dtype));
  c.inputs["grad_output"] = floats({s.T, s.D}, dtype, 5);
  c.outputs = {"grad_permuted_tokens", "grad_probs"};
  return c;
}
Call sort_chunks(int64_t N, int64_t D, int64_t chunks, DType dtype) {
  std::vector<double> order;
  for (int64_t c = 0; c < chunks; ++c) order.push_back(static_cast<double>((c * 7 + 3) % chunks));
  return {{{"input", floats({N, D}, dtype)},
           {"split_sizes", counts_of(N, chunks)},
           {"sorted_idxs", Tensor::from_values(order, {chunks}, i64)}},
          {},
          {"output"}};
}
Call multihot(const Sizes &s) {
  return {{{"indices", experts_of(s)}, {"probs", floats({s.T, s.K}, f32)}},
          {{"num_local_experts", std::to_string(s.E)}},
          {"multihot", "probs_in_multihot", "position_map"}};
}
Call multihot_back(const Sizes &s) {
  NamedTensors map = run("indices_to_multihot", multihot(s));
  return {{{"probs_in_multihot", map.at("probs_in_multihot")}, {"position_map", map.at("position_map")}},
          {{"topk", std::to_string(s.K)}},
          {}};
}
Call balance(const Sizes &s, DType dtype, bool backward) {
  Call c{{{"scores", floats({s.T, s.E}, dtype)}, {"expert_load", counts_of(s.T * s.K, s.E)}},
         {{"n_activated_experts", std::to_string(s.K)}},
         {"aux_loss"}};
  if (backward) c.inputs["grad_aux_loss"] = floats({}, f32, 2), c.outputs.push_back("grad_scores");
  return c;
}
Call topk(const Sizes &s, DType dtype) {
  return {
      {{"gating_output", floats({s.T, s.E}, dtype)}}, {{"topk", std::to_string(s.K)}}, {"topk_weights", "topk_ids"}};
}
Call bias(int64_t N, int64_t F, int64_t E, DType dtype) {
  return {{{"value", floats({N, F}, dtype)},
           {"bias", floats({E, F}, dtype, 2)},
           {"tokens_per_expert", counts_of(N, E)},
           {"permuted_probs", floats({N, 1}, f32, 3)}},
          {},
          {"output"}};
}
Call bias_grad(int64_t N, int64_t F, int64_t E, DType dtype) {
  return {{{"grad_output", floats({N, F}, dtype)}, {"tokens_per_expert", counts_of(N, E)}}, {}, {"grad_bias_kahan"}};
}
Call slots(const Sizes &s, DType dtype) {
  return {{{"selected_experts", experts_of(s)}, {"x", floats({s.T, s.D}, dtype)}},
          {{"num_experts", std::to_string(s.E)}},
          {"gather_indices", "permuted"}};
}
Call unslot(const Sizes &s, DType dtype) {
  return {{{"x", floats({s.T * s.K, s.D}, dtype)},
           {"gather_indices", run("unsloth_routing_permute", slots(s, dtype)).at("gather_indices")}},
          {},
          {"unpermuted"}};
}

const Sizes kMixtral{128, 4096, 8, 2}, kQwen{64, 2048, 128, 8}, kLlama{64, 5120, 16, 1}, kTail{67, 1032, 8, 2};

const std::vector<Row> rows = [] {
  std::vector<Row> list{
      {"deterministic_bias_grad", "tail: 1003 x 1032 of 8 experts, f32", [] { return bias_grad(1003, 1032, 8, f32); }},
      {"aux_loss", "Qwen3-30B-A3B, 2048 tokens, f32",
       [] {
         return balance({2048, 0, 128, 8}, f32, false);
       }},
      {"aux_loss", "backward, DeepSeek-V3, 1024 tokens, bf16",
       [] {
         return balance({1024, 0, 256, 8}, bf16, true);
       }},
      {"aux_loss", "tail: 3003 x 4 of 60, f32",
       [] {
         return balance({3003, 0, 60, 4}, f32, true);
       }},
      {"indices_to_multihot", "Qwen3-30B-A3B, 2048 tokens",
       [] {
         return multihot({2048, 0, 128, 8});
       }},
      {"indices_to_multihot", "tail: 1003 x 4 of 60",
       [] {
         return multihot({1003, 0, 60, 4});
       }},
      {"multihot_to_indices", "Qwen3-30B-A3B, 2048 tokens",
       [] {
         return multihot_back({2048, 0, 128, 8});
       }},
      {"apply_bias", "gpt-oss-120b, 5760 rows, bf16", [] { return bias(5760, 5760, 128, bf16); }},
      {"apply_bias", "tail: 5603 x 5768 of 64 experts, bf16", [] { return bias(5603, 5768, 64, bf16); }},
      {"deterministic_bias_grad", "gpt-oss-120b, 32768 rows, 256 columns, bf16",
       [] { return bias_grad(32768, 256, 128, bf16); }},
      {"permute", "Qwen3-30B-A3B, 64 tokens, bf16", [] { return permute(kQwen, bf16); }},
      {"permute", "Qwen3-30B-A3B, 512 tokens, bf16", [] { return permute({512, 2048, 128, 8}, bf16); }},
      {"permute", "DeepSeek-V3, 64 tokens, bf16", [] { return permute({64, 7168, 256, 8}, bf16); }},
      {"permute", "backward, Mixtral 8x7B, 128 tokens, bf16", [] { return permute_backward(kMixtral, bf16); }},
      {"permute", "backward, Qwen3-30B-A3B, 64 tokens, bf16", [] { return permute_backward(kQwen, bf16); }},
      {"permute_fused_te", "Qwen3-30B-A3B, 64 tokens, bf16", [] { return permute_fused(kQwen, bf16); }},
      {"unpermute", "Qwen3-30B-A3B, 64 tokens, bf16", [] { return unpermute("permute", permute(kQwen, bf16)); }},
      {"unpermute", "DeepSeek-V3, 64 tokens, bf16", [] { return unpermute("permute", permute({64, 7168, 256, 8}, bf16)); }},
      {"unpermute", "backward, Mixtral 8x7B, 128 tokens, bf16", [] { return unpermute_backward(kMixtral, bf16); }},
      {"unpermute", "backward, Qwen3-30B-A3B, 64 tokens, bf16", [] { return unpermute_backward(kQwen, bf16); }},
      {"unpermute", "backward, tail: 67 x 1032, f32", [] { return unpermute_backward(kTail, f32); }},
      {"permute", "Mixtral 8x7B, 128 tokens, bf16", [] { return permute(kMixtral, bf16); }},
      {"permute", "Llama-4, 64 tokens, bf16", [] { return permute(kLlama, bf16); }},
      {"permute", "tail: 67 x 1032, f32", [] { return permute(kTail, f32); }},
      {"permute_drop_and_pad", "Mixtral 8x7B, 128 tokens, bf16", [] { return permute_drop_and_pad(kMixtral, bf16); }},
      {"permute_fused_te", "Mixtral 8x7B, 128 tokens, bf16", [] { return permute_fused(kMixtral, bf16); }},
      {"permute_fused_te", "tail: 67 x 1032, f32", [] { return permute_fused(kTail, f32); }},
      {"sort_chunks_by_idxs", "DeepSeek-V3, 100 rows, bf16", [] { return sort_chunks(100, 7168, 16, bf16); }},
      {"unpermute", "Mixtral 8x7B, 128 tokens, bf16", [] { return unpermute("permute", permute(kMixtral, bf16)); }},
      {"unpermute", "Llama-4, 64 tokens, bf16", [] { return unpermute("permute", permute(kLlama, bf16)); }},
      {"unpermute", "tail: 67 x 1032, f32", [] { return unpermute("permute", permute(kTail, f32)); }},
      {"unpermute_drop_and_pad", "Mixtral 8x7B, 128 tokens, bf16",
       [] { return unpermute("permute_drop_and_pad", permute_drop_and_pad(kMixtral, bf16)); }},
      {"unsloth_calculate_topk", "Qwen3-30B-A3B, 2048 tokens, bf16",
       [] {
         return topk({2048, 0, 128, 8}, bf16);
       }},
      {"unsloth_calculate_topk", "tail: 1003 x 60, f32",
       [] {
         return topk({1003, 0, 60, 4}, f32);
       }},
      {"unsloth_routing_permute", "Qwen3-30B-A3B, 64 tokens, bf16", [] { return slots(kQwen, bf16); }},
      {"unsloth_unpermute", "Qwen3-30B-A3B, 64 tokens, bf16", [] { return unslot(kQwen, bf16); }},
  };
  const std::pair<const char *, Glu> activations[] = {{"swiglu", {nullptr}},
                                                      {"geglu", {nullptr}},
                                                      {"quick_geglu", {nullptr}},
                                                      {"quick_gelu", {nullptr, false}},
                                                      {"weighted_swiglu", {}},
                                                      {"weighted_geglu", {}},
                                                      {"weighted_quick_geglu", {}},
                                                      {"swiglu_clamped_deepep", {"probs"}},
                                                      {"swiglu_oai_deepep", {"probs"}},
                                                      {"quick_geglu_deepep", {"probs"}},
                                                      {"relu2_deepep", {"probs", false}},
                                                      {"weighted_bias_swiglu_impl", {}},
                                                      {"weighted_bias_geglu_impl", {}}};
  for (const auto &[op, form] : activations) {
    list.push_back(
        {op, "forward, Qwen3-30B-A3B, 256 rows, bf16", [form = form] { return glu(form, 256, 768, bf16, false); }});
    if (!std::string_view(op).ends_with("_impl")) // their backward begins with a forward
      list.push_back(
          {op, "backward, Qwen3-30B-A3B, 256 rows, bf16", [form = form] { return glu(form, 256, 768, bf16, true); }});
  }
  list.push_back(
      {"weighted_swiglu", "forward, gpt-oss-120b, 128 rows, f16", [] { return glu({}, 128, 2880, f16, false); }});
  for (bool backward : {false, true})
    list.push_back({"weighted_swiglu", backward ? "backward, tail: 67 x 1000, f32" : "forward, tail: 67 x 1000, f32",
                    [=] { return glu({}, 67, 1000, f32, backward); }});
  return list;
}();

/// Ops that have no shape, and why.
const std::map<std::string, std::string> exceptions{
    {"expert_load", "counts of each block are written, then summed"},
    {"fp8_e4m3fn_roundtrip", "two conversions, one after the other"},
    {"gate_route", "a matrix product"},
    {"grouped_mm", "a matrix product"},
    {"indices_to_multihot_unfused", "the kernel of indices_to_multihot with another rule for negative ids"},
    {"limit_capacity", "a program's columns of the map are narrower than a sector: 1.6"},
    {"moe_aux_loss_auto_scaler", "copies nothing: output is returned as it is"},
    {"moe_experts_e2e", "matrix products"},
    {"pad_routing_map", "the map is read to be counted, then to be padded"},
    {"permute_tokens_for_grouped_mm", "a sort: its indices are read twice, 8 bytes of thousands per slot"},
    {"weighted_bias_quick_geglu", "every program of the forward loads the bias: 1.67"},
    {"weighted_bias_quick_geglu_impl", "every program of the forward loads the bias: 1.67"},
    {"unpermute_fused_te", "the kernels of unpermute; of the row_id_map only the columns in use are read"},
    {"unsloth_grouped_gemm", "a matrix product"},
    {"unsloth_llama4_moe_block", "matrix products"},
    {"unsloth_qwen3_moe_block", "matrix products"},
    {"unsloth_torch_grouped_gemm", "a matrix product"},
};

class Sectors : public testing::TestWithParam<Row> {};

TEST_P(Sectors, AreMovedOnce) {
  const auto &[op, shape, make] = GetParam();
  Call call = make();
  SimTraffic traffic;
  NamedTensors outputs;
  {
    SimScope scope({.traffic = &traffic});
    outputs = run(op, call);
  }
  std::vector<Tensor> all;
  std::set<const void *> seen; // one tensor may be two outputs
  for (const NamedTensors *tensors : {&call.inputs, &outputs})
    for (const auto &[name, tensor] : *tensors) {
      if (!seen.insert(tensor.data()).second) continue;
      all.push_back(tensor);
      traffic.name(tensor, name);
    }
  double ratio = traffic.ratio(all);
  std::printf("%-28s %-44s %.4f\n", op, shape, ratio);
  EXPECT_LE(ratio, kMostRatio) << traffic.text();
  EXPECT_GE(ratio, 1) << traffic.text();
}
INSTANTIATE_TEST_SUITE_P(Rows, Sectors, testing::ValuesIn(rows), [](const auto &info) {
  return std::string(info.param.op) + "_" + std::to_string(info.index);
});

TEST(SectorShapes, EveryOpHasAShapeOrAReason) {
  std::set<std::string> without;
  for (const Op &op : ops()) without.insert(op.name);
  for (const Row &row : rows) without.erase(row.op);
  for (const auto &[op, reason] : exceptions) EXPECT_EQ(without.erase(op), 1u) << op << " has a shape or is no op";
  EXPECT_TRUE(without.empty()) << testing::PrintToString(without);
}

} // namespace
} // namespace moec
