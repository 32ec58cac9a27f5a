// The MLIR half of compileForSim: NVVM operations become calls through the thread context's function table.
#include "compiler/target/Assertions.h"
#include "compiler/target/sim/SimLowering.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/TypeSwitch.h"
#include <numeric>

using namespace mlir;

namespace moec::compiler::simtarget {
using namespace moec::sim;

unsigned LocationTable::add(Location loc) {
  auto [it, inserted] = numbers_.try_emplace(loc, 0);
  if (!inserted) return it->second;
  auto file = loc->findInstanceOf<FileLineColLoc>();
  if (!file) return 0;
  entries_.push_back({file.getFilename().str(), file.getLine(), file.getColumn()});
  return it->second = entries_.size() - 1;
}

Value ContextBuilder::i32(Location loc, uint32_t value) {
  return LLVM::ConstantOp::create(b, loc, b.getI32Type(), b.getI32IntegerAttr(static_cast<int32_t>(value)));
}

Value ContextBuilder::offset(Location loc, Value base, uint64_t bytes) {
  if (bytes == 0) return base;
  return LLVM::GEPOp::create(b, loc, base.getType(), b.getI8Type(), base,
                             ArrayRef<LLVM::GEPArg>{LLVM::GEPArg(static_cast<int32_t>(bytes))});
}

static Value loadInvariant(OpBuilder &b, Location loc, Type type, Value address) {
  return LLVM::LoadOp::create(b, loc, type, address, /*alignment=*/0, /*isVolatile=*/false, /*isNonTemporal=*/false,
                              /*isInvariant=*/true);
}

Value ContextBuilder::field(Location loc, Type type, size_t bytes) {
  return loadInvariant(b, loc, type, offset(loc, context, bytes));
}

Value ContextBuilder::ctaField(Location loc, size_t bytes) {
  Value cta = field(loc, LLVM::LLVMPointerType::get(b.getContext()), offsetof(SimContext, cta));
  return loadInvariant(b, loc, b.getI32Type(), offset(loc, cta, bytes));
}

Value ContextBuilder::generic(Location loc, Value pointer) {
  auto type = LLVM::LLVMPointerType::get(b.getContext());
  return pointer.getType() == type ? pointer : LLVM::AddrSpaceCastOp::create(b, loc, type, pointer).getResult();
}

Value ContextBuilder::call(Location loc, SimFunction function, Type resultType, ValueRange args) {
  auto ptr = LLVM::LLVMPointerType::get(b.getContext());
  Value table = field(loc, ptr, offsetof(SimContext, table));
  Value callee = loadInvariant(b, loc, ptr, offset(loc, table, 8 * function));
  SmallVector<Type> types{ptr};
  SmallVector<Value> operands{callee, context};
  for (Value arg : args) {
    types.push_back(arg.getType());
    operands.push_back(arg);
  }
  auto type = LLVM::LLVMFunctionType::get(resultType, types);
  auto op = LLVM::CallOp::create(b, loc, type, operands);
  return op.getNumResults() ? op.getResult() : Value();
}

namespace {

llvm::Error errorAt(Operation *op, const llvm::Twine &message) {
  std::string where;
  llvm::raw_string_ostream(where) << op->getLoc();
  return llvm::createStringError(where + ": " + message);
}

/// Where a special register lives: {offset, in the CTA's info?}, or nothing if the name is unknown.
std::optional<std::pair<size_t, bool>> specialRegister(StringRef name) {
  if (!name.consume_front("read.ptx.sreg.")) return std::nullopt;
  int64_t thread = llvm::StringSwitch<int64_t>(name)
                       .Case("tid.x", offsetof(SimContext, tid))
                       .Case("tid.y", offsetof(SimContext, tid) + 4)
                       .Case("tid.z", offsetof(SimContext, tid) + 8)
                       .Case("laneid", offsetof(SimContext, laneid))
                       .Case("warpid", offsetof(SimContext, warpid))
                       .Case("lanemask.eq", offsetof(SimContext, lanemask_eq))
                       .Case("lanemask.le", offsetof(SimContext, lanemask_le))
                       .Case("lanemask.lt", offsetof(SimContext, lanemask_lt))
                       .Case("lanemask.ge", offsetof(SimContext, lanemask_ge))
                       .Case("lanemask.gt", offsetof(SimContext, lanemask_gt))
                       .Default(-1);
  if (thread >= 0) return std::pair(static_cast<size_t>(thread), false);
  size_t axis = 0;
  StringRef stem = name;
  if (name.ends_with(".x") || name.ends_with(".y") || name.ends_with(".z")) {
    axis = name.back() - 'x';
    stem = name.drop_back(2);
  }
  int64_t cta = llvm::StringSwitch<int64_t>(stem)
                    .Case("ctaid", offsetof(SimCtaInfo, ctaid))
                    .Case("nctaid", offsetof(SimCtaInfo, nctaid))
                    .Case("ntid", offsetof(SimCtaInfo, ntid))
                    .Case("nwarpid", offsetof(SimCtaInfo, nwarpid))
                    .Case("smid", offsetof(SimCtaInfo, smid))
                    .Case("nsmid", offsetof(SimCtaInfo, nsmid))
                    .Case("gridid", offsetof(SimCtaInfo, gridid))
                    .Case("clusterid", offsetof(SimCtaInfo, clusterid))
                    .Case("nclusterid", offsetof(SimCtaInfo, nclusterid))
                    .Case("cluster.ctaid", offsetof(SimCtaInfo, cluster_ctaid))
                    .Case("cluster.nctaid", offsetof(SimCtaInfo, cluster_nctaid))
                    .Case("cluster.ctarank", offsetof(SimCtaInfo, cluster_ctarank))
                    .Case("cluster.nctarank", offsetof(SimCtaInfo, cluster_nctarank))
                    .Case("total.smem.size", offsetof(SimCtaInfo, total_smem))
                    .Case("dynamic.smem.size", offsetof(SimCtaInfo, dynamic_smem))
                    .Case("aggr.smem.size", offsetof(SimCtaInfo, aggr_smem))
                    .Default(-1);
  if (cta < 0) return std::nullopt;
  return std::pair(static_cast<size_t>(cta) + 4 * axis, true);
}

class FunctionLowering {
public:
  FunctionLowering(FunctionState &state, const SimTargetOptions &options, SimModuleInfo &info)
      : func(state.func), b(func.getContext()), cb(b, state.context), options(options), info(info) {}

