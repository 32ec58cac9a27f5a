#include "compiler/lower/SharedTile.h"

#include "compiler/layout/NamedLayouts.h"

using namespace mlir;

namespace moec::compiler {

namespace {
uint32_t orOfBases(const LinearLayout &layout, std::initializer_list<InDim> ins) {
  uint32_t bits = 0;
  for (InDim in : ins)
    for (int i = 0; i < layout.inBits(in); ++i) bits |= layout.flatBasis(in, i);
  return bits;
}

SmallVector<int32_t> scaled(const LinearLayout &layout, InDim in, int bytes) {
  SmallVector<int32_t> bases;
  for (int i = 0; i < layout.inBits(in); ++i) bases.push_back(layout.flatBasis(in, i) * bytes);
  return bases;
}

Type vectorOf(Type element, int width) { return width == 1 ? element : Type(VectorType::get({width}, element)); }
} // namespace

Value packWord(Lowering &l, ArrayRef<Value> values) {
  Type i32 = l.b.getI32Type();
  if (values.size() == 1) return l.bitcast(values[0], i32);
  Lowering::Part first = l.partOf(values[0]);
  bool whole = first.word && first.index == 0;
  for (unsigned i = 1; i < values.size() && whole; ++i) {
    Lowering::Part part = l.partOf(values[i]);
    whole = part.word == first.word && part.index == i;
  }
  if (whole) return first.word;
  Value v = LLVM::PoisonOp::create(l.b, l.loc, VectorType::get({int64_t(values.size())}, values[0].getType()));
  for (auto [i, value] : llvm::enumerate(values)) v = LLVM::InsertElementOp::create(l.b, l.loc, v, value, l.i32(i));
  return LLVM::BitcastOp::create(l.b, l.loc, i32, v);
}

LinearLayout bufferLayout(tilegpu::BufferType type) {
  auto swizzle = type.getLayout();
  auto dims = [](auto list) { return Dims(std::vector<int64_t>(list.begin(), list.end())); };
  return swizzledShared(dims(type.getShape()), swizzle.getVec(), swizzle.getPerPhase(), swizzle.getMaxPhase(),
                        dims(swizzle.getOrder()));
}

int64_t stageBytes(tilegpu::BufferType type) {
  int64_t bytes = type.getElementType().getIntOrFloatBitWidth() / 8;
  for (int64_t size : type.getShape()) bytes *= size;
  return bytes;
}

Value stageBase(Lowering &l, Value buffer, Value stage) {
  auto alloc = buffer.getDefiningOp<tilegpu::AllocOp>();
  Value base = l.sharedBase();
  auto at = [&](LLVM::GEPArg offset) {
    return LLVM::GEPOp::create(l.b, l.loc, base.getType(), l.b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{offset});
  };
  if (int32_t offset = alloc.getOffset().value_or(0)) base = at(offset);
  if (alloc.getType().getStages() == 1) return base;
  Value bytes = l.mul(stage, l.i32(stageBytes(alloc.getType())));
  return at(bytes);
}

SharedTile::SharedTile(Lowering &l, Value base, const LinearLayout &shared, const LinearLayout &regs, Type storageType)
    : l(l), base(base), shared(shared), regs(regs), toOffset(regs.compose(shared.inverse())), element(storageType),
      elementBytes(std::max(8u, storageType.getIntOrFloatBitWidth()) / 8),
      access(sharedVector(regs, shared, elementBytes * 8)) {}

/// base + thread part (bytes) + constant (elements); where their bits meet (a swizzle), the two are XORed.
Value SharedTile::pointer(Value threadOffset, uint32_t threadBits, uint32_t constantOffset) {
  auto gep = [&](Value from, LLVM::GEPArg offset) -> Value {
    return LLVM::GEPOp::create(l.b, l.loc, base.getType(), l.b.getI8Type(), from, ArrayRef<LLVM::GEPArg>{offset});
  };
  uint32_t meeting = threadBits & constantOffset, apart = constantOffset & ~threadBits;
  if (meeting) threadOffset = LLVM::XOrOp::create(l.b, l.loc, threadOffset, l.i32(bytes(meeting)));
  Value p = gep(base, threadOffset);
  return apart ? gep(p, int32_t(bytes(apart))) : p;
}

Value SharedTile::address(unsigned reg) {
  Value thread =
      l.linearOfThread(scaled(toOffset, InDim::Lane, elementBytes), scaled(toOffset, InDim::Warp, elementBytes));
  return pointer(thread, orOfBases(toOffset, {InDim::Lane, InDim::Warp}), toOffset.applyFlat(reg));
}

unsigned SharedTile::vectorRegister(unsigned start, unsigned i) const {
  for (auto [j, bit] : llvm::enumerate(access.registerBits))
    if (i >> j & 1) start |= 1u << bit;
  return start;
}

SmallVector<unsigned> SharedTile::vectorStarts() const {
  uint32_t inside = 0;
  for (int bit : access.registerBits) inside |= 1u << bit;
  SmallVector<unsigned> starts;
  for (auto [r, first] : llvm::enumerate(canonicalRegisters(regs)))
    if (r == first && !(r & inside)) starts.push_back(r);
  return starts;
}

/// What an access of `access.width` elements moves: 32-bit words for short elements.
Type SharedTile::accessType() const {
  int bits = access.width * elementBytes * 8;
  if (access.width == 1) return element;
  return elementBytes < 4 && bits >= 32 ? vectorOf(l.b.getI32Type(), bits / 32) : vectorOf(element, access.width);
}

void SharedTile::store(ArrayRef<Value> values) {
  Type type = accessType();
  Type part = isa<VectorType>(type) ? cast<VectorType>(type).getElementType() : type;
  int perPart = part.getIntOrFloatBitWidth() / (elementBytes * 8);
  for (unsigned start : vectorStarts()) {
    SmallVector<Value> lanes, parts;
    for (int i = 0; i < access.width; ++i) lanes.push_back(values[vectorRegister(start, i)]);
    for (size_t i = 0; i < lanes.size(); i += perPart)
      parts.push_back(perPart == 1 ? lanes[i] : packWord(l, ArrayRef<Value>(lanes).slice(i, perPart)));
    Value v = parts[0];
    if (parts.size() > 1) {
      v = LLVM::PoisonOp::create(l.b, l.loc, type);
      for (auto [i, word] : llvm::enumerate(parts)) v = LLVM::InsertElementOp::create(l.b, l.loc, v, word, l.i32(i));
    }
    LLVM::StoreOp::create(l.b, l.loc, v, address(start), access.width * elementBytes);
  }
}

SmallVector<Value> SharedTile::load() {
  if (auto matrix = matrixAccess(regs, shared, elementBytes * 8)) return loadMatrices(*matrix);
  Type type = accessType();
  auto vector = dyn_cast<VectorType>(type);
  Type part = vector ? vector.getElementType() : type;
  SmallVector<Value> values(regs.inSize(InDim::Register));
  for (unsigned start : vectorStarts()) {
    Value v = LLVM::LoadOp::create(l.b, l.loc, type, address(start), access.width * elementBytes);
    SmallVector<Value> lanes;
    for (int i = 0; i < (vector ? vector.getNumElements() : 1); ++i) {
      Value word = vector ? Value(LLVM::ExtractElementOp::create(l.b, l.loc, v, l.i32(i))) : v;
      if (part == element)
        lanes.push_back(word);
      else
        lanes.append(l.unpack(word, element));
    }
    for (int i = 0; i < access.width; ++i) values[vectorRegister(start, i)] = lanes[i];
  }
  for (auto [r, first] : llvm::enumerate(canonicalRegisters(regs))) values[r] = values[first];
  return values;
}

/// Registers are grouped by instruction: `matrixBits` number its words, `wordBits` the elements of a word.
SmallVector<Value> SharedTile::loadMatrices(const MatrixAccess &m) {
  SmallVector<int32_t> rows;
  uint32_t threadBits = orOfBases(toOffset, {InDim::Warp});
  for (uint32_t offset : m.rowOffset) rows.push_back(bytes(offset)), threadBits |= offset;
  Value thread = l.linearOfThread(rows, scaled(toOffset, InDim::Warp, elementBytes));
  uint32_t inside = 0;
  for (int bit : m.wordBits) inside |= 1u << bit;
  for (int bit : m.matrixBits) inside |= 1u << bit;
  auto spread = [](ArrayRef<int> bits, unsigned i) {
    unsigned r = 0;
    for (auto [j, bit] : llvm::enumerate(bits))
      if (i >> j & 1) r |= 1u << bit;
    return r;
  };
  Type i32 = l.b.getI32Type();
  Type result = m.matrices == 1
                    ? i32
                    : Type(LLVM::LLVMStructType::getLiteral(l.b.getContext(), SmallVector<Type>(m.matrices, i32)));
  auto layout = m.transposed ? NVVM::MMALayout::col : NVVM::MMALayout::row;
  auto shape = NVVM::LdStMatrixShapeAttr::get(l.b.getContext(), 8, 8);
  SmallVector<Value> values(regs.inSize(InDim::Register));
  auto canonical = canonicalRegisters(regs);
  for (unsigned r = 0; r < values.size(); ++r) {
    if ((r & inside) || canonical[r] != r) continue;
    Value p = pointer(thread, threadBits, toOffset.applyFlat(r));
    Value loaded = NVVM::LdMatrixOp::create(l.b, l.loc, result, p, uint32_t(m.matrices), layout, shape,
                                            NVVM::LdStMatrixEltType::B16);
    for (int i = 0; i < m.matrices; ++i) {
      Value word =
          m.matrices == 1 ? loaded : Value(LLVM::ExtractValueOp::create(l.b, l.loc, loaded, ArrayRef<int64_t>{i}));
      for (auto [e, v] : llvm::enumerate(l.unpack(word, element)))
        values[r | spread(m.matrixBits, i) | spread(m.wordBits, e)] = v;
    }
  }
  for (unsigned r = 0; r < values.size(); ++r)
    if (!values[r]) values[r] = values[canonical[r]];
  return values;
}

} // namespace moec::compiler
