// tile.cast between every two dtypes, and arith's conversions.
#include "test/unit/interp/dtype.h"

using namespace moec;

namespace {

constexpr size_t n = 1024;
using Wide = __int128;

/// What ODS says of tile.cast, spelt out on values.
uint64_t cast_of(const Dtype &from, const Dtype &to, uint64_t bits, bool unsigned_input, bool unsigned_result) {
  bool boolean = from.width == 1;
  if (to.width == 1) return from.is_float() ? !(from.number(bits) == 0) : bits != 0;
  if (!from.is_float()) {
    Wide value = unsigned_input || boolean ? Wide(bits) : Wide(from.signed_of(bits));
    if (!to.is_float()) return static_cast<uint64_t>(value) & to.mask();
    if (to.width == 64) return std::bit_cast<uint64_t>(static_cast<double>(value));
    return to.nearest(static_cast<long double>(value), to.width == 8); // 64 bits of integer are exact in long double
  }
  double value = from.number(bits);
  if (to.is_float()) {
    if (to.width == 64) return std::bit_cast<uint64_t>(value);
    return to.nearest(value, to.width == 8);
  }
  if (std::isnan(value)) return 0;
  Wide least = unsigned_result ? 0 : -(Wide(1) << (to.width - 1)),
       most = (Wide(1) << (to.width - !unsigned_result)) - 1;
  long double whole = std::trunc(static_cast<long double>(value));
  if (whole <= static_cast<long double>(least)) return static_cast<uint64_t>(least) & to.mask();
  if (whole >= static_cast<long double>(most)) return static_cast<uint64_t>(most) & to.mask();
  return static_cast<uint64_t>(static_cast<Wide>(whole)) & to.mask();
}

Words cast_samples(const Dtype &from, const Dtype &to) {
  Words words = samples(from, n, 31);
  if (!from.is_float() || from.width < 16) return words;
  // Numbers in the target's range, with ties and their neighbours, in the second half.
  std::mt19937_64 random(32);
  for (size_t i = n / 2; i < n; ++i) {
    double value = to.is_float() ? to.number(random() & to.mask() >> 1)
                                 : std::ldexp(double(random() >> 11), int(random() % 70) - 60);
    if (std::isnan(value) || std::isinf(value)) value = 1.5;
    if (to.is_float() && to.width < from.width)
      value *= 1 + std::ldexp(1.0, -to.mantissa_bits - 1); // between two numbers of the target
    words[i] =
        from.width == 64 ? std::bit_cast<uint64_t>(i & 1 ? value : -value) : from.nearest(i & 1 ? value : -value);
    if (i % 3 == 0) words[i] += i % 2 ? 1 : -1;
    words[i] &= from.mask();
  }
  return words;
}

void expect_cast(const Dtype &from, const Dtype &to, bool unsigned_input, bool unsigned_result) {
  Words x = cast_samples(from, to);
  std::string flags =
      std::string(unsigned_input ? " unsigned_input" : "") + (unsigned_result ? " unsigned_result" : "");
  Words r =
      apply("%r = tile.cast %0" + flags + " : " + tile_type(from, n) + " -> " + tile_type(to, n), {{from, x}}, to);
  for (size_t i = 0; i < n; ++i) {
    uint64_t e = cast_of(from, to, x[i], unsigned_input, unsigned_result);
    ASSERT_TRUE(same(to, r[i], e)) << from.name << " to " << to.name << flags << ": 0x" << std::hex << x[i]
                                   << " gives 0x" << r[i] << ", not 0x" << e;
  }
}

TEST(cast, between_every_two_dtypes) {
  for (const Dtype &from : all_dtypes)
    for (const Dtype &to : all_dtypes) expect_cast(from, to, false, false);
}

TEST(cast, u8_is_zero_extended_and_saturates_at_255) {
  for (const Dtype &t : all_dtypes) {
    expect_cast(i8, t, true, false);
    expect_cast(t, i8, false, true);
  }
}

TEST(cast, known_values) {
  auto cast = [](const Dtype &from, uint64_t bits, const Dtype &to) {
    return apply(std::string("%r = tile.cast %0 : tensor<1x") + from.name + "> -> tensor<1x" + to.name + ">",
                 {{from, {bits}}}, to)[0];
  };
  auto bits = [](float x) { return std::bit_cast<uint32_t>(x); };
  EXPECT_EQ(cast(f32, bits(1e9f), e4m3), 0x7eu); // 448
  EXPECT_EQ(cast(f32, bits(-INFINITY), e4m3), 0xfeu);
  EXPECT_EQ(cast(f32, bits(INFINITY), e5m2), 0x7bu); // 57344
  EXPECT_EQ(cast(f32, bits(61440.0f), e5m2), 0x7bu);
  EXPECT_EQ(cast(f32, bits(464.0f), e4m3), 0x7eu);
  EXPECT_EQ(cast(f32, bits(NAN), e4m3) & 0x7f, 0x7fu);
  EXPECT_EQ(cast(f32, bits(65520.0f), f16), 0x7c00u);
  EXPECT_EQ(cast(f32, bits(65519.0f), f16), 0x7bffu);
  EXPECT_EQ(cast(f32, bits(1.00390625f), bf16), 0x3f80u); // a tie, to even
  EXPECT_EQ(cast(f32, bits(1.01171875f), bf16), 0x3f82u);
  EXPECT_EQ(cast(f32, bits(-2.9f), i32), 0xfffffffeu);
  EXPECT_EQ(cast(f32, bits(3e9f), i32), 0x7fffffffu);
  EXPECT_EQ(cast(f32, bits(NAN), i32), 0u);
  EXPECT_EQ(cast(i64, uint64_t(1) << 24 | 1, f32), bits(16777216.0f));
  EXPECT_EQ(cast(i64, (uint64_t(1) << 53) + (uint64_t(1) << 29) + 1, f32),
            bits(9007200328482816.0f)); // rounded once, not by way of f64
  EXPECT_EQ(cast(f32, bits(-0.0f), i1), 0u);
  EXPECT_EQ(cast(f32, bits(NAN), i1), 1u);
  EXPECT_EQ(cast(i1, 1, i32), 1u);
  EXPECT_EQ(cast(i32, 0x1ff, i8), 0xffu);
}

TEST(cast, scalars) {
  std::vector<float> y(1);
  EXPECT_EQ(Launch()
                .pointer(y)
                .scalar(int32_t(-7))
                .run(R"(tile.kernel @k(%y: !tile.ptr<f32>, %n: i32) {
  %0 = arith.constant 0 : i32
  %f = tile.cast %n : i32 -> f32
  tile.store %y[%0 : i32], %f : f32 : !tile.ptr<f32>
  tile.return
})")
                .diagnostics,
            "");
  EXPECT_EQ(y[0], -7.0f);
}

