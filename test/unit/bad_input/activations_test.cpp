// Bad input of activations, biases and plain arithmetic.
#include <gtest/gtest.h>

#include "bad_input.h"
#include <cmath>

namespace moec {
namespace {

const Activation kGlu = Activation::swiglu();
const Tensor kCounts = ids({3, 1});

TEST(BadInput, Activations) {
  expect_refused({
      {"activate: x", "its last dimension must be even", [](auto &s) { activate(s, f(4, 7), kGlu); }},
      {"activate: x", "it is missing", [](auto &s) { activate(s, {}, kGlu); }},
      {"activate: x", "its dtype must be f32 or bf16 or f16 or f64", [](auto &s) { activate(s, of(i32, 4, 8), kGlu); }},
      {"activate: x", "its dtype must be f32 or bf16 or f16 or f64",
       [](auto &s) { activate(s, of(e4m3, 4, 8), kGlu); }},
      {"activate",
       "weights: it is f32[4] on host; its shape must be [4, 1], one for each row of x f32[4, 8] on host; "
       "reshape({-1, 1}) gives it",
       [](auto &s) { activate(s, f(4, 8), kGlu, f(4)); }},
      {"activate: weights", "its shape must be [4, 1]", [](auto &s) { activate(s, f(2, 2, 8), kGlu, f(2, 1)); }},
      {"activate: weights", "its dtype must be", [](auto &s) { activate(s, f(4, 8), kGlu, of(i64, 4, 1)); }},
      {"activate", "bias: it is f32[4] on host; its shape must be [8]",
       [](auto &s) { activate(s, f(4, 8), kGlu, {}, f(4)); }},
      {"activate: bias", "its shape must be [1, 8]", [](auto &s) { activate(s, f(4, 8), kGlu, {}, f(3, 8)); }},
      {"activate", "limit: it is not a number", [](auto &s) { activate(s, f(4, 8), Activation::swiglu_clamped(NAN)); }},
      {"activate: limit", "it is not a number", [](auto &s) { activate(s, f(4, 8), Activation::swiglu_oai(1, NAN)); }},
      {"activate: limit", "it is not a number",
       [](auto &s) { activate(s, f(4, 8), activation_named("swiglu", 1, 7, NAN)); }},
      {"activate: gate", "it is none of Gate's values",
       [](auto &s) { activate(s, f(4, 8), {.gate = static_cast<Gate>(7)}); }},
      {"activate: gate_dtype", "it is i32", [](auto &s) { activate(s, f(4, 8), {.gate_dtype = i32}); }},
      {"activate_saving_e4m3: limit", "at least 0 and below 432",
       [](auto &s) { activate_saving_e4m3(s, f(4, 8), Activation::swiglu_clamped(500)); }},
      {"activate_backward", "gradient: it is f32[4, 3] on host; its shape must be [4, 4]",
       [](auto &s) { activate_backward(s, f(4, 3), f(4, 8), kGlu); }},
      {"activate_backward: gradient", "its dtype must be",
       [](auto &s) { activate_backward(s, of(i32, 4, 4), f(4, 8), kGlu); }},
      {"weighted_bias_quick_geglu_impl: x", "it must have 2 or 3 dimensions",
       [](auto &s) { weighted_bias_quick_geglu_impl(s, f(8), {}, f(1, 1)); }},
      {"weighted_bias_quick_geglu_impl: x", "it must have 2 or 3 dimensions",
       [](auto &s) { weighted_bias_quick_geglu_impl(s, f(1, 1, 1, 8), {}, f(1, 1)); }},
      {"activate: weights", "its shape must be [2, 1]",
       [](auto &s) { weighted_bias_swiglu_impl(s, f(2, 8), f(1, 1)); }},
      {"weighted_swiglu", "weights: it is missing", [](auto &s) { weighted_swiglu(s, f(2, 8), {}); }},
      {"Invalid expert activation", "'gelu' is none; use swiglu, swigluoai", [](auto &) { activation_named("gelu"); }},
      {"activate", "alpha: it is not a number", [](auto &s) { activate(s, f(4, 8), Activation::swiglu_oai(NAN)); }},
      {"weighted_swiglu_backward: gradient", "its shape must be [2, 4]",
       [](auto &s) { weighted_swiglu_backward(s, f(2, 3), f(2, 8), f(2, 1)); }},
      {"weighted_bias_backward: gradient", "its shape must be [2, 4]",
       [](auto &s) { weighted_bias_backward(s, f(2, 3), weighted_bias_swiglu_impl(s, f(2, 8), f(2, 1))); }},
  });
}

TEST(BadInput, Biases) {
  expect_refused({
      {"apply_bias: bias", "its shape must be [2, 6]", [](auto &s) { apply_bias(s, f(4, 6), f(2, 5), kCounts); }},
      {"apply_bias: bias", "its dtype must be f32", [](auto &s) { apply_bias(s, f(4, 6), of(i32, 2, 6), kCounts); }},
      {"apply_bias: rows", "it is f32[] on host; it must have 1 dimension or more",
       [](auto &s) { apply_bias(s, f(), f(2, 6), kCounts); }},
      {"apply_bias: tokens_per_expert", "its dtype must be i8 or u8 or i32 or i64",
       [](auto &s) { apply_bias(s, f(4, 6), f(2, 6), f(2)); }},
      {"apply_bias: offs", "its dtype must be i32 or i64",
       [](auto &s) { apply_bias(s, f(4, 6), f(2, 6), RowsOfExperts::by_ends(f(2))); }},
      {"apply_bias: probs", "its shape must be [4, 1]",
       [](auto &s) { apply_bias(s, f(4, 6), f(2, 6), kCounts, f(4, 2)); }},
      {"apply_bias: probs", "its shape must be [4]", [](auto &s) { apply_bias(s, f(4, 6), f(2, 6), kCounts, f(3)); }},
      {"bias_grad: result", "its dtype must be f32",
       [](auto &s) { bias_grad(s, f(4, 6), kCounts, {}, {.dtype = i32}); }},
      {"make no dtype[2, 6] on interp", "it is of no dtype",
       [](auto &s) { bias_grad(s, f(4, 6), kCounts, {}, {.dtype = static_cast<DType>(99)}); }},
      {"bias_grad: sum", "it is none of BiasSum's values",
       [](auto &s) { bias_grad(s, f(4, 6), kCounts, {}, {.sum = static_cast<BiasSum>(3)}); }},
      {"bias_grad: rows", "its dtype must be f32", [](auto &s) { bias_grad(s, of(i64, 4, 2), kCounts); }},
      {"apply_bias_backward: bias", "it is missing", [](auto &s) { apply_bias_backward(s, f(4, 6), {}, kCounts); }},
      {"bias_grad", "the number of experts is 0", [](auto &s) { bias_grad(s, f(4, 6), of(i64, 0)); }},
      {"apply_bias: rows", "the number of columns is 0", [](auto &s) { apply_bias(s, f(4, 0), f(2, 0), kCounts); }},
      {"apply_bias: tokens_per_expert", "it must have 1 dimension",
       [](auto &s) { apply_bias(s, f(4, 6), f(2, 6), of(i64, 2, 1)); }},
  });
}

TEST(BadInput, Arithmetic) {
  expect_refused({
      {"convert: x", "its dtype must be f32", [](auto &s) { convert(s, of(i32, 4), bf16); }},
      {"convert: x", "it is missing", [](auto &s) { convert(s, {}, bf16); }},
      {"convert: dtype", "it is i32; it must be a float dtype", [](auto &s) { convert(s, f(4), i32); }},
      {"convert: dtype", "it is no dtype; it must be a float dtype",
       [](auto &s) { convert(s, f(4), static_cast<DType>(255)); }},
      {"packed: x", "it is missing", [](auto &s) { packed(s, {}); }},
      {"stack: tensors", "there are none", [](auto &s) { stack(s, {}); }},
      {"stack: tensor 0", "it is missing", [](auto &s) { stack(s, std::vector<Tensor>{{}}); }},
      {"stack: tensor 1", "[4]", [](auto &s) { stack(s, std::vector<Tensor>{f(4), f(5)}); }},
      {"stack: tensor 1", "its dtype must be f32", [](auto &s) { stack(s, std::vector<Tensor>{f(4), of(f64, 4)}); }},
      {"add: b", "its dtype must be f32", [](auto &s) { add(s, f(4), of(f64, 4)); }},
      {"add: a is f32[4] on host, b f32[4, 1] on host;", "they must have one shape",
       [](auto &s) { add(s, f(4), f(4, 1)); }},
      {"row_dots: b", "its shape must be [*, 8]", [](auto &s) { row_dots(s, f(4, 8), f(4, 9), of(i32, 4), f32); }},
      {"row_dots: index", "its shape must be [4]", [](auto &s) { row_dots(s, f(4, 8), f(4, 8), of(i32, 5), f32); }},
      {"row_dots: result", "its dtype must be f32", [](auto &s) { row_dots(s, f(4, 8), f(4, 8), of(i32, 4), i32); }},
  });
}

} // namespace
} // namespace moec
