// Reductions and scans: their order, their axes, several operands at once.
#include "test/unit/interp/dtype.h"

#include <functional>

using namespace moec;

namespace {

using Combine = std::function<uint64_t(uint64_t, uint64_t)>;

/// The documented tree by recursion from the top: the halves by the highest index bit, combined.
uint64_t tree(const Words &x, size_t begin, size_t n, const Combine &f) {
  return n == 1 ? x[begin] : f(tree(x, begin, n / 2, f), tree(x, begin + n / 2, n / 2, f));
}

/// Sklansky's scan by recursion: the halves, then the left one's total before every element of the right one.
void scan(Words &x, size_t begin, size_t n, const Combine &f) {
  if (n == 1) return;
  scan(x, begin, n / 2, f);
  scan(x, begin + n / 2, n / 2, f);
  uint64_t total = x[begin + n / 2 - 1];
  for (size_t i = n / 2; i < n; ++i) x[begin + i] = f(total, x[begin + i]);
}

std::string combiner(const std::string &op, const Dtype &t) {
  std::string s = t.name;
  return "({\n^bb0(%a: " + s + ", %b: " + s + "):\n%c = " + op + " %a, %b : " + s + "\ntile.yield %c : " + s + "\n})";
}

std::string type(const Dtype &t, const std::string &shape) { return "tensor<" + shape + "x" + t.name + ">"; }

/// A combiner and what it computes.
struct Op {
  std::string name;
  Combine f;
};

std::vector<Op> ops(const Dtype &t) {
  if (t.width == 1)
    return {{"arith.ori", [](uint64_t a, uint64_t b) { return a | b; }},
            {"arith.xori", [](uint64_t a, uint64_t b) { return a ^ b; }}};
  if (!t.is_float())
    return {
        {"arith.addi", [t](uint64_t a, uint64_t b) { return (a + b) & t.mask(); }},
        {"arith.subi", [t](uint64_t a, uint64_t b) { return (a - b) & t.mask(); }}, // not associative: shows the order
        {"arith.maxsi", [t](uint64_t a, uint64_t b) { return t.signed_of(a) > t.signed_of(b) ? a : b; }}};
  auto by = [t](long double (*f)(long double, long double)) -> Combine {
    if (t.width == 64)
      return [f](uint64_t a, uint64_t b) {
        return std::bit_cast<uint64_t>(double(f(std::bit_cast<double>(a), std::bit_cast<double>(b))));
      };
    return [t, f](uint64_t a, uint64_t b) { return t.nearest(f(t.number(a), t.number(b))); };
  };
  return {{"arith.addf", by([](long double a, long double b) { return a + b; })},
          {"arith.subf", by([](long double a, long double b) { return a - b; })}};
}

/// Numbers whose sums round but do not overflow.
Words numbers(const Dtype &t, size_t n) {
  std::mt19937_64 random(61);
  Words words;
  for (size_t i = 0; i < n; ++i) {
    // f64: few significant bits, so that long double's double rounding cannot show.
    double x = std::ldexp(double(int64_t(random()) >> (t.width == 64 ? 20 : 11)), -52);
    words.push_back(!t.is_float() ? random() & t.mask() : t.width == 64 ? std::bit_cast<uint64_t>(x) : t.nearest(x));
  }
  return words;
}

TEST(reduce, is_a_balanced_tree_in_every_dtype) {
  for (const Dtype &t : all_dtypes)
    for (const Op &op : ops(t)) {
      if (t.width == 8 && t.is_float()) continue; // below
      Words x = numbers(t, 64);
      Words r = apply("%s = \"tile.reduce\"(%0) " + combiner(op.name, t) + " {axis = 0 : i32} : (" + type(t, "64") +
                          ") -> " + t.name + "\n%r = tile.splat %s : " + t.name + " -> " + type(t, "64"),
                      {{t, x}}, t);
      EXPECT_EQ(r, Words(64, tree(x, 0, 64, op.f))) << op.name << " " << t.name;
    }
}

TEST(reduce, fp8_by_comparison) {
  for (const Dtype &t : fp8s) {
    std::mt19937_64 random(62);
    Words x;
    for (size_t i = 0; i < 32; ++i) x.push_back(t.nearest(double(random() % 100)));
    Words r = apply("%s = \"tile.reduce\"(%0) " + combiner("arith.maximumf", t) + " {axis = 0 : i32} : (" +
                        type(t, "32") + ") -> " + t.name + "\n%r = tile.splat %s : " + t.name + " -> " + type(t, "32"),
                    {{t, x}}, t);
    double most = 0;
    for (uint64_t word : x) most = std::max(most, t.number(word));
    EXPECT_EQ(t.number(r[0]), most);
  }
}

TEST(reduce, along_every_axis) {
  Words x = numbers(f32, 64);
  struct {
    const char *axis, *result;
    size_t n, stride;
    size_t (*begin)(size_t line);
  } cases[] = {{"0", "4x8", 2, 32, [](size_t l) { return l; }},
               {"1", "2x8", 4, 8, [](size_t l) { return l / 8 * 32 + l % 8; }},
               {"2", "2x4", 8, 1, [](size_t l) { return l * 8; }}};
  Combine add = ops(f32)[0].f;
  for (auto &c : cases) {
    size_t lines = 64 / c.n;
    std::vector<unsigned char> in = pack(f32, x), out(lines * 4);
    std::string flat = std::to_string(lines);
    Outcome o = Launch().pointer(in).pointer(out).run(
        "tile.kernel @k(%x: !tile.ptr<f32>, %y: !tile.ptr<f32>) {\n%i = tile.arange 0 : tensor<64xi32>\n"
        "%0 = tile.load %x[%i : tensor<64xi32>] : !tile.ptr<f32> -> tensor<64xf32>\n%1 = tile.reshape %0 : "
        "tensor<64xf32> -> tensor<2x4x8xf32>\n"
        "%2 = \"tile.reduce\"(%1) " +
        combiner("arith.addf", f32) + " {axis = " + c.axis + " : i32} : (tensor<2x4x8xf32>) -> " + type(f32, c.result) +
        "\n%3 = tile.reshape %2 : " + type(f32, c.result) + " -> " + type(f32, flat) +
        "\n%j = tile.arange 0 : tensor<" + flat + "xi32>\ntile.store %y[%j : tensor<" + flat +
        "xi32>], %3 : " + type(f32, flat) + " : !tile.ptr<f32>\ntile.return\n}");
    ASSERT_EQ(o.diagnostics, "");
    Words y = unpack(f32, out);
    for (size_t l = 0; l < lines; ++l) {
      Words line;
      for (size_t k = 0; k < c.n; ++k) line.push_back(x[c.begin(l) + k * c.stride]);
      EXPECT_EQ(y[l], tree(line, 0, c.n, add)) << "axis " << c.axis << ", line " << l;
    }
  }
}

TEST(reduce, two_operands_find_the_position_of_the_greatest) {
  Words x = {3, 9, 2, 9, 1, 0, 9, 4};
  Words r = apply(R"(%v, %p = "tile.reduce"(%0, %lane) ({
  ^bb0(%a: i64, %i: i32, %b: i64, %j: i32):
    %more = arith.cmpi sgt, %b, %a : i64
    %v2 = arith.select %more, %b, %a : i64
    %p2 = arith.select %more, %j, %i : i32
    tile.yield %v2, %p2 : i64, i32
  }) {axis = 0 : i32} : (tensor<8xi64>, tensor<8xi32>) -> (i64, i32)
  %t = tile.cast %v : i64 -> i32
  %ten = arith.constant 10 : i32
  %u = arith.muli %t, %ten : i32
  %w = arith.addi %u, %p : i32
  %r = tile.splat %w : i32 -> tensor<8xi32>)",
                  {{i64, x}}, i32);
  EXPECT_EQ(r, Words(8, 91));
}

