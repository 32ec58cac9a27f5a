// Inverses of row indices. Internal to kernels/.
#pragma once

#include "runtime/device.h"
#include "runtime/tensor.h"

namespace moec {

/// i32 [size, columns]: the i with index[i] = r and i / (N / columns) = column, or -1. index i32 or i64 [N], negative
/// entries are skipped, or stop the launch if `complete`; so does one that occurs twice in a column or is past the last
/// row.
Tensor invert_index(const Stream &stream, const Tensor &index, int64_t size, int64_t columns = 1,
                    bool complete = false);

/// The rows of each token for an index of any origin, by a stable radix sort.
struct RowLists {
  Tensor rows;   ///< i32 [N]: rows by token, ascending within one
  Tensor starts; ///< i32 [tokens + 1]: where each token's rows begin
};
/// index i32 or i64 [N], below `tokens`; negative entries are skipped.
RowLists list_rows(const Stream &stream, const Tensor &index, int64_t tokens);
/// out[t, :] = sum of the token's rows of x, ascending, in f32 (f64 for f64), one rounding.
Tensor sum_listed_rows(const Stream &stream, const Tensor &x, const RowLists &lists);

} // namespace moec
