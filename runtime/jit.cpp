#include "runtime/jit.h"

#include <fmt/format.h>

#include <atomic>
#include <cstring>
#include <future>
#include <mutex>
#include <utility>

#include "runtime/capture.h"
#include "runtime/contract.h"
#include "runtime/environment.h"
#include "runtime/error.h"
#include "runtime/specialize.h"

namespace moec::detail {

namespace {

constexpr size_t kMaxArgs = 32;
constexpr size_t kMaxParams = kMaxArgs * (1 + 2 * ArgFacts::kMaxRank);
constexpr size_t kBuckets = 64;

/// All facts of one argument in a word.
uint64_t word_of(const ArgFacts &f) {
  uint64_t w = static_cast<uint64_t>(f.kind) | static_cast<uint64_t>(f.dtype) << 2 | uint64_t{f.rank} << 6 |
               uint64_t{f.align} << 9 | uint64_t{f.wide} << 14 | uint64_t{f.packed} << 15;
  for (size_t i = 0; i < f.rank; ++i)
    w |= static_cast<uint64_t>((f.size_divisors[i] == 16) | (f.stride_divisors[i] == 0   ? 2
                                                             : f.stride_divisors[i] == 1 ? 4
                                                                                         : 0))
         << (16 + 3 * i);
  return w;
}

/// What a launch knows of its arguments; on the stack.
struct Arguments {
  SpecializationKey key;
  ArgFacts facts[kMaxArgs];
  size_t count = 0;

  Arguments(Device device, const KernelType &type, const void *spec, std::span<const LaunchArg> args) {
    if (device.kind() == DeviceKind::host) device.backend(); // throws: the host runs no kernels
    bool instrumented = device.kind() == DeviceKind::sim && sim_instrumented();
    key.add(static_cast<uint64_t>(device.kind()) | static_cast<uint64_t>(device.index()) << 8 |
            uint64_t{instrumented} << 32);
    type.add_spec(spec, key);
    for (count = 0; count < args.size(); ++count) {
      facts[count] = facts_of(args[count], type.parameters[count], static_cast<int>(count), device);
      key.add(word_of(facts[count]));
    }
    if (!key.fits())
      throw UserError(
          "launch a kernel",
          fmt::format("its spec and arguments make more than {} words of key", SpecializationKey::kMaxWords),
          "give its spec fewer fields");
  }
};

/// A launch's parameters as the device takes them (docs/architecture.md, "Kernel parameters").
class Params {
public:
  Params(std::span<const LaunchArg> args, const ArgFacts *facts) {
    for (size_t i = 0; i < args.size(); ++i) {
      const Tensor *t = args[i].tensor();
      if (!t) {
        std::memcpy(add(), args[i].bytes(), sizeof(uint64_t));
        continue;
      }
      uint64_t address = reinterpret_cast<uintptr_t>(t->data());
      put(address);
      ranges_[num_ranges_++] = {address, address + static_cast<uint64_t>(t->extent_bytes())};
      if (facts[i].kind == ArgFacts::Kind::view) add_view(*t, facts[i]);
    }
  }
  void *const *pointers() const { return pointers_; }
  size_t size() const { return size_; }
  std::span<const MemoryRange> ranges() const { return {ranges_, num_ranges_}; }

private:
  void add_view(const Tensor &t, const ArgFacts &f) {
    for (int i = 0; i < t.rank(); ++i) put(static_cast<int32_t>(t.shape()[i]));
    for (int i = 0; i < t.rank(); ++i) {
      if (f.stride_divisors[static_cast<size_t>(i)] == 0) continue;
      if (f.wide)
        put(t.strides()[i]);
      else
        put(static_cast<int32_t>(t.strides()[i])); // fits, or the dimension has at most one element
    }
  }
  uint64_t *add() {
    pointers_[size_] = &slots_[size_];
    slots_[size_] = 0;
    return &slots_[size_++];
  }
  template <class T> void put(T value) { std::memcpy(add(), &value, sizeof value); }

