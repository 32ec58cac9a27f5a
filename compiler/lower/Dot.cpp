// tile.dot: mma.sync m16n8k16 for 16-bit operands; for f32 and f64 one fma after the other through shared memory.
#include "compiler/layout/NamedLayouts.h"
#include "compiler/lower/Elementwise.h"
#include "compiler/lower/Exchange.h"
#include "compiler/lower/SharedTile.h"

using namespace mlir;

namespace moec::compiler {

namespace {

bool usesTensorCores(tile::DotOp op) {
  Type element = cast<RankedTensorType>(op.getA().getType()).getElementType();
  return element.isF16() || element.isBF16();
}

/// Registers of a fragment for 8-bit elements, which has 4 neighbours along K in a word, in the order of one for 16-bit
/// elements: the word's halves are then K's halves of an instruction, for both operands alike. (B's order is that
/// already.)
SmallVector<Value> asHalfFragment(ArrayRef<Value> regs, bool isA) {
  SmallVector<Value> result(regs);
  for (unsigned r = 0; r < regs.size() && isA; ++r) result[r] = regs[(r & ~6u) | (r & 2) << 1 | (r & 4) >> 1];
  return result;
}

/// The words of a dot operand, in register order. Where the tile is shorter along K than the instruction, the layout
/// holds copies: they must not be added up, so they become 0 (in both operands: 0 * inf is NaN).
SmallVector<Value> operandWords(Lowering &l, Value tile, Type wordType, bool isA, int64_t K) {
  OpBuilder &b = l.b;
  SmallVector<Value> regs(l.regs(tile));
  auto fragment = dyn_cast<tilegpu::DotOperandAttr>(cast<RankedTensorType>(tile.getType()).getEncoding());
  if (fragment && fragment.getBits() == 8) regs = asHalfFragment(regs, isA);
  Value zero = l.i32(0), keeps;
  // K's bits are: the element in the word, two lane bits, and the register bit above the word's (A's rows come
  // between).
  const unsigned upperHalf = isA ? 4 : 2;
  if (K <= 4) {
    Value copy = LLVM::AndOp::create(b, l.loc, l.lane(), l.i32(K <= 2 ? 3 : 2));
    keeps = LLVM::ICmpOp::create(b, l.loc, LLVM::ICmpPredicate::eq, copy, zero);
  }
  SmallVector<Value> words;
  for (unsigned r = 0; r < regs.size(); r += 2) {
    Value word = packWord(l, ArrayRef(regs).slice(r, 2));
    if (K <= 8 && (r & upperHalf)) word = zero;
    if (K == 1) word = LLVM::AndOp::create(b, l.loc, word, l.i32(0xffff));
    if (keeps) word = LLVM::SelectOp::create(b, l.loc, keeps, word, zero);
    words.push_back(l.bitcast(word, wordType));
  }
  return words;
}

/// True if the layout is that of an mma accumulator, however it is spelled.
bool isAccumulator(const LinearLayout &layout, int numWarps) {
  for (int warpsM = 1; warpsM <= numWarps; warpsM *= 2)
    if (layout == mmaAccumulator(layout.shape(), warpsM, numWarps / warpsM)) return true;
  return false;
}

LogicalResult lowerMma(Lowering &l, tile::DotOp op) {
  auto aType = cast<RankedTensorType>(op.getA().getType()), cType = cast<RankedTensorType>(op.getType());
  if (!isAccumulator(tilegpu::layoutOf(cType), l.options.numWarps))
    return op.emitError("a dot of 16-bit operands needs an mma accumulator layout");
  bool half = aType.getElementType().isF16();
  int64_t K = aType.getDimSize(1);
  Type wordType = half ? Type(VectorType::get({2}, l.b.getF16Type())) : Type(l.b.getI32Type());
  SmallVector<Value> a = operandWords(l, op.getA(), wordType, true, K),
                     b = operandWords(l, op.getB(), wordType, false, K);
  SmallVector<Value> c(l.regs(op.getAcc()));

  // Register orders: A [words 4][k][m], B [words 2][k][n], C [values 4][n][m], the first index fastest.
  int kSteps = std::max<int64_t>(1, K / 16), mSteps = a.size() / (4 * kSteps), nSteps = b.size() / (2 * kSteps);
  Type f32 = l.b.getF32Type();
  Type result = LLVM::LLVMStructType::getLiteral(l.b.getContext(), {f32, f32, f32, f32});
  auto type = half ? NVVM::MMATypes::f16 : NVVM::MMATypes::bf16;
  for (int k = 0; k < kSteps; ++k)
    for (int m = 0; m < mSteps; ++m)
      for (int n = 0; n < nSteps; ++n) {
        ArrayRef<Value> aWords = ArrayRef(a).slice(4 * (k + kSteps * m), 4),
                        bWords = ArrayRef(b).slice(2 * (k + kSteps * n), 2);
        MutableArrayRef<Value> acc = MutableArrayRef(c).slice(4 * (n + nSteps * m), 4);
        Value d = NVVM::MmaOp::create(l.b, l.loc, result, aWords, bWords, ValueRange(acc), ArrayRef<int64_t>{16, 8, 16},
                                      std::nullopt, std::nullopt, std::array{type, type},
                                      std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
        for (int i = 0; i < 4; ++i) acc[i] = LLVM::ExtractValueOp::create(l.b, l.loc, d, ArrayRef<int64_t>{i});
      }
  l.setRegs(op.getResult(), c);
  return success();
}

/// Row-major in scratch: A [M, K] first, B [K, N] behind it.
int64_t fmaScratchBytes(tile::DotOp op) {
  auto a = cast<RankedTensorType>(op.getA().getType()), b = cast<RankedTensorType>(op.getB().getType());
  return (a.getNumElements() + b.getNumElements()) * (a.getElementTypeBitWidth() / 8);
}

/// for k: acc[m, n] = fma(a[m, k], b[k, n], acc[m, n]), as a loop in the thread over operands in scratch.
LogicalResult lowerFma(Lowering &l, tile::DotOp op) {
  OpBuilder &b = l.b;
  Location loc = l.loc;
  auto aType = cast<RankedTensorType>(op.getA().getType()), bType = cast<RankedTensorType>(op.getB().getType());
  auto cType = cast<RankedTensorType>(op.getType());
  Type element = aType.getElementType(), i32 = b.getI32Type();
  int64_t K = aType.getDimSize(1), N = bType.getDimSize(1);
  int bytes = aType.getElementTypeBitWidth() / 8;
  Value aBase = l.scratch(op);
  Value bBase = LLVM::GEPOp::create(b, loc, aBase.getType(), b.getI8Type(), aBase,
                                    ArrayRef<LLVM::GEPArg>{int32_t(aType.getNumElements() * bytes)});
  auto put = [&](Value tile, RankedTensorType type, Value base) {
    LinearLayout regs = tilegpu::layoutOf(type);
    emitIf(l, l.isOwner(regs), [&] {
      SharedTile(l, base, LinearLayout::identity(InDim::Offset, regs.shape()), regs, element).store(l.regs(tile));
    });
  };
  put(op.getA(), aType, aBase);
  put(op.getB(), bType, bBase);
  l.barrier();

  LinearLayout layout = tilegpu::layoutOf(cType);
  auto canonical = canonicalRegisters(layout);
  SmallVector<unsigned> kept; // registers that are no copies
  for (auto [r, first] : llvm::enumerate(canonical))
    if (r == first) kept.push_back(r);
  // Distinct rows and columns of this thread, as byte offsets of their first k.
  llvm::MapVector<int64_t, Value> rowOffset, colOffset;
  SmallVector<std::pair<int64_t, int64_t>> where;
  for (unsigned r : kept) {
    Dims at = layout.apply(r);
    SmallVector<Value> coords = l.coordinates(layout, r);
    where.push_back({at[0], at[1]});
    if (!rowOffset.count(at[0])) rowOffset[at[0]] = l.mul(coords[0], l.i32(K * bytes));
    if (!colOffset.count(at[1])) colOffset[at[1]] = l.mul(coords[1], l.i32(bytes));
  }

  Block *before = b.getInsertionBlock(), *after = before->splitBlock(b.getInsertionPoint());
  Block *body = b.createBlock(after);
  Value k = body->addArgument(i32, loc);
  SmallVector<Value> start{l.i32(0)}, acc;
  for (unsigned r : kept) start.push_back(l.regs(op.getAcc())[r]), acc.push_back(body->addArgument(element, loc));
  auto load = [&](Value base, Value offset, Value step) -> Value {
    Value at = LLVM::AddOp::create(b, loc, offset, step);
    Value p = LLVM::GEPOp::create(b, loc, base.getType(), b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{at});
    return LLVM::LoadOp::create(b, loc, element, p, bytes);
  };
  Value aStep = LLVM::MulOp::create(b, loc, k, l.i32(bytes)), bStep = LLVM::MulOp::create(b, loc, k, l.i32(N * bytes));
  llvm::DenseMap<int64_t, Value> rows, cols;
  for (auto &[at, offset] : rowOffset) rows[at] = load(aBase, offset, aStep);
  for (auto &[at, offset] : colOffset) cols[at] = load(bBase, offset, bStep);
  SmallVector<Value> next{LLVM::AddOp::create(b, loc, k, l.i32(1))};
  for (auto [i, at] : llvm::enumerate(where))
    next.push_back(LLVM::FMAOp::create(b, loc, rows[at.first], cols[at.second], acc[i]));
  Value more = LLVM::ICmpOp::create(b, loc, LLVM::ICmpPredicate::slt, next[0], l.i32(K));
  for (unsigned i = 0; i < kept.size(); ++i) after->addArgument(element, loc);
  LLVM::CondBrOp::create(b, loc, more, body, next, after, ArrayRef(next).drop_front());
  b.setInsertionPointToEnd(before);
  LLVM::BrOp::create(b, loc, start, body);
  b.setInsertionPointToStart(after);

  SmallVector<Value> result(canonical.size());
  for (auto [i, r] : llvm::enumerate(kept)) result[r] = after->getArgument(i);
  for (auto [r, first] : llvm::enumerate(canonical)) result[r] = result[first];
  l.setRegs(op.getResult(), result);
  return success();
}

LogicalResult lowerDot(Lowering &l, Operation *op) {
  auto dot = cast<tile::DotOp>(op);
  return usesTensorCores(dot) ? lowerMma(l, dot) : lowerFma(l, dot);
}

// ---- shared buffers

LogicalResult lowerAlloc(Lowering &, Operation *) { return success(); } // an address; every user asks for its stage

LogicalResult lowerBarrier(Lowering &l, Operation *) {
  l.barrier();
  return success();
}

LogicalResult lowerLocalStore(Lowering &l, Operation *op) {
  auto store = cast<tilegpu::LocalStoreOp>(op);
  auto type = cast<RankedTensorType>(store.getValue().getType());
  Value base = stageBase(l, store.getBuffer(), l.scalar(store.getStage()));
  LinearLayout regs = tilegpu::layoutOf(type);
  emitIf(l, l.isOwner(regs), [&] {
    SharedTile(l, base, bufferLayout(store.getBuffer().getType()), regs, l.storageType(type))
        .store(l.regs(store.getValue()));
  });
  return success();
}

LogicalResult lowerLocalLoad(Lowering &l, Operation *op) {
  auto load = cast<tilegpu::LocalLoadOp>(op);
  auto type = cast<RankedTensorType>(load.getType());
  LinearLayout shared = bufferLayout(load.getBuffer().getType());
  if (load.getTrans()) shared = shared.transpose({1, 0});
  Value base = stageBase(l, load.getBuffer(), l.scalar(load.getStage()));
  l.setRegs(load.getResult(), SharedTile(l, base, shared, tilegpu::layoutOf(type), l.storageType(type)).load());
  return success();
}

LogicalResult lowerAsyncCommit(Lowering &l, Operation *) {
  NVVM::CpAsyncCommitGroupOp::create(l.b, l.loc);
  return success();
}

LogicalResult lowerAsyncWait(Lowering &l, Operation *op) {
  NVVM::CpAsyncWaitGroupOp::create(l.b, l.loc, cast<tilegpu::AsyncWaitOp>(op).getPending());
  return success();
}

} // namespace

LogicalResult lowerAsyncCopy(Lowering &l, Operation *op); // AsyncCopy.cpp

void registerDotLowerings(MLIRContext *ctx, HandlerTable &table) {
  setHandler<tile::DotOp>(ctx, table, lowerDot);
  setHandler<tilegpu::AllocOp>(ctx, table, lowerAlloc);
  setHandler<tilegpu::BarrierOp>(ctx, table, lowerBarrier);
  setHandler<tilegpu::LocalStoreOp>(ctx, table, lowerLocalStore);
  setHandler<tilegpu::LocalLoadOp>(ctx, table, lowerLocalLoad);
  setHandler<tilegpu::AsyncCopyOp>(ctx, table, lowerAsyncCopy);
  setHandler<tilegpu::AsyncCommitOp>(ctx, table, lowerAsyncCommit);
  setHandler<tilegpu::AsyncWaitOp>(ctx, table, lowerAsyncWait);
}

int64_t dotScratchBytes(Operation *op, int) {
  auto dot = dyn_cast<tile::DotOp>(op);
  return dot && !usesTensorCores(dot) ? fmaScratchBytes(dot) : 0;
}

} // namespace moec::compiler
