// The `tilegpu` dialect: registration and what each layout attribute spells.
#include "compiler/ir/TileGpu.h"
#include "compiler/layout/NamedLayouts.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace moec::tilegpu;
using moec::compiler::LinearLayout;

#include "compiler/ir/TileGpuAttrInterfaces.cpp.inc"
#include "compiler/ir/TileGpuDialect.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "compiler/ir/TileGpuAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "compiler/ir/TileGpuTypes.cpp.inc"
#define GET_OP_CLASSES
#include "compiler/ir/TileGpuOps.cpp.inc"

void TileGpuDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "compiler/ir/TileGpuOps.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "compiler/ir/TileGpuTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "compiler/ir/TileGpuAttrs.cpp.inc"
      >();
}

namespace mc = moec::compiler;

static mc::Dims dims(ArrayRef<int64_t> shape) { return mc::Dims(std::vector<int64_t>(shape.begin(), shape.end())); }
static mc::Dims dims(ArrayRef<int32_t> list) { return mc::Dims(std::vector<int64_t>(list.begin(), list.end())); }

LinearLayout BlockedAttr::toLinearLayout(ArrayRef<int64_t> shape) const {
  return mc::blocked(dims(shape), dims(getSizePerThread()), dims(getThreadsPerWarp()), dims(getWarpsPerCta()),
                     dims(getOrder()));
}

LinearLayout MmaAttr::toLinearLayout(ArrayRef<int64_t> shape) const {
  return mc::mmaAccumulator(dims(shape), getWarpsM(), getWarpsN());
}

LinearLayout DotOperandAttr::toLinearLayout(ArrayRef<int64_t> shape) const {
  auto operand = getOperand() == 0 ? mc::DotOperand::A : mc::DotOperand::B;
  return mc::mmaOperand(operand, dims(shape), getBits(), getParent().getWarpsM(), getParent().getWarpsN());
}

LinearLayout SliceAttr::toLinearLayout(ArrayRef<int64_t> shape) const {
  SmallVector<int64_t> whole(shape);
  whole.insert(whole.begin() + getDim(), getDimSize());
  return cast<LayoutAttrInterface>(getParent()).toLinearLayout(whole).slice(getDim()).removeFreeRegisters();
}

LogicalResult LinearAttr::verify(function_ref<InFlightDiagnostic()> emitError, StringRef text) {
  std::string problem;
  if (mc::LinearLayout::parse(text, &problem)) return success();
  return emitError() << "not a linear layout: " << problem; // linear_c1
}

LinearLayout LinearAttr::toLinearLayout(ArrayRef<int64_t> shape) const {
  // The text was checked when the attribute was made; a mismatch with the shape is a defect of the pass that put them
  // together.
  auto layout = mc::LinearLayout::parse(getText());
  assert(layout && "linear layout text");
  return layout->resizeTo(dims(shape));
}

LinearLayout moec::tilegpu::layoutOf(RankedTensorType type) {
  return cast<LayoutAttrInterface>(type.getEncoding()).toLinearLayout(type.getShape());
}

// ---- verifiers; each rule has a label that its test names

LogicalResult BufferType::verify(function_ref<InFlightDiagnostic()> emitError, ArrayRef<int64_t> shape, Type,
                                 int32_t stages, SwizzledAttr) {
  if (shape.empty() || llvm::any_of(shape, [](int64_t size) { return size < 1 || !llvm::isPowerOf2_64(size); }))
    return emitError() << "every dimension of a buffer's tiles is a power of two"; // buffer_c1
  if (stages < 1) return emitError() << "a buffer has at least one stage";         // buffer_c2
  return success();
}

/// A tile of the buffer's shape and dtype.
static LogicalResult verifyStage(Operation *op, BufferType buffer, ArrayRef<int64_t> shape, Type element,
                                 StringRef what) {
  if (shape == buffer.getShape() && element == buffer.getElementType()) return success();
  return op->emitOpError() << what << " has another shape or dtype than the buffer's tiles"; // stage_c1
}

