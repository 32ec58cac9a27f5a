// tile.reduce and tile.scan: the defined order, whatever the layout.
#include "test/unit/layout/random_layouts.h"
#include "test/unit/lower/both.h"
#include "test/unit/lower/tile_text.h"

#include <gtest/gtest.h>

namespace moec::compiler {
namespace {

/// A combiner: element types of its operands and its body on %a0… and %b0…, ending in the yield.
struct CombinerText {
  std::vector<std::string> elements;
  std::string body;

  std::string region() const {
    std::string a, b;
    for (size_t i = 0; i < elements.size(); ++i) {
      a += fmt::format("%a{}: {}, ", i, elements[i]);
      b += fmt::format("%b{}: {}{}", i, elements[i], i + 1 < elements.size() ? ", " : "");
    }
    return fmt::format("({{\n  ^bb0({}{}):\n{}  }})", a, b, body);
  }
};

CombinerText single(const std::string &op, const std::string &element) {
  return {{element}, fmt::format("    %r = {} %a0, %b0 : {}\n    tile.yield %r : {}\n", op, element, element)};
}

/// Neither commutative nor associative.
CombinerText skewed() {
  return {{"i32"},
          "    %c = arith.constant 3 : i32\n    %t = arith.muli %a0, %c : i32\n    %r = arith.subi %t, %b0 : i32\n    "
          "tile.yield %r : i32\n"};
}
CombinerText argmax(const std::string &element) {
  std::string compare = element[0] == 'i' ? "arith.cmpi sge," : "arith.cmpf oge,";
  return {{element, "i32"},
          fmt::format("    %g = {} %a0, %b0 : {}\n    %v = arith.select %g, %a0, %b0 : {}\n    %i = arith.select %g, "
                      "%a1, %b1 : i32\n"
                      "    tile.yield %v, %i : {}, i32\n",
                      compare, element, element, element)};
}

std::vector<CombinerText> combiners() {
  return {single("arith.addf", "f32"),
          single("arith.addi", "i32"),
          skewed(),
          argmax("f32"),
          single("arith.maximumf", "f32"),
          single("arith.ori", "i1"),
          single("arith.addf", "f64"),
          single("arith.minsi", "i32"),
          single("arith.andi", "i1"),
          single("arith.addf", "bf16"),
          single("arith.maxui", "i32"),
          single("arith.addi", "i64"),
          argmax("i64"),
          single("arith.xori", "i32"),
          single("arith.muli", "i8"),
          single("arith.maxsi", "i32"),
          single("arith.mulf", "f16"),
          single("arith.xori", "i1"),
          single("arith.maxnumf", "f32"),
          single("arith.minimumf", "f64")};
}

std::string join(const std::vector<std::string> &parts) { return fmt::format("{}", fmt::join(parts, ", ")); }

/// `op` (reduce or scan) of all operands along an axis.
std::string opText(const std::string &op, const CombinerText &c, const LinearLayout &input, const LinearLayout &output,
                   bool scalar, int axis, bool reverse) {
  KernelText k;
  std::vector<std::string> operands, types, resultTypes;
  for (const std::string &element : c.elements) {
    operands.push_back(k.load({element, input}));
    types.push_back(TileType{element, input}.text());
    resultTypes.push_back(TileType{element, output, scalar}.text());
  }
  std::string result = k.fresh();
  k.line("{}:{} = \"tile.{}\"({}) <{{axis = {} : i32{}}}> {} : ({}) -> ({})", result, c.elements.size(), op,
         join(operands), axis, reverse ? ", reverse" : "", c.region(), join(types), join(resultTypes));
  for (size_t i = 0; i < c.elements.size(); ++i)
    k.store(fmt::format("{}#{}", result, i), {c.elements[i], output, scalar});
  return k.text();
}

std::vector<Memory> memories(const CombinerText &c, int64_t in, int64_t out, std::mt19937 &rng) {
  std::vector<Memory> list;
  for (const std::string &element : c.elements) list.emplace_back(element, in), fill(list.back(), rng, rng() % 3 == 0);
  for (const std::string &element : c.elements) list.emplace_back(element, out);
  return list;
}

TEST(Reduce, RandomLayoutsShapesAndCombiners) {
  RandomLayouts random(2);
  auto all = combiners();
  for (int i = 0; i < 200; ++i) {
    const CombinerText &c = all[size_t(i) % all.size()];
    int bits = random.below(12), warpBits = random.below(4);
    Dims shape = random.shape(bits);
    int axis = random.below(shape.size());
    bool dense = random.below(4) == 0;
    LinearLayout input = random.distributed(shape, std::max(0, bits - 5 - warpBits) + random.below(3), warpBits, dense);
    LinearLayout output = input.slice(axis);
    if (random.below(4) == 0)
      output = random.distributed(output.shape(), std::max(0, output.totalOutBits() - 5 - warpBits), warpBits, dense);
    bool scalar = shape.size() == 1;
    ASSERT_EQ(runBoth(opText("reduce", c, input, output, scalar, axis, false), 1 << warpBits,
                      memories(c, int64_t(1) << bits, scalar ? 1 : output.numElements(), random.engine()),
                      uint64_t(i % 3)),
              "")
        << "case " << i;
  }
}

/// All 32 lanes at once: redux and vote.
TEST(Reduce, WholeWarpInstructions) {
  std::mt19937 rng(3);
  for (const char *op : {"addi", "andi", "ori", "xori", "maxsi", "minsi", "maxui", "minui"})
    for (const char *element : {"i32", "i1"}) {
      LinearLayout input(Dims{1024});
      for (int bit = 0; bit < 10; ++bit)
        input.addFlatBasis(bit < 3 ? InDim::Register : bit < 8 ? InDim::Lane : InDim::Warp, 1u << bit);
      CombinerText c = single(std::string("arith.") + op, element);
      ASSERT_EQ(runBoth(opText("reduce", c, input, {}, true, 0, false), 4, memories(c, 1024, 1, rng)), "") << op;
    }
}

TEST(Scan, RandomLayoutsShapesAndCombiners) {
  RandomLayouts random(4);
  auto all = combiners();
  for (int i = 0; i < 200; ++i) {
    const CombinerText &c = all[size_t(i) % all.size()];
    int bits = random.below(12), warpBits = random.below(4);
    Dims shape = random.shape(bits);
    int axis = random.below(shape.size());
    bool dense = random.below(4) == 0;
    auto layout = [&] {
      return random.distributed(shape, std::max(0, bits - 5 - warpBits) + random.below(3), warpBits, dense);
    };
    LinearLayout input = layout(), output = random.below(4) == 0 ? layout() : input;
    ASSERT_EQ(runBoth(opText("scan", c, input, output, false, axis, random.coin()), 1 << warpBits,
                      memories(c, int64_t(1) << bits, int64_t(1) << bits, random.engine()), uint64_t(i % 3)),
              "")
        << "case " << i;
  }
}

} // namespace
} // namespace moec::compiler
