// Moving rows: gather, scatter, permute, unpermute, with gradients. See moe.h for what holds for all functions.
#pragma once

#include <cstdint>
#include <optional>

#include "kernels/routing.h"
#include "runtime/device.h"
#include "runtime/tensor.h"

namespace moec {

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

} // namespace moec
