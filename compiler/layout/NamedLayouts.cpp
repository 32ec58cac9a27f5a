#include "compiler/layout/NamedLayouts.h"

#include <algorithm>

namespace moec::compiler {

using enum InDim;

LinearLayout blocked(const Dims &shape, const Dims &sizePerThread, const Dims &threadsPerWarp, const Dims &warpsPerCTA,
                     const Dims &order) {
  int rank = shape.size();
  assert(sizePerThread.size() == rank && threadsPerWarp.size() == rank && warpsPerCTA.size() == rank &&
         order.size() == rank);
  LinearLayout l(Dims::filled(rank, 1));
  const std::pair<InDim, const Dims *> levels[] = {
      {Register, &sizePerThread}, {Lane, &threadsPerWarp}, {Warp, &warpsPerCTA}};
  for (auto [in, sizes] : levels)
    for (int64_t d : order) l *= LinearLayout::identity1D((*sizes)[int(d)], in, int(d), rank);
  return l.resizeTo(shape, order).removeZeroBases(Register);
}

LinearLayout coalesced(const Dims &shape, int vec, int numWarps, const Dims &order) {
  int rank = shape.size();
  assert(isPowerOf2(vec) && isPowerOf2(numWarps) && order.size() == rank);
  if (rank == 0) return LinearLayout::zeros1D(32, Lane, 0) * LinearLayout::zeros1D(numWarps, Warp, 0);
  Dims perThread = Dims::filled(rank, 1), lanes = perThread, warps = perThread;
  int fast = int(order[0]), slow = int(order[rank - 1]);
  int64_t fair = std::max<int64_t>(1, shape.product() / (32 * numWarps));
  perThread[fast] = std::min({int64_t(vec), shape[fast], fair});
  auto spread = [&](Dims &level, int64_t threads, const Dims &below1, const Dims &below2) {
    for (int64_t dim : order) {
      int d = int(dim);
      level[d] = std::clamp<int64_t>(shape[d] / (below1[d] * below2[d]), 1, threads);
      threads /= level[d];
    }
    level[slow] *= threads; // whatever the tile has no element for: copies
  };
  spread(lanes, 32, perThread, warps);
  spread(warps, numWarps, perThread, lanes);
  return blocked(shape, perThread, lanes, warps, order);
}

LinearLayout mmaAccumulator(const Dims &shape, int warpsM, int warpsN) {
  assert(shape.size() == 2);
  auto l = LinearLayout::fromBases({16, 8},
                                   {{Register, {{0, 1}, {8, 0}}}, {Lane, {{0, 2}, {0, 4}, {1, 0}, {2, 0}, {4, 0}}}});
  l *= LinearLayout::identity1D(warpsM, Warp, 0, 2);
  l *= LinearLayout::identity1D(warpsN, Warp, 1, 2);
  return l.resizeTo(shape, {1, 0});
}

LinearLayout mmaOperand(DotOperand operand, const Dims &shape, int elemBits, int warpsM, int warpsN) {
  assert(shape.size() == 2 && (elemBits == 8 || elemBits == 16 || elemBits == 32));
  int perWord = 32 / elemBits; // elements in a 32-bit register, neighbours along K
  bool isA = operand == DotOperand::A;
  int k = isA ? 1 : 0, other = 1 - k;
  auto l = LinearLayout::identity1D(perWord, Register, k, 2) * LinearLayout::identity1D(4, Lane, k, 2) *
           LinearLayout::identity1D(8, Lane, other, 2);
  if (isA) l *= LinearLayout::identity1D(2, Register, other, 2);
  l *= LinearLayout::identity1D(2, Register, k, 2);
  auto m = isA ? LinearLayout::identity1D(warpsM, Warp, other, 2) : LinearLayout::zeros1D(warpsM, Warp, 2);
  auto n = isA ? LinearLayout::zeros1D(warpsN, Warp, 2) : LinearLayout::identity1D(warpsN, Warp, other, 2);
  return (l * m * n).resizeTo(shape, {k, other});
}

LinearLayout swizzledShared(const Dims &shape, int vec, int perPhase, int maxPhase, const Dims &order) {
  int rank = shape.size();
  assert(order.size() == rank && isPowerOf2(vec) && isPowerOf2(perPhase) && isPowerOf2(maxPhase));
  LinearLayout l(shape);
  for (int i = 0; i < rank; ++i) {
    int d = int(order[i]);
    for (int64_t step = 1; step < shape[d]; step *= 2) {
      Dims coords = Dims::filled(rank, 0);
      coords[d] = step;
      if (i == 1) {
        int fast = int(order[0]);
        int64_t phase = (step / perPhase) % maxPhase;
        coords[fast] = (vec * phase) % shape[fast];
      }
      l.addBasis(Offset, coords);
    }
  }
  return l;
}

LinearLayout matrixShared(const Dims &shape, int elemBits, const Dims &order) {
  int chunk = 128 / elemBits;
  int chunks = std::max<int>(1, int(shape[int(order[0])]) / chunk); // per row; 8 of them fill the 32 banks
  int perPhase = std::max(1, 8 / chunks);
  return swizzledShared(shape, chunk, perPhase, std::min(8 / perPhase, chunks), order);
}

LinearLayout tmaShared(const Dims &shape, int elemBits, int swizzleBytes) {
  assert(shape.size() >= 1 && (swizzleBytes == 32 || swizzleBytes == 64 || swizzleBytes == 128));
  int64_t cols = shape[shape.size() - 1], rows = shape.product() / cols;
  int64_t boxCols = std::min<int64_t>(cols, swizzleBytes * 8 / elemBits);
  auto boxes = LinearLayout::identity1D(boxCols, Offset, 1, 2) * LinearLayout::identity1D(rows, Offset, 0, 2) *
               LinearLayout::identity1D(cols / boxCols, Offset, 1, 2);
  // Where a swizzled offset points in the unswizzled boxes: bit 7 + i of the byte address also flips bit 4 + i.
  LinearLayout swizzle({boxes.numElements()});
  int byteShift = log2Exact(elemBits / 8), modeBits = log2Exact(swizzleBytes / 16);
  for (int bit = 0; bit < boxes.totalOutBits(); ++bit) {
    int phase = bit + byteShift - 7;
    uint32_t flip = phase >= 0 && phase < modeBits ? 1u << (bit - 3) : 0;
    swizzle.addFlatBasis(Offset, 1u << bit | flip);
  }
  return swizzle.compose(boxes).reshape(shape);
}

} // namespace moec::compiler
