// The fused forms of permute and unpermute (TransformerEngine's row_id_map), and permute with padded experts.
#include <fmt/format.h>

#include "kernels/moe.h"
#include "kernels/permute.h"
#include "kernels/registration.h"

namespace moec {

Permuted permute_fused(const Stream &stream, const Tensor &tokens, const Tensor &routing_map, const Tensor &probs,
                       int64_t num_out_tokens) {
  check_permute("permute_fused", tokens, routing_map, probs);
  if (tokens.numel() == 0) { // no tokens or no columns
    auto none = [](const Tensor &t) { return t.defined() ? t.slice(0, 0, 0) : t; };
    return {Tensor::empty(tokens.shape(), tokens.dtype(), stream),
            route_map(stream, none(routing_map), none(probs), {.rows = 0, .row_id_map = true, .zero_rows = true})};
  }
  check_that(num_out_tokens > 0, "permute_fused: num_out_tokens", fmt::format("it is {}", num_out_tokens),
             "give the number of routed pairs, or a bound of it");
  RoutingMap map =
      route_map(stream, routing_map, probs, {.rows = num_out_tokens, .row_id_map = true, .zero_rows = true});
  return {spread_rows(stream, "permute_fused", tokens, map, num_out_tokens, {.zero = probs.defined()}), map};
}

Permuted permute_padded(const Stream &stream, const Tensor &tokens, const Tensor &routing_map, const Tensor &probs,
                        int topk, int multiple) {
  check_permute("permute_padded", tokens, routing_map, probs);
  const int64_t experts = routing_map.size(1);
  check_range("permute_padded", "topk", topk, 1, experts);
  check_range("permute_padded", "multiple", multiple, 1, 1 << 16);
  const int64_t rows = cdiv(tokens.size(0) * topk + experts * (multiple - 1), int64_t{multiple}) * multiple;
  check_that(rows < int64_t{1} << 31, "permute_padded", "there are 2^31 rows or more", "do it in parts");
  RoutingMap map = route_map(stream, routing_map, probs,
                             {.rows = rows, .pad_multiple = multiple, .row_id_map = true, .zero_rows = true});
  return {spread_rows(stream, "permute_padded", tokens, map, rows, {.zero = probs.defined()}), map};
}

Tensor unpermute_fused(const Stream &stream, const Tensor &permuted, const Tensor &row_id_map,
                       const Tensor &merging_probs) {
  RoutingMap map;
  map.row_id_map = row_id_map;
  return sum_token_rows(stream, "unpermute_fused", permuted, map, merging_probs);
}

UnpermuteGrads unpermute_fused_backward(const Stream &stream, const Tensor &grad, const Tensor &permuted,
                                        const Tensor &row_id_map, const Tensor &merging_probs) {
  RoutingMap map;
  map.row_id_map = row_id_map;
  return unpermute_backward(stream, grad, permuted, map, merging_probs);
}

// -------------------------------------------------------------------------------------------------------------
// registration

static void run_fused(OpCall &c) {
  Tensor probs = c.given("probs");
  const int multiple = static_cast<int>(c.integer("pad_multiple"));
  Permuted p = multiple > 1
                   ? permute_padded(c.stream(), c.in("tokens"), c.in("routing_map"), probs,
                                    static_cast<int>(c.integer("topk")), multiple)
                   : permute_fused(c.stream(), c.in("tokens"), c.in("routing_map"), probs, c.integer("num_out_tokens"));
  put_permuted(c, p);
  c.out("row_id_map", p.map.row_id_map);
  c.out("tokens_per_expert", p.map.counts);
  if (c.wants({"unpermuted_noprobs"}))
    c.out("unpermuted_noprobs", unpermute_fused(c.stream(), p.tokens, p.map.row_id_map));
  if (probs.defined() && c.wants({"unpermuted_merging_probs"}))
    c.out("unpermuted_merging_probs", unpermute_fused(c.stream(), p.tokens, p.map.row_id_map, probs));
  c.backward([&c, p, probs] {
    put_permute_grads(c, p);
    if (!c.has("grad_output") || !c.wants({"grad_rows", "grad_merging_probs"})) return;
    UnpermuteGrads g = unpermute_backward(c.stream(), c.in("grad_output"), p.tokens, p.map, probs);
    c.out("grad_rows", g.permuted);
    if (g.probs.defined()) c.out("grad_merging_probs", g.probs);
  });
}

static void run_unpermute_fused(OpCall &c) {
  const Tensor &rows = c.in("permuted_tokens"), &map = c.in("row_id_map"), probs = c.given("merging_probs");
  if (c.wants({"output"})) c.out("output", unpermute_fused(c.stream(), rows, map, probs));
  if (!c.has("grad_output") || !c.wants({"grad_permuted_tokens", "grad_merging_probs"})) return;
  c.backward([&c, rows, map, probs] {
    UnpermuteGrads g = unpermute_fused_backward(c.stream(), c.in("grad_output"), rows, map, probs);
    c.out("grad_permuted_tokens", g.permuted);
    if (g.probs.defined()) c.out("grad_merging_probs", g.probs);
  });
}

static void register_unpermute_fused(Library &l) {
  l.ops.push_back(
      {"unpermute_fused_te",
       "unpermute by row_id_map alone",
       "output[t] = sum over the token's rows r, of experts e, of permuted_tokens[r] (* merging_probs[t,e]); "
       "grad_permuted_tokens[r] = g[t] (* merging_probs[t,e]), 0 for rows of no token; grad_merging_probs[t,e] = sum "
       "over d of g[t,d] permuted_tokens[r,d]",
       "transformer_engine moe_unpermute (mask map)",
       "experts ascending in f32 (f64 if rows or probs are f64), one rounding; grad_merging_probs: blocks of 4096 "
       "columns ascending, each a balanced tree",
       {},
       {{"permuted_tokens", "[N, D]", "f32 bf16 f16 f64", "rows"},
        {"row_id_map", "[T, 2*E+1]", "i32", "as permute_fused_te gives it"},
        {"merging_probs", "[T, E]", "f32 bf16 f16 f64", "weights of the rows", false, true},
        {"grad_output", "[T, D]", "permuted_tokens", "gradient of output", false, true},
        {"output", "[T, D]", "permuted_tokens", "sums", true, false, 1e-6, 8e-3},
        {"grad_permuted_tokens", "[N, D]", "permuted_tokens", "gradient of the rows", true, true, 1e-6, 8e-3},
        {"grad_merging_probs", "[T, E]", "merging_probs", "gradient of merging_probs", true, true, 1e-6, 2e-2}},
       {"sum_token_rows", "spread_rows"},
       {"unpermute_fused", "unpermute_fused_backward"},
       run_unpermute_fused});
}

void register_permute_fused(Library &l) {
  register_unpermute_fused(l);
  using Type = OpParameter::Type;
  l.ops.push_back(
      {"permute_fused_te",
       "permute and unpermute by row_id_map",
       "rows as of permute; with probs a row whose probability is 0 is zero; row_id_map[t]: n rows descending, their "
       "experts from column E on, n in column 2E, else -1; unpermuted[t] = sum of the token's rows (* probs[t,e])",
       "transformer_engine moe_permute, moe_permute_with_probs, moe_unpermute (mask map)",
       "copies; sums add experts in ascending order in f32 (f64 for f64), one rounding",
       {{"num_out_tokens", Type::integer, "0", "rows of the result, at least the routed pairs"},
        {"topk", Type::integer, "0", "with pad_multiple: at most so many experts per token"},
        {"pad_multiple", Type::integer, "1", "each expert's rows are padded with zero rows to a multiple of it"}},
       permute_tensors({
           {"grad_output", "[T, D]", "tokens",
            "gradient of unpermuted_merging_probs, or of unpermuted_noprobs without "
            "probs",
            false, true},
           {"row_id_map", "[T, 2*E+1]", "i32", "rows of each token", true},
           {"tokens_per_expert", "[E]", "i64", "rows of each expert, padding included", true},
           {"unpermuted_noprobs", "[T, D]", "tokens", "sums of rows", true, true, 1e-6, 8e-3},
           {"unpermuted_merging_probs", "[T, D]", "tokens", "sums of weighted rows", true, true, 1e-6, 8e-3},
           {"grad_rows", "[N, D]", "tokens", "gradient of the rows", true, true, 1e-6, 8e-3},
           {"grad_merging_probs", "[T, E]", "probs", "gradient of the weights", true, true, 1e-6, 2e-2},
       }),
       {"map_count", "map_scan", "map_place", "spread_rows", "sum_token_rows", "map_scatter"},
       {"permute_fused", "permute_padded", "count_rows", "unpermute_fused", "permute_backward_tokens",
        "permute_backward_probs", "unpermute_backward"},
       run_fused});
}

} // namespace moec
