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
/// pass the gradient through. ids: the forward's, i32 or i64 [T, K]. Source: autograd of unsloth calculate_topk.
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
/// A stable counting sort of slots by expert: one kernel for up to 4096 slots, else two. indices i32 or i64 [T, K];
/// slots with ids outside first..first+experts-1, and all slots of tokens whose token_mask (bool [T]) is false, are
/// dropped. weights (any float dtype, [T, K]) are sorted with them. Integers only: exact. Sources:
/// _permute_tokens_for_grouped_mm (nemo_automodel experts).
Routing route_slots(const Stream &stream, const Tensor &indices, int experts, int first = 0,
                    const Tensor &token_mask = {}, const Tensor &weights = {});
/// Gradient of the weights of route_slots, [T, K] of `dtype` (one rounding): grad[row of the slot], 0 for dropped
/// slots. grad [N], any float dtype, N at least the number of rows; row_ids of the forward. Source: autograd of
/// _permute_tokens_for_grouped_mm.
Tensor route_slots_backward(const Stream &stream, const Tensor &grad, const Tensor &row_ids, int topk, DType dtype);

/// Where each slot goes when slots are sorted by expert; every slot has a row.
struct RoutingIndices {
  Tensor counts;  ///< [E], dtype of the selected experts: slots of each expert; an id E counts as the last one
  Tensor gather;  ///< i64 [N]: slot of each row, a permutation
  Tensor scatter; ///< i64 [N]: row of each slot, the inverse
};
/// gather is a stable argsort of selected (i32 or i64 [T, K] or [N]). Ids that are no expert stand outside of the
/// experts' rows: those below 0 before them, in the order of their slots; those equal to `experts` behind, then greater
/// ones, in the order of their slots; products that take counts from row 0 on need ids of experts only. Integers:
/// exact. Source: get_routing_indices (unsloth).
RoutingIndices routing_indices(const Stream &stream, const Tensor &selected, int experts);

/// Number of rows of a routing. Waits for the stream.
int64_t count_rows(const Stream &stream, const Routing &routing);

/// The same from a dense map.
struct RoutingMap {
  Tensor sorted_indices; ///< i64 [rows]: token of each row, expert-major, then token ascending; -1 where there is none
  Tensor probs;          ///< [rows]: probability of each row, 0 where there is none; undefined if none were given
  Tensor token_rows; ///< i32 [T, 2*E]: a token's rows, ascending, and from column E on their experts (~expert: a row
                     ///< of zeros); undefined past their number
  Tensor row_counts; ///< i32 [T]: that number
  Tensor row_id_map; ///< i32 [T, 2E+1], if asked for: n of a token's columns hold its rows, descending, their experts
                     ///< stand E columns further, n in the last; -1 elsewhere (TransformerEngine's row_id_map)
  Tensor counts;     ///< i64 [E]: rows of each expert, padding included
  Tensor offs;       ///< i32 [E]: one past each expert's last row, padding included
  Tensor routed;     ///< i32 [E]: routed pairs of each expert
  bool full = false; ///< every row has a token: drop and pad, or an exact number of rows
};
struct RouteMapOptions {
  std::optional<int64_t> rows = {}; ///< a bound of the number of rows; a smaller one stops the launch (DeviceError at
                                    ///< the next synchronize). Not given: the function waits for the number
  int pad_multiple = 1;             ///< each expert's rows are padded to a multiple of it with rows of no token
  std::optional<int64_t> capacity = {}; ///< drop and pad: every expert gets this many rows, at most T: its routed
                                        ///< tokens ascending, then the others ascending as filler; the rest is dropped
  bool row_id_map = false;              ///< make row_id_map
  bool zero_rows = false;               ///< pairs of probability 0 have rows of zeros
  Tensor sorted_indices = {}; ///< i64 or i32 [rows]: known already; tokens that are not the map's stop the launch
};
/// routing_map [T, E], bool, integer or float, not 0: routed; probs [T, E]. Three kernels, integers only: exact.
/// Sources: moe_utils.permute (with drop_and_pad), transformer_engine make_row_id_map.
RoutingMap route_map(const Stream &stream, const Tensor &routing_map, const Tensor &probs = {},
                     const RouteMapOptions &options = {});

struct PaddedMap {
  Tensor routing_map;       ///< [T, E], dtype of the map
  Tensor counts;            ///< i64 [E]: tokens of each expert in it
  Tensor tokens_per_expert; ///< i64 [E]: the map's counts rounded up to a multiple, whether it was reached or not
};
/// routing_map [T, E], bool, integer or float, not 0: routed. Each expert's column gets its first (ascending token)
/// zeros set to 1 until its count is a multiple of `multiple` >= 1; a count of 0 stays. Where there are too few zeros
/// all are set, and the count is no multiple; with `strict` that stops the launch (DeviceError at the next
/// synchronize). Upstream changes its argument in place; pad_routing_map_in_place does. Source: megatron
/// moe_utils.pad_routing_map.
PaddedMap pad_routing_map(const Stream &stream, const Tensor &routing_map, int multiple, bool strict = false);
PaddedMap pad_routing_map_in_place(const Stream &stream, Tensor &routing_map, int multiple, bool strict = false);

/// Rows per expert for a capacity factor: ceil(tokens * topk / experts * factor), at least `minimum`, at most tokens.
/// Source: megatron moe_utils.get_capacity.
int64_t expert_capacity(int64_t tokens, int topk, int experts, double factor, int64_t minimum = 0);
struct CapacityOptions {
  bool by_probs = true; ///< keep each expert's most probable tokens (equal ones: the lower token), else the first ones
  bool may_drop =
      true; ///< false: the function waits for the counts, and a token too many is a UserError that lists them
};
struct LimitedMap {
  Tensor routing_map; ///< [T, E], dtype of the map: at most `capacity` tokens per expert
  Tensor probs;       ///< [T, E]: 0 where a pair was dropped; undefined without probs
  Tensor routed;      ///< i32 [E]: tokens of each expert before
};
/// Drops the pairs of experts with more than `capacity` >= 0 tokens. routing_map [T, E] of any dtype, probs [T, E] of
/// any float dtype (needed by by_probs; a NaN counts as greatest). Integers and copies: exact. Source: megatron
/// moe_utils.topk_softmax_with_capacity, its drop policies "probs" and "position".
LimitedMap limit_capacity(const Stream &stream, const Tensor &routing_map, const Tensor &probs, int64_t capacity,
                          const CapacityOptions &options = {});
/// Gradient of its probs, [T, E] of any float dtype: grad itself, 0 where a pair was dropped. `limited_map`: the
/// routing map that limit_capacity gave for `routing_map`. Source: autograd of topk_softmax_with_capacity.
Tensor limit_capacity_backward(const Stream &stream, const Tensor &grad, const Tensor &routing_map,
                               const Tensor &limited_map);

} // namespace moec
