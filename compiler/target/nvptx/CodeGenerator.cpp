#include "compiler/target/nvptx/CodeGenerator.h"

#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Transforms/IPO/AlwaysInliner.h"
#include "llvm/Transforms/IPO/GlobalDCE.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/SROA.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include <mutex>

using namespace llvm;

namespace moec::compiler {

static const Target &nvptx64(const Triple &triple) {
  static std::once_flag once;
  static const Target *found = nullptr;
  std::call_once(once, [&] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    std::string error;
    found = TargetRegistry::lookupTarget(triple, error);
  });
  return *found;
}

static std::unique_ptr<TargetMachine> makeMachine(const NvptxTarget &target) {
  Triple triple("nvptx64-nvidia-cuda");
  TargetOptions options;
  options.MCOptions.AsmVerbose = false;
  return std::unique_ptr<TargetMachine>(
      nvptx64(triple).createTargetMachine(triple, target.name, "+ptx" + std::to_string(target.ptxVersion), options,
                                          std::nullopt, std::nullopt, CodeGenOptLevel::Default));
}

static FunctionPassManager scalarPasses() {
  FunctionPassManager passes;
  passes.addPass(SROAPass(SROAOptions::ModifyCFG));
  passes.addPass(EarlyCSEPass(/*UseMemorySSA=*/true));
  passes.addPass(InstCombinePass());
  passes.addPass(SimplifyCFGPass());
  return passes;
}

CodeGenerator::CodeGenerator(const NvptxTarget &target) : machine(makeMachine(target)) {
  PassBuilder builder(machine.get());
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);

  shortPipeline.addPass(createModuleToFunctionPassAdaptor(scalarPasses()));
  inliningPipeline.addPass(AlwaysInlinerPass(/*InsertLifetime=*/false));
  inliningPipeline.addPass(createModuleToFunctionPassAdaptor(scalarPasses()));
  inliningPipeline.addPass(GlobalDCEPass());

  machine->addPassesToEmitFile(codegen, stream, nullptr, CodeGenFileType::AssemblyFile, /*DisableVerify=*/true);
}

namespace {
/// compiler/lower emits addresses as base plus constant and memory accesses as wide as they can be, so these passes
/// find nothing (the same PTX instructions and registers in every kernel measured) and take a quarter of code
/// generation, half of it in large kernels.
class PassGate : public OptPassGate {
  bool isEnabled() const override { return true; }
  bool shouldRunPass(StringRef pass, StringRef) const override {
    static constexpr StringLiteral skipped[] = {"slsr",
                                                "early-cse",
                                                "nary-reassociate",
                                                "Speculatively execute instructions",
                                                "consthoist",
                                                "mergeicmps",
                                                "expand-memcmp",
                                                "partially-inline-libcalls",
                                                "load-store-vectorizer"};
    return !is_contained(skipped, pass);
  }
};
} // namespace

OptPassGate &CodeGenerator::passGate() {
  static PassGate gate;
  return gate;
}

using Generators = std::vector<std::pair<const NvptxTarget *, std::unique_ptr<CodeGenerator>>>;
static Generators &threadGenerators() {
  thread_local Generators generators;
  return generators;
}

CodeGenerator &CodeGenerator::forThread(const NvptxTarget &target) {
  Generators &generators = threadGenerators();
  for (auto &[key, generator] : generators)
    if (key == &target) return *generator;
  return *generators.emplace_back(&target, std::make_unique<CodeGenerator>(target)).second;
}

void abandonNvptxThreadState() {
  for (auto &[key, generator] : threadGenerators()) (void)generator.release();
  threadGenerators().clear();
}

void CodeGenerator::prepare(Module &module) const {
  module.setTargetTriple(machine->getTargetTriple());
  module.setDataLayout(machine->createDataLayout());
}

void CodeGenerator::optimize(Module &module, bool inlines) {
  (inlines ? inliningPipeline : shortPipeline).run(module, modules);
  // The managers outlive the module: what they know of it must go.
  loops.clear();
  functions.clear();
  sccs.clear();
  modules.clear();
}

StringRef CodeGenerator::emit(Module &module) {
  text.clear();
  codegen.run(module);
  return text;
}

} // namespace moec::compiler
