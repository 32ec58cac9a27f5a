#include "kernels/names.h"

#include <algorithm>
#include <fmt/format.h>

namespace moec {

static size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string did_you_mean(std::string_view name, const std::vector<std::string> &names, std::string_view command) {
  name = name.substr(0, 100); // names from files may be long
  const std::string *best = nullptr;
  size_t distance = std::max<size_t>(2, name.size() / 3) + 1;
  for (const std::string &n : names)
    if (size_t d = edit_distance(name, n); d < distance) best = &n, distance = d;
  std::string all = fmt::format("`{}` shows all", command);
  return best ? fmt::format("did you mean {}? {}", *best, all) : all;
}

} // namespace moec
