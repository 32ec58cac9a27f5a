// Index bits of a tile and the places (register, lane, warp) that hold them: what reductions, scans, sorts and
// conversions ask of a layout. All indices are flat and row-major, as in LinearLayout, so "an element's index" is one
// word of bits.
#pragma once

#include "compiler/layout/LinearLayout.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

namespace moec::compiler {

/// A difference of hardware places: XOR it to a place to get another one.
struct Place {
  uint32_t reg = 0, lane = 0, warp = 0;
  Place operator^(const Place &o) const { return {reg ^ o.reg, lane ^ o.lane, warp ^ o.warp}; }
};

/// Where the element lies whose index differs in given bits. Registers are preferred to lanes and lanes to warps.
class PlaceFinder {
public:
  explicit PlaceFinder(const LinearLayout &layout);
  /// A place whose index is `flat`; the layout must hold it.
  Place find(uint32_t flat) const;

private:
  int registerBits_, laneBits_;
  F2Span inThread_, inWarp_, inBlock_;
};

/// The lanes and warps whose bits decide one bit of an element's index (the XOR of them all).
struct ThreadBits {
  uint32_t lanes = 0, warps = 0;
  bool none() const { return !lanes && !warps; }
};
ThreadBits threadBits(const LinearLayout &layout, int flatBit);
/// The register's part of that index bit.
inline bool registerBit(const LinearLayout &layout, unsigned reg, int flatBit) {
  return layout.applyFlat(reg) >> flatBit & 1;
}

/// The flat index bits of dimension `axis`, lowest first: they are neighbours, from `firstBitOf` up.
int firstBitOf(const LinearLayout &layout, int axis);
uint32_t maskOf(const LinearLayout &layout, int axis);

/// The layout after the index bits `bits` stopped to matter: places that differ only there hold the same.
LinearLayout project(const LinearLayout &layout, uint32_t bits);
/// The layout of the index bits `kept` alone, packed together, of shape {2^kept bits}.
LinearLayout compress(const LinearLayout &layout, uint32_t kept);
uint32_t extractBits(uint32_t value, uint32_t mask); ///< the bits under `mask`, packed together
uint32_t depositBits(uint32_t value, uint32_t mask); ///< and spread out again

/// A layout of shape {2^n} in which the index bits `inRegisters`, then `inLanes`, then `inWarps` number registers,
/// lanes and warps; missing lanes and warps hold copies.
LinearLayout layoutOfBits(int n, llvm::ArrayRef<int> inRegisters, llvm::ArrayRef<int> inLanes,
                          llvm::ArrayRef<int> inWarps, int warpBits);

} // namespace moec::compiler
