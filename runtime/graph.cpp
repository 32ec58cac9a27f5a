#include "runtime/graph.h"

#include <fmt/format.h>
#include <utility>

#include "runtime/backend.h"
#include "runtime/capture.h"
#include "runtime/error.h"

namespace moec {

static thread_local Capture *capture_of_this_thread = nullptr;

Capture *Capture::current() { return capture_of_this_thread; }

Capture *Capture::recording(const Stream &stream) {
  Capture *c = current();
  return c && !stream.device().is_cuda() && c->stream.device() == stream.device() ? c : nullptr;
}

void Capture::refuse(const std::string &asked) {
  if (current())
    throw UserError(asked,
                    fmt::format("a stream of {} is being captured, and this waits for the device",
                                current()->stream.device().name()),
                    "do it before or after Graph::capture");
}

struct Graph::State {
  Device device;
  std::vector<std::function<void()>> steps;
  std::vector<std::shared_ptr<void>> memory;
  void *native = nullptr; // CUgraphExec
  ~State() {
    if (native) device.backend().destroy_graph(native);
  }
};

Graph Graph::capture(const Stream &stream, const std::function<void()> &work) {
  const Device device = stream.device();
  const std::string asked = fmt::format("capture a stream of {}", device.name());
  if (device.kind() == DeviceKind::host) device.backend(); // throws: the host runs no kernels
  if (Capture::current()) throw UserError(asked, "this thread captures one already", "end that capture first");
  if (device.is_cuda() && !stream.native())
    throw UserError(asked, "it is CUDA's default stream, which cannot be captured", "use Stream::create");
  Graph graph;
  graph.state_ = std::make_shared<State>();
  graph.state_->device = device;
  Capture capture{stream, {}, {}};
  struct Scope {
    explicit Scope(Capture *c) { capture_of_this_thread = c; }
    ~Scope() { capture_of_this_thread = nullptr; }
  };
  if (device.is_cuda()) device.backend().begin_capture(stream.native());
  try {
    Scope scope(&capture);
    work();
  } catch (...) {
    if (device.is_cuda()) device.backend().abandon_capture(stream.native());
    throw;
  }
  if (device.is_cuda()) graph.state_->native = device.backend().end_capture(stream.native());
  graph.state_->steps = std::move(capture.steps);
  graph.state_->memory = std::move(capture.memory);
  return graph;
}

void Graph::launch(const Stream &stream) const {
  if (!state_) throw UserError("launch a graph", "it is empty", "make it with Graph::capture");
  if (stream.device() != state_->device)
    throw UserError(
        fmt::format("launch a graph of {} on a stream of {}", state_->device.name(), stream.device().name()),
        "they are of different devices", "capture it again on that device");
  if (state_->device.is_cuda()) {
    state_->device.backend().launch_graph(state_->native, stream.native());
    return;
  }
  if (Capture *c = Capture::recording(stream)) { // a graph within a graph
    c->steps.push_back([graph = *this, stream] { graph.launch(stream); });
    return;
  }
  for (const auto &step : state_->steps) step();
}

} // namespace moec
