// Top-k routing weights from logits: softmax or sigmoid, before or after the selection.
#include <algorithm>
#include <cmath>

#include "kernels/gate_kernels.h"
#include "kernels/host.h"
#include "kernels/moe.h"
#include "kernels/registration.h"
#include "kernels/rounding.h"

namespace moec {

namespace kernel {
namespace {

struct TopKSpec {
  int topk = 8, experts = 128;
  int rows = 1; ///< tokens per program
  bool sigmoid = false, pre_act = true, renormalize = false;
  static void fields(auto &s, auto &&f) {
    f("topk", s.topk), f("experts", s.experts), f("rows", s.rows), f("sigmoid", s.sigmoid), f("pre_act", s.pre_act),
        f("renormalize", s.renormalize);
  }
};

/// Softmax or sigmoid of x [rows, n] along the last axis; lanes that are not live have no part in it.
Tile activate(const TopKSpec &s, const Tile &x, const Tile &live) {
  if (s.sigmoid) return 1.0 / (1.0 + exp(-x));
  return softmax_of(x, live);
}

void calculate_topk(const TopKSpec &s, View logits, View weights, View ids) {
  arg_names({"logits", "topk_weights", "topk_ids"});
  Int T = logits.size(0);
  logits.expect({T, s.experts});
  for (const View &v : {weights, ids}) v.expect({T, s.topk});
  grid(cdiv(T, s.rows));
  Tile t = expand_dims(program_id(0) * s.rows + arange(s.rows), 1);
  auto [e, real] = lanes(s.experts);
  auto [k, live] = lanes(s.topk);
  DType wide = wide_dtype(logits.dtype());
  auto stored = [&](const Tile &v) { return rounded(v, logits.dtype()); };
  Tile x = cast(load(logits(t, e)), wide);
  // Scores are rounded to the logits' dtype before they are compared.
  Tile scores = s.pre_act ? stored(activate(s, x, real)) : x;
  moec::TopK best = topk(where(real, scores, -INFINITY), s.topk);
  Tile w = s.pre_act ? best.values : stored(activate(s, best.values, live));
  if (s.renormalize) w = w / expand_dims(stored(sum(where(live, w, 0), 1)), 1);
  store(weights(t, k), cast(w, weights.dtype()));
  store(ids(t, k), cast(best.indices, ids.dtype()));
}

} // namespace
} // namespace kernel

static constexpr Schedule kOneWarp{.num_warps = 1};

TopKWeights calculate_topk(const Stream &stream, const Tensor &logits, int topk, const TopKOptions &options) {
  check_rank("calculate_topk: logits", logits, 2);
  check_dtype("calculate_topk: logits", logits, {f32, bf16, f16, f64});
  const int64_t experts = logits.size(1);
  check_experts("calculate_topk", experts);
  check_range("calculate_topk", "topk", topk, 1, experts);
  static const auto run = jit(kernel::calculate_topk, kOneWarp);
  int e = static_cast<int>(experts);
  kernel::TopKSpec spec{topk,
                        e,
                        rows_for(next_pow2(e), topk * size_bytes(logits.dtype())),
                        options.sigmoid,
                        options.pre_act,
                        options.renormalize};
  Dims shape{logits.size(0), topk};
  TopKWeights out{Tensor::empty(shape, logits.dtype(), stream), Tensor::empty(shape, i64, stream)};
  run(stream, spec, logits, out.weights, out.ids);
  return out;
}

Tensor calculate_topk_backward(const Stream &stream, const Tensor &grad, const Tensor &logits, const Tensor &ids,
                               const TopKOptions &options) {
  // Sigmoid has no sums: before or after the selection, its gradient is the same.
  return select_backward(
      stream, "calculate_topk_backward",
      {options.sigmoid ? ScoreFunction::sigmoid : ScoreFunction::softmax, options.pre_act, options.renormalize, 1},
      grad, logits, ids);
}

static void run_topk(OpCall &c) {
  check_that(c.flag("pre_act") != c.flag("post_act"), "unsloth_calculate_topk",
             "pre_act and post_act are both " + c.text("pre_act"), "exactly one of them must be true");
  const TopKOptions options{c.flag("use_sigmoid"), c.flag("pre_act"), c.flag("renormalize")};
  const Tensor &logits = c.in("gating_output");
  TopKWeights r = calculate_topk(c.stream(), logits, static_cast<int>(c.integer("topk")), options);
  c.out("topk_weights", r.weights);
  c.out("topk_ids", r.ids);
  if (c.has("grad_topk_weights"))
    c.backward([&c, ids = r.ids, options] {
      c.out("grad_gating_output",
            calculate_topk_backward(c.stream(), c.in("grad_topk_weights"), c.in("gating_output"), ids, options));
    });
}

void register_topk(Library &l) {
  using Type = OpParameter::Type;
  add_kernel(
      l, kernel::calculate_topk, "calculate_topk", "top-k routing weights and ids from logits", kOneWarp,
      {{"logits", "[T, experts]", "dtype"}, {"topk_weights", "[T, topk]", "dtype"}, {"topk_ids", "[T, topk]", "i64"}},
      {{"T", "4096", "tokens"}, {"dtype", "f32", "of logits and weights"}});
  l.add_specializations({
      {"calculate_topk", "topk=8,experts=128,rows=1,renormalize=true", "Qwen3-30B-A3B"},
      {"calculate_topk", "topk=8,experts=64,rows=2,renormalize=true,dtype=bf16", "main job"},
      {"calculate_topk", "topk=8,experts=256,rows=1,sigmoid=true,renormalize=true", "DeepSeek-V3"},
      {"calculate_topk", "topk=4,experts=128,rows=4,pre_act=false,dtype=bf16", "gpt-oss-120b"},
      {"calculate_topk", "topk=1,experts=128,rows=8,pre_act=false,sigmoid=true,dtype=bf16", "Llama-4 Maverick"},
      {"calculate_topk", "topk=6,experts=60,rows=2,renormalize=true,T=33,dtype=f64", "f64"},
      {"calculate_topk", "topk=3,experts=12,rows=8,pre_act=false,sigmoid=true,T=19", "recorded case"},
  });
  l.ops.push_back(
      {"unsloth_calculate_topk",
       "top-k routing weights from logits",
       "act = softmax over E or sigmoid, in f32, rounded to the logits' dtype; pre: top-k of act; post: "
       "act of the top-k logits; "
       "renormalize: w /= sum of w, rounded. Equal scores: the lower expert first",
       "unsloth kernels.moe.grouped_gemm.reference.moe_ops.calculate_topk",
       "sums over experts and slots: balanced tree, lowest index bit first",
       {{"topk", Type::integer, "", "K", {}, true},
        {"use_sigmoid", Type::boolean, "false", "sigmoid instead of softmax"},
        {"renormalize", Type::boolean, "false", "divide by the sum"},
        {"pre_act", Type::boolean, "true", "activation before the selection"},
        {"post_act", Type::boolean, "false", "activation after it"}},
       {{"gating_output", "[T, E]", "f32 bf16 f16 f64", "router logits"},
        {"grad_topk_weights", "[T, K]", "f32 bf16 f16 f64", "gradient of topk_weights", false, true},
        {"topk_weights", "[T, K]", "gating_output", "weights, descending", true, false, 5e-5, 8e-3},
        {"topk_ids", "[T, K]", "i64", "experts", true},
        {"grad_gating_output", "[T, E]", "gating_output", "gradient of the logits", true, true, 5e-5, 2e-2}},
       {"calculate_topk", "select_backward"},
       {"calculate_topk", "calculate_topk_backward"},
       run_topk});
}

} // namespace moec
