// jit(kernel, schedule): a kernel function as something to call. Part of <moec/moec.h>.
//
//   auto kernel = jit(weighted_swiglu, {.num_warps = 4});
//   kernel(stream, GluSpec{.block = 1024}, x, w, y);
//
// The first call with a new specialization (spec, and of each argument: dtype, rank, alignment, divisibility) records
// the function, takes the binary from the disk cache or compiles it, and loads it; later calls find it without locks or
// allocation.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dsl/kernel.h"
#include "runtime/device.h"
#include "runtime/simulator.h"
#include "runtime/spec.h"
#include "runtime/tensor.h"

namespace moec {

/// How a kernel is mapped to threads; changes speed, never results (contract_fma apart, which is said in its name).
struct Schedule {
  int num_warps = 4;         ///< 1, 2, 4, 8 or 16
  int num_stages = 3;        ///< buffers of a pipelined loop, 1 to 8
  bool contract_fma = false; ///< a*b+c may become one fma
  /// As compile options: "num_warps=4;num_stages=3;contract_fma=0".
  std::string options() const;
};

/// What one specialization cost, and what it became.
struct CompileRecord {
  struct Stage {
    std::string name;
    double ms = 0;
  };
  std::string kernel, spec, target;
  bool from_cache = false;
  double record_ms = 0;      ///< running the C++ function
  double total_ms = 0;       ///< from the call to the loaded kernel
  std::vector<Stage> stages; ///< of the compile; empty if from_cache
  int threads = 0, shared_bytes = 0, registers = 0, spill_bytes = 0;
};
/// All specializations that this process made ready, in order.
std::vector<CompileRecord> compile_records();
/// Calls `listener` after each (from the thread that made it; keep it short). An empty function stops it.
void on_compile(std::function<void(const CompileRecord &)> listener);

/// Compile options of a target under a schedule, as the disk cache's key has them: "target=sm_90a;num_warps=4;...".
std::string compile_options(std::string_view target, const Schedule &schedule);

/// A host value for a kernel's argument.
class LaunchArg {
public:
  LaunchArg(const Tensor &tensor) : tensor_(&tensor) {}
  LaunchArg(int v) : integer_(v), dtype_(DType::i32) {}
  LaunchArg(long v) : integer_(v), dtype_(DType::i64) {}
  LaunchArg(long long v) : integer_(v), dtype_(DType::i64) {}
  LaunchArg(float v) : dtype_(DType::f32) { f32_ = v; }
  LaunchArg(double v) : dtype_(DType::f64) { f64_ = v; }
  LaunchArg(bool v) : integer_(v), dtype_(DType::boolean) {}
  const Tensor *tensor() const { return tensor_; }
  DType dtype() const { return tensor_ ? tensor_->dtype() : dtype_; }
  int64_t integer() const { return integer_; }
  /// The scalar's bytes.
  const void *bytes() const { return &integer_; }

private:
  const Tensor *tensor_ = nullptr;
  union {
    int64_t integer_ = 0; // little endian: its first 4 bytes are the i32
    float f32_;
    double f64_;
  };
  DType dtype_ = DType::i32;
};

namespace detail {

/// What the host passes for a kernel parameter: a Tensor for View and Pointer; an int (i32) or int64_t (i64) for Int; a
/// float (f32) or double (f64) for Float; a bool for Bool; any of these for Tile.
struct IntArg {
  IntArg(int v) : arg(v) {}
  IntArg(long v) : arg(v) {}
  IntArg(long long v) : arg(v) {}
  IntArg(bool) = delete;
  IntArg(float) = delete;
  IntArg(double) = delete;
  LaunchArg arg;
};
struct FloatArg {
  FloatArg(float v) : arg(v) {}
  FloatArg(double v) : arg(v) {}
  LaunchArg arg;
};
struct ScalarArg {
  template <class T>
    requires std::is_arithmetic_v<T>
  ScalarArg(T v) : arg(v) {}
  LaunchArg arg;
};
template <class P> struct host_argument;
template <> struct host_argument<View> {
  using type = const Tensor &;
};
template <> struct host_argument<Pointer> {
  using type = const Tensor &;
};
template <> struct host_argument<Int> {
  using type = IntArg;
};
template <> struct host_argument<Float> {
  using type = FloatArg;
};
template <> struct host_argument<Bool> {
  using type = bool;
};
template <> struct host_argument<Tile> {
  using type = ScalarArg;
};
inline LaunchArg launch_arg(const Tensor &t) { return t; }
inline LaunchArg launch_arg(bool v) { return v; }
inline LaunchArg launch_arg(const IntArg &a) { return a.arg; }
inline LaunchArg launch_arg(const FloatArg &a) { return a.arg; }
inline LaunchArg launch_arg(const ScalarArg &a) { return a.arg; }

/// What is known at C++ compile time of a kernel's type; one per type.
struct KernelType {
  std::span<const rec::Parameter> parameters;
  void (*add_spec)(const void *spec, SpecializationKey &key);
  std::string (*spec_text)(const void *spec);
  Recording (*record)(void (*kernel)(), const void *spec, std::vector<ArgFacts> facts, std::string_view name);
};
template <class Spec, class... P> struct KernelTypeOf {
  static constexpr std::array<rec::Parameter, sizeof...(P)> parameters{rec::parameter_of<P>::value...};
  static const KernelType &get() {
    static const KernelType type{
        parameters, [](const void *spec, SpecializationKey &key) { add_spec(*static_cast<const Spec *>(spec), key); },
        [](const void *spec) { return moec::spec_text(*static_cast<const Spec *>(spec)); },
        [](void (*kernel)(), const void *spec, std::vector<ArgFacts> facts, std::string_view name) {
          return moec::record(reinterpret_cast<void (*)(const Spec &, P...)>(kernel), *static_cast<const Spec *>(spec),
                              std::move(facts), name);
        }};
    return type;
  }
};

struct Specialization;

/// A kernel with its schedule and the specializations made so far. Thread-safe.
class JitKernel {
public:
  JitKernel(void (*kernel)(), const KernelType &type, const Schedule &schedule, std::string_view name);
  ~JitKernel();
  JitKernel(const JitKernel &) = delete;
  void launch(const Stream &stream, const void *spec, std::span<const LaunchArg> args);
  /// Makes the specialization ready without launching.
  void compile(Device device, const void *spec, std::span<const LaunchArg> args);

private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace detail

/// A callable kernel; copies share specializations. Thread-safe.
template <class Spec, class... P> class Kernel {
public:
  Kernel(void (*kernel)(const Spec &, P...), const Schedule &schedule, std::string_view name)
      : kernel_(std::make_shared<detail::JitKernel>(reinterpret_cast<void (*)()>(kernel),
                                                    detail::KernelTypeOf<Spec, P...>::get(), schedule, name)) {}

  /// Queues one launch on `stream` (a Device stands for its default stream). An empty grid launches nothing. Throws
  /// KernelError for a mistake in the kernel, UserError for arguments that do not fit (dtype, rank, device, shape
  /// contract, grid limits), DeviceError.
  void operator()(const Stream &stream, const Spec &spec, typename detail::host_argument<P>::type... args) const {
    if constexpr (sizeof...(P) == 0) {
      kernel_->launch(stream, &spec, {});
    } else {
      const LaunchArg list[] = {detail::launch_arg(args)...};
      kernel_->launch(stream, &spec, list);
    }
  }
  /// Makes the specialization for these arguments ready (their memory is not touched); many may run in parallel. Throws
  /// as a launch.
  void compile(Device device, const Spec &spec, typename detail::host_argument<P>::type... args) const {
    if constexpr (sizeof...(P) == 0) {
      kernel_->compile(device, &spec, {});
    } else {
      const LaunchArg list[] = {detail::launch_arg(args)...};
      kernel_->compile(device, &spec, list);
    }
  }

private:
  std::shared_ptr<detail::JitKernel> kernel_;
};

/// Makes a kernel function callable. `name`: in errors, caches and profilers; by default the function's own.
template <class Spec, class... P>
Kernel<Spec, P...> jit(void (*kernel)(const Spec &, P...), const Schedule &schedule = {}, std::string_view name = {}) {
  return Kernel<Spec, P...>(kernel, schedule, name);
}

/// What the specialization key knows of an argument. Throws UserError for a tensor that kernels cannot take.
ArgFacts facts_of(const LaunchArg &arg, rec::Parameter parameter, int index, Device device);

} // namespace moec
