// Kernel text in, verified module out: what every entry of the library begins with, and how its diagnostics leave.
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include <cstdint>
#include <string>
#include <vector>

namespace moec::compiler {

/// This thread's context: all dialects of Register.h loaded, with their translations to LLVM IR, threading off. It
/// lives as long as the thread, so a second compile on the thread pays nothing for it; operations must not outlive the
/// thread.
mlir::MLIRContext &threadContext();

/// One line of what compiler.h calls `diagnostics`.
struct SourceDiagnostic {
  std::string severity; ///< error, warning, remark or note
  std::string file;     ///< empty where no place is known
  uint32_t line = 0;
  uint32_t column = 0;
  std::string message;
};

/// The place of a location in some file: itself, or the first one inside a fused, named or call-site location.
mlir::FileLineColLoc fileLocation(mlir::Location loc);

/// Takes the context's diagnostics while it lives, instead of stderr. One per thread and context at a time.
class DiagnosticCollector {
public:
  explicit DiagnosticCollector(mlir::MLIRContext &context);
  DiagnosticCollector(const DiagnosticCollector &) = delete;
  DiagnosticCollector &operator=(const DiagnosticCollector &) = delete;

  void add(SourceDiagnostic diagnostic) { list.push_back(std::move(diagnostic)); }
  void add(llvm::StringRef severity, mlir::Location loc, std::string message);
  const std::vector<SourceDiagnostic> &diagnostics() const { return list; }
  bool hasErrors() const;
  /// The text of MoecCompileResult::diagnostics.
  std::string text() const;

private:
  std::vector<SourceDiagnostic> list;
  mlir::ScopedDiagnosticHandler handler;
};

/// Parses and verifies. With `ordinal`, op number n in pre-order gets the location "kernel":n:0 (the module does not
/// count: the first tile.kernel is 0) before it is verified; else locations are `name`:line:column of the text. Null,
/// with an error collected, if the text is not valid.
mlir::OwningOpRef<mlir::ModuleOp> parseSource(mlir::MLIRContext &context, llvm::StringRef text, bool ordinal,
                                              DiagnosticCollector &collector, llvm::StringRef name = "source.mlir");

} // namespace moec::compiler
