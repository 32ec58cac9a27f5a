// The IR half of "equal bits at every x86-64 level": types and operations that CPUs have differently, or not at all,
// are spelled out. bf16 and f16 arithmetic is f32 arithmetic rounded by explicit code, fused multiply-add is an
// instruction or our own function, integer division does not trap, conversions to integers saturate as PTX's do,
// fast-math flags go.
#include "compiler/target/sim/SimLowering.h"
#include "llvm/CodeGen/AtomicExpandUtils.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"

using namespace llvm;

namespace moec::compiler::simtarget {
namespace {

bool isNarrow(Type *type) {
  Type *scalar = type->getScalarType();
  return scalar->isHalfTy() || scalar->isBFloatTy();
}

/// `scalar`, or a vector of it as long as `shape` is.
Type *likeShape(Type *scalar, Type *shape) {
  if (auto *vector = dyn_cast<FixedVectorType>(shape)) return FixedVectorType::get(scalar, vector->getNumElements());
  return scalar;
}

class Legalizer {
public:
  Legalizer(Module &module, const SimTargetOptions &options)
      : module(module), b(module.getContext()), hasFma(options.level != "v2"), hasF16c(options.level != "v2") {}

  void run(DenseSet<Function *> &done) {
    for (Function &function : module) {
      if (function.isDeclaration() || !done.insert(&function).second) continue;
      SmallVector<Instruction *> work;
      expandFloatAtomics(function);
      for (Instruction &inst : instructions(function)) work.push_back(&inst);
      for (Instruction *inst : work) visit(inst);
    }
  }

private:
  void visit(Instruction *inst);
  Value *lower(Instruction *inst);
  Value *lowerIntrinsic(IntrinsicInst *call);
  Value *lowerDivision(BinaryOperator *op);
  Value *lowerToInteger(CastInst *cast);
  Value *lowerFromInteger(CastInst *cast);
  void expandFloatAtomics(Function &function);

  Value *extend(Value *value);
  Value *truncate(Value *value, Type *narrow);
  /// Calls a support function per element; `result` is the whole's type, `name` without "moec.".
  Value *callScalar(StringRef name, Type *result, ArrayRef<Value *> args);

