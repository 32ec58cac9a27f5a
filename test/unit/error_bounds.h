// The error bounds of elementary functions as the tile dialect's description promises them: tests read the table of
// compiler/ir/TileOps.td, from which the dialect's page is generated, so what is written cannot part from what holds.
#pragma once

#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>

namespace moec {

/// In units in the last place of the exact result; NaN where the table has words.
struct ErrorBound {
  double f32, f64, narrow;
  /// Of a dtype named "f32", "f64", "f16" or "bf16".
  double of(const std::string &dtype) const { return dtype == "f32" ? f32 : dtype == "f64" ? f64 : narrow; }
};

inline std::map<std::string, ErrorBound> read_error_bounds() {
  std::ifstream file(MOEC_SOURCE_DIR "/compiler/ir/TileOps.td");
  std::map<std::string, ErrorBound> table;
  for (std::string line; std::getline(file, line);) {
    if (line.find("| `") == std::string::npos) continue;
    std::istringstream cells(line.substr(line.find('|') + 1));
    std::string op, number;
    std::getline(cells, op, '|');
    op = op.substr(op.find('`') + 1);
    double bounds[3];
    for (double &bound : bounds) {
      std::getline(cells, number, '|');
      std::istringstream digits(number);
      if (!(digits >> bound)) bound = std::numeric_limits<double>::quiet_NaN();
    }
    table[op.substr(0, op.find('`'))] = {bounds[0], bounds[1], bounds[2]};
  }
  return table;
}

/// What the table says of an op, by its name in the IR ("math.exp"); throws if it says nothing.
inline const ErrorBound &error_bound(const std::string &op) {
  static const std::map<std::string, ErrorBound> table = read_error_bounds();
  auto found = table.find(op);
  if (found == table.end()) throw std::out_of_range("no error bound of " + op + " in TileOps.td");
  return found->second;
}

} // namespace moec
