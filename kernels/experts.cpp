// The experts layer, forward: route, gather rows, two grouped products with weighted SwiGLU between them, sum back.
#include "kernels/host.h"
#include "kernels/moe.h"
#include "kernels/registration.h"

namespace moec {

ExpertsOutput experts_forward(const Stream &stream, const Tensor &x, const Tensor &indices, const Tensor &weights,
                              const Tensor &gate_and_up, const Tensor &down, const Tensor &token_mask) {
  check_rank("experts_forward: x", x, 2);
  check_dtype("experts_forward: x", x, {f32, bf16, f16, f64});
  check_shape("experts_forward: indices", indices, {x.size(0), -1});
  check_shape("experts_forward: weights", weights, {x.size(0), indices.size(1)});
  check_shape("experts_forward: gate_and_up", gate_and_up, {-1, x.size(1), -1});
  check_that(gate_and_up.size(2) % 2 == 0, "experts_forward: gate_and_up",
             "its last dimension must be even: [gate | up]");
  check_shape("experts_forward: down", down, {gate_and_up.size(0), gate_and_up.size(2) / 2, x.size(1)});
  const int experts = static_cast<int>(down.size(0)), topk = static_cast<int>(indices.size(1));
  ExpertsOutput out;
  out.routing = route_slots(stream, indices, experts, 0, token_mask, weights);
  Tensor rows = gather_rows(stream, x, out.routing.token_ids);
  out.gate_up = grouped_mm(stream, rows, gate_and_up, out.routing.offs);
  out.activated = weighted_swiglu(stream, out.gate_up, out.routing.weights.reshape({-1, 1}));
  out.rows = grouped_mm(stream, out.activated, down, out.routing.offs);
  out.y = combine_rows(stream, out.rows, out.routing.row_ids, topk);
  return out;
}

static void run_experts(OpCall &c) {
  const Tensor &x = c.in("x");
  check_that(c.floating("swiglu_limit") == 0, "moe_experts_e2e: swiglu_limit", "a clamped swiglu");
  Tensor mask = c.has("token_mask") ? c.in("token_mask") : Tensor();
  ExpertsOutput o = experts_forward(c.stream(), x, c.in("indices"), c.in("weights"), c.in("gate_and_up_projs"),
                                    c.in("down_projs"), mask);
  c.out("y", o.y);
  c.out("tokens_per_expert", o.routing.counts);
  c.out("offs", o.routing.offs);
  if (!c.wants({"gate_up_out", "activated", "expert_out", "sorted_token_ids", "sorted_slot_ids", "sorted_weights"}))
    return;
  const Tensor &offs = o.routing.offs;
  c.out_rows("sorted_slot_ids", o.routing.slot_ids, offs);
  c.out_rows("sorted_token_ids", o.routing.token_ids, offs);
  c.out_rows("sorted_weights", o.routing.weights, offs);
  c.out_rows("gate_up_out", o.gate_up, offs);
  c.out_rows("activated", o.activated, offs);
  c.out_rows("expert_out", o.rows, offs);
}

void register_experts(Library &l) {
  using Type = OpParameter::Type;
  l.ops.push_back(
      {"moe_experts_e2e",
       "the experts layer, forward",
       "for kept slots k of token t with e = indices[t,k]: h = x[t] W1[e]; a = silu(gate h) up(h) weights[t,k]; o = a "
       "W2[e], each rounded to x's "
       "dtype; y[t] = sum over k of o in f32, rounded",
       "nemo_automodel components.moe.experts.GroupedExperts.forward",
       "products as grouped_mm; slots in ascending order in f32, one rounding",
       {{"activation", Type::text, "swiglu", "between the products", {"swiglu"}},
        {"swiglu_limit", Type::floating, "0", "clamp of swiglu; 0: none", {"0", "0.0"}},
        {"gate_up_layout", Type::text, "concat", "columns of gate_and_up_projs", {"concat"}},
        {"expert_bias", Type::boolean, "false", "biases of both products", {"false"}},
        {"apply_router_weight_after_down", Type::boolean, "false", "weights after the second product", {"false"}},
        {"path", Type::text, "loop", "which upstream path was recorded; the result is one", {"loop", "torch_mm"}}},
       {{"x", "[T, D]", "f32 bf16 f16 f64", "tokens"},
        {"indices", "[T, K]", "i64 i32", "expert of each slot; others than 0 to E-1 are skipped"},
        {"weights", "[T, K]", "f32 bf16 f16 f64", "weight of each slot"},
        {"token_mask", "[T]", "bool", "false: skip the token", false, true},
        {"gate_and_up_projs", "[E, D, 2*I]", "x", "W1"},
        {"down_projs", "[E, I, D]", "x", "W2"},
        {"y", "[T, D]", "x", "result", true, false, 4e-5, 8e-2},
        {"tokens_per_expert", "[E]", "i64", "rows of each expert", true},
        {"offs", "[E]", "i32", "inclusive sums of them", true},
        {"sorted_token_ids", "[N]", "i64", "token of each row", true},
        {"sorted_slot_ids", "[N]", "i64", "slot of each row", true},
        {"sorted_weights", "[N]", "f32", "weight of each row", true},
        {"gate_up_out", "[N, 2*I]", "x", "h", true, false, 4e-5, 8e-2},
        {"activated", "[N, I]", "x", "a", true, false, 4e-5, 8e-2},
        {"expert_out", "[N, D]", "x", "o", true, false, 4e-5, 8e-2}},
       {"route_count", "route_place", "gather_rows", "grouped_mm", "weighted_swiglu", "combine_rows"},
       run_experts});
}

} // namespace moec
