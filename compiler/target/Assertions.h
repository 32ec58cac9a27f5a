// How a failed assertion travels through the LLVM + NVVM dialects: `llvm.intr.trap` with the text as its attribute, and
// before it, if the text prints integers, a call of a function that only the simulator knows. For a GPU that call is
// dropped.
#pragma once

#include "llvm/ADT/StringRef.h"

namespace moec::compiler {

inline constexpr llvm::StringLiteral kAssertMessage =
    "moec.message"; ///< of the trap: the text, with {0} and {1} for the integers
inline constexpr llvm::StringLiteral kAssertValues = "moec_assert_values"; ///< void(i64, i64)

} // namespace moec::compiler
