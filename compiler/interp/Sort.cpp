// Orders along the last axis, and counting.
#include "compiler/interp/Machine.h"

#include <cmath>
#include <numeric>

using namespace mlir;

namespace moec::compiler::interp {
namespace {

/// a before b in ascending order; NaN after every number and equal to itself; i1 as 0 and 1.
bool less(Type element, bool isUnsigned, Bits a, Bits b) {
  if (isa<FloatType>(element)) {
    double x = decode(element, a), y = decode(element, b);
    return std::isnan(y) ? !std::isnan(x) : x < y;
  }
  return isUnsigned || element.isInteger(1) ? a < b : signedOf(element, a) < signedOf(element, b);
}

/// The order of the n keys from `begin` on: equal keys keep theirs.
std::vector<size_t> sortedOrder(const Value &keys, size_t begin, size_t n, bool descending, bool isUnsigned) {
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  Type element = keys.element();
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    Bits x = keys.at(begin + a), y = keys.at(begin + b);
    if (descending) std::swap(x, y);
    if (less(element, isUnsigned, x, y)) return true;
    return !less(element, isUnsigned, y, x) && a < b;
  });
  return order;
}

void runSort(Machine &m, tile::SortOp op) {
  SmallVector<Value> tiles;
  for (mlir::Value v : op.getOperands()) tiles.push_back(m.get(v));
  size_t n = tiles[0].shape().back();
  std::vector<std::vector<Bits>> out(tiles.size(), std::vector<Bits>(tiles[0].size()));
  for (size_t begin = 0; begin < tiles[0].size(); begin += n) {
    std::vector<size_t> order = sortedOrder(tiles[0], begin, n, op.getDescending(), op.getUnsignedKey());
    for (size_t t = 0; t < tiles.size(); ++t)
      for (size_t k = 0; k < n; ++k) out[t][begin + k] = tiles[t].at(begin + order[k]);
  }
  for (size_t t = 0; t < tiles.size(); ++t)
    m.set(op.getResult(t), makeValue(op.getResult(t).getType(), std::move(out[t])));
}

void runTopK(Machine &m, tile::TopKOp op) {
  Value tile = m.get(op.getValue());
  size_t n = tile.shape().back(), k = op.getK();
  std::vector<Bits> values, indices;
  for (size_t begin = 0; begin < tile.size(); begin += n) {
    std::vector<size_t> order = sortedOrder(tile, begin, n, /*descending=*/true, /*isUnsigned=*/false);
    for (size_t i = 0; i < k; ++i) {
      values.push_back(tile.at(begin + order[i]));
      indices.push_back(order[i]);
    }
  }
  m.set(op.getValues(), makeValue(op.getValues().getType(), std::move(values)));
  m.set(op.getIndices(), makeValue(op.getIndices().getType(), std::move(indices)));
}

void runHistogram(Machine &m, tile::HistogramOp op) {
  Value tile = m.get(op.getValue());
  std::optional<Value> mask;
  if (op.getMask()) mask = m.get(op.getMask());
  std::vector<Bits> counts(countOf(op.getType()));
  for (size_t i = 0; i < tile.size(); ++i) {
    int64_t bin = tile.signedAt(i);
    if (bin >= 0 && bin < int64_t(counts.size()) && (!mask || mask->at(i))) ++counts[bin];
  }
  m.setResult(op, std::move(counts));
}

} // namespace

void registerSort(Table &table) {
  table.on<tile::SortOp>(runSort);
  table.on<tile::TopKOp>(runTopK);
  table.on<tile::HistogramOp>(runHistogram);
}

} // namespace moec::compiler::interp
