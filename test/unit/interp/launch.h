// Interpreted launches of inline kernel text, through the library's C entry.
#pragma once

#include "compiler/compiler.h"

#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace moec {

/// What a launch came to.
struct Outcome {
  MoecStatus status;
  std::string diagnostics;
};

/// Parameters in the order of the kernel's arguments, then run().
class Launch {
public:
  template <typename T> Launch &scalar(T value) {
    values.push_back(std::make_unique<unsigned char[]>(sizeof(T)));
    std::memcpy(values.back().get(), &value, sizeof(T));
    return *this;
  }
  /// A pointer parameter; its memory joins the ranges that the kernel may touch.
  template <typename T> Launch &pointer(std::vector<T> &memory) {
    uint64_t begin = reinterpret_cast<uint64_t>(memory.data());
    ranges.insert(ranges.end(), {begin, begin + memory.size() * sizeof(T)});
    return scalar(begin);
  }
  /// A view parameter with i32 strides: those of dimensions that the view's type does not already say to be 1.
  template <typename T>
  Launch &view(std::vector<T> &memory, std::vector<int32_t> sizes, std::vector<int32_t> strides = {}) {
    pointer(memory);
    for (int32_t size : sizes) scalar(size);
    for (int32_t stride : strides) scalar(stride);
    return *this;
  }
  Launch &grid(int32_t x, int32_t y = 1, int32_t z = 1) {
    extents[0] = x, extents[1] = y, extents[2] = z;
    return *this;
  }
  Launch &options(std::string text) {
    option_text = std::move(text);
    return *this;
  }
  Outcome run(const std::string &text, bool ordinal = false) {
    std::vector<void *> params;
    for (auto &value : values) params.push_back(value.get());
    MoecInterpretRequest request{};
    request.source = {text.data(), text.size()};
    request.options = {option_text.data(), option_text.size()};
    request.ordinal_locations = ordinal;
    for (int i = 0; i < 3; ++i) request.grid[i] = extents[i];
    request.params = params.data();
    request.num_params = params.size();
    request.ranges = ranges.data();
    request.num_ranges = ranges.size() / 2;
    MoecCompileResult result{};
    Outcome outcome{moec_compiler_interpret(&request, &result), {}};
    outcome.diagnostics.assign(result.diagnostics.data, result.diagnostics.size);
    moec_compiler_free(&result);
    return outcome;
  }

private:
  std::vector<std::unique_ptr<unsigned char[]>> values;
  std::vector<uint64_t> ranges;
  int32_t extents[3] = {1, 1, 1};
  std::string option_text;
};

} // namespace moec
