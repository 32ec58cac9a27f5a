#include "compiler/passes/LayoutRules.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace moec::tilegpu;
namespace tile = moec::tile;

namespace moec::compiler {

static int64_t bytesOf(Type tileOrElement) {
  return (getElementTypeOrSelf(tileOrElement).getIntOrFloatBitWidth() + 7) / 8;
}

DefaultLayouts::DefaultLayouts(Operation *kernel, int numWarps) : numWarps(numWarps), ctx(kernel->getContext()) {
  auto note = [&](Type type) {
    auto tile = dyn_cast<RankedTensorType>(type);
    if (!tile) return;
    int64_t &least = leastBytes.try_emplace(std::vector<int64_t>(tile.getShape()), bytesOf(tile)).first->second;
    least = std::min(least, bytesOf(tile));
  };
  kernel->walk([&](Operation *op) {
    if (auto load = dyn_cast<tile::LoadOp>(op)) note(load.getType());
    if (auto store = dyn_cast<tile::StoreOp>(op)) note(store.getValue().getType());
  });
}

Attribute DefaultLayouts::of(ArrayRef<int64_t> shape) const {
  constexpr int64_t accessBytes = 16, usualBytes = 4;
  int64_t elements = 1, rank = shape.size();
  for (int64_t size : shape) elements *= size;
  auto it = leastBytes.find(std::vector<int64_t>(shape));
  int64_t vec = std::min(accessBytes / (it == leastBytes.end() ? usualBytes : it->second),
                         std::max<int64_t>(1, elements / (32 * numWarps)));
  vec = std::min(vec, shape.back());
  SmallVector<int32_t> size(rank, 1), threads(rank, 1), warps(rank, 1), order;
  for (int64_t d = rank - 1; d >= 0; --d) order.push_back(d);
  size.back() = vec;
  int64_t lanesLeft = 32, warpsLeft = numWarps;
  for (int32_t d : order) {
    int64_t blocks = shape[d] / size[d];
    threads[d] = std::min(lanesLeft, blocks);
    lanesLeft /= threads[d];
    warps[d] = std::min(warpsLeft, blocks / threads[d]);
    warpsLeft /= warps[d];
  }
  // What a small tile does not need holds copies.
  threads[0] *= lanesLeft, warps[0] *= warpsLeft;
  return BlockedAttr::get(ctx, size, threads, warps, order);
}

MmaAttr DefaultLayouts::mma(MLIRContext *ctx, ArrayRef<int64_t> shape, bool wholeRows) const {
  // Split the dimension of which a warp still has more: what a warp reads grows with the sum of both.
  int64_t m = shape[0], n = shape[1], warpsM = 1, warpsN = 1;
  while (warpsM * warpsN < numWarps) {
    bool canM = m / warpsM >= 32, canN = n / warpsN >= 16;
    if ((canM && (wholeRows || m / warpsM >= n / warpsN)) || !canN)
      warpsM *= 2;
    else
      warpsN *= 2;
  }
  return MmaAttr::get(ctx, warpsM, warpsN);
}

bool sameLayout(Attribute a, Attribute b, ArrayRef<int64_t> shape) {
  return a == b ||
         cast<LayoutAttrInterface>(a).toLinearLayout(shape) == cast<LayoutAttrInterface>(b).toLinearLayout(shape);
}

RankedTensorType withLayout(Type type, Attribute layout) {
  auto tile = cast<RankedTensorType>(type);
  return RankedTensorType::get(tile.getShape(), tile.getElementType(), layout);
}

Attribute layoutAttr(Value v) {
  auto tile = dyn_cast<RankedTensorType>(v.getType());
  return tile ? tile.getEncoding() : Attribute();
}

bool isElementwise(Operation *op) { return op->hasTrait<OpTrait::Elementwise>() && op->getNumResults() == 1; }
bool isShapeOp(Operation *op) { return isa<tile::BroadcastOp, tile::ExpandDimsOp, tile::ReshapeOp, tile::TransOp>(op); }
bool isSource(Operation *op) { return isa<tile::ArangeOp, tile::SplatOp, arith::ConstantOp>(op); }

static Attribute linear(MLIRContext *ctx, const LinearLayout &layout) { return LinearAttr::get(ctx, layout.toText()); }

/// The layout of the tile whose dimension i is dimension order[i] of the one that has `layout`.
static Attribute transposed(Attribute layout, ArrayRef<int32_t> order, ArrayRef<int64_t> shape) {
  MLIRContext *ctx = layout.getContext();
  if (auto blocked = dyn_cast<BlockedAttr>(layout)) {
    SmallVector<int32_t> inverse(order.size());
    for (auto [i, d] : llvm::enumerate(order)) inverse[d] = i;
    auto pick = [&](ArrayRef<int32_t> list) {
      SmallVector<int32_t> result;
      for (int32_t d : order) result.push_back(list[d]);
      return result;
    };
    SmallVector<int32_t> newOrder;
    for (int32_t d : blocked.getOrder()) newOrder.push_back(inverse[d]);
    return BlockedAttr::get(ctx, pick(blocked.getSizePerThread()), pick(blocked.getThreadsPerWarp()),
                            pick(blocked.getWarpsPerCta()), newOrder);
  }
  SmallVector<int64_t> perm(order);
  return linear(ctx, cast<LayoutAttrInterface>(layout).toLinearLayout(shape).transpose(Dims(perm)));
}

Attribute operandLayout(Operation *op, Attribute layout) {
  auto operand = cast<RankedTensorType>(op->getOperand(0).getType()),
       result = cast<RankedTensorType>(op->getResult(0).getType());
  return TypeSwitch<Operation *, Attribute>(op)
      .Case<tile::BroadcastOp>([&](auto) -> Attribute {
        // Spelled the same, on the smaller shape; a linear spelling is restricted by hand.
        if (!isa<LinearAttr>(layout)) return layout;
        return linear(op->getContext(), cast<LinearAttr>(layout)
                                            .toLinearLayout(result.getShape())
                                            .restrictTo(Dims(operand.getShape()))
                                            .removeFreeRegisters());
      })
      .Case<tile::ExpandDimsOp>(
          [&](auto expand) -> Attribute { return SliceAttr::get(op->getContext(), expand.getAxis(), 1, layout); })
      .Case<tile::ReshapeOp>([&](auto) {
        return linear(
            op->getContext(),
            cast<LayoutAttrInterface>(layout).toLinearLayout(result.getShape()).reshape(Dims(operand.getShape())));
      })
      .Case<tile::TransOp>([&](auto trans) {
        SmallVector<int32_t> inverse(trans.getOrder().size());
        for (auto [i, d] : llvm::enumerate(trans.getOrder())) inverse[d] = i;
        return transposed(layout, inverse, result.getShape());
      });
}

Attribute resultLayout(Operation *op, Attribute layout) {
  auto operand = cast<RankedTensorType>(op->getOperand(0).getType()),
       result = cast<RankedTensorType>(op->getResult(0).getType());
  return TypeSwitch<Operation *, Attribute>(op)
      .Case<tile::BroadcastOp>([&](auto) -> Attribute { return isa<LinearAttr>(layout) ? Attribute() : layout; })
      .Case<tile::ExpandDimsOp>([&](auto expand) -> Attribute {
        auto slice = dyn_cast<SliceAttr>(layout);
        return slice && slice.getDim() == int32_t(expand.getAxis()) ? slice.getParent() : Attribute();
      })
      .Case<tile::ReshapeOp>([&](auto) {
        return linear(
            op->getContext(),
            cast<LayoutAttrInterface>(layout).toLinearLayout(operand.getShape()).reshape(Dims(result.getShape())));
      })
      .Case<tile::TransOp>([&](auto trans) { return transposed(layout, trans.getOrder(), operand.getShape()); });
}

void setLayout(Value v, Attribute layout) {
  RankedTensorType type = withLayout(v.getType(), layout);
  v.setType(type);
  if (auto constant = v.getDefiningOp<arith::ConstantOp>())
    constant.setValueAttr(cast<DenseElementsAttr>(constant.getValue()).reshape(type));
}

/// What the lowering of a dot looks for is kept, then what reads best.
static int spellingRank(Attribute layout) {
  return TypeSwitch<Attribute, int>(layout)
      .Case<DotOperandAttr>([](auto) { return 0; })
      .Case<MmaAttr>([](auto) { return 1; })
      .Case<BlockedAttr>([](auto) { return 2; })
      .Case<SliceAttr>([](auto) { return 3; })
      .Default([](auto) { return 4; });
}

void spellAlike(tile::KernelOp kernel) {
  // Per shape the distinct attributes; there are few.
  std::map<std::vector<int64_t>, SmallVector<Attribute>> spellings;
  auto forTiles = [&](auto f) {
    kernel.walk([&](Operation *op) {
      for (Value v : op->getResults())
        if (layoutAttr(v)) f(v);
      for (Region &region : op->getRegions())
        for (Block &block : region)
          for (Value v : block.getArguments())
            if (layoutAttr(v)) f(v);
    });
  };
  forTiles([&](Value v) {
    SmallVector<Attribute> &known = spellings[cast<RankedTensorType>(v.getType()).getShape().vec()];
    if (!llvm::is_contained(known, layoutAttr(v))) known.push_back(layoutAttr(v));
  });
  for (auto &[shape, known] : spellings)
    llvm::sort(known, [](Attribute a, Attribute b) { return spellingRank(a) < spellingRank(b); });
  forTiles([&](Value v) {
    ArrayRef<int64_t> shape = cast<RankedTensorType>(v.getType()).getShape();
    for (Attribute first : spellings[shape.vec()]) {
      if (first == layoutAttr(v)) return;
      if (sameLayout(first, layoutAttr(v), shape)) return setLayout(v, first);
    }
  });
}

} // namespace moec::compiler
