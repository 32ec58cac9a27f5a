// Sums and products of tensors. See moe.h for what holds for all functions.
#pragma once

#include "runtime/device.h"
#include "runtime/tensor.h"

namespace moec {

/// a + b of one shape and dtype (f32, bf16, f16, f64), rounded once. Source: torch.add.
Tensor add(const Stream &stream, const Tensor &a, const Tensor &b);
/// out[n] = sum over d of a[n, d] * b[index[n], d], [N] of `dtype`; 0 where index[n] < 0. a [N, D], b [R, D] of one
/// dtype; index i32 or i64 [N], below R (else the launch stops). Blocks of columns ascending in each lane, then a
/// balanced tree. It is the gradient of gather_rows' scale. Source: autograd of x[index] * scale in torch, as in
/// unsloth Llama4GroupedGemmTextMoe.
Tensor row_dots(const Stream &stream, const Tensor &a, const Tensor &b, const Tensor &index, DType dtype);

} // namespace moec
