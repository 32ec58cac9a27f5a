// Moving rows by index: gather, spread to slots, sums of a token's slots, and inverses of indices.
#include <algorithm>

#include "kernels/inverse.h"
#include "kernels/moe.h"
#include "kernels/registration.h"
#include "kernels/rounding.h"
#include "kernels/row_index.h"
#include "kernels/token_rows.h"

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

void gather_rows(const RowsSpec &s, View x, View index, View scale, View out) {
  arg_names({"x", "index", "scale", "out"});
  Int N = out.size(0);
  x.expect({x.size(0), s.cols}), out.expect({N, s.cols}), index.expect({N});
  if (s.weighted) scale.expect({N});
  grid(cdiv(N, s.rows));
  Tile i = program_id(0) * s.rows + arange(s.rows);
  Tile id = load(index(i), Operand::none(), -1);
  Tile from = rows_below(s.divide == 1 ? id : where(id < 0, -1, id / s.divide), x.size(0),
                         "row index {0} is past the last of x's {1} rows");
  Tile live = from >= 0;
  DType wide = s.weighted && scale.dtype() == f64 ? f64 : wide_dtype(x.dtype());
  Tile w;
  if (s.weighted) w = where(live, cast(load(scale(i)), wide), 0); // no row: 0, be its scale infinite or NaN
  for_columns(s.cols, s.block, [&](Tile col) {
    Tile v = load(x(expand_dims(from, 1), col), expand_dims(live, 1) & (expand_dims(i, 1) < N));
    if (s.weighted) v = cast(cast(v, wide) * expand_dims(w, 1), out.dtype());
    store(out(expand_dims(i, 1), col), v);
  });
}

struct SlotsSpec {
  int topk = 8;
  int cols = 4096, rows = 1, block = 4096; ///< of a row; tokens per program; columns at a time
  bool weighted = false;
  bool rounded = false; ///< each weighted row is rounded before it is added
  static void fields(auto &s, auto &&f) {
    f("topk", s.topk), f("cols", s.cols), f("rows", s.rows), f("block", s.block), f("weighted", s.weighted),
        f("rounded", s.rounded);
  }
};

/// The values of one slot k after the other of tokens t [rows] in a view [T, topk]: f(k) is [rows, 1]. The slots of a
/// single token are read at once.
template <class F> auto slots_of(const SlotsSpec &s, View v, Tile t, F other) {
  Tile all = s.rows == 1 ? load(v(program_id(0), arange(next_pow2(s.topk))), Operand::none(), other) : t;
  return [=, rows = s.rows](int k) -> Tile {
    if (rows > 1) return load(v(t, k), Operand::none(), other);
    return broadcast(sum(where(arange(next_pow2(s.topk)) == k, all, 0)), {1, 1});
  };
}

/// out[t, :] = sum over k of x[row_ids[t, k], :] (* weights[t, k]).
void combine_rows(const SlotsSpec &s, View x, View row_ids, View weights, View out) {
  arg_names({"rows", "row_ids", "weights", "out"});
  Int T = out.size(0);
  x.expect({x.size(0), s.cols}), out.expect({T, s.cols}), row_ids.expect({T, s.topk});
  if (s.weighted) weights.expect({T, s.topk});
  grid(cdiv(T, s.rows));
  Tile t = expand_dims(program_id(0) * s.rows + arange(s.rows), 1);
  DType wide = s.weighted && weights.dtype() == f64 ? f64 : wide_dtype(x.dtype());
  auto id_of = slots_of(s, row_ids, t, -1);
  auto weight_of = slots_of(s, s.weighted ? weights : row_ids, t, 0);
  for_columns(s.cols, s.block, [&](Tile col) {
    Tile acc = zeros({s.rows, s.block}, wide);
    for (int k = 0; k < s.topk; ++k) {
      Tile row = rows_below(id_of(k), x.size(0), "row id {0} is past the last of {1} rows");
      Tile v = cast(load(x(row, col), row >= 0), wide);
      if (s.weighted) v = v * where(row >= 0, cast(weight_of(k), wide), 0); // no row: 0, be its weight infinite or NaN
      acc += s.rounded ? rounded(v, x.dtype()) : v;
    }
    store(out(t, col), cast(acc, out.dtype()));
  });
}

/// out[row_ids[t, k], :] = x[t, :].
void spread_slots(const SlotsSpec &s, View x, View row_ids, View out) {
  arg_names({"x", "row_ids", "out"});
  Int T = x.size(0);
  x.expect({T, s.cols}), out.expect({out.size(0), s.cols}), row_ids.expect({T, s.topk});
  grid(cdiv(T, s.rows));
  Tile t = expand_dims(program_id(0) * s.rows + arange(s.rows), 1);
  auto id_of = slots_of(s, row_ids, t, -1);
  for_columns(s.cols, s.block, [&](Tile col) {
    Tile v = load(x(t, col));
    for (int k = 0; k < s.topk; ++k) {
      Tile row = rows_below(id_of(k), out.size(0), "row id {0} is past the last of {1} rows");
      store(out(row, col), v, row >= 0);
    }
  });
}

