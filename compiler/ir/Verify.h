// What the verifiers of the `tile` dialect share. Each gives the op's error.
#pragma once

#include "compiler/ir/Tile.h"

namespace moec::tile {

/// Of a tile; a scalar's is empty.
llvm::ArrayRef<int64_t> shapeOf(mlir::Type type);
bool isTile(mlir::Type type);
mlir::Type elementOf(mlir::Type type);
/// "[4, 8]".
std::string text(llvm::ArrayRef<int64_t> shape);

/// Tile shapes: powers of two, at most 2^20 elements, rank 1 to 5.
mlir::LogicalResult verifyTileShape(mlir::Operation *op, mlir::Type type);
/// An operand per element: a scalar stays one only where the result is a scalar too.
mlir::LogicalResult verifySameShape(mlir::Operation *op, mlir::Type type, mlir::Type result, llvm::StringRef what);
/// Indices into a view for a result: as many as dimensions, tiles among them broadcast to the result.
mlir::LogicalResult verifyIndices(mlir::Operation *op, ViewType view, mlir::ValueRange indices, mlir::Type result,
                                  llvm::ArrayRef<bool> clip);
mlir::LogicalResult verifyElement(mlir::Operation *op, mlir::Type memory, mlir::Type value);
/// A tile of the result's shape, a scalar or nothing.
mlir::LogicalResult verifyMask(mlir::Operation *op, mlir::Value mask, mlir::Type result);
/// The kinds that exist for a dtype.
mlir::LogicalResult verifyAtomic(mlir::Operation *op, AtomicKind kind, mlir::Type element);

} // namespace moec::tile
