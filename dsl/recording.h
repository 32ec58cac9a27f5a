// What the recorder hands to the runtime: the text of one specialization, its contract with the host, and the lines it
// came from.
#pragma once

#include "dsl/dtype.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace moec {

/// What the specialization key knows of one kernel argument. For a view: all of it; pointer: dtype, align; scalar:
/// dtype.
struct ArgFacts {
  enum class Kind : uint8_t { view, pointer, scalar };
  static constexpr int kMaxRank = 5;
  Kind kind = Kind::view;
  DType dtype = DType::f32;
  uint8_t rank = 0;
  uint8_t align = 16;  ///< bytes that the address is known to be a multiple of: 16 or the element's size
  bool wide = false;   ///< some byte offset needs more than 31 bits
  bool packed = false; ///< row-major without gaps: a stride is the product of the sizes after it
  std::array<int32_t, kMaxRank> size_divisors{}; ///< 16 or 1 per dimension
  std::array<int32_t, kMaxRank>
      stride_divisors{}; ///< in elements; 0: exactly 1; 16/size_bytes: a multiple of 16 bytes; else 1
  bool operator==(const ArgFacts &) const = default;
};

/// An i64 expression over the launch's arguments that the host evaluates: a postfix program.
struct HostExpr {
  enum class Op : uint8_t {
    constant,
    size,
    scalar,
    add,
    sub,
    mul,
    div,
    rem,
    min,
    max
  }; ///< div, rem: truncating, as C++
  struct Step {
    Op op;
    int64_t a = 0; ///< constant: the value; size, scalar: the argument's index
    int64_t b = 0; ///< size: the dimension
    bool operator==(const Step &) const = default;
  };
  std::vector<Step> steps;
  std::string text; ///< as the user would write it, for errors: "cdiv(y.size(1), 1024)"
};

/// `arg`'s dimension `dim` must equal `value`.
struct HostExpect {
  int arg;
  int dim;
  HostExpr value;
  std::string file; ///< where the kernel says so
  int line;
};

struct SourceLine {
  const char *file; ///< from std::source_location: lives for ever
  int line;
};

/// One recorded specialization of a kernel. Ops are numbered in the order of the text, from 0: the tile.kernel op
/// itself is 0, then the ops of its body as they stand, nested ones and terminators included (a walk in pre-order from
/// the kernel; the module around it is not counted).
struct Recording {
  std::string kernel; ///< the function's name
  std::string text;   ///< tile IR, generic form, no locations
  std::vector<ArgFacts> args;
  std::vector<std::string> arg_names; ///< "arg0"… unless the kernel named them
  std::vector<HostExpect> expects;
  std::vector<HostExpr> grid; ///< 1 to 3 extents; empty with persistent = true
  bool persistent = false;
  std::vector<SourceLine> lines; ///< op number n (pre-order in text) ▶ the user's line
};

} // namespace moec
