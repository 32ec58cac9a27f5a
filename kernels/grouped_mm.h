// Grouped matrix products, with what comes before and after them fused. See moe.h for what holds for all functions.
#pragma once

#include <cstdint>
#include <optional>

#include "kernels/activation.h"
#include "runtime/device.h"
#include "runtime/tensor.h"

namespace moec {

/// What grouped_mm does besides c[r, :] = a[r, :] * b[e]. M rows in expert order, U = columns of b, N = columns of c:
/// U, or U/2 with a gated activation. Index tensors are i32 or i64; weights and biases have any float dtype.
struct GroupedMmOptions {
  bool transposed = false; ///< b is [E, U, K], else [E, K, U]
  bool sizes = false;      ///< offs holds the groups' sizes (i32 or i64), which the device sums, else their ends (i32)
  bool zero_tail = false;  ///< rows of c from the last group on are 0 (accumulate: unchanged), else undefined

  Tensor gather = {};  ///< [M]: row r is a's row gather[r] / divide; a row of zeros where gather[r] < 0
  int divide = 1;      ///< topk, where gather holds slots (token * topk + k)
  Tensor scatter = {}; ///< [M], distinct: row r goes to c's row scatter[r], of M or of accumulate's; dropped if < 0

  /// Scales of fp8 operands, f32. a: [rows of a, 1], or [rows of a, ceil(K/128)] for blocks of 1x128. b: [E, U] for
  /// columns, [E, U, ceil(K/128)] for blocks of 128 along K, [E, ceil(U/128), ceil(K/128)] for blocks of 128x128. Sums
  /// of 128 products are scaled by the product of both blocks' scales and added by fma; scales of whole rows and
  /// columns come after all sums.
  Tensor scale_a = {}, scale_b = {};

  // In this order, in f32 (f64), one rounding at the end:
  Tensor bias = {};               ///< [E, U], added
  bool round_before_bias = false; ///< the product is rounded to c's dtype before it: the bits of apply_bias of the
                                  ///< stored product, but for bf16 and f16 bias_weights, whose products are not rounded
  Tensor bias_weights = {};       ///< [M]: bias is multiplied by them first
  Tensor pre_activation = {}; ///< [M, U], dtype of c: gets the values before the activation, rows in expert order; the
                              ///< activation is then that of the rounded values
  std::optional<Activation> activation = {}; ///< see activation.h
  Tensor row_weights = {};                   ///< [M]: multiplied
  bool weights_by_slot = false;              ///< the weight of row r is row_weights[scatter[r]]
  bool round_before_weights = false;         ///< values and weights are rounded to c's dtype first, their product again
  Tensor accumulate = {}; ///< c, to which the result is added; any float dtype; must not overlap inputs

  std::optional<DType> dtype = {}; ///< of c: by default a's, bf16 for fp8; f32, bf16 or f16 (f64 inputs: f64)
};

/// c[r, :] = a[r, :] * b[e] for the rows offs[e-1] <= r < offs[e] of a [M, K] or [tokens, K]; see GroupedMmOptions for
/// the rest. a, b of one dtype: f32 (true f32), bf16, f16, e4m3 with f32 sums, f64 with f64. offs [E] must not decrease
/// nor pass M, indices must be in range: DeviceError. k ascends in blocks (f32, f64: one fma after the other, exact
/// order); no sum depends on other rows. Gives c [M, N]. Sources: torch._grouped_mm, unsloth grouped_gemm.
Tensor grouped_mm(const Stream &stream, const Tensor &a, const Tensor &b, const Tensor &offs,
                  const GroupedMmOptions &options = {});

/// Gradient of b for c = grouped_mm(a, b, offs, options): sum over e's rows, ascending, of a[r]^T * grad[r] as
/// [E, K, U] ([E, U, K] if transposed), 0 for empty groups; f32 (f64) sums, one rounding to `dtype` (default: a's).
/// grad [M, U] (with scatter: its row of r is scatter[r]) of a's dtype. Of the options: transposed, sizes, gather,
/// divide, scatter, dtype and accumulate ([E, K, U], for instance an f32 main gradient). The gradient of a is
/// grouped_mm(grad, b, offs) with `transposed` turned, gather for scatter and scatter for gather. Sources:
/// autograd of torch._grouped_mm, unsloth GroupedGemm.backward.
Tensor grouped_mm_backward_b(const Stream &stream, const Tensor &a, const Tensor &grad, const Tensor &offs,
                             const GroupedMmOptions &options = {});

} // namespace moec
