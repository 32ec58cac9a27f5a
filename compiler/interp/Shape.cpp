// Constants, and ops that only move elements.
#include "compiler/interp/Machine.h"

#include "mlir/Dialect/UB/IR/UBOps.h"

using namespace mlir;

namespace moec::compiler::interp {
namespace {

Bits bitsOf(const APInt &value) { return value.getZExtValue(); }
Bits bitsOf(const APFloat &value) { return value.bitcastToAPInt().getZExtValue(); }

void runConstant(Machine &m, arith::ConstantOp op) {
  Attribute attribute = op.getValue();
  if (auto number = dyn_cast<IntegerAttr>(attribute)) return m.setResult(op, {bitsOf(number.getValue())});
  if (auto number = dyn_cast<FloatAttr>(attribute)) return m.setResult(op, {bitsOf(number.getValue())});
  auto elements = dyn_cast<DenseElementsAttr>(attribute);
  if (!elements) {
    m.finding(op, "a constant without its elements in the text");
    return m.stop();
  }
  std::vector<Bits> cells;
  cells.reserve(elements.getNumElements());
  if (isa<FloatType>(elements.getElementType()))
    for (const APFloat &value : elements.getValues<APFloat>()) cells.push_back(bitsOf(value));
  else
    for (const APInt &value : elements.getValues<APInt>()) cells.push_back(bitsOf(value));
  m.setResult(op, std::move(cells));
}

void runArange(Machine &m, tile::ArangeOp op) {
  std::vector<Bits> cells(countOf(op.getType()));
  for (size_t i = 0; i < cells.size(); ++i) cells[i] = static_cast<uint32_t>(op.getStart() + i);
  m.setResult(op, std::move(cells));
}

void runSplat(Machine &m, tile::SplatOp op) {
  m.setResult(op, std::vector<Bits>(countOf(op.getType()), m.get(op.getValue()).scalar()));
}

/// Row-major strides of a shape.
SmallVector<int64_t> rowMajor(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;) strides[d - 1] = strides[d] * shape[d];
  return strides;
}

/// Every result element is the source element at the sum of its coordinates times these strides.
void gather(Machine &m, Operation *op, ArrayRef<int64_t> sourceStrides) {
  Value source = m.get(op->getOperand(0));
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  std::vector<Bits> cells(type.getNumElements());
  for (size_t i = 0; i < cells.size(); ++i) {
    size_t rest = i, from = 0;
    for (size_t d = type.getRank(); d-- > 0; rest /= type.getDimSize(d))
      from += rest % type.getDimSize(d) * sourceStrides[d];
    cells[i] = source.at(from);
  }
  m.setResult(op, std::move(cells));
}

void runBroadcast(Machine &m, tile::BroadcastOp op) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(op.getValue().getType()).getShape();
  SmallVector<int64_t> strides = rowMajor(shape);
  for (size_t d = 0; d < shape.size(); ++d)
    if (shape[d] == 1) strides[d] = 0;
  gather(m, op, strides);
}

void runTrans(Machine &m, tile::TransOp op) {
  SmallVector<int64_t> strides = rowMajor(cast<RankedTensorType>(op.getValue().getType()).getShape()), permuted;
  for (int32_t d : op.getOrder()) permuted.push_back(strides[d]);
  gather(m, op, permuted);
}

/// The same elements in the same order, as the result's type.
void keepElements(Machine &m, Operation *op) {
  Value value = m.get(op->getOperand(0));
  value.type = op->getResult(0).getType();
  m.set(op->getResult(0), value);
}

} // namespace

void registerShape(Table &table) {
  table.on<arith::ConstantOp>(runConstant);
  table.on<tile::ArangeOp>(runArange);
  table.on<tile::SplatOp>(runSplat);
  table.on<tile::BroadcastOp>(runBroadcast);
  table.on<tile::TransOp>(runTrans);
  for (StringRef name : {tile::ExpandDimsOp::getOperationName(), tile::ReshapeOp::getOperationName(),
                         tilegpu::ConvertLayoutOp::getOperationName(), arith::BitcastOp::getOperationName()})
    table.set(name, keepElements);
  // What folding makes of an op without meaning; nothing may depend on it, so any value does.
  table.on<ub::PoisonOp>(
      [](Machine &m, ub::PoisonOp op) { m.setResult(op, std::vector<Bits>(countOf(op.getType()))); });
}

} // namespace moec::compiler::interp
