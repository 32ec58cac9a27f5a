// Linear layouts: where each element of a tile lives, as a linear map over F2 (the field {0, 1} with XOR as addition).
//
// Source of the idea: "Linear Layouts: Robust Code Generation of Efficient Tensor Computation Using F2", arXiv
// 2505.23819.
//
// DEFINITION. A layout maps hardware coordinates (register, lane, warp, block), or an offset in shared memory, to the
// coordinates of a tensor. All sizes are powers of two, so coordinates are bit vectors, and the map L is linear:
//     L(a xor b) = L(a) xor L(b)   for all a, b;   hence L(0) = 0.
// So L is known once we know what it does to the single bits. The images of the bits are called bases; they are all
// that is stored. To apply L, XOR the bases of the set bits.
//
// WORKED TABLE. A 4x4 tensor over 4 lanes with 4 registers each, register bits along dim1:
//     register bit 0 -> (0, 1)      lane bit 0 -> (1, 0)          text form:
//     register bit 1 -> (0, 2)      lane bit 1 -> (2, 0)          register = [[0, 1], [0, 2]], lane = [[1, 0], [2, 0]],
//     warp = []
//   L(register 3, lane 2) = (0,1) ^ (0,2) ^ (2,0) = (2, 3). As a picture, lane:register in each cell:
//         col 0  1   2   3
//   row 0   0:0 0:1 0:2 0:3
//   row 1   1:0 1:1 1:2 1:3
//   row 2   2:0 2:1 2:2 2:3
//   row 3   3:0 3:1 3:2 3:3
//
// SIX EXAMPLES (each as its bases)
//   1. Vector access: register bit i -> (0, 2^i), i < 3: a thread holds 8 neighbours, one 128-bit access of 16-bit
//   elements.
//   2. Broadcast: lane bit 4 -> (0, 0): lanes 0..15 and 16..31 hold the same elements. A reduction's result looks like
//   this.
//   3. mma.sync m16n8 accumulator: register -> (0,1), (8,0); lane -> (0,2), (0,4), (1,0), (2,0), (4,0).
//   4. Swizzled shared memory: offset -> (0,1), (0,2), (1,1), (2,2): row r stores column c at offset 4r + (c ^ r).
//   5. A tile bigger than the threads: one more register bit per doubling ("wrapping").
//   6. A slice of example 3 along dim1 (what a row-wise reduction leaves): register -> (0), (8); lane -> (0), (0), (1),
//   (2), (4).
//
// DIRECTION. From hardware to tensor, not back: a tensor element may live in several places (examples 2, 6), which a
// map to the tensor expresses as zero (or dependent) bases, while the other direction would not be a function.
// Shared-memory layouts are invertible, but keep the same direction so that one set of operations serves both. To go
// from the registers of one layout to the place of the same elements in another: a.invertAndCompose(b).
//
// WHAT IT CANNOT EXPRESS. Sizes that are not powers of two; padding (a row stride of 33 words: use a swizzle instead);
// a layout that depends on run-time values; maps such as i -> 5 - i or rotation by addition (XOR replaces addition).
//
// COMPARED with shape:stride layouts (CuTe): those add where we XOR. They can express padding and odd sizes, but a
// swizzle is a separate thing there, and composition and inverse are partial; here both are Gaussian elimination and
// always work.
//
// REPRESENTATION. The tensor index is kept flat, row-major (last dim fastest), so a basis is one uint32_t, a reshape is
// free and applying the layout is at most 32 XORs. The input bits are packed the same way, register lowest:
//     packed input = register | lane << bits(register) | warp << ... | block << ... | offset << ...
// A value is 140 bytes, copies with memcpy and never allocates: the JIT asks layouts all the time.
// Arguments are trusted (asserted); only parse() takes text from outside.
#pragma once

#include "compiler/layout/F2.h"

#include <array>
#include <cassert>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace moec::compiler {

/// The input dimensions, in packing order. A layout has either some of the first four, or Offset.
enum class InDim : uint8_t { Register, Lane, Warp, Block, Offset };
inline constexpr int kNumInDims = 5;
std::string_view inDimName(InDim in);

