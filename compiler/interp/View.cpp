// Views, and accesses through them: where an element is, whether it is clipped, whether its index is a mistake.
#include "compiler/interp/Accesses.h"

using namespace mlir;

namespace moec::compiler::interp {
namespace {

// ---- making views

void runSubview(Machine &m, tile::SubviewOp op) {
  Value parent = m.get(op.getView());
  auto part = std::make_shared<View>(*parent.view);
  int64_t bytes = bytesOf(op.getView().getType().getElementType());
  for (auto [d, pair] : llvm::enumerate(llvm::zip(op.getOffsets(), op.getSizes()))) {
    int64_t offset = m.get(std::get<0>(pair)).signedScalar(), size = m.get(std::get<1>(pair)).signedScalar(),
            whole = parent.view->sizes[d];
    part->base += offset * part->strides[d] * bytes;
    part->sizes[d] = size;
    if (part->culprit || (0 <= offset && offset <= whole && 0 <= size && size <= whole - offset)) continue;
    part->culprit = op;
    part->problem = "dimension " + std::to_string(d) + " of this part of a view is " + std::to_string(offset) + ".." +
                    std::to_string(offset + size) + ", the whole has 0.." + std::to_string(whole);
  }
  m.set(op.getResult(), {op.getType(), nullptr, std::move(part), nullptr});
}

void runViewAt(Machine &m, tile::ViewAtOp op) {
  Value parent = m.get(op.getView());
  auto part = std::make_shared<View>(*parent.view);
  int64_t index = m.get(op.getIndex()).signedScalar(), size = parent.view->sizes[0];
  part->base += index * part->strides[0] * int64_t(bytesOf(op.getView().getType().getElementType()));
  part->sizes.erase(part->sizes.begin());
  part->strides.erase(part->strides.begin());
  if (!part->culprit && (index < 0 || index >= size)) {
    part->culprit = op;
    part->problem =
        "index " + std::to_string(index) + " is outside 0.." + std::to_string(size) + " of the view's first dimension";
  }
  m.set(op.getResult(), {op.getType(), nullptr, std::move(part), nullptr});
}

// ---- finding elements

/// One access of a tile's worth of elements through a view: index tiles broadcast to the tile's shape.
class Access {
public:
  Access(Machine &m, Operation *op, mlir::Value view, ValueRange indices, Type tile, mlir::Value mask,
         ArrayRef<bool> clip)
      : m(m), op(op), view(m.get(view).view), clip(clip) {
    elementBytes = bytesOf(cast<tile::ViewType>(view.getType()).getElementType());
    if (auto type = dyn_cast<RankedTensorType>(tile)) shape = type.getShape();
    for (mlir::Value index : indices) this->indices.push_back(m.get(index));
    if (mask) this->mask = m.get(mask);
  }

  /// The address of element i; nothing where it is masked off, clipped, or a mistake (which is reported).
  std::optional<uint64_t> operator()(size_t i) const {
    if (mask && !mask->at(i)) return {};
    int64_t offset = 0;
    for (size_t d = 0; d < indices.size(); ++d) {
      int64_t index = indexOf(d, i), size = view->sizes[d];
      if (index < 0 || index >= size) {
        if (!clip[d]) reportIndex(d, i, index);
        return {};
      }
      offset += index * view->strides[d];
    }
    if (view->culprit) {
      m.finding(view->culprit, view->problem);
      return {};
    }
    return view->base + offset * elementBytes;
  }

private:
  int64_t indexOf(size_t d, size_t i) const {
    ArrayRef<int64_t> own = indices[d].shape();
    size_t from = 0, stride = 1;
    for (size_t k = own.size(); k-- > 0; i /= shape[k], stride *= own[k])
      if (own[k] != 1) from += i % shape[k] * stride;
    return indices[d].signedAt(from);
  }

