// The rows of one expert inside a kernel. Internal to kernels/.
#pragma once

#include "dsl/dsl.h"
#include "kernels/rows_of_experts.h"

namespace moec::kernel {

struct RowRange {
  Int begin, end;
};
/// Rows of expert e out of `rows`. Stops the launch if the groups do not fit.
inline RowRange rows_of_expert(View groups, RowsOfExperts::Kind kind, Int e, int experts, Int rows) {
  if (kind == RowsOfExperts::Kind::one) return {0, rows};
  groups.expect({experts});
  if (kind == RowsOfExperts::Kind::ends) {
    Tile before = load(groups(e - 1), e > 0), last = load(groups(e));
    device_assert((before >= 0) & (before <= last) & (last <= cast(rows, last.dtype())),
                  "offs must not decrease nor pass the last row: {0} after {1}", {last, before});
    return {cast(before, i32), cast(last, i32)};
  }
  auto [x, live] = lanes(experts);
  Tile n = cast(load(groups(x), live), i64), all = cast(rows, i64);
  device_assert((n >= 0) & (n <= all), "tokens_per_expert must be 0 to the number of rows: {0} of {1}", {n, rows});
  Tile total = sum(n);
  device_assert(total == all, "tokens_per_expert must sum to the number of rows: {0}, not {1}", {total, rows});
  Tile begin = sum(where(x < e, n, 0)), own = sum(where(x == e, n, 0));
  return {cast(begin, i32), cast(begin + own, i32)};
}

} // namespace moec::kernel
