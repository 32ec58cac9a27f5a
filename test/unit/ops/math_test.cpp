// Elementary functions: the simulator's results within the dialect's bounds of the interpreter's, special values
// exactly.
#include "test/unit/error_bounds.h"
#include "test/unit/ops/differential.h"

#include <fmt/format.h>

#include <cmath>

namespace moec::ops {
namespace {

/// Distance of neighbouring numbers of a dtype at v.
double ulp(DType t, double v) {
  const int mantissa = t == f64   ? 52
                       : t == f32 ? 23
                       : t == f16 ? 10
                                  : 7,
            least = t == f64   ? -1022
                    : t == f16 ? -14
                               : -126;
  return std::ldexp(1.0, (v == 0 ? least : std::max(std::ilogb(v), least)) - mantissa);
}

struct Function {
  const char *name;
  Tile (*f)(const Operand &);
  double low, high; ///< of the arguments that are not special
};
const Function kFunctions[] = {{"exp", exp, -95, 89},       {"exp2", exp2, -140, 128},   {"log", log, 1e-30, 1e30},
                               {"log2", log2, 1e-30, 1e30}, {"sqrt", sqrt, 1e-30, 1e30}, {"rsqrt", rsqrt, 1e-30, 1e30},
                               {"tanh", tanh, -8, 8},       {"erf", erf, -4, 4}};
constexpr int kCount = static_cast<int>(std::size(kFunctions));

struct FunctionSpec {
  int function = 0;
  static void fields(auto &s, auto &&f) { f("function", s.function); }
};
void apply(const FunctionSpec &s, View x, View y) {
  grid(cdiv(x.size(0), 512));
  Tile i = program_id(0) * 512 + arange(512);
  store(y(i), kFunctions[s.function].f(load(x(i))));
}

/// Half specials, half from low to high; positive ranges in even steps of the logarithm.
Argument arguments(DType t, double low, double high) {
  constexpr int64_t n = 3000;
  Argument a = special(t, {n}, 9);
  std::vector<double> v;
  for (int i = 0; i < n; ++i)
    v.push_back(low > 0 ? low * std::pow(high / low, i / (n - 1.0)) : low + (high - low) * i / (n - 1.0));
  Argument range = from(t, {n}, v);
  for (int64_t i = 0; i < n; i += 2) a.set(i, range.bits(i));
  return a;
}

/// An output that may be as far from the interpreter's as both may be from the exact result; the interpreter is within
/// half a unit, of f64 within one.
Argument bounded(DType t, const char *op) {
  const double bound = error_bound(op).of(std::string(name(t)));
  Argument y = output(t, {3000}, bound == 0 ? Compare::bits : Compare::bounded);
  y.tolerance = [=](double want, size_t) { return (bound + (t == f64 ? 1 : 0.5)) * ulp(t, want); };
  return y;
}

TEST(Math, WithinBounds) {
  std::vector<Case> cases;
  for (DType t : kFloats)
    for (int k = 0; k < kCount; ++k) {
      const Function &f = kFunctions[k];
      cases.push_back({fmt::format("{} of {}", f.name, name(t)),
                       apply,
                       FunctionSpec{k},
                       {arguments(t, f.low, f.high), bounded(t, fmt::format("math.{}", f.name).c_str())},
                       warps({k % 2 ? 2 : 8})});
    }
  check(cases);
}

void approximations(const NoSpec &, View x, View y, View sigmoids, View powers, View quotients) {
  grid(cdiv(x.size(0), 256));
  Tile i = program_id(0) * 256 + arange(256), v = load(x(i));
  store(sigmoids(i), sigmoid(v));
  store(powers(i), fast_exp2(v));
  store(quotients(i), fast_div(v, load(y(i))));
}

TEST(Math, Approximations) {
  constexpr int64_t n = 3000;
  Argument x = arguments(f32, -100, 100), y = numbers(f32, {n}, 3), sigmoids = output(f32, {n}, Compare::bounded);
  Argument powers = bounded(f32, "tile.fast_exp2"), quotients = bounded(f32, "tile.fast_div");
  auto at = [x](size_t i) { return number(f32, x.bits(static_cast<int64_t>(i))); };
  // The bound in tile.sigmoid's description; results below 2^-126 may flush to 0.
  sigmoids.tolerance = [=](double want, size_t i) {
    return std::fabs(want) * (0x1p-21 + std::fabs(at(i)) * 0x1p-24) + (want < 0x1p-126 ? want : 0);
  };
  check({{"approximations", approximations, NoSpec{}, {x, y, sigmoids, powers, quotients}, warps({1, 4})}});
}

void accurate_sigmoid(const NoSpec &, View x, View y) {
  grid(cdiv(x.size(0), 256));
  Tile i = program_id(0) * 256 + arange(256);
  store(y(i), sigmoid(load(x(i))));
}

TEST(Math, SigmoidOfF64) {
  check({{"sigmoid of f64",
          accurate_sigmoid,
          NoSpec{},
          {arguments(f64, -40, 40), bounded(f64, "tile.sigmoid")},
          warps({1, 4})}});
}

} // namespace
} // namespace moec::ops
