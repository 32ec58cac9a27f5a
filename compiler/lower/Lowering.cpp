// The emitter's state: value map, entry-block coordinates and constants, the walk over ops.
#include "compiler/lower/LoweringImpl.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

namespace moec::compiler {

static constexpr int kLaneBits = 5;

Lowering::Lowering(ModuleOp module, const LoweringOptions &options)
    : b(module.getContext()), loc(module.getLoc()), options(options), impl(std::make_shared<Impl>()) {
  impl->module = module;
  MLIRContext *ctx = module.getContext();
  registerControlLowerings(ctx, impl->handlers);
  registerElementwiseLowerings(ctx, impl->handlers);
  registerShapeLowerings(ctx, impl->handlers);
  registerMemoryLowerings(ctx, impl->handlers);
  registerReductionLowerings(ctx, impl->handlers);
  registerSortLowerings(ctx, impl->handlers);
  registerConvertLowerings(ctx, impl->handlers);
  registerDotLowerings(ctx, impl->handlers);
  registerHopperLowerings(ctx, impl->handlers);
}

LogicalResult Lowering::run() {
  auto kernels = llvm::to_vector(impl->module.getOps<tile::KernelOp>());
  if (kernels.size() != 1)
    return impl->module.emitError() << "a module to lower holds one tile.kernel, this one holds " << kernels.size();
  auto handler = impl->handlers.find(kernels[0]->getName());
  loc = kernels[0].getLoc();
  b.setInsertionPoint(kernels[0]);
  if (failed(handler->second(*this, kernels[0]))) return failure();
  kernels[0].erase();
  return success();
}

LogicalResult Lowering::lowerBlock(Block &block) {
  for (Operation &op : block) {
    if (op.hasTrait<OpTrait::IsTerminator>()) continue;
    auto handler = impl->handlers.find(op.getName());
    loc = op.getLoc();
    if (handler == impl->handlers.end())
      return op.emitError() << "'" << op.getName() << "' has no lowering to a GPU thread's code";
    if (failed(handler->second(*this, &op))) return failure();
  }
  return success();
}

// ---- values

ArrayRef<Value> Lowering::regs(Value tile) {
  auto it = impl->values.find(tile);
  assert(it != impl->values.end() && "value used before it was lowered");
  return it->second;
}

void Lowering::setRegs(Value tile, SmallVector<Value> registers) {
  auto *copy = impl->arena.Allocate<Value>(registers.size());
  std::uninitialized_copy(registers.begin(), registers.end(), copy);
  impl->values[tile] = ArrayRef<Value>(copy, registers.size());
}

Type Lowering::storageType(Type type) {
  if (auto tile = dyn_cast<RankedTensorType>(type)) type = tile.getElementType();
  if (isa<tile::PtrType>(type)) return LLVM::LLVMPointerType::get(type.getContext(), 1);
  if (isa<tilegpu::TensorMapType>(type))
    return LLVM::LLVMPointerType::get(type.getContext()); // in the kernel's parameters
  if (isa<Float8E4M3FNType, Float8E5M2Type>(type)) return b.getI8Type();
  return type;
}

const LinearLayout &Lowering::layoutOf(Type tile) {
  auto &layout = impl->layouts[tile];
  if (!layout) layout = std::make_unique<LinearLayout>(tilegpu::layoutOf(cast<RankedTensorType>(tile)));
  return *layout;
}

unsigned Lowering::registerCount(Type type) {
  return isa<RankedTensorType>(type) ? layoutOf(type).inSize(InDim::Register) : 1;
}

SmallVector<unsigned> canonicalRegisters(const LinearLayout &layout) {
  llvm::SmallDenseMap<uint32_t, unsigned> first;
  SmallVector<unsigned> result(layout.inSize(InDim::Register));
  for (unsigned r = 0; r < result.size(); ++r) result[r] = first.try_emplace(layout.applyFlat(r), r).first->second;
  return result;
}

// ---- hardware coordinates

/// Emits at the end of what the kernel's entry computes once; dominates everything.
template <class Make> static Value emitAtEntry(Lowering &l, Operation *&last, Make make) {
  OpBuilder::InsertionGuard guard(l.b);
  Block *entry = nullptr;
  if (last) {
    l.b.setInsertionPointAfter(last);
  } else {
    entry = &l.b.getInsertionBlock()->getParentOp()->getRegion(0).front();
    l.b.setInsertionPointToStart(entry);
  }
  Value v = make();
  last = v.getDefiningOp();
  return v;
}

Value Lowering::thread() {
  if (impl->thread) return impl->thread;
  int32_t threads = 32 * options.numWarps;
  impl->thread = emitAtEntry(*this, impl->lastEntryOp, [&] {
    auto range = LLVM::ConstantRangeAttr::get(b.getContext(), llvm::APInt(32, 0), llvm::APInt(32, threads));
    return NVVM::ThreadIdXOp::create(b, loc, b.getI32Type(), range).getResult();
  });
  return impl->thread;
}

Value Lowering::lane() {
  if (options.numWarps == 1) return thread();
  if (impl->lane) return impl->lane;
  Value tid = thread(), mask = i32(31);
  return impl->lane =
             emitAtEntry(*this, impl->lastEntryOp, [&]() -> Value { return LLVM::AndOp::create(b, loc, tid, mask); });
}

Value Lowering::warp() {
  if (options.numWarps == 1) return i32(0);
  if (impl->warp) return impl->warp;
  Value tid = thread(), five = i32(kLaneBits);
  return impl->warp =
             emitAtEntry(*this, impl->lastEntryOp, [&]() -> Value { return LLVM::LShrOp::create(b, loc, tid, five); });
}

/// One run of thread bits first..first+count-1 whose bases are 2^at, 2^(at+1), …: a masked shift of the thread number.
static Value emitBitRun(Lowering &l, Value tid, int threadBits, int first, int count, int at) {
  Value v = tid;
  bool high = first + count == threadBits;
  if (high && at == 0 && first > 0) return LLVM::LShrOp::create(l.b, l.loc, v, l.i32(first));
  if (first != 0 || !high) v = LLVM::AndOp::create(l.b, l.loc, v, l.i32(((int64_t(1) << count) - 1) << first));
  if (at > first) return LLVM::ShlOp::create(l.b, l.loc, v, l.i32(at - first));
  if (at < first) return LLVM::LShrOp::create(l.b, l.loc, v, l.i32(first - at));
  return v;
}

Value Lowering::linearOfThread(ArrayRef<int32_t> laneBases, ArrayRef<int32_t> warpBases) {
  std::vector<int32_t> bases(laneBases.begin(), laneBases.end());
  bases.resize(kLaneBits, 0);
  bases.insert(bases.end(), warpBases.begin(), warpBases.end());
  while (!bases.empty() && bases.back() == 0) bases.pop_back();
  if (bases.empty()) return i32(0);
  if (auto it = impl->linears.find(bases); it != impl->linears.end()) return it->second;

  int threadBits = kLaneBits + log2Exact(options.numWarps);
  Value tid = thread();
  Value sum;
  int64_t div = kMaxDivisor;
  uint32_t used = 0;
  for (size_t i = 0; i < bases.size();) {
    uint32_t base = bases[i];
    if (!base) {
      ++i;
      continue;
    }
    div = std::min(div, powerOf2Part(base));
    Value term;
    size_t n = 1;
    if (isPowerOf2(base)) {
      while (i + n < bases.size() && uint32_t(bases[i + n]) == base << n) ++n;
      bool whole = i == 0 && int(n) == threadBits && base == 1;
      term = whole ? tid : emitAtEntry(*this, impl->lastEntryOp, [&] {
        return emitBitRun(*this, tid, threadBits, i, n, log2Exact(base));
      });
    } else { // a swizzle: one bit moves several
      term = emitAtEntry(*this, impl->lastEntryOp, [&]() -> Value {
        Value bit = LLVM::AndOp::create(b, loc, LLVM::LShrOp::create(b, loc, tid, i32(i)), i32(1));
        return LLVM::MulOp::create(b, loc, bit, i32(int32_t(base)));
      });
    }
    uint32_t bits = 0;
    for (size_t k = 0; k < n; ++k) bits |= bases[i + k];
    if (!sum) {
      sum = term;
    } else {
      bool disjoint = !(used & bits);
      Value left = sum;
      sum = emitAtEntry(*this, impl->lastEntryOp, [&]() -> Value {
        if (disjoint) return LLVM::OrOp::create(b, loc, left, term, /*isDisjoint=*/true);
        return LLVM::XOrOp::create(b, loc, left, term);
      });
    }
    used |= bits;
    i += n;
  }
  setDivisor(sum, div);
  return impl->linears[bases] = sum;
}

SmallVector<Value> Lowering::coordinates(const LinearLayout &layout, unsigned r) {
  SmallVector<Value> result;
  Dims at = layout.apply(r);
  for (int d = 0; d < layout.rank(); ++d) {
    SmallVector<int32_t> lanes, warps;
    uint32_t threadBits = 0;
    for (int i = 0; i < layout.inBits(InDim::Lane); ++i)
      lanes.push_back(layout.basis(InDim::Lane, i)[d]), threadBits |= lanes.back();
    for (int i = 0; i < layout.inBits(InDim::Warp); ++i)
      warps.push_back(layout.basis(InDim::Warp, i)[d]), threadBits |= warps.back();
    Value part = linearOfThread(lanes, warps);
    // Disjoint bits: XOR is addition, and stays foldable into addresses.
    if (uint32_t(at[d]) & threadBits)
      result.push_back(LLVM::XOrOp::create(b, loc, part, i32(at[d])));
    else
      result.push_back(addConstant(part, at[d]));
  }
  return result;
}

Value Lowering::isOwner(const LinearLayout &layout) {
  auto masks = layout.freeMasks();
  uint32_t mask = masks[int(InDim::Lane)] | masks[int(InDim::Warp)] << kLaneBits;
  // Hardware bits that the layout does not have at all hold copies too.
  for (int bit = layout.inBits(InDim::Lane); bit < kLaneBits; ++bit) mask |= 1u << bit;
  for (int bit = layout.inBits(InDim::Warp); bit < log2Exact(options.numWarps); ++bit) mask |= 1u << (kLaneBits + bit);
  if (!mask) return {};
  Value tid = thread(), zero = i32(0);
  auto key = std::make_tuple((Block *)nullptr, mask, tid, zero);
  Value &owner = impl->known[key];
  if (!owner)
    owner = emitAtEntry(*this, impl->lastEntryOp, [&]() -> Value {
      return LLVM::ICmpOp::create(b, loc, LLVM::ICmpPredicate::eq, LLVM::AndOp::create(b, loc, tid, i32(int32_t(mask))),
                                  zero);
    });
  return owner;
}

// ---- shared memory

Value Lowering::sharedBase() {
  if (impl->shared) return impl->shared;
  constexpr StringRef name = "moec_smem";
  auto ptr = LLVM::LLVMPointerType::get(b.getContext(), 3);
  if (!impl->module.lookupSymbol(name)) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(impl->module.getBody());
    // Dynamic: the launch says how many bytes there are. 1024: TMA's widest swizzle.
    LLVM::GlobalOp::create(b, impl->module.getLoc(), LLVM::LLVMArrayType::get(b.getI8Type(), 0), /*isConstant=*/false,
                           LLVM::Linkage::External, name, Attribute(), /*alignment=*/1024, /*addrSpace=*/3);
  }
  return impl->shared = emitAtEntry(*this, impl->lastEntryOp,
                                    [&]() -> Value { return LLVM::AddressOfOp::create(b, loc, ptr, name); });
}

