// How a warp's access to shared memory behaves: vector width, bank conflicts, ldmatrix; and the choice of a swizzle.
// Everywhere `regs` is a distributed layout (hardware -> tensor) and `shared` an invertible offset -> tensor layout of
// the same shape; offsets are in elements. Memory model: 32 banks of 4 bytes; an access of 8 (16) bytes per lane runs
// in 2 (4) groups of 16 (8) consecutive lanes; each group takes as many wavefronts as the most wanted bank has
// different words.
#pragma once

#include "compiler/layout/LinearLayout.h"

namespace moec::compiler {

/// The widest aligned vector access (at most 128 bits): vector element i sits in the register whose number has bit
/// registerBits[j] set for each bit j of i.
struct VectorAccess {
  int width = 1; ///< elements
  std::vector<int> registerBits;
};
VectorAccess sharedVector(const LinearLayout &regs, const LinearLayout &shared, int elemBits);

struct WavefrontCount {
  int wavefronts = 1; ///< of one warp-wide instruction; every instruction of the access has the same count
  int ideal = 1;      ///< with no conflict: 1, 2, 4 for at most 4, 8, 16 bytes per lane
  bool conflictFree() const { return wavefronts == ideal; }
};
/// Bank conflicts of a load or store of `vec` elements per lane (vec <= sharedVector(...).width).
WavefrontCount bankConflicts(const LinearLayout &regs, const LinearLayout &shared, int elemBits, int vec);

/// One ldmatrix / stmatrix .m8n8.b16 fills, per lane, one 32-bit word per matrix. The layout's registers fall into
/// groups: wordBits number the elements inside a word, matrixBits the words of one instruction, all others (and the
/// warp) the instructions.
struct MatrixAccess {
  int matrices = 1;                    ///< x1, x2 or x4
  bool transposed = false;             ///< .trans (16-bit elements only)
  std::vector<int> wordBits;           ///< register bits inside a word, lowest element first
  std::vector<int> matrixBits;         ///< register bits that number the matrices
  std::array<uint32_t, 5> rowOffset{}; ///< offset of the row whose address lane i gives: XOR of these over i's bits,
                                       ///< XOR the offset of the instruction's registers and of the warp
  int wavefronts = 1;                  ///< ideal: `matrices`
};
/// The widest ldmatrix (stmatrix) that moves between `regs` and `shared`, or nothing.
std::optional<MatrixAccess> matrixAccess(const LinearLayout &regs, const LinearLayout &shared, int elemBits);

/// A shared-memory layout for handing a tile from `src` (stores) to `dst` (loads).
struct SharedChoice {
  LinearLayout shared; ///< offset -> tensor, invertible
  VectorAccess store, load;
  WavefrontCount storeCount, loadCount; ///< per instruction
  int cost = 0;                         ///< wavefronts per warp of the whole exchange
  int instructions = 0;                 ///< per warp; decides between equal costs
};
/// Searches the swizzle with the fewest wavefronts. Vectors come from register bits that both sides (or one) have; row
/// bits and bank bits are then combined so that no access of either side meets a bank twice, which is possible whenever
/// the vector is a register vector of that side.
SharedChoice chooseShared(const LinearLayout &src, const LinearLayout &dst, int elemBits);

} // namespace moec::compiler
