#include "compiler/layout/SharedAccess.h"

#include <algorithm>

namespace moec::compiler {

using enum InDim;

static VectorAccess vectorOf(const LinearLayout &toOffset, int elemBits) {
  VectorAccess v;
  v.registerBits = toOffset.contiguousRegisterBits(0);
  size_t most = size_t(log2Exact(128 / elemBits));
  if (v.registerBits.size() > most) v.registerBits.resize(most);
  v.width = 1 << v.registerBits.size();
  return v;
}

/// log2 of the lanes that access together when each takes `bytes`.
static int groupLaneBits(int bytes) { return std::min(5, log2Exact(128) - log2Exact(std::min(bytes, 128))); }

/// Wavefronts of one group whose byte addresses are the span of `addresses` (single bits of a vector included): by
/// linearity every bank that is hit at all is asked for 2^(rank of words - rank of banks) words.
static int groupWavefronts(const std::vector<uint32_t> &addresses) {
  F2Span words, banks;
  for (uint32_t a : addresses) words.add(a >> 2), banks.add(a >> 2 & 31);
  return 1 << (words.rank() - banks.rank());
}

static WavefrontCount conflictsOf(const LinearLayout &toOffset, int elemBits, int vec) {
  int bytes = vec * elemBits / 8, lanes = std::min(groupLaneBits(bytes), toOffset.inBits(Lane));
  std::vector<uint32_t> addresses;
  for (int b = 4; b < bytes; b *= 2) addresses.push_back(uint32_t(b));
  for (int i = 0; i < lanes; ++i) addresses.push_back(toOffset.flatBasis(Lane, i) * uint32_t(elemBits / 8));
  int groups = 1 << (5 - groupLaneBits(bytes));
  return {groups * groupWavefronts(addresses), groups};
}

VectorAccess sharedVector(const LinearLayout &regs, const LinearLayout &shared, int elemBits) {
  return vectorOf(regs.invertAndCompose(shared), elemBits);
}

WavefrontCount bankConflicts(const LinearLayout &regs, const LinearLayout &shared, int elemBits, int vec) {
  return conflictsOf(regs.invertAndCompose(shared), elemBits, vec);
}

// --- ldmatrix
// -----------------------------------------------------------------------------------------------------------

/// Lane l gets the word at byte 4 * (l % 4) of row l / 4: word and lane bits 0..1 walk along the row's 16 bytes.
static std::optional<MatrixAccess> plainMatrix(const LinearLayout &toOffset, int elemBits) {
  MatrixAccess m;
  int wordBits = log2Exact(32 / elemBits), rowBits = wordBits + 2;
  uint32_t used = 0;
  for (int i = 0; i < rowBits; ++i) { // each offset bit inside a row: who moves it?
    if (i >= wordBits) {
      if (toOffset.flatBasis(Lane, i - wordBits) != 1u << i) return std::nullopt;
      continue;
    }
    int r = 0;
    while (r < toOffset.inBits(Register) && toOffset.flatBasis(Register, r) != 1u << i) ++r;
    if (r == toOffset.inBits(Register)) return std::nullopt;
    m.wordBits.push_back(r);
    used |= 1u << r;
  }
  used |= 3u << toOffset.firstBit(Lane);
  for (int i = 0, n = toOffset.totalInBits(); i < n; ++i) // all others must keep whole rows together
    if (!(used >> i & 1) && toOffset.packedBases()[i] & ((1u << rowBits) - 1)) return std::nullopt;
  for (int i = 0; i < 3; ++i) m.rowOffset[i] = toOffset.flatBasis(Lane, 2 + i);
  return m;
}

/// .trans: lane l gets elements 2 * (l % 4) and the next one of *column* l / 4: lane bits 2..4 walk along the 16 bytes.
static std::optional<MatrixAccess> transposedMatrix(const LinearLayout &toOffset, int elemBits) {
  if (elemBits != 16 || toOffset.inBits(Register) == 0) return std::nullopt;
  int firstLane = toOffset.firstBit(Lane);
  for (int i = 0, n = toOffset.totalInBits(); i < n; ++i) {
    bool column = i >= firstLane + 2 && i < firstLane + 5;
    uint32_t basis = toOffset.packedBases()[i];
    if (column ? basis != 1u << (i - firstLane - 2) : (basis & 7) != 0) return std::nullopt;
  }
  MatrixAccess m;
  m.transposed = true;
  m.wordBits = {0};
  m.rowOffset = {toOffset.flatBasis(Register, 0), toOffset.flatBasis(Lane, 0), toOffset.flatBasis(Lane, 1)};
  return m;
}

std::optional<MatrixAccess> matrixAccess(const LinearLayout &regs, const LinearLayout &shared, int elemBits) {
  if (regs.inBits(Lane) != 5 || elemBits > 32 || elemBits < 8) return std::nullopt;
  LinearLayout toOffset = regs.invertAndCompose(shared);
  auto m = plainMatrix(toOffset, elemBits);
  if (!m) m = transposedMatrix(toOffset, elemBits);
  if (!m) return std::nullopt;
  for (int r = 0; r < toOffset.inBits(Register) && m->matrixBits.size() < 2; ++r)
    if (std::find(m->wordBits.begin(), m->wordBits.end(), r) == m->wordBits.end()) {
      m->rowOffset[3 + m->matrixBits.size()] = toOffset.flatBasis(Register, r);
      m->matrixBits.push_back(r);
    }
  m->matrices = 1 << m->matrixBits.size();
  std::vector<uint32_t> addresses = {4, 8};
  for (int i = 0; i < 3; ++i) addresses.push_back(m->rowOffset[i] * uint32_t(elemBits / 8));
  m->wavefronts = m->matrices * groupWavefronts(addresses);
  return m;
}

// --- The choice of a swizzle
// --------------------------------------------------------------------------------------------

namespace {
/// Builds one candidate: a basis of the tensor's index space, ordered as vector bits, bank bits, segment bits. Two
/// lanes meet in a bank with different words exactly if they differ by a vector that has a segment part and no bank
/// part; so the segment directions are chosen outside the span of what either side's group of lanes touches.
class SwizzleBuilder {
public:
  SwizzleBuilder(const LinearLayout &src, const LinearLayout &dst, int elemBits)
      : src_(src), dst_(dst), elemBits_(elemBits), bits_(src.totalOutBits()),
        rowBits_(std::min(bits_, log2Exact(128 * 8 / elemBits))) {}

