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
const ExpertsForm kQwen3Form{Activation::swiglu(), RouterWeights::output, true};
const ExpertsForm kLlama4Form{Activation::swiglu(), RouterWeights::input, true};
constexpr TopKOptions kLlama4Scores{.sigmoid = true, .pre_act = false};

/// Of a block with these parameters; they must fit.
MoeConfig config_of(const char *block, const Tensor &router, const Tensor &gate_up, const Tensor &down, int topk) {
  auto what = [&](const char *tensor) { return fmt::format("{}: {}", block, tensor); };
  check_rank(what("router").c_str(), router, 2);
  check_dtype(what("router").c_str(), router, {f32, bf16, f16, f64});
  check_that(router.numel() > 0, block, "the router is " + router.text(), "its sizes must be positive");
  MoeConfig c;
  c.n_routed_experts = static_cast<int>(router.size(0)), c.n_activated_experts = topk;
  c.dim = router.size(1), c.dtype = router.dtype();
  check_shape(what("down_proj").c_str(), down, {c.n_routed_experts, c.dim, -1});
  c.moe_inter_dim = down.size(2);
  check_shape(what("gate_up_proj").c_str(), gate_up, {c.n_routed_experts, 2 * c.moe_inter_dim, c.dim});
  for (const Tensor &t : {gate_up, down}) check_dtype(what("gate_up_proj and down_proj").c_str(), t, {c.dtype});
  check_that(topk >= 1 && topk <= c.n_routed_experts, block,
             fmt::format("topk is {} of {} experts", topk, c.n_routed_experts), "it must be 1 to their number");
  return c;
}

/// x [..., D] as [T, D].
Tensor tokens_of(const Stream &stream, const std::string &what, const Tensor &x, const MoeConfig &c) {
  check_that(x.defined() && (x.rank() == 2 || x.rank() == 3) && x.size(-1) == c.dim, what.c_str(),
             fmt::format("it is {}", x.defined() ? x.text() : "missing"),
             fmt::format("its shape must be [*, {0}] or [*, *, {0}]", c.dim).c_str());
  check_dtype(what.c_str(), x, {c.dtype});
  return packed(stream, x).reshape({x.numel() / c.dim, c.dim});
}

/// The gradient of y, of shape [T, D].
Tensor gradient_of(const Stream &stream, const std::string &block, const Tensor &grad, const ExpertsKept &kept,
                   const MoeConfig &c) {
  check_that(kept.x.defined(), block.c_str(), "backward() without what a forward pass kept",
             "pass the kept part of forward()'s result");
  Tensor rows = tokens_of(stream, block + ": gradient", grad, c);
  check_shape((block + ": gradient").c_str(), rows, {kept.x.size(0), c.dim});
  return rows;
}

int64_t bytes_of(std::initializer_list<Tensor> parameters) {
  int64_t bytes = 0;
  for (const Tensor &t : parameters) bytes += t.numel() * size_bytes(t.dtype());
  return bytes;
}

} // namespace

Qwen3MoeBlock::Qwen3MoeBlock(Parameters p, int topk, bool norm_topk_prob)
    : p_(std::move(p)), config_(config_of(kQwen3, p_.gate, p_.gate_up_proj, p_.down_proj, topk)) {
  config_.apply_router_weight_after_down = true;
  options_.topk = topk;
  options_.softmax_before_topk = true;
  options_.norm_topk_prob = norm_topk_prob, options_.norm_one = true;
}

std::string Qwen3MoeBlock::describe(int64_t tokens) const {
  return describe_experts(kQwen3, config_, bytes_of({p_.gate, p_.gate_up_proj, p_.down_proj}), config_.dtype, tokens,
                          config_.dtype);
}

Qwen3MoeBlock::Result Qwen3MoeBlock::forward(const Stream &stream, const Tensor &x, Steps *steps) const {
  Tensor tokens = tokens_of(stream, "Qwen3MoeBlock: x", x, config_);
  GateOutput gate = gate_forward(stream, tokens, {p_.gate, {}, {}}, options_);
  ExpertsResult r = experts_forward(stream, kQwen3Form, {p_.gate_up_proj, p_.down_proj, {}, {}}, tokens, {},
                                    gate.weights, gate.indices, steps ? &steps->experts : nullptr);
  if (steps) steps->gate = gate;
  return {r.y.reshape(x.shape()), r.kept};
}

Qwen3MoeBlock::Grads Qwen3MoeBlock::backward(const Stream &stream, const Tensor &grad, const ExpertsKept &kept) const {
  Tensor rows = gradient_of(stream, kQwen3, grad, kept, config_);
  ExpertsGrads e =
      experts_backward(stream, kQwen3Form, {p_.gate_up_proj, p_.down_proj, {}, {}}, rows, kept, config_.dtype);
  const GateParameters router{p_.gate, {}, {}};
  GateGrads g =
      gate_backward(stream, e.weights, kept.x, router, gate_forward(stream, kept.x, router, options_), options_);
  return {add(stream, e.x, g.x).reshape(grad.shape()), {g.weight, e.parameters.gate_up, e.parameters.down}};
}

Llama4MoeBlock::Llama4MoeBlock(Parameters p, int topk)
    : p_(std::move(p)), config_(config_of(kLlama4, p_.router, p_.gate_up_proj, p_.down_proj, topk)) {
  check_that(topk == 1, kLlama4, fmt::format("topk is {}", topk),
             "it must be 1: the weight multiplies the input of the one expert");
  check_shape("Llama4MoeBlock: shared_down", p_.shared_down, {config_.dim, -1});
  check_shape("Llama4MoeBlock: shared_gate_up", p_.shared_gate_up, {2 * p_.shared_down.size(1), config_.dim});
  for (const Tensor &t : {p_.shared_gate_up, p_.shared_down})
    check_dtype("Llama4MoeBlock: shared expert", t, {config_.dtype});
}

std::string Llama4MoeBlock::describe(int64_t tokens) const {
  return describe_experts(kLlama4, config_,
                          bytes_of({p_.router, p_.gate_up_proj, p_.down_proj, p_.shared_gate_up, p_.shared_down}),
                          config_.dtype, tokens, config_.dtype);
}

Llama4MoeBlock::Result Llama4MoeBlock::forward(const Stream &stream, const Tensor &x) const {
  Tensor tokens = tokens_of(stream, "Llama4MoeBlock: x", x, config_);
  TopKWeights best = calculate_topk(stream, matmul(stream, tokens, p_.router, {.transpose_b = true}), 1, kLlama4Scores);
  ExpertsResult r =
      experts_forward(stream, kLlama4Form, {p_.gate_up_proj, p_.down_proj, {}, {}}, tokens, {}, best.weights, best.ids);
  Tensor gate_up = matmul(stream, tokens, p_.shared_gate_up, {.transpose_b = true});
  Tensor shared =
      matmul(stream, activate(stream, gate_up, kLlama4Form.activation), p_.shared_down, {.transpose_b = true});
  return {add(stream, r.y, shared).reshape(x.shape()), r.kept};
}

Llama4MoeBlock::Grads Llama4MoeBlock::backward(const Stream &stream, const Tensor &grad,
                                               const ExpertsKept &kept) const {
  const Activation &swiglu = kLlama4Form.activation;
  const Tensor &x = kept.x;
  Tensor rows = gradient_of(stream, kLlama4, grad, kept, config_);
  ExpertsGrads e =
      experts_backward(stream, kLlama4Form, {p_.gate_up_proj, p_.down_proj, {}, {}}, rows, kept, config_.dtype);
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