  llvm::Error run() {
    SmallVector<Operation *> ops;
    func.walk([&](Operation *op) { ops.push_back(op); });
    for (Operation *op : ops)
      if (llvm::Error error = lower(op)) return error;
    return llvm::Error::success();
  }

private:
  uint32_t locationOf(Operation *op) { return info.locations.add(op->getLoc()); }
  Value loc32(Operation *op) { return cb.i32(op->getLoc(), locationOf(op)); }
  Type voidType() { return LLVM::LLVMVoidType::get(b.getContext()); }

  llvm::Error lower(Operation *op);
  llvm::Error lowerNvvm(Operation *op);
  llvm::Error lowerMbarrier(Operation *op);
  llvm::Error lowerCall(LLVM::CallOp op);
  void lowerTrap(Operation *op);
  llvm::Error lowerBarrier(NVVM::BarrierOp op);
  llvm::Error lowerCpAsync(NVVM::CpAsyncOp op);
  void replace(Operation *op, Value value) {
    if (value && op->getNumResults()) op->getResult(0).replaceAllUsesWith(value);
    op->erase();
  }
  /// Address of a constant, null-terminated text.
  Value text(Location loc, StringRef characters) {
    auto module = func->getParentOfType<ModuleOp>();
    std::string name;
    for (unsigned i = 0; name.empty() || module.lookupSymbol(name); ++i) name = "moec_text_" + std::to_string(i);
    OpBuilder mb = OpBuilder::atBlockBegin(module.getBody());
    std::string terminated = characters.str() + '\0';
    auto type = LLVM::LLVMArrayType::get(mb.getI8Type(), terminated.size());
    auto global = LLVM::GlobalOp::create(mb, loc, type, /*isConstant=*/true, LLVM::Linkage::Internal, name,
                                         mb.getStringAttr(terminated));
    return LLVM::AddressOfOp::create(b, loc, global);
  }
  void fence(Operation *op, SimFence kind) {
    if (options.checked) cb.call(op->getLoc(), kFnFence, voidType(), {cb.i32(op->getLoc(), kind), loc32(op)});
    op->erase();
  }

