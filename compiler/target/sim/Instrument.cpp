// What instrumented code does besides its own work: checked images report each access and each division by zero to the
// runtime, and in every image loops give the turn to other threads now and then, so that a thread that spins cannot
// keep out the one that it waits for.
#include "compiler/target/sim/SimLowering.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace moec::compiler::simtarget {
using namespace moec::sim;
namespace {

/// Bytes and natural alignment of a loaded or stored type.
std::pair<unsigned, unsigned> accessSize(Type type) {
  unsigned bits;
  if (auto vector = dyn_cast<VectorType>(type)) {
    Type element = vector.getElementType();
    bits = vector.getNumElements() * (isa<LLVM::LLVMPointerType>(element) ? 64 : element.getIntOrFloatBitWidth());
  } else if (isa<LLVM::LLVMPointerType>(type)) {
    bits = 64;
  } else if (type.isIntOrFloat()) {
    bits = type.getIntOrFloatBitWidth();
  } else {
    return {0, 1};
  }
  unsigned bytes = (bits + 7) / 8;
  return {bytes, static_cast<unsigned>(llvm::PowerOf2Ceil(bytes))};
}

/// Whether `pointer` comes from an alloca, a by-value parameter or a constant of the module: nobody else writes there.
bool isPrivateMemory(Value pointer, const DenseSet<Value> &byvalParams) {
  while (Operation *def = pointer.getDefiningOp()) {
    if (byvalParams.contains(pointer)) return true;
    if (isa<LLVM::GEPOp, LLVM::BitcastOp, LLVM::AddrSpaceCastOp>(def)) {
      pointer = def->getOperand(0);
      continue;
    }
    if (auto address = dyn_cast<LLVM::AddressOfOp>(def))
      return cast<LLVM::LLVMPointerType>(address.getType()).getAddressSpace() != 3;
    return isa<LLVM::AllocaOp>(def);
  }
  return false;
}

class Instrumentation {
public:
  Instrumentation(FunctionState &state, LocationTable &locations)
      : state(state), locations(locations), b(state.func.getContext()), cb(b, state.context) {}

  void run();

private:
  void access(Operation *op, OpOperand &pointer, Type type, uint64_t alignment, uint32_t flags);
  void division(Operation *op);
  Value location(Operation *op) { return cb.i32(op->getLoc(), locations.add(op->getLoc())); }

