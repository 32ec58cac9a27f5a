// The activations in the registry: one row per op, and the kernels behind them.
#include "kernels/activation_kernels.h"
#include "kernels/host.h"
#include "kernels/registration.h"

namespace moec {

namespace {

using Type = OpParameter::Type;
constexpr const char *kFloats = "f32 bf16 f16 f64";

/// What ops of activations differ in.
struct Row {
  std::string name, summary, formula, source;
  std::vector<OpParameter> parameters;
  Activation (*activation)(const OpCall &);
  std::vector<std::string> functions; ///< besides activate and activate_backward
  std::string weights = {};           ///< name of the weights' tensor
  bool gated = true;
};

Op described(const Row &row) {
  Op op{row.name,       row.summary, row.formula, row.source, "f32 (f64 for f64), one rounding",
        row.parameters, {},          {},          {},         {}};
  if (!row.weights.empty())
    op.determinism += "; gradient of the weights: 128 columns at a time as a balanced tree, their sums in 8 ascending "
                      "chains (below 1024 columns fewer), then a balanced tree";
  op.tensors.push_back({"x", row.gated ? "[..., 2*H]" : "[..., H]", kFloats, row.gated ? "gate and up" : "input"});
  if (!row.weights.empty()) op.tensors.push_back({row.weights, "[M, 1]", kFloats, "routing weights of x's M rows"});
  op.tensors.push_back({"grad_output", "[..., H]", kFloats, "gradient of y", false, true});
  op.tensors.push_back({"y", "[..., H]", "x", "activated", true, false, 2e-5, 8e-3});
  op.tensors.push_back({"grad_x", row.gated ? "[..., 2*H]" : "[..., H]", "x", "gradient of x", true, true, 2e-5, 8e-3});
  if (!row.weights.empty())
    op.tensors.push_back(
        {"grad_" + row.weights, "[M, 1]", row.weights, "gradient of " + row.weights, true, true, 2e-5, 8e-3});
  op.kernels = {row.weights.empty() ? "activation" : "weighted_swiglu", "activation_backward"};
  op.functions = row.functions;
  op.functions.insert(op.functions.end(), {"activate", "activate_backward"});
  return op;
}

Op plain_or_weighted(const Row &row) {
  Op op = described(row);
  op.run = [weights = row.weights, activation = row.activation](OpCall &c) {
    const Tensor w = weights.empty() ? Tensor() : c.in(weights);
    const Activation a = activation(c);
    if (c.wants({"y"})) c.out("y", activate(c.stream(), c.in("x"), a, w));
    if (!c.has("grad_output") || !c.wants({"grad_x", "grad_" + weights})) return;
    c.backward([&c, a, w, weights] {
      ActivationGrads g = activate_backward(c.stream(), c.in("grad_output"), c.in("x"), a, w);
      c.out("grad_x", g.x);
      if (w.defined()) c.out("grad_" + weights, g.weights);
    });
  };
  return op;
}

const OpParameter kOffset{"linear_offset", Type::floating, "0", "added to up"},
    kLimit{"limit", Type::floating, "7", "bound of the clamp"},
    kAlpha{"alpha", Type::floating, "1.702", "in the gate's sigmoid"},
    kFp8{"fp8_input_store", Type::boolean, "false", "the backward takes x from e4m3"};

std::vector<Row> rows() {
  const std::string utils = "nemo_automodel components.moe.megatron.moe_utils.",
                    experts = "nemo_automodel components.moe.experts.";
  auto swiglu = [](const OpCall &) { return Activation::swiglu(); };
  auto geglu = [](const OpCall &) { return Activation::geglu(); };
  auto quick_geglu = [](const OpCall &c) { return Activation::quick_geglu(c.floating("linear_offset")); };
  const std::string halves = "x = [a | b]; ", clamped = "a = min(gate, limit), b = clip(up, -limit, limit)",
                    inside = " where gate and up lie strictly inside of the bounds, 0 elsewhere",
                    silu = "y = silu(a) b; grad_x = [g s (1 + a (1 - s)) b | g a s] with s = sigmoid(a)",
                    gelu = "y = gelu(a) b with gelu(a) = a/2 (1 + tanh k), k = sqrt(2/pi) (a + 0.044715 a^3); grad_x = "
                           "[g gelu'(a) b | g gelu(a)]",
                    quick =
                        "y = a s (b + linear_offset) with s = sigmoid(1.702 a); grad_x = [g s (1 + 1.702 a (1 - s)) "
                        "(b + linear_offset) | g a s]",
                    scaled = "; y and grad_x times the row's w; grad_w = sum over h of y/w g",
                    scaled_by_probs = "; y and grad_x times the row's prob; grad_probs = sum over h of y/prob g";
  return {
      {"swiglu", "SwiGLU", halves + silu, utils + "swiglu, swiglu_back", {}, swiglu, {"Activation::swiglu"}},
      {"geglu",
       "GeGLU with the tanh form of gelu",
       halves + gelu,
       utils + "geglu, geglu_back",
       {},
       geglu,
       {"Activation::geglu"}},
      {"quick_geglu",
       "GeGLU with the sigmoid form of gelu",
       halves + quick,
       utils + "quick_geglu, quick_geglu_back",
       {kOffset},
       quick_geglu,
       {"Activation::quick_geglu"}},
      {"quick_gelu",
       "gelu in its sigmoid form",
       "y = x s with s = sigmoid(alpha x); grad_x = g s (1 + alpha x (1 - s))",
       utils + "quick_gelu",
       {kAlpha},
       [](const OpCall &c) { return Activation::quick_gelu(c.floating("alpha")); },
       {"Activation::quick_gelu"},
       "",
       false},
      {"weighted_swiglu",
       "SwiGLU times the routing weight",
       halves + silu + scaled,
       utils + "weighted_swiglu, weighted_swiglu_back",
       {},
       swiglu,
       {"weighted_swiglu", "weighted_swiglu_backward", "Activation::swiglu"},
       "weights"},
      {"weighted_geglu",
       "GeGLU times the routing weight",
       halves + gelu + scaled,
       utils + "weighted_geglu, weighted_geglu_back",
       {},
       geglu,
       {"Activation::geglu"},
       "weights"},
      {"weighted_quick_geglu",
       "quick GeGLU times the routing weight",
       halves + quick + scaled,
       utils + "weighted_quick_geglu, weighted_quick_geglu_back",
       {kOffset},
       quick_geglu,
       {"Activation::quick_geglu"},
       "weights"},
      {"swiglu_clamped_deepep",
       "SwiGLU of clamped inputs (DeepSeek-V4)",
       "x = [gate | up], " + clamped + "; " + silu + inside + scaled_by_probs,
       experts + "swiglu_clamped_deepep",
       {kLimit},
       [](const OpCall &c) { return Activation::swiglu_clamped(c.floating("limit")); },
       {"Activation::swiglu_clamped"},
       "probs"},
      {"swiglu_oai_deepep",
       "SwiGLU of gpt-oss, gate and up side by side",
       "x = [gate | up], " + clamped +
           " if limit > 0; y = a s (b + 1) with s = sigmoid(alpha a); grad_x = [g s (1 + alpha a (1 - s)) (b + 1) | g "
           "a s]" +
           inside + scaled_by_probs,
       experts + "swiglu_oai_deepep",
       {kAlpha, kLimit},
       [](const OpCall &c) { return Activation::swiglu_oai(c.floating("alpha"), c.floating("limit")); },
       {"Activation::swiglu_oai"},
       "probs"},
      {"quick_geglu_deepep",
       "SwiGLU of gpt-oss, gate and up in turns",
       "gate = x[0::2], up = x[1::2], " + clamped +
           "; y = a s (b + linear_offset) with s = sigmoid(alpha a); the gradients of gate and up, in turns: g s (1 + "
           "alpha a (1 - s)) (b + linear_offset), g a s" +
           inside + scaled_by_probs,
       experts + "quick_geglu_deepep",
       {kAlpha, kLimit, {"linear_offset", Type::floating, "1", "added to up"}},
       [](const OpCall &c) {
         return Activation::quick_geglu_interleaved(c.floating("alpha"), c.floating("limit"),
                                                    c.floating("linear_offset"));
       },
       {"Activation::quick_geglu_interleaved"},
       "probs"},
      {"relu2_deepep",
       "squared ReLU",
       "y = max(x, 0)^2; grad_x = 2 g max(x, 0)" + scaled_by_probs,
       experts + "relu2_deepep",
       {},
       [](const OpCall &) { return Activation::relu2(); },
       {"Activation::relu2"},
       "probs",
       false},
  };
}

/// weighted_bias_quick_geglu: the gradient of the bias is not summed over the rows.
Op biased() {
  const std::string name = "weighted_bias_quick_geglu";
  auto quick_geglu = [](const OpCall &c) { return Activation::quick_geglu(c.floating("linear_offset")); };
  Op op = described(
      {name,
       "quick GeGLU of x + bias, times the routing weight",
       "x + bias = [a | b]; y = a s (b + linear_offset) w with s = sigmoid(1.702 a); grad_x = grad_bias_unreduced = [g "
       "w "
       "s (1 + 1.702 a (1 - s)) (b + linear_offset) | g w a s]; grad_w = sum over h of y/w g",
       "nemo_automodel components.moe.megatron.moe_utils.weighted_bias_quick_geglu, weighted_bias_quick_geglu_back",
       {kOffset},
       quick_geglu,
       {"Activation::quick_geglu"},
       "weights"});
  op.kernels = {"activation", "activation_backward", "activation_backward_bias", "sum_rows"};
  op.tensors.push_back({"bias", "[2*H]", kFloats, "added to x; [2*H] or [M, 2*H]"});
  op.tensors.push_back(
      {"grad_bias_unreduced", "[M, 2*H]", "x", "gradient of x + bias: that of x", true, true, 2e-5, 8e-3});
  op.run = [quick_geglu](OpCall &c) {
    const Activation a = quick_geglu(c);
    if (c.wants({"y"})) c.out("y", activate(c.stream(), c.in("x"), a, c.in("weights"), c.in("bias")));
    if (!c.has("grad_output") || !c.wants({"grad_x", "grad_weights", "grad_bias_unreduced"})) return;
    c.backward([&c, a] {
      ActivationGrads g =
          activate_backward(c.stream(), c.in("grad_output"), c.in("x"), a, c.in("weights"), c.in("bias"));
      c.out("grad_x", g.x);
      c.out("grad_weights", g.weights);
      c.out("grad_bias_unreduced", g.x);
    });
  };
  return op;
}

/// The autograd entry points.
Op entry_point(const std::string &name, const std::string &summary, const std::string &formula,
               std::vector<OpParameter> parameters, bool bias, WeightedBiasActivation (*run)(const OpCall &)) {
  parameters.insert(parameters.begin(), kFp8);
  Op op = described({name,
                     summary,
                     formula + "; with fp8_input_store all gradients are those at x rounded to e4m3",
                     "nemo_automodel components.moe.megatron.moe_utils." + name,
                     std::move(parameters),
                     nullptr,
                     {},
                     "weights"});
  op.functions = {name, "weighted_bias_backward", "activate_saving_e4m3"};
  op.kernels.push_back("activation");
  if (bias) {
    op.tensors.push_back({"bias", "[2*H]", kFloats, "added to x after the clamp; [2*H] or [M, 2*H]", false, true});
    op.tensors.push_back({"grad_bias", "[2*H]", "bias", "gradient of bias", true, true, 2e-5, 8e-3});
    op.determinism +=
        "; of a bias of one row: 512 rows at a time in 8 ascending chains, a balanced tree of these, then the sums of "
        "all blocks likewise in 32";
    op.kernels.insert(op.kernels.end(), {"activation_backward_bias", "sum_rows"});
  }
  op.run = [run](OpCall &c) {
    WeightedBiasActivation f = run(c);
    c.out("y", f.y);
    if (!c.has("grad_output") || !c.wants({"grad_x", "grad_weights", "grad_bias"})) return;
    c.backward([&c, f] {
      ActivationGrads g = weighted_bias_backward(c.stream(), c.in("grad_output"), f);
      c.out("grad_x", g.x);
      c.out("grad_weights", g.weights);
      if (f.bias.defined()) c.out("grad_bias", g.bias);
    });
  };
  return op;
}

WeightedBiasActivation run_swiglu(const OpCall &c) {
  return weighted_bias_swiglu_impl(c.stream(), c.in("x"), c.in("weights"), c.flag("fp8_input_store"));
}
WeightedBiasActivation run_geglu(const OpCall &c) {
  return weighted_bias_geglu_impl(c.stream(), c.in("x"), c.in("weights"), c.flag("fp8_input_store"));
}
WeightedBiasActivation run_quick_geglu(const OpCall &c) {
  std::optional<double> clamp;
  if (!c.text("clamp_value").empty()) clamp = c.floating("clamp_value");
  return weighted_bias_quick_geglu_impl(c.stream(), c.in("x"), c.given("bias"), c.in("weights"),
                                        c.flag("fp8_input_store"), c.floating("linear_offset"), clamp,
                                        c.floating("alpha"));
}

void add_kernels(Library &l) {
  const std::vector<KernelSetting> sizes{{"T", "4096", "rows"},
                                         {"H", "2048", "expert width"},
                                         {"U", "4096", "width of x"},
                                         {"dtype", "bf16", "of x and y"},
                                         {"weight", "f32", "of the weights"}};
  const KernelSetting grad_dtype{"grad", "bf16", "of the gradient of y"};
  const KernelArgument x{"x", "[T, U]", "dtype"}, w{"w", "[T, 1]", "weight"}, bias{"bias", "[1, U]", "dtype"},
      y{"y", "[T, H]", "dtype"}, grad{"grad", "[T, H]", "grad"};
  const Schedule schedule{.num_warps = 4};
  add_kernel(l, kernel::weighted_swiglu, "weighted_swiglu",
             "activation(x) * weight; by default silu(gate) * up * weight", schedule,
             {{"x", "[T, 2*H]", "dtype"}, w, y}, {sizes[0], sizes[1], sizes[3], sizes[4]});
  add_kernel(l, kernel::activation, "activation",
             "activation(x), with bias, weights or the codes of e4m3, all optional", schedule,
             {x, w, bias, y, {"saved", "[T, U]", "u8"}}, sizes);
  add_kernel(l, kernel::activation_backward, "activation_backward", "gradients of x and the weights", schedule,
             {grad,
              x,
              w,
              bias,
              {"grad_x", "[T, U]", "dtype"},
              {"grad_w", "[T, 1]", "weight"},
              {"grad_bias", "[T, U]", "dtype"}},
             {sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], grad_dtype});
  add_kernel(
      l, kernel::activation_backward_bias, "activation_backward_bias",
      "gradients of x, and of the weights and the bias in parts", schedule,
      {grad, x, w, bias, {"grad_x", "[T, U]", "dtype"}, {"products", "[P, T]", "weight"}, {"sums", "[8, U]", "weight"}},
      {sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], grad_dtype, {"P", "16", "blocks of columns"}});
  add_kernel(l, kernel::sum_rows, "sum_rows", "sums of 512 rows each", schedule,
             {{"x", "[T, U]", "dtype"}, {"y", "[8, U]", "dtype"}}, {sizes[0], sizes[2], sizes[3]});
}

} // namespace

