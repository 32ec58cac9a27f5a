// Which rows belong to which expert.
#pragma once

#include <cstdint>
#include <utility>

#include "runtime/tensor.h"

namespace moec {

/// Rows that are grouped by expert; counts and ends stay on the device.
struct RowsOfExperts {
  enum class Kind : uint8_t { counts, ends, one };
  Tensor groups; ///< [E]; undefined if there is one expert
  Kind kind = Kind::counts;

  /// counts [E] of any integer dtype: rows of each expert. They must sum to the number of rows, else the launch stops
  /// (DeviceError at the next synchronize).
  RowsOfExperts(Tensor counts) : groups(std::move(counts)) {}
  /// offs i32 or i64 [E]: one past each expert's last row. There may be more rows than the last end: they belong to no
  /// expert.
  static RowsOfExperts by_ends(Tensor offs) { return {std::move(offs), Kind::ends}; }
  /// All rows belong to one expert.
  static RowsOfExperts one() { return {{}, Kind::one}; }

private:
  RowsOfExperts(Tensor groups, Kind kind) : groups(std::move(groups)), kind(kind) {}
};

} // namespace moec
