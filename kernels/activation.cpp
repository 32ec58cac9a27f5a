// Host functions of the activations.
#include "kernels/activation.h"

#include <algorithm>
#include <climits>
#include <fmt/format.h>

#include "kernels/activation_kernels.h"
#include "kernels/host.h"
#include "kernels/rounding.h"
#include "runtime/convert.h"

namespace moec {

bool is_gated_activation(std::string_view name) {
  return name == "swiglu" || name == "swigluoai" || name == "quick_geglu" || name == "geglu";
}

Activation activation_named(std::string_view expert_activation, double activation_alpha, double activation_limit,
                            double swiglu_limit) {
  if (expert_activation == "swiglu")
    return swiglu_limit <= 0 ? Activation::swiglu() : Activation::swiglu_clamped(swiglu_limit);
  if (expert_activation == "swigluoai") return Activation::swiglu_oai(activation_alpha, activation_limit);
  if (expert_activation == "quick_geglu")
    return Activation::quick_geglu_interleaved(activation_alpha, activation_limit);
  if (expert_activation == "geglu") return Activation::geglu();
  if (expert_activation == "relu2") return Activation::relu2();
  throw UserError("Invalid expert activation", fmt::format("'{}' is none", expert_activation),
                  "use swiglu, swigluoai, quick_geglu, geglu or relu2");
}

void check_activation(const char *what, const Activation &activation) {
  check_that(activation.gate <= Gate::relu2, {what, "gate"}, "it is none of Gate's values",
             "give silu, gelu_tanh or relu2");
  check_number({what, "alpha"}, activation.alpha);
  check_number({what, "linear_offset"}, activation.linear_offset);
  check_number({what, "limit"}, activation.limit.value_or(0));
  const DType rounds_to = activation.gate_dtype.value_or(f64);
  check_that(is_float(rounds_to) && !is_fp8(rounds_to), {what, "gate_dtype"}, fmt::format("it is {}", name(rounds_to)),
             "give bf16, f16, f32 or none");
}

static constexpr Schedule kSchedule{.num_warps = 4};

Tensor sum_of_rows(const Stream &stream, Tensor x, DType dtype, int running) {
  static const auto run = jit(kernel::sum_rows, kSchedule);
  const kernel::SumRowsSpec spec{.rows = running};
  if (x.size(0) == 0) return Tensor::zeros({x.size(1)}, dtype, stream);
  for (;;) {
    const int64_t parts = cdiv(x.size(0), int64_t{kernel::kSummedRows});
    Tensor y = Tensor::empty({parts, x.size(1)}, parts == 1 ? dtype : wide_dtype(x.dtype()), stream);
    run(stream, spec, x, y);
    if (parts == 1) return y.reshape({-1});
    x = y;
  }
}

namespace {

/// Columns of a block where a program has whole rows.
int block_of_rows(int64_t width) { return block_for(width, 1024); }

/// One call of an activation: its tensors as matrices. Throws UserError where they do not fit.
struct Call {
  Call(const Stream &stream, const char *what, const Tensor &x, const Activation &activation, const Tensor &weights,
       const Tensor &bias)
      : what(what), activation(activation), shape(x.shape()), weights_shape(weights.shape()), bias_shape(bias.shape()),
        weights(weights), bias(bias) {
    check_tensor(x.defined() && x.rank() >= 1, named("x"), x, "it must have 1 dimension or more");
    const int64_t inputs = x.size(-1);
    check_tensor(!activation.gated || inputs % 2 == 0, named("x"), x,
                 activation.interleaved ? "its last dimension must be even: gate and up in turns"
                                        : "its last dimension must be even: [gate | up]");
    width = activation.gated ? inputs / 2 : inputs;
    this->x = as_matrix(stream, named("x"), x);
    rows = this->x.size(0);
    if (weights.defined()) {
      if (weights.shape() == shaped(1)) this->weights = as_matrix(stream, named("weights"), weights);
      if (this->weights.shape() != Dims{rows, 1})
        check_tensor(false, named("weights"), weights,
                     fmt::format("its shape must be [{}, 1], one for each row of x {}{}", rows, x.text(),
                                 weights.shape() == Dims{rows} ? "; reshape({-1, 1}) gives it" : ""));
      check_dtype(named("weights"), weights, {f32, bf16, f16, f64});
    }
    if (bias.defined()) check_bias(inputs);
    check_activation(what, activation);
  }

