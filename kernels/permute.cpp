// Permute by routing map: each token's row is read once and written to its experts' rows. The same kernel is the
// backward of unpermute.
#include <algorithm>

#include "kernels/moe.h"
#include "kernels/permute.h"
#include "kernels/registration.h"
#include "kernels/rounding.h"
#include "kernels/token_rows.h"

namespace moec {

namespace kernel {
namespace {

struct SpreadSpec {
  int experts = 128;           ///< of the map
  int cols = 4096;             ///< elements of a row
  int block = 4096;            ///< columns at a time
  bool compact = false;        ///< the map is a row_id_map, else token_rows
  bool weighted = false;       ///< times probs[t, e]
  bool zero = false;           ///< there are rows of zeros
  bool clear = true;           ///< rows that no pair has are zero, else there are none
  bool dot = false;            ///< products[t, e] = sum over columns of x[t] * other[row]
  bool round_products = false; ///< these, to the dtype of x
  static void fields(auto &s, auto &&f) {
    f("experts", s.experts), f("cols", s.cols), f("block", s.block), f("compact", s.compact), f("weighted", s.weighted),
        f("zero", s.zero), f("clear", s.clear), f("dot", s.dot), f("round_products", s.round_products);
  }
};

/// Rows that no pair has are zero: between an expert's last pair and the next expert, and after the last expert.
void clear_rows(const SpreadSpec &s, View offs, View routed, View out, Int t, Int T) {
  auto clear = [&](Int begin, Int end, Int step) {
    for (Int r : range(begin, end, step))
      for_columns(s.cols, s.block, [&](Tile col) { store(out(r, col), zeros({s.block}, out.dtype())); });
  };
  for (Int e : range(t, s.experts, T)) {
    Int begin = 0;
    when(e > 0, [&] { begin = load(offs(e - 1)); });
    clear(begin + load(routed(e)), load(offs(e)), 1);
  }
  clear(load(offs(s.experts - 1)) + t, out.size(0), T);
}

/// out[row, :] = x[t, :] (* probs[t, e]) for each row of token t.
void spread_rows(const SpreadSpec &s, View x, View map, View row_counts, View probs, View offs, View routed, View other,
                 View out, View products) {
  arg_names({"x", "map", "row_counts", "probs", "offs", "routed", "other", "out", "products"});
  Int T = x.size(0), N = out.size(0);
  x.expect({T, s.cols}), out.expect({N, s.cols}), map.expect({T, 2 * s.experts + (s.compact ? 1 : 0)});
  if (!s.compact) row_counts.expect({T});
  if (s.clear)
    for (const View &v : {offs, routed}) v.expect({s.experts});
  if (s.weighted) probs.expect({T, s.experts});
  if (s.dot) other.expect({N, s.cols}), products.expect({T, s.experts});
  grid(T);
  Int t = program_id(0);
  RowsOfToken rows = rows_of_token(map, row_counts, t, s.experts, N, s.compact);
  DType wide = (s.weighted && probs.dtype() == f64) || (s.dot && products.dtype() == f64) ? f64 : wide_dtype(x.dtype());
  const DType sums = x.dtype() == f32 ? f64 : wide; // sums of f32 products: the source's differ by their order alone
  Tile with = cast(rows.zero, i32), product = zeros({token_lanes(s.experts)}, sums);
  if (s.weighted) with = cast(load(probs(t, rows.expert), rows.real), wide);
  for_columns(s.cols, s.block, [&](Tile col) {
    Tile v = load(x(t, col)), v_wide = cast(v, wide);
    rows.each(with, [&](Int row, Tile own) {
      Tile w = s.weighted ? cast(v_wide * own, out.dtype()) : v;
      store(out(row, col), s.zero ? where(own != 0, zeros({s.block}, out.dtype()), w) : w);
      if (!s.dot) return;
      Tile each = v_wide * cast(load(other(row, col)), wide);
      if (s.round_products) each = rounded(each, x.dtype());
      product += where(rows.row == row, sum(cast(each, sums)), 0.0);
    });
  });
  if (s.dot) clear_then_store(products, t, rows, cast(product, products.dtype()));
  if (s.clear) clear_rows(s, offs, routed, out, t, T);
}

} // namespace
} // namespace kernel

static constexpr Schedule kSchedule{.num_warps = 4};

Tensor spread_rows(const Stream &stream, const std::string &what, const Tensor &x, const RoutingMap &map, int64_t rows,
                   const Spread &o) {
  check_rank({what, "tokens"}, x, 2);
  const TokenLists lists = token_lists(stream, what, map);
  check_shape({what, "map"}, lists.map, {x.size(0), -1});
  check_columns({what, "tokens"}, x.size(1));
  if (o.weights.defined()) {
    check_shape({what, "probs"}, o.weights, {x.size(0), lists.experts});
    check_dtype({what, "probs"}, o.weights, {f32, bf16, f16, f64});
  }
  static const auto run = jit(kernel::spread_rows, kSchedule);
  kernel::SpreadSpec spec{.experts = static_cast<int>(lists.experts),
                          .cols = static_cast<int>(x.size(1)),
                          .block = block_for(x.size(1), 4096),
                          .compact = lists.compact,
                          .weighted = o.weights.defined(),
                          .zero = o.zero,
                          .clear = map.offs.defined() && !map.full,
                          .dot = o.products.defined(),
                          .round_products = o.products.defined() && rounds_products(map, x, o.products)};
  const Tensor no_ends = Tensor::empty({0}, i32, stream);
  const Dims shape{rows, x.size(1)};
  const bool holes = x.size(0) == 0 || lists.compact; // a row_id_map does not say which rows have no pair
  Tensor out = holes ? Tensor::zeros(shape, x.dtype(), stream) : Tensor::empty(shape, x.dtype(), stream);
  run(stream, spec, x, lists.map, lists.counts, or_empty(stream, o.weights, 2), spec.clear ? map.offs : no_ends,
      spec.clear ? map.routed : no_ends, or_empty(stream, o.other, 2), out, or_empty(stream, o.products, 2));
  return out;
}

void check_permute(const std::string &what, const Tensor &tokens, const Tensor &routing_map, const Tensor &probs) {
  check_rank({what, "tokens"}, tokens, 2);
  check_shape({what, "routing_map"}, routing_map, {tokens.size(0), -1});
  check_map({what, "routing_map"}, routing_map);
  if (!probs.defined()) return;
  check_shape({what, "probs"}, probs, routing_map.shape());
  check_dtype({what, "probs"}, probs, {f32, bf16, f16, f64});
}

Permuted permute(const Stream &stream, const Tensor &tokens, const Tensor &routing_map, const Tensor &probs,
                 std::optional<int64_t> rows) {
  check_permute("permute", tokens, routing_map, probs);
  RoutingMap map = route_map(stream, routing_map, probs, {.rows = rows});
  return {spread_rows(stream, "permute", tokens, map, map.sorted_indices.size(0)), map};
}

UnpermuteGrads unpermute_backward(const Stream &stream, const Tensor &grad, const Tensor &permuted,
                                  const RoutingMap &map, const Tensor &probs) {
  check_rank("unpermute_backward: gradient", grad, 2);
  check_shape("unpermute_backward: permuted", permuted, {-1, grad.size(1)});
  check_dtype("unpermute_backward: permuted", permuted, {grad.dtype()});
  check_dtype("unpermute_backward: gradient", grad, {f32, bf16, f16, f64});
  UnpermuteGrads g;
  if (probs.defined()) g.probs = Tensor::empty(probs.shape(), probs.dtype(), stream);
  Spread how;
  if (probs.defined()) how = {.weights = probs, .other = permuted, .products = g.probs};
  g.permuted = spread_rows(stream, "unpermute_backward", grad, map, permuted.size(0), how);
  return g;
}

Permuted permute_drop_and_pad(const Stream &stream, const Tensor &tokens, const Tensor &routing_map,
                              const Tensor &probs, int64_t num_out_tokens, bool may_drop) {
  check_permute("permute_drop_and_pad", tokens, routing_map, probs);
  check_range("permute_drop_and_pad", "num_out_tokens", num_out_tokens, 0);
  const int64_t capacity = num_out_tokens / routing_map.size(1);
  check_range("permute_drop_and_pad", "the capacity num_out_tokens / E", capacity, 0, tokens.size(0));
  RoutingMap map = route_map(stream, routing_map, probs, {.capacity = capacity});
  if (!may_drop) check_capacity(stream, "permute_drop_and_pad with may_drop=false", map.routed, capacity);
  return {spread_rows(stream, "permute_drop_and_pad", tokens, map, map.sorted_indices.size(0)), map};
}

// -------------------------------------------------------------------------------------------------------------
// registration

void put_permuted(OpCall &c, const Permuted &p, bool cut) {
  auto put = [&](const char *name, const Tensor &t) { cut ? c.out_rows(name, t, p.map.offs) : c.out(name, t); };
  put("permuted_tokens", p.tokens);
  if (p.map.probs.defined()) put("permuted_probs", p.map.probs);
  if (c.op().output("sorted_indices")) put("sorted_indices", p.map.sorted_indices);
  c.backward([&c, p] { put_permute_grads(c, p); });
}

void put_permute_grads(OpCall &c, const Permuted &p) {
  if (c.has("grad_permuted_tokens") && c.wants({"grad_tokens"}))
    c.out("grad_tokens", permute_backward_tokens(c.stream(), c.in("grad_permuted_tokens"), p.map));
  if (c.has("grad_permuted_probs") && c.wants({"grad_probs"}))
    c.out("grad_probs", permute_backward_probs(c.stream(), c.in("grad_permuted_probs"), p.map));
}

std::vector<OpTensor> permute_tensors(std::initializer_list<OpTensor> more) {
  std::vector<OpTensor> all{{"tokens", "[T, D]", "f32 bf16 f16 f64", "token rows"},
                            {"routing_map", "[T, E]", "bool i8 u8 i32 i64 f16 bf16 f32 f64", "not 0: routed"},
                            {"probs", "[T, E]", "f32 bf16 f16 f64", "probabilities", false, true},
                            {"grad_permuted_tokens", "[N, D]", "tokens", "gradient of permuted_tokens", false, true},
                            {"grad_permuted_probs", "[N]", "probs", "gradient of permuted_probs", false, true},
                            {"permuted_tokens", "[N, D]", "tokens", "rows", true},
                            {"permuted_probs", "[N]", "probs", "their probabilities", true, true},
                            {"grad_tokens", "[T, D]", "tokens", "gradient of tokens", true, true, 1e-6, 8e-3},
                            {"grad_probs", "[T, E]", "probs", "gradient of probs", true, true}};
  all.insert(all.end(), more);
  return all;
}

static void run_permute(OpCall &c) {
  const Tensor &tokens = c.in("tokens"), &map = c.in("routing_map"), probs = c.given("probs");
  const int64_t rows = c.integer("num_out_tokens"), bound = c.integer("max_rows");
  Permuted p = c.flag("drop_and_pad") && rows >= 0
                   ? permute_drop_and_pad(c.stream(), tokens, map, probs, rows)
                   : permute(c.stream(), tokens, map, probs, bound >= 0 ? std::optional(bound) : std::nullopt);
  put_permuted(c, p, bound >= 0);
  c.out("tokens_per_expert", p.map.counts);
}

static void run_drop_and_pad(OpCall &c) {
  int64_t rows = c.integer("num_out_tokens");
  Permuted p =
      permute_drop_and_pad(c.stream(), c.in("tokens"), c.in("routing_map"), c.given("probs"), rows, c.flag("may_drop"));
  put_permuted(c, p);
}

void register_permute(Library &l) {
  using Type = OpParameter::Type;
  const std::vector<KernelSetting> sizes{{"T", "4096", "tokens"},
                                         {"N", "32768", "rows"},
                                         {"columns", "256", "of the map: 2*experts, or 2*experts+1 if compact"},
                                         {"dtype", "bf16", "of the rows"},
                                         {"prob", "f32", "of the probabilities"}};
  add_kernel(l, kernel::spread_rows, "spread_rows", "each token's row to its experts' rows", kSchedule,
             {{"x", "[T, cols]", "dtype"},
              {"map", "[T, columns]", "i32"},
              {"row_counts", "[T]", "i32"},
              {"probs", "[T, experts]", "prob"},
              {"offs", "[experts]", "i32"},
              {"routed", "[experts]", "i32"},
              {"other", "[N, cols]", "dtype"},
              {"out", "[N, cols]", "dtype"},
              {"products", "[T, experts]", "prob"}},
             sizes);
  l.add_specializations({
      {"spread_rows", "experts=128,cols=2048,block=2048", "Qwen3-30B-A3B"},
      {"spread_rows", "experts=256,columns=512,cols=7168,block=4096,zero=true",
       "DeepSeek-V3, fused form with probabilities"},
      {"spread_rows", "experts=256,columns=513,cols=7168,block=4096,compact=true,clear=false,weighted=true,dot=true",
       "DeepSeek-V3, gradient of unpermute, fused"},
      {"spread_rows", "experts=8,columns=16,cols=4096,block=4096,weighted=true,dot=true",
       "Mixtral 8x7B, gradient of unpermute"},
      {"spread_rows", "experts=128,cols=2048,block=2048,weighted=true,dot=true,prob=bf16,round_products=true",
       "Qwen3-30B-A3B, bf16 probs"},
      {"spread_rows", "experts=6,columns=12,cols=24,block=32,weighted=true,dot=true,dtype=f64,prob=f64,T=37,N=111",
       "f64"},
      {"spread_rows", "experts=32,columns=64,cols=2880,block=4096,T=33,N=99", "gpt-oss, odd sizes"},
  });
  const std::string order = "copies; grad_tokens sums experts in ascending order in f32 (f64 for f64), one rounding";
  l.ops.push_back(
      {"permute",
       "token rows in expert order, by routing map",
       "rows i: pairs (t, e) with routing_map[t,e], expert-major, t ascending; permuted_tokens[i] = tokens[t]; "
       "permuted_probs[i] = probs[t,e]; "
       "grad_tokens[t] = sum of its rows' gradients; grad_probs[t,e] = gradient of its row",
       "nemo_automodel components.moe.megatron.moe_utils.permute(fused=False)",
       order,
       {{"drop_and_pad", Type::boolean, "false", "with num_out_tokens: permute_drop_and_pad"},
        {"num_out_tokens", Type::integer, "-1", "of drop_and_pad, else it changes nothing"},
        {"max_rows", Type::integer, "-1", "a bound of the rows; without it the op waits for their number"}},
       permute_tensors({{"sorted_indices", "[N]", "i64", "their tokens", true},
                        {"tokens_per_expert", "[E]", "i64", "rows of each expert", true}}),
       {"map_count", "map_scan", "map_place", "spread_rows", "sum_token_rows", "map_scatter"},
       {"route_map", "permute", "permute_backward_tokens", "permute_backward_probs"},
       run_permute});
  l.ops.push_back(
      {"permute_drop_and_pad",
       "a fixed number of rows per expert, by routing map",
       "C = num_out_tokens/E; expert e's rows: its first C routed tokens ascending, then tokens that are not routed to "
       "it ascending; permuted_tokens[i] = tokens[t]; permuted_probs[i] = probs[t,e]; gradients as of permute, filler "
       "rows included",
       "nemo_automodel components.moe.megatron.moe_utils.permute(drop_and_pad=True)",
       order,
       {{"num_out_tokens", Type::integer, "", "E * capacity", {}, true},
        {"capacity", Type::integer, "0", "num_out_tokens/E; it changes nothing"},
        {"may_drop", Type::boolean, "true", "false: an expert with more tokens is an error with all counts"}},
       permute_tensors({{"sorted_indices", "[N]", "i64", "their tokens", true}}),
       {"map_count", "map_scan", "map_place", "spread_rows", "sum_token_rows", "map_scatter"},
       {"permute_drop_and_pad", "permute_backward_tokens", "permute_backward_probs"},
       run_drop_and_pad});
}

} // namespace moec
