// What the simulator knows of a warp collective: its operation code, its operands and the widths of its results.
#pragma once

#include "compiler/target/sim/SimLowering.h"

namespace moec::compiler::simtarget {

/// How a register travels: 4 bytes per lane, 8 bytes per lane, or two f32/i32 registers side by side.
enum class Width { Single, Wide, Pair };

struct CollectiveOperand {
  Width width;
  mlir::Value value, second; ///< `second` only for Pair
};

struct Collective {
  sim::SimBatchOp code{}; ///< without operands and results
  llvm::SmallVector<CollectiveOperand> operands;
  llvm::SmallVector<Width> results;
};

/// The lanes that take part; null means all 32.
mlir::Value collectiveMask(mlir::Operation *op);
/// An integer of at most 32 bits that is known now.
std::optional<uint32_t> knownInteger(mlir::Value value);
/// An error if the simulator has no model of this form of `op`.
llvm::Expected<Collective> describeCollective(mlir::Operation *op);

} // namespace moec::compiler::simtarget
