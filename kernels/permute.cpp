// Moving rows: gather and scatter by index, sums of a token's rows, and permute by routing map.
#include <algorithm>

#include "kernels/host.h"
#include "kernels/moe.h"
#include "kernels/registration.h"

namespace moec {

namespace kernel {
namespace {

struct RowsSpec {
  int cols = 4096;       ///< elements of a row
  int rows = 1;          ///< rows per program
  int block = 1024;      ///< columns at a time
  int divide = 1;        ///< row of x = index / divide
  bool weighted = false; ///< times scale[i]
  static void fields(auto &s, auto &&f) {
    f("cols", s.cols), f("rows", s.rows), f("block", s.block), f("divide", s.divide), f("weighted", s.weighted);
  }
};

/// Calls f with the column indices of each block of a row.
template <class F> void for_columns(const RowsSpec &s, F f) {
  if (s.cols <= s.block) return f(arange(s.block));
  for (Int c : range(0, s.cols, s.block)) f(c + arange(s.block));
}

void gather_rows(const RowsSpec &s, View x, View index, View scale, View out) {
  arg_names({"x", "index", "scale", "out"});
  Int N = out.size(0);
  x.expect({x.size(0), s.cols}), out.expect({N, s.cols}), index.expect({N});
  if (s.weighted) scale.expect({N});
  grid(cdiv(N, s.rows));
  Tile i = program_id(0) * s.rows + arange(s.rows);
  Tile id = load(index(i), Operand::none(), -1), live = id >= 0;
  Tile from = s.divide == 1 ? id : id / s.divide;
  device_assert(from < cast(x.size(0), id.dtype()), "a row index is past the last row of x");
  DType wide = s.weighted && scale.dtype() == f64 ? f64 : wide_dtype(x.dtype());
  Tile w;
  if (s.weighted) w = cast(load(scale(i)), wide);
  for_columns(s, [&](Tile col) {
    Tile v = load(x(expand_dims(from, 1), col), expand_dims(live, 1) & (expand_dims(i, 1) < N));
    if (s.weighted) v = cast(cast(v, wide) * expand_dims(w, 1), out.dtype());
    store(out(expand_dims(i, 1), col), v);
  });
}

void scatter_rows(const RowsSpec &s, View x, View index, View out) {
  arg_names({"x", "index", "out"});
  Int N = x.size(0);
  for (const View &v : {x, out}) v.expect({N, s.cols});
  index.expect({N});
  grid(cdiv(N, s.rows));
  Tile i = program_id(0) * s.rows + arange(s.rows);
  Tile to = expand_dims(load(index(i), Operand::none(), -1), 1);
  device_assert(to < cast(N, to.dtype()), "a row index is past the last row of the result");
  for_columns(s, [&](Tile col) { store(out(to, col), load(x(expand_dims(i, 1), col)), to >= 0); });
}

struct CombineSpec {
  int topk = 8;
  int cols = 4096, rows = 1, block = 1024;
  bool weighted = false;
  static void fields(auto &s, auto &&f) {
    f("topk", s.topk), f("cols", s.cols), f("rows", s.rows), f("block", s.block), f("weighted", s.weighted);
  }
};

void combine_rows(const CombineSpec &s, View x, View row_ids, View weights, View out) {
  arg_names({"rows", "row_ids", "weights", "out"});
  Int T = out.size(0);
  x.expect({x.size(0), s.cols}), out.expect({T, s.cols}), row_ids.expect({T, s.topk});
  if (s.weighted) weights.expect({T, s.topk});
  grid(cdiv(T, s.rows), cdiv(s.cols, s.block));
  Tile t = expand_dims(program_id(0) * s.rows + arange(s.rows), 1), col = program_id(1) * s.block + arange(s.block);
  DType wide = s.weighted && weights.dtype() == f64 ? f64 : wide_dtype(x.dtype());
  Tile acc = zeros({s.rows, s.block}, wide);
  for (int k = 0; k < s.topk; ++k) {
    Tile row = load(row_ids(t, k), Operand::none(), -1);
    device_assert(row < cast(x.size(0), row.dtype()), "a row id is past the last row");
    Tile v = cast(load(x(row, col), row >= 0), wide);
    acc += s.weighted ? v * cast(load(weights(t, k)), wide) : v;
  }
  store(out(t, col), cast(acc, out.dtype()));
}

} // namespace
} // namespace kernel

namespace {
constexpr Schedule kRows{.num_warps = 4};

/// Blocks of columns and rows such that a program moves about 1024 elements or more.
template <class Spec> void set_blocks(Spec &s, const char *what, int64_t cols) {
  check_that(cols >= 1 && cols <= 1 << 24, what, "rows must have 1 to 2^24 elements");
  s.cols = static_cast<int>(cols);
  s.block = block_for(cols, 1024);
  s.rows = std::max(1, 1024 / s.block);
}
Tensor no_tensor(const Stream &stream, int rank) {
  return Tensor::empty(rank == 1 ? Dims{0} : Dims{0, 0}, f32, stream.device());
}
} // namespace

Tensor gather_rows(const Stream &stream, const Tensor &x, const Tensor &index, int divide, const Tensor &scale) {
  check_rank("gather_rows: x", x, 2);
  check_rank("gather_rows: index", index, 1);
  check_dtype("gather_rows: index", index, {i32, i64});
  check_that(divide >= 1, "gather_rows: divide", "it must be positive");
  if (scale.defined()) check_shape("gather_rows: scale", scale, {index.size(0)});
  static const auto run = jit(kernel::gather_rows, kRows);
  kernel::RowsSpec spec;
  set_blocks(spec, "gather_rows: x", x.size(1));
  spec.divide = divide;
  spec.weighted = scale.defined();
  Tensor out = Tensor::empty({index.size(0), x.size(1)}, x.dtype(), stream.device());
  run(stream, spec, x, index, scale.defined() ? scale : no_tensor(stream, 1), out);
  return out;
}

Tensor scatter_rows(const Stream &stream, const Tensor &x, const Tensor &index) {
  check_rank("scatter_rows: x", x, 2);
  check_shape("scatter_rows: index", index, {x.size(0)});
  check_dtype("scatter_rows: index", index, {i32, i64});
  static const auto run = jit(kernel::scatter_rows, kRows);
  kernel::RowsSpec spec;
  set_blocks(spec, "scatter_rows: x", x.size(1));
  Tensor out = Tensor::empty(x.shape(), x.dtype(), stream.device());
  run(stream, spec, x, index, out);
  return out;
}

Tensor combine_rows(const Stream &stream, const Tensor &rows, const Tensor &row_ids, int topk, const Tensor &weights) {
  check_rank("combine_rows: rows", rows, 2);
  check_rank("combine_rows: row_ids", row_ids, 1);
  check_dtype("combine_rows: row_ids", row_ids, {i32, i64});
  check_that(topk >= 1 && topk <= 1024 && row_ids.size(0) % topk == 0, "combine_rows: row_ids",
             "their number must be a multiple of topk");
  const int64_t tokens = row_ids.size(0) / topk;
  if (weights.defined()) check_shape("combine_rows: weights", weights, {tokens, topk});
  static const auto run = jit(kernel::combine_rows, kRows);
  kernel::CombineSpec spec;
  set_blocks(spec, "combine_rows: rows", rows.size(1));
  spec.topk = topk;
  spec.weighted = weights.defined();
  Tensor out = Tensor::empty({tokens, rows.size(1)}, rows.dtype(), stream.device());
  run(stream, spec, rows, row_ids.contiguous().reshape({tokens, topk}),
      weights.defined() ? weights : no_tensor(stream, 2), out);
  return out;
}

Permuted permute(const Stream &stream, const Tensor &tokens, const Tensor &routing_map, const Tensor &probs,
                 std::optional<int64_t> rows) {
  check_rank("permute: tokens", tokens, 2);
  check_shape("permute: routing_map", routing_map, {tokens.size(0), -1});
  RoutingMap map = route_map(stream, routing_map, probs, rows);
  return {gather_rows(stream, tokens, map.sorted_indices), map};
}

// -------------------------------------------------------------------------------------------------------------
// registration

static void run_permute(OpCall &c) {
  Tensor probs = c.has("probs") ? c.in("probs") : Tensor();
  Permuted p = permute(c.stream(), c.in("tokens"), c.in("routing_map"), probs);
  c.out("permuted_tokens", p.tokens);
  c.out("sorted_indices", p.map.sorted_indices);
  c.out("tokens_per_expert", p.map.counts);
  if (probs.defined()) c.out("permuted_probs", p.map.probs);
  if (c.has("grad_permuted_tokens") && c.wants({"grad_tokens"}))
    c.out("grad_tokens", permute_backward_tokens(c.stream(), c.in("grad_permuted_tokens"), p.map.row_of));
  if (c.has("grad_permuted_probs") && c.wants({"grad_probs"}))
    c.out("grad_probs", permute_backward_probs(c.stream(), c.in("grad_permuted_probs"), p.map.row_of));
}

static void run_unsloth_unpermute(OpCall &c) {
  c.out("unpermuted", scatter_rows(c.stream(), c.in("x"), c.in("gather_indices")));
  if (c.has("grad_output") && c.wants({"grad_x"}))
    c.out("grad_x", gather_rows(c.stream(), c.in("grad_output"), c.in("gather_indices")));
}

void register_permute(Library &l) {
  const std::vector<KernelSetting> sizes{{"T", "4096", "tokens"},
                                         {"N", "32768", "rows"},
                                         {"dtype", "bf16", "of the rows"},
                                         {"index", "i32", "of the indices"},
                                         {"weight", "f32", "of the weights"}};
  const KernelArgument index{"index", "[N]", "index"};
  add_kernel(l, kernel::gather_rows, "gather_rows", "rows by index: permute", kRows,
             {{"x", "[T, cols]", "dtype"}, index, {"scale", "[N]", "weight"}, {"out", "[N, cols]", "dtype"}}, sizes);
  add_kernel(l, kernel::scatter_rows, "scatter_rows", "rows to index", kRows,
             {{"x", "[N, cols]", "dtype"}, index, {"out", "[N, cols]", "dtype"}}, sizes);
  add_kernel(l, kernel::combine_rows, "combine_rows", "sum of each token's rows", kRows,
             {{"rows", "[N, cols]", "dtype"},
              {"row_ids", "[T, topk]", "index"},
              {"weights", "[T, topk]", "weight"},
              {"out", "[T, cols]", "dtype"}},
             sizes);
  l.add_specializations({
      {"gather_rows", "cols=4096,block=1024", "benchmark, Mixtral 8x7B"},
      {"gather_rows", "cols=2048,block=1024,divide=8,index=i64", "Qwen3-30B-A3B, by slot"},
      {"gather_rows", "cols=7168,block=1024,weighted=true", "DeepSeek-V3, gradient of unpermute"},
      {"gather_rows", "cols=20,block=32,rows=32,T=18,N=36", "recorded case, rows of 40 bytes"},
      {"scatter_rows", "cols=2048,block=1024", "Qwen3-30B-A3B"},
      {"combine_rows", "topk=8,cols=2048,block=1024", "Qwen3-30B-A3B"},
      {"combine_rows", "topk=8,cols=1024,block=1024", "main job"},
      {"combine_rows", "topk=2,cols=4096,block=1024,weighted=true", "Mixtral 8x7B, weights after"},
  });
  l.ops.push_back(
      {"permute",
       "token rows in expert order, by routing map",
       "rows i: pairs (t, e) with routing_map[t,e], expert-major, t ascending; permuted_tokens[i] = tokens[t]; "
       "permuted_probs[i] = probs[t,e]; "
       "grad_tokens[t] = sum of its rows' gradients; grad_probs[t,e] = gradient of its row",
       "nemo_automodel components.moe.megatron.moe_utils.permute(fused=False)",
       "copies; grad_tokens sums experts in ascending order in f32 (f64 for f64), one rounding",
       {{"drop_and_pad", OpParameter::Type::boolean, "false", "take a fixed number of tokens per expert", {"false"}}},
       {{"tokens", "[T, D]", "f32 bf16 f16 f64", "token rows"},
        {"routing_map", "[T, E]", "bool i8 u8 i32 i64 f16 bf16 f32 f64", "not 0: routed"},
        {"probs", "[T, E]", "f32 bf16 f16 f64", "probabilities", false, true},
        {"grad_permuted_tokens", "[N, D]", "tokens", "gradient of permuted_tokens", false, true},
        {"grad_permuted_probs", "[N]", "probs", "gradient of permuted_probs", false, true},
        {"permuted_tokens", "[N, D]", "tokens", "rows", true},
        {"permuted_probs", "[N]", "probs", "their probabilities", true, true},
        {"sorted_indices", "[N]", "i64", "their tokens", true},
        {"tokens_per_expert", "[E]", "i64", "rows of each expert", true},
        {"grad_tokens", "[T, D]", "tokens", "gradient of tokens", true, true, 1e-6, 8e-3},
        {"grad_probs", "[T, E]", "probs", "gradient of probs", true, true}},
       {"map_count", "map_place", "gather_rows", "unpermute_map", "map_gather"},
       run_permute});
  l.ops.push_back({"unsloth_unpermute",
                   "rows back to slot order",
                   "unpermuted[gather[i]] = x[i]; grad_x[i] = grad_output[gather[i]]",
                   "unsloth kernels.moe.grouped_gemm.reference.moe_ops.unpermute",
                   "copies only: the same bits everywhere",
                   {{"topk", OpParameter::Type::integer, "1", "K; it changes nothing"}},
                   {{"x", "[N, D]", "f32 bf16 f16 f64", "rows"},
                    {"gather_indices", "[N]", "i64 i32", "a permutation"},
                    {"grad_output", "[N, D]", "x", "gradient of unpermuted", false, true},
                    {"unpermuted", "[N, D]", "x", "rows in slot order", true},
                    {"grad_x", "[N, D]", "x", "gradient of x", true, true}},
                   {"scatter_rows", "gather_rows"},
                   run_unsloth_unpermute});
}

} // namespace moec
