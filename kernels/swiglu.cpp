// Weighted SwiGLU, forward and backward.
#include <algorithm>
#include <fmt/format.h>
#include <string>

#include "kernels/host.h"
#include "kernels/moe.h"
#include "kernels/registration.h"

namespace moec {

namespace kernel {
namespace {

struct GluSpec {
  int block = 1024; ///< columns per program
  int rows = 1;     ///< rows per program
  static void fields(auto &s, auto &&f) { f("block", s.block), f("rows", s.rows); }
};

/// y[t, c] = silu(gate[t, c]) * up[t, c] * w[t]; x = [gate | up]: [T, 2H], w: [T, 1], y: [T, H].
void weighted_swiglu(const GluSpec &s, View x, View w, View y) {
  arg_names({"x", "w", "y"});
  auto [T, H] = y.sizes<2>();
  x.expect({T, 2 * H});
  w.expect({T, 1});
  grid(cdiv(T, s.rows), cdiv(H, s.block));
  auto [gate, up] = x.split_cols(H);
  Tile t = expand_dims(program_id(0) * s.rows + arange(s.rows), 1), c = program_id(1) * s.block + arange(s.block);
  DType wide = x.dtype() == f64 || w.dtype() == f64 ? f64 : f32;
  Tile g = cast(load(gate(t, c)), wide), u = cast(load(up(t, c)), wide);
  store(y(t, c), cast(g * sigmoid(g) * u * cast(load(w(t, 0)), wide), y.dtype()));
}

/// With s = sigmoid(a): da = g w s (1 + a (1 - s)) b, db = g w a s, dw = sum over c of g a s b. One program has whole
/// rows.
void weighted_swiglu_backward(const GluSpec &s, View grad, View x, View w, View grad_x, View grad_w) {
  arg_names({"grad", "x", "w", "grad_x", "grad_w"});
  auto [T, H] = grad.sizes<2>();
  for (const View &v : {x, grad_x}) v.expect({T, 2 * H});
  for (const View &v : {w, grad_w}) v.expect({T, 1});
  grid(cdiv(T, s.rows));
  auto [gate, up] = x.split_cols(H);
  auto [grad_gate, grad_up] = grad_x.split_cols(H);
  DType wide = x.dtype() == f64 || w.dtype() == f64 ? f64 : f32;
  Tile row = program_id(0) * s.rows + arange(s.rows), t = expand_dims(row, 1);
  Tile weight = cast(load(w(t, 0)), wide), acc = zeros({s.rows, s.block}, wide);
  for (Int begin : range(0, H, s.block)) {
    Tile c = begin + arange(s.block);
    Tile a = cast(load(gate(t, c)), wide), b = cast(load(up(t, c)), wide), g = cast(load(grad(t, c)), wide);
    Tile sig = sigmoid(a), silu = a * sig, gw = g * weight;
    store(grad_gate(t, c), cast(gw * sig * (1.0 + a * (1.0 - sig)) * b, grad_x.dtype()));
    store(grad_up(t, c), cast(gw * silu, grad_x.dtype()));
    acc += silu * b * g;
  }
  store(grad_w(row, 0), cast(sum(acc, 1), grad_w.dtype()));
}

} // namespace
} // namespace kernel

namespace {
constexpr Schedule kSchedule{.num_warps = 4};

kernel::GluSpec glu_spec(int64_t inter) {
  kernel::GluSpec s;
  s.block = block_for(inter, 1024);
  s.rows = std::max(1, 1024 / s.block);
  return s;
}
int64_t check_glu(const char *what, const Tensor &x, const Tensor &weights) {
  const std::string name_x = std::string(what) + ": x", name_weights = std::string(what) + ": weights";
  check_rank(name_x.c_str(), x, 2);
  check_dtype(name_x.c_str(), x, {f32, bf16, f16, f64});
  check_that(x.size(1) % 2 == 0, name_x.c_str(), fmt::format("it is {}", x.text()),
             "its last dimension must be even: [gate | up]");
  check_shape(name_weights.c_str(), weights, {x.size(0), 1});
  check_dtype(name_weights.c_str(), weights, {f32, bf16, f16, f64});
  return x.size(1) / 2;
}
} // namespace

Tensor weighted_swiglu(const Stream &stream, const Tensor &x, const Tensor &weights) {
  int64_t inter = check_glu("weighted_swiglu", x, weights);
  static const auto run = jit(kernel::weighted_swiglu, kSchedule);
  Tensor y = Tensor::empty({x.size(0), inter}, x.dtype(), stream.device());
  run(stream, glu_spec(inter), x, weights, y);
  return y;
}

WeightedSwigluGrads weighted_swiglu_backward(const Stream &stream, const Tensor &grad, const Tensor &x,
                                             const Tensor &weights) {
  int64_t inter = check_glu("weighted_swiglu_backward", x, weights);
  check_shape("weighted_swiglu_backward: gradient", grad, {x.size(0), inter});
  static const auto run = jit(kernel::weighted_swiglu_backward, kSchedule);
  WeightedSwigluGrads out{Tensor::empty(x.shape(), x.dtype(), stream.device()),
                          Tensor::empty(weights.shape(), weights.dtype(), stream.device())};
  run(stream, glu_spec(inter), grad, x, weights, out.x, out.weights);
  return out;
}

static void run_weighted_swiglu(OpCall &c) {
  c.out("y", weighted_swiglu(c.stream(), c.in("x"), c.in("weights")));
  if (!c.has("grad_output") || !c.wants({"grad_x", "grad_weights"})) return;
  WeightedSwigluGrads g = weighted_swiglu_backward(c.stream(), c.in("grad_output"), c.in("x"), c.in("weights"));
  c.out("grad_x", g.x);
  c.out("grad_weights", g.weights);
}

void register_swiglu(Library &l) {
  const std::vector<KernelSetting> sizes{{"T", "4096", "rows"},
                                         {"H", "2048", "expert width"},
                                         {"dtype", "bf16", "of x and y"},
                                         {"weight", "f32", "of the weights"}};
  const KernelArgument x{"x", "[T, 2*H]", "dtype"}, w{"w", "[T, 1]", "weight"};
  add_kernel(l, kernel::weighted_swiglu, "weighted_swiglu", "silu(gate) * up * weight", kSchedule,
             {x, w, {"y", "[T, H]", "dtype"}}, sizes);
  add_kernel(l, kernel::weighted_swiglu_backward, "weighted_swiglu_backward", "its gradients", kSchedule,
             {{"grad", "[T, H]", "dtype"}, x, w, {"grad_x", "[T, 2*H]", "dtype"}, {"grad_w", "[T, 1]", "weight"}},
             sizes);
  l.add_specializations({
      {"weighted_swiglu", "block=1024,H=2048", "benchmark"},
      {"weighted_swiglu", "block=1024,H=768", "Qwen3-30B-A3B"},
      {"weighted_swiglu", "block=1024,H=2880,dtype=f16", "gpt-oss-120b"},
      {"weighted_swiglu", "block=32,rows=32,H=24,dtype=f32,T=21", "recorded case"},
      {"weighted_swiglu", "block=512,rows=2,H=512,dtype=f64,weight=f64", "gradient checks"},
      {"weighted_swiglu_backward", "block=1024,H=768", "Qwen3-30B-A3B"},
      {"weighted_swiglu_backward", "block=1024,H=2048,dtype=f32", "f32"},
  });
  l.ops.push_back({"weighted_swiglu",
                   "SwiGLU times the routing weight",
                   "x = [a | b]; y = silu(a) b w; grad_x = [g w s (1 + a (1-s)) b | g w a s] with s = sigmoid(a); "
                   "grad_w[m] = sum over h of silu(a) b g",
                   "nemo_automodel components.moe.megatron.moe_utils.weighted_swiglu, weighted_swiglu_back",
                   "f32 (f64 for f64), one rounding; grad_w: columns in blocks, then a balanced tree; sigmoid is "
                   "approximate in f32",
                   {},
                   {{"x", "[M, 2*H]", "f32 bf16 f16 f64", "gate and up, side by side"},
                    {"weights", "[M, 1]", "f32 bf16 f16 f64", "routing weights"},
                    {"grad_output", "[M, H]", "x", "gradient of y", false, true},
                    {"y", "[M, H]", "x", "activated", true, false, 2e-5, 8e-3},
                    {"grad_x", "[M, 2*H]", "x", "gradient of x", true, true, 2e-5, 8e-3},
                    {"grad_weights", "[M, 1]", "weights", "gradient of weights", true, true, 2e-5, 8e-3}},
                   {"weighted_swiglu", "weighted_swiglu_backward"},
                   run_weighted_swiglu});
}

} // namespace moec
