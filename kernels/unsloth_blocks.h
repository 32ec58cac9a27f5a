// MoE blocks of whole models, router included. See moe.h for what holds for all functions.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/experts.h"
#include "kernels/gate.h"
#include "runtime/device.h"
#include "runtime/tensor.h"

namespace moec {

/// What the blocks have in common.
class MoeBlock {
public:
  struct Result {
    Tensor y; ///< shape and dtype of x
    ExpertsKept kept;
  };
  const MoeConfig &config() const { return config_; }
  /// As ExpertsLayer::describe().
  std::string describe(int64_t tokens) const;

protected:
  /// `bytes`: of all parameters.
  MoeBlock(const char *name, MoeConfig config, int64_t bytes)
      : config_(std::move(config)), name_(name), bytes_(bytes) {}
  ~MoeBlock() = default;
  /// x [T, D] or [B, S, D] as [T, D]. Throws UserError for another shape or dtype; `what`: "x".
  Tensor tokens_of(const Stream &stream, const char *what, const Tensor &x) const;
  /// The gradient of y as [T, D]. Throws UserError if it does not fit what was kept.
  Tensor gradient_of(const Stream &stream, const Tensor &grad, const ExpertsKept &kept) const;

  MoeConfig config_;

private:
  const char *name_;
  int64_t bytes_;
};

/// The MoE block of Qwen3. For each token t: logits = x[t] gate^T, rounded to x's dtype; softmax over the experts in
/// f32, the K greatest, divided by their sum if norm_topk_prob, rounded: w; for each chosen e: o = (silu(g) u)
/// down[e]^T with [g | u] = x[t] gate_up[e]^T; y[t] = sum over slots ascending of o w. Roundings as in ExpertsLayer.
/// Nothing waits for the device. Source: unsloth Qwen3MoeGroupedGEMMBlock
/// (kernels.moe.grouped_gemm.reference.layers.qwen3_moe).
class Qwen3MoeBlock : public MoeBlock {
public:
  struct Parameters {
    Tensor gate;         ///< [E, D]
    Tensor gate_up_proj; ///< [E, 2I, D], rows of gate first
    Tensor down_proj;    ///< [E, D, I]
  };
  /// All parameters have one dtype: f32, bf16, f16 or f64; they are not copied. 1 <= topk <= E. Throws UserError for
  /// others.
  Qwen3MoeBlock(Parameters parameters, int topk, bool norm_topk_prob = true);

  /// Steps between, for those who look inside.
  struct Steps {
    GateOutput gate;      ///< logits [T, E], weights [T, K], indices [T, K]
    ExpertsSteps experts; ///< gate_up: first product, activated: intermediate, rows: second product, in expert order
  };
  /// x [T, D] or [B, S, D] in the parameters' dtype.
  Result forward(const Stream &stream, const Tensor &x, Steps *steps = nullptr) const;
  struct Grads {
    Tensor x;
    Parameters parameters;
  };
  /// For the gradient of y, in y's shape. The router is computed again. The gradients of x through experts and router
  /// are each rounded, then added.
  Grads backward(const Stream &stream, const Tensor &grad, const ExpertsKept &kept) const;

private:
  Parameters p_;
  GateOptions options_;
};

/// The MoE block of Llama-4: one expert per token and a shared one. For each token t: logits = x[t] router^T, rounded
/// to x's dtype; e = the expert of the greatest, w = sigmoid of it in f32, rounded; o = (silu(g) u) down[e]^T with
/// [g | u] = (w x[t]) gate_up[e]^T; y[t] = o + (silu(g') u') shared_down^T, [g' | u'] = x[t] shared_gate_up^T. w x[t],
/// activations, o and the shared expert's output are rounded. Nothing waits for the device. Source: unsloth
/// Llama4GroupedGemmTextMoe (kernels.moe.grouped_gemm.reference.layers.llama4_moe).
class Llama4MoeBlock : public MoeBlock {
public:
  struct Parameters {
    Tensor router;         ///< [E, D]
    Tensor gate_up_proj;   ///< [E, 2I, D], rows of gate first
    Tensor down_proj;      ///< [E, D, I]
    Tensor shared_gate_up; ///< [2H, D]: of the shared expert
    Tensor shared_down;    ///< [D, H]
  };
  /// All parameters have one dtype: f32, bf16, f16 or f64; they are not copied. Throws UserError for others, and for
  /// topk other than 1: the weighted inputs of several experts are no one token.
  explicit Llama4MoeBlock(Parameters parameters, int topk = 1);

  /// x [T, D] or [B, S, D] in the parameters' dtype.
  Result forward(const Stream &stream, const Tensor &x) const;
  struct Grads {
    Tensor x;
    Parameters parameters;
  };
  /// For the gradient of y, in y's shape. Router and shared expert are computed again. The gradients of x through
  /// experts, router and shared expert are each rounded, then added in this order.
  Grads backward(const Stream &stream, const Tensor &grad, const ExpertsKept &kept) const;

private:
  Parameters p_;
};

} // namespace moec
