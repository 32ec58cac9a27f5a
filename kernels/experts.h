// The experts layer. See moe.h for what holds for all functions.
#pragma once

#include <cstdint>

#include "kernels/routing.h"
#include "runtime/device.h"
#include "runtime/tensor.h"

namespace moec {

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
