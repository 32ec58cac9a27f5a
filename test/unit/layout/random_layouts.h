// Seeded random layouts for the property tests.
#pragma once

#include "compiler/layout/LinearLayout.h"

#include <algorithm>
#include <random>

namespace moec::compiler {

class RandomLayouts {
public:
  explicit RandomLayouts(unsigned seed) : rng_(seed) {}

  int below(int n) { return int(rng_() % unsigned(n)); }
  bool coin() { return rng_() & 1; }

  /// A shape with `bits` index bits over 1 to 3 dims.
  Dims shape(int bits) {
    int rank = 1 + below(3);
    Dims s = Dims::filled(rank, 1);
    for (int i = 0; i < bits; ++i) s[below(rank)] *= 2;
    return s;
  }

  /// Random vectors of `bits` bits that span everything: unit vectors in random places, zeros, copies, mixed if
  /// `dense`.
  std::vector<uint32_t> spanning(int count, int bits, bool dense) {
    std::vector<uint32_t> v;
    for (int i = 0; i < count; ++i) {
      uint32_t basis = 0;
      if (i < bits)
        basis = 1u << i;
      else if (dense && coin())
        basis = uint32_t(rng_()) & ((1u << bits) - 1);
      v.push_back(basis);
    }
    std::shuffle(v.begin(), v.end(), rng_);
    for (int step = 0; dense && step < 3 * count; ++step) {
      int a = below(count), b = below(count);
      if (a != b) v[size_t(a)] ^= v[size_t(b)];
    }
    return v;
  }

  LinearLayout fromVectors(const Dims &shape, const std::vector<uint32_t> &v, int regBits, int laneBits) {
    LinearLayout l(shape);
    for (int i = 0; i < int(v.size()); ++i)
      l.addFlatBasis(i < regBits ? InDim::Register : i < regBits + laneBits ? InDim::Lane : InDim::Warp, v[size_t(i)]);
    return l;
  }

  /// Surjective, 5 lane bits.
  LinearLayout distributed(const Dims &shape, int regBits, int warpBits, bool dense) {
    int bits = LinearLayout(shape).totalOutBits();
    return fromVectors(shape, spanning(regBits + 5 + warpBits, bits, dense), regBits, 5);
  }

  /// Invertible offset -> tensor.
  LinearLayout memory(const Dims &shape, bool dense) {
    LinearLayout l(shape);
    int bits = l.totalOutBits();
    for (uint32_t v : bits ? spanning(bits, bits, dense) : std::vector<uint32_t>()) l.addFlatBasis(InDim::Offset, v);
    return l;
  }

  std::mt19937 &engine() { return rng_; }

private:
  std::mt19937 rng_;
};

} // namespace moec::compiler
