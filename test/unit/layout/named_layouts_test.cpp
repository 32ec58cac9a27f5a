#include "compiler/layout/NamedLayouts.h"
#include "compiler/layout/SharedAccess.h"

#include <gtest/gtest.h>

#include <set>

namespace moec::compiler {
namespace {

using enum InDim;

TEST(Blocked, AgainstTheDefinition) {
  // 2x4 elements per thread, 4x8 threads, 2x2 warps: a CTA tile of 16x64; the tensor repeats it 2x2 times.
  auto l = blocked({32, 128}, {2, 4}, {4, 8}, {2, 2}, {1, 0});
  EXPECT_EQ(l.inSize(Register), 32);
  for (uint32_t warp = 0; warp < 4; ++warp)
    for (uint32_t lane = 0; lane < 32; ++lane)
      for (uint32_t reg = 0; reg < 32; ++reg) {
        int64_t row = (reg / 4) % 2 + 2 * (lane / 8) + 8 * (warp / 2) + 16 * (reg / 16);
        int64_t col = reg % 4 + 4 * (lane % 8) + 32 * (warp % 2) + 64 * (reg / 8 % 2);
        EXPECT_EQ(l.apply(reg, lane, warp), Dims({row, col}));
      }
}

TEST(Blocked, OrderAndSmallTensors) {
  auto columns = blocked({8, 8}, {2, 1}, {4, 8}, {1, 1}, {0, 1});
  EXPECT_EQ(columns.toText(), "register = [[1, 0]], lane = [[2, 0], [4, 0], [0, 1], [0, 2], [0, 4]], warp = []");
  // Sticks out: the register bit goes away, lanes and warps hold copies.
  auto small = blocked({1, 8}, {2, 4}, {4, 8}, {2, 2}, {1, 0});
  EXPECT_EQ(small.toText(), "register = [[0, 1], [0, 2]], lane = [[0, 4], [0, 0], [0, 0], [0, 0], [0, 0]], "
                            "warp = [[0, 0], [0, 0]]");
  EXPECT_EQ(small.freeMasks()[size_t(Lane)], 0b11110u);
  EXPECT_EQ(small.freeMasks()[size_t(Warp)], 0b11u);
}

TEST(Coalesced, FillsVectorThenLanesThenWarps) {
  auto l = coalesced({64, 64}, 8, 4, {1, 0});
  EXPECT_EQ(l, blocked({64, 64}, {1, 8}, {4, 8}, {4, 1}, {1, 0}));
  EXPECT_EQ(l.numConsecutive(1), 8);
  EXPECT_EQ(coalesced({1024}, 8, 4, {0}), blocked({1024}, {8}, {32}, {4}, {0}));
  EXPECT_EQ(coalesced({256}, 8, 4, {0}), blocked({256}, {2}, {32}, {4}, {0})); // narrower, but all threads work
  EXPECT_EQ(coalesced({64, 64}, 4, 4, {0, 1}), coalesced({64, 64}, 4, 4, {1, 0}).transpose({1, 0}));
  for (Dims shape : {Dims{8}, Dims{1, 16}, Dims{2, 2, 2}, Dims{}}) {
    Dims order;
    for (int d = shape.size() - 1; d >= 0; --d) order.push_back(d);
    auto tiny = coalesced(shape, 4, 8, order);
    EXPECT_TRUE(tiny.isSurjective());
    EXPECT_EQ(tiny.inSize(Lane), 32);
    EXPECT_EQ(tiny.inSize(Warp), 8);
    EXPECT_EQ(tiny.inSize(Register), 1);
    EXPECT_EQ(tiny.shape(), shape);
  }
}

/// PTX ISA, "Matrix Fragments" of A and B for mma.m16n8k16 (`per` 2 elements in a 32-bit register) and mma.m16n8k32
/// (4): groupID = lane >> 2, threadID_in_group = lane % 4; registers alternate between rows 0-7 and 8-15 of A, then go
/// on along k.
void expectOperands(uint32_t per) {
  int bits = 32 / int(per);
  int64_t k = 8 * per;
  auto a = mmaOperand(DotOperand::A, {16, k}, bits, 1, 1), b = mmaOperand(DotOperand::B, {k, 8}, bits, 1, 1);
  EXPECT_EQ(a.inSize(Register), int32_t(4 * per));
  EXPECT_EQ(b.inSize(Register), int32_t(2 * per));
  for (uint32_t lane = 0; lane < 32; ++lane) {
    int64_t group = lane >> 2, inGroup = lane % 4;
    for (uint32_t i = 0; i < 4 * per; ++i) {
      bool upperRows = i < per || (2 * per <= i && i < 3 * per);
      EXPECT_EQ(a.apply(i, lane),
                Dims({upperRows ? group : group + 8, inGroup * per + i % per + (i < 2 * per ? 0 : 4 * per)}));
    }
    for (uint32_t i = 0; i < 2 * per; ++i)
      EXPECT_EQ(b.apply(i, lane), Dims({inGroup * per + i % per + (i < per ? 0 : 4 * per), group}));
  }
}

TEST(Mma, Fragments16Bit) { expectOperands(2); }
TEST(Mma, Fragments8Bit) { expectOperands(4); }

TEST(Mma, FragmentsOfSums) {
  auto c = mmaAccumulator({16, 8}, 1, 1);
  EXPECT_EQ(c.inSize(Register), 4);
  for (uint32_t lane = 0; lane < 32; ++lane)
    for (uint32_t i = 0; i < 4; ++i)
      EXPECT_EQ(c.apply(i, lane), Dims({i < 2 ? lane >> 2 : (lane >> 2) + 8, lane % 4 * 2 + (i & 1)}));
}

// PTX ISA, "Matrix Fragments for mma.m16n8k8" with .tf32.
TEST(Mma, FragmentsTf32) {
  auto a = mmaOperand(DotOperand::A, {16, 8}, 32, 1, 1), b = mmaOperand(DotOperand::B, {8, 8}, 32, 1, 1);
  for (uint32_t lane = 0; lane < 32; ++lane) {
    int64_t group = lane >> 2, inGroup = lane % 4;
    for (uint32_t i = 0; i < 4; ++i)
      EXPECT_EQ(a.apply(i, lane), Dims({i % 2 ? group + 8 : group, i < 2 ? inGroup : inGroup + 4}));
    for (uint32_t i = 0; i < 2; ++i) EXPECT_EQ(b.apply(i, lane), Dims({i ? inGroup + 4 : inGroup, group}));
  }
}

TEST(Mma, WarpsAndWrapping) {
  auto c = mmaAccumulator({64, 32}, 2, 2);
  auto a = mmaOperand(DotOperand::A, {64, 32}, 16, 2, 2), b = mmaOperand(DotOperand::B, {32, 32}, 16, 2, 2);
  EXPECT_EQ(c.inSize(Register), 16);
  EXPECT_EQ(a.inSize(Register), 32);
  EXPECT_EQ(b.inSize(Register), 16);
  for (uint32_t warp = 0; warp < 4; ++warp) {
    int64_t m = 16 * (warp % 2), n = 8 * (warp / 2);
    for (uint32_t t = 0; t < 4; ++t) { // which of the warp's tiles: N (K) first
      EXPECT_EQ(c.apply(4 * t, 0, warp), Dims({m + 32 * (t / 2), n + 16 * (t % 2)}));
      EXPECT_EQ(a.apply(8 * t, 0, warp), Dims({m + 32 * (t / 2), 16 * (t % 2)}));
      EXPECT_EQ(b.apply(4 * t, 0, warp), Dims({16 * (t % 2), n + 16 * (t / 2)}));
    }
  }
  EXPECT_EQ(a.freeMasks()[size_t(Warp)], 2u); // warps of one row share A
  EXPECT_EQ(b.freeMasks()[size_t(Warp)], 1u);
  auto few = mmaAccumulator({16, 8}, 4, 1); // more warps than rows: copies, and all four registers stay
  EXPECT_EQ(few.inSize(Register), 4);
  EXPECT_EQ(few.freeMasks()[size_t(Warp)], 3u);
}

// PTX ISA, wgmma "D fragment" of m64nNk16: row = 16 * warp + group (+ 8), column = 8 * j + 2 * (lane % 4) + i.
TEST(Mma, WgmmaAccumulator) {
  auto d = mmaAccumulator({64, 32}, 4, 1);
  for (uint32_t warp = 0; warp < 4; ++warp)
    for (uint32_t lane = 0; lane < 32; ++lane)
      for (uint32_t i = 0; i < 16; ++i)
        EXPECT_EQ(d.apply(i, lane, warp),
                  Dims({16 * warp + lane / 4 + 8 * (i / 2 % 2), 8 * (i / 4) + lane % 4 * 2 + i % 2}));
}

TEST(Swizzled, AgainstTheFormula) {
  struct Case {
    int64_t rows, cols;
    int vec, perPhase, maxPhase;
  } cases[] = {{16, 64, 8, 1, 8}, {32, 32, 4, 2, 4}, {8, 16, 1, 1, 1}, {64, 8, 4, 4, 8}, {16, 16, 2, 1, 16}};
  for (auto [rows, cols, vec, perPhase, maxPhase] : cases) {
    auto s = swizzledShared({rows, cols}, vec, perPhase, maxPhase, {1, 0});
    EXPECT_TRUE(s.isInvertible());
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < cols; ++c) {
        int64_t group = (c / vec) ^ (r / perPhase % maxPhase);
        int64_t stored = (group * vec + c % vec) % cols;
        EXPECT_EQ(s.applyOffset(uint32_t(r * cols + stored)), Dims({r, c}));
      }
    EXPECT_EQ(swizzledShared({cols, rows}, vec, perPhase, maxPhase, {0, 1}), s.transpose({1, 0}));
  }
  EXPECT_EQ(swizzledShared({2, 4, 8}, 1, 1, 1, {2, 1, 0}), LinearLayout::identity(Offset, {2, 4, 8}));
}

TEST(TmaShared, AgainstAddressBits) {
  for (int swizzle : {32, 64, 128})
    for (int elemBytes : {1, 2, 4}) {
      int64_t rows = 32, cols = 2 * swizzle / elemBytes; // two boxes side by side
      auto s = tmaShared({rows, cols}, elemBytes * 8, swizzle);
      EXPECT_TRUE(s.isInvertible());
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < cols; ++c) {
          int64_t byte = c * elemBytes, address = byte / swizzle * (rows * swizzle) + r * swizzle + byte % swizzle;
          address ^= ((address >> 7) & (swizzle / 16 - 1)) << 4;
          EXPECT_EQ(s.applyOffset(uint32_t(address / elemBytes)), Dims({r, c}));
        }
    }
  EXPECT_EQ(tmaShared({2, 16, 64}, 16, 128), tmaShared({32, 64}, 16, 128).reshape({2, 16, 64}));
}

TEST(MatrixShared, RowsOfAMatrixMissEachOther) {
  for (int64_t cols : {8, 16, 32, 64, 128}) {
    auto s = matrixShared({32, cols}, 16, {1, 0});
    for (int64_t chunk = 0; chunk < cols / 8; ++chunk)
      for (int64_t r0 = 0; r0 < 32; r0 += 8) {
        std::set<int64_t> banks; // groups of four
        for (uint32_t offset = 0; offset < 32 * cols; offset += 8) {
          Dims at = s.applyOffset(offset);
          if (at[1] / 8 == chunk && at[0] >= r0 && at[0] < r0 + 8) banks.insert(offset * 2 / 16 % 8);
        }
        EXPECT_EQ(banks.size(), 8u);
      }
  }
}

} // namespace
} // namespace moec::compiler
