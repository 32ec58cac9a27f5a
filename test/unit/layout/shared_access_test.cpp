#include "compiler/layout/NamedLayouts.h"
#include "compiler/layout/SharedAccess.h"
#include "test/unit/layout/random_layouts.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <set>

namespace moec::compiler {
namespace {

using enum InDim;

/// Offset of every element, found by search: independent of any elimination.
std::vector<uint32_t> offsetOfElement(const LinearLayout &shared) {
  std::vector<uint32_t> offset(size_t(shared.numElements()));
  for (uint32_t o = 0; o < offset.size(); ++o) offset[shared.applyPacked(o)] = o;
  return offset;
}

/// The register that holds element i of the vector (or word) whose first register is `base`.
uint32_t vectorRegister(uint32_t base, const std::vector<int> &bits, uint32_t i) {
  for (size_t b = 0; b < bits.size(); ++b)
    if (i >> b & 1) base ^= 1u << bits[b];
  return base;
}

bool isFirst(uint32_t reg, const std::vector<int> &bits) {
  return vectorRegister(reg, bits, ~0u) == reg + (vectorRegister(0, bits, ~0u));
}

/// Wavefronts of one instruction, counted lane by lane and bank by bank.
int countWavefronts(const LinearLayout &regs, const LinearLayout &shared, int elemBits, const VectorAccess &vec,
                    uint32_t reg, uint32_t warp) {
  auto offsetOf = offsetOfElement(shared);
  int bytes = vec.width * elemBits / 8, perGroup = std::min(32, 128 / std::max(4, bytes)), total = 0;
  for (int first = 0; first < 32; first += perGroup) {
    std::map<uint32_t, std::set<uint32_t>> wordsOfBank;
    for (int lane = first; lane < first + perGroup; ++lane)
      for (uint32_t i = 0; i < uint32_t(vec.width); ++i) {
        uint32_t offset = offsetOf[regs.applyFlat(vectorRegister(reg, vec.registerBits, i), uint32_t(lane), warp)];
        for (uint32_t byte = offset * uint32_t(elemBits / 8), end = byte + uint32_t(elemBits / 8); byte < end; ++byte)
          wordsOfBank[byte / 4 % 32].insert(byte / 4);
      }
    size_t worst = 0;
    for (const auto &[bank, words] : wordsOfBank) worst = std::max(worst, words.size());
    total += int(worst);
  }
  return total;
}

/// Every vector of the access is aligned and contiguous in shared memory.
void expectVectorsFit(const LinearLayout &regs, const LinearLayout &shared, const VectorAccess &vec) {
  auto offsetOf = offsetOfElement(shared);
  for (uint32_t warp = 0; warp < regs.inSize(Warp); ++warp)
    for (uint32_t lane = 0; lane < 32; ++lane)
      for (uint32_t reg = 0; reg < regs.inSize(Register); ++reg) {
        if (!isFirst(reg, vec.registerBits)) continue;
        uint32_t base = offsetOf[regs.applyFlat(reg, lane, warp)];
        ASSERT_EQ(base % uint32_t(vec.width), 0u);
        for (uint32_t i = 0; i < uint32_t(vec.width); ++i)
          ASSERT_EQ(offsetOf[regs.applyFlat(vectorRegister(reg, vec.registerBits, i), lane, warp)], base + i);
      }
}

TEST(BankConflicts, KnownCases) {
  auto rows = blocked({32, 32}, {1, 1}, {1, 32}, {1, 1}, {1, 0}), columns = rows.transpose({1, 0});
  auto plain = LinearLayout::identity(Offset, {32, 32});
  EXPECT_EQ(bankConflicts(rows, plain, 32, 1).wavefronts, 1);
  EXPECT_EQ(bankConflicts(columns, plain, 32, 1).wavefronts, 32);
  EXPECT_EQ(bankConflicts(columns, plain, 16, 1).wavefronts, 16);
  EXPECT_EQ(bankConflicts(columns, swizzledShared({32, 32}, 1, 1, 32, {1, 0}), 32, 1).wavefronts, 1);
  auto wide = blocked({8, 128}, {1, 4}, {1, 32}, {1, 1}, {1, 0});
  EXPECT_EQ(sharedVector(wide, LinearLayout::identity(Offset, {8, 128}), 32).width, 4);
  auto count = bankConflicts(wide, LinearLayout::identity(Offset, {8, 128}), 32, 4);
  EXPECT_EQ(count.wavefronts, 4);
  EXPECT_TRUE(count.conflictFree());
}

TEST(BankConflicts, AgainstCounting) {
  RandomLayouts random(21);
  int conflicts = 0;
  for (int i = 0; i < 400; ++i) {
    bool dense = random.coin();
    Dims shape = random.shape(9);
    LinearLayout regs = random.distributed(shape, 4, 1, dense), shared = random.memory(shape, dense);
    for (int elemBits : {8, 16, 32, 64}) {
      VectorAccess vec = sharedVector(regs, shared, elemBits);
      expectVectorsFit(regs, shared, vec);
      WavefrontCount count = bankConflicts(regs, shared, elemBits, vec.width);
      uint32_t reg = uint32_t(random.below(16)), warp = uint32_t(random.below(2));
      while (!isFirst(reg, vec.registerBits)) reg = uint32_t(random.below(16));
      EXPECT_EQ(count.wavefronts, countWavefronts(regs, shared, elemBits, vec, reg, warp))
          << regs.toText() << shared.toText();
      conflicts += !count.conflictFree();
    }
  }
  EXPECT_GT(conflicts, 100); // the test would mean little otherwise
}

/// Runs ldmatrix as the PTX ISA says and compares what arrives with the register layout.
void simulateLdmatrix(const LinearLayout &regs, const LinearLayout &shared, int elemBits, const MatrixAccess &m) {
  auto offsetOf = offsetOfElement(shared);
  LinearLayout toOffset = regs.invertAndCompose(shared);
  uint32_t perWord = uint32_t(32 / elemBits), perRow = 4 * perWord;
  std::vector<int> inside = m.wordBits;
  inside.insert(inside.end(), m.matrixBits.begin(), m.matrixBits.end());
  std::set<uint32_t> written;
  for (uint32_t warp = 0; warp < regs.inSize(Warp); ++warp)
    for (uint32_t base = 0; base < regs.inSize(Register); ++base) {
      if (!isFirst(base, inside)) continue;
      for (uint32_t matrix = 0; matrix < uint32_t(m.matrices); ++matrix) {
        uint32_t rowOffset[8];
        for (uint32_t row = 0; row < 8; ++row) {
          rowOffset[row] = f2Apply(m.rowOffset, matrix * 8 + row) ^ toOffset.applyFlat(base, 0, warp);
          ASSERT_EQ(rowOffset[row] % perRow, 0u);
        }
        for (uint32_t lane = 0; lane < 32; ++lane)
          for (uint32_t i = 0; i < perWord; ++i) {
            uint32_t got =
                m.transposed ? rowOffset[lane % 4 * 2 + i] + lane / 4 : rowOffset[lane / 4] + lane % 4 * perWord + i;
            uint32_t reg = vectorRegister(vectorRegister(base, m.wordBits, i), m.matrixBits, matrix);
            ASSERT_EQ(got, offsetOf[regs.applyFlat(reg, lane, warp)]);
            if (lane == 0 && warp == 0) written.insert(reg);
          }
      }
    }
  EXPECT_EQ(written.size(), size_t(regs.inSize(Register))) << "a register is never loaded";
}

TEST(LdMatrix, OperandsFromSwizzledMemory) {
  struct Case {
    DotOperand operand;
    Dims shape;
    int elemBits;
    Dims order;
    int matrices;
    bool transposed;
  } cases[] = {
      {DotOperand::A, {64, 64}, 16, {1, 0}, 4, false}, {DotOperand::A, {64, 64}, 16, {0, 1}, 4, true},
      {DotOperand::B, {64, 64}, 16, {0, 1}, 4, false}, {DotOperand::B, {64, 64}, 16, {1, 0}, 4, true},
      {DotOperand::B, {16, 16}, 16, {0, 1}, 2, false}, {DotOperand::B, {16, 16}, 16, {1, 0}, 2, true},
      {DotOperand::A, {32, 64}, 8, {1, 0}, 4, false},  {DotOperand::A, {32, 32}, 32, {1, 0}, 4, false},
  };
  for (const Case &c : cases) {
    auto regs = mmaOperand(c.operand, c.shape, c.elemBits, 2, 2);
    auto shared = matrixShared(c.shape, c.elemBits, c.order);
    auto m = matrixAccess(regs, shared, c.elemBits);
    ASSERT_TRUE(m);
    EXPECT_EQ(m->matrices, c.matrices);
    EXPECT_EQ(m->transposed, c.transposed);
    EXPECT_EQ(m->wavefronts, m->matrices); // conflict-free
    simulateLdmatrix(regs, shared, c.elemBits, *m);
    auto plain = matrixAccess(regs,
                              LinearLayout::identity(Offset, {c.shape[int(c.order[1])], c.shape[int(c.order[0])]})
                                  .transpose(c.order[0] == 1 ? Dims{0, 1} : Dims{1, 0}),
                              c.elemBits);
    ASSERT_TRUE(plain); // eligible, with conflicts
    EXPECT_GT(plain->wavefronts, plain->matrices);
  }
  auto tma = matrixAccess(mmaOperand(DotOperand::A, {64, 64}, 16, 4, 1), tmaShared({64, 64}, 16, 128), 16);
  ASSERT_TRUE(tma);
  EXPECT_EQ(tma->wavefronts, 4);
  // stmatrix of an accumulator cast to 16 bits.
  auto acc = mmaAccumulator({32, 16}, 2, 1);
  auto st = matrixAccess(acc, matrixShared({32, 16}, 16, {1, 0}), 16);
  ASSERT_TRUE(st);
  EXPECT_EQ(st->matrices, 4);
  simulateLdmatrix(acc, matrixShared({32, 16}, 16, {1, 0}), 16, *st);
}

TEST(LdMatrix, RefusesWhatDoesNotFit) {
  auto a = mmaOperand(DotOperand::A, {64, 64}, 16, 2, 2);
  EXPECT_FALSE(matrixAccess(a, swizzledShared({64, 64}, 4, 1, 8, {1, 0}), 16)); // swizzle cuts 16-byte rows
  EXPECT_FALSE(matrixAccess(mmaOperand(DotOperand::A, {32, 64}, 8, 2, 2), matrixShared({32, 64}, 8, {0, 1}),
                            8)); // no 8-bit .trans
  EXPECT_FALSE(matrixAccess(blocked({64, 64}, {1, 8}, {4, 8}, {1, 1}, {1, 0}), matrixShared({64, 64}, 16, {1, 0}), 16));
  RandomLayouts random(22);
  for (int i = 0; i < 500; ++i) { // whatever it says yes to must be right
    Dims shape = random.shape(8);
    auto shared = random.memory(shape, true);
    auto regs =
        mmaOperand(DotOperand::A, {16, 16}, 16, 1, 1).reshape({256}).compose(shared.reshape({256})).reshape(shape);
    auto m = matrixAccess(regs, shared, 16); // a fragment of the raw memory
    ASSERT_TRUE(m);
    simulateLdmatrix(regs, shared, 16, *m);
    auto other = random.distributed(shape, 3, 0, false);
    if (auto yes = matrixAccess(other, shared, 16)) simulateLdmatrix(other, shared, 16, *yes);
  }
}

TEST(ChooseShared, TransposeIsConflictFree) {
  for (int elemBits : {8, 16, 32, 64})
    for (int vec : {1, 2, 4, 8}) {
      auto src = blocked({64, 64}, {1, vec}, {32 / (32 / vec < 8 ? 32 / vec : 8), 32 / vec < 8 ? 32 / vec : 8}, {2, 2},
                         {1, 0});
      auto dst = src.transpose({1, 0});
      SharedChoice c = chooseShared(src, dst, elemBits);
      EXPECT_TRUE(c.shared.isInvertible());
      EXPECT_TRUE(c.storeCount.conflictFree()) << elemBits << " " << vec;
      EXPECT_TRUE(c.loadCount.conflictFree()) << elemBits << " " << vec;
    }
}

TEST(ChooseShared, CommonVectorsStayWhole) {
  auto src = coalesced({64, 64}, 8, 4, {1, 0}), dst = blocked({64, 64}, {1, 8}, {8, 4}, {2, 2}, {1, 0});
  SharedChoice c = chooseShared(src, dst, 16);
  EXPECT_EQ(c.store.width, 8);
  EXPECT_EQ(c.load.width, 8);
  EXPECT_TRUE(c.storeCount.conflictFree() && c.loadCount.conflictFree());
  EXPECT_EQ(c.cost, 2 * 4 * 4); // 32 registers = 4 instructions of 4 wavefronts, twice
  // An accumulator goes out in rows of 16 bytes: pairs on one side.
  auto acc = mmaAccumulator({64, 64}, 4, 1);
  SharedChoice out = chooseShared(acc, coalesced({64, 64}, 8, 4, {1, 0}), 16);
  EXPECT_EQ(out.store.width, 2);
  EXPECT_EQ(out.load.width, 8);
  EXPECT_EQ(out.instructions, 16 + 4);
  EXPECT_TRUE(out.storeCount.conflictFree() && out.loadCount.conflictFree());
}

/// What the construction promises for one-hot layouts: vectors of the register bits that both sides have, no conflict.
int conflictFreeCost(const LinearLayout &src, const LinearLayout &dst, int elemBits) {
  int vec = 1, cost = 0;
  for (int i = 0; i < src.inBits(Register); ++i)
    for (int j = 0; j < dst.inBits(Register); ++j)
      if (src.flatBasis(Register, i) && src.flatBasis(Register, i) == dst.flatBasis(Register, j) &&
          vec * elemBits < 128)
        vec *= 2;
  for (const LinearLayout *l : {&src, &dst})
    cost += int(l->removeFreeRegisters().inSize(Register)) / vec * std::max(1, vec * elemBits / 32);
  return cost;
}

TEST(ChooseShared, RandomPairs) {
  RandomLayouts random(23);
  for (int i = 0; i < 300; ++i) {
    bool dense = i % 3 == 0;
    Dims shape = random.shape(6 + random.below(5));
    LinearLayout src = random.distributed(shape, 4, 2, dense), dst = random.distributed(shape, 5, 2, dense);
    for (int elemBits : {8, 16, 32}) {
      SharedChoice c = chooseShared(src, dst, elemBits);
      ASSERT_TRUE(c.shared.isInvertible());
      ASSERT_EQ(c.shared.shape(), shape);
      expectVectorsFit(src, c.shared, c.store);
      expectVectorsFit(dst, c.shared, c.load);
      EXPECT_EQ(c.storeCount.wavefronts, countWavefronts(src, c.shared, elemBits, c.store, 0, 0));
      EXPECT_EQ(c.loadCount.wavefronts, countWavefronts(dst, c.shared, elemBits, c.load, 0, 0));
      if (!dense) { EXPECT_LE(c.cost, conflictFreeCost(src, dst, elemBits)) << src.toText() << " / " << dst.toText(); }
    }
  }
}

TEST(ChooseShared, NobodyNoticesTheTime) {
  auto src = coalesced({128, 64}, 8, 4, {1, 0}), dst = mmaOperand(DotOperand::A, {128, 64}, 16, 2, 2);
  auto start = std::chrono::steady_clock::now();
  int cost = 0;
  for (int i = 0; i < 1000; ++i) cost += chooseShared(src, dst, 16).cost;
  double us = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / 1000;
  EXPECT_GT(cost, 0);
  RecordProperty("choose_shared_ns", int(us * 1000));
  EXPECT_LT(us, 500) << "usually under 20 us";
}

} // namespace
} // namespace moec::compiler
