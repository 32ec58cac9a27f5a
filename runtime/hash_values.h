// Reproducible tensors: values by hashing the element's number. Standard library only.
#pragma once

#include <cstdint>

#include "runtime/tensor.h"

namespace moec {

/// One step of splitmix64 from state z: 64 mixed bits.
uint64_t splitmix64(uint64_t z);
/// Element i is scale * u(seed, i), with u in [-1, 1) in steps of 2^-23 (exact in f32), rounded to the dtype. The
/// recorded cases' generator (test/golden/INDEX.md).
Tensor hash_uniform(uint64_t seed, double scale, const Dims &shape, DType dtype, Device device = Device::host());
/// Integers in low..high, both included, in an integer dtype or bool.
Tensor hash_integers(uint64_t seed, int64_t low, int64_t high, const Dims &shape, DType dtype);

} // namespace moec