Value Lowering::scratch(Operation *op) {
  auto offset = op->getAttrOfType<IntegerAttr>("tilegpu.offset");
  int64_t at = offset ? offset.getInt() : 0;
  Value base = sharedBase();
  if (!at) return base;
  return LLVM::GEPOp::create(b, loc, base.getType(), b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{int32_t(at)});
}

void Lowering::barrier() {
  if (options.numWarps == 1)
    NVVM::SyncWarpOp::create(b, loc, i32(-1));
  else
    NVVM::Barrier0Op::create(b, loc);
}

// ---- parts of words

Lowering::Part Lowering::partOf(Value v) { return impl->parts.lookup_or(v, Part{Value(), 0}); }

SmallVector<Value> Lowering::unpack(Value word, Type elementType) {
  SmallVector<Value> result;
  Type type = storageType(elementType);
  unsigned bits = type.getIntOrFloatBitWidth(), n = 32 / bits;
  if (type.isInteger()) {
    for (unsigned i = 0; i < n; ++i) {
      Value shifted = i ? Value(LLVM::LShrOp::create(b, loc, word, i32(i * bits))) : word;
      result.push_back(LLVM::TruncOp::create(b, loc, type, shifted));
    }
  } else {
    Value pair = LLVM::BitcastOp::create(b, loc, VectorType::get({n}, type), word);
    for (unsigned i = 0; i < n; ++i) result.push_back(LLVM::ExtractElementOp::create(b, loc, pair, i32(i)));
  }
  for (auto [i, v] : llvm::enumerate(result)) impl->parts[v] = {word, unsigned(i)};
  return result;
}

