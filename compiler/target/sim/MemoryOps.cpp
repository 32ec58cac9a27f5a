// memcpy, memmove and memset become loops over bytes, before accesses are instrumented: so checked images see every
// byte, and no image calls a C library.
#include "compiler/target/sim/SimLowering.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace moec::compiler::simtarget {
namespace {

/// One of LLVM's memory intrinsics: `from` is null for a fill with `value`.
struct Transfer {
  Value to, from, value, length;
  bool isVolatile = false;
  bool mayOverlap = false;
};

std::optional<Transfer> transferOf(Operation *op) {
  OpBuilder b(op);
  auto constant = [&](IntegerAttr length) -> Value { return LLVM::ConstantOp::create(b, op->getLoc(), length); };
  return llvm::TypeSwitch<Operation *, std::optional<Transfer>>(op)
      .Case([](LLVM::MemcpyOp o) { return Transfer{o.getDst(), o.getSrc(), {}, o.getLen(), o.getIsVolatile()}; })
      .Case([](LLVM::MemmoveOp o) { return Transfer{o.getDst(), o.getSrc(), {}, o.getLen(), o.getIsVolatile(), true}; })
      .Case([&](LLVM::MemcpyInlineOp o) {
        return Transfer{o.getDst(), o.getSrc(), {}, constant(o.getLenAttr()), o.getIsVolatile()};
      })
      .Case([](LLVM::MemsetOp o) { return Transfer{o.getDst(), {}, o.getVal(), o.getLen(), o.getIsVolatile()}; })
      .Case([&](LLVM::MemsetInlineOp o) {
        return Transfer{o.getDst(), {}, o.getVal(), constant(o.getLenAttr()), o.getIsVolatile()};
      })
      .Default([](Operation *) { return std::nullopt; });
}

/// for (i = 0; i != length; ++i) to[i] = from[i], from the end on where `to` is behind `from` and they may overlap.
void expand(Operation *op, const Transfer &t) {
  OpBuilder b(op);
  Location loc = op->getLoc();
  Type index = t.length.getType(), byte = b.getI8Type();
  auto constant = [&](int64_t n) -> Value { return LLVM::ConstantOp::create(b, loc, b.getIntegerAttr(index, n)); };
  Value zero = constant(0), one = constant(1), downwards;
  if (t.mayOverlap) {
    auto address = [&](Value p) -> Value { return LLVM::PtrToIntOp::create(b, loc, b.getI64Type(), p); };
    downwards = LLVM::ICmpOp::create(b, loc, LLVM::ICmpPredicate::ugt, address(t.to), address(t.from));
  }
  Block *before = op->getBlock(), *after = before->splitBlock(op), *head = b.createBlock(after, {index}, {loc}),
        *body = b.createBlock(after);
  b.setInsertionPointToEnd(before);
  LLVM::BrOp::create(b, loc, ValueRange{zero}, head);
  b.setInsertionPointToEnd(head);
  Value i = head->getArgument(0), done = LLVM::ICmpOp::create(b, loc, LLVM::ICmpPredicate::eq, i, t.length);
  LLVM::CondBrOp::create(b, loc, done, after, body);
  b.setInsertionPointToEnd(body);
  Value at = i;
  if (downwards) {
    Value last = LLVM::SubOp::create(b, loc, t.length, one), fromEnd = LLVM::SubOp::create(b, loc, last, i);
    at = LLVM::SelectOp::create(b, loc, downwards, fromEnd, i);
  }
  if (index.getIntOrFloatBitWidth() < 64) at = LLVM::ZExtOp::create(b, loc, b.getI64Type(), at);
  auto element = [&](Value p) -> Value {
    return LLVM::GEPOp::create(b, loc, p.getType(), byte, p, ArrayRef<LLVM::GEPArg>{at});
  };
  Value value =
      t.from ? Value(LLVM::LoadOp::create(b, loc, byte, element(t.from), /*alignment=*/1, t.isVolatile)) : t.value;
  LLVM::StoreOp::create(b, loc, value, element(t.to), /*alignment=*/1, t.isVolatile);
  LLVM::BrOp::create(b, loc, ValueRange{LLVM::AddOp::create(b, loc, i, one)}, head);
  op->erase();
}

} // namespace

void expandMemoryOps(LLVM::LLVMFuncOp func) {
  SmallVector<std::pair<Operation *, Transfer>> found;
  func.walk([&](Operation *op) {
    if (auto transfer = transferOf(op)) found.push_back({op, *transfer});
  });
  for (auto &[op, transfer] : found) expand(op, transfer);
}

} // namespace moec::compiler::simtarget
