// tile.sort, tile.topk and tile.histogram.
#include "test/unit/layout/random_layouts.h"
#include "test/unit/lower/both.h"
#include "test/unit/lower/tile_text.h"

#include <gtest/gtest.h>

namespace moec::compiler {
namespace {

const char *const kElements[] = {"f32", "i32", "bf16", "i64", "f16", "i8", "f64", "i1", "f8E4M3FN", "f8E5M2"};

std::string sortText(const std::vector<std::string> &elements, const LinearLayout &input, const LinearLayout &output,
                     bool descending, bool isUnsigned) {
  KernelText k;
  std::vector<std::string> operands, types, resultTypes;
  for (const std::string &element : elements) {
    operands.push_back(k.load({element, input}));
    types.push_back(TileType{element, input}.text());
    resultTypes.push_back(TileType{element, output}.text());
  }
  std::string result = k.fresh(), attributes = descending && isUnsigned ? "descending, unsigned_key"
                                               : descending             ? "descending"
                                               : isUnsigned             ? "unsigned_key"
                                                                        : "";
  k.line("{}:{} = \"tile.sort\"({}) <{{{}}}> : ({}) -> ({})", result, elements.size(), fmt::join(operands, ", "),
         attributes, fmt::join(types, ", "), fmt::join(resultTypes, ", "));
  for (size_t i = 0; i < elements.size(); ++i) k.store(fmt::format("{}#{}", result, i), {elements[i], output});
  return k.text();
}

TEST(Sort, RandomLayoutsAndKeys) {
  RandomLayouts random(11);
  for (int i = 0; i < 100; ++i) {
    int bits = random.below(10), warpBits = random.below(3);
    Dims shape = random.shape(bits);
    bool dense = random.below(6) == 0;
    auto layout = [&] {
      return random.distributed(shape, std::max(0, bits - 5 - warpBits) + random.below(2), warpBits, dense);
    };
    LinearLayout input = layout(), output = random.below(4) == 0 ? layout() : input;
    std::vector<std::string> elements{kElements[i % 10]};
    if (random.coin()) elements.push_back("i32"); // alone, integers need no positions
    if (random.below(4) == 0) elements.push_back("bf16");
    std::vector<Memory> memories;
    for (const std::string &element : elements)
      memories.emplace_back(element, int64_t(1) << bits), fill(memories.back(), random.engine(), true);
    for (const std::string &element : elements) memories.emplace_back(element, int64_t(1) << bits);
    bool isUnsigned = elements[0][0] == 'i' && random.coin();
    ASSERT_EQ(
        runBoth(sortText(elements, input, output, random.coin(), isUnsigned), 1 << warpBits, memories, uint64_t(i % 3)),
        "")
        << "case " << i;
  }
}

std::string topkText(const std::string &element, const LinearLayout &input, const LinearLayout &values,
                     const LinearLayout &indices, int k) {
  KernelText text;
  std::string x = text.load({element, input}), result = text.fresh();
  TileType v{element, values}, p{"i32", indices};
  text.line("{}:2 = tile.topk {}, {} : {} -> {}, {}", result, x, k, TileType{element, input}.text(), v.text(),
            p.text());
  text.store(result + "#0", v);
  text.store(result + "#1", p);
  return text.text();
}

std::vector<Memory> topkMemories(const std::string &element, int64_t in, int64_t out, std::mt19937 &rng, bool special) {
  std::vector<Memory> list{{element, in}, {element, out}, {"i32", out}};
  fill(list[0], rng, special);
  return list;
}

TEST(TopK, RandomLayoutsAndKeys) {
  RandomLayouts random(12);
  for (int i = 0; i < 120; ++i) {
    int bits = random.below(11), warpBits = random.below(3);
    Dims shape = random.shape(bits);
    int last = shape.size() - 1, kBits = random.below(std::min(5, log2Exact(shape[last]) + 1));
    Dims result = shape;
    result[last] = int64_t(1) << kBits;
    bool dense = random.below(6) == 0;
    auto layout = [&](const Dims &s) {
      return random.distributed(s, std::max(0, LinearLayout(s).totalOutBits() - 5 - warpBits) + random.below(2),
                                warpBits, dense);
    };
    LinearLayout values = layout(result), indices = random.below(4) == 0 ? layout(result) : values;
    std::string element = kElements[i % 10];
    ASSERT_EQ(runBoth(topkText(element, layout(shape), values, indices, 1 << kBits), 1 << warpBits,
                      topkMemories(element, int64_t(1) << bits, values.numElements(), random.engine(), random.coin()),
                      uint64_t(i % 3)),
              "")
        << "case " << i;
  }
}

/// What routing does: rows of 64 to 512 experts, a warp per row.
TEST(TopK, RoutingShapes) {
  std::mt19937 rng(13);
  for (int experts : {64, 128, 256, 512})
    for (int k : {1, 2, 4, 8, 16})
      for (const char *element : {"f32", "bf16"}) {
        LinearLayout input(Dims{4, experts}), output(Dims{4, k});
        int perThread = log2Exact(experts) - 5;
        for (int bit = 0; bit < perThread + 5; ++bit)
          input.addFlatBasis(bit < perThread ? InDim::Register : InDim::Lane, 1u << bit);
        for (int bit = 0; bit < 5; ++bit) output.addFlatBasis(InDim::Lane, bit < log2Exact(k) ? 1u << bit : 0);
        for (int bit = 0; bit < 2; ++bit) {
          input.addFlatBasis(InDim::Warp, uint32_t(experts) << bit);
          output.addFlatBasis(InDim::Warp, uint32_t(k) << bit);
        }
        ASSERT_EQ(runBoth(topkText(element, input, output, output, k), 4,
                          topkMemories(element, 4 * experts, 4 * k, rng, k == 8)),
                  "")
            << experts << " " << k << " " << element;
      }
}

TEST(Histogram, CountsWhatIsInRangeAndUnmasked) {
  RandomLayouts random(14);
  for (int i = 0; i < 60; ++i) {
    int bits = random.below(11), binBits = random.below(9), warpBits = random.below(4);
    Dims shape = random.shape(bits);
    bool dense = random.below(4) == 0, masked = random.coin();
    auto layout = [&](const Dims &s) {
      return random.distributed(s, std::max(0, LinearLayout(s).totalOutBits() - 5 - warpBits) + random.below(2),
                                warpBits, dense);
    };
    LinearLayout input = layout(shape), maskLayout = random.below(4) == 0 ? layout(shape) : input,
                 output = layout(Dims{int64_t(1) << binBits});
    KernelText k;
    std::string x = k.load({"i32", input}), mask = masked ? k.load({"i1", maskLayout}) : "", result = k.fresh();
    k.line("{} = tile.histogram {}{} : {} -> {}", result, x,
           masked ? fmt::format(", mask {} : {}", mask, TileType{"i1", maskLayout}.text()) : "",
           TileType{"i32", input}.text(), TileType{"i32", output}.text());
    k.store(result, {"i32", output});
    std::vector<Memory> memories{{"i32", int64_t(1) << bits}};
    for (size_t e = 0; e < size_t(memories[0].count()); ++e)
      memories[0].at<int32_t>(e) = random.below((1 << binBits) + 4) - 2;
    if (masked) memories.emplace_back("i1", int64_t(1) << bits), fill(memories.back(), random.engine());
    memories.emplace_back("i32", int64_t(1) << binBits);
    ASSERT_EQ(runBoth(k.text(), 1 << warpBits, memories, uint64_t(i % 3)), "") << "case " << i;
  }
}

} // namespace
} // namespace moec::compiler
