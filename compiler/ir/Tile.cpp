// The `tile` dialect: registration, kernel syntax, verifiers and folders. Each verifier rule has a label that its test
// names.
#include "compiler/ir/Tile.h"
#include "compiler/ir/Verify.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/FunctionImplementation.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace moec::tile;

// ---- [, mask %m : type] [, other %o : type]: each may stand without the other, which optional groups that both begin
// with a comma cannot parse.

using OptionalOperand = std::optional<OpAsmParser::UnresolvedOperand>;

static ParseResult parseMaskAndOther(OpAsmParser &parser, OptionalOperand &mask, Type &maskType, OptionalOperand &other,
                                     Type &otherType) {
  while (succeeded(parser.parseOptionalComma())) {
    bool isMask = !mask && !other && succeeded(parser.parseOptionalKeyword("mask"));
    if (!isMask && (other || failed(parser.parseOptionalKeyword("other"))))
      return parser.emitError(parser.getCurrentLocation(),
                              other ? "nothing more comes after other" : "expected mask or other");
    OptionalOperand &operand = isMask ? mask : other;
    operand.emplace();
    if (parser.parseOperand(*operand) || parser.parseColonType(isMask ? maskType : otherType)) return failure();
  }
  return success();
}

static void printMaskAndOther(OpAsmPrinter &printer, Operation *, Value mask, Type maskType, Value other,
                              Type otherType) {
  if (mask) printer << ", mask " << mask << " : " << maskType;
  if (other) printer << ", other " << other << " : " << otherType;
}

#include "compiler/ir/TileDialect.cpp.inc"
#include "compiler/ir/TileEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "compiler/ir/TileAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "compiler/ir/TileTypes.cpp.inc"
#define GET_OP_CLASSES
#include "compiler/ir/TileOps.cpp.inc"

void TileDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "compiler/ir/TileOps.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "compiler/ir/TileTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "compiler/ir/TileAttrs.cpp.inc"
      >();
}

Operation *moec::tile::singleCombinerOp(Region &combiner) {
  Block &body = combiner.front();
  if (body.getNumArguments() != 2 || !llvm::hasNItems(body.begin(), body.end(), 2)) return nullptr;
  Operation &op = body.front();
  auto yield = cast<YieldOp>(body.getTerminator());
  if (op.getNumOperands() != 2 || op.getNumResults() != 1 || yield.getValues()[0] != op.getResult(0)) return nullptr;
  if (op.getOperand(0) != body.getArgument(0) || op.getOperand(1) != body.getArgument(1)) return nullptr;
  return &op;
}

// ------------------------------------------------------------------------------------------------------------- types

LogicalResult ViewType::verify(function_ref<InFlightDiagnostic()> emitError, Type elementType,
                               ArrayRef<int64_t> sizeDivisors, ArrayRef<int64_t> strideDivisors, int64_t align,
                               bool wide, bool packed) {
  if (sizeDivisors.size() != strideDivisors.size())
    return emitError() << "a view has as many strides as sizes";                        // view_c1
  if (sizeDivisors.size() > 5) return emitError() << "a view has at most 5 dimensions"; // view_c2
  for (int64_t d : sizeDivisors)
    if (d < 1) return emitError() << "a size's divisor is at least 1"; // view_c3
  for (int64_t d : strideDivisors)
    if (d < 0) return emitError() << "a stride's divisor is at least 0 (0: the stride is 1)";                 // view_c4
  if (align < 1 || !llvm::isPowerOf2_64(align)) return emitError() << "alignment is a power of two in bytes"; // view_c5
  if (packed && !strideDivisors.empty() && strideDivisors.back() != 0)
    return emitError() << "a packed view's last stride is 1 (divisor 0)"; // view_c6
  return success();
}

// ------------------------------------------------------------------------------------------------------------- kernel

ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &result) {
  auto build = [](Builder &b, ArrayRef<Type> args, ArrayRef<Type> results, function_interface_impl::VariadicFlag,
                  std::string &) { return b.getFunctionType(args, results); };
  return function_interface_impl::parseFunctionOp(parser, result, /*allowVariadic=*/false,
                                                  getFunctionTypeAttrName(result.name), build,
                                                  getArgAttrsAttrName(result.name), getResAttrsAttrName(result.name));
}

void KernelOp::print(OpAsmPrinter &printer) {
  function_interface_impl::printFunctionOp(printer, *this, /*isVariadic=*/false, getFunctionTypeAttrName(),
                                           getArgAttrsAttrName(), getResAttrsAttrName());
}

