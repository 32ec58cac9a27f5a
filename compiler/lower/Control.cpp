// The kernel's frame and control flow: structured regions become blocks whose arguments are the registers of carried
// values.
#include "compiler/lower/Elementwise.h"
#include "compiler/target/Assertions.h"

using namespace mlir;
using namespace moec::compiler;

namespace {

/// Registers of several values as one flat list; registers that hold copies travel once.
class Carried {
public:
  Carried(Lowering &l, TypeRange types) : l(l) {
    for (Type type : types) {
      SmallVector<unsigned> canonical{0};
      if (isa<RankedTensorType>(type)) canonical = canonicalRegisters(l.layoutOf(type));
      for (unsigned r = 0; r < canonical.size(); ++r)
        if (canonical[r] == r) flatTypes.push_back(l.storageType(type));
      canonicals.push_back(std::move(canonical));
    }
  }

  ArrayRef<Type> types() const { return flatTypes; }

  SmallVector<Value> flatten(ValueRange values) const {
    SmallVector<Value> flat;
    for (auto [value, canonical] : llvm::zip(values, canonicals))
      for (auto [r, reg] : llvm::enumerate(l.regs(value)))
        if (canonical[r] == r) flat.push_back(reg);
    return flat;
  }

  /// Gives `values` the registers in a block's arguments from number `first` on.
  void bind(ValueRange values, ValueRange flat) const {
    size_t next = 0;
    for (auto [value, canonical] : llvm::zip(values, canonicals)) {
      SmallVector<Value> regs(canonical.size());
      for (unsigned r = 0; r < canonical.size(); ++r) regs[r] = canonical[r] == r ? flat[next++] : regs[canonical[r]];
      l.setRegs(value, std::move(regs));
    }
  }

private:
  Lowering &l;
  SmallVector<SmallVector<unsigned>> canonicals;
  SmallVector<Type> flatTypes;
};

Block *newBlock(Lowering &l, ArrayRef<Type> types) {
  OpBuilder::InsertionGuard guard(l.b);
  Region *region = l.b.getInsertionBlock()->getParent();
  return l.b.createBlock(region, region->end(), types, SmallVector<Location>(types.size(), l.loc));
}

std::optional<int64_t> constantOf(Value v) {
  APInt k;
  if (matchPattern(v, m_ConstantInt(&k))) return k.getSExtValue();
  return std::nullopt;
}

// ---- the kernel

LogicalResult lowerKernel(Lowering &l, Operation *op) {
  auto kernel = cast<moec::tile::KernelOp>(op);
  MLIRContext *ctx = op->getContext();
  SmallVector<Type> types;
  SmallVector<DictionaryAttr> argAttrs;
  for (Type type : kernel.getArgumentTypes()) {
    if (isa<moec::tile::ViewType>(type)) return op->emitError("views must be lowered before the kernel is");
    types.push_back(type.isInteger(1) ? l.b.getI8Type() : l.storageType(type));
    SmallVector<NamedAttribute> attrs;
    if (auto ptr = dyn_cast<moec::tile::PtrType>(type); ptr && ptr.getAlign() > 1)
      attrs.push_back(l.b.getNamedAttr("llvm.align", l.b.getI64IntegerAttr(ptr.getAlign())));
    if (isa<moec::tilegpu::TensorMapType>(type)) {
      // By value, and read where it lies: TMA takes the descriptor's address in the parameter space.
      attrs.push_back(l.b.getNamedAttr("llvm.byval", TypeAttr::get(LLVM::LLVMArrayType::get(l.b.getI8Type(), 128))));
      attrs.push_back(l.b.getNamedAttr("llvm.align", l.b.getI64IntegerAttr(64)));
      attrs.push_back(l.b.getNamedAttr("nvvm.grid_constant", l.b.getUnitAttr()));
    }
    argAttrs.push_back(l.b.getDictionaryAttr(attrs));
  }
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(ctx), types);
  SmallVector<NamedAttribute> attrs{
      l.b.getNamedAttr("nvvm.kernel", l.b.getUnitAttr()),
      l.b.getNamedAttr("nvvm.reqntid", l.b.getDenseI32ArrayAttr({32 * l.options.numWarps})),
  };
  auto func = LLVM::LLVMFuncOp::create(l.b, l.loc, kernel.getSymName(), type, LLVM::Linkage::External, false,
                                       LLVM::CConv::C, {}, attrs, argAttrs);

