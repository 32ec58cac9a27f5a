// The reference interpreter: what every op of the tile dialect means, as code. It knows nothing of layouts, threads or
// lowering and ignores encodings, so it runs after every pass up to the lowering. Slow and obvious on purpose.
//
// Where docs and ODS leave a choice, it is made here:
// - Programs of a grid run one after the other, in order of their ids (x fastest), so barriers do nothing.
// - arith on f8 types overflows as the type does (to NaN or infinity); only tile.cast saturates.
// - Shifts by the width or more give 0, or the sign for shrsi. minimum divided by -1 wraps.
// - An async copy reads when it is issued and arrives when it is waited for; shared memory that nothing wrote must not
// be read.
#pragma once

#include "mlir/IR/BuiltinOps.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace moec::compiler {

/// One launch.
struct InterpretOptions {
  std::array<int32_t, 3> grid = {1, 1, 1};
  /// One pointer to each parameter's value, in the order of docs/architecture.md "Kernel parameters".
  llvm::ArrayRef<void *> params;
  /// Memory that the kernel may touch, [begin, end) each; where there are none, accesses are not checked.
  llvm::ArrayRef<std::pair<uint64_t, uint64_t>> ranges;
  /// Iterations after which a while loop is a finding; 0: it may run for ever.
  uint64_t whileLimit = 0;
};

/// What went wrong at one op. Execution goes on after most: a bad load gives 0, a bad store writes nothing.
struct Finding {
  mlir::Location loc;
  std::string message;
  uint64_t repeats = 0;     ///< how often the same op went wrong after that
  bool unsupported = false; ///< the interpreter has no rule for the op: moec's defect, not the kernel's
};

/// Runs the module's only tile.kernel over the grid. The module must verify. Writes through the parameters' pointers.
std::vector<Finding> interpret(mlir::ModuleOp module, const InterpretOptions &options);

} // namespace moec::compiler