// ---- arith's own conversions, which passes may introduce

std::string convert(const char *op, const Dtype &from, const Dtype &to) {
  return std::string("%r = arith.") + op + " %0 : " + tile_type(from, n) + " to " + tile_type(to, n);
}

TEST(arith_conversion, integers) {
  for (auto [from, to] : {std::pair{i1, i8}, {i1, i32}, {i8, i32}, {i8, i64}, {i32, i64}}) {
    Words x = samples(from, n, 33), s = apply(convert("extsi", from, to), {{from, x}}, to),
          u = apply(convert("extui", from, to), {{from, x}}, to);
    Words wide = samples(to, n, 34), cut = apply(convert("trunci", to, from), {{to, wide}}, from);
    for (size_t i = 0; i < n; ++i) {
      ASSERT_EQ(s[i], static_cast<uint64_t>(from.signed_of(x[i])) & to.mask());
      ASSERT_EQ(u[i], x[i]);
      ASSERT_EQ(cut[i], wide[i] & from.mask());
    }
  }
}

TEST(arith_conversion, floats_round_once_and_overflow_as_their_type_does) {
  for (auto [narrow, wide] : {std::pair{f16, f32},
                              {bf16, f32},
                              {f16, f64},
                              {bf16, f64},
                              {f32, f64},
                              {e4m3, f32},
                              {e5m2, f32},
                              {e4m3, f16},
                              {e5m2, bf16}}) {
    Words x = samples(narrow, n, 35), up = apply(convert("extf", narrow, wide), {{narrow, x}}, wide);
    Words y = cast_samples(wide, narrow), down = apply(convert("truncf", wide, narrow), {{wide, y}}, narrow);
    for (size_t i = 0; i < n; ++i) {
      double value = narrow.number(x[i]);
      ASSERT_TRUE(std::isnan(value) ? std::isnan(wide.number(up[i])) : wide.number(up[i]) == value) << narrow.name;
      ASSERT_TRUE(same(narrow, down[i], narrow.nearest(wide.number(y[i]))))
          << wide.name << " to " << narrow.name << " of " << wide.number(y[i]);
    }
  }
}

TEST(arith_conversion, between_integers_and_floats) {
  for (const Dtype &f : floats)
    for (const Dtype &t : integers) {
      Words x = samples(t, n, 36), y = cast_samples(f, t);
      Words s = apply(convert("sitofp", t, f), {{t, x}}, f), u = apply(convert("uitofp", t, f), {{t, x}}, f);
      Words si = apply(convert("fptosi", f, t), {{f, y}}, t), ui = apply(convert("fptoui", f, t), {{f, y}}, t);
      for (size_t i = 0; i < n; ++i) {
        ASSERT_EQ(s[i], cast_of(t, f, x[i], false, false)) << t.name << " to " << f.name;
        ASSERT_EQ(u[i], cast_of(t, f, x[i], true, false)) << t.name << " to " << f.name;
        ASSERT_EQ(si[i], cast_of(f, t, y[i], false, false)) << f.name << " to " << t.name;
        ASSERT_EQ(ui[i], cast_of(f, t, y[i], false, true)) << f.name << " to " << t.name;
      }
    }
}

TEST(arith_conversion, bitcast_keeps_bits) {
  for (auto [a, b] : {std::pair{i32, f32}, {i64, f64}, {f16, bf16}, {i8, e4m3}, {e5m2, i8}}) {
    Words x = samples(a, n, 37);
    EXPECT_EQ(apply(convert("bitcast", a, b), {{a, x}}, b), x);
  }
}

} // namespace
