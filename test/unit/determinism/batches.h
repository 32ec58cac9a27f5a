// How the batch of each op of the registry is cut, where shapes alone do not say it.
#pragma once

#include <map>
#include <numeric>
#include <string>

#include "cut.h"

namespace moec {

/// The source of each row of chunks in another order.
inline std::vector<int64_t> rows_of_sorted_chunks(const NamedTensors &inputs) {
  std::vector<double> sizes = inputs.at("split_sizes").to_values(), order = inputs.at("sorted_idxs").to_values();
  std::vector<int64_t> rows;
  for (double chunk : order) {
    auto c = static_cast<std::ptrdiff_t>(chunk);
    auto first = static_cast<int64_t>(std::accumulate(sizes.begin(), sizes.begin() + c, 0.0));
    for (int64_t i = 0; i < static_cast<int64_t>(sizes[static_cast<size_t>(c)]); ++i) rows.push_back(first + i);
  }
  return rows;
}

inline const std::map<std::string, Batch> &batches() {
  using enum RowValues;
  static const std::map<std::string, Batch> all{
      {"apply_bias", {.values = {{"tokens_per_expert", counts}}}},
      {"deterministic_bias_grad", {.columns = "F"}},
      {"expert_load", {.values = {{"indices", rows}}, .columns = "E"}}, // ids of the experts that are left
      {"grouped_mm", {.values = {{"offs", ends}}}},
      {"limit_capacity", {.columns = "E"}},
      {"moe_aux_loss_auto_scaler", {.leading = {{"aux_loss", "L"}, {"grad_aux_loss", "L"}}}},
      {"moe_experts_e2e",
       {.letters = {"T"},
        .routed = "sorted_token_ids",
        .values = {{"sorted_token_ids", rows}, {"sorted_slot_ids", slots}}}},
      {"pad_routing_map", {.columns = "E"}},
      {"permute", {.letters = {"T"}, .routed = "sorted_indices", .values = {{"sorted_indices", rows}}}},
      {"permute_drop_and_pad", {.columns = "D"}},
      {"permute_fused_te", {.letters = {"T"}, .values = {{"row_id_map", across}}}},
      {"permute_tokens_for_grouped_mm",
       {.letters = {"T"},
        .routed = "sorted_token_ids",
        .values = {{"sorted_token_ids", rows}, {"sorted_slot_ids", slots}}}},
      {"sort_chunks_by_idxs",
       {.values = {{"split_sizes", counts}},
        .leading = {{"output", "S"}, {"permuted_probs", "S"}, {"grad_output", "S"}, {"grad_permuted_probs", "S"}},
        .sorted = rows_of_sorted_chunks}},
      {"unpermute", {.letters = {"T"}, .routed = "sorted_indices", .values = {{"sorted_indices", rows}}}},
      {"unpermute_drop_and_pad", {.columns = "D"}},
      {"unpermute_fused_te",
       {.letters = {"T"}, .leading = {{"permuted_tokens", "all"}, {"grad_permuted_tokens", "all"}}}},
      {"unsloth_qwen3_moe_block",
       {.letters = {"T"}, .routed = "gather_indices", .values = {{"gather_indices", slots}}}},
      {"unsloth_routing_permute",
       {.letters = {"T"},
        .routed = "gather_indices",
        .values = {{"gather_indices", slots}, {"scatter_indices", across}}}},
      {"unsloth_unpermute",
       {.letters = {"slots"},
        .routed = "gather_indices",
        .values = {{"gather_indices", rows}},
        .leading = {{"unpermuted", "slots"}, {"grad_output", "slots"}}}},
      {"unsloth_torch_grouped_gemm", {.values = {{"m_sizes", counts}}}},
  };
  return all;
}

/// How the call's batch is cut.
inline Batch batch_of(const RecordedCall &call) {
  using enum RowValues;
  auto is = [&](const char *parameter) {
    auto it = call.parameters.find(parameter);
    return it != call.parameters.end() && it->second == "true";
  };
  if (call.op->name == "unsloth_grouped_gemm") { // x holds tokens; y holds slots; or both are in expert order
    if (is("permute_x"))
      return {.letters = {"X"},
              .routed = "gather_indices",
              .values = {{"gather_indices", slots}, {"m_sizes", routed_counts}, {"grad_x_kernel", across}}};
    if (is("permute_y"))
      return {.letters = {"M"},
              .routed = "gather_indices",
              .values = {{"gather_indices", rows}, {"m_sizes", routed_counts}},
              .leading = {{"gather_indices", "X"}, {"grad_x_kernel", "X"}}};
    return {.letters = {"X", "M"}, .values = {{"m_sizes", counts}}};
  }
  if (call.op->name.starts_with("weighted_bias_quick_geglu")) { // a bias of all rows, [2*H] or [1, 2*H], or of each
    const auto bias = call.inputs.find("bias");
    const bool one = bias != call.inputs.end() && bias->second.size(0) == 1;
    const std::string shape = one ? "[1, 2*H]" : "[M, 2*H]";
    return {.shapes = {{"bias", shape}, {"grad_bias", shape}}};
  }
  auto it = batches().find(call.op->name);
  return it == batches().end() ? Batch{} : it->second;
}

/// Ops and calls ("op/case") whose batch is not cut, and why.
inline const std::map<std::string, std::string> &uncut() {
  static const std::map<std::string, std::string> all{
      {"aux_loss", "a mean over tokens and experts, of which every gradient has a share"},
      {"gate_route/softmax_auxloss", "the loss is a mean over the tokens, and the gradients have their share of it"},
  };
  return all;
}

} // namespace moec
