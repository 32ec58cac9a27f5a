// What turns one LLVM module after another into PTX for one target; kept per thread, because building it costs more
// than using it.
#pragma once

#include "compiler/target/nvptx/Nvptx.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/OptBisect.h"
#include "llvm/IR/PassManager.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"

namespace moec::compiler {

class CodeGenerator {
public:
  explicit CodeGenerator(const NvptxTarget &target);
  CodeGenerator(const CodeGenerator &) = delete;
  CodeGenerator &operator=(const CodeGenerator &) = delete;

  /// This thread's generator for the target.
  static CodeGenerator &forThread(const NvptxTarget &target);

  /// Which of LLVM's own passes code generation runs: for LLVMContext::setOptPassGate.
  static llvm::OptPassGate &passGate();

  /// Triple, data layout: what every module must have before `optimize`.
  void prepare(llvm::Module &module) const;
  /// The passes that make good PTX out of what compiler/lower emits. `inlines`: module functions were linked in.
  void optimize(llvm::Module &module, bool inlines);
  /// The module's PTX; the text is valid until the next call. Consumes the module's IR.
  llvm::StringRef emit(llvm::Module &module);

private:
  std::unique_ptr<llvm::TargetMachine> machine;
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  llvm::ModulePassManager shortPipeline;
  llvm::ModulePassManager inliningPipeline;
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream{text};
  llvm::legacy::PassManager codegen;
};

} // namespace moec::compiler
