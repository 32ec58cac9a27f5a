#include "compiler/lower/Exchange.h"

using namespace mlir;

namespace moec::compiler {

Value threadParity(Lowering &l, ThreadBits bits) {
  if (bits.none()) return {};
  auto &b = l.b;
  bool both = bits.lanes && bits.warps;
  uint32_t mask = both ? bits.lanes | bits.warps << 5 : bits.lanes | bits.warps;
  Value source = both ? l.thread() : bits.lanes ? l.lane() : l.warp();
  Value masked = LLVM::AndOp::create(b, l.loc, source, l.i32(mask));
  if (!isPowerOf2(mask)) masked = LLVM::AndOp::create(b, l.loc, LLVM::CtPopOp::create(b, l.loc, masked), l.i32(1));
  return LLVM::ICmpOp::create(b, l.loc, LLVM::ICmpPredicate::ne, masked, l.i32(0));
}

Value select(Lowering &l, Value condition, Value a, Value b) {
  return a == b ? a : Value(LLVM::SelectOp::create(l.b, l.loc, condition, a, b));
}

// ---- shuffles

/// Splits a value into 32-bit words, applies `f` to each and puts the result together.
static Value mapWords(Lowering &l, Value v, function_ref<Value(Value)> f) {
  auto &b = l.b;
  Type type = v.getType(), i32 = b.getI32Type();
  unsigned bits = type.getIntOrFloatBitWidth();
  if (bits == 32) return l.bitcast(f(l.bitcast(v, i32)), type);
  Type integer = b.getIntegerType(bits);
  if (bits < 32) {
    Value word = f(LLVM::ZExtOp::create(b, l.loc, i32, l.bitcast(v, integer)));
    return l.bitcast(LLVM::TruncOp::create(b, l.loc, integer, word), type);
  }
  Value whole = l.bitcast(v, integer), shift = l.constant(integer, 32);
  Value low = f(LLVM::TruncOp::create(b, l.loc, i32, whole));
  Value high = f(LLVM::TruncOp::create(b, l.loc, i32, LLVM::LShrOp::create(b, l.loc, whole, shift)));
  Value wideHigh = LLVM::ShlOp::create(b, l.loc, LLVM::ZExtOp::create(b, l.loc, integer, high), shift);
  return l.bitcast(LLVM::OrOp::create(b, l.loc, LLVM::ZExtOp::create(b, l.loc, integer, low), wideHigh), type);
}

static Value shuffle(Lowering &l, Value v, Value offset, NVVM::ShflKind kind) {
  return mapWords(l, v, [&](Value word) -> Value {
    return NVVM::ShflOp::create(l.b, l.loc, word.getType(), l.i32(-1), word, offset, l.i32(31), kind, UnitAttr());
  });
}

Value shuffleXor(Lowering &l, Value v, uint32_t laneMask) {
  return shuffle(l, v, l.i32(laneMask), NVVM::ShflKind::bfly);
}
Value shuffleFrom(Lowering &l, Value v, Value lane) { return shuffle(l, v, lane, NVVM::ShflKind::idx); }

// ---- branches

Value emitIf(Lowering &l, Value condition, Value otherwise, function_ref<Value()> body) {
  if (!condition) return body();
  OpBuilder &b = l.b;
  Block *before = b.getInsertionBlock(), *after = before->splitBlock(b.getInsertionPoint());
  Block *taken = b.createBlock(after);
  Value result = body();
  LLVM::BrOp::create(b, l.loc, result ? ValueRange(result) : ValueRange(), after);
  b.setInsertionPointToEnd(before);
  LLVM::CondBrOp::create(b, l.loc, condition, taken, ValueRange(), after,
                         otherwise ? ValueRange(otherwise) : ValueRange());
  b.setInsertionPointToStart(after);
  return result ? Value(after->addArgument(result.getType(), l.loc)) : Value();
}

void emitIf(Lowering &l, Value condition, function_ref<void()> body) {
  emitIf(l, condition, Value(), [&] { return body(), Value(); });
}

// ---- scratch memory

Value Scratch::open() {
  if (used) l.barrier();
  used = true;
  return l.scratch(owner);
}

int sharedElementBytes(Type storageType) { return std::max(8u, storageType.getIntOrFloatBitWidth()) / 8; }
int64_t alignTo16(int64_t bytes) { return (bytes + 15) / 16 * 16; }

int64_t slotBytes(unsigned registers, int numWarps, ArrayRef<Type> elements) {
  int64_t bytes = 0;
  for (Type e : elements) bytes += alignTo16(int64_t(registers) * numWarps * 32 * sharedElementBytes(e));
  return bytes;
}

void storeShared(Lowering &l, Value buffer, Value index, Value v) {
  int bytes = sharedElementBytes(v.getType());
  if (v.getType().isInteger(1)) v = LLVM::ZExtOp::create(l.b, l.loc, l.b.getI8Type(), v);
  LLVM::StoreOp::create(l.b, l.loc, v, l.gep(buffer, v.getType(), index), bytes);
}

Value loadShared(Lowering &l, Value buffer, Value index, Type storageType) {
  bool bit = storageType.isInteger(1);
  Type stored = bit ? Type(l.b.getI8Type()) : storageType;
  Value v = LLVM::LoadOp::create(l.b, l.loc, stored, l.gep(buffer, stored, index), sharedElementBytes(storageType));
  return bit ? Value(LLVM::TruncOp::create(l.b, l.loc, storageType, v)) : v;
}

SmallVector<Registers> exchangeSlots(Lowering &l, Scratch &scratch, ArrayRef<Registers> operands, Place at,
                                     ArrayRef<unsigned> sources) {
  int threads = l.options.numWarps * 32;
  Value base = scratch.open(), other = LLVM::XOrOp::create(l.b, l.loc, l.thread(), l.i32(at.lane | at.warp << 5));
  SmallVector<Value> buffers;
  int64_t offset = 0;
  for (const Registers &operand : operands) {
    int bytes = sharedElementBytes(operand[0].getType());
    buffers.push_back(l.gep(base, l.b.getI8Type(), l.i32(offset)));
    for (auto [r, v] : llvm::enumerate(operand))
      storeShared(l, l.gep(buffers.back(), l.b.getI8Type(), l.i32(int64_t(r) * threads * bytes)), l.thread(), v);
    offset += alignTo16(int64_t(operand.size()) * threads * bytes);
  }
  l.barrier();
  SmallVector<Registers> result;
  for (auto [operand, buffer] : llvm::zip(operands, buffers)) {
    Type type = operand[0].getType();
    Registers got;
    for (unsigned r : sources)
      got.push_back(loadShared(
          l, l.gep(buffer, l.b.getI8Type(), l.i32(int64_t(r) * threads * sharedElementBytes(type))), other, type));
    result.push_back(std::move(got));
  }
  return result;
}

} // namespace moec::compiler
