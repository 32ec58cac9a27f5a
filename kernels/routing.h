// Routing: choosing experts, and the order of routed rows. See moe.h for what holds for all functions.
#pragma once

#include <cstdint>
#include <optional>

#include "runtime/device.h"
#include "runtime/tensor.h"

namespace moec {

struct TopKWeights {
  Tensor weights; ///< [T, K], dtype of the logits, descending by the score that selected
  Tensor ids;     ///< i64 [T, K]
};
struct TopKOptions {
  bool sigmoid = false;     ///< sigmoid instead of softmax over the experts
  bool pre_act = true;      ///< activation before the selection (over all experts), else after (over the K selected)
  bool renormalize = false; ///< divide by the sum of the K weights
};
/// logits f32, bf16 or f16 [T, E]; 1 <= topk <= E. The activation is computed in f32 and rounded to the logits' dtype
/// before it selects; equal scores: the lower expert first. Sums: balanced tree over the experts (slots). Source:
/// unsloth calculate_topk.
TopKWeights calculate_topk(const Stream &stream, const Tensor &logits, int topk, const TopKOptions &options = {});

/// Rows of experts, in the order expert-major, then slot ascending. Slots are t*K + k.
struct Routing {
  Tensor slot_ids;  ///< i64 [T*K]: slot of each row; -1 after the last row
  Tensor token_ids; ///< i32 [T*K]: its token; -1 after the last row
  Tensor weights;   ///< f32 [T*K]: its weight, 0 after the last row; undefined tensor if no weights were given
  Tensor row_ids;   ///< i32 [T*K]: row of each slot, or -1 for slots that were dropped
  Tensor counts;    ///< i64 [E]: rows of each expert
  Tensor offs;      ///< i32 [E]: one past each expert's last row
};
/// A stable counting sort of slots by expert, two kernels. indices i32 or i64 [T, K]; slots with ids outside
/// first..first+experts-1, and all slots of tokens whose token_mask (bool [T]) is false, are dropped. weights (any
/// float dtype, [T, K]) are sorted with them. Integers only: exact. Sources: _permute_tokens_for_grouped_mm
/// (nemo_automodel experts), get_routing_indices (unsloth).
Routing route_slots(const Stream &stream, const Tensor &indices, int experts, int first = 0,
                    const Tensor &token_mask = {}, const Tensor &weights = {});
/// Number of rows of a routing. Waits for the stream.
int64_t count_rows(const Stream &stream, const Routing &routing);

/// The same from a dense map.
struct RoutingMap {
  Tensor sorted_indices; ///< i64 [rows]: token of each row, expert-major, then token ascending
  Tensor probs;          ///< [rows]: probability of each row; undefined if none were given
  Tensor row_of;         ///< i32 [T, E]: row of each routed pair, or -1
  Tensor counts;         ///< i64 [E]
};
/// routing_map [T, E], bool, integer or float, not 0: routed; probs [T, E]. `rows`: the number of routed pairs if the
/// caller knows it (more are left out of sorted_indices and probs); else the function waits for it. Two kernels,
/// integers only: exact.
RoutingMap route_map(const Stream &stream, const Tensor &routing_map, const Tensor &probs = {},
                     std::optional<int64_t> rows = {});

} // namespace moec
