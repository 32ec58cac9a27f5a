// Bad input of permutes, rows by index and chunks.
#include <gtest/gtest.h>

#include "bad_input.h"

namespace moec {
namespace {

/// Four tokens go to the first expert, one to the second.
const Tensor kMap = Tensor::from(std::vector<uint8_t>{1, 0, 1, 0, 1, 0, 1, 0, 0, 1}, {5, 2}).bitcast(boolean);
RoutingMap lists(const Tensor &token_rows, const Tensor &row_counts) {
  RoutingMap map;
  map.token_rows = token_rows, map.row_counts = row_counts;
  return map;
}

TEST(BadInput, Permutes) {
  const Tensor x = f(5, 8), map = kMap, p = f(5, 2), rows = f(4, 8), four = of(i64, 4);
  expect_refused({
      {"permute: routing_map", "its shape must be [5, *]", [=](auto &s) { permute(s, x, of(boolean, 4, 2)); }},
      {"permute: tokens", "it must have 2 dimensions", [=](auto &s) { permute(s, f(5), map); }},
      {"permute: probs", "its shape must be [5, 2]", [=](auto &s) { permute(s, x, map, f(5, 3)); }},
      {"permute: probs", "its dtype must be f32 or bf16 or f16 or f64",
       [=](auto &s) { permute(s, x, map, of(i32, 5, 2)); }},
      {"permute: routing_map", "the number of experts is 0; it must be 1 to 4096",
       [=](auto &s) { permute(s, x, of(boolean, 5, 0)); }},
      {"route_map", "rows is -1; it must be 0 to 2147483647", [=](auto &s) { permute(s, x, map, p, -1); }},
      {"permute_drop_and_pad", "the capacity num_out_tokens / E is 6; it must be 0 to 5",
       [=](auto &s) { permute_drop_and_pad(s, x, map, p, 12); }},
      {"permute_drop_and_pad", "num_out_tokens is -2; it must be 0 or more",
       [=](auto &s) { permute_drop_and_pad(s, x, map, p, -2); }},
      {"permute_fused: num_out_tokens", "give the number of routed pairs",
       [=](auto &s) { permute_fused(s, x, map, p, 0); }},
      {"permute_padded", "topk is 3; it must be 1 to 2", [=](auto &s) { permute_padded(s, x, map, p, 3, 8); }},
      {"permute_padded", "multiple is 0; it must be 1 to 65536", [=](auto &s) { permute_padded(s, x, map, p, 2, 0); }},
      {"unpermute: sorted_indices", "its shape must be [4]", [=](auto &s) { unpermute(s, rows, of(i64, 3), 5); }},
      {"unpermute: sorted_indices", "its dtype must be i32 or i64", [=](auto &s) { unpermute(s, rows, f(4), 5); }},
      {"unpermute", "probs need the routing map", [=](auto &s) { unpermute(s, rows, four, 5, p); }},
      {"unpermute: routing_map", "its dtype must be bool",
       [=](auto &s) { unpermute(s, rows, four, 5, p, of(i8, 5, 2)); }},
      {"unpermute: routing_map", "its shape must be [4, *]", [=](auto &s) { unpermute(s, rows, four, 4, p, map); }},
      {"unpermute", "the number of tokens is -1; it must be 0 or more",
       [=](auto &s) { unpermute(s, rows, four, -1, p, map); }},
      {"unpermute_drop_and_pad", "the number of tokens is -1",
       [=](auto &s) { unpermute_drop_and_pad(s, rows, four, -1, 2, p); }},
      {"count_rows: offs", "it is missing", [=](auto &s) { count_rows(s, RoutingMap()); }},
      {"count_rows: offs", "its dtype must be i32",
       [=](auto &s) {
         Routing routing;
         routing.offs = four;
         count_rows(s, routing);
       }},
      {"count_rows", "the number of experts is 0",
       [=](auto &s) {
         Routing routing;
         routing.offs = of(i32, 0);
         count_rows(s, routing);
       }},
      {"unpermute_backward: permuted", "its shape must be [*, 9]",
       [=](auto &s) { unpermute_backward(s, f(5, 9), rows, four); }},
      {"unpermute_backward: permuted", "its dtype must be bf16",
       [=](auto &s) { unpermute_backward(s, of(bf16, 5, 8), rows, four, p, map); }},
      {"unpermute_drop_and_pad: permuted_tokens", "there are 4 rows for 3 experts",
       [=](auto &s) { unpermute_drop_and_pad(s, rows, four, 5, 3, f(5, 3)); }},
      {"unpermute_fused: row_id_map", "its shape must be [T, 2*E+1]",
       [=](auto &s) { unpermute_fused(s, rows, of(i32, 5, 4)); }},
      {"unpermute_fused: row_id_map", "its dtype must be i32",
       [=](auto &s) { unpermute_fused(s, rows, of(i64, 5, 5)); }},
      {"permute: tokens", "it is missing", [=](auto &s) { permute(s, {}, map); }},
      {"permute_backward_tokens: token_rows", "its dtype must be i32",
       [=](auto &s) { permute_backward_tokens(s, rows, lists(of(i64, 5, 4), of(i32, 5))); }},
      {"permute_backward_probs: token_rows", "its shape must be [T, 2*E]",
       [=](auto &s) { permute_backward_probs(s, f(4), lists(of(i32, 5, 3), of(i32, 5))); }},
      {"unpermute: row_counts", "its shape must be [5]",
       [=](auto &s) { unpermute(s, rows, lists(of(i32, 5, 4), of(i32, 4))); }},
      {"unpermute_backward: sorted_indices", "its dtype must be i32 or i64",
       [=](auto &s) { unpermute_backward(s, f(5, 8), rows, f(4)); }},
  });
}

TEST(BadInput, CapacityOverflow) {
  const Tensor x = f(5, 8), map = kMap, p = f(5, 2);
  expect_refused({
      {"permute_drop_and_pad with may_drop=false",
       "an expert has more than 3 tokens; tokens per expert: 4, 1; raise the capacity",
       [=](auto &s) { permute_drop_and_pad(s, x, map, p, 6, false); }},
      {"limit_capacity with may_drop=false",
       "an expert has more than 2 tokens; tokens per expert: 4, 1; raise the capacity",
       [=](auto &s) { limit_capacity(s, map, p, 2, {.may_drop = false}); }},
      {"limit_capacity", "by_probs needs probabilities", [=](auto &s) { limit_capacity(s, map, {}, 2); }},
  });
}

TEST(BadInput, RowsByIndex) {
  const Tensor x = f(5, 8), rows = f(4, 8), four = of(i64, 4);
  expect_refused({
      {"gather_rows: index", "its dtype must be i32 or i64", [=](auto &s) { gather_rows(s, x, f(4)); }},
      {"gather_rows: index", "it must have 1 dimension", [=](auto &s) { gather_rows(s, x, of(i64, 4, 1)); }},
      {"gather_rows", "divide is 0; it must be 1 or more", [=](auto &s) { gather_rows(s, x, four, 0); }},
      {"gather_rows: scale", "its shape must be [4]", [=](auto &s) { gather_rows(s, x, four, 1, f(3)); }},
      {"gather_rows: x", "the number of columns is 0", [=](auto &s) { gather_rows(s, f(5, 0), four); }},
      {"scatter_rows: index", "its shape must be [5]", [=](auto &s) { scatter_rows(s, x, four); }},
      {"combine_rows: row_ids", "its size must be a multiple of topk",
       [=](auto &s) { combine_rows(s, rows, four, 3); }},
      {"combine_rows: rows", "topk is 0; it must be 1 to 1024", [=](auto &s) { combine_rows(s, rows, four, 0); }},
      {"combine_rows: weights", "its shape must be [2, 2]", [=](auto &s) { combine_rows(s, rows, four, 2, f(4, 1)); }},
      {"spread_slots: row_ids", "its shape must be [10]", [=](auto &s) { spread_slots(s, x, four, 2, 8); }},
      {"spread_slots", "rows is -1; it must be 0 or more", [=](auto &s) { spread_slots(s, rows, four, 1, -1); }},
  });
}

TEST(BadInput, Chunks) {
  const Tensor rows = f(4, 8), four = of(i64, 4);
  expect_refused({
      {"sort_chunks: sorted_idxs", "its shape must be [4]", [=](auto &s) { sort_chunks(s, rows, four, of(i64, 3)); }},
      {"sort_chunks: probs", "its shape must be [4]", [=](auto &s) { sort_chunks(s, rows, four, four, f(3)); }},
      {"sort_chunks: split_sizes", "its dtype must be i64 or i32", [=](auto &s) { sort_chunks(s, rows, f(4), four); }},
      {"sort_chunks: input", "it must have 1 dimension or more", [=](auto &s) { sort_chunks(s, f(), four, four); }},
      {"sort_chunks: split_sizes", "the number of chunks is 0; it must be 1 to 4096",
       [=](auto &s) { sort_chunks(s, rows, of(i64, 0), of(i64, 0)); }},
  });
}

} // namespace
} // namespace moec
