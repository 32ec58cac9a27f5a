#include "compiler/ir/Verify.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace moec::tile {

ArrayRef<int64_t> shapeOf(Type type) {
  if (auto tile = dyn_cast<RankedTensorType>(type)) return tile.getShape();
  return {};
}
bool isTile(Type type) { return isa<RankedTensorType>(type); }
Type elementOf(Type type) { return getElementTypeOrSelf(type); }

std::string text(ArrayRef<int64_t> shape) {
  std::string s = "[";
  for (size_t i = 0; i < shape.size(); ++i) s += (i ? ", " : "") + std::to_string(shape[i]);
  return s + "]";
}

LogicalResult verifyTileShape(Operation *op, Type type) {
  auto tile = dyn_cast<RankedTensorType>(type);
  if (!tile) return success();
  if (tile.getRank() < 1 || tile.getRank() > 5)
    return op->emitOpError("a tile has 1 to 5 dimensions, this has ") << tile.getRank(); // tile_c1
  int64_t count = 1;
  for (int64_t size : tile.getShape()) {
    if (ShapedType::isDynamic(size) || !llvm::isPowerOf2_64(size))
      return op->emitOpError("every dimension of a tile is a power of two, this is ")
             << text(tile.getShape()); // tile_c2
    count *= size;
  }
  if (count > (1 << 20))
    return op->emitOpError("a tile has at most 1048576 elements, this is ") << text(tile.getShape()); // tile_c3
  return success();
}

LogicalResult verifySameShape(Operation *op, Type type, Type result, StringRef what) {
  if (shapeOf(type) == shapeOf(result) && isTile(type) == isTile(result)) return success();
  return op->emitOpError() << what << " has shape " << text(shapeOf(type)) << ", the value has "
                           << text(shapeOf(result)); // shape_c1
}

LogicalResult verifyIndices(Operation *op, ViewType view, ValueRange indices, Type result, ArrayRef<bool> clip) {
  if ((int64_t)indices.size() != view.getRank())
    return op->emitOpError("the view has ")
           << view.getRank() << " dimensions, but " << indices.size() << " indices are given"; // index_c1
  if (clip.size() != indices.size()) return op->emitOpError("clip needs one entry per index"); // index_c2
  ArrayRef<int64_t> shape = shapeOf(result);
  for (Value index : indices) {
    auto tile = dyn_cast<RankedTensorType>(index.getType());
    if (!tile) continue;
    if (!isTile(result) || tile.getRank() != (int64_t)shape.size())
      return op->emitOpError("an index tile has the value's rank ")
             << shape.size() << ", this one has " << tile.getRank(); // index_c3
    for (int64_t d = 0; d < tile.getRank(); ++d)
      if (tile.getDimSize(d) != 1 && tile.getDimSize(d) != shape[d])
        return op->emitOpError("index of shape ")
               << text(tile.getShape()) << " does not broadcast to " << text(shape); // index_c4
  }
  return success();
}

LogicalResult verifyElement(Operation *op, Type memory, Type value) {
  if (memory == value) return success();
  return op->emitOpError("memory holds ") << memory << ", the value is " << value << ": cast it first"; // element_c1
}

LogicalResult verifyMask(Operation *op, Value mask, Type result) {
  if (!mask || !isTile(mask.getType())) return success(); // a scalar mask holds for all elements
  return verifySameShape(op, mask.getType(), result, "mask");
}

LogicalResult verifyAtomic(Operation *op, AtomicKind kind, Type element) {
  bool ok = false;
  switch (kind) {
  case AtomicKind::add:
    ok = element.isInteger(32) || element.isInteger(64) || element.isF16() || element.isBF16() || element.isF32() ||
         element.isF64();
    break;
  case AtomicKind::max:
  case AtomicKind::min:
  case AtomicKind::exchange:
    ok = element.isInteger(32) || element.isInteger(64) || element.isF32() || element.isF64();
    break;
  case AtomicKind::umax:
  case AtomicKind::umin: ok = element.isInteger(32) || element.isInteger(64); break;
  }
  if (ok) return success();
  return op->emitOpError("atomic ") << stringifyAtomicKind(kind) << " is not defined for " << element; // atomic_c1
}

} // namespace moec::tile