void register_activation(Library &l) {
  for (const Row &row : rows()) l.ops.push_back(plain_or_weighted(row));
  l.ops.push_back(biased());
  l.ops.push_back(entry_point("weighted_bias_swiglu_impl", "weighted SwiGLU as autograd calls it (there is no bias)",
                              "y and gradients of weighted_swiglu(x, weights)", {}, false, run_swiglu));
  l.ops.push_back(entry_point("weighted_bias_geglu_impl", "weighted GeGLU as autograd calls it (there is no bias)",
                              "y and gradients of weighted_geglu(x, weights)", {}, false, run_geglu));
  l.ops.push_back(entry_point(
      "weighted_bias_quick_geglu_impl", "weighted quick GeGLU as autograd calls it",
      "[a | b] = x clamped to clamp_value, plus bias; y as weighted_quick_geglu; grad_x as there, where x lies "
      "strictly inside of the bounds, 0 elsewhere; grad_bias = the same without regard to the bounds, summed "
      "over the rows if bias is one",
      {kOffset,
       {"clamp_value", Type::floating, "", "bound of the clamp; none: no clamp"},
       {"alpha", Type::floating, "1.702", "ignored, as in the source"}},
      true, run_quick_geglu));
  add_kernels(l);
  l.add_specializations({
      {"weighted_swiglu", "block=1024,steps=2,H=2048", "benchmark"},
      {"weighted_swiglu", "block=1024,H=768", "Qwen3-30B-A3B"},
      {"weighted_swiglu", "block=1024,steps=2,H=2880,dtype=f16", "gpt-oss-120b"},
      {"weighted_swiglu",
       "block=1024,steps=2,H=2880,gate=0,alpha=1.702,interleaved=true,clamped=true,limit=7,linear_offset=1",
       "gpt-oss-120b"},
      {"weighted_swiglu", "block=32,rows=32,H=24,dtype=f32,T=21", "recorded case"},
      {"weighted_swiglu", "block=512,rows=2,H=512,dtype=f64,weight=f64", "gradient checks"},
      {"weighted_swiglu", "block=1024,rows=2,steps=3,H=2881", "odd width"},
      {"weighted_swiglu", "block=1024,H=768,gate_dtype=bf16", "Qwen3-30B-A3B, the block"},
      {"activation", "block=128,rows=8,steps=8,bias=1,H=2880,U=5760", "gpt-oss-120b, one bias"},
      {"activation", "block=2048,steps=128,gate=1,weighted=false,bias=1,H=1411,U=2822", "one bias, odd width"},
      {"activation", "block=128,rows=8,steps=8,bias=1,H=2880,U=5760,dtype=f64,weight=f64", "one bias, f64"},
      {"activation", "saves=true,clamped=true,limit=7,H=2880,U=5760", "gpt-oss-120b"},
      {"activation", "gate=2,gated=false,H=4864,U=4864,dtype=f64,weight=f64", "gradient checks"},
      {"activation_backward", "block=1024,H=768,U=1536", "Qwen3-30B-A3B"},
      {"activation_backward", "block=1024,H=2048,dtype=f32,grad=f32", "f32"},
      {"activation_backward", "block=1024,rows=2,H=2881,U=5762", "odd width"},
      {"activation_backward", "block=1024,H=768,U=1536,gate_dtype=bf16,grad=f32", "Qwen3-30B-A3B, the block"},
      {"activation_backward",
       "block=1024,H=2880,U=5760,alpha=1.702,interleaved=true,clamped=true,limit=7,linear_offset=1", "gpt-oss-120b"},
      {"activation_backward", "block=1024,H=2048,gate=1,dtype=f64,weight=f64,grad=f64", "gradient checks"},
      {"activation_backward_bias", "block=128,rows=8,bias=1,H=2880,U=5760,P=23", "gpt-oss-120b"},
      {"activation_backward_bias", "block=128,rows=8,gate=1,bias=1,H=2880,U=5760,P=23,dtype=f64,weight=f64,grad=f64",
       "gradient checks"},
      {"sum_rows", "U=5760,dtype=f32", "gpt-oss-120b"},
      {"sum_rows", "U=35,dtype=f64", "gradient checks"},
  });
}

} // namespace moec
