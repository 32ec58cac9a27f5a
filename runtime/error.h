// What moec throws: the user's mistake, the device's failure, our defect, and nothing else.
// Error, UserError and KernelError are the recorder's, too: dsl/error.h. Standard library only.
#pragma once

#include "dsl/error.h"

namespace moec {

/// The device, its driver or a tool outside of moec failed: out of memory, a missing GPU, an error of the simulator's
/// checker.
class DeviceError : public Error {
  using Error::Error;
};
/// What to do when a kernel has failed while it ran.
inline constexpr const char *kAfterDeviceError = "correct its inputs or the kernel; what the launch wrote is undefined";
/// A defect of moec itself.
class InternalError : public Error {
  using Error::Error;
};

} // namespace moec
