// arith on integers. A word's unused high bits are 0, so unsigned meaning is the word itself.
#include "compiler/interp/Machine.h"

using namespace mlir;

namespace moec::compiler::interp {
namespace {

template <typename Op> void binary(Table &table, uint64_t (*f)(Type, Bits, Bits)) {
  table.set(Op::getOperationName(), [f](Machine &m, Operation *op) {
    Type element = getElementTypeOrSelf(op->getResult(0).getType());
    mapBinary(m, op, [&](Bits a, Bits b) { return truncate(element, f(element, a, b)); });
  });
}

/// What GPUs give for a division by zero, quotient and remainder alike: all bits set, of an i64 only the low half where
/// the dividend has no other bits.
Bits dividedByZero(Type element, Bits dividend) {
  return widthOf(element) == 64 && dividend >> 32 == 0 ? 0xffffffff : truncate(element, ~Bits(0));
}

/// Divisions: by 0 they are a finding.
template <typename Op> void division(Table &table, uint64_t (*f)(Type, Bits, Bits)) {
  table.set(Op::getOperationName(), [f](Machine &m, Operation *op) {
    Type element = getElementTypeOrSelf(op->getResult(0).getType());
    Value a = m.get(op->getOperand(0)), b = m.get(op->getOperand(1));
    std::vector<Bits> out(countOf(op->getResult(0).getType()));
    for (size_t i = 0; i < out.size(); ++i) {
      if (b.at(i)) {
        out[i] = truncate(element, f(element, a.at(i), b.at(i)));
        continue;
      }
      out[i] = dividedByZero(element, a.at(i));
      std::string where = position(a.shape(), i);
      m.finding(op, "integer division of " + Twine(a.signedAt(i)) + " by zero" +
                        (where.empty() ? "" : ", at element " + where));
    }
    m.setResult(op, std::move(out));
  });
}

/// In 128 bits the least number divided by -1 exists; cut to the type it wraps.
__int128 wide(Type t, Bits a) { return signedOf(t, a); }

__int128 floorDiv(__int128 a, __int128 b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

bool compare(arith::CmpIPredicate predicate, Type t, Bits a, Bits b) {
  int64_t x = signedOf(t, a), y = signedOf(t, b);
  switch (predicate) {
  case arith::CmpIPredicate::eq: return a == b;
  case arith::CmpIPredicate::ne: return a != b;
  case arith::CmpIPredicate::slt: return x < y;
  case arith::CmpIPredicate::sle: return x <= y;
  case arith::CmpIPredicate::sgt: return x > y;
  case arith::CmpIPredicate::sge: return x >= y;
  case arith::CmpIPredicate::ult: return a < b;
  case arith::CmpIPredicate::ule: return a <= b;
  case arith::CmpIPredicate::ugt: return a > b;
  case arith::CmpIPredicate::uge: return a >= b;
  }
  llvm_unreachable("all predicates are named");
}

} // namespace

void registerInteger(Table &table) {
  binary<arith::AddIOp>(table, [](Type, Bits a, Bits b) { return a + b; });
  binary<arith::SubIOp>(table, [](Type, Bits a, Bits b) { return a - b; });
  binary<arith::MulIOp>(table, [](Type, Bits a, Bits b) { return a * b; });
  binary<arith::AndIOp>(table, [](Type, Bits a, Bits b) { return a & b; });
  binary<arith::OrIOp>(table, [](Type, Bits a, Bits b) { return a | b; });
  binary<arith::XOrIOp>(table, [](Type, Bits a, Bits b) { return a ^ b; });
  binary<arith::ShLIOp>(table, [](Type t, Bits a, Bits b) { return b < widthOf(t) ? a << b : 0; });
  binary<arith::ShRUIOp>(table, [](Type t, Bits a, Bits b) { return b < widthOf(t) ? a >> b : 0; });
  binary<arith::ShRSIOp>(
      table, [](Type t, Bits a, Bits b) { return uint64_t(signedOf(t, a) >> std::min<Bits>(b, widthOf(t) - 1)); });
  binary<arith::MaxSIOp>(table, [](Type t, Bits a, Bits b) { return signedOf(t, a) > signedOf(t, b) ? a : b; });
  binary<arith::MinSIOp>(table, [](Type t, Bits a, Bits b) { return signedOf(t, a) < signedOf(t, b) ? a : b; });
  binary<arith::MaxUIOp>(table, [](Type, Bits a, Bits b) { return std::max(a, b); });
  binary<arith::MinUIOp>(table, [](Type, Bits a, Bits b) { return std::min(a, b); });

  division<arith::DivUIOp>(table, [](Type, Bits a, Bits b) { return a / b; });
  division<arith::RemUIOp>(table, [](Type, Bits a, Bits b) { return a % b; });
  division<arith::CeilDivUIOp>(table, [](Type, Bits a, Bits b) { return a / b + (a % b != 0); });
  division<arith::DivSIOp>(table, [](Type t, Bits a, Bits b) { return uint64_t(wide(t, a) / wide(t, b)); });
  division<arith::RemSIOp>(table, [](Type t, Bits a, Bits b) { return uint64_t(wide(t, a) % wide(t, b)); });
  division<arith::FloorDivSIOp>(table,
                                [](Type t, Bits a, Bits b) { return uint64_t(floorDiv(wide(t, a), wide(t, b))); });
  division<arith::CeilDivSIOp>(table,
                               [](Type t, Bits a, Bits b) { return uint64_t(-floorDiv(-wide(t, a), wide(t, b))); });

  table.on<arith::CmpIOp>([](Machine &m, arith::CmpIOp op) {
    Type element = getElementTypeOrSelf(op.getLhs().getType());
    mapBinary(m, op, [&](Bits a, Bits b) -> Bits { return compare(op.getPredicate(), element, a, b); });
  });
}

} // namespace moec::compiler::interp