  OpBuilder::InsertionGuard guard(l.b);
  Block &body = kernel.getBody().front();
  Block *entry = func.addEntryBlock(l.b);
  // The walk goes on in a block of its own; what is computed once collects in the entry.
  Block *start = l.b.createBlock(&func.getBody(), func.getBody().end());
  l.b.setInsertionPointToStart(start);
  for (auto [i, pair] : llvm::enumerate(llvm::zip(body.getArguments(), entry->getArguments()))) {
    auto [arg, lowered] = pair;
    Value value = lowered;
    if (auto ptr = dyn_cast<moec::tile::PtrType>(arg.getType()))
      l.setDivisor(value, std::max<int64_t>(ptr.getAlign(),
                                            (l.storageType(ptr.getElementType()).getIntOrFloatBitWidth() + 7) / 8));
    else if (auto divisor = kernel.getArgAttrOfType<IntegerAttr>(i, "tile.divisor"))
      l.setDivisor(value, divisor.getInt());
    if (arg.getType().isInteger(1))
      value = LLVM::ICmpOp::create(l.b, l.loc, LLVM::ICmpPredicate::ne, value, l.constant(l.b.getI8Type(), 0));
    l.setScalar(arg, value);
  }
  if (failed(l.lowerBlock(body))) return failure();
  LLVM::ReturnOp::create(l.b, kernel.getLoc(), ValueRange());

  l.b.setInsertionPointToEnd(entry);
  entry->getOperations().splice(entry->end(), start->getOperations());
  start->erase();
  for (Block &block : llvm::reverse(func.getBody()))
    for (Operation &dead : llvm::make_early_inc_range(llvm::reverse(block)))
      if (isOpTriviallyDead(&dead)) dead.erase();
  return success();
}

template <class X, class Y, class Z> LogicalResult lowerGridCoordinate(Lowering &l, Operation *op) {
  auto axis = op->getAttrOfType<IntegerAttr>("axis").getInt();
  Type i32 = l.b.getI32Type();
  auto range = [&](int64_t end) {
    return LLVM::ConstantRangeAttr::get(op->getContext(), APInt(32, 0), APInt(32, end));
  };
  Value v = axis == 0   ? Value(X::create(l.b, l.loc, i32, range(INT32_MAX)))
            : axis == 1 ? Value(Y::create(l.b, l.loc, i32, range(65536)))
                        : Value(Z::create(l.b, l.loc, i32, range(65536)));
  l.setScalar(op->getResult(0), v);
  return success();
}

// ---- structured control flow

void condBranch(Lowering &l, Value cond, Block *yes, ValueRange yesArgs, Block *no, ValueRange noArgs,
                bool backEdge = false) {
  auto br = LLVM::CondBrOp::create(l.b, l.loc, cond, yes, yesArgs, no, noArgs);
  if (backEdge) br.setLoopAnnotationAttr(noUnroll(l.b.getContext()));
}

