// tilegpu, as far as it means something for one program: buffers of tiles, and copies that arrive when they are waited
// for.
#include "compiler/interp/Machine.h"

using namespace mlir;

namespace moec::compiler::interp {
namespace {

/// The stage that an op names; nothing, with a finding, where the buffer has no such stage.
std::optional<std::vector<Bits>> *stageOf(Machine &m, Operation *op, Buffer &buffer, mlir::Value stage) {
  int64_t number = m.get(stage).signedScalar();
  if (number >= 0 && number < int64_t(buffer.stages.size())) return &buffer.stages[number];
  m.finding(op, "stage " + Twine(number) + " is outside 0.." + Twine(buffer.stages.size()) + " of the buffer");
  return nullptr;
}

void runAlloc(Machine &m, tilegpu::AllocOp op) {
  auto buffer = std::make_shared<Buffer>();
  buffer->stages.resize(op.getType().getStages());
  m.set(op.getResult(), {op.getType(), nullptr, nullptr, std::move(buffer)});
}

void runLocalStore(Machine &m, tilegpu::LocalStoreOp op) {
  auto buffer = m.get(op.getBuffer()).buffer;
  if (auto *stage = stageOf(m, op, *buffer, op.getStage())) *stage = *m.get(op.getValue()).cells;
}

void runLocalLoad(Machine &m, tilegpu::LocalLoadOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  std::vector<Bits> out(type.getNumElements());
  auto buffer = m.get(op.getBuffer()).buffer;
  auto *stage = stageOf(m, op, *buffer, op.getStage());
  if (stage && !*stage) m.finding(op, "shared memory is read before anything is stored in it");
  if (stage && *stage) out = **stage;
  if (op.getTrans()) {
    // The last two dimensions change places.
    size_t rows = type.getDimSize(type.getRank() - 2), columns = type.getDimSize(type.getRank() - 1);
    std::vector<Bits> stored = out;
    for (size_t i = 0; i < out.size(); ++i) {
      size_t matrix = i / (rows * columns), r = i / columns % rows, c = i % columns;
      out[i] = stored[(matrix * columns + c) * rows + r];
    }
  }
  m.setResult(op, std::move(out));
}

void runAsyncCopy(Machine &m, tilegpu::AsyncCopyOp op) {
  auto buffer = m.get(op.getBuffer()).buffer;
  auto *stage = stageOf(m, op, *buffer, op.getStage());
  if (!stage) return;
  Type element = op.getPtr().getType().getElementType();
  uint64_t base = m.get(op.getPtr()).scalar();
  Value offset = m.get(op.getOffset());
  std::optional<Value> mask;
  if (op.getMask()) mask = m.get(op.getMask());
  std::vector<Bits> cells(offset.size());
  for (size_t i = 0; i < cells.size(); ++i)
    if (!mask || mask->at(i)) cells[i] = m.read(op, base + offset.signedAt(i) * bytesOf(element), element);
  m.copyLater([buffer, stage, cells = std::move(cells)] { *stage = cells; });
}

} // namespace

void registerGpu(Table &table) {
  table.on<tilegpu::AllocOp>(runAlloc);
  table.on<tilegpu::LocalStoreOp>(runLocalStore);
  table.on<tilegpu::LocalLoadOp>(runLocalLoad);
  table.on<tilegpu::AsyncCopyOp>(runAsyncCopy);
  table.on<tilegpu::AsyncCommitOp>([](Machine &m, tilegpu::AsyncCommitOp) { m.commitCopies(); });
  table.on<tilegpu::AsyncWaitOp>([](Machine &m, tilegpu::AsyncWaitOp op) { m.waitForCopies(op.getPending()); });
  table.on<tilegpu::BarrierOp>([](Machine &, tilegpu::BarrierOp) {});
}

} // namespace moec::compiler::interp
