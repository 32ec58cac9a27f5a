#include "compiler/layout/Conversion.h"

#include <algorithm>

namespace moec::compiler {

using enum InDim;

namespace {
/// Where destination places find their element: for each bit of the destination's (register, lane, warp), the source
/// register and source lane that it contributes (XOR). The warp is the destination's own.
struct SourceMap {
  struct Place {
    uint32_t reg = 0, lane = 0;
  };
  std::vector<Place> ofRegister, ofLane, ofWarp;
};

class SourceSolver {
public:
  explicit SourceSolver(const LinearLayout &src) : src_(src), regBits_(src.inBits(Register)) {
    for (int i = 0; i < regBits_; ++i) {
      registers_.add(src.flatBasis(Register, i), 1u << i);
      warp_.add(src.flatBasis(Register, i), 1u << i);
    }
    for (int i = 0; i < src.inBits(Lane); ++i) warp_.add(src.flatBasis(Lane, i), 1u << (regBits_ + i));
  }

  /// A source place within the warp for every destination place, staying in the lane where possible; or nothing.
  std::optional<SourceMap> solve(const LinearLayout &dst) const {
    SourceMap map;
    for (int i = 0; i < dst.inBits(Register); ++i) {
      uint32_t want = dst.flatBasis(Register, i);
      bool same = i < regBits_ && src_.flatBasis(Register, i) == want;
      if (!append(map.ofRegister, same ? std::optional(1u << i) : anywhere(want))) return std::nullopt;
    }
    for (int i = 0; i < dst.inBits(Lane); ++i) {
      uint32_t want = dst.flatBasis(Lane, i), own = 1u << (regBits_ + i);
      auto place = registers_.solve(want ^ src_.flatBasis(Lane, i));
      if (!append(map.ofLane, place ? std::optional(*place | own) : anywhere(want))) return std::nullopt;
    }
    for (int i = 0; i < dst.inBits(Warp); ++i)
      if (!append(map.ofWarp, anywhere(dst.flatBasis(Warp, i) ^ src_.flatBasis(Warp, i)))) return std::nullopt;
    return map;
  }

private:
  std::optional<uint32_t> anywhere(uint32_t want) const {
    auto place = registers_.solve(want);
    return place ? place : warp_.solve(want);
  }
  bool append(std::vector<SourceMap::Place> &list, std::optional<uint32_t> place) const {
    if (place) list.push_back({*place & ((1u << regBits_) - 1), *place >> regBits_});
    return place.has_value();
  }

  const LinearLayout &src_;
  int regBits_;
  F2Span registers_, warp_; // what a lane holds, what a warp holds (as differences)
};

class ShufflePlanner {
public:
  ShufflePlanner(const SourceMap &map, int sourceBits) : map_(map), lanes_(int(map.ofLane.size())) {
    plan_.sourceBits = sourceBits;
  }

  ShufflePlan plan() {
    slots_ = map_.ofRegister;
    laneMap_ = map_.ofLane;
    separateCollidingLanes();
    plan_.slotBits = int(slots_.size());
    for (const auto &p : laneMap_) plan_.laneBases.push_back(p.lane);
    for (const auto &p : map_.ofWarp) plan_.warpBases.push_back(p.lane);
    solveSentRegister();
    makeRounds();
    return std::move(plan_);
  }

private:
  /// Chooses Q (the `after` exchanges) and folds it into laneMap_: afterwards, lanes that read from the same lane want
  /// the same register. Lanes collide along the kernel of lane -> source lane, except where the source register does
  /// not change either.
  void separateCollidingLanes() {
    F2Span readLanes, basis, wanted;
    std::vector<uint32_t> kernel, colliding;
    for (int i = 0; i < lanes_; ++i)
      if (auto k = readLanes.add(laneMap_[i].lane, 1u << i)) kernel.push_back(*k);
    for (uint32_t k : kernel) // independent source registers: these must be pulled apart
      if (auto same = wanted.add(registerOf(k), 1u << colliding.size()); !same) colliding.push_back(k);
    for (size_t i = 0; i < colliding.size(); ++i) basis.grow(colliding[i], 1u << i);
    for (uint32_t k : kernel) { // kernel vectors that do not collide, completed to a basis of the lanes
      uint32_t sum = wanted.solve(registerOf(k)).value_or(0);
      basis.grow(k ^ f2Apply(colliding, sum), 0);
    }
    for (int i = 0; i < lanes_; ++i) basis.grow(1u << i, 0);
    for (size_t i = 0; i < colliding.size(); ++i) {
      int slot = slotThatMoves(readLanes);
      uint32_t laneMask = 0; // the lanes with a part along colliding[i]
      for (int b = 0; b < lanes_; ++b)
        if (*basis.solve(1u << b) >> i & 1) {
          laneMask |= 1u << b;
          laneMap_[b].reg ^= slots_[slot].reg;
          laneMap_[b].lane ^= slots_[slot].lane;
        }
      plan_.after.push_back({laneMask, 0, 1u << slot});
    }
  }

  uint32_t registerOf(uint32_t lane) const {
    uint32_t r = 0;
    for (; lane; lane &= lane - 1) r ^= laneMap_[std::countr_zero(lane)].reg;
    return r;
  }

  /// A slot bit whose source lane is new; a made-up one if the destination's registers have none left (a warp may have
  /// to send more per lane than the destination keeps).
  int slotThatMoves(F2Span &readLanes) {
    for (size_t i = 0; i < slots_.size(); ++i)
      if (readLanes.grow(slots_[i].lane)) return int(i);
    for (int b = 0; b < lanes_; ++b)
      if (readLanes.grow(1u << b)) {
        slots_.push_back({0, 1u << b});
        return int(slots_.size()) - 1;
      }
    assert(false && "as many free source lanes as colliding lanes");
    return 0;
  }

