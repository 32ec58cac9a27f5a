// Launches code images on the simulated GPU. Threads of a CTA are fibers of one host thread, CTAs spread over host
// threads.
#pragma once

#include "runtime/sim/image.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace moec::sim {

struct TrafficCounts;

/// Memory that a launch may touch: [begin, end) in bytes.
struct MemoryRange {
  uint64_t begin = 0, end = 0;
  bool writable = true;
};

struct SimLaunch {
  uint32_t grid[3] = {1, 1, 1};  ///< CTAs; 0 in any dimension launches nothing
  uint32_t threads = 0;          ///< per CTA, in x; 1 to 1024
  uint32_t shared_bytes = 0;     ///< dynamic shared memory per CTA, at most kMaxSharedBytes
  void *const *params = nullptr; ///< as for cuLaunchKernel: each points to a parameter's value
};

struct SimOptions {
  bool checked = false; ///< needs an image that was compiled checked; such an image may also run unchecked
  /// 0: CTAs and threads run in order. Else a random schedule, the same for the same seed: order of CTAs, warps and
  /// lanes, and, in instrumented (checked) images, preemption before accesses, atomics above all. One worker.
  uint64_t seed = 0;
  double cta_seconds = 0;   ///< processor time after which a CTA that has not ended is given up; 0: never
  bool eager_async = false; ///< asynchronous copies are done at once instead of as late as possible
  unsigned workers = 0;     ///< host threads; 0: one per core. Checked, seeded and counted launches use one
  std::span<const MemoryRange> allowed = {}; ///< checked: global memory that may be touched
  TrafficCounts *traffic = nullptr;          ///< counts accesses to global memory; needs an instrumented image
  size_t max_findings = 100;                 ///< distinct findings after which no more are recorded
};

enum class FindingKind {
  OutOfBounds,
  Misaligned,
  Uninitialized,
  SharedRace,
  GlobalRace,
  BarrierMisuse,
  DivergentCollective,
  MbarrierMisuse,
  Deadlock,
  Trap,
  Assert,
  ZeroDivision,
  Livelock,
};
const char *name_of(FindingKind kind);

/// One problem, reported once per (kind, position, other position) and launch.
struct SimFinding {
  FindingKind kind{};
  std::string message; ///< one sentence, without the positions
  std::string file;    ///< of the access or operation
  uint32_t line = 0, column = 0;
  std::string other_file; ///< of the earlier access that it conflicts with, if any
  uint32_t other_line = 0;
  uint32_t cta[3] = {0, 0, 0};
  uint32_t thread = 0, other_thread = 0;
  uint64_t address = 0; ///< global address, or offset in shared memory
  uint64_t count = 1;   ///< how often it was seen
  bool fatal = false;   ///< the launch was given up here
  /// Of a deadlock or livelock: which threads wait, and where.
  struct Wait {
    std::string what; ///< "threads 0-31 wait at barrier 0 (…)"
    std::string file;
    uint32_t line = 0;
  };
  std::vector<Wait> waits;

  std::string text() const; ///< "file:line: kind: message (CTA …, thread …)"
};

/// Runs the launch to its end. Findings are empty for a good launch; unchecked launches report only what stops them
/// (traps, asserts, deadlock, divergent collectives). Throws std::invalid_argument for a launch that no device would
/// take. Thread-safe; launches may run at the same time.
std::vector<SimFinding> launch(const LoadedImage &image, const SimLaunch &launch, const SimOptions &options = {});

} // namespace moec::sim
