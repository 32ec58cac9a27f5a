// Layers and inputs for tests of experts.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "differences.h"
#include "kernels/experts.h"
#include "random_data.h"

namespace moec {

struct Input {
  Tensor x, token_mask, weights, indices;
};

inline MoeConfig config_of(int experts, int topk, int64_t dim, int64_t inter, const char *activation = "swiglu",
                           bool bias = false, bool after = false, DType dtype = f32) {
  MoeConfig c;
  c.n_routed_experts = experts, c.n_activated_experts = topk, c.dim = dim, c.moe_inter_dim = inter;
  c.expert_activation = activation, c.expert_bias = bias, c.apply_router_weight_after_down = after, c.dtype = dtype;
  return c;
}

/// Distinct experts per token, some slots -1, some tokens masked, the last expert idle where there are enough.
inline Input random_input(const MoeConfig &c, int64_t tokens, DType dtype, DType weights = f32) {
  std::vector<int64_t> ids, order(static_cast<size_t>(c.n_routed_experts));
  std::iota(order.begin(), order.end(), 0);
  if (c.n_routed_experts > c.n_activated_experts) order.pop_back();
  for (int64_t t = 0; t < tokens; ++t) {
    std::ranges::shuffle(order, engine());
    for (int k = 0; k < c.n_activated_experts; ++k)
      ids.push_back(random_int(0, 9) ? order[static_cast<size_t>(k)] : -1);
  }
  std::vector<double> mask(static_cast<size_t>(tokens));
  for (double &m : mask) m = random_int(0, 5) ? 1 : 0;
  return {random_floats({tokens, c.expert_dim()}, dtype), Tensor::from_values(mask, {tokens}, boolean),
          random_floats({tokens, c.n_activated_experts}, weights), Tensor::from(ids, {tokens, c.n_activated_experts})};
}

/// Larger parameters than initialize() makes, biases too, so that all terms count.
inline TensorFile random_state(const MoeConfig &c) {
  const int64_t e = c.n_routed_experts;
  TensorFile f;
  f.add("gate_and_up_projs", random_floats({e, c.expert_dim(), c.up_dim()}, c.dtype, 0.5));
  f.add("down_projs", random_floats({e, c.moe_inter_dim, c.expert_dim()}, c.dtype, 0.5));
  if (c.expert_bias) f.add("gate_up_proj_bias", random_floats({e, c.up_dim()}, c.dtype));
  if (c.expert_bias) f.add("down_proj_bias", random_floats({e, c.expert_dim()}, c.dtype));
  return f;
}

} // namespace moec
