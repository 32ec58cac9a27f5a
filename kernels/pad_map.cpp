// Routing maps padded to a multiple of tokens per expert.
#include "kernels/moe.h"
#include "kernels/registration.h"
#include "kernels/routing_map.h"

namespace moec {

namespace kernel {
namespace {

struct PadSpec {
  int experts = 128;
  int block = 32;      ///< tokens per program
  bool strict = false; ///< too few zeros stop the launch
  static void fields(auto &s, auto &&f) { f("experts", s.experts), f("block", s.block), f("strict", s.strict); }
};

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
  if (s.strict)
    device_assert((need <= T - m.count) | (m.expert >= s.experts), "an expert has too few tokens to pad its count");
  when(b == 0, [&] {
    store(padded(m.expert), cast(minimum(whole, T), padded.dtype()));
    store(ceiling(m.expert), cast(whole, ceiling.dtype()));
  });
  Tile value = load(map(m.token, m.expert));
  Tile added = !m.routed & (m.token - m.rank < need), one = full({s.block, next_pow2(s.experts)}, 1, i32);
  store(out(m.token, m.expert), where(added, cast(one, map.dtype()), value));
}

} // namespace
} // namespace kernel

static constexpr Schedule kSchedule{.num_warps = 8};

static PaddedMap pad_map(const Stream &stream, const Tensor &map, const Tensor &out, int multiple, bool strict) {
  static const auto pad = jit(kernel::map_pad, kSchedule);
  const int64_t experts = map.size(1);
  MapCounts counts = count_map(stream, map);
  auto make = [&] {
    return map.size(0) ? Tensor::empty({experts}, i64, stream)
                       : Tensor::zeros({experts}, i64, stream);
  };
  PaddedMap p{out, make(), make()};
  kernel::PadSpec spec{static_cast<int>(experts), map_spec(experts).block, strict};
  pad(stream, spec, map, counts.before, counts.totals, multiple, p.routing_map, p.counts, p.tokens_per_expert);
  return p;
}

static void check_pad(const Tensor &map, int multiple) {
  check_map("pad_routing_map: routing_map", map);
  check_range("pad_routing_map", "multiple", multiple, 1, 1 << 16);
}

PaddedMap pad_routing_map(const Stream &stream, const Tensor &routing_map, int multiple, bool strict) {
  check_pad(routing_map, multiple);
  return pad_map(stream, routing_map, Tensor::empty(routing_map.shape(), routing_map.dtype(), stream),
                 multiple, strict);
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
  l.add_specializations({
      {"map_pad", "experts=128,block=32", "Qwen3-30B-A3B"},
      {"map_pad", "experts=6,block=256,strict=true,map=i32,T=33", "odd sizes"},
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
                   {"map_count", "map_scan", "map_pad"},
                   run_pad});
}

} // namespace moec
