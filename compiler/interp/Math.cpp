// Elementary functions: in f64 and rounded once, for f64 in long double. No more than a unit in the last place off
// anywhere, so a yardstick for approximations, not bit for bit. Exact ones (sqrt, floor, …) are exact.
#include "compiler/interp/Machine.h"

#include <bit>
#include <cmath>

using namespace mlir;

namespace moec::compiler::interp {
namespace {

using Wide = long double;

Bits apply(Type element, double (*narrow)(double), Wide (*wide)(Wide), Bits a) {
  double x = decode(element, a);
  return encode(element, element.isF64() ? static_cast<double>(wide(x)) : narrow(x));
}

/// One function by its generic definition: f for double and for long double.
template <typename Op, typename F> void unary(Table &table, F) {
  table.set(Op::getOperationName(), [](Machine &m, Operation *op) {
    Type element = getElementTypeOrSelf(op->getResult(0).getType());
    mapUnary(m, op, [&](Bits a) {
      return apply(element, [](double x) -> double { return F()(x); }, [](Wide x) -> Wide { return F()(x); }, a);
    });
  });
}

// 2^x for denormal x is 1 and a denormal result is 0, as ex2.approx.ftz has it.
double flushDenormal(double x) { return std::fabs(x) < 0x1p-126 ? std::copysign(0.0, x) : x; }

template <typename Op> void integerUnary(Table &table, Bits (*f)(Type, Bits)) {
  table.set(Op::getOperationName(), [f](Machine &m, Operation *op) {
    Type element = getElementTypeOrSelf(op->getResult(0).getType());
    mapUnary(m, op, [&](Bits a) { return truncate(element, f(element, a)); });
  });
}

void runFma(Machine &m, math::FmaOp op) {
  Value a = m.get(op.getA()), b = m.get(op.getB()), c = m.get(op.getC());
  std::vector<Bits> out(countOf(op.getType()));
  for (size_t i = 0; i < out.size(); ++i) out[i] = fusedMultiplyAdd(a.element(), a.at(i), b.at(i), c.at(i));
  m.setResult(op, std::move(out));
}

template <typename Op> void floatBinary(Table &table, double (*f)(double, double)) {
  table.set(Op::getOperationName(), [f](Machine &m, Operation *op) {
    Type element = getElementTypeOrSelf(op->getResult(0).getType());
    mapBinary(m, op, [&](Bits a, Bits b) { return encode(element, f(decode(element, a), decode(element, b))); });
  });
}

} // namespace

void registerMath(Table &table) {
  unary<math::ExpOp>(table, [](auto x) { return std::exp(x); });
  unary<math::Exp2Op>(table, [](auto x) { return std::exp2(x); });
  unary<math::ExpM1Op>(table, [](auto x) { return std::expm1(x); });
  unary<math::LogOp>(table, [](auto x) { return std::log(x); });
  unary<math::Log2Op>(table, [](auto x) { return std::log2(x); });
  unary<math::Log1pOp>(table, [](auto x) { return std::log1p(x); });
  unary<math::SqrtOp>(
      table, [](auto x) { return decltype(x)(std::sqrt(double(x))); }); // in double: a wider root would round twice
  unary<math::RsqrtOp>(table, [](auto x) { return 1 / std::sqrt(x); });
  unary<math::TanhOp>(table, [](auto x) { return std::tanh(x); });
  unary<math::ErfOp>(table, [](auto x) { return std::erf(x); });
  unary<math::SinOp>(table, [](auto x) { return std::sin(x); });
  unary<math::CosOp>(table, [](auto x) { return std::cos(x); });
  unary<math::FloorOp>(table, [](auto x) { return std::floor(x); });
  unary<math::CeilOp>(table, [](auto x) { return std::ceil(x); });
  unary<math::TruncOp>(table, [](auto x) { return std::trunc(x); });
  unary<math::RoundOp>(table, [](auto x) { return std::round(x); });
  unary<math::RoundEvenOp>(table, [](auto x) { return std::nearbyint(x); });
  unary<tile::SigmoidOp>(table, [](auto x) { return 1 / (1 + std::exp(-x)); });
  unary<tile::FastExp2Op>(table, [](auto x) { return flushDenormal(std::exp2(flushDenormal(x))); });
  floatBinary<tile::FastDivOp>(table, [](double a, double b) { return a / b; });
  floatBinary<math::PowFOp>(table, [](double a, double b) { return std::pow(a, b); });
  floatBinary<math::CopySignOp>(table, [](double a, double b) { return std::copysign(a, b); });
  table.on<math::FmaOp>(runFma);
  table.on<math::AbsFOp>([](Machine &m, math::AbsFOp op) {
    Type element = getElementTypeOrSelf(op.getType());
    mapUnary(m, op, [&](Bits a) { return a & (truncate(element, ~Bits(0)) >> 1); });
  });
  integerUnary<math::AbsIOp>(table, [](Type t, Bits a) { return signedOf(t, a) < 0 ? -a : a; });
  integerUnary<math::CtPopOp>(table, [](Type, Bits a) { return Bits(std::popcount(a)); });
  integerUnary<math::CountLeadingZerosOp>(table,
                                          [](Type t, Bits a) { return Bits(std::countl_zero(a) - (64 - widthOf(t))); });
  integerUnary<math::CountTrailingZerosOp>(
      table, [](Type t, Bits a) { return std::min<Bits>(std::countr_zero(a), widthOf(t)); });
}

} // namespace moec::compiler::interp
