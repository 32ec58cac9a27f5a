// Gradients of a selection of experts by scores, and of the gate.
#include <algorithm>

#include "kernels/bias.h"
#include "kernels/convert.h"
#include "kernels/gate.h"
#include "kernels/gate_kernels.h"
#include "kernels/host.h"
#include "kernels/matmul.h"
#include "kernels/registration.h"

namespace moec {

namespace kernel {
namespace {

struct SelectBackwardSpec {
  int topk = 8, experts = 128;
  ScoreFunction score = ScoreFunction::softmax;
  bool before_topk = false, normalized = false;
  bool scored = false; ///< the scores have a gradient of their own
  double scale = 1;
  int rows = 1; ///< tokens per program
  static void fields(auto &s, auto &&f) {
    f("topk", s.topk), f("experts", s.experts), f("score", s.score), f("before_topk", s.before_topk),
        f("normalized", s.normalized), f("scored", s.scored), f("scale", s.scale), f("rows", s.rows);
  }
};

/// Gradient of v / (sum of v + tiny) from that of the quotient; v is 0 where it has no part.
Tile normalized_backward(const Tile &g, const Tile &v) {
  Tile divisor = row_sum(v) + kTiny;
  return (g - row_sum(g * (v / divisor))) / divisor;
}

/// Gradients of the logits from those of the weights and, if there are some, of the scores.
void select_backward(const SelectBackwardSpec &s, View grad, View logits, View indices, View grad_scores, View out) {
  arg_names({"grad_weights", "logits", "indices", "grad_scores", "grad_logits"});
  Int T = logits.size(0);
  for (const View &v : {logits, out}) v.expect({T, s.experts});
  for (const View &v : {grad, indices}) v.expect({T, s.topk});
  if (s.scored) grad_scores.expect({T, s.experts});
  grid(cdiv(T, s.rows));
  Tile t = expand_dims(program_id(0) * s.rows + arange(s.rows), 1);
  auto [e, live] = lanes(s.experts);
  DType wide = wide_dtype(logits.dtype());
  Tile x = cast(load(logits(t, e)), wide), g = zeros({s.rows, next_pow2(s.experts)}, wide), chosen = g > 0;
  for (Int k : range(0, s.topk)) {
    Tile id = load(indices(t, k)), hit = cast(e, id.dtype()) == id;
    g = where(hit, cast(load(grad(t, k)), wide) * s.scale, g);
    chosen = chosen | hit;
  }
  ScoreRow score(s.score, s.before_topk, logits.dtype(), x, live);
  Tile v = where(live, score(x), 0), of_scores = zeros({s.rows, next_pow2(s.experts)}, wide);
  if (s.scored) {
    of_scores = where(live, cast(load(grad_scores(t, e)), wide), 0);
    if (s.normalized) of_scores = normalized_backward(of_scores, v);
  }
  const bool after = s.score == ScoreFunction::softmax && !s.before_topk;
  Tile w = after ? softmax_of(x, chosen) : where(chosen, v, 0);
  if (s.normalized) g = where(chosen, normalized_backward(g, w), 0);
  Tile result = after ? of_scores + w * (g - row_sum(g * w)) : score.backward(where(live, of_scores + g, 0), x, live);
  store(out(t, e), cast(result, out.dtype()));
}

} // namespace
} // namespace kernel

static constexpr Schedule kSchedule{.num_warps = 1};

Tensor select_backward(const Stream &stream, const std::string &what, const Selection &selection, const Tensor &grad,
                       const Tensor &logits, const Tensor &indices, const Tensor &grad_scores) {
  check_rank({what, "logits"}, logits, 2);
  check_dtype({what, "logits"}, logits, {f32, bf16, f16, f64});
  check_experts(what, logits.size(1));
  check_shape({what, "indices"}, indices, {logits.size(0), -1});
  check_dtype({what, "indices"}, indices, {i32, i64});
  check_shape({what, "gradient"}, grad, {logits.size(0), indices.size(1)});
  check_dtype({what, "gradient"}, grad, {f32, bf16, f16, f64});
  static const auto run = jit(kernel::select_backward, kSchedule);
  const int experts = static_cast<int>(logits.size(1));
  kernel::SelectBackwardSpec spec{static_cast<int>(indices.size(1)),
                                  experts,
                                  selection.score,
                                  selection.before_topk,
                                  selection.normalized,
                                  grad_scores.defined(),
                                  selection.scale,
                                  rows_for(next_pow2(experts), indices.size(1) * size_bytes(grad.dtype()))};
  Tensor out = Tensor::empty(logits.shape(), logits.dtype(), stream);
  run(stream, spec, grad, logits, indices, or_empty(stream, grad_scores, 2), out);
  return out;
}

GateGrads gate_backward(const Stream &stream, const Tensor &grad, const Tensor &x, const GateParameters &parameters,
                        const GateOutput &saved, const GateOptions &options, const Tensor &token_mask,
                        const AuxLossAutoScaler &scaler) {
  check_gate(x, parameters, options);
  const int64_t tokens = x.size(0), experts = parameters.weight.size(0);
  check_shape("gate_backward: logits", saved.logits, {tokens, experts});
  check_shape("gate_backward: indices", saved.indices, {tokens, options.topk});
  Tensor grad_scores;
  if (saved.aux_loss.defined()) check_shape("gate_backward: expert_load", saved.expert_load, {experts});
  if (saved.aux_loss.defined())
    grad_scores = aux_loss_backward(stream, scaler.backward(stream, grad, saved.aux_loss).aux_loss, saved.expert_load,
                                    saved.valid, tokens, options.topk, token_mask, options.aux_loss_coeff);
  Tensor grad_logits = select_backward(
      stream, "gate_backward", {options.score, options.softmax_before_topk, options.normalizes(), options.route_scale},
      grad, saved.logits, saved.indices, grad_scores);
  GateGrads out{as_dtype(stream, matmul(stream, grad_logits, parameters.weight), x.dtype()),
                matmul(stream, grad_logits, in_precision(stream, x, options),
                       {.transpose_a = true, .dtype = parameters.weight.dtype()}),
                {}};
  if (parameters.bias.defined())
    out.bias = bias_grad(stream, grad_logits, RowsOfExperts::one(), {}, {.dtype = parameters.bias.dtype()})
                   .reshape(parameters.bias.shape());
  return out;
}

void register_gate_backward(Library &l) {
  add_kernel(l, kernel::select_backward, "select_backward", "gradient of logits from that of selected weights",
             kSchedule,
             {{"grad_weights", "[T, topk]", "dtype"},
              {"logits", "[T, experts]", "dtype"},
              {"indices", "[T, topk]", "i64"},
              {"grad_scores", "[T, experts]", "wide"},
              {"grad_logits", "[T, experts]", "dtype"}},
             {{"T", "4096", "tokens"}, {"dtype", "bf16", "of the logits"}, {"wide", "f32", "of the scores' gradient"}});
  l.add_specializations({
      {"select_backward", "topk=8,experts=128,before_topk=true,normalized=true,scored=true,rows=2", "Qwen3-30B-A3B"},
      {"select_backward", "topk=8,experts=256,score=1,normalized=true,scale=2.5,rows=2", "DeepSeek-V3"},
      {"select_backward", "topk=4,experts=128,rows=4", "gpt-oss-120b"},
      {"select_backward", "topk=3,experts=10,rows=8,T=9,score=4,normalized=true,dtype=f64,wide=f64", "f64"},
  });
}

} // namespace moec
