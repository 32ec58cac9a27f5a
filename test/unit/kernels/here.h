// Tensors where the running test needs them.
#pragma once

#include <vector>

#include "runtime/tensor.h"

namespace moec {

/// Makes tensors as Tensor's functions of these names do, in memory that the device of the running OnDevice test can
/// use: a GPU's own, or the host's.
class Here {
public:
  static Tensor empty(const Dims &shape, DType dtype) { return Tensor::empty(shape, dtype, device_); }
  static Tensor zeros(const Dims &shape, DType dtype) { return Tensor::zeros(shape, dtype, device_); }
  static Tensor from_values(const std::vector<double> &values, const Dims &shape, DType dtype) {
    return Tensor::from_values(values, shape, dtype, device_);
  }
  template <typename T> static Tensor from(const std::vector<T> &values, const Dims &shape) {
    return Tensor::from(values, shape, device_);
  }
  /// The tensor itself, or a copy of it on the GPU.
  static Tensor copy(const Tensor &tensor) { return tensor.device() == device_ ? tensor : tensor.to(device_); }

private:
  friend class OnDevice;
  static inline Device device_; ///< the host's memory
};

} // namespace moec
