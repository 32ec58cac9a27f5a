// Gradients of grouped products: against host sums in the op's order, and by central differences.
#include <gtest/gtest.h>

#include "differences.h"
#include "grouped_mm_data.h"
#include "kernels/moe.h"
#include "kernels/registry.h"
#include "on_devices.h"
#include "runtime/error.h"

namespace moec {
namespace {

using GroupedMmBackwardOn = OnDevice;
MOEC_ON_DEVICES(GroupedMmBackwardOn, test_devices());

/// sum over rows of a[r, k] * grad[r, n], in exact order.
void check_backward_b(const Stream &stream, DType t, const GroupedMmOptions &o, bool is_exact) {
  const int64_t m = 30, n = 35, k = 20, experts = 5, tokens = 15;
  Tensor a = random_floats({o.divide == 2 ? tokens : m, k}, t), grad = random_floats({m, n}, t);
  Tensor offs = random_offs(experts, m);
  if (o.sizes) offs = sizes_of(offs, i64);
  auto G = values(grad), A = values(a), from = values(o.gather), to = values(o.scatter), before = values(o.accumulate);
  auto g = values(grouped_mm_backward_b(stream, a, grad, offs, o));
  auto expert = experts_of(offs, o.sizes, m);
  std::vector<double> want(g.size());
  for (int64_t e = 0; e < experts; ++e)
    for (int64_t i = 0; i < k; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t r = 0; r < m; ++r) {
          if (expert[at(r)] != e || (!from.empty() && from[at(r)] < 0)) continue;
          const int64_t ra = from.empty() ? r : static_cast<int64_t>(from[at(r)]) / o.divide,
                        rg = to.empty() ? r : static_cast<int64_t>(to[at(r)]);
          sum = exact(t, A[at(ra * k + i)], G[at(rg * n + j)], sum);
        }
        const size_t place = at(o.transposed ? (e * n + j) * k + i : (e * k + i) * n + j);
        want[place] = before.empty() ? sum : before[place] + sum;
      }
  if (is_exact)
    EXPECT_EQ(g, want);
  else
    expect_close(g, want, epsilon(o.accumulate.defined() ? o.accumulate.dtype() : t), "grad_b");
}

TEST_P(GroupedMmBackwardOn, BackwardOfMatrices) {
  check_backward_b(stream, f64, {}, true);
  check_backward_b(stream, f64, {.transposed = true, .sizes = true}, true);
  check_backward_b(stream, bf16, {.accumulate = random_floats({5, 20, 35}, f32)}, false);
  check_backward_b(stream, bf16, {.gather = random_ints({30}, i32, -1, 29), .divide = 2}, false);
  check_backward_b(stream, f32, {.transposed = true, .scatter = shuffled(30, i64)}, true);
}

// d/dx of sum(c * weight) by central differences, in f64, through gather, weights and both gradients.
TEST_P(GroupedMmBackwardOn, GradientsByDifferences) {
  const int64_t tokens = 6, topk = 2, rows = tokens * topk, k = 5, n = 7;
  const int experts = 3;
  Tensor x = random_floats({tokens, k}, f64), b = random_floats({experts, k, n}, f64), slots = shuffled(rows, i32);
  Tensor offs = Here::from(std::vector<int32_t>{4, 4, 11}, {3}), g = random_floats({rows, n}, f64);
  GroupedMmOptions forward{.zero_tail = true, .gather = slots, .divide = static_cast<int>(topk)};
  auto loss = [&] { return moec::dot(grouped_mm(stream, x, b, offs, forward), g); };
  Tensor by_slot = grouped_mm(stream, g, b, offs, {.transposed = true, .zero_tail = true, .scatter = slots});
  std::vector<double> dx(at(tokens * k)), v = values(by_slot);
  for (int64_t i = 0; i < rows * k; ++i) dx[at(i / (topk * k) * k + i % k)] += v[at(i)];
  expect_gradient_in_place(x, Here::from_values(dx, x.shape(), f64), loss);
  expect_gradient_in_place(b, grouped_mm_backward_b(stream, x, g, offs, forward), loss);
}

// x of any rank is viewed as rows; its gradient has its shape.
TEST_P(GroupedMmBackwardOn, UnslothViewsTokensAsRows) {
  Tensor x = random_floats({2, 3, 8}, f32), w = random_floats({2, 10, 8}, f32), sizes = ints({5, 7});
  Tensor slots = shuffled(12, i64), rows = x.reshape({6, 8}), grad = random_floats({12, 10}, f32);
  UnslothGemmOptions o{.topk = 2, .gather_indices = slots, .permute_x = true};
  EXPECT_EQ(unsloth_grouped_gemm(stream, x, w, sizes, o).to_bytes(),
            unsloth_grouped_gemm(stream, rows, w.reshape({20, 8}), sizes, o).to_bytes());
  UnslothGemmGrads g = unsloth_grouped_gemm_backward(stream, grad, x, w, sizes, o);
  UnslothGemmGrads h = unsloth_grouped_gemm_backward(stream, grad, rows, w.reshape({20, 8}), sizes, o);
  EXPECT_EQ(g.x.shape(), x.shape());
  EXPECT_EQ(h.w.shape(), (Dims{20, 8}));
  EXPECT_EQ(g.x.to_bytes(), h.x.to_bytes());
  EXPECT_EQ(g.w.to_bytes(), h.w.to_bytes());
  EXPECT_EQ(torch_grouped_gemm(stream, x, w, ints({2, 3})).to_bytes(),
            torch_grouped_gemm(stream, rows, w, ints({2, 3})).to_bytes());
  UnslothGemmOptions second{.topk = 2, .gather_indices = slots, .permute_y = true, .fuse_mul_post = true};
  second.is_first_gemm = false, second.topk_weights = weights_of(12);
  Tensor y = unsloth_grouped_gemm(stream, h.x_rows, w, sizes, second);
  second.topk_weights = second.topk_weights.reshape({6, 2});
  EXPECT_EQ(unsloth_grouped_gemm(stream, h.x_rows, w, sizes, second).to_bytes(), y.to_bytes());
}

} // namespace
} // namespace moec
