// The tile dtypes by their definitions, independent of the compiler's own arithmetic: what tests compute their
// expectations with.
#pragma once

#include "test/unit/interp/launch.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace moec {

struct Dtype {
  const char *name;
  int width;
  int exponent_bits = 0, mantissa_bits = 0; ///< 0: an integer
  bool has_infinity = true;

  bool is_float() const { return mantissa_bits != 0; }
  int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  size_t bytes() const { return (width + 7) / 8; }
  uint64_t mask() const { return width == 64 ? ~uint64_t(0) : (uint64_t(1) << width) - 1; }

  /// A float's value from the three fields of its bits.
  double number(uint64_t bits) const {
    if (width == 64) return std::bit_cast<double>(bits);
    int exponent = static_cast<int>(bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
    uint64_t mantissa = bits & ((uint64_t(1) << mantissa_bits) - 1);
    double sign = bits >> (width - 1) & 1 ? -1 : 1;
    bool top = exponent == (1 << exponent_bits) - 1;
    if (top && has_infinity) return mantissa ? NAN : sign * INFINITY;
    if (top && mantissa + 1 == uint64_t(1) << mantissa_bits) return NAN;
    if (exponent == 0) return sign * std::ldexp(static_cast<double>(mantissa), 1 - bias() - mantissa_bits);
    return sign * std::ldexp(1 + std::ldexp(static_cast<double>(mantissa), -mantissa_bits), exponent - bias());
  }

  double greatest() const {
    return number(mask() >> 1 >> 0 & ~uint64_t(has_infinity ? (uint64_t(1) << mantissa_bits) : 1));
  }

  /// The bits of x rounded to nearest even; `saturate`: what is too large becomes the greatest number.
  uint64_t nearest(long double x, bool saturate = false) const {
    uint64_t sign = std::signbit(x) ? uint64_t(1) << (width - 1) : 0;
    uint64_t nan = mask() >> 1, infinity = ((uint64_t(1) << exponent_bits) - 1) << mantissa_bits;
    uint64_t most = has_infinity ? infinity - 1 : nan - 1, overflow = saturate ? most : has_infinity ? infinity : nan;
    if (std::isnan(x)) return nan;
    if (std::isinf(x)) return sign | overflow;
    if (x == 0) return sign;
    int exponent = std::max(std::ilogb(x), 1 - bias());
    // In units of the last place; ties to even is how nearbyint rounds.
    long double units = std::nearbyint(std::ldexp(std::fabs(x), mantissa_bits - exponent));
    // Counting up the encodings: a carry out of the mantissa is the next exponent.
    uint64_t bits = static_cast<uint64_t>(units) + (static_cast<uint64_t>(exponent + bias() - 1) << mantissa_bits);
    if (bits > most) return sign | overflow;
    return sign | bits;
  }

  int64_t signed_of(uint64_t bits) const { return static_cast<int64_t>(bits << (64 - width)) >> (64 - width); }
};

inline const Dtype i1{"i1", 1}, i8{"i8", 8}, i32{"i32", 32}, i64{"i64", 64};
inline const Dtype f16{"f16", 16, 5, 10}, bf16{"bf16", 16, 8, 7}, f32{"f32", 32, 8, 23}, f64{"f64", 64, 11, 52};
inline const Dtype e4m3{"f8E4M3FN", 8, 4, 3, false}, e5m2{"f8E5M2", 8, 5, 2};
inline const std::vector<Dtype> integers{i8, i32, i64}, floats{f16, bf16, f32, f64}, fp8s{e4m3, e5m2};
inline const std::vector<Dtype> all_dtypes{i1, i8, i32, i64, f16, bf16, f32, f64, e4m3, e5m2};

using Words = std::vector<uint64_t>;

/// n elements: the dtype's special values first, then random bits.
inline Words samples(const Dtype &t, size_t n, uint64_t seed) {
  std::mt19937_64 random(seed);
  Words words = {0, 1, t.mask(), t.mask() >> 1, uint64_t(1) << (t.width - 1), 2, 3, 7, t.mask() - 1};
  if (t.is_float()) {
    uint64_t one = static_cast<uint64_t>(t.bias()) << t.mantissa_bits, sign = uint64_t(1) << (t.width - 1);
    uint64_t top = ((uint64_t(1) << t.exponent_bits) - 1) << t.mantissa_bits;
    words.insert(words.end(),
                 {one, one | sign, one + 1, top, top | sign, top - 1, (top - 1) | sign, sign | 1, one << 1});
  }
  std::shuffle(words.begin(), words.end(), random);
  while (words.size() < n) words.push_back(random());
  words.resize(n);
  for (uint64_t &word : words) word &= t.mask();
  return words;
}

/// Elements as they lie in memory, and back.
inline std::vector<unsigned char> pack(const Dtype &t, const Words &words) {
  std::vector<unsigned char> memory(words.size() * t.bytes());
  for (size_t i = 0; i < words.size(); ++i) std::memcpy(&memory[i * t.bytes()], &words[i], t.bytes());
  return memory;
}
inline Words unpack(const Dtype &t, const std::vector<unsigned char> &memory) {
  Words words(memory.size() / t.bytes());
  for (size_t i = 0; i < words.size(); ++i) std::memcpy(&words[i], &memory[i * t.bytes()], t.bytes());
  return words;
}

inline bool same(const Dtype &t, uint64_t a, uint64_t b) {
  return a == b || (t.is_float() && std::isnan(t.number(a)) && std::isnan(t.number(b)));
}

/// A 1-D tile operand.
struct Input {
  Dtype dtype;
  Words words;
};

inline std::string tile_type(const Dtype &t, size_t n) { return "tensor<" + std::to_string(n) + "x" + t.name + ">"; }

/// Runs `body`, which computes %r (n elements of `result`) from the tiles %0, %1, … given here, %lane being 0..n-1.
inline Words apply(const std::string &body, const std::vector<Input> &inputs, const Dtype &result) {
  size_t n = inputs[0].words.size();
  std::string index = tile_type(i32, n), arguments, loads;
  Launch launch;
  std::vector<std::vector<unsigned char>> memories;
  for (const Input &input : inputs) memories.push_back(pack(input.dtype, input.words));
  for (size_t i = 0; i < inputs.size(); ++i) {
    std::string number = std::to_string(i), pointer = std::string("!tile.ptr<") + inputs[i].dtype.name + ">";
    launch.pointer(memories[i]);
    arguments += "%p" + number + ": " + pointer + ", ";
    loads += "%" + number + " = tile.load %p" + number + "[%lane : " + index + "] : " + pointer + " -> " +
             tile_type(inputs[i].dtype, n) + "\n";
  }
  std::vector<unsigned char> out(n * result.bytes(), 0xee);
  launch.pointer(out);
  std::string pointer = std::string("!tile.ptr<") + result.name + ">";
  std::string text = "tile.kernel @k(" + arguments + "%out: " + pointer + ") {\n%lane = tile.arange 0 : " + index +
                     "\n" + loads + body + "\ntile.store %out[%lane : " + index + "], %r : " + tile_type(result, n) +
                     " : " + pointer + "\ntile.return\n}\n";
  Outcome outcome = launch.run(text);
  EXPECT_EQ(outcome.diagnostics, "") << text;
  EXPECT_EQ(outcome.status, MOEC_OK);
  return unpack(result, out);
}

} // namespace moec
