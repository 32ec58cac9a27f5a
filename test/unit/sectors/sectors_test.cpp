// Memory-bound ops move each 32-byte sector of their inputs and outputs about once: sectors moved, summed over the CTAs
// of all kernels of the op, over distinct sectors of its inputs and outputs. One line per shape; an op of the registry
// that has no shape here has a reason.
#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <set>

#include "calls.h"
#include "runtime/simulator.h"

namespace moec::sectors {
namespace {

constexpr double kMostRatio = 1.02;

/// A counting sort by two kernels reads its ids twice, which alone is 1.25, and each program's run of an expert's rows
/// begins and ends inside of sectors. Its time is that of the sorts; one program for all slots would move each sector
/// once, but sort block after block.
constexpr double kTwoKernelSort = 1.85;

struct Row {
  std::string op, shape;
  std::function<Call()> call;
  double most = kMostRatio;
};

void add_permutes(std::vector<Row> &list) {
  const Row rows[]{
      {"permute", "Qwen3-30B-A3B, 64 tokens, bf16", [] { return permute(qwen(64), bf16); }},
      {"permute", "Qwen3-30B-A3B, 512 tokens, bf16", [] { return permute(qwen(512), bf16); }},
      {"permute", "DeepSeek-V3, 64 tokens, bf16", [] { return permute(deepseek(64), bf16); }},
      {"permute", "Mixtral 8x7B, 128 tokens, bf16", [] { return permute(mixtral(128), bf16); }},
      {"permute", "Llama-4, 64 tokens, bf16", [] { return permute(llama(64), bf16); }},
      {"permute", "tail: 67 x 1032, f32", [] { return permute(kTail, f32); }},
      {"permute", "backward, Mixtral 8x7B, bf16", [] { return permute_backward(By::map, mixtral(128), bf16); }},
      {"permute", "backward, Qwen3-30B-A3B, bf16", [] { return permute_backward(By::map, qwen(64), bf16); }},
      {"permute", "backward, tail: 67 x 1032, f32", [] { return permute_backward(By::map, kTail, f32); }},
      {"permute_drop_and_pad", "Mixtral 8x7B, bf16", [] { return permute_drop_and_pad(mixtral(128), bf16); }},
      {"permute_drop_and_pad", "backward, Mixtral 8x7B, bf16",
       [] { return permute_backward(By::capacity, mixtral(128), bf16); }},
      {"permute_fused_te", "Mixtral 8x7B, 128 tokens, bf16", [] { return permute_fused(mixtral(128), bf16); }},
      {"permute_fused_te", "Qwen3-30B-A3B, 64 tokens, bf16", [] { return permute_fused(qwen(64), bf16); }},
      {"permute_fused_te", "tail: 67 x 1032, f32", [] { return permute_fused(kTail, f32); }},
      {"permute_fused_te", "padded to 32, Mixtral 8x7B, bf16", [] { return permute_fused(mixtral(128), bf16, 32); }},
      {"permute_fused_te", "padded to 32, Qwen3-30B-A3B, bf16", [] { return permute_fused(qwen(512), bf16, 32); }},
      {"permute_fused_te", "backward, Qwen3-30B-A3B, bf16",
       [] { return permute_backward(By::row_id_map, qwen(64), bf16); }},
      {"permute_fused_te", "backward, padded to 32, Mixtral 8x7B, bf16",
       [] { return permute_backward(By::padded, mixtral(128), bf16); }},
      {"unpermute_fused_te", "Mixtral 8x7B, bf16", [] { return unpermute_fused(mixtral(128), bf16); }},
      {"unpermute_fused_te", "padded to 32, Qwen3-30B-A3B, bf16", [] { return unpermute_fused(qwen(64), bf16, 32); }},
      {"unpermute_fused_te", "backward, Mixtral 8x7B, bf16",
       [] { return unpermute_fused(mixtral(128), bf16, 1, true); }},
      {"unpermute_fused_te", "backward, padded to 32, Qwen3-30B-A3B, bf16",
       [] { return unpermute_fused(qwen(64), bf16, 32, true); }},
      {"unpermute", "Qwen3-30B-A3B, 64 tokens, bf16", [] { return unpermute("permute", permute(qwen(64), bf16)); }},
      {"unpermute", "DeepSeek-V3, 64 tokens, bf16", [] { return unpermute("permute", permute(deepseek(64), bf16)); }},
      {"unpermute", "Mixtral 8x7B, 128 tokens, bf16", [] { return unpermute("permute", permute(mixtral(128), bf16)); }},
      {"unpermute", "Llama-4, 64 tokens, bf16", [] { return unpermute("permute", permute(llama(64), bf16)); }},
      {"unpermute", "tail: 67 x 1032, f32", [] { return unpermute("permute", permute(kTail, f32)); }},
      {"unpermute", "backward, Mixtral 8x7B, 128 tokens, bf16",
       [] { return unpermute_backward("permute", permute(mixtral(128), bf16)); }},
      {"unpermute", "backward, Qwen3-30B-A3B, 64 tokens, bf16",
       [] { return unpermute_backward("permute", permute(qwen(64), bf16)); }},
      {"unpermute", "backward, tail: 67 x 1032, f32",
       [] { return unpermute_backward("permute", permute(kTail, f32)); }},
      {"unpermute_drop_and_pad", "Mixtral 8x7B, 128 tokens, bf16",
       [] { return unpermute("permute_drop_and_pad", permute_drop_and_pad(mixtral(128), bf16)); }},
      {"unpermute_drop_and_pad", "backward, Mixtral 8x7B, 128 tokens, bf16",
       [] { return unpermute_backward("permute_drop_and_pad", permute_drop_and_pad(mixtral(128), bf16)); }},
      {"sort_chunks_by_idxs", "DeepSeek-V3, 100 rows, bf16", [] { return sort_chunks(100, 7168, 16, bf16); }},
      {"sort_chunks_by_idxs", "backward, DeepSeek-V3, bf16", [] { return sort_chunks(100, 7168, 16, bf16, true); }},
      {"unsloth_routing_permute", "Qwen3-30B-A3B, 64 tokens, bf16", [] { return slots(qwen(64), bf16); }},
      {"unsloth_routing_permute", "backward, Qwen3-30B-A3B, bf16", [] { return slots_backward(qwen(64), bf16); }},
      {"unsloth_unpermute", "Qwen3-30B-A3B, 64 tokens, bf16", [] { return unslot(qwen(64), bf16); }},
      {"unsloth_unpermute", "backward, Qwen3-30B-A3B, bf16", [] { return unslot_backward(qwen(64), bf16); }},
  };
  list.insert(list.end(), std::begin(rows), std::end(rows));
}

constexpr Sizes kOddExperts{1003, 0, 60, 4};

void add_routing(std::vector<Row> &list) {
  const Row rows[]{
      {"indices_to_multihot", "Qwen3-30B-A3B, 2048 tokens", [] { return multihot(qwen(2048)); }},
      {"indices_to_multihot", "tail: 1003 x 4 of 60", [] { return multihot(kOddExperts); }},
      {"indices_to_multihot", "backward, tail: 1003 x 4 of 60", [] { return multihot_backward(kOddExperts); }},
      {"indices_to_multihot_unfused", "Qwen3-30B-A3B, 2048 tokens", [] { return multihot(qwen(2048), false); }},
      {"indices_to_multihot_unfused", "backward, Qwen3-30B-A3B, 2048 tokens",
       [] { return multihot_backward(qwen(2048), false); }},
      {"multihot_to_indices", "Qwen3-30B-A3B, 2048 tokens", [] { return multihot_back(qwen(2048)); }},
      {"unsloth_calculate_topk", "Qwen3-30B-A3B, 2048 tokens, bf16", [] { return topk(qwen(2048), bf16); }},
      {"unsloth_calculate_topk", "tail: 1003 x 60, f32", [] { return topk(kOddExperts, f32); }},
      {"unsloth_calculate_topk", "backward, Qwen3-30B-A3B, bf16", [] { return topk_backward(qwen(2048), bf16); }},
      {"unsloth_calculate_topk", "backward, tail: 1003 x 60, f32", [] { return topk_backward(kOddExperts, f32); }},
      {"permute_tokens_for_grouped_mm", "Qwen3-30B-A3B, 512 tokens", [] { return routed_slots(qwen(512)); }},
      {"permute_tokens_for_grouped_mm", "Mixtral 8x7B, 2048 tokens", [] { return routed_slots(mixtral(2048)); }},
      {"permute_tokens_for_grouped_mm", "tail: 1003 x 4 of 60", [] { return routed_slots(kOddExperts); }},
      {"permute_tokens_for_grouped_mm", "two kernels, DeepSeek-V3, 4096 tokens",
       [] { return routed_slots(deepseek(4096)); }, kTwoKernelSort},
      {"permute_tokens_for_grouped_mm", "two kernels, DeepSeek-V3, 1024 tokens",
       [] { return routed_slots(deepseek(1024)); }, kTwoKernelSort},
      {"permute_tokens_for_grouped_mm", "two kernels, tail: 3003 x 4 of 60",
       [] { return routed_slots({3003, 0, 60, 4}); }, kTwoKernelSort},
      {"permute_tokens_for_grouped_mm", "backward, Qwen3-30B-A3B, 4096 tokens",
       [] { return routed_slots_backward(qwen(4096)); }},
      {"permute_tokens_for_grouped_mm", "backward, tail: 1003 x 4 of 60",
       [] { return routed_slots_backward(kOddExperts); }},
      {"pad_routing_map", "Qwen3-30B-A3B, 4096 tokens", [] { return pad_map(qwen(4096), 16); }},
      {"pad_routing_map", "Mixtral 8x7B, 4096 tokens", [] { return pad_map(mixtral(4096), 128); }},
      {"pad_routing_map", "tail: 1003 x 60", [] { return pad_map(kOddExperts, 32); }},
      {"limit_capacity", "Qwen3-30B-A3B, 1024 tokens", [] { return limit(qwen(1024)); }},
      {"limit_capacity", "Mixtral 8x7B, 4096 tokens", [] { return limit(mixtral(4096)); }},
      {"limit_capacity", "first tokens, Qwen3-30B-A3B, 1024 tokens", [] { return limit(qwen(1024), false); }},
      {"limit_capacity", "tail: 1003 x 60", [] { return limit(kOddExperts); }},
      {"limit_capacity", "backward, Qwen3-30B-A3B, 1024 tokens", [] { return limit_backward(qwen(1024)); }},
      {"limit_capacity", "backward, tail: 1003 x 60", [] { return limit_backward(kOddExperts); }},
      {"gate_route", "selection, Qwen3-30B-A3B, 2048 tokens, bf16",
       [] { return gate_selection(qwen(2048), bf16, {.topk = 8, .softmax_before_topk = true, .train = false}); }},
      {"gate_route", "selection in groups, 512 tokens of 256 experts, bf16",
       [] {
         return gate_selection(
             deepseek(512), bf16,
             {.topk = 8, .score = ScoreFunction::sigmoid, .groups = 8, .limited_groups = 4, .train = false});
       }},
      {"gate_route", "selection in groups with correction bias, 2048 tokens of 256 experts, bf16",
       [] {
         return gate_selection(
             deepseek(2048), bf16,
             {.topk = 8, .score = ScoreFunction::sigmoid, .groups = 8, .limited_groups = 4, .train = false}, true);
       }},
      {"gate_route", "selection with correction bias, tail: 1003 x 60, f32",
       [] {
         return gate_selection(kOddExperts, f32, {.topk = 4, .score = ScoreFunction::sigmoid, .train = false}, true);
       }},
      {"expert_load", "Qwen3-30B-A3B, 2048 tokens", [] { return load_of_experts(qwen(2048)); }},
      {"aux_loss", "Qwen3-30B-A3B, 2048 tokens, f32", [] { return loss(qwen(2048), f32, false); }},
      {"aux_loss", "tail: 3003 x 60, f32", [] { return loss({3003, 0, 60, 4}, f32, false); }},
      {"aux_loss", "backward, DeepSeek-V3, 1024 tokens, f32", [] { return loss(deepseek(1024), f32, true); }},
      {"aux_loss", "backward, DeepSeek-V3, 4096 tokens, bf16", [] { return loss(deepseek(4096), bf16, true); }},
      {"aux_loss", "backward, tail: 3003 x 60, bf16", [] { return loss({3003, 0, 60, 4}, bf16, true); }},
      {"aux_loss", "backward, Qwen3-30B-A3B, 1024 tokens, bf16", [] { return loss(qwen(1024), bf16, true); }},
      {"aux_loss", "backward, tail: 3003 x 60, f32", [] { return loss({3003, 0, 60, 4}, f32, true); }},
      {"gate_route", "backward of the scores, Qwen3-30B-A3B, bf16",
       [] { return gate_backward(qwen(2048), bf16, {.before_topk = true, .normalized = true}); }},
      {"gate_route", "backward of the scores, DeepSeek-V3, bf16",
       [] { return gate_backward(deepseek(512), bf16, {.score = ScoreFunction::sigmoid, .normalized = true}); }},
      {"moe_aux_loss_auto_scaler", "a loss for each of 61 layers", [] { return attached_loss(61); }},
  };
  list.insert(list.end(), std::begin(rows), std::end(rows));
}

void add_biases(std::vector<Row> &list) {
  const Row rows[]{
      {"apply_bias", "gpt-oss-120b, 5760 rows, bf16", [] { return bias(5760, 5760, 128, bf16); }},
      {"apply_bias", "tail: 5603 x 5768 of 64 experts, bf16", [] { return bias(5603, 5768, 64, bf16); }},
      {"apply_bias", "4 rows of one expert, gpt-oss-120b, bf16", [] { return bias(4, 5760, 1, bf16); }},
      {"apply_bias", "backward, gpt-oss-20b, 4096 rows, bf16", [] { return bias_backward(4096, 2880, 32, bf16); }},
      {"apply_bias", "backward, tail: 1003 x 1032, f32", [] { return bias_backward(1003, 1032, 8, f32); }},
      {"deterministic_bias_grad", "gpt-oss-120b, 32768 rows, 256 columns, bf16",
       [] { return bias_grad(32768, 256, 128, bf16); }},
      {"deterministic_bias_grad", "tail: 1003 x 1032 of 8 experts, f32", [] { return bias_grad(1003, 1032, 8, f32); }},
      {"fp8_e4m3fn_roundtrip", "to e4m3, Qwen3-30B-A3B, 64 rows, bf16", [] { return to_e4m3(64 * 2048, bf16); }},
  };
  list.insert(list.end(), std::begin(rows), std::end(rows));
}

struct GluRow {
  const char *op;
  Glu form;
  const char *shape = "Qwen3-30B-A3B, 256 rows, bf16";
  int64_t T = 256, H = 768;
  DType dtype = bf16;
  bool backward = true; ///< it is counted, too
};

void add_activations(std::vector<Row> &list) {
  const Glu one_bias{"weights", true, 1}, biases{"weights", true, -1};
  const GluRow rows[]{
      {"swiglu", {nullptr}},
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
      {"weighted_swiglu", {}, "tail: 67 x 1000, f32", 67, 1000, f32},
      {"weighted_swiglu", {}, "tail: 67 x 2881, bf16", 67, 2881},
      {"weighted_swiglu", {}, "gpt-oss-120b, 128 rows, f16", 128, 2880, f16},
      {"weighted_bias_quick_geglu", one_bias, "gpt-oss-120b, 256 rows, bf16", 256, 2880},
      {"weighted_bias_quick_geglu", one_bias, "gpt-oss-120b, 16 rows, bf16", 16, 2880, bf16, false},
      {"weighted_bias_quick_geglu", one_bias, "tail: 131 x 1000, f32", 131, 1000, f32},
      {"weighted_bias_quick_geglu", one_bias, "tail: 131 x 2881, bf16", 131, 2881, bf16, false},
      {"weighted_bias_quick_geglu", biases, "a bias for each of 64 rows, bf16", 64},
      {"weighted_bias_swiglu_impl", {}, "Qwen3-30B-A3B, 256 rows, bf16", 256, 768, bf16, false},
      {"weighted_bias_geglu_impl", {}, "Qwen3-30B-A3B, 256 rows, bf16", 256, 768, bf16, false},
      {"weighted_bias_quick_geglu_impl", one_bias, "Qwen3-30B-A3B, 256 rows, bf16", 256, 768, bf16, false},
  };
  for (const GluRow &r : rows)
    for (bool backward : {false, true})
      if (r.backward || !backward)
        list.push_back({r.op, (backward ? "backward, " : "forward, ") + std::string(r.shape),
                        [=] { return glu(r.form, r.T, r.H, r.dtype, backward); }});
  const std::tuple<const char *, Activation, Glu> entry_points[]{
      {"weighted_bias_swiglu_impl", Activation::swiglu(), {}},
      {"weighted_bias_geglu_impl", Activation::geglu(), {}},
      {"weighted_bias_quick_geglu_impl", Activation::quick_geglu(), one_bias}};
  for (const auto &[op, activation, form] : entry_points)
    list.push_back({op, "backward, Qwen3-30B-A3B, 256 rows, bf16", [activation = activation, form = form] {
                      return entry_point_backward(activation, form, 256, 768, bf16);
                    }});
  list.push_back({"weighted_bias_quick_geglu_impl", "backward, gpt-oss-120b, 16 rows, bf16",
                  [=] { return entry_point_backward(Activation::quick_geglu(), one_bias, 16, 2880, bf16); }});
}

const std::vector<Row> rows = [] {
  std::vector<Row> list;
  add_permutes(list);
  add_routing(list);
  add_biases(list);
  add_activations(list);
  return list;
}();

/// Ops that have no shape, and why.
const std::map<std::string, std::string> exceptions{
    {"grouped_mm", "a matrix product"},
    {"moe_experts_e2e", "matrix products"},
    {"unsloth_grouped_gemm", "a matrix product"},
    {"unsloth_llama4_moe_block", "matrix products"},
    {"unsloth_qwen3_moe_block", "matrix products"},
    {"unsloth_torch_grouped_gemm", "a matrix product"},
};

class Sectors : public testing::TestWithParam<Row> {};

TEST_P(Sectors, AreMovedOnce) {
  const auto &[op, shape, make, most] = GetParam();
  Call call = make();
  SimTraffic traffic;
  NamedTensors outputs;
  {
    SimScope scope({.traffic = &traffic});
    outputs = run(op.c_str(), call);
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
  for (const KernelTraffic &kernel : traffic.kernels())
    if (kernel.kernel == call.kernel) ratio *= double(kernel.moved()) / double(traffic.total().sectors());
  std::printf("%-30s %-52s %.4f\n", op.c_str(), shape.c_str(), ratio);
  EXPECT_LE(ratio, most) << traffic.text();
  EXPECT_GE(ratio, 1) << traffic.text();
}
INSTANTIATE_TEST_SUITE_P(Rows, Sectors, testing::ValuesIn(rows),
                         [](const auto &info) { return info.param.op + "_" + std::to_string(info.index); });

TEST(SectorShapes, EveryOpHasAShapeOrAReason) {
  std::set<std::string> without;
  for (const Op &op : ops()) without.insert(op.name);
  for (const Row &row : rows) without.erase(row.op);
  for (const auto &[op, reason] : exceptions) EXPECT_EQ(without.erase(op), 1u) << op << " has a shape or is no op";
  EXPECT_TRUE(without.empty()) << testing::PrintToString(without);
}

} // namespace
} // namespace moec::sectors
