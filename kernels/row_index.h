// Rows that index tensors name. Internal to kernels/.
#pragma once

#include <string>

#include "dsl/dsl.h"

namespace moec::kernel {

/// `row` as i32, -1 for negative ones. One that is not below `rows` stops the launch; `message` gets both numbers. It
/// is -1, too: what other warps do ahead of the assert stays inside of the memory.
inline Tile rows_below(const Tile &row, const Int &rows, const std::string &message) {
  Tile fits = row < cast(rows, row.dtype());
  device_assert(fits, message, {row, rows});
  return cast(where(fits, maximum(row, -1), -1), i32);
}

} // namespace moec::kernel
