// Biases by expert: values, gradients, the compensated sum, bad counts.
#include <gtest/gtest.h>

#include <cmath>

#include "differences.h"
#include "kernels/kernel_table.h"
#include "kernels/moe.h"
#include "kernels/specializations.h"
#include "on_devices.h"
#include "random_data.h"
#include "runtime/compiler_library.h"
#include "runtime/error.h"
#include "runtime/jit.h"

namespace moec {
namespace {

using BiasOn = OnDevice;
MOEC_ON_DEVICES(BiasOn, test_devices());

using Counts = std::vector<int64_t>;
Tensor counts_tensor(const Counts &counts, DType dtype = i64) {
  return Here::from_values(std::vector<double>(counts.begin(), counts.end()), {static_cast<int64_t>(counts.size())},
                           dtype);
}
Tensor ends_tensor(const Counts &counts) {
  std::vector<int32_t> ends;
  for (int64_t c : counts) ends.push_back(static_cast<int32_t>(c) + (ends.empty() ? 0 : ends.back()));
  return Here::from(ends, {static_cast<int64_t>(ends.size())});
}
std::vector<size_t> experts_of_rows(const Counts &counts) {
  std::vector<size_t> e;
  for (size_t i = 0; i < counts.size(); ++i) e.insert(e.end(), static_cast<size_t>(counts[i]), i);
  return e;
}

TEST_P(BiasOn, AgainstHost) {
  const Counts counts{3, 0, 130, 1, 0, 37};
  const auto expert = experts_of_rows(counts);
  const auto rows = static_cast<int64_t>(expert.size());
  struct {
    DType value, bias, probs, group;
    int64_t features;
  } cases[] = {{f32, f32, f32, i64, 24},
               {bf16, bf16, f32, i32, 1100},
               {f16, f32, bf16, u8, 7},
               {f64, f64, f64, i64, 40},
               {bf16, bf16, bf16, i64, 33}}; // whose products are rounded
  for (auto &c : cases) {
    SCOPED_TRACE(std::string(name(c.value)) + " " + std::to_string(c.features));
    Tensor value = random_floats({rows, c.features}, c.value), bias = random_floats({6, c.features}, c.bias),
           probs = random_floats({rows, 1}, c.probs), grad = random_floats({rows, c.features}, c.value);
    auto v = value.to_values(), b = bias.to_values(), p = probs.to_values(), g = grad.to_values();
    const auto features = static_cast<size_t>(c.features);
    for (bool weighted : {false, true}) {
      Tensor w = weighted ? probs : Tensor();
      auto out = apply_bias(stream, value, bias, counts_tensor(counts, c.group), w).to_values();
      BiasGrads grads = apply_bias_backward(stream, grad, bias, counts_tensor(counts, c.group), w);
      EXPECT_EQ(grads.value.data(), grad.data()); // passes through
      std::vector<double> grad_bias(6 * features, 0), grad_probs(expert.size(), 0), size(6 * features, 0);
      const double ulp = c.value == f64 ? 1e-15 : c.value == f32 ? 2e-7 : c.value == f16 ? 1e-3 : 8e-3;
      for (size_t i = 0; i < v.size(); ++i) {
        const size_t n = i / features, at = expert[n] * features + i % features;
        auto product = [&](double x, double y) {
          return c.bias == bf16 && c.probs == bf16 ? rounded(x * y, bf16) : x * y;
        };
        const double added = weighted ? product(b[at], p[n]) : b[at], part = weighted ? product(g[i], p[n]) : g[i];
        ASSERT_NEAR(out[i], v[i] + added,
                    ulp * (0.01 + std::abs(v[i] + added)) + (c.value == f64 ? 1e-15 : 1e-7) * std::abs(added))
            << i;
        grad_bias[at] += part, size[at] += std::abs(part);
        grad_probs[n] += product(g[i], b[at]);
      }
      auto got = grads.bias.to_values();
      const double bias_ulp = c.bias == f64 ? 1e-15 : c.bias == f32 ? 2e-7 : 8e-3;
      EXPECT_EQ(grads.bias.dtype(), c.bias);
      for (size_t i = 0; i < got.size(); ++i)
        ASSERT_NEAR(got[i], grad_bias[i], bias_ulp * (std::abs(grad_bias[i]) + size[i])) << i;
      EXPECT_EQ(grads.probs.defined(), weighted);
      if (!weighted) continue;
      auto got_probs = grads.probs.to_values();
      const double prob_ulp = c.probs == f64 ? 1e-13 : c.probs == f32 ? 1e-5 : 8e-3;
      for (size_t i = 0; i < got_probs.size(); ++i)
        ASSERT_NEAR(got_probs[i], grad_probs[i], prob_ulp * (1 + std::abs(grad_probs[i]))) << i;
    }
  }
}

TEST_P(BiasOn, EndsAndShapesGiveTheSameBits) {
  const Counts counts{5, 0, 9};
  Tensor value = random_floats({14, 20}, bf16), bias = random_floats({3, 20}, bf16), probs = random_floats({14}, f32);
  Tensor out = apply_bias(stream, value, bias, counts_tensor(counts), probs);
  auto ends = RowsOfExperts::by_ends(ends_tensor(counts));
  EXPECT_EQ(apply_bias(stream, value, bias, ends, probs).to_bytes(), out.to_bytes());
  Tensor shaped = apply_bias(stream, value.reshape({2, 7, 20}), bias, counts_tensor(counts), probs);
  EXPECT_EQ(shaped.shape(), (Dims{2, 7, 20}));
  EXPECT_EQ(shaped.to_bytes(), out.to_bytes());
  EXPECT_EQ(bias_grad(stream, value, ends, probs).to_bytes(),
            bias_grad(stream, value, counts_tensor(counts), probs).to_bytes());
  // Rows after the last end belong to nobody, whatever they hold.
  Tensor longer = Here::from_values(std::vector<double>(16 * 20, NAN), {16, 20}, bf16);
  longer.slice(0, 0, 14).copy_from(value);
  EXPECT_EQ(bias_grad(stream, longer, ends).to_bytes(), bias_grad(stream, value, ends).to_bytes());
  EXPECT_EQ(apply_bias(stream, longer, bias, ends).slice(0, 0, 14).to_bytes(),
            apply_bias(stream, value, bias, ends).to_bytes());
  // One row as a vector; no bias at all; strided rows.
  Tensor row = value.select(0, 0);
  EXPECT_EQ(apply_bias(stream, row, bias, counts_tensor({0, 1, 0})).shape(), (Dims{20}));
  EXPECT_EQ(apply_bias(stream, value, {}, counts_tensor(counts)).data(), value.data());
  // The biases as a list.
  const std::vector<Tensor> list{bias.select(0, 0), bias.select(0, 1), bias.select(0, 2)};
  EXPECT_EQ(apply_bias(stream, value, stack(stream, list), counts_tensor(counts), probs).to_bytes(), out.to_bytes());
  Tensor every = value.slice(0, 0, 14, 2);
  EXPECT_EQ(apply_bias(stream, every, bias, counts_tensor({7, 0, 0})).to_bytes(),
            apply_bias(stream, every.contiguous(), bias, counts_tensor({7, 0, 0})).to_bytes());
}

TEST_P(BiasOn, NoRowsAndEmptyExperts) {
  Tensor none = Here::empty({0, 12}, f32), bias = random_floats({3, 12}, f32);
  EXPECT_EQ(apply_bias(stream, none, bias, counts_tensor({0, 0, 0})).shape(), (Dims{0, 12}));
  Tensor probs = Here::empty({0, 1}, f32);
  BiasGrads g = apply_bias_backward(stream, none, bias, counts_tensor({0, 0, 0}), probs);
  EXPECT_EQ(g.bias.to_values(), std::vector<double>(36, 0));
  EXPECT_EQ(g.probs.shape(), (Dims{0, 1}));
  // An expert without rows is exactly 0 beside others that are not finite.
  Tensor infinite = Here::from_values(std::vector<double>(2 * 12, INFINITY), {2, 12}, f32);
  auto sums = bias_grad(stream, infinite, counts_tensor({1, 0, 1})).to_values();
  for (size_t f = 12; f < 24; ++f) EXPECT_EQ(sums[f], 0);
}

/// The steps of the operator, in f32, with or without the compensation; blocks as balanced trees.
double summed(const std::vector<double> &x, bool compensated) {
  float total = 0, excess = 0;
  for (size_t begin = 0; begin < x.size(); begin += 128) {
    std::vector<float> block(128, 0);
    for (size_t i = begin; i < std::min(begin + 128, x.size()); ++i) block[i - begin] = static_cast<float>(x[i]);
    for (size_t width : {16, 32, 64, 1, 2, 4, 8})
      for (size_t i = 0; i + width < 128; ++i)
        if (i / width % 2 == 0) block[i] = block[i] + block[i + width];
    volatile float lacking = compensated ? block[0] - excess : block[0], next = total + lacking;
    volatile float gained = next - total;
    excess = gained - lacking;
    total = next;
  }
  return static_cast<double>(total);
}

// Large numbers that cancel: a plain f32 sum loses what the compensated one keeps. Each step is the operator's, so the
// bits are, too.
TEST_P(BiasOn, CompensationSurvives) {
  const int64_t rows = 128 * 40 + 5, features = 20;
  std::vector<double> g(static_cast<size_t>(rows * features));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t f = 0; f < features; ++f) {
      // A large number in the first block that a later one takes away again, small ones in all others.
      double large = (r == 0 ? 3e6 : r == 128 * 20 ? -3e6 : 0.0) * static_cast<double>(f + 1);
      g[static_cast<size_t>(r * features + f)] =
          rounded(large + 1e-3 * static_cast<double>(random_int(-1000, 1000)), f32);
    }
  Tensor grad = Here::from_values(g, {rows, features}, f32);
  // The expert's blocks begin at its first row, wherever that is.
  Tensor shifted = Here::zeros({rows + 3, features}, f32);
  shifted.slice(0, 3, rows + 3).copy_from(grad);
  Tensor sums = bias_grad(stream, grad, counts_tensor({rows}));
  EXPECT_EQ(bias_grad(stream, shifted, counts_tensor({3, rows})).slice(0, 1, 2).to_bytes(), sums.to_bytes());
  auto got = sums.to_values();
  auto exact = bias_grad(stream, grad, counts_tensor({rows}), {}, {BiasSum::f64, f64}).to_values();
  int plain_fails = 0;
  for (int64_t f = 0; f < features; ++f) {
    std::vector<double> column;
    double sum = 0;
    for (int64_t r = 0; r < rows; ++r) column.push_back(g[static_cast<size_t>(r * features + f)]), sum += column.back();
    EXPECT_EQ(got[static_cast<size_t>(f)], summed(column, true)) << f;
    plain_fails += got[static_cast<size_t>(f)] != summed(column, false);
    EXPECT_NEAR(exact[static_cast<size_t>(f)], sum, 1e-6);
  }
  EXPECT_GT(plain_fails, features / 2); // so the test can tell them apart
}

// Blocks of one row are Kahan's sum row by row; every other size gives a sum as good, and has an order of its own.
TEST_P(BiasOn, BlocksOfOtherSizes) {
  const int64_t rows = 300;
  Tensor grad = random_floats({rows, 4}, f32), counts = counts_tensor({rows});
  std::vector<float> x = grad.to_vector<float>(), sums;
  for (size_t column = 0; column < 4; ++column) {
    volatile float total = 0, excess = 0; // no excess precision, nothing reordered
    for (size_t row = 0; row < rows; ++row) {
      volatile float lacking = x[row * 4 + column] - excess, next = total + lacking, gained = next - total;
      excess = gained - lacking;
      total = next;
    }
    sums.push_back(static_cast<float>(total));
  }
  EXPECT_EQ(bias_grad(stream, grad, counts, {}, {.block_rows = 1}).to_vector<float>(), sums);
  const auto exact = bias_grad(stream, grad, counts, {}, {BiasSum::f64, f64}).to_values();
  for (int block : {2, 16, 64, 256}) {
    auto got = bias_grad(stream, grad, counts, {}, {.block_rows = block}).to_values();
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], exact[i], 1e-5) << block;
  }
  for (int block : {0, 48, 512}) EXPECT_THROW(bias_grad(stream, grad, counts, {}, {.block_rows = block}), UserError);
}

