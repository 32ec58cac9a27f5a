// Loads, stores and atomics element by element, whatever says where the elements are. `address(i)` gives the address of
// element i, or nothing where it is not to be touched: there a load gives `other`, a store writes nothing, an atomic
// gives 0.
#pragma once

#include "compiler/interp/Machine.h"

namespace moec::compiler::interp {

/// What an atomic leaves in memory.
Bits atomicResult(tile::AtomicKind kind, mlir::Type element, Bits old, Bits value);

template <typename Op, typename Address> void loadElements(Machine &m, Op op, const Address &address) {
  mlir::Type element = mlir::getElementTypeOrSelf(op.getType());
  std::vector<Bits> out(countOf(op.getType()), op.getOther() ? m.get(op.getOther()).scalar() : 0);
  for (size_t i = 0; i < out.size(); ++i)
    if (std::optional<uint64_t> at = address(i)) out[i] = m.read(op, *at, element);
  m.setResult(op, std::move(out));
}

template <typename Op, typename Address> void storeElements(Machine &m, Op op, const Address &address) {
  Value value = m.get(op.getValue());
  for (size_t i = 0; i < value.size(); ++i)
    if (std::optional<uint64_t> at = address(i)) m.write(op, *at, value.element(), value.at(i));
}

/// `written(old, i)`: what goes to memory, if anything does.
template <typename Op, typename Address, typename Written>
void exchangeElements(Machine &m, Op op, const Address &address, const Written &written) {
  mlir::Type element = mlir::getElementTypeOrSelf(op.getType());
  std::vector<Bits> out(countOf(op.getType()));
  for (size_t i = 0; i < out.size(); ++i) {
    std::optional<uint64_t> at = address(i);
    if (!at) continue;
    out[i] = m.read(op, *at, element);
    if (std::optional<Bits> next = written(out[i], i)) m.write(op, *at, element, *next);
  }
  m.setResult(op, std::move(out));
}

template <typename Op, typename Address> void atomicRmwElements(Machine &m, Op op, const Address &address) {
  Value value = m.get(op.getValue());
  exchangeElements(m, op, address, [&](Bits old, size_t i) {
    return std::optional(atomicResult(op.getKind(), value.element(), old, value.at(i)));
  });
}

template <typename Op, typename Address> void atomicCasElements(Machine &m, Op op, const Address &address) {
  Value compare = m.get(op.getCompare()), value = m.get(op.getValue());
  exchangeElements(m, op, address, [&](Bits old, size_t i) {
    return old == compare.at(i) ? std::optional(value.at(i)) : std::nullopt;
  });
}

} // namespace moec::compiler::interp
