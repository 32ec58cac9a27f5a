// fp8 conversions. The lowered module holds them as NVVM's ops, which are instructions from sm_89 on and which the
// simulator models; for older GPUs, and where overflow does not saturate, they are integer arithmetic. Both are
// bit-equal to cuda_fp8.h's host functions for every input.
#pragma once

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"

namespace moec::compiler {

/// Builds integer arithmetic of one type. Constants come from `constant`, so that a caller may share them.
struct IntegerCode {
  mlir::OpBuilder &b;
  mlir::Location loc;
  mlir::Type type;
  std::function<mlir::Value(mlir::Type, int64_t)> constant;

  using Value = mlir::Value;
  Value c(int64_t v) { return constant(type, v); }
  Value add(Value x, Value y) { return mlir::LLVM::AddOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) { return mlir::LLVM::SubOp::create(b, loc, x, y); }
  Value and_(Value x, Value y) { return mlir::LLVM::AndOp::create(b, loc, x, y); }
  Value or_(Value x, Value y) { return mlir::LLVM::OrOp::create(b, loc, x, y); }
  Value shl(Value x, int n) { return mlir::LLVM::ShlOp::create(b, loc, x, c(n)); }
  Value shr(Value x, int n) { return mlir::LLVM::LShrOp::create(b, loc, x, c(n)); }
  Value eq(Value x, Value y) { return mlir::LLVM::ICmpOp::create(b, loc, mlir::LLVM::ICmpPredicate::eq, x, y); }
  Value ne(Value x, Value y) { return mlir::LLVM::ICmpOp::create(b, loc, mlir::LLVM::ICmpPredicate::ne, x, y); }
  Value ugt(Value x, Value y) { return mlir::LLVM::ICmpOp::create(b, loc, mlir::LLVM::ICmpPredicate::ugt, x, y); }
  Value ult(Value x, Value y) { return mlir::LLVM::ICmpOp::create(b, loc, mlir::LLVM::ICmpPredicate::ult, x, y); }
  Value umin(Value x, Value y) { return mlir::LLVM::UMinOp::create(b, loc, x, y); }
  Value select(Value p, Value x, Value y) { return mlir::LLVM::SelectOp::create(b, loc, p, x, y); }
  Value zext(Value x) { return mlir::LLVM::ZExtOp::create(b, loc, type, x); }
  Value trunc(Value x) { return mlir::LLVM::TruncOp::create(b, loc, type, x); }
  Value bitcast(Value x, mlir::Type to) { return mlir::LLVM::BitcastOp::create(b, loc, to, x); }
};

/// The f8 code of an f32 in the low byte of an i32 (`k.type`): to nearest even, NaN to 0x7f; too large a number gives
/// the greatest finite one, or without `saturate` infinity (e5m2) or NaN (e4m3).
mlir::Value f8Code(IntegerCode &k, mlir::Value f32, bool e4m3, bool saturate);

/// For GPUs before sm_89: NVVM's conversions of f32 pairs to f8 and of f8 pairs to f16 become integer arithmetic.
void expandF8Conversions(mlir::ModuleOp module);

} // namespace moec::compiler
