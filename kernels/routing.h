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
/// logits f32, bf16, f16 or f64 [T, E]; 1 <= topk <= E. The activation is computed in f32 and rounded to the logits'
/// dtype before it selects; equal scores: the lower expert first. Sums: balanced tree over the experts (slots). Source:
/// unsloth calculate_topk.
TopKWeights calculate_topk(const Stream &stream, const Tensor &logits, int topk, const TopKOptions &options = {});
/// Gradient of the logits, [T, E] in their dtype, from that of the weights (grad [T, K], any float dtype). Roundings
/// pass the gradient through. ids: the forward's, i32 or i64 [T, K].
Tensor calculate_topk_backward(const Stream &stream, const Tensor &grad, const Tensor &logits, const Tensor &ids,
                               const TopKOptions &options = {});

/// Rows of experts, in the order expert-major, then slot ascending. Slots are t*K + k.
struct Routing {
  Tensor slot_ids;  ///< i64 [T*K]: slot of each row; -1 after the last row
  Tensor token_ids; ///< i32 [T*K]: its token; -1 after the last row
  Tensor weights;   ///< [T*K], f32 (f64 for f64): its weight, 0 after the last row; undefined without weights
  Tensor row_ids;   ///< i32 [T*K]: row of each slot, or -1 for slots that were dropped
  Tensor counts;    ///< i64 [E]: rows of each expert
  Tensor offs;      ///< i32 [E]: one past each expert's last row
};
/// A stable counting sort of slots by expert, two kernels. indices i32 or i64 [T, K]; slots with ids outside
/// first..first+experts-1, and all slots of tokens whose token_mask (bool [T]) is false, are dropped. weights (any
/// float dtype, [T, K]) are sorted with them. Integers only: exact. Sources: _permute_tokens_for_grouped_mm
/// (nemo_automodel experts).
Routing route_slots(const Stream &stream, const Tensor &indices, int experts, int first = 0,
                    const Tensor &token_mask = {}, const Tensor &weights = {});
/// Gradient of the weights of route_slots, [T, K] of `dtype` (one rounding): grad[row of the slot], 0 for dropped
/// slots. grad [N], any float dtype, N at least the number of rows; row_ids of the forward.
Tensor route_slots_backward(const Stream &stream, const Tensor &grad, const Tensor &row_ids, int topk, DType dtype);

/// Where each slot goes when slots are sorted by expert.
struct RoutingIndices {
  Tensor counts;  ///< [E], dtype of the selected experts: rows of each expert
  Tensor gather;  ///< i64 [N]: slot of each row, a stable sort; -1 after the last row
  Tensor scatter; ///< i64 [N]: row of each slot, the inverse
};
/// selected i32 or i64 [T, K] or [N], experts 0..experts-1; others are in no row (scatter -1). Two kernels, integers:
/// exact. Source: get_routing_indices (unsloth).
RoutingIndices routing_indices(const Stream &stream, const Tensor &selected, int experts);

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
