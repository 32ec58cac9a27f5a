#include "compiler/target/nvptx/Nvptx.h"

using namespace moec::compiler;

// PTX versions: new enough for the instructions that we use on the generation (8.6 on Hopper: TMA into shared::cta),
// and else as old as possible, so that a driver that has to compile our PTX need not be recent.
static constexpr NvptxTarget targets[] = {
    {"sm_80", 80, 80},   {"sm_86", 86, 80},    {"sm_87", 87, 80},   {"sm_89", 89, 81},
    {"sm_90", 90, 86},   {"sm_90a", 90, 86},   {"sm_100", 100, 86}, {"sm_100a", 100, 86},
    {"sm_103", 103, 88}, {"sm_103a", 103, 88}, {"sm_110", 110, 90}, {"sm_110a", 110, 90},
    {"sm_120", 120, 87}, {"sm_120a", 120, 87}, {"sm_121", 121, 88}, {"sm_121a", 121, 88},
};

llvm::ArrayRef<NvptxTarget> moec::compiler::nvptxTargets() { return targets; }

const NvptxTarget *moec::compiler::findNvptxTarget(llvm::StringRef name) {
  for (const NvptxTarget &target : targets)
    if (target.name == name) return &target;
  return nullptr;
}
