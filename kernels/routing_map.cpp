// Routing by a dense map of tokens and experts: rows expert-major, then token ascending. Three kernels, each linear in
// the map: count per block of tokens, prefix sums of the counts, then place.
#include "kernels/routing_map.h"

#include <algorithm>
#include <fmt/format.h>

#include "kernels/moe.h"
#include "kernels/registration.h"
#include "kernels/row_index.h"
#include "kernels/token_rows.h"

namespace moec {

namespace kernel {

MapBlock map_block(const MapSpec &s, View map, View counts, View totals, Int b) {
  MapBlock m;
  m.token = expand_dims(b * s.block + arange(s.block), 1);
  m.expert = arange(next_pow2(s.experts));
  m.routed = is_pair(load(map(m.token, m.expert)));
  m.count = load(totals(m.expert));
  Tile one = cast(m.routed, i32);
  m.rank = load(counts(b, m.expert)) + cumsum(one, 0) - one;
  return m;
}

namespace {

void map_count(const MapSpec &s, View map, View counts) {
  arg_names({"routing_map", "counts"});
  Int T = map.size(0);
  map.expect({T, s.experts});
  counts.expect({cdiv(T, s.block), s.experts});
  grid(cdiv(T, s.block));
  Tile t = expand_dims(program_id(0) * s.block + arange(s.block), 1), e = arange(next_pow2(s.experts));
  store(counts(program_id(0), e), sum(cast(is_pair(load(map(t, e))), i32), 0));
}

/// Replaces counts[b] by the sum of the rows before it; totals: the sum of all.
void map_scan(const MapSpec &s, View counts, View totals) {
  arg_names({"counts", "totals"});
  Int blocks = counts.size(0);
  counts.expect({blocks, s.experts}), totals.expect({s.experts});
  const int step = 32, width = std::min(32, next_pow2(s.experts));
  grid(cdiv(s.experts, width));
  Tile e = program_id(0) * width + arange(width), total = zeros({width}, i32);
  for (Int r : range(0, blocks, step)) {
    Tile row = expand_dims(r + arange(step), 1), c = load(counts(row, e));
    store(counts(row, e), expand_dims(total, 0) + cumsum(c, 0) - c);
    total += sum(c, 0);
  }
  store(totals(e), total);
}

/// Rows that no pair has get token -1, or must have one below 0, and probability 0.
void fill_rows(const MapSpec &s, View sorted_indices, View sorted_probs, Int begin, Int end, Int step) {
  for (Int r : range(begin, end, step)) {
    Tile row = r + arange(256), inside = row < end;
    if (s.check)
      device_assert(!inside | (load(sorted_indices(row), inside) < 0),
                    "sorted_indices are not those of the routing map");
    else
      store(sorted_indices(row), full({256}, -1, sorted_indices.dtype()), inside);
    if (s.weighted) store(sorted_probs(row), zeros({256}, sorted_probs.dtype()), inside);
  }
}

/// TransformerEngine's map of a block: n of a token's columns hold its rows, descending, their experts stand E columns
/// further, n in the last; -1 elsewhere.
void store_row_id_map(const MapSpec &s, const MapBlock &m, Tile row, View out) {
  Tile one = cast(m.routed, i32), n = expand_dims(sum(one, 1), 1);
  Tile at = cumsum(one, 1, true) - one, none = full({s.block, next_pow2(s.experts)}, -1, i32);
  Tile free = (m.expert >= n) & (m.expert < s.experts);
  store(out(m.token, m.expert), none, free);
  store(out(m.token, m.expert + s.experts), none, free);
  store(out(m.token, at), row, m.routed);
  store(out(m.token, at + s.experts), broadcast(m.expert, {s.block, next_pow2(s.experts)}), m.routed);
  store(out(m.token, 2 * s.experts), n);
}

/// The rows of each token of a block, and their experts, in lists.
void store_token_rows(const MapSpec &s, const MapBlock &m, Tile kept, Tile row, Tile p, View token_rows,
                      View row_counts) {
  const Shape shape{s.block, next_pow2(s.experts)};
  Tile one = cast(kept, i32), at = cumsum(one, 1) - one, expert = broadcast(m.expert, shape);
  store(token_rows(m.token, at), row, kept);
  store(token_rows(m.token, at + s.experts), s.zero ? where(p == 0, -1 - expert, expert) : expert, kept);
  store(row_counts(m.token), expand_dims(sum(one, 1), 1));
}

void map_place(const MapSpec &s, View map, View probs, View counts, View totals, Int unit, View token_rows,
               View row_counts, View row_id_map, View sorted_indices, View sorted_probs, View tokens_per_expert,
               View offs) {
  arg_names({"routing_map", "probs", "counts", "totals", "unit", "token_rows", "row_counts", "row_id_map",
             "sorted_indices", "sorted_probs", "tokens_per_expert", "offs"});
  Int T = map.size(0), N = sorted_indices.size(0), blocks = counts.size(0);
  map.expect({T, s.experts}), token_rows.expect({T, 2 * s.experts}), row_counts.expect({T});
  counts.expect({cdiv(T, s.block), s.experts});
  if (s.weighted) probs.expect({T, s.experts}), sorted_probs.expect({N});
  if (s.compact) row_id_map.expect({T, 2 * s.experts + 1});
  for (const View &v : {totals, tokens_per_expert, offs}) v.expect({s.experts});
  grid(cdiv(T, s.block));

  Int b = program_id(0);
  MapBlock m = map_block(s, map, counts, totals, b);
  Tile size = s.capacity ? where(m.expert < s.experts, unit, 0) : cdiv(m.count, unit) * unit, end = cumsum(size);
  when(b == 0, [&] {
    store(tokens_per_expert(m.expert), cast(size, tokens_per_expert.dtype()));
    store(offs(m.expert), end);
  });
  Tile rank = m.rank, kept = m.routed;
  if (s.capacity) { // the expert's routed tokens, then the others
    rank = where(m.routed, rank, m.count + m.token - rank);
    kept = (rank < unit) & (m.token < T) & (m.expert < s.experts);
  }
  Tile row = where(kept, expand_dims(end - size, 0) + rank, -1);
  Int total = sum(size); // each thread asserts it ahead of its own stores
  device_assert(total <= N, "the routing map needs {0} rows, and there are {1}", {total, N});
  Tile p = row;
  if (s.weighted) p = load(probs(m.token, m.expert));
  store_token_rows(s, m, kept, row, p, token_rows, row_counts);
  if (s.compact) store_row_id_map(s, m, row, row_id_map);
  Tile token = broadcast(cast(m.token, sorted_indices.dtype()), {s.block, next_pow2(s.experts)});
  if (s.check)
    device_assert(!kept | (load(sorted_indices(row), kept) == token),
                  "sorted_indices are not those of the routing map");
  else
    store(sorted_indices(row), token, kept);
  if (s.weighted) store(sorted_probs(row), p, kept);
  for (Int e : range(b, s.experts, blocks)) { // between a padded expert's last pair and the next expert
    Int stop = sum(where(m.expert == e, end, 0)), unused = sum(where(m.expert == e, size - m.count, 0));
    if (!s.capacity) fill_rows(s, sorted_indices, sorted_probs, stop - unused, stop, 256);
  }
  fill_rows(s, sorted_indices, sorted_probs, total + b * 256, N, blocks * 256);
}

/// Lists of the pairs with row_of[t, e] >= 0.
void map_list(const MapSpec &s, View row_of, View token_rows, View row_counts) {
  arg_names({"row_of", "token_rows", "row_counts"});
  Int T = row_of.size(0);
  row_of.expect({T, s.experts}), token_rows.expect({T, 2 * s.experts}), row_counts.expect({T});
  grid(cdiv(T, s.block));
  MapBlock m;
  m.token = expand_dims(program_id(0) * s.block + arange(s.block), 1), m.expert = arange(next_pow2(s.experts));
  Tile row = load(row_of(m.token, m.expert), Operand::none(), -1);
  store_token_rows(s, m, row >= 0, row, row, token_rows, row_counts);
}

/// out[t, e] = x[row of the pair], 0 where not routed.
void map_scatter(const MapSpec &s, View x, View token_rows, View row_counts, View out) {
  arg_names({"x", "token_rows", "row_counts", "out"});
  Int T = out.size(0), t = program_id(0);
  out.expect({T, s.experts}), token_rows.expect({T, 2 * s.experts}), row_counts.expect({T});
  grid(T);
  RowsOfToken rows = rows_of_token(token_rows, row_counts, t, s.experts, x.size(0));
  clear_then_store(out, t, rows, load(x(rows.row), rows.real));
}

struct SlotGatherSpec {
  int block = 2048, steps = 8; ///< slots at a time; a program's rows of one expert are neighbors, and many
  static void fields(auto &s, auto &&f) { f("block", s.block), f("steps", s.steps); }
};

/// out[i] = x[row_ids[i]], 0 where it is negative.
void slot_gather(const SlotGatherSpec &s, View x, View row_ids, View out) {
  arg_names({"x", "row_ids", "out"});
  Int N = out.size(0), first = program_id(0) * (s.block * s.steps);
  row_ids.expect({N});
  grid(cdiv(N, s.block * s.steps));
  for (Int begin : range(first, minimum(first + s.block * s.steps, N), s.block)) {
    Tile i = begin + arange(s.block);
    Tile row = rows_below(load(row_ids(i), Operand::none(), -1), x.size(0), "row id {0} is past the last of {1} rows");
    store(out(i), cast(load(x(row), row >= 0), out.dtype()));
  }
}

} // namespace
} // namespace kernel

static constexpr Schedule kSchedule{.num_warps = 4}, kPlace{.num_warps = 8}, kGather{.num_warps = 16};

kernel::MapSpec map_spec(int64_t experts, bool weighted) { // few facts: the counting kernels have one form
  int e = static_cast<int>(experts);
  return {e, std::clamp(4096 / next_pow2(e), 4, 256), weighted};
}

int columns_of_map(int experts, std::initializer_list<DType> dtypes) {
  int columns = 8;
  for (DType t : dtypes) {
    if (experts * size_bytes(t) % 32 != 0) return next_pow2(experts);
    columns = std::max(columns, 32 / static_cast<int>(size_bytes(t)));
  }
  return std::min(columns, next_pow2(experts));
}

void check_map(const Asked &what, const Tensor &map) {
  check_rank(what, map, 2);
  check_dtype(what, map, {boolean, i8, u8, i32, i64, f16, bf16, f32, f64});
  check_experts(what, map.size(1));
  check_that(map.size(0) * map.size(1) < int64_t{1} << 31, what, "it has 2^31 cells or more", "route in parts");
}

void check_token_rows(const std::string &what, const RoutingMap &map) {
  check_rank({what, "token_rows"}, map.token_rows, 2);
  check_dtype({what, "token_rows"}, map.token_rows, {i32});
  check_shape({what, "row_counts"}, map.row_counts, {map.token_rows.size(0)});
  check_dtype({what, "row_counts"}, map.row_counts, {i32});
  check_tensor(map.token_rows.size(1) % 2 == 0, {what, "token_rows"}, map.token_rows, "its shape must be [T, 2*E]");
  check_experts(what, map.token_rows.size(1) / 2);
}

void scan_counts(const Stream &stream, const Tensor &counts, const Tensor &totals) {
  static const auto scan = jit(kernel::map_scan, kSchedule);
  scan(stream, map_spec(counts.size(1)), counts, totals);
}

MapCounts count_map(const Stream &stream, const Tensor &map) {
  static const auto count = jit(kernel::map_count, kSchedule);
  kernel::MapSpec spec = map_spec(map.size(1));
  MapCounts c{Tensor::empty({cdiv(map.size(0), int64_t{spec.block}), map.size(1)}, i32, stream),
              Tensor::empty({map.size(1)}, i32, stream)};
  count(stream, spec, map, c.before);
  scan_counts(stream, c.before, c.totals);
  return c;
}

/// Rows of the result, from what the caller says or, on that request, from the device.
static int64_t rows_of(const Stream &stream, const RouteMapOptions &o, const Tensor &map, const MapCounts &counts) {
  if (o.capacity) return map.size(1) * *o.capacity;
  if (o.sorted_indices.defined()) return o.sorted_indices.size(0);
  if (o.rows) {
    check_range("route_map", "rows", *o.rows, 0, std::numeric_limits<int32_t>::max());
    return *o.rows;
  }
  stream.synchronize();
  int64_t rows = 0;
  for (int32_t n : counts.totals.to_vector<int32_t>()) rows += cdiv(int64_t{n}, o.pad_multiple) * o.pad_multiple;
  return rows;
}

static void check_route_map(const Tensor &map, const Tensor &probs, const RouteMapOptions &o) {
  check_map("route_map: routing_map", map);
  if (probs.defined())
    check_shape("route_map: probs", probs, {map.size(0), map.size(1)}),
        check_dtype("route_map: probs", probs, {f32, bf16, f16, f64});
  if (o.sorted_indices.defined())
    check_rank("route_map: sorted_indices", o.sorted_indices, 1),
        check_dtype("route_map: sorted_indices", o.sorted_indices, {i32, i64});
  check_range("route_map", "pad_multiple", o.pad_multiple, 1, 1 << 16);
  if (!o.capacity) return;
  check_that(o.pad_multiple == 1, "route_map: capacity", "padding to a multiple was asked for too", "choose one");
  check_range("route_map", "capacity", *o.capacity, 0, map.size(0));
}

RoutingMap route_map(const Stream &stream, const Tensor &routing_map, const Tensor &probs, const RouteMapOptions &o) {
  check_route_map(routing_map, probs, o);
  static const auto place = jit(kernel::map_place, kPlace);
  const int64_t tokens = routing_map.size(0), experts = routing_map.size(1);
  auto spec = map_spec(experts, probs.defined());
  spec.capacity = o.capacity.has_value(), spec.check = o.sorted_indices.defined(), spec.compact = o.row_id_map,
  spec.zero = o.zero_rows && probs.defined();
  MapCounts counts = count_map(stream, routing_map);
  const int64_t rows = rows_of(stream, o, routing_map, counts);
  auto make = [&](const Dims &shape, DType t) { // without tokens no program writes
    return tokens == 0 ? Tensor::zeros(shape, t, stream) : Tensor::empty(shape, t, stream);
  };
  auto if_there = [&](const Tensor &t, int rank) { return or_empty(stream, t, rank, i32); };
  RoutingMap r;
  r.sorted_indices = spec.check ? o.sorted_indices : make({rows}, i64);
  if (tokens == 0 && rows > 0 && !spec.check)
    stream.fill(r.sorted_indices.data(), 0xff, static_cast<size_t>(rows) * 8); // -1
  if (probs.defined()) r.probs = make({rows}, probs.dtype());
  r.token_rows = make({tokens, 2 * experts}, i32), r.row_counts = make({tokens}, i32);
  if (o.row_id_map) r.row_id_map = make({tokens, 2 * experts + 1}, i32);
  r.counts = make({experts}, i64), r.offs = make({experts}, i32), r.routed = counts.totals,
  r.full = spec.capacity || (!o.rows && !spec.check && o.pad_multiple == 1);
  place(stream, spec, routing_map, if_there(probs, 2), counts.before, counts.totals,
        static_cast<int32_t>(o.capacity.value_or(o.pad_multiple)), r.token_rows, r.row_counts,
        if_there(r.row_id_map, 2), r.sorted_indices, if_there(r.probs, 1), r.counts, r.offs);
  return r;
}

RoutingMap list_token_rows(const Stream &stream, const Tensor &row_of) {
  static const auto run = jit(kernel::map_list, kSchedule);
  RoutingMap r;
  r.token_rows = Tensor::empty({row_of.size(0), 2 * row_of.size(1)}, i32, stream);
  r.row_counts = Tensor::empty({row_of.size(0)}, i32, stream);
  run(stream, map_spec(row_of.size(1)), row_of, r.token_rows, r.row_counts);
  return r;
}

Tensor permute_backward_probs(const Stream &stream, const Tensor &grad, const RoutingMap &map) {
  check_rank("permute_backward_probs: gradient", grad, 1);
  check_dtype("permute_backward_probs: gradient", grad, {f32, bf16, f16, f64});
  check_token_rows("permute_backward_probs", map);
  static const auto run = jit(kernel::map_scatter, kSchedule);
  const int64_t experts = map.token_rows.size(1) / 2;
  Tensor out = Tensor::empty({map.token_rows.size(0), experts}, grad.dtype(), stream);
  run(stream, map_spec(experts), grad, map.token_rows, map.row_counts, out);
  return out;
}

Tensor route_slots_backward(const Stream &stream, const Tensor &grad, const Tensor &row_ids, int topk, DType dtype) {
  check_rank("route_slots_backward: gradient", grad, 1);
  check_dtype("route_slots_backward: gradient", grad, {f32, bf16, f16, f64});
  check_rank("route_slots_backward: row_ids", row_ids, 1);
  check_dtype("route_slots_backward: row_ids", row_ids, {i32});
  check_range("route_slots_backward", "topk", topk, 1, kMostExperts);
  check_tensor(row_ids.numel() % topk == 0, "route_slots_backward: row_ids", row_ids,
               "its size must be a multiple of topk");
  static const auto run = jit(kernel::slot_gather, kGather);
  const int64_t slots = row_ids.numel();
  Tensor out = Tensor::empty({slots}, dtype, stream);
  check_dtype("route_slots_backward: result", out, {f32, bf16, f16, f64});
  run(stream, kernel::SlotGatherSpec{}, grad, packed(stream, row_ids), out);
  return out.reshape({slots / topk, topk});
}

void register_routing_map(Library &l) {
  const std::vector<KernelSetting> sizes{{"T", "4096", "tokens"},
                                         {"N", "32768", "routed rows"},
                                         {"map", "bool", "dtype of the map"},
                                         {"dtype", "f32", "of the probabilities"}};
  const KernelArgument map{"routing_map", "[T, experts]", "map"},
      counts{"counts", "[(T+block-1)/block, experts]", "i32"}, totals{"totals", "[experts]", "i32"},
      row_of{"row_of", "[T, experts]", "i32"}, token_rows{"token_rows", "[T, 2*experts]", "i32"},
      row_counts{"row_counts", "[T]", "i32"};
  add_kernel(l, kernel::map_count, "map_count", "routed tokens per expert and block of tokens", kSchedule,
             {map, counts}, sizes);
  add_kernel(l, kernel::map_scan, "map_scan", "prefix sums of map_count's counts", kSchedule, {counts, totals}, sizes);
  add_kernel(l, kernel::map_place, "map_place", "rows of routed pairs, expert-major", kPlace,
             {map,
              {"probs", "[T, experts]", "dtype"},
              counts,
              totals,
              {"unit", "scalar", "i32"},
              token_rows,
              row_counts,
              {"row_id_map", "[T, 2*experts+1]", "i32"},
              {"sorted_indices", "[N]", "i64"},
              {"sorted_probs", "[N]", "dtype"},
              {"tokens_per_expert", "[experts]", "i64"},
              {"offs", "[experts]", "i32"}},
             sizes);
  add_kernel(l, kernel::map_list, "map_list", "each token's rows in a list", kSchedule,
             {row_of, token_rows, row_counts}, sizes);
  add_kernel(l, kernel::map_scatter, "map_scatter", "values of rows back to their cells of the map", kSchedule,
             {{"x", "[N]", "dtype"}, token_rows, row_counts, {"out", "[T, experts]", "dtype"}}, sizes);
  add_kernel(l, kernel::slot_gather, "slot_gather", "values of rows back to their slots", kGather,
             {{"x", "[N]", "dtype"}, {"row_ids", "[N]", "i32"}, {"out", "[N]", "dtype"}}, sizes);
  l.add_specializations({
      {"map_count", "experts=128,block=32", "Qwen3-30B-A3B"},
      {"map_scan", "experts=128,block=32", "Qwen3-30B-A3B"},
      {"map_scan", "experts=6,block=256,T=20", "recorded case"},
      {"map_place", "experts=128,block=32", "Qwen3-30B-A3B"},
      {"map_place", "experts=128,block=32,compact=true,zero=true", "Qwen3-30B-A3B, TransformerEngine's form"},
      {"map_place", "experts=256,block=16,dtype=bf16", "DeepSeek-V3"},
      {"map_place", "experts=8,block=256,capacity=true,map=i32", "Mixtral 8x7B, drop and pad"},
      {"map_place", "experts=60,block=64,weighted=false,check=true,T=33", "recorded case, unpermute by map"},
      {"map_place", "experts=6,block=256,zero=true,dtype=f64,T=33", "odd sizes, f64"},
      {"map_list", "experts=8,block=256", "Mixtral 8x7B"},
      {"map_scatter", "experts=128,block=32", "Qwen3-30B-A3B"},
      {"map_scatter", "experts=6,block=256,dtype=f64,T=33", "recorded case, f64"},
      {"slot_gather", "", "Qwen3-30B-A3B"},
      {"slot_gather", "dtype=f64,N=33", "recorded case, f64"},
  });
}

} // namespace moec
