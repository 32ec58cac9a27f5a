// The way of a kernel through the compiler: its phases, and which passes run in which order. One readable list, in
// pipeline.cpp.
#pragma once

#include "compiler/options.h"

#include "mlir/Pass/PassManager.h"

namespace moec::compiler {

/// The phases of a compile, in order. Each ends with something that has a text (`emit` names it).
enum class Phase { Tile, Layouts, TileGpu, Nvvm, Llvm, Ptx, Binary };

struct PhaseInfo {
  Phase phase;
  llvm::StringLiteral name; ///< as in `emit`
  llvm::StringLiteral what; ///< one sentence
};
llvm::ArrayRef<PhaseInfo> phases();

/// Adds the passes that end with the phase (Nvvm at most) to a pass manager on modules.
void addPhasePasses(mlir::OpPassManager &manager, Phase phase, const CompileOptions &options);

using StageTiming = std::function<void(llvm::StringRef stage, double ms)>;

/// Runs the passes of phases `from` to `to` (at most Nvvm) on the module. Pass managers are kept per thread.
/// Diagnostics go to the context.
mlir::LogicalResult runPhases(mlir::ModuleOp module, Phase from, Phase to, const CompileOptions &options,
                              const StageTiming &timing);

/// Registers `--moec-tile`, `--moec-layouts`, `--moec-tilegpu` and `--moec-nvvm` for moec-opt: all passes up to the
/// phase, e.g.
/// --moec-nvvm="options=target=sm_90a;num_warps=8".
void registerPipelines();

} // namespace moec::compiler
