// tile-lower-views: see Passes.td.
#include "compiler/passes/LoadDependence.h"
#include "compiler/passes/Passes.h"

#include "mlir/IR/Builders.h"

namespace moec::compiler {
#define GEN_PASS_DEF_TILELOWERVIEWS
#include "compiler/passes/Passes.h.inc"
} // namespace moec::compiler

using namespace mlir;
using namespace moec::tile;

namespace {

/// Checked mode: a scalar condition that must hold where a view is accessed, and two integers for its message.
struct Check {
  Value good, first, second;
  std::string message;
};

/// A view as pointer, sizes and strides; a null stride is 1.
struct Parts {
  Value ptr;
  SmallVector<Value> sizes;
  SmallVector<Value> strides;
  bool wide = false, packed = false;
  SmallVector<Check> checks; ///< that the view is where its parent's elements are
};

/// Where elements of a view are: a base pointer, one offset per element, and which of them are inside.
struct Access {
  Value ptr;
  Value offset;
  Value mask; ///< null: all
};

class ViewLowering {
public:
  ViewLowering(KernelOp kernel, bool checkIndices)
      : kernel(kernel), checkIndices(checkIndices), b(kernel.getContext()), loc(kernel.getLoc()) {}

  void run() {
    expandArguments();
    if (checkIndices) findLoadedOrigins();
    // In order, so that every view is known before its uses and a contract holds from where it stands.
    kernel.getBody().walk<WalkOrder::PreOrder>([&](Operation *op) {
      b.setInsertionPoint(op);
      loc = op->getLoc();
      TypeSwitch<Operation *>(op)
          .Case<DimOp, ExpectOp, SubviewOp, ViewAtOp, ViewLoadOp, ViewStoreOp, BlockLoadOp, BlockStoreOp,
                ViewAtomicRmwOp, ViewAtomicCasOp>([&](auto o) { lower(o), dead.push_back(o); });
    });
    for (Operation *op : llvm::reverse(dead)) op->erase();
    dropOldArguments();
  }

private:
  // ---- arguments

  void expandArguments() {
    Block &entry = kernel.getBody().front();
    MLIRContext *ctx = kernel.getContext();
    SmallVector<Type> types;
    SmallVector<Attribute> attrs;
    ArrayAttr oldAttrs = kernel.getArgAttrsAttr();
    oldCount = entry.getNumArguments();
    auto add = [&](Type type, DictionaryAttr attr) {
      types.push_back(type);
      attrs.push_back(attr ? attr : DictionaryAttr::get(ctx));
      return entry.addArgument(type, kernel.getLoc());
    };
    auto fact = [&](int64_t divisor, bool size) {
      SmallVector<NamedAttribute> facts;
      if (divisor > 1) facts.push_back(b.getNamedAttr("tile.divisor", b.getI64IntegerAttr(divisor)));
      if (size) facts.push_back(b.getNamedAttr("tile.nonnegative", b.getUnitAttr()));
      return b.getDictionaryAttr(facts);
    };
    for (unsigned i = 0; i < oldCount; ++i) {
      BlockArgument old = entry.getArgument(i);
      auto oldAttr = oldAttrs ? cast<DictionaryAttr>(oldAttrs[i]) : DictionaryAttr();
      auto view = dyn_cast<ViewType>(old.getType());
      if (!view) {
        old.replaceAllUsesWith(add(old.getType(), oldAttr));
        continue;
      }
      Parts parts;
      parts.wide = view.getWide();
      parts.packed = view.getPacked();
      parts.ptr = add(PtrType::get(ctx, view.getElementType(), view.getAlign()), oldAttr);
      for (auto [d, divisor] : llvm::enumerate(view.getSizeDivisors())) {
        // A packed view's last size is the stride before it: what divides one divides the other.
        bool isStride = parts.packed && d > 0 && (int64_t)d + 1 == view.getRank();
        parts.sizes.push_back(
            add(b.getI32Type(), fact(isStride ? std::max(divisor, view.getStrideDivisors()[d - 1]) : divisor, true)));
      }
      for (int64_t divisor : view.getStrideDivisors())
        parts.strides.push_back(divisor == 0 ? Value() : Value(add(view.getOffsetType(), fact(divisor, false))));
      findStrides(parts);
      views[old] = parts;
    }
    kernel.setFunctionType(FunctionType::get(ctx, types, {}));
    kernel.setArgAttrsAttr(ArrayAttr::get(ctx, attrs));
  }