  FunctionState &state;
  LocationTable &locations;
  OpBuilder b;
  ContextBuilder cb;
};

void Instrumentation::division(Operation *op) {
  Location loc = op->getLoc();
  b.setInsertionPoint(op);
  bool isSigned = isa<LLVM::SDivOp, LLVM::SRemOp>(op);
  auto report = [&](Value dividend, Value divisor) {
    APInt known;
    if (matchPattern(divisor, m_ConstantInt(&known)) && !known.isZero()) return;
    auto wide = [&](Value v) -> Value {
      if (v.getType().isInteger(64)) return v;
      if (isSigned) return LLVM::SExtOp::create(b, loc, b.getI64Type(), v);
      return LLVM::ZExtOp::create(b, loc, b.getI64Type(), v);
    };
    cb.call(loc, kFnDivision, LLVM::LLVMVoidType::get(b.getContext()), {wide(dividend), wide(divisor), location(op)});
  };
  Value dividend = op->getOperand(0), divisor = op->getOperand(1);
  auto vector = dyn_cast<VectorType>(divisor.getType());
  if (getElementTypeOrSelf(divisor.getType()).getIntOrFloatBitWidth() > 64) return;
  if (!vector) return report(dividend, divisor);
  for (int64_t i = 0; i < vector.getNumElements(); ++i) {
    Value at = cb.i32(loc, i);
    report(LLVM::ExtractElementOp::create(b, loc, dividend, at), LLVM::ExtractElementOp::create(b, loc, divisor, at));
  }
}

void Instrumentation::access(Operation *op, OpOperand &pointer, Type type, uint64_t alignment, uint32_t flags) {
  if (isPrivateMemory(pointer.get(), state.byvalParams)) return;
  auto [bytes, natural] = accessSize(type);
  if (bytes == 0) return;
  unsigned align = alignment ? static_cast<unsigned>(alignment) : natural;
  uint32_t bits = bytes | flags | (llvm::Log2_32(align) << kAccessAlignShift);
  Location loc = op->getLoc();
  b.setInsertionPoint(op);
  Type pointerType = pointer.get().getType();
  Value address = cb.call(loc, kFnAccess, LLVM::LLVMPointerType::get(b.getContext()),
                          {cb.generic(loc, pointer.get()), cb.i32(loc, bits), location(op)});
  if (address.getType() != pointerType) address = LLVM::AddrSpaceCastOp::create(b, loc, pointerType, address);
  pointer.set(address);
}

void Instrumentation::run() {
  for (Operation *op : state.accesses) {
    llvm::TypeSwitch<Operation *>(op)
        .Case([&](LLVM::LoadOp load) {
          uint32_t atomic = load.getOrdering() != LLVM::AtomicOrdering::not_atomic ? kAccessAtomic : 0u;
          access(op, load.getAddrMutable(), load.getType(), load.getAlignment().value_or(0), kAccessRead | atomic);
        })
        .Case([&](LLVM::StoreOp store) {
          uint32_t atomic = store.getOrdering() != LLVM::AtomicOrdering::not_atomic ? kAccessAtomic : 0u;
          access(op, store.getAddrMutable(), store.getValue().getType(), store.getAlignment().value_or(0),
                 kAccessWrite | atomic);
        })
        .Case([&](LLVM::AtomicRMWOp rmw) {
          access(op, rmw.getPtrMutable(), rmw.getVal().getType(), 0, kAccessRead | kAccessWrite | kAccessAtomic);
        })
        .Case([&](LLVM::AtomicCmpXchgOp cas) {
          access(op, cas.getPtrMutable(), cas.getVal().getType(), 0, kAccessRead | kAccessWrite | kAccessAtomic);
        })
        .Default([&](Operation *) { division(op); });
  }
}

/// Ends of blocks from which a branch goes back to a block that leads to them.
SmallVector<Operation *> backEdges(LLVM::LLVMFuncOp func) {
  SmallVector<Operation *> found;
  DenseSet<Block *> done, onPath;
  SmallVector<std::pair<Block *, unsigned>> path{{&func.getBody().front(), 0}};
  onPath.insert(path.back().first);
  while (!path.empty()) {
    auto &[block, next] = path.back();
    Operation *end = block->getTerminator();
    if (next == end->getNumSuccessors()) {
      onPath.erase(block);
      done.insert(block);
      path.pop_back();
      continue;
    }
    Block *to = end->getSuccessor(next++);
    if (onPath.contains(to))
      found.push_back(end);
    else if (!done.contains(to))
      onPath.insert(to), path.push_back({to, 0});
  }
  return found;
}

} // namespace

bool isInstrumented(Operation *op) {
  return isa<LLVM::LoadOp, LLVM::StoreOp, LLVM::AtomicRMWOp, LLVM::AtomicCmpXchgOp, LLVM::SDivOp, LLVM::UDivOp,
             LLVM::SRemOp, LLVM::URemOp>(op);
}

void instrumentAccesses(FunctionState &state, LocationTable &locations) { Instrumentation(state, locations).run(); }

void countLoopSteps(FunctionState &state, LocationTable &locations) {
  OpBuilder b(state.func.getContext());
  ContextBuilder cb(b, state.context);
  llvm::SmallSetVector<Operation *, 8> ends;
  for (Operation *end : backEdges(state.func)) ends.insert(end);
  for (Operation *end : ends) {
    Location loc = end->getLoc();
    Block *block = end->getBlock(), *rest = block->splitBlock(end), *turn = b.createBlock(rest);
    b.setInsertionPointToEnd(block);
    Value address = cb.offset(loc, state.context, offsetof(SimContext, steps));
    Value left = LLVM::SubOp::create(b, loc, LLVM::LoadOp::create(b, loc, b.getI32Type(), address), cb.i32(loc, 1));
    LLVM::StoreOp::create(b, loc, left, address);
    Value none = LLVM::ICmpOp::create(b, loc, LLVM::ICmpPredicate::eq, left, cb.i32(loc, 0));
    LLVM::CondBrOp::create(b, loc, none, turn, rest);
    b.setInsertionPointToEnd(turn);
    cb.call(loc, kFnSteps, LLVM::LLVMVoidType::get(b.getContext()), {cb.i32(loc, locations.add(loc))});
    LLVM::BrOp::create(b, loc, ValueRange(), rest);
  }
}

} // namespace moec::compiler::simtarget
