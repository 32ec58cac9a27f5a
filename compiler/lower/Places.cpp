#include "compiler/lower/Places.h"

namespace moec::compiler {

using enum InDim;

PlaceFinder::PlaceFinder(const LinearLayout &layout)
    : registerBits_(layout.inBits(Register)), laneBits_(layout.inBits(Lane)) {
  auto addBits = [&](InDim in) {
    for (int i = 0; i < layout.inBits(in); ++i) inBlock_.add(layout.flatBasis(in, i), 1u << (layout.firstBit(in) + i));
  };
  addBits(Register);
  inThread_ = inBlock_;
  addBits(Lane);
  inWarp_ = inBlock_;
  addBits(Warp);
}

Place PlaceFinder::find(uint32_t flat) const {
  auto packed = inThread_.solve(flat);
  if (!packed) packed = inWarp_.solve(flat);
  if (!packed) packed = inBlock_.solve(flat);
  assert(packed && "the layout holds the element");
  uint32_t above = *packed >> registerBits_;
  return {*packed & ((1u << registerBits_) - 1), above & ((1u << laneBits_) - 1), above >> laneBits_};
}

ThreadBits threadBits(const LinearLayout &layout, int flatBit) {
  ThreadBits bits;
  for (int i = 0; i < layout.inBits(Lane); ++i) bits.lanes |= (layout.flatBasis(Lane, i) >> flatBit & 1) << i;
  for (int i = 0; i < layout.inBits(Warp); ++i) bits.warps |= (layout.flatBasis(Warp, i) >> flatBit & 1) << i;
  return bits;
}

int firstBitOf(const LinearLayout &layout, int axis) {
  int bit = 0;
  for (int d = axis + 1; d < layout.rank(); ++d) bit += layout.dimBits(d);
  return bit;
}

uint32_t maskOf(const LinearLayout &layout, int axis) {
  return (uint32_t(layout.dimSize(axis)) - 1) << firstBitOf(layout, axis);
}

template <class F> static LinearLayout mapBases(const LinearLayout &layout, const Dims &shape, F &&f) {
  LinearLayout result(shape);
  for (InDim in : {Register, Lane, Warp})
    for (int i = 0; i < layout.inBits(in); ++i) result.addFlatBasis(in, f(layout.flatBasis(in, i)));
  return result;
}

LinearLayout project(const LinearLayout &layout, uint32_t bits) {
  return mapBases(layout, layout.shape(), [&](uint32_t basis) { return basis & ~bits; });
}

LinearLayout compress(const LinearLayout &layout, uint32_t kept) {
  return mapBases(layout, Dims{int64_t(1) << std::popcount(kept)},
                  [&](uint32_t basis) { return extractBits(basis, kept); });
}

uint32_t extractBits(uint32_t value, uint32_t mask) {
  uint32_t result = 0;
  for (int i = 0; mask; mask &= mask - 1, ++i) result |= (value >> std::countr_zero(mask) & 1) << i;
  return result;
}

uint32_t depositBits(uint32_t value, uint32_t mask) {
  uint32_t result = 0;
  for (; mask; mask &= mask - 1, value >>= 1) result |= (value & 1) << std::countr_zero(mask);
  return result;
}

LinearLayout layoutOfBits(int n, llvm::ArrayRef<int> inRegisters, llvm::ArrayRef<int> inLanes,
                          llvm::ArrayRef<int> inWarps, int warpBits) {
  LinearLayout layout(Dims{int64_t(1) << n});
  for (int bit : inRegisters) layout.addFlatBasis(Register, 1u << bit);
  for (size_t i = 0; i < 5; ++i) layout.addFlatBasis(Lane, i < inLanes.size() ? 1u << inLanes[i] : 0);
  for (size_t i = 0; i < size_t(warpBits); ++i) layout.addFlatBasis(Warp, i < inWarps.size() ? 1u << inWarps[i] : 0);
  return layout;
}

} // namespace moec::compiler
