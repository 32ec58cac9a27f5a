// The indices converter: top-k indices to dense maps and back. See moe.h for what holds for all functions.
#pragma once

#include <cstdint>

#include "runtime/device.h"
#include "runtime/tensor.h"

namespace moec {

struct Multihot {
  Tensor multihot;     ///< bool [T, E]
  Tensor probs;        ///< [T, E], dtype of the given probs; 0 where not routed
  Tensor position_map; ///< i32 [T, E]: the slot k that named the expert, or -1
};
/// indices of any integer dtype [T, K], probs f32, bf16, f16 or f64 [T, K]. Ids outside 0..experts-1 are ignored; of
/// several slots of one token with the same expert the highest wins. Copies bits. Source: IndicesToMultihot
/// (nemo_automodel fused_indices_converter).
Multihot indices_to_multihot(const Stream &stream, const Tensor &indices, const Tensor &probs, int experts);
/// Its backward, and an op of its own: out[t, k] = dense[t, e] where position_map[t, e] == k, else 0. dense [T, E] of
/// any float dtype, position_map i32 [T, E], unique within a row. Source: _multihot_to_indices_kernel.
Tensor multihot_to_indices(const Stream &stream, const Tensor &dense, const Tensor &position_map, int topk);
/// The unfused form: probs f32, as upstream, or f64; -1 is masked, ids in [-experts, -2] count from the end, others
/// stop the launch (DeviceError at the next synchronize). position_map is not made. Source:
/// _DeepepManager._indices_to_multihot (token_dispatcher).
Multihot indices_to_multihot_unfused(const Stream &stream, const Tensor &indices, const Tensor &probs, int experts);
/// Its backward: grad[t, indices[t, k]], 0 for masked slots; [T, K], dtype of grad [T, E]. Source: autograd of
/// _DeepepManager._indices_to_multihot.
Tensor indices_to_multihot_unfused_backward(const Stream &stream, const Tensor &grad, const Tensor &indices);

} // namespace moec
