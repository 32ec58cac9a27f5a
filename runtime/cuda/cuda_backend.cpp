#include "runtime/cuda/cuda_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

#include "runtime/error.h"
#include "runtime/once.h"

namespace moec::cuda {

namespace {

DevicePointer device_pointer(const void *p) { return reinterpret_cast<uintptr_t>(p); }

/// Makes a context of the device current for a scope.
class CurrentContext {
public:
  CurrentContext(const Driver &d, int device, Once &once, Context &primary) : d_(d) {
    Context current = nullptr;
    int current_device = -1;
    if (d.context_current(&current) == kSuccess && current && d.context_device(&current_device) == kSuccess &&
        current_device == device) {
      context_ = current;
      return;
    }
    once.run([&] { d.check(d.primary_retain(&primary, device), fmt::format("open cuda:{}", device)); });
    d.check(d.context_push(primary), fmt::format("use cuda:{}", device));
    pushed_ = true;
    context_ = primary;
  }
  ~CurrentContext() {
    Context popped;
    if (pushed_) d_.context_pop(&popped);
  }
  CurrentContext(const CurrentContext &) = delete;
  Context get() const { return context_; }

private:
  const Driver &d_;
  Context context_ = nullptr;
  bool pushed_ = false;
};

/// A kernel in one context. Modules belong to a context, so each context that launches the kernel loads its own.
struct Loaded {
  Context context;
  Module module;
  Function function;
  Loaded *next;
};

class CudaExecutable : public Executable {
public:
  CudaExecutable(const Driver &d, const ExecutableImage &image)
      : d_(d), kernel_(image.kernel), payload_(image.payload), shared_bytes_(image.shared_bytes) {}
  ~CudaExecutable() override { // modules are left to their contexts, which may be gone
    for (Loaded *l = loaded_.load(); l;) delete std::exchange(l, l->next);
  }
  /// The kernel in the current context, loaded if need be. Lock-free once loaded.
  Function in(Context context) const {
    for (Loaded *l = loaded_.load(std::memory_order_acquire); l; l = l->next)
      if (l->context == context) return l->function;
    std::lock_guard lock(mutex_);
    for (Loaded *l = loaded_.load(); l; l = l->next)
      if (l->context == context) return l->function;
    auto fresh = std::make_unique<Loaded>(load(context));
    fresh->next = loaded_.load();
    loaded_.store(fresh.get(), std::memory_order_release);
    return fresh.release()->function;
  }
  const std::string &kernel() const { return kernel_; }

private:
  Loaded load(Context context) const {
    const std::string asked = fmt::format("load kernel {}", kernel_);
    std::string log(8192, '\0');
    int options[] = {kJitErrorLog, kJitErrorLogBytes};
    void *values[] = {log.data(), reinterpret_cast<void *>(log.size())};
    Loaded l{context, nullptr, nullptr, nullptr};
    Result result = d_.module_load(&l.module, payload_.c_str(), 2, options, values);
    log.resize(log.find('\0') == std::string::npos ? log.size() : log.find('\0'));
    d_.check(result, log.empty() ? asked : fmt::format("{} ({})", asked, log));
    try {
      d_.check(d_.module_function(&l.function, l.module, kernel_.c_str()), asked);
      if (shared_bytes_ > 48 * 1024)
        d_.check(d_.function_set_attribute(l.function, kFunctionMaxDynamicShared, static_cast<int>(shared_bytes_)),
                 fmt::format("give kernel {} {} bytes of shared memory", kernel_, shared_bytes_));
    } catch (...) {
      d_.module_unload(l.module);
      throw;
    }
    return l;
  }

  const Driver &d_;
  std::string kernel_, payload_;
  uint32_t shared_bytes_;
  mutable std::mutex mutex_;
  mutable std::atomic<Loaded *> loaded_{nullptr};
};

class CudaBackend : public Backend {
public:
  CudaBackend(const Driver &d, int index) : d_(d), index_(index) {
    const std::string asked = fmt::format("find cuda:{}", index);
    int count = 0;
    d.check(d.device_count(&count), asked);
    if (index < 0 || index >= count)
      throw DeviceError(asked, fmt::format("there are {} CUDA devices", count),
                        "use MOEC_DEVICE=sim, or a smaller index");
    d.check(d.device_get(&device_, index), asked);
    char name[256] = "";
    d.check(d.device_name(name, sizeof name, device_), asked);
    name_ = name;
    d.check(d.device_attribute(&sms_, kAttributeMultiprocessors, device_), asked);
    d.check(d.device_attribute(&major_, kAttributeComputeMajor, device_), asked);
    d.check(d.device_attribute(&minor_, kAttributeComputeMinor, device_), asked);
    d.check(d.device_attribute(&max_shared_, kAttributeMaxSharedOptin, device_), asked);
    int pools = 0; // virtual GPUs may have none
    d.check(d.device_attribute(&pools, kAttributeMemoryPools, device_), asked);
    pools_ = pools && d.allocate_async && d.free_async;
  }

