// Grouped products in Unsloth's forms: matrices [E, N, K], groups by sizes. See moe.h for what holds for all functions.
#pragma once

#include "runtime/device.h"
#include "runtime/tensor.h"

namespace moec {

/// y[r] = x[r] w[e]^T for consecutive groups of m_sizes[e] rows (i32 or i64, read on the device), 0 after the last; or
/// x[r] w[e] if not `transpose`. x [..., K] viewed as [M, K], w [E, N, K] ([E, K, N]).
/// Gradients: grouped_mm with `sizes`. Source: unsloth kernels.moe.grouped_gemm.reference.moe_ops.torch_grouped_gemm.
Tensor torch_grouped_gemm(const Stream &stream, const Tensor &x, const Tensor &w, const Tensor &m_sizes,
                          bool transpose = true);

/// What unsloth's grouped_gemm takes besides its tensors. At most one permutation.
struct UnslothGemmOptions {
  int topk = 1;
  Tensor gather_indices = {}; ///< [T*topk], slots (token*topk + k) in expert order, i32 or i64
  bool permute_x = false;     ///< first product only: row i is x's row gather[i] / topk, x [T, K]
  bool permute_y = false;     ///< second product only: row i goes to y's row gather[i]
  bool fuse_mul_post = false; ///< with permute_y, inference only: y is rounded, times its weight rounded alike, rounded
  Tensor topk_weights = {};   ///< T*topk numbers, by slot
  bool is_first_gemm = true;
};
/// y [T*topk, N] = x w[e]^T for groups of m_sizes[e] rows, in expert order, or slots with permute_y. x, viewed as a
/// matrix, [T, K] with permute_x, else [T*topk, K]; w [E, N, K] or [E*N, K]. UserError for a combination that unsloth
/// does not have. Source: unsloth kernels.moe.grouped_gemm.interface.grouped_gemm.
Tensor unsloth_grouped_gemm(const Stream &stream, const Tensor &x, const Tensor &w, const Tensor &m_sizes,
                            const UnslothGemmOptions &options = {});
struct UnslothGemmGrads {
  Tensor x_rows; ///< [T*topk, K]: gradient of the product's rows, in slot order with permute_x
  Tensor x;      ///< as x: with permute_x the sum of a token's topk rows, in f32, rounded to grad's dtype; else x_rows
  Tensor w;      ///< as w
};
/// Gradients for grad [T*topk, N]; undefined where not asked for. Source: unsloth GroupedGemm.backward.
UnslothGemmGrads unsloth_grouped_gemm_backward(const Stream &stream, const Tensor &grad, const Tensor &x,
                                               const Tensor &w, const Tensor &m_sizes,
                                               const UnslothGemmOptions &options = {}, bool of_x = true,
                                               bool of_w = true);

} // namespace moec
