// tilegpu-assign-layouts: see Passes.td.
#include "compiler/passes/LayoutRules.h"
#include "compiler/passes/Passes.h"

#include "mlir/IR/Builders.h"

namespace moec::compiler {
#define GEN_PASS_DEF_TILEGPUASSIGNLAYOUTS
#include "compiler/passes/Passes.h.inc"
} // namespace moec::compiler

using namespace mlir;
using namespace moec::compiler;
using namespace moec::tilegpu;
namespace tile = moec::tile;

namespace {

bool isTile(Value v) { return isa<RankedTensorType>(v.getType()); }
ArrayRef<int64_t> shapeOf(Value v) { return cast<RankedTensorType>(v.getType()).getShape(); }

/// Groups of values that a region op ties together: they get one layout.
SmallVector<Value> tiedTo(Value v) {
  SmallVector<Value> group;
  auto forGroup = [&](scf::ForOp loop, unsigned i) {
    group = {loop.getRegionIterArg(i), loop.getResult(i), loop.getInitArgs()[i], loop.getYieldedValues()[i]};
  };
  auto whileBefore = [&](scf::WhileOp loop, unsigned i) {
    group = {loop.getBeforeArguments()[i], loop.getInits()[i], loop.getYieldOp().getOperand(i)};
  };
  auto whileAfter = [&](scf::WhileOp loop, unsigned i) {
    group = {loop.getAfterArguments()[i], loop.getResult(i), loop.getConditionOp().getArgs()[i]};
  };
  if (auto arg = dyn_cast<BlockArgument>(v)) {
    Operation *parent = arg.getOwner()->getParentOp();
    if (auto loop = dyn_cast<scf::ForOp>(parent); loop && arg.getArgNumber() > 0)
      forGroup(loop, arg.getArgNumber() - 1);
    if (auto loop = dyn_cast<scf::WhileOp>(parent))
      arg.getOwner() == loop.getBeforeBody() ? whileBefore(loop, arg.getArgNumber())
                                             : whileAfter(loop, arg.getArgNumber());
    return group;
  }
  Operation *op = v.getDefiningOp();
  unsigned i = cast<OpResult>(v).getResultNumber();
  if (auto loop = dyn_cast<scf::ForOp>(op)) forGroup(loop, i);
  if (auto loop = dyn_cast<scf::WhileOp>(op)) whileAfter(loop, i);
  if (auto branch = dyn_cast<scf::IfOp>(op))
    group = {v, branch.thenYield().getOperand(i), branch.elseYield().getOperand(i)};
  return group;
}

class Assigner {
public:
  Assigner(tile::KernelOp kernel, int numWarps) : kernel(kernel), defaults(kernel, numWarps), b(kernel.getContext()) {}

  void run() {
    findNaturalLayouts();
    // Effects and ops with a layout of their own ask for their operands; the rest follows.
    kernel.getBody().walk<WalkOrder::PreOrder>([&](Operation *op) { settle(op); });
    kernel.getBody().walk<WalkOrder::PreOrder>([&](Operation *op) {
      for (Value result : op->getResults())
        if (isTile(result) && !layoutAttr(result)) decide(result, preferred(result));
    });
  }

private:
  // ---- natural layouts: where a value is made in a certain layout, and what is computed from it

  void findNaturalLayouts() {
    constexpr int maxSweeps = 4; // loops carry a layout around once, nested ones once more
    for (int sweep = 0, changed = 1; changed && sweep < maxSweeps; ++sweep) {
      changed = 0;
      kernel.getBody().walk<WalkOrder::PreOrder>([&](Operation *op) {
        for (Value result : op->getResults())
          if (isTile(result) && !natural.count(result))
            if (Attribute layout = naturalOf(result)) natural[result] = layout, changed = 1;
        for (Region &region : op->getRegions())
          for (Block &block : region)
            for (Value arg : block.getArguments())
              if (isTile(arg) && !natural.count(arg))
                if (Attribute layout = naturalOf(arg)) natural[arg] = layout, changed = 1;
      });
    }
  }