  void dropOldArguments() { kernel.getBody().front().eraseArguments(0, oldCount); }

  // ---- view ops

  void lower(DimOp op) { op.replaceAllUsesWith(views.at(op.getView()).sizes[op.getAxis()]); }

  void lower(ExpectOp op) {
    // From here on the contract's value stands for the size, so equal bounds become the same value.
    for (auto [size, expected] : llvm::zip(views.at(op.getView()).sizes, op.getSizes())) {
      shareDivisor(size, expected);
      size = expected;
    }
    findStrides(views.at(op.getView()));
  }

  /// A packed view's strides, as far as its sizes give them: a constant, or the last size as it stands. (A product is
  /// the host's to compute: it comes as an argument.)
  void findStrides(Parts &parts) {
    if (!parts.packed || parts.sizes.size() < 2) return;
    const size_t last = parts.sizes.size() - 1;
    if (!parts.wide && parts.strides[last - 1]) parts.strides[last - 1] = parts.sizes[last];
    Type type = parts.wide ? b.getI64Type() : b.getI32Type();
    APInt size;
    for (int64_t d = last, product = 1; d > 0 && matchPattern(parts.sizes[d], m_ConstantInt(&size)); --d) {
      product *= size.getSExtValue();
      if (!llvm::isIntN(type.getIntOrFloatBitWidth(), product)) break; // a tensor without elements
      parts.strides[d - 1] = constant(type, product);
    }
  }

  /// Two arguments that are equal: what divides one divides the other.
  void shareDivisor(Value size, Value expected) {
    auto from = dyn_cast<BlockArgument>(size), to = dyn_cast<BlockArgument>(expected);
    if (!from || !to || from.getParentBlock() != to.getParentBlock() ||
        from.getParentBlock() != &kernel.getBody().front())
      return;
    auto divisor = [&](BlockArgument arg) {
      return kernel.getArgAttrOfType<IntegerAttr>(arg.getArgNumber() - oldCount, "tile.divisor");
    };
    IntegerAttr have = divisor(to), more = divisor(from);
    if (more && (!have || have.getInt() < more.getInt()))
      kernel.setArgAttr(to.getArgNumber() - oldCount, "tile.divisor", more);
  }

  void lower(SubviewOp op) {
    Parts parts = views.at(op.getView());
    Value offset;
    if (checkIndices)
      for (auto [d, start, size, whole] : llvm::enumerate(op.getOffsets(), op.getSizes(), parts.sizes))
        if (!isZero(start) || size != whole) parts.checks.push_back(partInside(d, start, size, whole));
    for (auto [start, stride] : llvm::zip(op.getOffsets(), parts.strides))
      if (!isZero(start)) offset = add(offset, times(start, stride, parts.wide));
    if (offset) parts.ptr = AddPtrOp::create(b, loc, pointee(parts.ptr), parts.ptr, offset);
    for (auto [size, whole] : llvm::drop_begin(llvm::zip(op.getSizes(), parts.sizes))) parts.packed &= size == whole;
    parts.sizes.assign(op.getSizes().begin(), op.getSizes().end());
    views[op.getResult()] = parts;
  }

  void lower(ViewAtOp op) {
    Parts parts = views.at(op.getView());
    if (checkIndices)
      parts.checks.push_back({inside(op.getIndex(), parts.sizes[0]), op.getIndex(), parts.sizes[0],
                              "index {0} is outside 0..{1} of the view's first dimension"});
    if (!isZero(op.getIndex()))
      parts.ptr =
          AddPtrOp::create(b, loc, pointee(parts.ptr), parts.ptr, times(op.getIndex(), parts.strides[0], parts.wide));
    parts.sizes.erase(parts.sizes.begin());
    parts.strides.erase(parts.strides.begin());
    views[op.getResult()] = parts;
  }