LogicalResult KernelOp::verify() {
  if (!getFunctionType().getResults().empty())
    return emitOpError("returns nothing; write results through views or pointers"); // kernel_c1
  for (Type type : getArgumentTypes())
    if (!isa<ViewType, PtrType, IntegerType, FloatType>(type) && type.getDialect().getNamespace() != "tilegpu")
      return emitOpError("an argument is a view, a pointer or a scalar, not ") << type;               // kernel_c2
  if (!isa<ReturnOp>(getBody().front().getTerminator())) return emitOpError("ends with tile.return"); // kernel_c3
  int grids = 0;
  for (Operation &op : getBody().front()) grids += isa<GridOp>(op);
  if (grids > 1) return emitOpError("has more than one tile.grid"); // kernel_c4
  WalkResult tiles = getBody().walk([](Operation *op) {
    for (Type type : op->getResultTypes())
      if (failed(verifyTileShape(op, type))) return WalkResult::interrupt();
    return WalkResult::advance();
  });
  return failure(tiles.wasInterrupted());
}

LogicalResult GridOp::verify() {
  if (getExtents().size() > 3) return emitOpError("a grid has at most 3 extents"); // grid_c1
  if (!isa_and_nonnull<KernelOp>((*this)->getParentOp()))
    return emitOpError("stands at the top of a kernel"); // grid_c2
  return success();
}

LogicalResult ExpectOp::verify() {
  if ((int64_t)getSizes().size() != getView().getType().getRank())
    return emitOpError("needs one size per dimension of the view"); // expect_c1
  if (!isa_and_nonnull<KernelOp>((*this)->getParentOp()))
    return emitOpError("stands at the top of a kernel"); // expect_c2
  return success();
}

// ------------------------------------------------------------------------------------------------------------- shapes

LogicalResult ArangeOp::verify() {
  auto type = getType();
  if (type.getRank() != 1) return emitOpError("gives a 1-D tile"); // arange_c1
  return success();
}

LogicalResult SplatOp::verify() {
  if (getValue().getType() != getType().getElementType())
    return emitOpError("value and tile have different dtypes"); // splat_c1
  return success();
}

OpFoldResult SplatOp::fold(FoldAdaptor adaptor) {
  Attribute value = adaptor.getValue();
  if (!isa_and_nonnull<IntegerAttr, FloatAttr>(value)) return {};
  return SplatElementsAttr::get(getType(), value);
}

LogicalResult BroadcastOp::verify() {
  auto from = cast<RankedTensorType>(getValue().getType()), to = getType();
  if (from.getElementType() != to.getElementType()) return emitOpError("keeps the dtype");         // broadcast_c1
  if (from.getRank() != to.getRank()) return emitOpError("keeps the rank; use expand_dims first"); // broadcast_c2
  for (int64_t d = 0; d < to.getRank(); ++d)
    if (from.getDimSize(d) != 1 && from.getDimSize(d) != to.getDimSize(d))
      return emitOpError("dimension ") << d << " has size " << from.getDimSize(d)
                                       << ", only size 1 is repeated"; // broadcast_c3
  return success();
}

LogicalResult ExpandDimsOp::verify() {
  auto from = cast<RankedTensorType>(getValue().getType()), to = getType();
  int64_t axis = (int32_t)getAxis();
  if (axis < 0 || axis > from.getRank())
    return emitOpError("axis ") << axis << " is outside 0.." << from.getRank(); // expand_c1
  SmallVector<int64_t> shape(from.getShape());
  shape.insert(shape.begin() + axis, 1);
  if (from.getElementType() != to.getElementType() || to.getShape() != ArrayRef<int64_t>(shape))
    return emitOpError("gives shape ") << text(shape); // expand_c2
  return success();
}

LogicalResult ReshapeOp::verify() {
  auto from = cast<RankedTensorType>(getValue().getType()), to = getType();
  if (from.getElementType() != to.getElementType() || from.getNumElements() != to.getNumElements())
    return emitOpError("keeps dtype and number of elements"); // reshape_c1
  return success();
}

