// Arithmetic: the same bits at every x86-64 level, right roundings, integer operations that do not trap, libdevice.
#include "harness.h"

#include <bit>
#include <cmath>
#include <random>

using namespace moec;
using namespace moec::simtest;
using moec::sim::SimLaunch;

namespace {

/// A kernel that applies `body` (from %x, and %y, to %r) to n elements.
std::string elementwise(const std::string &in_type, const std::string &out_type, const std::string &body, const std::string &declarations = "") {
  return declarations + "\nllvm.func @k(%in: !llvm.ptr<1>, %in2: !llvm.ptr<1>, %out: !llvm.ptr<1>, %n: i32) attributes {nvvm.kernel} {\n"
         "  %tid = nvvm.read.ptx.sreg.tid.x : i32\n  %cta = nvvm.read.ptx.sreg.ctaid.x : i32\n  %ntid = nvvm.read.ptx.sreg.ntid.x : i32\n"
         "  %b = llvm.mul %cta, %ntid : i32\n  %i = llvm.add %b, %tid : i32\n  %go = llvm.icmp \"slt\" %i, %n : i32\n"
         "  llvm.cond_br %go, ^do, ^done\n^do:\n"
         "  %px = llvm.getelementptr %in[%i] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, " + in_type + "\n"
         "  %py = llvm.getelementptr %in2[%i] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, " + in_type + "\n"
         "  %x = llvm.load %px : !llvm.ptr<1> -> " + in_type + "\n  %y = llvm.load %py : !llvm.ptr<1> -> " + in_type + "\n" + body +
         "\n  %pr = llvm.getelementptr %out[%i] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, " + out_type + "\n"
         "  llvm.store %r, %pr : " + out_type + ", !llvm.ptr<1>\n  llvm.br ^done\n^done:\n  llvm.return\n}\n";
}

/// Whether two results are the same bits. Which payload a NaN has is not promised: it depends on the order of operands.
template <class T> bool same_bits(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    return memcmp(&a, &b, sizeof a) == 0 || (a != a && b != b);
  } else {
    return a == b;
  }
}

/// Runs it on every level that this CPU has; the bits must be the same on all, and are returned. `nan` says which 16-bit
/// patterns are NaNs, where results are halves that may be computed from two NaNs.
template <class In, class Out> std::vector<Out> on_all_levels(const std::string &text, std::vector<In> x, std::vector<In> y, bool (*nan)(Out) = nullptr) {
  std::vector<Out> first;
  for (const char *level : {"v2", "v3", "v4"}) {
    if (level[1] - '0' > static_cast<int>(sim::host_level())) continue;
    for (unsigned optimize : {0u, 1u}) {
      auto image = load(text, {.level = level, .optimize = optimize});
      std::vector<Out> out(x.size());
      Params params(x.data(), y.data(), out.data(), static_cast<int>(x.size()));
      auto findings = sim::launch(image, SimLaunch{.grid = {uint32_t((x.size() + 255) / 256), 1, 1}, .threads = 256, .params = params.data()});
      EXPECT_EQ(texts(findings), "");
      if (first.empty()) first = out;
      for (size_t i = 0; i < out.size(); ++i)
        if (!same_bits(first[i], out[i]) && !(nan && nan(first[i]) && nan(out[i]))) {
          ADD_FAILURE() << level << " differs from the lowest level at " << i;
          break;
        }
    }
  }
  return first;
}

/// Floats of all magnitudes, with subnormals, zeros, infinities and NaN.
std::vector<float> floats(uint32_t seed, size_t n = 40000) {
  std::mt19937 random(seed);
  std::vector<float> values(n);
  for (auto &v : values) {
    switch (random() % 4) {
    case 0: v = std::bit_cast<float>(static_cast<uint32_t>(random())); break;
    case 1: v = std::bit_cast<float>(static_cast<uint32_t>(random()) & 0x80ffffff); break;
    default: v = std::ldexp(static_cast<float>(static_cast<int32_t>(random())), static_cast<int>(random() % 40) - 50); break;
    }
  }
  const float special[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1.0f, -1.0f, 0x1p-149f, 0x1.fffffep127f, 65504.0f, 65520.0f};
  for (size_t i = 0; i < std::size(special); ++i) values[i] = special[(i + seed) % std::size(special)];
  return values;
}

