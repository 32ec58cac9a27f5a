// Graphs: what a stream was given, recorded once and replayed without the host's part in it. Standard library only.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "runtime/device.h"

namespace moec {

/// A recorded sequence of launches, copies and fills (CUDA: a CUgraph). A handle: copies share it.
class Graph {
public:
  /// Calls `work`, which queues work on `stream`; it is recorded, not done. Kernels that were not compiled before are
  /// compiled now. Tensors that `work` makes or lets go keep their memory as long as the graph lives, and each replay
  /// writes them anew; others that it reads must live as long, too. Only this thread's work on `stream` is recorded.
  /// Throws UserError if the stream is CUDA's default stream or this thread captures already, and where `work` waits
  /// for the device (synchronize, exact counts, copies between the host and a GPU); what `work` throws passes through.
  static Graph capture(const Stream &stream, const std::function<void()> &work);

  /// Queues a replay on a stream of the same device. Throws UserError for another device, DeviceError.
  void launch(const Stream &stream) const;

private:
  struct State;
  std::shared_ptr<State> state_;
};

} // namespace moec
