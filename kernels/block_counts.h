// Counting sorts by expert count per block, then place: where a block's rows begin. Internal to kernels/.
#pragma once

#include "dsl/dsl.h"

namespace moec::kernel {

struct BlockCounts {
  Tile total;  ///< i32 [next_pow2(experts)]: rows of each expert in all blocks
  Tile before; ///< the same in the blocks before this one
};
/// Sums of counts [blocks, experts] for block b.
inline BlockCounts sum_blocks(View counts, const Int &b, int experts) {
  const int padded = next_pow2(experts), step = padded <= 512 ? 16 : 4;
  BlockCounts sums{zeros({padded}, i32), zeros({padded}, i32)};
  for (Int r : range(0, counts.size(0), step)) {
    Tile row = expand_dims(r + arange(step), 1), c = load(counts(row, arange(padded)));
    sums.total += sum(c, 0);
    sums.before += sum(where(row < b, c, 0), 0);
  }
  return sums;
}

} // namespace moec::kernel
