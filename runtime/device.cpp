#include "runtime/device.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cstring>
#include <map>
#include <mutex>

#include "runtime/backend.h"
#include "runtime/capture.h"
#include "runtime/cuda/cuda_backend.h"
#include "runtime/environment.h"
#include "runtime/error.h"
#include "runtime/log.h"

namespace moec {

Device cuda_device_unchecked(int index) { return Device(DeviceKind::cuda, index); }

Device Device::cuda(int index) {
  cuda_backend(index); // throws if it is not there
  return cuda_device_unchecked(index);
}

Device Device::best() { return parse(environment().device); }

Device Device::parse(std::string_view text) {
  if (text == "host") return host();
  if (text == "sim") return sim();
  if (text == "interp") return interp();
  if (text == "cuda") return cuda(0);
  if (text == "best") {
    std::string why;
    if (cuda_device_count(&why) > 0) return cuda(0);
    warn_once(
        "no cuda",
        fmt::format("no CUDA device ({}); kernels run on the simulated GPU. MOEC_DEVICE=sim says so silently", why));
    return sim();
  }
  int index = 0;
  if (text.starts_with("cuda:")) {
    auto [end, error] = std::from_chars(text.data() + 5, text.data() + text.size(), index);
    if (error == std::errc() && end == text.data() + text.size() && index >= 0) return cuda(index);
  }
  throw UserError(fmt::format("use device '{}'", text), "there is no such device",
                  "say best, sim, interp, cuda or cuda:<index>");
}

std::string Device::name() const {
  switch (kind_) {
  case DeviceKind::host: return "host";
  case DeviceKind::sim: return "sim";
  case DeviceKind::interp: return "interp";
  case DeviceKind::cuda: return fmt::format("cuda:{}", index_);
  }
  return "";
}
std::string Device::description() const {
  return kind_ == DeviceKind::host ? "the host's memory" : backend().description();
}
std::string Device::target() const { return backend().target(); }
int Device::multiprocessors() const { return backend().multiprocessors(); }
Backend &Device::backend() const { return backend_of(*this); }

Backend &backend_of(Device device) {
  switch (device.kind()) {
  case DeviceKind::sim: return sim_backend();
  case DeviceKind::interp: return interp_backend();
  case DeviceKind::cuda: return cuda_backend(device.index());
  case DeviceKind::host: break;
  }
  throw UserError("run kernels on the host", "the host is only a place for memory",
                  "use Device::sim(), interp() or cuda()");
}

Backend &cuda_backend(int index) {
  static std::mutex mutex;
  static auto &backends =
      *new std::map<int, std::unique_ptr<Backend>>; // kept: tensors in static storage free through them
  const cuda::Driver &driver = cuda::driver();
  std::lock_guard lock(mutex);
  auto &slot = backends[index];
  if (!slot) slot = cuda::make_backend(driver, index);
  return *slot;
}

int cuda_device_count(std::string *why) noexcept {
  try {
    int count = 0;
    const cuda::Driver &d = cuda::driver();
    d.check(d.device_count(&count), "count CUDA devices");
    if (count == 0 && why) *why = "the driver sees none";
    return count;
  } catch (const std::exception &e) {
    if (why) *why = e.what();
    return 0;
  }
}

// -- streams and events. On the host, sim and interp everything is done when the call returns.

static bool queued(Device device) { return device.is_cuda(); }

Stream::Stream(Device device) : device_(device) {}

Stream Stream::create(Device device) {
  Stream s(device);
  if (!queued(device)) return s;
  Backend *backend = &device.backend();
  s.owned_ = std::shared_ptr<void>(backend->create_stream(), [backend](void *p) { backend->destroy_stream(p); });
  s.native_ = s.owned_.get();
  return s;
}
Stream Stream::lend(Device device, void *cuda_stream) {
  Stream s(device);
  if (queued(device)) s.native_ = cuda_stream;
  return s;
}
void Stream::synchronize() const {
  Capture::refuse(fmt::format("wait for a stream of {}", device_.name()));
  if (queued(device_)) device_.backend().synchronize(native_);
}
bool Stream::done() const {
  Capture::refuse(fmt::format("ask whether a stream of {} is done", device_.name()));
  return !queued(device_) || device_.backend().done(native_);
}
void Stream::wait(const Event &event) const {
  if (event.device_ != device_)
    throw UserError(fmt::format("let a stream of {} wait for an event of {}", device_.name(), event.device_.name()),
                    "they are of different devices", "synchronize with the event on the host");
  if (queued(device_)) device_.backend().wait(native_, event.native_.get());
}
void Stream::copy(void *to, Device to_device, const void *from, Device from_device, size_t bytes) const {
  if (!bytes) return;
  if (Capture *c = Capture::recording(*this))
    return c->steps.push_back([=, stream = *this] { stream.copy(to, to_device, from, from_device, bytes); });
  if (to_device.host_memory() && from_device.host_memory()) {
    if (queued(device_)) synchronize(); // host memory that queued kernels may still use
    std::memmove(to, from, bytes);
    return;
  }
  for (Device d : {to_device, from_device})
    if (d.is_cuda() && d != device_)
      throw UserError(
          fmt::format("copy from {} to {} on a stream of {}", from_device.name(), to_device.name(), device_.name()),
          "the stream is of another device", "copy through the host, or use a stream of that device");
  if (to_device.host_memory() || from_device.host_memory()) // pageable: CUDA stages it, and cannot record that
    Capture::refuse(fmt::format("copy from {} to {}", from_device.name(), to_device.name()));
  device_.backend().copy(to, to_device.host_memory(), from, from_device.host_memory(), bytes, native_);
}
void Stream::fill(void *to, uint8_t value, size_t bytes) const {
  if (!bytes) return;
  if (Capture *c = Capture::recording(*this)) return c->steps.push_back([=] { std::memset(to, value, bytes); });
  if (device_.host_memory())
    std::memset(to, value, bytes);
  else
    device_.backend().fill(to, value, bytes, native_);
}

static int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Event::Event(Device device) : device_(device) {
  if (!queued(device)) return;
  Backend *backend = &device.backend();
  native_ = std::shared_ptr<void>(backend->create_event(), [backend](void *p) { backend->destroy_event(p); });
}
void Event::record(const Stream &stream) {
  if (stream.device() != device_)
    throw UserError(fmt::format("record an event of {} on a stream of {}", device_.name(), stream.device().name()),
                    "they are of different devices", "make the event for the stream's device");
  host_ns_ = now_ns();
  if (queued(device_)) device_.backend().record(native_.get(), stream.native());
}
void Event::synchronize() const {
  Capture::refuse(fmt::format("wait for an event of {}", device_.name()));
  if (queued(device_)) device_.backend().synchronize_event(native_.get());
}
bool Event::done() const { return !queued(device_) || device_.backend().event_done(native_.get()); }
double Event::elapsed_ms(const Event &start, const Event &stop) {
  const char *wrong = start.host_ns_ < 0 || stop.host_ns_ < 0 ? "one of them was never recorded"
                      : start.device_ != stop.device_         ? "they are of different devices"
                      : !start.done() || !stop.done()         ? "the work before one of them is not done"
                                                              : nullptr;
  if (wrong) throw UserError("measure the time between two events", wrong, "record both on one device and synchronize");
  if (queued(start.device_)) return start.device_.backend().elapsed_ms(start.native_.get(), stop.native_.get());
  return static_cast<double>(stop.host_ns_ - start.host_ns_) * 1e-6;
}

} // namespace moec
