// The experts layers: configuration, checks, forward and backward.
#include "kernels/experts.h"

#include <fmt/format.h>

#include "kernels/activation_formula.h"
#include "kernels/convert.h"
#include "kernels/experts_core.h"
#include "kernels/host.h"

namespace moec {

int64_t MoeConfig::up_dim() const { return activation().gated ? 2 * moe_inter_dim : moe_inter_dim; }

Activation MoeConfig::activation() const {
  return activation_named(expert_activation, activation_alpha, activation_limit, swiglu_limit);
}

ExpertsLayer::ExpertsLayer(MoeConfig config, const Form &form, Device device,
                           std::shared_ptr<const Communicator> communicator)
    : config_(std::move(config)), form_(form), activation_(config_.activation()), device_(device),
      communicator_(std::move(communicator)) {
  const MoeConfig &c = config_;
  auto check = [&](bool fits, const std::string &wrong, const char *todo) {
    check_that(fits, form_.name, wrong, todo);
  };
  check(c.n_routed_experts >= 1 && c.n_routed_experts <= 4096,
        fmt::format("n_routed_experts is {}", c.n_routed_experts), "it must be 1 to 4096");
  check(c.n_activated_experts >= 1 && c.n_activated_experts <= c.n_routed_experts,
        fmt::format("n_activated_experts is {}", c.n_activated_experts), "it must be 1 to n_routed_experts");
  check(c.expert_dim() >= 1 && c.expert_dim() <= 1 << 24, fmt::format("the experts' dim is {}", c.expert_dim()),
        "it must be 1 to 2^24");
  check(c.moe_inter_dim >= 1 && c.moe_inter_dim <= 1 << 23, fmt::format("moe_inter_dim is {}", c.moe_inter_dim),
        "it must be 1 to 2^23");
  check(is_float(form_.dtype) && !is_fp8(form_.dtype),
        fmt::format("the parameters' dtype is {}", moec::name(form_.dtype)), "it must be f32, bf16, f16 or f64");
  check_activation(form_.name, activation_);
  check(communicator_ != nullptr, "there is no communicator", "pass a SingleRank");
  check(communicator_->size() == 1, fmt::format("the communicator has {} ranks", communicator_->size()),
        "only one rank is there so far: pass a SingleRank");
}

const Communicator &ExpertsLayer::communicator() const {
  check_that(communicator_ != nullptr, form_.name, "the layer was moved to another", "use that one");
  return *communicator_;
}

GroupedExperts::GroupedExperts(MoeConfig config, Device device, std::shared_ptr<const Communicator> communicator)
    : ExpertsLayer(config, {"GroupedExperts", config.dtype, false, false, false}, device, std::move(communicator)) {}

GroupedExpertsDeepEP::GroupedExpertsDeepEP(MoeConfig config, Device device,
                                           std::shared_ptr<const Communicator> communicator, DType dtype)
    : ExpertsLayer(std::move(config), {"GroupedExpertsDeepEP", dtype, false, true, false, true}, device,
                   std::move(communicator)) {}

GroupedExpertsTE::GroupedExpertsTE(MoeConfig config, Device device, std::shared_ptr<const Communicator> communicator)
    : ExpertsLayer(config, {"GroupedExpertsTE", config.dtype, true}, device, std::move(communicator)) {
  check_that(!config.apply_router_weight_after_down, "GroupedExpertsTE",
             "its linear maps add the down bias themselves, so it cannot apply router weights after them",
             "set apply_router_weight_after_down to false, or take GroupedExperts or GroupedExpertsDeepEP");
}

void ExpertsLayer::check_call(const Tensor &x, const Tensor &token_mask, const Tensor &weights,
                              const Tensor &indices) const {
  auto what = [&](const char *tensor) { return Asked(form_.name, tensor); };
  check_shape(what("x"), x, {-1, config_.expert_dim()});
  check_dtype(what("x"), x, {f32, bf16, f16, f64});
  check_shape(what("indices"), indices, {x.size(0), config_.n_activated_experts});
  check_dtype(what("indices"), indices, {i32, i64});
  check_shape(what("weights"), weights, {x.size(0), config_.n_activated_experts});
  check_dtype(what("weights"), weights, {f32, bf16, f16, f64});
  if (token_mask.defined()) {
    check_shape(what("token_mask"), token_mask, {x.size(0)});
    check_dtype(what("token_mask"), token_mask, {boolean});
  }
}

ExpertsForm ExpertsLayer::expert_form() const {
  return {activation_, config_.apply_router_weight_after_down ? RouterWeights::output : RouterWeights::activation,
          form_.transposed, communicator().rank() * local_experts(), form_.round_weighted};
}

static ExpertParameters as_dtype(const Stream &stream, const ExpertParameters &p, DType dtype) {
  auto one = [&](const Tensor &t) { return t.defined() ? as_dtype(stream, t, dtype) : t; };
  return {one(p.gate_up), one(p.down), one(p.gate_up_bias), one(p.down_bias)};
}

ExpertsResult ExpertsLayer::forward(const Stream &stream, const Tensor &x, const Tensor &token_mask,
                                    const Tensor &weights, const Tensor &indices, ExpertsSteps *steps) const {
  check_ready();
  check_call(x, token_mask, weights, indices);
  return experts_forward(stream, expert_form(), as_dtype(stream, parameters_, x.dtype()), x, token_mask, weights,
                         indices, steps);
}

ExpertsGrads ExpertsLayer::backward(const Stream &stream, const Tensor &grad, const ExpertsKept &kept) const {
  check_ready();
  const Asked asked(form_.name, "gradient");
  check_kept(form_.name, config_, kept);
  check_shape(asked, grad, {kept.x.size(0), kept.x.size(1)});
  check_dtype(asked, grad, {kept.x.dtype()});
  return experts_backward(stream, expert_form(), as_dtype(stream, parameters_, kept.x.dtype()), grad, kept,
                          form_.dtype);
}

void ExpertsLayer::drop_idle_gradients(const Stream &stream, const ExpertsKept &kept, ExpertsGrads &grads) const {
  check_kept(form_.name, config_, kept);
  stream.synchronize();
  if (kept.offs.to_vector<int32_t>().back() > 0) return;
  if (!form_.idle_x) grads.x = {};
  if (!form_.idle_biases) grads.parameters.gate_up_bias = grads.parameters.down_bias = {};
}

} // namespace moec
