// Capacity of experts: which pairs of a routing map stay when an expert has more tokens than it may take.
#include <algorithm>
#include <bit>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "kernels/moe.h"
#include "kernels/registration.h"
#include "kernels/routing_map.h"

namespace moec {

namespace kernel {
namespace {

struct CapacitySpec {
  int experts = 128;
  int block = 32;       ///< experts per program
  bool by_probs = true; ///< the most probable tokens stay, else the first ones
  bool weighted = true; ///< there are probabilities
  static void fields(auto &s, auto &&f) {
    f("experts", s.experts), f("block", s.block), f("by_probs", s.by_probs), f("weighted", s.weighted);
  }
  int tokens() const { return std::max(1, 4096 / block); }                ///< at a time
  int digits() const { return std::min(256, std::max(2, 8192 / block)); } ///< of a key, counted at a time
};

/// Integers in the order of the floats: -0 is 0, NaN above all.
Tile ordered(Tile p) {
  if (p.dtype() != f64) p = cast(p, f32);
  DType t = p.dtype() == f64 ? i64 : i32;
  Tile bits = bitcast(p, t), most = full({}, t == i64 ? INT64_MAX : INT32_MAX, t);
  return where(p != p, most, where(p == 0, zeros(p.shape(), t), where(bits < 0, bits ^ most, bits)));
}

/// The pairs of a program's experts that stay: those with keys above `least`, of which there are `above`, and of those
/// with the least key the lower tokens.
struct Limit {
  Tile least, above; ///< [block], of the keys' dtype and i32
};

/// A radix select: the least key that stays, digit by digit from the highest; equal digits so far are counted by the
/// next one. `each(f)` calls f(token, pairs, keys) for all tokens, some at a time.
template <class Each> Limit find_limit(const CapacitySpec &s, DType type, Int capacity, Each each) {
  const int digits = s.digits(), width = std::countr_zero(static_cast<unsigned>(digits)), bits = 8 * size_bytes(type);
  Tile flip = full({}, type == i64 ? INT64_MIN : INT32_MIN, type); // to the order of unsigned integers
  Tile least = zeros({s.block}, type), known = least, above = zeros({s.block}, i32);
  Tile column = arange(s.block) * digits, digit = arange(digits);
  for (Int pass : range(0, cdiv(bits, width))) {
    Tile shift = cast(maximum(bits - width - pass * width, 0), type), counts = zeros({s.block * digits}, i32);
    each([&](Tile, Tile pairs, Tile keys) {
      Tile key = keys ^ flip, bin = column + cast(key >> shift & (digits - 1), i32);
      Tile match = pairs & (((key ^ least) & known) == 0);
      counts +=
          histogram(reshape(bin, {s.tokens() * s.block}), s.block * digits, reshape(match, {s.tokens() * s.block}));
    });
    Tile own = reshape(counts, {s.block, digits});
    Tile reached = expand_dims(above, 1) + cumsum(own, 1, true) >= capacity; // with this digit or a greater one
    Tile best = maximum(sum(cast(reached, i32), 1) - 1, 0);
    above += sum(where(digit > expand_dims(best, 1), own, 0), 1);
    least = least | cast(best, type) << shift;
    known = known | full({}, digits - 1, type) << shift;
  }
  return {least ^ flip, above};
}

/// A program has all tokens of some experts.
void map_limit(const CapacitySpec &s, View map, View probs, Int capacity, View out, View out_probs, View routed) {
  arg_names({"routing_map", "probs", "capacity", "out", "out_probs", "routed"});
  Int T = map.size(0);
  for (const View &v : {map, out}) v.expect({T, s.experts});
  if (s.weighted)
    for (const View &v : {probs, out_probs}) v.expect({T, s.experts});
  routed.expect({s.experts});
  grid(cdiv(s.experts, s.block));
  Tile e = program_id(0) * s.block + arange(s.block);
  const DType type = s.by_probs && probs.dtype() == f64 ? i64 : i32;
  const Shape shape{s.tokens(), s.block};
  auto each = [&](auto f) {
    for (Int i : range(0, T, s.tokens())) {
      Tile t = expand_dims(i + arange(s.tokens()), 1);
      f(t, is_pair(load(map(t, e))), s.by_probs ? ordered(load(probs(t, e))) : zeros(shape, type));
    }
  };
  // By position all keys are the same.
  Limit limit{zeros({s.block}, type), zeros({s.block}, i32)};
  if (s.by_probs) limit = find_limit(s, type, capacity, each);
  Tile total = zeros(shape, i32), equal = zeros({s.block}, i32);
  each([&](Tile t, Tile pairs, Tile key) {
    total += cast(pairs, i32);
    Tile tie = cast(pairs & (key == limit.least), i32), before = expand_dims(equal, 0) + cumsum(tie, 0) - tie;
    Tile stays = pairs & ((key > limit.least) | ((key == limit.least) & (before < capacity - limit.above)));
    equal += sum(tie, 0);
    store(out(t, e), where(stays, load(map(t, e)), zeros(shape, map.dtype())));
    if (s.weighted) store(out_probs(t, e), where(stays | !pairs, load(probs(t, e)), zeros(shape, probs.dtype())));
  });
  store(routed(e), sum(total, 0));
}

} // namespace
} // namespace kernel

static constexpr Schedule kSchedule{.num_warps = 16};

int64_t expert_capacity(int64_t tokens, int topk, int experts, double factor, int64_t minimum) {
  check_range("expert_capacity", "tokens", tokens, 0);
  check_range("expert_capacity", "topk", topk, 1);
  check_range("expert_capacity", "experts", experts, 1);
  check_that(factor > 0 && std::isfinite(factor), "expert_capacity", fmt::format("factor is {}", factor),
             "it must be positive and finite");
  const double mean = static_cast<double>(tokens) * topk / experts, wanted = std::ceil(mean * factor);
  return std::min(tokens, std::max(minimum, static_cast<int64_t>(std::min(wanted, 0x1p62))));
}

void check_capacity(const Stream &stream, const Asked &what, const Tensor &routed, int64_t capacity) {
  stream.synchronize();
  std::vector<int32_t> counts = routed.to_vector<int32_t>();
  if (std::ranges::all_of(counts, [&](int32_t n) { return n <= capacity; })) return;
  throw UserError(
      what.text(),
      fmt::format("an expert has more than {} tokens; tokens per expert: {}", capacity, fmt::join(counts, ", ")),
      "raise the capacity, or let tokens be dropped");
}

LimitedMap limit_capacity(const Stream &stream, const Tensor &routing_map, const Tensor &probs, int64_t capacity,
                          const CapacityOptions &options) {
  check_map("limit_capacity: routing_map", routing_map);
  check_range("limit_capacity", "capacity", capacity, 0, std::numeric_limits<int32_t>::max());
  check_that(probs.defined() || !options.by_probs, "limit_capacity", "by_probs needs probabilities", "pass probs");
  if (probs.defined())
    check_shape("limit_capacity: probs", probs, {routing_map.size(0), routing_map.size(1)}),
        check_dtype("limit_capacity: probs", probs, {f32, bf16, f16, f64});
  static const auto run = jit(kernel::map_limit, kSchedule);
  LimitedMap r{Tensor::empty(routing_map.shape(), routing_map.dtype(), stream),
               {},
               Tensor::empty({routing_map.size(1)}, i32, stream)};
  if (probs.defined()) r.probs = Tensor::empty(probs.shape(), probs.dtype(), stream);
  const Tensor of_probs = or_empty(stream, probs, 2);
  const int experts = static_cast<int>(routing_map.size(1));
  const kernel::CapacitySpec spec{experts, columns_of_map(experts, {routing_map.dtype(), of_probs.dtype()}),
                                  options.by_probs, probs.defined()};
  run(stream, spec, routing_map, of_probs, static_cast<int32_t>(capacity), r.routing_map, or_empty(stream, r.probs, 2),
      r.routed);
  if (!options.may_drop) check_capacity(stream, "limit_capacity with may_drop=false", r.routed, capacity);
  return r;
}

// -------------------------------------------------------------------------------------------------------------
// registration

static void run_limit(OpCall &c) {
  LimitedMap m = limit_capacity(c.stream(), c.in("routing_map"), c.given("probs"), c.integer("capacity"),
                                {.by_probs = c.text("drop_policy") == "probs", .may_drop = c.flag("may_drop")});
  c.out("routing_map", m.routing_map);
  c.out("routed", m.routed);
  if (m.probs.defined()) c.out("probs", m.probs);
  if (c.has("grad_probs") && c.wants({"grad_probs"}))
    c.backward([&c, m] {
      c.out("grad_probs", limit_capacity_backward(c.stream(), c.in("grad_probs"), c.in("routing_map"), m.routing_map));
    });
}

void register_capacity(Library &l) {
  using Type = OpParameter::Type;
  add_kernel(l, kernel::map_limit, "map_limit", "pairs of a map that stay within a capacity", kSchedule,
             {{"routing_map", "[T, experts]", "map"},
              {"probs", "[T, experts]", "dtype"},
              {"capacity", "scalar", "i32"},
              {"out", "[T, experts]", "map"},
              {"out_probs", "[T, experts]", "dtype"},
              {"routed", "[experts]", "i32"}},
             {{"T", "4096", "tokens"}, {"map", "bool", "dtype of the map"}, {"dtype", "f32", "of the probabilities"}});
  l.add_specializations({
      {"map_limit", "experts=128", "Qwen3-30B-A3B"},
      {"map_limit", "experts=60,block=64,dtype=bf16,T=33", "sizes that divide nothing"},
      {"map_limit", "experts=6,block=8,dtype=f64,T=33", "odd sizes, f64"},
      {"map_limit", "experts=8,block=8,by_probs=false,weighted=false,map=i32", "Mixtral 8x7B, first tokens"},
  });
  l.ops.push_back(
      {"limit_capacity",
       "pairs of a routing map that stay within a capacity",
       "of each expert's routed tokens the capacity most probable (probs; equal ones: the lower token) or first "
       "(position) stay; the others become 0 in routing_map and probs",
       "megatron.core.transformer.moe.moe_utils.topk_softmax_with_capacity",
       "integers and copies: the same bits everywhere",
       {{"capacity", Type::integer, "", "tokens per expert", {}, true},
        {"drop_policy", Type::text, "probs", "which tokens stay", {"probs", "position"}},
        {"may_drop", Type::boolean, "true", "false: an expert with more tokens is an error with all counts"}},
       {{"routing_map", "[T, E]", "bool i8 u8 i32 i64 f16 bf16 f32 f64", "not 0: routed"},
        {"probs", "[T, E]", "f32 bf16 f16 f64", "probabilities", false, true},
        {"grad_probs", "[T, E]", "probs", "gradient of the probs that stay", false, true},
        {"routing_map", "[T, E]", "routing_map", "what stays", true},
        {"probs", "[T, E]", "probs", "0 where a pair was dropped", true, true},
        {"routed", "[E]", "i32", "tokens of each expert before", true},
        {"grad_probs", "[T, E]", "probs", "gradient of the probs given: grad_probs, 0 where a pair was dropped", true,
         true}},
       {"map_limit", "map_limit_backward"},
       {"expert_capacity", "limit_capacity", "limit_capacity_backward"},
       run_limit});
}

} // namespace moec
