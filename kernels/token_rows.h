// The rows of one token in a routing map, for kernels that move or sum whole rows: index data is read once per token,
// rows come experts ascending. Internal to kernels/.
#pragma once

#include <algorithm>
#include <array>

#include "kernels/host.h"
#include "kernels/row_index.h"

namespace moec::kernel {

struct RowsOfToken {
  Tile row;    ///< i32 lanes: its rows, kNone where a lane has none
  Tile expert; ///< i32 lanes: their experts, 0 where there is none
  Tile zero;   ///< bool lanes: it is a row of zeros
  Tile real;   ///< bool lanes: there is a row
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
      device_assert(Int(next) != kNone, "a token has a row twice");
      f(Int(next), other);
      rest = where(rest == next, kNone, rest);
    }
  }
};

/// Lanes for a token's experts: at least one for each thread of four warps, so that no two warps read the same.
constexpr int token_lanes(int experts) { return std::max(128, next_pow2(experts)); }

/// Of token t, from token_rows [T, 2E] and row_counts [T], or from a row_id_map [T, 2E+1], whose last column is the
/// count; then `counts` is not read. All rows must be below `rows`.
inline RowsOfToken rows_of_token(View map, View counts, Int t, int experts, Int rows, bool row_id_map = false) {
  RowsOfToken r;
  Tile lane = arange(token_lanes(experts)), first = lane == 0;
  r.count = sum(row_id_map ? load(map(t, lane + 2 * experts), first) : load(counts(t + lane), first));
  device_assert((r.count >= 0) & (r.count <= experts), "a token has {0} rows, and there are {1} experts",
                {r.count, experts});
  r.real = lane < r.count;
  Tile row = load(map(t, lane), r.real, 0), expert = load(map(t, lane + experts), r.real, 0);
  r.zero = expert < 0;
  r.expert = where(r.zero, -1 - expert, expert);
  Tile fits = (row >= 0) & (r.expert < experts);
  device_assert(fits, "a row or expert of a token is out of range");
  row = rows_below(where(r.real & fits, row, -1), rows,
                   "the routing map has more pairs than there are rows: row {0} of {1}");
  r.real = row >= 0;
  r.row = where(r.real, row, RowsOfToken::kNone);
  return r;
}

/// out[t, expert] = value for each row of token t, 0 in the rest of its row.
inline void clear_then_store(View out, Int t, const RowsOfToken &rows, Tile value) {
  Tile lane = arange(static_cast<int>(rows.row.shape()[0]));
  store(out(t, lane), zeros(rows.row.shape(), out.dtype()));
  barrier();
  store(out(t, rows.expert), value, rows.real);
}

/// Calls f(columns) for each block of a row of `cols` elements.
template <class F> void for_columns(int cols, int block, F f) {
  if (cols <= block) return f(arange(block));
  for (Int c : range(0, cols, block)) f(c + arange(block));
}

} // namespace moec::kernel
