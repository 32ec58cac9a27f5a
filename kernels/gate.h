// The router's gate: scores from tokens, the choice of experts, their weights. See moe.h for what holds for all
// functions.
#pragma once

#include <cstdint>
#include <optional>

#include "kernels/aux_loss.h"
#include "runtime/device.h"
#include "runtime/tensor.h"

namespace moec {

/// How logits become scores, and which of them select.
enum class ScoreFunction : uint8_t {
  softmax, ///< over the experts before the selection, or over the selected logits after it
  sigmoid, ///< groups: the greatest score, or with a correction bias the sum of the 2 greatest; others times 0
  sigmoid_with_bias, ///< the same, but experts of other groups cannot be chosen
  softmax_with_bias, ///< softmax over the experts; groups: the sum of the 2 greatest; others times 0
  sqrtsoftplus,      ///< sqrt(log(1 + e^x)); no groups
};
/// "softmax", "sigmoid", ... Throws UserError for another name.
ScoreFunction score_function_named(std::string_view name);

struct GateOptions {
  int topk = 1;
  ScoreFunction score = ScoreFunction::softmax;
  bool softmax_before_topk = false;   ///< of ScoreFunction::softmax only
  int groups = 1, limited_groups = 1; ///< groups of consecutive experts, and how many of them may be chosen from
  bool norm_topk_prob =
      false;             ///< weights (and the scores of the auxiliary loss) divided by their sum + 1e-20, if topk > 1
  bool norm_one = false; ///< norm_topk_prob holds for topk 1, too: its weight is then 1
  double route_scale = 1;
  double aux_loss_coeff = 0; ///< above 0 with `train`: the auxiliary loss is computed and attached to the weights
  bool train = true;
  bool expert_load = false;            ///< compute it even if no auxiliary loss needs it
  bool f32_weights = false;            ///< weights stay f32 instead of x's dtype
  std::optional<DType> precision = {}; ///< of the logits and their gradients, any float dtype; none: that of x

  bool normalizes() const { return norm_topk_prob && (topk > 1 || norm_one); }
};

struct GateParameters {
  Tensor weight;          ///< [E, D], any float dtype; rounded to the logits' dtype
  Tensor bias;            ///< [E] or none: added to the logits
  Tensor correction_bias; ///< [E] or none: added to the scores that select, not to the weights
};

struct GateOutput {
  Tensor weights;     ///< [T, K], dtype of x (f32 if f32_weights; f64 for f64), descending by the score that selected
  Tensor indices;     ///< i64 [T, K]
  Tensor expert_load; ///< i64 [E]; undefined unless asked for
  Tensor aux_loss;    ///< [], f32 (f64 for f64), before the coefficient; undefined without it
  Tensor logits;      ///< [T, E], dtype of x or GateOptions::precision: kept for the backward
  Tensor valid;       ///< i64 []: tokens that count; undefined without auxiliary loss
};
/// logits = x weight^T + bias, rounded to their dtype; sigmoid is rounded to it too, as it selects. Equal scores: the
/// lower expert first. x [T, D]; token_mask bool [T] or none: tokens that count in load and loss (weights and indices
/// are made for all). Source: Gate.forward (nemo_automodel layers).
GateOutput gate_forward(const Stream &stream, const Tensor &x, const GateParameters &parameters,
                        const GateOptions &options, const Tensor &token_mask = {});

struct GateGrads {
  Tensor x;      ///< [T, D]
  Tensor weight; ///< [E, D], dtype of the weight
  Tensor bias;   ///< [E], dtype of the bias; undefined without one
};
/// grad [T, K]: gradient of the weights. The auxiliary loss gets its gradient from `scaler` times the coefficient, as
/// it is attached. Gradients of the logits are rounded to their dtype. Order: as matmul; bias: as bias_grad.
/// Source: autograd of nemo_automodel Gate.forward.
GateGrads gate_backward(const Stream &stream, const Tensor &grad, const Tensor &x, const GateParameters &parameters,
                        const GateOutput &saved, const GateOptions &options, const Tensor &token_mask = {},
                        const AuxLossAutoScaler &scaler = {});

} // namespace moec
