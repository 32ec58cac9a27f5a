// Register by register: what elementwise families share.
#pragma once

#include "compiler/lower/Lowering.h"

namespace moec::compiler {

/// The value of one result register from the operands' registers.
using RegisterFunction = llvm::function_ref<mlir::Value(llvm::ArrayRef<mlir::Value>)>;

/// Sets the registers of op's one result to `fn` of the operands' registers (a scalar operand of a tile op counts for
/// every register). Equal operand registers are computed once, so registers that hold copies cost nothing.
mlir::LogicalResult mapRegisters(Lowering &l, mlir::Operation *op, RegisterFunction fn);

/// The same for a float op whose `fn` works in f32 or f64: narrower operands are widened (exactly), the result is
/// rounded once.
mlir::LogicalResult mapFloatRegisters(Lowering &l, mlir::Operation *op, RegisterFunction fn);

struct CastFlags {
  bool unsignedInput = false;
  bool unsignedResult = false;
  bool saturate =
      true; ///< to f8: what is too great becomes the greatest number (tile.cast), or inf or NaN (arithmetic)
};
/// tile.cast of a list of registers between element types, neighbours packed where the hardware converts pairs.
llvm::SmallVector<mlir::Value> castRegisters(Lowering &l, llvm::ArrayRef<mlir::Value> regs, mlir::Type from,
                                             mlir::Type to, CastFlags flags = {});

/// A call of a libdevice function, declared in the module if need be.
mlir::Value callLibdevice(Lowering &l, llvm::StringRef name, mlir::Type result, llvm::ArrayRef<mlir::Value> args);

void registerMathLowerings(mlir::MLIRContext *, HandlerTable &); // Math.cpp
void registerCastLowerings(mlir::MLIRContext *, HandlerTable &); // Cast.cpp

template <class Op> void setHandler(mlir::MLIRContext *ctx, HandlerTable &table, LowerHandler handler) {
  table[mlir::OperationName(Op::getOperationName(), ctx)] = handler;
}

} // namespace moec::compiler
