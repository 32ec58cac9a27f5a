// launch(): checks the request, hands the CTAs to workers, collects the findings.
#include "runtime/sim/machine.h"

#include <algorithm>
#include <stdexcept>
#include <thread>

namespace moec::sim {
namespace {

/// Workers keep their stacks and window between launches. Never destroyed: a launch may run while the process exits.
class WorkerPool {
public:
  std::unique_ptr<Worker> take() {
    {
      std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto worker = std::move(idle_.back());
        idle_.pop_back();
        return worker;
      }
    }
    return std::make_unique<Worker>();
  }
  void give(std::unique_ptr<Worker> worker) {
    std::lock_guard lock(mutex_);
    idle_.push_back(std::move(worker));
  }
  static WorkerPool &instance() {
    static auto *pool = new WorkerPool;
    return *pool;
  }

private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Worker>> idle_;
};

void validate(const LoadedImage &image, const SimLaunch &launch, const SimOptions &options) {
  auto refuse = [&](const std::string &problem) {
    throw std::invalid_argument("kernel '" + std::string(image.kernel()) + "': " + problem);
  };
  if (launch.threads < 1 || launch.threads > kMaxThreads)
    refuse("a CTA has 1 to " + std::to_string(kMaxThreads) + " threads, not " + std::to_string(launch.threads));
  if (image.header().threads && image.header().threads != launch.threads)
    refuse("compiled for " + std::to_string(image.header().threads) + " threads per CTA, launched with " +
           std::to_string(launch.threads));
  if (launch.shared_bytes > kMaxSharedBytes)
    refuse("a CTA has at most " + std::to_string(kMaxSharedBytes) + " bytes of shared memory, not " +
           std::to_string(launch.shared_bytes));
  if (launch.grid[0] > 0x7fffffffu || launch.grid[1] > 65535 || launch.grid[2] > 65535)
    refuse("the grid is at most 2147483647 x 65535 x 65535");
  if (options.checked && !image.checked()) refuse("a checked launch needs code that was compiled with checks");
  if (options.traffic && !image.checked()) refuse("counting accesses needs code that was compiled with checks");
}

} // namespace

void LaunchState::report(SimFinding finding) {
  std::lock_guard lock(mutex);
  for (SimFinding &known : findings) {
    if (known.kind == finding.kind && known.line == finding.line && known.other_line == finding.other_line &&
        known.file == finding.file && known.other_file == finding.other_file) {
      ++known.count;
      known.fatal |= finding.fatal;
      return;
    }
  }
  if (findings.size() < options.max_findings || finding.fatal) findings.push_back(std::move(finding));
}

std::vector<SimFinding> launch(const LoadedImage &image, const SimLaunch &request, const SimOptions &options) {
  uint64_t ctas = uint64_t(request.grid[0]) * request.grid[1] * request.grid[2];
  if (ctas == 0) return {};
  validate(image, request, options);
  LaunchState state(image, request, options, ctas);
  if (options.checked) {
    state.ranges.assign(options.allowed.begin(), options.allowed.end());
    std::sort(state.ranges.begin(), state.ranges.end(),
              [](const MemoryRange &a, const MemoryRange &b) { return a.begin < b.begin; });
    if (ctas > 1)
      for (const MemoryRange &range : state.ranges) state.global.add(range.begin, range.end);
  }
  unsigned workers = options.workers ? options.workers : std::max(1u, std::thread::hardware_concurrency());
  workers = static_cast<unsigned>(std::min<uint64_t>(workers, ctas));
  // The checker forgives a write that leaves the bytes as they are, which only CTAs that run one after the other can
  // tell. A seed's schedule and the counts are those of one worker, too.
  if (options.checked || options.seed || options.traffic) workers = 1;
  auto work = [&state] {
    auto worker = WorkerPool::instance().take();
    worker->run(state);
    WorkerPool::instance().give(std::move(worker));
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < workers; ++i) threads.emplace_back(work);
  work();
  for (std::thread &thread : threads) thread.join();
  // Which CTA came first depends on the host's threads; the order of the report should not.
  std::sort(state.findings.begin(), state.findings.end(), [](const SimFinding &a, const SimFinding &b) {
    return std::tie(a.fatal, a.file, a.line, a.kind, a.other_line) <
           std::tie(b.fatal, b.file, b.line, b.kind, b.other_line);
  });
  return std::move(state.findings);
}

} // namespace moec::sim
