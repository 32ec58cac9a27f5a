#include "compiler/layout/Conversion.h"
#include "compiler/layout/NamedLayouts.h"
#include "test/unit/layout/random_layouts.h"

#include <gtest/gtest.h>

#include <set>

namespace moec::compiler {
namespace {

using enum InDim;
using Registers = std::vector<uint32_t>; // of one lane
using WarpState = std::vector<Registers>;

/// What a warp holds under a layout: every register's content is the flat index of its element.
WarpState holds(const LinearLayout &l, uint32_t warp) {
  WarpState state(size_t(l.inSize(Lane)));
  for (uint32_t lane = 0; lane < state.size(); ++lane)
    for (uint32_t reg = 0; reg < l.inSize(Register); ++reg) state[lane].push_back(l.applyFlat(reg, lane, warp));
  return state;
}

Registers exchanged(Registers v, const std::vector<ShufflePlan::Exchange> &exchanges, uint32_t lane, uint32_t warp) {
  for (const auto &e : exchanges) {
    Registers next = v;
    for (uint32_t r = 0; r < v.size(); ++r)
      if (e.fires(lane, warp)) next[r] = v[r ^ e.registerXor];
    v = next;
  }
  return v;
}

/// Executes a shuffle plan as a code generator would emit it.
WarpState execute(const ShufflePlan &plan, WarpState state, uint32_t warp, size_t dstRegisters) {
  EXPECT_EQ(state[0].size(), size_t(1) << plan.sourceBits);
  EXPECT_EQ(plan.slotRound.size(), size_t(1) << plan.slotBits);
  for (uint32_t lane = 0; lane < state.size(); ++lane) state[lane] = exchanged(state[lane], plan.before, lane, warp);
  WarpState received(state.size()), out(state.size());
  for (uint32_t lane = 0; lane < state.size(); ++lane) {
    for (int i = 0; i < int(plan.rounds.size()); ++i) {
      uint32_t from = plan.sourceLane(lane, warp, i);
      EXPECT_LT(from, state.size());
      if (plan.isButterfly()) { EXPECT_EQ(from, lane ^ plan.rounds[size_t(i)].laneXor); }
      received[lane].push_back(state[from].at(plan.rounds[size_t(i)].sendRegister));
    }
    Registers slots;
    for (uint32_t round : plan.slotRound) slots.push_back(received[lane].at(round));
    out[lane] = exchanged(slots, plan.after, lane, warp);
    out[lane].resize(dstRegisters);
  }
  return out;
}

/// Plans, executes if no memory is needed, compares every register of every lane, and checks that no cheaper kind would
/// do.
ConversionPlan check(const LinearLayout &src, const LinearLayout &dst) {
  ConversionPlan plan = planConversion(src, dst);
  SCOPED_TRACE(src.toText() + "  ->  " + dst.toText());
  bool laneHasAll = true, warpHasAll = true;
  for (uint32_t warp = 0; warp < src.inSize(Warp); ++warp) {
    WarpState have = holds(src, warp), want = holds(dst, warp), got = have;
    std::set<uint32_t> inWarp;
    for (const Registers &lane : have) inWarp.insert(lane.begin(), lane.end());
    for (uint32_t lane = 0; lane < want.size(); ++lane)
      for (uint32_t element : want[lane]) {
        warpHasAll &= inWarp.count(element) == 1;
        laneHasAll &= std::count(have[lane].begin(), have[lane].end(), element) > 0;
      }
    switch (plan.kind) {
    case ConversionKind::None:
      for (Registers &lane : got) lane.resize(want[0].size(), ~0u);
      break;
    case ConversionKind::Registers:
      for (uint32_t lane = 0; lane < have.size(); ++lane) {
        got[lane].clear();
        for (uint32_t from : plan.registers) got[lane].push_back(have[lane].at(from));
      }
      break;
    case ConversionKind::WarpShuffle: got = execute(plan.shuffle, have, warp, want[0].size()); break;
    default: continue;
    }
    EXPECT_EQ(got, want);
  }
  EXPECT_EQ(plan.kind <= ConversionKind::WarpShuffle, warpHasAll);
  if (plan.kind == ConversionKind::WarpShuffle) { EXPECT_EQ(plan.shuffle.numShuffles() == 0, laneHasAll); }
  if (plan.kind == ConversionKind::SharedMemory) { EXPECT_FALSE(laneHasAll); }
  return plan;
}

TEST(Conversion, KindsByExample) {
  auto a = blocked({8, 64}, {1, 4}, {4, 8}, {2, 2}, {1, 0});
  EXPECT_EQ(check(a, a).kind, ConversionKind::None);
  auto swapped = LinearLayout(a.shape()); // the same with register bits exchanged
  swapped.addFlatBasis(Register, a.flatBasis(Register, 1));
  swapped.addFlatBasis(Register, a.flatBasis(Register, 0));
  for (InDim in : {Lane, Warp})
    for (int i = 0; i < a.inBits(in); ++i) swapped.addFlatBasis(in, a.flatBasis(in, i));
  auto plan = check(a, swapped);
  EXPECT_EQ(plan.kind, ConversionKind::Registers);
  EXPECT_EQ(plan.registers, (std::vector<uint32_t>{0, 2, 1, 3}));
  EXPECT_EQ(check(a, blocked({8, 64}, {2, 2}, {2, 16}, {2, 2}, {1, 0})).kind, ConversionKind::WarpShuffle);
  EXPECT_EQ(check(a, blocked({8, 64}, {1, 4}, {2, 16}, {4, 1}, {1, 0})).kind, ConversionKind::SharedMemory);
  EXPECT_EQ(planConversion(a, blocked({8, 64}, {1, 4}, {4, 8}, {4, 2}, {1, 0})).kind, ConversionKind::SharedMemory);
}

TEST(Conversion, CopiesAreUsed) {
  // Every lane has everything: whatever the destination is, registers suffice (selected by lane).
  auto all =
      LinearLayout::identity(Register, {32}) * LinearLayout::zeros1D(32, Lane, 1) * LinearLayout::zeros1D(2, Warp, 1);
  auto spread = LinearLayout::identity(Lane, {32}) * LinearLayout::zeros1D(2, Warp, 1);
  auto plan = check(all, spread);
  EXPECT_EQ(plan.kind, ConversionKind::WarpShuffle);
  EXPECT_EQ(plan.shuffle.numShuffles(), 0);
  // Back: one shuffle for each register, each a broadcast of one lane, no exchange at all.
  auto back = check(spread, all);
  EXPECT_EQ(back.shuffle.numShuffles(), 32);
  EXPECT_TRUE(back.shuffle.before.empty() && back.shuffle.after.empty());
  // Registers that are copies of each other share a round.
  auto reversed =
      LinearLayout::fromBases({32}, {{Register, {{0}, {0}}}, {Lane, {{16}, {8}, {4}, {2}, {1}}}, {Warp, {{0}}}});
  auto shared = check(spread, reversed);
  EXPECT_EQ(shared.shuffle.rounds.size(), 1u);
  EXPECT_EQ(shared.shuffle.slotRound, (std::vector<uint32_t>{0, 0, 0, 0}));
  // Twice as many registers as needed: dropped without a move.
  auto twice =
      LinearLayout::identity(Lane, {32}) * LinearLayout::zeros1D(2, Register, 1) * LinearLayout::zeros1D(2, Warp, 1);
  EXPECT_EQ(check(twice, spread).kind, ConversionKind::None);
  EXPECT_EQ(check(spread, twice).kind, ConversionKind::Registers);
}

TEST(Conversion, TransposeOfAWarpTakesAsManyRoundsAsRegisters) {
  auto a = LinearLayout::identity(Register, {32}).reshape({32, 1}) * LinearLayout::identity1D(32, Lane, 1, 2);
  auto plan = check(a, a.transpose({1, 0}));
  EXPECT_EQ(plan.kind, ConversionKind::WarpShuffle);
  EXPECT_EQ(plan.shuffle.rounds.size(), 32u);
  EXPECT_EQ(plan.shuffle.numShuffles(), 31); // the diagonal stays
  EXPECT_TRUE(plan.shuffle.isButterfly());
}

TEST(Conversion, AccumulatorToOperand) {
  // Two neighbouring accumulator tiles are an A fragment of the next product: no data move at all.
  auto acc = mmaAccumulator({16, 16}, 1, 1), a = mmaOperand(DotOperand::A, {16, 16}, 16, 1, 1);
  EXPECT_EQ(check(acc, a).kind, ConversionKind::None);
  EXPECT_EQ(check(mmaAccumulator({16, 32}, 1, 1), mmaOperand(DotOperand::A, {16, 32}, 8, 1, 1)).kind,
            ConversionKind::WarpShuffle);
}

TEST(Conversion, WarpWithMoreThanTheDestinationWants) {
  // Each source warp holds all 64 elements, two per lane; each destination warp wants half: lanes must send twice.
  auto src = LinearLayout::fromBases({64}, {{Register, {{1}}}, {Lane, {{2}, {4}, {8}, {16}, {32}}}, {Warp, {{0}}}});
  auto dst = LinearLayout::fromBases({64}, {{Lane, {{1}, {2}, {4}, {8}, {16}}}, {Warp, {{32}}}});
  auto plan = check(src, dst);
  EXPECT_EQ(plan.kind, ConversionKind::WarpShuffle);
  EXPECT_EQ(plan.shuffle.rounds.size(), 2u);
}

TEST(Conversion, BlocksOfAClusterNeedClusterMemory) {
  auto a = LinearLayout::identity(Lane, {32}) * LinearLayout::identity1D(2, Block, 0, 1);
  auto b = LinearLayout::identity1D(2, Block, 0, 1) * LinearLayout::identity(Lane, {32});
  EXPECT_EQ(planConversion(a, b).kind, ConversionKind::ClusterMemory);
  EXPECT_EQ(planConversion(a, a).kind, ConversionKind::None);
}

/// A destination whose warps want only what the same source warp holds.
LinearLayout sameWarpsAs(const LinearLayout &src, RandomLayouts &random, int dstRegBits, bool dense) {
  std::vector<uint32_t> held;
  for (InDim in : {Register, Lane})
    for (int i = 0; i < src.inBits(in); ++i) held.push_back(src.flatBasis(in, i));
  auto pick = [&] {
    uint32_t v = 0;
    for (uint32_t h : held)
      if (random.below(3) == 0) v ^= h;
    return v;
  };
  std::vector<uint32_t> own = held;
  std::shuffle(own.begin(), own.end(), random.engine());
  while (int(own.size()) < dstRegBits + 5) own.push_back(random.coin() ? pick() : 0);
  if (random.coin()) std::shuffle(own.begin(), own.end(), random.engine());
  if (dense)
    for (uint32_t &v : own) v = random.coin() ? v : v ^ pick();
  LinearLayout dst(src.shape());
  for (int i = 0; i < dstRegBits + 5; ++i) dst.addFlatBasis(i < dstRegBits ? Register : Lane, own[size_t(i)]);
  for (int i = 0; i < src.inBits(Warp); ++i)
    dst.addFlatBasis(Warp, src.flatBasis(Warp, i) ^ (random.below(3) == 0 ? pick() : 0));
  return dst;
}

TEST(Conversion, RandomWithinWarps) {
  RandomLayouts random(31);
  int shuffles = 0, after = 0, before = 0, extended = 0, byWarp = 0;
  for (int i = 0; i < 6000; ++i) {
    int regBits = random.below(5), warpBits = random.below(3);
    LinearLayout src = random.distributed(random.shape(std::min(8, regBits + 4)), regBits, warpBits, random.coin());
    LinearLayout dst = sameWarpsAs(src, random, random.below(6), random.coin());
    ConversionPlan plan = check(src, dst);
    ASSERT_LE(plan.kind, ConversionKind::WarpShuffle);
    shuffles += plan.shuffle.numShuffles() > 0;
    after += !plan.shuffle.after.empty();
    before += !plan.shuffle.before.empty();
    extended += plan.shuffle.slotBits > dst.inBits(Register);
    for (const auto &e : plan.shuffle.before) byWarp += e.warpMask != 0;
    if (HasFailure()) return;
  }
  // Every path of the planner was taken.
  EXPECT_GT(shuffles, 1000);
  EXPECT_GT(after, 100);
  EXPECT_GT(before, 1000);
  EXPECT_GT(extended, 20);
  EXPECT_GT(byWarp, 100);
}

TEST(Conversion, RandomPairs) {
  RandomLayouts random(32);
  for (int i = 0; i < 3000; ++i) {
    bool dense = random.coin();
    Dims shape = random.shape(5 + random.below(4));
    check(random.distributed(shape, 3, 2, dense), random.distributed(shape, 3, 2, dense));
    if (HasFailure()) return;
  }
}

TEST(Conversion, RoundsAreMinimalForOneToOneLayouts) {
  // Without copies each destination register needs a round and each round fills one register in every lane.
  RandomLayouts random(33);
  for (int i = 0; i < 500; ++i) {
    int regBits = 1 + random.below(4);
    Dims shape = random.shape(regBits + 5);
    auto plan = check(random.distributed(shape, regBits, 0, true), random.distributed(shape, regBits, 0, true));
    if (plan.kind == ConversionKind::WarpShuffle) { EXPECT_EQ(plan.shuffle.rounds.size(), size_t(1) << regBits); }
  }
}

} // namespace
} // namespace moec::compiler