/// A list of at most five integers: a shape, coordinates, an order or a permutation. Converts from {1, 2}, vectors,
/// ArrayRefs.
class Dims {
public:
  static constexpr int kMax = 5;
  Dims() = default;
  Dims(std::initializer_list<int64_t> v) { assign(v.begin(), v.size()); }
  template <class Range>
    requires(!std::is_same_v<Range, Dims>) && requires(const Range &r) {
      { r.data() } -> std::convertible_to<const int64_t *>;
      r.size();
    }
  Dims(const Range &r) {
    assign(r.data(), r.size());
  }
  static Dims filled(int n, int64_t value) {
    Dims d;
    for (int i = 0; i < n; ++i) d.push_back(value);
    return d;
  }

  int size() const { return size_; }
  bool empty() const { return size_ == 0; }
  int64_t operator[](int i) const { return assert(i >= 0 && i < size_), v_[i]; }
  int64_t &operator[](int i) { return assert(i >= 0 && i < size_), v_[i]; }
  const int64_t *data() const { return v_.data(); }
  const int64_t *begin() const { return v_.data(); }
  const int64_t *end() const { return v_.data() + size_; }
  void push_back(int64_t x) { assert(size_ < kMax), v_[size_++] = x; }
  void insert(int at, int64_t x);
  void erase(int at);
  int64_t product() const;
  bool operator==(const Dims &) const = default;

private:
  void assign(const int64_t *p, size_t n) {
    assert(n <= kMax);
    for (size_t i = 0; i < n; ++i) push_back(p[i]);
  }
  std::array<int64_t, kMax> v_{};
  int size_ = 0;
};

class LinearLayout {
public:
  static constexpr int kMaxRank = Dims::kMax;
  static constexpr int kMaxInBits = 32;
  static constexpr int kMaxOutBits = 31;

  // --- Making layouts ---------------------------------------------------------------------------------------------

  LinearLayout() = default;                 ///< a scalar in one register: no input bits, rank 0
  explicit LinearLayout(const Dims &shape); ///< no input bits yet; add them with addBasis
  /// in-index i -> coordinate i of dim `outDim`; all other dims of the rank have size 1.
  static LinearLayout identity1D(int64_t size, InDim in, int outDim, int rank);
  /// in-index i -> 0, for every i: data repeated `size` times. All dims have size 1.
  static LinearLayout zeros1D(int64_t size, InDim in, int rank);
  /// in-index i -> flat element i, for a whole shape. identity(InDim::Offset, shape) is plain row-major memory.
  static LinearLayout identity(InDim in, const Dims &shape);
  using BasisList = std::initializer_list<std::pair<InDim, std::vector<Dims>>>;
  static LinearLayout fromBases(const Dims &shape, BasisList bases);

  /// Appends a bit above the existing bits of `in`, with the given image.
  void addBasis(InDim in, const Dims &coords) { addFlatBasis(in, flatten(coords)); }
  void addFlatBasis(InDim in, uint32_t flat);

  // --- Sizes and bases --------------------------------------------------------------------------------------------

  int rank() const { return rank_; }
  int64_t dimSize(int d) const { return int64_t(1) << outBits_[d]; }
  int dimBits(int d) const { return outBits_[d]; }
  Dims shape() const;
  int totalOutBits() const;
  int64_t numElements() const { return int64_t(1) << totalOutBits(); }

  int inBits(InDim in) const { return inBits_[int(in)]; }
  int64_t inSize(InDim in) const { return int64_t(1) << inBits(in); }
  int totalInBits() const;
  int firstBit(InDim in) const; ///< position of the dim's lowest bit in the packed input

  uint32_t flatBasis(InDim in, int bit) const { return assert(bit < inBits(in)), bases_[firstBit(in) + bit]; }
  Dims basis(InDim in, int bit) const { return unflatten(flatBasis(in, bit)); }
  const std::array<uint32_t, kMaxInBits> &packedBases() const { return bases_; }

  // --- Applying ---------------------------------------------------------------------------------------------------

