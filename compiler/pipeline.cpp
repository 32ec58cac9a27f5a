#include "compiler/pipeline.h"

#include "compiler/passes/Passes.h"

#include "mlir/Pass/PassInstrumentation.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include <chrono>

using namespace mlir;

namespace moec::compiler {

static constexpr PhaseInfo phaseTable[] = {
    {Phase::Tile, "tile",
     "Views are pointers, offsets and masks; masks that the shape contract proves are gone; what loops repeat is "
     "outside them."},
    {Phase::Layouts, "layouts", "Every tile has a layout; operands of dots come through shared memory, copied ahead."},
    {Phase::TileGpu, "tilegpu",
     "Shared memory has offsets and barriers. A hand-written kernel with layouts begins with this phase."},
    {Phase::Nvvm, "nvvm",
     "One thread's program in the LLVM and NVVM dialects, the last form that the GPU and the simulated GPU share."},
    {Phase::Llvm, "llvm", "LLVM IR after our short list of LLVM passes, as code generation gets it."},
    {Phase::Ptx, "ptx", "PTX text (real GPUs only)."},
    {Phase::Binary, "binary", "A cubin, or the simulated GPU's x86-64 code image."},
};

llvm::ArrayRef<PhaseInfo> phases() { return phaseTable; }

static void addCleanup(OpPassManager &kernel) {
  kernel.addPass(createTileCanonicalize());
  kernel.addPass(createCSEPass());
}

static void addTilePasses(OpPassManager &module, const CompileOptions &options) {
  OpPassManager &kernel = module.nest<tile::KernelOp>();
  kernel.addPass(createTileLowerViews({.checkIndices = options.checked}));
  addCleanup(kernel);
  kernel.addPass(createTileSimplifyMasks());
  kernel.addPass(createTileLegalizeDots());
  if (options.contractFma) kernel.addPass(createTileContractFma());
  addCleanup(kernel);
  kernel.addPass(createLoopInvariantCodeMotionPass());
}

static void addLayoutPasses(OpPassManager &module, const CompileOptions &options) {
  OpPassManager &kernel = module.nest<tile::KernelOp>();
  kernel.addPass(createTileGpuAssignLayouts({.numWarps = options.numWarps}));
  kernel.addPass(createTileGpuRemoveConversions());
  addCleanup(kernel);
  kernel.addPass(createTileGpuPipelineLoops({.numStages = options.numStages}));
  addCleanup(kernel);
}

static void addTileGpuPasses(OpPassManager &module, const CompileOptions &options) {
  module.addPass(createTileGpuAllocateShared({.numWarps = options.numWarps}));
  module.nest<tile::KernelOp>().addPass(createTileGpuInsertBarriers({.numWarps = options.numWarps}));
}

static void addNvvmPasses(OpPassManager &module, const CompileOptions &options) {
  module.addPass(
      createTileGpuLowerToNvvm({.numWarps = options.numWarps, .computeCapability = options.computeCapability}));
}

void addPhasePasses(OpPassManager &manager, Phase phase, const CompileOptions &options) {
  switch (phase) {
  case Phase::Tile: return addTilePasses(manager, options);
  case Phase::Layouts: return addLayoutPasses(manager, options);
  case Phase::TileGpu: return addTileGpuPasses(manager, options);
  case Phase::Nvvm: return addNvvmPasses(manager, options);
  default: return;
  }
}

namespace {

/// Tells the current listener how long each pass took.
struct Timer : PassInstrumentation {
  using Clock = std::chrono::steady_clock;
  const StageTiming *listener = nullptr;
  std::vector<Clock::time_point> starts;

