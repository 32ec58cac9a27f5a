// The emitter's state. Internal to Lowering.cpp and Integers.cpp.
#pragma once

#include "compiler/lower/Lowering.h"

#include "mlir/IR/Value.h"
#include "llvm/Support/Allocator.h"

namespace moec::compiler {

/// Facts reach no further than this: larger powers of two help nobody.
inline constexpr int64_t kMaxDivisor = int64_t(1) << 30;

/// The largest power of two that divides v.
inline int64_t powerOf2Part(int64_t v) { return v == 0 ? kMaxDivisor : std::min(v & -v, kMaxDivisor); }

/// Sign-extends the low bits of an integer type's width.
inline int64_t wrap(int64_t v, unsigned bits) {
  return bits >= 64 ? v : (int64_t(uint64_t(v) << (64 - bits)) >> (64 - bits));
}

struct Lowering::Impl {
  mlir::ModuleOp module;
  HandlerTable handlers;
  llvm::DenseMap<mlir::Value, mlir::ArrayRef<mlir::Value>> values;
  llvm::BumpPtrAllocator arena;

  llvm::DenseMap<mlir::Type, std::unique_ptr<LinearLayout>> layouts;

  // Entry-block code that is emitted once: the builder's insertion point moves on with every op.
  mlir::Operation *lastEntryOp = nullptr;
  mlir::Value thread, lane, warp, shared;
  llvm::DenseMap<std::pair<mlir::Type, mlir::Attribute>, mlir::Value> constants;
  std::map<std::vector<int32_t>, mlir::Value> linears;

  // Facts about emitted values.
  llvm::DenseMap<mlir::Value, Affine> affine;
  llvm::DenseMap<mlir::Value, int64_t> divisors;
  llvm::DenseMap<mlir::Value, Part> parts;
  // Integer ops already emitted in a block: (block, kind, operands).
  llvm::DenseMap<std::tuple<mlir::Block *, unsigned, mlir::Value, mlir::Value>, mlir::Value> known;
  llvm::DenseMap<std::tuple<mlir::Block *, mlir::Value, int64_t>, mlir::Value> sums;
};

} // namespace moec::compiler
