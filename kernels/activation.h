// Activations between the products of an experts layer: one description, from which all kernels and the epilogues of
// products are made (kernels/activation_formula.h). See moe.h for what holds for all functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "runtime/device.h"
#include "runtime/tensor.h"

namespace moec {

/// What is applied to the gate: x * sigmoid(alpha x); x * sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3)), which is
/// 0.5 x (1 + tanh(..)); max(x, 0)^2.
enum class Gate : uint8_t { silu, gelu_tanh, relu2 };

/// One activation. Of a row x [U]: gate = first half of x, up = second half (interleaved: even and odd elements; not
/// gated: gate = x, no up). y = f(min(gate, limit) + bias) * (clip(up, -limit, limit) + bias + linear_offset), H = U/2
/// elements (not gated: H = U). Gradients pass a clamp strictly inside of its bounds only. NaN stays NaN.
struct Activation {
  Gate gate = Gate::silu;
  double alpha = 1; ///< of silu
  bool gated = true;
  bool interleaved = false;
  std::optional<double> limit = std::nullopt;
  double linear_offset = 0;                       ///< added to up
  std::optional<DType> gate_dtype = std::nullopt; ///< the gate's value is rounded to it before up multiplies it

  static Activation swiglu() { return {}; }
  static Activation geglu() { return {.gate = Gate::gelu_tanh}; }
  static Activation quick_geglu(double linear_offset = 0) { return {.alpha = 1.702, .linear_offset = linear_offset}; }
  static Activation quick_gelu(double alpha = 1.702) { return {.alpha = alpha, .gated = false}; }
  static Activation relu2() { return {.gate = Gate::relu2, .gated = false}; }
  /// The limit always clamps. Source: nemo_automodel components.moe.experts.swiglu_clamped_deepep.
  static Activation swiglu_clamped(double limit) { return {.limit = limit}; }
  /// A limit of 0 or less does not clamp. Source: experts.swiglu_oai_deepep.
  static Activation swiglu_oai(double alpha = 1.702, double limit = 7) {
    return {.alpha = alpha, .limit = limit <= 0 ? std::nullopt : std::optional(limit), .linear_offset = 1};
  }
  /// Interleaved; the limit always clamps. Source: experts.quick_geglu_deepep.
  static Activation quick_geglu_interleaved(double alpha = 1.702, double limit = 7, double linear_offset = 1) {
    return {.alpha = alpha, .interleaved = true, .limit = limit, .linear_offset = linear_offset};
  }