  // Adaptors, which have no argument, only run other passes.
  static bool counts(Pass *pass) { return !pass->getArgument().empty(); }
  void runBeforePass(Pass *pass, Operation *) override {
    if (counts(pass)) starts.push_back(Clock::now());
  }
  void runAfterPass(Pass *pass, Operation *) override { finish(pass); }
  void runAfterPassFailed(Pass *pass, Operation *) override { finish(pass); }
  void finish(Pass *pass) {
    if (!counts(pass)) return;
    double ms = std::chrono::duration<double, std::milli>(Clock::now() - starts.back()).count();
    starts.pop_back();
    if (listener && *listener) (*listener)(pass->getArgument(), ms);
  }
};

/// A pass manager for some phases and the options that its passes depend on, kept because building one (patterns!)
/// costs more than running it.
struct KeptManager {
  MLIRContext *context;
  Phase from, to;
  CompileOptions options;
  std::unique_ptr<PassManager> manager;
  Timer *timer;

  bool fits(MLIRContext *c, Phase f, Phase t, const CompileOptions &o) const {
    return context == c && from == f && to == t && options.targetName == o.targetName &&
           options.computeCapability == o.computeCapability && options.numWarps == o.numWarps &&
           options.numStages == o.numStages && options.contractFma == o.contractFma &&
           options.verifyEach == o.verifyEach && options.dumpFolder == o.dumpFolder;
  }
};

constexpr size_t maxKept = 16;

} // namespace

static KeptManager makeManager(MLIRContext *context, Phase from, Phase to, const CompileOptions &options) {
  KeptManager kept{context, from, to, options, std::make_unique<PassManager>(context), nullptr};
  kept.manager->enableVerifier(options.verifyEach);
  auto timer = std::make_unique<Timer>();
  kept.timer = timer.get();
  kept.manager->addInstrumentation(std::move(timer));
  if (!options.dumpFolder.empty())
    kept.manager->enableIRPrintingToFileTree([](Pass *, Operation *) { return false; },
                                             [](Pass *, Operation *) { return true; },
                                             /*printModuleScope=*/true, /*printAfterOnlyOnChange=*/false,
                                             /*printAfterOnlyOnFailure=*/false, options.dumpFolder);
  for (const PhaseInfo &info : phaseTable)
    if (info.phase >= from && info.phase <= to) addPhasePasses(*kept.manager, info.phase, options);
  return kept;
}

LogicalResult runPhases(ModuleOp module, Phase from, Phase to, const CompileOptions &options,
                        const StageTiming &timing) {
  thread_local std::vector<KeptManager> keptManagers;
  MLIRContext *context = module.getContext();
  auto it = llvm::find_if(keptManagers, [&](const KeptManager &k) { return k.fits(context, from, to, options); });
  if (it == keptManagers.end()) {
    if (keptManagers.size() == maxKept) keptManagers.erase(keptManagers.begin());
    keptManagers.push_back(makeManager(context, from, to, options));
    it = std::prev(keptManagers.end());
  }
  it->timer->listener = &timing;
  it->timer->starts.clear();
  LogicalResult result = it->manager->run(module);
  it->timer->listener = nullptr;
  return result;
}

namespace {
struct PipelineOptions : PassPipelineOptions<PipelineOptions> {
  Option<std::string> options{*this, "options", llvm::cl::desc("compile options, key=value;..."),
                              llvm::cl::init("target=sm_90a")};
};

template <Phase last> void addUpTo(OpPassManager &manager, const PipelineOptions &text) {
  llvm::Expected<CompileOptions> options = parseOptions(text.options);
  if (!options) llvm::report_fatal_error(options.takeError(), /*gen_crash_diag=*/false);
  for (const PhaseInfo &info : phaseTable)
    if (info.phase <= last) addPhasePasses(manager, info.phase, *options);
}
} // namespace

void registerPipelines() {
  static PassPipelineRegistration<PipelineOptions> tile("moec-tile", "all passes up to phase tile",
                                                        addUpTo<Phase::Tile>);
  static PassPipelineRegistration<PipelineOptions> layouts("moec-layouts", "all passes up to phase layouts",
                                                           addUpTo<Phase::Layouts>);
  static PassPipelineRegistration<PipelineOptions> tilegpu("moec-tilegpu", "all passes up to phase tilegpu",
                                                           addUpTo<Phase::TileGpu>);
  static PassPipelineRegistration<PipelineOptions> nvvm("moec-nvvm", "all passes up to phase nvvm",
                                                        addUpTo<Phase::Nvvm>);
}

} // namespace moec::compiler