  std::string description() override {
    return fmt::format("{} (cuda:{}, {}, {} SMs, driver {}.{})", name_, index_, target(), sms_, d_.version / 1000,
                       d_.version % 1000 / 10);
  }
  std::string target() override { return fmt::format("sm_{}{}{}", major_, minor_, major_ >= 9 ? "a" : ""); }
  int multiprocessors() override { return sms_; }

  void *allocate(size_t bytes) override {
    auto scope = current();
    DevicePointer p = 0;
    Result result = d_.allocate(&p, bytes);
    if (result == kErrorOutOfMemory && give_back_freed_memory()) result = d_.allocate(&p, bytes);
    d_.check(result, fmt::format("allocate {} bytes on cuda:{}", bytes, index_));
    return reinterpret_cast<void *>(p);
  }
  void free(void *memory) noexcept override {
    quietly([&] { d_.free(device_pointer(memory)); });
  }
  void *allocate_on(size_t bytes, void *stream) override {
    if (!pools_) return allocate(bytes);
    auto scope = current();
    keep_freed_memory();
    DevicePointer p = 0;
    d_.check(d_.allocate_async(&p, bytes, stream), fmt::format("allocate {} bytes on cuda:{}", bytes, index_));
    return reinterpret_cast<void *>(p);
  }
  void free_on(void *memory, void *stream) noexcept override {
    if (!pools_) return free(memory);
    quietly([&] { d_.free_async(device_pointer(memory), stream); });
  }
  void *create_stream() override {
    auto scope = current();
    StreamHandle s = nullptr;
    d_.check(d_.stream_create(&s, kStreamNonBlocking), asked("create a stream"));
    return s;
  }
  void destroy_stream(void *stream) noexcept override {
    quietly([&] { d_.stream_destroy(stream); });
  }
  void synchronize(void *stream) override {
    auto scope = current();
    d_.check(d_.stream_synchronize(stream), asked("wait for a stream"));
  }
  bool done(void *stream) override {
    auto scope = current();
    return ready(d_.stream_query(stream), "ask for a stream");
  }
  void *create_event() override {
    auto scope = current();
    EventHandle e = nullptr;
    d_.check(d_.event_create(&e, kEventDefault), asked("create an event"));
    return e;
  }
  void destroy_event(void *event) noexcept override {
    quietly([&] { d_.event_destroy(event); });
  }
  void record(void *event, void *stream) override {
    auto scope = current();
    d_.check(d_.event_record(event, stream), asked("record an event"));
  }
  void wait(void *stream, void *event) override {
    auto scope = current();
    d_.check(d_.stream_wait_event(stream, event, 0), asked("let a stream wait for an event"));
  }
  void synchronize_event(void *event) override {
    auto scope = current();
    d_.check(d_.event_synchronize(event), asked("wait for an event"));
  }
  bool event_done(void *event) override {
    auto scope = current();
    return ready(d_.event_query(event), "ask for an event");
  }
  double elapsed_ms(void *start, void *stop) override {
    auto scope = current();
    float ms = 0;
    d_.check(d_.event_elapsed(&ms, start, stop), asked("measure between two events"));
    return ms;
  }
  void copy(void *to, bool to_host, const void *from, bool from_host, size_t bytes, void *stream) override {
    auto scope = current();
    Result result = to_host     ? d_.copy_to_host(to, device_pointer(from), bytes, stream)
                    : from_host ? d_.copy_to_device(device_pointer(to), from, bytes, stream)
                                : d_.copy_on_device(device_pointer(to), device_pointer(from), bytes, stream);
    d_.check(result, fmt::format("copy {} bytes {} cuda:{}", bytes,
                                 to_host     ? "from"
                                 : from_host ? "to"
                                             : "on",
                                 index_));
  }
  void fill(void *to, uint8_t value, size_t bytes, void *stream) override {
    auto scope = current();
    d_.check(d_.fill(device_pointer(to), value, bytes, stream), asked("fill memory"));
  }