  Attribute naturalOf(Value v) {
    Operation *op = v.getDefiningOp();
    if (!op || isa<scf::ForOp, scf::WhileOp, scf::IfOp>(op)) {
      for (Value tied : tiedTo(v))
        if (Attribute layout = natural.lookup(tied)) return layout;
      return {};
    }
    if (auto dot = dyn_cast<tile::DotOp>(op)) {
      Type element = cast<RankedTensorType>(dot.getA().getType()).getElementType();
      if (element.isF32() || element.isF64()) return defaults.of(shapeOf(v));
      return defaults.mma(v.getContext(), shapeOf(v), feedsDot(v, /*onlyA=*/true) || comesFromDot(dot.getA()));
    }
    if (auto reduce = dyn_cast<tile::ReduceOp>(op)) {
      Value operand = reduce.getOperands()[0];
      return SliceAttr::get(v.getContext(), reduce.getAxis(), shapeOf(operand)[reduce.getAxis()], preferred(operand));
    }
    if (auto scan = dyn_cast<tile::ScanOp>(op)) return preferred(scan.getOperands()[0]);
    if (isa<tile::LoadOp>(op) && feedsDot(v))
      return defaults.of(shapeOf(v)); // wide accesses; the fragment is made from shared memory
    if (isElementwise(op)) {
      for (Value operand : op->getOperands())
        if (Attribute layout = natural.lookup(operand)) return layout;
      return {};
    }
    if (isShapeOp(op))
      if (Attribute layout = natural.lookup(op->getOperand(0))) return resultLayout(op, layout);
    return {};
  }

  /// True if v is a dot's operand, as it is or computed from it in the same shape.
  static bool feedsDot(Value v, bool onlyA = false) {
    return llvm::any_of(v.getUses(), [&](OpOperand &use) {
      Operation *user = use.getOwner();
      if (isa<tile::DotOp>(user)) return use.getOperandNumber() < (onlyA ? 1 : 2);
      return (isElementwise(user) || (!onlyA && isa<tile::TransOp>(user))) && feedsDot(user->getResult(0), onlyA);
    });
  }

  /// True if v is a dot's result or computed from one in the same shape. As the A of a second dot it stays in registers
  /// if a warp of both has whole rows (attention: softmax(q k^T) v), and so do the reductions of its rows.
  static bool comesFromDot(Value v) {
    Operation *op = v.getDefiningOp();
    return op && (isa<tile::DotOp>(op) || (isElementwise(op) && llvm::any_of(op->getOperands(), comesFromDot)));
  }

  Attribute preferred(Value v) {
    if (Attribute layout = layoutAttr(v)) return layout;
    if (Attribute layout = natural.lookup(v)) return layout;
    // Where its elements lie before: an access of that shape keeps its width.
    if (auto reshape = v.getDefiningOp<tile::ReshapeOp>())
      return resultLayout(reshape, preferred(reshape.getOperand()));
    return defaults.of(shapeOf(v));
  }

  // ---- decisions

  /// Gives v (undecided) its layout, and with it what it is computed from.
  void decide(Value v, Attribute layout) {
    SmallVector<Value> tied = tiedTo(v);
    if (tied.empty()) {
      setLayout(v, layout);
      Operation *op = v.getDefiningOp();
      if (isElementwise(op)) ask(op, layout);
      if (isShapeOp(op)) askOne(op->getOpOperand(0), operandLayout(op, layout));
      if (isa<tile::LoadOp>(op)) ask(op, layout);
      return;
    }
    // First all names of the carried value, then what flows in: that may lead back here.
    for (Value x : names(v)) setLayout(x, layout);
    for (Value x : names(v))
      for (OpOperand *use : flowsInto(x)) askOne(*use, layout);
  }

  /// The block argument and result of a region op that stand for one carried value.
  SmallVector<Value> names(Value v) {
    if (auto arg = dyn_cast<BlockArgument>(v)) {
      Operation *parent = arg.getOwner()->getParentOp();
      if (auto loop = dyn_cast<scf::ForOp>(parent)) return {v, loop.getResult(arg.getArgNumber() - 1)};
      auto loop = cast<scf::WhileOp>(parent);
      if (arg.getOwner() == loop.getBeforeBody()) return {v};
      return {v, loop.getResult(arg.getArgNumber())};
    }
    unsigned i = cast<OpResult>(v).getResultNumber();
    if (auto loop = dyn_cast<scf::ForOp>(v.getDefiningOp())) return {v, loop.getRegionIterArg(i)};
    if (auto loop = dyn_cast<scf::WhileOp>(v.getDefiningOp())) return {v, loop.getAfterArguments()[i]};
    return {v};
  }

  /// The operands that give a carried value (by its first name only) its contents.
  SmallVector<OpOperand *> flowsInto(Value v) {
    SmallVector<OpOperand *> uses;
    if (auto arg = dyn_cast<BlockArgument>(v)) {
      unsigned n = arg.getArgNumber();
      Operation *parent = arg.getOwner()->getParentOp();
      if (auto loop = dyn_cast<scf::ForOp>(parent)) {
        uses = {&loop.getInitsMutable()[n - 1], &loop.getBody()->getTerminator()->getOpOperand(n - 1)};
      } else if (auto loop = cast<scf::WhileOp>(parent); arg.getOwner() == loop.getBeforeBody()) {
        uses = {&loop.getInitsMutable()[n], &loop.getYieldOp()->getOpOperand(n)};
      } else {
        uses = {&loop.getConditionOp()->getOpOperand(n + 1)}; // operand 0 is the condition
      }
    } else if (auto branch = dyn_cast<scf::IfOp>(v.getDefiningOp())) {
      unsigned i = cast<OpResult>(v).getResultNumber();
      uses = {&branch.thenYield()->getOpOperand(i), &branch.elseYield()->getOpOperand(i)};
    }
    return uses;
  }