// ---- small builders

Value Lowering::i32(int64_t v) { return constant(b.getI32Type(), v); }

Value Lowering::constant(Type type, int64_t v) {
  if (auto f = dyn_cast<FloatType>(type)) return floatConstant(type, double(v));
  unsigned bits = type.getIntOrFloatBitWidth();
  Attribute attr = IntegerAttr::get(type, llvm::APInt(bits, uint64_t(v), /*isSigned=*/true, /*implicitTrunc=*/true));
  Value &value = impl->constants[{type, attr}];
  if (!value) {
    value =
        emitAtEntry(*this, impl->lastEntryOp, [&]() -> Value { return LLVM::ConstantOp::create(b, loc, type, attr); });
    impl->affine[value] = {Value(), wrap(v, bits)};
  }
  return value;
}

Value Lowering::floatConstant(Type type, double v) {
  auto f = cast<FloatType>(type);
  llvm::APFloat x(v);
  bool lossy;
  x.convert(f.getFloatSemantics(), llvm::APFloat::rmNearestTiesToEven, &lossy);
  return floatBits(type, x);
}

Value Lowering::floatBits(Type type, llvm::APFloat x) {
  Attribute attr = FloatAttr::get(type, x);
  Value &value = impl->constants[{type, attr}];
  if (!value)
    value =
        emitAtEntry(*this, impl->lastEntryOp, [&]() -> Value { return LLVM::ConstantOp::create(b, loc, type, attr); });
  return value;
}

Value Lowering::gep(Value ptr, Type elementType, Value index) {
  return LLVM::GEPOp::create(b, loc, ptr.getType(), elementType, ptr, ArrayRef<LLVM::GEPArg>{index});
}

Value Lowering::bitcast(Value v, Type type) {
  return v.getType() == type ? v : Value(LLVM::BitcastOp::create(b, loc, type, v));
}

int64_t scratchBytes(Operation *op, int numWarps) {
  return std::max({reductionScratchBytes(op, numWarps), sortScratchBytes(op, numWarps),
                   convertScratchBytes(op, numWarps), atomicScratchBytes(op, numWarps), dotScratchBytes(op, numWarps)});
}

} // namespace moec::compiler
