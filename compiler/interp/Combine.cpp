// tile.reduce and tile.scan, in the order that the ops define.
#include "compiler/interp/Machine.h"

using namespace mlir;

namespace moec::compiler::interp {
namespace {

/// One line of elements along the axis, for all operands: line[operand][index].
using Line = std::vector<std::vector<Bits>>;

/// What a reduce and a scan share: cutting tiles into lines along the axis, and calling the combiner.
class Combiner {
public:
  Combiner(Machine &m, ValueRange operands, int64_t axis, Region &body) : m(m), body(body.front()) {
    for (mlir::Value v : operands) tiles.push_back(m.get(v));
    ArrayRef<int64_t> shape = tiles[0].shape();
    length = shape[axis];
    for (int64_t size : shape.drop_front(axis + 1)) inner *= size;
    lines = tiles[0].size() / length;
  }

  /// Element k of line l is this element of the tile.
  size_t element(size_t l, size_t k) const { return (l / inner * length + k) * inner + l % inner; }

  Line line(size_t l) const {
    Line out(tiles.size(), std::vector<Bits>(length));
    for (size_t t = 0; t < tiles.size(); ++t)
      for (size_t k = 0; k < length; ++k) out[t][k] = tiles[t].at(element(l, k));
    return out;
  }

  /// line[into] = line[left] ∘ line[right]
  void combine(Line &line, size_t into, size_t left, size_t right) {
    SmallVector<Value> arguments;
    for (size_t side : {left, right})
      for (size_t t = 0; t < tiles.size(); ++t) arguments.push_back(makeValue(tiles[t].element(), {line[t][side]}));
    auto results = m.call(body, arguments);
    for (size_t t = 0; t < results.size(); ++t) line[t][into] = results[t].scalar();
  }

  Machine &m;
  Block &body;
  SmallVector<Value> tiles;
  size_t length, inner = 1, lines;
};

void runReduce(Machine &m, tile::ReduceOp op) {
  Combiner c(m, op.getOperands(), op.getAxis(), op.getCombiner());
  Line out(c.tiles.size(), std::vector<Bits>(c.lines));
  for (size_t l = 0; l < c.lines && !m.stopped(); ++l) {
    Line line = c.line(l);
    for (size_t step = 1; step < c.length; step *= 2)
      for (size_t k = 0; k < c.length; k += 2 * step) c.combine(line, k, k, k + step);
    for (size_t t = 0; t < out.size(); ++t) out[t][l] = line[t][0];
  }
  for (size_t t = 0; t < out.size(); ++t)
    m.set(op.getResult(t), makeValue(op.getResult(t).getType(), std::move(out[t])));
}

void runScan(Machine &m, tile::ScanOp op) {
  Combiner c(m, op.getOperands(), op.getAxis(), op.getCombiner());
  Line out(c.tiles.size(), std::vector<Bits>(c.tiles[0].size()));
  for (size_t l = 0; l < c.lines && !m.stopped(); ++l) {
    Line line = c.line(l);
    if (op.getReverse())
      for (auto &cells : line) std::reverse(cells.begin(), cells.end());
    for (size_t block = 1; block < c.length; block *= 2)
      for (size_t k = 0; k < c.length; ++k)
        if (k & block) c.combine(line, k, (k & ~(block - 1)) - 1, k);
    for (size_t t = 0; t < out.size(); ++t)
      for (size_t k = 0; k < c.length; ++k) out[t][c.element(l, op.getReverse() ? c.length - 1 - k : k)] = line[t][k];
  }
  for (size_t t = 0; t < out.size(); ++t)
    m.set(op.getResult(t), makeValue(op.getResult(t).getType(), std::move(out[t])));
}

} // namespace

void registerCombine(Table &table) {
  table.on<tile::ReduceOp>(runReduce);
  table.on<tile::ScanOp>(runScan);
}

} // namespace moec::compiler::interp
