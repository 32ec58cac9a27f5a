// Arithmetic that gives NaN gives one and the same NaN, as a GPU does: all bits but the sign set (in f64, too, where a
// GPU keeps an operand's payload by rules that PTX leaves open). An x86-64 instruction gives one of its operands' NaNs,
// and which one depends on the code. Only results whose bits anyone can see are treated: what only feeds further
// arithmetic or comparisons is left alone.
#include "compiler/target/sim/SimLowering.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"

using namespace llvm;

namespace moec::compiler::simtarget {
namespace {

/// Operations that compute a float, as opposed to those that move or change bits.
bool computes(const Instruction &inst) {
  switch (inst.getOpcode()) {
  case Instruction::FAdd:
  case Instruction::FSub:
  case Instruction::FMul:
  case Instruction::FDiv:
  case Instruction::FPTrunc:
  case Instruction::FPExt: return true;
  default: break;
  }
  const auto *call = dyn_cast<IntrinsicInst>(&inst);
  if (!call) return false;
  switch (call->getIntrinsicID()) {
  case Intrinsic::fma:
  case Intrinsic::sqrt:
  case Intrinsic::floor:
  case Intrinsic::ceil:
  case Intrinsic::trunc:
  case Intrinsic::rint:
  case Intrinsic::nearbyint:
  case Intrinsic::round:
  case Intrinsic::roundeven: return true;
  default: return false;
  }
}

bool isRoot(const Instruction &inst) {
  const auto *call = dyn_cast<IntrinsicInst>(&inst);
  return call && call->getIntrinsicID() == Intrinsic::sqrt;
}

/// Operations whose result does not depend on which NaN they are given.
bool ignoresPayload(const Instruction &inst) {
  if (computes(inst) || isa<FCmpInst, FPToSIInst, FPToUIInst>(inst)) return true;
  const auto *call = dyn_cast<IntrinsicInst>(&inst);
  return call && (call->getIntrinsicID() == Intrinsic::fptosi_sat || call->getIntrinsicID() == Intrinsic::fptoui_sat);
}

bool movesWhole(const Instruction &inst) {
  return isa<PHINode, SelectInst, FreezeInst, ExtractElementInst, InsertElementInst, ShuffleVectorInst>(inst);
}

/// Whether anyone looks at the bits of `inst`, directly or after they were moved.
bool observed(Instruction *inst, SmallPtrSetImpl<Instruction *> &seen) {
  if (!seen.insert(inst).second) return false;
  return any_of(inst->users(), [&](User *user) {
    auto *next = cast<Instruction>(user);
    return !ignoresPayload(*next) && (!movesWhole(*next) || observed(next, seen));
  });
}

void canonicalize(Instruction *inst) {
  Type *type = inst->getType();
  unsigned bits = type->getScalarSizeInBits();
  Constant *nan =
      ConstantFP::get(type, APFloat(type->getScalarType()->getFltSemantics(), APInt::getSignedMaxValue(bits)));
  IRBuilder<> b(inst->getNextNode());
  Value *probe = isa<FPTruncInst>(inst) ? inst->getOperand(0) : inst; // f16 cannot be compared everywhere
  Value *isNan = b.CreateFCmpUNO(probe, probe);
  auto *result = cast<Instruction>(b.CreateSelect(isNan, nan, inst));
  inst->replaceUsesWithIf(result, [&](Use &use) { return use.getUser() != result && use.getUser() != isNan; });
}

} // namespace

void canonicalizeNans(Module &module, bool roots) {
  for (Function &function : module) {
    SmallVector<Instruction *> work;
    for (Instruction &inst : instructions(function)) {
      SmallPtrSet<Instruction *, 16> seen;
      if (computes(inst) && isRoot(inst) == roots && observed(&inst, seen)) work.push_back(&inst);
    }
    for (Instruction *inst : work) canonicalize(inst);
  }
}

} // namespace moec::compiler::simtarget
