// What only the device can see: indices out of range, offsets that decrease, counts that do not sum, bounds that are
// too small. The launch stops; nothing is truncated. `begin` is the kernel's name.
#include <gtest/gtest.h>

#include "bad_input.h"

namespace moec {
namespace {

const Tensor kX = f(4, 8), kFive = f(5, 8), kMatrices = f(2, 8, 16), kGrad = f(4, 16), kProbs = f(5, 3), kTwo = f(5, 2);
/// Every token goes to each of three experts.
const Tensor kAll = Tensor::from(std::vector<uint8_t>(15, 1), {5, 3}).bitcast(boolean);
const int64_t kFar = int64_t{1} << 40;

TEST(BadContents, GroupedProducts) {
  const char *ends = "offs must not decrease nor pass the last row: ", *sizes = "the sum of the groups' sizes";
  std::vector<BadCall> rows;
  for (const auto &offs : {ids32({3, 2}), ids32({0, 5}), ids32({-1, 4}), ids32({1 << 30, 4})}) {
    rows.push_back({"grouped_mm", ends, [=](auto &s) { grouped_mm(s, kX, kMatrices, offs); }});
    rows.push_back({"grouped_mm_backward_b", ends, [=](auto &s) { grouped_mm_backward_b(s, kX, kGrad, offs); }});
  }
  rows.insert(
      rows.end(),
      {{"grouped_mm", "size is negative or above",
        [](auto &s) { grouped_mm(s, kX, kMatrices, ids32({-1, 2}), {.sizes = true}); }},
       {"grouped_mm", sizes, [](auto &s) { grouped_mm(s, kX, kMatrices, ids({3, 2}), {.sizes = true}); }},
       {"grouped_mm_backward_b", sizes,
        [](auto &s) { grouped_mm_backward_b(s, kX, kGrad, ids32({3, 2}), {.sizes = true}); }},
       {"grouped_mm", "a gather index is past",
        [](auto &s) { grouped_mm(s, kX, kMatrices, ids32({2, 4}), {.gather = ids32({0, 1, 2, 8}), .divide = 2}); }},
       {"grouped_mm_backward_b", "a gather index is past",
        [](auto &s) { grouped_mm_backward_b(s, kX, kGrad, ids32({2, 4}), {.gather = ids({0, 1, kFar, 1})}); }},
       {"grouped_mm", "a scatter index is past",
        [](auto &s) { grouped_mm(s, kX, kMatrices, ids32({2, 4}), {.scatter = ids32({0, 1, 2, 4})}); }},
       {"grouped_mm_backward_b", "a scatter index is past",
        [](auto &s) { grouped_mm_backward_b(s, kX, kGrad, ids32({2, 4}), {.scatter = ids({0, 1, kFar, 1})}); }},
       {"grouped_mm", sizes, [](auto &s) { torch_grouped_gemm(s, kX, kMatrices, ids({3, 2}), false); }},
       {"grouped_mm", sizes, [](auto &s) { unsloth_grouped_gemm(s, kX, f(2, 16, 8), ids({4, 1})); }},
       {"grouped_mm", "a gather index is past", [](auto &s) {
          unsloth_grouped_gemm(s, kX, f(2, 16, 8), ids({4, 4}),
                               {.topk = 2, .gather_indices = ids({0, 1, 2, 3, 4, 5, 6, 8}), .permute_x = true});
        }}});
  expect_stopped(rows);
}

TEST(BadContents, Biases) {
  const Tensor value = f(6, 8), bias = f(2, 8);
  std::vector<BadCall> rows;
  const char *counts = "tokens_per_expert must", *ends = "offs must not decrease nor pass the last row";
  for (const auto &bad : {ids({3, 2}), ids({4, 3}), ids({-1, 7}), ids({kFar, 0})}) {
    rows.push_back({"apply_bias", counts, [=](auto &s) { apply_bias(s, value, bias, bad); }});
    rows.push_back({"bias_grad", counts, [=](auto &s) { bias_grad(s, value, bad); }});
    rows.push_back({"bias_grad", counts, [=](auto &s) { apply_bias_backward(s, value, bias, bad, f(6)); }});
  }
  rows.push_back({"apply_bias", counts, [=](auto &s) { apply_bias(s, f(0, 8), bias, ids({3, 0})); }});
  for (const auto &bad : {ids32({4, 3}), ids32({-1, 6}), ids32({3, 7})})
    rows.push_back({"apply_bias", ends, [=](auto &s) { apply_bias(s, value, bias, RowsOfExperts::by_ends(bad)); }});
  expect_stopped(rows);
}

TEST(BadContents, Rows) {
  expect_stopped({
      {"gather_rows", "row index 4 is past the last of x's 4 rows", [](auto &s) { gather_rows(s, kX, ids({0, 4})); }},
      {"gather_rows", "row index 1099511627776 is past the last of x's 4 rows",
       [](auto &s) { gather_rows(s, kX, ids({0, kFar})); }},
      {"gather_rows", "row index 4 is past the last of x's 4 rows",
       [](auto &s) { gather_rows(s, kX, ids({0, 12}), 3); }},
      // The assert of a row is another warp's than its load: that must not run ahead.
      {"gather_rows", "row index 1099511627776 is past the last of x's 4 rows",
       [](auto &s) {
         std::vector<int64_t> index(64);
         index[40] = kFar;
         gather_rows(s, kX, ids(index));
       }},
      {"invert_index", "row index 4 is past the last of the result's 4 rows",
       [](auto &s) { scatter_rows(s, kX, ids({0, 1, 2, 4})); }},
      {"invert_index", "row index 1 occurs twice", [](auto &s) { scatter_rows(s, kX, ids({0, 1, 2, 1})); }},
      {"spread_slots", "row id 4 is past the last of 4 rows",
       [](auto &s) { spread_slots(s, kX, ids({0, 1, 2, 4}), 1, 4); }},
      {"combine_rows", "row id 99 is past the last of 4 rows",
       [](auto &s) { combine_rows(s, kX, ids({0, 1, 2, 99}), 2); }},
      {"row_dots", "index 4 is past the last of b's 4 rows",
       [](auto &s) { row_dots(s, kX, kX, ids({0, 1, 2, 4}), f32); }},
      {"gather_rows", "row index 4 is past the last of x's 4 rows",
       [](auto &s) { unpermute_backward(s, kX, kX, ids({0, 1, 2, 4})); }},
      {"digit_count", "row index 5 is past the last of the result's 5 rows",
       [](auto &s) { unpermute(s, kX, ids({0, 1, 2, 5}), 5); }},
  });
}

TEST(BadContents, Permutes) {
  const char *needs = "the routing map needs 15 rows, and there are 14",
             *more = "the routing map has more pairs than there are rows";
  const Tensor fifteen = f(15, 8), sixteen = f(16, 8);
  expect_stopped({
      {"map_place", needs, [](auto &s) { permute(s, kFive, kAll, kProbs, 14); }},
      {"map_place", needs, [](auto &s) { permute_fused(s, kFive, kAll, kProbs, 14); }},
      // More experts per token than topk.
      {"map_place", "the routing map needs 18 rows, and there are 8",
       [](auto &s) { permute_padded(s, kFive, kAll, kProbs, 1, 2); }},
      {"map_place", "the routing map needs 15 rows, and there are 4",
       [](auto &s) { unpermute(s, kX, ids({0, 1, 2, 3}), 5, kProbs, kAll); }},
      {"map_place", "sorted_indices are not those of the routing map",
       [=](auto &s) { unpermute(s, fifteen, of(i64, 15), 5, kProbs, kAll); }},
      {"map_place", "sorted_indices",
       [=](auto &s) { unpermute(s, sixteen, ids({0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0}), 5, kProbs, kAll); }},
      {"sum_token_rows", more, [](auto &s) { permute_backward_tokens(s, kX, route_map(s, kAll)); }},
      {"map_scatter", more, [](auto &s) { permute_backward_probs(s, f(4), route_map(s, kAll)); }},
      {"map_place", "the routing map needs 24 rows, and there are 22",
       [](auto &s) { route_map(s, kAll, {}, {.rows = 22, .pad_multiple = 4}); }},
      {"sum_token_rows", "a token has a row twice",
       [](auto &s) { unpermute_fused(s, kX, Tensor::from(std::vector<int32_t>(7, 2), {1, 7})); }},
      {"sum_token_rows", "a token has 9 rows, and there are 3 experts",
       [](auto &s) { unpermute_fused(s, kX, Tensor::from(std::vector<int32_t>(14, 9), {2, 7})); }},
      {"invert_index", "row index 2 occurs twice",
       [](auto &s) { unpermute_drop_and_pad(s, kX, ids({0, 1, 2, 2}), 5, 2, kTwo); }},
      {"invert_index", "row index -1 is negative",
       [](auto &s) { unpermute_drop_and_pad(s, kX, ids({0, 1, 2, -1}), 5, 2, kTwo); }},
      {"slot_gather", "row id 2 is past the last of 2 rows",
       [](auto &s) { route_slots_backward(s, f(2), ids32({0, 1, 2, -1}), 2, f32); }},
      {"map_pad_columns", "an expert has too few tokens to pad its count: 8 of 5",
       [](auto &s) { pad_routing_map(s, kAll, 4, true); }},
  });
}

TEST(BadContents, Chunks) {
  const char *permutation = "sorted_idxs must be a permutation";
  expect_stopped({
      {"chunk_index", "split_sizes must sum to the number of rows: they sum to 5, not 4",
       [](auto &s) { sort_chunks(s, kX, ids({3, 2}), ids({0, 1})); }},
      {"chunk_index", "split_sizes must not be negative: one is -1",
       [](auto &s) { sort_chunks(s, kX, ids({5, -1}), ids({0, 1})); }},
      {"chunk_index", permutation, [](auto &s) { sort_chunks(s, kX, ids({2, 2}), ids({1, 1})); }},
      {"chunk_index", permutation, [](auto &s) { sort_chunks(s, kX, ids({2, 2}), ids({0, 2})); }},
  });
}

TEST(BadContents, Experts) {
  std::vector<BadCall> rows;
  for (int64_t bad : {int64_t{4}, int64_t{-5}, int64_t{1} << 20, kFar}) {
    const Tensor chosen = ids({0, bad, 1, 2}).reshape({2, 2});
    const std::string range = "expert index " + std::to_string(bad) +
                              " is out of range: it must be -1 or in [-experts, experts) with 4 experts";
    rows.push_back(
        {"indices_to_multihot_unfused", range, [=](auto &s) { indices_to_multihot_unfused(s, chosen, f(2, 2), 4); }});
    rows.push_back({"multihot_unfused_backward", range,
                    [=](auto &s) { indices_to_multihot_unfused_backward(s, f(2, 4), chosen); }});
  }
  expect_stopped(rows);
}

} // namespace
} // namespace moec