// Some programs share each expert's rows; their last tiles are short, and one expert has none.
TEST_P(BiasOn, TheLooseSumIsNear) {
  const int64_t rows = 7000, features = 20;
  const Tensor grad = random_floats({rows, features}, bf16), probs = random_floats({rows, 1}, f32),
               bias = random_floats({3, features}, f32), counts = counts_tensor({2500, 0, 4500});
  BiasGrads exact = apply_bias_backward(stream, grad, bias, counts, probs, {BiasSum::f64, f64}),
            loose = apply_bias_backward(stream, grad, bias, counts, probs, {BiasSum::atomic});
  EXPECT_EQ(loose.bias.dtype(), f32);
  EXPECT_EQ(loose.probs.to_bytes(), exact.probs.to_bytes());
  auto got = loose.bias.to_values(), want = exact.bias.to_values();
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-3);
  for (size_t f = 20; f < 40; ++f) EXPECT_EQ(got[f], 0);
  Tensor rounded = bias_grad(stream, grad, RowsOfExperts::one(), {}, {BiasSum::atomic});
  EXPECT_EQ(rounded.dtype(), bf16);
  want = bias_grad(stream, grad, RowsOfExperts::one(), {}, {BiasSum::f64, f64}).to_values();
  got = rounded.to_values();
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-3 + std::abs(want[i]) / 256);
}

