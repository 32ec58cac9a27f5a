// Pointers: loads, stores and atomics of ptr[offset].
#include "compiler/interp/Accesses.h"

using namespace mlir;

namespace moec::compiler::interp {

Bits atomicResult(tile::AtomicKind kind, Type element, Bits old, Bits value) {
  bool isFloat = isa<FloatType>(element);
  double x = isFloat ? decode(element, old) : 0, y = isFloat ? decode(element, value) : 0;
  switch (kind) {
  case tile::AtomicKind::add: return isFloat ? encode(element, x + y) : truncate(element, old + value);
  case tile::AtomicKind::max:
    if (isFloat) return encode(element, maximumNumber(x, y));
    return signedOf(element, old) > signedOf(element, value) ? old : value;
  case tile::AtomicKind::min:
    if (isFloat) return encode(element, minimumNumber(x, y));
    return signedOf(element, old) < signedOf(element, value) ? old : value;
  case tile::AtomicKind::exchange: return value;
  case tile::AtomicKind::umax: return std::max(old, value);
  case tile::AtomicKind::umin: return std::min(old, value);
  }
  llvm_unreachable("all kinds are named");
}

namespace {

/// ptr[offset] of each element under a mask.
class Access {
public:
  Access(Machine &m, mlir::Value pointer, mlir::Value offset, mlir::Value mask)
      : base(m.get(pointer).scalar()), offset(m.get(offset)) {
    elementBytes = bytesOf(cast<tile::PtrType>(pointer.getType()).getElementType());
    if (mask) this->mask = m.get(mask);
  }
  std::optional<uint64_t> operator()(size_t i) const {
    if (mask && !mask->at(i)) return {};
    return base + offset.signedAt(i) * elementBytes;
  }

private:
  uint64_t base;
  Value offset;
  std::optional<Value> mask;
  int64_t elementBytes;
};

void runAddPtr(Machine &m, tile::AddPtrOp op) {
  int64_t bytes = bytesOf(op.getPtr().getType().getElementType());
  m.setResult(op, {m.get(op.getPtr()).scalar() + m.get(op.getOffset()).signedScalar() * bytes});
}

} // namespace

void registerMemory(Table &table) {
  table.on<tile::AddPtrOp>(runAddPtr);
  table.on<tile::LoadOp>(
      [](Machine &m, tile::LoadOp op) { loadElements(m, op, Access(m, op.getPtr(), op.getOffset(), op.getMask())); });
  table.on<tile::StoreOp>(
      [](Machine &m, tile::StoreOp op) { storeElements(m, op, Access(m, op.getPtr(), op.getOffset(), op.getMask())); });
  table.on<tile::AtomicRmwOp>([](Machine &m, tile::AtomicRmwOp op) {
    atomicRmwElements(m, op, Access(m, op.getPtr(), op.getOffset(), op.getMask()));
  });
  table.on<tile::AtomicCasOp>([](Machine &m, tile::AtomicCasOp op) {
    atomicCasElements(m, op, Access(m, op.getPtr(), op.getOffset(), nullptr));
  });
}

} // namespace moec::compiler::interp
