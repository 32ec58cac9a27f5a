// Views (tensors in global memory) and pointers, and references into them. Part of <moec/moec.h>.
#pragma once

#include "dsl/value.h"

#include <array>
#include <cstddef>

namespace moec {

/// Elements by index, made by `view(i, j)` or `pointer[offset]`: what load(), store() and the atomics take.
struct ElementRef {
  rec::Value *base = nullptr; ///< the view or pointer
  std::array<rec::Value *, Shape::kMaxRank> indices{};
  int rank = 0;
  uint32_t recording = 0;
  Where where;
};

/// A block of a view, made by `view.tile(origin, shape)`.
struct BlockRef {
  rec::Value *view = nullptr;
  std::array<rec::Value *, Shape::kMaxRank> origins{};
  Shape shape;
  uint32_t recording = 0;
  Where where;
};

/// A tensor in global memory: pointer, dtype, sizes, strides. As a kernel parameter it is the caller's tensor;
/// sub-views have bounds of their own. What a view's extents cut off reads as zero (or `other`) and is not written; see
/// load(). A View is not a variable of a recorded loop: assigning one that was declared outside of the loop is an
/// error.
class View {
public:
  View() = default;
  View(const View &other);
  View &operator=(const View &other);

  DType dtype(Where where = Where::current()) const;
  int rank(Where where = Where::current()) const;
  /// Size of dimension `dim` (negative: from the last), an i32 scalar.
  Int size(int dim, Where where = Where::current()) const;
  /// All N sizes: `auto [T, H] = y.sizes<2>();`. The view's rank must be N.
  template <size_t N> std::array<Int, N> sizes(Where where = Where::current()) const {
    check_rank(static_cast<int>(N), where);
    return sizes_of(where, std::make_integer_sequence<int, static_cast<int>(N)>());
  }
  /// Contract: the view has these sizes. Checked by the host at launch, a fact for the compiler. Built from sizes,
  /// scalars and constants only; at the top of the kernel, for the kernel's own parameters.
  void expect(std::initializer_list<Operand> sizes, Where where = Where::current()) const;

  /// Elements by index, one per dimension: a scalar or a tile; tiles broadcast against each other.
  ElementRef operator()(Where where = Where::current()) const { return element({}, where); }
  ElementRef operator()(const Operand &i) const { return element({i}, i.where()); }
  ElementRef operator()(const Operand &i, const Operand &j) const { return element({i, j}, i.where()); }
  ElementRef operator()(const Operand &i, const Operand &j, const Operand &k) const {
    return element({i, j, k}, i.where());
  }
  ElementRef operator()(const Operand &i, const Operand &j, const Operand &k, const Operand &l) const {
    return element({i, j, k, l}, i.where());
  }
  ElementRef operator()(const Operand &i, const Operand &j, const Operand &k, const Operand &l,
                        const Operand &m) const {
    return element({i, j, k, l, m}, i.where());
  }
  /// A block: its origin per dimension (scalars) and its shape. The origin must lie in 0..size if it depends on a load.
  BlockRef tile(std::initializer_list<Operand> origin, Shape shape, Where where = Where::current()) const;

  /// Two halves along the last dimension: [.., 0..h) and [.., h..).
  std::array<View, 2> split_cols(const Operand &h) const;
  /// Part of dimension 0: rows 0..end, rows begin.., rows begin..end.
  View rows_before(const Operand &end) const;
  View rows_from(const Operand &begin) const;
  View rows(const Operand &begin, const Operand &end) const;
  /// The same along the last dimension.
  View cols_before(const Operand &end) const;
  View cols_from(const Operand &begin) const;
  View cols(const Operand &begin, const Operand &end) const;
  /// Elements begin..end of dimension `dim`.
  View slice(int dim, const Operand &begin, const Operand &end) const;
  /// Drops dimension 0 at an index: `b.at(e)` of [E, N, K] is [N, K].
  View at(const Operand &index) const;

private:
  friend class rec::Recorder;
  ElementRef element(std::initializer_list<Operand> indices, Where where) const;
  View part(int dim, const Operand *begin, const Operand *end, Where where) const;
  void check_rank(int rank, Where where) const;
  template <int... I> std::array<Int, sizeof...(I)> sizes_of(Where where, std::integer_sequence<int, I...>) const {
    return {size(I, where)...};
  }

  rec::Value *value_ = nullptr;
  uint32_t recording_ = 0;
  const void *made_in_ = nullptr; ///< the block in which this handle was declared
};

/// A raw pointer to elements in global memory; nothing is clipped, masks are the author's.
class Pointer {
public:
  Pointer() = default;
  Pointer(const Pointer &other);
  Pointer &operator=(const Pointer &other);
  DType dtype(Where where = Where::current()) const;
  /// Elements at `offset` (in elements; a scalar or a tile).
  ElementRef operator[](const Operand &offset) const;
  ElementRef operator()(const Operand &offset) const { return (*this)[offset]; }
  /// The pointer moved by a scalar number of elements.
  friend Pointer operator+(const Pointer &p, const Operand &offset);

private:
  friend class rec::Recorder;
  rec::Value *value_ = nullptr;
  uint32_t recording_ = 0;
  const void *made_in_ = nullptr;
};

} // namespace moec