  /// `vector`: independent images of register bits, those of both sides first.
  LinearLayout build(const std::vector<uint32_t> &vector) {
    basis_ = vector;
    all_ = {};
    for (uint32_t v : vector) all_.grow(v);
    int wordBits = std::min(rowBits_, std::max(0, log2Exact(32) - log2Exact(elemBits_)));
    fill(wordBits); // the elements inside a 4-byte word never conflict
    std::vector<uint32_t> low = basis_;
    F2Span a = touched(src_, low, wordBits), b = touched(dst_, low, wordBits);
    std::vector<uint32_t> segments;
    for (int i = rowBits_; i < bits_; ++i) {
      uint32_t h = segment(a, b);
      segments.push_back(h);
      a.grow(h), b.grow(h), all_.grow(h);
    }
    fill(rowBits_);
    LinearLayout shared({int64_t(1) << bits_});
    for (uint32_t v : basis_) shared.addFlatBasis(Offset, v);
    for (uint32_t v : segments) shared.addFlatBasis(Offset, v);
    return shared.reshape(src_.shape());
  }

private:
  /// Extends basis_ to n vectors, from what lanes and registers move first, then from unit vectors.
  void fill(int n) {
    auto take = [&](uint32_t v) {
      if (int(basis_.size()) < n && all_.grow(v)) basis_.push_back(v);
    };
    for (InDim in : {Lane, Register, Warp})
      for (const LinearLayout *l : {&src_, &dst_})
        for (int i = 0; i < l->inBits(in); ++i) take(l->flatBasis(in, i));
    for (int i = 0; i < bits_; ++i) take(1u << i);
  }

