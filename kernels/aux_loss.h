// Load of the experts and the auxiliary loss that balances it. See moe.h for what holds for all functions.
#pragma once

#include <cstdint>
#include <optional>

#include "runtime/device.h"
#include "runtime/tensor.h"

namespace moec {

/// i64 [E]: how many slots of tokens with token_mask (bool [T], none: all) chose each expert. indices i32 or i64 [T,
/// K]; ids outside 0..experts-1 count nowhere. Integers: exact. Source: Gate._compute_expert_load (nemo_automodel
/// layers).
Tensor expert_load(const Stream &stream, const Tensor &indices, int experts, const Tensor &token_mask = {});

struct AuxLoss {
  Tensor loss;  ///< [], f32 (f64 for f64 scores)
  Tensor valid; ///< i64 []: tokens that count
};
/// loss = sum over e of f_e P_e, f_e = load_e E / (topk valid), P_e = sum over valid tokens of scores[t, e] / valid,
/// with valid = max(tokens that count, 1). scores [T, E] of any float dtype, load i64 [E], token_mask bool [T] or none.
/// Order: blocks of 256 tokens in ascending chains (so many as E and dtype say), a tree over these, blocks in 8
/// ascending chains, a tree over these and over the experts.
/// Source: Gate._compute_aux_loss.
AuxLoss aux_loss(const Stream &stream, const Tensor &scores, const Tensor &load, int topk,
                 const Tensor &token_mask = {});
/// Gradient of scores, [T, E] of `dtype` (none: grad's): grad * factor * f_e / valid, 0 for tokens that do not count.
/// grad [], f32 or f64; `valid` and `load` of the forward. Source: autograd of Gate._compute_aux_loss.
Tensor aux_loss_backward(const Stream &stream, const Tensor &grad, const Tensor &load, const Tensor &valid,
                         int64_t tokens, int topk, const Tensor &token_mask = {}, double factor = 1,
                         std::optional<DType> dtype = {});

/// Attaches a loss to a tensor: the value is `output` itself, and backward gives the loss its own gradient, whatever
/// comes for output. Source: MoEAuxLossAutoScaler (nemo_automodel moe_utils).
struct AuxLossAutoScaler {
  Tensor scale; ///< main_loss_backward_scale: one element, any float dtype; none: 1

  Tensor forward(const Tensor &output, const Tensor &) const { return output; }
  struct Grads {
    Tensor output;   ///< grad itself
    Tensor aux_loss; ///< like aux_loss: scale everywhere
  };
  Grads backward(const Stream &stream, const Tensor &grad, const Tensor &aux_loss) const;
};

} // namespace moec
