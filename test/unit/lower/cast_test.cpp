// tile.cast between every two dtypes: the simulator's bits are the interpreter's, and for fp8 those of NVIDIA's host
// functions.
#include "compiler/target/F8Conversions.h"
#include "test/unit/lower/assigned.h"

#include <gtest/gtest.h>
#if __has_include(<cuda_fp8.h>)
#include <cuda_fp8.h>
#define MOEC_HAVE_FP8_REFERENCE 1
#endif

namespace moec::compiler {
namespace {

const std::vector<std::string> dtypes = {"i1", "i8", "i32", "i64", "f16", "bf16", "f32", "f64", "f8E4M3FN", "f8E5M2"};

class CastTest : public testing::TestWithParam<std::string> {};

TEST_P(CastTest, ToEveryOther) {
  constexpr int n = 512;
  for (const std::string &to : dtypes) {
    if (to == GetParam()) continue;
    std::string error = runTileKernel(
        {GetParam()}, to, fmt::format("%r = tile.cast %a0 : tensor<{}x{}> -> tensor<{}x{}>", n, GetParam(), n, to));
    EXPECT_EQ(error, "") << GetParam() << " to " << to;
  }
}

TEST_P(CastTest, Unsigned) {
  constexpr int n = 512;
  const std::string &other = GetParam();
  if (other == "i8") return;
  EXPECT_EQ(
      runTileKernel({"i8"}, other,
                    fmt::format("%r = tile.cast %a0 unsigned_input : tensor<{0}xi8> -> tensor<{0}x{1}>", n, other)),
      "");
  EXPECT_EQ(
      runTileKernel({other}, "i8",
                    fmt::format("%r = tile.cast %a0 unsigned_result : tensor<{0}x{1}> -> tensor<{0}xi8>", n, other)),
      "");
}

INSTANTIATE_TEST_SUITE_P(Dtypes, CastTest, testing::ValuesIn(dtypes), [](auto &info) { return info.param; });

#ifdef MOEC_HAVE_FP8_REFERENCE

/// A loop over n elements in blocks of 1024: out = cast(in).
std::string longCast(const std::string &from, const std::string &to, int64_t n) {
  return fmt::format(R"(tile.kernel @k(%x: !tile.ptr<{0}, 16>, %y: !tile.ptr<{1}, 16>) {{
  %zero = arith.constant 0 : i32
  %n = arith.constant {2} : i32
  %step = arith.constant 1024 : i32
  %lanes = tile.arange 0 : tensor<1024xi32>
  scf.for %b = %zero to %n step %step : i32 {{
    %bs = tile.splat %b : i32 -> tensor<1024xi32>
    %i = arith.addi %bs, %lanes : tensor<1024xi32>
    %v = tile.load %x[%i : tensor<1024xi32>] : !tile.ptr<{0}, 16> -> tensor<1024x{0}>
    %r = tile.cast %v : tensor<1024x{0}> -> tensor<1024x{1}>
    tile.store %y[%i : tensor<1024xi32>], %r : tensor<1024x{1}> : !tile.ptr<{1}, 16>
  }}
  tile.return
}}
)",
                     from, to, n);
}

/// `expanded`: with the integer arithmetic that GPUs before sm_89 run instead of their successors' instructions.
std::string simulated(const std::string &text, std::vector<Memory> &memories, bool expanded) {
  mlir::MLIRContext &context = threadContext();
  DiagnosticCollector collector(context);
  auto module = parseSource(context, assignLayouts(text, 1), /*ordinal=*/false, collector);
  if (!module) return "parse: " + collector.text();
  if (auto error = lowerModule(*module, 1); !error.empty()) return error;
  if (expanded) expandF8Conversions(*module);
  return simulateOn(*module, 1, memories, 0);
}

uint8_t reference(const std::string &from, __nv_fp8_interpretation_t to, const Memory &m, size_t i) {
  uint64_t bits = m.bitsAt(i);
  if (from == "f16") return __nv_cvt_halfraw_to_fp8(__half_raw{static_cast<unsigned short>(bits)}, __NV_SATFINITE, to);
  if (from == "bf16")
    return __nv_cvt_bfloat16raw_to_fp8(__nv_bfloat16_raw{static_cast<unsigned short>(bits)}, __NV_SATFINITE, to);
  uint32_t word = static_cast<uint32_t>(bits);
  float f;
  std::memcpy(&f, &word, 4);
  return __nv_cvt_float_to_fp8(f, __NV_SATFINITE, to);
}

class Fp8 : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Forms, Fp8, testing::Bool(),
                         [](auto &info) { return info.param ? "Expanded" : "Instructions"; });

TEST_P(Fp8, EqualsCudaHostFunctions) {
  for (const char *to : {"f8E4M3FN", "f8E5M2"})
    for (const char *from : {"f16", "bf16", "f32"}) {
      bool wide = std::string(from) == "f32";
      int64_t n = wide ? 1 << 19 : 1 << 16;
      std::vector<Memory> memories{{from, n}, {to, n}};
      for (int64_t i = 0; i < n; ++i) { // all 16-bit patterns; of f32 every 8191st (a prime, so that low bits vary)
        uint32_t bits = uint32_t(wide ? i * 8191 : i);
        std::memcpy(memories[0].bytes.data() + i * (wide ? 4 : 2), &bits, wide ? 4 : 2);
      }
      ASSERT_EQ(simulated(longCast(from, to, n), memories, GetParam()), "");
      auto kind = std::string(to) == "f8E5M2" ? __NV_E5M2 : __NV_E4M3;
      int64_t wrong = 0;
      for (int64_t i = 0; i < n; ++i)
        wrong += memories[1].bytes[size_t(i)] != reference(from, kind, memories[0], size_t(i));
      EXPECT_EQ(wrong, 0) << from << " to " << to;
    }
}

TEST_P(Fp8, BackEqualsCudaHostFunctions) {
  for (const char *from : {"f8E4M3FN", "f8E5M2"}) {
    constexpr int64_t n = 1 << 17; // each code beside each other one: they are converted in pairs
    std::vector<Memory> memories{{from, n}, {"f16", n}};
    auto code = [](size_t i) { return uint8_t(i % 2 ? i / 2 >> 8 : i / 2); };
    for (size_t i = 0; i < n; ++i) memories[0].bytes[i] = code(i);
    ASSERT_EQ(simulated(longCast(from, "f16", n), memories, GetParam()), "");
    auto kind = std::string(from) == "f8E5M2" ? __NV_E5M2 : __NV_E4M3;
    int64_t wrong = 0;
    for (size_t i = 0; i < n; ++i) wrong += memories[1].bitsAt(i) != __nv_cvt_fp8_to_halfraw(code(i), kind).x;
    EXPECT_EQ(wrong, 0) << from;
  }
}

#endif

} // namespace
} // namespace moec::compiler
