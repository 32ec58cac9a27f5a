// arith on floats. Every dtype but f64 is computed in f64 and rounded once: for +, -, *, / of dtypes with at most 24
// significant bits that is the correctly rounded result (f64 has more than twice as many and two), and minima, maxima
// and remainders are exact.
#include "compiler/interp/Machine.h"

#include <cmath>

using namespace mlir;

namespace moec::compiler::interp {
namespace {

template <typename Op> void binary(Table &table, double (*f)(double, double)) {
  table.set(Op::getOperationName(), [f](Machine &m, Operation *op) {
    Type element = getElementTypeOrSelf(op->getResult(0).getType());
    mapBinary(m, op, [&](Bits a, Bits b) { return encode(element, f(decode(element, a), decode(element, b))); });
  });
}

bool compare(arith::CmpFPredicate predicate, double a, double b) {
  using P = arith::CmpFPredicate;
  bool unordered = std::isnan(a) || std::isnan(b);
  switch (predicate) {
  case P::AlwaysFalse: return false;
  case P::OEQ: return !unordered && a == b;
  case P::OGT: return !unordered && a > b;
  case P::OGE: return !unordered && a >= b;
  case P::OLT: return !unordered && a < b;
  case P::OLE: return !unordered && a <= b;
  case P::ONE: return !unordered && a != b;
  case P::ORD: return !unordered;
  case P::UEQ: return unordered || a == b;
  case P::UGT: return unordered || a > b;
  case P::UGE: return unordered || a >= b;
  case P::ULT: return unordered || a < b;
  case P::ULE: return unordered || a <= b;
  case P::UNE: return unordered || a != b;
  case P::UNO: return unordered;
  case P::AlwaysTrue: return true;
  }
  llvm_unreachable("all predicates are named");
}

void runSelect(Machine &m, arith::SelectOp op) {
  Value condition = m.get(op.getCondition()), yes = m.get(op.getTrueValue()), no = m.get(op.getFalseValue());
  if (!isa<RankedTensorType>(condition.type))
    return m.set(op.getResult(), condition.scalar() ? yes : no); // also of pointers and views
  std::vector<Bits> out(condition.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = condition.at(i) ? yes.at(i) : no.at(i);
  m.setResult(op, std::move(out));
}

} // namespace

void registerFloat(Table &table) {
  binary<arith::AddFOp>(table, [](double a, double b) { return a + b; });
  binary<arith::SubFOp>(table, [](double a, double b) { return a - b; });
  binary<arith::MulFOp>(table, [](double a, double b) { return a * b; });
  binary<arith::DivFOp>(table, [](double a, double b) { return a / b; });
  binary<arith::RemFOp>(table, [](double a, double b) { return std::fmod(a, b); });
  binary<arith::MaximumFOp>(table, maximum);
  binary<arith::MinimumFOp>(table, minimum);
  binary<arith::MaxNumFOp>(table, maximumNumber);
  binary<arith::MinNumFOp>(table, minimumNumber);
  table.on<arith::NegFOp>([](Machine &m, arith::NegFOp op) {
    Bits sign = Bits(1) << (widthOf(getElementTypeOrSelf(op.getType())) - 1);
    mapUnary(m, op, [&](Bits a) { return a ^ sign; });
  });
  table.on<arith::CmpFOp>([](Machine &m, arith::CmpFOp op) {
    Type element = getElementTypeOrSelf(op.getLhs().getType());
    mapBinary(m, op, [&](Bits a, Bits b) -> Bits {
      return compare(op.getPredicate(), decode(element, a), decode(element, b));
    });
  });
  table.on<arith::SelectOp>(runSelect);
}

} // namespace moec::compiler::interp