  uint32_t applyPacked(uint32_t packedIn) const { return f2Apply(bases_, packedIn); } ///< flat tensor index
  uint32_t applyFlat(uint32_t reg, uint32_t lane = 0, uint32_t warp = 0, uint32_t block = 0) const;
  Dims apply(uint32_t reg, uint32_t lane = 0, uint32_t warp = 0, uint32_t block = 0) const {
    return unflatten(applyFlat(reg, lane, warp, block));
  }
  Dims applyOffset(uint32_t offset) const { return unflatten(applyPacked(offset << firstBit(InDim::Offset))); }

  uint32_t pack(uint32_t reg, uint32_t lane = 0, uint32_t warp = 0, uint32_t block = 0) const;
  uint32_t unpack(uint32_t packedIn, InDim in) const { return (packedIn >> firstBit(in)) & uint32_t(inSize(in) - 1); }
  uint32_t flatten(const Dims &coords) const; ///< row-major
  Dims unflatten(uint32_t flat) const;

  /// One shift-and-mask of generated index code: x's bits under `mask`, moved up by `shift` (down if negative).
  struct ShiftTerm {
    uint32_t mask = 0;
    int shift = 0;
    uint32_t eval(uint32_t x) const { return shift >= 0 ? (x & mask) << shift : (x & mask) >> -shift; }
    bool operator==(const ShiftTerm &) const = default;
  };
  /// What `in` contributes to coordinate `dim`, as few terms as there are different shifts; XOR their values. In a
  /// permutation layout no two terms of a dim share a bit, so `or disjoint` or `add` will do. Lane 0..31 along dim1 is
  /// one term.
  std::vector<ShiftTerm> shiftTerms(InDim in, int dim) const;

  // --- Combining --------------------------------------------------------------------------------------------------

  /// Product: `this` on the low bits of every dim, `other` above it. Ranks must agree; sizes multiply.
  LinearLayout operator*(const LinearLayout &other) const;
  LinearLayout &operator*=(const LinearLayout &other) { return *this = *this * other; }
  /// First `this`, then `outer`: our flat output is outer's packed input (outer has at least as many input bits).
  LinearLayout compose(const LinearLayout &outer) const;
  /// The shape of our packed input seen as a tensor: {block, warp, lane, register}, or {offset}.
  Dims inputShape() const;
  /// Inverse of an invertible layout: Offset (a flat tensor index) -> our packed input, shape inputShape().
  LinearLayout inverse() const;
  /// Right inverse of a surjective layout; input bits that others can stand in for (freeMasks) come out as zero.
  LinearLayout pseudoInverse() const;
  /// `c` with other(c(x)) == this(x) for every x of ours: for each place of ours, a place of the same element in
  /// `other`. Output shape other.inputShape(); other's free bits are zero. Needs the image of `this` inside the image
  /// of `other`.
  LinearLayout invertAndCompose(const LinearLayout &other) const;
  /// The layout with only the given input dims and output dims (in the given order).
  LinearLayout sublayout(std::initializer_list<InDim> ins, const Dims &outDims) const;
  /// C with low * C == this, if there is one.
  std::optional<LinearLayout> divideLeft(const LinearLayout &low) const;
  /// For a map between hardware places (inputShape() on the right side): if `in` goes to itself unchanged and nothing
  /// else touches it, the rest of the map (with that dim of size 1 on both sides).
  std::optional<LinearLayout> quotient(InDim in) const;

  // --- Changing the tensor's shape --------------------------------------------------------------------------------