  bool operator==(const Activation &) const = default;
  /// U, the width of x, for H elements of y.
  int64_t input_width(int64_t width) const { return gated ? 2 * width : width; }
};

/// True for swiglu, swigluoai, quick_geglu and geglu: the first product has two columns per expert unit. False for
/// anything else. Source: nemo_automodel components.moe.experts.is_gated_activation.
bool is_gated_activation(std::string_view name);
/// The activation that a layer's configuration names: swiglu (clamped if swiglu_limit > 0), swigluoai, quick_geglu
/// (interleaved, linear offset 1), geglu, relu2. UserError "Invalid expert activation" for others. Source:
/// experts.get_expert_activation_for_deepep.
Activation activation_named(std::string_view expert_activation, double activation_alpha = 1.702,
                            double activation_limit = 7, double swiglu_limit = 0);

/// y = activation(x) * weights, [..., H], dtype of x. x [..., U] of f32, bf16, f16 or f64; weights [M, 1] or [..., 1]
/// with M = the product of x's leading sizes, any float dtype; bias [U], [1, U] or [M, U], added after the clamp. f32
/// inside (f64 if any tensor is), one rounding. UserError for an odd U of a gated activation and shapes and dtypes that
/// do not fit. Sources: moe_utils.swiglu, geglu, quick_geglu, quick_gelu, weighted_*; experts.*_deepep.
Tensor activate(const Stream &stream, const Tensor &x, const Activation &activation, const Tensor &weights = {},
                const Tensor &bias = {});
struct ActivatedAndSaved {
  Tensor y;     ///< as activate
  Tensor saved; ///< e4m3, shape of x: what the backward takes for x
};
/// The same, and x for the backward in one byte per element: e4m3 of the clamped x, saturating. An x on or beyond a
/// bound of the clamp is saved as the next code beyond the rounded bound, which the backward takes for the bound.
/// UserError for a limit outside of [0, 432). Source: fp8_input_store of
/// moe_utils.weighted_bias_swiglu_impl and its like.
ActivatedAndSaved activate_saving_e4m3(const Stream &stream, const Tensor &x, const Activation &activation,
                                       const Tensor &weights = {}, const Tensor &bias = {});
struct ActivationGrads {
  Tensor x;       ///< [..., U], dtype of x; of grad for e4m3
  Tensor weights; ///< shape and dtype of weights: sum over H of activation(x) * grad, columns in blocks, then a
                  ///< balanced tree; undefined without weights
  Tensor bias; ///< shape and dtype of bias: the gradient of x before the clamp's, summed over the rows in f32 if bias
               ///< is one row; of a bias [M, U] the tensor x itself where the two are the same (no clamp, one dtype);
               ///< undefined without bias
};
/// Gradients of activate for grad [..., H]. x as given to activate, or what activate_saving_e4m3 saved: then all
/// gradients are those at the rounded x. Without weights the gradient of x has the promoted dtype of grad and x.
/// Sources: moe_utils.swiglu_back, geglu_back, quick_geglu_back, weighted_*_back; autograd of experts.*_deepep.
ActivationGrads activate_backward(const Stream &stream, const Tensor &grad, const Tensor &x,
                                  const Activation &activation, const Tensor &weights = {}, const Tensor &bias = {});

/// A forward of Megatron's autograd entry points, with what its backward needs.
struct WeightedBiasActivation {
  Tensor y;
  Activation activation;
  Tensor x, weights, bias; ///< x as given, or in e4m3 with fp8_input_store (y is that of the given x;
                           ///< a clamp must then lie in [0, 432))
};
/// activate(x) * weights. x of rank 1 [2H]: y [M, H] by broadcasting over weights [M, 1]; rank 2: y [M, H]; higher
/// ranks (d0, d1, ..., 2H) are flattened to M rows: y (d0, d1, the rest). No bias, whatever the names say. Sources:
/// moe_utils.weighted_bias_swiglu_impl, weighted_bias_geglu_impl.
WeightedBiasActivation weighted_bias_swiglu_impl(const Stream &stream, const Tensor &x, const Tensor &weights,
                                                 bool fp8_input_store = false);
WeightedBiasActivation weighted_bias_geglu_impl(const Stream &stream, const Tensor &x, const Tensor &weights,
                                                bool fp8_input_store = false);
/// quick_geglu of x clamped to clamp_value, plus bias ([2H] or [M, 2H], or none), for x of rank 2 or 3. linear_offset
/// and clamp_value are rounded to x's dtype first. `alpha` is ignored, as in the source: it is 1.702. Source:
/// moe_utils.weighted_bias_quick_geglu_impl.
WeightedBiasActivation weighted_bias_quick_geglu_impl(const Stream &stream, const Tensor &x, const Tensor &bias,
                                                      const Tensor &weights, bool fp8_input_store = false,
                                                      double linear_offset = 0,
                                                      std::optional<double> clamp_value = std::nullopt,
                                                      double alpha = 1.702);
/// Gradients of the three for grad of y's shape: x's as activate_backward's in the shape of x (rank 1: summed over the
/// rows), weights', bias'. Source: autograd of the three.
ActivationGrads weighted_bias_backward(const Stream &stream, const Tensor &grad, const WeightedBiasActivation &forward);

/// y = silu(gate) * up * w with x = [gate | up] [M, 2H], weights [M, 1]; any float dtypes; f32 inside, one rounding. y
/// [M, H], dtype of x. sigmoid is approximate in f32 (tile.sigmoid's bound). Source: moe_utils.weighted_swiglu.
Tensor weighted_swiglu(const Stream &stream, const Tensor &x, const Tensor &weights);
struct WeightedSwigluGrads {
  Tensor x;       ///< [M, 2H], dtype of x
  Tensor weights; ///< [M, 1], dtype of weights; summed over H in blocks of columns, a balanced tree at the end
};
/// grad [M, H]: of y; x and weights as for weighted_swiglu. f32 inside, one rounding per output. Source:
/// moe_utils.weighted_swiglu_back.
WeightedSwigluGrads weighted_swiglu_backward(const Stream &stream, const Tensor &grad, const Tensor &x,
                                             const Tensor &weights);

} // namespace moec
