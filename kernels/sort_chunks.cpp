// Chunks of rows in another order: the index of each row's source, then a gather.
#include <numeric>

#include "kernels/moe.h"
#include "kernels/registration.h"
#include "kernels/routing_map.h"

namespace moec {

namespace kernel {
namespace {

struct ChunksSpec {
  int chunks = 64;
  bool inverse = false;  ///< from the sorted order back
  bool weighted = false; ///< there are probabilities
  static void fields(auto &s, auto &&f) { f("chunks", s.chunks), f("inverse", s.inverse), f("weighted", s.weighted); }
};

/// index[row] = source of the row, sorted_probs[row] = probs[source]. One program per chunk of the sorted order.
void chunk_index(const ChunksSpec &s, View sizes, View order, View probs, View index, View sorted_probs) {
  arg_names({"split_sizes", "sorted_idxs", "probs", "index", "sorted_probs"});
  Int N = index.size(0), j = program_id(0);
  for (const View &v : {sizes, order}) v.expect({s.chunks});
  if (s.weighted)
    for (const View &v : {probs, sorted_probs}) v.expect({N});
  grid(s.chunks);
  auto [c, live] = lanes(s.chunks);
  Tile size = cast(load(sizes(c), live, 0), i64), chunk = cast(load(order(c), live, -1), i64);
  device_assert(size >= 0, "split_sizes must not be negative: one is {0}", {size});
  Tile total = sum(size);
  device_assert(total == cast(N, i64), "split_sizes must sum to the number of rows: they sum to {0}, not {1}",
                {total, N});
  device_assert(!live | ((chunk >= 0) & (chunk < s.chunks)), "sorted_idxs must be a permutation: one is {0}", {chunk});
  auto pick = [&](Tile mask, Tile value) { return Int(sum(where(mask, value, 0))); };
  Int own = pick(c == j, chunk);
  device_assert(sum(cast(chunk == own, i32)) == 1, "sorted_idxs must be a permutation: {0} occurs twice", {own});
  Tile moved = cast(load(sizes(chunk), live), i64); // in the sorted order
  Int from = cast(pick(cast(c, i64) < own, size), i32), to = cast(pick(c < j, moved), i32),
      n = cast(pick(c == j, moved), i32);
  if (s.inverse) std::swap(from, to);
  for (Int i : range(0, n, 256)) {
    Tile k = i + arange(256), real = k < n;
    store(index(to + k), from + k, real);
    if (s.weighted) store(sorted_probs(to + k), load(probs(from + k), real), real);
  }
}

} // namespace
} // namespace kernel

static constexpr Schedule kSchedule{.num_warps = 4};

SortedChunks sort_chunks(const Stream &stream, const Tensor &input, const Tensor &split_sizes,
                         const Tensor &sorted_idxs, const Tensor &probs, bool inverse) {
  check_tensor(input.defined() && input.rank() >= 1, "sort_chunks: input", input, "it must have 1 dimension or more");
  check_rank("sort_chunks: split_sizes", split_sizes, 1);
  check_shape("sort_chunks: sorted_idxs", sorted_idxs, {split_sizes.size(0)});
  check_dtype("sort_chunks: split_sizes", split_sizes, {i64, i32});
  check_dtype("sort_chunks: sorted_idxs", sorted_idxs, {i64, i32});
  const int64_t rows = input.size(0), chunks = split_sizes.size(0);
  check_range("sort_chunks: split_sizes", "the number of chunks", chunks, 1, 4096);
  check_that(rows < int64_t{1} << 31, "sort_chunks: input", "there are 2^31 rows or more", "do it in parts");
  if (probs.defined()) check_shape("sort_chunks: probs", probs, {rows});
  static const auto run = jit(kernel::chunk_index, kSchedule);
  SortedChunks out;
  if (probs.defined()) out.probs = Tensor::empty({rows}, probs.dtype(), stream);
  Tensor index = Tensor::empty({rows}, i32, stream), none = Tensor::empty({0}, f32, stream);
  run(stream, kernel::ChunksSpec{static_cast<int>(chunks), inverse, probs.defined()}, split_sizes, sorted_idxs,
      probs.defined() ? probs : none, index, probs.defined() ? out.probs : none);
  int64_t cols = 1;
  for (int d = 1; d < input.rank(); ++d) cols *= input.size(d);
  out.output = cols == 0
                   ? Tensor::empty(input.shape(), input.dtype(), stream)
                   : gather_rows(stream, input.rank() == 2 ? input : packed(stream, input).reshape({rows, cols}), index)
                         .reshape(input.shape());
  return out;
}

// -------------------------------------------------------------------------------------------------------------
// registration

static void run_sort_chunks(OpCall &c) {
  auto run = [&c](const Tensor &x, const Tensor &p, bool inverse) {
    return sort_chunks(c.stream(), x, c.in("split_sizes"), c.in("sorted_idxs"), p, inverse);
  };
  SortedChunks s = run(c.in("input"), c.given("probs"), false);
  c.out("output", s.output);
  if (s.probs.defined()) c.out("permuted_probs", s.probs);
  c.backward([&c, run] {
    if (c.has("grad_output") && c.wants({"grad_input"})) c.out("grad_input", run(c.in("grad_output"), {}, true).output);
    if (c.has("grad_permuted_probs") && c.wants({"grad_probs"}))
      c.out("grad_probs", run(c.in("grad_permuted_probs"), {}, true).output);
  });
}

void register_sort_chunks(Library &l) {
  const KernelArgument probs{"probs", "[N]", "prob"};
  add_kernel(l, kernel::chunk_index, "chunk_index", "source of each row of chunks in another order", kSchedule,
             {{"split_sizes", "[chunks]", "i64"},
              {"sorted_idxs", "[chunks]", "i64"},
              probs,
              {"index", "[N]", "i32"},
              {"sorted_probs", "[N]", "prob"}},
             {{"N", "32768", "rows"}, {"prob", "f32", "of the probabilities"}});
  l.add_specializations({
      {"chunk_index", "chunks=128,weighted=true", "Qwen3-30B-A3B, 8 ranks of 16 experts"},
      {"chunk_index", "chunks=6,inverse=true,N=18,prob=f64,weighted=true", "recorded case, f64"},
  });
  l.ops.push_back({"sort_chunks_by_idxs",
                   "chunks of rows in another order",
                   "chunks of split_sizes[c] rows; output = chunks sorted_idxs[0], sorted_idxs[1], ...; the same for "
                   "probs; gradients by the inverse",
                   "megatron.core.transformer.moe.moe_utils.sort_chunks_by_idxs",
                   "copies only: the same bits everywhere",
                   {},
                   {{"input", "[N, D]", "f32 bf16 f16 f64", "rows, of any further dimensions"},
                    {"split_sizes", "[C]", "i64 i32", "rows of each chunk"},
                    {"sorted_idxs", "[C]", "i64 i32", "chunks in their new order"},
                    {"probs", "[N]", "f32 bf16 f16 f64", "probabilities", false, true},
                    {"grad_output", "[N, D]", "input", "gradient of output", false, true},
                    {"grad_permuted_probs", "[N]", "probs", "gradient of permuted_probs", false, true},
                    {"output", "[N, D]", "input", "rows", true},
                    {"permuted_probs", "[N]", "probs", "their probabilities", true, true},
                    {"grad_input", "[N, D]", "input", "gradient of input", true, true},
                    {"grad_probs", "[N]", "probs", "gradient of probs", true, true}},
                   {"pack", "chunk_index", "gather_rows"},
                   {"sort_chunks"},
                   run_sort_chunks});
}

} // namespace moec