  LLVM::LLVMFuncOp func;
  OpBuilder b;
  ContextBuilder cb;
  const SimTargetOptions &options;
  SimModuleInfo &info;
};

llvm::Error FunctionLowering::lower(Operation *op) {
  b.setInsertionPoint(op);
  Location loc = op->getLoc();
  if (auto call = dyn_cast<LLVM::CallOp>(op)) return lowerCall(call);
  if (auto address = dyn_cast<LLVM::AddressOfOp>(op)) {
    if (cast<LLVM::LLVMPointerType>(address.getType()).getAddressSpace() != 3) return llvm::Error::success();
    replace(op, cb.field(loc, address.getType(), offsetof(SimContext, shared)));
    return llvm::Error::success();
  }
  if (isa<LLVM::Trap, LLVM::DebugTrap>(op)) {
    lowerTrap(op);
    return llvm::Error::success();
  }
  if (isa<LLVM::InlineAsmOp>(op)) return errorAt(op, "the simulated GPU cannot execute inline assembly");
  if (op->getName().getDialectNamespace() == "nvvm") return lowerNvvm(op);
  if (op->getName().getDialectNamespace() != "llvm")
    return errorAt(op, "expected only the LLVM and NVVM dialects, found '" + op->getName().getStringRef() + "'");
  return llvm::Error::success();
}

llvm::Error FunctionLowering::lowerCall(LLVM::CallOp op) {
  auto callee = op.getCallee();
  if (!callee) return llvm::Error::success(); // already a call through the table
  auto module = func->getParentOfType<ModuleOp>();
  auto target = module.lookupSymbol<LLVM::LLVMFuncOp>(*callee);
  if (!target) return errorAt(op, "call of the unknown function '" + *callee + "'");
  Location loc = op.getLoc();
  if (*callee == "__assertfail") {
    Value none = LLVM::ConstantOp::create(b, loc, b.getI64IntegerAttr(0));
    cb.call(loc, kFnAssert, voidType(), {cb.generic(loc, op.getArgOperands().front()), none, none, loc32(op)});
    op.erase();
    return llvm::Error::success();
  }
  if (target.isExternal()) return llvm::Error::success();
  SmallVector<Value> args{cb.context};
  llvm::append_range(args, op.getArgOperands());
  auto call = LLVM::CallOp::create(b, loc, target, args);
  op->replaceAllUsesWith(call->getResults());
  op.erase();
  return llvm::Error::success();
}

void FunctionLowering::lowerTrap(Operation *op) {
  Location loc = op->getLoc();
  auto message = op->getAttrOfType<StringAttr>(kAssertMessage);
  if (!message) {
    cb.call(loc, kFnTrap, voidType(), {loc32(op)});
    op->erase();
    return;
  }
  auto values = dyn_cast_or_null<LLVM::CallOp>(op->getPrevNode());
  Value none = LLVM::ConstantOp::create(b, loc, b.getI64IntegerAttr(0));
  SmallVector<Value> printed{none, none};
  bool given = values && values.getCallee() == kAssertValues;
  if (given) printed.assign(values.getArgOperands().begin(), values.getArgOperands().end());
  cb.call(loc, kFnAssert, voidType(), {text(loc, message.getValue()), printed[0], printed[1], loc32(op)});
  op->erase();
  if (given) values.erase();
}

llvm::Error FunctionLowering::lowerBarrier(NVVM::BarrierOp op) {
  Location loc = op.getLoc();
  Value id = op.getBarrierId() ? op.getBarrierId() : cb.i32(loc, 0);
  Value count = op.getNumberOfThreads() ? op.getNumberOfThreads() : cb.i32(loc, 0);
  if (!op.getReductionOp()) {
    cb.call(loc, kFnBarrier, voidType(), {id, count, loc32(op)});
    op.erase();
    return llvm::Error::success();
  }
  SimBarrierReduction kind = kBarrierPopc;
  switch (*op.getReductionOp()) {
  case NVVM::BarrierReduction::AND: kind = kBarrierAnd; break;
  case NVVM::BarrierReduction::OR: kind = kBarrierOr; break;
  case NVVM::BarrierReduction::POPC: kind = kBarrierPopc; break;
  }
  replace(op, cb.call(loc, kFnBarrierReduce, b.getI32Type(),
                      {id, count, cb.i32(loc, kind), op.getReductionPredicate(), loc32(op)}));
  return llvm::Error::success();
}

llvm::Error FunctionLowering::lowerCpAsync(NVVM::CpAsyncOp op) {
  Location loc = op.getLoc();
  Value size = cb.i32(loc, op.getSize());
  Value source = op.getCpSize() ? op.getCpSize() : size;
  cb.call(loc, kFnCpAsync, voidType(),
          {cb.generic(loc, op.getDst()), cb.generic(loc, op.getSrc()), size, source, loc32(op)});
  op->erase();
  return llvm::Error::success();
}

llvm::Error FunctionLowering::lowerMbarrier(Operation *op) {
  Location loc = op->getLoc();
  Type i32 = b.getI32Type(), i64 = b.getI64Type();
  Value address = cb.generic(loc, op->getOperand(0));
  auto wait = [&](SimFunction function, Value state) -> Value {
    bool parity = state.getType().isInteger(32);
    if (parity) state = LLVM::ZExtOp::create(b, loc, i64, state);
    Value done = cb.call(loc, function, i32, {address, state, cb.i32(loc, parity), loc32(op)});
    return LLVM::TruncOp::create(b, loc, b.getI1Type(), done);
  };
  return llvm::TypeSwitch<Operation *, llvm::Error>(op)
      .Case([&](NVVM::MBarrierInitOp init) -> llvm::Error {
        if (init.getPredicate()) return errorAt(op, "predicated mbarrier operations are not supported; branch instead");
        cb.call(loc, kFnMbarrierInit, voidType(), {address, init.getCount(), loc32(op)});
        op->erase();
        return llvm::Error::success();
      })
      .Case([&](NVVM::MBarrierInvalOp) -> llvm::Error {
        cb.call(loc, kFnMbarrierInval, voidType(), {address, loc32(op)});
        op->erase();
        return llvm::Error::success();
      })
      .Case([&](NVVM::MBarrierArriveOp arrive) -> llvm::Error {
        Value count = arrive.getCount() ? arrive.getCount() : cb.i32(loc, 1);
        replace(op, cb.call(loc, kFnMbarrierArrive, i64, {address, count, cb.i32(loc, 0), loc32(op)}));
        return llvm::Error::success();
      })
      .Case([&](NVVM::MBarrierArriveExpectTxOp arrive) -> llvm::Error {
        if (arrive.getPredicate())
          return errorAt(op, "predicated mbarrier operations are not supported; branch instead");
        replace(op, cb.call(loc, kFnMbarrierArrive, i64, {address, cb.i32(loc, 1), arrive.getTxcount(), loc32(op)}));
        return llvm::Error::success();
      })
      .Case([&](NVVM::MBarrierExpectTxOp expect) -> llvm::Error {
        cb.call(loc, kFnMbarrierExpect, voidType(), {address, expect.getTxcount(), loc32(op)});
        op->erase();
        return llvm::Error::success();
      })
      .Case([&](NVVM::MBarrierTryWaitOp tryWait) -> llvm::Error {
        replace(op, wait(kFnMbarrierTryWait, tryWait.getStateOrPhase()));
        return llvm::Error::success();
      })
      .Case([&](NVVM::MBarrierTryWaitParityOp tryWait) -> llvm::Error {
        wait(kFnMbarrierTryWait, tryWait.getPhase());
        op->erase();
        return llvm::Error::success();
      })
      .Case([&](NVVM::MBarrierTestWaitOp test) -> llvm::Error {
        replace(op, wait(kFnMbarrierTestWait, test.getStateOrPhase()));
        return llvm::Error::success();
      })
      .Default([&](Operation *) -> llvm::Error {
        return errorAt(op, "the simulated GPU does not know '" + op->getName().getStringRef() + "'");
      });
}

llvm::Error FunctionLowering::lowerNvvm(Operation *op) {
  Location loc = op->getLoc();
  StringRef name = op->getName().stripDialect();
  if (auto place = specialRegister(name)) {
    replace(op, place->second ? cb.ctaField(loc, place->first) : cb.field(loc, b.getI32Type(), place->first));
    return llvm::Error::success();
  }
  if (name == "read.ptx.sreg.warpsize") {
    replace(op, cb.i32(loc, kWarpSize));
    return llvm::Error::success();
  }
  if (name.starts_with("mbarrier.")) return lowerMbarrier(op);
  // Conversions and arithmetic on values: they become intrinsics that the support functions implement by name.
  if (name.starts_with("convert.") || isa<NVVM::PermuteOp, NVVM::RcpApproxFtzF32Op>(op)) return llvm::Error::success();
  return llvm::TypeSwitch<Operation *, llvm::Error>(op)
      .Case([&](NVVM::Barrier0Op) -> llvm::Error {
        cb.call(loc, kFnBarrier, voidType(), {cb.i32(loc, 0), cb.i32(loc, 0), loc32(op)});
        op->erase();
        return llvm::Error::success();
      })
      .Case([&](NVVM::BarrierOp barrier) -> llvm::Error { return lowerBarrier(barrier); })
      .Case([&](NVVM::BarrierArriveOp arrive) -> llvm::Error {
        Value id = arrive.getBarrierId() ? arrive.getBarrierId() : cb.i32(loc, 0);
        cb.call(loc, kFnBarrierArrive, voidType(), {id, arrive.getNumberOfThreads(), loc32(op)});
        op->erase();
        return llvm::Error::success();
      })
      .Case([&](NVVM::SyncWarpOp sync) -> llvm::Error {
        cb.call(loc, kFnWarpBarrier, voidType(), {sync.getMask(), loc32(op)});
        op->erase();
        return llvm::Error::success();
      })
      .Case([&](NVVM::CpAsyncOp copy) -> llvm::Error { return lowerCpAsync(copy); })
      .Case([&](NVVM::CpAsyncCommitGroupOp) -> llvm::Error {
        cb.call(loc, kFnCpAsyncCommit, voidType(), {loc32(op)});
        op->erase();
        return llvm::Error::success();
      })
      .Case([&](NVVM::CpAsyncWaitGroupOp wait) -> llvm::Error {
        cb.call(loc, kFnCpAsyncWait, voidType(), {cb.i32(loc, wait.getN()), loc32(op)});
        op->erase();
        return llvm::Error::success();
      })
      .Case([&](NVVM::CpAsyncMBarrierArriveOp arrive) -> llvm::Error {
        cb.call(loc, kFnCpAsyncMbarrier, voidType(),
                {cb.generic(loc, arrive.getAddr()), cb.i32(loc, arrive.getNoinc()), loc32(op)});
        op->erase();
        return llvm::Error::success();
      })
      .Case([&](NVVM::MembarOp membar) -> llvm::Error {
        bool cta = membar.getScope() == NVVM::MemScopeKind::CTA;
        fence(op, cta ? kFenceCta : membar.getScope() == NVVM::MemScopeKind::SYS ? kFenceSystem : kFenceGpu);
        return llvm::Error::success();
      })
      .Case([&](NVVM::FenceProxyOp) -> llvm::Error {
        fence(op, kFenceProxyAsync);
        return llvm::Error::success();
      })
      .Case([&](NVVM::FenceMbarrierInitOp) -> llvm::Error {
        fence(op, kFenceMbarrierInit);
        return llvm::Error::success();
      })
      .Case([&](NVVM::NanosleepOp) -> llvm::Error {
        cb.call(loc, kFnYield, voidType(), {loc32(op)});
        op->erase();
        return llvm::Error::success();
      })
      .Case([&](NVVM::SetMaxRegisterOp) -> llvm::Error {
        op->erase();
        return llvm::Error::success();
      })
      .Default([&](Operation *) -> llvm::Error {
        return errorAt(op, "the simulated GPU does not know '" + op->getName().getStringRef() + "'");
      });
}

/// Gives `func` the hidden context argument; a kernel's own arguments become loads from the parameter array.
void addContextArgument(FunctionState &state, bool isKernel) {
  LLVM::LLVMFuncOp func = state.func;
  MLIRContext *context = func.getContext();
  auto ptr = LLVM::LLVMPointerType::get(context);
  Block &entry = func.getBody().front();
  auto oldType = func.getFunctionType();
  SmallVector<Type> types{ptr};
  SmallVector<Attribute> byval;
  for (unsigned i = 0; i < oldType.getNumParams(); ++i) byval.push_back(func.getArgAttr(i, "llvm.byval"));
  if (isKernel)
    types.push_back(ptr);
  else
    llvm::append_range(types, oldType.getParams());
  func.removeArgAttrsAttr();
  func.setFunctionType(LLVM::LLVMFunctionType::get(oldType.getReturnType(), types));
  state.context = entry.insertArgument(0u, ptr, func.getLoc());
  if (!isKernel) return;
  OpBuilder b(&entry, entry.begin());
  Value params = entry.insertArgument(1u, ptr, func.getLoc());
  ContextBuilder cb(b, state.context);
  for (unsigned i = 0; i < oldType.getNumParams(); ++i) {
    BlockArgument arg = entry.getArgument(2);
    Value slot = loadInvariant(b, func.getLoc(), ptr, cb.offset(func.getLoc(), params, 8 * i));
    if (byval[i]) state.byvalParams.insert(slot);
    Value value = byval[i] ? slot : loadInvariant(b, func.getLoc(), arg.getType(), slot);
    arg.replaceAllUsesWith(value);
    entry.eraseArgument(2);
  }
}

/// Attributes that mean something only to NVPTX.
void dropDeviceAttributes(LLVM::LLVMFuncOp func) {
  SmallVector<StringAttr> names;
  for (NamedAttribute attr : func->getDiscardableAttrs())
    if (attr.getName().getValue().starts_with("nvvm.") || attr.getName().getValue().starts_with("gpu."))
      names.push_back(attr.getName());
  for (StringAttr name : names) func->removeDiscardableAttr(name);
  func.setCConv(LLVM::CConv::C);
  func->removeAttr("passthrough");
}

llvm::Error checkGlobals(ModuleOp module) {
  SmallVector<LLVM::GlobalOp> shared;
  for (auto global : module.getOps<LLVM::GlobalOp>()) {
    if (global.getAddrSpace() == 3) {
      if (global.getLinkage() != LLVM::Linkage::External || global.getValueOrNull() || global.getInitializerBlock())
        return errorAt(global, "shared memory must be the one external symbol, found '" + global.getSymName() + "'");
      shared.push_back(global);
    } else if (!global.getConstant()) {
      return errorAt(global, "the simulated GPU has no mutable global variables: '" + global.getSymName() + "'");
    } else {
      global.setLinkage(LLVM::Linkage::Internal);
    }
  }
  if (shared.size() > 1) return errorAt(shared[1], "more than one shared-memory symbol");
  return llvm::Error::success();
}

} // namespace

llvm::Error lowerNvvmToSim(ModuleOp module, const SimTargetOptions &options, SimModuleInfo &info) {
  if (llvm::Error error = checkGlobals(module)) return error;
  std::vector<FunctionState> functions;
  for (auto func : module.getOps<LLVM::LLVMFuncOp>())
    if (!func.isExternal()) functions.push_back({func, {}, {}, {}});
  for (FunctionState &state : functions) {
    LLVM::LLVMFuncOp func = state.func;
    expandMemoryOps(func);
    func.walk([&](Operation *op) {
      if (isInstrumented(op)) state.accesses.push_back(op);
    });
    bool isKernel = func->hasAttr("nvvm.kernel");
    if (isKernel) {
      if (!info.kernel.empty()) return errorAt(func, "a second kernel in the module: '" + func.getSymName() + "'");
      info.kernel = func.getSymName().str();
      if (auto threads = func->getAttrOfType<DenseI32ArrayAttr>("nvvm.reqntid"))
        info.threads =
            std::accumulate(threads.asArrayRef().begin(), threads.asArrayRef().end(), 1u, std::multiplies<>());
    }
    addContextArgument(state, isKernel);
    dropDeviceAttributes(func);
    if (isKernel) func.setSymName("moec_sim_entry");
    func.setLinkage(isKernel ? LLVM::Linkage::External : LLVM::Linkage::Internal);
  }
  if (info.kernel.empty()) return llvm::createStringError("no kernel (llvm.func with nvvm.kernel) in the module");
  for (FunctionState &state : functions) {
    if (llvm::Error error = batchCollectives(state.func, info)) return error;
    if (options.checked) instrumentAccesses(state, info.locations);
    if (llvm::Error error = FunctionLowering(state, options, info).run()) return error;
    countLoopSteps(state, info.locations);
  }
  for (auto global : llvm::make_early_inc_range(module.getOps<LLVM::GlobalOp>()))
    if (global.getAddrSpace() == 3) global.erase();
  return llvm::Error::success();
}

} // namespace moec::compiler::simtarget