// With one value per block the block sums are exact, and so nearly is the compensated total.
TEST_P(BiasOn, CompensatedTotalIsNearlyExact) {
  std::vector<double> g;
  for (int block = 0; block < 64; ++block)
    for (int r = 0; r < 128; ++r) g.push_back(r == 0 ? rounded(block == 0 ? 1e8 : 0.7 + block * 1e-3, f32) : 0);
  double exact = 0;
  for (double x : g) exact += x;
  const auto rows = static_cast<int64_t>(g.size());
  double got = bias_grad(stream, Here::from_values(g, {rows, 1}, f32), counts_tensor({rows})).to_values()[0];
  EXPECT_NEAR(got, exact, 8); // one ulp of f32
  EXPECT_GT(std::abs(summed(g, false) - exact), 40);
}

// Recorded sums that cancel: near the exact ones, not only near the recorded kernel's.
TEST_P(BiasOn, RecordedSumsAreNearlyExact) {
  for (const char *name : {"e2_f16_f32_cancel", "e3_f32_f32"}) {
    TensorFile file = load_case(golden_folder() + "deterministic_bias_grad/" + name + ".safetensors");
    Tensor got = bias_grad(stream, Here::copy(file.at("in.grad_output")), Here::copy(file.at("in.tokens_per_expert")));
    TensorReport r =
        compare(name, Tensor::from_values(got.to_values(), got.shape(), f64), file.at("out.grad_bias_f64_sum"), 1e-6);
    EXPECT_EQ(r.status, CheckStatus::pass) << name << ": " << r.max_error << " " << r.detail;
  }
}

