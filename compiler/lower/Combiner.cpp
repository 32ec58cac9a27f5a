#include "compiler/lower/Combiner.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace moec::compiler {

CombinerTraits::CombinerTraits(Region &region) : op(tile::singleCombinerOp(region)) {
  if (!op) return;
  bool integer = isa<arith::AddIOp, arith::MulIOp, arith::XOrIOp>(op);
  idempotent = isa<arith::AndIOp, arith::OrIOp, arith::MaxSIOp, arith::MaxUIOp, arith::MinSIOp, arith::MinUIOp,
                   arith::MaximumFOp, arith::MinimumFOp>(op);
  orderFree = integer || idempotent;
  commutative = orderFree || isa<arith::AddFOp, arith::MulFOp, arith::MaxNumFOp, arith::MinNumFOp>(op);
}

std::optional<NVVM::ReduxKind> CombinerTraits::redux() const {
  using Kind = NVVM::ReduxKind;
  if (!op) return std::nullopt;
  return llvm::TypeSwitch<Operation *, std::optional<Kind>>(op)
      .Case([](arith::AddIOp) { return Kind::ADD; })
      .Case([](arith::AndIOp) { return Kind::AND; })
      .Case([](arith::OrIOp) { return Kind::OR; })
      .Case([](arith::XOrIOp) { return Kind::XOR; })
      .Case([](arith::MaxSIOp) { return Kind::MAX; })
      .Case([](arith::MinSIOp) { return Kind::MIN; })
      .Case([](arith::MaxUIOp) { return Kind::UMAX; })
      .Case([](arith::MinUIOp) { return Kind::UMIN; })
      .Default([](Operation *) { return std::nullopt; });
}

Value CombinerTraits::identity(Lowering &l, Type type) const {
  if (!orderFree || !type.isInteger()) return {};
  unsigned bits = type.getIntOrFloatBitWidth();
  auto make = [&](const llvm::APInt &v) { return l.constant(type, v.getSExtValue()); };
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case<arith::AddIOp, arith::OrIOp, arith::XOrIOp, arith::MaxUIOp>([&](auto) { return l.constant(type, 0); })
      .Case<arith::AndIOp, arith::MinUIOp>([&](auto) { return l.constant(type, -1); })
      .Case([&](arith::MulIOp) { return l.constant(type, 1); })
      .Case([&](arith::MaxSIOp) { return make(llvm::APInt::getSignedMinValue(bits)); })
      .Case([&](arith::MinSIOp) { return make(llvm::APInt::getSignedMaxValue(bits)); })
      .Default([](Operation *) { return Value(); });
}

SmallVector<Value> Combiner::operator()(ArrayRef<Value> left, ArrayRef<Value> right) {
  Location outer = l.loc;
  for (auto [i, v] : llvm::enumerate(left)) l.setScalar(body.getArgument(i), v);
  for (auto [i, v] : llvm::enumerate(right)) l.setScalar(body.getArgument(left.size() + i), v);
  if (mlir::failed(l.lowerBlock(body))) failed_ = true;
  l.loc = outer;
  if (failed_) return SmallVector<Value>(left);
  SmallVector<Value> result;
  for (Value v : body.getTerminator()->getOperands()) result.push_back(l.scalar(v));
  return result;
}

Element elementAt(ArrayRef<Registers> operands, unsigned reg) {
  Element e;
  for (const Registers &operand : operands) e.push_back(operand[reg]);
  return e;
}

void setElement(MutableArrayRef<Registers> operands, unsigned reg, ArrayRef<Value> element) {
  for (auto [operand, v] : llvm::zip(operands, element)) operand[reg] = v;
}

Element selectElement(Lowering &l, Value condition, ArrayRef<Value> a, ArrayRef<Value> b) {
  Element e;
  for (auto [x, y] : llvm::zip(a, b)) e.push_back(select(l, condition, x, y));
  return e;
}

Element shuffleElement(Lowering &l, ArrayRef<Value> v, uint32_t laneMask) {
  Element e;
  for (Value x : v) e.push_back(shuffleXor(l, x, laneMask));
  return e;
}

SmallVector<Type> storageTypes(ValueRange operands) {
  SmallVector<Type> types;
  for (Value v : operands) {
    Type element = cast<RankedTensorType>(v.getType()).getElementType();
    bool f8 = isa<Float8E4M3FNType, Float8E5M2Type>(element);
    types.push_back(f8 ? Type(IntegerType::get(element.getContext(), 8)) : element);
  }
  return types;
}

} // namespace moec::compiler
