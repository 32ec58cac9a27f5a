// Lines on standard error, as MOEC_LOG allows. Internal.
#pragma once

#include <string_view>

#include "runtime/environment.h"

namespace moec {

/// Writes "moec: <text>" if MOEC_LOG is at least `level`. Never throws.
void log_line(LogLevel level, std::string_view text) noexcept;
/// As log_line(warn), but only the first time that `topic` is warned of in this process.
void warn_once(std::string_view topic, std::string_view text) noexcept;

} // namespace moec