/// A loop with its test at the end, behind one test before it where the bounds do not show that it runs.
LogicalResult lowerFor(Lowering &l, Operation *op) {
  auto loop = cast<scf::ForOp>(op);
  Value lb = l.scalar(loop.getLowerBound()), ub = l.scalar(loop.getUpperBound()), step = l.scalar(loop.getStep());
  auto pred = loop.getUnsignedCmp() ? LLVM::ICmpPredicate::ult : LLVM::ICmpPredicate::slt;
  auto constLb = constantOf(lb), constUb = constantOf(ub), constStep = constantOf(step);
  bool known = constLb && constUb && !loop.getUnsignedCmp();
  Carried carried(l, loop.getInitArgs().getTypes());
  SmallVector<Value> inits = carried.flatten(loop.getInitArgs());
  Block *body = loop.getBody();
  auto bindAndLower = [&](Value iv, ValueRange flat) {
    l.setDivisor(iv, std::min(l.divisor(lb), l.divisor(step)));
    l.setScalar(loop.getInductionVar(), iv);
    carried.bind(loop.getRegionIterArgs(), flat);
    return l.lowerBlock(*body);
  };
  if (known && *constLb >= *constUb) {
    carried.bind(loop.getResults(), inits);
    return success();
  }
  if (known && constStep && *constLb + *constStep >= *constUb) { // runs once: no loop
    l.setScalar(loop.getInductionVar(), lb);
    carried.bind(loop.getRegionIterArgs(), inits);
    if (failed(l.lowerBlock(*body))) return failure();
    carried.bind(loop.getResults(), carried.flatten(body->getTerminator()->getOperands()));
    return success();
  }

  SmallVector<Type> types{lb.getType()};
  types.append(carried.types().begin(), carried.types().end());
  Block *head = newBlock(l, types);
  SmallVector<Value> entryArgs{lb};
  entryArgs.append(inits);
  Block *exit = newBlock(l, carried.types());
  if (known)
    LLVM::BrOp::create(l.b, l.loc, entryArgs, head);
  else
    condBranch(l, LLVM::ICmpOp::create(l.b, l.loc, pred, lb, ub), head, entryArgs, exit, inits);

  l.b.setInsertionPointToStart(head);
  if (failed(bindAndLower(head->getArgument(0), head->getArguments().drop_front()))) return failure();
  l.loc = loop.getLoc();
  SmallVector<Value> next = carried.flatten(body->getTerminator()->getOperands());
  SmallVector<Value> backArgs{LLVM::AddOp::create(l.b, l.loc, head->getArgument(0), step)};
  backArgs.append(next);
  condBranch(l, LLVM::ICmpOp::create(l.b, l.loc, pred, backArgs[0], ub), head, backArgs, exit, next, /*backEdge=*/true);
  exit->moveBefore(exit->getParent(), exit->getParent()->end());
  l.b.setInsertionPointToStart(exit);
  carried.bind(loop.getResults(), exit->getArguments());
  return success();
}

LogicalResult lowerIf(Lowering &l, Operation *op) {
  auto branch = cast<scf::IfOp>(op);
  Carried carried(l, branch.getResultTypes());
  Block *thenBlock = newBlock(l, {}), *elseBlock = branch.elseBlock() ? newBlock(l, {}) : nullptr,
        *exit = newBlock(l, carried.types());
  condBranch(l, l.scalar(branch.getCondition()), thenBlock, {}, elseBlock ? elseBlock : exit, {});
  for (auto [from, to] : {std::pair{branch.thenBlock(), thenBlock}, std::pair{branch.elseBlock(), elseBlock}}) {
    if (!to) continue;
    l.b.setInsertionPointToStart(to);
    if (failed(l.lowerBlock(*from))) return failure();
    LLVM::BrOp::create(l.b, branch.getLoc(), carried.flatten(from->getTerminator()->getOperands()), exit);
  }
  exit->moveBefore(exit->getParent(), exit->getParent()->end());
  l.b.setInsertionPointToStart(exit);
  carried.bind(branch.getResults(), exit->getArguments());
  return success();
}

LogicalResult lowerWhile(Lowering &l, Operation *op) {
  auto loop = cast<scf::WhileOp>(op);
  Carried before(l, loop.getInits().getTypes()), after(l, loop.getResultTypes());
  Block *test = newBlock(l, before.types()), *body = newBlock(l, after.types()), *exit = newBlock(l, after.types());
  LLVM::BrOp::create(l.b, l.loc, before.flatten(loop.getInits()), test);

  l.b.setInsertionPointToStart(test);
  before.bind(loop.getBeforeArguments(), test->getArguments());
  if (failed(l.lowerBlock(*loop.getBeforeBody()))) return failure();
  scf::ConditionOp condition = loop.getConditionOp();
  SmallVector<Value> passed = after.flatten(condition.getArgs());
  l.loc = condition.getLoc();
  condBranch(l, l.scalar(condition.getCondition()), body, passed, exit, passed);

  l.b.setInsertionPointToStart(body);
  after.bind(loop.getAfterArguments(), body->getArguments());
  if (failed(l.lowerBlock(*loop.getAfterBody()))) return failure();
  auto back = LLVM::BrOp::create(l.b, loop.getLoc(), before.flatten(loop.getYieldOp().getOperands()), test);
  back.setLoopAnnotationAttr(noUnroll(op->getContext()));
  exit->moveBefore(exit->getParent(), exit->getParent()->end());
  l.b.setInsertionPointToStart(exit);
  after.bind(loop.getResults(), exit->getArguments());
  return success();
}

