// Ops that only move elements, in every dtype.
#include "test/unit/interp/dtype.h"

using namespace moec;

namespace {

std::string type(const Dtype &t, const std::string &shape) { return "tensor<" + shape + "x" + t.name + ">"; }

TEST(shape, arange_from_a_start) {
  EXPECT_EQ(apply("%r = tile.arange -2 : tensor<4xi32>", {{i32, Words(4)}}, i32),
            (Words{0xfffffffe, 0xffffffff, 0, 1}));
}

TEST(shape, splat) {
  for (const Dtype &t : all_dtypes) {
    uint64_t word = samples(t, 32, 51)[20];
    std::vector<unsigned char> y(4 * t.bytes());
    std::string p = std::string("!tile.ptr<") + t.name + ">", four = type(t, "4");
    Outcome o = Launch().pointer(y).scalar(word).run(
        "tile.kernel @k(%y: " + p + ", %v: " + t.name +
        ") {\n%i = tile.arange 0 : tensor<4xi32>\n%s = tile.splat %v : " + t.name + " -> " + four +
        "\ntile.store %y[%i : tensor<4xi32>], %s : " + four + " : " + p + "\ntile.return\n}");
    ASSERT_EQ(o.diagnostics, "");
    EXPECT_EQ(unpack(t, y), Words(4, word)) << t.name;
  }
}

TEST(shape, broadcast_repeats_along_dimensions_of_one) {
  for (const Dtype &t : all_dtypes) {
    Words x = samples(t, 16, 52);
    // 16 elements as [2, 1, 8]; repeated to [2, 2, 8], of which the first half of each line goes back to 16 elements.
    std::string body = "%a = tile.reshape %0 : " + type(t, "16") + " -> " + type(t, "4x1x4") +
                       "\n%b = tile.broadcast %a : " + type(t, "4x1x4") + " -> " + type(t, "4x2x4") +
                       "\n%r = tile.reshape %b : " + type(t, "4x2x4") + " -> " + type(t, "32");
    std::vector<unsigned char> in = pack(t, x), out(32 * t.bytes());
    std::string p = std::string("!tile.ptr<") + t.name + ">";
    Outcome o = Launch().pointer(in).pointer(out).run(
        "tile.kernel @k(%x: " + p + ", %y: " + p +
        ") {\n%i = tile.arange 0 : tensor<16xi32>\n%0 = tile.load %x[%i : tensor<16xi32>] : " + p + " -> " +
        type(t, "16") + "\n" + body +
        "\n%j = tile.arange 0 : tensor<32xi32>\ntile.store %y[%j : tensor<32xi32>], %r : " + type(t, "32") + " : " + p +
        "\ntile.return\n}");
    ASSERT_EQ(o.diagnostics, "");
    Words y = unpack(t, out);
    for (size_t a = 0; a < 4; ++a)
      for (size_t b = 0; b < 2; ++b)
        for (size_t c = 0; c < 4; ++c) ASSERT_EQ(y[a * 8 + b * 4 + c], x[a * 4 + c]) << t.name;
  }
}

TEST(shape, expand_dims_at_every_axis) {
  for (const Dtype &t : all_dtypes) {
    Words x = samples(t, 8, 53);
    for (auto [axis, shape] : {std::pair{"0", "1x2x4"}, {"1", "2x1x4"}, {"2", "2x4x1"}}) {
      EXPECT_EQ(apply("%a = tile.reshape %0 : " + type(t, "8") + " -> " + type(t, "2x4") +
                          "\n%b = tile.expand_dims %a, " + axis + " : " + type(t, "2x4") + " -> " + type(t, shape) +
                          "\n%r = tile.reshape %b : " + type(t, shape) + " -> " + type(t, "8"),
                      {{t, x}}, t),
                x);
    }
  }
}

TEST(shape, trans_permutes_dimensions) {
  for (const Dtype &t : all_dtypes) {
    Words x = samples(t, 64, 54);
    Words y = apply("%a = tile.reshape %0 : " + type(t, "64") + " -> " + type(t, "2x4x8") +
                        "\n%b = tile.trans %a, [2, 0, 1] : " + type(t, "2x4x8") + " -> " + type(t, "8x2x4") +
                        "\n%r = tile.reshape %b : " + type(t, "8x2x4") + " -> " + type(t, "64"),
                    {{t, x}}, t);
    for (size_t a = 0; a < 2; ++a)
      for (size_t b = 0; b < 4; ++b)
        for (size_t c = 0; c < 8; ++c) ASSERT_EQ(y[(c * 2 + a) * 4 + b], x[(a * 4 + b) * 8 + c]) << t.name;
  }
}

} // namespace
