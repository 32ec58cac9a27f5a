// Timing a case on a device, and what the device can do at most.
#pragma once

#include <functional>

#include "tools/moec/bench/cases.h"

namespace moec::bench {

struct Effort {
  int least_runs = 3, most_runs = 50;
  double seconds = 0.3;  ///< of runs that are timed, unless there are too few
  double patience = 1.5; ///< of timed runs, after which any number is enough
};

/// Median seconds of one run of a case. On CUDA: its graph, after the L2 cache was overwritten; ops that wait for the
/// host (an exact count) run outside of a graph and `captured` is false. Throws what the op throws.
struct Timing {
  double seconds = 0;
  int runs = 0;
  bool captured = false;
};
Timing measure(const Case &c, Device device, const Effort &effort = {});
/// The same for anything that queues work on a stream.
Timing measure(const Stream &stream, const std::function<void()> &work, const Effort &effort = {});

/// Bytes read and written per second by moec's copy kernel, on buffers larger than the caches (the better of it and the
/// driver's copy on CUDA).
double copy_bandwidth(Device device);
/// Multiply-adds, counted as two, per second of one large dense product: the better of cuBLAS and moec's grouped_mm
/// with one expert. dtype f32, bf16, f16 or f64.
double peak_flops(Device device, DType dtype);

} // namespace moec::bench
