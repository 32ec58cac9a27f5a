// A tile in shared memory: stores from and loads into a register layout, by the widest vectors or by ldmatrix.
#pragma once

#include "compiler/layout/SharedAccess.h"
#include "compiler/lower/Lowering.h"

namespace moec::compiler {

/// Byte addresses of a thread's registers in one shared tile.
class SharedTile {
public:
  /// `base`: !llvm.ptr<3> of the tile; `shared`: offset (elements) to coordinates; `regs`: register layout of the same
  /// shape.
  SharedTile(Lowering &l, mlir::Value base, const LinearLayout &shared, const LinearLayout &regs,
             mlir::Type storageType);

  void store(llvm::ArrayRef<mlir::Value> values);
  llvm::SmallVector<mlir::Value> load();
  /// Address of the element in register `reg` (!llvm.ptr<3>).
  mlir::Value address(unsigned reg);
  /// Widest vector, in elements, and the register bits that number its elements.
  const VectorAccess &vector() const { return access; }
  /// Registers that start a vector: those with none of the vector's register bits set, copies left out.
  llvm::SmallVector<unsigned> vectorStarts() const;
  /// Register of element i of the vector that starts at `start`.
  unsigned vectorRegister(unsigned start, unsigned i) const;

private:
  mlir::Type accessType() const;
  llvm::SmallVector<mlir::Value> loadMatrices(const MatrixAccess &matrix);
  mlir::Value pointer(mlir::Value threadOffset, uint32_t threadBits, uint32_t constantOffset);
  int64_t bytes(uint32_t elements) const { return int64_t(elements) * elementBytes; }

  Lowering &l;
  mlir::Value base;
  LinearLayout shared, regs, toOffset; ///< toOffset: hardware place to element offset
  mlir::Type element;
  int elementBytes;
  VectorAccess access;
};

/// Packs `values` (of 32 bits together) into one i32, reusing the word they came from.
mlir::Value packWord(Lowering &l, llvm::ArrayRef<mlir::Value> values);
/// !llvm.ptr<3> of stage `stage` (i32 value) of a buffer.
mlir::Value stageBase(Lowering &l, mlir::Value buffer, mlir::Value stage);
/// A buffer's layout: offset in elements to coordinates.
LinearLayout bufferLayout(tilegpu::BufferType type);
/// Bytes of one stage.
int64_t stageBytes(tilegpu::BufferType type);

} // namespace moec::compiler
