// Kernels written in the DSL, run through jit on the reference interpreter and on another device (the checked
// simulator, or what MOEC_DEVICE says): memory must end up the same.
#pragma once

#include <moec/moec.h>

#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace moec::ops {

inline constexpr DType kDTypes[] = {boolean, i8, u8, i32, i64, f16, bf16, f32, f64, e4m3, e5m2};
inline constexpr DType kNumbers[] = {i8, u8, i32, i64, f16, bf16, f32, f64};
inline constexpr DType kFloats[] = {f16, bf16, f32, f64};
inline constexpr DType kInts[] = {i8, u8, i32, i64};

/// How an output of the device may differ from the interpreter's.
enum class Compare : uint8_t {
  bits,    ///< not at all, not even in a NaN's bits
  bounded, ///< by the argument's tolerance
};

/// How a tensor lies in memory.
enum class Lay : uint8_t { contiguous, rows, transposed, unaligned, every_second };

/// A kernel's argument: a tensor with its memory, or a scalar.
struct Argument {
  Dims shape, strides;
  DType dtype = f32;
  int64_t offset = 0; ///< of the first element in the memory
  std::vector<uint64_t> words;
  std::optional<LaunchArg> scalar;
  Compare compare = Compare::bits;
  std::function<double(double expected, size_t index)> tolerance; ///< for Compare::bounded: of a finite element

  std::byte *memory() { return reinterpret_cast<std::byte *>(words.data()); }
  const std::byte *memory() const { return reinterpret_cast<const std::byte *>(words.data()); }
  int64_t elements() const {
    return static_cast<int64_t>(words.size() * 8) / size_bytes(dtype);
  } ///< of the memory, gaps included
  Tensor tensor() { return Tensor::lend(memory() + offset * size_bytes(dtype), shape, dtype, Device::host(), strides); }
  uint64_t bits(int64_t element) const;
  void set(int64_t element, uint64_t bits);
};

Argument value(LaunchArg scalar);
/// An output, filled with a pattern that nobody computes; what is not written must keep it.
Argument output(DType dtype, const Dims &shape, Compare compare = Compare::bits, Lay lay = Lay::contiguous);
/// Random numbers, small enough for sums and products to be finite, and such that sums round.
Argument numbers(DType dtype, const Dims &shape, uint64_t seed, Lay lay = Lay::contiguous);
/// One half special: NaN, infinities, zeros of both signs, denormals, greatest and least, ties. The other half random
/// bits.
Argument special(DType dtype, const Dims &shape, uint64_t seed, Lay lay = Lay::contiguous);
/// Every bit pattern of a dtype of 8 or 16 bits in order; of others special ones and random ones.
Argument every(DType dtype, int64_t count, uint64_t seed);
/// Integers low..high (in any dtype that holds them).
Argument integers(DType dtype, const Dims &shape, int64_t low, int64_t high, uint64_t seed, Lay lay = Lay::contiguous);
Argument from(DType dtype, const Dims &shape, const std::vector<double> &values);

/// The value of an element of any dtype.
double number(DType dtype, uint64_t bits);

inline std::vector<Schedule> warps(std::initializer_list<int> numbers) {
  std::vector<Schedule> schedules;
  for (int n : numbers) schedules.push_back({.num_warps = n});
  return schedules;
}

inline const std::vector<Schedule> kAllWarps = warps({1, 2, 4, 8});