// ---- effects

LogicalResult lowerBarrier(Lowering &l, Operation *) {
  l.barrier();
  return success();
}

/// The integers that an assertion prints, as i64 and of a register where it fails: arguments of a function that only
/// the simulator knows.
void emitPrinted(Lowering &l, moec::tile::AssertOp assertion) {
  if (assertion.getValues().empty()) return;
  Type i64 = l.b.getI64Type();
  ArrayRef<Value> conditions = l.regs(assertion.getCondition());
  SmallVector<Value> printed;
  for (Value value : assertion.getValues()) {
    ArrayRef<Value> regs = l.regs(value);
    Value v = regs.back();
    if (regs.size() > 1)
      for (size_t r = regs.size() - 1; r-- > 0;) v = LLVM::SelectOp::create(l.b, l.loc, conditions[r], v, regs[r]);
    printed.push_back(v.getType() == i64 ? v : Value(LLVM::SExtOp::create(l.b, l.loc, i64, v)));
  }
  printed.resize(2, printed.back());
  auto module = l.b.getInsertionBlock()->getParentOp()->getParentOfType<ModuleOp>();
  if (!module.lookupSymbol(kAssertValues)) {
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(module.getContext()), {i64, i64});
    OpBuilder atModule(module.getBodyRegion());
    LLVM::LLVMFuncOp::create(atModule, module.getLoc(), kAssertValues, type);
  }
  LLVM::CallOp::create(l.b, l.loc, TypeRange(), kAssertValues, printed);
}

/// A trap at the assertion's location; the simulator reports it with the message, a GPU stops the launch.
LogicalResult lowerAssert(Lowering &l, Operation *op) {
  auto assertion = cast<moec::tile::AssertOp>(op);
  Value all;
  llvm::SmallDenseSet<Value> seen;
  for (Value reg : l.regs(assertion.getCondition())) {
    if (!seen.insert(reg).second) continue;
    all = all ? Value(LLVM::AndOp::create(l.b, l.loc, all, reg)) : reg;
  }
  Block *fail = newBlock(l, {}), *go = newBlock(l, {});
  condBranch(l, all, go, {}, fail, {});
  l.b.setInsertionPointToStart(fail);
  emitPrinted(l, assertion);
  Operation *trap = LLVM::Trap::create(l.b, l.loc);
  trap->setAttr(kAssertMessage, assertion.getMessageAttr());
  LLVM::BrOp::create(l.b, l.loc, ValueRange(), go);
  l.b.setInsertionPointToStart(go);
  return success();
}

/// Launch contracts: the host has checked them.
LogicalResult lowerNothing(Lowering &, Operation *) { return success(); }

} // namespace

LLVM::LoopAnnotationAttr moec::compiler::noUnroll(MLIRContext *ctx) {
  auto unroll = LLVM::LoopUnrollAttr::get(ctx, BoolAttr::get(ctx, true), {}, {}, {}, {}, {}, {});
  return LLVM::LoopAnnotationAttr::get(ctx, {}, {}, {}, unroll, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {});
}

void moec::compiler::registerControlLowerings(MLIRContext *ctx, HandlerTable &table) {
  setHandler<tile::KernelOp>(ctx, table, lowerKernel);
  setHandler<tile::ProgramIdOp>(ctx, table, lowerGridCoordinate<NVVM::BlockIdXOp, NVVM::BlockIdYOp, NVVM::BlockIdZOp>);
  setHandler<tile::NumProgramsOp>(ctx, table,
                                  lowerGridCoordinate<NVVM::GridDimXOp, NVVM::GridDimYOp, NVVM::GridDimZOp>);
  setHandler<scf::ForOp>(ctx, table, lowerFor);
  setHandler<scf::IfOp>(ctx, table, lowerIf);
  setHandler<scf::WhileOp>(ctx, table, lowerWhile);
  setHandler<tile::BarrierOp>(ctx, table, lowerBarrier);
  setHandler<tilegpu::BarrierOp>(ctx, table, lowerBarrier);
  setHandler<tile::AssertOp>(ctx, table, lowerAssert);
  setHandler<tile::GridOp>(ctx, table, lowerNothing);
  setHandler<tile::ExpectOp>(ctx, table, lowerNothing);
}