TEST(scan, is_sklanskys_in_every_dtype_and_direction) {
  for (const Dtype &t : all_dtypes)
    for (const Op &op : ops(t))
      for (bool reverse : {false, true}) {
        if (t.width == 8 && t.is_float()) continue;
        Words x = numbers(t, 32), expected = x;
        if (reverse) std::reverse(expected.begin(), expected.end());
        scan(expected, 0, 32, op.f);
        if (reverse) std::reverse(expected.begin(), expected.end());
        Words r = apply("%r = \"tile.scan\"(%0) " + combiner(op.name, t) + " {axis = 0 : i32" +
                            (reverse ? ", reverse" : "") + "} : (" + type(t, "32") + ") -> " + type(t, "32"),
                        {{t, x}}, t);
        EXPECT_EQ(r, expected) << op.name << " " << t.name << (reverse ? " reversed" : "");
      }
}

TEST(scan, along_the_first_axis_with_two_operands) {
  // Sums in one operand, running maxima in the other, down the columns of 4x2.
  Words x = {1, 10, 2, 20, 3, 30, 4, 40}, m = {5, 1, 2, 9, 7, 3, 1, 8};
  std::string body = R"(%a = tile.reshape %0 : tensor<8xi32> -> tensor<4x2xi32>
  %b = tile.reshape %1 : tensor<8xi32> -> tensor<4x2xi32>
  %s, %t = "tile.scan"(%a, %b) ({
  ^bb0(%p: i32, %q: i32, %u: i32, %v: i32):
    %x = arith.addi %p, %u : i32
    %y = arith.maxsi %q, %v : i32
    tile.yield %x, %y : i32, i32
  }) {axis = 0 : i32} : (tensor<4x2xi32>, tensor<4x2xi32>) -> (tensor<4x2xi32>, tensor<4x2xi32>)
  )";
  EXPECT_EQ(apply(body + "%r = tile.reshape %s : tensor<4x2xi32> -> tensor<8xi32>", {{i32, x}, {i32, m}}, i32),
            (Words{1, 10, 3, 30, 6, 60, 10, 100}));
  EXPECT_EQ(apply(body + "%r = tile.reshape %t : tensor<4x2xi32> -> tensor<8xi32>", {{i32, x}, {i32, m}}, i32),
            (Words{5, 1, 5, 9, 7, 9, 7, 9}));
}

} // namespace
