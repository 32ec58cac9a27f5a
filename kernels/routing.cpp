// Routing by slots: a stable counting sort of slots by expert. One program sorts up to 4096 slots; more take two
// kernels: count per block of slots, then place.
#include "kernels/aux_loss.h"
#include "kernels/block_counts.h"
#include "kernels/host.h"
#include "kernels/moe.h"
#include "kernels/registration.h"

namespace moec {

namespace kernel {
namespace {

struct RouteSpec {
  int topk = 8, experts = 128;
  int first = 0;        ///< experts first..first+experts-1 are ours
  bool masked = false;  ///< there is a token mask
  bool every = false;   ///< no slot is dropped: `experts` are ids below 0, E experts, id E, and ids above
  bool weighted = true; ///< there are weights
  int block = 512;      ///< slots at a time
  int steps = 1;        ///< of a program that only counts
  static void fields(auto &s, auto &&f) {
    f("topk", s.topk), f("experts", s.experts), f("first", s.first), f("masked", s.masked), f("every", s.every),
        f("weighted", s.weighted), f("block", s.block), f("steps", s.steps);
  }
};

/// The expert of each slot of this program, counted from `first`; `experts` for a dropped slot, experts+1 past the last
/// slot.
Tile slot_keys(const RouteSpec &s, View ids, View token_mask, Tile slot) {
  Tile real = slot < ids.size(0), id = load(ids(slot));
  if (s.every) id = minimum(maximum(id, s.first), s.first + s.experts - 1);
  id = id - s.first;
  Tile kept = (id >= 0) & (id < s.experts);
  if (s.masked) kept = kept & load(token_mask(slot / s.topk));
  return where(real, where(kept, cast(id, i32), s.experts), s.experts + 1);
}

/// The counts that are given out: torch.histc over [0, E] counts id E as the last expert.
Tile counts_of(const RouteSpec &s, const Tile &rows) {
  if (!s.every) return rows;
  Tile e = arange(next_pow2(s.experts));
  return where(e == s.experts - 3, rows + sum(where(e == s.experts - 2, rows, 0)), rows);
}

void route_count(const RouteSpec &s, View ids, View token_mask, View counts) {
  arg_names({"indices", "token_mask", "counts"});
  Int N = ids.size(0);
  const int slots = s.block * s.steps;
  counts.expect({cdiv(N, slots), s.experts});
  if (s.masked) token_mask.expect({N / s.topk});
  grid(cdiv(N, slots));
  Tile count = zeros({next_pow2(s.experts)}, i32);
  Int first = program_id(0) * slots;
  for (Int i : range(first, minimum(first + slots, N), s.block)) {
    Tile key = slot_keys(s, ids, token_mask, i + arange(s.block));
    count += histogram(key, s.experts, key < s.experts);
  }
  store(counts(program_id(0), arange(next_pow2(s.experts))), count);
}

/// What is written for each slot, and the weights.
struct Slots {
  View weights, slot_ids, token_ids, sorted_weights, row_ids;
};

void expect_slots(const RouteSpec &s, View ids, View token_mask, const Slots &v) {
  Int N = ids.size(0);
  for (const View &of_rows : {v.slot_ids, v.token_ids, v.row_ids}) of_rows.expect({N});
  if (s.masked) token_mask.expect({N / s.topk});
  if (s.weighted) v.weights.expect({N}), v.sorted_weights.expect({N});
}

/// Sorts a block of slots by their keys and writes them: row_of(lane, key, kept) is the row of each in sorted order.
template <class RowOf>
void place_block(const RouteSpec &s, const Slots &v, const Int &first, const Tile &keys, RowOf row_of) {
  // Key and lane in one number: a sort that is stable by itself.
  Tile lane = arange(s.block), sorted = sort(keys * s.block + lane);
  Tile key = sorted / s.block, slot = first + sorted % s.block;
  Tile kept = key < s.experts, real = key <= s.experts;
  Tile row = row_of(lane, key, kept);
  store(v.slot_ids(row), cast(where(kept, slot, -1), v.slot_ids.dtype()), real);
  store(v.token_ids(row), cast(where(kept, slot / s.topk, -1), v.token_ids.dtype()), real);
  store(v.row_ids(slot), cast(where(kept, row, -1), v.row_ids.dtype()), real);
  if (s.weighted) store(v.sorted_weights(row), cast(load(v.weights(slot), kept), v.sorted_weights.dtype()), real);
}

void route_place(const RouteSpec &s, View ids, View token_mask, View weights, View counts, View base, View slot_ids,
                 View token_ids, View sorted_weights, View row_ids, View tokens_per_expert, View offs) {
  arg_names({"indices", "token_mask", "weights", "counts", "base", "slot_ids", "token_ids", "sorted_weights", "row_ids",
             "tokens_per_expert", "offs"});
  Int N = ids.size(0);
  for (const View &v : {counts, base}) v.expect({cdiv(N, s.block), s.experts});
  expect_slots(s, ids, token_mask, {weights, slot_ids, token_ids, sorted_weights, row_ids});
  for (const View &v : {tokens_per_expert, offs}) v.expect({s.experts});
  grid(cdiv(N, s.block));

  // Rows of each expert in all blocks, and in those before this one.
  Int b = program_id(0);
  Tile e = arange(next_pow2(s.experts));
  auto [total, before] = sum_blocks(counts, b, s.experts);
  Tile own = load(counts(b, e)), upto = cumsum(total);
  when(b == 0, [&] {
    store(tokens_per_expert(e), cast(counts_of(s, total), tokens_per_expert.dtype()));
    store(offs(e), upto);
  });
  // In the block's sorted order, slot i of expert x goes to row i + base[x].
  store(base(b, e), upto - total + before - (cumsum(own) - own));
  Int dropped = sum(total) + b * s.block - sum(before) - sum(own);
  barrier();

  place_block(s, {weights, slot_ids, token_ids, sorted_weights, row_ids}, b * s.block,
              slot_keys(s, ids, token_mask, b * s.block + arange(s.block)),
              [&](Tile lane, Tile key, Tile kept) { return lane + where(kept, load(base(b, key), kept), dropped); });
}

/// The same where one program has all slots: none are counted before.
void route_sort(const RouteSpec &s, View ids, View token_mask, View weights, View slot_ids, View token_ids,
                View sorted_weights, View row_ids, View tokens_per_expert, View offs) {
  arg_names({"indices", "token_mask", "weights", "slot_ids", "token_ids", "sorted_weights", "row_ids",
             "tokens_per_expert", "offs"});
  expect_slots(s, ids, token_mask, {weights, slot_ids, token_ids, sorted_weights, row_ids});
  for (const View &v : {tokens_per_expert, offs}) v.expect({s.experts});
  grid(1);
  Tile key = slot_keys(s, ids, token_mask, arange(s.block)), e = arange(next_pow2(s.experts));
  Tile count = histogram(key, s.experts, key < s.experts);
  store(tokens_per_expert(e), cast(counts_of(s, count), tokens_per_expert.dtype()));
  store(offs(e), cumsum(count));
  place_block(s, {weights, slot_ids, token_ids, sorted_weights, row_ids}, 0, key,
              [](Tile lane, Tile, Tile) { return lane; });
}

/// loads[e] = sum over blocks of counts[b, e].
void sum_counts(const RouteSpec &s, View counts, View loads) {
  arg_names({"counts", "expert_load"});
  counts.expect({counts.size(0), s.experts});
  loads.expect({s.experts});
  grid(1);
  store(loads(arange(next_pow2(s.experts))), cast(sum_blocks(counts, 0, s.experts).total, loads.dtype()));
}

} // namespace
} // namespace kernel

static constexpr Schedule kCount{.num_warps = 4}, kPlace{.num_warps = 8}, kSort{.num_warps = 16};

namespace {
/// The operands of one call, as the kernels take them.
struct SlotsCall {
  kernel::RouteSpec spec;
  Tensor ids, mask; ///< [slots], [T] or [0]
};

SlotsCall slots_call(const Stream &stream, const std::string &what, const Tensor &indices, int experts, int first,
                     const Tensor &token_mask) {
  const Asked ids(what, "indices"), mask(what, "token_mask");
  check_rank(ids, indices, 2);
  check_dtype(ids, indices, {i32, i64});
  check_experts(what, experts);
  check_range(what, "the first expert", first, 0, std::numeric_limits<int32_t>::max() - kMostExperts);
  const int64_t tokens = indices.size(0), topk = indices.size(1), slots = tokens * topk;
  check_range(ids, "topk", topk, 1);
  check_that(slots < (int64_t{1} << 31) - 16384, ids, "there are 2^31 slots or more", "route in parts");
  if (token_mask.defined()) check_shape(mask, token_mask, {tokens}), check_dtype(mask, token_mask, {boolean});
  return {{static_cast<int>(topk), experts, first, token_mask.defined()},
          packed(stream, indices).reshape({slots}),
          or_empty(stream, token_mask, 1, boolean)};
}

/// i32 [blocks, E]: the slots of each expert in blocks of spec.block * spec.steps.
Tensor count_slots(const Stream &stream, const SlotsCall &c) {
  static const auto count = jit(kernel::route_count, kCount);
  Tensor counts =
      Tensor::empty({cdiv(c.ids.numel(), int64_t{c.spec.block} * c.spec.steps), c.spec.experts}, i32, stream);
  count(stream, c.spec, c.ids, c.mask, counts);
  return counts;
}

/// So many slots one program sorts, and reads once; more are counted first, in blocks of kBlock: every program reads
/// the counts of all, and larger blocks write longer runs of an expert's rows, but take longer to sort.
constexpr int64_t kSortedAtOnce = 4096, kBlock = 2048;

/// `ids`: dtype of row and token ids, `count`: of the counts. Programs' sizes change no result: these are integers.
Routing place_slots(const Stream &stream, SlotsCall &c, const Tensor &weights, DType ids, DType count) {
  static const auto place = jit(kernel::route_place, kPlace);
  static const auto sort = jit(kernel::route_sort, kSort);
  const int64_t slots = c.ids.numel(), experts = c.spec.experts;
  c.spec.weighted = weights.defined();
  Routing r{Tensor::empty({slots}, i64, stream),
            Tensor::empty({slots}, ids, stream),
            weights.defined() ? Tensor::empty({slots}, wide_dtype(weights.dtype()), stream) : Tensor(),
            Tensor::empty({slots}, ids, stream),
            {},
            {}};
  if (slots == 0) { // no program would write them
    r.counts = Tensor::zeros({experts}, count, stream), r.offs = Tensor::zeros({experts}, i32, stream);
    return r;
  }
  r.counts = Tensor::empty({experts}, count, stream), r.offs = Tensor::empty({experts}, i32, stream);
  const Tensor none = Tensor::empty({0}, f32, stream), &sorted_weights = weights.defined() ? r.weights : none,
               given = weights.defined() ? packed(stream, weights).reshape({slots}) : none;
  if (slots <= kSortedAtOnce) {
    if (slots > c.spec.block) c.spec.block = kSortedAtOnce;
    sort(stream, c.spec, c.ids, c.mask, given, r.slot_ids, r.token_ids, sorted_weights, r.row_ids, r.counts, r.offs);
    return r;
  }
  c.spec.block = kBlock;
  Tensor counts = count_slots(stream, c), base = Tensor::empty(counts.shape(), i32, stream);
  place(stream, c.spec, c.ids, c.mask, given, counts, base, r.slot_ids, r.token_ids, sorted_weights, r.row_ids,
        r.counts, r.offs);
  return r;
}
} // namespace

Routing route_slots(const Stream &stream, const Tensor &indices, int experts, int first, const Tensor &token_mask,
                    const Tensor &weights) {
  SlotsCall c = slots_call(stream, "route_slots", indices, experts, first, token_mask);
  if (weights.defined())
    check_shape("route_slots: weights", weights, {indices.size(0), indices.size(1)}),
        check_dtype("route_slots: weights", weights, {f32, bf16, f16, f64});
  return place_slots(stream, c, weights, i32, i64);
}

RoutingIndices routing_indices(const Stream &stream, const Tensor &selected, int experts) {
  const Tensor flat = selected.rank() == 1 ? packed(stream, selected).reshape({selected.numel(), 1}) : selected;
  SlotsCall c = slots_call(stream, "routing_indices", flat, experts, 0, {});
  c.spec.every = true, c.spec.first = -1, c.spec.experts = experts + 3;
  Routing r = place_slots(stream, c, {}, i64, selected.dtype());
  return {r.counts.slice(0, 1, 1 + experts), r.slot_ids, r.row_ids};
}

Tensor expert_load(const Stream &stream, const Tensor &indices, int experts, const Tensor &token_mask) {
  SlotsCall c = slots_call(stream, "expert_load", indices, experts, 0, token_mask);
  c.spec.block = 2048, c.spec.steps = 8; // few counts to add
  static const auto sum = jit(kernel::sum_counts, kCount);
  Tensor load = Tensor::empty({experts}, i64, stream);
  sum(stream, c.spec, count_slots(stream, c), load);
  return load;
}

/// The last of `offs`.
static int64_t end_of(const Stream &stream, const Tensor &offs) {
  check_rank("count_rows: offs", offs, 1);
  check_dtype("count_rows: offs", offs, {i32});
  check_experts("count_rows", offs.size(0));
  stream.synchronize();
  return offs.slice(0, offs.size(0) - 1, offs.size(0)).to_vector<int32_t>()[0];
}
int64_t count_rows(const Stream &stream, const Routing &routing) { return end_of(stream, routing.offs); }
int64_t count_rows(const Stream &stream, const RoutingMap &map) { return end_of(stream, map.offs); }

// -------------------------------------------------------------------------------------------------------------
// registration

namespace {

void run_grouped(OpCall &c) {
  Routing r = route_slots(c.stream(), c.in("indices"), static_cast<int>(c.integer("n_local_experts")),
                          static_cast<int>(c.integer("experts_start_idx")), c.in("token_mask"), c.in("weights"));
  c.out_rows("sorted_token_ids", r.token_ids, r.offs);
  c.out_rows("sorted_slot_ids", r.slot_ids, r.offs);
  c.out_rows("sorted_weights", r.weights, r.offs);
  c.out("tokens_per_expert", r.counts);
  c.out("offs", r.offs);
  if (c.has("grad_sorted_weights") && c.wants({"grad_weights"}))
    c.backward([&c, rows = r.row_ids] {
      c.out("grad_weights", route_slots_backward(c.stream(), c.in("grad_sorted_weights"), rows,
                                                 static_cast<int>(c.in("indices").size(1)), c.in("weights").dtype()));
    });
}

void run_unsloth(OpCall &c) {
  const Tensor &selected = c.in("selected_experts");
  int topk = static_cast<int>(selected.size(1));
  RoutingIndices r = routing_indices(c.stream(), selected, static_cast<int>(c.integer("num_experts")));
  c.out("token_counts_by_expert", r.counts);
  c.out("gather_indices", r.gather);
  c.out("scatter_indices", r.scatter);
  if (c.has("x") && c.wants({"permuted"}))
    c.out("permuted", spread_slots(c.stream(), as_matrix(c.stream(), "unsloth_routing_permute: x", c.in("x")),
                                   r.scatter, topk, r.scatter.size(0)));
  if (c.has("grad_permuted") && c.wants({"grad_x"}))
    c.backward([&c, r, topk] {
      Tensor grad = combine_rows(c.stream(), c.in("grad_permuted"), r.scatter, topk);
      c.out("grad_x", c.has("x") ? grad.reshape(c.in("x").shape()) : grad);
    });
}

} // namespace

void register_routing(Library &l) {
  using Type = OpParameter::Type;
  const std::vector<KernelSetting> sizes{{"T", "4096", "tokens"},
                                         {"index", "i64", "of the indices"},
                                         {"weight", "f32", "of the weights"},
                                         {"sorted", "f32", "of the sorted weights"}};
  const KernelArgument ids{"indices", "[T*topk]", "index"}, mask{"token_mask", "[T]", "bool"},
      counts{"counts", "[(T*topk+block*steps-1)/(block*steps), experts]", "i32"},
      slot_ids{"slot_ids", "[T*topk]", "i64"}, token_ids{"token_ids", "[T*topk]", "i32"},
      weights{"weights", "[T*topk]", "weight"}, sorted_weights{"sorted_weights", "[T*topk]", "sorted"},
      row_ids{"row_ids", "[T*topk]", "i32"}, tokens_per_expert{"tokens_per_expert", "[experts]", "i64"},
      offs{"offs", "[experts]", "i32"};
  add_kernel(l, kernel::route_count, "route_count", "slots per expert and block of slots", kCount, {ids, mask, counts},
             sizes);
  add_kernel(l, kernel::sum_counts, "sum_counts", "slots per expert", kCount,
             {counts, {"expert_load", "[experts]", "i64"}}, sizes);
  add_kernel(l, kernel::route_place, "route_place", "stable sorted order of slots by expert", kPlace,
             {ids,
              mask,
              weights,
              counts,
              {"base", "[(T*topk+block-1)/block, experts]", "i32"},
              slot_ids,
              token_ids,
              sorted_weights,
              row_ids,
              tokens_per_expert,
              offs},
             sizes);
  add_kernel(l, kernel::route_sort, "route_sort", "counts and stable order of few slots, by one program", kSort,
             {ids, mask, weights, slot_ids, token_ids, sorted_weights, row_ids, tokens_per_expert, offs}, sizes);
  l.add_specializations({
      {"route_count", "topk=8,experts=128,block=2048", "Qwen3-30B-A3B"},
      {"route_count", "topk=8,experts=64,masked=true,block=2048", "64 experts with a token mask"},
      {"route_count", "topk=8,experts=256,block=2048,T=32768", "DeepSeek-V3, many tokens"},
      {"route_count", "topk=8,experts=128,block=2048,steps=8", "Qwen3-30B-A3B, the experts' load"},
      {"sum_counts", "topk=8,experts=128", "Qwen3-30B-A3B"},
      {"route_place", "topk=8,experts=128,block=2048", "Qwen3-30B-A3B"},
      {"route_place", "topk=8,experts=256,block=2048,T=32768", "DeepSeek-V3, many tokens"},
      {"route_place", "topk=2,experts=4,weight=f64,sorted=f64,index=i32,block=2048,T=3001", "f64"},
      {"route_sort", "topk=8,experts=128,block=4096,T=512", "Qwen3-30B-A3B, 512 tokens"},
      {"route_count", "topk=8,experts=259,first=-1,every=true,block=2048", "DeepSeek-V3, routing indices"},
      {"route_place", "topk=8,experts=259,first=-1,every=true,weighted=false,block=2048",
       "DeepSeek-V3, routing indices"},
      {"route_sort", "topk=8,experts=131,first=-1,every=true,weighted=false,block=4096,T=512",
       "Qwen3, routing indices"},
      {"route_sort", "topk=3,experts=6,masked=true,weight=bf16,T=20", "recorded case"},
      {"route_sort", "topk=2,experts=4,weight=f64,sorted=f64,index=i32,T=7", "f64"},
  });
  l.ops.push_back({"permute_tokens_for_grouped_mm",
                   "stable order of kept slots by local expert, counts and offsets",
                   "kept slots: token_mask[t] and start <= indices[t,k] < start+E; rows: stable sort of kept slots by "
                   "expert; offs = cumsum(counts)",
                   "nemo_automodel components.moe.experts._permute_tokens_for_grouped_mm",
                   "integers and copies: the same bits everywhere",
                   {{"n_local_experts", Type::integer, "", "E, experts of this rank", {}, true},
                    {"experts_start_idx", Type::integer, "0", "first expert of this rank"}},
                   {{"indices", "[T, K]", "i64 i32", "expert of each slot"},
                    {"weights", "[T, K]", "f32 bf16 f16 f64", "weight of each slot"},
                    {"token_mask", "[T]", "bool", "false: drop the token"},
                    {"grad_sorted_weights", "[N]", "f32 f64", "gradient of sorted_weights", false, true},
                    {"sorted_token_ids", "[N]", "i64", "token of each row", true},
                    {"sorted_slot_ids", "[N]", "i64", "slot t*K+k of each row", true},
                    {"sorted_weights", "[N]", "f32", "weight of each row", true},
                    {"tokens_per_expert", "[E]", "i64", "rows of each expert", true},
                    {"offs", "[E]", "i32", "inclusive sums of them", true},
                    {"grad_weights", "[T, K]", "weights", "gradient of weights, 0 for dropped slots", true, true}},
                   {"pack", "route_sort", "route_count", "route_place", "slot_gather"},
                   {"route_slots", "count_rows", "route_slots_backward"},
                   run_grouped});
  l.ops.push_back(
      {"unsloth_routing_permute",
       "routing indices and the permuted tokens",
       "gather = stable argsort of selected_experts, ids below 0 and above E each as one; scatter = its inverse; "
       "token_counts_by_expert: id E counts as E-1, other ids outside nowhere; permuted[i] = x[gather[i]/K]; "
       "grad_x[t] = sum over k of grad_permuted[scatter[t*K+k]]",
       "unsloth kernels.moe.grouped_gemm.reference.moe_ops.get_routing_indices, permute",
       "integers and copies; grad_x sums slots in ascending order in f32, one rounding",
       {{"num_experts", Type::integer, "", "E", {}, true}},
       {{"selected_experts", "[T, K]", "i64 i32", "expert of each slot"},
        {"x", "[T, D]", "f32 bf16 f16 f64", "tokens, of any leading dimensions", false, true},
        {"grad_permuted", "[T*K, D]", "x", "gradient of permuted", false, true},
        {"token_counts_by_expert", "[E]", "selected_experts", "rows of each expert", true},
        {"gather_indices", "[T*K]", "i64", "slot of each row", true},
        {"scatter_indices", "[T*K]", "i64", "row of each slot", true},
        {"permuted", "[T*K, D]", "x", "rows by expert", true, true},
        {"grad_x", "[T, D]", "x", "gradient of x", true, true, 5e-5, 2e-2}},
       {"pack", "route_sort", "route_count", "route_place", "spread_slots", "combine_rows"},
       {"routing_indices", "spread_slots", "combine_rows"},
       run_unsloth});
}

} // namespace moec
