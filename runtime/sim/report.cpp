// Words for findings, and the account of a deadlock.
#include "runtime/sim/machine.h"

#include <bit>
#include <map>

namespace moec::sim {

const char *name_of(FindingKind kind) {
  switch (kind) {
  case FindingKind::OutOfBounds: return "out of bounds";
  case FindingKind::Misaligned: return "misaligned";
  case FindingKind::Uninitialized: return "uninitialised";
  case FindingKind::SharedRace: return "shared-memory race";
  case FindingKind::GlobalRace: return "global-memory race";
  case FindingKind::BarrierMisuse: return "barrier misuse";
  case FindingKind::DivergentCollective: return "divergent collective";
  case FindingKind::MbarrierMisuse: return "mbarrier misuse";
  case FindingKind::Deadlock: return "deadlock";
  case FindingKind::Trap: return "trap";
  case FindingKind::Assert: return "assertion failed";
  case FindingKind::ZeroDivision: return "division by zero";
  case FindingKind::Livelock: return "livelock";
  }
  return "?";
}

std::string SimFinding::text() const {
  std::string where = file.empty() ? "<unknown>" : file + ":" + std::to_string(line);
  std::string result = where + ": " + name_of(kind) + ": " + message;
  for (const Wait &wait : waits) {
    result += "; " + wait.what;
    if (!wait.file.empty()) result += " at " + wait.file + ":" + std::to_string(wait.line);
  }
  if (other_line) result += "; the other is " + other_file + ":" + std::to_string(other_line);
  result += " (CTA " + std::to_string(cta[0]) + "," + std::to_string(cta[1]) + "," + std::to_string(cta[2]) +
            ", thread " + std::to_string(thread);
  if (count > 1) result += "; seen " + std::to_string(count) + " times";
  return result + ")";
}

namespace {

std::string ranges_of(const std::vector<uint32_t> &threads) {
  std::string text;
  for (size_t i = 0; i < threads.size();) {
    size_t j = i;
    while (j + 1 < threads.size() && threads[j + 1] == threads[j] + 1) ++j;
    if (!text.empty()) text += ",";
    text += std::to_string(threads[i]);
    if (j > i) text += "-" + std::to_string(threads[j]);
    i = j + 1;
  }
  return text;
}

std::string describe_wait(const Cta &cta, const Thread &thread) {
  switch (thread.wait) {
  case WaitKind::Barrier: {
    const Barrier &barrier = cta.barriers[thread.wait_object];
    uint32_t count = barrier.count ? barrier.count : cta.alive;
    return "barrier " + std::to_string(thread.wait_object) + " (" + std::to_string(barrier.arrived) + " of " +
           std::to_string(count) + " threads have arrived)";
  }
  case WaitKind::Batch: return "a warp-wide operation";
  case WaitKind::WarpBarrier: return "bar.warp.sync";
  case WaitKind::Yield: return "the end of a loop's iteration";
  case WaitKind::Mbarrier: {
    std::string text = "mbarrier at shared+" + std::to_string(thread.wait_object);
    auto it = cta.mbarriers.find(static_cast<uint32_t>(thread.wait_object));
    if (it == cta.mbarriers.end()) return text;
    const Mbarrier &barrier = it->second;
    return text + " (phase " + std::to_string(barrier.phase) + ", " + std::to_string(barrier.pending) + " of " +
           std::to_string(barrier.expected) + " arrivals and " + std::to_string(barrier.transactions) +
           " bytes are missing)";
  }
  case WaitKind::None: return "its first instruction";
  }
  return "?";
}

} // namespace

/// Where each thread of the CTA is; `example` becomes the first that has not exited.
std::vector<SimFinding::Wait> Worker::whereabouts(Thread *&example) {
  std::map<std::pair<std::string, uint32_t>, std::vector<uint32_t>> groups;
  for (uint32_t i = 0; i < cta_.num_threads; ++i) {
    Thread &thread = cta_.threads[i];
    if (!(thread.warp->alive & thread.lanemask_eq)) continue;
    if (groups.empty()) example = &thread;
    groups[{describe_wait(cta_, thread), thread.wait_loc}].push_back(i);
  }
  std::vector<SimFinding::Wait> waits;
  for (const auto &[wait, threads] : groups) {
    SourcePosition position = launch_->image.position(wait.second);
    waits.push_back(
        {"threads " + ranges_of(threads) + " wait at " + wait.first, std::string(position.file), position.line});
  }
  if (cta_.alive < cta_.num_threads)
    waits.push_back({std::to_string(cta_.num_threads - cta_.alive) + " threads have exited", "", 0});
  return waits;
}

void Worker::deadlock(Thread &last) {
  Thread *example = &last;
  std::vector<SimFinding::Wait> waits = whereabouts(example);
  SimFinding result = finding(*example, FindingKind::Deadlock, example->wait_loc, "no thread can continue");
  result.waits = std::move(waits);
  fatal(std::move(result));
}

void Worker::livelock(Thread &thread, uint32_t loc) {
  thread.wait = WaitKind::Yield;
  thread.wait_loc = loc;
  Thread *example = nullptr;
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%g", launch_->options.cta_seconds);
  std::string message = "the CTA has not ended after " + std::string(seconds) +
                        " s of processor time (MOEC_SIM_SECONDS sets the limit, 0 is none)";
  if (launch_->num_ctas > 1) message += "; not all CTAs run at once here, so none may wait for a later one";
  SimFinding result = finding(thread, FindingKind::Livelock, loc, std::move(message));
  result.waits = whereabouts(example);
  fatal(std::move(result));
}

} // namespace moec::sim
