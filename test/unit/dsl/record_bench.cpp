// How long recording takes: the median of 200 recordings per sample kernel. Exit status 1 if weighted_swiglu or
// grouped_mm is above its limit.
#include "sample_kernels.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

int main() {
  int status = 0;
  for (const moec::test::Sample &s : moec::test::samples()) {
    std::vector<double> us;
    for (int i = 0; i < 200; ++i) {
      auto begin = std::chrono::steady_clock::now();
      s.record();
      us.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
    }
    std::sort(us.begin(), us.end());
    const std::string name = s.name;
    const double limit = name == "weighted_swiglu" ? 100 : name == "grouped_mm" ? 400 : 1e9;
    std::printf("%-20s %7.1f us%s\n", s.name, us[us.size() / 2], us[us.size() / 2] > limit ? "  above its limit" : "");
    status |= us[us.size() / 2] > limit;
  }
  return status;
}
