// Conversion of dtypes. See moe.h for what holds for all functions.
#pragma once

#include <span>

#include "runtime/device.h"
#include "runtime/tensor.h"

namespace moec {

/// x as `dtype`, contiguous: each element rounded once to nearest even; to e4m3 and e5m2 saturating (infinities too),
/// NaN stays NaN. x of any shape and float dtype (fp8 too), `dtype` likewise. Source: torch.Tensor.to, for
/// float8_e4m3fn of torch 2.15.
Tensor convert(const Stream &stream, const Tensor &x, DType dtype);
/// x itself where it has this dtype already, else convert().
Tensor as_dtype(const Stream &stream, const Tensor &x, DType dtype);

/// x in row-major order: itself if its memory is that already, else a copy that a kernel makes on the stream. x of any
/// dtype, shape and strides that have at most 4 dimensions once those that continue each other are one.
Tensor packed(const Stream &stream, const Tensor &x);

/// Tensors of one shape and dtype, one or more, along a new first dimension: [n, ...]; copied by a kernel each on the
/// stream. Strides as in packed(). Source: torch.stack.
Tensor stack(const Stream &stream, std::span<const Tensor> tensors);

} // namespace moec