namespace detail {
/// An argument's memory on a device.
struct Placed {
  Argument *argument;
  Tensor memory, tensor;
  Placed(Argument &a, Device device);
  void fetch() const;
};
template <class P> decltype(auto) host(Argument &a, Device device, std::vector<Placed> &placed) {
  if constexpr (std::is_same_v<P, View> || std::is_same_v<P, Pointer>)
    return static_cast<const Tensor &>(placed.emplace_back(a, device).tensor);
  else if constexpr (std::is_same_v<P, Int>)
    return a.scalar->dtype() == i64 ? moec::detail::IntArg(static_cast<long>(a.scalar->integer()))
                                    : moec::detail::IntArg(*static_cast<const int *>(a.scalar->bytes()));
  else if constexpr (std::is_same_v<P, Float>)
    return a.scalar->dtype() == f64 ? moec::detail::FloatArg(*static_cast<const double *>(a.scalar->bytes()))
                                    : moec::detail::FloatArg(*static_cast<const float *>(a.scalar->bytes()));
  else
    return a.scalar->integer() != 0;
}
} // namespace detail

/// One kernel with its spec and arguments, to be run on several devices under several schedules.
struct Case {
  using Launch = std::function<void(Device, std::vector<Argument> &)>;
  std::string name;
  std::vector<Argument> args;
  std::vector<Schedule> schedules;
  std::function<Launch(const Schedule &)> jit; ///< a launch keeps its kernel: the second one is a hit

  template <class Spec, class... P>
  Case(std::string name_, void (*kernel)(const Spec &, P...), const Spec &spec, std::vector<Argument> args_,
       std::vector<Schedule> schedules_ = kAllWarps)
      : name(std::move(name_)), args(std::move(args_)), schedules(std::move(schedules_)) {
    if (sizeof...(P) != args.size()) throw std::invalid_argument(name + ": number of arguments");
    jit = [kernel, spec](const Schedule &schedule) -> Launch {
      return [run = moec::jit(kernel, schedule), spec](Device device, std::vector<Argument> &a) {
        std::vector<detail::Placed> placed;
        placed.reserve(a.size());
        size_t i = 0;
        auto next = [&]() -> Argument & { return a[i++]; };
        std::tuple<typename moec::detail::host_argument<P>::type...> list{
            detail::host<P>(next(), device, placed)...}; // braces: in order
        std::apply([&](auto &...x) { run(device, spec, x...); }, list);
        for (const detail::Placed &p : placed) p.fetch();
      };
    };
  }
};

/// Runs every case on the interpreter and, under each schedule, on the device: on the checked simulator with several
/// seeds of the order of warps. Fails the test for each that differs, with what and where.
void check(const std::vector<Case> &cases);
/// "" or the first difference of `got` from `expected`.
std::string difference(const std::vector<Argument> &expected, const std::vector<Argument> &got);
/// Calls f(0) to f(n - 1) on all cores; the message of an exception becomes a failure.
void in_parallel(size_t n, const std::function<void(size_t)> &f);

// ---- what most kernels do: whole tiles of any rank

/// A tile's shape as a spec: one to three dimensions.
struct ShapeSpec {
  int a = 16, b = 0, c = 0;
  static void fields(auto &s, auto &&f) { f("a", s.a), f("b", s.b), f("c", s.c); }
  Shape shape() const { return c ? Shape{a, b, c} : b ? Shape{a, b} : Shape{a}; }
  std::string text() const {
    return c   ? std::to_string(a) + "x" + std::to_string(b) + "x" + std::to_string(c)
           : b ? std::to_string(a) + "x" + std::to_string(b)
               : std::to_string(a);
  }
  Dims dims() const { return c ? Dims{a, b, c} : b ? Dims{a, b} : Dims{a}; }
  /// A tensor out of which the tile hangs by a few elements in each dimension.
  Dims less() const {
    Dims d = dims();
    for (int i = 0; i < d.rank(); ++i) d[i] -= d[i] > 2 ? 1 + i : 0;
    return d;
  }
};
/// [n, d...].
inline Dims stacked(int64_t n, const Dims &d) {
  Dims r{n};
  for (int64_t s : d) r.push_back(s);
  return r;
}

/// Tile of shape `shape` at the view's beginning; what lies outside of the view is 0.
Tile whole(const View &x, Shape shape);
void store_whole(const View &x, const Tile &value);

} // namespace moec::ops
