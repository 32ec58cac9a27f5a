// One compile, from text to artifact: parse, passes, target.
#pragma once

#include "compiler/compiler.h"

#include "llvm/ADT/StringRef.h"
#include <string>

namespace moec::compiler {

struct CompileJob {
  llvm::StringRef source;
  llvm::StringRef options;
  llvm::StringRef emit;
  bool ordinalLocations = false;
};

/// As in MoecCompileResult.
struct CompileOutcome {
  MoecStatus status = MOEC_OK;
  std::string output, diagnostics, info;
};

/// Compiles on this thread. The source may begin at any phase: with tiles (tile), with tiles that have layouts
/// (tilegpu), or as an llvm.func kernel (nvvm).
CompileOutcome compile(const CompileJob &job);

} // namespace moec::compiler
