// Gradients by central differences, in f64.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "random_data.h"

namespace moec {

inline double dot(const Tensor &a, const Tensor &b) {
  auto v = a.to_values(), w = b.to_values();
  return std::inner_product(v.begin(), v.end(), w.begin(), 0.0);
}

/// <grad, v> against the central difference of `loss` along v, for some random v in [-1, 1): every element counts. f64.
inline void expect_gradient(const char *what, const Tensor &value, const Tensor &grad,
                            const std::function<double(const Tensor &)> &loss) {
  ASSERT_EQ(grad.shape(), value.shape()) << what;
  for (int sample = 0; sample < 2; ++sample) {
    Tensor direction = random_floats(value.shape(), f64);
    auto at = value.to_values(), v = direction.to_values();
    auto moved = [&](double by) {
      auto to = at;
      for (size_t i = 0; i < to.size(); ++i) to[i] += by * v[i];
      return Tensor::from_values(to, value.shape(), f64).to(value.device());
    };
    const double step = 1e-5, want = (loss(moved(step)) - loss(moved(-step))) / (2 * step), got = dot(grad, direction);
    EXPECT_LE(std::abs(got - want), 1e-6 * std::max(std::abs(want), 0.1)) << what << ": " << got << ", not " << want;
  }
}

/// Every `every`-th element of `gradient` against the central difference of `loss`, which reads `input` as it is moved.
/// f64.
inline void expect_gradient_in_place(const Tensor &input, const Tensor &gradient, const std::function<double()> &loss,
                                     size_t every = 1) {
  const std::vector<double> x = input.to_values(), got = gradient.to_values();
  ASSERT_EQ(got.size(), x.size());
  auto at = [&](size_t i, double moved) {
    auto values = x;
    values[i] += moved;
    input.copy_from(Tensor::from_values(values, input.shape(), f64));
    return loss();
  };
  for (size_t i = 0; i < x.size(); i += every) {
    const double h = 1e-4, want = (at(i, h) - at(i, -h)) / (2 * h);
    ASSERT_NEAR(got[i], want, 1e-6 * std::max(1.0, std::abs(want))) << i;
  }
  input.copy_from(Tensor::from_values(x, input.shape(), f64));
}

} // namespace moec