struct InvertSpec {
  bool complete = false; ///< every index must be there, else negative ones are skipped
  static void fields(auto &s, auto &&f) { f("complete", s.complete); }
};

/// out[index[i], i / run] = i for index[i] >= 0. `out` holds -1.
void invert_index(const InvertSpec &s, View index, Int run, View out) {
  arg_names({"index", "run", "inverse"});
  Int N = index.size(0);
  const int block = 512;
  grid(cdiv(N, block));
  Tile i = program_id(0) * block + arange(block);
  Tile to = rows_below(load(index(i), Operand::none(), -1), out.size(0),
                       "row index {0} is past the last of the result's {1} rows");
  if (s.complete) device_assert((to >= 0) | (i >= N), "row index {0} is negative", {to});
  Tile old = atomic_exchange(out(to, i / run), i, to >= 0);
  device_assert((to < 0) | (old == -1), "row index {0} occurs twice", {to});
}

} // namespace
} // namespace kernel

namespace {
constexpr Schedule kRows{.num_warps = 4};

/// Indices are read once per row and warp: with one row of a few KiB they would be more than 1 % of the traffic.
kernel::RowsSpec rows_spec(const char *what, int64_t cols) {
  check_columns(what, cols);
  const int block = block_for(cols, 1024);
  return {.cols = static_cast<int>(cols), .rows = std::max(4, 1024 / block), .block = block};
}
kernel::SlotsSpec slots_spec(const char *what, int64_t cols, int topk) {
  check_columns(what, cols);
  check_range(what, "topk", topk, 1, kMostTopk);
  const int block = block_for(cols, 4096);
  return {.topk = topk, .cols = static_cast<int>(cols), .rows = std::max(1, 1024 / block), .block = block};
}
} // namespace

Tensor gather_rows(const Stream &stream, const Tensor &x, const Tensor &index, int divide, const Tensor &scale) {
  check_rank("gather_rows: x", x, 2);
  check_rank("gather_rows: index", index, 1);
  check_dtype("gather_rows: index", index, {i32, i64});
  check_range("gather_rows", "divide", divide, 1);
  if (scale.defined()) {
    check_dtype("gather_rows: x", x, {f32, bf16, f16, f64});
    check_shape("gather_rows: scale", scale, {index.size(0)});
    check_dtype("gather_rows: scale", scale, {f32, bf16, f16, f64});
  }
  static const auto run = jit(kernel::gather_rows, kRows);
  kernel::RowsSpec spec = rows_spec("gather_rows: x", x.size(1));
  spec.divide = divide;
  spec.weighted = scale.defined();
  Tensor out = Tensor::empty({index.size(0), x.size(1)}, x.dtype(), stream);
  run(stream, spec, x, index, or_empty(stream, scale, 1), out);
  return out;
}

Tensor invert_index(const Stream &stream, const Tensor &index, int64_t size, int64_t columns, bool complete) {
  check_rank("invert_index: index", index, 1);
  check_dtype("invert_index: index", index, {i32, i64});
  const int64_t n = index.size(0);
  check_tensor(columns >= 1 && n % columns == 0, "invert_index: index", index,
               "its size must be a multiple of the number of columns");
  check_that(n < int64_t{1} << 31, "invert_index: index", "there are 2^31 rows or more", "do it in parts");
  static const auto run = jit(kernel::invert_index, kRows);
  Tensor out = Tensor::empty({size, columns}, i32, stream);
  if (out.numel() > 0) stream.fill(out.data(), 0xff, static_cast<size_t>(out.numel()) * 4); // -1
  run(stream, kernel::InvertSpec{complete}, index, static_cast<int32_t>(n / columns), out);
  return out;
}

Tensor scatter_rows(const Stream &stream, const Tensor &x, const Tensor &index) {
  check_rank("scatter_rows: x", x, 2);
  check_shape("scatter_rows: index", index, {x.size(0)});
  check_dtype("scatter_rows: index", index, {i32, i64});
  return gather_rows(stream, x, invert_index(stream, index, x.size(0)).reshape({x.size(0)}));
}

Tensor combine_rows(const Stream &stream, const Tensor &rows, const Tensor &row_ids, int topk, const Tensor &weights,
                    bool round_weighted) {
  check_rank("combine_rows: rows", rows, 2);
  check_dtype("combine_rows: rows", rows, {f32, bf16, f16, f64});
  check_rank("combine_rows: row_ids", row_ids, 1);
  check_dtype("combine_rows: row_ids", row_ids, {i32, i64});
  kernel::SlotsSpec spec = slots_spec("combine_rows: rows", rows.size(1), topk);
  check_tensor(row_ids.size(0) % topk == 0, "combine_rows: row_ids", row_ids, "its size must be a multiple of topk");
  const int64_t tokens = row_ids.size(0) / topk;
  if (weights.defined()) {
    check_shape("combine_rows: weights", weights, {tokens, topk});
    check_dtype("combine_rows: weights", weights, {f32, bf16, f16, f64});
  }
  static const auto run = jit(kernel::combine_rows, kRows);
  spec.weighted = weights.defined();
  spec.rounded = spec.weighted && round_weighted && rows.dtype() != wide_dtype(rows.dtype());
  Tensor out = Tensor::empty({tokens, rows.size(1)}, rows.dtype(), stream);
  run(stream, spec, rows, packed(stream, row_ids).reshape({tokens, topk}), or_empty(stream, weights, 2), out);
  return out;
}

