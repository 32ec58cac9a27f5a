// The op moe_experts_e2e: a GroupedExperts layer with its gradients.
#include "kernels/experts.h"
#include "kernels/host.h"
#include "kernels/registration.h"

namespace moec {

namespace {

GroupedExperts layer_of(OpCall &c) {
  const Tensor &down = c.in("down_projs");
  check_rank("moe_experts_e2e: down_projs", down, 3);
  check_rank("moe_experts_e2e: indices", c.in("indices"), 2);
  MoeConfig config;
  config.n_routed_experts = static_cast<int>(down.size(0));
  config.n_activated_experts = static_cast<int>(c.in("indices").size(1));
  config.dim = down.size(2);
  config.moe_inter_dim = down.size(1);
  config.expert_activation = c.text("activation");
  config.expert_bias = c.flag("expert_bias");
  config.activation_alpha = c.floating("activation_alpha");
  config.activation_limit = c.floating("activation_limit");
  config.swiglu_limit = c.floating("swiglu_limit");
  config.apply_router_weight_after_down = c.flag("apply_router_weight_after_down");
  config.dtype = down.dtype();
  const char *layout = config.activation().interleaved ? "interleaved" : "concat";
  check_that(c.text("gate_up_layout").empty() || c.text("gate_up_layout") == layout, "moe_experts_e2e: gate_up_layout",
             "the activation reads gate and up in the other layout", "quick_geglu is interleaved, all others concat");
  GroupedExperts layer(config, c.stream().device());
  layer.set_parameters({c.in("gate_and_up_projs"), down, c.given("gate_up_proj_bias"), c.given("down_proj_bias")});
  return layer;
}

void run_experts(OpCall &c) {
  auto made = std::make_shared<const GroupedExperts>(layer_of(c));
  const GroupedExperts &layer = *made;
  ExpertsSteps steps;
  ExpertsResult r =
      layer.forward(c.stream(), c.in("x"), c.given("token_mask"), c.in("weights"), c.in("indices"), &steps);
  c.out("y", r.y);
  c.out("tokens_per_expert", steps.routing.counts);
  c.out("offs", steps.routing.offs);
  const Tensor &offs = steps.routing.offs;
  c.out_rows("sorted_slot_ids", steps.routing.slot_ids, offs);
  c.out_rows("sorted_token_ids", steps.routing.token_ids, offs);
  c.out_rows("sorted_weights", steps.routing.weights, offs);
  c.out_rows("gate_up_out", steps.gate_up, offs);
  c.out_rows("activated", steps.activated, offs);
  c.out_rows("expert_out", steps.rows, offs);
  if (!c.has("grad_output") || !c.wants({"grad_x", "grad_weights", "grad_gate_and_up_projs", "grad_down_projs",
                                         "grad_gate_up_proj_bias", "grad_down_proj_bias"}))
    return;
  c.backward([&c, made, kept = r.kept] {
    ExpertsGrads g = made->backward(c.stream(), c.in("grad_output"), kept);
    c.out("grad_x", g.x);
    c.out("grad_weights", g.weights);
    c.out("grad_gate_and_up_projs", g.parameters.gate_up);
    c.out("grad_down_projs", g.parameters.down);
    if (!made->config().expert_bias) return;
    c.out("grad_gate_up_proj_bias", g.parameters.gate_up_bias);
    c.out("grad_down_proj_bias", g.parameters.down_bias);
  });
}

} // namespace

/// Forms of the products that only layers have.
static void add_rows(Library &l) {
  l.add_specializations({
      {"grouped_mm", "experts=128,k=2880,n=2880,width=2880,bias=true,round_product=true,bias_weighted=true",
       "gpt-oss-120b, down"},
      {"grouped_mm", "experts=128,k=2048,n=768,width=768,transposed=true,gather=true", "Qwen3-30B-A3B, backward"},
      {"grouped_mm",
       "experts=4,k=17,n=26,width=13,bm=32,bn=32,bk=16,dtype=f64,out=f64,bias_dtype=f64,M=20,rows=9,gather=true,bias="
       "true,keep=true,activated=true,weighted=true",
       "sizes that divide nothing, f64", 4, 2},
      {"grouped_mm_backward_b", "experts=128,k=768,n=2048,scatter=true,out=f32", "Qwen3-30B-A3B, down, f32 gradients"},
  });
}

void register_experts(Library &l) {
  add_rows(l);
  using Type = OpParameter::Type;
  const double f32_error = 4e-5, low_error = 8e-2;
  l.ops.push_back(
      {"moe_experts_e2e",
       "an experts layer and its gradients",
       "for kept slots k of token t with e = indices[t,k], w = weights[t,k]: h = x[t] W1[e] + b1[e]; a = act(h) w; o = "
       "a "
       "W2[e] + b2[e] w, each, and each product before its bias, rounded to x's dtype; y[t] = sum over k of o in f32, "
       "rounded. "
       "apply_router_weight_after_down: w = 1, and weights[t,k] multiplies o in the sum",
       "nemo_automodel components.moe.experts.GroupedExperts.forward",
       "products as grouped_mm, bias gradients as apply_bias; slots in ascending order in f32, one rounding; gradients "
       "of "
       "parameters not rounded to x's dtype in between",
       {{"activation",
         Type::text,
         "swiglu",
         "between the products",
         {"swiglu", "swigluoai", "quick_geglu", "geglu", "relu2"}},
        {"swiglu_limit", Type::floating, "0", "clamp of swiglu; 0: none"},
        {"activation_alpha", Type::floating, "1.702", "alpha of swigluoai and quick_geglu"},
        {"activation_limit", Type::floating, "7", "clamp of swigluoai and quick_geglu"},
        {"gate_up_layout",
         Type::text,
         "",
         "columns of gate_and_up_projs; the activation decides",
         {"concat", "interleaved"}},
        {"expert_bias", Type::boolean, "false", "biases of both products"},
        {"apply_router_weight_after_down", Type::boolean, "false", "weights after the second product"},
        {"path", Type::text, "loop", "which upstream path was recorded; the result is one", {"loop", "torch_mm"}}},
       {{"x", "[T, D]", "f32 bf16 f16 f64", "tokens"},
        {"indices", "[T, K]", "i64 i32", "expert of each slot; others than 0 to E-1 are skipped"},
        {"weights", "[T, K]", "f32 bf16 f16 f64", "weight of each slot"},
        {"token_mask", "[T]", "bool", "false: skip the token", false, true},
        {"gate_and_up_projs", "[E, D, U]", "down_projs", "W1; U = 2*I, relu2: I"},
        {"down_projs", "[E, I, D]", "f32 bf16 f16 f64", "W2; parameters are rounded to x's dtype"},
        {"gate_up_proj_bias", "[E, U]", "down_projs", "b1", false, true},
        {"down_proj_bias", "[E, D]", "down_projs", "b2", false, true},
        {"grad_output", "[T, D]", "x", "gradient of y", false, true},
        {"y", "[T, D]", "x", "result", true, false, f32_error, low_error},
        {"tokens_per_expert", "[E]", "i64", "rows of each expert", true},
        {"offs", "[E]", "i32", "inclusive sums of them", true},
        {"sorted_token_ids", "[N]", "i64", "token of each row", true},
        {"sorted_slot_ids", "[N]", "i64", "slot of each row", true},
        {"sorted_weights", "[N]", "f32", "weight of each row; f64 for f64 weights", true},
        {"gate_up_out", "[N, U]", "x", "h", true, false, f32_error, low_error},
        {"activated", "[N, I]", "x", "a", true, false, f32_error, low_error},
        {"expert_out", "[N, D]", "x", "o", true, false, f32_error, low_error},
        {"grad_x", "[T, D]", "x", "gradient of x", true, true, f32_error, low_error},
        {"grad_weights", "[T, K]", "weights", "gradient of weights", true, true, f32_error, low_error},
        {"grad_gate_and_up_projs", "[E, D, U]", "gate_and_up_projs", "gradient of W1", true, true, f32_error,
         low_error},
        {"grad_down_projs", "[E, I, D]", "down_projs", "gradient of W2", true, true, f32_error, low_error},
        {"grad_gate_up_proj_bias", "[E, U]", "gate_up_proj_bias", "gradient of b1", true, true, f32_error, low_error},
        {"grad_down_proj_bias", "[E, D]", "down_proj_bias", "gradient of b2", true, true, f32_error, low_error}},
       {"route_sort", "route_count", "route_place", "grouped_mm", "combine_rows", "grouped_mm_backward_b",
        "weighted_swiglu", "activation_backward", "gather_rows", "bias_grad", "sum_rows", "add", "slot_gather",
        "convert"},
       {"GroupedExperts", "GroupedExpertsDeepEP", "GroupedExpertsTE", "ExpertsLayer::forward",
        "ExpertsLayer::backward"},
       run_experts});
}

} // namespace moec
