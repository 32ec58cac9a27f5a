#include "tools/moec/bench/measure.h"

#include <algorithm>
#include <optional>

#include "dsl/dsl.h"
#include "kernels/grouped_mm.h"
#include "runtime/error.h"
#include "runtime/graph.h"
#include "runtime/jit.h"
#include "tools/moec/bench/cublas.h"

namespace moec::bench {

namespace {

double median(std::vector<double> v) {
  std::ranges::sort(v);
  return v.size() % 2 ? v[v.size() / 2] : (v[v.size() / 2 - 1] + v[v.size() / 2]) / 2;
}

/// What no cache holds: written between runs, so that each finds its inputs in memory, as in a model.
class ColdCache {
public:
  explicit ColdCache(const Stream &stream) : stream_(stream) {
    if (stream.device().is_cuda()) memory_ = Tensor::empty({kBytes}, u8, stream.device());
  }
  void make() const {
    if (memory_.defined()) stream_.fill(memory_.data(), 0, kBytes);
  }

private:
  static constexpr int64_t kBytes = 256 << 20;
  const Stream &stream_;
  Tensor memory_;
};

double timed(const Stream &stream, const std::function<void()> &work) {
  Event start(stream.device()), stop(stream.device());
  start.record(stream);
  work();
  stop.record(stream);
  stop.synchronize();
  return Event::elapsed_ms(start, stop) * 1e-3;
}

struct CopySpec {
  int block = 4096;
  static void fields(auto &s, auto &&f) { f("block", s.block); }
};
/// out = in; both [N].
void copy(const CopySpec &s, View in, View out) {
  arg_names({"in", "out"});
  Int N = out.size(0);
  in.expect({N});
  grid(cdiv(N, s.block));
  Tile i = program_id(0) * s.block + arange(s.block);
  store(out(i), load(in(i)));
}

Timing summary(std::vector<double> seconds, bool captured) {
  return {median(seconds), static_cast<int>(seconds.size()), captured};
}

} // namespace

Timing measure(const Stream &stream, const std::function<void()> &work, const Effort &effort) {
  ColdCache cold(stream);
  work(); // compiles
  stream.synchronize();
  std::vector<double> seconds;
  double sum = 0;
  auto enough = [&] {
    auto runs = static_cast<int>(seconds.size());
    return runs >= effort.most_runs || (sum >= effort.seconds && runs >= effort.least_runs) ||
           (sum >= effort.patience && runs >= 1);
  };
  while (!enough()) {
    cold.make();
    seconds.push_back(timed(stream, work));
    sum += seconds.back();
  }
  return summary(std::move(seconds), false);
}

Timing measure(const Case &c, Device device, const Effort &effort) {
  const Stream stream = device.is_cuda() ? Stream::create(device) : Stream(device);
  std::vector<std::string> wanted;
  for (const CaseTensor &t : c.outputs) wanted.push_back(t.name);
  const NamedTensors inputs = make_inputs(c, device);
  std::optional<OpCall> forward; // what the backward pass needs of it
  if (c.pass == Pass::backward) forward.emplace(*c.op, stream, inputs, c.parameters, wanted).run_forward();
  auto run = [&] {
    if (forward)
      forward->run_backward();
    else
      OpCall(*c.op, stream, inputs, c.parameters, wanted).run(); // lets its outputs go
  };
  if (!device.is_cuda()) return measure(stream, run, effort);
  run(); // compiles; the first use of a kernel must not be captured
  stream.synchronize();
  std::optional<Graph> graph;
  try {
    graph = Graph::capture(stream, run);
  } catch (const UserError &) {} // the op waits for a count
  if (!graph) return measure(stream, run, effort);
  Timing t = measure(stream, [&] { graph->launch(stream); }, effort);
  t.captured = true;
  return t;
}

double copy_bandwidth(Device device) {
  const int64_t bytes = device.is_cuda() ? int64_t{1} << 30 : int64_t{64} << 20;
  const Stream stream = device.is_cuda() ? Stream::create(device) : Stream(device);
  Tensor in = Tensor::zeros({bytes / 4}, i32, device), out = Tensor::zeros({bytes / 4}, i32, device);
  static const auto kernel = jit(copy, {.num_warps = 8}, "copy");
  double seconds = measure(stream, [&] { kernel(stream, CopySpec{}, in, out); }).seconds;
  if (device.is_cuda())
    seconds = std::min(seconds, measure(stream, [&] {
                                  stream.copy(out.data(), device, in.data(), device, static_cast<size_t>(bytes));
                                }).seconds);
  return 2 * static_cast<double>(bytes) / seconds;
}

double peak_flops(Device device, DType dtype) {
  const int64_t size = device.is_cuda() ? 8192 : 256;
  const Stream stream = device.is_cuda() ? Stream::create(device) : Stream(device);
  Tensor a = numbers("a", {size, size}, dtype, device), b = numbers("b", {1, size, size}, dtype, device);
  Tensor offs = Tensor::from_values(std::vector<double>{static_cast<double>(size)}, {1}, i32, device);
  double seconds = measure(stream, [&] { grouped_mm(stream, a, b, offs); }).seconds;
  if (auto cublas = Cublas::open(stream)) {
    Tensor c = Tensor::empty({size, size}, dtype, device);
    seconds = std::min(seconds, measure(stream, [&] { cublas->multiply(a, b.select(0, 0), c); }).seconds);
  }
  return 2.0 * static_cast<double>(size) * static_cast<double>(size) * static_cast<double>(size) / seconds;
}

} // namespace moec::bench
