// The router's gate: logits, scores, selection within groups, weights; and its gradients.
#include "kernels/gate.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <limits>

#include "kernels/convert.h"
#include "kernels/gate_kernels.h"
#include "kernels/host.h"
#include "kernels/matmul.h"
#include "kernels/registration.h"

namespace moec {

namespace kernel {
namespace {

struct GateSpec {
  int topk = 8, experts = 128;
  int groups = 1, limited_groups = 1;
  ScoreFunction score = ScoreFunction::softmax;
  bool before_topk = false;
  bool corrected = false; ///< there is a correction bias
  bool normalized = false;
  bool keep_scores = false; ///< write the scores for the auxiliary loss
  double scale = 1;
  int rows = 1; ///< tokens per program
  static void fields(auto &s, auto &&f) {
    f("topk", s.topk), f("experts", s.experts), f("groups", s.groups), f("limited_groups", s.limited_groups),
        f("score", s.score), f("before_topk", s.before_topk), f("corrected", s.corrected),
        f("normalized", s.normalized), f("keep_scores", s.keep_scores), f("scale", s.scale), f("rows", s.rows);
  }
  bool after_topk() const { return score == ScoreFunction::softmax && !before_topk; }
  bool limited() const { return limited_groups < groups; }
  /// Lanes of a row: groups and their experts, both padded.
  int padded_groups() const { return limited() ? next_pow2(groups) : 1; }
  int padded_size() const { return next_pow2(limited() ? experts / groups : experts); }
};

/// For each lane whether its group is among the limited_groups best. choice [rows, lanes], -inf where not live.
Tile in_best_groups(const GateSpec &s, const Tile &choice) {
  const int groups = s.padded_groups(), size = s.padded_size();
  Tile c = reshape(choice, {s.rows, groups, size}), best = max(c, 2);
  if (s.corrected || s.score == ScoreFunction::softmax_with_bias) { // the two best count
    Tile first = expand_dims(argmax(c, 2), 2);
    best = best + max(where(arange(size) == first, -INFINITY, c), 2);
  }
  Tile own = expand_dims(best, 2), other = expand_dims(best, 1), g = arange(groups);
  Tile ahead = (other > own) | ((other == own) & (g < expand_dims(g, 1)));
  Tile chosen = sum(cast(ahead, i32), 2) < s.limited_groups;
  return reshape(broadcast(expand_dims(chosen, 2), c.shape()), {s.rows, groups * size});
}

/// Which expert each lane of a row has.
struct ExpertLanes {
  int size, padded; ///< experts of a group, and lanes
  Tile e, live;
  explicit ExpertLanes(const GateSpec &s)
      : size(s.limited() ? s.experts / s.groups : s.experts), padded(s.padded_size()) {
    Tile lane = arange(s.padded_groups() * padded);
    e = lane / padded * size + lane % padded;
    live = (lane % padded < size) & (e < s.experts);
  }
  Tile expert_at(const Tile &lane) const { return lane / padded * size + lane % padded; }
};

struct SelectViews {
  View logits, weights, indices, scores;
};

void expect_selection(const GateSpec &s, const SelectViews &v) {
  Int T = v.logits.size(0);
  v.logits.expect({T, s.experts});
  for (const View &of_slots : {v.weights, v.indices}) of_slots.expect({T, s.topk});
  if (s.keep_scores) v.scores.expect({T, s.experts});
}

/// Block b of spec.rows tokens; `correction` is added to the scores that select, if there is one.
void select_block(const GateSpec &s, const SelectViews &v, const Int &b, const View &correction) {
  const ExpertLanes of(s);
  Tile t = expand_dims(b * s.rows + arange(s.rows), 1);
  DType wide = wide_dtype(v.logits.dtype());
  Tile x = cast(load(v.logits(t, of.e), of.live), wide);
  ScoreRow score(s.score, s.before_topk, v.logits.dtype(), x, of.live);
  Tile original = score(x), choice = original;
  if (s.corrected) choice = choice + cast(load(correction(of.e), of.live), wide);
  choice = where(of.live, choice, -INFINITY);
  if (s.limited()) {
    const double other = s.score == ScoreFunction::sigmoid_with_bias ? -INFINITY : 0;
    // Padding lies between the groups: it must lose against experts at -inf, too.
    const double least = wide == f64 ? std::numeric_limits<double>::lowest() : std::numeric_limits<float>::lowest();
    choice = where(of.live, maximum(where(in_best_groups(s, choice), choice, other), least), -INFINITY);
  }
  TopK best = topk(choice, s.topk);
  auto [k, chosen] = lanes(s.topk);
  Tile id = of.expert_at(best.indices);

  Tile w;
  if (s.after_topk()) {
    w = softmax_of(best.values, chosen);
  } else {
    w = where(chosen, score(cast(load(v.logits(t, id), chosen & (t < v.logits.size(0))), wide)), 0);
  }
  if (s.normalized) w = w / (row_sum(w) + kTiny);
  store(v.weights(t, k), cast(w * s.scale, v.weights.dtype()));
  store(v.indices(t, k), cast(id, v.indices.dtype()));
  if (!s.keep_scores) return;
  if (s.normalized) original = original / (row_sum(where(of.live, original, 0)) + kTiny);
  store(v.scores(t, of.e), cast(original, v.scores.dtype()), of.live);
}

void gate_select(const GateSpec &s, View logits, View weights, View indices, View scores) {
  arg_names({"logits", "weights", "indices", "scores"});
  const SelectViews views{logits, weights, indices, scores};
  expect_selection(s, views);
  grid(cdiv(logits.size(0), s.rows));
  select_block(s, views, program_id(0), {});
}

/// The same with a correction bias, which a program reads once.
void gate_select_corrected(const GateSpec &s, View logits, View correction, View weights, View indices, View scores) {
  arg_names({"logits", "correction_bias", "weights", "indices", "scores"});
  const SelectViews views{logits, weights, indices, scores};
  expect_selection(s, views);
  correction.expect({s.experts});
  grid(persistent());
  for (Int b : range(program_id(0), cdiv(logits.size(0), s.rows), num_programs(0)))
    select_block(s, views, b, correction);
}

} // namespace
} // namespace kernel

namespace {
constexpr Schedule kSchedule{.num_warps = 1}, kCorrected{.num_warps = 8};
constexpr std::array<std::string_view, 5> kScoreNames{"softmax", "sigmoid", "sigmoid_with_bias", "softmax_with_bias",
                                                      "sqrtsoftplus"};

DType weights_dtype(const Tensor &x, const GateOptions &o) { return o.f32_weights ? wide_dtype(x.dtype()) : x.dtype(); }

/// Of a score function that has them.
void check_groups(int experts, bool corrected, const GateOptions &o) {
  check_that(o.groups >= 1 && experts % o.groups == 0, "gate: groups",
             fmt::format("{} experts are not {} equal groups", experts, o.groups),
             "it must divide the number of experts");
  check_range("gate", "limited_groups", o.limited_groups, 1, o.groups);
  const bool pairs = corrected || o.score == ScoreFunction::softmax_with_bias;
  const int size = experts / o.groups;
  check_that(o.limited_groups == o.groups || !pairs || size >= 2, "gate: groups",
             "a group's score is the sum of its 2 greatest, but it has one expert", "use fewer groups");
  check_that(o.score != ScoreFunction::sigmoid_with_bias || o.topk <= o.limited_groups * size, "gate: topk",
             fmt::format("{} groups of {} experts have fewer than {} experts", o.limited_groups, size, o.topk),
             "lower topk or raise limited_groups");
}

bool has_groups(const GateOptions &o) {
  return o.score != ScoreFunction::softmax && o.score != ScoreFunction::sqrtsoftplus;
}
bool is_corrected(const GateParameters &p, const GateOptions &o) {
  return p.correction_bias.defined() && o.score != ScoreFunction::softmax;
}

kernel::GateSpec gate_spec(const Tensor &x, const GateParameters &p, const GateOptions &o) {
  check_gate(x, p, o);
  kernel::GateSpec s{o.topk, static_cast<int>(p.weight.size(0))};
  s.score = o.score;
  s.before_topk = o.softmax_before_topk && o.score == ScoreFunction::softmax;
  s.corrected = is_corrected(p, o);
  if (has_groups(o)) s.groups = o.groups, s.limited_groups = o.limited_groups;
  s.normalized = o.normalizes();
  s.keep_scores = o.train && o.aux_loss_coeff > 0;
  s.scale = o.route_scale;
  const int lanes = s.padded_groups() * s.padded_size();
  // With a correction bias more warps of about as many values in a program, so that fewer programs read it.
  const int bytes = lanes * size_bytes(wide_dtype(o.precision.value_or(x.dtype())));
  s.rows = s.corrected ? std::clamp(16384 / bytes, 1, 16) : rows_for(lanes, o.topk * size_bytes(weights_dtype(x, o)));
  return s;
}
} // namespace

void check_gate(const Tensor &x, const GateParameters &p, const GateOptions &o) {
  check_rank("gate: x", x, 2);
  check_dtype("gate: x", x, {f32, bf16, f16, f64});
  check_shape("gate: weight", p.weight, {-1, x.size(1)});
  check_dtype("gate: weight", p.weight, {f32, bf16, f16, f64});
  if (o.precision)
    check_that(is_float(*o.precision) && !is_fp8(*o.precision), "gate: precision",
               "it is " + std::string(name(*o.precision)), "give f32, bf16, f16 or f64");
  const int64_t experts = p.weight.size(0);
  check_experts("gate", experts);
  check_range("gate", "topk", o.topk, 1, experts);
  auto check_bias = [&](const char *what, const Tensor &bias) {
    if (bias.defined()) check_shape(what, bias, {experts}), check_dtype(what, bias, {f32, bf16, f16, f64});
  };
  check_bias("gate: bias", p.bias), check_bias("gate: correction_bias", p.correction_bias);
  check_that(o.score <= ScoreFunction::sqrtsoftplus, "gate: score function", "it is none of ScoreFunction's values",
             "give one of them");
  if (has_groups(o)) check_groups(static_cast<int>(experts), is_corrected(p, o), o);
  check_number("gate: route_scale", o.route_scale), check_number("gate: aux_loss_coeff", o.aux_loss_coeff);
}

ScoreFunction score_function_named(std::string_view name) {
  auto it = std::ranges::find(kScoreNames, name);
  check_that(it != kScoreNames.end(), "gate: score function", fmt::format("there is no {}", name),
             "give softmax, sigmoid, sigmoid_with_bias, softmax_with_bias or sqrtsoftplus");
  return static_cast<ScoreFunction>(it - kScoreNames.begin());
}

Tensor in_precision(const Stream &stream, const Tensor &x, const GateOptions &options) {
  return options.precision ? as_dtype(stream, x, *options.precision) : x;
}

GateOutput gate_forward(const Stream &stream, const Tensor &x, const GateParameters &parameters,
                        const GateOptions &options, const Tensor &token_mask) {
  kernel::GateSpec spec = gate_spec(x, parameters, options);
  if (token_mask.defined())
    check_shape("gate: token_mask", token_mask, {x.size(0)}), check_dtype("gate: token_mask", token_mask, {boolean});
  static const auto select = jit(kernel::gate_select, kSchedule);
  static const auto select_corrected = jit(kernel::gate_select_corrected, kCorrected);
  const int64_t tokens = x.size(0);
  GateOutput out;
  out.logits = matmul(stream, in_precision(stream, x, options), parameters.weight,
                      {.transpose_b = true, .bias = parameters.bias});
  const DType wide = wide_dtype(out.logits.dtype());
  out.weights = Tensor::empty({tokens, spec.topk}, weights_dtype(x, options), stream);
  out.indices = Tensor::empty({tokens, spec.topk}, i64, stream);
  Tensor scores = Tensor::empty(spec.keep_scores ? Dims{tokens, spec.experts} : Dims{0, 0}, wide, stream);
  if (spec.corrected)
    select_corrected(stream, spec, out.logits, parameters.correction_bias, out.weights, out.indices, scores);
  else
    select(stream, spec, out.logits, out.weights, out.indices, scores);
  if (options.expert_load || spec.keep_scores)
    out.expert_load = expert_load(stream, out.indices, spec.experts, token_mask);
  if (spec.keep_scores) {
    AuxLoss loss = aux_loss(stream, scores, out.expert_load, spec.topk, token_mask);
    out.aux_loss = loss.loss, out.valid = loss.valid;
  }
  return out;
}

// -------------------------------------------------------------------------------------------------------------
// registration

/// What configurations call a dtype: torch.float32, float32, fp32 or f32.
static std::optional<DType> precision_named(std::string_view text) {
  if (text == "none") return std::nullopt;
  std::string_view plain = text.starts_with("torch.") ? text.substr(6) : text;
  const std::pair<std::string_view, DType> names[] = {{"float32", f32}, {"fp32", f32}, {"bfloat16", bf16},
                                                      {"float16", f16}, {"fp16", f16}, {"half", f16},
                                                      {"float64", f64}, {"fp64", f64}, {"double", f64}};
  auto it = std::ranges::find(names, plain, &std::pair<std::string_view, DType>::first);
  std::optional<DType> dtype = it == std::end(names) ? dtype_from_name(plain) : it->second;
  check_that(dtype.has_value(), "gate_route: gate_precision", fmt::format("it is {}", text), "give a dtype or none");
  return dtype;
}

static void run_gate(OpCall &c) {
  const Tensor &x = c.in("x"), mask = c.given("token_mask");
  GateParameters p{c.in("weight"), c.given("bias"), c.given("e_score_correction_bias")};
  GateOptions o;
  o.topk = static_cast<int>(c.integer("n_activated_experts"));
  o.score = score_function_named(c.text("score_func"));
  o.softmax_before_topk = c.flag("softmax_before_topk");
  o.groups = static_cast<int>(c.integer("n_expert_groups"));
  o.limited_groups = static_cast<int>(c.integer("n_limited_groups"));
  o.norm_topk_prob = c.flag("norm_topk_prob");
  o.route_scale = c.floating("route_scale");
  o.aux_loss_coeff = c.floating("aux_loss_coeff");
  o.f32_weights = c.flag("router_weights_fp32");
  o.precision = precision_named(c.text("gate_precision"));
  o.expert_load = c.wants({"expert_load"});
  GateOutput out = gate_forward(c.stream(), x, p, o, mask);
  c.out("weights", out.weights);
  c.out("indices", out.indices);
  if (out.expert_load.defined()) c.out("expert_load", out.expert_load);
  if (out.aux_loss.defined()) c.out("aux_loss", out.aux_loss);
  if (!c.has("grad_weights") || !c.wants({"grad_x", "grad_weight", "grad_bias"})) return;
  c.backward([&c, x, p, out, o, mask] {
    GateGrads g = gate_backward(c.stream(), c.in("grad_weights"), x, p, out, o, mask);
    c.out("grad_x", g.x);
    c.out("grad_weight", g.weight);
    if (g.bias.defined()) c.out("grad_bias", g.bias);
  });
}

static void register_gate_op(Library &l) {
  using Type = OpParameter::Type;
  const std::vector<std::string> names(kScoreNames.begin(), kScoreNames.end());
  l.ops.push_back(
      {"gate_route",
       "the router: scores of the experts, the chosen ones, their weights",
       "logits = x weight^T + bias; s = score(logits); indices = top-k of s + e_score_correction_bias within the best "
       "groups; weights = s[indices] (/ (their sum + 1e-20)) route_scale; aux_loss = sum over e of f_e P_e, f_e = "
       "expert_load E / (K valid), P_e = sum over valid tokens of s / valid. Slots have descending scores (the source "
       "leaves those of sigmoid_with_bias in any order), equal scores the lower expert first",
       "nemo_automodel components.moe.layers.Gate.forward",
       "products: k ascending, in blocks for bf16 and f16; sums over experts and slots: balanced trees; aux_loss: "
       "as the op aux_loss; logits, their gradients and sigmoid are rounded to x's dtype or "
       "gate_precision",
       {{"n_activated_experts", Type::integer, "", "K", {}, true},
        {"score_func", Type::text, "softmax", "scores", names},
        {"softmax_before_topk", Type::boolean, "false", "softmax over all experts instead of the selected logits"},
        {"n_expert_groups", Type::integer, "1", "groups of experts"},
        {"n_limited_groups", Type::integer, "1", "groups to choose from"},
        {"norm_topk_prob", Type::boolean, "false", "divide the weights by their sum"},
        {"route_scale", Type::floating, "1", "times the weights"},
        {"aux_loss_coeff", Type::floating, "0", "of the attached auxiliary loss; 0: none"},
        {"router_weights_fp32", Type::boolean, "false", "weights in f32"},
        {"gate_precision", Type::text, "none", "dtype of logits and scores; none: that of x"}},
       {{"x", "[T, D]", "f32 bf16 f16 f64", "tokens"},
        {"weight", "[E, D]", "f32 bf16 f16 f64", "router"},
        {"bias", "[E]", "f32 bf16 f16 f64", "of the logits", false, true},
        {"e_score_correction_bias", "[E]", "f32 bf16 f16 f64", "added to the scores that select", false, true},
        {"token_mask", "[T]", "bool", "false: no part in load and loss", false, true},
        {"grad_weights", "[T, K]", "f32 bf16 f16 f64", "gradient of weights", false, true},
        {"weights", "[T, K]", "x", "weight of each slot", true, false, 1e-5, 1e-2},
        {"indices", "[T, K]", "i64", "expert of each slot", true},
        {"expert_load", "[E]", "i64", "valid slots of each expert", true, true},
        {"aux_loss", "[]", "f32 f64", "the auxiliary loss, before the coefficient", true, true, 1e-5, 1e-2},
        {"grad_x", "[T, D]", "x", "gradient of x", true, true, 1e-5, 2e-2},
        {"grad_weight", "[E, D]", "weight", "gradient of weight", true, true, 1e-5, 2e-2},
        {"grad_bias", "[E]", "bias", "gradient of bias", true, true, 1e-5, 2e-2}},
       {"convert", "matmul", "gate_select", "gate_select_corrected", "route_count", "sum_counts", "score_sums",
        "aux_loss", "aux_loss_backward", "fill_scale", "select_backward", "bias_grad"},
       {"gate_forward", "gate_backward"},
       run_gate,
       [](const OpCall &c) { return c.text("score_func") == "sigmoid_with_bias"; }});
}

void register_gate(Library &l) {
  const std::vector<KernelSetting> sizes{
      {"T", "4096", "tokens"}, {"dtype", "bf16", "of the logits"}, {"wide", "f32", "dtype of scores and correction"}};
  const KernelArgument logits{"logits", "[T, experts]", "dtype"}, weights{"weights", "[T, topk]", "dtype"},
      indices{"indices", "[T, topk]", "i64"}, scores{"scores", "[T, experts]", "wide"};
  add_kernel(l, kernel::gate_select, "gate_select", "weights and experts from logits", kSchedule,
             {logits, weights, indices, scores}, sizes);
  add_kernel(l, kernel::gate_select_corrected, "gate_select_corrected",
             "weights and experts from logits, selected with a correction bias", kCorrected,
             {logits, {"correction_bias", "[experts]", "wide"}, weights, indices, scores}, sizes);
  l.add_specializations({
      {"gate_select", "topk=8,experts=128,before_topk=true,normalized=true,keep_scores=true,rows=2", "Qwen3-30B-A3B"},
      {"gate_select", "topk=4,experts=128,rows=4", "gpt-oss-120b"},
      {"gate_select", "topk=3,experts=12,groups=4,limited_groups=2,score=2,rows=8,T=10,dtype=f64,wide=f64", "f64"},
      {"gate_select_corrected",
       "topk=8,experts=256,groups=8,limited_groups=4,score=1,corrected=true,normalized=true,scale=2.5,rows=16",
       "DeepSeek-V3"},
      {"gate_select_corrected",
       "topk=8,experts=384,score=1,corrected=true,normalized=true,keep_scores=true,rows=8,dtype=f32", "Kimi K2, f32"},
      {"gate_select_corrected",
       "topk=4,experts=12,groups=4,limited_groups=2,score=2,corrected=true,rows=16,T=10,dtype=f64,wide=f64",
       "groups of sizes that divide nothing, f64"},
      {"gate_select_corrected", "topk=6,experts=256,score=4,corrected=true,normalized=true,scale=1.5,rows=16",
       "sqrtsoftplus"},
  });
  register_gate_op(l);
}

} // namespace moec
