// Unpermute by routing map: each token's rows summed back. The same kernel is the backward of permute.
#include <algorithm>
#include <fmt/format.h>

#include "kernels/inverse.h"
#include "kernels/moe.h"
#include "kernels/permute.h"
#include "kernels/registration.h"
#include "kernels/rounding.h"
#include "kernels/token_rows.h"

namespace moec {

namespace kernel {
namespace {

struct SumSpec {
  int experts = 128;           ///< of the map
  int cols = 4096;             ///< elements of a row
  int block = 4096;            ///< columns at a time
  bool compact = false;        ///< map is a row_id_map, else token_rows
  bool weighted = false;       ///< times weights[t, e]
  bool round_products = false; ///< to the dtype of x and weights
  static void fields(auto &s, auto &&f) {
    f("experts", s.experts), f("cols", s.cols), f("block", s.block), f("compact", s.compact), f("weighted", s.weighted),
        f("round_products", s.round_products);
  }
};

/// out[t, :] = sum of x[row, :] (* weights[t, e]) over the rows of token t, experts ascending.
void sum_token_rows(const SumSpec &s, View x, View map, View row_counts, View weights, View out) {
  arg_names({"x", "map", "row_counts", "weights", "out"});
  Int T = out.size(0);
  x.expect({x.size(0), s.cols}), out.expect({T, s.cols}), map.expect({T, 2 * s.experts + (s.compact ? 1 : 0)});
  if (!s.compact) row_counts.expect({T});
  if (s.weighted) weights.expect({T, s.experts});
  grid(T);
  Int t = program_id(0);
  RowsOfToken rows = rows_of_token(map, row_counts, t, s.experts, x.size(0), s.compact);
  DType wide = s.weighted && weights.dtype() == f64 ? f64 : wide_dtype(x.dtype());
  Tile w = rows.expert;
  if (s.weighted) w = cast(load(weights(t, rows.expert), rows.real), wide);
  for_columns(s.cols, s.block, [&](Tile col) {
    Tile acc = zeros({s.block}, wide);
    rows.each(w, [&](Int row, Tile weight) {
      Tile v = cast(load(x(row, col)), wide);
      if (s.weighted) v = v * weight;
      acc += s.round_products ? rounded(v, x.dtype()) : v;
    });
    store(out(t, col), cast(acc, out.dtype()));
  });
}

} // namespace
} // namespace kernel

static constexpr Schedule kSchedule{.num_warps = 4};

TokenLists token_lists(const Stream &stream, const std::string &what, const RoutingMap &routing) {
  const bool compact = !routing.token_rows.defined();
  const Tensor &map = compact ? routing.row_id_map : routing.token_rows;
  if (compact) {
    check_rank({what, "row_id_map"}, map, 2);
    check_dtype({what, "row_id_map"}, map, {i32});
    check_tensor(map.size(1) % 2 == 1 && map.size(1) >= 3, {what, "row_id_map"}, map, "its shape must be [T, 2*E+1]");
  } else {
    check_token_rows(what, routing);
  }
  const int64_t experts = map.size(1) / 2;
  check_experts(what, experts);
  return {compact, map, or_empty(stream, compact ? Tensor() : routing.row_counts, 1), map.size(0), experts};
}

bool rounds_products(const RoutingMap &routing, const Tensor &rows, const Tensor &weights) {
  const DType product = kernel::promoted(rows.dtype(), weights.dtype());
  return !routing.row_id_map.defined() && (product == bf16 || product == f16);
}

Tensor sum_token_rows(const Stream &stream, const std::string &what, const Tensor &x, const RoutingMap &routing,
                      const Tensor &weights) {
  check_rank({what, "rows"}, x, 2);
  check_dtype({what, "rows"}, x, {f32, bf16, f16, f64});
  const auto [compact, map, counts, tokens, experts] = token_lists(stream, what, routing);
  check_columns({what, "rows"}, x.size(1));
  if (weights.defined()) {
    check_shape({what, "probs"}, weights, {tokens, experts});
    check_dtype({what, "probs"}, weights, {f32, bf16, f16, f64});
  }
  static const auto run = jit(kernel::sum_token_rows, kSchedule);
  kernel::SumSpec spec{static_cast<int>(experts),  static_cast<int>(x.size(1)),
                       block_for(x.size(1), 4096), compact,
                       weights.defined(),          weights.defined() && rounds_products(routing, x, weights)};
  Tensor out = Tensor::empty({tokens, x.size(1)}, x.dtype(), stream);
  run(stream, spec, x, map, counts, or_empty(stream, weights, 2), out);
  return out;
}

Tensor permute_backward_tokens(const Stream &stream, const Tensor &grad, const RoutingMap &map) {
  return sum_token_rows(stream, "permute_backward_tokens", grad, map);
}

Tensor unpermute(const Stream &stream, const Tensor &permuted, const RoutingMap &map, const Tensor &probs) {
  return sum_token_rows(stream, "unpermute", permuted, map, probs);
}

static void check_indices(const std::string &what, const Tensor &permuted, const Tensor &sorted_indices) {
  check_rank({what, "permuted_tokens"}, permuted, 2);
  check_dtype({what, "permuted_tokens"}, permuted, {f32, bf16, f16, f64});
  check_shape({what, "sorted_indices"}, sorted_indices, {permuted.size(0)});
  check_dtype({what, "sorted_indices"}, sorted_indices, {i32, i64});
}

static void check_gradient(const Tensor &grad, const Tensor &permuted) {
  check_rank("unpermute_backward: gradient", grad, 2);
  check_shape("unpermute_backward: permuted", permuted, {-1, grad.size(1)});
  check_dtype("unpermute_backward: permuted", permuted, {grad.dtype()});
}

/// The routing of rows that came with sorted indices and, where there are probabilities, a map.
static RoutingMap routing_of(const Stream &stream, const std::string &what, const Tensor &permuted,
                             const Tensor &sorted_indices, int64_t tokens, const Tensor &probs, const Tensor &map) {
  check_tokens(what, tokens);
  check_indices(what, permuted, sorted_indices);
  if (!probs.defined()) return {};
  check_that(map.defined(), what, "probs need the routing map", "pass routing_map");
  check_shape({what, "routing_map"}, map, {tokens, -1});
  check_dtype({what, "routing_map"}, map, {boolean});
  check_shape({what, "probs"}, probs, {tokens, map.size(1)});
  return route_map(stream, map, {}, {.sorted_indices = sorted_indices});
}

Tensor unpermute(const Stream &stream, const Tensor &permuted, const Tensor &sorted_indices, int64_t tokens,
                 const Tensor &probs, const Tensor &map) {
  RoutingMap routing = routing_of(stream, "unpermute", permuted, sorted_indices, tokens, probs, map);
  if (probs.defined()) return unpermute(stream, permuted, routing, probs);
  return sum_listed_rows(stream, permuted, list_rows(stream, sorted_indices, tokens));
}

UnpermuteGrads unpermute_backward(const Stream &stream, const Tensor &grad, const Tensor &permuted,
                                  const Tensor &sorted_indices, const Tensor &probs, const Tensor &map) {
  check_gradient(grad, permuted);
  RoutingMap routing = routing_of(stream, "unpermute_backward", permuted, sorted_indices, grad.size(0), probs, map);
  if (probs.defined()) return unpermute_backward(stream, grad, permuted, routing, probs);
  return {gather_rows(stream, grad, sorted_indices), {}};
}

/// The routing that sorted indices of drop and pad stand for.
static RoutingMap routing_of_capacity(const Stream &stream, const Tensor &permuted, const Tensor &sorted_indices,
                                      int64_t tokens, int64_t experts) {
  check_tokens("unpermute_drop_and_pad", tokens);
  check_indices("unpermute_drop_and_pad", permuted, sorted_indices);
  check_experts("unpermute_drop_and_pad", experts);
  check_that(permuted.size(0) % experts == 0, "unpermute_drop_and_pad: permuted_tokens",
             fmt::format("there are {} rows for {} experts", permuted.size(0), experts),
             "their number must be a multiple of the number of experts");
  return list_token_rows(stream, invert_index(stream, sorted_indices, tokens, experts, true));
}

Tensor unpermute_drop_and_pad(const Stream &stream, const Tensor &permuted, const Tensor &sorted_indices,
                              int64_t tokens, int64_t experts, const Tensor &probs) {
  if (!probs.defined()) return unpermute(stream, permuted, sorted_indices, tokens);
  return unpermute(stream, permuted, routing_of_capacity(stream, permuted, sorted_indices, tokens, experts), probs);
}

UnpermuteGrads unpermute_drop_and_pad_backward(const Stream &stream, const Tensor &grad, const Tensor &permuted,
                                               const Tensor &sorted_indices, int64_t experts, const Tensor &probs) {
  check_gradient(grad, permuted);
  if (!probs.defined()) return unpermute_backward(stream, grad, permuted, sorted_indices);
  return unpermute_backward(stream, grad, permuted,
                            routing_of_capacity(stream, permuted, sorted_indices, grad.size(0), experts), probs);
}

// -------------------------------------------------------------------------------------------------------------
// registration

static void put_unpermuted(OpCall &c, const UnpermuteGrads &g) {
  c.out("grad_permuted_tokens", g.permuted);
  if (g.probs.defined()) c.out("grad_probs", g.probs);
}

static int64_t tokens_of(OpCall &c) {
  int64_t tokens = -1;
  for (const char *name : {"grad_output", "routing_map", "probs"})
    if (c.has(name)) {
      check_shape(fmt::format("{}: {}", c.op().name, name), c.in(name), {tokens, -1});
      tokens = c.in(name).size(0);
    }
  return tokens < 0 ? c.integer("tokens") : tokens;
}

static void run_drop_and_pad(OpCall &c) {
  const Tensor &rows = c.in("permuted_tokens"), &indices = c.in("sorted_indices");
  Tensor probs = c.given("probs");
  const int64_t experts = probs.defined() && probs.rank() == 2 ? probs.size(1) : 1;
  if (c.has("routing_map")) {
    check_map("unpermute_drop_and_pad: routing_map", c.in("routing_map"));
    if (probs.defined()) check_shape("unpermute_drop_and_pad: routing_map", c.in("routing_map"), {-1, experts});
  }
  if (c.wants({"output"}))
    c.out("output", unpermute_drop_and_pad(c.stream(), rows, indices, tokens_of(c), experts, probs));
  if (c.has("grad_output") && c.wants({"grad_permuted_tokens", "grad_probs"}))
    c.backward([&c, rows, indices, experts, probs] {
      put_unpermuted(c,
                     unpermute_drop_and_pad_backward(c.stream(), c.in("grad_output"), rows, indices, experts, probs));
    });
}

static void run_unpermute(OpCall &c) {
  if (c.flag("drop_and_pad")) return run_drop_and_pad(c);
  const Tensor &rows = c.in("permuted_tokens"), &indices = c.in("sorted_indices");
  Tensor probs = c.given("probs"), map = c.given("routing_map");
  if (c.wants({"output"})) c.out("output", unpermute(c.stream(), rows, indices, tokens_of(c), probs, map));
  if (c.has("grad_output") && c.wants({"grad_permuted_tokens", "grad_probs"}))
    c.backward([&c, rows, indices, probs, map] {
      put_unpermuted(c, unpermute_backward(c.stream(), c.in("grad_output"), rows, indices, probs, map));
    });
}

static std::vector<OpTensor> unpermute_tensors(const char *map) {
  return {{"permuted_tokens", "[N, D]", "f32 bf16 f16 f64", "rows"},
          {"sorted_indices", "[N]", "i64 i32", "token of each row"},
          {"routing_map", "[T, E]", "bool i8 u8 i32 i64 f16 bf16 f32 f64", map, false, true},
          {"probs", "[T, E]", "f32 bf16 f16 f64", "weights of the rows", false, true},
          {"grad_output", "[T, D]", "permuted_tokens", "gradient of output", false, true},
          {"output", "[T, D]", "permuted_tokens", "sums", true, false, 1e-6, 2e-2},
          {"grad_permuted_tokens", "[N, D]", "permuted_tokens", "gradient of the rows", true, true, 1e-6, 2e-2},
          {"grad_probs", "[T, E]", "probs", "gradient of probs", true, true, 1e-6, 2e-2}};
}

void register_unpermute(Library &l) {
  using Type = OpParameter::Type;
  const std::vector<KernelSetting> sizes{{"T", "4096", "tokens"},
                                         {"N", "32768", "rows"},
                                         {"columns", "256", "of the map: 2*experts, or 2*experts+1 if compact"},
                                         {"dtype", "bf16", "of the rows"},
                                         {"weight", "f32", "of the weights"}};
  add_kernel(l, kernel::sum_token_rows, "sum_token_rows", "sum of each token's rows by map", kSchedule,
             {{"x", "[N, cols]", "dtype"},
              {"map", "[T, columns]", "i32"},
              {"row_counts", "[T]", "i32"},
              {"weights", "[T, experts]", "weight"},
              {"out", "[T, cols]", "dtype"}},
             sizes);
  l.add_specializations({
      {"sum_token_rows", "experts=128,cols=2048,block=2048", "Qwen3-30B-A3B"},
      {"sum_token_rows", "experts=256,columns=513,cols=7168,block=4096,compact=true,weighted=true",
       "DeepSeek-V3, fused"},
      {"sum_token_rows", "experts=8,columns=16,cols=4096,block=4096,weighted=true", "Mixtral 8x7B"},
      {"sum_token_rows", "experts=128,cols=2048,block=2048,weighted=true,weight=bf16,round_products=true",
       "Qwen3-30B-A3B, bf16 probs"},
      {"sum_token_rows", "experts=6,columns=12,cols=24,block=32,weighted=true,dtype=f64,weight=f64,T=37,N=111", "f64"},
      {"sum_token_rows", "experts=32,columns=64,cols=2880,block=4096,T=33,N=99", "gpt-oss, odd sizes"},
  });
  const std::string formula = "y[t] = sum over i with sorted_indices[i]=t of permuted[i] (* probs[t, e(i)]); "
                              "grad_permuted[i] = grad[t(i)] * p[i]; "
                              "grad_probs[t,e] = sum over d of grad[t,d] permuted[i,d]",
                    order = "experts (rows, without a map) ascending in f32 (f64 if rows or probs are f64), one "
                            "rounding; grad_probs: blocks of 4096 columns ascending, each a balanced tree, of f32 rows "
                            "in f64; products, in "
                            "both, are rounded to the promoted dtype of rows and probs, as in the source";
  const OpParameter tokens{"tokens", Type::integer, "0", "T, where no tensor tells"};
  l.ops.push_back({"unpermute",
                   "rows in expert order summed back to tokens",
                   formula,
                   "nemo_automodel components.moe.megatron.moe_utils.unpermute(fused=False)",
                   order,
                   {{"drop_and_pad", Type::boolean, "false", "see unpermute_drop_and_pad"}, tokens},
                   unpermute_tensors("the map that permute took; needed with probs, then bool"),
                   {"map_count", "map_scan", "map_place", "sum_token_rows", "digit_count", "digit_place", "list_starts",
                    "sum_listed_rows", "spread_rows", "gather_rows", "invert_index", "map_list"},
                   {"unpermute", "unpermute_backward"},
                   run_unpermute});
  l.ops.push_back({"unpermute_drop_and_pad",
                   "a fixed number of rows per expert summed back to tokens",
                   formula + "; e(i) = i / (N/E)",
                   "nemo_automodel components.moe.megatron.moe_utils.unpermute(drop_and_pad=True)",
                   order,
                   {{"capacity", Type::integer, "0", "N/E; it changes nothing"}, tokens},
                   unpermute_tensors("tells E"),
                   {"invert_index", "map_list", "sum_token_rows", "spread_rows", "digit_count", "digit_place",
                    "map_scan", "list_starts", "sum_listed_rows", "gather_rows"},
                   {"unpermute_drop_and_pad", "unpermute_drop_and_pad_backward"},
                   run_drop_and_pad});
}

} // namespace moec
