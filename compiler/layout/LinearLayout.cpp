#include "compiler/layout/LinearLayout.h"

#include <algorithm>

namespace moec::compiler {

std::string_view inDimName(InDim in) {
  constexpr std::string_view names[] = {"register", "lane", "warp", "block", "offset"};
  return names[int(in)];
}

static constexpr InDim kAllInDims[] = {InDim::Register, InDim::Lane, InDim::Warp, InDim::Block, InDim::Offset};

static uint32_t lowBits(int n) { return n >= 32 ? ~0u : (1u << n) - 1; }

// --- Dims
// ---------------------------------------------------------------------------------------------------------------

void Dims::insert(int at, int64_t x) {
  assert(at >= 0 && at <= size_);
  push_back(x);
  std::rotate(v_.begin() + at, v_.begin() + size_ - 1, v_.begin() + size_);
}

void Dims::erase(int at) {
  assert(at >= 0 && at < size_);
  std::copy(v_.begin() + at + 1, v_.begin() + size_, v_.begin() + at);
  v_[--size_] = 0;
}

int64_t Dims::product() const {
  int64_t n = 1;
  for (int64_t x : *this) n *= x;
  return n;
}

// --- Making layouts
// -----------------------------------------------------------------------------------------------------

LinearLayout::LinearLayout(const Dims &shape) : rank_(uint8_t(shape.size())) {
  for (int d = 0; d < rank_; ++d) {
    assert(isPowerOf2(shape[d]));
    outBits_[d] = uint8_t(log2Exact(shape[d]));
  }
  assert(totalOutBits() <= kMaxOutBits);
}

LinearLayout LinearLayout::identity1D(int64_t size, InDim in, int outDim, int rank) {
  assert(outDim >= 0 && outDim < rank);
  Dims shape = Dims::filled(rank, 1);
  shape[outDim] = size;
  return identity(in, shape);
}

LinearLayout LinearLayout::zeros1D(int64_t size, InDim in, int rank) {
  assert(isPowerOf2(size));
  LinearLayout l(Dims::filled(rank, 1));
  for (int i = 0; i < log2Exact(size); ++i) l.addFlatBasis(in, 0);
  return l;
}

LinearLayout LinearLayout::identity(InDim in, const Dims &shape) {
  LinearLayout l(shape);
  for (int i = 0; i < l.totalOutBits(); ++i) l.addFlatBasis(in, 1u << i);
  return l;
}

LinearLayout LinearLayout::fromBases(const Dims &shape, BasisList bases) {
  LinearLayout l(shape);
  for (const auto &[in, list] : bases)
    for (const Dims &coords : list) l.addBasis(in, coords);
  return l;
}

void LinearLayout::addFlatBasis(InDim in, uint32_t flat) {
  int n = totalInBits();
  assert(n < kMaxInBits && flat < numElements());
  int at = firstBit(in) + inBits(in);
  std::copy_backward(bases_.begin() + at, bases_.begin() + n, bases_.begin() + n + 1);
  bases_[at] = flat;
  ++inBits_[int(in)];
}

// --- Sizes and applying
// -------------------------------------------------------------------------------------------------

Dims LinearLayout::shape() const {
  Dims s;
  for (int d = 0; d < rank_; ++d) s.push_back(dimSize(d));
  return s;
}

int LinearLayout::totalOutBits() const {
  int n = 0;
  for (int d = 0; d < rank_; ++d) n += outBits_[d];
  return n;
}

int LinearLayout::totalInBits() const {
  int n = 0;
  for (uint8_t b : inBits_) n += b;
  return n;
}

int LinearLayout::firstBit(InDim in) const {
  int n = 0;
  for (int i = 0; i < int(in); ++i) n += inBits_[i];
  return n;
}

int LinearLayout::outShift(int d) const {
  int n = 0;
  for (int i = d + 1; i < rank_; ++i) n += outBits_[i];
  return n;
}

uint32_t LinearLayout::pack(uint32_t reg, uint32_t lane, uint32_t warp, uint32_t block) const {
  assert(reg < inSize(InDim::Register) && lane < inSize(InDim::Lane) && warp < inSize(InDim::Warp) &&
         block < inSize(InDim::Block));
  int r = inBits_[0], l = r + inBits_[1], w = l + inBits_[2];
  return reg | lane << r | warp << l | block << w;
}

uint32_t LinearLayout::applyFlat(uint32_t reg, uint32_t lane, uint32_t warp, uint32_t block) const {
  return applyPacked(pack(reg, lane, warp, block));
}

uint32_t LinearLayout::flatten(const Dims &coords) const {
  assert(coords.size() == rank_);
  uint32_t flat = 0;
  for (int d = 0; d < rank_; ++d) {
    assert(coords[d] >= 0 && coords[d] < dimSize(d));
    flat = flat << outBits_[d] | uint32_t(coords[d]);
  }
  return flat;
}

Dims LinearLayout::unflatten(uint32_t flat) const {
  Dims coords = Dims::filled(rank_, 0);
  for (int d = rank_ - 1; d >= 0; --d) {
    coords[d] = flat & lowBits(outBits_[d]);
    flat >>= outBits_[d];
  }
  return coords;
}

std::vector<LinearLayout::ShiftTerm> LinearLayout::shiftTerms(InDim in, int dim) const {
  std::vector<ShiftTerm> terms;
  for (int b = 0; b < inBits(in); ++b)
    for (uint32_t y = (flatBasis(in, b) & dimMask(dim)) >> outShift(dim); y; y &= y - 1) {
      int shift = std::countr_zero(y) - b;
      auto same = std::find_if(terms.begin(), terms.end(), [&](const ShiftTerm &t) { return t.shift == shift; });
      if (same == terms.end()) same = terms.insert(same, {0, shift});
      same->mask |= 1u << b;
    }
  return terms;
}

// --- Combining
// ----------------------------------------------------------------------------------------------------------

template <class F> LinearLayout LinearLayout::mapBases(const Dims &shape, F &&f) const {
  LinearLayout l(shape);
  l.inBits_ = inBits_;
  for (int i = 0, n = totalInBits(); i < n; ++i) {
    l.bases_[i] = f(bases_[i]);
    assert(l.bases_[i] < l.numElements());
  }
  return l;
}

LinearLayout LinearLayout::keepBits(uint32_t packedMask) const {
  LinearLayout l(shape());
  int i = 0;
  for (InDim in : kAllInDims)
    for (int b = 0; b < inBits(in); ++b, ++i)
      if (packedMask >> i & 1) l.addFlatBasis(in, bases_[i]);
  return l;
}

LinearLayout LinearLayout::operator*(const LinearLayout &other) const {
  assert(rank_ == other.rank_);
  Dims shape;
  for (int d = 0; d < rank_; ++d) shape.push_back(dimSize(d) << other.outBits_[d]);
  LinearLayout l(shape);
  for (InDim in : kAllInDims) {
    for (int b = 0; b < inBits(in); ++b) l.addBasis(in, basis(in, b));
    for (int b = 0; b < other.inBits(in); ++b) {
      Dims coords = other.basis(in, b);
      for (int d = 0; d < rank_; ++d) coords[d] <<= outBits_[d];
      l.addBasis(in, coords);
    }
  }
  return l;
}

LinearLayout LinearLayout::compose(const LinearLayout &outer) const {
  assert(totalOutBits() <= outer.totalInBits());
  return mapBases(outer.shape(), [&](uint32_t flat) { return outer.applyPacked(flat); });
}

Dims LinearLayout::inputShape() const {
  if (inBits(InDim::Offset) == 0)
    return {inSize(InDim::Block), inSize(InDim::Warp), inSize(InDim::Lane), inSize(InDim::Register)};
  assert(inBits(InDim::Offset) == totalInBits() && "a layout is either distributed or in shared memory");
  return {inSize(InDim::Offset)};
}

LinearLayout LinearLayout::inverse() const {
  assert(isInvertible());
  return pseudoInverse();
}

LinearLayout LinearLayout::pseudoInverse() const { return identity(InDim::Offset, shape()).invertAndCompose(*this); }

LinearLayout LinearLayout::invertAndCompose(const LinearLayout &other) const {
  assert(numElements() == other.numElements());
  F2Span span; // dependent bits of `other` never enter the span, so they stay zero in every solution
  for (int i = 0, n = other.totalInBits(); i < n; ++i) span.add(other.bases_[i], 1u << i);
  return mapBases(other.inputShape(), [&](uint32_t flat) {
    auto place = span.solve(flat);
    assert(place && "the other layout does not hold this element");
    return place.value_or(0);
  });
}

LinearLayout LinearLayout::sublayout(std::initializer_list<InDim> ins, const Dims &outDims) const {
  Dims newShape;
  for (int64_t d : outDims) newShape.push_back(dimSize(int(d)));
  LinearLayout l(newShape);
  for (InDim in : kAllInDims) {
    if (std::find(ins.begin(), ins.end(), in) == ins.end()) continue;
    for (int b = 0; b < inBits(in); ++b) {
      Dims from = basis(in, b), coords;
      for (int64_t d : outDims) coords.push_back(from[int(d)]);
      l.addBasis(in, coords);
    }
  }
  return l;
}

std::optional<LinearLayout> LinearLayout::divideLeft(const LinearLayout &low) const {
  if (low.rank_ != rank_) return std::nullopt;
  Dims newShape;
  for (int d = 0; d < rank_; ++d) {
    if (low.outBits_[d] > outBits_[d]) return std::nullopt;
    newShape.push_back(dimSize(d) >> low.outBits_[d]);
  }
  LinearLayout high(newShape);
  for (InDim in : kAllInDims) {
    if (low.inBits(in) > inBits(in)) return std::nullopt;
    for (int b = low.inBits(in); b < inBits(in); ++b) {
      Dims coords = basis(in, b);
      for (int d = 0; d < rank_; ++d) coords[d] >>= low.outBits_[d];
      high.addBasis(in, coords);
    }
  }
  if (low * high != *this) return std::nullopt;
  return high;
}

std::optional<LinearLayout> LinearLayout::quotient(InDim in) const {
  int outDim = in == InDim::Offset ? 0 : 3 - int(in);
  if (outDim >= rank_ || outBits_[outDim] != inBits(in)) return std::nullopt;
  int first = firstBit(in), shift = outShift(outDim);
  for (int i = 0; i < totalInBits(); ++i) {
    bool own = i >= first && i < first + inBits(in);
    if (own ? bases_[i] != 1u << (shift + i - first) : (bases_[i] & dimMask(outDim)) != 0) return std::nullopt;
  }
  Dims newShape = shape();
  newShape[outDim] = 1;
  LinearLayout rest(newShape);
  for (InDim other : kAllInDims)
    for (int b = 0; other != in && b < inBits(other); ++b) {
      Dims coords = basis(other, b);
      coords[outDim] = 0;
      rest.addBasis(other, coords);
    }
  return rest;
}

// --- Changing the tensor's shape
// ------------------------------------------------------------------------------------------

LinearLayout LinearLayout::reshape(const Dims &shape) const {
  assert(shape.product() == numElements());
  return mapBases(shape, [](uint32_t flat) { return flat; });
}

LinearLayout LinearLayout::transpose(const Dims &perm) const {
  assert(perm.size() == rank_);
  return sublayout({InDim::Register, InDim::Lane, InDim::Warp, InDim::Block, InDim::Offset}, perm);
}

LinearLayout LinearLayout::expandDims(int at) const {
  Dims s = shape();
  s.insert(at, 1);
  return reshape(s);
}

LinearLayout LinearLayout::slice(int dim) const {
  Dims keep;
  for (int d = 0; d < rank_; ++d)
    if (d != dim) keep.push_back(d);
  return sublayout({InDim::Register, InDim::Lane, InDim::Warp, InDim::Block, InDim::Offset}, keep);
}

LinearLayout LinearLayout::restrictTo(const Dims &newShape) const {
  assert(newShape.size() == rank_);
  LinearLayout l(newShape);
  for (int d = 0; d < rank_; ++d) assert(newShape[d] <= dimSize(d));
  return mapBases(newShape, [&](uint32_t flat) {
    Dims coords = unflatten(flat);
    for (int d = 0; d < rank_; ++d) coords[d] &= newShape[d] - 1;
    return l.flatten(coords);
  });
}

LinearLayout LinearLayout::ensureNotLargerThan(const Dims &shape) const {
  assert(shape.size() == rank_);
  Dims s = this->shape();
  for (int d = 0; d < rank_; ++d) s[d] = std::min(s[d], shape[d]);
  return restrictTo(s);
}

LinearLayout LinearLayout::ensureNotSmallerThan(const Dims &shape, const Dims &order) const {
  assert(shape.size() == rank_ && (order.empty() || order.size() == rank_));
  LinearLayout l = *this;
  for (int i = 0; i < rank_; ++i) {
    int d = order.empty() ? rank_ - 1 - i : int(order[i]);
    if (shape[d] > dimSize(d)) l *= identity1D(shape[d] >> outBits_[d], InDim::Register, d, rank_);
  }
  return l;
}

LinearLayout LinearLayout::resizeTo(const Dims &shape, const Dims &order) const {
  return ensureNotLargerThan(shape).ensureNotSmallerThan(shape, order);
}

LinearLayout LinearLayout::removeZeroBases(InDim in) const {
  uint32_t keep = ~0u;
  for (int b = 0; b < inBits(in); ++b)
    if (!flatBasis(in, b)) keep &= ~(1u << (firstBit(in) + b));
  return keepBits(keep);
}

LinearLayout LinearLayout::removeFreeRegisters() const { return keepBits(~freeMasks()[int(InDim::Register)]); }

// --- Questions
// ------------------------------------------------------------------------------------------------------------

int LinearLayout::imageRank() const {
  F2Span span;
  for (int i = 0, n = totalInBits(); i < n; ++i) span.add(bases_[i]);
  return span.rank();
}

std::array<uint32_t, kNumInDims> LinearLayout::freeMasks() const {
  std::array<uint32_t, kNumInDims> masks{};
  F2Span span;
  for (InDim in : kAllInDims)
    for (int b = 0; b < inBits(in); ++b)
      if (!span.grow(flatBasis(in, b))) masks[int(in)] |= 1u << b;
  return masks;
}

std::vector<uint32_t> LinearLayout::kernelBasis() const {
  std::vector<uint32_t> kernel;
  F2Span span;
  for (int i = 0, n = totalInBits(); i < n; ++i)
    if (auto sum = span.add(bases_[i], 1u << i)) kernel.push_back(*sum);
  return kernel;
}

std::vector<int> LinearLayout::contiguousRegisterBits(int dim) const {
  std::vector<int> bits;
  for (int i = 0; i < outBits_[dim]; ++i) {
    uint32_t step = 1u << (outShift(dim) + i);
    int user = -1, users = 0;
    for (int b = 0, n = totalInBits(); b < n; ++b)
      if (bases_[b] & step) user = b, ++users;
    if (users != 1 || user >= inBits(InDim::Register) || bases_[user] != step) break;
    bits.push_back(user); // registers come first in the packed input
  }
  return bits;
}

bool LinearLayout::isPermutationLayout() const {
  uint32_t seen = 0;
  for (int i = 0, n = totalInBits(); i < n; ++i) {
    if ((bases_[i] & (bases_[i] - 1)) || (bases_[i] & seen)) return false;
    seen |= bases_[i];
  }
  return true;
}

std::optional<std::vector<LinearLayout::BitHome>> LinearLayout::indexBitHomes(int dim) const {
  if (!isPermutationLayout()) return std::nullopt;
  std::vector<BitHome> homes(outBits_[dim]);
  for (InDim in : kAllInDims)
    for (int b = 0; b < inBits(in); ++b)
      if (uint32_t own = flatBasis(in, b) & dimMask(dim)) homes[std::countr_zero(own) - outShift(dim)] = {true, in, b};
  return homes;
}

size_t LinearLayout::hash() const {
  uint64_t h = 0xcbf29ce484222325u;
  auto mix = [&](uint64_t x) { h = (h ^ x) * 0x100000001b3u, h ^= h >> 29; };
  mix(rank_);
  for (uint8_t b : inBits_) mix(b);
  for (uint8_t b : outBits_) mix(b);
  for (int i = 0, n = totalInBits(); i < n; ++i) mix(bases_[i]);
  return size_t(h);
}

} // namespace moec::compiler
