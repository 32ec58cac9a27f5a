// Records small kernels written as lambdas, and looks at the result.
#pragma once

#include "sample_kernels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>

namespace moec::test {

/// The kernel's body as lines without indentation, views' types shortened to V (several views look alike in these
/// tests).
inline std::vector<std::string> body(const Recording &r) {
  std::vector<std::string> lines;
  std::istringstream in(r.text);
  for (std::string line; std::getline(in, line);) {
    line.erase(0, line.find_first_not_of(' '));
    for (size_t at; (at = line.find("!tile.view<")) != line.npos;) line.replace(at, line.find('>', at) - at + 1, "V");
    lines.push_back(line);
  }
  // module, kernel, ^bb0; ...; two closings
  return {lines.begin() + 3, lines.end() - 2};
}
/// Only the ops' names, in order: "tile.view_load".
inline std::vector<std::string> op_names(const Recording &r) {
  std::vector<std::string> names;
  for (const std::string &line : body(r)) {
    size_t a = line.find('"'), b = line.find("\"(");
    if (a != line.npos && b != line.npos && a < b) names.push_back(line.substr(a + 1, b - a - 1));
  }
  return names;
}
/// The first line with `part` in it.
inline std::string line_with(const Recording &r, const std::string &part) {
  for (const std::string &line : body(r))
    if (line.find(part) != line.npos) return line;
  return "no line has " + part;
}
inline size_t count(const Recording &r, const std::string &name) {
  auto names = op_names(r);
  return static_cast<size_t>(std::count(names.begin(), names.end(), name));
}

/// Texts gathered by a test, parsed and verified by moec-opt in one go; "" if all is well.
inline std::string parse_and_verify(const std::vector<std::string> &texts) {
  const std::string tool = MOEC_BINARY_DIR "/bin/moec-opt";
  if (!std::ifstream(tool)) return "moec-opt is not built: " + tool;
  const std::string in = testing::TempDir() + "/moec_dsl_" + std::to_string(::getpid()) + ".mlir", out = in + ".out";
  {
    std::ofstream f(in);
    for (size_t i = 0; i < texts.size(); ++i) f << (i ? "// -----\n" : "") << texts[i];
  }
  const int status = std::system((tool + " --split-input-file " + in + " > " + out + " 2>&1").c_str());
  std::stringstream said;
  said << std::ifstream(out).rdbuf();
  std::remove(in.c_str());
  std::remove(out.c_str());
  return status == 0 ? "" : said.str();
}

} // namespace moec::test
