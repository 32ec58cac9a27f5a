#include "runtime/simulator.h"

#include <algorithm>
#include <atomic>
#include <fmt/format.h>

#include "runtime/environment.h"
#include "runtime/sim/traffic.h"

namespace moec {

namespace {
std::atomic<bool> program_wants_checks{false};
thread_local SimSettings scoped;
} // namespace

void set_sim_checked(bool checked) { program_wants_checks = checked; }
bool sim_checked() { return environment().sim_checked.value_or(scoped.checked.value_or(program_wants_checks)); }

SimSettings sim_settings() { return {sim_checked(), scoped.seed.value_or(environment().sim_seed), scoped.traffic}; }

bool sim_instrumented() {
  SimSettings now = sim_settings();
  return *now.checked || *now.seed || now.traffic;
}

SimScope::SimScope(const SimSettings &settings) : before_(scoped) {
  if (settings.checked) scoped.checked = settings.checked;
  if (settings.seed) scoped.seed = settings.seed;
  if (settings.traffic) scoped.traffic = settings.traffic;
}
SimScope::~SimScope() { scoped = before_; }

MemoryTraffic &MemoryTraffic::operator+=(const MemoryTraffic &other) {
  loaded += other.loaded;
  stored += other.stored;
  atomic += other.atomic;
  distinct += other.distinct;
  return *this;
}

SimTraffic::SimTraffic() : sectors_(std::make_unique<sim::SectorMap>()) {}
SimTraffic::~SimTraffic() = default;

void SimTraffic::add(std::string_view kernel, const sim::TrafficCounts &counts) {
  auto it = std::ranges::find(kernels_, kernel, &KernelTraffic::kernel);
  if (it == kernels_.end()) it = kernels_.insert(it, {std::string(kernel), 0, {}, {}, {}});
  ++it->launches;
  SimAccesses *sums[] = {&it->loads, &it->stores, &it->atomics};
  for (size_t k = 0; k < sim::kTrafficKinds; ++k) {
    sums[k]->requests += counts.kinds[k].requests;
    sums[k]->bytes += counts.kinds[k].bytes;
    sums[k]->sectors += counts.kinds[k].sectors;
    sums[k]->moved += counts.kinds[k].moved;
  }
}

std::vector<KernelTraffic> SimTraffic::kernels() const {
  std::lock_guard lock(sectors_->mutex);
  return kernels_;
}

MemoryTraffic SimTraffic::range(uint64_t begin, uint64_t end) const {
  std::lock_guard lock(sectors_->mutex);
  sim::SectorMap::Sum sum = sectors_->sum(begin, end);
  return {sum.moved[0], sum.moved[1], sum.moved[2], sum.distinct};
}
MemoryTraffic SimTraffic::total() const { return range(0, 0); }
MemoryTraffic SimTraffic::of(const Tensor &tensor) const {
  auto begin = reinterpret_cast<uintptr_t>(tensor.data());
  auto bytes = static_cast<uint64_t>(tensor.extent_bytes());
  return bytes ? range(begin, begin + bytes) : MemoryTraffic{};
}

double SimTraffic::ratio(const std::vector<Tensor> &tensors) const {
  uint64_t distinct = 0;
  for (const Tensor &tensor : tensors) distinct += of(tensor).distinct;
  return distinct ? static_cast<double>(total().sectors()) / static_cast<double>(distinct) : 0;
}

void SimTraffic::name(const Tensor &tensor, std::string name) {
  std::lock_guard lock(sectors_->mutex);
  named_.emplace_back(std::move(name), tensor);
}

std::string SimTraffic::text() const {
  std::string text = fmt::format("{:32} {:>8} {:>10} {:>10} {:>10} {:>10} {:>12}\n", "kernel (sectors)", "launches",
                                 "loaded", "stored", "atomic", "asked for", "bytes");
  for (const KernelTraffic &k : kernels())
    text += fmt::format("{:32} {:8} {:10} {:10} {:10} {:10} {:12}\n", k.kernel, k.launches, k.loads.moved,
                        k.stores.moved, k.atomics.moved, k.loads.sectors + k.stores.sectors + k.atomics.sectors,
                        k.loads.bytes + k.stores.bytes + k.atomics.bytes);
  std::vector<std::pair<std::string, Tensor>> named;
  {
    std::lock_guard lock(sectors_->mutex);
    named = named_;
  }
  if (named.empty()) return text;
  text += fmt::format("{:32} {:>8} {:>10} {:>10} {:>10} {:>10}\n", "tensor", "ratio", "loaded", "stored", "atomic",
                      "distinct");
  for (const auto &[name, tensor] : named) {
    MemoryTraffic m = of(tensor);
    double ratio = m.distinct ? static_cast<double>(m.sectors()) / static_cast<double>(m.distinct) : 0;
    text +=
        fmt::format("{:32} {:8.3f} {:10} {:10} {:10} {:10}\n", name, ratio, m.loaded, m.stored, m.atomic, m.distinct);
  }
  return text;
}

void SimTraffic::clear() {
  std::lock_guard lock(sectors_->mutex);
  kernels_.clear();
  sectors_->clear();
}

} // namespace moec
