// Permute and unpermute by routing map, in all forms, against plain host code; gradients against central differences;
// bits of interpreter and simulator against each other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "differences.h"
#include "kernels/host.h"
#include "kernels/moe.h"
#include "on_devices.h"
#include "random_data.h"
#include "runtime/error.h"
#include "runtime/jit.h"

namespace moec {
namespace {

using testing::HasSubstr;
using Values = std::vector<double>;

using PermuteOn = OnDevice;
MOEC_ON_DEVICES(PermuteOn, test_devices());

Tensor floats(const Values &v, const Dims &shape, DType t = f64) { return Here::from_values(v, shape, t); }

/// What the ops are defined by: token and expert of each row, -1 for padding.
struct Rows {
  std::vector<int64_t> token, expert;
};
Rows rows_of(const Tensor &map, int64_t multiple = 1) {
  Values m = map.to_values();
  Rows r;
  for (int64_t e = 0; e < map.size(1); ++e) {
    for (int64_t t = 0; t < map.size(0); ++t)
      if (m[at(t, map.size(1), e)] != 0) r.token.push_back(t), r.expert.push_back(e);
    while (r.token.size() % static_cast<size_t>(multiple) != 0) r.token.push_back(-1), r.expert.push_back(e);
  }
  return r;
}
Rows rows_of_capacity(const Tensor &map, int64_t capacity) {
  Values m = map.to_values();
  Rows r;
  for (int64_t e = 0; e < map.size(1); ++e) {
    int64_t left = capacity;
    for (bool routed : {true, false})
      for (int64_t t = 0; t < map.size(0); ++t)
        if ((m[at(t, map.size(1), e)] != 0) == routed && left-- > 0) r.token.push_back(t), r.expert.push_back(e);
  }
  return r;
}

/// Checks every tensor of a permute; rows past the list are zero. `zero`: pairs of probability 0 have rows of zeros.
void expect_permuted(const Permuted &p, const Rows &r, const Tensor &x, const Tensor &probs, bool zero = false) {
  const int64_t cols = x.size(1), rows = p.tokens.size(0);
  ASSERT_LE(static_cast<int64_t>(r.token.size()), rows);
  Values v = x.to_values(), got = p.tokens.to_values(), weight = probs.to_values(), q = p.map.probs.to_values(),
         index = p.map.sorted_indices.to_values();
  for (int64_t i = 0; i < rows; ++i) {
    auto k = static_cast<size_t>(i);
    const int64_t t = k < r.token.size() ? r.token[k] : -1;
    const double w = t < 0 ? 0 : weight[at(t, probs.size(1), r.expert[k])];
    ASSERT_EQ(index[k], static_cast<double>(t)) << i;
    ASSERT_EQ(q[k], w) << i;
    for (int64_t c = 0; c < cols; ++c)
      ASSERT_EQ(got[at(i, cols, c)], t < 0 || (zero && w == 0) ? 0 : v[at(t, cols, c)]) << i << " " << c;
  }
}

TEST_P(PermuteOn, ByMap) {
  struct {
    int64_t tokens, experts, cols;
    DType t, prob, map;
  } cases[] = {{37, 6, 24, bf16, f32, boolean},
               {50, 7, 4100, f32, bf16, i64},
               {9, 60, 20, f64, f64, bf16},
               {5, 1, 1, f16, f32, u8}};
  for (auto &c : cases) {
    SCOPED_TRACE(c.cols);
    Tensor x = random_floats({c.tokens, c.cols}, c.t), probs = random_floats({c.tokens, c.experts}, c.prob),
           map = some_map(c.tokens, c.experts, c.map);
    Rows r = rows_of(map);
    auto n = static_cast<int64_t>(r.token.size());
    Permuted p = permute(stream, x, map, probs);
    ASSERT_EQ(p.tokens.size(0), n);
    expect_permuted(p, r, x, probs);
    expect_permuted(permute(stream, x, map, probs, n + 5), r, x, probs); // a bound
    expect_permuted(permute_drop_and_pad(stream, x, map, probs, c.experts * (c.tokens / 2)),
                    rows_of_capacity(map, c.tokens / 2), x, probs);
  }
}

// More blocks of tokens than the 32 that the prefix sums take at a time: blocks of 32 tokens of 128 experts, or, as the
// interpreter is slow, of 256 tokens of 3, most of which go nowhere.
TEST_P(PermuteOn, ManyBlocks) {
  const bool slow = stream.device() == Device::interp();
  const int64_t tokens = slow ? 8500 : 1100, experts = slow ? 3 : 128, cols = slow ? 1 : 8, capacity = 70;
  const int topk = slow ? 1 : 8;
  Values m(static_cast<size_t>(tokens * experts));
  for (int64_t t = 0; t < tokens; ++t)
    for (int k = 0; k < (slow && t % 16 ? 0 : topk); ++k)
      m[at(t, experts, random_int(0, (t % 3 == 0 ? std::min<int64_t>(10, experts) : experts) - 1))] = 1;
  Tensor map = floats(m, {tokens, experts}, boolean), x = random_floats({tokens, cols}, bf16),
         probs = random_floats({tokens, experts}, f32);
  Rows r = rows_of(map);
  expect_permuted(permute(stream, x, map, probs, static_cast<int64_t>(r.token.size()) + 600), r, x, probs);
  expect_permuted(permute_drop_and_pad(stream, x, map, probs, capacity * experts), rows_of_capacity(map, capacity), x,
                  probs);
  expect_permuted(permute_padded(stream, x, map, probs, topk, 16), rows_of(map, 16), x, probs, true);
}

// Rows and columns of larger tensors, at addresses that allow no wide access.
TEST_P(PermuteOn, StridedTensors) {
  const int64_t tokens = 21, experts = 6, cols = 24;
  Tensor x = random_floats({tokens, 40}, bf16).slice(1, 1, 1 + cols),
         probs = random_floats({tokens, 9}, f32).slice(1, 2, 8),
         map =
             random_ints({2 * tokens, experts + 3}, boolean, 0, 1).slice(0, 0, 2 * tokens, 2).slice(1, 3, 3 + experts);
  Tensor x1 = x.contiguous(), probs1 = probs.contiguous(), map1 = map.contiguous();
  Permuted p = permute(stream, x, map, probs), q = permute(stream, x1, map1, probs1);
  EXPECT_EQ(p.tokens.to_bytes(), q.tokens.to_bytes());
  EXPECT_EQ(p.map.probs.to_bytes(), q.map.probs.to_bytes());
  const int64_t rows = p.tokens.size(0);
  Tensor g = random_floats({rows, cols + 3}, bf16).slice(1, 3, cols + 3);
  EXPECT_EQ(unpermute(stream, g, p.map, probs).to_bytes(), unpermute(stream, g.contiguous(), q.map, probs1).to_bytes());
  UnpermuteGrads a = unpermute_backward(stream, x, g, p.map, probs),
                 b = unpermute_backward(stream, x1, g.contiguous(), q.map, probs1);
  EXPECT_EQ(a.permuted.to_bytes(), b.permuted.to_bytes());
  EXPECT_EQ(a.probs.to_bytes(), b.probs.to_bytes());
  EXPECT_EQ(pad_routing_map(stream, map, 4).routing_map.to_bytes(),
            pad_routing_map(stream, map1, 4).routing_map.to_bytes());
  Tensor sizes = Here::from(std::vector<int64_t>{5, 16}, {2}), order = Here::from(std::vector<int64_t>{1, 0}, {2});
  EXPECT_EQ(sort_chunks(stream, x, sizes, order).output.to_bytes(),
            sort_chunks(stream, x1, sizes, order).output.to_bytes());
}

TEST_P(PermuteOn, FusedAndPadded) {
  const int64_t tokens = 41, experts = 5, cols = 40;
  Tensor x = random_floats({tokens, cols}, bf16), map = some_map(tokens, experts);
  Values w = random_floats({tokens, experts}, f32).to_values();
  for (size_t i = 0; i < w.size(); i += 3) w[i] = 0;
  Tensor probs = floats(w, {tokens, experts}, f32);
  Rows r = rows_of(map);
  Permuted p = permute_fused(stream, x, map, probs, static_cast<int64_t>(r.token.size()) + 3);
  expect_permuted(p, r, x, probs, true);
  // row_id_map: rows descending, experts beside them, -1 elsewhere.
  Values id = p.map.row_id_map.to_values(), row_of = dense(p.map).to_values();
  for (int64_t t = 0; t < tokens; ++t) {
    int64_t n = 0;
    for (int64_t e = experts - 1; e >= 0; --e)
      if (double row = row_of[at(t, experts, e)]; row >= 0) {
        EXPECT_EQ(id[at(t, 2 * experts + 1, n)], row);
        EXPECT_EQ(id[at(t, 2 * experts + 1, experts + n)], static_cast<double>(e));
        ++n;
      }
    EXPECT_EQ(id[at(t, 2 * experts + 1, 2 * experts)], static_cast<double>(n));
    for (; n < experts; ++n) EXPECT_EQ(id[at(t, 2 * experts + 1, n)] + id[at(t, 2 * experts + 1, experts + n)], -2);
  }
  for (int multiple : {1, 7, 16}) {
    Permuted q = permute_padded(stream, x, map, probs, static_cast<int>(experts), multiple);
    Rows padded = rows_of(map, multiple);
    EXPECT_EQ(q.tokens.size(0), cdiv(tokens * experts + experts * (multiple - 1), int64_t{multiple}) * multiple);
    expect_permuted(q, padded, x, probs, true);
    EXPECT_EQ(count_rows(stream, q.map), static_cast<int64_t>(padded.token.size()));
    Values counts(static_cast<size_t>(experts));
    for (int64_t e : padded.expert) ++counts[static_cast<size_t>(e)];
    EXPECT_EQ(q.map.counts.to_values(), counts);
    // Both forms of unpermute, and rows of no token get no gradient.
    EXPECT_EQ(unpermute(stream, q.tokens, q.map, probs).to_bytes(),
              unpermute_fused(stream, q.tokens, q.map.row_id_map, probs).to_bytes());
    Values g = unpermute_backward(stream, x, q.tokens, q.map, probs).permuted.to_values();
    for (size_t i = 0; i < g.size(); ++i)
      if (size_t row = i / static_cast<size_t>(cols); row >= padded.token.size() || padded.token[row] < 0)
        ASSERT_EQ(g[i], 0);
  }
}

/// Sum of a token's rows in the op's order, each step rounded as the op rounds it.
Values summed(const Values &rows, const Rows &r, int64_t tokens, int64_t cols, const Values &probs, int64_t experts) {
  Values y(static_cast<size_t>(tokens * cols));
  for (size_t i = 0; i < r.token.size(); ++i)
    for (int64_t c = 0; r.token[i] >= 0 && c < cols; ++c) {
      double v = rows[at(static_cast<int64_t>(i), cols, c)];
      if (!probs.empty()) v = static_cast<float>(v * probs[at(r.token[i], experts, r.expert[i])]);
      double &sum = y[at(r.token[i], cols, c)];
      sum = static_cast<float>(sum + v);
    }
  return y;
}

// bf16 rows times bf16 probs are bf16 in the source, as are the products in the gradient of such probs; only its fused
// form keeps them.
TEST_P(PermuteOn, ProductsOfLowDtypesAreRounded) {
  const int64_t tokens = 19, experts = 7, cols = 40;
  auto low = [](const Values &v) { return floats(v, {static_cast<int64_t>(v.size())}, bf16).to_values(); };
  Tensor map = some_map(tokens, experts), probs = random_floats({tokens, experts}, bf16);
  Rows r = rows_of(map);
  const auto n = static_cast<int64_t>(r.token.size());
  Tensor rows = random_floats({n, cols}, bf16), grad = random_floats({tokens, cols}, bf16),
         index = Here::from(r.token, {n});
  Values v = rows.to_values(), g = grad.to_values(), w = probs.to_values(), by_prob, by_grad;
  for (size_t i = 0; i < v.size(); ++i) {
    const size_t row = i / cols, column = i % cols;
    by_prob.push_back(v[i] * w[at(r.token[row], experts, r.expert[row])]);
    by_grad.push_back(v[i] * g[at(r.token[row], cols, static_cast<int64_t>(column))]);
  }
  Values rounded = low(summed(low(by_prob), r, tokens, cols, {}, 0)),
         kept = low(summed(by_prob, r, tokens, cols, {}, 0));
  EXPECT_NE(rounded, kept);
  EXPECT_EQ(unpermute(stream, rows, index, tokens, probs, map).to_values(), rounded);
  Permuted fused = permute_fused(stream, grad, map, probs, n);
  EXPECT_EQ(unpermute_fused(stream, rows, fused.map.row_id_map, probs).to_values(), kept);

  Values got = unpermute_backward(stream, grad, rows, index, probs, map).probs.to_values(), terms = low(by_grad),
         sums(got.size());
  for (size_t i = 0; i < terms.size(); ++i) sums[at(r.token[i / cols], experts, r.expert[i / cols])] += terms[i];
  EXPECT_EQ(got, low(sums)); // 40 products of 8 bits: no order of the sum matters
}

// The recorded gradients of f32 probs are held to 1e-6, which sums of two orders in f32 miss.
TEST_P(PermuteOn, GradientsOfF32ProbsAreExactSumsOfProducts) {
  const int64_t tokens = 9, experts = 4, cols = 4500; // two blocks of columns
  Tensor map = some_map(tokens, experts), probs = random_floats({tokens, experts}, f32);
  Rows r = rows_of(map);
  const auto n = static_cast<int64_t>(r.token.size());
  Tensor rows = random_floats({n, cols}, f32), grad = random_floats({tokens, cols}, f32);
  Values v = rows.to_values(), g = grad.to_values(), sums(static_cast<size_t>(tokens * experts));
  for (size_t i = 0; i < v.size(); ++i) {
    const size_t row = i / cols, column = i % cols;
    sums[at(r.token[row], experts, r.expert[row])] +=
        static_cast<float>(v[i] * g[at(r.token[row], cols, static_cast<int64_t>(column))]);
  }
  for (double &sum : sums) sum = static_cast<float>(sum);
  EXPECT_EQ(unpermute_backward(stream, grad, rows, Here::from(r.token, {n}), probs, map).probs.to_values(), sums);
}

TEST_P(PermuteOn, UnpermuteInOrder) {
  for (int64_t cols : {24, 4500}) {
    const int64_t tokens = 19, experts = 7;
    Tensor map = some_map(tokens, experts), probs = random_floats({tokens, experts}, f32);
    Rows r = rows_of(map);
    const auto n = static_cast<int64_t>(r.token.size());
    Tensor rows = random_floats({n, cols}, f32), index = Here::from(r.token, {n});
    Values v = rows.to_values(), w = probs.to_values();
    EXPECT_EQ(unpermute(stream, rows, index, tokens, probs, map).to_values(), summed(v, r, tokens, cols, w, experts));
    EXPECT_EQ(unpermute(stream, rows, index, tokens, {}, map).to_values(), summed(v, r, tokens, cols, {}, 0));
    EXPECT_EQ(unpermute(stream, rows, index, tokens).to_values(), summed(v, r, tokens, cols, {}, 0));
    EXPECT_EQ(permute_backward_tokens(stream, rows, route_map(stream, map)).to_values(),
              summed(v, r, tokens, cols, {}, 0));
    Rows c = rows_of_capacity(map, 5);
    Tensor padded = random_floats({5 * experts, cols}, f32), at_capacity = Here::from(c.token, {5 * experts});
    EXPECT_EQ(unpermute_drop_and_pad(stream, padded, at_capacity, tokens, experts, probs).to_values(),
              summed(padded.to_values(), c, tokens, cols, w, experts));
  }
}

// Indices of any origin: many rows of one token, tokens beyond one digit of the sort, rows of no token.
TEST_P(PermuteOn, UnpermuteAnyIndices) {
  for (int64_t tokens : {1, 255, 256, 70000}) {
    const int64_t n = 1400, cols = 3;
    std::vector<int64_t> index;
    for (int64_t i = 0; i < n; ++i) index.push_back(i % 3 ? random_int(-1, tokens - 1) : tokens - 1);
    Tensor rows = random_floats({n, cols}, f32);
    EXPECT_EQ(unpermute(stream, rows, Here::from(index, {n}), tokens).to_values(),
              summed(rows.to_values(), {index, {}}, tokens, cols, {}, 0))
        << tokens;
  }
}

// Without probabilities rows are added whatever the map says, also twice.
TEST_P(PermuteOn, UnpermuteWithoutProbsIgnoresTheMap) {
  Tensor rows = random_floats({4, 5}, f32), index = Here::from(std::vector<int64_t>{2, 2, 0, 2}, {4});
  Values want = summed(rows.to_values(), {{2, 2, 0, 2}, {}}, 3, 5, {}, 0);
  EXPECT_EQ(unpermute(stream, rows, index, 3, {}, some_map(3, 4)).to_values(), want);
  EXPECT_EQ(unpermute_drop_and_pad(stream, rows, index, 3, 2).to_values(), want);
}

// Bits are copied, whatever they mean.
TEST_P(PermuteOn, AnyDtype) {
  for (DType t : {boolean, i8, i64, e4m3}) {
    Tensor map = some_map(7, 3), x = Here::empty({7, 24}, t);
    auto bytes = random_ints({7, 24 * static_cast<int64_t>(size_bytes(t))}, u8, 0, 1).to_bytes();
    x.copy_from(Tensor::lend(bytes.data(), x.shape(), t));
    Rows r = rows_of(map);
    Permuted p = permute(stream, x, map);
    auto got = p.tokens.to_bytes(), from = x.to_bytes();
    const size_t row = 24 * size_bytes(t);
    for (size_t i = 0; i < r.token.size(); ++i)
      for (size_t c = 0; c < row; ++c)
        ASSERT_EQ(got[i * row + c], from[static_cast<size_t>(r.token[i]) * row + c]) << name(t);
    EXPECT_EQ(gather_rows(stream, x, p.map.sorted_indices).to_bytes(), got);
  }
}

/// Gradients of f(inputs) . g against central differences, all in f64.
void gradcheck(const std::vector<Tensor *> &inputs, const std::function<Tensor()> &f, const Tensor &g,
               const std::vector<Tensor> &gradients) {
  for (size_t k = 0; k < inputs.size(); ++k) {
    SCOPED_TRACE(k);
    expect_gradient_in_place(*inputs[k], gradients[k], [&] { return dot(f(), g); }, 3);
  }
}

TEST(PermuteGradients, AgainstCentralDifferences) {
  const Stream stream(Device::interp());
  const int64_t tokens = 6, experts = 3, cols = 4;
  Tensor x = random_floats({tokens, cols}, f64), p = random_floats({tokens, experts}, f64),
         map = some_map(tokens, experts);
  for (bool drop : {false, true}) {
    auto forward = [&] {
      return drop ? permute_drop_and_pad(stream, x, map, p, 4 * experts) : permute(stream, x, map, p);
    };
    Permuted q = forward();
    const int64_t rows = q.tokens.size(0);
    Tensor g = random_floats({rows, cols}, f64), gp = random_floats({rows}, f64),
           gy = random_floats({tokens, cols}, f64);
    gradcheck({&x}, [&] { return forward().tokens; }, g, {permute_backward_tokens(stream, g, q.map)});
    gradcheck({&p}, [&] { return forward().map.probs; }, gp, {permute_backward_probs(stream, gp, q.map)});
    Tensor r = random_floats({rows, cols}, f64), index = q.map.sorted_indices;
    UnpermuteGrads u = unpermute_backward(stream, gy, r, q.map, p),
                   v = drop ? unpermute_drop_and_pad_backward(stream, gy, r, index, experts, p)
                            : unpermute_backward(stream, gy, r, index, p, map);
    gradcheck({&r, &p}, [&] { return unpermute(stream, r, q.map, p); }, gy, {u.permuted, u.probs});
    EXPECT_EQ(u.permuted.to_bytes(), v.permuted.to_bytes());
    EXPECT_EQ(u.probs.to_bytes(), v.probs.to_bytes());
    UnpermuteGrads plain = unpermute_backward(stream, gy, r, index);
    gradcheck({&r}, [&] { return unpermute(stream, r, index, tokens); }, gy, {plain.permuted});
  }
  Permuted f = permute_padded(stream, x, map, p, 3, 4);
  Tensor g = random_floats(f.tokens.shape(), f64);
  gradcheck({&x}, [&] { return permute_padded(stream, x, map, p, 3, 4).tokens; }, g,
            {unpermute_fused(stream, g, f.map.row_id_map)});
}

TEST_P(PermuteOn, NoTokens) {
  Tensor x = Here::zeros({0, 16}, f32), map = Here::zeros({0, 3}, boolean), p = Here::zeros({0, 3}, f32);
  EXPECT_EQ(permute(stream, x, map, p).tokens.shape(), (Dims{0, 16}));
  EXPECT_EQ(permute_fused(stream, x, map, p, 0).map.row_id_map.shape(), (Dims{0, 7}));
  Permuted no_columns = permute_fused(stream, Here::zeros({5, 0}, f32), Here::zeros({5, 3}, boolean), {}, 4);
  EXPECT_EQ(no_columns.tokens.shape(), (Dims{5, 0}));
  EXPECT_EQ(no_columns.map.row_id_map.shape(), (Dims{0, 7}));
  EXPECT_EQ(permute_drop_and_pad(stream, x, map, p, 0).tokens.shape(), (Dims{0, 16}));
  Permuted q = permute_padded(stream, x, map, p, 2, 8);
  EXPECT_EQ(q.tokens.to_values(), Values(static_cast<size_t>(q.tokens.numel()), 0));
  EXPECT_EQ(unpermute(stream, q.tokens, q.map, p).shape(), (Dims{0, 16}));
  EXPECT_EQ(unpermute(stream, x, Here::zeros({0}, i64), 4).to_values(), Values(64, 0));
  EXPECT_EQ(unpermute_backward(stream, x, q.tokens, q.map, p).probs.shape(), (Dims{0, 3}));
  EXPECT_EQ(pad_routing_map(stream, map, 8).counts.to_values(), Values(3, 0));
  EXPECT_EQ(sort_chunks(stream, x, Here::zeros({1}, i64), Here::zeros({1}, i64)).output.shape(), (Dims{0, 16}));
  Tensor none = Here::zeros({9, 3}, boolean); // tokens without experts
  EXPECT_EQ(permute(stream, Here::zeros({9, 16}, f32), none).tokens.shape(), (Dims{0, 16}));
}

// Sums, roundings and their order are the op's: no approximate function and no tensor core, no difference.
TEST(PermuteBits, InterpreterAndSimulatorAgree) {
  set_sim_checked(true);
  Stream interp(Device::interp()), sim(Device::sim());
  const int64_t tokens = 6, experts = 6, cols = 4500;
  for (DType t : {f32, bf16, f16, f64}) {
    SCOPED_TRACE(name(t));
    Tensor map = some_map(tokens, experts), probs = random_floats({tokens, experts}, f32),
           x = random_floats({tokens, cols}, t);
    Permuted p = permute(interp, x, map, probs), q = permute(sim, x, map, probs);
    EXPECT_EQ(p.tokens.to_bytes(), q.tokens.to_bytes());
    EXPECT_EQ(unpermute(interp, p.tokens, p.map, probs).to_bytes(), unpermute(sim, p.tokens, p.map, probs).to_bytes());
    auto a = unpermute_backward(interp, x, p.tokens, p.map, probs),
         b = unpermute_backward(sim, x, p.tokens, p.map, probs);
    EXPECT_EQ(a.permuted.to_bytes(), b.permuted.to_bytes());
    EXPECT_EQ(a.probs.to_bytes(), b.probs.to_bytes());
  }
}

} // namespace
} // namespace moec