  void lower(ViewLoadOp op) {
    Access a = access(op.getView(), op.getIndices(), op.getClip(), op.getType(), op.getMask());
    op.replaceAllUsesWith(LoadOp::create(b, loc, op.getType(), a.ptr, a.offset, a.mask, op.getOther()).getResult());
  }
  void lower(ViewStoreOp op) {
    Access a = access(op.getView(), op.getIndices(), op.getClip(), op.getValue().getType(), op.getMask());
    StoreOp::create(b, loc, a.ptr, a.offset, op.getValue(), a.mask);
  }
  void lower(BlockLoadOp op) {
    Access a = block(op, op.getView(), op.getOrigins(), op.getType());
    op.replaceAllUsesWith(LoadOp::create(b, loc, op.getType(), a.ptr, a.offset, a.mask, op.getOther()).getResult());
  }
  void lower(BlockStoreOp op) {
    Access a = block(op, op.getView(), op.getOrigins(), cast<RankedTensorType>(op.getValue().getType()));
    StoreOp::create(b, loc, a.ptr, a.offset, op.getValue(), a.mask);
  }
  void lower(ViewAtomicRmwOp op) {
    Access a = access(op.getView(), op.getIndices(), op.getClip(), op.getType(), op.getMask());
    op.replaceAllUsesWith(
        AtomicRmwOp::create(b, loc, op.getType(), op.getKind(), a.ptr, a.offset, op.getValue(), a.mask).getResult());
  }
  void lower(ViewAtomicCasOp op) {
    SmallVector<bool> clip(op.getIndices().size(), false);
    Access a = access(op.getView(), op.getIndices(), clip, op.getResult().getType(), Value());
    op.replaceAllUsesWith(
        AtomicCasOp::create(b, loc, op.getResult().getType(), a.ptr, a.offset, op.getCompare(), op.getValue())
            .getResult());
  }

  // ---- addresses

  Access access(Value view, ValueRange indices, ArrayRef<bool> clip, Type result, Value mask) {
    const Parts &parts = views.at(view);
    auto shape = dyn_cast<RankedTensorType>(result);
    Access a{parts.ptr, Value(), Value()};
    Value base;
    for (unsigned d = 0; d < indices.size(); ++d) {
      Value index = indices[d];
      bool tile = isa<RankedTensorType>(index.getType());
      Value &sum = tile ? a.offset : base;
      if (!isZero(index)) sum = addBroadcast(sum, times(index, parts.strides[d], parts.wide), tile ? shape : nullptr);
      if (clip[d]) a.mask = andBroadcast(a.mask, inside(index, parts.sizes[d]), shape);
    }
    if (mask) a.mask = andBroadcast(a.mask, mask, shape);
    if (checkIndices) {
      for (unsigned d = 0; d < indices.size(); ++d)
        if (!clip[d]) assertInside(indices[d], parts.sizes[d], d, a.mask, shape);
      for (const Check &check : parts.checks) assertPart(check, a.mask);
    }
    if (base) a.ptr = AddPtrOp::create(b, loc, pointee(a.ptr), a.ptr, base);
    if (!a.offset) a.offset = constant(b.getI32Type(), 0);
    if (shape) {
      a.offset = toShape(a.offset, shape);
      if (a.mask) a.mask = toShape(a.mask, shape);
    }
    return a;
  }

