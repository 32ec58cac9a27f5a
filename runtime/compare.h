// Element-wise comparison of tensors with words for people. Standard library and the runtime only.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/tensor.h"

namespace moec {

struct Comparison {
  double max_error =
      0; ///< largest |got - ref| / (|ref| + floor * max|ref|); infinite where one is not finite and they differ
  int64_t different = 0; ///< elements of another value (NaN equals NaN)
  int64_t beyond = 0;    ///< elements beyond the tolerance
  std::string problem;   ///< "" if none is: the worst element, got, expected, ulps; or another shape or dtype
  bool ok() const { return problem.empty(); }
};

/// Both on the host. `tolerance` 0: no element may differ, and the dtypes are the same; else `reference` may have
/// another floating-point dtype than `got`.
Comparison compare_values(const Tensor &got, const Tensor &reference, double tolerance, double floor = 0.05);

/// "" if the tensors have the same shape, dtype and bits, else the first element that differs. Both on the host.
std::string different_bits(const Tensor &got, const Tensor &expected);

/// |got - expected| in units in the last place of `expected` as a value of this floating-point dtype.
double ulps_between(double got, double expected, DType dtype);

} // namespace moec