  /// Every tile operand of op in `layout`.
  void ask(Operation *op, Attribute layout) {
    for (OpOperand &operand : op->getOpOperands())
      if (isTile(operand.get())) askOne(operand, layout);
  }

  void askOne(OpOperand &use, Attribute layout) {
    Value v = use.get();
    if (!layoutAttr(v)) decide(v, natural.count(v) ? natural[v] : layout);
    if (!sameLayout(layoutAttr(v), layout, shapeOf(v))) use.set(converted(v, layout));
  }

  Value converted(Value v, Attribute layout) {
    Value &result = conversions[{v, layout}];
    if (result) return result;
    b.setInsertionPointAfterValue(v);
    result = ConvertLayoutOp::create(b, v.getLoc(), withLayout(v.getType(), layout), v);
    return result;
  }

  // ---- ops that ask

  void settle(Operation *op) {
    TypeSwitch<Operation *>(op)
        .Case<tile::StoreOp>([&](auto store) {
          Value value = store.getValue();
          if (isTile(value)) ask(op, storeLayout(value));
        })
        .Case<tile::AtomicRmwOp, tile::AtomicCasOp>([&](auto atomic) {
          if (!isTile(atomic.getResult())) return;
          Attribute layout = storeLayout(atomic.getValue());
          setLayout(atomic.getResult(), layout);
          ask(op, layout);
        })
        .Case<tile::AssertOp>([&](auto assertion) {
          if (isTile(assertion.getCondition())) ask(op, preferred(assertion.getCondition()));
        })
        .Case<tile::ReduceOp, tile::ScanOp>([&](auto combine) {
          Attribute layout = preferred(combine.getOperands()[0]);
          for (Value result : combine.getResults())
            if (isTile(result)) setLayout(result, naturalOf(result));
          ask(op, layout);
        })
        .Case<tile::SortOp, tile::TopKOp, tile::HistogramOp>([&](auto) {
          Attribute layout = defaults.of(shapeOf(op->getOperand(0)));
          for (Value result : op->getResults()) setLayout(result, defaults.of(shapeOf(result)));
          ask(op, layout);
        })
        .Case<tile::DotOp>([&](tile::DotOp dot) { settleDot(dot); });
  }

  /// Where the value is, unless that is a tensor core's fragment, whose neighbours are too few for wide stores.
  Attribute storeLayout(Value value) {
    Attribute layout = preferred(value);
    return isa<MmaAttr, LinearAttr>(layout) ? defaults.of(shapeOf(value)) : layout;
  }

  /// The element width that the operands' fragments are laid out for. Where both come from 8-bit elements, a word of
  /// those holds four neighbours along K; both see K in the same order, which the dot then takes.
  static int fragmentBits(tile::DotOp dot) {
    constexpr int64_t wholeBlock = 32; // of K
    auto type = cast<RankedTensorType>(dot.getA().getType());
    bool short8 = type.getDimSize(1) >= wholeBlock;
    for (Value v : {dot.getA(), dot.getB()}) {
      auto made = v.getDefiningOp<tile::CastOp>();
      short8 = short8 && made && getElementTypeOrSelf(made->getOperand(0).getType()).getIntOrFloatBitWidth() == 8;
    }
    return short8 ? 8 : int(type.getElementTypeBitWidth());
  }

  void settleDot(tile::DotOp dot) {
    Attribute layout = naturalOf(dot.getResult());
    setLayout(dot.getResult(), layout);
    auto mma = dyn_cast<MmaAttr>(layout);
    const int bits = fragmentBits(dot); // before conversions hide where the operands come from
    for (unsigned i = 0; i < 2; ++i) {
      OpOperand &operand = dot->getOpOperand(i);
      askOne(operand, mma ? Attribute(DotOperandAttr::get(b.getContext(), i, bits, mma)) : preferred(operand.get()));
    }
    askOne(dot->getOpOperand(2), layout);
  }

  tile::KernelOp kernel;
  DefaultLayouts defaults;
  OpBuilder b;
  DenseMap<Value, Attribute> natural;
  DenseMap<std::pair<Value, Attribute>, Value> conversions;
};

struct AssignLayoutsPass : moec::compiler::impl::TileGpuAssignLayoutsBase<AssignLayoutsPass> {
  using TileGpuAssignLayoutsBase::TileGpuAssignLayoutsBase;
  void runOnOperation() override {
    Assigner(getOperation(), numWarps).run();
    spellAlike(getOperation());
  }
};

} // namespace
