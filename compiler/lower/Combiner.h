// The combiner region of a reduce or scan: what may be done with it, and its ops emitted for given operands.
#pragma once

#include "compiler/lower/Exchange.h"

namespace moec::compiler {

/// What is known of a combiner without emitting it. A single arith op on both arguments is recognized; anything else is
/// opaque.
struct CombinerTraits {
  mlir::Operation *op = nullptr; ///< that single op
  bool commutative = false;      ///< a ∘ b and b ∘ a have equal bits
  bool orderFree = false;        ///< commutative and associative in bits: any order gives the result of the defined one
  bool idempotent = false;       ///< a ∘ a = a
  explicit CombinerTraits(mlir::Region &region);
  CombinerTraits() = default;

  /// The instruction that combines a 32-bit integer over a whole warp.
  std::optional<mlir::NVVM::ReduxKind> redux() const;
  /// e with e ∘ a = a, as a value of the (storage) type, if the op has one that we know.
  mlir::Value identity(Lowering &l, mlir::Type type) const;
};

/// Emits the region: left operands, right operands, combined.
class Combiner {
public:
  Combiner(Lowering &l, mlir::Region &region) : traits(region), l(l), body(region.front()) {}
  llvm::SmallVector<mlir::Value> operator()(llvm::ArrayRef<mlir::Value> left, llvm::ArrayRef<mlir::Value> right);
  bool failed() const { return failed_; }

  const CombinerTraits traits;

private:
  Lowering &l;
  mlir::Block &body;
  bool failed_ = false;
};

/// One value per operand, for one register.
using Element = llvm::SmallVector<mlir::Value>;
Element elementAt(llvm::ArrayRef<Registers> operands, unsigned reg);
void setElement(llvm::MutableArrayRef<Registers> operands, unsigned reg, llvm::ArrayRef<mlir::Value> element);
Element selectElement(Lowering &l, mlir::Value condition, llvm::ArrayRef<mlir::Value> a, llvm::ArrayRef<mlir::Value> b);
Element shuffleElement(Lowering &l, llvm::ArrayRef<mlir::Value> v, uint32_t laneMask);

/// What the reducing lowerings know of an op's types before they emit: operand layouts, storage types.
llvm::SmallVector<mlir::Type> storageTypes(mlir::ValueRange operands);

} // namespace moec::compiler
