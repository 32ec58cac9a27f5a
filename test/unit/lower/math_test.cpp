// Elementary functions on the simulator (libdevice and the approximate instructions) stay within their bounds of the
// interpreter's values.
#include "test/unit/error_bounds.h"
#include "test/unit/lower/assigned.h"

#include <cmath>
#include <gtest/gtest.h>

namespace moec::compiler {
namespace {

double valueAt(const Memory &m, size_t i) {
  uint64_t bits = m.bitsAt(i);
  if (m.element == "f64") {
    double v;
    std::memcpy(&v, &bits, 8);
    return v;
  }
  uint32_t word = m.element == "bf16" ? uint32_t(bits) << 16 : uint32_t(bits);
  if (m.element == "f16") {
    uint16_t half = uint16_t(bits);
    _Float16 h;
    std::memcpy(&h, &half, 2);
    return double(h);
  }
  float f;
  std::memcpy(&f, &word, 4);
  return f;
}

/// The distance of neighbouring numbers of the element type at v.
double ulp(const std::string &element, double v) {
  int mantissa = element == "f64"   ? 52
                 : element == "f32" ? 23
                 : element == "f16" ? 10
                                    : 7,
      least = element == "f64"   ? -1022
              : element == "f16" ? -14
                                 : -126;
  int exponent = v == 0 ? least : std::max(std::ilogb(v), least);
  return std::ldexp(1.0, exponent - mantissa);
}

/// The greatest error in ulps of the element type over inputs from `low` to `high`; negative if one side has no finite
/// value where the other does.
double worst(const std::string &op, const std::string &element, double low, double high) {
  constexpr int n = 1024;
  std::vector<Memory> expected{{element, n}, {element, n}};
  for (size_t i = 0; i < n; ++i) {
    double v = low + (high - low) * double(i) / (n - 1);
    float f = float(v);
    _Float16 h = _Float16(f);
    uint32_t word;
    std::memcpy(&word, &f, 4);
    word >>= element == "bf16" ? 16 : 0;
    const void *from = element == "f64" ? static_cast<void *>(&v) : element == "f16" ? static_cast<void *>(&h) : &word;
    size_t bytes = size_t(Memory::bytesOf(element));
    std::memcpy(expected[0].bytes.data() + i * bytes, from, bytes);
  }
  std::vector<Memory> got = expected;
  mlir::MLIRContext &context = threadContext();
  DiagnosticCollector collector(context);
  std::string text = tileKernel({element}, element, n, fmt::format("%r = {} %a0 : tensor<{}x{}>", op, n, element));
  auto module = parseSource(context, assignLayouts(text, 1), /*ordinal=*/false, collector);
  EXPECT_TRUE(module) << collector.text();
  EXPECT_EQ(interpretOn(*module, expected), "");
  EXPECT_EQ(lowerModule(*module, 1), "");
  EXPECT_EQ(simulateOn(*module, 1, got, 0), "");
  double most = 0;
  for (size_t i = 0; i < n; ++i) {
    double want = valueAt(expected[1], i), have = valueAt(got[1], i);
    if (std::isfinite(want) != std::isfinite(have)) return -1;
    if (std::isfinite(want)) most = std::max(most, std::fabs(want - have) / ulp(element, want));
  }
  return most;
}

struct Function {
  const char *op;
  double low, high;
};
void PrintTo(const Function &f, std::ostream *os) { *os << f.op; }

class MathBounds : public testing::TestWithParam<Function> {};

TEST_P(MathBounds, OfEveryDtype) {
  const Function &f = GetParam();
  for (const char *element : {"f32", "f64", "f16", "bf16"}) {
    double bound = error_bound(f.op).of(element) + (element == std::string("f64") ? 1 : 0.5); // the interpreter's part
    double error = worst(f.op, element, f.low, f.high);
    EXPECT_GE(error, 0) << element;
    EXPECT_LE(error, bound) << element;
  }
}

INSTANTIATE_TEST_SUITE_P(All, MathBounds,
                         testing::Values(Function{"math.exp", -20, 20}, Function{"math.exp2", -20, 20},
                                         Function{"math.expm1", -4, 4}, Function{"math.log", 0.001, 50},
                                         Function{"math.log2", 0.001, 50}, Function{"math.log1p", -0.5, 50},
                                         Function{"math.tanh", -6, 6}, Function{"math.erf", -4, 4},
                                         Function{"math.sin", -100, 100}, Function{"math.cos", -100, 100},
                                         Function{"math.sqrt", 0, 50}, Function{"math.rsqrt", 0.001, 50}),
                         [](auto &info) { return std::string(info.param.op).substr(5); });

TEST(MathBounds, Approximations) {
  double power = worst("tile.fast_exp2", "f32", -20, 20);
  EXPECT_GE(power, 0);
  EXPECT_LE(power, error_bound("tile.fast_exp2").f32 + 0.5);
  // Relative 2^-21 + |x| 2^-24: within 8 + |x| ulps.
  double error = worst("tile.sigmoid", "f32", -20, 20);
  EXPECT_GE(error, 0);
  EXPECT_LE(error, 28);
  EXPECT_LE(worst("tile.sigmoid", "f64", -20, 20), error_bound("tile.sigmoid").f64 + 1);
}

} // namespace
} // namespace moec::compiler
