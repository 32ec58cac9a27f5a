// The experts' biases on routed rows, and their gradient. See moe.h for what holds for all functions.
#pragma once

#include <cstdint>
#include <optional>

#include "kernels/rows_of_experts.h"
#include "runtime/device.h"
#include "runtime/tensor.h"

namespace moec {

/// out[n] = value[n] + bias[e(n)] (* probs[n] if given), rounded once to the dtype of value. value [..., F] of rank 1
/// or more, its leading dimensions are N rows; bias [E, F] (a list of [F]: stack() it); probs [N, 1] or [N]; any float
/// dtypes. Here and in the gradients, products with a bias or with probs are rounded to the promoted dtype of these
/// two, as upstream makes them: nothing is lost unless both are bf16 or both f16. Without a bias: value itself. Rows
/// after the last end are undefined. Source: _apply_bias (nemo_automodel experts).
Tensor apply_bias(const Stream &stream, const Tensor &value, const Tensor &bias, const RowsOfExperts &rows,
                  const Tensor &probs = {});

/// How rows are summed to a bias.
enum class BiasSum : uint8_t {
  kahan,  ///< blocks of block_rows rows from the expert's first on, each a balanced tree over rows 16 apart, then over
          ///< the 16; blocks in ascending order with Kahan's compensation; f32 (f64 if a tensor is)
  f64,    ///< the same blocks, plainly added in f64
  atomic, ///< loose: several programs add to each sum, plainly, whichever comes first; f32 (f64 if a tensor is). Other
          ///< bits from run to run. Faster where few experts have few columns: a gate's bias
};
struct BiasGradOptions {
  BiasSum sum = BiasSum::kahan;
  std::optional<DType> dtype = {}; ///< of the result; none: that of grad (of the bias in apply_bias_backward)
  int block_rows = 128;            ///< rows of a block: a power of two up to 256
};
/// [E, F]: sum over the rows n of e of grad[n] (* probs[n], rounded to the promoted dtype of probs and result); experts
/// without rows: 0. One rounding at the end; no atomics but by BiasSum::atomic. grad [..., F]; probs [N, 1] or [N].
/// Source: _deterministic_bias_grad_kernel; BiasSum::f64: its fallback.
Tensor bias_grad(const Stream &stream, const Tensor &grad, const RowsOfExperts &rows, const Tensor &probs = {},
                 const BiasGradOptions &options = {});

struct BiasGrads {
  Tensor value; ///< grad itself
  Tensor probs; ///< shape and dtype of probs: sum over f of grad[n, f] * bias[e(n), f], balanced trees of 1 KiB (f64:
                ///< 512 bytes) of grad's row each, their sums as by sum_of_rows; undefined without probs
  Tensor bias;  ///< [E, F]
};
/// Gradients of apply_bias, from one reading of grad, which has shape and dtype of its value. Source: autograd of
/// _apply_bias, with _deterministic_bias_grad.
BiasGrads apply_bias_backward(const Stream &stream, const Tensor &grad, const Tensor &bias, const RowsOfExperts &rows,
                              const Tensor &probs = {}, const BiasGradOptions &options = {});

} // namespace moec
