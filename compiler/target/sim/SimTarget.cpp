// compileForSim: the order of the steps.
#include "compiler/target/sim/SimTarget.h"
#include "compiler/target/sim/SimLowering.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/Analysis/InlineCost.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/Transforms/IPO/GlobalDCE.h"
#include "llvm/Transforms/IPO/ModuleInliner.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/SROA.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include <chrono>
#include <mutex>

namespace moec::compiler {
using namespace simtarget;
namespace {

class StageTimer {
public:
  explicit StageTimer(const SimTargetOptions &options) : options(options) {}
  void done(llvm::StringRef stage) {
    auto now = std::chrono::steady_clock::now();
    if (options.timing) options.timing(stage, std::chrono::duration<double, std::milli>(now - start).count());
    start = now;
  }

private:
  const SimTargetOptions &options;
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
};

llvm::Expected<std::unique_ptr<llvm::TargetMachine>> makeTargetMachine(const SimTargetOptions &options) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
  });
  llvm::Triple triple("x86_64-unknown-linux-gnu");
  std::string error;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target) return llvm::createStringError(error);
  llvm::TargetOptions targetOptions;
  targetOptions.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  targetOptions.EmitStackSizeSection = true;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, "x86-64-" + options.level, "-avx512bf16,-avx512fp16", targetOptions, llvm::Reloc::PIC_,
      llvm::CodeModel::Small, options.optimize ? llvm::CodeGenOptLevel::Less : llvm::CodeGenOptLevel::None));
}

void setFunctionAttributes(llvm::Module &module, const llvm::TargetMachine &machine) {
  for (llvm::Function &function : module) {
    for (llvm::StringRef name :
         {"target-cpu", "target-features", "tune-cpu", "frame-pointer", "stack-protector-buffer-size"})
      function.removeFnAttr(name);
    for (auto kind : {llvm::Attribute::UWTable, llvm::Attribute::StackProtect, llvm::Attribute::StackProtectStrong,
                      llvm::Attribute::OptimizeNone, llvm::Attribute::NoInline})
      function.removeFnAttr(kind);
    if (function.isDeclaration()) continue;
    function.addFnAttr("target-cpu", machine.getTargetCPU());
    function.addFnAttr("target-features", machine.getTargetFeatureString());
    function.setDoesNotThrow();
    function.setDSOLocal(true);
  }
}

/// Cheap on purpose: most of a kernel's time goes into runtime functions.
void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager lam;
  llvm::FunctionAnalysisManager fam;
  llvm::CGSCCAnalysisManager cgam;
  llvm::ModuleAnalysisManager mam;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(mam);
  builder.registerCGSCCAnalyses(cgam);
  builder.registerFunctionAnalyses(fam);
  builder.registerLoopAnalyses(lam);
  builder.crossRegisterProxies(lam, fam, cgam, mam);
  llvm::ModulePassManager pm;
  pm.addPass(llvm::ModuleInlinerPass(llvm::getInlineParams(100)));
  pm.addPass(llvm::GlobalDCEPass());
  llvm::FunctionPassManager fpm;
  fpm.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  fpm.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/true));
  fpm.addPass(llvm::InstCombinePass());
  fpm.addPass(llvm::SimplifyCFGPass());
  pm.addPass(llvm::createModuleToFunctionPassAdaptor(std::move(fpm)));
  pm.run(module, mam);
}

llvm::Expected<std::unique_ptr<llvm::Module>> translate(mlir::ModuleOp module, llvm::LLVMContext &context,
                                                        const llvm::TargetMachine &machine) {
  mlir::DialectRegistry registry;
  mlir::registerBuiltinDialectTranslation(registry);
  mlir::registerLLVMDialectTranslation(registry);
  mlir::registerNVVMDialectTranslation(registry);
  module.getContext()->appendDialectRegistry(registry);
  for (llvm::StringRef name : {"llvm.data_layout", "llvm.target_triple", "dlti.dl_spec"}) module->removeAttr(name);
  std::string problem;
  mlir::ScopedDiagnosticHandler handler(module.getContext(), [&](mlir::Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error)
      llvm::raw_string_ostream(problem) << diagnostic.getLocation() << ": " << diagnostic;
    return mlir::success();
  });
  auto result = mlir::translateModuleToLLVMIR(module, context, "kernel", /*disableVerification=*/true);
  if (!result) return llvm::createStringError("translation to LLVM IR failed: " + problem);
  result->setTargetTriple(machine.getTargetTriple());
  result->setDataLayout(machine.createDataLayout());
  return result;
}

llvm::Error emit(llvm::Module &module, llvm::TargetMachine &machine, llvm::CodeGenFileType type,
                 llvm::SmallVectorImpl<char> &out) {
  llvm::raw_svector_ostream stream(out);
  llvm::legacy::PassManager pm;
  if (machine.addPassesToEmitFile(pm, stream, nullptr, type, /*DisableVerify=*/true))
    return llvm::createStringError("the x86-64 target cannot emit this file type");
  pm.run(module);
  return llvm::Error::success();
}

} // namespace

llvm::Expected<SimImage> compileForSim(mlir::ModuleOp source, const SimTargetOptions &options) {
  if (options.level != "v2" && options.level != "v3" && options.level != "v4")
    return llvm::createStringError("unknown x86-64 level '" + options.level + "': expected v2, v3 or v4");
  StageTimer timer(options);
  mlir::OwningOpRef<mlir::ModuleOp> module(source.clone());
  SimModuleInfo info;
  if (llvm::Error error = lowerNvvmToSim(*module, options, info)) return error;
  timer.done("nvvm to sim");

  auto machine = makeTargetMachine(options);
  if (!machine) return machine.takeError();
  llvm::LLVMContext context;
  auto ir = translate(*module, context, **machine);
  if (!ir) return ir.takeError();
  timer.done("translate");

  if (llvm::Error error = linkDeviceFunctions(**ir, options)) return error;
  setFunctionAttributes(**ir, **machine);
  timer.done("link device functions");
  simtarget::canonicalizeNans(**ir, /*roots=*/false);
  optimize(**ir, **machine);
  simtarget::canonicalizeNans(**ir, /*roots=*/true);
  simtarget::demoteNarrowFloats(**ir);
  timer.done("llvm passes");
  if (options.llvmIr) llvm::raw_string_ostream(*options.llvmIr) << **ir;
  if (options.assembly) {
    llvm::SmallVector<char, 0> text;
    std::unique_ptr<llvm::Module> copy = llvm::CloneModule(**ir);
    if (llvm::Error error = emit(*copy, **machine, llvm::CodeGenFileType::AssemblyFile, text)) return error;
    options.assembly->assign(text.begin(), text.end());
  }
  llvm::SmallVector<char, 0> object;
  if (llvm::Error error = emit(**ir, **machine, llvm::CodeGenFileType::ObjectFile, object)) return error;
  timer.done("x86-64 code");
  auto image = linkImage({object.data(), object.size()}, info, options);
  timer.done("image");
  return image;
}

llvm::StringRef hostSimLevel() {
  static const std::string level = [] {
    auto features = llvm::sys::getHostCPUFeatures();
    auto all = [&](std::initializer_list<const char *> names) {
      return llvm::all_of(names, [&](const char *name) { return features.lookup(name); });
    };
    if (!all({"avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"})) return "v2";
    return all({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}) ? "v4" : "v3";
  }();
  return level;
}

} // namespace moec::compiler
