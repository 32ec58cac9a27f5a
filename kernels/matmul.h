// Dense matrix products. See moe.h for what holds for all functions.
#pragma once

#include <optional>

#include "runtime/device.h"
#include "runtime/tensor.h"

namespace moec {

struct MatmulOptions {
  bool transpose_a = false, transpose_b = false;
  Tensor bias = {};                ///< [N], any float dtype, added before the rounding
  std::optional<DType> dtype = {}; ///< of the result; none: that of a
};
/// c = op(a) op(b) + bias: op(a) [M, K], op(b) [K, N]; f32 sums (f64 for f64), one rounding. b is rounded to a's dtype
/// first. Order: k ascending, in blocks for bf16 and f16. Sizes may be 0: a sum of nothing is 0. Source: torch
/// nn.functional.linear and its gradients.
Tensor matmul(const Stream &stream, const Tensor &a, const Tensor &b, const MatmulOptions &options = {});

} // namespace moec
