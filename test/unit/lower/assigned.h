// Kernel text without layouts: layouts are assigned first, then it runs on interpreter and simulator.
#pragma once

#include "fmt/format.h"
#include "test/unit/lower/both.h"

namespace moec::compiler {

/// The text with layouts, as text.
inline std::string assignLayouts(const std::string &text, int numWarps) {
  mlir::MLIRContext &context = threadContext();
  DiagnosticCollector collector(context);
  auto module = parseSource(context, text, /*ordinal=*/false, collector);
  if (!module) return "parse: " + collector.text() + text;
  mlir::PassManager passes(&context);
  auto &kernel = passes.nest<tile::KernelOp>();
  kernel.addPass(createTileGpuAssignLayouts({.numWarps = numWarps}));
  kernel.addPass(createTileGpuRemoveConversions());
  if (failed(passes.run(*module))) return "layouts: " + collector.text() + text;
  std::string result;
  llvm::raw_string_ostream os(result);
  module->print(os);
  return result;
}

inline std::string runAssigned(const std::string &text, int numWarps, const std::vector<Memory> &memories) {
  return runBoth(assignLayouts(text, numWarps), numWarps, memories);
}

/// `r = op(a0, a1, …)` on tiles of n elements: loads %a0, %a1, … of the given element types, the ops in `body`, and a
/// store of %r.
inline std::string tileKernel(const std::vector<std::string> &in, const std::string &out, int n,
                              const std::string &body) {
  std::string args, loads;
  for (size_t i = 0; i < in.size(); ++i) {
    args += fmt::format("%p{}: !tile.ptr<{}, 16>, ", i, in[i]);
    loads += fmt::format("  %a{0} = tile.load %p{0}[%i : tensor<{1}xi32>] : !tile.ptr<{2}, 16> -> tensor<{1}x{2}>\n", i,
                         n, in[i]);
  }
  return fmt::format(
      "tile.kernel @k({0}%out: !tile.ptr<{1}, 16>) {{\n  %i = tile.arange 0 : tensor<{2}xi32>\n{3}  {4}\n"
      "  tile.store %out[%i : tensor<{2}xi32>], %r : tensor<{2}x{1}> : !tile.ptr<{1}, 16>\n  tile.return\n}}\n",
      args, out, n, loads, body);
}

/// Bit patterns of every kind: all 256 of short types, else random bits, values of moderate size, and the special ones.
inline void fillBits(Memory &m, std::mt19937 &rng) {
  fill(m, rng, /*special=*/false);
  int bytes = Memory::bytesOf(m.element);
  for (size_t i = 0; i < size_t(m.count()); ++i) {
    uint64_t bits = uint64_t(rng()) << 32 | rng();
    if (m.element == "i1")
      bits &= 1;
    else if (bytes == 1)
      bits = i;
    else if (m.element[0] == 'i' && i % 3)
      bits = uint64_t(int64_t(bits) >> (rng() % 64));
    else if (i % 2)
      continue; // fill's
    std::memcpy(m.bytes.data() + i * size_t(bytes), &bits, size_t(bytes));
  }
  int width = 8 * bytes, mantissa = m.element == "f64"    ? 52
                                    : m.element == "f32"  ? 23
                                    : m.element == "f16"  ? 10
                                    : m.element == "bf16" ? 7
                                                          : width - 1;
  if (bytes == 1) return;
  uint64_t sign = uint64_t(1) << (width - 1), inf = (sign - 1) >> mantissa << mantissa;
  uint64_t special[] = {0, sign, sign - 1, 1, inf, inf | sign, inf - 1, inf + 1, uint64_t(1) << mantissa, ~uint64_t(0)};
  for (size_t i = 0; i < std::size(special) && i < size_t(m.count()); ++i)
    std::memcpy(m.bytes.data() + i * size_t(bytes), &special[i], size_t(bytes));
}

inline std::string runTileKernel(const std::vector<std::string> &in, const std::string &out, const std::string &body,
                                 int numWarps = 1, int n = 512) {
  std::mt19937 rng(7);
  std::vector<Memory> memories;
  for (const std::string &element : in) memories.emplace_back(element, n), fillBits(memories.back(), rng);
  memories.emplace_back(out, n);
  return runAssigned(tileKernel(in, out, n, body), numWarps, memories);
}

} // namespace moec::compiler
