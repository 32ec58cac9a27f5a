// Pointers: loads, stores and atomics of ptr[offset].
#include "compiler/interp/Machine.h"

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
  Access(Machine &m, mlir::Value pointer, mlir::Value offset, mlir::Value mask) : base(m.get(pointer).scalar()), offset(m.get(offset)) {
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

void runLoad(Machine &m, tile::LoadOp op) {
  Access access(m, op.getPtr(), op.getOffset(), op.getMask());
  Type element = getElementTypeOrSelf(op.getType());
  std::vector<Bits> out(countOf(op.getType()), op.getOther() ? m.get(op.getOther()).scalar() : 0);
  for (size_t i = 0; i < out.size(); ++i)
    if (auto address = access(i)) out[i] = m.read(op, *address, element);
  m.setResult(op, std::move(out));
}

void runStore(Machine &m, tile::StoreOp op) {
  Access access(m, op.getPtr(), op.getOffset(), op.getMask());
  Value value = m.get(op.getValue());
  for (size_t i = 0; i < value.size(); ++i)
    if (auto address = access(i)) m.write(op, *address, value.element(), value.at(i));
}

void runAtomicRmw(Machine &m, tile::AtomicRmwOp op) {
  Access access(m, op.getPtr(), op.getOffset(), op.getMask());
  Value value = m.get(op.getValue());
  std::vector<Bits> out(value.size());
  for (size_t i = 0; i < out.size(); ++i) {
    auto address = access(i);
    if (!address) continue;
    out[i] = m.read(op, *address, value.element());
    m.write(op, *address, value.element(), atomicResult(op.getKind(), value.element(), out[i], value.at(i)));
  }
  m.setResult(op, std::move(out));
}

void runAtomicCas(Machine &m, tile::AtomicCasOp op) {
  Access access(m, op.getPtr(), op.getOffset(), nullptr);
  Value compare = m.get(op.getCompare()), value = m.get(op.getValue());
  std::vector<Bits> out(value.size());
  for (size_t i = 0; i < out.size(); ++i) {
    auto address = access(i);
    out[i] = m.read(op, *address, value.element());
    if (out[i] == compare.at(i)) m.write(op, *address, value.element(), value.at(i));
  }
  m.setResult(op, std::move(out));
}

} // namespace

void registerMemory(Table &table) {
  table.on<tile::AddPtrOp>(runAddPtr);
  table.on<tile::LoadOp>(runLoad);
  table.on<tile::StoreOp>(runStore);
  table.on<tile::AtomicRmwOp>(runAtomicRmw);
  table.on<tile::AtomicCasOp>(runAtomicCas);
}

} // namespace moec::compiler::interp