LogicalResult TransOp::verify() {
  auto from = cast<RankedTensorType>(getValue().getType()), to = getType();
  ArrayRef<int32_t> order = getOrder();
  SmallVector<int32_t> sorted(order);
  llvm::sort(sorted);
  if ((int64_t)order.size() != from.getRank() ||
      llvm::any_of(llvm::enumerate(sorted), [](auto e) { return (int64_t)e.index() != e.value(); }))
    return emitOpError("order is a permutation of the operand's dimensions"); // trans_c1
  if (to.getElementType() != from.getElementType() || to.getRank() != from.getRank())
    return emitOpError("keeps dtype and rank"); // trans_c2
  for (int64_t d = 0; d < to.getRank(); ++d)
    if (to.getDimSize(d) != from.getDimSize(order[d]))
      return emitOpError("result dimension ") << d << " has the wrong size"; // trans_c3
  return success();
}

// ------------------------------------------------------------------------------------------------------------- views

LogicalResult DimOp::verify() {
  if ((int32_t)getAxis() < 0 || (int64_t)getAxis() >= getView().getType().getRank())
    return emitOpError("axis is outside the view's rank"); // dim_c1
  return success();
}

LogicalResult SubviewOp::verify() {
  int64_t rank = getView().getType().getRank();
  if ((int64_t)getOffsets().size() != rank || (int64_t)getSizes().size() != rank)
    return emitOpError("needs one offset and one size per dimension"); // subview_c1
  auto to = getType();
  if (to.getRank() != rank || to.getElementType() != getView().getType().getElementType())
    return emitOpError("keeps dtype and rank"); // subview_c2
  return success();
}

LogicalResult ViewAtOp::verify() {
  auto from = getView().getType(), to = getType();
  if (from.getRank() < 1 || to.getRank() != from.getRank() - 1 || to.getElementType() != from.getElementType())
    return emitOpError("drops the first dimension and keeps the dtype"); // view_at_c1
  return success();
}

LogicalResult ViewLoadOp::verify() {
  if (failed(verifyElement(*this, getView().getType().getElementType(), elementOf(getType())))) return failure();
  if (getOther() && getOther().getType() != elementOf(getType()))
    return emitOpError("other has the element's dtype"); // other_c1
  if (failed(verifyIndices(*this, getView().getType(), getIndices(), getType(), getClip()))) return failure();
  return verifyMask(*this, getMask(), getType());
}

LogicalResult ViewStoreOp::verify() {
  Type value = getValue().getType();
  if (failed(verifyElement(*this, getView().getType().getElementType(), elementOf(value)))) return failure();
  if (failed(verifyIndices(*this, getView().getType(), getIndices(), value, getClip()))) return failure();
  return verifyMask(*this, getMask(), value);
}

static LogicalResult verifyBlock(Operation *op, ViewType view, ValueRange origins, RankedTensorType tile) {
  if ((int64_t)origins.size() != view.getRank() || tile.getRank() != view.getRank())
    return op->emitOpError("needs one origin per dimension of the view and a tile of its rank"); // block_c1
  return verifyElement(op, view.getElementType(), tile.getElementType());
}

LogicalResult BlockLoadOp::verify() {
  if (getOther() && getOther().getType() != getType().getElementType())
    return emitOpError("other has the element's dtype"); // other_c1
  return verifyBlock(*this, getView().getType(), getOrigins(), getType());
}
LogicalResult BlockStoreOp::verify() {
  return verifyBlock(*this, getView().getType(), getOrigins(), cast<RankedTensorType>(getValue().getType()));
}

// ------------------------------------------------------------------------------------------------------------ pointers

LogicalResult AssertOp::verify() {
  if (getValues().size() > 2) return emitOpError("prints at most two values"); // assert_c1
  for (Value value : getValues())
    if (isa<RankedTensorType>(value.getType()) &&
        failed(verifySameShape(*this, value.getType(), getCondition().getType(), "a printed value")))
      return failure();
  return success();
}

LogicalResult LoadOp::verify() {
  if (failed(verifyElement(*this, getPtr().getType().getElementType(), elementOf(getType())))) return failure();
  if (getOther() && getOther().getType() != elementOf(getType()))
    return emitOpError("other has the element's dtype"); // other_c1
  if (failed(verifySameShape(*this, getOffset().getType(), getType(), "offset"))) return failure();
  return verifyMask(*this, getMask(), getType());
}

LogicalResult StoreOp::verify() {
  Type value = getValue().getType();
  if (failed(verifyElement(*this, getPtr().getType().getElementType(), elementOf(value)))) return failure();
  if (failed(verifySameShape(*this, getOffset().getType(), value, "offset"))) return failure();
  return verifyMask(*this, getMask(), value);
}

