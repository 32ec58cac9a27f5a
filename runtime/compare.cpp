#include "runtime/compare.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace moec {

namespace {

struct Format {
  int mantissa, lowest; ///< bits after the point; exponent of the smallest normal
};
Format format_of(DType t) {
  switch (t) {
  case f64: return {52, -1022};
  case f16: return {10, -14};
  case bf16: return {7, -126};
  case e4m3: return {3, -6};
  case e5m2: return {2, -14};
  default: return {23, -126};
  }
}

/// "[3, 5]" of a row-major element number.
std::string index_text(int64_t element, const Dims &shape) {
  std::vector<int64_t> index(shape.size());
  for (int d = shape.rank() - 1; d >= 0; --d) {
    index[static_cast<size_t>(d)] = element % shape[d];
    element /= shape[d];
  }
  return fmt::format("[{}]", fmt::join(index, ", "));
}

std::string element_text(double got, double expected, int64_t at, const Tensor &like) {
  std::string text = fmt::format("element {} is {}, expected {}", index_text(at, like.shape()), got, expected);
  if (is_float(like.dtype()) && std::isfinite(got) && std::isfinite(expected))
    text += fmt::format(" ({:.3g} ulps of {})", ulps_between(got, expected, like.dtype()), name(like.dtype()));
  return text;
}

} // namespace

double ulps_between(double got, double expected, DType dtype) {
  Format f = format_of(dtype);
  int exponent = expected == 0 ? f.lowest : std::max(std::ilogb(expected), f.lowest);
  return std::abs(got - expected) / std::ldexp(1.0, exponent - f.mantissa);
}

Comparison compare_values(const Tensor &got, const Tensor &reference, double tolerance, double floor) {
  Comparison c;
  bool comparable =
      got.dtype() == reference.dtype() || (tolerance > 0 && is_float(got.dtype()) && is_float(reference.dtype()));
  if (got.shape() != reference.shape() || !comparable) {
    c.max_error = INFINITY;
    c.problem = fmt::format("it is {}, the reference {}", got.text(), reference.text());
    return c;
  }
  std::vector<double> a = got.to_values(), b = reference.to_values();
  double largest = 0, worst_error = -1;
  for (double v : b)
    if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
  size_t worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
    ++c.different;
    double error = std::abs(a[i] - b[i]) / (std::abs(b[i]) + floor * largest);
    if (!std::isfinite(b[i]) || !(error < INFINITY)) error = INFINITY;
    c.max_error = std::max(c.max_error, error);
    if (tolerance > 0 && error <= tolerance) continue;
    ++c.beyond;
    if (error > worst_error) worst = i, worst_error = error;
  }
  if (c.beyond)
    c.problem =
        fmt::format("{}; {} of {} elements {}, max error {:.3g}",
                    element_text(a[worst], b[worst], static_cast<int64_t>(worst), got), c.beyond, a.size(),
                    tolerance > 0 ? fmt::format("are beyond the tolerance {:.3g}", tolerance) : "differ", c.max_error);
  return c;
}

std::string different_bits(const Tensor &got, const Tensor &expected) {
  if (got.shape() != expected.shape() || got.dtype() != expected.dtype())
    return fmt::format("it is {}, expected {}", got.text(), expected.text());
  std::vector<std::byte> a = got.to_bytes(), b = expected.to_bytes();
  if (a == b) return "";
  size_t width = static_cast<size_t>(size_bytes(got.dtype())), first = a.size(), count = 0;
  for (size_t i = 0; i < a.size(); i += width)
    if (std::memcmp(&a[i], &b[i], width) != 0) {
      first = std::min(first, i / width);
      ++count;
    }
  std::vector<double> x = got.to_values(), y = expected.to_values();
  return fmt::format("{}; {} of {} elements differ", element_text(x[first], y[first], static_cast<int64_t>(first), got),
                     count, x.size());
}

} // namespace moec
