// TMA, mbarriers and wgmma (sm_90a): one thread issues copies, an mbarrier's phase tells all when they are there,
// warpgroups multiply straight from swizzled shared memory.
#include "compiler/lower/Elementwise.h"
#include "compiler/lower/SharedTile.h"

using namespace mlir;

namespace moec::compiler {

namespace {

LogicalResult requireHopper(Lowering &l, Operation *op) {
  if (l.options.computeCapability == 90) return success();
  return op->emitError() << "'" << op->getName() << "' exists on sm_90a only";
}

/// Emits `body` for threads where `condition` is true.
template <class Body> void emitIf(Lowering &l, Value condition, Body body) {
  Region *region = l.b.getInsertionBlock()->getParent();
  Block *yes = nullptr, *after = nullptr;
  {
    OpBuilder::InsertionGuard guard(l.b);
    yes = l.b.createBlock(region, region->end());
    after = l.b.createBlock(region, region->end());
  }
  LLVM::CondBrOp::create(l.b, l.loc, condition, yes, after);
  l.b.setInsertionPointToStart(yes);
  body();
  LLVM::BrOp::create(l.b, l.loc, ValueRange(), after);
  l.b.setInsertionPointToStart(after);
}

Value isZero(Lowering &l, Value v) { return LLVM::ICmpOp::create(l.b, l.loc, LLVM::ICmpPredicate::eq, v, l.i32(0)); }

LogicalResult lowerInit(Lowering &l, Operation *op) {
  auto init = cast<tilegpu::MBarrierInitOp>(op);
  if (failed(requireHopper(l, op))) return failure();
  emitIf(l, isZero(l, l.thread()), [&] {
    for (int stage = 0; stage < init.getBarriers().getType().getStages(); ++stage)
      NVVM::MBarrierInitOp::create(l.b, l.loc, stageBase(l, init.getBarriers(), l.i32(stage)), l.i32(init.getCount()),
                                   Value());
    NVVM::FenceMbarrierInitOp::create(l.b, l.loc); // the asynchronous copies see them too
  });
  l.barrier();
  return success();
}

LogicalResult lowerExpect(Lowering &l, Operation *op) {
  auto expect = cast<tilegpu::MBarrierExpectOp>(op);
  if (failed(requireHopper(l, op))) return failure();
  Value barrier = stageBase(l, expect.getBarriers(), l.scalar(expect.getStage()));
  emitIf(l, isZero(l, l.thread()), [&] {
    NVVM::MBarrierArriveExpectTxOp::create(l.b, l.loc, Type(), barrier, l.i32(expect.getBytes()),
                                           NVVM::MemScopeKind::CTA, false, Value());
  });
  return success();
}

LogicalResult lowerArrive(Lowering &l, Operation *op) {
  auto arrive = cast<tilegpu::MBarrierArriveOp>(op);
  if (failed(requireHopper(l, op))) return failure();
  Value barrier = stageBase(l, arrive.getBarriers(), l.scalar(arrive.getStage()));
  NVVM::SyncWarpOp::create(l.b, l.loc, l.i32(-1));
  emitIf(l, isZero(l, l.lane()),
         [&] { NVVM::MBarrierArriveOp::create(l.b, l.loc, l.b.getI64Type(), barrier, Value()); });
  return success();
}

/// Spins on try_wait, which itself sleeps for a while.
LogicalResult lowerWait(Lowering &l, Operation *op) {
  auto wait = cast<tilegpu::MBarrierWaitOp>(op);
  if (failed(requireHopper(l, op))) return failure();
  Value barrier = stageBase(l, wait.getBarriers(), l.scalar(wait.getStage())), parity = l.scalar(wait.getParity());
  Region *region = l.b.getInsertionBlock()->getParent();
  Block *spin = nullptr, *after = nullptr;
  {
    OpBuilder::InsertionGuard guard(l.b);
    spin = l.b.createBlock(region, region->end());
    after = l.b.createBlock(region, region->end());
  }
  LLVM::BrOp::create(l.b, l.loc, ValueRange(), spin);
  l.b.setInsertionPointToStart(spin);
  Value done = NVVM::MBarrierTryWaitOp::create(l.b, l.loc, l.b.getI1Type(), barrier, parity, Value());
  LLVM::CondBrOp::create(l.b, l.loc, done, after, spin);
  l.b.setInsertionPointToStart(after);
  return success();
}

LogicalResult lowerTmaLoad(Lowering &l, Operation *op) {
  auto load = cast<tilegpu::TmaLoadOp>(op);
  if (failed(requireHopper(l, op))) return failure();
  Value to = stageBase(l, load.getBuffer(), l.scalar(load.getStage()));
  Value barrier = stageBase(l, load.getBarriers(), l.scalar(load.getBarrierStage()));
  SmallVector<Value> coordinates;
  for (Value c : load.getCoordinates()) coordinates.push_back(l.scalar(c));
  emitIf(l, isZero(l, l.thread()), [&] {
    NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp::create(
        l.b, l.loc, to, l.scalar(load.getMap()), coordinates, barrier, ValueRange(), Value(), Value(),
        NVVM::TMALoadMode::TILE, /*isCTAOnly=*/true, nullptr, Value());
  });
  return success();
}

/// The descriptor of an operand whose 128-byte rows begin at `base`: address and strides in units of 16 bytes, 128-byte
/// swizzle.
Value descriptor(Lowering &l, Value base) {
  constexpr int64_t leadingStride = 1, rowGroupStride = 1024 >> 4, swizzle128 = 1;
  Value address = LLVM::PtrToIntOp::create(l.b, l.loc, l.b.getI32Type(), base);
  Value units = LLVM::LShrOp::create(l.b, l.loc, LLVM::AndOp::create(l.b, l.loc, address, l.i32(0x3FFFF)), l.i32(4));
  Value wide = LLVM::ZExtOp::create(l.b, l.loc, l.b.getI64Type(), units);
  return LLVM::OrOp::create(
      l.b, l.loc, wide, l.constant(l.b.getI64Type(), swizzle128 << 62 | rowGroupStride << 32 | leadingStride << 16));
}

Value pack(Lowering &l, ArrayRef<Value> regs) {
  auto type = LLVM::LLVMStructType::getLiteral(l.b.getContext(), SmallVector<Type>(regs.size(), l.b.getF32Type()));
  Value packed = LLVM::PoisonOp::create(l.b, l.loc, type);
  for (auto [i, v] : llvm::enumerate(regs))
    packed = LLVM::InsertValueOp::create(l.b, l.loc, packed, v, ArrayRef<int64_t>{int64_t(i)});
  return packed;
}

SmallVector<Value> unpack(Lowering &l, Value packed) {
  SmallVector<Value> regs;
  for (size_t i = 0; i < cast<LLVM::LLVMStructType>(packed.getType()).getBody().size(); ++i)
    regs.push_back(LLVM::ExtractValueOp::create(l.b, l.loc, packed, ArrayRef<int64_t>{int64_t(i)}));
  return regs;
}

LogicalResult lowerWgmma(Lowering &l, Operation *op) {
  auto wgmma = cast<tilegpu::WgmmaOp>(op);
  if (failed(requireHopper(l, op))) return failure();
  constexpr int k = 16, stepUnits = k * 2 >> 4; // an instruction's K, and its bytes in the descriptor's units
  constexpr int64_t warpgroupBytes = 64 * 128;
  auto acc = cast<RankedTensorType>(wgmma.getAcc().getType());
  Value aBase = stageBase(l, wgmma.getA(), l.scalar(wgmma.getAStage()));
  if (l.options.numWarps > 4) {
    Value rows = l.mul(LLVM::LShrOp::create(l.b, l.loc, l.warp(), l.i32(2)), l.i32(warpgroupBytes));
    aBase = LLVM::GEPOp::create(l.b, l.loc, aBase.getType(), l.b.getI8Type(), aBase, ArrayRef<LLVM::GEPArg>{rows});
  }
  Value a = descriptor(l, aBase), b = descriptor(l, stageBase(l, wgmma.getB(), l.scalar(wgmma.getBStage())));
  Value packed = pack(l, l.regs(wgmma.getAcc()));
  auto shape = NVVM::MMAShapeAttr::get(op->getContext(), 64, acc.getDimSize(1), k);
  auto dtype = wgmma.getA().getType().getElementType().isF16() ? NVVM::WGMMATypes::f16 : NVVM::WGMMATypes::bf16;
  auto step = [&](Value base, int i) {
    return i ? Value(LLVM::AddOp::create(l.b, l.loc, base, l.constant(l.b.getI64Type(), i * stepUnits))) : base;
  };
  for (int i = 0; i < wgmma.getA().getType().getShape()[1] / k; ++i)
    packed = NVVM::WgmmaMmaAsyncOp::create(l.b, l.loc, packed.getType(), packed, step(a, i), step(b, i), shape, dtype,
                                           dtype, NVVM::WGMMATypes::f32, NVVM::WGMMAScaleOut::one,
                                           NVVM::WGMMAScaleIn::one, NVVM::WGMMAScaleIn::one, NVVM::MMALayout::row,
                                           NVVM::MMALayout::col, NVVM::MMAIntOverflowAttr());
  l.setRegs(wgmma.getResult(), unpack(l, packed));
  return success();
}

LogicalResult lowerWgmmaFence(Lowering &l, Operation *op) {
  NVVM::WgmmaFenceAlignedOp::create(l.b, l.loc);
  return requireHopper(l, op);
}

LogicalResult lowerWgmmaCommit(Lowering &l, Operation *op) {
  NVVM::WgmmaGroupSyncAlignedOp::create(l.b, l.loc);
  return requireHopper(l, op);
}

/// NVVM's wait has no operands, so nothing would keep reads of the accumulator behind it: inline PTX with the registers
/// tied does.
LogicalResult lowerWgmmaWait(Lowering &l, Operation *op) {
  auto wait = cast<tilegpu::WgmmaWaitOp>(op);
  if (failed(requireHopper(l, op))) return failure();
  ArrayRef<Value> regs = l.regs(wait.getAcc());
  std::string outputs, ties;
  for (size_t i = 0; i < regs.size(); ++i) {
    outputs += i ? ",=f" : "=f";
    ties += "," + std::to_string(i);
  }
  Type type = LLVM::LLVMStructType::getLiteral(op->getContext(), SmallVector<Type>(regs.size(), l.b.getF32Type()));
  auto wgmmaWait = LLVM::InlineAsmOp::create(
      l.b, l.loc, type, regs, "wgmma.wait_group.sync.aligned " + std::to_string(wait.getPending()) + ";",
      outputs + ties, /*has_side_effects=*/true, /*is_align_stack=*/false, LLVM::tailcallkind::TailCallKind::None,
      LLVM::AsmDialectAttr(), ArrayAttr());
  l.setRegs(wait.getResult(), unpack(l, wgmmaWait.getResult(0)));
  return success();
}

} // namespace

void registerHopperLowerings(MLIRContext *ctx, HandlerTable &table) {
  setHandler<tilegpu::MBarrierInitOp>(ctx, table, lowerInit);
  setHandler<tilegpu::MBarrierExpectOp>(ctx, table, lowerExpect);
  setHandler<tilegpu::MBarrierArriveOp>(ctx, table, lowerArrive);
  setHandler<tilegpu::MBarrierWaitOp>(ctx, table, lowerWait);
  setHandler<tilegpu::TmaLoadOp>(ctx, table, lowerTmaLoad);
  setHandler<tilegpu::WgmmaFenceOp>(ctx, table, lowerWgmmaFence);
  setHandler<tilegpu::WgmmaOp>(ctx, table, lowerWgmma);
  setHandler<tilegpu::WgmmaCommitOp>(ctx, table, lowerWgmmaCommit);
  setHandler<tilegpu::WgmmaWaitOp>(ctx, table, lowerWgmmaWait);
}

} // namespace moec::compiler