LogicalResult AtomicRmwOp::verify() {
  Type value = getValue().getType();
  if (getType() != value) return emitOpError("gives the old value, in the value's type"); // atomic_c2
  if (failed(verifyElement(*this, getPtr().getType().getElementType(), elementOf(value)))) return failure();
  if (failed(verifyAtomic(*this, getKind(), elementOf(value)))) return failure();
  if (failed(verifySameShape(*this, getOffset().getType(), value, "offset"))) return failure();
  return verifyMask(*this, getMask(), value);
}

LogicalResult AtomicCasOp::verify() {
  Type value = getValue().getType(), element = elementOf(value);
  if (!element.isInteger(32) && !element.isInteger(64))
    return emitOpError("compares i32 or i64, not ") << element; // atomic_c3
  if (failed(verifyElement(*this, getPtr().getType().getElementType(), element))) return failure();
  return verifySameShape(*this, getOffset().getType(), value, "offset");
}

LogicalResult ViewAtomicRmwOp::verify() {
  Type value = getValue().getType();
  if (getType() != value) return emitOpError("gives the old value, in the value's type"); // atomic_c2
  if (failed(verifyElement(*this, getView().getType().getElementType(), elementOf(value)))) return failure();
  if (failed(verifyAtomic(*this, getKind(), elementOf(value)))) return failure();
  if (failed(verifyIndices(*this, getView().getType(), getIndices(), value, getClip()))) return failure();
  return verifyMask(*this, getMask(), value);
}

LogicalResult ViewAtomicCasOp::verify() {
  Type value = getValue().getType(), element = elementOf(value);
  if (!element.isInteger(32) && !element.isInteger(64))
    return emitOpError("compares i32 or i64, not ") << element; // atomic_c3
  if (failed(verifyElement(*this, getView().getType().getElementType(), element))) return failure();
  SmallVector<bool> clip(getIndices().size(), false);
  return verifyIndices(*this, getView().getType(), getIndices(), value, clip);
}

// --------------------------------------------------------------------------------------------------------- elementwise

OpFoldResult CastOp::fold(FoldAdaptor) {
  if (getValue().getType() == getType() && getUnsignedInput() == getUnsignedResult()) return getValue();
  return {};
}

static LogicalResult verifyFloats(Operation *op, Type type, bool f64) {
  Type element = elementOf(type);
  if (element.isF32() || (f64 && element.isF64())) return success();
  return op->emitOpError("takes ") << (f64 ? "f32 or f64" : "f32") << ", not " << element
                                   << ": cast it first"; // float_c1
}
LogicalResult SigmoidOp::verify() { return verifyFloats(*this, getType(), true); }
LogicalResult FastExp2Op::verify() { return verifyFloats(*this, getType(), false); }
LogicalResult FastDivOp::verify() { return verifyFloats(*this, getType(), false); }

// ----------------------------------------------------------------------------------------------------- across elements

/// Shared by reduce and scan: operands of one shape, a combiner of 2N scalars that yields N.
static LogicalResult verifyCombiner(Operation *op, ValueRange operands, int64_t axis, Region &combiner) {
  if (operands.empty()) return op->emitOpError("needs at least one operand"); // combine_c1
  auto first = cast<RankedTensorType>(operands[0].getType());
  if (axis < 0 || axis >= first.getRank())
    return op->emitOpError("axis ") << axis << " is outside 0.." << first.getRank() - 1; // combine_c2
  for (Value v : operands)
    if (shapeOf(v.getType()) != first.getShape()) return op->emitOpError("operands have one shape"); // combine_c3
  Block &body = combiner.front();
  size_t n = operands.size();
  if (body.getNumArguments() != 2 * n)
    return op->emitOpError("the combiner takes ") << 2 * n << " scalars"; // combine_c4
  auto yield = dyn_cast<YieldOp>(body.getTerminator());
  if (!yield || yield.getValues().size() != n)
    return op->emitOpError("the combiner yields ") << n << " scalars"; // combine_c5
  for (size_t i = 0; i < n; ++i) {
    Type element = elementOf(operands[i].getType());
    if (body.getArgument(i).getType() != element || body.getArgument(n + i).getType() != element ||
        yield.getValues()[i].getType() != element)
      return op->emitOpError("the combiner's operand ") << i << " has dtype " << element; // combine_c6
  }
  return success();
}

