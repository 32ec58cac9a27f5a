// cuBLAS, opened where there is one, to stand beside moec's products.
#pragma once

#include <memory>
#include <span>

#include "runtime/device.h"
#include "runtime/tensor.h"

namespace moec::bench {

class Cublas {
public:
  /// libcublas.so.13 or .12 for a CUDA stream, with a handle of its device; nothing where it cannot be opened, or for
  /// other devices.
  static std::unique_ptr<Cublas> open(const Stream &stream);
  ~Cublas();
  Cublas(const Cublas &) = delete;

  /// c = a b: row-major, contiguous [M, K], [K, N], [M, N] of one dtype (f32, bf16, f16 with f32 sums; f64). Queued on
  /// the stream. Throws DeviceError with cuBLAS's status.
  void multiply(const Tensor &a, const Tensor &b, const Tensor &c) const;

private:
  struct Functions;
  Cublas(std::unique_ptr<Functions> functions, Device device, void *handle);
  std::unique_ptr<Functions> functions_;
  Device device_; ///< its context is the handle's
  void *handle_;
};

} // namespace moec::bench
