// Branches around masked accesses.
#pragma once

#include "compiler/lower/Lowering.h"

namespace moec::compiler {

enum class GuardedAccess { Load, Store };

/// Runs `body` where the mask (i1; null: always) holds; its results are `otherwise` elsewhere. `needs`: what the body
/// uses beside constants. A branch: NVPTX and ptxas make predicated accesses of it. Accesses under one mask share a
/// branch and are in flight together where nothing between keeps them apart: a load passes other loads, whatever their
/// masks; a store joins only what comes directly before it.
llvm::SmallVector<mlir::Value> under(Lowering &l, mlir::Value mask, GuardedAccess access,
                                     llvm::ArrayRef<mlir::Value> otherwise, llvm::ArrayRef<mlir::Value> needs,
                                     llvm::function_ref<llvm::SmallVector<mlir::Value>()> body);

} // namespace moec::compiler
