// How registers of offsets become memory accesses; shared by loads, stores and asynchronous copies.
#pragma once

#include "compiler/lower/Elementwise.h"

namespace moec::compiler {

/// One access of 1, 2, 4, … neighbouring elements.
struct Access {
  mlir::Value root; ///< computed part of the offset, in elements; null: none
  int64_t constant; ///< constant part, in elements
  mlir::Value mask; ///< i1; null: always
  llvm::SmallVector<llvm::SmallVector<unsigned, 1>, 8>
      lanes; ///< per element the registers that it is for (one, for stores)
};

/// Groups the elements of registers `regs` into accesses, sorted by mask. `masks` is empty or has one per register.
/// Loads let equal places share an element (`mergeEqual`); stores do not.
llvm::SmallVector<Access> planAccesses(Lowering &l, mlir::Value ptr, llvm::ArrayRef<mlir::Value> offsets,
                                       llvm::ArrayRef<mlir::Value> masks, llvm::ArrayRef<unsigned> regs,
                                       mlir::Type storage, bool mergeEqual);

using AddressCache = llvm::DenseMap<mlir::Value, mlir::Value>;
/// The address of an access; what its root contributes is emitted once per cache.
mlir::Value emitAddress(Lowering &l, mlir::Value ptr, const Access &access, mlir::Type storage, AddressCache &cache);

void registerAtomicLowerings(mlir::MLIRContext *, HandlerTable &); // Atomic.cpp

} // namespace moec::compiler
