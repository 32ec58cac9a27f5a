// The kernel library's public functions. Each launches kernels on `stream` and returns tensors on its device; nothing waits, unless a
// function says so. All are deterministic: the same input gives the same bits on every run and schedule. T tokens, K topk, E experts,
// D hidden, I expert width, N routed rows; tensors are row-major unless strided views are said to be taken.
// Errors: UserError for shapes, dtypes and devices that do not fit, naming the function and the tensor; DeviceError.
#pragma once

#include <cstdint>
#include <optional>

#include "runtime/device.h"
#include "runtime/tensor.h"

namespace moec {

// declared below as their kernels land
} // namespace moec