  /// What one group of lanes of `l` touches, words included: the low offset bits of its vector, and its lanes.
  F2Span touched(const LinearLayout &l, const std::vector<uint32_t> &low, int wordBits) const {
    int vec = 0;
    auto has = [&](uint32_t v) {
      for (int i = 0; i < l.inBits(Register); ++i)
        if (l.flatBasis(Register, i) == v) return true;
      return false;
    };
    while (vec < int(low.size()) && has(low[vec])) ++vec;
    F2Span span;
    for (int i = 0; i < std::max(vec, wordBits); ++i) span.grow(low[i]);
    int lanes = std::min(groupLaneBits((elemBits_ << vec) / 8), l.inBits(Lane));
    for (int i = 0; i < lanes; ++i) span.grow(l.flatBasis(Lane, i));
    return span;
  }

  /// A vector outside both spans if there is one (over F2 two proper subspaces never cover the space: take one vector
  /// outside each, or their sum), independent of everything chosen so far.
  uint32_t segment(const F2Span &a, const F2Span &b) const {
    uint32_t outsideA = 0, outsideB = 0, outsideAll = 0;
    for (int i = bits_ - 1; i >= 0; --i) {
      uint32_t v = 1u << i;
      if (all_.contains(v)) continue;
      bool inA = a.contains(v), inB = b.contains(v);
      if (!inA && !inB) return v;
      outsideAll = v;
      if (!inA) outsideA = v;
      if (!inB) outsideB = v;
    }
    uint32_t sum = outsideA ^ outsideB;
    if (outsideA && outsideB && !all_.contains(sum)) return sum;
    return outsideA ? outsideA : outsideB ? outsideB : outsideAll;
  }

  const LinearLayout &src_, &dst_;
  int elemBits_, bits_, rowBits_;
  std::vector<uint32_t> basis_;
  F2Span all_;
};
} // namespace

/// Images of register bits of `first` (those also in `second` ahead), at most `most`; only the common ones if
/// `commonOnly`.
static std::vector<uint32_t> vectorCandidates(const LinearLayout &first, const LinearLayout &second, size_t most,
                                              bool commonOnly) {
  std::vector<uint32_t> out;
  F2Span span;
  for (bool common : {true, false}) {
    if (!common && commonOnly) break;
    for (int i = 0; i < first.inBits(Register) && out.size() < most; ++i) {
      uint32_t v = first.flatBasis(Register, i);
      bool shared = false;
      for (int j = 0; j < second.inBits(Register); ++j) shared |= second.flatBasis(Register, j) == v;
      if (shared == common && span.grow(v)) out.push_back(v);
    }
  }
  return out;
}

/// Instructions that move all of a thread's elements, copies left out.
static int accesses(const LinearLayout &regs, const VectorAccess &vec) {
  int registers = regs.inBits(Register) - std::popcount(regs.freeMasks()[int(Register)]);
  return (1 << registers) / vec.width;
}

SharedChoice chooseShared(const LinearLayout &src, const LinearLayout &dst, int elemBits) {
  assert(src.shape() == dst.shape() && src.inBits(Block) == 0 && dst.inBits(Block) == 0);
  assert(isPowerOf2(elemBits) && elemBits >= 8 && elemBits <= 64);
  size_t most = size_t(log2Exact(128 / elemBits));
  std::vector<uint32_t> tried[] = {vectorCandidates(src, dst, most, true), vectorCandidates(src, dst, most, false),
                                   vectorCandidates(dst, src, most, false)};
  SwizzleBuilder builder(src, dst, elemBits);
  SharedChoice best;
  for (int i = 0; i < 3; ++i) {
    if (std::find(tried, tried + i, tried[i]) != tried + i) continue;
    SharedChoice c;
    c.shared = builder.build(tried[i]);
    LinearLayout store = src.invertAndCompose(c.shared), load = dst.invertAndCompose(c.shared);
    c.store = vectorOf(store, elemBits), c.load = vectorOf(load, elemBits);
    c.storeCount = conflictsOf(store, elemBits, c.store.width), c.loadCount = conflictsOf(load, elemBits, c.load.width);
    int stores = accesses(src, c.store), loads = accesses(dst, c.load);
    c.cost = stores * c.storeCount.wavefronts + loads * c.loadCount.wavefronts;
    c.instructions = stores + loads;
    if (i == 0 || std::pair(c.cost, c.instructions) < std::pair(best.cost, best.instructions)) best = std::move(c);
  }
  return best;
}

} // namespace moec::compiler
