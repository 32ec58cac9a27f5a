// The reference interpreter as a device: an executable is the kernel's text.
#include <fmt/format.h>

#include "runtime/compiler_library.h"
#include "runtime/host_backend.h"

namespace moec {

namespace {

class InterpExecutable : public Executable {
public:
  explicit InterpExecutable(const ExecutableImage &image)
      : kernel(image.kernel), text(image.payload), options(image.options), lines(image.lines) {}
  std::string kernel, text, options;
  std::vector<SourceLine> lines;
};

class InterpBackend : public HostBackend {
public:
  std::string description() override { return "reference interpreter"; }
  std::string target() override { return "interp"; }
  int multiprocessors() override { return 2; } // few, so that persistent kernels loop

  std::unique_ptr<Executable> load(const ExecutableImage &image) override {
    return std::make_unique<InterpExecutable>(image);
  }
  void launch(const Launch &l, void *) override {
    auto &e = static_cast<const InterpExecutable &>(*l.executable);
    std::vector<uint64_t> ranges;
    for (const MemoryRange &r : l.ranges) ranges.insert(ranges.end(), {r.begin, r.end});
    CompileInput input;
    input.source = e.text;
    input.options = e.options;
    input.ordinal_locations = !e.lines.empty();
    input.lines = e.lines;
    input.what = fmt::format("run {} on the interpreter", e.kernel);
    interpret(input, l.config.grid, std::span(l.params, l.num_params), ranges);
  }
};

} // namespace

Backend &interp_backend() {
  static auto &backend = *new InterpBackend;
  return backend;
}

} // namespace moec
