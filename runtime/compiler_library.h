// libmoec_compiler.so, found and opened at the first compile. Standard library only.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dsl/recording.h"

namespace moec {

/// A message of the compiler's, with the user's line where the kernel was recorded.
struct Diagnostic {
  std::string severity; ///< "error", "warning", "remark", "note"
  std::string file;
  int line = 0, column = 0;
  std::string message;
  /// "kernels/a.cpp:12: error: message".
  std::string text() const;
};

/// What to compile; see compiler/compiler.h.
struct CompileInput {
  std::string_view source; ///< tile IR text
  std::string options;     ///< "target=sm_90a;num_warps=4;..."
  std::string emit = "binary";
  bool ordinal_locations = false;
  std::span<const SourceLine> lines;     ///< of ordinals
  std::string file = {};                 ///< names the source in messages, where it is somebody's file
  std::string what = "compile a kernel"; ///< for errors: "compile weighted_swiglu for sm_90a"
  std::string kernel = {};               ///< names the folder below MOEC_DUMP, if that is set: the IR after each pass
};
struct CompileOutput {
  std::string output;
  std::string info; ///< JSON
  std::vector<Diagnostic> diagnostics;
};

/// Compiles. Opens the library if need be. Throws UserError for a wrong kernel or option, a missing library or a
/// MOEC_DUMP that cannot be written, DeviceError where an outside tool fails, InternalError for a defect; each with the
/// compiler's messages.
CompileOutput compile(const CompileInput &input);
/// Runs the reference interpreter over a grid. `ranges`: begin,end pairs that it may touch. Throws as compile,
/// DeviceError for findings.
void interpret(const CompileInput &input, const uint32_t (&grid)[3], std::span<void *const> params,
               std::span<const uint64_t> ranges);
/// The library's path: MOEC_COMPILER, or beside the program or this code, or in lib or ../lib beside it, or in a folder
/// where the loader looks (the program's run path, LD_LIBRARY_PATH). Empty if there is none. Opens nothing.
std::string compiler_library_path();
/// JSON of the library's versions. Opens it. Throws UserError if it is missing.
std::string describe_compiler();
/// True if the library has been opened by this process.
bool compiler_library_opened();

} // namespace moec
