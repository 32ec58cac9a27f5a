// The simulated GPU as a device.
#include <fmt/format.h>

#include <stdexcept>

#include "runtime/environment.h"
#include "runtime/error.h"
#include "runtime/host_backend.h"
#include "runtime/sim/executor.h"
#include "runtime/sim/traffic.h"
#include "runtime/simulator.h"

namespace moec {

namespace {

class SimExecutable : public Executable {
public:
  explicit SimExecutable(const ExecutableImage &i)
      : kernel(i.kernel), lines(i.lines), image(std::span(i.payload.data(), i.payload.size())) {}
  std::string kernel;
  std::vector<SourceLine> lines;
  sim::LoadedImage image;
};

/// Ordinals of recorded text become the user's lines.
void place(const std::vector<SourceLine> &lines, std::string &file, uint32_t &line) {
  if (file != "kernel" || line >= lines.size()) return;
  const SourceLine &at = lines[line];
  file = at.file ? at.file : "";
  line = static_cast<uint32_t>(at.line);
}

class SimBackend : public HostBackend {
public:
  std::string description() override { return fmt::format("simulated GPU (x86-64-v{})", sim::host_level()); }
  std::string target() override { return "sim"; }
  int multiprocessors() override { return 8; } // fixed: a persistent kernel's launch does not depend on the host

  std::unique_ptr<Executable> load(const ExecutableImage &image) override {
    try {
      return std::make_unique<SimExecutable>(image);
    } catch (const std::runtime_error &e) {
      throw DeviceError(fmt::format("load kernel {} on the simulated GPU", image.kernel), e.what(),
                        "clear the kernel cache: moec cache clear");
    }
  }

  void launch(const Launch &l, void *) override {
    auto &e = static_cast<const SimExecutable &>(*l.executable);
    sim::SimLaunch launch;
    for (int i = 0; i < 3; ++i) launch.grid[i] = l.config.grid[i];
    launch.threads = l.config.threads;
    launch.shared_bytes = l.config.shared_bytes;
    launch.params = l.params;
    std::vector<sim::MemoryRange> allowed;
    for (const MemoryRange &r : l.ranges) allowed.push_back({r.begin, r.end, true});
    const SimSettings settings = sim_settings();
    sim::SimOptions options;
    options.checked = e.image.checked() && *settings.checked;
    options.seed = *settings.seed;
    options.workers = static_cast<unsigned>(environment().sim_workers);
    sim::TrafficCounts traffic;
    std::unique_lock<std::mutex> counting;
    if (settings.traffic) {
      counting = std::unique_lock(settings.traffic->sectors().mutex);
      traffic.sectors = &settings.traffic->sectors();
      options.traffic = &traffic;
    }
    options.allowed = allowed;
    options.cta_seconds = environment().sim_seconds;
    std::vector<sim::SimFinding> findings;
    try {
      findings = sim::launch(e.image, launch, options);
    } catch (const std::invalid_argument &wrong) {
      throw DeviceError(fmt::format("launch {} on the simulated GPU", e.kernel), wrong.what(),
                        "correct the launch's grid or arguments");
    }
    if (settings.traffic) settings.traffic->add(e.kernel, traffic);
    if (!findings.empty()) report(e, findings);
  }

private:
  [[noreturn]] static void report(const SimExecutable &e, std::vector<sim::SimFinding> &findings) {
    std::string text;
    for (sim::SimFinding &f : findings) {
      place(e.lines, f.file, f.line);
      place(e.lines, f.other_file, f.other_line);
      for (sim::SimFinding::Wait &wait : f.waits) place(e.lines, wait.file, wait.line);
      text += "\n  " + f.text();
    }
    throw DeviceError(fmt::format("run {} on the simulated GPU", e.kernel),
                      fmt::format("{} problem{} found:{}", findings.size(), findings.size() == 1 ? "" : "s", text),
                      kAfterDeviceError);
  }
};

} // namespace

Backend &sim_backend() {
  static auto &backend = *new SimBackend;
  return backend;
}

} // namespace moec
