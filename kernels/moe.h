// The kernel library's public functions. Each launches kernels on `stream` and returns new tensors on its device.
// Nothing waits for the device unless a function says so. All are deterministic: the same input gives the same bits on
// every run and schedule; sums have the order that their function names. Letters: T tokens, K topk, E experts, D hidden
// size, I expert width, N routed rows. Errors: UserError for shapes, dtypes and devices that do not fit, naming
// function and tensor; KernelError and DeviceError as a launch. f64 tensors are computed in f64, all others in f32 with
// one rounding at the store.
#pragma once

#include <cstdint>
#include <optional>

#include "runtime/device.h"
#include "runtime/tensor.h"

namespace moec {

// ---------------------------------------------------------------------------------------------------------- indices
// converter

struct Multihot {
  Tensor multihot;     ///< bool [T, E]
  Tensor probs;        ///< [T, E], dtype of the given probs; 0 where not routed
  Tensor position_map; ///< i32 [T, E]: the slot k that named the expert, or -1
};
/// indices i32 or i64 [T, K], probs f32, bf16, f16 or f64 [T, K]. Ids outside 0..experts-1 are ignored; of several
/// slots of one token with the same expert the highest wins. Copies bits. Source: IndicesToMultihot (nemo_automodel
/// fused_indices_converter).
Multihot indices_to_multihot(const Stream &stream, const Tensor &indices, const Tensor &probs, int experts);
/// Its backward, and an op of its own: out[t, k] = dense[t, e] where position_map[t, e] == k, else 0. dense [T, E] of
/// any float dtype, position_map i32 [T, E], unique within a row. Source: _multihot_to_indices_kernel.
Tensor multihot_to_indices(const Stream &stream, const Tensor &dense, const Tensor &position_map, int topk);
/// The unfused form: probs f32; -1 is masked, ids in [-experts, -2] count from the end, others stop the launch
/// (DeviceError at the next synchronize). position_map is not made. Source: _DeepepManager._indices_to_multihot
/// (token_dispatcher).
Multihot indices_to_multihot_unfused(const Stream &stream, const Tensor &indices, const Tensor &probs, int experts);
/// Its backward: grad[t, indices[t, k]], 0 for masked slots; [T, K], dtype of grad [T, E].
Tensor indices_to_multihot_unfused_backward(const Stream &stream, const Tensor &grad, const Tensor &indices);

// ---------------------------------------------------------------------------------------------------------- routing

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

// ---------------------------------------------------------------------------------------------------------- rows

/// out[i, :] = x[index[i] / divide, :], zero where index[i] < 0; times scale[i] (any float dtype, [N]) if given,
/// rounded once. x [T, D] of any dtype, index i32 or i64 [N]; indices must be below T*divide. Sources:
/// moe_utils.permute, unsloth permute and unpermute's gradients.
Tensor gather_rows(const Stream &stream, const Tensor &x, const Tensor &index, int divide = 1,
                   const Tensor &scale = {});
/// out[index[i], :] = x[i, :]; index must be a permutation of 0..N-1. Source: unsloth unpermute.
Tensor scatter_rows(const Stream &stream, const Tensor &x, const Tensor &index);
/// y[t, :] = sum over k ascending of rows[row_ids[t*K + k], :] (* weights[t, k] if given), skipping row_ids < 0; f32,
/// one rounding to the dtype of rows. rows [N, D], row_ids i32 or i64 [T*K], weights [T, K].
Tensor combine_rows(const Stream &stream, const Tensor &rows, const Tensor &row_ids, int topk,
                    const Tensor &weights = {});

struct Permuted {
  Tensor tokens; ///< [N, D]
  RoutingMap map;
};
/// tokens [T, D] of any dtype, routing_map [T, E], probs [T, E] or none. Waits for the number of rows unless `rows` is
/// given. Copies bits. Source: moe_utils.permute(fused=False), no drop_and_pad.
Permuted permute(const Stream &stream, const Tensor &tokens, const Tensor &routing_map, const Tensor &probs = {},
                 std::optional<int64_t> rows = {});
/// Gradient of tokens: sum over the token's rows, experts ascending, f32 (f64 for f64), one rounding. grad [N, D],
/// row_of of the map.
Tensor permute_backward_tokens(const Stream &stream, const Tensor &grad, const Tensor &row_of);
/// Gradient of probs: grad[row_of[t, e]], 0 elsewhere. [T, E].
Tensor permute_backward_probs(const Stream &stream, const Tensor &grad, const Tensor &row_of);

/// y[t, :] = sum over rows i with sorted_indices[i] = t, ascending, of permuted[i, :] (* probs[t, e(i)]), in f32 (f64
/// if rows or probs are f64), one rounding to the rows' dtype. permuted [N, D], sorted_indices i64 or i32 [N]; probs
/// [T, E] needs routing_map, whose rows must be those of permute. Source: moe_utils.unpermute(fused=False).
Tensor unpermute(const Stream &stream, const Tensor &permuted, const Tensor &sorted_indices, int64_t tokens,
                 const Tensor &probs = {}, const Tensor &routing_map = {});
struct UnpermuteGrads {
  Tensor permuted; ///< [N, D]: grad[token(i), :] * p[i]
  Tensor probs;    ///< [T, E]: sum over d of grad[t, d] * permuted[row, d], 0 where not routed; undefined without probs
};
UnpermuteGrads unpermute_backward(const Stream &stream, const Tensor &grad, const Tensor &permuted,
                                  const Tensor &sorted_indices, const Tensor &probs = {},
                                  const Tensor &routing_map = {});

// ---------------------------------------------------------------------------------------------------------- experts

/// y = silu(gate) * up * w with x = [gate | up] [M, 2H], weights [M, 1]; any float dtypes; f32 inside, one rounding. y
/// [M, H], dtype of x. sigmoid is approximate in f32 (tile.sigmoid's bound). Source: moe_utils.weighted_swiglu.
Tensor weighted_swiglu(const Stream &stream, const Tensor &x, const Tensor &weights);
struct WeightedSwigluGrads {
  Tensor x;       ///< [M, 2H], dtype of x
  Tensor weights; ///< [M, 1], dtype of weights; summed over H in blocks of columns, a balanced tree at the end
};
WeightedSwigluGrads weighted_swiglu_backward(const Stream &stream, const Tensor &grad, const Tensor &x,
                                             const Tensor &weights);

/// c[r, :] = a[r, :] * b[e] for the rows offs[e-1] <= r < offs[e] of a [M, K]; b [E, K, N], or [E, N, K] if
/// `transposed`; offs i32 [E], not decreasing, at most M. a, b, c of one dtype: f32, bf16, f16 with f32 accumulation,
/// f64 with f64. Rows from offs[E-1] on are 0 if `zero_tail`, else undefined. k ascends in blocks (f32, f64: one fma
/// after the other, exact order). Source: torch._grouped_mm.
Tensor grouped_mm(const Stream &stream, const Tensor &a, const Tensor &b, const Tensor &offs, bool transposed = false,
                  bool zero_tail = false);
/// Gradient of b: a[rows of e]^T * grad[rows of e] as [E, K, N] (or [E, N, K]); 0 for empty groups. Rows ascend.
Tensor grouped_mm_backward_b(const Stream &stream, const Tensor &a, const Tensor &grad, const Tensor &offs,
                             bool transposed = false);

struct ExpertsOutput {
  Tensor y; ///< [T, D]
  Routing routing;
  Tensor gate_up, activated, rows; ///< [T*K, 2I], [T*K, I], [T*K, D]; rows from the last offset on are undefined
};
/// The experts layer, forward: for each kept slot h = x[t] W1[e], a = weighted_swiglu(h, weight), o = a W2[e], each
/// rounded to x's dtype; y[t] = sum over slots ascending of o in f32, rounded once. x [T, D]; gate_and_up [E, D, 2I],
/// down [E, I, D] of x's dtype; indices i32 or i64 [T, K] and weights [T, K]; token_mask bool [T] or none. Source:
/// GroupedExperts.forward (nemo_automodel experts), swiglu, no bias.
ExpertsOutput experts_forward(const Stream &stream, const Tensor &x, const Tensor &indices, const Tensor &weights,
                              const Tensor &gate_and_up, const Tensor &down, const Tensor &token_mask = {});

} // namespace moec
