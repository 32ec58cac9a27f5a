// A test kit for kernels: comparison with a host reference on the interpreter and the checked simulator, gradient
// checks, random schedules, memory traffic. Needs no test framework; reports convert to GoogleTest's AssertionResult by
// themselves. For <moec/testing.h>.
//
//   EXPECT_TRUE(moec::check(my_op, my_reference, {x, w}, {.tolerance = 1e-6}));
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/compare.h"
#include "runtime/device.h"
#include "runtime/hash_values.h"
#include "runtime/jit.h"
#include "runtime/simulator.h"
#include "runtime/tensor.h"

namespace moec {

// -- inputs: hash_uniform and hash_integers make them

/// A copy whose elements are at least `margin` away from each kink (a clamp's bound, say): nearer ones are moved out.
Tensor away_from(const Tensor &values, const std::vector<double> &kinks, double margin = 1e-3);

// -- results

/// What a check found. True if all is well; text() says what is wrong, or one line that nothing is.
class [[nodiscard]] Report {
public:
  bool ok() const { return problems.empty(); }
  explicit operator bool() const { return ok(); }
  std::string text() const;
  double max_error = 0; ///< by the check's metric
  std::vector<std::string> problems;
  std::string summary; ///< what was done

  /// testing::AssertionResult and its like: EXPECT_TRUE(report) prints the text.
  template <class Result>
    requires std::is_class_v<Result> && std::constructible_from<Result, bool> &&
             requires(Result result, std::string text) { result << text; }
  operator Result() const {
    Result result(ok());
    result << text();
    return result;
  }
};

using Tensors = std::vector<Tensor>;
/// What is tested: inputs on the stream's device or the host, outputs in any memory that the host can read or copy.
using TensorFunction = std::function<Tensors(const Stream &stream, const Tensors &inputs)>;
/// Plain host code that says what is right.
using ReferenceFunction = std::function<Tensors(const Tensors &inputs)>;
/// Gradients of each input (an undefined Tensor: it has none), from the gradients of each output and the inputs.
using BackwardFunction = std::function<Tensors(const Stream &stream, const Tensors &grads, const Tensors &inputs)>;

// -- checks. The overloads below take plain functions of tensors.

struct CheckOptions {
  /// Of |got - ref| / (|ref| + floor * max|ref|); 0: no element may differ.
  double tolerance = 0;
  double floor = 0.05;
  std::vector<Device> devices = {Device::interp(), Device::sim()};
  bool checked = true; ///< the simulated GPU watches every access and barrier
  int schedules = 2;   ///< random schedules of the simulated GPU that must give the same bits
};
/// Runs `function` on each device and compares each output with `reference`. Errors, findings of the checked simulator
/// included, are problems of the report.
Report check(const TensorFunction &function, const ReferenceFunction &reference, const Tensors &inputs,
             const CheckOptions &options);

/// Runs `function` in order and under `schedules` random schedules (seeds 1, 2, ...) of the simulated GPU: every output
/// has the same bits in all of them.
Report same_on_schedules(const TensorFunction &function, const Tensors &inputs, int schedules, bool checked);

struct GradcheckOptions {
  double max_error = 1e-6; ///< of |gradient - numeric| / (max(|gradient|, |numeric|) + floor * max|numeric|)
  double floor = 1e-3;
  double step = 1e-5;             ///< of the central difference, times max(1, |x|)
  int samples = 32;               ///< elements of each input that are tried
  std::vector<double> kinks = {}; ///< f64 inputs keep `margin` away from these values
  double margin = 1e-3;
  uint64_t seed = 1; ///< of the outputs' gradients and the choice of elements
  Device device = Device::sim();
};
/// Holds `backward` against central differences of `forward`, in f64: for random output gradients g and sampled
/// elements x_i of every f64 input, d(sum of g*y)/dx_i = (S(x_i + h) - S(x_i - h)) / 2h. Other inputs are passed on.
/// All outputs of `forward` are f64.
Report gradcheck(const TensorFunction &forward, const BackwardFunction &backward, const Tensors &inputs,
                 const GradcheckOptions &options);

struct TrafficReport {
  double ratio = 0; ///< 32-byte sectors moved / distinct sectors of inputs and outputs (simulator.h, SimTraffic)
  std::string text; ///< by kernel, and by input and output
};
/// Global memory traffic of one run on the simulated GPU.
TrafficReport measure_traffic(const TensorFunction &function, const Tensors &inputs);

// -- the same for functions whose parameters are single tensors: f(stream, x, w), reference(x, w), backward(stream, g,
// x, w), that return a Tensor, a vector of them, or a pair, tuple or array of them.

namespace detail {

inline Tensors as_tensors(Tensor tensor) { return {std::move(tensor)}; }
inline Tensors as_tensors(Tensors tensors) { return tensors; }
template <class... T>
  requires(std::same_as<T, Tensor> && ...)
Tensors as_tensors(std::tuple<T...> tensors) {
  return std::apply([](auto &...each) { return Tensors{each...}; }, tensors);
}
inline Tensors as_tensors(std::pair<Tensor, Tensor> tensors) { return {tensors.first, tensors.second}; }
template <size_t N> Tensors as_tensors(const std::array<Tensor, N> &tensors) {
  return {tensors.begin(), tensors.end()};
}
template <class T>
  requires(!std::convertible_to<T, Tensor> && !std::convertible_to<T, Tensors>)
Tensors as_tensors(const T &) {
  static_assert(sizeof(T) == 0, "a function under test returns a Tensor, or a pair, tuple, array or vector of them");
  return {};
}

/// f(first..., tensors[0], ..., tensors[N - 1]).
template <size_t N, class F, class... First> Tensors spread(F &f, const Tensors &tensors, First &&...first) {
  return [&]<size_t... I>(std::index_sequence<I...>) {
    constexpr bool fits = std::is_invocable_v<F &, First..., decltype(tensors[I])...>;
    static_assert(fits,
                  "the parameters must be: of what is tested (stream, inputs...), of a reference (inputs...), of a "
                  "backward function (stream, gradient of each output..., inputs...), each but the stream a "
                  "const Tensor &; a vector is one output here: return a pair, tuple or array of several");
    if constexpr (fits)
      return as_tensors(f(std::forward<First>(first)..., tensors[I]...));
    else
      return Tensors();
  }(std::make_index_sequence<N>());
}
template <size_t N, class F> TensorFunction tensor_function(F f) {
  return [f](const Stream &stream, const Tensors &inputs) { return spread<N>(f, inputs, stream); };
}

/// How many tensors f(stream, N tensors) returns.
template <class Result> constexpr size_t result_count = 1;
template <class... T> constexpr size_t result_count<std::tuple<T...>> = sizeof...(T);
template <> inline constexpr size_t result_count<std::pair<Tensor, Tensor>> = 2;
template <size_t N> constexpr size_t result_count<std::array<Tensor, N>> = N;

template <class F, size_t... I> auto result_type(F &f, std::index_sequence<I...>) {
  return std::type_identity<decltype(f(std::declval<const Stream &>(),
                                       (void(I), std::declval<const Tensor &>())...))>();
}

} // namespace detail

/// check(f, reference, {x, w}, {.tolerance = 1e-6}): f(stream, x, w) against reference(x, w).
template <class F, class R, size_t N>
Report check(F f, R reference, const Tensor (&inputs)[N], const CheckOptions &options = {}) {
  return check(
      detail::tensor_function<N>(std::move(f)),
      [reference](const Tensors &in) { return detail::spread<N>(reference, in); }, Tensors(inputs, inputs + N),
      options);
}

/// check(kernel, spec, reference, {x, w}, {y}): kernel(stream, spec, x, w, y) of views, with inputs first, against
/// reference(x, w). The outputs are examples of shape and dtype; the kernel must write them in full.
template <class Spec, class... P, class R, size_t N, size_t M>
  requires(sizeof...(P) == N + M)
Report check(const Kernel<Spec, P...> &kernel, const Spec &spec, R reference, const Tensor (&inputs)[N],
             const Tensor (&outputs)[M], const CheckOptions &options = {}) {
  Tensors examples(outputs, outputs + M);
  auto run = [=](const Stream &stream, const Tensors &in) {
    Tensors out;
    for (const Tensor &example : examples) {
      out.push_back(Tensor::empty(example.shape(), example.dtype(), stream.device()));
      stream.fill(out.back().data(), 0xff,
                  static_cast<size_t>(out.back().extent_bytes())); // NaN: what nobody wrote shows
    }
    [&]<size_t... I, size_t... J>(std::index_sequence<I...>, std::index_sequence<J...>) {
      kernel(stream, spec, in[I]..., out[J]...);
    }(std::make_index_sequence<N>(), std::make_index_sequence<M>());
    return out;
  };
  return check(
      run, [reference](const Tensors &in) { return detail::spread<N>(reference, in); }, Tensors(inputs, inputs + N),
      options);
}

/// same_on_schedules(f, {x, w}, 20).
template <class F, size_t N>
Report same_on_schedules(F f, const Tensor (&inputs)[N], int schedules = 20, bool checked = false) {
  return same_on_schedules(detail::tensor_function<N>(std::move(f)), Tensors(inputs, inputs + N), schedules, checked);
}

/// gradcheck(forward, backward, {x, w}): forward(stream, x, w), backward(stream, gradient of each output..., x, w).
template <class F, class B, size_t N>
Report gradcheck(F forward, B backward, const Tensor (&inputs)[N], const GradcheckOptions &options = {}) {
  using Result = typename decltype(detail::result_type(forward, std::make_index_sequence<N>()))::type;
  constexpr size_t M = detail::result_count<Result>;
  auto run_backward = [backward](const Stream &stream, const Tensors &grads, const Tensors &in) {
    Tensors all = grads;
    all.insert(all.end(), in.begin(), in.end());
    return detail::spread<M + N>(backward, all, stream);
  };
  return gradcheck(detail::tensor_function<N>(std::move(forward)), run_backward, Tensors(inputs, inputs + N), options);
}

/// measure_traffic(f, {x, w}).
template <class F, size_t N> TrafficReport measure_traffic(F f, const Tensor (&inputs)[N]) {
  return measure_traffic(detail::tensor_function<N>(std::move(f)), Tensors(inputs, inputs + N));
}

} // namespace moec
