#include "compiler/layout/LinearLayout.h"
#include "test/unit/layout/random_layouts.h"

#include <gtest/gtest.h>

#include <chrono>
#include <set>

namespace moec::compiler {
namespace {

using enum InDim;

LinearLayout id(int64_t size, InDim in, int dim, int rank) { return LinearLayout::identity1D(size, in, dim, rank); }

TEST(LinearLayout, TheWorkedTable) {
  auto l = LinearLayout::fromBases({4, 4}, {{Register, {{0, 1}, {0, 2}}}, {Lane, {{1, 0}, {2, 0}}}});
  for (uint32_t lane = 0; lane < 4; ++lane)
    for (uint32_t reg = 0; reg < 4; ++reg) EXPECT_EQ(l.apply(reg, lane), Dims({lane, reg}));
  EXPECT_EQ(l, id(4, Register, 1, 2) * id(4, Lane, 0, 2));
  EXPECT_EQ(l.toText(), "register = [[0, 1], [0, 2]], lane = [[1, 0], [2, 0]], warp = []");
  EXPECT_EQ(l.toString(), "register     1 -> (0, 1)\n"
                          "             2 -> (0, 2)\n"
                          "lane         1 -> (1, 0)\n"
                          "             2 -> (2, 0)\n"
                          "shape     [4, 4]\n");
}

TEST(LinearLayout, SwizzleExampleOfTheHeader) {
  auto l = LinearLayout::fromBases({4, 4}, {{Offset, {{0, 1}, {0, 2}, {1, 1}, {2, 2}}}});
  for (int r = 0; r < 4; ++r)
    for (int c = 0; c < 4; ++c) EXPECT_EQ(l.applyOffset(uint32_t(4 * r + (c ^ r))), Dims({r, c}));
}

TEST(LinearLayout, ProductPutsTheSecondAbove) {
  auto l = id(2, Register, 0, 1) * id(4, Lane, 0, 1) * id(2, Register, 0, 1);
  EXPECT_EQ(l, LinearLayout::fromBases({16}, {{Register, {{1}, {8}}}, {Lane, {{2}, {4}}}}));
  auto b = LinearLayout::zeros1D(4, Lane, 1) * id(2, Lane, 0, 1);
  EXPECT_EQ(b, LinearLayout::fromBases({2}, {{Lane, {{0}, {0}, {1}}}}));
  EXPECT_EQ(LinearLayout::identity(Register, {2, 4}),
            LinearLayout::fromBases({2, 4}, {{Register, {{0, 1}, {0, 2}, {1, 0}}}}));
}

TEST(LinearLayout, ProductIsAssociativeAndDivideLeftUndoesIt) {
  RandomLayouts random(1);
  for (int i = 0; i < 200; ++i) {
    auto make = [&] {
      LinearLayout l = LinearLayout::zeros1D(1, Lane, 2);
      for (int j = 0; j < 3; ++j) l *= id(1 << random.below(3), InDim(random.below(4)), random.below(2), 2);
      return l * LinearLayout::zeros1D(1 << random.below(2), InDim(random.below(4)), 2);
    };
    LinearLayout a = make(), b = make(), c = make();
    EXPECT_EQ((a * b) * c, a * (b * c));
    auto quotient = (a * b).divideLeft(a);
    ASSERT_TRUE(quotient);
    EXPECT_EQ(*quotient, b);
  }
  auto swapped = LinearLayout::fromBases({4}, {{Register, {{2}, {1}}}});
  EXPECT_FALSE(swapped.divideLeft(id(2, Register, 0, 1)));
  EXPECT_FALSE(id(2, Register, 0, 1).divideLeft(id(4, Register, 0, 1)));
  EXPECT_FALSE(id(2, Register, 0, 1).divideLeft(id(2, Lane, 0, 1)));
}

TEST(LinearLayout, ApplyIsLinearAndPacksInputs) {
  RandomLayouts random(2);
  for (int i = 0; i < 100; ++i) {
    LinearLayout l = random.distributed(random.shape(7), 3, 2, true);
    for (int j = 0; j < 50; ++j) {
      uint32_t a = uint32_t(random.below(1 << 10)), b = uint32_t(random.below(1 << 10));
      EXPECT_EQ(l.applyPacked(a ^ b), l.applyPacked(a) ^ l.applyPacked(b));
      uint32_t reg = l.unpack(a, Register), lane = l.unpack(a, Lane), warp = l.unpack(a, Warp);
      EXPECT_EQ(l.pack(reg, lane, warp), a);
      EXPECT_EQ(l.flatten(l.apply(reg, lane, warp)), l.applyPacked(a));
    }
  }
}

TEST(LinearLayout, ComposeIsAssociativeAndMeansOneAfterTheOther) {
  RandomLayouts random(3);
  for (int i = 0; i < 200; ++i) {
    Dims shape = random.shape(8);
    LinearLayout a = random.distributed(shape, 3, 1, true), b = random.memory(shape, true),
                 c = random.memory(shape, true);
    EXPECT_EQ(a.compose(b).compose(c), a.compose(b.compose(c)));
    for (uint32_t x = 0; x < 1u << a.totalInBits(); x += 7)
      EXPECT_EQ(a.compose(b).applyPacked(x), b.applyPacked(a.applyPacked(x)));
  }
}

TEST(LinearLayout, InverseLaws) {
  RandomLayouts random(4);
  for (int i = 0; i < 200; ++i) {
    Dims shape = random.shape(9);
    LinearLayout a = random.distributed(shape, 3, 1, true); // 9 bits in, 9 out: invertible
    ASSERT_TRUE(a.isInvertible());
    LinearLayout inverse = a.inverse();
    EXPECT_EQ(inverse.shape(), a.inputShape());
    EXPECT_EQ(a.compose(inverse).flattenOuts().packedBases(), LinearLayout::identity(Offset, {512}).packedBases());
    EXPECT_EQ(inverse.compose(a), LinearLayout::identity(Offset, shape));
    EXPECT_EQ(inverse.inverse().packedBases(), a.packedBases());
  }
}

TEST(LinearLayout, InvertAndComposeFindsEveryElementAndLeavesFreeBitsZero) {
  RandomLayouts random(5);
  for (int i = 0; i < 300; ++i) {
    Dims shape = random.shape(7);
    LinearLayout a = random.distributed(shape, 3, 1, true), b = random.distributed(shape, 2, 2, true);
    LinearLayout map = a.invertAndCompose(b);
    EXPECT_EQ(map.shape(), b.inputShape());
    EXPECT_EQ(map.compose(b), a);
    auto free = b.freeMasks();
    for (uint32_t x = 0; x < 1u << a.totalInBits(); ++x) {
      uint32_t place = map.applyPacked(x);
      for (InDim in : {Register, Lane, Warp}) EXPECT_EQ(b.unpack(place, in) & free[size_t(in)], 0u);
    }
    EXPECT_EQ(b.pseudoInverse().compose(b), LinearLayout::identity(Offset, shape));
  }
}

TEST(LinearLayout, RankQuestionsAgainstCounting) {
  RandomLayouts random(6);
  for (int i = 0; i < 300; ++i) {
    Dims shape = random.shape(6);
    LinearLayout l(shape); // not always surjective
    for (int b = 0, n = random.below(9); b < n; ++b)
      l.addFlatBasis(InDim(random.below(4)), uint32_t(random.below(64)) & (random.coin() ? 63 : 12));
    uint32_t places = 1u << l.totalInBits();
    std::set<uint32_t> image, kept;
    auto free = l.freeMasks();
    for (uint32_t x = 0; x < places; ++x) {
      image.insert(l.applyPacked(x));
      bool copy = false;
      for (InDim in : {Register, Lane, Warp, Block}) copy |= (l.unpack(x, in) & free[size_t(in)]) != 0;
      if (!copy) { EXPECT_TRUE(kept.insert(l.applyPacked(x)).second) << "an element is kept twice"; }
    }
    EXPECT_EQ(kept, image);
    EXPECT_EQ(1u << l.imageRank(), image.size());
    EXPECT_EQ(l.isSurjective(), image.size() == 64);
    EXPECT_EQ(l.isInjective(), image.size() == places);
    auto kernel = l.kernelBasis();
    EXPECT_EQ(places >> kernel.size(), image.size());
    F2Span span;
    for (uint32_t k : kernel) {
      EXPECT_EQ(l.applyPacked(k), 0u);
      EXPECT_TRUE(span.grow(k));
    }
    LinearLayout lean = l.removeFreeRegisters();
    EXPECT_EQ(lean.imageRank(), l.imageRank());
    EXPECT_EQ(lean.freeMasks()[size_t(Register)], 0u);
  }
}

TEST(LinearLayout, SublayoutAndQuotient) {
  auto l = LinearLayout::fromBases({4, 4}, {{Register, {{0, 1}, {1, 2}}}, {Lane, {{2, 0}}}});
  EXPECT_EQ(l.sublayout({Register}, {1}), LinearLayout::fromBases({4}, {{Register, {{1}, {2}}}}));
  EXPECT_EQ(l.sublayout({Lane, Register}, {1, 0}), l.transpose({1, 0}));
  // A conversion that only swaps registers: lanes and warps can be taken out, registers cannot.
  auto a = id(4, Register, 0, 1) * id(32, Lane, 0, 1) * id(4, Warp, 0, 1);
  auto b = LinearLayout::fromBases({4}, {{Register, {{2}, {1}}}}) * id(32, Lane, 0, 1) * id(4, Warp, 0, 1);
  auto map = a.invertAndCompose(b);
  auto noWarp = map.quotient(Warp);
  ASSERT_TRUE(noWarp);
  auto rest = noWarp->quotient(Lane);
  ASSERT_TRUE(rest);
  EXPECT_FALSE(map.quotient(Register));
  EXPECT_EQ(rest->shape(), Dims({1, 1, 1, 4}));
  EXPECT_EQ(rest->flattenOuts(), LinearLayout::fromBases({4}, {{Register, {{2}, {1}}}}));
}

TEST(LinearLayout, ShapeChangesAgainstBruteForce) {
  RandomLayouts random(7);
  for (int i = 0; i < 100; ++i) {
    LinearLayout l = random.distributed({4, 8, 2}, 2, 1, random.coin());
    LinearLayout t = l.transpose({2, 0, 1}), s = l.slice(1), e = l.expandDims(1), r = l.reshape({16, 4});
    LinearLayout small = l.restrictTo({4, 1, 2}), big = l.ensureNotSmallerThan({8, 8, 8}, {0, 1, 2});
    for (uint32_t x = 0; x < 1u << l.totalInBits(); ++x) {
      Dims c = l.unflatten(l.applyPacked(x));
      auto at = [&](const LinearLayout &m) { return m.unflatten(m.applyPacked(x)); };
      EXPECT_EQ(at(t), Dims({c[2], c[0], c[1]}));
      EXPECT_EQ(at(s), Dims({c[0], c[2]}));
      EXPECT_EQ(at(e), Dims({c[0], 0, c[1], c[2]}));
      int64_t flat = (c[0] * 8 + c[1]) * 2 + c[2];
      EXPECT_EQ(at(r), Dims({flat / 4, flat % 4}));
      EXPECT_EQ(at(small), Dims({c[0], 0, c[2]}));
    }
    for (uint32_t reg = 0; reg < 32; ++reg) { // two old register bits, then dim0 once, then dim2 twice
      Dims old = l.apply(reg & 3, 5, 1), now = big.apply(reg, 5, 1);
      EXPECT_EQ(now, Dims({old[0] + 4 * (reg >> 2 & 1), old[1], old[2] + 2 * (reg >> 3)}));
    }
    EXPECT_EQ(l.flattenOuts().shape(), Dims({64}));
    EXPECT_EQ(l.resizeTo({2, 32, 2}), l.restrictTo({2, 8, 2}).ensureNotSmallerThan({2, 32, 2}));
    EXPECT_EQ(l.ensureNotLargerThan({2, 32, 2}), l.restrictTo({2, 8, 2}));
    EXPECT_EQ(l.ensureNotSmallerThan({16, 16, 2}), l.ensureNotSmallerThan({16, 16, 2}, {2, 1, 0}));
    EXPECT_TRUE(big.isSurjective());
  }
}

TEST(LinearLayout, VectorWidth) {
  auto row = id(4, Register, 1, 2) * id(32, Lane, 1, 2) * id(2, Register, 0, 2);
  EXPECT_EQ(row.numConsecutive(1), 4);
  EXPECT_EQ(row.numConsecutive(0), 2);
  auto swapped = LinearLayout::fromBases({8}, {{Register, {{2}, {1}}}, {Lane, {{4}}}});
  EXPECT_EQ(swapped.contiguousRegisterBits(0), (std::vector<int>{1, 0}));
  auto lanesBetween = LinearLayout::fromBases({8}, {{Register, {{1}, {4}}}, {Lane, {{2}}}});
  EXPECT_EQ(lanesBetween.numConsecutive(0), 2);
  auto crooked = LinearLayout::fromBases({8}, {{Register, {{1}, {2}}}, {Lane, {{5}}}}); // a lane is off by one element
  EXPECT_EQ(crooked.numConsecutive(0), 1);
  auto skewed = LinearLayout::fromBases({2, 4}, {{Register, {{0, 1}, {1, 2}}}});
  EXPECT_EQ(skewed.numConsecutive(1), 2);
}

TEST(LinearLayout, IndexBitHomes) {
  auto l = LinearLayout::fromBases({4, 8},
                                   {{Register, {{0, 4}, {0, 0}}}, {Lane, {{0, 1}, {0, 0}, {1, 0}}}, {Warp, {{0, 2}}}});
  EXPECT_TRUE(l.isPermutationLayout());
  auto homes = l.indexBitHomes(1);
  ASSERT_TRUE(homes);
  using Home = LinearLayout::BitHome;
  EXPECT_EQ(*homes, (std::vector<Home>{{true, Lane, 0}, {true, Warp, 0}, {true, Register, 0}}));
  EXPECT_EQ(*l.indexBitHomes(0), (std::vector<Home>{{true, Lane, 2}, {}}));
  EXPECT_EQ((*homes)[1].mask(), 1u);
  auto twice = LinearLayout::fromBases({4}, {{Register, {{1}, {2}}}, {Lane, {{1}}}});
  EXPECT_FALSE(twice.isPermutationLayout());
  auto mixed = LinearLayout::fromBases({4}, {{Register, {{1}, {3}}}});
  EXPECT_FALSE(mixed.isPermutationLayout());
  EXPECT_FALSE(mixed.indexBitHomes(0));
}

TEST(LinearLayout, IndexBitHomesLocateEveryBit) {
  RandomLayouts random(8);
  for (int i = 0; i < 100; ++i) {
    LinearLayout l = random.distributed(random.shape(8), 3, 2, false);
    for (int d = 0; d < l.rank(); ++d) {
      auto homes = l.indexBitHomes(d);
      ASSERT_TRUE(homes);
      for (uint32_t x = 0; x < 1u << l.totalInBits(); x += 3) {
        int64_t index = 0;
        for (size_t b = 0; b < homes->size(); ++b) {
          ASSERT_TRUE((*homes)[b].present);
          if (l.unpack(x, (*homes)[b].in) & (*homes)[b].mask()) index |= int64_t(1) << b;
        }
        EXPECT_EQ(index, l.unflatten(l.applyPacked(x))[d]);
      }
    }
  }
}

TEST(LinearLayout, ShiftTermsGiveTheCoordinates) {
  auto l = id(4, Register, 1, 2) * id(8, Lane, 1, 2) * id(4, Lane, 0, 2) * id(4, Warp, 0, 2);
  using Term = LinearLayout::ShiftTerm;
  EXPECT_EQ(l.shiftTerms(Lane, 1), (std::vector<Term>{{0b00111, 2}}));
  EXPECT_EQ(l.shiftTerms(Lane, 0), (std::vector<Term>{{0b11000, -3}}));
  EXPECT_EQ(l.shiftTerms(Warp, 1), std::vector<Term>());
  RandomLayouts random(12);
  for (int i = 0; i < 100; ++i) {
    LinearLayout r = random.distributed(random.shape(8), 3, 2, true);
    for (int d = 0; d < r.rank(); ++d)
      for (uint32_t x = 0; x < 1u << r.totalInBits(); x += 5) {
        uint32_t sum = 0;
        for (InDim in : {Register, Lane, Warp})
          for (const Term &t : r.shiftTerms(in, d)) sum ^= t.eval(r.unpack(x, in));
        EXPECT_EQ(sum, r.unflatten(r.applyPacked(x))[d]);
      }
  }
}

TEST(LinearLayout, TextRoundTrip) {
  RandomLayouts random(9);
  std::vector<LinearLayout> all = {LinearLayout(),       LinearLayout(Dims{}),
                                   LinearLayout({4, 1}), LinearLayout::zeros1D(4, Lane, 2),
                                   id(4, Block, 0, 1),   LinearLayout::identity(Offset, {4, 1})};
  for (int i = 0; i < 100; ++i) {
    all.push_back(random.distributed(random.shape(7), 3, 2, random.coin()));
    all.push_back(random.memory(random.shape(6), true));
    all.push_back(random.distributed({4, 8}, 2, 1, true).ensureNotLargerThan({4, 2}));
    all.push_back(LinearLayout({4, 8})); // bases that do not imply the shape
    for (int b = 0; b < 3; ++b) all.back().addFlatBasis(InDim(b), uint32_t(random.below(32)));
  }
  for (const LinearLayout &l : all) {
    std::string error;
    auto back = LinearLayout::parse(l.toText(), &error);
    ASSERT_TRUE(back) << l.toText() << ": " << error;
    EXPECT_EQ(*back, l) << l.toText();
    EXPECT_EQ(back->hash(), l.hash());
  }
  EXPECT_EQ(LinearLayout::parse("lane=[[1],[2]]  ,register = [ ]")->toText(),
            "register = [], lane = [[1], [2]], warp = []");
  EXPECT_EQ(LinearLayout({4}).toText(), "register = [], lane = [], warp = [], shape = [4]");
  EXPECT_EQ(LinearLayout::identity(Offset, {2, 2}).toText(), "offset = [[0, 1], [1, 0]]");
}

TEST(LinearLayout, TextMistakesAreNamed) {
  struct Row {
    const char *text, *error;
  } rows[] = {
      {"", "expected register, lane, warp, block, offset or shape"},
      {"thread = [[1]]", "unknown input dimension 'thread'"},
      {"lane = [[1]], lane = []", "'lane' given twice"},
      {"lane = [[1], [0, 1]]", "bases of different rank"},
      {"lane = [[1]", "expected ']'"},
      {"lane = [1]", "expected '['"},
      {"lane = [[-1]]", "expected a coordinate"},
      {"lane = [[99999999999999999999]]", "expected a coordinate"},
      {"lane = [[1]] x", "expected ',' or the end"},
      {"lane = [[1]], shape = [3]", "a dimension's size is not a power of two"},
      {"lane = [[4]], shape = [4]", "a basis outside the shape"},
      {"lane = [[1, 1]], shape = [4]", "bases of different rank"},
      {"lane = [], warp = []", "a layout without bases needs a shape"},
      {"lane = [[1, 1, 1, 1, 1, 1]]", "more than 5 dimensions"},
      {"lane = [[1]], shape = [65536, 65536]", "more than 2^31 elements"},
      {"lane = [[1]], offset = [[2]]", "offset does not go together"},
      {"lane = [[1]], shape = [2], shape = [2]", "shape given twice"},
  };
  for (const Row &row : rows) {
    std::string error;
    EXPECT_FALSE(LinearLayout::parse(row.text, &error)) << row.text;
    EXPECT_EQ(error.find(row.error), 0u) << row.text << ": " << error;
  }
  std::string many = "lane = [[1]";
  for (int i = 0; i < 32; ++i) many += ", [1]";
  std::string error;
  EXPECT_FALSE(LinearLayout::parse(many + "]", &error));
  EXPECT_EQ(error.find("more than 32 bases"), 0u) << error;
}

TEST(LinearLayout, HashTellsLayoutsApart) {
  RandomLayouts random(10);
  std::set<std::string> texts;
  std::set<size_t> hashes;
  for (int i = 0; i < 2000; ++i) {
    LinearLayout l = random.distributed(random.shape(7), 3, 2, true);
    texts.insert(l.toText());
    hashes.insert(l.hash());
  }
  EXPECT_EQ(hashes.size(), texts.size());
}

TEST(LinearLayout, NobodyNoticesTheTime) { // the whole compile has 6 ms; a pass asks thousands of times
  RandomLayouts random(11);
  LinearLayout a = random.distributed({128, 128}, 7, 2, true), b = random.memory({128, 128}, true);
  auto start = std::chrono::steady_clock::now();
  size_t sum = 0;
  for (int i = 0; i < 10000; ++i) sum += a.invertAndCompose(b).hash();
  double us = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / 10000;
  EXPECT_NE(sum, 0u);
  RecordProperty("invert_and_compose_ns", int(us * 1000));
  EXPECT_LT(us, 100) << "usually well under 1 us";
}

} // namespace
} // namespace moec::compiler