  std::shared_ptr<void> make_current() override {
    return std::make_shared<CurrentContext>(d_, device_, primary_once_, primary_);
  }
  std::string assemble(std::string_view ptx) override {
    auto scope = current(); // the linker takes its target from the context
    return cuda::assemble(d_, ptx);
  }
  std::unique_ptr<Executable> load(const ExecutableImage &image) override {
    if (image.shared_bytes > static_cast<uint32_t>(max_shared_))
      throw DeviceError(fmt::format("load kernel {} on cuda:{}", image.kernel, index_),
                        fmt::format("it needs {} bytes of shared memory, and a CTA of {} has at most {}",
                                    image.shared_bytes, name_, max_shared_),
                        "use smaller tiles, or fewer stages");
    auto scope = current();
    auto executable = std::make_unique<CudaExecutable>(d_, image);
    executable->in(scope.get());
    return executable;
  }
  int resident_ctas(const Executable &e, uint32_t threads, uint32_t shared_bytes) override {
    auto scope = current();
    int per_sm = 0;
    d_.check(d_.occupancy(&per_sm, static_cast<const CudaExecutable &>(e).in(scope.get()), static_cast<int>(threads),
                          shared_bytes),
             asked("ask for a kernel's occupancy"));
    return sms_ * std::max(per_sm, 1);
  }
  void launch(const Launch &l, void *stream) override {
    auto scope = current();
    auto &executable = static_cast<const CudaExecutable &>(*l.executable);
    Function f = executable.in(scope.get());
    const auto &c = l.config;
    auto params = const_cast<void **>(l.params);
    Result result;
    if (d_.launch_ex) {
      LaunchConfig config{{c.grid[0], c.grid[1], c.grid[2]}, {c.threads, 1, 1}, c.shared_bytes, stream, nullptr, 0};
      result = d_.launch_ex(&config, f, params, nullptr);
    } else {
      result = d_.launch(f, c.grid[0], c.grid[1], c.grid[2], c.threads, 1, 1, c.shared_bytes, stream, params, nullptr);
    }
    if (result != kSuccess)
      d_.fail(result,
              fmt::format("launch {} on cuda:{} (grid {}x{}x{}, {} threads, {} bytes of shared memory)",
                          executable.kernel(), index_, c.grid[0], c.grid[1], c.grid[2], c.threads, c.shared_bytes));
  }

  // Relaxed: kernels are loaded and memory is made at the first use, which may be now.
  void begin_capture(void *stream) override {
    auto scope = current();
    d_.check(d_.capture_begin(stream, kCaptureRelaxed), asked("capture a stream"));
  }
  void *end_capture(void *stream) override {
    auto scope = current();
    GraphHandle graph = nullptr;
    d_.check(d_.capture_end(stream, &graph), asked("end the capture of a stream"));
    GraphExecHandle exec = nullptr;
    Result result = d_.graph_instantiate(&exec, graph, 0);
    d_.graph_destroy(graph);
    d_.check(result, asked("make a graph"));
    return exec;
  }
  void abandon_capture(void *stream) noexcept override {
    quietly([&] {
      GraphHandle graph = nullptr;
      if (d_.capture_end(stream, &graph) == kSuccess && graph) d_.graph_destroy(graph);
    });
  }
  void launch_graph(void *graph, void *stream) override {
    auto scope = current();
    d_.check(d_.graph_launch(graph, stream), asked("launch a graph"));
  }
  void destroy_graph(void *graph) noexcept override {
    quietly([&] { d_.graph_exec_destroy(graph); });
  }

private:
  /// The driver's pool gives memory back to the system at each synchronization unless told otherwise.
  void keep_freed_memory() {
    pool_once_.run([&] {
      void *pool = nullptr;
      uint64_t all = UINT64_MAX;
      if (d_.default_pool && d_.pool_set_attribute && d_.default_pool(&pool, device_) == kSuccess)
        d_.pool_set_attribute(pool, kPoolReleaseThreshold, &all);
    });
  }
  /// What the pool keeps is not there for other memory. True if there was a pool to ask.
  bool give_back_freed_memory() {
    void *pool = nullptr;
    return pools_ && d_.pool_trim && d_.default_pool && d_.default_pool(&pool, device_) == kSuccess &&
           d_.pool_trim(pool, 0) == kSuccess;
  }
  CurrentContext current() { return CurrentContext(d_, device_, primary_once_, primary_); }
  std::string asked(const char *what) const { return fmt::format("{} on cuda:{}", what, index_); }
  bool ready(Result result, const char *what) const {
    if (result == kErrorNotReady) return false;
    d_.check(result, asked(what));
    return true;
  }
  template <typename F> void quietly(F &&f) noexcept { // destructors: a lost context must not end the process
    try {
      auto scope = current();
      f();
    } catch (...) {}
  }

  const Driver &d_;
  int index_, device_ = 0, sms_ = 0, major_ = 0, minor_ = 0, max_shared_ = 0;
  bool pools_ = false; ///< memory in a stream's order
  std::string name_;
  Once primary_once_, pool_once_;
  Context primary_ = nullptr; // retained for the process's life
};

} // namespace

std::unique_ptr<Backend> make_backend(const Driver &driver, int index) {
  return std::make_unique<CudaBackend>(driver, index);
}

} // namespace moec::cuda
