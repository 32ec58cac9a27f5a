// Bad input of grouped and dense products, and memory that is read and written at once.
#include <gtest/gtest.h>

#include "bad_input.h"

namespace moec {
namespace {

TEST(BadInput, GroupedProducts) {
  const Tensor a = f(6, 8), b = f(2, 8, 10), offs = of(i32, 2), a8 = of(e4m3, 6, 8), b8 = of(e4m3, 2, 8, 10),
               index = of(i32, 6), weights = f(6), x = f(3, 8), w = f(2, 10, 8);
  expect_refused({
      {"grouped_mm: b", "its shape must be [*, 8, *]", [=](auto &s) { grouped_mm(s, a, f(2, 9, 10), offs); }},
      {"grouped_mm: b", "its dtype must be f32", [=](auto &s) { grouped_mm(s, a, of(bf16, 2, 8, 10), offs); }},
      {"grouped_mm: offs", "its dtype must be i32", [=](auto &s) { grouped_mm(s, a, b, of(i64, 2)); }},
      {"grouped_mm: offs", "its shape must be [2]", [=](auto &s) { grouped_mm(s, a, b, of(i32, 3), {.sizes = true}); }},
      {"grouped_mm", "the number of experts is 0", [=](auto &s) { grouped_mm(s, a, f(0, 8, 10), of(i32, 0)); }},
      {"grouped_mm: divide", "it divides the indices of gather",
       [=](auto &s) { grouped_mm(s, a, b, offs, {.divide = 2}); }},
      {"grouped_mm: gather", "its dtype must be i32 or i64",
       [=](auto &s) { grouped_mm(s, a, b, offs, {.gather = weights}); }},
      {"grouped_mm: scatter", "its shape must be [6]", [=](auto &s) { grouped_mm(s, a, b, offs, {.scatter = offs}); }},
      {"grouped_mm: b", "it has an odd number of columns; a gated activation needs an even number",
       [=](auto &s) { grouped_mm(s, a, f(2, 8, 9), offs, {.activation = Activation::swiglu()}); }},
      {"grouped_mm: alpha", "it is not a number",
       [=](auto &s) { grouped_mm(s, a, b, offs, {.activation = Activation::swiglu_oai(std::nan(""))}); }},
      {"grouped_mm: gate", "it is none of Gate's values",
       [=](auto &s) { grouped_mm(s, a, b, offs, {.activation = Activation{.gate = static_cast<Gate>(3)}}); }},
      {"grouped_mm: pre_activation", "there is no activation",
       [=](auto &s) { grouped_mm(s, a, b, offs, {.pre_activation = f(6, 10)}); }},
      {"grouped_mm: bias_weights", "there is no bias",
       [=](auto &s) { grouped_mm(s, a, b, offs, {.bias_weights = weights}); }},
      {"grouped_mm: bias", "its shape must be [2, 10]", [=](auto &s) { grouped_mm(s, a, b, offs, {.bias = weights}); }},
      {"grouped_mm: weights_by_slot", "there is no scatter",
       [=](auto &s) { grouped_mm(s, a, b, offs, {.row_weights = weights, .weights_by_slot = true}); }},
      {"grouped_mm", "row_weights: they are missing",
       [=](auto &s) { grouped_mm(s, a, b, offs, {.round_before_weights = true}); }},
      {"grouped_mm: a", "its dtype must be e4m3: scales are given",
       [=](auto &s) { grouped_mm(s, a, b, offs, {.scale_a = f(6, 1)}); }},
      {"grouped_mm: scale_a", "its shape must be [6, 1]",
       [=](auto &s) { grouped_mm(s, a8, b8, offs, {.scale_a = f(6, 2)}); }},
      {"grouped_mm: scale_b", "its shape must be [2, 1, 1]",
       [=](auto &s) { grouped_mm(s, a8, b8, offs, {.scale_b = f(2, 3, 1)}); }},
      {"grouped_mm: dtype: the result would be f32;", "of f64 operands it is f64",
       [=](auto &s) { grouped_mm(s, of(f64, 6, 8), of(f64, 2, 8, 10), offs, {.dtype = f32}); }},
      {"grouped_mm: dtype: the result would be f64;", "it must be f32, bf16 or f16",
       [=](auto &s) { grouped_mm(s, a, b, offs, {.dtype = f64}); }},
      {"grouped_mm: accumulate", "its shape must be [*, 10]",
       [=](auto &s) { grouped_mm(s, a, b, offs, {.accumulate = f(6, 9)}); }},
      {"grouped_mm_backward_b: options: bias, activation, row_weights or scales are given;",
       "grad is the gradient of the product itself",
       [=](auto &s) { grouped_mm_backward_b(s, a, f(6, 10), offs, {.row_weights = weights}); }},
      {"grouped_mm_backward_b: gradient", "its shape must be [6, *]",
       [=](auto &s) { grouped_mm_backward_b(s, a, x, offs); }},
      {"unsloth_grouped_gemm", "permute_x and permute_y are both set",
       [=](auto &s) { unsloth_grouped_gemm(s, x, w, offs, {.permute_x = true, .permute_y = true}); }},
      {"unsloth_grouped_gemm: permute_x in the second product;", "only the first permutes x",
       [=](auto &s) { unsloth_grouped_gemm(s, x, w, offs, {.permute_x = true, .is_first_gemm = false}); }},
      {"unsloth_grouped_gemm: permute_y in the first product;", "only the second permutes y",
       [=](auto &s) { unsloth_grouped_gemm(s, x, w, offs, {.permute_y = true}); }},
      {"unsloth_grouped_gemm", "fuse_mul_post without permute_y",
       [=](auto &s) { unsloth_grouped_gemm(s, x, w, offs, {.fuse_mul_post = true}); }},
      {"unsloth_grouped_gemm: topk_weights", "it must have a weight for each of the 6 slots",
       [=](auto &s) {
         unsloth_grouped_gemm(s, a, w, offs,
                              {.gather_indices = index,
                               .permute_y = true,
                               .fuse_mul_post = true,
                               .topk_weights = f(5),
                               .is_first_gemm = false});
       }},
      {"unsloth_grouped_gemm", "fuse_mul_post without topk_weights",
       [=](auto &s) {
         unsloth_grouped_gemm(
             s, a, w, offs,
             {.gather_indices = index, .permute_y = true, .fuse_mul_post = true, .is_first_gemm = false});
       }},
      {"unsloth_grouped_gemm: gather_indices", "its shape must be [6]",
       [=](auto &s) { unsloth_grouped_gemm(s, x, w, offs, {.topk = 2, .gather_indices = offs, .permute_x = true}); }},
      {"unsloth_grouped_gemm", "fuse_mul_post has no backward",
       [=](auto &s) {
         unsloth_grouped_gemm_backward(s, f(6, 10), a, w, offs,
                                       {.gather_indices = index,
                                        .permute_y = true,
                                        .fuse_mul_post = true,
                                        .topk_weights = weights,
                                        .is_first_gemm = false});
       }},
      {"unsloth_grouped_gemm: x", "its shape must be [*, 8]",
       [=](auto &s) { unsloth_grouped_gemm_backward(s, f(6, 10), f(6, 7), w, offs); }},
      {"unsloth_grouped_gemm: w", "its rows must be E*N", [=](auto &s) { unsloth_grouped_gemm(s, a, f(21, 8), offs); }},
      {"grouped_mm: offs", "it is missing", [=](auto &s) { grouped_mm(s, a, b, {}); }},
      {"grouped_mm: a", "it must have 2 dimensions", [=](auto &s) { grouped_mm(s, x.reshape({3, 8, 1}), b, offs); }},
      {"grouped_mm", "divide is 0; it must be 1 or more",
       [=](auto &s) { grouped_mm(s, a, b, offs, {.gather = index, .divide = 0}); }},
      {"grouped_mm: row_weights", "its shape must be [6]",
       [=](auto &s) { grouped_mm(s, a, b, offs, {.row_weights = f(5)}); }},
      {"grouped_mm: dtype: dtype is not accumulate's;", "leave dtype to accumulate",
       [=](auto &s) { grouped_mm(s, a, b, offs, {.accumulate = f(6, 10), .dtype = bf16}); }},
      {"grouped_mm_backward_b: accumulate", "its shape must be [2, 8, 10]",
       [=](auto &s) { grouped_mm_backward_b(s, a, f(6, 10), offs, {.accumulate = f(2, 10, 8)}); }},
      {"grouped_mm_backward_b", "divide is 0",
       [=](auto &s) { grouped_mm_backward_b(s, a, f(6, 10), offs, {.divide = 0}); }},
      {"grouped_mm_backward_b: a", "its dtype must be f32 or bf16 or f16 or f64",
       [=](auto &s) { grouped_mm_backward_b(s, a8, f(6, 10), offs); }},
      {"torch_grouped_gemm: m_sizes", "its shape must be [2]",
       [=](auto &s) { torch_grouped_gemm(s, a, w, of(i64, 3)); }},
      {"torch_grouped_gemm: w", "it must have 3 dimensions",
       [=](auto &s) { torch_grouped_gemm(s, a, f(10, 8), of(i64, 2)); }},
      {"unsloth_grouped_gemm", "topk is 0; it must be 1 or more",
       [=](auto &s) { unsloth_grouped_gemm(s, a, w, offs, {.topk = 0}); }},
      {"unsloth_grouped_gemm: x", "it must be [..., D]", [=](auto &s) { unsloth_grouped_gemm(s, f(), w, offs); }},
  });
}

TEST(BadInput, DenseProducts) {
  expect_refused({
      {"matmul: b", "its shape must be [6, *]", [](auto &s) { matmul(s, f(4, 6), f(5, 6)); }},
      {"matmul: bias", "its shape must be [5]", [](auto &s) { matmul(s, f(4, 6), f(6, 5), {.bias = f(4)}); }},
      {"matmul: b", "its dtype must be", [](auto &s) { matmul(s, f(4, 6), of(e4m3, 6, 5)); }},
      {"matmul: result", "its dtype must be f32", [](auto &s) { matmul(s, f(4, 6), f(6, 5), {.dtype = i32}); }},
      {"matmul: a", "it must have 2 dimensions", [](auto &s) { matmul(s, f(6), f(6, 5)); }},
  });
}

TEST(BadInput, Aliases) {
  const Tensor a = f(6, 8), b = f(2, 8, 10), square = f(2, 8, 8), offs = of(i32, 2), c = f(6, 10), long_rows = f(20, 8);
  expect_refused({
      {"grouped_mm: accumulate: f32[6, 8] on host", "shares memory with",
       [=](auto &s) { grouped_mm(s, a, square, offs, {.accumulate = a}); }},
      {"grouped_mm: accumulate: f32[6, 10] on host", "shares memory with",
       [=](auto &s) { grouped_mm(s, a, b, offs, {.accumulate = b.reshape({16, 10}).slice(0, 4, 10)}); }},
      {"grouped_mm: accumulate: f32[6, 10] on host", "shares memory with",
       [=](auto &s) { grouped_mm(s, a, b, offs, {.bias = c.slice(0, 2, 4), .accumulate = c}); }},
      {"grouped_mm: pre_activation: f32[6, 8] on host", "shares memory with",
       [=](auto &s) { grouped_mm(s, a, square, offs, {.pre_activation = a, .activation = Activation::relu2()}); }},
      {"grouped_mm: accumulate: f32[6, 10] on host", "shares memory with",
       [=](auto &s) {
         grouped_mm(s, a, b, offs, {.pre_activation = c, .activation = Activation::relu2(), .accumulate = c});
       }},
      {"grouped_mm: accumulate", "elements of f32[6, 10] on host with strides [0, 1] share memory",
       [=](auto &s) { grouped_mm(s, a, b, offs, {.accumulate = f(1, 10).expand({6, 10})}); }},
      {"grouped_mm_backward_b: accumulate: f32[2, 8, 10] on host", "shares memory with",
       [=](auto &s) {
         grouped_mm_backward_b(s, long_rows.slice(0, 0, 6), c, offs, {.accumulate = long_rows.reshape({2, 8, 10})});
       }},
      {"grouped_mm_backward_b: accumulate: f32[2, 8, 10] on host", "shares memory with",
       [=](auto &s) {
         grouped_mm_backward_b(s, a, long_rows.reshape({16, 10}).slice(0, 0, 6), offs,
                               {.accumulate = long_rows.reshape({2, 8, 10})});
       }},
  });
}

} // namespace
} // namespace moec
