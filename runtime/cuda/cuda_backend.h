// A CUDA device behind Backend. Works in the caller's current context if that is of this device, else in the primary
// context.
#pragma once

#include <memory>

#include "runtime/backend.h"
#include "runtime/cuda/driver.h"

namespace moec::cuda {

/// The backend of device `index` of `driver`, which must outlive it. Throws DeviceError if there is no such device.
std::unique_ptr<Backend> make_backend(const Driver &driver, int index);

} // namespace moec::cuda
