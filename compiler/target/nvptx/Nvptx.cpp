#include "compiler/target/nvptx/Nvptx.h"
#include "compiler/target/Assertions.h"
#include "compiler/target/F8Conversions.h"
#include "compiler/target/nvptx/CodeGenerator.h"
#include "compiler/target/nvptx/NvJitLink.h"

#include "mlir/Conversion/NVVMToLLVM/NVVMToLLVM.h"
#include "mlir/Dialect/LLVMIR/BasicPtxBuilderInterface.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/LLVMIR/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Linker/Linker.h"
#include "llvm/Transforms/IPO/Internalize.h"
#include <chrono>

using namespace llvm;

namespace moec::compiler {

namespace {
class Stopwatch {
public:
  explicit Stopwatch(const NvptxOptions &options) : options(options) {}
  void lap(StringRef stage) {
    auto now = std::chrono::steady_clock::now();
    if (options.timing) options.timing(stage, std::chrono::duration<double, std::milli>(now - last).count());
    last = now;
  }

private:
  const NvptxOptions &options;
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
};
} // namespace

/// Some NVVM ops exist only as inline PTX, which a conversion writes; most modules have none, and the conversion is not
/// free.
static mlir::LogicalResult expandInlinePtx(mlir::ModuleOp module) {
  bool found =
      module
          ->walk([](mlir::Operation *op) {
            auto ptx = dyn_cast<mlir::NVVM::BasicPtxBuilderInterface>(op);
            return ptx && ptx.hasIntrinsic() == false ? mlir::WalkResult::interrupt() : mlir::WalkResult::advance();
          })
          .wasInterrupted();
  if (!found) return mlir::success();
  mlir::PassManager pm(module->getContext());
  pm.enableVerifier(false);
  pm.addPass(mlir::createConvertNVVMToLLVMPass());
  return pm.run(module);
}

static mlir::LogicalResult addDebugScopes(mlir::ModuleOp module) {
  mlir::PassManager pm(module->getContext());
  pm.enableVerifier(false);
  mlir::LLVM::DIScopeForLLVMFuncOpPassOptions options;
  options.emissionKind = mlir::LLVM::DIEmissionKind::LineTablesOnly;
  pm.addPass(mlir::LLVM::createDIScopeForLLVMFuncOpPass(options));
  return pm.run(module);
}

Error moec::compiler::libdeviceMissing(StringRef function) {
  return make_error<ToolError>(
      ("the kernel needs libdevice (it calls " + function +
       "), and this moec was built without: install a CUDA 13 toolkit or the PyPI package nvidia-nvvm, point "
       "MOEC_CUDA_ROOT at it, and build again")
          .str());
}

/// Links libdevice's part if the module calls any of it. True if something was linked.
static Expected<bool> linkLibdevice(Module &module) {
  auto isLibdeviceCall = [](const Function &f) { return f.isDeclaration() && f.getName().starts_with("__nv_"); };
  if (none_of(module, isLibdeviceCall)) return false;
  if (libdeviceBitcode().empty()) return libdeviceMissing(find_if(module, isLibdeviceCall)->getName());
  auto library = getLazyBitcodeModule(MemoryBufferRef(libdeviceBitcode(), "libdevice"), module.getContext());
  if (!library) return library.takeError();
  (*library)->setDataLayout(module.getDataLayout());
  (*library)->setTargetTriple(module.getTargetTriple());
  bool failed = Linker::linkModules(
      module, std::move(*library), Linker::LinkOnlyNeeded, [](Module &linked, const StringSet<> &names) {
        internalizeModule(linked, [&](const GlobalValue &value) { return !names.contains(value.getName()); });
      });
  if (failed) return createStringError("libdevice does not link");
  if (auto missing = find_if(module, isLibdeviceCall); missing != module.end())
    return createStringError("libdevice function %s is not in moec's subset (compiler/target/nvptx/libdevice.cmake)",
                             missing->getName().str().c_str());
  return true;
}

static Error verified(const Module &module, StringRef when) {
  std::string text;
  raw_string_ostream os(text);
  if (!verifyModule(module, &os)) return Error::success();
  return createStringError("invalid LLVM IR " + when + ": " + text);
}

/// LLVM reports what it cannot compile to the context.
static void collectErrors(LLVMContext &context, std::string &errors) {
  context.setDiagnosticHandlerCallBack(
      [](const DiagnosticInfo *info, void *sink) {
        if (info->getSeverity() != DS_Error) return;
        raw_string_ostream os(*static_cast<std::string *>(sink));
        DiagnosticPrinterRawOStream printer(os);
        info->print(printer);
        os << '\n';
      },
      &errors);
}

/// A GPU's trap says nothing, so nobody needs what the assertion would print.
static void dropAssertValues(mlir::ModuleOp module) {
  auto function = module.lookupSymbol<mlir::LLVM::LLVMFuncOp>(kAssertValues);
  if (!function) return;
  module.walk([](mlir::LLVM::CallOp call) {
    if (call.getCallee() == kAssertValues) call.erase();
  });
  function.erase();
}

Expected<std::string> compileToPtx(mlir::ModuleOp module, const NvptxTarget &target, const NvptxOptions &options) {
  Stopwatch watch(options);
  CodeGenerator &generator = CodeGenerator::forThread(target);
  dropAssertValues(module);
  if (target.capability < 89) expandF8Conversions(module);
  if (failed(expandInlinePtx(module)) || (options.lineInfo && failed(addDebugScopes(module))))
    return createStringError("lowering to inline PTX failed");

  LLVMContext context;
  std::string errors;
  collectErrors(context, errors);
  context.setOptPassGate(CodeGenerator::passGate());
  std::unique_ptr<Module> llvmModule =
      mlir::translateModuleToLLVMIR(module, context, "kernel", /*disableVerification=*/true);
  if (!llvmModule) return createStringError("translation to LLVM IR failed");
  generator.prepare(*llvmModule);
  if (options.verify)
    if (Error e = verified(*llvmModule, "after translation")) return e;
  watch.lap("translate");

  Expected<bool> linked = linkLibdevice(*llvmModule);
  if (!linked) return linked.takeError();
  generator.optimize(*llvmModule, *linked);
  if (options.verify)
    if (Error e = verified(*llvmModule, "after LLVM passes")) return e;
  watch.lap("llvm-passes");
  if (options.llvmIr) raw_string_ostream(*options.llvmIr) << *llvmModule;
  if (options.stopAtLlvm) return std::string();

  std::string ptx = generator.emit(*llvmModule).str();
  watch.lap("codegen");
  if (!errors.empty())
    return createStringError("code generation for %s: %s", target.name.data(), StringRef(errors).rtrim().str().c_str());
  return ptx;
}

} // namespace moec::compiler