  uint64_t slots_[kMaxParams];
  void *pointers_[kMaxParams];
  MemoryRange ranges_[kMaxArgs];
  size_t size_ = 0, num_ranges_ = 0;
};

/// A launch with copies of its parameters' values, to be done later.
std::function<void()> recorded(Backend &backend, const Launch &launch) {
  std::vector<uint64_t> slots;
  for (size_t i = 0; i < launch.num_params; ++i)
    slots.push_back(*static_cast<const uint64_t *>(launch.params[i])); // Params' slots
  return [&backend, launch, slots = std::move(slots),
          ranges = std::vector(launch.ranges.begin(), launch.ranges.end())]() mutable {
    std::vector<void *> params;
    for (uint64_t &slot : slots) params.push_back(&slot);
    Launch l = launch;
    l.params = params.data();
    l.ranges = ranges;
    backend.launch(l, nullptr);
  };
}

/// A specialization that a thread is making; others that want it wait.
struct Pending {
  SpecializationKey key;
  std::promise<Specialization *> promise;
  std::shared_future<Specialization *> future = promise.get_future().share();
};

} // namespace

struct JitKernel::State {
  void (*kernel)();
  const KernelType &type;
  Schedule schedule;
  std::string name;
  std::atomic<Specialization *> buckets[kBuckets] = {};
  std::mutex mutex;
  std::vector<std::shared_ptr<Pending>> pending;

  ~State() {
    for (auto &bucket : buckets)
      for (Specialization *s = bucket.load(); s;) delete std::exchange(s, s->next);
  }

  Specialization *find(const SpecializationKey &key, uint64_t hash) const {
    for (Specialization *s = buckets[hash % kBuckets].load(std::memory_order_acquire); s; s = s->next)
      if (s->hash == hash && s->key == key) return s;
    return nullptr;
  }

  SpecializeRequest request(Device device, const void *spec, const Arguments &a) const {
    return {device, &type, kernel, spec, name, &schedule, std::vector<ArgFacts>(a.facts, a.facts + a.count)};
  }

  /// The specialization of these arguments, made if need be by one thread.
  Specialization *get(Device device, const void *spec, const Arguments &a) {
    uint64_t hash = a.key.hash();
    if (Specialization *s = find(a.key, hash)) {
      if (environment().check_record) check_recording(*s, request(device, spec, a));
      return s;
    }
    std::shared_ptr<Pending> mine;
    {
      std::unique_lock lock(mutex);
      if (Specialization *s = find(a.key, hash)) return s;
      for (const auto &p : pending)
        if (p->key == a.key) {
          auto future = p->future;
          lock.unlock();
          return future.get();
        }
      mine = pending.emplace_back(std::make_shared<Pending>());
      mine->key = a.key;
    }
    return make(device, spec, a, hash, mine);
  }

  Specialization *make(Device device, const void *spec, const Arguments &a, uint64_t hash,
                       const std::shared_ptr<Pending> &mine) {
    std::unique_ptr<Specialization> s;
    std::exception_ptr failure;
    try {
      s = specialize(request(device, spec, a));
      s->key = a.key;
      s->hash = hash;
    } catch (...) { failure = std::current_exception(); }
    std::lock_guard lock(mutex);
    std::erase(pending, mine); // a failed one may be tried again
    if (failure) {
      mine->promise.set_exception(failure);
      std::rethrow_exception(failure);
    }
    auto &bucket = buckets[hash % kBuckets];
    s->next = bucket.load();
    bucket.store(s.get(), std::memory_order_release);
    mine->promise.set_value(s.get());
    return s.release();
  }
};

JitKernel::JitKernel(void (*kernel)(), const KernelType &type, const Schedule &schedule, std::string_view name)
    : state_(new State{kernel, type, schedule, std::string(name), {}, {}, {}}) {
  if (type.parameters.size() > kMaxArgs)
    throw UserError(fmt::format("jit a kernel with {} parameters", type.parameters.size()),
                    fmt::format("at most {} are possible", kMaxArgs), "pack some of them into one tensor");
}
JitKernel::~JitKernel() = default;

void JitKernel::compile(Device device, const void *spec, std::span<const LaunchArg> args) {
  state_->get(device, spec, Arguments(device, state_->type, spec, args));
}

void JitKernel::launch(const Stream &stream, const void *spec, std::span<const LaunchArg> args) {
  Device device = stream.device();
  Arguments arguments(device, state_->type, spec, args);
  const Specialization &s = *state_->get(device, spec, arguments);
  check_expects(s.recording, args);
  Backend &backend = device.backend();
  Launch launch;
  if (!evaluate_grid(s.recording, args, s.resident_ctas, launch.config.grid)) return;
  launch.config.threads = s.threads;
  launch.config.shared_bytes = s.shared_bytes;
  Params params(args, arguments.facts);
  launch.executable = s.executable.get();
  launch.params = params.pointers();
  launch.num_params = params.size();
  launch.ranges = params.ranges();
  if (Capture *c = Capture::recording(stream)) return c->steps.push_back(recorded(backend, launch));
  backend.launch(launch, stream.native());
}

} // namespace moec::detail
