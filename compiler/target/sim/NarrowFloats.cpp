// bf16 and f16 values become integers of the same bits. x86-64 code generation promotes such values to f32 wherever
// they are selected, merged or live across blocks, and comes back by library calls; as integers they are only moved.
#include "compiler/target/sim/SimLowering.h"
#include "llvm/ADT/PostOrderIterator.h"
#include "llvm/IR/CFG.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Module.h"

using namespace llvm;

namespace moec::compiler::simtarget {
namespace {

bool isNarrow(Type *type) {
  Type *scalar = type->getScalarType();
  return scalar->isHalfTy() || scalar->isBFloatTy();
}

/// Gives every narrow value of a function an integer twin and moves all uses that allow it over.
class Demoter {
public:
  explicit Demoter(Function &function) : function(function), b(function.getContext()) {}

  void run() {
    if (none_of(instructions(function), [](Instruction &i) {
          return isNarrow(i.getType()) || any_of(i.operands(), [](Use &u) { return isNarrow(u->getType()); });
        }))
      return;
    SmallVector<Instruction *> order;
    for (BasicBlock *block : ReversePostOrderTraversal<Function *>(&function))
      for (Instruction &inst : *block) order.push_back(&inst);
    for (Instruction *inst : order) // first, as they may be used before they are complete
      if (auto *phi = dyn_cast<PHINode>(inst); phi && isNarrow(phi->getType())) {
        b.SetInsertPoint(phi);
        twins[phi] = b.CreatePHI(integer(phi->getType()), phi->getNumIncomingValues());
      }
    for (Instruction *inst : order) visit(inst);
    for (auto [phi, merged] : phis)
      for (unsigned i = 0; i < phi->getNumIncomingValues(); ++i)
        merged->addIncoming(twin(phi->getIncomingValue(i)), phi->getIncomingBlock(i));
    for (Instruction *inst : dead) inst->replaceAllUsesWith(PoisonValue::get(inst->getType()));
    for (Instruction *inst : dead) inst->eraseFromParent();
  }

private:
  Type *integer(Type *type) {
    if (auto *vector = dyn_cast<FixedVectorType>(type))
      return FixedVectorType::get(b.getInt16Ty(), vector->getNumElements());
    return b.getInt16Ty();
  }
  Value *twin(Value *v) {
    if (auto *constant = dyn_cast<Constant>(v)) return ConstantExpr::getBitCast(constant, integer(v->getType()));
    if (auto it = twins.find(v); it != twins.end()) return it->second;
    return b.CreateBitCast(v, integer(v->getType())); // an argument, or code that is never reached
  }

  /// bf16 to f32.
  Value *extended(Value *v) {
    Type *i32 = v->getType()->getWithNewType(b.getInt32Ty()), *f32 = v->getType()->getWithNewType(b.getFloatTy());
    return b.CreateBitCast(b.CreateShl(b.CreateZExt(twin(v), i32), 16), f32);
  }

  void visit(Instruction *inst) {
    if (auto *phi = dyn_cast<PHINode>(inst)) {
      if (twins.contains(phi)) phis.push_back({phi, cast<PHINode>(twins[phi])}), dead.push_back(phi);
      return;
    }
    b.SetInsertPoint(inst);
    if (isNarrow(inst->getType())) {
      if (Value *value = moved(inst)) {
        twins[inst] = value;
        dead.push_back(inst);
        return;
      }
      useBits(inst); // makes a narrow value by arithmetic or conversion: its bits are taken right behind it
      b.SetInsertPoint(inst->getNextNode());
      twins[inst] = b.CreateBitCast(inst, integer(inst->getType()));
      return;
    }
    if (auto *toInteger = dyn_cast<BitCastInst>(inst); toInteger && isNarrow(toInteger->getSrcTy())) {
      inst->replaceAllUsesWith(b.CreateBitCast(twin(inst->getOperand(0)), inst->getType()));
      dead.push_back(inst);
    } else if (auto *store = dyn_cast<StoreInst>(inst); store && isNarrow(store->getValueOperand()->getType())) {
      store->setOperand(0, twin(store->getValueOperand()));
    } else if (isa<FCmpInst>(inst) && inst->getOperand(0)->getType()->getScalarType()->isBFloatTy()) {
      // InstCombine makes these of comparisons of extended values; for some the code generator calls conversions.
      for (Use &use : inst->operands()) use.set(extended(use.get()));
    } else {
      useBits(inst);
    }
  }

  /// The twin of an instruction that only moves bits, or null.
  Value *moved(Instruction *inst) {
    Type *type = integer(inst->getType());
    switch (inst->getOpcode()) {
    case Instruction::BitCast: {
      Value *source = inst->getOperand(0);
      return b.CreateBitCast(isNarrow(source->getType()) ? twin(source) : source, type);
    }
    case Instruction::Load: {
      auto *load = cast<LoadInst>(inst);
      LoadInst *bits = b.CreateAlignedLoad(type, load->getPointerOperand(), load->getAlign(), load->isVolatile());
      bits->setAtomic(load->getOrdering(), load->getSyncScopeID());
      return bits;
    }
    case Instruction::Select:
      return b.CreateSelect(inst->getOperand(0), twin(inst->getOperand(1)), twin(inst->getOperand(2)));
    case Instruction::Freeze: return b.CreateFreeze(twin(inst->getOperand(0)));
    case Instruction::ExtractElement: return b.CreateExtractElement(twin(inst->getOperand(0)), inst->getOperand(1));
    case Instruction::InsertElement:
      return b.CreateInsertElement(twin(inst->getOperand(0)), twin(inst->getOperand(1)), inst->getOperand(2));
    case Instruction::ShuffleVector:
      return b.CreateShuffleVector(twin(inst->getOperand(0)), twin(inst->getOperand(1)),
                                   cast<ShuffleVectorInst>(inst)->getShuffleMask());
    default: return nullptr;
    }
  }

  /// Uses by other instructions: the narrow value is made again in front of them.
  void useBits(Instruction *inst) {
    for (Use &use : inst->operands())
      if (isNarrow(use->getType()) && !isa<Constant>(use.get()))
        use.set(b.CreateBitCast(twin(use.get()), use->getType()));
  }

  Function &function;
  IRBuilder<> b;
  DenseMap<Value *, Value *> twins;
  SmallVector<std::pair<PHINode *, PHINode *>> phis;
  SmallVector<Instruction *> dead;
};

} // namespace

void demoteNarrowFloats(Module &module) {
  for (Function &function : module)
    if (!function.isDeclaration()) Demoter(function).run();
}

} // namespace moec::compiler::simtarget
