// What a kernel proves about its integers: ranges, divisors, and comparisons of an index with a symbolic bound.
#pragma once

#include "compiler/ir/Tile.h"

namespace moec::compiler {

/// Inclusive bounds; `known` false means any value of the type.
struct IntRange {
  int64_t lo = 0, hi = 0;
  bool known = false;
  static IntRange of(int64_t lo, int64_t hi) { return {lo, hi, true}; }
};

/// Facts about the i32/i64 scalars and tiles (all elements at once) of one kernel. Memoized; invalid after the IR
/// changes.
class IntFacts {
public:
  explicit IntFacts(tile::KernelOp kernel);

  IntRange range(mlir::Value v);
  /// A positive number that divides v (every element of it); 0 for the constant zero.
  int64_t divisor(mlir::Value v);
  /// True if `index < bound` and, if `nonnegative`, also `0 <= index`, for every element. False: not proved.
  bool provesBelow(mlir::Value index, mlir::Value bound, bool nonnegative);
  /// Decides a comparison, or nullopt.
  std::optional<bool> decide(mlir::arith::CmpIOp cmp);

private:
  /// index = sum of coefficient * scalar + something in [lo, hi]
  struct Linear {
    llvm::SmallVector<std::pair<mlir::Value, int64_t>, 4> terms;
    int64_t lo = 0, hi = 0;
    void add(mlir::Value v, int64_t coefficient);
  };
  Linear linear(mlir::Value v, int depth = 0);
  IntRange computeRange(mlir::Value v);
  bool isNonnegative(mlir::Value v);
  /// The largest value of coefficient * term, as `bound - slack`; nullopt if the term is not known to stay below the
  /// bound.
  std::optional<int64_t> slackBelow(mlir::Value term, int64_t coefficient, mlir::Value bound);
  bool isCeilDiv(mlir::Value v, mlir::Value numerator, int64_t denominator);

  std::array<mlir::Value, 3> extents;
  llvm::DenseMap<mlir::Value, IntRange> ranges;
};

} // namespace moec::compiler
