// Expert load, the load-balancing loss and its gradient.
#include "kernels/aux_loss.h"

#include <algorithm>

#include "kernels/host.h"
#include "kernels/registration.h"

namespace moec {

namespace kernel {
namespace {

constexpr int kTokensPerSum = 256, kChains = 8;

struct AuxSpec {
  int experts = 128, topk = 8;
  bool masked = true;
  double factor = 1;
  int columns = 32; ///< of the scores per program
  static void fields(auto &s, auto &&f) {
    f("experts", s.experts), f("topk", s.topk), f("masked", s.masked), f("factor", s.factor), f("columns", s.columns);
  }
  int rows() const { return std::min(1024 / columns, kTokensPerSum); } ///< of the scores at a time
};

/// Columns of [T, experts] per program: few, so that there are many programs, unless that cuts 32-byte sectors.
int columns_for(int64_t experts, DType dtype) {
  if (experts > 32 && experts * size_bytes(dtype) % 32 == 0) return 32;
  return std::min(next_pow2(static_cast<int>(experts)), 128);
}

/// sums[b, e]: scores of the valid tokens of block b, in spec.rows() ascending chains and a tree over these; valid[b]:
/// how many tokens these are.
void score_sums(const AuxSpec &s, View scores, View token_mask, View sums, View valid) {
  arg_names({"scores", "token_mask", "sums", "valid"});
  Int T = scores.size(0);
  scores.expect({T, s.experts});
  if (s.masked) token_mask.expect({T});
  sums.expect({cdiv(T, kTokensPerSum), s.experts}), valid.expect({cdiv(T, kTokensPerSum)});
  grid(cdiv(T, kTokensPerSum), cdiv(s.experts, s.columns));
  Int b = program_id(0);
  Tile e = program_id(1) * s.columns + arange(s.columns), acc = zeros({s.rows(), s.columns}, sums.dtype()),
       n = zeros({s.rows()}, i32);
  for (Int i : range(0, kTokensPerSum, s.rows())) {
    Tile t = b * kTokensPerSum + i + arange(s.rows());
    Tile counts = s.masked ? load(token_mask(t)) : t < T;
    acc += where(expand_dims(counts, 1), cast(load(scores(expand_dims(t, 1), e)), sums.dtype()), 0);
    n += cast(counts, i32);
  }
  store(sums(b, e), sum(acc, 0));
  when(program_id(1) == 0, [&] { store(valid(b), sum(n)); });
}

/// The weight of expert e's mean score in the loss: load E / (topk valid).
Tile share_of(const AuxSpec &s, const Tile &load, const Tile &valid, DType wide) {
  return cast(load, wide) * static_cast<double>(s.experts) / (cast(valid, wide) * static_cast<double>(s.topk));
}

void aux_loss(const AuxSpec &s, View sums, View valid, View expert_load, View loss, View total_valid) {
  arg_names({"sums", "valid", "expert_load", "loss", "total_valid"});
  Int blocks = sums.size(0);
  sums.expect({blocks, s.experts}), valid.expect({blocks}), expert_load.expect({s.experts});
  grid(1);
  DType wide = sums.dtype();
  Tile e = arange(next_pow2(s.experts)), acc = zeros({kChains, next_pow2(s.experts)}, wide), n = zeros({kChains}, i64);
  for (Int b : range(0, blocks, kChains)) {
    Tile block = b + arange(kChains);
    acc += load(sums(expand_dims(block, 1), e));
    n += cast(load(valid(block)), i64);
  }
  Tile all = sum(n), divisor = maximum(all, 1);
  Tile mean = sum(acc, 0) / cast(divisor, wide);
  store(loss(0), sum(share_of(s, load(expert_load(e)), divisor, wide) * mean));
  store(total_valid(0), all);
}

void aux_loss_backward(const AuxSpec &s, View grad, View expert_load, View valid, View token_mask, View out) {
  arg_names({"grad", "expert_load", "valid", "token_mask", "grad_scores"});
  Int T = out.size(0);
  out.expect({T, s.experts}), expert_load.expect({s.experts});
  if (s.masked) token_mask.expect({T});
  grid(cdiv(T, kTokensPerSum), cdiv(s.experts, s.columns));
  DType wide = grad.dtype();
  Tile e = program_id(1) * s.columns + arange(s.columns);
  Tile divisor = maximum(load(valid(0)), 1);
  Tile g = load(grad(0)) * s.factor / cast(divisor, wide) * share_of(s, load(expert_load(e)), divisor, wide);
  Tile row = broadcast(expand_dims(g, 0), {s.rows(), s.columns});
  for (Int i : range(0, kTokensPerSum, s.rows())) {
    Tile t = expand_dims(program_id(0) * kTokensPerSum + i + arange(s.rows()), 1);
    store(out(t, e), cast(s.masked ? where(load(token_mask(t)), row, 0) : row, out.dtype()));
  }
}

struct FillSpec {
  bool scaled = true;
  static void fields(auto &s, auto &&f) { f("scaled", s.scaled); }
};

/// out = scale everywhere, or 1 without a scale.
void fill_scale(const FillSpec &s, View scale, View out) {
  arg_names({"scale", "out"});
  Int n = out.size(0);
  if (s.scaled) scale.expect({1});
  grid(cdiv(n, 1024));
  Tile value = s.scaled ? cast(load(scale(0)), out.dtype()) : full({}, 1, out.dtype());
  store(out(program_id(0) * 1024 + arange(1024)), broadcast(value, {1024}));
}

} // namespace
} // namespace kernel

namespace {
constexpr Schedule kSchedule{.num_warps = 4};

kernel::AuxSpec aux_spec(const char *what, int64_t experts, int topk, bool masked, DType scores, double factor = 1) {
  check_experts(what, experts);
  check_range(what, "topk", topk, 1);
  return {static_cast<int>(experts), topk, masked, factor, kernel::columns_for(experts, scores)};
}

Tensor mask_or_none(const Stream &stream, const char *what, const Tensor &mask, int64_t tokens) {
  if (!mask.defined()) return or_empty(stream, mask, 1, boolean);
  check_shape(what, mask, {tokens});
  check_dtype(what, mask, {boolean});
  return mask;
}

Tensor one_element(const char *what, const Tensor &t) {
  check_that(t.defined() && t.numel() == 1, what, t.defined() ? "it is " + t.text() : "it is missing",
             "it must have one element");
  return t.reshape({1});
}
} // namespace

AuxLoss aux_loss(const Stream &stream, const Tensor &scores, const Tensor &load, int topk, const Tensor &token_mask) {
  check_rank("aux_loss: scores", scores, 2);
  check_dtype("aux_loss: scores", scores, {f32, bf16, f16, f64});
  check_shape("aux_loss: load", load, {scores.size(1)});
  check_dtype("aux_loss: load", load, {i64});
  static const auto sum = jit(kernel::score_sums, kSchedule);
  static const auto finish = jit(kernel::aux_loss, kSchedule);
  const int64_t tokens = scores.size(0), blocks = cdiv(tokens, int64_t{kernel::kTokensPerSum});
  auto spec = aux_spec("aux_loss", scores.size(1), topk, token_mask.defined(), scores.dtype());
  const DType wide = wide_dtype(scores.dtype());
  Tensor sums = Tensor::empty({blocks, scores.size(1)}, wide, stream), valid = Tensor::empty({blocks}, i32, stream);
  AuxLoss out{Tensor::empty({1}, wide, stream), Tensor::empty({1}, i64, stream)};
  sum(stream, spec, scores, mask_or_none(stream, "aux_loss: token_mask", token_mask, tokens), sums, valid);
  finish(stream, spec, sums, valid, load, out.loss, out.valid);
  return {out.loss.reshape({}), out.valid.reshape({})};
}

Tensor aux_loss_backward(const Stream &stream, const Tensor &grad, const Tensor &load, const Tensor &valid,
                         int64_t tokens, int topk, const Tensor &token_mask, double factor,
                         std::optional<DType> dtype) {
  check_tokens("aux_loss_backward", tokens);
  check_number("aux_loss_backward: factor", factor);
  check_dtype("aux_loss_backward: gradient", grad, {f32, f64});
  check_rank("aux_loss_backward: load", load, 1);
  check_dtype("aux_loss_backward: load", load, {i64});
  check_dtype("aux_loss_backward: valid", valid, {i64});
  static const auto run = jit(kernel::aux_loss_backward, kSchedule);
  Tensor out = Tensor::empty({tokens, load.size(0)}, dtype.value_or(grad.dtype()), stream);
  check_dtype("aux_loss_backward: result", out, {f32, bf16, f16, f64});
  auto spec = aux_spec("aux_loss_backward", load.size(0), topk, token_mask.defined(), out.dtype(), factor);
  // A program reads its experts' load and its tokens' mask: where a gradient is small, they weigh more.
  if (size_bytes(out.dtype()) == 2) spec.columns = std::min(next_pow2(spec.experts), 128);
  run(stream, spec, one_element("aux_loss_backward: gradient", grad), load,
      one_element("aux_loss_backward: valid", valid),
      mask_or_none(stream, "aux_loss_backward: token_mask", token_mask, tokens), out);
  return out;
}

AuxLossAutoScaler::Grads AuxLossAutoScaler::backward(const Stream &stream, const Tensor &grad,
                                                     const Tensor &aux_loss) const {
  check_dtype("AuxLossAutoScaler: aux_loss", aux_loss, {f32, bf16, f16, f64});
  static const auto run = jit(kernel::fill_scale, kSchedule);
  Tensor out = Tensor::empty({aux_loss.numel()}, aux_loss.dtype(), stream);
  run(stream, kernel::FillSpec{scale.defined()},
      or_empty(stream, scale.defined() ? one_element("AuxLossAutoScaler: scale", scale) : scale, 1), out);
  return {grad, out.reshape(aux_loss.shape())};
}

// -------------------------------------------------------------------------------------------------------------
// registration

static void run_scaler(OpCall &c) {
  const std::string &scale = c.text("main_loss_backward_scale");
  AuxLossAutoScaler scaler;
  if (scale != "none") {
    double value = 0;
    check_that(detail::set_field(value, scale), "moe_aux_loss_auto_scaler: main_loss_backward_scale", "it is " + scale,
               "give a number or none");
    scaler.scale = Tensor::from_values(std::vector<double>{value}, {1}, f32, c.stream().device());
  }
  c.out("y", scaler.forward(c.in("output"), c.in("aux_loss")));
  if (!c.has("grad_output")) return;
  c.backward([&c, scaler] {
    AuxLossAutoScaler::Grads g = scaler.backward(c.stream(), c.in("grad_output"), c.in("aux_loss"));
    c.out("grad_output_in", g.output);
    c.out("grad_aux_loss", g.aux_loss);
  });
}

static void run_load(OpCall &c) {
  c.out("expert_load", expert_load(c.stream(), c.in("indices"), static_cast<int>(c.integer("n_routed_experts")),
                                   c.given("token_mask")));
}

static void run_loss(OpCall &c) {
  const Tensor &scores = c.in("scores"), &load = c.in("expert_load"), mask = c.given("token_mask");
  const int topk = static_cast<int>(c.integer("n_activated_experts"));
  AuxLoss r = aux_loss(c.stream(), scores, load, topk, mask);
  c.out("aux_loss", r.loss);
  if (c.has("grad_aux_loss") && c.wants({"grad_scores"}))
    c.backward([&c, scores, load, valid = r.valid, topk, mask] {
      c.out("grad_scores", aux_loss_backward(c.stream(), c.in("grad_aux_loss"), load, valid, scores.size(0), topk, mask,
                                             1, scores.dtype()));
    });
}

static void register_loss_ops(Library &l) {
  using Type = OpParameter::Type;
  const OpTensor mask{"token_mask", "[T]", "bool", "false: the token does not count", false, true};
  l.ops.push_back({"expert_load",
                   "how many slots chose each expert",
                   "expert_load[e] = number of slots (t, k) with indices[t,k] = e and token_mask[t]; other ids count "
                   "nowhere",
                   "nemo_automodel components.moe.layers.Gate._compute_expert_load",
                   "integers: exact",
                   {{"n_routed_experts", Type::integer, "", "E", {}, true}},
                   {{"indices", "[T, K]", "i64 i32", "expert of each slot"},
                    mask,
                    {"expert_load", "[E]", "i64", "slots of each expert", true}},
                   {"pack", "route_count", "sum_counts"},
                   {"expert_load"},
                   run_load});
  l.ops.push_back(
      {"aux_loss",
       "the loss that balances the experts",
       "aux_loss = sum over e of f_e P_e, f_e = expert_load[e] E / (K valid), P_e = sum over valid tokens of "
       "scores[t,e] / valid, valid = max(tokens that count, 1); grad_scores[t,e] = g f_e / valid, 0 for "
       "tokens that do not count",
       "nemo_automodel components.moe.layers.Gate._compute_aux_loss",
       "blocks of 256 tokens: 8 to 256 chains, by E and dtype, a balanced tree over these; the blocks in 8 chains "
       "likewise; experts: "
       "a balanced tree; one rounding per gradient",
       {{"n_activated_experts", Type::integer, "", "K", {}, true}},
       {{"scores", "[T, E]", "f32 bf16 f16 f64", "of all experts"},
        {"expert_load", "[E]", "i64", "slots of each expert"},
        mask,
        {"grad_aux_loss", "[]", "f32 f64", "gradient of aux_loss", false, true},
        {"aux_loss", "[]", "f32 f64", "the loss", true, false, 1e-5, 1e-5},
        {"grad_scores", "[T, E]", "scores", "gradient of scores", true, true, 1e-5, 8e-3}},
       {"score_sums", "aux_loss", "aux_loss_backward"},
       {"aux_loss", "aux_loss_backward"},
       run_loss});
}

void register_aux_loss(Library &l) {
  const std::vector<KernelSetting> sizes{{"T", "4096", "tokens"}, {"dtype", "f32", "of scores and loss"}};
  const KernelArgument sums{"sums", "[(T+255)/256, experts]", "dtype"}, load{"expert_load", "[experts]", "i64"},
      mask{"token_mask", "[T]", "bool"};
  add_kernel(l, kernel::score_sums, "score_sums", "scores summed per expert and block of tokens", kSchedule,
             {{"scores", "[T, experts]", "dtype"}, mask, sums, {"valid", "[(T+255)/256]", "i32"}}, sizes);
  add_kernel(l, kernel::aux_loss, "aux_loss", "the load-balancing loss", kSchedule,
             {sums, {"valid", "[(T+255)/256]", "i32"}, load, {"loss", "[1]", "dtype"}, {"total_valid", "[1]", "i64"}},
             sizes);
  add_kernel(l, kernel::aux_loss_backward, "aux_loss_backward", "gradient of the load-balancing loss", kSchedule,
             {{"grad", "[1]", "dtype"}, load, {"valid", "[1]", "i64"}, mask, {"grad_scores", "[T, experts]", "to"}},
             {sizes[0], sizes[1], {"to", "f32", "of the gradient"}});
  add_kernel(l, kernel::fill_scale, "fill_scale", "one value everywhere", kSchedule,
             {{"scale", "[1]", "f32"}, {"out", "[T]", "dtype"}}, sizes);
  l.add_specializations({
      {"score_sums", "experts=128", "Qwen3-30B-A3B"},
      {"score_sums", "experts=6,T=14,columns=8,dtype=f64,masked=false", "f64"},
      {"score_sums", "experts=130,columns=128,masked=false,dtype=f32", "an odd number of experts"},
      {"aux_loss", "experts=128", "Qwen3-30B-A3B"},
      {"aux_loss", "experts=256,dtype=f64", "DeepSeek-V3, f64"},
      {"aux_loss_backward", "experts=128,factor=0.001", "Qwen3-30B-A3B"},
      {"aux_loss_backward", "experts=256,columns=128,to=bf16", "DeepSeek-V3, bf16"},
      {"aux_loss_backward", "experts=6,T=14,columns=8,dtype=f64,to=f64,masked=false", "f64"},
      {"fill_scale", "T=1", "recorded case"},
      {"fill_scale", "T=1,dtype=f64", "f64"},
  });
  register_loss_ops(l);
  l.ops.push_back({"moe_aux_loss_auto_scaler",
                   "attaches a loss to a tensor that passes through",
                   "y = output; grad_output_in = grad_output; grad_aux_loss = main_loss_backward_scale everywhere",
                   "nemo_automodel components.moe.megatron.moe_utils.MoEAuxLossAutoScaler",
                   "copies only: the same bits everywhere",
                   {{"main_loss_backward_scale", OpParameter::Type::text, "none", "a number; none: 1"}},
                   {{"output", "[...]", "f32 bf16 f16 f64", "any tensor"},
                    {"aux_loss", "[...]", "f32 bf16 f16 f64", "the loss"},
                    {"grad_output", "[...]", "output", "gradient of y", false, true},
                    {"y", "[...]", "output", "output itself", true},
                    {"grad_output_in", "[...]", "output", "gradient of output", true, true},
                    {"grad_aux_loss", "[...]", "aux_loss", "gradient of aux_loss", true, true, 1e-6, 1e-6}},
                   {"fill_scale"},
                   {"AuxLossAutoScaler::forward", "AuxLossAutoScaler::backward"},
                   run_scaler});
}

} // namespace moec