  /// F with F(source lane) = source register for slot 0, as the `before` exchanges; also for what the warp adds.
  void solveSentRegister() {
    F2Span span;
    for (int i = 0; i < lanes_; ++i) span.grow(laneMap_[i].lane, 1u << i);
    for (int b = 0; b < lanes_; ++b) span.grow(1u << b, 0); // lanes nobody reads from: anything linear
    for (int b = 0; b < lanes_; ++b) sentByLane_.push_back(registerOf(*span.solve(1u << b)));
    std::vector<uint32_t> columns = sentByLane_;
    for (const auto &p : map_.ofWarp) columns.push_back(p.reg ^ f2Apply(sentByLane_, p.lane));
    // Rows with the same condition share an exchange: factor the matrix by rank.
    F2Span conditions;
    for (int r = 0; r < plan_.sourceBits; ++r) {
      uint32_t mask = 0;
      for (size_t c = 0; c < columns.size(); ++c) mask |= (columns[c] >> r & 1) << c;
      uint32_t sum = 0;
      if (auto known = conditions.solve(mask)) {
        sum = *known;
      } else {
        sum = 1u << plan_.before.size();
        conditions.grow(mask, sum);
        plan_.before.push_back({mask & ((1u << lanes_) - 1), mask >> lanes_, 0});
      }
      for (; sum; sum &= sum - 1) plan_.before[std::countr_zero(sum)].registerXor |= 1u << r;
    }
  }

  void makeRounds() {
    F2Span distinct; // without copies in the destination all rounds differ, and there is nothing to look up
    int rank = 0;
    for (const auto &p : slots_) rank += distinct.grow(p.reg | p.lane << plan_.sourceBits);
    bool copies = rank < int(slots_.size());
    for (uint32_t k = 0; k < 1u << slots_.size(); ++k) {
      SourceMap::Place at;
      for (uint32_t s = k; s; s &= s - 1) {
        at.reg ^= slots_[std::countr_zero(s)].reg;
        at.lane ^= slots_[std::countr_zero(s)].lane;
      }
      ShufflePlan::Round round{at.reg ^ f2Apply(sentByLane_, at.lane), at.lane};
      auto known = copies ? std::find(plan_.rounds.begin(), plan_.rounds.end(), round) : plan_.rounds.end();
      plan_.slotRound.push_back(uint32_t(known - plan_.rounds.begin()));
      if (known == plan_.rounds.end()) plan_.rounds.push_back(round);
    }
  }

  const SourceMap &map_;
  int lanes_;
  std::vector<SourceMap::Place> slots_, laneMap_;
  std::vector<uint32_t> sentByLane_;
  ShufflePlan plan_;
};
} // namespace

bool ShufflePlan::isButterfly() const {
  for (size_t i = 0; i < laneBases.size(); ++i)
    if (laneBases[i] != 1u << i) return false;
  return std::all_of(warpBases.begin(), warpBases.end(), [](uint32_t b) { return b == 0; });
}

int ShufflePlan::numShuffles() const {
  if (!isButterfly()) return int(rounds.size());
  return int(std::count_if(rounds.begin(), rounds.end(), [](const Round &r) { return r.laneXor != 0; }));
}

/// True if every block finds what it needs in itself.
static bool staysInBlock(const LinearLayout &src, const LinearLayout &dst) {
  if (src.inBits(Block) != dst.inBits(Block)) return false;
  for (int i = 0; i < src.inBits(Block); ++i)
    if (src.flatBasis(Block, i) != dst.flatBasis(Block, i)) return false;
  F2Span held;
  for (int i = 0; i < src.firstBit(Block); ++i) held.add(src.packedBases()[i]);
  for (int i = 0; i < dst.firstBit(Block); ++i)
    if (!held.contains(dst.packedBases()[i])) return false;
  return true;
}

ConversionPlan planConversion(const LinearLayout &src, const LinearLayout &dst) {
  assert(src.shape() == dst.shape() && src.inBits(Offset) == 0 && dst.inBits(Offset) == 0);
  ConversionPlan plan;
  if (!staysInBlock(src, dst)) {
    plan.kind = ConversionKind::ClusterMemory;
    return plan;
  }
  std::optional<SourceMap> map;
  if (src.inBits(Lane) == dst.inBits(Lane) && src.inBits(Warp) == dst.inBits(Warp)) map = SourceSolver(src).solve(dst);
  if (!map) {
    plan.kind = ConversionKind::SharedMemory;
    return plan;
  }
  bool lanesKeep = true, identity = true;
  for (size_t i = 0; i < map->ofLane.size(); ++i)
    lanesKeep &= map->ofLane[i].reg == 0 && map->ofLane[i].lane == 1u << i;
  for (const auto &p : map->ofWarp) lanesKeep &= p.reg == 0 && p.lane == 0;
  for (size_t i = 0; i < map->ofRegister.size(); ++i) {
    lanesKeep &= map->ofRegister[i].lane == 0;
    identity &= map->ofRegister[i].reg == 1u << i;
  }
  if (!lanesKeep) {
    plan.kind = ConversionKind::WarpShuffle;
    plan.shuffle = ShufflePlanner(*map, src.inBits(Register)).plan();
  } else if (!identity) {
    plan.kind = ConversionKind::Registers;
    for (uint32_t r = 0; r < uint32_t(dst.inSize(Register)); ++r) {
      uint32_t from = 0;
      for (uint32_t s = r; s; s &= s - 1) from ^= map->ofRegister[std::countr_zero(s)].reg;
      plan.registers.push_back(from);
    }
  }
  return plan;
}

} // namespace moec::compiler
