// The MoE blocks of Qwen3 and Llama-4 on top of gate and experts.
#include "kernels/unsloth_blocks.h"

#include <fmt/format.h>

#include "kernels/arithmetic.h"
#include "kernels/convert.h"
#include "kernels/experts_core.h"
#include "kernels/host.h"
#include "kernels/matmul.h"

namespace moec {

namespace {

constexpr const char *kQwen3 = "Qwen3MoeBlock", *kLlama4 = "Llama4MoeBlock";
/// Every step of the sources rounds: silu(g), which u multiplies, and in Qwen3 each weighted row.
Activation swiglu_in(DType dtype) {
  Activation a = Activation::swiglu();
  if (dtype == bf16 || dtype == f16) a.gate_dtype = dtype;
  return a;
}
ExpertsForm qwen3_form(DType dtype) { return {swiglu_in(dtype), RouterWeights::output, true, 0, true}; }
ExpertsForm llama4_form(DType dtype) { return {swiglu_in(dtype), RouterWeights::input, true}; }
constexpr TopKOptions kLlama4Scores{.sigmoid = true, .pre_act = false};

/// Of a block with these parameters; they must fit.
MoeConfig config_of(const char *block, const Tensor &router, const Tensor &gate_up, const Tensor &down, int topk) {
  auto what = [&](const char *tensor) { return Asked(block, tensor); };
  check_rank(what("router"), router, 2);
  check_dtype(what("router"), router, {f32, bf16, f16, f64});
  check_tensor(router.numel() > 0, what("router"), router, "its sizes must be positive");
  MoeConfig c;
  c.n_routed_experts = static_cast<int>(router.size(0)), c.n_activated_experts = topk;
  c.dim = router.size(1), c.dtype = router.dtype();
  check_shape(what("down_proj"), down, {c.n_routed_experts, c.dim, -1});
  c.moe_inter_dim = down.size(2);
  check_shape(what("gate_up_proj"), gate_up, {c.n_routed_experts, 2 * c.moe_inter_dim, c.dim});
  check_dtype(what("gate_up_proj"), gate_up, {c.dtype});
  check_dtype(what("down_proj"), down, {c.dtype});
  check_range(block, "topk", topk, 1, c.n_routed_experts);
  return c;
}

int64_t bytes_of(std::initializer_list<Tensor> parameters) {
  int64_t bytes = 0;
  for (const Tensor &t : parameters) bytes += t.numel() * size_bytes(t.dtype());
  return bytes;
}

} // namespace

Tensor MoeBlock::tokens_of(const Stream &stream, const char *what, const Tensor &x) const {
  const Asked asked(name_, what);
  if (!x.defined() || (x.rank() != 2 && x.rank() != 3) || x.size(-1) != config_.dim)
    check_tensor(false, asked, x, fmt::format("its shape must be [*, {0}] or [*, *, {0}]", config_.dim));
  check_dtype(asked, x, {config_.dtype});
  return as_matrix(stream, asked, x);
}

Tensor MoeBlock::gradient_of(const Stream &stream, const Tensor &grad, const ExpertsKept &kept) const {
  check_kept(name_, config_, kept);
  Tensor rows = tokens_of(stream, "gradient", grad);
  check_shape({name_, "gradient"}, rows, {kept.x.size(0), config_.dim});
  return rows;
}

std::string MoeBlock::describe(int64_t tokens) const {
  return describe_experts(name_, config_, bytes_, config_.dtype, tokens, config_.dtype);
}

Qwen3MoeBlock::Qwen3MoeBlock(Parameters p, int topk, bool norm_topk_prob)
    : MoeBlock(kQwen3, config_of(kQwen3, p.gate, p.gate_up_proj, p.down_proj, topk),
               bytes_of({p.gate, p.gate_up_proj, p.down_proj})),
      p_(std::move(p)) {
  config_.apply_router_weight_after_down = true;
  options_.topk = topk;
  options_.softmax_before_topk = true;
  options_.norm_topk_prob = norm_topk_prob, options_.norm_one = true;
}

Qwen3MoeBlock::Result Qwen3MoeBlock::forward(const Stream &stream, const Tensor &x, Steps *steps) const {
  Tensor tokens = tokens_of(stream, "x", x);
  GateOutput gate = gate_forward(stream, tokens, {p_.gate, {}, {}}, options_);
  ExpertsResult r = experts_forward(stream, qwen3_form(config_.dtype), {p_.gate_up_proj, p_.down_proj, {}, {}}, tokens,
                                    {}, gate.weights, gate.indices, steps ? &steps->experts : nullptr);
  if (steps) steps->gate = gate;
  return {r.y.reshape(x.shape()), r.kept};
}

Qwen3MoeBlock::Grads Qwen3MoeBlock::backward(const Stream &stream, const Tensor &grad, const ExpertsKept &kept) const {
  Tensor rows = gradient_of(stream, grad, kept);
  ExpertsGrads e = experts_backward(stream, qwen3_form(config_.dtype), {p_.gate_up_proj, p_.down_proj, {}, {}}, rows,
                                    kept, config_.dtype);
  const GateParameters router{p_.gate, {}, {}};
  GateGrads g =
      gate_backward(stream, e.weights, kept.x, router, gate_forward(stream, kept.x, router, options_), options_);
  return {add(stream, e.x, g.x).reshape(grad.shape()), {g.weight, e.parameters.gate_up, e.parameters.down}};
}

Llama4MoeBlock::Llama4MoeBlock(Parameters p, int topk)
    : MoeBlock(kLlama4, config_of(kLlama4, p.router, p.gate_up_proj, p.down_proj, topk),
               bytes_of({p.router, p.gate_up_proj, p.down_proj, p.shared_gate_up, p.shared_down})),
      p_(std::move(p)) {
  check_that(topk == 1, kLlama4, fmt::format("topk is {}", topk),
             "it must be 1: the weight multiplies the input of the one expert");
  check_shape("Llama4MoeBlock: shared_down", p_.shared_down, {config_.dim, -1});
  check_shape("Llama4MoeBlock: shared_gate_up", p_.shared_gate_up, {2 * p_.shared_down.size(1), config_.dim});
  check_dtype("Llama4MoeBlock: shared_down", p_.shared_down, {config_.dtype});
  check_dtype("Llama4MoeBlock: shared_gate_up", p_.shared_gate_up, {config_.dtype});
}

Llama4MoeBlock::Result Llama4MoeBlock::forward(const Stream &stream, const Tensor &x) const {
  Tensor tokens = tokens_of(stream, "x", x);
  TopKWeights best = calculate_topk(stream, matmul(stream, tokens, p_.router, {.transpose_b = true}), 1, kLlama4Scores);
  const ExpertsForm form = llama4_form(config_.dtype);
  ExpertsResult r =
      experts_forward(stream, form, {p_.gate_up_proj, p_.down_proj, {}, {}}, tokens, {}, best.weights, best.ids);
  Tensor gate_up = matmul(stream, tokens, p_.shared_gate_up, {.transpose_b = true});
  Tensor shared = matmul(stream, activate(stream, gate_up, form.activation), p_.shared_down, {.transpose_b = true});
  return {add(stream, r.y, shared).reshape(x.shape()), r.kept};
}

Llama4MoeBlock::Grads Llama4MoeBlock::backward(const Stream &stream, const Tensor &grad,
                                               const ExpertsKept &kept) const {
  const ExpertsForm form = llama4_form(config_.dtype);
  const Activation &swiglu = form.activation;
  const Tensor &x = kept.x;
  Tensor rows = gradient_of(stream, grad, kept);
  ExpertsGrads e = experts_backward(stream, form, {p_.gate_up_proj, p_.down_proj, {}, {}}, rows, kept, config_.dtype);
  // The router, again.
  Tensor logits = matmul(stream, x, p_.router, {.transpose_b = true});
  Tensor ids = calculate_topk(stream, logits, 1, kLlama4Scores).ids;
  Tensor of_logits = calculate_topk_backward(stream, e.weights, logits, ids, kLlama4Scores);
  Tensor x_of_router = matmul(stream, of_logits, p_.router);
  // The shared expert, again.
  Tensor gate_up = matmul(stream, x, p_.shared_gate_up, {.transpose_b = true});
  Tensor of_gate_up = activate_backward(stream, matmul(stream, rows, p_.shared_down), gate_up, swiglu).x;
  Tensor x_of_shared = matmul(stream, of_gate_up, p_.shared_gate_up);
  return {add(stream, add(stream, e.x, x_of_router), x_of_shared).reshape(grad.shape()),
          {matmul(stream, of_logits, x, {.transpose_a = true}), e.parameters.gate_up, e.parameters.down,
           matmul(stream, of_gate_up, x, {.transpose_a = true}),
           matmul(stream, rows, activate(stream, gate_up, swiglu), {.transpose_a = true})}};
}

} // namespace moec
