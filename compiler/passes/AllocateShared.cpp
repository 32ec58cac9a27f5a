// tilegpu-allocate-shared: see Passes.td.
#include "compiler/lower/Lowering.h"
#include "compiler/passes/Passes.h"

#include "mlir/IR/Builders.h"
#include "llvm/Support/MathExtras.h"

namespace moec::compiler {
#define GEN_PASS_DEF_TILEGPUALLOCATESHARED
#include "compiler/passes/Passes.h.inc"
} // namespace moec::compiler

using namespace mlir;
using namespace moec::tilegpu;

namespace {

constexpr int64_t kAlignment = 128;
constexpr int64_t kSwizzleAlignment = 1024; ///< of what TMA may swizzle: buffers of whole multiples of it

struct Request {
  Operation *op;
  int64_t bytes;
  int from, to; ///< positions in walk order, inclusive
  int64_t offset = 0;
  bool meets(const Request &other) const { return from <= other.to && other.from <= to; }
};

int64_t bufferBytes(BufferType type) {
  int64_t elements = type.getStages();
  for (int64_t size : type.getShape()) elements *= size;
  return elements * llvm::divideCeil(type.getElementType().getIntOrFloatBitWidth(), 8);
}

struct AllocateSharedPass : moec::compiler::impl::TileGpuAllocateSharedBase<AllocateSharedPass> {
  using TileGpuAllocateSharedBase::TileGpuAllocateSharedBase;

  void runOnOperation() override {
    number();
    SmallVector<Request> requests = collect();
    int64_t total = place(requests);
    Builder b(&getContext());
    for (const Request &r : requests) {
      if (auto alloc = dyn_cast<AllocOp>(r.op))
        alloc.setOffset(r.offset);
      else
        r.op->setAttr("tilegpu.offset", b.getI32IntegerAttr(r.offset));
    }
    getOperation()->setAttr("tilegpu.shared_bytes", b.getI32IntegerAttr(total));
  }

  /// Position of every op when it starts and when its regions have ended.
  void number() {
    int next = 0;
    getOperation().walk([&](Operation *op, const WalkStage &stage) {
      if (stage.isBeforeAllRegions()) start[op] = next++;
      if (stage.isAfterAllRegions()) end[op] = next++;
    });
  }

  SmallVector<Request> collect() {
    SmallVector<Request> requests;
    getOperation().walk([&](Operation *op) {
      if (auto alloc = dyn_cast<AllocOp>(op)) {
        int last = end[op];
        for (Operation *user : alloc->getUsers())
          if (Operation *ancestor = op->getBlock()->findAncestorOpInBlock(*user)) last = std::max(last, end[ancestor]);
        requests.push_back({op, bufferBytes(alloc.getType()), start[op], last});
      } else if (int64_t bytes = moec::compiler::scratchBytes(op, numWarps)) {
        requests.push_back({op, bytes, start[op], end[op]});
      }
    });
    return requests;
  }

  /// First fit of the largest first; returns the total.
  static int64_t place(MutableArrayRef<Request> requests) {
    SmallVector<Request *> order;
    for (Request &r : requests) order.push_back(&r);
    llvm::stable_sort(order, [](Request *x, Request *y) { return x->bytes > y->bytes; });
    int64_t total = 0;
    for (size_t i = 0; i < order.size(); ++i) {
      Request &r = *order[i];
      SmallVector<Request *> taken;
      for (size_t j = 0; j < i; ++j)
        if (r.meets(*order[j])) taken.push_back(order[j]);
      llvm::sort(taken, [](Request *x, Request *y) { return x->offset < y->offset; });
      for (Request *t : taken) {
        if (t->offset >= r.offset + r.bytes) break;
        int64_t alignment = r.bytes % kSwizzleAlignment == 0 ? kSwizzleAlignment : kAlignment;
        r.offset = std::max(r.offset, (int64_t)llvm::alignTo(t->offset + t->bytes, alignment));
      }
      total = std::max(total, r.offset + r.bytes);
    }
    return total;
  }

  llvm::DenseMap<Operation *, int> start, end;
};

} // namespace
