// Moving rows: gather, spread, permute, unpermute, sort chunks, with gradients. See moe.h for what holds for all
// functions. Sums are gather forms without atomics: a token's rows are added experts (slots) ascending in f32 (f64 if
// rows or weights are f64), with one rounding. Rows have 1 to 2^24 elements; maps have 1 to 4096 experts and fewer than
// 2^31 cells. What only the device can see (an index out of range, a bound that is too small) stops the launch:
// DeviceError at the next synchronize.
#pragma once

#include <cstdint>
#include <optional>

#include "kernels/routing.h"
#include "runtime/device.h"
#include "runtime/tensor.h"

namespace moec {

// ------------------------------------------------------------------------------------------------------ by index

/// out[i, :] = x[index[i] / divide, :], zero where index[i] < 0; times scale[i] (any float dtype, [N]) if given,
/// rounded once. x [T, D] of any dtype, index i32 or i64 [N]; indices must be below T*divide. Sources:
/// moe_utils.permute, unsloth permute and unpermute's gradients.
Tensor gather_rows(const Stream &stream, const Tensor &x, const Tensor &index, int divide = 1,
                   const Tensor &scale = {});
/// out[index[i], :] = x[i, :] [N, D]; index i32 or i64 [N] must be a permutation of 0..N-1: an index that occurs twice
/// or is past the last row stops the launch. Negative ones are skipped, and rows that no index names are zero. Source:
/// unsloth unpermute.
Tensor scatter_rows(const Stream &stream, const Tensor &x, const Tensor &index);
/// y[t, :] = sum over k ascending of rows[row_ids[t*K + k], :] (* weights[t, k] if given), skipping row_ids < 0; f32,
/// one rounding to the dtype of rows; with `round_weighted` each weighted row is rounded to it, too. rows [N, D] f32,
/// bf16, f16 or f64, row_ids i32 or i64 [T*K], weights [T, K]. Sources: unsloth unpermute with the sum over topk, the
/// combination at the end of GroupedExperts and (round_weighted) GroupedExpertsDeepEP.
Tensor combine_rows(const Stream &stream, const Tensor &rows, const Tensor &row_ids, int topk,
                    const Tensor &weights = {}, bool round_weighted = false);
/// out[row_ids[t*K + k], :] = x[t, :] [rows, D]: what gather_rows makes from the inverse of row_ids, with each row of x
/// read once. row_ids i32 or i64 [T*K], unique, negative ones are skipped; rows that none names are undefined. Its
/// backward is combine_rows. Source: unsloth permute.
Tensor spread_slots(const Stream &stream, const Tensor &x, const Tensor &row_ids, int topk, int64_t rows);

// ------------------------------------------------------------------------------------------------ by routing map

struct Permuted {
  Tensor tokens;  ///< [rows, D]; rows of no token are zero
  RoutingMap map; ///< with the rows' probabilities
};
/// tokens [T, D] of any dtype, routing_map [T, E] of any dtype, probs [T, E] or none. `rows`: a bound of the number of
/// routed pairs; without it the function waits for the number. Copies bits. Source: moe_utils.permute(fused=False), no
/// drop_and_pad.
Permuted permute(const Stream &stream, const Tensor &tokens, const Tensor &routing_map, const Tensor &probs = {},
                 std::optional<int64_t> rows = {});
/// Gradient of tokens [T, D]: sum over the token's rows of grad [rows, D], by token_rows of the map. Source:
/// autograd of moe_utils.permute.
Tensor permute_backward_tokens(const Stream &stream, const Tensor &grad, const RoutingMap &map);
/// Gradient of probs [T, E]: grad of the pair's row, 0 elsewhere; grad [rows]. Source: autograd of
/// moe_utils.permute.
Tensor permute_backward_probs(const Stream &stream, const Tensor &grad, const RoutingMap &map);

/// y[t, :] = sum over the token's rows of permuted[row, :] (* probs[t, e]), rounded to the rows' dtype. permuted
/// [rows, D]; probs [T, E] of any float dtype. For the map of any of the permutes here. Products of bf16 rows and bf16
/// probs (f16 likewise), and of rows and gradients in the gradient of such probs, are rounded to that dtype before the
/// sum in f32, as the source does; not for maps with a row_id_map, the fused form. Source:
/// moe_utils.unpermute.
Tensor unpermute(const Stream &stream, const Tensor &permuted, const RoutingMap &map, const Tensor &probs = {});
struct UnpermuteGrads {
  Tensor permuted; ///< [rows, D]: grad[t, :] * p of the row, rounded once; zero for rows of no token
  Tensor probs;    ///< [T, E]: sum over d of grad[t, d] * permuted[row, d], 0 where not routed; undefined without
                   ///< probs. Blocks of 4096 columns, each a balanced tree, ascending; f32 products are added in f64
};
/// For grad [T, D] of y; the rest as given to unpermute. Source: autograd of moe_utils.unpermute.
UnpermuteGrads unpermute_backward(const Stream &stream, const Tensor &grad, const Tensor &permuted,
                                  const RoutingMap &map, const Tensor &probs = {});

/// The same where only the tensors are at hand. sorted_indices i64 or i32 [rows], entries < 0 are skipped; probs [T, E]
/// need routing_map [T, E] (bool), whose rows must be those of sorted_indices: others stop the launch. Without probs
/// the map is not read: rows are summed ascending, found by a radix sort of the indices. Source:
/// moe_utils.unpermute(fused=False).
Tensor unpermute(const Stream &stream, const Tensor &permuted, const Tensor &sorted_indices, int64_t tokens,
                 const Tensor &probs = {}, const Tensor &routing_map = {});
/// Its gradients, for grad [T, D] of y. Source: autograd of moe_utils.unpermute.
UnpermuteGrads unpermute_backward(const Stream &stream, const Tensor &grad, const Tensor &permuted,
                                  const Tensor &sorted_indices, const Tensor &probs = {},
                                  const Tensor &routing_map = {});

// -------------------------------------------------------------------------------------------------- drop and pad

/// Every expert gets capacity = num_out_tokens / E rows, at most T (else UserError): its routed tokens ascending, then
/// the others ascending as filler, with the probabilities that stand there; gradients flow through filler rows too.
/// Nothing waits, unless `may_drop` is false: then the function waits for the counts, and an expert with more routed
/// tokens than capacity is a UserError that lists them. Gradients as of permute. Source:
/// moe_utils.permute(drop_and_pad=True).
Permuted permute_drop_and_pad(const Stream &stream, const Tensor &tokens, const Tensor &routing_map,
                              const Tensor &probs, int64_t num_out_tokens, bool may_drop = true);
/// unpermute for sorted_indices i64 or i32 [E*capacity] of drop and pad: expert e = row / capacity, p[row] =
/// probs[token, e]. Filler rows are added too. With probs a token that occurs twice for one expert stops the launch.
/// Source: moe_utils.unpermute(drop_and_pad=True).
Tensor unpermute_drop_and_pad(const Stream &stream, const Tensor &permuted, const Tensor &sorted_indices,
                              int64_t tokens, int64_t experts, const Tensor &probs = {});
/// Its gradients, for grad [T, D] of y. Source: autograd of moe_utils.unpermute(drop_and_pad=True).
UnpermuteGrads unpermute_drop_and_pad_backward(const Stream &stream, const Tensor &grad, const Tensor &permuted,
                                               const Tensor &sorted_indices, int64_t experts, const Tensor &probs = {});

// --------------------------------------------------------------------------------- fused form (TransformerEngine)

/// permute with num_out_tokens > 0 rows and map.row_id_map; of tokens without elements ([0, D], [T, 0]) a copy and
/// empty maps, whatever num_out_tokens. With probs, pairs whose probability is 0 get a row of zeros. Fewer pairs than
/// num_out_tokens: zero rows; more stop the launch. Nothing waits. Gradients as of permute: they sum all routed rows.
/// Source: transformer_engine moe_permute, moe_permute_with_probs (mask map).
Permuted permute_fused(const Stream &stream, const Tensor &tokens, const Tensor &routing_map, const Tensor &probs,
                       int64_t num_out_tokens);
/// The same with each expert's rows padded with zero rows (probability 0, token -1) to a multiple of `multiple`, for at
/// most `topk` experts per token. The result has T*topk + E*(multiple-1) rows, rounded up to a multiple; map.counts and
/// map.offs, on the device, include the padding; rows after the last expert are zero. Nothing waits; the exact number
/// is count_rows(stream, map). Source: transformer_engine moe_permute_and_pad_with_probs.
Permuted permute_padded(const Stream &stream, const Tensor &tokens, const Tensor &routing_map, const Tensor &probs,
                        int topk, int multiple);
/// Rows of a map, padding included. Waits for the stream.
int64_t count_rows(const Stream &stream, const RoutingMap &map);
/// unpermute by row_id_map i32 [T, 2E+1] alone, merging_probs [T, E]. Without them also the gradient of tokens of
/// permute_fused. Source: transformer_engine moe_unpermute.
Tensor unpermute_fused(const Stream &stream, const Tensor &permuted, const Tensor &row_id_map,
                       const Tensor &merging_probs = {});
/// Its gradients, as unpermute_backward; rows that the row_id_map does not name are zero. Source:
/// transformer_engine's backward of moe_unpermute.
UnpermuteGrads unpermute_fused_backward(const Stream &stream, const Tensor &grad, const Tensor &permuted,
                                        const Tensor &row_id_map, const Tensor &merging_probs = {});

// -------------------------------------------------------------------------------------------------------- chunks

struct SortedChunks {
  Tensor output; ///< [N, ...]
  Tensor probs;  ///< [N]; undefined without probs
};
/// Splits the rows of input [N, ...] into C chunks of split_sizes rows (zero allowed) and concatenates them in the
/// order sorted_idxs; the same for probs [N]. split_sizes and sorted_idxs i64 or i32 [C]; sizes that do not sum to N
/// and a sorted_idxs that is no permutation stop the launch. `inverse` undoes it: that is the backward. Copies bits.
/// Source: megatron moe_utils.sort_chunks_by_idxs.
SortedChunks sort_chunks(const Stream &stream, const Tensor &input, const Tensor &split_sizes,
                         const Tensor &sorted_idxs, const Tensor &probs = {}, bool inverse = false);

} // namespace moec