Tensor spread_slots(const Stream &stream, const Tensor &x, const Tensor &row_ids, int topk, int64_t rows) {
  check_rank("spread_slots: x", x, 2);
  check_shape("spread_slots: row_ids", row_ids, {x.size(0) * topk});
  check_dtype("spread_slots: row_ids", row_ids, {i32, i64});
  check_range("spread_slots", "rows", rows, 0);
  static const auto run = jit(kernel::spread_slots, kRows);
  Tensor out = Tensor::empty({rows, x.size(1)}, x.dtype(), stream);
  run(stream, slots_spec("spread_slots: x", x.size(1), topk), x, packed(stream, row_ids).reshape({x.size(0), topk}),
      out);
  return out;
}

// -------------------------------------------------------------------------------------------------------------
// registration

static void run_unsloth_unpermute(OpCall &c) {
  c.out("unpermuted", scatter_rows(c.stream(), c.in("x"), c.in("gather_indices")));
  if (!c.has("grad_output") || !c.wants({"grad_x"})) return;
  check_shape("unsloth_unpermute: grad_output", c.in("grad_output"), {c.in("x").size(0), -1});
  c.backward([&c] { c.out("grad_x", gather_rows(c.stream(), c.in("grad_output"), c.in("gather_indices"))); });
}

void register_rows(Library &l) {
  const std::vector<KernelSetting> sizes{{"T", "4096", "tokens"},
                                         {"N", "32768", "rows"},
                                         {"dtype", "bf16", "of the rows"},
                                         {"index", "i32", "of the indices"},
                                         {"weight", "f32", "of the weights"}};
  const KernelArgument index{"index", "[N]", "index"}, ids{"row_ids", "[T, topk]", "index"};
  add_kernel(l, kernel::gather_rows, "gather_rows", "rows by index", kRows,
             {{"x", "[T, cols]", "dtype"}, index, {"scale", "[N]", "weight"}, {"out", "[N, cols]", "dtype"}}, sizes);
  add_kernel(l, kernel::invert_index, "invert_index", "where each index stands", kRows,
             {index, {"run", "scalar", "i32"}, {"inverse", "[N, 1]", "i32"}}, sizes);
  add_kernel(l, kernel::combine_rows, "combine_rows", "sum of each token's slots", kRows,
             {{"rows", "[N, cols]", "dtype"}, ids, {"weights", "[T, topk]", "weight"}, {"out", "[T, cols]", "dtype"}},
             sizes);
  add_kernel(l, kernel::spread_slots, "spread_slots", "each token's row to its slots' rows", kRows,
             {{"x", "[T, cols]", "dtype"}, ids, {"out", "[N, cols]", "dtype"}}, sizes);
  l.add_specializations({
      {"gather_rows", "cols=4096,block=1024", "benchmark, Mixtral 8x7B"},
      {"gather_rows", "cols=4096,rows=4,block=1024", "Mixtral 8x7B"},
      {"gather_rows", "cols=2048,block=1024,rows=4,divide=8,index=i64", "Qwen3-30B-A3B, by slot"},
      {"gather_rows", "cols=7168,block=1024,rows=4,weighted=true", "DeepSeek-V3, gradient of unpermute"},
      {"gather_rows", "cols=20,block=32,rows=32,T=18,N=36,dtype=f64", "recorded case, f64"},
      {"invert_index", "index=i64", "Qwen3-30B-A3B"},
      {"invert_index", "index=i64,complete=true,N=35", "recorded case"},
      {"combine_rows", "topk=8,cols=2048,block=2048", "Qwen3-30B-A3B"},
      {"combine_rows", "topk=8,cols=7168,block=4096", "DeepSeek-V3"},
      {"combine_rows", "topk=2,cols=4096,block=4096,weighted=true", "Mixtral 8x7B, weights after"},
      {"combine_rows", "topk=3,cols=40,block=64,rows=16,T=9,N=27,dtype=f64,weight=f64,weighted=true", "f64"},
      {"spread_slots", "topk=8,cols=2048,block=2048", "Qwen3-30B-A3B"},
      {"spread_slots", "topk=2,cols=40,block=64,rows=16,T=9,N=18,dtype=f64", "f64"},
  });
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
                   {"invert_index", "gather_rows"},
                   {"scatter_rows", "gather_rows"},
                   run_unsloth_unpermute});
}

} // namespace moec
