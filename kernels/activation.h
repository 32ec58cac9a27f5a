// Activations between the products of an experts layer. See moe.h for what holds for all functions.
#pragma once

#include <cstdint>

#include "runtime/device.h"
#include "runtime/tensor.h"

namespace moec {

/// y = silu(gate) * up * w with x = [gate | up] [M, 2H], weights [M, 1]; any float dtypes; f32 inside, one rounding. y
/// [M, H], dtype of x. sigmoid is approximate in f32 (tile.sigmoid's bound). Source: moe_utils.weighted_swiglu.
Tensor weighted_swiglu(const Stream &stream, const Tensor &x, const Tensor &weights);
struct WeightedSwigluGrads {
  Tensor x;       ///< [M, 2H], dtype of x
  Tensor weights; ///< [M, 1], dtype of weights; summed over H in blocks of columns, a balanced tree at the end
};
WeightedSwigluGrads weighted_swiglu_backward(const Stream &stream, const Tensor &grad, const Tensor &x,
                                             const Tensor &weights);

} // namespace moec
