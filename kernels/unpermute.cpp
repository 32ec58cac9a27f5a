// Unpermute: each token's rows summed back, by routing map or by sorted indices; and the gradients of permute and
// unpermute.
#include <algorithm>
#include <fmt/format.h>

#include "kernels/host.h"
#include "kernels/moe.h"
#include "kernels/registration.h"

namespace moec {

namespace kernel {
namespace {

struct UnpermuteSpec {
  int experts = 128;     ///< of the map
  int cols = 4096;       ///< elements of a row
  int block = 1024;      ///< columns per program
  bool weighted = false; ///< times probs[t, e]
  static void fields(auto &s, auto &&f) {
    f("experts", s.experts), f("cols", s.cols), f("block", s.block), f("weighted", s.weighted);
  }
};

constexpr int kNoRow = 0x7fffffff;

/// Calls f(row, cells) for each row of x that token t has in the map, experts ascending; rows ascend with them. `cells`
/// is true at its expert.
template <class F> void for_rows(View x, View row_of, Int t, int experts, F f) {
  Tile rest = load(row_of(t, arange(next_pow2(experts))), Operand::none(), -1);
  device_assert(rest < x.size(0), "the routing map has more pairs than there are rows");
  Int n = sum(cast(rest >= 0, i32));
  for (Int j : range(0, n)) {
    (void)j;
    Int row = min(where(rest >= 0, rest, kNoRow));
    Tile cells = rest == row;
    f(row, cells);
    rest = where(cells, -1, rest);
  }
}

/// out[t, :] = sum of x[row_of[t, e], :] (* probs[t, e]), experts ascending.
void unpermute_map(const UnpermuteSpec &s, View x, View row_of, View probs, View out) {
  arg_names({"permuted", "row_of", "probs", "out"});
  Int T = out.size(0);
  x.expect({x.size(0), s.cols}), out.expect({T, s.cols}), row_of.expect({T, s.experts});
  if (s.weighted) probs.expect({T, s.experts});
  grid(T, cdiv(s.cols, s.block));
  Int t = program_id(0);
  Tile col = program_id(1) * s.block + arange(s.block);
  DType wide = s.weighted && probs.dtype() == f64 ? f64 : wide_dtype(x.dtype());
  Tile acc = zeros({s.block}, wide), p;
  if (s.weighted) p = cast(load(probs(t, arange(next_pow2(s.experts)))), wide);
  for_rows(x, row_of, t, s.experts, [&](Int row, Tile cells) {
    Tile v = cast(load(x(row, col)), wide);
    acc += s.weighted ? v * sum(where(cells, p, 0.0)) : v;
  });
  store(out(t, col), cast(acc, out.dtype()));
}

/// out[t, e] = sum over d of grad[t, d] * x[row_of[t, e], d], 0 where not routed.
void unpermute_grad_probs(const UnpermuteSpec &s, View grad, View x, View row_of, View out) {
  arg_names({"grad", "permuted", "row_of", "grad_probs"});
  Int T = out.size(0);
  x.expect({x.size(0), s.cols}), grad.expect({T, s.cols});
  for (const View &v : {row_of, out}) v.expect({T, s.experts});
  grid(T);
  Int t = program_id(0);
  DType wide = out.dtype() == f64 ? f64 : wide_dtype(x.dtype());
  Tile e = arange(next_pow2(s.experts)), result = zeros({next_pow2(s.experts)}, wide);
  for_rows(x, row_of, t, s.experts, [&](Int row, Tile cells) {
    Tile acc = zeros({s.block}, wide);
    for (Int c : range(0, s.cols, s.block)) {
      Tile col = c + arange(s.block);
      acc += cast(load(grad(t, col)), wide) * cast(load(x(row, col)), wide);
    }
    result = where(cells, sum(acc), result);
  });
  store(out(t, e), cast(result, out.dtype()));
}

/// out[t, :] = sum of x[i, :] over all i with index[i] = t, ascending. For indices of any origin: every program reads
/// all of them.
void unpermute_search(const UnpermuteSpec &s, View x, View index, View out) {
  arg_names({"permuted", "sorted_indices", "out"});
  Int T = out.size(0), N = index.size(0);
  x.expect({N, s.cols}), out.expect({T, s.cols});
  grid(T, cdiv(s.cols, s.block));
  Int t = program_id(0);
  Tile col = program_id(1) * s.block + arange(s.block);
  DType wide = wide_dtype(x.dtype());
  Tile acc = zeros({s.block}, wide);
  const int chunk = 1024;
  for (Int c : range(0, N, chunk)) {
    Tile i = c + arange(chunk);
    Tile rest = where(load(index(i), Operand::none(), -1) == cast(t, index.dtype()), i, kNoRow);
    Int n = sum(cast(rest != kNoRow, i32));
    for (Int j : range(0, n)) {
      (void)j;
      Int row = min(rest);
      acc += cast(load(x(row, col)), wide);
      rest = where(rest == row, kNoRow, rest);
    }
  }
  store(out(t, col), cast(acc, out.dtype()));
}

} // namespace
} // namespace kernel

namespace {
constexpr Schedule kSchedule{.num_warps = 4};

kernel::UnpermuteSpec unpermute_spec(const char *what, int64_t experts, int64_t cols, bool weighted) {
  check_that(experts >= 1 && experts <= 4096, what, "the number of experts must be 1 to 4096");
  check_that(cols >= 1 && cols <= 1 << 24, what, "rows must have 1 to 2^24 elements");
  return {static_cast<int>(experts), static_cast<int>(cols), block_for(cols, 1024), weighted};
}

Tensor sum_rows(const Stream &stream, const char *what, const Tensor &rows, const Tensor &row_of, const Tensor &probs) {
  static const auto run = jit(kernel::unpermute_map, kSchedule);
  auto spec = unpermute_spec(what, row_of.size(1), rows.size(1), probs.defined());
  Tensor out = Tensor::empty({row_of.size(0), rows.size(1)}, rows.dtype(), stream.device());
  run(stream, spec, rows, row_of, probs.defined() ? probs : Tensor::empty({0, 0}, f32, stream.device()), out);
  return out;
}

void check_unpermute(const char *what, const Tensor &permuted, const Tensor &sorted_indices, int64_t tokens,
                     const Tensor &probs, const Tensor &map) {
  auto tensor = [&](const char *name) { return fmt::format("{}: {}", what, name); };
  check_rank(tensor("permuted_tokens").c_str(), permuted, 2);
  check_shape(tensor("sorted_indices").c_str(), sorted_indices, {permuted.size(0)});
  check_dtype(tensor("sorted_indices").c_str(), sorted_indices, {i32, i64});
  check_that(!probs.defined() || map.defined(), what, "probs need the routing map", "pass routing_map");
  if (probs.defined())
    check_shape(tensor("routing_map").c_str(), map, {tokens, -1}),
        check_shape(tensor("probs").c_str(), probs, {tokens, map.size(1)}),
        check_dtype(tensor("routing_map").c_str(), map, {boolean});
}
} // namespace

Tensor permute_backward_tokens(const Stream &stream, const Tensor &grad, const Tensor &row_of) {
  check_rank("permute backward: gradient", grad, 2);
  check_rank("permute backward: row_of", row_of, 2);
  check_dtype("permute backward: row_of", row_of, {i32});
  return sum_rows(stream, "permute backward", grad, row_of, {});
}

Tensor unpermute(const Stream &stream, const Tensor &permuted, const Tensor &sorted_indices, int64_t tokens,
                 const Tensor &probs, const Tensor &map) {
  check_unpermute("unpermute", permuted, sorted_indices, tokens, probs, map);
  if (probs.defined())
    return sum_rows(stream, "unpermute", permuted, route_map(stream, map, {}, permuted.size(0)).row_of, probs);
  static const auto run = jit(kernel::unpermute_search, kSchedule);
  auto spec = unpermute_spec("unpermute", 1, permuted.size(1), false);
  Tensor out = Tensor::empty({tokens, permuted.size(1)}, permuted.dtype(), stream.device());
  run(stream, spec, permuted, sorted_indices, out);
  return out;
}

UnpermuteGrads unpermute_backward(const Stream &stream, const Tensor &grad, const Tensor &permuted,
                                  const Tensor &sorted_indices, const Tensor &probs, const Tensor &map) {
  check_rank("unpermute backward: gradient", grad, 2);
  check_unpermute("unpermute backward", permuted, sorted_indices, grad.size(0), probs, map);
  check_shape("unpermute backward: permuted", permuted, {-1, grad.size(1)});
  if (!probs.defined()) return {gather_rows(stream, grad, sorted_indices), {}};
  RoutingMap routing = route_map(stream, map, probs, permuted.size(0));
  static const auto run = jit(kernel::unpermute_grad_probs, kSchedule);
  auto spec = unpermute_spec("unpermute backward", map.size(1), permuted.size(1), true);
  UnpermuteGrads out{gather_rows(stream, grad, sorted_indices, 1, routing.probs),
                     Tensor::empty(probs.shape(), probs.dtype(), stream.device())};
  run(stream, spec, grad, permuted, routing.row_of, out.probs);
  return out;
}

// -------------------------------------------------------------------------------------------------------------
// registration

static void run_unpermute(OpCall &c) {
  const Tensor &rows = c.in("permuted_tokens"), &indices = c.in("sorted_indices");
  Tensor probs = c.has("probs") ? c.in("probs") : Tensor(), map = c.has("routing_map") ? c.in("routing_map") : Tensor();
  int64_t tokens = c.has("grad_output") ? c.in("grad_output").size(0)
                   : map.defined()      ? map.size(0)
                                        : c.integer("tokens");
  c.out("output", unpermute(c.stream(), rows, indices, tokens, probs, map));
  if (!c.has("grad_output") || !c.wants({"grad_permuted_tokens", "grad_probs"})) return;
  UnpermuteGrads g = unpermute_backward(c.stream(), c.in("grad_output"), rows, indices, probs, map);
  c.out("grad_permuted_tokens", g.permuted);
  if (g.probs.defined()) c.out("grad_probs", g.probs);
}

void register_unpermute(Library &l) {
  using Type = OpParameter::Type;
  const std::vector<KernelSetting> sizes{{"T", "4096", "tokens"},
                                         {"N", "32768", "rows"},
                                         {"dtype", "bf16", "of the rows"},
                                         {"prob", "f32", "of the probabilities"}};
  const KernelArgument x{"permuted", "[N, cols]", "dtype"}, row_of{"row_of", "[T, experts]", "i32"},
      out{"out", "[T, cols]", "dtype"};
  add_kernel(l, kernel::unpermute_map, "unpermute_map", "sum of each token's rows by map", kSchedule,
             {x, row_of, {"probs", "[T, experts]", "prob"}, out}, sizes);
  add_kernel(l, kernel::unpermute_grad_probs, "unpermute_grad_probs", "gradient of the probabilities", kSchedule,
             {{"grad", "[T, cols]", "dtype"}, x, row_of, {"grad_probs", "[T, experts]", "prob"}}, sizes);
  add_kernel(l, kernel::unpermute_search, "unpermute_search", "sum of each token's rows by sorted indices", kSchedule,
             {x, {"sorted_indices", "[N]", "i64"}, out}, sizes);
  l.add_specializations({
      {"unpermute_map", "experts=128,cols=2048,block=1024", "Qwen3-30B-A3B"},
      {"unpermute_map", "experts=8,cols=4096,block=1024,weighted=true", "Mixtral 8x7B"},
      {"unpermute_grad_probs", "experts=128,cols=2048,block=1024", "Qwen3-30B-A3B"},
      {"unpermute_search", "cols=2048,block=1024", "rows without a map"},
  });
  l.ops.push_back(
      {"unpermute",
       "rows in expert order summed back to tokens",
       "y[t] = sum over i with sorted_indices[i]=t of permuted[i] (* probs[t, e(i)]); grad_permuted[i] = grad[t(i)] * "
       "p[i]; "
       "grad_probs[t,e] = sum over d of grad[t,d] permuted[i,d]",
       "nemo_automodel components.moe.megatron.moe_utils.unpermute(fused=False)",
       "rows ascending in f32 (f64 if rows or probs are f64), one rounding; grad_probs: blocks of columns, then a "
       "balanced tree",
       {{"drop_and_pad", Type::boolean, "false", "rows of permute's drop_and_pad form", {"false"}},
        {"tokens", Type::integer, "0", "T, where neither routing_map nor grad_output tells"}},
       {{"permuted_tokens", "[N, D]", "f32 bf16 f16 f64", "rows"},
        {"sorted_indices", "[N]", "i64 i32", "token of each row"},
        {"routing_map", "[T, E]", "bool", "the map that permute took; needed with probs", false, true},
        {"probs", "[T, E]", "f32 bf16 f16 f64", "weights of the rows", false, true},
        {"grad_output", "[T, D]", "permuted_tokens", "gradient of output", false, true},
        {"output", "[T, D]", "permuted_tokens", "sums", true, false, 1e-6, 2e-2},
        {"grad_permuted_tokens", "[N, D]", "permuted_tokens", "gradient of the rows", true, true, 1e-6, 2e-2},
        {"grad_probs", "[T, E]", "probs", "gradient of probs", true, true, 1e-6, 2e-2}},
       {"map_count", "map_place", "unpermute_map", "unpermute_search", "gather_rows", "unpermute_grad_probs"},
       run_unpermute});
}

} // namespace moec
