// tilegpu-pipeline-loops: see Passes.td.
#include "compiler/passes/Passes.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"

namespace moec::compiler {
#define GEN_PASS_DEF_TILEGPUPIPELINELOOPS
#include "compiler/passes/Passes.h.inc"
} // namespace moec::compiler

using namespace mlir;
using namespace moec::tilegpu;
namespace tile = moec::tile;

namespace {

/// A load that can run ahead: load ▶ (trans) ▶ (cast) ▶ convert_layout to an operand of dots.
struct Operand {
  tile::LoadOp load;
  tile::TransOp trans; ///< may be null
  tile::CastOp cast;   ///< may be null
  ConvertLayoutOp convert;
  SmallVector<Operation *> slice; ///< what its address and mask need inside the body, in order
  AllocOp buffer;
};

class LoopPipeliner {
public:
  LoopPipeliner(scf::ForOp loop, int stages) : loop(loop), stages(stages), b(loop), loc(loop.getLoc()) {}

  void run() {
    findOperands();
    if (operands.empty()) return;
    for (Operand &o : operands) o.buffer = AllocOp::create(b, loc, bufferType(o.load), IntegerAttr());
    prologue();
    addStageCounters();
    rewriteBody();
    b.setInsertionPointAfter(loop);
    AsyncWaitOp::create(b, loc, 0);
  }

private:
  // ---- what to pipeline

  void findOperands() {
    for (auto dot : loop.getBody()->getOps<tile::DotOp>())
      for (Value v : {dot.getA(), dot.getB()}) {
        Operand o;
        o.convert = v.getDefiningOp<ConvertLayoutOp>();
        if (!o.convert || !isa<DotOperandAttr>(cast<RankedTensorType>(v.getType()).getEncoding())) continue;
        if (llvm::any_of(operands, [&](const Operand &found) { return found.convert == o.convert; }))
          continue; // dots share it
        Value from = o.convert.getValue();
        if ((o.cast = from.getDefiningOp<tile::CastOp>())) {
          if (!o.cast->hasOneUse()) continue;
          from = o.cast->getOperand(0);
        }
        if ((o.trans = from.getDefiningOp<tile::TransOp>())) {
          if (!o.trans->hasOneUse()) continue;
          from = o.trans.getValue();
        }
        o.load = from.getDefiningOp<tile::LoadOp>();
        if (!o.load || !o.load->hasOneUse() || o.load->getBlock() != loop.getBody() || o.load.getOther()) continue;
        if (cast<RankedTensorType>(from.getType()).getRank() == 2 && collectSlice(o)) operands.push_back(o);
      }
  }

  /// A load of the body gives the same an iteration earlier if nothing in the loop writes.
  bool nothingWrites() {
    return !loop.getBody()
                ->walk([](Operation *op) {
                  bool reads =
                      isa<tile::LoadOp, tile::AssertOp>(op) || op->hasTrait<OpTrait::HasRecursiveMemoryEffects>();
                  return reads || isMemoryEffectFree(op) ? WalkResult::advance() : WalkResult::interrupt();
                })
                .wasInterrupted();
  }

  /// The ops of the body that the address and mask depend on: pure ones, and loads of indices. False if they depend on
  /// anything carried.
  bool collectSlice(Operand &o) {
    SetVector<Operation *> slice;
    SmallVector<Value> todo{o.load.getPtr(), o.load.getOffset()};
    if (o.load.getMask()) todo.push_back(o.load.getMask());
    while (!todo.empty()) {
      Value v = todo.pop_back_val();
      if (auto arg = dyn_cast<BlockArgument>(v)) {
        if (arg.getOwner() == loop.getBody() && arg != loop.getInductionVar()) return false;
        continue;
      }
      Operation *op = v.getDefiningOp();
      if (op->getBlock() != loop.getBody()) continue;
      if (op->getNumRegions() || !(isPure(op) || (isa<tile::LoadOp>(op) && nothingWrites()))) return false;
      if (slice.insert(op)) todo.append(op->operand_begin(), op->operand_end());
    }
    o.slice = slice.takeVector();
    llvm::sort(o.slice, [](Operation *x, Operation *y) { return x->isBeforeInBlock(y); });
    return true;
  }

  /// Chunks of 16 bytes, XORed so that the 8 rows of an ldmatrix fall into different banks.
  BufferType bufferType(tile::LoadOp load) {
    auto type = cast<RankedTensorType>(load.getType());
    int chunk = 128 / type.getElementTypeBitWidth();
    int chunks = std::max<int64_t>(1, type.getDimSize(1) / chunk);
    int perPhase = std::max(1, 8 / chunks), maxPhase = std::min(8 / perPhase, chunks);
    auto layout = SwizzledAttr::get(b.getContext(), chunk, perPhase, maxPhase, {1, 0});
    return BufferType::get(b.getContext(), type.getShape(), type.getElementType(), stages, layout);
  }

  // ---- copies

  Value i32(int64_t v) { return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(v)); }

