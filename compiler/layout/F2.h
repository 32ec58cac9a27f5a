// Gaussian elimination over F2 on vectors of up to 32 bits, the one algorithm behind every layout question.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>

namespace moec::compiler {

/// The span of the vectors added so far, in echelon form. Every vector comes with a tag (a bit set of the caller's
/// choice); tags are XORed along, so that `solve` tells which added vectors sum up to a given one.
class F2Span {
public:
  struct Reduced {
    uint32_t rest; ///< the vector minus its part in the span; 0 if it lies in the span
    uint32_t tags; ///< XOR of the tags of the vectors that were subtracted
  };

  Reduced reduce(uint32_t v) const {
    uint32_t tags = 0;
    while (v) {
      int top = 31 - std::countl_zero(v);
      if (!pivot_[top]) break;
      v ^= pivot_[top];
      tags ^= tag_[top];
    }
    return {v, tags};
  }

  /// Adds v. Returns nothing if it was independent; otherwise the XOR of tags that sum to zero together with v's own
  /// tag (a kernel vector, when tags are unit vectors).
  std::optional<uint32_t> add(uint32_t v, uint32_t tag = 0) {
    Reduced r = reduce(v);
    if (!r.rest) return r.tags ^ tag;
    int top = 31 - std::countl_zero(r.rest);
    pivot_[top] = r.rest;
    tag_[top] = r.tags ^ tag;
    ++rank_;
    return std::nullopt;
  }

  /// True if v was independent (and is now in the span).
  bool grow(uint32_t v, uint32_t tag = 0) { return !add(v, tag); }

  bool contains(uint32_t v) const { return reduce(v).rest == 0; }

  /// The tags of the added vectors that sum to v, or nothing if v is outside the span.
  std::optional<uint32_t> solve(uint32_t v) const {
    Reduced r = reduce(v);
    if (r.rest) return std::nullopt;
    return r.tags;
  }

  int rank() const { return rank_; }

private:
  std::array<uint32_t, 32> pivot_{};
  std::array<uint32_t, 32> tag_{};
  int rank_ = 0;
};

/// XOR of rows[i] over the set bits i of x: a matrix, given by its columns, applied to a vector.
template <class Columns> uint32_t f2Apply(const Columns &columns, uint32_t x) {
  uint32_t y = 0;
  for (; x; x &= x - 1) y ^= columns[std::countr_zero(x)];
  return y;
}

inline bool isPowerOf2(int64_t n) { return n > 0 && (n & (n - 1)) == 0; }
inline int log2Exact(int64_t n) { return std::countr_zero(static_cast<uint64_t>(n)); }

} // namespace moec::compiler
