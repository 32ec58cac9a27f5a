// Megatron's autograd entry points of the weighted activations: their shape rules over activate().
#include <fmt/format.h>

#include "kernels/activation_kernels.h"
#include "kernels/convert.h"
#include "kernels/host.h"
#include "runtime/convert.h"

namespace moec {

namespace {

/// x as [M, U]; M is the weights' if x is one row for all of them.
Tensor as_rows(const Stream &stream, const Asked &what, const Tensor &x, const Tensor &weights) {
  const Tensor rows = as_matrix(stream, what, x);
  return x.rank() == 1 ? rows.expand({weights.size(0), x.size(0)}) : rows;
}

/// [M, H] as (d0, d1, the rest) where x has more than two dimensions.
Dims result_shape(const Tensor &x, const Tensor &rows) {
  if (x.rank() <= 2) return rows.shape();
  int64_t rest = rows.size(1);
  for (int i = 2; i + 1 < x.rank(); ++i) rest *= x.size(i);
  return {x.size(0), x.size(1), rest};
}

WeightedBiasActivation forward(const Stream &stream, const char *what, const Tensor &x, const Activation &activation,
                               const Tensor &weights, const Tensor &bias, bool fp8_input_store) {
  check_that(x.defined() && x.rank() >= 1, what, "x has no dimension", "it must be [..., 2*H]");
  check_shape({what, "weights"}, weights, {-1, 1});
  WeightedBiasActivation out{{}, activation, x, weights, bias};
  Tensor rows = as_rows(stream, {what, "x"}, x, weights);
  if (fp8_input_store && x.rank() > 1) {
    ActivatedAndSaved both = activate_saving_e4m3(stream, rows, activation, weights, bias);
    out.y = both.y, out.x = both.saved.reshape(x.shape());
  } else {
    out.y = activate(stream, rows, activation, weights, bias);
    if (fp8_input_store) out.x = activate_saving_e4m3(stream, x, activation).saved;
  }
  out.y = out.y.reshape(result_shape(x, out.y));
  return out;
}

/// As a scalar tensor of this dtype holds it.
double rounded(double value, DType dtype) {
  alignas(8) std::byte element[8] = {};
  store_element(dtype, element, value);
  return load_element(dtype, element);
}

} // namespace

WeightedBiasActivation weighted_bias_swiglu_impl(const Stream &stream, const Tensor &x, const Tensor &weights,
                                                 bool fp8_input_store) {
  return forward(stream, "weighted_bias_swiglu_impl", x, Activation::swiglu(), weights, {}, fp8_input_store);
}

WeightedBiasActivation weighted_bias_geglu_impl(const Stream &stream, const Tensor &x, const Tensor &weights,
                                                bool fp8_input_store) {
  return forward(stream, "weighted_bias_geglu_impl", x, Activation::geglu(), weights, {}, fp8_input_store);
}

WeightedBiasActivation weighted_bias_quick_geglu_impl(const Stream &stream, const Tensor &x, const Tensor &bias,
                                                      const Tensor &weights, bool fp8_input_store, double linear_offset,
                                                      std::optional<double> clamp_value, double) {
  const char *what = "weighted_bias_quick_geglu_impl";
  check_tensor(x.defined() && (x.rank() == 2 || x.rank() == 3), {what, "x"}, x, "it must have 2 or 3 dimensions");
  Activation a = Activation::quick_geglu(rounded(linear_offset, x.dtype()));
  if (clamp_value) a.limit = rounded(*clamp_value, x.dtype());
  return forward(stream, what, x, a, weights, bias, fp8_input_store);
}

ActivationGrads weighted_bias_backward(const Stream &stream, const Tensor &grad, const WeightedBiasActivation &f) {
  check_shape("weighted_bias_backward: gradient", grad, f.y.shape());
  const Tensor rows = as_rows(stream, "weighted_bias_backward: x", f.x, f.weights);
  const int64_t width = f.activation.gated ? rows.size(1) / 2 : rows.size(1);
  Tensor of_rows = as_matrix(stream, "weighted_bias_backward: gradient", grad);
  if (of_rows.size(1) != width) of_rows = packed(stream, of_rows).reshape({rows.size(0), width});
  ActivationGrads g = activate_backward(stream, of_rows, rows, f.activation, f.weights, f.bias);
  g.x = f.x.rank() == 1 ? sum_of_rows(stream, g.x, g.x.dtype()) : g.x.reshape(f.x.shape());
  return g;
}

} // namespace moec