  Asked named(const char *tensor) const { return {what, tensor}; }
  kernel::ActivationSpec spec() const {
    kernel::ActivationSpec s;
    // Where rows begin inside of 32-byte sectors, programs share those at their ends: whole rows then, and more of
    // them.
    const bool cut = width * size_bytes(x.dtype()) % 32 != 0;
    s.block = block_of_rows(width);
    s.rows = std::max(1, (cut ? 2048 : 1024) / s.block);
    s.steps = static_cast<int>(std::clamp<int64_t>(cdiv(width, int64_t{s.block}), 1, cut ? INT_MAX : 2));
    s.formula = activation;
    s.weighted = weights.defined();
    s.bias = kind;
    if (kind != kernel::Bias::one_row) return s;
    // Columns of few bytes of weights each, and rows enough that the bias is a percent of them.
    s.block = block_for(width, cut ? 2048 : 128);
    s.rows = std::max(1, 1024 / s.block);
    s.steps = (cut ? 128 : 64) / s.rows;
    return s;
  }
  /// [..., size] with x's leading sizes.
  Dims shaped(int64_t size) const {
    Dims d = shape;
    d[d.rank() - 1] = size;
    return d;
  }

  const char *what;
  Activation activation;
  Dims shape, weights_shape, bias_shape;
  Tensor x, weights, bias; ///< [rows, U], [rows, 1], [1 or rows, U]
  int64_t rows = 0, width = 0;
  kernel::Bias kind = kernel::Bias::none;

private:
  void check_bias(int64_t inputs) {
    check_dtype(named("bias"), bias, {f32, bf16, f16, f64});
    const bool matrix = bias.rank() == 2 && bias.size(0) == rows; // one row, too: as in a slice of a larger batch
    if (matrix)
      check_shape(named("bias"), bias, {rows, inputs});
    else if (bias.rank() == 2)
      check_shape(named("bias"), bias, {1, inputs});
    else
      check_shape(named("bias"), bias, {inputs});
    kind = matrix ? kernel::Bias::rows : kernel::Bias::one_row;
    bias = bias.reshape({matrix ? rows : 1, inputs});
  }
};

Tensor forward(const Stream &stream, const Call &call, const Tensor &saved = {}) {
  check_dtype(call.named("x"), call.x, {f32, bf16, f16, f64});
  static const auto weighted = jit(kernel::weighted_swiglu, kSchedule);
  static const auto general = jit(kernel::activation, kSchedule);
  Tensor y = Tensor::empty({call.rows, call.width}, call.x.dtype(), stream);
  kernel::ActivationSpec spec = call.spec();
  if (call.weights.defined() && !call.bias.defined() && !saved.defined()) {
    weighted(stream, spec, call.x, call.weights, y);
  } else {
    spec.saves = saved.defined();
    general(stream, spec, call.x, or_empty(stream, call.weights, 2), or_empty(stream, call.bias, 2), y,
            or_empty(stream, saved, 2));
  }
  return y.reshape(call.shaped(call.width));
}

ActivatedAndSaved forward_saving(const Stream &stream, const Call &call) {
  double limit = call.activation.limit.value_or(0);
  check_that(limit >= 0 && limit < 432, call.named("limit"), fmt::format("it is {}", limit),
             "to save x in e4m3 it must be at least 0 and below 432");
  Tensor saved = Tensor::empty({call.rows, call.x.size(1)}, e4m3, stream);
  Tensor y = forward(stream, call, saved.bitcast(u8));
  return {y, saved.reshape(call.shape)};
}

DType gradient_dtype(const Tensor &grad, const Call &call) {
  if (call.x.dtype() == e4m3) return grad.dtype();
  return call.weights.defined() ? call.x.dtype() : kernel::promoted(grad.dtype(), call.x.dtype());
}

/// The gradients' tensors, as yet empty.
ActivationGrads like(const Stream &stream, const Call &call, const kernel::ActivationSpec &spec, DType x) {
  auto of = [&](const Tensor &t) { return t.defined() ? Tensor::empty(t.shape(), t.dtype(), stream) : Tensor(); };
  ActivationGrads g{Tensor::empty(call.x.shape(), x, stream), of(call.weights), {}};
  if (call.kind == kernel::Bias::rows)
    g.bias = kernel::own_bias_gradient(spec, x, call.bias.dtype()) ? of(call.bias) : g.x;
  return g;
}

void backward_summing_bias(const Stream &stream, const Call &call, const Tensor &grad, kernel::ActivationSpec spec,
                           ActivationGrads &out) {
  static const auto run = jit(kernel::activation_backward_bias, kSchedule);
  const int whole_rows = block_of_rows(call.width); // what activation_backward takes at a time
  spec.block = std::min(whole_rows, kernel::kWeightColumns);
  spec.rows = 8, spec.steps = 1;
  const DType wide = wide_dtype({grad.dtype(), call.x.dtype(), call.weights.dtype(), call.bias.dtype()});
  const int64_t parts = cdiv(call.rows, int64_t{kernel::kSummedRows});
  Tensor sums = Tensor::empty({parts, call.x.size(1)}, parts == 1 ? call.bias.dtype() : wide, stream), products;
  if (spec.weighted) products = Tensor::empty({cdiv(call.width, int64_t{spec.block}), call.rows}, wide, stream);
  run(stream, spec, grad, call.x, or_empty(stream, call.weights, 2), call.bias, out.x, or_empty(stream, products, 2),
      sums);
  out.bias = parts == 1 ? sums : sum_of_rows(stream, sums, call.bias.dtype());
  if (spec.weighted)
    out.weights =
        sum_of_rows(stream, products, call.weights.dtype(), whole_rows / spec.block).reshape(call.weights.shape());
}

ActivationGrads backward(const Stream &stream, const Tensor &gradient, const Call &call) {
  check_dtype(call.named("x"), call.x, {f32, bf16, f16, f64, e4m3});
  check_dtype(call.named("gradient"), gradient, {f32, bf16, f16, f64});
  const Dims shape = call.shaped(call.width);
  check_shape(call.named("gradient"), gradient, shape);
  static const auto run = jit(kernel::activation_backward, kSchedule);
  kernel::ActivationSpec spec = call.spec();
  if (call.x.dtype() == e4m3) spec.formula = kernel::of_e4m3_codes(spec.formula);
  const Tensor grad = as_matrix(stream, call.named("gradient"), gradient);
  ActivationGrads g = like(stream, call, spec, gradient_dtype(grad, call));
  if (call.kind == kernel::Bias::one_row)
    backward_summing_bias(stream, call, grad, spec, g);
  else
    run(stream, spec, grad, call.x, or_empty(stream, call.weights, 2), or_empty(stream, call.bias, 2), g.x,
        or_empty(stream, g.weights, 2), or_empty(stream, g.bias, 2));
  if (g.bias.defined()) g.bias = g.bias.reshape(call.bias_shape);
  if (g.weights.defined()) g.weights = g.weights.reshape(call.weights_shape);
  g.x = g.x.reshape(call.shape);
  return g;
}
} // namespace

Tensor activate(const Stream &stream, const Tensor &x, const Activation &activation, const Tensor &weights,
                const Tensor &bias) {
  return forward(stream, Call(stream, "activate", x, activation, weights, bias));
}

ActivatedAndSaved activate_saving_e4m3(const Stream &stream, const Tensor &x, const Activation &activation,
                                       const Tensor &weights, const Tensor &bias) {
  return forward_saving(stream, Call(stream, "activate_saving_e4m3", x, activation, weights, bias));
}

ActivationGrads activate_backward(const Stream &stream, const Tensor &grad, const Tensor &x,
                                  const Activation &activation, const Tensor &weights, const Tensor &bias) {
  return backward(stream, grad, Call(stream, "activate_backward", x, activation, weights, bias));
}

Tensor weighted_swiglu(const Stream &stream, const Tensor &x, const Tensor &weights) {
  check_rank("weighted_swiglu: x", x, 2);
  check_rank("weighted_swiglu: weights", weights, 2);
  return forward(stream, Call(stream, "weighted_swiglu", x, Activation::swiglu(), weights, {}));
}

WeightedSwigluGrads weighted_swiglu_backward(const Stream &stream, const Tensor &grad, const Tensor &x,
                                             const Tensor &weights) {
  check_rank("weighted_swiglu_backward: x", x, 2);
  check_rank("weighted_swiglu_backward: weights", weights, 2);
  ActivationGrads g =
      backward(stream, grad, Call(stream, "weighted_swiglu_backward", x, Activation::swiglu(), weights, {}));
  return {g.x, g.weights};
}

} // namespace moec
