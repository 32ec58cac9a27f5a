// What a device must do, behind Device, Stream and jit. Internal: not included by <moec/moec.h>.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dsl/recording.h"
#include "runtime/device.h"

namespace moec {

/// How many threads and CTAs one launch takes.
struct LaunchConfig {
  uint32_t grid[3] = {1, 1, 1};
  uint32_t threads = 32;
  uint32_t shared_bytes = 0;
};

/// One range of memory that a launch may touch, for devices that check.
struct MemoryRange {
  uint64_t begin, end;
};

/// A loaded kernel of one device.
class Executable {
public:
  virtual ~Executable() = default;
};

/// What a backend needs to load a kernel: the cache's payload and the manifest's facts.
struct ExecutableImage {
  std::string kernel;            ///< the entry's name
  std::string_view payload;      ///< cubin or PTX, the sim's code image, or the interpreter's source text
  std::string options;           ///< compile options, for the interpreter
  std::vector<SourceLine> lines; ///< of the text's ordinals, for findings
  uint32_t threads = 0, shared_bytes = 0;
};

/// One launch.
struct Launch {
  const Executable *executable = nullptr;
  LaunchConfig config;
  void *const *params = nullptr; ///< as in cuLaunchKernel: a pointer to each parameter's value
  size_t num_params = 0;
  std::span<const MemoryRange> ranges; ///< what tensors were passed
};

class Backend {
public:
  virtual ~Backend() = default;
  virtual std::string description() = 0;
  virtual std::string target() = 0;
  virtual int multiprocessors() = 0;

  virtual void *allocate(size_t bytes) = 0;
  virtual void free(void *memory) noexcept = 0;
  /// The same in a stream's order: memory may be given out again to work that comes later on the stream.
  virtual void *allocate_on(size_t bytes, void *stream) = 0;
  virtual void free_on(void *memory, void *stream) noexcept = 0;
  virtual void *create_stream() = 0;
  virtual void destroy_stream(void *stream) noexcept = 0;
  virtual void synchronize(void *stream) = 0;
  virtual bool done(void *stream) = 0;
  virtual void *create_event() = 0;
  virtual void destroy_event(void *event) noexcept = 0;
  virtual void record(void *event, void *stream) = 0;
  virtual void wait(void *stream, void *event) = 0;
  virtual void synchronize_event(void *event) = 0;
  virtual bool event_done(void *event) = 0;
  virtual double elapsed_ms(void *start, void *stop) = 0;
  /// Queues a copy; `to_host`/`from_host` say which side is host memory.
  virtual void copy(void *to, bool to_host, const void *from, bool from_host, size_t bytes, void *stream) = 0;
  virtual void fill(void *to, uint8_t value, size_t bytes, void *stream) = 0;

  /// Makes the device's context this thread's current one for as long as the answer lives: for other libraries, which
  /// work in that.
  virtual std::shared_ptr<void> make_current() { return nullptr; }
  /// PTX as the device's binary, where the compiler found no assembler.
  virtual std::string assemble(std::string_view ptx) { return std::string(ptx); }
  virtual std::unique_ptr<Executable> load(const ExecutableImage &image) = 0;
  /// How many CTAs of the kernel the device runs at once: the grid of a persistent kernel.
  virtual int resident_ctas(const Executable &, uint32_t /*threads*/, uint32_t /*shared_bytes*/) {
    return multiprocessors();
  }
  virtual void launch(const Launch &launch, void *stream) = 0;

  /// Work on `stream` is recorded from now on. Only for devices whose work is queued, as the three below.
  virtual void begin_capture(void *stream) = 0;
  /// Ends it; a graph for launch_graph.
  virtual void *end_capture(void *stream) = 0;
  /// Ends it after an error of the caller's.
  virtual void abandon_capture(void *stream) noexcept = 0;
  virtual void launch_graph(void *graph, void *stream) = 0;
  virtual void destroy_graph(void *graph) noexcept = 0;
};

/// The backend of `device`; made at first use. Throws DeviceError if the device does not exist.
Backend &backend_of(Device device);
/// Backends by kind, for backend_of. cuda_backend throws DeviceError if there is no driver or no such device.
Backend &sim_backend();
Backend &interp_backend();
Backend &cuda_backend(int index);
/// How many CUDA devices there are; 0 without a driver. Does not throw; `why` says why there are none.
int cuda_device_count(std::string *why = nullptr) noexcept;

} // namespace moec
