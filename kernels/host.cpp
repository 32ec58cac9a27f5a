#include "kernels/host.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "kernels/convert.h"

namespace moec {

std::string Asked::text() const {
  return std::string(function_) + (argument_.empty() ? "" : ": ") + std::string(argument_);
}

void check_tensor(bool fits, const Asked &what, const Tensor &tensor, std::string_view todo) {
  if (!fits)
    throw UserError(what.text(), fmt::format("it is {}", tensor.defined() ? tensor.text() : "missing"),
                    std::string(todo));
}

void check_shape(const Asked &what, const Tensor &tensor, const Dims &shape) {
  bool fits = tensor.defined() && tensor.rank() == shape.rank();
  for (int i = 0; fits && i < shape.rank(); ++i) fits = shape[i] < 0 || tensor.size(i) == shape[i];
  if (fits) return;
  std::vector<std::string> sizes;
  for (int64_t s : shape) sizes.push_back(s < 0 ? "*" : std::to_string(s));
  check_tensor(false, what, tensor, fmt::format("its shape must be [{}]", fmt::join(sizes, ", ")));
}

void check_rank(const Asked &what, const Tensor &tensor, int rank) {
  if (!tensor.defined() || tensor.rank() != rank)
    check_tensor(false, what, tensor, fmt::format("it must have {} dimension{}", rank, rank == 1 ? "" : "s"));
}

/// Whether the tensor's dimensions but the last are one in memory.
static bool has_even_rows(const Tensor &t) {
  int inner = -1;
  for (int d = t.rank() - 2; d >= 0; --d) {
    if (t.size(d) == 1) continue;
    if (inner >= 0 && t.stride(d) != t.size(inner) * t.stride(inner)) return false;
    inner = d;
  }
  return true;
}

Tensor as_matrix(const Stream &stream, const Asked &what, const Tensor &tensor) {
  check_tensor(tensor.defined() && tensor.rank() >= 1, what, tensor, "it must be [..., D]");
  if (tensor.rank() == 2) return tensor;
  int64_t rows = 1;
  for (int i = 0; i + 1 < tensor.rank(); ++i) rows *= tensor.size(i);
  return (has_even_rows(tensor) ? tensor : packed(stream, tensor)).reshape({rows, tensor.size(-1)});
}

void check_dtype(const Asked &what, const Tensor &tensor, std::initializer_list<DType> dtypes) {
  if (tensor.defined() && std::ranges::find(dtypes, tensor.dtype()) != dtypes.end()) return;
  std::vector<std::string_view> names;
  for (DType t : dtypes) names.push_back(name(t));
  check_tensor(false, what, tensor, fmt::format("its dtype must be {}", fmt::join(names, " or ")));
}

/// Two indices may stand for one place in memory. False only if strides grow beyond what the smaller ones span.
static bool overlaps_itself(const Tensor &t) {
  std::vector<std::pair<int64_t, int64_t>> dims; // stride, size
  for (int i = 0; i < t.rank(); ++i)
    if (t.size(i) > 1) dims.emplace_back(t.stride(i), t.size(i));
  std::ranges::sort(dims);
  int64_t span = 1;
  for (auto [stride, size] : dims) {
    if (stride < span) return true;
    span += (size - 1) * stride;
  }
  return false;
}

void check_apart(const Asked &what, const Tensor &written, std::initializer_list<Tensor> read) {
  if (written.numel() == 0) return;
  if (overlaps_itself(written))
    throw UserError(
        what.text(),
        fmt::format("elements of {} with strides {} share memory", written.text(), written.strides().text()),
        "give it memory of its own, as contiguous() does");
  for (const Tensor &r : read)
    if (share_memory(written, r))
      throw UserError(what.text(), fmt::format("{} shares memory with {}, which is read", written.text(), r.text()),
                      "give it memory of its own");
}

void check_range(const Asked &what, std::string_view name, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return;
  throw UserError(what.text(), fmt::format("{} is {}", name, value),
                  high == std::numeric_limits<int64_t>::max() ? fmt::format("it must be {} or more", low)
                                                              : fmt::format("it must be {} to {}", low, high));
}

void check_number(const Asked &what, double value) {
  check_that(!std::isnan(value), what, "it is not a number", "give a number");
}

void check_that(bool condition, const Asked &what, std::string_view wrong, std::string_view todo) {
  if (!condition) throw UserError(what.text(), std::string(wrong), std::string(todo));
}

Tensor or_empty(const Stream &stream, const Tensor &tensor, int rank, DType dtype) {
  if (tensor.defined()) return tensor;
  Dims none;
  for (int i = 0; i < rank; ++i) none.push_back(0);
  return Tensor::empty(none, dtype, stream);
}

} // namespace moec
