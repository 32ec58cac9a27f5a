// tilegpu-lower-to-nvvm: see Passes.td. The work is in compiler/lower.
#include "compiler/lower/Lowering.h"
#include "compiler/passes/Passes.h"

namespace moec::compiler {
#define GEN_PASS_DEF_TILEGPULOWERTONVVM
#include "compiler/passes/Passes.h.inc"
} // namespace moec::compiler

namespace {
struct LowerToNvvmPass : moec::compiler::impl::TileGpuLowerToNvvmBase<LowerToNvvmPass> {
  using TileGpuLowerToNvvmBase::TileGpuLowerToNvvmBase;
  void runOnOperation() override {
    moec::compiler::LoweringOptions options{.numWarps = numWarps, .computeCapability = computeCapability};
    if (failed(moec::compiler::Lowering(getOperation(), options).run())) signalPassFailure();
  }
};
} // namespace
