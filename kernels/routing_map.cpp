// Routing by a dense map of tokens and experts: rows expert-major, then token ascending. Two kernels: count per block
// of tokens, then place.
#include <algorithm>

#include "kernels/block_counts.h"
#include "kernels/host.h"
#include "kernels/moe.h"
#include "kernels/registration.h"

namespace moec {

namespace kernel {
namespace {

struct MapSpec {
  int experts = 128;
  int block = 8;        ///< tokens per program
  bool weighted = true; ///< there are probabilities
  static void fields(auto &s, auto &&f) { f("experts", s.experts), f("block", s.block), f("weighted", s.weighted); }
};

/// The map of this program's tokens: bool [block, experts], false outside.
Tile routed(View map, Tile t, Tile e) {
  Tile m = load(map(t, e));
  return map.dtype() == boolean ? m : m != 0;
}

void map_count(const MapSpec &s, View map, View counts) {
  arg_names({"routing_map", "counts"});
  Int T = map.size(0);
  map.expect({T, s.experts});
  counts.expect({cdiv(T, s.block), s.experts});
  grid(cdiv(T, s.block));
  Tile t = expand_dims(program_id(0) * s.block + arange(s.block), 1), e = arange(next_pow2(s.experts));
  store(counts(program_id(0), e), sum(cast(routed(map, t, e), i32), 0));
}

void map_place(const MapSpec &s, View map, View probs, View counts, View row_of, View sorted_indices, View sorted_probs,
               View tokens_per_expert) {
  arg_names({"routing_map", "probs", "counts", "row_of", "sorted_indices", "sorted_probs", "tokens_per_expert"});
  Int T = map.size(0), N = sorted_indices.size(0);
  for (const View &v : {map, row_of}) v.expect({T, s.experts});
  counts.expect({cdiv(T, s.block), s.experts});
  if (s.weighted) probs.expect({T, s.experts}), sorted_probs.expect({N});
  tokens_per_expert.expect({s.experts});
  grid(cdiv(T, s.block));

  Int b = program_id(0);
  Tile e = arange(next_pow2(s.experts));
  auto [total, before] = sum_blocks(counts, b, s.experts);
  when(b == 0, [&] { store(tokens_per_expert(e), cast(total, tokens_per_expert.dtype())); });
  Tile start = cumsum(total) - total + before;

  Tile t = expand_dims(b * s.block + arange(s.block), 1);
  Tile m = routed(map, t, e);
  Tile row = where(m, expand_dims(start, 0) + cumsum(cast(m, i32), 0) - 1, -1);
  store(row_of(t, e), row);
  Tile fits = m & (row < N);
  store(sorted_indices(row), broadcast(cast(t, sorted_indices.dtype()), m.shape()), fits);
  if (s.weighted) store(sorted_probs(row), load(probs(t, e)), fits);
}

/// out[t, e] = x[row_of[t, e]], 0 where not routed.
void map_gather(const MapSpec &s, View x, View row_of, View out) {
  arg_names({"x", "row_of", "out"});
  Int T = out.size(0);
  for (const View &v : {row_of, out}) v.expect({T, s.experts});
  grid(cdiv(T, s.block));
  Tile t = expand_dims(program_id(0) * s.block + arange(s.block), 1), e = arange(next_pow2(s.experts));
  Tile row = load(row_of(t, e), Operand::none(), -1);
  device_assert(row < x.size(0), "the routing map has more pairs than there are rows");
  store(out(t, e), cast(load(x(row), row >= 0), out.dtype()));
}

} // namespace
} // namespace kernel

static constexpr Schedule kSchedule{.num_warps = 4};

static kernel::MapSpec map_spec(const char *what, int64_t experts, bool weighted) {
  check_that(experts >= 1 && experts <= 4096, what, "the number of experts must be 1 to 4096");
  int e = static_cast<int>(experts);
  return {e, std::clamp(1024 / next_pow2(e), 4, 64), weighted};
}

RoutingMap route_map(const Stream &stream, const Tensor &routing_map, const Tensor &probs,
                     std::optional<int64_t> rows) {
  check_rank("route_map: routing_map", routing_map, 2);
  check_dtype("route_map: routing_map", routing_map, {boolean, i8, u8, i32, i64, f16, bf16, f32, f64});
  const int64_t tokens = routing_map.size(0), experts = routing_map.size(1);
  if (probs.defined()) check_shape("route_map: probs", probs, {tokens, experts});
  static const auto count = jit(kernel::map_count, kSchedule);
  static const auto place = jit(kernel::map_place, kSchedule);
  auto spec = map_spec("route_map", experts, probs.defined());
  const Device device = stream.device();
  const int64_t blocks = cdiv(tokens, int64_t{spec.block});
  Tensor counts = Tensor::empty({blocks, experts}, i32, device);
  count(stream, spec, routing_map, counts);
  if (!rows) {
    stream.synchronize();
    int64_t n = 0;
    for (int32_t c : counts.to_vector<int32_t>()) n += c;
    rows = n;
  }
  check_that(*rows >= 0 && *rows <= tokens * experts, "route_map: rows", "it must be 0 to T*E");
  RoutingMap r{Tensor::empty({*rows}, i64, device),
               probs.defined() ? Tensor::empty({*rows}, probs.dtype(), device) : Tensor(),
               Tensor::empty({tokens, experts}, i32, device),
               {}};
  r.counts = blocks == 0 ? Tensor::zeros({experts}, i64, device) : Tensor::empty({experts}, i64, device);
  Tensor none = Tensor::empty({0, 0}, f32, device), no_probs = Tensor::empty({0}, f32, device);
  place(stream, spec, routing_map, probs.defined() ? probs : none, counts, r.row_of, r.sorted_indices,
        probs.defined() ? r.probs : no_probs, r.counts);
  return r;
}

static Tensor gather_cells(const Stream &stream, const char *what, const Tensor &grad, const Tensor &row_of,
                           DType dtype) {
  check_rank(what, grad, 1);
  check_rank(what, row_of, 2);
  check_dtype(what, row_of, {i32});
  static const auto run = jit(kernel::map_gather, kSchedule);
  Tensor out = Tensor::empty(row_of.shape(), dtype, stream.device());
  run(stream, map_spec(what, row_of.size(1), false), grad, row_of, out);
  return out;
}

Tensor permute_backward_probs(const Stream &stream, const Tensor &grad, const Tensor &row_of) {
  return gather_cells(stream, "permute backward: gradient of probs and row_of", grad, row_of, grad.dtype());
}

Tensor route_slots_backward(const Stream &stream, const Tensor &grad, const Tensor &row_ids, int topk, DType dtype) {
  check_that(topk >= 1 && row_ids.numel() % topk == 0, "route_slots_backward: row_ids",
             "their number is not a multiple of topk");
  return gather_cells(stream, "route_slots_backward: gradient and row_ids", grad,
                      row_ids.reshape({row_ids.numel() / topk, topk}), dtype);
}

void register_routing_map(Library &l) {
  const std::vector<KernelSetting> sizes{{"T", "4096", "tokens"},
                                         {"N", "32768", "routed rows"},
                                         {"map", "bool", "dtype of the map"},
                                         {"dtype", "f32", "of the probabilities"}};
  const KernelArgument map{"routing_map", "[T, experts]", "map"},
      counts{"counts", "[(T+block-1)/block, experts]", "i32"}, row_of{"row_of", "[T, experts]", "i32"};
  add_kernel(l, kernel::map_count, "map_count", "routed tokens per expert and block of tokens", kSchedule,
             {map, counts}, sizes);
  add_kernel(l, kernel::map_place, "map_place", "rows of routed pairs, expert-major", kSchedule,
             {map,
              {"probs", "[T, experts]", "dtype"},
              counts,
              row_of,
              {"sorted_indices", "[N]", "i64"},
              {"sorted_probs", "[N]", "dtype"},
              {"tokens_per_expert", "[experts]", "i64"}},
             sizes);
  add_kernel(l, kernel::map_gather, "map_gather", "values of rows back to their cells of the map", kSchedule,
             {{"x", "[N]", "dtype"}, row_of, {"out", "[T, experts]", "dtype"}}, sizes);
  l.add_specializations({
      {"map_count", "experts=128,block=8", "Qwen3-30B-A3B"},
      {"map_place", "experts=128,block=8", "Qwen3-30B-A3B"},
      {"map_place", "experts=256,block=4,dtype=bf16", "DeepSeek-V3"},
      {"map_gather", "experts=128,block=8", "Qwen3-30B-A3B"},
  });
}

} // namespace moec
