// What the recorder knows of each op. The rows come from ODS: see tools/dev/gen_op_table.py.
#pragma once

#include <cstdint>
#include <string_view>

namespace moec::rec {

/// pure: a node of the graph. read: stays between the effects around it. write: keeps program order. region: control
/// flow, likewise.
enum class Effect : uint8_t { pure, read, write, region, terminator };
enum class Arity : uint8_t { one, optional, variadic };
/// How an attribute is spelled. `constant`: a literal with its type; `none`: never given by the recorder.
enum class AttrKind : uint8_t { none, unit, i32, i64, i32_array, bool_array, string, enumeration, constant, type };

struct OperandInfo {
  const char *name;
  Arity arity;
  uint16_t scalar; ///< bit DType: taken as a scalar
  uint16_t tile;   ///< bit DType: taken as a tile
  bool view, pointer;
};
struct AttrInfo {
  std::string_view name;
  AttrKind kind;
  std::string_view prefix;  ///< of an enumeration: "#tile<atomic_kind "
  const char *const *cases; ///< its cases by number
};
struct OpInfo {
  std::string_view name;
  Effect effect;
  bool segments;        ///< needs operandSegmentSizes
  int8_t same_as;       ///< the single result has the type of this operand; -1: the type is given
  uint8_t num_operands; ///< ODS operands, each may be several values
  uint8_t num_attrs;
  uint8_t num_regions;
  const OperandInfo *operands;
  const AttrInfo *attrs;
};

#include "dsl/op_table.inc"

inline const OpInfo &info(OpId op) { return op_table[static_cast<int>(op)]; }

} // namespace moec::rec