  Module &module;
  IRBuilder<> b;
  bool hasFma, hasF16c;
};

Value *Legalizer::callScalar(StringRef name, Type *result, ArrayRef<Value *> args) {
  Type *scalar = result->getScalarType();
  auto callOne = [&](ArrayRef<Value *> operands) -> Value * {
    SmallVector<Value *> values;
    SmallVector<Type *> types;
    for (Value *operand : operands) {
      if (isNarrow(operand->getType())) operand = b.CreateBitCast(operand, b.getInt16Ty());
      values.push_back(operand);
      types.push_back(operand->getType());
    }
    Type *returned = isNarrow(scalar) ? b.getInt16Ty() : scalar;
    auto callee = module.getOrInsertFunction(("moec." + name).str(), FunctionType::get(returned, types, false));
    Value *value = b.CreateCall(callee, values);
    return isNarrow(scalar) ? b.CreateBitCast(value, scalar) : value;
  };
  auto *vector = dyn_cast<FixedVectorType>(result);
  if (!vector) return callOne(args);
  Value *whole = PoisonValue::get(result);
  for (unsigned i = 0; i < vector->getNumElements(); ++i) {
    SmallVector<Value *> elements;
    for (Value *arg : args) elements.push_back(b.CreateExtractElement(arg, i));
    whole = b.CreateInsertElement(whole, callOne(elements), i);
  }
  return whole;
}

/// f16 or bf16 to f32, exactly.
Value *Legalizer::extend(Value *value) {
  Type *type = value->getType(), *f32 = likeShape(b.getFloatTy(), type);
  if (type->getScalarType()->isHalfTy())
    return hasF16c ? b.CreateFPExt(value, f32) : callScalar("f16.to.f32", f32, value);
  Type *i32 = likeShape(b.getInt32Ty(), type);
  Value *raw = b.CreateZExt(b.CreateBitCast(value, likeShape(b.getInt16Ty(), type)), i32);
  return b.CreateBitCast(b.CreateShl(raw, 16), f32);
}

/// f32 or f64 to f16 or bf16, rounded once to nearest even.
Value *Legalizer::truncate(Value *value, Type *narrow) {
  bool half = narrow->getScalarType()->isHalfTy();
  if (value->getType()->getScalarType()->isDoubleTy())
    return callScalar(half ? "f64.to.f16" : "f64.to.bf16", narrow, value);
  if (half) return hasF16c ? b.CreateFPTrunc(value, narrow) : callScalar("f32.to.f16", narrow, value);
  Type *i32 = likeShape(b.getInt32Ty(), narrow);
  Value *raw = b.CreateBitCast(value, i32);
  Value *high = b.CreateLShr(raw, 16);
  Value *rounded = b.CreateLShr(b.CreateAdd(b.CreateAdd(raw, ConstantInt::get(i32, 0x7fff)), b.CreateAnd(high, 1)), 16);
  Value *bits = b.CreateSelect(b.CreateFCmpUNO(value, value), ConstantInt::get(i32, 0x7fff), rounded);
  return b.CreateBitCast(b.CreateTrunc(bits, likeShape(b.getInt16Ty(), narrow)), narrow);
}

/// Division by zero and overflow do not trap on a GPU: x / 0 and x % 0 have all bits set, and MIN / -1 wraps. So say
/// the subroutines that ptxas makes of div and rem; of 64 bits they divide only the low 32 where both operands have no
/// others.
Value *Legalizer::lowerDivision(BinaryOperator *op) {
  Value *n = op->getOperand(0), *d = op->getOperand(1);
  bool isSigned = op->getOpcode() == Instruction::SDiv || op->getOpcode() == Instruction::SRem;
  bool remainder = op->getOpcode() == Instruction::SRem || op->getOpcode() == Instruction::URem;
  if (auto *constant = dyn_cast<Constant>(d)) {
    Constant *splat = constant->getType()->isVectorTy() ? constant->getSplatValue() : constant;
    auto *integer = dyn_cast_or_null<ConstantInt>(splat);
    if (integer && !integer->isZero() && !(isSigned && integer->isMinusOne())) return nullptr;
  }
  Type *type = op->getType();
  Constant *one = ConstantInt::get(type, 1), *zero = ConstantInt::get(type, 0), *ones = Constant::getAllOnesValue(type);
  Value *isZero = b.CreateICmpEQ(d, zero);
  Value *isMinusOne = isSigned ? b.CreateICmpEQ(d, ones) : nullptr;
  Value *safe = b.CreateSelect(isSigned ? b.CreateOr(isZero, isMinusOne) : isZero, one, d);
  Value *result = b.CreateBinOp(op->getOpcode(), n, safe);
  if (isSigned) result = b.CreateSelect(isMinusOne, remainder ? static_cast<Value *>(zero) : b.CreateNeg(n), result);
  Value *ofZero = ones;
  if (Constant *low = ConstantInt::get(type, 0xffffffffu); type->getScalarSizeInBits() == 64)
    ofZero = b.CreateSelect(b.CreateICmpULE(n, low), low, ones);
  return b.CreateSelect(isZero, ofZero, result);
}

Value *Legalizer::lowerToInteger(CastInst *cast) {
  Value *value = cast->getOperand(0);
  if (isNarrow(value->getType())) value = extend(value);
  bool isSigned = cast->getOpcode() == Instruction::FPToSI;
  unsigned bits = cast->getType()->getScalarSizeInBits();
  Type *wide = bits < 32 ? likeShape(b.getInt32Ty(), cast->getType()) : cast->getType();
  Value *result = b.CreateIntrinsic(isSigned || bits < 32 ? Intrinsic::fptosi_sat : Intrinsic::fptoui_sat,
                                    {wide, value->getType()}, {value});
  return bits < 32 ? b.CreateTrunc(result, cast->getType()) : result;
}

Value *Legalizer::lowerFromInteger(CastInst *cast) {
  if (!isNarrow(cast->getType())) return nullptr;
  Value *value = cast->getOperand(0);
  bool isSigned = cast->getOpcode() == Instruction::SIToFP;
  unsigned bits = value->getType()->getScalarSizeInBits();
  Type *f64 = likeShape(b.getDoubleTy(), cast->getType());
  Value *exact;
  if (bits > 32) {
    Type *i64 = likeShape(b.getInt64Ty(), value->getType());
    value = isSigned ? b.CreateSExt(value, i64) : b.CreateZExt(value, i64);
    exact = callScalar(isSigned ? "i64.to.f64.odd" : "u64.to.f64.odd", f64, value);
  } else {
    exact = isSigned ? b.CreateSIToFP(value, f64) : b.CreateUIToFP(value, f64);
  }
  return truncate(exact, cast->getType());
}

Value *Legalizer::lowerIntrinsic(IntrinsicInst *call) {
  Type *type = call->getType();
  Intrinsic::ID id = call->getIntrinsicID();
  SmallVector<Value *> args(call->args());
  if (id == Intrinsic::fmuladd || id == Intrinsic::fma) {
    if (isNarrow(type)) {
      Type *f64 = likeShape(b.getDoubleTy(), type);
      for (Value *&arg : args) arg = b.CreateFPExt(extend(arg), f64);
      return truncate(callScalar("fma.odd", f64, args), type);
    }
    if (!hasFma) return callScalar(type->getScalarType()->isFloatTy() ? "fma.f32" : "fma.f64", type, args);
    return id == Intrinsic::fma ? nullptr : b.CreateIntrinsic(Intrinsic::fma, type, args);
  }
  if (!isNarrow(type)) return nullptr;
  switch (id) {
  case Intrinsic::fabs:
  case Intrinsic::copysign: {
    Type *i16 = likeShape(b.getInt16Ty(), type);
    Value *magnitude = b.CreateAnd(b.CreateBitCast(args[0], i16), 0x7fff);
    if (id == Intrinsic::copysign)
      magnitude = b.CreateOr(magnitude, b.CreateAnd(b.CreateBitCast(args[1], i16), 0x8000));
    return b.CreateBitCast(magnitude, type);
  }
  case Intrinsic::minnum:
  case Intrinsic::maxnum:
  case Intrinsic::minimum:
  case Intrinsic::maximum:
  case Intrinsic::floor:
  case Intrinsic::ceil:
  case Intrinsic::trunc:
  case Intrinsic::rint:
  case Intrinsic::nearbyint:
  case Intrinsic::round:
  case Intrinsic::roundeven:
  case Intrinsic::sqrt:
  case Intrinsic::canonicalize:
  case Intrinsic::exp2:
  case Intrinsic::log2:
  case Intrinsic::sin:
  case Intrinsic::cos:
  case Intrinsic::tanh: {
    for (Value *&arg : args) arg = extend(arg);
    return truncate(b.CreateIntrinsic(id, args[0]->getType(), args), type);
  }
  default: return nullptr;
  }
}

/// The replacement of `inst`, or null to keep it.
Value *Legalizer::lower(Instruction *inst) {
  Type *type = inst->getType();
  if (auto *call = dyn_cast<IntrinsicInst>(inst)) return lowerIntrinsic(call);
  switch (inst->getOpcode()) {
  case Instruction::FAdd:
  case Instruction::FSub:
  case Instruction::FMul:
  case Instruction::FDiv: {
    if (!isNarrow(type)) return nullptr;
    Value *x = extend(inst->getOperand(0)), *y = extend(inst->getOperand(1));
    return truncate(b.CreateBinOp(static_cast<Instruction::BinaryOps>(inst->getOpcode()), x, y), type);
  }
  case Instruction::FRem: {
    if (isNarrow(type)) {
      Value *x = extend(inst->getOperand(0)), *y = extend(inst->getOperand(1));
      return truncate(callScalar("frem.f32", x->getType(), {x, y}), type);
    }
    return callScalar(type->getScalarType()->isFloatTy() ? "frem.f32" : "frem.f64", type,
                      {inst->getOperand(0), inst->getOperand(1)});
  }
  case Instruction::FNeg: {
    if (!isNarrow(type)) return nullptr;
    Type *i16 = likeShape(b.getInt16Ty(), type);
    return b.CreateBitCast(b.CreateXor(b.CreateBitCast(inst->getOperand(0), i16), 0x8000), type);
  }
  case Instruction::FCmp: {
    if (!isNarrow(inst->getOperand(0)->getType())) return nullptr;
    return b.CreateFCmp(cast<FCmpInst>(inst)->getPredicate(), extend(inst->getOperand(0)), extend(inst->getOperand(1)));
  }
  case Instruction::FPExt: {
    if (!isNarrow(inst->getOperand(0)->getType())) return nullptr;
    if (hasF16c && inst->getOperand(0)->getType()->getScalarType()->isHalfTy() && type->getScalarType()->isFloatTy())
      return nullptr;
    Value *wide = extend(inst->getOperand(0));
    return type->getScalarType()->isDoubleTy() ? b.CreateFPExt(wide, type) : wide;
  }
  case Instruction::FPTrunc: {
    if (!isNarrow(type)) return nullptr;
    Value *value = inst->getOperand(0);
    if (hasF16c && type->getScalarType()->isHalfTy() && value->getType()->getScalarType()->isFloatTy()) return nullptr;
    return truncate(value, type);
  }
  case Instruction::FPToSI:
  case Instruction::FPToUI: return lowerToInteger(cast<CastInst>(inst));
  case Instruction::SIToFP:
  case Instruction::UIToFP: return lowerFromInteger(cast<CastInst>(inst));
  case Instruction::SDiv:
  case Instruction::UDiv:
  case Instruction::SRem:
  case Instruction::URem: return lowerDivision(cast<BinaryOperator>(inst));
  default: return nullptr;
  }
}

void Legalizer::visit(Instruction *inst) {
  if (isa<FPMathOperator>(inst)) inst->copyFastMathFlags(FastMathFlags());
  // Aligned vector moves would fault where a GPU reports a misaligned address; the checked mode does that.
  if (auto *load = dyn_cast<LoadInst>(inst); load && !load->isAtomic()) load->setAlignment(Align(1));
  if (auto *store = dyn_cast<StoreInst>(inst); store && !store->isAtomic()) store->setAlignment(Align(1));
  b.SetInsertPoint(inst);
  Value *replacement = lower(inst);
  if (!replacement) return;
  inst->replaceAllUsesWith(replacement);
  inst->eraseFromParent();
}

/// Floating-point atomics become compare-and-swap loops before the arithmetic in them is legalized.
void Legalizer::expandFloatAtomics(Function &function) {
  SmallVector<AtomicRMWInst *> atomics;
  for (Instruction &inst : instructions(function))
    if (auto *rmw = dyn_cast<AtomicRMWInst>(&inst))
      if (rmw->isFloatingPointOperation()) atomics.push_back(rmw);
  for (AtomicRMWInst *rmw : atomics) {
    expandAtomicRMWToCmpXchg(rmw, [](IRBuilderBase &builder, Value *address, Value *loaded, Value *desired, Align align,
                                     AtomicOrdering order, SyncScope::ID scope, Value *&success, Value *&updated,
                                     Instruction *) {
      Type *integer = builder.getIntNTy(loaded->getType()->getPrimitiveSizeInBits());
      Value *pair = builder.CreateAtomicCmpXchg(address, builder.CreateBitCast(loaded, integer),
                                                builder.CreateBitCast(desired, integer), align, order,
                                                AtomicCmpXchgInst::getStrongestFailureOrdering(order), scope);
      success = builder.CreateExtractValue(pair, 1);
      updated = builder.CreateBitCast(builder.CreateExtractValue(pair, 0), loaded->getType());
    });
  }
}

} // namespace

void legalizeForHost(Module &module, const SimTargetOptions &options, DenseSet<Function *> &done) {
  Legalizer(module, options).run(done);
}

} // namespace moec::compiler::simtarget