  /// A block is an access whose index along d is origin + arange, shaped to stand along dimension d.
  Access block(Operation *op, Value view, ValueRange origins, RankedTensorType tile) {
    SmallVector<Value> indices;
    for (auto [d, origin] : llvm::enumerate(origins)) {
      if (loadedOrigins.contains({op, d})) assertOrigin(origin, views.at(view).sizes[d], d);
      int64_t size = tile.getDimSize(d);
      Value index = ArangeOp::create(b, loc, RankedTensorType::get({size}, b.getI32Type()), 0);
      for (int64_t other = 0; other < tile.getRank(); ++other) {
        if (other == (int64_t)d) continue;
        SmallVector<int64_t> shape(cast<RankedTensorType>(index.getType()).getShape());
        int64_t axis = other < (int64_t)d ? 0 : shape.size();
        shape.insert(shape.begin() + axis, 1);
        index = ExpandDimsOp::create(b, loc, RankedTensorType::get(shape, b.getI32Type()), index, axis);
      }
      auto type = cast<RankedTensorType>(index.getType());
      if (origin.getType().isInteger(64)) index = widen(index);
      indices.push_back(isZero(origin) ? index
                                       : Value(arith::AddIOp::create(b, loc, splat(origin, type.getShape()), index)));
    }
    SmallVector<bool> clip(origins.size(), true);
    return access(view, indices, clip, tile, Value());
  }

  /// index * stride in the offset type: i32 unless the view is wide and the dimension is strided.
  Value times(Value index, Value stride, bool wide) {
    if (!stride) return index;
    if (wide) index = widen(index);
    auto tile = dyn_cast<RankedTensorType>(index.getType());
    if (index.getType() != stride.getType() && !tile) { // an i64 index into a narrow view: the product fits 32 bits
      index = arith::TruncIOp::create(b, loc, stride.getType(), index);
    } else if (tile && tile.getElementType() != stride.getType()) {
      index = arith::TruncIOp::create(b, loc, tile.clone(stride.getType()), index);
    }
    return arith::MulIOp::create(b, loc, index, tile ? splat(stride, tile.getShape()) : stride);
  }

  /// 0 <= index < size, as one unsigned comparison: a size is never negative.
  Value inside(Value index, Value size) {
    auto tile = dyn_cast<RankedTensorType>(index.getType());
    if (getElementTypeOrSelf(index.getType()).isInteger(64)) size = widen(size);
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, index, tile ? splat(size, tile.getShape()) : size);
  }

  void assertInside(Value index, Value size, unsigned dim, Value mask, RankedTensorType shape) {
    Value good = inside(index, size);
    if (mask) {
      Value off = negated(mask);
      if (good.getType() != mask.getType()) good = toShape(good, shape), off = toShape(off, shape);
      good = arith::OrIOp::create(b, loc, good, off);
    }
    if (isa<RankedTensorType>(index.getType()) && index.getType() != good.getType())
      index = toShape(index, cast<RankedTensorType>(good.getType()));
    AssertOp::create(b, loc, good, ("index {0} is outside 0..{1} of dimension " + Twine(dim)).str(),
                     ValueRange{index, size});
  }

  /// The view's own place matters where an element is accessed: the mask is looked at only if the place is wrong.
  void assertPart(const Check &check, Value mask) {
    OpBuilder::InsertionGuard guard(b);
    Value good = check.good;
    if (mask) {
      auto branch = scf::IfOp::create(b, loc, negated(good), /*withElseRegion=*/false);
      b.setInsertionPointToStart(branch.thenBlock());
      good = negated(mask);
    }
    AssertOp::create(b, loc, good, check.message, ValueRange{check.first, check.second});
  }

