#include "compiler/Compilation.h"

#include "compiler/Source.h"
#include "compiler/ir/TileGpu.h"
#include "compiler/pipeline.h"
#include "compiler/target/nvptx/NvJitLink.h"
#include "compiler/target/nvptx/Resources.h"
#include "compiler/target/sim/SimTarget.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/Support/JSON.h"
#include <chrono>
#include <cstdlib>

using namespace llvm;

namespace moec::compiler {

namespace {

/// What a compile produces besides IR; every step adds to it.
class Compilation {
public:
  explicit Compilation(const CompileJob &job) : job(job), collector(threadContext()) {}
  CompileOutcome run();

private:
  using Clock = std::chrono::steady_clock;

  bool fail(MoecStatus status, const Twine &message) {
    collector.add({"error", "", 0, 0, message.str()});
    outcome.status = status;
    return false;
  }
  bool fail(Error error, MoecStatus otherwise) {
    MoecStatus status = error.isA<ToolError>() ? MOEC_TOOL_ERROR : otherwise;
    return fail(status, toString(std::move(error)));
  }

  bool readRequest();
  bool parse();
  bool lower();
  bool emitForGpu();
  bool emitForSim();
  bool assemble(StringRef ptx);
  void describeKernel();
  void describeStages();

  const CompileJob &job;
  DiagnosticCollector collector;
  CompileOutcome outcome;
  CompileOptions options;
  Phase last = Phase::Binary;
  bool wantsResources = false; ///< emit=resources: the binary's info instead of the binary
  bool wantsCubin = false;     ///< emit=cubin: a PTX for the driver is not good enough
  mlir::OwningOpRef<mlir::ModuleOp> module;
  json::Object info;
  std::vector<std::pair<std::string, double>> stages;
  StageTiming timing = [this](StringRef stage, double ms) { stages.push_back({stage.str(), ms}); };
};

bool Compilation::readRequest() {
  Expected<CompileOptions> parsed = parseOptions(job.options);
  if (!parsed) return fail(parsed.takeError(), MOEC_USER_ERROR);
  options = std::move(*parsed);
  wantsResources = job.emit == "resources";
  wantsCubin = job.emit == "cubin";
  std::string names;
  for (const PhaseInfo &phase : phases()) {
    if (phase.name == job.emit) last = phase.phase;
    names += (phase.name + ", ").str();
  }
  bool known = wantsResources || wantsCubin || any_of(phases(), [&](const PhaseInfo &p) { return p.name == job.emit; });
  if (!known) return fail(MOEC_USER_ERROR, "emit=" + job.emit + " is unknown (known: " + names + "cubin, resources)");
  if (options.isSim() && (last == Phase::Ptx || wantsCubin))
    return fail(MOEC_USER_ERROR, "emit=" + job.emit + ": the simulated GPU (target=" + options.targetName +
                                     ") has none; use emit=nvvm, llvm or binary");
  return true;
}

bool Compilation::parse() {
  auto start = Clock::now();
  module = parseSource(threadContext(), job.source, job.ordinalLocations, collector);
  timing("parse", std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  if (!module) {
    outcome.status = MOEC_USER_ERROR;
    return false;
  }
  bool hasKernel = any_of(module->getOps(), [](mlir::Operation &op) {
    return isa<tile::KernelOp>(op) || op.hasAttr(mlir::NVVM::NVVMDialect::getKernelFuncAttrName());
  });
  return hasKernel ||
         fail(MOEC_USER_ERROR, "the text has no kernel: neither a tile.kernel nor an llvm.func with nvvm.kernel");
}

/// Which phase the source begins in.
Phase firstPhase(mlir::ModuleOp module) {
  auto kernels = module.getOps<tile::KernelOp>();
  if (kernels.empty()) return Phase::Llvm;
  auto hasLayout = [](mlir::Type type) {
    auto tensor = dyn_cast<mlir::RankedTensorType>(type);
    return tensor && tensor.getEncoding();
  };
  bool layouts = (*kernels.begin())
                     ->walk([&](mlir::Operation *op) {
                       return any_of(op->getResultTypes(), hasLayout) ? mlir::WalkResult::interrupt()
                                                                      : mlir::WalkResult::advance();
                     })
                     .wasInterrupted();
  return layouts ? Phase::TileGpu : Phase::Tile;
}

bool Compilation::lower() {
  Phase from = firstPhase(*module);
  if (from == Phase::Llvm) return true;
  Phase to = std::min(last, Phase::Nvvm);
  if (mlir::failed(runPhases(*module, from, to, options, timing))) {
    if (collector.hasErrors()) {
      outcome.status = MOEC_USER_ERROR;
      return false;
    }
    return fail(MOEC_INTERNAL_ERROR, "a pass failed without saying why");
  }
  return true;
}

void Compilation::describeKernel() {
  info["target"] = options.targetName;
  info["threads"] = 32 * options.numWarps;
  if (auto shared = module->getOperation()->getAttrOfType<mlir::IntegerAttr>("tilegpu.shared_bytes"))
    info["shared_bytes"] = shared.getInt();
  else
    info["shared_bytes"] = 0;
  for (auto kernel : module->getOps<tile::KernelOp>()) info["kernel"] = kernel.getSymName();
  for (auto function : module->getOps<mlir::LLVM::LLVMFuncOp>()) {
    if (!function->hasAttr(mlir::NVVM::NVVMDialect::getKernelFuncAttrName())) continue;
    info["kernel"] = function.getSymName();
    if (auto reqntid =
            function->getAttrOfType<mlir::DenseI32ArrayAttr>(mlir::NVVM::NVVMDialect::getReqntidAttrName())) {
      int64_t threads = 1;
      for (int32_t n : reqntid.asArrayRef()) threads *= n;
      info["threads"] = threads;
    }
  }
}

void Compilation::describeStages() {
  json::Array list;
  double total = 0;
  for (auto &[name, ms] : stages) {
    list.push_back(json::Object{{"name", name}, {"ms", ms}});
    total += ms;
  }
  info["stages"] = std::move(list);
  info["total_ms"] = total;
}

bool Compilation::emitForGpu() {
  NvptxOptions nvptx;
  nvptx.lineInfo = options.lineInfo;
  nvptx.verify = options.verifyEach;
  nvptx.timing = timing;
  nvptx.stopAtLlvm = last == Phase::Llvm;
  if (nvptx.stopAtLlvm) nvptx.llvmIr = &outcome.output;
  Expected<std::string> ptx = compileToPtx(*module, *options.gpu, nvptx);
  if (!ptx) return fail(ptx.takeError(), MOEC_INTERNAL_ERROR);
  if (nvptx.stopAtLlvm) return true;
  info["ptx_bytes"] = int64_t(ptx->size());
  if (last == Phase::Ptx) {
    outcome.output = std::move(*ptx);
    return true;
  }
  // Without nvJitLink the driver assembles: the binary is then PTX text. A library that was named must be there: cache
  // keys name it.
  const NvJitLinkFacts &linker = nvJitLinkFacts(options.nvJitLink);
  if (!linker.path.empty())
    info["assembler"] =
        json::Object{{"path", linker.path}, {"version", (Twine(linker.major) + "." + Twine(linker.minor)).str()}};
  bool named = !options.nvJitLink.empty() && options.nvJitLink != "none";
  if (linker.path.empty() && !named && !wantsCubin && !wantsResources) {
    info["format"] = "ptx";
    outcome.output = std::move(*ptx);
    return true;
  }
  return assemble(*ptx);
}

bool Compilation::assemble(StringRef ptx) {
  auto start = Clock::now();
  Expected<Cubin> cubin = assemblePtx(ptx, options.targetName, options.lineInfo, options.nvJitLink);
  timing("nvjitlink", std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  if (!cubin) return fail(cubin.takeError(), MOEC_TOOL_ERROR);
  if (!cubin->warnings.empty()) collector.add({"warning", "", 0, 0, "nvJitLink: " + cubin->warnings});
  if (options.verbose) collector.add({"remark", "", 0, 0, cubin->statistics});
  Expected<KernelResources> resources = readResources(cubin->bytes, cubin->statistics);
  if (!resources) return fail(resources.takeError(), MOEC_INTERNAL_ERROR);
  info["format"] = "cubin";
  info["registers"] = resources->registers;
  info["spill_bytes"] = resources->spillBytes;
  info["local_bytes"] = resources->stackBytes;
  info["static_shared_bytes"] = resources->sharedBytes;
  info["barriers"] = resources->barriers;
  info["code_bytes"] = resources->codeBytes;
  outcome.output = std::move(cubin->bytes);
  return true;
}

bool Compilation::emitForSim() {
  SimTargetOptions sim;
  sim.level = options.simLevel;
  sim.checked = options.checked;
  sim.smArch = options.computeCapability;
  sim.timing = timing;
  if (last == Phase::Llvm) sim.llvmIr = &outcome.output;
  Expected<SimImage> image = compileForSim(*module, sim);
  if (!image) return fail(image.takeError(), MOEC_INTERNAL_ERROR);
  if (last == Phase::Llvm) return true;
  info["format"] = "sim";
  info["entry_offset"] = int64_t(image->entryOffset);
  outcome.output.assign(image->bytes.begin(), image->bytes.end());
  return true;
}

CompileOutcome Compilation::run() {
  bool ok = readRequest() && parse() && lower();
  if (ok) {
    describeKernel();
    if (last <= Phase::Nvvm)
      raw_string_ostream(outcome.output) << **module << "\n";
    else
      ok = options.isSim() ? emitForSim() : emitForGpu();
  }
  describeStages();
  if (!ok) {
    outcome.output.clear();
    if (outcome.status == MOEC_OK) outcome.status = MOEC_INTERNAL_ERROR;
  }
  outcome.diagnostics = collector.text();
  raw_string_ostream(outcome.info) << json::Value(std::move(info));
  if (ok && wantsResources) outcome.output = outcome.info + "\n";
  return std::move(outcome);
}

} // namespace

/// A compile takes some megabytes and gives them back. glibc hands a heap's free end of 128 KB and more to the kernel
/// at once, and the next compile pays for 800 page faults, a millisecond. Once a block of 16 MB has been freed, it
/// waits for twice that; a host that set its own thresholds keeps them.
static void keepHeapBetweenCompiles() {
  [[maybe_unused]] static const bool once = [] {
    void *volatile block = std::malloc(16 << 20); // never touched
    std::free(block);
    return true;
  }();
}

CompileOutcome compile(const CompileJob &job) {
  keepHeapBetweenCompiles();
  return Compilation(job).run();
}

} // namespace moec::compiler
