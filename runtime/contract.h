// A kernel's contract with the host: shape expectations and the grid, evaluated at launch. Internal.
#pragma once

#include <cstdint>
#include <span>

#include "dsl/recording.h"
#include "runtime/jit.h"

namespace moec {

/// The value of `e` for these arguments. Throws UserError (naming `kernel`) for a division by zero or overflow of 64
/// bits.
int64_t evaluate(const HostExpr &e, std::span<const LaunchArg> args, const std::string &kernel);
/// Throws UserError for the first expectation that the arguments break.
void check_expects(const Recording &recording, std::span<const LaunchArg> args);
/// The launch's grid; persistent kernels get `resident_ctas` programs. False: empty, nothing to launch. Throws
/// UserError beyond the limits.
bool evaluate_grid(const Recording &recording, std::span<const LaunchArg> args, int resident_ctas, uint32_t (&grid)[3]);

} // namespace moec
