// tilegpu.convert_layout between random layouts.
#include "test/unit/layout/random_layouts.h"
#include "test/unit/lower/both.h"
#include "test/unit/lower/tile_text.h"

#include <gtest/gtest.h>

namespace moec::compiler {
namespace {

std::string convertText(const TileType &from, const TileType &to) {
  KernelText k;
  std::string x = k.load(from), y = k.fresh();
  k.line("{} = tilegpu.convert_layout {} : {} -> {}", y, x, from.text(), to.text());
  k.store(y, to);
  return k.text();
}

TEST(Convert, RandomLayoutsKeepEveryElement) {
  RandomLayouts random(1);
  const char *elements[] = {"f32", "bf16", "i8", "i1", "i64", "f16", "f64", "f8E4M3FN"};
  for (int i = 0; i < 120; ++i) {
    int bits = random.below(11), warpBits = random.below(4);
    Dims shape = random.shape(bits);
    bool dense = random.below(3) == 0;
    auto layout = [&] {
      return random.distributed(shape, std::max(0, bits - 5 - warpBits) + random.below(2), warpBits, dense);
    };
    TileType from{elements[i % 8], layout()}, to{from.element, layout()};
    if (random.below(4) == 0)
      to.layout = random.distributed(shape, from.layout.inBits(InDim::Register), warpBits, dense);
    Memory x(from.element, int64_t(1) << bits), y = x;
    fill(x, random.engine(), true);
    ASSERT_EQ(runBoth(convertText(from, to), 1 << warpBits, {x, y}), "") << "case " << i;
  }
}

/// A transposition inside a warp: registers and lanes change places.
TEST(Convert, WarpTranspositionTakesShuffles) {
  for (const char *element : {"f32", "bf16", "f64", "i1"}) {
    LinearLayout from = LinearLayout::fromBases(
        {4, 32}, {{InDim::Register, {{1, 0}, {2, 0}}}, {InDim::Lane, {{0, 1}, {0, 2}, {0, 4}, {0, 8}, {0, 16}}}});
    LinearLayout to = LinearLayout::fromBases(
        {4, 32}, {{InDim::Register, {{0, 1}, {0, 2}}}, {InDim::Lane, {{1, 0}, {2, 0}, {0, 4}, {0, 8}, {0, 16}}}});
    Memory x(element, 128), y = x;
    std::mt19937 rng(7);
    fill(x, rng);
    ASSERT_EQ(runBoth(convertText({element, from}, {element, to}), 1, {x, y}), "");
  }
}

} // namespace
} // namespace moec::compiler
