// The rows of one token in a routing map, for kernels that move or sum whole rows: index data is read once per token,
// rows come experts ascending. Internal to kernels/.
#pragma once

#include <array>

#include "kernels/host.h"

namespace moec::kernel {

struct RowsOfToken {
  Tile row;    ///< i32 lanes: its rows, kNone where a lane has none
  Tile expert; ///< i32 lanes: their experts
  Int count;

  static constexpr int kNone = 0x7fffffff;

  /// Calls f(row, other) for each row, ascending; `other`: the element of `with` in the row's lane.
  template <class F> void each(Tile with, F f) const {
    Tile rest = row;
    for (Int j : range(0, count)) {
      (void)j;
      auto [next, other] = reduce(std::array{rest, with}, 0, [](auto a, auto b) {
        Tile first = a[0] <= b[0];
        return std::array{where(first, a[0], b[0]), where(first, a[1], b[1])};
      });
      f(Int(next), other);
      rest = where(rest == next, kNone, rest);
    }
  }
};

/// Of token t, from row_of [T, E], or from a row_id_map [T, 2E+1] if `compact`. All rows must be below `rows`.
inline RowsOfToken rows_of_token(View map, Int t, int experts, bool compact, Int rows) {
  Tile lane = arange(next_pow2(experts));
  Tile row, expert = lane;
  if (compact) {
    Int n = load(map(t, 2 * experts));
    device_assert((n >= 0) & (n <= experts), "row_id_map is none: its last column must be 0 to E");
    row = load(map(t, lane), lane < n, -1);
    expert = load(map(t, lane + experts), lane < n, 0);
    device_assert((expert >= 0) & (expert < experts) & ((lane >= n) | (row >= 0)),
                  "row_id_map is none: a row or expert is out of range");
  } else {
    row = load(map(t, lane), Operand::none(), -1);
  }
  device_assert(row < rows, "the routing map has more pairs than there are rows");
  return {where(row >= 0, row, RowsOfToken::kNone), expert, sum(cast(row >= 0, i32))};
}

/// Calls f(columns) for each block of a row of `cols` elements.
template <class F> void for_columns(int cols, int block, F f) {
  if (cols <= block) return f(arange(block));
  for (Int c : range(0, cols, block)) f(c + arange(block));
}

} // namespace moec::kernel
