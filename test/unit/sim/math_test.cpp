// Arithmetic: the same bits at every x86-64 level, right roundings, integer operations that do not trap, libdevice.
#include "harness.h"
#include "test/unit/error_bounds.h"

#include <bit>
#include <cmath>
#include <random>

using namespace moec;
using namespace moec::simtest;
using moec::sim::SimLaunch;

namespace {

/// A kernel that applies `body` (from %x, and %y, to %r) to n elements.
std::string elementwise(const std::string &in_type, const std::string &out_type, const std::string &body,
                        const std::string &declarations = "") {
  return declarations +
         "\nllvm.func @k(%in: !llvm.ptr<1>, %in2: !llvm.ptr<1>, %out: !llvm.ptr<1>, %n: i32) attributes {nvvm.kernel} "
         "{\n"
         "  %tid = nvvm.read.ptx.sreg.tid.x : i32\n  %cta = nvvm.read.ptx.sreg.ctaid.x : i32\n  %ntid = "
         "nvvm.read.ptx.sreg.ntid.x : i32\n"
         "  %b = llvm.mul %cta, %ntid : i32\n  %i = llvm.add %b, %tid : i32\n  %go = llvm.icmp \"slt\" %i, %n : i32\n"
         "  llvm.cond_br %go, ^do, ^done\n^do:\n"
         "  %px = llvm.getelementptr %in[%i] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, " +
         in_type +
         "\n"
         "  %py = llvm.getelementptr %in2[%i] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, " +
         in_type +
         "\n"
         "  %x = llvm.load %px : !llvm.ptr<1> -> " +
         in_type + "\n  %y = llvm.load %py : !llvm.ptr<1> -> " + in_type + "\n" + body +
         "\n  %pr = llvm.getelementptr %out[%i] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, " + out_type +
         "\n"
         "  llvm.store %r, %pr : " +
         out_type + ", !llvm.ptr<1>\n  llvm.br ^done\n^done:\n  llvm.return\n}\n";
}

/// Runs it on every level that this CPU has; the bits must be the same on all, and are returned.
template <class In, class Out>
std::vector<Out> on_all_levels(const std::string &text, std::vector<In> x, std::vector<In> y) {
  std::vector<Out> first;
  for (const char *level : {"v2", "v3", "v4"}) {
    if (level[1] - '0' > static_cast<int>(sim::host_level())) continue;
    for (unsigned optimize : {0u, 1u}) {
      auto image = load(text, {.level = level, .optimize = optimize});
      std::vector<Out> out(x.size());
      Params params(x.data(), y.data(), out.data(), static_cast<int>(x.size()));
      auto findings = sim::launch(
          image, SimLaunch{.grid = {uint32_t((x.size() + 255) / 256), 1, 1}, .threads = 256, .params = params.data()});
      EXPECT_EQ(texts(findings), "");
      if (first.empty()) first = out;
      for (size_t i = 0; i < out.size(); ++i)
        if (memcmp(&first[i], &out[i], sizeof(Out)) != 0) {
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
    default:
      v = std::ldexp(static_cast<float>(static_cast<int32_t>(random())), static_cast<int>(random() % 40) - 50);
      break;
    }
  }
  const float special[] = {0.0f,  -0.0f,     INFINITY,        -INFINITY, NAN,     1.0f,
                           -1.0f, 0x1p-149f, 0x1.fffffep127f, 65504.0f,  65520.0f};
  for (size_t i = 0; i < std::size(special); ++i) values[i] = special[(i + seed) % std::size(special)];
  return values;
}

/// A NaN of the host's as the one that arithmetic gives.
uint32_t canonical_bits(float v) { return v != v ? 0x7fffffff : std::bit_cast<uint32_t>(v); }
bool same(float got, float want) { return std::bit_cast<uint32_t>(got) == canonical_bits(want); }

uint16_t reference_bf16(float x) {
  uint32_t u = std::bit_cast<uint32_t>(x);
  if (x != x) return 0x7fff;
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
  for (int i = 0; i < 65536; ++i)
    ASSERT_EQ(std::bit_cast<uint32_t>(wide[i]), uint32_t(all[i]) << 16); // only moved, a NaN, too
}

TEST(SimMath, HalfArithmeticRoundsOnce) {
  std::vector<uint16_t> x(50000), y(50000);
  std::mt19937 random(3);
  for (auto &v : x) v = static_cast<uint16_t>(random());
  for (auto &v : y) v = static_cast<uint16_t>(random());
  for (const char *op : {"fadd", "fmul", "fdiv"}) {
    auto result = on_all_levels<uint16_t, uint16_t>(
        elementwise("bf16", "bf16", std::string("  %r = llvm.") + op + " %x, %y : bf16"), x, y);
    for (size_t i = 0; i < x.size(); ++i) {
      double a = std::bit_cast<float>(uint32_t(x[i]) << 16), b = std::bit_cast<float>(uint32_t(y[i]) << 16);
      float exact = static_cast<float>(op[1] == 'a' ? a + b : op[1] == 'm' ? a * b : a / b);
      ASSERT_EQ(result[i], reference_bf16(exact)) << op << " " << a << " " << b;
    }
    on_all_levels<uint16_t, uint16_t>(elementwise("f16", "f16", std::string("  %r = llvm.") + op + " %x, %y : f16"), x,
                                      y);
  }
  on_all_levels<uint16_t, uint16_t>(
      elementwise("f16", "f16", "  %r = llvm.intr.fma(%x, %y, %x) : (f16, f16, f16) -> f16"), x, y);
  on_all_levels<uint16_t, uint16_t>(
      elementwise("bf16", "bf16", "  %r = llvm.intr.fma(%x, %y, %x) : (bf16, bf16, bf16) -> bf16"), x, y);
}

TEST(SimMath, FusedMultiplyAddIsExactWithoutTheInstruction) {
  auto x = floats(5), y = floats(6);
  auto result = on_all_levels<float, float>(
      elementwise("f32", "f32", "  %r = llvm.intr.fma(%x, %y, %x) : (f32, f32, f32) -> f32"), x, y);
  for (size_t i = 0; i < x.size(); ++i) ASSERT_TRUE(same(result[i], std::fma(x[i], y[i], x[i]))) << x[i] << " " << y[i];
  std::mt19937_64 random(7);
  std::vector<double> a(60000), b(60000);
  for (size_t i = 0; i < a.size(); ++i) {
    bool wild = i % 3 == 0;
    a[i] = wild ? std::bit_cast<double>(uint64_t(random()))
                : std::ldexp(double(int64_t(random())), int(random() % 120) - 60);
    b[i] = wild ? std::bit_cast<double>(uint64_t(random()))
                : -a[i] * (1 + std::ldexp(double(random() % 8), -52)) / (i % 5 + 1);
  }
  // x * y + y meets cancellation when x is near -1.
  for (size_t i = 0; i < a.size(); i += 7) a[i] = -1 + std::ldexp(double(random() % 64), -52);
  auto wide = on_all_levels<double, double>(
      elementwise("f64", "f64", "  %r = llvm.intr.fma(%x, %y, %y) : (f64, f64, f64) -> f64"), a, b);
  for (size_t i = 0; i < a.size(); ++i) {
    double want = std::fma(a[i], b[i], b[i]);
    ASSERT_TRUE(std::bit_cast<uint64_t>(want) == std::bit_cast<uint64_t>(wide[i]) ||
                (want != want && wide[i] != wide[i]))
        << a[i] << " " << b[i];
  }
}

TEST(SimMath, IntegerDivisionDoesNotTrap) {
  std::vector<int> x = {7, -7, INT32_MIN, INT32_MIN, 5, 0, 100}, y = {2, 2, -1, 0, 0, 0, -3};
  EXPECT_EQ((on_all_levels<int, int>(elementwise("i32", "i32", "  %r = llvm.sdiv %x, %y : i32"), x, y)),
            (std::vector<int>{3, -3, INT32_MIN, -1, -1, -1, -33}));
  EXPECT_EQ((on_all_levels<int, int>(elementwise("i32", "i32", "  %r = llvm.srem %x, %y : i32"), x, y)),
            (std::vector<int>{1, -1, 0, -1, -1, -1, 1}));
  EXPECT_EQ((on_all_levels<int, int>(elementwise("i32", "i32", "  %r = llvm.udiv %x, %y : i32"), x, y))[3], -1);
  // Of 64 bits ptxas divides only the low 32 where both operands have no others.
  std::vector<int64_t> n = {7, -7, INT64_MIN, INT64_MIN, 1ll << 32, (1ll << 32) - 1, 0, -1},
                       d = {2, 2, -1, 0, 0, 0, 0, 0};
  const int64_t low = 0xffffffff;
  EXPECT_EQ((on_all_levels<int64_t, int64_t>(elementwise("i64", "i64", "  %r = llvm.sdiv %x, %y : i64"), n, d)),
            (std::vector<int64_t>{3, -3, INT64_MIN, -1, -1, low, low, -1}));
  EXPECT_EQ((on_all_levels<int64_t, int64_t>(elementwise("i64", "i64", "  %r = llvm.urem %x, %y : i64"), n, d)),
            (std::vector<int64_t>{1, 1, INT64_MIN, -1, -1, low, low, -1}));
}

/// Values of which many are NaNs with payloads of their own.
template <class T, class Bits> std::vector<T> nans_among(uint32_t seed, Bits exponent) {
  std::mt19937_64 random(seed);
  std::vector<T> v(4000);
  for (size_t i = 0; i < v.size(); ++i) v[i] = std::bit_cast<T>(static_cast<Bits>(random()) | (i % 2 ? exponent : 0));
  return v;
}

TEST(SimMath, ArithmeticGivesTheCanonicalNan) {
  auto x = nans_among<float, uint32_t>(1, 0x7f800000), y = nans_among<float, uint32_t>(2, 0x7f800000);
  const struct {
    const char *body;
    float (*f)(float, float);
  } cases[] = {
      {"  %r = llvm.fadd %x, %y : f32", [](float a, float b) { return a + b; }},
      {"  %r = llvm.fdiv %x, %y : f32", [](float a, float b) { return a / b; }},
      {"  %r = llvm.intr.fma(%x, %y, %y) : (f32, f32, f32) -> f32", [](float a, float b) { return std::fma(a, b, b); }},
      {"  %r = llvm.intr.floor(%x) : (f32) -> f32", [](float a, float) { return std::floor(a); }},
      {"  %r = llvm.intr.sqrt(%x) : (f32) -> f32", [](float a, float) { return std::sqrt(a); }},
      // What only feeds arithmetic needs no care; what is selected does.
      {"  %s = llvm.fadd %x, %y : f32\n  %r = llvm.fmul %s, %s : f32",
       [](float a, float b) { return (a + b) * (a + b); }},
      {"  %s = llvm.fmul %x, %y : f32\n  %p = llvm.fcmp \"olt\" %x, %y : f32\n  %r = llvm.select %p, %y, %s : i1, f32",
       [](float a, float b) { return a < b ? b : a * b; }}};
  for (const auto &c : cases) {
    auto r = on_all_levels<float, float>(elementwise("f32", "f32", c.body), x, y);
    for (size_t i = 0; i < x.size(); ++i)
      ASSERT_TRUE(same(r[i], c.f(x[i], y[i]))) << c.body << " " << x[i] << " " << y[i];
  }
  auto dx = nans_among<double, uint64_t>(3, 0x7ff0000000000000),
       dy = nans_among<double, uint64_t>(4, 0x7ff0000000000000);
  auto product = on_all_levels<double, double>(elementwise("f64", "f64", "  %r = llvm.fmul %x, %y : f64"), dx, dy);
  for (size_t i = 0; i < dx.size(); ++i) {
    double want = dx[i] * dy[i];
    ASSERT_EQ(std::bit_cast<uint64_t>(product[i]), want != want ? 0x7fffffffffffffff : std::bit_cast<uint64_t>(want));
  }
  auto narrowed =
      on_all_levels<double, float>(elementwise("f64", "f32", "  %r = llvm.fptrunc %x : f64 to f32"), dx, dy);
  for (size_t i = 0; i < dx.size(); ++i) ASSERT_TRUE(same(narrowed[i], static_cast<float>(dx[i])));
}

TEST(SimMath, MovesKeepANansBits) {
  auto x = nans_among<float, uint32_t>(5, 0x7f800000), y = nans_among<float, uint32_t>(6, 0x7f800000);
  auto bits = [](float v) { return std::bit_cast<uint32_t>(v); };
  auto r = on_all_levels<float, float>(
      elementwise("f32", "f32", "  %p = llvm.fcmp \"uno\" %x, %y : f32\n  %r = llvm.select %p, %x, %y : i1, f32"), x,
      y);
  for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(bits(r[i]), bits(x[i] != x[i] || y[i] != y[i] ? x[i] : y[i]));
  r = on_all_levels<float, float>(elementwise("f32", "f32", "  %r = llvm.fneg %x : f32"), x, y);
  for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(bits(r[i]), bits(x[i]) ^ 0x80000000);
}

TEST(SimMath, FloatToIntegerSaturates) {
  std::vector<float> x = {1.9f, -1.9f, 3e9f, -3e9f, NAN, INFINITY, -INFINITY};
  EXPECT_EQ((on_all_levels<float, int>(elementwise("f32", "i32", "  %r = llvm.fptosi %x : f32 to i32"), x, x)),
            (std::vector<int>{1, -1, INT32_MAX, INT32_MIN, 0, INT32_MAX, INT32_MIN}));
}

struct Function {
  const char *name; ///< in libdevice __nv_name for f64, __nv_namef for f32; in the table of bounds math.name
  double (*reference)(double);
  double low, high;
};

/// The greatest error of libdevice's code in units of the last place, over `n` arguments; all levels give the same
/// bits.
template <class T> double worst_error(const Function &f, const std::string &symbol, size_t n) {
  const std::string type = sizeof(T) == 8 ? "f64" : "f32";
  const int mantissa = std::numeric_limits<T>::digits - 1, least = std::numeric_limits<T>::min_exponent - 1;
  std::mt19937 random(11);
  std::vector<T> x(n);
  for (auto &v : x) v = std::uniform_real_distribution<T>(static_cast<T>(f.low), static_cast<T>(f.high))(random);
  std::string call = "  %r = llvm.call @" + symbol + "(%x) : (" + type + ") -> " + type;
  auto result =
      on_all_levels<T, T>(elementwise(type, type, call, "llvm.func @" + symbol + "(" + type + ") -> " + type), x, x);
  double worst = 0;
  for (size_t i = 0; i < n; ++i) {
    double want = f.reference(x[i]);
    worst = std::max(worst, std::abs(result[i] - want) / std::ldexp(1.0, std::max(std::ilogb(want), least) - mantissa));
  }
  return worst;
}

TEST(SimMath, LibdeviceIsAccurateAndEqualOnAllLevels) {
  const auto rsqrt = [](double v) { return 1 / std::sqrt(v); };
  const Function floats[] = {
      {"exp", std::exp, -80, 80},       {"log", std::log, 1e-30, 1e30}, {"tanh", std::tanh, -5, 5},
      {"erf", std::erf, -4, 4},         {"sin", std::sin, -1e7, 1e7},   {"exp2", std::exp2, -100, 100},
      {"log2", std::log2, 1e-20, 1e20}, {"sqrt", std::sqrt, 0, 1e30},   {"rsqrt", rsqrt, 1e-20, 1e20}};
  const Function doubles[] = {{"exp", std::exp, -700, 700},
                              {"log", std::log, 1e-300, 1e300},
                              {"sin", std::sin, -1e15, 1e15},
                              {"tanh", std::tanh, -5, 5},
                              {"erf", std::erf, -4, 4}};
  // The host's own functions are within a unit of f64, which of f32 is next to nothing.
  for (const Function &f : doubles)
    EXPECT_LE(worst_error<double>(f, std::string("__nv_") + f.name, 4000),
              error_bound(std::string("math.") + f.name).f64 + 1)
        << f.name;
  for (const Function &f : floats)
    EXPECT_LE(worst_error<float>(f, std::string("__nv_") + f.name + "f", 20000),
              std::max(0.5, error_bound(std::string("math.") + f.name).f32) + 1e-6)
        << f.name;
}

TEST(SimMath, ApproximateFunctions) {
  auto x = floats(9);
  auto ex2 = on_all_levels<float, float>(
      elementwise("f32", "f32", "  %r = llvm.call_intrinsic \"llvm.nvvm.ex2.approx.f32\"(%x) : (f32) -> f32"), x, x);
  for (size_t i = 0; i < x.size(); ++i)
    ASSERT_TRUE(same(ex2[i], static_cast<float>(std::exp2(static_cast<double>(x[i]))))) << x[i];
  auto lg2 = on_all_levels<float, float>(
      elementwise("f32", "f32", "  %r = llvm.call_intrinsic \"llvm.nvvm.lg2.approx.f\"(%x) : (f32) -> f32"), x, x);
  for (size_t i = 0; i < x.size(); ++i)
    ASSERT_TRUE(same(lg2[i], static_cast<float>(std::log2(static_cast<double>(x[i]))))) << x[i];
  on_all_levels<float, float>(
      elementwise("f32", "f32", "  %r = llvm.call_intrinsic \"llvm.nvvm.rcp.approx.ftz.f\"(%x) : (f32) -> f32"), x, x);
  on_all_levels<float, float>(elementwise("f32", "f32", "  %r = llvm.intr.maxnum(%x, %y) : (f32, f32) -> f32"), x,
                              floats(10));
}

/// Every e4m3 value is a fixed point, and halfway values go to even.
TEST(SimMath, Fp8Conversions) {
  std::vector<float> x;
  for (int i = 0; i < 127; ++i) {
    int exponent = i >> 3, mantissa = i & 7;
    x.push_back(exponent ? std::ldexp(1.0f + static_cast<float>(mantissa) / 8, exponent - 7)
                         : std::ldexp(static_cast<float>(mantissa), -9));
  }
  size_t exact = x.size();
  for (size_t i = 0; i + 1 < exact; ++i) x.push_back((x[i] + x[i + 1]) / 2);
  for (float v : {500.0f, 1e30f, INFINITY, NAN}) x.push_back(v);
  auto result = on_all_levels<float, uint16_t>(
      elementwise("f32", "i16",
                  "  %r = nvvm.convert.f32x2.to.f8x2 %y, %x {rnd = #nvvm.fp_rnd_mode<rn>, sat = "
                  "#nvvm.sat_mode<satfinite>} : i16 (f8E4M3FN)"),
      x, std::vector<float>(x.size()));
  for (size_t i = 0; i < exact; ++i) ASSERT_EQ(result[i], i);
  for (size_t i = 0; i + 1 < exact; ++i) ASSERT_EQ(result[exact + i], i % 2 ? i + 1 : i) << i;
  size_t last = x.size() - 4;
  EXPECT_EQ(std::vector<uint16_t>(result.begin() + last, result.end()),
            (std::vector<uint16_t>{0x7e, 0x7e, 0x7e, 0x7f}));
}

} // namespace
