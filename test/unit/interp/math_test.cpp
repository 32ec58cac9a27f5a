// Elementary functions: exact ones exactly, the others to a unit in the last place of long double's answer, and their
// special cases.
#include "test/unit/interp/dtype.h"

using namespace moec;

namespace {

constexpr size_t n = 2048;

struct Function {
  const char *op;
  long double (*f)(long double);
  int ulps; ///< how far the interpreter may be off, in units of the result's last place
};

const Function kFunctions[] = {
    {"math.exp", std::exp, 1},
    {"math.exp2", std::exp2, 1},
    {"math.expm1", std::expm1, 1},
    {"math.log", std::log, 1},
    {"math.log2", std::log2, 1},
    {"math.log1p", std::log1p, 1},
    {"math.sqrt", [](long double x) -> long double { return std::sqrt(static_cast<double>(x)); }, 0},
    {"math.rsqrt", [](long double x) -> long double { return 1 / std::sqrt(x); }, 1},
    {"math.tanh", std::tanh, 1},
    {"math.erf", std::erf, 1},
    {"math.sin", std::sin, 1},
    {"math.cos", std::cos, 1},
    {"math.floor", std::floor, 0},
    {"math.ceil", std::ceil, 0},
    {"math.trunc", std::trunc, 0},
    {"math.round", std::round, 0},
    {"math.roundeven",
     [](long double x) -> long double { return std::isinf(x) ? x : std::copysign(x - std::remainder(x, 1.0L), x); }, 0},
    {"math.absf", [](long double x) -> long double { return std::fabs(x); }, 0},
};

uint64_t round_to(const Dtype &t, long double x) {
  return t.width == 64 ? std::bit_cast<uint64_t>(static_cast<double>(x)) : t.nearest(x);
}

/// Distance of two floats in encodings, which order as sign and magnitude.
int64_t distance(const Dtype &t, uint64_t a, uint64_t b) {
  auto line = [&](uint64_t bits) {
    int64_t magnitude = static_cast<int64_t>(bits & t.mask() >> 1);
    return bits >> (t.width - 1) ? -magnitude : magnitude;
  };
  return std::abs(line(a) - line(b));
}

/// Random bits, and numbers of everyday size.
Words arguments(const Dtype &t, uint64_t seed) {
  Words words = samples(t, n, seed);
  std::mt19937_64 random(seed + 1);
  for (size_t i = n / 2; i < n; ++i) words[i] = round_to(t, std::ldexp(double(int64_t(random()) >> 11), -49));
  return words;
}

void expect_function(const Function &function, const Dtype &t) {
  Words x = arguments(t, 41);
  Words r = apply(std::string("%r = ") + function.op +
                      (std::string(function.op).starts_with("tile") ? " %0 : " : " %0 : ") + tile_type(t, n),
                  {{t, x}}, t);
  for (size_t i = 0; i < n; ++i) {
    long double value = function.f(t.number(x[i]));
    uint64_t e = round_to(t, value);
    ASSERT_EQ(std::isnan(t.number(r[i])), std::isnan(value))
        << function.op << " " << t.name << " of " << t.number(x[i]);
    if (std::isnan(value)) continue;
    ASSERT_LE(distance(t, r[i], e), function.ulps) << function.op << " " << t.name << " of " << t.number(x[i]) << ": "
                                                   << t.number(r[i]) << ", not " << t.number(e);
  }
}

TEST(math, every_function_in_every_dtype) {
  for (const Dtype &t : floats)
    for (const Function &function : kFunctions) expect_function(function, t);
}

TEST(math, sigmoid_by_its_formula) {
  Function sigmoid = {"tile.sigmoid", [](long double x) -> long double { return 1 / (1 + std::exp(-x)); }, 1};
  expect_function(sigmoid, f32);
  expect_function(sigmoid, f64);
}

TEST(math, fast_exp2_flushes_denormals) {
  expect_function({"tile.fast_exp2", [](long double x) -> long double { return x < -126 ? 0 : std::exp2(x); }, 1}, f32);
}

TEST(math, fast_div) {
  Words a = samples(f32, n, 43), b = samples(f32, n, 44),
        r = apply("%r = tile.fast_div %0, %1 : " + tile_type(f32, n), {{f32, a}, {f32, b}}, f32);
  for (size_t i = 0; i < n; ++i)
    ASSERT_TRUE(
        same(f32, r[i],
             std::bit_cast<uint32_t>(static_cast<float>(f32.number(a[i])) / static_cast<float>(f32.number(b[i])))));
}

TEST(math, known_values) {
  auto at = [](const char *op, float x) {
    return f32.number(
        apply(std::string("%r = ") + op + " %0 : tensor<1xf32>", {{f32, {std::bit_cast<uint32_t>(x)}}}, f32)[0]);
  };
  EXPECT_EQ(at("math.exp", 0), 1);
  EXPECT_EQ(at("math.exp", -INFINITY), 0);
  EXPECT_EQ(at("math.exp", 89), INFINITY);
  EXPECT_EQ(at("math.exp", 1), 0x1.5bf0a8p+1);
  EXPECT_EQ(at("math.exp2", -149), 0x1p-149);
  EXPECT_EQ(at("math.log", 0), -INFINITY);
  EXPECT_TRUE(std::isnan(at("math.log", -1)));
  EXPECT_EQ(at("math.log2", 0x1p-149f), -149);
  EXPECT_EQ(at("math.sqrt", 2), 0x1.6a09e6p+0);
  EXPECT_TRUE(std::signbit(at("math.sqrt", -0.0f)));
  EXPECT_EQ(at("math.rsqrt", 4), 0.5);
  EXPECT_EQ(at("math.rsqrt", 0), INFINITY);
  EXPECT_EQ(at("math.tanh", 100), 1);
  EXPECT_EQ(at("math.erf", 0.5f), 0x1.0a7ef6p-1);
  EXPECT_EQ(at("tile.sigmoid", 0), 0.5);
  EXPECT_EQ(at("tile.fast_exp2", -140), 0);
  EXPECT_EQ(at("tile.fast_exp2", 3), 8);
}

TEST(math, fma_rounds_once_in_every_dtype) {
  for (const Dtype &t : {f16, bf16, f32, f64, e4m3, e5m2}) {
    std::string type = tile_type(t, n);
    Words a = samples(t, n, 45), b = samples(t, n, 46), c = samples(t, n, 47);
    // In half of the cases c nearly cancels the product, where a second rounding would show.
    for (size_t i = 0; i < n; i += 2)
      if (t.width != 64)
        c[i] = t.nearest(-static_cast<long double>(t.number(a[i])) * t.number(b[i]));
      else
        c[i] = std::bit_cast<uint64_t>(-(t.number(a[i]) * t.number(b[i])));
    Words r = apply("%r = math.fma %0, %1, %2 : " + type, {{t, a}, {t, b}, {t, c}}, t);
    for (size_t i = 0; i < n; ++i) {
      double x = t.number(a[i]), y = t.number(b[i]), z = t.number(c[i]);
      uint64_t e;
      if (t.width == 64)
        e = std::bit_cast<uint64_t>(std::fma(x, y, z));
      else if (t.width == 32)
        e = std::bit_cast<uint32_t>(std::fma(float(x), float(y), float(z)));
      else {
        // x*y is exact in f64. Rounding its sum with z to odd in f64 keeps the second rounding innocent.
        double p = x * y, s = p + z, other = s - p, error = (p - (s - other)) + (z - other);
        if (std::isfinite(s) && error != 0 && !(std::bit_cast<uint64_t>(s) & 1))
          s = std::nextafter(s, error > 0 ? INFINITY : -INFINITY);
        e = t.nearest(s);
      }
      ASSERT_TRUE(same(t, r[i], e)) << t.name << " " << x << " * " << y << " + " << z << " gives " << t.number(r[i])
                                    << ", not " << t.number(e);
    }
  }
}

TEST(math, integers) {
  for (const Dtype &t : integers) {
    Words x = samples(t, n, 48);
    std::string type = tile_type(t, n);
    Words abs = apply("%r = math.absi %0 : " + type, {{t, x}}, t),
          bits = apply("%r = math.ctpop %0 : " + type, {{t, x}}, t);
    Words left = apply("%r = math.ctlz %0 : " + type, {{t, x}}, t),
          right = apply("%r = math.cttz %0 : " + type, {{t, x}}, t);
    for (size_t i = 0; i < n; ++i) {
      ASSERT_EQ(abs[i], (t.signed_of(x[i]) < 0 ? 0 - x[i] : x[i]) & t.mask());
      uint64_t count = 0, leading = 0, trailing = 0;
      for (int b = 0; b < t.width; ++b) count += x[i] >> b & 1;
      while (leading < uint64_t(t.width) && !(x[i] >> (t.width - 1 - leading) & 1)) ++leading;
      while (trailing < uint64_t(t.width) && !(x[i] >> trailing & 1)) ++trailing;
      ASSERT_EQ(bits[i], count);
      ASSERT_EQ(left[i], leading);
      ASSERT_EQ(right[i], trailing);
    }
  }
}

TEST(math, two_arguments) {
  Words a = arguments(f32, 49), b = arguments(f32, 50);
  std::string type = tile_type(f32, n);
  Words sign = apply("%r = math.copysign %0, %1 : " + type, {{f32, a}, {f32, b}}, f32);
  Words power = apply("%r = math.powf %0, %1 : " + type, {{f32, a}, {f32, b}}, f32);
  for (size_t i = 0; i < n; ++i) {
    if (!std::isnan(f32.number(a[i]))) ASSERT_EQ(sign[i], (a[i] & 0x7fffffff) | (b[i] & 0x80000000));
    long double e = std::pow(static_cast<long double>(f32.number(a[i])), static_cast<long double>(f32.number(b[i])));
    if (std::isnan(e))
      ASSERT_TRUE(std::isnan(f32.number(power[i])));
    else
      ASSERT_LE(distance(f32, power[i], f32.nearest(e)), 1);
  }
}

} // namespace
