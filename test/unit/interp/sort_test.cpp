// sort, topk and histogram: order, ties, NaN.
#include "test/unit/interp/dtype.h"

#include <numeric>

using namespace moec;

namespace {

constexpr size_t n = 64;

/// Keys with many ties, NaN and both zeros among them.
Words keys(const Dtype &t, uint64_t seed) {
  Words pool = samples(t, 24, seed), words;
  std::mt19937_64 random(seed);
  for (size_t i = 0; i < n; ++i) words.push_back(pool[random() % pool.size()]);
  return words;
}

/// A key's rank: a number that orders as the op does; infinities and NaN beyond every number.
long double rank(const Dtype &t, uint64_t word, bool is_unsigned = false) {
  if (t.is_float())
    return std::isnan(t.number(word))   ? std::numeric_limits<long double>::max()
           : std::isinf(t.number(word)) ? std::copysign(1e4900L, t.number(word))
                                        : static_cast<long double>(t.number(word));
  return is_unsigned || t.width == 1 ? static_cast<long double>(word) : static_cast<long double>(t.signed_of(word));
}

/// Positions in order, by insertion: obviously stable.
std::vector<size_t> order(const Dtype &t, const Words &x, size_t begin, size_t count, bool descending,
                          bool is_unsigned = false) {
  std::vector<size_t> out;
  for (size_t i = 0; i < count; ++i) {
    size_t at = out.size();
    auto before = [&](size_t j) {
      long double mine = rank(t, x[begin + i], is_unsigned), its = rank(t, x[begin + j], is_unsigned);
      return descending ? mine > its : mine < its;
    };
    while (at > 0 && before(out[at - 1])) --at;
    out.insert(out.begin() + at, i);
  }
  return out;
}

TEST(sort, is_stable_and_carries_operands_in_every_dtype) {
  for (const Dtype &t : all_dtypes)
    for (bool descending : {false, true})
      for (bool is_unsigned : {false, true}) {
        if (is_unsigned && (t.is_float() || t.width == 1)) continue;
        Words x = keys(t, 71);
        std::string type = tile_type(t, n), flags = std::string(descending ? "descending" : "") +
                                                    (descending && is_unsigned ? ", " : "") +
                                                    (is_unsigned ? "unsigned_key" : "");
        std::string sort =
            "(%0, %lane) {" + flags + "} : (" + type + ", tensor<64xi32>) -> (" + type + ", tensor<64xi32>)";
        Words sorted = apply("%r, %p = \"tile.sort\"" + sort, {{t, x}}, t),
              positions = apply("%k, %r = \"tile.sort\"" + sort, {{t, x}}, i32);
        std::vector<size_t> expected = order(t, x, 0, n, descending, is_unsigned);
        for (size_t i = 0; i < n; ++i) {
          ASSERT_EQ(positions[i], expected[i]) << t.name << " " << flags;
          ASSERT_EQ(sorted[i], x[expected[i]]) << t.name << " " << flags;
        }
      }
}

TEST(sort, along_the_last_axis) {
  Words x = {3, 1, 2, 0, 7, 5, 6, 4};
  EXPECT_EQ(apply("%a = tile.reshape %0 : tensor<8xi32> -> tensor<2x4xi32>\n%b = \"tile.sort\"(%a) : (tensor<2x4xi32>) "
                  "-> tensor<2x4xi32>\n"
                  "%r = tile.reshape %b : tensor<2x4xi32> -> tensor<8xi32>",
                  {{i32, x}}, i32),
            (Words{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST(topk, in_every_dtype_and_every_k) {
  for (const Dtype &t : all_dtypes)
    for (size_t k : {1, 4, 16, 64}) {
      Words x = keys(t, 72);
      // The first k of each line of 64, padded back to 64 lanes by repetition.
      std::string type = tile_type(t, n), few = tile_type(t, k), fewi = tile_type(i32, k);
      std::string top = "tile.topk %0, " + std::to_string(k) + " : " + type + " -> " + few + ", " + fewi + "\n";
      auto repeat = [&](const std::string &name, const Dtype &d) {
        std::string one = std::string("1x") + std::to_string(k) + "x" + d.name,
                    all = std::to_string(n / k) + "x" + std::to_string(k) + "x" + d.name;
        return "%e = tile.expand_dims " + name + ", 0 : " + tile_type(d, k) + " -> tensor<" + one +
               ">\n%f = tile.broadcast %e : tensor<" + one + "> -> tensor<" + all +
               ">\n%r = tile.reshape %f : tensor<" + all + "> -> " + tile_type(d, n);
      };
      Words values = apply("%v, %p = " + top + repeat("%v", t), {{t, x}}, t),
            positions = apply("%v, %p = " + top + repeat("%p", i32), {{t, x}}, i32);
      std::vector<size_t> expected = order(t, x, 0, n, true);
      for (size_t i = 0; i < n; ++i) {
        ASSERT_EQ(positions[i], expected[i % k]) << t.name << " k " << k;
        ASSERT_EQ(values[i], x[expected[i % k]]) << t.name << " k " << k;
      }
    }
}

TEST(topk, ties_take_the_lower_position_and_nan_is_greatest) {
  Words x = {f32.nearest(1),    f32.nearest(5),   f32.nearest(NAN),      f32.nearest(5),
             f32.nearest(-0.0), f32.nearest(0.0), f32.nearest(INFINITY), f32.nearest(5)};
  Words r = apply("%v, %r = tile.topk %0, 8 : tensor<8xf32> -> tensor<8xf32>, tensor<8xi32>", {{f32, x}}, i32);
  EXPECT_EQ(r, (Words{2, 6, 1, 3, 7, 0, 4, 5}));
}

TEST(histogram, counts_what_is_in_range_and_unmasked) {
  Words x = {0, 3, 3, 7, 8, 0xffffffff, 3, 0}, mask = {1, 1, 1, 1, 1, 1, 0, 1};
  EXPECT_EQ(apply("%r = tile.histogram %0 : tensor<8xi32> -> tensor<8xi32>", {{i32, x}}, i32),
            (Words{2, 0, 0, 3, 0, 0, 0, 1}));
  EXPECT_EQ(apply("%r = tile.histogram %0, mask %1 : tensor<8xi1> : tensor<8xi32> -> tensor<8xi32>",
                  {{i32, x}, {i1, mask}}, i32),
            (Words{2, 0, 0, 2, 0, 0, 0, 1}));
}

} // namespace
