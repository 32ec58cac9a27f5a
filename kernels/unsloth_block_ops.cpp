// The ops of the blocks: Qwen3, Llama-4.
#include "kernels/host.h"
#include "kernels/registration.h"
#include "kernels/unsloth_blocks.h"

namespace moec {

namespace {

using Type = OpParameter::Type;
constexpr double kF32Error = 5e-5, kLowError = 8e-2;

void run_qwen3(OpCall &c) {
  Qwen3MoeBlock block({c.in("gate"), c.in("gate_up_proj"), c.in("down_proj")}, static_cast<int>(c.integer("topk")),
                      c.flag("norm_topk_prob"));
  Qwen3MoeBlock::Steps steps;
  Qwen3MoeBlock::Result r = block.forward(c.stream(), c.in("x"), &steps);
  c.out("y", r.y);
  c.out("router_logits", steps.gate.logits);
  c.out("topk_weights", steps.gate.weights);
  c.out("token_counts_by_expert", steps.experts.routing.counts);
  c.out("gather_indices", steps.experts.routing.slot_ids);
  c.out("first_gemm", steps.experts.gate_up);
  c.out("intermediate", steps.experts.activated);
  c.out("second_gemm", steps.experts.rows);
  if (!c.has("grad_output") || !c.wants({"grad_x", "grad_gate", "grad_gate_up_proj", "grad_down_proj"})) return;
  c.backward([&c, block, kept = r.kept] {
    Qwen3MoeBlock::Grads g = block.backward(c.stream(), c.in("grad_output"), kept);
    c.out("grad_x", g.x);
    c.out("grad_gate", g.parameters.gate);
    c.out("grad_gate_up_proj", g.parameters.gate_up_proj);
    c.out("grad_down_proj", g.parameters.down_proj);
  });
}

void run_llama4(OpCall &c) {
  Llama4MoeBlock block(
      {c.in("router"), c.in("gate_up_proj"), c.in("down_proj"), c.in("shared_gate_up"), c.in("shared_down")});
  Llama4MoeBlock::Result r = block.forward(c.stream(), c.in("x"));
  c.out("y", r.y);
  if (!c.has("grad_output") || !c.wants({"grad_x", "grad_router", "grad_gate_up_proj", "grad_down_proj",
                                         "grad_shared_gate_up", "grad_shared_down"}))
    return;
  c.backward([&c, block, kept = r.kept] {
    Llama4MoeBlock::Grads g = block.backward(c.stream(), c.in("grad_output"), kept);
    c.out("grad_x", g.x);
    c.out("grad_router", g.parameters.router);
    c.out("grad_gate_up_proj", g.parameters.gate_up_proj);
    c.out("grad_down_proj", g.parameters.down_proj);
    c.out("grad_shared_gate_up", g.parameters.shared_gate_up);
    c.out("grad_shared_down", g.parameters.shared_down);
  });
}

OpTensor output(const char *name, const char *shape, const char *what, double low_error = kLowError) {
  return {name, shape, "x", what, true, false, kF32Error, low_error};
}
OpTensor gradient(const std::string &of, const char *shape) {
  return {"grad_" + of, shape, "x", "gradient of " + of, true, true, kF32Error, kLowError};
}

/// The tensors of a block: what both have, the name of the router's matrix, and what one has alone.
std::vector<OpTensor> tensors_of(const char *router, const std::vector<OpTensor> &parameters,
                                 const std::vector<OpTensor> &outputs, const std::vector<OpTensor> &gradients) {
  std::vector<OpTensor> all{{"x", "[B, S, D]", "f32 bf16 f16 f64", "tokens; [T, D], too"},
                            {router, "[E, D]", "x", "router"},
                            {"gate_up_proj", "[E, 2*I, D]", "x", "first product, rows of gate first"},
                            {"down_proj", "[E, D, I]", "x", "second product"}};
  auto add = [&](const std::vector<OpTensor> &more) { all.insert(all.end(), more.begin(), more.end()); };
  add(parameters);
  add({{"grad_output", "[B, S, D]", "x", "gradient of y", false, true}, output("y", "[B, S, D]", "result")});
  add(outputs);
  add({gradient("x", "[B, S, D]"), gradient(router, "[E, D]"), gradient("gate_up_proj", "[E, 2*I, D]"),
       gradient("down_proj", "[E, D, I]")});
  add(gradients);
  return all;
}

Op qwen3() {
  return {
      "unsloth_qwen3_moe_block",
      "the MoE block of Qwen3 with its gradients",
      "logits = x gate^T; w = the K greatest of softmax(logits) in f32, over their sum if norm_topk_prob, rounded; "
      "for each chosen e: o = (silu(g) u) down[e]^T, [g | u] = x gate_up[e]^T; y[t] = sum over slots of o w",
      "unsloth kernels.moe.grouped_gemm.reference.layers.qwen3_moe.Qwen3MoeGroupedGEMMBlock",
      "as gate_route and moe_experts_e2e; silu(g) and each o w are rounded to x's dtype, as in the source; gradients "
      "of x through experts and router are rounded, then added",
      {{"topk", Type::integer, "", "K", {}, true},
       {"norm_topk_prob", Type::boolean, "true", "divide the weights by their sum"},
       {"activation", Type::text, "swiglu", "between the products", {"swiglu"}}},
      tensors_of("gate", {},
                 {output("router_logits", "[T, E]", "logits"),
                  output("topk_weights", "[T, K]", "w", 8e-3),
                  {"token_counts_by_expert", "[E]", "i64", "rows of each expert", true},
                  {"gather_indices", "[T*K]", "i64", "slot of each row", true},
                  output("first_gemm", "[T*K, 2*I]", "[g | u] of each row"),
                  output("intermediate", "[T*K, I]", "silu(g) u"),
                  output("second_gemm", "[T*K, D]", "o")},
                 {}),
      {"matmul", "gate_select", "route_sort", "route_count", "route_place", "grouped_mm", "combine_rows",
       "select_backward", "grouped_mm_backward_b", "weighted_swiglu", "activation_backward", "slot_gather", "add"},
      {"Qwen3MoeBlock::forward", "Qwen3MoeBlock::backward"},
      run_qwen3};
}

Op llama4() {
  return {"unsloth_llama4_moe_block",
          "the MoE block of Llama-4 with its gradients",
          "logits = x router^T; e = the expert of the greatest, w = sigmoid of it in f32, rounded; y = (silu(g) u) "
          "down[e]^T + (silu(g') u') shared_down^T, [g | u] = (w x) gate_up[e]^T, [g' | u'] = x shared_gate_up^T",
          "unsloth kernels.moe.grouped_gemm.reference.layers.llama4_moe.Llama4GroupedGemmTextMoe",
          "as unsloth_calculate_topk and moe_experts_e2e; silu(g) is rounded to x's dtype, as in the source; gradients "
          "of x through experts, router and shared expert are "
          "rounded, then added; grad_w: row_dots",
          {},
          tensors_of("router",
                     {{"shared_gate_up", "[2*H, D]", "x", "the shared expert's first product"},
                      {"shared_down", "[D, H]", "x", "and its second"}},
                     {}, {gradient("shared_gate_up", "[2*H, D]"), gradient("shared_down", "[D, H]")}),
          {"matmul", "calculate_topk", "route_sort", "route_count", "route_place", "gather_rows", "grouped_mm",
           "combine_rows", "row_dots", "select_backward", "grouped_mm_backward_b", "activation", "activation_backward",
           "slot_gather", "add"},
          {"Llama4MoeBlock::forward", "Llama4MoeBlock::backward"},
          run_llama4};
}

} // namespace

void register_unsloth_blocks(Library &l) {
  l.ops.push_back(qwen3());
  l.ops.push_back(llama4());
}

} // namespace moec
