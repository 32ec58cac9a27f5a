// Grouped matrix products. See moe.h for what holds for all functions.
#pragma once

#include <cstdint>

#include "runtime/device.h"
#include "runtime/tensor.h"

namespace moec {

/// c[r, :] = a[r, :] * b[e] for the rows offs[e-1] <= r < offs[e] of a [M, K]; b [E, K, N], or [E, N, K] if
/// `transposed`; offs i32 [E], not decreasing, at most M. a, b, c of one dtype: f32, bf16, f16 with f32 accumulation,
/// f64 with f64. Rows from offs[E-1] on are 0 if `zero_tail`, else undefined. k ascends in blocks (f32, f64: one fma
/// after the other, exact order). Source: torch._grouped_mm.
Tensor grouped_mm(const Stream &stream, const Tensor &a, const Tensor &b, const Tensor &offs, bool transposed = false,
                  bool zero_tail = false);
/// Gradient of b: a[rows of e]^T * grad[rows of e] as [E, K, N] (or [E, N, K]); 0 for empty groups. Rows ascend.
Tensor grouped_mm_backward_b(const Stream &stream, const Tensor &a, const Tensor &grad, const Tensor &offs,
                             bool transposed = false);

} // namespace moec
