// What all experts layers and blocks share: route, two grouped products with an activation between them, sum back; and
// the way back. Internal to kernels/.
#pragma once

#include "kernels/activation.h"
#include "kernels/experts.h"

namespace moec {

/// What the routers' weights multiply. In exact numbers the last two are one function.
enum class RouterWeights : uint8_t { input, activation, output };

/// How one layer differs from another.
struct ExpertsForm {
  Activation activation;
  RouterWeights weights = RouterWeights::activation;
  bool transposed = false;     ///< matrices are [E, U, D] and [E, D, I], else [E, D, U] and [E, I, D]
  int first_expert = 0;        ///< id of the first of the parameters' experts
  bool round_weighted = false; ///< RouterWeights::output: each weighted row is rounded before the rows are added
};

/// See ExpertsLayer. All parameters have x's dtype, and fit together.
ExpertsResult experts_forward(const Stream &stream, const ExpertsForm &form, const ExpertParameters &parameters,
                              const Tensor &x, const Tensor &token_mask, const Tensor &weights, const Tensor &indices,
                              ExpertsSteps *steps = nullptr);
/// Its gradients for `grad` [T, D], those of the parameters in `dtype`.
ExpertsGrads experts_backward(const Stream &stream, const ExpertsForm &form, const ExpertParameters &parameters,
                              const Tensor &grad, const ExpertsKept &kept, DType dtype);

/// Throws UserError unless `kept` is what a forward pass of a layer with this configuration left.
void check_kept(const char *name, const MoeConfig &config, const ExpertsKept &kept);

/// One line for ExpertsLayer::describe() and the like. `parameters`: bytes of them, `dtype`: theirs.
std::string describe_experts(const char *name, const MoeConfig &config, int64_t parameters, DType dtype, int64_t tokens,
                             DType x);

} // namespace moec
