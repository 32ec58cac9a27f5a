// Routing maps padded to a multiple of tokens per expert.
#include <algorithm>

#include "kernels/moe.h"
#include "kernels/registration.h"
#include "kernels/routing_map.h"

namespace moec {

namespace kernel {
namespace {

struct PadSpec {
  int experts = 128;
  int block = 32;      ///< tokens per program, or at a time if it has all of some columns
  int columns = 0;     ///< these columns' number
  bool strict = false; ///< too few zeros stop the launch
  static void fields(auto &s, auto &&f) {
    f("experts", s.experts), f("block", s.block), f("columns", s.columns), f("strict", s.strict);
  }
};

/// The padded counts of a program's experts.
void store_counts(const PadSpec &s, const Tile &e, const Tile &whole, Int T, View padded, View ceiling) {
  if (s.strict)
    device_assert((whole <= T) | (e >= s.experts), "an expert has too few tokens to pad its count: {0} of {1}",
                  {whole, T});
  store(padded(e), cast(minimum(whole, T), padded.dtype()));
  store(ceiling(e), cast(whole, ceiling.dtype()));
}

/// `out` may be `map`: a program reads and writes its own tokens only.
void map_pad(const PadSpec &s, View map, View counts, View totals, Int multiple, View out, View padded, View ceiling) {
  arg_names({"routing_map", "counts", "totals", "multiple", "out", "padded", "tokens_per_expert"});
  Int T = map.size(0), b = program_id(0);
  for (const View &v : {map, out}) v.expect({T, s.experts});
  counts.expect({cdiv(T, s.block), s.experts});
  for (const View &v : {totals, padded, ceiling}) v.expect({s.experts});
  grid(cdiv(T, s.block));
  MapBlock m = map_block({.experts = s.experts, .block = s.block}, map, counts, totals, b);
  Tile whole = cdiv(m.count, multiple) * multiple, need = whole - m.count;
  when(b == 0, [&] { store_counts(s, m.expert, whole, T, padded, ceiling); });
  Tile value = load(map(m.token, m.expert));
  Tile added = !m.routed & (m.token - m.rank < need), one = full({s.block, next_pow2(s.experts)}, 1, i32);
  store(out(m.token, m.expert), where(added, cast(one, map.dtype()), value));
}

/// The same where a program has all tokens of some columns: nothing is counted before. `out` may be `map`.
void map_pad_columns(const PadSpec &s, View map, Int multiple, View out, View padded, View ceiling) {
  arg_names({"routing_map", "multiple", "out", "padded", "tokens_per_expert"});
  Int T = map.size(0);
  for (const View &v : {map, out}) v.expect({T, s.experts});
  for (const View &v : {padded, ceiling}) v.expect({s.experts});
  grid(cdiv(s.experts, s.columns));
  Tile e = program_id(0) * s.columns + arange(s.columns), routed = zeros({s.block, s.columns}, i32);
  auto token = [&](Int i) { return expand_dims(i + arange(s.block), 1); };
  for (Int i : range(0, T, s.block)) routed += cast(is_pair(load(map(token(i), e))), i32);
  Tile count = sum(routed, 0), whole = cdiv(count, multiple) * multiple, need = whole - count;
  store_counts(s, e, whole, T, padded, ceiling);
  Tile one = cast(full({s.block, s.columns}, 1, i32), map.dtype());
  for (Int i : range(0, T, s.block)) {
    Tile t = token(i), value = load(map(t, e)), unset = cast(!is_pair(value), i32), rank = cumsum(unset, 0);
    store(out(t, e), where((unset != 0) & (rank <= need), one, value));
    need = need - sum(unset, 0); // below 0: there are enough
  }
}

} // namespace
} // namespace kernel

static constexpr Schedule kSchedule{.num_warps = 8}, kColumns{.num_warps = 16};
/// Columns up to this size stay in the cache of the multiprocessor whose program pads them: it counts, then pads.
static constexpr int64_t kColumnBytes = 128 << 10;

static PaddedMap pad_map(const Stream &stream, const Tensor &map, const Tensor &out, int multiple, bool strict) {
  static const auto pad = jit(kernel::map_pad, kSchedule);
  static const auto pad_columns = jit(kernel::map_pad_columns, kColumns);
  const int64_t experts = map.size(1);
  auto make = [&] {
    return map.size(0) ? Tensor::empty({experts}, i64, stream) : Tensor::zeros({experts}, i64, stream);
  };
  PaddedMap p{out, make(), make()};
  kernel::PadSpec spec{.experts = static_cast<int>(experts), .strict = strict};
  const int columns = columns_of_map(spec.experts, {map.dtype()});
  if (map.size(0) * columns * size_bytes(map.dtype()) <= kColumnBytes) {
    spec.columns = columns, spec.block = std::max(1, 4096 / columns);
    pad_columns(stream, spec, map, multiple, p.routing_map, p.counts, p.tokens_per_expert);
    return p;
  }
  MapCounts counts = count_map(stream, map);
  spec.block = map_spec(experts).block;
  pad(stream, spec, map, counts.before, counts.totals, multiple, p.routing_map, p.counts, p.tokens_per_expert);
  return p;
}

static void check_pad(const Tensor &map, int multiple) {
  check_map("pad_routing_map: routing_map", map);
  check_range("pad_routing_map", "multiple", multiple, 1, 1 << 16);
}

PaddedMap pad_routing_map(const Stream &stream, const Tensor &routing_map, int multiple, bool strict) {
  check_pad(routing_map, multiple);
  return pad_map(stream, routing_map, Tensor::empty(routing_map.shape(), routing_map.dtype(), stream), multiple,
                 strict);
}

PaddedMap pad_routing_map_in_place(const Stream &stream, Tensor &routing_map, int multiple, bool strict) {
  check_pad(routing_map, multiple);
  check_apart("pad_routing_map_in_place: routing_map", routing_map, {});
  return pad_map(stream, routing_map, routing_map, multiple, strict);
}

// -------------------------------------------------------------------------------------------------------------
// registration

static void run_pad(OpCall &c) {
  PaddedMap p =
      pad_routing_map(c.stream(), c.in("routing_map"), static_cast<int>(c.integer("pad_multiple")), c.flag("strict"));
  c.out("routing_map", p.routing_map);
  c.out("counts", p.counts);
  c.out("tokens_per_expert_ceil", p.tokens_per_expert);
}

void register_pad_map(Library &l) {
  using Type = OpParameter::Type;
  const KernelArgument map{"routing_map", "[T, experts]", "map"}, count{"counts", "[experts]", "i64"};
  add_kernel(l, kernel::map_pad, "map_pad", "zeros of a map set to reach a multiple per expert", kSchedule,
             {map,
              {"counts", "[(T+block-1)/block, experts]", "i32"},
              {"totals", "[experts]", "i32"},
              {"multiple", "scalar", "i32"},
              {"out", "[T, experts]", "map"},
              {"padded", "[experts]", "i64"},
              {"tokens_per_expert", "[experts]", "i64"}},
             {{"T", "4096", "tokens"}, {"map", "bool", "dtype of the map"}});
  add_kernel(l, kernel::map_pad_columns, "map_pad_columns", "map_pad by programs with all tokens of some experts",
             kColumns,
             {map,
              {"multiple", "scalar", "i32"},
              {"out", "[T, experts]", "map"},
              {"padded", "[experts]", "i64"},
              {"tokens_per_expert", "[experts]", "i64"}},
             {{"T", "4096", "tokens"}, {"map", "bool", "dtype of the map"}});
  l.add_specializations({
      {"map_pad", "experts=128,block=32", "Qwen3-30B-A3B, many tokens"},
      {"map_pad", "experts=6,block=256,strict=true,map=i32,T=33", "odd sizes"},
      {"map_pad_columns", "experts=128,columns=32,block=128", "Qwen3-30B-A3B"},
      {"map_pad_columns", "experts=6,columns=8,block=512,strict=true,map=f64,T=33", "odd sizes, f64"},
  });
  l.ops.push_back({"pad_routing_map",
                   "each expert's count padded to a multiple",
                   "need[e] = (-count[e]) mod m; the first need[e] zeros of column e, ascending t, become 1 (all, if "
                   "there are fewer)",
                   "megatron.core.transformer.moe.moe_utils.pad_routing_map",
                   "integers only: the same bits everywhere",
                   {{"pad_multiple", Type::integer, "", "m", {}, true},
                    {"strict", Type::boolean, "false", "true: too few zeros stop the launch"}},
                   {{"routing_map", "[T, E]", "bool i8 u8 i32 i64 f16 bf16 f32 f64", "not 0: routed"},
                    {"routing_map", "[T, E]", "routing_map", "padded", true},
                    {"counts", "[E]", "i64", "tokens of each expert in it", true},
                    {"tokens_per_expert_ceil", "[E]", "i64", "counts rounded up to a multiple", true}},
                   {"map_pad_columns", "map_count", "map_scan", "map_pad"},
                   {"pad_routing_map", "pad_routing_map_in_place"},
                   run_pad});
}

} // namespace moec
