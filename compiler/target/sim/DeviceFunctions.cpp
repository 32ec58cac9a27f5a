// Links libdevice and our support functions into a kernel's LLVM module, only what is needed.
#include "compiler/target/nvptx/Nvptx.h"
#include "compiler/target/sim/SimLowering.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/IntrinsicsNVPTX.h"
#include "llvm/IR/Module.h"
#include "llvm/Linker/Linker.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Transforms/Scalar/SCCP.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include "llvm/Transforms/Utils/Local.h"

using namespace llvm;

namespace moec::compiler::simtarget {
namespace {

/// Names of the support functions, without "moec.".
const StringSet<> &supportNames() {
  static const StringSet<> names = [] {
    StringSet<> result;
    LLVMContext context;
    auto module = getLazyBitcodeModule(MemoryBufferRef(supportBitcode(), "support"), context);
    if (!module) report_fatal_error(module.takeError());
    for (Function &function : **module)
      if (StringRef name = function.getName(); name.consume_front("moec.")) result.insert(name);
    return result;
  }();
  return names;
}

Error linkNeeded(Module &module, StringRef bitcode, StringRef what) {
  auto library =
      getLazyBitcodeModule(MemoryBufferRef(bitcode, what), module.getContext(), /*ShouldLazyLoadMetadata=*/true);
  if (!library) return library.takeError();
  (*library)->setDataLayout(module.getDataLayout());
  (*library)->setTargetTriple(module.getTargetTriple());
  if (Linker::linkModules(module, std::move(*library), Linker::Flags::LinkOnlyNeeded))
    return createStringError("cannot link " + what);
  return Error::success();
}

/// What __nvvm_reflect asks is known here; branches on it go, so that only one variant's functions are needed.
void resolveReflect(Module &module, const SimTargetOptions &options) {
  Function *reflect = module.getFunction("__nvvm_reflect");
  if (!reflect) return;
  SmallSetVector<Function *, 8> changed;
  for (User *user : make_early_inc_range(reflect->users())) {
    auto *call = dyn_cast<CallInst>(user);
    if (!call) continue;
    StringRef question;
    int answer = 0;
    if (auto *global = dyn_cast<GlobalVariable>(call->getArgOperand(0)->stripPointerCasts()))
      if (auto *data =
              dyn_cast_or_null<ConstantDataArray>(global->hasInitializer() ? global->getInitializer() : nullptr))
        question = data->getAsCString();
    if (question == "__CUDA_ARCH") answer = static_cast<int>(options.smArch * 10);
    if (question == "__CUDA_PREC_SQRT" || question == "__CUDA_PREC_DIV") answer = 1;
    changed.insert(call->getFunction());
    call->replaceAllUsesWith(ConstantInt::get(call->getType(), answer));
    call->eraseFromParent();
  }
  LoopAnalysisManager lam;
  FunctionAnalysisManager fam;
  CGSCCAnalysisManager cgam;
  ModuleAnalysisManager mam;
  PassBuilder builder;
  builder.registerModuleAnalyses(mam);
  builder.registerCGSCCAnalyses(cgam);
  builder.registerFunctionAnalyses(fam);
  builder.registerLoopAnalyses(lam);
  builder.crossRegisterProxies(lam, fam, cgam, mam);
  FunctionPassManager pm;
  pm.addPass(SCCPPass());
  pm.addPass(SimplifyCFGPass());
  for (Function *function : changed) pm.run(*function, fam);
  if (reflect->use_empty()) reflect->eraseFromParent();
}

/// What a piece of PTX text in libdevice computes; null if it is not known.
Value *modelOfPtx(IRBuilder<> &b, CallInst *call, StringRef ptx) {
  SmallVector<Value *> args(call->args());
  if (ptx == "rcp.approx.ftz.f32 $0,$1;") return b.CreateIntrinsic(Intrinsic::nvvm_rcp_approx_ftz_f, {args[0]});
  if (ptx == "rsqrt.approx.ftz.f64 $0, $1;") return b.CreateIntrinsic(Intrinsic::nvvm_rsqrt_approx_ftz_d, {args[0]});
  // Arithmetic of twice the width, done in halves with carries: the results are the low and the high half.
  auto halves = [&](Value *result, unsigned bits) -> Value * {
    Type *half = b.getIntNTy(bits);
    Value *low = b.CreateTrunc(result, half), *high = b.CreateTrunc(b.CreateLShr(result, bits), half);
    return b.CreateInsertValue(b.CreateInsertValue(PoisonValue::get(call->getType()), low, 0), high, 1);
  };
  auto wide = [&](Value *v) { return b.CreateZExt(v, b.getIntNTy(2 * v->getType()->getIntegerBitWidth())); };
  auto joined = [&](Value *low, Value *high) { return b.CreateOr(wide(low), b.CreateShl(wide(high), 64)); };
  if (ptx.contains("mad.lo.cc.u32   $0, $2, $3, $4"))
    return halves(b.CreateAdd(b.CreateMul(wide(args[0]), wide(args[1])), wide(args[2])), 32);
  if (ptx.contains("mad.lo.cc.u32   r0, alo, blo, clo"))
    return halves(b.CreateAdd(b.CreateMul(wide(args[0]), wide(args[1])), wide(args[2])), 64);
  if (ptx.contains("mul.lo.u32      r0, alo, blo")) return halves(b.CreateMul(wide(args[0]), wide(args[1])), 64);
  if (ptx.contains("add.cc.u32      r0, a0, b0"))
    return halves(b.CreateAdd(joined(args[0], args[1]), joined(args[2], args[3])), 64);
  if (ptx.contains("sub.cc.u32      r0, a0, b0"))
    return halves(b.CreateSub(joined(args[0], args[1]), joined(args[2], args[3])), 64);
  if (ptx.contains("setp.equ.f64") && ptx.contains("selp.f64")) // equal or unordered
    return b.CreateSelect(b.CreateFCmpUEQ(args[0], args[1]), args[2], args[3]);
  return nullptr;
}

/// libdevice writes a few instructions as PTX text. On x86 such text would not even fail cleanly.
Error replaceInlineAsm(Module &module) {
  for (Function &function : module)
    for (Instruction &inst : make_early_inc_range(instructions(function))) {
      auto *call = dyn_cast<CallInst>(&inst);
      auto *text = call ? dyn_cast<InlineAsm>(call->getCalledOperand()) : nullptr;
      if (!text) continue;
      IRBuilder<> b(call);
      Value *result = modelOfPtx(b, call, text->getAsmString());
      if (!result)
        return createStringError("the simulated GPU has no model of the PTX text '" + text->getAsmString() + "'");
      call->replaceAllUsesWith(result);
      call->eraseFromParent();
    }
  return Error::success();
}

/// The support function for an intrinsic: its whole name, or base name and element type; empty if there is none.
std::string supportNameOf(IntrinsicInst *call) {
  StringRef whole = call->getCalledFunction()->getName();
  whole.consume_front("llvm.");
  if (supportNames().contains(whole)) return whole.str();
  StringRef base = Intrinsic::getBaseName(call->getIntrinsicID());
  base.consume_front("llvm.");
  Type *scalar = call->getType()->getScalarType();
  std::string typed = (base + (scalar->isDoubleTy() ? ".f64" : scalar->isHalfTy() ? ".f16" : ".f32")).str();
  if (supportNames().contains(typed)) return typed;
  return supportNames().contains(base) ? base.str() : std::string();
}

Value *coerce(IRBuilder<> &b, Value *value, Type *type) {
  return value->getType() == type ? value : b.CreateBitCast(value, type);
}

/// Replaces `call` by calls of the support function `name`, element by element.
void callSupport(Module &module, IntrinsicInst *call, const std::string &name, const FunctionType *known) {
  IRBuilder<> b(call);
  auto *vector = dyn_cast<FixedVectorType>(call->getType());
  bool packed = known && !known->getReturnType()->isVectorTy() && call->getIntrinsicID() != Intrinsic::not_intrinsic &&
                StringRef(name).starts_with("nvvm.");
  auto one = [&](ArrayRef<Value *> args, Type *result) -> Value * {
    auto *type = const_cast<FunctionType *>(known);
    SmallVector<Value *> values;
    for (auto [arg, param] : zip(args, type->params())) values.push_back(coerce(b, arg, param));
    return coerce(b, b.CreateCall(module.getOrInsertFunction("moec." + name, type), values), result);
  };
  SmallVector<Value *> args(call->args());
  Value *result;
  if (!vector || packed) {
    result = one(args, call->getType());
  } else {
    result = PoisonValue::get(vector);
    for (unsigned i = 0; i < vector->getNumElements(); ++i) {
      SmallVector<Value *> elements;
      for (Value *arg : args) elements.push_back(b.CreateExtractElement(arg, i));
      result = b.CreateInsertElement(result, one(elements, vector->getElementType()), i);
    }
  }
  call->replaceAllUsesWith(result);
  call->eraseFromParent();
}

/// Types of the support functions, in the module's context.
FunctionType *supportType(Module &library, StringRef name) {
  Function *function = library.getFunction(("moec." + name).str());
  return function ? function->getFunctionType() : nullptr;
}

Error replaceIntrinsics(Module &module) {
  std::unique_ptr<Module> library;
  for (Function &function : module) {
    for (Instruction &inst : make_early_inc_range(instructions(function))) {
      auto *call = dyn_cast<IntrinsicInst>(&inst);
      if (!call || call->getIntrinsicID() == Intrinsic::fma) continue;
      std::string name = supportNameOf(call);
      if (name.empty()) {
        StringRef whole = call->getCalledFunction()->getName();
        if (whole.starts_with("llvm.nvvm."))
          return createStringError("the simulated GPU has no model of '" + whole + "'");
        continue;
      }
      if (!library) {
        auto loaded = getLazyBitcodeModule(MemoryBufferRef(supportBitcode(), "support"), module.getContext());
        if (!loaded) return loaded.takeError();
        library = std::move(*loaded);
      }
      callSupport(module, call, name, supportType(*library, name));
    }
  }
  return Error::success();
}

bool needsSupport(Module &module) {
  return any_of(module,
                [](Function &f) { return f.isDeclaration() && f.getName().starts_with("moec.") && !f.use_empty(); });
}

} // namespace

Error linkDeviceFunctions(Module &module, const SimTargetOptions &options) {
  auto called = find_if(module, [](Function &f) { return f.isDeclaration() && f.getName().starts_with("__nv_"); });
  if (called != module.end()) {
    if (libdeviceBitcode().empty()) return libdeviceMissing(called->getName());
    if (Error error = linkNeeded(module, libdeviceBitcode(), "libdevice")) return error;
    resolveReflect(module, options);
    if (Error error = replaceInlineAsm(module)) return error;
    for (GlobalVariable &global : module.globals()) // tables, which libdevice does not call constant
      if (!global.isDeclaration()) {
        global.setConstant(true);
        global.setLinkage(GlobalValue::InternalLinkage);
      }
  }
  // Support functions may themselves use what has to be replaced.
  DenseSet<Function *> legal;
  for (int round = 0; round < 4; ++round) {
    legalizeForHost(module, options, legal);
    if (Error error = replaceIntrinsics(module)) return error;
    if (!needsSupport(module)) break;
    if (Error error = linkNeeded(module, supportBitcode(), "support functions")) return error;
  }
  for (Function &function : module) {
    if (function.isDeclaration() || function.getName() == "moec_sim_entry") continue;
    function.setLinkage(GlobalValue::InternalLinkage);
    function.setVisibility(GlobalValue::DefaultVisibility);
  }
  return Error::success();
}

} // namespace moec::compiler::simtarget
