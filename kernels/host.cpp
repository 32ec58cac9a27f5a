#include "kernels/host.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace moec {

void check_shape(const char *what, const Tensor &tensor, std::initializer_list<int64_t> shape) {
  bool fits = tensor.defined() && tensor.rank() == static_cast<int>(shape.size());
  std::vector<std::string> sizes;
  int i = 0;
  for (int64_t s : shape) {
    sizes.push_back(s < 0 ? "*" : std::to_string(s));
    fits = fits && (s < 0 || tensor.size(i) == s);
    ++i;
  }
  if (!fits)
    throw UserError(what, fmt::format("it is {}", tensor.defined() ? tensor.text() : "missing"),
                    fmt::format("its shape must be [{}]", fmt::join(sizes, ", ")));
}

void check_rank(const char *what, const Tensor &tensor, int rank) {
  if (!tensor.defined() || tensor.rank() != rank)
    throw UserError(what, fmt::format("it is {}", tensor.defined() ? tensor.text() : "missing"),
                    fmt::format("it must have {} dimensions", rank));
}

Tensor as_matrix(const char *what, const Tensor &tensor) {
  check_that(tensor.defined() && tensor.rank() >= 1, what, "it has no dimension", "it must be [..., D]");
  int64_t rows = 1;
  for (int i = 0; i + 1 < tensor.rank(); ++i) rows *= tensor.size(i);
  return tensor.rank() == 2 ? tensor : tensor.reshape({rows, tensor.size(-1)});
}

void check_dtype(const char *what, const Tensor &tensor, std::initializer_list<DType> dtypes) {
  if (std::ranges::find(dtypes, tensor.dtype()) != dtypes.end()) return;
  std::vector<std::string_view> names;
  for (DType t : dtypes) names.push_back(name(t));
  throw UserError(what, fmt::format("it is {}", tensor.text()),
                  fmt::format("its dtype must be {}", fmt::join(names, " or ")));
}

void check_apart(const char *what, const Tensor &written, std::initializer_list<Tensor> read) {
  auto begin = [](const Tensor &t) { return static_cast<const std::byte *>(t.data()); };
  auto end = [&](const Tensor &t) { return begin(t) + t.extent_bytes(); };
  for (const Tensor &r : read)
    if (r.defined() && r.device() == written.device() && begin(r) < end(written) && begin(written) < end(r))
      throw UserError(what, fmt::format("{} shares memory with {}, which is read", written.text(), r.text()),
                      "give it memory of its own");
}

void check_that(bool condition, const char *asked, const std::string &wrong, const char *todo) {
  if (!condition) throw UserError(asked, wrong, todo);
}

Tensor or_empty(const Stream &stream, const Tensor &tensor, int rank, DType dtype) {
  if (tensor.defined()) return tensor;
  Dims none;
  for (int i = 0; i < rank; ++i) none.push_back(0);
  return Tensor::empty(none, dtype, stream);
}

} // namespace moec
