// The cheapest way to turn a value held in layout `src` into the same value in layout `dst`, and the data to emit it.
#pragma once

#include "compiler/layout/LinearLayout.h"

namespace moec::compiler {

/// From cheap to dear; a plan has the first kind that works.
enum class ConversionKind : uint8_t {
  None,          ///< destination register r is source register r
  Registers,     ///< destination register r is source register plan.registers[r]; no lane gives anything to another
  WarpShuffle,   ///< plan.shuffle; possibly with no shuffle but lane-dependent selects (shuffle.numShuffles() == 0)
  SharedMemory,  ///< data cross warps: store by src, barrier, load by dst (see chooseShared)
  ClusterMemory, ///< data cross blocks of a cluster
};

/// A conversion inside each warp, in three steps over registers that are all named at compile time:
///
///   1. `before`: conditional exchanges among the 2^sourceBits source registers v[]:
///        for each e, for each r:  v'[r] = parity(lane & e.laneMask) ^ parity(warp & e.warpMask) ? v[r ^ e.registerXor]
///        : v[r]
///      This lets a lane send *different* registers than its neighbour in the same round.
///   2. `rounds`: in round i every lane sends v[rounds[i].sendRegister] and receives from lane sourceLane(lane, warp,
///   i), an
///      F2-linear function of lane and warp XOR a constant of the round. All lanes take part in every round.
///   3. Slot k (k < 2^slotBits) is what round slotRound[k] received. `after`: the same exchanges, among the slots. Then
///   slot r
///      is destination register r; slots beyond the destination's registers are dropped.
///
/// Why three steps suffice. The element of destination (r', l') sits at (r, l) = M(r', l') with M linear. Re-index the
/// destination by slots, k = r' ^ Q l' with Q linear (step 3), so that for a fixed slot two lanes read from one lane
/// only if they want the same register. Then the register to send is a function of slot and *sending* lane, again
/// linear: T k ^ F l. T k is a constant of the round, F l is step 1. Q = 0 works unless lanes would collide; it is
/// found by elimination.
struct ShufflePlan {
  struct Exchange {
    uint32_t laneMask = 0, warpMask = 0, registerXor = 0;
    bool fires(uint32_t lane, uint32_t warp) const {
      return (std::popcount(lane & laneMask) + std::popcount(warp & warpMask)) & 1;
    }
  };
  struct Round {
    uint32_t sendRegister = 0;
    uint32_t laneXor = 0;
    bool operator==(const Round &) const = default;
  };
  int sourceBits = 0, slotBits = 0;
  std::vector<Exchange> before;
  std::vector<Round> rounds;
  std::vector<uint32_t> slotRound;
  std::vector<Exchange> after;
  std::vector<uint32_t> laneBases, warpBases; ///< images of lane and warp bits in the source lane

  uint32_t sourceLane(uint32_t lane, uint32_t warp, int round) const {
    return f2Apply(laneBases, lane) ^ f2Apply(warpBases, warp) ^ rounds[round].laneXor;
  }
  /// The source lane is lane ^ laneXor in every round: shfl.bfly with a constant, and no shuffle at all where laneXor
  /// is 0.
  bool isButterfly() const;
  /// Rounds that really need a shuffle instruction.
  int numShuffles() const;
};

struct ConversionPlan {
  ConversionKind kind = ConversionKind::None;
  std::vector<uint32_t> registers; ///< Registers only
  ShufflePlan shuffle;             ///< WarpShuffle only
};

/// Both layouts are surjective on the same shape. With different numbers of lanes or warps the plan is SharedMemory.
/// Where `src` has copies of an element, the copy in the same lane is preferred, then one in the same warp.
ConversionPlan planConversion(const LinearLayout &src, const LinearLayout &dst);

} // namespace moec::compiler
