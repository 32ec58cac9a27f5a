// One run of a function under test: what the checks of runtime/testing.h share. Internal to runtime/.
#pragma once

#include "runtime/testing.h"

namespace moec {

/// Copies on the host; undefined tensors stay.
Tensors on_host(const Tensors &tensors);
/// The tensors, copied where the device cannot use their memory.
Tensors on_device(const Tensors &tensors, Device device);
/// One run on the device's default stream; outputs on the host.
Tensors outputs_of(const TensorFunction &function, Device device, const Tensors &inputs);

} // namespace moec
