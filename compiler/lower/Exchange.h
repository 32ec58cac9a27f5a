// How the threads of a block hand values to each other: shuffles inside a warp, scratch memory between warps.
#pragma once

#include "compiler/lower/Lowering.h"
#include "compiler/lower/Places.h"

namespace moec::compiler {

using Registers = llvm::SmallVector<mlir::Value>;

/// i1: parity of the given bits of this thread's lane and warp; null if there are none.
mlir::Value threadParity(Lowering &l, ThreadBits bits);
/// `condition ? a : b`, folded where both are one value.
mlir::Value select(Lowering &l, mlir::Value condition, mlir::Value a, mlir::Value b);

/// The value that lane `lane ^ laneMask` passes here. Any storage type: narrow ones travel in 32 bits, 64-bit ones as
/// two words.
mlir::Value shuffleXor(Lowering &l, mlir::Value v, uint32_t laneMask);
/// The value that lane number `lane` (i32) passes.
mlir::Value shuffleFrom(Lowering &l, mlir::Value v, mlir::Value lane);

/// Runs `body` in a branch that is taken where `condition` holds (everywhere, without a branch, if it is null).
void emitIf(Lowering &l, mlir::Value condition, llvm::function_ref<void()> body);
/// The same with a result: what `body` returns, and `otherwise` where the condition does not hold.
mlir::Value emitIf(Lowering &l, mlir::Value condition, mlir::Value otherwise, llvm::function_ref<mlir::Value()> body);

/// The scratch memory of one op, used in phases: all threads are through with a phase before the next begins.
class Scratch {
public:
  Scratch(Lowering &l, mlir::Operation *owner) : l(l), owner(owner) {}
  /// !llvm.ptr<3> to the scratch, for a new phase.
  mlir::Value open();

private:
  Lowering &l;
  mlir::Operation *owner;
  bool used = false;
};

/// Bytes that an element takes in shared memory (i1 takes one).
int sharedElementBytes(mlir::Type storageType);
int64_t alignTo16(int64_t bytes);

/// Whether a conversion goes through shared memory, and how much it then needs. `elements` are storage types, one per
/// operand.
int64_t conversionScratchBytes(const LinearLayout &from, const LinearLayout &to, llvm::ArrayRef<mlir::Type> elements);
/// The same tiles in another layout, all operands in one go. Both layouts are surjective on one shape.
llvm::SmallVector<Registers> convertTogether(Lowering &l, Scratch &scratch, llvm::ArrayRef<Registers> operands,
                                             const LinearLayout &from, const LinearLayout &to);
/// For other lowerings: one tile whose scratch (conversionScratchBytes) belongs to `scratchOwner` and is not in use.
Registers convertRegisters(Lowering &l, llvm::ArrayRef<mlir::Value> values, const LinearLayout &from,
                           const LinearLayout &to, mlir::Type elementType, mlir::Operation *scratchOwner);

/// Writes a tile row-major into a shared buffer (one writer per element; no barrier).
void storeRowMajor(Lowering &l, mlir::Value buffer, llvm::ArrayRef<mlir::Value> values, const LinearLayout &layout);
/// i1 as i8 and back, for single accesses to shared memory; `index` in elements.
void storeShared(Lowering &l, mlir::Value buffer, mlir::Value index, mlir::Value v);
mlir::Value loadShared(Lowering &l, mlir::Value buffer, mlir::Value index, mlir::Type storageType);

/// Through shared memory, from the thread at this thread's place ^ `at`: result register i is its register sources[i].
/// Operands may have any number of registers; scratch: slotBytes.
llvm::SmallVector<Registers> exchangeSlots(Lowering &l, Scratch &scratch, llvm::ArrayRef<Registers> operands, Place at,
                                           llvm::ArrayRef<unsigned> sources);
int64_t slotBytes(unsigned registers, int numWarps, llvm::ArrayRef<mlir::Type> elements);

} // namespace moec::compiler
