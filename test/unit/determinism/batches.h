// How the batch of each op of the registry is cut, where shapes alone do not say it.
#pragma once

#include <map>
#include <string>

#include "cut.h"

namespace moec {

/// The call attaches an auxiliary loss: a mean over the batch.
inline bool has_no_aux_loss(const RecordedCall &call) {
  auto it = call.parameters.find("aux_loss_coeff");
  return it == call.parameters.end() || std::stod(it->second) == 0;
}

inline const std::map<std::string, Batch> &batches() {
  using enum RowValues;
  static const std::map<std::string, Batch> all{
      {"apply_bias", {.values = {{"tokens_per_expert", counts}}}},
      {"gate_route", {.rows_alone = has_no_aux_loss}},
      {"grouped_mm", {.values = {{"offs", ends}}}},
      {"moe_experts_e2e",
       {.letters = {"T"},
        .routed = "sorted_token_ids",
        .values = {{"sorted_token_ids", rows}, {"sorted_slot_ids", slots}}}},
      {"permute", {.letters = {"T"}, .routed = "sorted_indices", .values = {{"sorted_indices", rows}}}},
      {"permute_fused_te", {.letters = {"T"}, .values = {{"row_id_map", across}}}},
      {"permute_tokens_for_grouped_mm",
       {.letters = {"T"},
        .routed = "sorted_token_ids",
        .values = {{"sorted_token_ids", rows}, {"sorted_slot_ids", slots}}}},
      {"unpermute", {.letters = {"T"}, .routed = "sorted_indices", .values = {{"sorted_indices", rows}}}},
      {"unsloth_qwen3_moe_block",
       {.letters = {"T"}, .routed = "gather_indices", .values = {{"gather_indices", slots}}}},
      {"unsloth_routing_permute",
       {.letters = {"T"},
        .routed = "gather_indices",
        .values = {{"gather_indices", slots}, {"scatter_indices", across}}}},
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
  auto it = batches().find(call.op->name);
  return it == batches().end() ? Batch{} : it->second;
}

/// Ops whose batch is not cut, and why.
inline const std::map<std::string, std::string> &uncut_ops() {
  static const std::map<std::string, std::string> all{
      {"deterministic_bias_grad", "sums over the batch's rows are all that it makes"},
      {"limit_capacity", "which tokens an expert keeps depends on all of them"},
      {"moe_aux_loss_auto_scaler", "copies, and a constant that depends on no row"},
      {"pad_routing_map", "which tokens pad an expert depends on all of them"},
      {"permute_drop_and_pad", "which tokens an expert takes depends on all of them"},
      {"sort_chunks_by_idxs", "copies; a row's place depends on all chunks"},
      {"unpermute_drop_and_pad", "its rows are as many for every expert, whatever the batch"},
      {"unsloth_unpermute", "its rows are a permutation, and no part of a permutation is one"},
  };
  return all;
}

} // namespace moec