LogicalResult ReduceOp::verify() {
  if (failed(verifyCombiner(*this, getOperands(), (int32_t)getAxis(), getCombiner()))) return failure();
  if (getResults().size() != getOperands().size()) return emitOpError("gives one result per operand"); // reduce_c1
  for (auto [operand, result] : llvm::zip(getOperands(), getResults())) {
    SmallVector<int64_t> shape(shapeOf(operand.getType()));
    shape.erase(shape.begin() + getAxis());
    if (elementOf(operand.getType()) != elementOf(result.getType()) ||
        shapeOf(result.getType()) != ArrayRef<int64_t>(shape) || isTile(result.getType()) != !shape.empty())
      return emitOpError("drops the axis and keeps the dtype: result shape ") << text(shape); // reduce_c2
  }
  return success();
}

static LogicalResult verifySameTypes(Operation *op) {
  if (op->getNumOperands() != op->getNumResults()) return op->emitOpError("gives one result per operand"); // same_c1
  for (auto [operand, result] : llvm::zip(op->getOperands(), op->getResults()))
    if (elementOf(operand.getType()) != elementOf(result.getType()) ||
        shapeOf(operand.getType()) != shapeOf(result.getType()))
      return op->emitOpError("results have the operands' shapes and dtypes"); // same_c2
  return success();
}

LogicalResult ScanOp::verify() {
  if (failed(verifyCombiner(*this, getOperands(), (int32_t)getAxis(), getCombiner()))) return failure();
  return verifySameTypes(*this);
}

LogicalResult SortOp::verify() {
  if (getOperands().empty()) return emitOpError("needs at least the keys"); // sort_c1
  for (Value v : getOperands())
    if (shapeOf(v.getType()) != shapeOf(getOperands()[0].getType()))
      return emitOpError("operands have one shape"); // sort_c2
  return verifySameTypes(*this);
}

LogicalResult TopKOp::verify() {
  auto from = cast<RankedTensorType>(getValue().getType());
  int64_t k = (int32_t)getK(), n = from.getShape().back();
  if (k < 1 || k > n || !llvm::isPowerOf2_64(k))
    return emitOpError("k is a power of two from 1 to ") << n << ", not " << k; // topk_c1
  SmallVector<int64_t> shape(from.getShape());
  shape.back() = k;
  if (shapeOf(getValues().getType()) != ArrayRef<int64_t>(shape) ||
      shapeOf(getIndices().getType()) != ArrayRef<int64_t>(shape) ||
      elementOf(getValues().getType()) != from.getElementType() || !elementOf(getIndices().getType()).isInteger(32))
    return emitOpError("gives values and i32 indices of shape ") << text(shape); // topk_c2
  return success();
}

LogicalResult HistogramOp::verify() {
  if (getType().getRank() != 1) return emitOpError("gives a 1-D tile of counts"); // histogram_c1
  if (getMask() && shapeOf(getMask().getType()) != shapeOf(getValue().getType()))
    return emitOpError("mask has the values' shape"); // histogram_c2
  return success();
}

LogicalResult DotOp::verify() {
  auto a = cast<RankedTensorType>(getA().getType()), b = cast<RankedTensorType>(getB().getType()),
       c = cast<RankedTensorType>(getAcc().getType());
  if (a.getRank() != 2 || b.getRank() != 2 || c.getRank() != 2) return emitOpError("takes 2-D tiles"); // dot_c1
  if (a.getDimSize(1) != b.getDimSize(0) || a.getDimSize(0) != c.getDimSize(0) || b.getDimSize(1) != c.getDimSize(1))
    return emitOpError("multiplies [M,K] by [K,N] into [M,N]; got ")
           << text(a.getShape()) << ", " << text(b.getShape()) << ", " << text(c.getShape()); // dot_c2
  Type ea = a.getElementType(), eb = b.getElementType(), ec = c.getElementType();
  bool fp8 = isa<Float8E4M3FNType, Float8E5M2Type>(ea) && isa<Float8E4M3FNType, Float8E5M2Type>(eb);
  bool half = ea == eb && (ea.isF16() || ea.isBF16());
  bool same = ea == eb && ea == ec && (ea.isF32() || ea.isF64());
  if (!same && !((fp8 || half) && ec.isF32()))
    return emitOpError("takes f16, bf16 or fp8 operands with an f32 accumulator, or all f32, or all f64; got ")
           << ea << ", " << eb << ", " << ec; // dot_c3
  return success();
}
