// The indices converter: top-k indices to a dense map of experts and back. Semantics: docs, "indices_to_multihot".
#include <algorithm>

#include "kernels/host.h"
#include "kernels/moe.h"
#include "kernels/registration.h"

namespace moec {

namespace kernel {
namespace {

struct MultihotSpec {
  int topk = 8, experts = 128;
  int rows = 1; ///< tokens per program
  static void fields(auto &s, auto &&f) { f("topk", s.topk), f("experts", s.experts), f("rows", s.rows); }
};

/// The tokens of this program, as a column [rows, 1].
Tile token_column(int rows) { return expand_dims(program_id(0) * rows + arange(rows), 1); }

/// Ids as numbers that every expert fits in.
Tile wide_ids(const Tile &id) { return id.dtype() == i64 ? id : cast(id, i32); }

/// For each cell [rows, experts]: the slot whose id is the expert, the highest if there are several, or -1; and its
/// probability, or 0.
struct Cells {
  Tile slot, prob;
};

/// `id(k)`: ids of slot k, [rows, 1]. The probabilities come along in the same loop: a gather by slot afterwards would
/// be a guarded load for each cell; and a scatter into cleared rows would be fewer instructions, but move 1.6 times the
/// sectors.
template <class F> Cells cells_by_expert(const MultihotSpec &s, const View &probs, const Tile &t, F id) {
  const int experts = next_pow2(s.experts);
  Tile e = expand_dims(arange(experts), 0);
  Cells cells{full({s.rows, experts}, -1, i32), zeros({s.rows, experts}, probs.dtype())};
  for (Int k : range(0, s.topk)) {
    Tile named = id(k), prob = load(probs(t, k)), here = named == cast(e, named.dtype());
    cells.slot = where(here, k, cells.slot);
    cells.prob = where(here, prob, cells.prob);
  }
  return cells;
}

void indices_to_multihot(const MultihotSpec &s, View indices, View probs, View multihot, View dense, View position) {
  arg_names({"indices", "probs", "multihot", "probs_in_multihot", "position_map"});
  Int T = indices.size(0);
  for (const View &v : {indices, probs}) v.expect({T, s.topk});
  for (const View &v : {multihot, dense, position}) v.expect({T, s.experts});
  grid(cdiv(T, s.rows));
  Tile t = token_column(s.rows), e = arange(next_pow2(s.experts));
  Cells cells = cells_by_expert(s, probs, t, [&](Int k) { return wide_ids(load(indices(t, k))); });
  store(multihot(t, e), cells.slot >= 0);
  store(dense(t, e), cells.prob);
  store(position(t, e), cells.slot);
}

/// As Python indexes: -1 is masked, other negative ids count from the end; anything else is an error.
Tile wrapped(const Tile &ids, int experts) {
  Tile id = wide_ids(ids);
  Tile e = where(id < -1, id + experts, id), fits = (id == -1) | ((e >= 0) & (e < experts));
  device_assert(fits, "expert index {0} is out of range: it must be -1 or in [-experts, experts) with {1} experts",
                {id, experts});
  return cast(where(fits, e, -1), i32); // as rows_below
}

void indices_to_multihot_unfused(const MultihotSpec &s, View indices, View probs, View multihot, View dense) {
  arg_names({"indices", "probs", "multihot", "probs_in_multihot"});
  Int T = indices.size(0);
  for (const View &v : {indices, probs}) v.expect({T, s.topk});
  for (const View &v : {multihot, dense}) v.expect({T, s.experts});
  grid(cdiv(T, s.rows));
  Tile t = token_column(s.rows), e = arange(next_pow2(s.experts));
  Cells cells = cells_by_expert(s, probs, t, [&](Int k) { return wrapped(load(indices(t, k)), s.experts); });
  store(multihot(t, e), cells.slot >= 0);
  store(dense(t, e), cells.prob);
}

void multihot_to_indices(const MultihotSpec &s, View dense, View position, View out) {
  arg_names({"probs_in_multihot", "position_map", "probs_indices"});
  Int T = out.size(0);
  for (const View &v : {dense, position}) v.expect({T, s.experts});
  out.expect({T, s.topk});
  grid(cdiv(T, s.rows));
  Tile t = token_column(s.rows), e = expand_dims(arange(next_pow2(s.experts)), 0);
  Tile p = load(position(t, e), Operand::none(), -1);
  for (Int k : range(0, s.topk)) {
    Tile from = expand_dims(max(where(p == k, e, -1), 1), 1); // positions are unique in a row
    store(out(t, k), load(dense(t, from), (from >= 0) & (t < T)));
  }
}

void multihot_unfused_backward(const MultihotSpec &s, View grad, View indices, View out) {
  arg_names({"grad_probs_in_multihot", "indices", "grad_probs"});
  Int T = out.size(0);
  grad.expect({T, s.experts});
  for (const View &v : {indices, out}) v.expect({T, s.topk});
  grid(cdiv(T, s.rows));
  Tile t = token_column(s.rows), k = arange(next_pow2(s.topk));
  Tile real = (k < s.topk) & (t < T);
  Tile e = wrapped(where(real, wide_ids(load(indices(t, k))), -1), s.experts);
  store(out(t, k), load(grad(t, e), e >= 0));
}

} // namespace
} // namespace kernel

namespace {

kernel::MultihotSpec multihot_spec(const char *what, int64_t topk, int64_t experts, int64_t row_bytes) {
  check_range(what, "topk", topk, 1, kMostTopk);
  check_experts(what, experts);
  int e = static_cast<int>(experts);
  return {static_cast<int>(topk), e, rows_for(next_pow2(e), row_bytes, 256)};
}
constexpr Schedule kOneWarp{.num_warps = 1};

} // namespace

Multihot indices_to_multihot(const Stream &stream, const Tensor &indices, const Tensor &probs, int experts) {
  check_rank("indices_to_multihot: indices", indices, 2);
  check_dtype("indices_to_multihot: indices", indices, {i64, i32, i8, u8});
  check_shape("indices_to_multihot: probs", probs, {indices.size(0), indices.size(1)});
  check_dtype("indices_to_multihot: probs", probs, {f32, bf16, f16, f64});
  static const auto run = jit(kernel::indices_to_multihot, kOneWarp);
  auto spec = multihot_spec("indices_to_multihot", indices.size(1), experts, experts);
  Dims shape{indices.size(0), experts};
  Multihot out{Tensor::empty(shape, boolean, stream), Tensor::empty(shape, probs.dtype(), stream),
               Tensor::empty(shape, i32, stream)};
  run(stream, spec, indices, probs, out.multihot, out.probs, out.position_map);
  return out;
}

Tensor multihot_to_indices(const Stream &stream, const Tensor &dense, const Tensor &position_map, int topk) {
  check_rank("multihot_to_indices: probs_in_multihot", dense, 2);
  check_dtype("multihot_to_indices: probs_in_multihot", dense, {f32, bf16, f16, f64});
  check_shape("multihot_to_indices: position_map", position_map, {dense.size(0), dense.size(1)});
  check_dtype("multihot_to_indices: position_map", position_map, {i32});
  static const auto run = jit(kernel::multihot_to_indices, kOneWarp);
  auto spec = multihot_spec("multihot_to_indices", topk, dense.size(1), topk * size_bytes(dense.dtype()));
  Tensor out = Tensor::empty({dense.size(0), topk}, dense.dtype(), stream);
  run(stream, spec, dense, position_map, out);
  return out;
}

Multihot indices_to_multihot_unfused(const Stream &stream, const Tensor &indices, const Tensor &probs, int experts) {
  check_rank("indices_to_multihot_unfused: indices", indices, 2);
  check_dtype("indices_to_multihot_unfused: indices", indices, {i64, i32, i8, u8});
  check_shape("indices_to_multihot_unfused: probs", probs, {indices.size(0), indices.size(1)});
  check_dtype("indices_to_multihot_unfused: probs", probs, {f32, f64});
  static const auto run = jit(kernel::indices_to_multihot_unfused, kOneWarp);
  auto spec = multihot_spec("indices_to_multihot_unfused", indices.size(1), experts, experts);
  Dims shape{indices.size(0), experts};
  Multihot out{Tensor::empty(shape, boolean, stream), Tensor::empty(shape, probs.dtype(), stream), {}};
  run(stream, spec, indices, probs, out.multihot, out.probs);
  return out;
}

Tensor indices_to_multihot_unfused_backward(const Stream &stream, const Tensor &grad, const Tensor &indices) {
  check_rank("indices_to_multihot_unfused_backward: indices", indices, 2);
  check_dtype("indices_to_multihot_unfused_backward: indices", indices, {i64, i32, i8, u8});
  check_shape("indices_to_multihot_unfused_backward: gradient", grad, {indices.size(0), -1});
  check_dtype("indices_to_multihot_unfused_backward: gradient", grad, {f32, f64});
  static const auto run = jit(kernel::multihot_unfused_backward, kOneWarp);
  auto spec = multihot_spec("indices_to_multihot_unfused_backward", indices.size(1), grad.size(1),
                            indices.size(1) * size_bytes(grad.dtype()));
  Tensor out = Tensor::empty(indices.shape(), grad.dtype(), stream);
  run(stream, spec, grad, indices, out);
  return out;
}

// -------------------------------------------------------------------------------------------------------------
// registration

static void run_multihot(OpCall &c) {
  int experts = static_cast<int>(c.integer("num_local_experts"));
  Multihot m = indices_to_multihot(c.stream(), c.in("indices"), c.in("probs"), experts);
  c.out("multihot", m.multihot);
  c.out("probs_in_multihot", m.probs);
  c.out("position_map", m.position_map);
  if (c.has("grad_probs_in_multihot") && c.wants({"grad_probs"}))
    c.backward([&c, m] {
      c.out("grad_probs", multihot_to_indices(c.stream(), c.in("grad_probs_in_multihot"), m.position_map,
                                              static_cast<int>(c.in("probs").size(1))));
    });
}
static void run_unfused(OpCall &c) {
  int experts = static_cast<int>(c.integer("num_local_experts"));
  Multihot m = indices_to_multihot_unfused(c.stream(), c.in("indices"), c.in("probs"), experts);
  c.out("multihot", m.multihot);
  c.out("probs_in_multihot", m.probs);
  if (c.has("grad_probs_in_multihot") && c.wants({"grad_probs"}))
    c.backward([&c] {
      c.out("grad_probs",
            indices_to_multihot_unfused_backward(c.stream(), c.in("grad_probs_in_multihot"), c.in("indices")));
    });
}
static void run_to_indices(OpCall &c) {
  c.out("probs_indices", multihot_to_indices(c.stream(), c.in("probs_in_multihot"), c.in("position_map"),
                                             static_cast<int>(c.integer("topk"))));
}

void register_multihot(Library &l) {
  using Type = OpParameter::Type;
  const std::vector<KernelSetting> sizes{
      {"T", "4096", "tokens"}, {"dtype", "f32", "of the probabilities"}, {"index", "i64", "of the indices"}};
  const KernelArgument indices{"indices", "[T, topk]", "index"}, probs{"probs", "[T, topk]", "dtype"},
      map{"multihot", "[T, experts]", "bool"}, dense{"probs_in_multihot", "[T, experts]", "dtype"},
      position{"position_map", "[T, experts]", "i32"};
  add_kernel(l, kernel::indices_to_multihot, "indices_to_multihot",
             "dense map, probabilities and positions from top-k indices", kOneWarp,
             {indices, probs, map, dense, position}, sizes);
  add_kernel(l, kernel::indices_to_multihot_unfused, "indices_to_multihot_unfused",
             "indices_to_multihot with wrapped ids and range errors", kOneWarp, {indices, probs, map, dense}, sizes);
  add_kernel(l, kernel::multihot_to_indices, "multihot_to_indices", "dense values back to slots, by position map",
             kOneWarp, {dense, position, {"probs_indices", "[T, topk]", "dtype"}}, sizes);
  add_kernel(l, kernel::multihot_unfused_backward, "multihot_unfused_backward",
             "gradient of the slots' probabilities, by index", kOneWarp,
             {{"grad_probs_in_multihot", "[T, experts]", "dtype"}, indices, {"grad_probs", "[T, topk]", "dtype"}},
             sizes);

  const OpParameter experts{"num_local_experts", Type::integer, "", "E, the width of the map", {}, true};
  l.add_specializations({
      {"indices_to_multihot", "topk=8,experts=128,rows=1", "benchmark, Qwen3-30B-A3B"},
      {"indices_to_multihot", "topk=8,experts=128,rows=2", "Qwen3-30B-A3B"},
      {"indices_to_multihot", "topk=6,experts=60,rows=8,dtype=bf16,T=33", "recorded case, sizes that divide nothing"},
      {"indices_to_multihot", "topk=8,experts=256,rows=1,dtype=bf16", "DeepSeek-V3"},
      {"indices_to_multihot", "topk=2,experts=8,rows=32,dtype=f64,index=i32", "Mixtral 8x7B, f64"},
      {"indices_to_multihot_unfused", "topk=8,experts=64,rows=4", "recorded case"},
      {"indices_to_multihot_unfused", "topk=4,experts=12,rows=16,dtype=f64,T=19", "f64"},
      {"multihot_to_indices", "topk=8,experts=128,rows=2", "Qwen3-30B-A3B"},
      {"multihot_to_indices", "topk=6,experts=20,rows=8,dtype=bf16,T=9", "recorded case"},
      {"multihot_to_indices", "topk=3,experts=5,rows=32,dtype=f64,T=7", "f64"},
      {"multihot_unfused_backward", "topk=8,experts=64,rows=4", "recorded case"},
      {"multihot_unfused_backward", "topk=4,experts=12,rows=16,dtype=f64,T=19", "f64"},
  });
  l.ops.push_back(
      {"indices_to_multihot",
       "top-k indices and probabilities to a dense map of experts",
       "multihot[t,e] = any_k indices[t,k]=e; probs_in_multihot[t,e] = probs[t,k] and position_map[t,e] = k of the "
       "highest such k, else 0 and -1; "
       "ids outside [0,E) are ignored. Backward: grad_probs[t,k] = grad[t,e] where position_map[t,e]=k, else 0",
       "nemo_automodel fused_indices_converter.IndicesToMultihot",
       "copies only: the same bits everywhere",
       {experts},
       {{"indices", "[T, K]", "i64 i32 i8 u8", "expert of each slot; -1: masked"},
        {"probs", "[T, K]", "f32 bf16 f16 f64", "probability of each slot"},
        {"grad_probs_in_multihot", "[T, E]", "probs", "gradient of probs_in_multihot", false, true},
        {"multihot", "[T, E]", "bool", "token t goes to expert e", true},
        {"probs_in_multihot", "[T, E]", "probs", "its probability", true},
        {"position_map", "[T, E]", "i32", "its slot, or -1", true},
        {"grad_probs", "[T, K]", "probs", "gradient of probs", true, true}},
       {"indices_to_multihot", "multihot_to_indices"},
       {"indices_to_multihot", "multihot_to_indices"},
       run_multihot});
  l.ops.push_back({"indices_to_multihot_unfused",
                   "the unfused form: ids wrap, out of range is an error",
                   "as indices_to_multihot, but ids in [-E,-2] mean E+id and others outside [0,E) except -1 stop the "
                   "launch. Backward: grad[t, indices[t,k]]",
                   "nemo_automodel token_dispatcher._DeepepManager._indices_to_multihot",
                   "copies only: the same bits everywhere",
                   {experts},
                   {{"indices", "[T, K]", "i64 i32 i8 u8", "expert of each slot; -1: masked"},
                    {"probs", "[T, K]", "f32 f64", "probability of each slot"},
                    {"grad_probs_in_multihot", "[T, E]", "probs", "gradient of probs_in_multihot", false, true},
                    {"multihot", "[T, E]", "bool", "token t goes to expert e", true},
                    {"probs_in_multihot", "[T, E]", "probs", "its probability", true},
                    {"grad_probs", "[T, K]", "probs", "gradient of probs", true, true}},
                   {"indices_to_multihot_unfused", "multihot_unfused_backward"},
                   {"indices_to_multihot_unfused", "indices_to_multihot_unfused_backward"},
                   run_unfused});
  l.ops.push_back({"multihot_to_indices",
                   "dense values back to slots",
                   "out[t,k] = probs_in_multihot[t,e] where position_map[t,e]=k, else 0",
                   "nemo_automodel fused_indices_converter._multihot_to_indices_kernel",
                   "copies only: the same bits everywhere",
                   {{"topk", Type::integer, "", "K, slots per token", {}, true}},
                   {{"probs_in_multihot", "[T, E]", "f32 bf16 f16 f64", "dense values"},
                    {"position_map", "[T, E]", "i32", "slot of each cell, or -1; unique in a row"},
                    {"probs_indices", "[T, K]", "probs_in_multihot", "values by slot", true}},
                   {"multihot_to_indices"},
                   {"multihot_to_indices"},
                   run_to_indices});
}

} // namespace moec
