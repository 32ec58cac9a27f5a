// Ops that only say where elements are: registers get new names, no code is emitted (but arange's coordinates).
#include "compiler/lower/Elementwise.h"

using namespace mlir;
using namespace moec::compiler;

namespace {

/// Gives each register of the result the operand's register that holds the element `toOperand(its flat index)`. The map
/// must be linear over index bits, and lanes and warps must hold corresponding elements on both sides: layout
/// assignment has seen to that.
LogicalResult renameRegisters(Lowering &l, Operation *op, llvm::function_ref<uint32_t(uint32_t)> toOperand) {
  const LinearLayout &to = l.layoutOf(op->getResult(0).getType()), &from = l.layoutOf(op->getOperand(0).getType());
  for (InDim in : {InDim::Lane, InDim::Warp})
    for (int bit = 0; bit < std::max(to.inBits(in), from.inBits(in)); ++bit) {
      uint32_t want = bit < to.inBits(in) ? toOperand(to.flatBasis(in, bit)) : 0;
      uint32_t have = bit < from.inBits(in) ? from.flatBasis(in, bit) : 0;
      if (want != have)
        return op->emitError("the layouts of operand and result do not fit: ")
               << std::string(inDimName(in)) << " bit " << bit << " moves different elements";
    }
  llvm::SmallDenseMap<uint32_t, unsigned> place;
  for (unsigned r = 0; r < from.inSize(InDim::Register); ++r) place.try_emplace(from.applyFlat(r), r);
  ArrayRef<Value> source = l.regs(op->getOperand(0));
  SmallVector<Value> regs;
  for (unsigned r = 0; r < to.inSize(InDim::Register); ++r) {
    auto it = place.find(toOperand(to.applyFlat(r)));
    if (it == place.end())
      return op->emitError("the layouts of operand and result do not fit: register ") << r << " is in another thread";
    regs.push_back(source[it->second]);
  }
  l.setRegs(op->getResult(0), std::move(regs));
  return success();
}

LogicalResult lowerArange(Lowering &l, Operation *op) {
  auto arange = cast<moec::tile::ArangeOp>(op);
  const LinearLayout &layout = l.layoutOf(arange.getType());
  SmallVector<Value> regs;
  for (unsigned r = 0; r < layout.inSize(InDim::Register); ++r)
    regs.push_back(l.addConstant(l.coordinates(layout, r)[0], int32_t(arange.getStart())));
  l.setRegs(arange, std::move(regs));
  return success();
}

LogicalResult lowerSplat(Lowering &l, Operation *op) {
  l.setRegs(op->getResult(0),
            SmallVector<Value>(l.registerCount(op->getResult(0).getType()), l.scalar(op->getOperand(0))));
  return success();
}

LogicalResult lowerBroadcast(Lowering &l, Operation *op) {
  auto to = cast<RankedTensorType>(op->getResult(0).getType()),
       from = cast<RankedTensorType>(op->getOperand(0).getType());
  // Coordinates along repeated dimensions become 0.
  return renameRegisters(l, op, [&](uint32_t flat) {
    uint32_t result = 0, stride = 1;
    for (int64_t d = to.getRank() - 1; d >= 0; --d) {
      uint32_t at = flat % to.getDimSize(d);
      flat /= to.getDimSize(d);
      if (from.getDimSize(d) == to.getDimSize(d)) result += at * stride;
      stride *= from.getDimSize(d);
    }
    return result;
  });
}

/// expand_dims and reshape keep the row-major index.
LogicalResult lowerReshape(Lowering &l, Operation *op) {
  return renameRegisters(l, op, [](uint32_t flat) { return flat; });
}

LogicalResult lowerTrans(Lowering &l, Operation *op) {
  auto trans = cast<moec::tile::TransOp>(op);
  auto to = cast<RankedTensorType>(op->getResult(0).getType()),
       from = cast<RankedTensorType>(op->getOperand(0).getType());
  return renameRegisters(l, op, [&](uint32_t flat) {
    SmallVector<uint32_t> at(from.getRank());
    for (int64_t d = to.getRank() - 1; d >= 0; --d) {
      at[trans.getOrder()[d]] = flat % to.getDimSize(d);
      flat /= to.getDimSize(d);
    }
    uint32_t result = 0;
    for (int64_t d = 0; d < from.getRank(); ++d) result = result * from.getDimSize(d) + at[d];
    return result;
  });
}

} // namespace

void moec::compiler::registerShapeLowerings(MLIRContext *ctx, HandlerTable &t) {
  setHandler<tile::ArangeOp>(ctx, t, lowerArange);
  setHandler<tile::SplatOp>(ctx, t, lowerSplat);
  setHandler<tile::BroadcastOp>(ctx, t, lowerBroadcast);
  setHandler<tile::ExpandDimsOp>(ctx, t, lowerReshape);
  setHandler<tile::ReshapeOp>(ctx, t, lowerReshape);
  setHandler<tile::TransOp>(ctx, t, lowerTrans);
}
