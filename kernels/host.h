// What host functions of the library share: checks with one form of error. Internal to kernels/.
#pragma once

#include <initializer_list>
#include <string>

#include "dsl/dsl.h"
#include "runtime/device.h"
#include "runtime/error.h"
#include "runtime/jit.h"
#include "runtime/tensor.h"

namespace moec {

/// The arithmetic of an op on tensors of this dtype: f64 for f64, else f32.
constexpr DType wide_dtype(DType t) { return t == f64 ? f64 : f32; }

/// Throws UserError unless the tensor has this shape (-1: any size). `what`: "weighted_swiglu: weights".
void check_shape(const char *what, const Tensor &tensor, std::initializer_list<int64_t> shape);
void check_rank(const char *what, const Tensor &tensor, int rank);
/// The tensor [..., D] as a matrix [M, D]. Throws UserError for a scalar, or strides that need a copy.
Tensor as_matrix(const char *what, const Tensor &tensor);
/// Throws UserError unless the dtype is one of these.
void check_dtype(const char *what, const Tensor &tensor, std::initializer_list<DType> dtypes);
/// Throws UserError if memory of `written` is also memory of one of `read` (undefined tensors: none).
void check_apart(const char *what, const Tensor &written, std::initializer_list<Tensor> read);
/// Throws UserError with these three parts unless `condition` holds.
void check_that(bool condition, const char *asked, const std::string &wrong, const char *todo = "");

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
