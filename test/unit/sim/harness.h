// Compiles kernels given as LLVM+NVVM dialect text and launches them on the simulated GPU.
#pragma once

#include "compiler/target/sim/SimTarget.h"
#include "runtime/sim/executor.h"

#include "mlir/Dialect/DLTI/DLTI.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <optional>
#include <string>
#include <vector>

namespace moec::simtest {

/// The 1-based number of the first line of `text` that contains `marker`.
inline unsigned line_of(const std::string &text, const std::string &marker) {
  size_t at = text.find(marker);
  EXPECT_NE(at, std::string::npos) << "no line with '" << marker << "'";
  return 1 + std::count(text.begin(), text.begin() + static_cast<long>(std::min(at, text.size())), '\n');
}

struct Options {
  std::string level = "v3";
  bool checked = false;
  unsigned optimize = 1;
};

/// The image, or the compile error's text.
inline std::pair<std::vector<char>, std::string> compile(const std::string &text, const Options &options = {}) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<mlir::LLVM::LLVMDialect, mlir::NVVM::NVVMDialect, mlir::DLTIDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, mlir::ParserConfig(&context), "kernel.mlir");
  if (!module) return {{}, "the text does not parse"};
  moec::compiler::SimTargetOptions target;
  target.level = options.level;
  target.checked = options.checked;
  target.optimize = options.optimize;
  if (getenv("MOEC_SIM_TIMING"))
    target.timing = [](llvm::StringRef stage, double ms) {
      fprintf(stderr, "  %-24s %7.2f ms\n", stage.str().c_str(), ms);
    };
  std::string ir;
  if (getenv("MOEC_SIM_IR")) target.llvmIr = &ir;
  auto image = moec::compiler::compileForSim(*module, target);
  if (!ir.empty()) fprintf(stderr, "%s\n", ir.c_str());
  if (!image) return {{}, llvm::toString(image.takeError())};
  return {std::move(image->bytes), ""};
}

inline sim::LoadedImage load(const std::string &text, const Options &options = {}) {
  auto [bytes, error] = compile(text, options);
  if (!error.empty()) throw std::runtime_error(error);
  return sim::LoadedImage(bytes);
}

/// A kernel's arguments: keeps the values that the parameter array points to.
class Params {
public:
  template <class... Args> explicit Params(Args... args) {
    values_.reserve(sizeof...(args));
    (add(args), ...);
  }
  void *const *data() const { return pointers_.data(); }

private:
  template <class T> void add(T value) {
    static_assert(sizeof(T) <= 8);
    uint64_t raw = 0;
    memcpy(&raw, &value, sizeof value);
    values_.push_back(raw);
    pointers_.push_back(&values_.back());
  }
  std::vector<uint64_t> values_;
  std::vector<void *> pointers_;
};

template <class T> sim::MemoryRange range_of(const std::vector<T> &data) {
  auto begin = reinterpret_cast<uint64_t>(data.data());
  return {begin, begin + data.size() * sizeof(T), true};
}

inline std::string texts(const std::vector<sim::SimFinding> &findings) {
  std::string all;
  for (const auto &finding : findings) all += finding.text() + "\n";
  return all;
}

inline const sim::SimFinding *find(const std::vector<sim::SimFinding> &findings, sim::FindingKind kind, unsigned line) {
  for (const auto &finding : findings)
    if (finding.kind == kind && finding.line == line) return &finding;
  return nullptr;
}

} // namespace moec::simtest