  void reportIndex(size_t d, size_t i, int64_t index) const {
    std::string where = position(shape, i);
    m.finding(op, "index " + Twine(index) + " is outside 0.." + Twine(view->sizes[d]) + " of dimension " + Twine(d) +
                      (where.empty() ? "" : ", at element " + where));
  }

  Machine &m;
  Operation *op;
  std::shared_ptr<const View> view;
  SmallVector<Value> indices;
  std::optional<Value> mask;
  ArrayRef<int64_t> shape;
  ArrayRef<bool> clip;
  int64_t elementBytes;
};

// ---- elements by index

void runViewLoad(Machine &m, tile::ViewLoadOp op) {
  loadElements(m, op, Access(m, op, op.getView(), op.getIndices(), op.getType(), op.getMask(), op.getClip()));
}

void runViewStore(Machine &m, tile::ViewStoreOp op) {
  storeElements(m, op,
                Access(m, op, op.getView(), op.getIndices(), op.getValue().getType(), op.getMask(), op.getClip()));
}

void runViewAtomicRmw(Machine &m, tile::ViewAtomicRmwOp op) {
  atomicRmwElements(m, op, Access(m, op, op.getView(), op.getIndices(), op.getType(), op.getMask(), op.getClip()));
}

void runViewAtomicCas(Machine &m, tile::ViewAtomicCasOp op) {
  SmallVector<bool> clip(op.getIndices().size(), false);
  atomicCasElements(m, op, Access(m, op, op.getView(), op.getIndices(), op.getType(), nullptr, clip));
}

// ---- blocks: element coordinates are origin + position in the tile, and every dimension clips

/// Where the elements of a block lie, those inside the view.
class BlockAccess {
public:
  BlockAccess(Machine &m, mlir::Value view, ValueRange origins, RankedTensorType tile)
      : m(m), view(m.get(view).view), tile(tile),
        elementBytes(bytesOf(cast<tile::ViewType>(view.getType()).getElementType())) {
    for (mlir::Value v : origins) origin.push_back(m.get(v).signedScalar());
  }
  std::optional<uint64_t> operator()(size_t i) const {
    int64_t rest = i, offset = 0;
    bool inside = true;
    for (size_t d = origin.size(); d-- > 0; rest /= tile.getDimSize(d)) {
      int64_t index = origin[d] + rest % tile.getDimSize(d);
      inside &= index >= 0 && index < view->sizes[d];
      offset += index * view->strides[d];
    }
    if (!inside) return {};
    if (!view->culprit) return view->base + offset * elementBytes;
    m.finding(view->culprit, view->problem);
    return {};
  }

private:
  Machine &m;
  std::shared_ptr<const View> view;
  RankedTensorType tile;
  int64_t elementBytes;
  SmallVector<int64_t> origin;
};

void runBlockLoad(Machine &m, tile::BlockLoadOp op) {
  loadElements(m, op, BlockAccess(m, op.getView(), op.getOrigins(), op.getType()));
}

void runBlockStore(Machine &m, tile::BlockStoreOp op) {
  storeElements(m, op, BlockAccess(m, op.getView(), op.getOrigins(), cast<RankedTensorType>(op.getValue().getType())));
}

} // namespace

void registerView(Table &table) {
  table.on<tile::DimOp>(
      [](Machine &m, tile::DimOp op) { m.setResult(op, {uint32_t(m.get(op.getView()).view->sizes[op.getAxis()])}); });
  table.on<tile::SubviewOp>(runSubview);
  table.on<tile::ViewAtOp>(runViewAt);
  table.on<tile::ViewLoadOp>(runViewLoad);
  table.on<tile::ViewStoreOp>(runViewStore);
  table.on<tile::ViewAtomicRmwOp>(runViewAtomicRmw);
  table.on<tile::ViewAtomicCasOp>(runViewAtomicCas);
  table.on<tile::BlockLoadOp>(runBlockLoad);
  table.on<tile::BlockStoreOp>(runBlockStore);
}

} // namespace moec::compiler::interp