  /// The mask of an access at `offset`: `own` (may be null) and the scalar `exists`.
  Value masked(Type offset, Value own, Value exists) {
    auto tile = dyn_cast<RankedTensorType>(offset);
    auto spread = [&](Value v) -> Value {
      return tile && !isa<RankedTensorType>(v.getType())
                 ? Value(tile::SplatOp::create(b, loc, tile.clone(b.getI1Type()), v))
                 : v;
    };
    return own ? Value(arith::AndIOp::create(b, loc, spread(own), spread(exists))) : spread(exists);
  }
  void restrict(tile::LoadOp load, Value exists) {
    b.setInsertionPoint(load);
    load.getMaskMutable().assign(masked(load.getOffset().getType(), load.getMask(), exists));
    b.setInsertionPointAfter(load);
  }

  /// Starts the copies of the iteration with loop variable `iv` into `stage`, if that iteration exists; closes their
  /// group.
  void issueCopies(Value iv, Value stage) {
    Value exists = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, iv, loop.getUpperBound());
    IRMapping map;
    map.map(loop.getInductionVar(), iv);
    for (Operand &o : operands) {
      for (Operation *op : o.slice) {
        if (map.contains(op)) continue;
        Operation *clone = b.clone(*op, map);
        if (auto load = dyn_cast<tile::LoadOp>(clone)) restrict(load, exists);
      }
      Value own = o.load.getMask(),
            mask = masked(o.load.getOffset().getType(), own ? map.lookupOrDefault(own) : Value(), exists);
      AsyncCopyOp::create(b, o.load.getLoc(), map.lookupOrDefault(o.load.getPtr()),
                          map.lookupOrDefault(o.load.getOffset()), mask, o.buffer, stage);
    }
    AsyncCommitOp::create(b, loc);
  }

  void prologue() {
    Value iv = loop.getLowerBound();
    for (int s = 0; s + 1 < stages; ++s) {
      issueCopies(iv, i32(s));
      iv = arith::AddIOp::create(b, loc, iv, loop.getStep());
    }
  }

  /// The stage that this iteration reads is carried; the one that it fills is the one read before.
  void addStageCounters() {
    IRRewriter rewriter(b);
    rewriter.setInsertionPoint(loop);
    Value first = i32(0), last = i32(stages - 1);
    auto yield = [&](OpBuilder &inner, Location at, ArrayRef<BlockArgument> args) -> SmallVector<Value> {
      Value one = arith::ConstantOp::create(inner, at, inner.getI32IntegerAttr(1));
      Value zero = arith::ConstantOp::create(inner, at, inner.getI32IntegerAttr(0));
      Value limit = arith::ConstantOp::create(inner, at, inner.getI32IntegerAttr(stages));
      Value next = arith::AddIOp::create(inner, at, args[0], one);
      Value wraps = arith::CmpIOp::create(inner, at, arith::CmpIPredicate::eq, next, limit);
      return {arith::SelectOp::create(inner, at, wraps, zero, next), args[0]};
    };
    auto replaced = loop.replaceWithAdditionalYields(rewriter, ValueRange{first, last},
                                                     /*replaceInitOperandUsesInLoop=*/false, yield);
    loop = cast<scf::ForOp>(replaced->getOperation());
    readStage = loop.getRegionIterArgs().end()[-2];
    fillStage = loop.getRegionIterArgs().end()[-1];
    refind();
  }

  /// The loop was rebuilt around the same ops: operands stay valid, the block is the new loop's.
  void refind() {
    for (Operand &o : operands) llvm::sort(o.slice, [](Operation *x, Operation *y) { return x->isBeforeInBlock(y); });
  }

  void rewriteBody() {
    b.setInsertionPointToStart(loop.getBody());
    AsyncWaitOp::create(b, loc, stages - 2);
    Value ahead = arith::MulIOp::create(b, loc, loop.getStep(), constantLike(loop.getStep(), stages - 1));
    Value iv = arith::AddIOp::create(b, loc, loop.getInductionVar(), ahead);
    issueCopies(iv, fillStage);
    for (Operand &o : operands) {
      b.setInsertionPoint(o.convert);
      auto type = cast<RankedTensorType>(o.convert.getType());
      auto loadedType = cast<RankedTensorType>(type.clone(getElementTypeOrSelf(o.load.getType())));
      Value loaded = LocalLoadOp::create(b, o.load.getLoc(), loadedType, o.buffer, readStage, bool(o.trans));
      if (o.cast) {
        IRMapping map;
        map.map(o.cast->getOperand(0), loaded);
        loaded = b.clone(*o.cast, map)->getResult(0);
        loaded.setType(type);
      }
      o.convert.replaceAllUsesWith(loaded);
      o.convert.erase();
      if (o.cast) o.cast.erase();
      if (o.trans) o.trans.erase();
      o.load.erase();
    }
  }

  Value constantLike(Value v, int64_t c) { return arith::ConstantOp::create(b, loc, b.getIntegerAttr(v.getType(), c)); }

  scf::ForOp loop;
  int stages;
  OpBuilder b;
  Location loc;
  SmallVector<Operand> operands;
  Value readStage, fillStage;
};

struct PipelineLoopsPass : moec::compiler::impl::TileGpuPipelineLoopsBase<PipelineLoopsPass> {
  using TileGpuPipelineLoopsBase::TileGpuPipelineLoopsBase;
  void runOnOperation() override {
    if (numStages < 2) return;
    SmallVector<scf::ForOp> loops;
    getOperation().walk([&](scf::ForOp loop) { loops.push_back(loop); });
    for (scf::ForOp loop : loops) LoopPipeliner(loop, numStages).run();
  }
};

} // namespace
