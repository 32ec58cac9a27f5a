// How an entry of compiler.h hands out its result: the strings that a MoecCompileResult points into, and its end.
#pragma once

#include "compiler/compiler.h"

#include "llvm/ADT/StringRef.h"

#include <string>

namespace moec::compiler {

/// Moves the strings into the result, which owns them until moec_compiler_free. Returns the status.
MoecStatus finishResult(MoecCompileResult *result, MoecStatus status, std::string output, std::string diagnostics,
                        std::string info);

inline llvm::StringRef textOf(MoecText text) { return {text.data, text.size}; }

} // namespace moec::compiler