// What a GPU executes: each column's three subtractions are there, rounded one by one, and nothing became an fma.
TEST(BiasPtx, KeepsTheCompensation) {
  const Recording kernel =
      kernel_at("bias_grad").record(parse_settings("experts=8,F=2048,dtype=f32,bias=f32,block=64"));
  CompileInput input;
  input.source = kernel.text;
  input.options = compile_options("sm_90a", {.num_warps = 4});
  input.emit = "ptx";
  const std::string ptx = compile(input).output;
  auto count = [&](std::string_view what) {
    int n = 0;
    for (size_t at = ptx.find(what); at != std::string::npos; at = ptx.find(what, at + 1)) ++n;
    return n;
  };
  EXPECT_GT(count("sub.rn.f32"), 0);
  EXPECT_EQ(count("sub."), count("sub.rn.f32") + count("sub.s32") + count("sub.s64"));
  EXPECT_EQ(count("sub.rn.f32") % 3, 0);
  EXPECT_EQ(count("fma."), 0);
  EXPECT_EQ(count("add.f32") + count("add.ftz"), 0); // these ptxas could contract
}

TEST(BiasGradients, CentralDifferences) {
  Stream stream(Device::interp());
  Tensor counts = counts_tensor({3, 0, 2}), value = random_floats({5, 6}, f64), bias = random_floats({3, 6}, f64),
         probs = random_floats({5, 1}, f64), grad = random_floats({5, 6}, f64);
  BiasGrads g = apply_bias_backward(stream, grad, bias, counts, probs);
  auto loss = [&](const Tensor &v, const Tensor &b, const Tensor &p) {
    return dot(apply_bias(stream, v, b, counts, p), grad);
  };
  expect_gradient("value", value, g.value, [&](const Tensor &t) { return loss(t, bias, probs); });
  expect_gradient("bias", bias, g.bias, [&](const Tensor &t) { return loss(value, t, probs); });
  expect_gradient("probs", probs, g.probs, [&](const Tensor &t) { return loss(value, bias, t); });
}

} // namespace
} // namespace moec