LogicalResult LocalStoreOp::verify() {
  auto type = cast<RankedTensorType>(getValue().getType());
  return verifyStage(*this, getBuffer().getType(), type.getShape(), type.getElementType(), "the value");
}

LogicalResult LocalLoadOp::verify() {
  auto type = cast<RankedTensorType>(getType());
  SmallVector<int64_t> shape(type.getShape());
  if (getTrans()) {
    if (shape.size() < 2) return emitOpError("transposes tiles of at least two dimensions"); // local_load_c1
    std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
  }
  return verifyStage(*this, getBuffer().getType(), shape, type.getElementType(), "the result");
}

LogicalResult AsyncCopyOp::verify() {
  auto offset = cast<RankedTensorType>(getOffset().getType());
  if (failed(verifyStage(*this, getBuffer().getType(), offset.getShape(), getPtr().getType().getElementType(),
                         "what is copied")))
    return failure();
  auto mask = getMask() ? dyn_cast<RankedTensorType>(getMask().getType()) : RankedTensorType();
  if (mask && mask.getShape() != offset.getShape())
    return emitOpError("mask and offset have different shapes"); // async_copy_c1
  return success();
}

// ---- Hopper

static LogicalResult verifyBarriers(Operation *op, BufferType barriers) {
  if (barriers.getElementType().isInteger(64) && barriers.getShape() == ArrayRef<int64_t>{1}) return success();
  return op->emitOpError("mbarriers are a buffer<[1] x i64, stages = …>, one per stage"); // mbarrier_c1
}

LogicalResult MBarrierInitOp::verify() { return verifyBarriers(*this, getBarriers().getType()); }
LogicalResult MBarrierExpectOp::verify() { return verifyBarriers(*this, getBarriers().getType()); }
LogicalResult MBarrierArriveOp::verify() { return verifyBarriers(*this, getBarriers().getType()); }
LogicalResult MBarrierWaitOp::verify() { return verifyBarriers(*this, getBarriers().getType()); }

LogicalResult TmaLoadOp::verify() {
  TensorMapType map = getMap().getType();
  if (failed(verifyStage(*this, getBuffer().getType(), map.getBox(), map.getElementType(), "the tensor map's box")))
    return failure();
  if (getCoordinates().size() != map.getBox().size() || map.getBox().size() > 5)
    return emitOpError("one coordinate per dimension of the box, at most 5"); // tma_load_c1
  return verifyBarriers(*this, getBarriers().getType());
}

/// Rows of 128 bytes of a 16-bit dtype, swizzled by 128 bytes.
static bool isWgmmaOperand(BufferType buffer) {
  SwizzledAttr layout = buffer.getLayout();
  Type element = buffer.getElementType();
  return (element.isF16() || element.isBF16()) && buffer.getShape().size() == 2 && buffer.getShape()[1] == 64 &&
         layout.getVec() == 8 && layout.getPerPhase() == 1 && layout.getMaxPhase() == 8 &&
         layout.getOrder() == ArrayRef<int32_t>{1, 0};
}

LogicalResult WgmmaOp::verify() {
  BufferType a = getA().getType(), b = getB().getType();
  if (!isWgmmaOperand(a) || !isWgmmaOperand(b) || a.getElementType() != b.getElementType())
    return emitOpError("operands are f16 or bf16 buffers with rows of 64 elements, swizzled by 128 bytes"); // wgmma_c1
  auto acc = cast<RankedTensorType>(getAcc().getType());
  auto mma = dyn_cast_or_null<MmaAttr>(acc.getEncoding());
  int64_t n = b.getShape()[0];
  if (!acc.getElementType().isF32() || acc.getShape() != ArrayRef<int64_t>{a.getShape()[0], n} || n % 8 || n > 256)
    return emitOpError(
        "the accumulator is f32 [rows of a, rows of b], at most 256 columns, a multiple of 8"); // wgmma_c2
  if (!mma || mma.getWarpsN() != 1 || mma.getWarpsM() % 4 || acc.getDimSize(0) != 16 * mma.getWarpsM())
    return emitOpError("the accumulator's layout gives every warpgroup of 4 warps one block of 64 rows"); // wgmma_c3
  return success();
}
