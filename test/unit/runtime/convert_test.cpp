// Host conversions against the definition, exhaustively where the source is small, and against cuda_fp8.h where there
// is one.
#include "runtime/convert.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#if __has_include(<cuda_fp8.h>)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#define MOEC_TEST_CUDA_FP8 1
#endif

using namespace moec;

namespace {

float f32_of(uint32_t bits) { return std::bit_cast<float>(bits); }

// The nearest of a format's finite values, ties to the even encoding, found by trying all of them.
template <typename Decode> uint32_t nearest(double x, uint32_t count, Decode decode) {
  uint32_t best = 0;
  double distance = std::numeric_limits<double>::infinity();
  for (uint32_t bits = 0; bits < count; ++bits) {
    double d = std::fabs(static_cast<double>(decode(bits)) - std::fabs(x));
    if (d < distance || (d == distance && (bits & 1) == 0)) best = bits, distance = d;
  }
  return best;
}

TEST(convert, f16_round_trips_all) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    float f = from_f16(static_cast<uint16_t>(h));
    EXPECT_EQ(to_f16(f), f != f ? 0x7fff : h);
  }
}

TEST(convert, bf16_round_trips_all) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    float f = from_bf16(static_cast<uint16_t>(h));
    EXPECT_EQ(to_bf16(f), f != f ? 0x7fff : h);
  }
}

TEST(convert, fp8_round_trips_all) {
  for (uint32_t b = 0; b < 0x100; ++b) {
    float a = from_e4m3(static_cast<uint8_t>(b)), c = from_e5m2(static_cast<uint8_t>(b));
    if (a == a) {
      EXPECT_EQ(to_e4m3(a), b);
    } else {
      EXPECT_EQ(b & 0x7f, 0x7fu);
    }
    if (c == c && !std::isinf(c)) { EXPECT_EQ(to_e5m2(c), b); }
  }
}

TEST(convert, ties_go_to_even_and_neighbours_do_not) {
  for (uint32_t h = 0; h < 0x7bff; ++h) {
    double lo = from_f16(static_cast<uint16_t>(h)), hi = from_f16(static_cast<uint16_t>(h + 1)), mid = (lo + hi) / 2;
    EXPECT_EQ(to_f16(mid), h + (h & 1));
    EXPECT_EQ(to_f16(std::nextafter(mid, 0)), h);
    EXPECT_EQ(to_f16(std::nextafter(mid, 1e9)), h + 1);
  }
  for (uint32_t h = 0; h < 0x7f7f; ++h) {
    double lo = from_bf16(static_cast<uint16_t>(h)), hi = from_bf16(static_cast<uint16_t>(h + 1)), mid = (lo + hi) / 2;
    EXPECT_EQ(to_bf16(mid), h + (h & 1));
    EXPECT_EQ(to_bf16(std::nextafter(mid, 0)), h);
    EXPECT_EQ(to_bf16(std::nextafter(mid, 1e39)), h + 1);
  }
}

TEST(convert, fp8_is_nearest_by_search) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20000; ++i) {
    double x = std::ldexp(static_cast<double>(random() >> 11), -53 - static_cast<int>(random() % 24)) * 448;
    EXPECT_EQ(to_e4m3(x), nearest(x, 0x7f, [](uint32_t b) { return from_e4m3(static_cast<uint8_t>(b)); })) << x;
    EXPECT_EQ(to_e5m2(-x), 0x80 | nearest(x, 0x7c, [](uint32_t b) { return from_e5m2(static_cast<uint8_t>(b)); })) << x;
  }
}

TEST(convert, saturation_infinity_and_nan) {
  double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(to_e4m3(1e9), 0x7e);
  EXPECT_EQ(to_e4m3(-inf), 0xfe);
  EXPECT_EQ(to_e5m2(inf), 0x7b);
  EXPECT_EQ(to_e5m2(-61440), 0xfb);
  EXPECT_EQ(to_e4m3(-nan), 0x7f);
  EXPECT_EQ(to_e5m2(nan), 0x7f);
  EXPECT_EQ(to_f16(65520), 0x7c00);
  EXPECT_EQ(to_f16(65519.99), 0x7bff);
  EXPECT_EQ(to_f16(-1e300), 0xfc00);
  EXPECT_EQ(to_bf16(3.4e38 * 10), 0x7f80);
  EXPECT_EQ(to_bf16(nan), 0x7fff);
  EXPECT_EQ(to_f16(-0.0), 0x8000);
  EXPECT_EQ(to_e4m3(-0.0), 0x80);
}

TEST(convert, elements) {
  unsigned char cell[8];
  for (int i = 0; i < kNumDTypes; ++i) {
    auto t = static_cast<DType>(i);
    store_element(t, cell, 1.0);
    EXPECT_EQ(load_element(t, cell), 1.0) << name(t);
    store_element(t, cell, 0.0);
    EXPECT_EQ(load_element(t, cell), 0.0) << name(t);
  }
  store_element(i8, cell, 300);
  EXPECT_EQ(load_element(i8, cell), 127);
  store_element(u8, cell, -3);
  EXPECT_EQ(load_element(u8, cell), 0);
  store_element(i32, cell, -2.9);
  EXPECT_EQ(load_element(i32, cell), -2);
  store_element(i64, cell, 1e30);
  int64_t most;
  std::memcpy(&most, cell, 8);
  EXPECT_EQ(most, std::numeric_limits<int64_t>::max());
}

#ifdef MOEC_TEST_CUDA_FP8
void expect_as_cuda(float x) {
  ASSERT_EQ(to_e4m3(x), __nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E4M3)) << x;
  ASSERT_EQ(to_e5m2(x), __nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E5M2)) << x;
  ASSERT_EQ(to_f16(x), static_cast<__half_raw>(__float2half_rn(x)).x) << x;
  ASSERT_EQ(to_bf16(x), static_cast<__nv_bfloat16_raw>(__float2bfloat16_rn(x)).x) << x;
}
TEST(convert, as_cuda_headers_on_all_f16_and_bf16) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    expect_as_cuda(from_f16(static_cast<uint16_t>(h)));
    expect_as_cuda(from_bf16(static_cast<uint16_t>(h)));
  }
}
TEST(convert, as_cuda_headers_on_a_dense_sample_of_f32) {
  for (uint64_t bits = 0; bits <= 0xffffffffu; bits += 4093) expect_as_cuda(f32_of(static_cast<uint32_t>(bits)));
}
TEST(convert, fp8_decodes_as_cuda_headers) {
  for (uint32_t b = 0; b < 0x100; ++b)
    for (auto kind : {__NV_E4M3, __NV_E5M2}) {
      __half_raw raw = __nv_cvt_fp8_to_halfraw(static_cast<uint8_t>(b), kind);
      float theirs = from_f16(raw.x),
            ours = kind == __NV_E4M3 ? from_e4m3(static_cast<uint8_t>(b)) : from_e5m2(static_cast<uint8_t>(b));
      EXPECT_TRUE(theirs == ours || (theirs != theirs && ours != ours)) << b;
    }
}
#endif

} // namespace