  LinearLayout reshape(const Dims &shape) const; ///< same element count, row-major; free
  LinearLayout flattenOuts() const { return reshape({numElements()}); }
  LinearLayout transpose(const Dims &perm) const;   ///< dim i of the result is dim perm[i] of this
  LinearLayout expandDims(int at) const;            ///< a new dim of size 1 before dim `at`
  LinearLayout slice(int dim) const;                ///< without dim `dim`: coordinates are projected
  LinearLayout restrictTo(const Dims &shape) const; ///< smaller dims: high coordinate bits become zero
  /// Bigger dims get register bits that step over what is there; dims in `order` (fastest first) or, if empty, last dim
  /// first.
  LinearLayout ensureNotSmallerThan(const Dims &shape, const Dims &order = {}) const;
  LinearLayout ensureNotLargerThan(const Dims &shape) const; ///< like restrictTo, dims that are already smaller stay
  LinearLayout resizeTo(const Dims &shape, const Dims &order = {}) const; ///< both
  /// Without the bits of `in` that do not affect the output. Renumbers: bit i of the result is the i-th bit kept.
  LinearLayout removeZeroBases(InDim in) const;
  /// Without the register bits that hold copies (freeMasks): each thread keeps each of its elements once.
  LinearLayout removeFreeRegisters() const;

  // --- Questions --------------------------------------------------------------------------------------------------

  int imageRank() const; ///< log2 of the number of distinct elements held
  bool isSurjective() const { return imageRank() == totalOutBits(); }
  bool isInjective() const { return imageRank() == totalInBits(); }
  bool isInvertible() const { return isSurjective() && isInjective(); }
  /// Per input dim, the bits that may be held at zero without losing an element: where such a bit is set, there is a
  /// copy. Only places with (lane & freeMasks[Lane]) == 0 etc. need to store. Registers are kept before lanes, lanes
  /// before warps.
  std::array<uint32_t, kNumInDims> freeMasks() const;
  /// Packed inputs that span the kernel: adding one to a place leads to another copy of the same element.
  std::vector<uint32_t> kernelBasis() const;
  /// The register bits that step through neighbours along `dim`: entry i is the register bit whose basis is exactly 2^i
  /// there, while nothing else moves within such an aligned group. An access of 2^size elements along `dim` is
  /// contiguous and aligned.
  std::vector<int> contiguousRegisterBits(int dim) const;
  /// 2^size of the above: the vector width along `dim`, in elements.
  int numConsecutive(int dim) const { return 1 << contiguousRegisterBits(dim).size(); }
  /// Each input bit moves at most one index bit, and no index bit is moved by two: a permutation of bits plus
  /// broadcasts.
  bool isPermutationLayout() const;

  /// Where one index bit of a dim lives.
  struct BitHome {
    bool present = false; ///< false: nothing moves this bit (the layout is not surjective)
    InDim in = InDim::Register;
    int bit = 0; ///< bit within `in`; its mask is 1 << bit
    uint32_t mask() const { return present ? 1u << bit : 0; }
    bool operator==(const BitHome &) const = default;
  };
  /// For a reduction or scan along `dim`: the home of each index bit, from bit 0 up. Only for permutation layouts.
  std::optional<std::vector<BitHome>> indexBitHomes(int dim) const;

  bool operator==(const LinearLayout &) const = default;
  size_t hash() const;

  // --- Text -------------------------------------------------------------------------------------------------------

  /// A readable table, several lines.
  std::string toString() const;
  /// `register = [[0, 1], [0, 2]], lane = [[1, 0]], warp = []`, followed by `, shape = [4, 4]` where the bases do not
  /// imply it.
  std::string toText() const;
  /// Reads toText's form. On a mistake returns nothing and says what is wrong in *error.
  static std::optional<LinearLayout> parse(std::string_view text, std::string *error = nullptr);

private:
  int outShift(int d) const; ///< position of dim d's lowest bit in the flat index
  uint32_t dimMask(int d) const { return uint32_t(dimSize(d) - 1) << outShift(d); }
  template <class F>
  LinearLayout mapBases(const Dims &shape, F &&f) const; ///< same inputs, bases f(flat) in a new shape
  LinearLayout keepBits(uint32_t packedMask) const;      ///< without the other input bits
  bool impliesShape() const;

  std::array<uint32_t, kMaxInBits> bases_{}; // unused entries are zero, so that == works on bytes
  std::array<uint8_t, kNumInDims> inBits_{};
  std::array<uint8_t, kMaxRank> outBits_{};
  uint8_t rank_ = 0;
};

} // namespace moec::compiler
