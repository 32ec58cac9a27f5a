// What host functions of the library share: checks with one form of error. Internal to kernels/.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>

#include "dsl/dsl.h"
#include "runtime/device.h"
#include "runtime/error.h"
#include "runtime/jit.h"
#include "runtime/tensor.h"

namespace moec {

/// The arithmetic of an op on tensors of this dtype: f64 for f64, else f32.
constexpr DType wide_dtype(DType t) { return t == f64 ? f64 : f32; }
/// Of several tensors together.
constexpr DType wide_dtype(std::initializer_list<DType> dtypes) {
  return std::ranges::find(dtypes, f64) == dtypes.end() ? f32 : f64;
}

// What kernels can do: experts of a map or a routing, slots of a token, elements of a row.
inline constexpr int64_t kMostExperts = 4096, kMostTopk = 1024, kMostColumns = 1 << 24;

/// What a check is about: a function, and mostly one of its arguments. Its text is made only for an error, so that a
/// check costs a launch next to nothing.
class Asked {
public:
  Asked(const char *function, const char *argument = "") : function_(function), argument_(argument) {}
  Asked(const std::string &function, const char *argument = "") : function_(function), argument_(argument) {}
  /// "weighted_swiglu: weights".
  std::string text() const;

private:
  std::string_view function_, argument_;
};

// Checks of arguments. Each throws UserError.

/// Unless `fits`: says what the tensor is, or that it is missing.
void check_tensor(bool fits, const Asked &what, const Tensor &tensor, std::string_view todo);
/// Unless the tensor has this shape (-1: any size).
void check_shape(const Asked &what, const Tensor &tensor, const Dims &shape);
void check_rank(const Asked &what, const Tensor &tensor, int rank);
/// The tensor [..., D] as a matrix [M, D]: a view of it, or of packed() where its strides allow none.
Tensor as_matrix(const Stream &stream, const Asked &what, const Tensor &tensor);
/// Unless the tensor is there and its dtype is one of these.
void check_dtype(const Asked &what, const Tensor &tensor, std::initializer_list<DType> dtypes);
/// If memory of `written` is also memory of one of `read` (undefined tensors: none), or two of its own elements are one
/// in memory.
void check_apart(const Asked &what, const Tensor &written, std::initializer_list<Tensor> read);
/// Unless low <= value <= high. `name`: "topk".
void check_range(const Asked &what, std::string_view name, int64_t value, int64_t low,
                 int64_t high = std::numeric_limits<int64_t>::max());
inline void check_experts(const Asked &what, int64_t experts) {
  check_range(what, "the number of experts", experts, 1, kMostExperts);
}
inline void check_columns(const Asked &what, int64_t columns) {
  check_range(what, "the number of columns", columns, 1, kMostColumns);
}
inline void check_tokens(const Asked &what, int64_t tokens) { check_range(what, "the number of tokens", tokens, 0); }
/// Unless it is a number.
void check_number(const Asked &what, double value);
/// With these three parts unless `condition` holds.
void check_that(bool condition, const Asked &what, std::string_view wrong, std::string_view todo);

/// The tensor, or an empty one in its place, where a kernel's spec says that it leaves the argument alone.
Tensor or_empty(const Stream &stream, const Tensor &tensor, int rank, DType dtype = f32);

/// Columns per program for rows of `size` elements: a power of two, at most `most`.
constexpr int block_for(int64_t size, int most) {
  int b = 16;
  while (b < size && b < most) b *= 2;
  return b;
}

/// Rows per program of a warp that holds `lanes` values of each row: `least` values or more, and if that is not too
/// many, so many rows that a tensor with `bytes` per row is cut between 32-byte sectors.
constexpr int rows_for(int lanes, int64_t bytes, int least = 128) {
  int rows = lanes < least ? least / lanes : 1;
  while (rows * lanes < 1024 && rows * bytes % 32 != 0) rows *= 2;
  return rows;
}

} // namespace moec
