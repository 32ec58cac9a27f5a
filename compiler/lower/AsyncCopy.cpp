// tilegpu.async_copy: cp.async of 4, 8 or 16 bytes per thread and access; where the addresses do not allow that, loads
// and stores.
#include "compiler/lower/Exchange.h"
#include "compiler/lower/SharedTile.h"

using namespace mlir;

namespace moec::compiler {

namespace {

class AsyncCopyLowering {
public:
  AsyncCopyLowering(Lowering &l, tilegpu::AsyncCopyOp op)
      : l(l), b(l.b), loc(l.loc), op(op), regs(tilegpu::layoutOf(cast<RankedTensorType>(op.getOffset().getType()))),
        element(l.storageType(op.getPtr().getType().getElementType())),
        bytes(std::max(8u, element.getIntOrFloatBitWidth()) / 8),
        shared(l, stageBase(l, op.getBuffer(), l.scalar(op.getStage())), bufferLayout(op.getBuffer().getType()), regs,
               element),
        ptr(l.scalar(op.getPtr())), offsets(l.regs(op.getOffset())) {
    if (op.getMask()) masks = l.regs(op.getMask());
    if (masks.size() == 1) scalarMask = masks[0], masks = {};
  }

  /// Threads that hold copies of a small tile stay out: two writes to one element are a race, though they agree.
  void run() {
    emitIf(l, l.isOwner(regs), [&] { copyAll(); });
  }

private:
  void copyAll() {
    int width = accessWidth();
    for (unsigned start : shared.vectorStarts())
      for (int first = 0; first < shared.vector().width; first += width) {
        unsigned reg = shared.vectorRegister(start, first);
        width *bytes >= 4 ? copy(reg, width) : loadAndStore(reg);
      }
  }

  Value mask(unsigned reg) { return scalarMask ? scalarMask : masks.empty() ? Value() : masks[reg]; }

  /// The widest access, in elements, for which every group of registers is contiguous, aligned and under one mask.
  int accessWidth() {
    for (int width = std::min(shared.vector().width, 16 / bytes); width > 1; width /= 2)
      if (allGroups(width)) return width;
    return 1;
  }

  bool allGroups(int width) {
    for (unsigned start : shared.vectorStarts())
      for (int first = 0; first < shared.vector().width; first += width)
        if (!isGroup(start, first, width)) return false;
    return true;
  }

  bool isGroup(unsigned start, int first, int width) {
    unsigned lead = shared.vectorRegister(start, first);
    Value leadOffset = offsets[lead];
    Lowering::Affine a = l.affine(leadOffset);
    int64_t alignment = std::min(l.divisor(ptr), l.divisor(leadOffset) * bytes);
    if (alignment < width * bytes) return false;
    for (int i = 1; i < width; ++i) {
      unsigned reg = shared.vectorRegister(start, first + i);
      Lowering::Affine c = l.affine(offsets[reg]);
      if (c.root != a.root || c.offset != a.offset + i || mask(reg) != mask(lead)) return false;
    }
    return true;
  }

  Value globalAddress(unsigned reg) { return l.gep(ptr, element, offsets[reg]); }

  void copy(unsigned reg, int width) {
    int size = width * bytes;
    // Only 16-byte copies can pass by L1, which the data will not be read from again.
    auto cache = size == 16 ? NVVM::LoadCacheModifierKind::CG : NVVM::LoadCacheModifierKind::CA;
    Value count;
    if (Value m = mask(reg))
      count = LLVM::SelectOp::create(b, loc, m, l.i32(size), l.i32(0)); // the rest is filled with zeros
    NVVM::CpAsyncOp::create(b, loc, shared.address(reg), globalAddress(reg), uint32_t(size), cache, count);
  }

  void loadAndStore(unsigned reg) {
    Value zero = l.bitcast(l.constant(b.getIntegerType(bytes * 8), 0), element);
    Value v = emitIf(l, mask(reg), zero,
                     [&]() -> Value { return LLVM::LoadOp::create(b, loc, element, globalAddress(reg), bytes); });
    LLVM::StoreOp::create(b, loc, v, shared.address(reg), bytes);
  }

  Lowering &l;
  OpBuilder &b;
  Location loc;
  tilegpu::AsyncCopyOp op;
  LinearLayout regs;
  Type element;
  int bytes;
  SharedTile shared;
  Value ptr, scalarMask;
  ArrayRef<Value> offsets, masks;
};

} // namespace

LogicalResult lowerAsyncCopy(Lowering &l, Operation *op) {
  AsyncCopyLowering(l, cast<tilegpu::AsyncCopyOp>(op)).run();
  return success();
}

} // namespace moec::compiler