bool same(float a, float b) { return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) || (a != a && b != b); }

uint16_t reference_bf16(float x) {
  uint32_t u = std::bit_cast<uint32_t>(x);
  if (x != x) return static_cast<uint16_t>(u >> 16 | 0x40);
  return static_cast<uint16_t>((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

TEST(SimMath, HalfConversionsRoundToNearestEven) {
  auto x = floats(1);
  auto bf16 = on_all_levels<float, uint16_t>(elementwise("f32", "bf16", "  %r = llvm.fptrunc %x : f32 to bf16"), x, x);
  for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(bf16[i], reference_bf16(x[i])) << x[i];
  auto f16 = on_all_levels<float, uint16_t>(elementwise("f32", "f16", "  %r = llvm.fptrunc %x : f32 to f16"), x, x);
  for (size_t i = 0; i < x.size(); ++i) {
    if (x[i] == x[i]) { ASSERT_EQ(f16[i], std::bit_cast<uint16_t>(static_cast<_Float16>(x[i]))) << x[i]; }
  }
  std::vector<uint16_t> all(65536);
  for (int i = 0; i < 65536; ++i) all[i] = static_cast<uint16_t>(i);
  auto wide = on_all_levels<uint16_t, float>(elementwise("f16", "f32", "  %r = llvm.fpext %x : f16 to f32"), all, all);
  for (int i = 0; i < 65536; ++i) ASSERT_TRUE(same(wide[i], static_cast<float>(std::bit_cast<_Float16>(all[i])))) << i;
  wide = on_all_levels<uint16_t, float>(elementwise("bf16", "f32", "  %r = llvm.fpext %x : bf16 to f32"), all, all);
  for (int i = 0; i < 65536; ++i) ASSERT_TRUE(same(wide[i], std::bit_cast<float>(uint32_t(all[i]) << 16))) << i;
}

TEST(SimMath, HalfArithmeticRoundsOnce) {
  std::vector<uint16_t> x(50000), y(50000);
  std::mt19937 random(3);
  for (auto &v : x) v = static_cast<uint16_t>(random());
  for (auto &v : y) v = static_cast<uint16_t>(random());
  auto nan_bf16 = [](uint16_t v) { return (v & 0x7fff) > 0x7f80; };
  auto nan_f16 = [](uint16_t v) { return (v & 0x7fff) > 0x7c00; };
  for (const char *op : {"fadd", "fmul", "fdiv"}) {
    auto result = on_all_levels<uint16_t, uint16_t>(elementwise("bf16", "bf16", std::string("  %r = llvm.") + op + " %x, %y : bf16"), x, y, nan_bf16);
    for (size_t i = 0; i < x.size(); ++i) {
      double a = std::bit_cast<float>(uint32_t(x[i]) << 16), b = std::bit_cast<float>(uint32_t(y[i]) << 16);
      float exact = static_cast<float>(op[1] == 'a' ? a + b : op[1] == 'm' ? a * b : a / b);
      if (exact == exact) { ASSERT_EQ(result[i], reference_bf16(exact)) << op << " " << a << " " << b; }
    }
    on_all_levels<uint16_t, uint16_t>(elementwise("f16", "f16", std::string("  %r = llvm.") + op + " %x, %y : f16"), x, y, nan_f16);
  }
  on_all_levels<uint16_t, uint16_t>(elementwise("f16", "f16", "  %r = llvm.intr.fma(%x, %y, %x) : (f16, f16, f16) -> f16"), x, y, nan_f16);
  on_all_levels<uint16_t, uint16_t>(elementwise("bf16", "bf16", "  %r = llvm.intr.fma(%x, %y, %x) : (bf16, bf16, bf16) -> bf16"), x, y, nan_bf16);
}

TEST(SimMath, FusedMultiplyAddIsExactWithoutTheInstruction) {
  auto x = floats(5), y = floats(6);
  auto result = on_all_levels<float, float>(elementwise("f32", "f32", "  %r = llvm.intr.fma(%x, %y, %x) : (f32, f32, f32) -> f32"), x, y);
  for (size_t i = 0; i < x.size(); ++i) ASSERT_TRUE(same(result[i], std::fma(x[i], y[i], x[i]))) << x[i] << " " << y[i];
  std::mt19937_64 random(7);
  std::vector<double> a(60000), b(60000);
  for (size_t i = 0; i < a.size(); ++i) {
    bool wild = i % 3 == 0;
    a[i] = wild ? std::bit_cast<double>(uint64_t(random())) : std::ldexp(double(int64_t(random())), int(random() % 120) - 60);
    b[i] = wild ? std::bit_cast<double>(uint64_t(random())) : -a[i] * (1 + std::ldexp(double(random() % 8), -52)) / (i % 5 + 1);
  }
  // x * y + y meets cancellation when x is near -1.
  for (size_t i = 0; i < a.size(); i += 7) a[i] = -1 + std::ldexp(double(random() % 64), -52);
  auto wide = on_all_levels<double, double>(elementwise("f64", "f64", "  %r = llvm.intr.fma(%x, %y, %y) : (f64, f64, f64) -> f64"), a, b);
  for (size_t i = 0; i < a.size(); ++i) {
    double want = std::fma(a[i], b[i], b[i]);
    ASSERT_TRUE(std::bit_cast<uint64_t>(want) == std::bit_cast<uint64_t>(wide[i]) || (want != want && wide[i] != wide[i])) << a[i] << " " << b[i];
  }
}

TEST(SimMath, IntegerDivisionDoesNotTrap) {
  std::vector<int> x = {7, -7, INT32_MIN, INT32_MIN, 5, 0, 100}, y = {2, 2, -1, 0, 0, 0, -3};
  EXPECT_EQ((on_all_levels<int, int>(elementwise("i32", "i32", "  %r = llvm.sdiv %x, %y : i32"), x, y)),
            (std::vector<int>{3, -3, INT32_MIN, -1, -1, -1, -33}));
  EXPECT_EQ((on_all_levels<int, int>(elementwise("i32", "i32", "  %r = llvm.srem %x, %y : i32"), x, y)),
            (std::vector<int>{1, -1, 0, INT32_MIN, 5, 0, 1}));
  EXPECT_EQ((on_all_levels<int, int>(elementwise("i32", "i32", "  %r = llvm.udiv %x, %y : i32"), x, y))[3], -1);
}

TEST(SimMath, FloatToIntegerSaturates) {
  std::vector<float> x = {1.9f, -1.9f, 3e9f, -3e9f, NAN, INFINITY, -INFINITY};
  EXPECT_EQ((on_all_levels<float, int>(elementwise("f32", "i32", "  %r = llvm.fptosi %x : f32 to i32"), x, x)),
            (std::vector<int>{1, -1, INT32_MAX, INT32_MIN, 0, INT32_MAX, INT32_MIN}));
}

struct Function {
  const char *name;
  double (*reference)(double);
  double low, high, ulps;
};

TEST(SimMath, LibdeviceIsAccurateAndEqualOnAllLevels) {
  const Function functions[] = {
      {"__nv_expf", std::exp, -80, 80, 2},    {"__nv_logf", std::log, 1e-30, 1e30, 2}, {"__nv_tanhf", std::tanh, -5, 5, 2.5},
      {"__nv_erff", std::erf, -4, 4, 3},      {"__nv_sinf", std::sin, -1e7, 1e7, 3},   {"__nv_exp2f", std::exp2, -100, 100, 2},
      {"__nv_log2f", std::log2, 1e-20, 1e20, 2}, {"__nv_sqrtf", std::sqrt, 0, 1e30, 0.5001}, {"__nv_rsqrtf", [](double v) { return 1 / std::sqrt(v); }, 1e-20, 1e20, 2},
  };
  const Function doubles[] = {{"__nv_exp", std::exp, -700, 700, 2}, {"__nv_log", std::log, 1e-300, 1e300, 2},
                              {"__nv_sin", std::sin, -1e15, 1e15, 3}, {"__nv_tanh", std::tanh, -5, 5, 3}, {"__nv_erf", std::erf, -4, 4, 3}};
  for (const Function &f : doubles) {
    std::mt19937 random(12);
    std::vector<double> x(4000);
    for (auto &v : x) v = std::uniform_real_distribution<double>(f.low, f.high)(random);
    std::string call = std::string("  %r = llvm.call @") + f.name + "(%x) : (f64) -> f64";
    auto result = on_all_levels<double, double>(elementwise("f64", "f64", call, std::string("llvm.func @") + f.name + "(f64) -> f64"), x, x);
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      double want = f.reference(x[i]);
      worst = std::max(worst, std::abs(result[i] - want) / std::ldexp(1.0, std::ilogb(want) - 52));
    }
    EXPECT_LE(worst, f.ulps) << f.name;
  }
  for (const Function &f : functions) {
    std::mt19937 random(11);
    std::vector<float> x(20000);
    for (auto &v : x) v = std::uniform_real_distribution<float>(static_cast<float>(f.low), static_cast<float>(f.high))(random);
    std::string call = std::string("  %r = llvm.call @") + f.name + "(%x) : (f32) -> f32";
    auto result = on_all_levels<float, float>(elementwise("f32", "f32", call, std::string("llvm.func @") + f.name + "(f32) -> f32"), x, x);
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      double want = f.reference(x[i]);
      double ulp = std::ldexp(1.0, std::max(std::ilogb(want), -126) - 23);
      worst = std::max(worst, std::abs(result[i] - want) / ulp);
    }
    EXPECT_LE(worst, f.ulps) << f.name;
  }
}

TEST(SimMath, ApproximateFunctions) {
  auto x = floats(9);
  auto ex2 = on_all_levels<float, float>(elementwise("f32", "f32", "  %r = llvm.call_intrinsic \"llvm.nvvm.ex2.approx.f32\"(%x) : (f32) -> f32"), x, x);
  for (size_t i = 0; i < x.size(); ++i) ASSERT_TRUE(same(ex2[i], static_cast<float>(std::exp2(static_cast<double>(x[i]))))) << x[i];
  auto lg2 = on_all_levels<float, float>(elementwise("f32", "f32", "  %r = llvm.call_intrinsic \"llvm.nvvm.lg2.approx.f\"(%x) : (f32) -> f32"), x, x);
  for (size_t i = 0; i < x.size(); ++i) ASSERT_TRUE(same(lg2[i], static_cast<float>(std::log2(static_cast<double>(x[i]))))) << x[i];
  on_all_levels<float, float>(elementwise("f32", "f32", "  %r = llvm.call_intrinsic \"llvm.nvvm.rcp.approx.ftz.f\"(%x) : (f32) -> f32"), x, x);
  on_all_levels<float, float>(elementwise("f32", "f32", "  %r = llvm.intr.maxnum(%x, %y) : (f32, f32) -> f32"), x, floats(10));
}

/// Every e4m3 value is a fixed point, and halfway values go to even.
TEST(SimMath, Fp8Conversions) {
  std::vector<float> x;
  for (int i = 0; i < 127; ++i) {
    int exponent = i >> 3, mantissa = i & 7;
    x.push_back(exponent ? std::ldexp(1.0f + static_cast<float>(mantissa) / 8, exponent - 7) : std::ldexp(static_cast<float>(mantissa), -9));
  }
  size_t exact = x.size();
  for (size_t i = 0; i + 1 < exact; ++i) x.push_back((x[i] + x[i + 1]) / 2);
  for (float v : {500.0f, 1e30f, INFINITY, NAN}) x.push_back(v);
  auto result = on_all_levels<float, uint16_t>(
      elementwise("f32", "i16", "  %r = nvvm.convert.f32x2.to.f8x2 %y, %x {rnd = #nvvm.fp_rnd_mode<rn>, sat = #nvvm.sat_mode<satfinite>} : i16 (f8E4M3FN)"), x, std::vector<float>(x.size()));
  for (size_t i = 0; i < exact; ++i) ASSERT_EQ(result[i], i);
  for (size_t i = 0; i + 1 < exact; ++i) ASSERT_EQ(result[exact + i], i % 2 ? i + 1 : i) << i;
  size_t last = x.size() - 4;
  EXPECT_EQ(std::vector<uint16_t>(result.begin() + last, result.end()), (std::vector<uint16_t>{0x7e, 0x7e, 0x7e, 0x7f}));
}

} // namespace