  Check partInside(unsigned dim, Value start, Value size, Value whole) {
    Value room = arith::SubIOp::create(b, loc, whole, size), end = arith::AddIOp::create(b, loc, start, size);
    Value fits = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ule, size, whole),
          placed = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ule, start, room);
    return {arith::AndIOp::create(b, loc, fits, placed), start, end,
            ("{0}..{1} of dimension " + Twine(dim) + " is no part of the view").str()};
  }

  /// Clipping is for what hangs over a view's end; an origin that was read from memory and lies beyond it is a wrong
  /// number.
  void assertOrigin(Value origin, Value size, unsigned dim) {
    Value most = origin.getType().isInteger(64) ? widen(size) : size;
    Value good = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ule, origin, most);
    AssertOp::create(b, loc, good, ("origin {0} of a block is outside 0..{1} of dimension " + Twine(dim)).str(),
                     ValueRange{origin, size});
  }

  /// Before values are replaced.
  void findLoadedOrigins() {
    llvm::DenseSet<Value> loaded = moec::compiler::valuesFromMemory(kernel);
    auto note = [&](Operation *op, ValueRange origins) {
      for (auto [d, origin] : llvm::enumerate(origins))
        if (loaded.contains(origin)) loadedOrigins.insert({op, d});
    };
    kernel.walk([&](BlockLoadOp op) { note(op, op.getOrigins()); });
    kernel.walk([&](BlockStoreOp op) { note(op, op.getOrigins()); });
  }

  // ---- small builders

  Value negated(Value condition) {
    auto tile = dyn_cast<RankedTensorType>(condition.getType());
    Value on = arith::ConstantOp::create(
        b, loc, tile ? TypedAttr(DenseElementsAttr::get(tile, true)) : TypedAttr(b.getBoolAttr(true)));
    return arith::XOrIOp::create(b, loc, condition, on);
  }

  static bool isZero(Value v) { return matchPattern(v, m_Zero()); }
  static Type pointee(Value ptr) {
    return PtrType::get(ptr.getContext(), cast<PtrType>(ptr.getType()).getElementType(), 0);
  }

  Value constant(Type type, int64_t value) { return arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, value)); }

  Value widen(Value v) {
    if (getElementTypeOrSelf(v.getType()).isInteger(64)) return v;
    Type wide = b.getI64Type();
    if (auto tile = dyn_cast<RankedTensorType>(v.getType())) wide = tile.clone(wide);
    return arith::ExtSIOp::create(b, loc, wide, v);
  }

  Value splat(Value scalar, ArrayRef<int64_t> shape) {
    return SplatOp::create(b, loc, RankedTensorType::get(shape, scalar.getType()), scalar);
  }

  /// Repeats a scalar or a tile with dimensions of size 1 to the whole shape.
  Value toShape(Value v, RankedTensorType shape) {
    auto tile = dyn_cast<RankedTensorType>(v.getType());
    if (!tile) return splat(v, shape.getShape());
    if (tile.getShape() == shape.getShape()) return v;
    return BroadcastOp::create(b, loc, RankedTensorType::get(shape.getShape(), tile.getElementType()), v);
  }

  Value add(Value x, Value y) {
    if (!x) return y;
    if (x.getType() != y.getType()) x = widen(x), y = widen(y);
    return arith::AddIOp::create(b, loc, x, y);
  }

  Value addBroadcast(Value x, Value y, RankedTensorType shape) {
    if (!x) return y;
    if (getElementTypeOrSelf(x.getType()) != getElementTypeOrSelf(y.getType())) x = widen(x), y = widen(y);
    if (x.getType() != y.getType()) x = toShape(x, shape), y = toShape(y, shape);
    return arith::AddIOp::create(b, loc, x, y);
  }

  Value andBroadcast(Value x, Value y, RankedTensorType shape) {
    if (!x) return y;
    if (x.getType() != y.getType()) x = toShape(x, shape), y = toShape(y, shape);
    return arith::AndIOp::create(b, loc, x, y);
  }

  KernelOp kernel;
  bool checkIndices;
  OpBuilder b;
  Location loc;
  unsigned oldCount = 0;
  llvm::DenseMap<Value, Parts> views;
  SmallVector<Operation *> dead;
  llvm::DenseSet<std::pair<Operation *, size_t>> loadedOrigins;
};

struct LowerViewsPass : moec::compiler::impl::TileLowerViewsBase<LowerViewsPass> {
  using TileLowerViewsBase::TileLowerViewsBase;
  void runOnOperation() override { ViewLowering(getOperation(), checkIndices).run(); }
};

} // namespace
