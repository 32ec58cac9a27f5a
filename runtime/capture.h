// The capture that a thread is making: what Graph shares with Stream, Tensor and jit. Internal.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/device.h"

namespace moec {

/// One Graph::capture while it runs.
struct Capture {
  Stream stream;
  std::vector<std::function<void()>> steps; ///< of devices whose work is done at the call; CUDA's driver records itself
  std::vector<std::shared_ptr<void>> memory; ///< of the tensors made meanwhile

  /// This thread's capture, or nullptr.
  static Capture *current();
  /// This thread's capture if it records `stream` by steps, else nullptr.
  static Capture *recording(const Stream &stream);
  /// Throws UserError if this thread captures: `asked` would wait for the device, or read what is not yet there.
  static void refuse(const std::string &asked);
};

} // namespace moec
