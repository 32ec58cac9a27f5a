// One kernel on the reference interpreter and, lowered, on the checked simulator: memory must end up the same, bit for
// bit.
#pragma once

#include "compiler/Source.h"
#include "compiler/interp/Interpreter.h"
#include "compiler/lower/Lowering.h"
#include "compiler/passes/Passes.h"
#include "compiler/target/sim/SimTarget.h"
#include "mlir/Pass/PassManager.h"
#include "runtime/sim/executor.h"

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace moec::compiler {

/// A pointer argument's memory: `count` elements of an MLIR element type.
struct Memory {
  std::string element;
  std::vector<uint8_t> bytes;

  static int bytesOf(const std::string &element) {
    if (element == "i1" || element == "i8" || element[1] == '8') return 1;
    if (element == "f16" || element == "bf16") return 2;
    return element == "i64" || element == "f64" ? 8 : 4;
  }
  Memory(std::string element, int64_t count)
      : element(std::move(element)), bytes(size_t(count * bytesOf(this->element)), 0) {}
  int64_t count() const { return int64_t(bytes.size()) / bytesOf(element); }
  template <class T> T &at(size_t i) { return reinterpret_cast<T *>(bytes.data())[i]; }

  uint64_t bitsAt(size_t i) const {
    uint64_t v = 0;
    std::memcpy(&v, bytes.data() + i * size_t(bytesOf(element)), size_t(bytesOf(element)));
    return v;
  }
  /// NaNs have no bits that count: instructions choose their own.
  bool isNan(size_t i) const {
    uint64_t v = bitsAt(i);
    if (element == "f32") return (v & 0x7fffffff) > 0x7f800000;
    if (element == "f64") return (v & 0x7fffffffffffffff) > 0x7ff0000000000000;
    if (element == "f16") return (v & 0x7fff) > 0x7c00;
    if (element == "bf16") return (v & 0x7fff) > 0x7f80;
    if (element == "f8E4M3FN") return (v & 0x7f) == 0x7f;
    if (element == "f8E5M2") return (v & 0x7f) > 0x7c;
    return false;
  }
};

/// Random contents. Floats: sums of them round; `special` adds ties, zeros of both signs, infinities and NaN.
inline void fill(Memory &m, std::mt19937 &rng, bool special = false) {
  for (size_t i = 0; i < size_t(m.count()); ++i) {
    uint64_t bits = uint64_t(rng()) << 32 | rng();
    int bytes = Memory::bytesOf(m.element);
    if (m.element == "i1") {
      bits &= 1;
    } else if (m.element[0] == 'i') {
      if (special && rng() % 2) bits = rng() % 8 - 4;
    } else {
      double v = double(int64_t(bits) >> 11) / double(uint64_t(1) << 50);
      const double few[] = {0.0, -0.0, 1.0, -1.0, 2.0, INFINITY, -INFINITY, NAN};
      if (special && rng() % 2) v = few[rng() % 8];
      float f = float(v);
      uint32_t f32;
      std::memcpy(&f32, &f, 4);
      _Float16 h = _Float16(f);
      uint16_t f16;
      std::memcpy(&f16, &h, 2);
      if (m.element == "f64")
        std::memcpy(&bits, &v, 8);
      else if (m.element == "f32")
        bits = f32;
      else if (m.element == "bf16")
        bits = f32 >> 16;
      else if (m.element == "f16")
        bits = f16;
      else if (m.element == "f8E5M2")
        bits = f16 >> 8;
      else if (special && rng() % 2)
        bits = (bits & 0x80) | (rng() % 2 ? 0 : 0x7f); // f8E4M3FN: any byte is a number, 0x7f NaN
    }
    std::memcpy(m.bytes.data() + i * size_t(bytes), &bits, size_t(bytes));
  }
}

inline std::vector<void *> parameters(std::vector<Memory> &memories, std::vector<void *> &pointers) {
  std::vector<void *> params;
  for (Memory &m : memories) pointers.push_back(m.bytes.data());
  for (void *&p : pointers) params.push_back(&p);
  return params;
}

/// "" or what went wrong.
inline std::string interpretOn(mlir::ModuleOp module, std::vector<Memory> &memories) {
  std::vector<void *> pointers, params = parameters(memories, pointers);
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (Memory &m : memories) ranges.push_back({uint64_t(m.bytes.data()), uint64_t(m.bytes.data() + m.bytes.size())});
  auto findings = interpret(module, {{1, 1, 1}, params, ranges});
  return findings.empty() ? "" : "interpreter: " + findings[0].message;
}

/// Allocates, inserts barriers, lowers; the module is then in LLVM and NVVM dialects.
inline std::string lowerModule(mlir::ModuleOp module, int numWarps) {
  mlir::PassManager passes(module.getContext());
  passes.addPass(createTileGpuAllocateShared({.numWarps = numWarps}));
  passes.nest<tile::KernelOp>().addPass(createTileGpuInsertBarriers({.numWarps = numWarps}));
  passes.addPass(createTileGpuLowerToNvvm({.numWarps = numWarps, .computeCapability = 80}));
  return failed(passes.run(module)) ? "lowering failed" : "";
}

inline std::string simulateOn(mlir::ModuleOp module, int numWarps, std::vector<Memory> &memories, uint64_t seed) {
  auto shared = module->getAttrOfType<mlir::IntegerAttr>("tilegpu.shared_bytes");
  auto image = compileForSim(
      module, {.level = hostSimLevel().str(), .checked = true, .optimize = 0, .smArch = 80, .timing = {}});
  if (!image) return "sim compile: " + llvm::toString(image.takeError());
  sim::LoadedImage loaded{std::span<const char>(image->bytes)};
  std::vector<void *> pointers, params = parameters(memories, pointers);
  std::vector<sim::MemoryRange> allowed;
  for (Memory &m : memories)
    allowed.push_back({uint64_t(m.bytes.data()), uint64_t(m.bytes.data() + m.bytes.size()), true});
  auto findings = sim::launch(loaded,
                              {.threads = uint32_t(numWarps * 32),
                               .shared_bytes = shared ? uint32_t(shared.getInt()) : 0,
                               .params = params.data()},
                              {.checked = true, .seed = seed, .workers = 1, .allowed = allowed});
  return findings.empty() ? "" : "sim: " + findings[0].text();
}

inline std::string difference(const std::vector<Memory> &expected, const std::vector<Memory> &got) {
  for (size_t m = 0; m < expected.size(); ++m)
    for (size_t i = 0; i < size_t(expected[m].count()); ++i)
      if (expected[m].bitsAt(i) != got[m].bitsAt(i) && !(expected[m].isNan(i) && got[m].isNan(i)))
        return "argument " + std::to_string(m) + "[" + std::to_string(i) + "]: interpreter " +
               std::to_string(expected[m].bitsAt(i)) + ", simulator " + std::to_string(got[m].bitsAt(i));
  return "";
}

/// Runs the text's kernel both ways on copies of `memories`. "" if they agree and nothing was found, else what differs,
/// with the text.
inline std::string runBoth(const std::string &text, int numWarps, const std::vector<Memory> &memories,
                           uint64_t seed = 0) {
  mlir::MLIRContext &context = threadContext();
  DiagnosticCollector collector(context);
  auto module = parseSource(context, text, /*ordinal=*/false, collector);
  auto fail = [&](const std::string &what) { return what + "\n" + collector.text() + text; };
  if (!module) return fail("parse");
  std::vector<Memory> expected = memories, got = memories;
  if (auto error = interpretOn(*module, expected); !error.empty()) return fail(error);
  if (auto error = lowerModule(*module, numWarps); !error.empty()) return fail(error);
  if (auto error = simulateOn(*module, numWarps, got, seed); !error.empty()) return fail(error);
  auto error = difference(expected, got);
  return error.empty() ? "" : fail(error);
}

} // namespace moec::compiler
