// The grid, and recording a kernel function. Part of <moec/moec.h>.
#pragma once

#include "dsl/recording.h"
#include "dsl/value.h"
#include "dsl/view.h"

#include <string_view>
#include <tuple>
#include <utility>

namespace moec {

/// The spec of a kernel that has no constants.
struct NoSpec {
  static void fields(auto &, auto &&) {}
};

struct Persistent {};
/// As many programs as the device runs at once; the kernel loops over its work with program_id and num_programs.
constexpr Persistent persistent() { return {}; }

/// The launch's grid in programs: 1 to 3 extents, built from sizes, scalars and constants only; evaluated on the host
/// at launch. Once per kernel, at its top. The calling function's name is the kernel's.
void grid(const Operand &x, Where where = Where::current());
void grid(const Operand &x, const Operand &y, Where where = Where::current());
void grid(const Operand &x, const Operand &y, const Operand &z, Where where = Where::current());
void grid(Persistent, Where where = Where::current());
/// Names of the kernel's arguments (without the spec), for errors and the launch manifest: `arg_names({"x", "w",
/// "y"})`.
void arg_names(std::initializer_list<std::string_view> names, Where where = Where::current());

namespace rec {
/// What a kernel's C++ parameter is.
enum class Parameter : uint8_t { view, pointer, integer, floating, boolean, any };
template <class T> struct parameter_of {
  static_assert(sizeof(T) == 0,
                "a kernel's parameters are a const Spec &, then View, Pointer, Int, Float, Bool or Tile, by value");
};
template <> struct parameter_of<View> {
  static constexpr Parameter value = Parameter::view;
};
template <> struct parameter_of<Pointer> {
  static constexpr Parameter value = Parameter::pointer;
};
template <> struct parameter_of<Int> {
  static constexpr Parameter value = Parameter::integer;
};
template <> struct parameter_of<Float> {
  static constexpr Parameter value = Parameter::floating;
};
template <> struct parameter_of<Bool> {
  static constexpr Parameter value = Parameter::boolean;
};
template <> struct parameter_of<Tile> {
  static constexpr Parameter value = Parameter::any;
};

/// Hands the kernel its arguments while it is recorded.
class Arguments {
public:
  explicit Arguments(Recorder &recorder) : recorder_(recorder) {}
  template <class T> T get(int i) const {
    if constexpr (std::is_same_v<T, View>)
      return view(i);
    else if constexpr (std::is_same_v<T, Pointer>)
      return pointer(i);
    else
      return T(scalar(i));
  }

private:
  View view(int i) const;
  Pointer pointer(int i) const;
  Tile scalar(int i) const;
  Recorder &recorder_;
};
/// Records what `invoke(context, arguments)` does.
Recording record(std::string_view name, std::vector<ArgFacts> facts, const Parameter *parameters, int count,
                 void (*invoke)(const void *context, const Arguments &), const void *context);

template <class Spec, class... P> struct Invocation {
  void (*kernel)(const Spec &, P...);
  const Spec *spec;
  template <int... I> static void run(const void *context, const Arguments &a, std::integer_sequence<int, I...>) {
    auto &self = *static_cast<const Invocation *>(context);
    std::tuple<P...> args{a.get<P>(I)...}; // braces: in order
    std::apply([&](const P &...p) { self.kernel(*self.spec, p...); }, args);
  }
};
} // namespace rec

/// Records `kernel` for one specialization: `spec`, and what is known of each argument after it. `name` is the kernel's
/// name in the text and in errors; empty: the function that calls grid(). Thread-safe. Throws KernelError for a mistake
/// in the kernel and UserError if `facts` do not fit its parameters.
template <class Spec, class... P>
Recording record(void (*kernel)(const Spec &, P...), const Spec &spec, std::vector<ArgFacts> facts,
                 std::string_view name = {}) {
  rec::Invocation<Spec, P...> invocation{kernel, &spec};
  constexpr std::array<rec::Parameter, sizeof...(P)> parameters{rec::parameter_of<P>::value...};
  return rec::record(
      name, std::move(facts), parameters.data(), static_cast<int>(sizeof...(P)),
      [](const void *context, const rec::Arguments &a) {
        rec::Invocation<Spec, P...>::run(context, a, std::make_integer_sequence<int, static_cast<int>(sizeof...(P))>());
      },
      &invocation);
}

} // namespace moec
