// Handles and operators.
#include "dsl/recorder.h"

#include <fmt/format.h>

namespace moec {

using rec::fail;
using rec::OpId;
using rec::Recorder;
using rec::Value;

void Tile::link() {
  if (Recorder *r = Recorder::current_or_null()) r->link(*this);
}
void Tile::assign(const Tile &other) {
  if (Recorder *r = Recorder::current_or_null()) {
    if (!older) r->link(*this); // made before any recording
    r->assigned(*this, other);
  }
  value_ = other.value_;
  recording_ = other.recording_;
}

Tile::Tile(const Operand &literal) {
  Recorder &r = Recorder::current(literal.where());
  value_ = r.value(literal, "literal");
  recording_ = r.id;
  link();
}

DType Tile::dtype(Where where) const { return Recorder::current(where).value(*this, where, "dtype()")->type->dtype; }
Shape Tile::shape(Where where) const { return Recorder::current(where).value(*this, where, "shape()")->type->shape(); }

// An empty handle stays empty: it may get its value later.
template <class Good>
static void check_scalar(const Tile &t, Where where, const char *what, const char *wanted, Good good) {
  Recorder &r = Recorder::current(where);
  const rec::Type &type = *r.value(t, where, what)->type;
  if (type.is_scalar() && good(type.dtype)) return;
  const char *todo = type.is_scalar() ? "cast it, or declare the variable as the kind of scalar that it is"
                                      : "declare it as Tile, or reduce it to a scalar: sum(), max()";
  fail(where, fmt::format("{} from {}", what, rec::spell(type)), fmt::format("it holds {}", wanted), todo);
}

Int::Int(const Tile &t, Where where) : Tile(t) { check_scalar(t, where, "Int", "a scalar i8, u8, i32 or i64", is_int); }
Float::Float(const Tile &t, Where where) : Tile(t) {
  check_scalar(t, where, "Float", "a scalar of a float dtype", is_float);
}
Bool::Bool(const Tile &t, Where where) : Tile(t) {
  check_scalar(t, where, "Bool", "a scalar bool", [](DType d) { return d == DType::boolean; });
}

// -------------------------------------------------------------------------------------------------------------
// operators

namespace {

/// Ops of an operator by kind of dtype: float, signed, unsigned, bool; a missing one is a mistake.
struct Operator {
  const char *symbol;
  OpId floating, signed_, unsigned_, boolean;
};

constexpr OpId kNone = OpId::tile_kernel; // no such op for this dtype

std::string asked(Recorder &r, const Operand &a, const char *symbol, const Operand &b) {
  return fmt::format("{} {} {}", rec::spell(r, a), symbol, rec::spell(r, b));
}

Tile binary(const Operator &o, const Operand &a, const Operand &b) {
  Recorder &r = Recorder::current(a.where());
  auto [x, y] = rec::unify(r, a, b, o.symbol);
  DType t = x->type->dtype;
  if (is_fp8(t))
    fail(a.where(), asked(r, a, o.symbol, b), fmt::format("{} is a format to store and to multiply in dot()", name(t)),
         "cast both sides to f32 first");
  OpId op = is_float(t) ? o.floating : t == DType::boolean ? o.boolean : t == DType::u8 ? o.unsigned_ : o.signed_;
  if (op == kNone) {
    const char *todo = t == DType::boolean ? "cast to i32 first, or combine masks with &, | and ^"
                       : is_float(t)       ? "cast to an integer dtype first, or bitcast to work on the bits"
                                           : "cast to a float dtype first";
    fail(a.where(), asked(r, a, o.symbol, b), fmt::format("{} has no operator {}", name(t), o.symbol), todo);
  }
  return r.tile(r.make(op, {x, y}, {}, a.where()));
}

/// Predicates of arith.cmpi and arith.cmpf (ordered, but != unordered).
struct Comparison {
  const char *symbol;
  int signed_, unsigned_, floating;
  bool of_bool;
};

Tile compare(const Comparison &c, const Operand &a, const Operand &b) {
  Recorder &r = Recorder::current(a.where());
  auto [x, y] = rec::unify(r, a, b, c.symbol);
  DType t = x->type->dtype;
  if (is_fp8(t))
    fail(a.where(), asked(r, a, c.symbol, b), fmt::format("{} is a format to store and to multiply in dot()", name(t)),
         "cast both sides to f32 first");
  if (t == DType::boolean && !c.of_bool)
    fail(a.where(), asked(r, a, c.symbol, b), "bool values have no order", "use ==, !=, &, | or cast to i32");
  rec::TypeRef type = r.type(rec::Type::of(DType::boolean, x->type->shape()));
  int predicate = is_float(t) ? c.floating : t == DType::u8 ? c.unsigned_ : c.signed_;
  return r.tile(r.make(is_float(t) ? OpId::arith_cmpf : OpId::arith_cmpi, {x, y}, {predicate}, a.where(), type));
}

Tile negate_bits(const Operand &a, const char *symbol, bool only_bool) {
  Recorder &r = Recorder::current(a.where());
  Value *x = r.value(a, symbol);
  DType t = x->type->dtype;
  if (is_float(t) || (only_bool && t != DType::boolean))
    fail(a.where(), fmt::format("{}{}", symbol, rec::spell(r, a)),
         fmt::format("{} has no operator {}", name(t), symbol),
         only_bool ? "compare with 0: x == 0" : "bitcast to an integer dtype first");
  return r.tile(
      r.make(OpId::arith_xori, {x, r.constant(x->type, t == DType::boolean ? 1 : -1, a.where())}, {}, a.where()));
}

constexpr Operator kAdd{"+", OpId::arith_addf, OpId::arith_addi, OpId::arith_addi, kNone};
constexpr Operator kSub{"-", OpId::arith_subf, OpId::arith_subi, OpId::arith_subi, kNone};
constexpr Operator kMul{"*", OpId::arith_mulf, OpId::arith_muli, OpId::arith_muli, kNone};
constexpr Operator kDiv{"/", OpId::arith_divf, OpId::arith_divsi, OpId::arith_divui, kNone};
constexpr Operator kRem{"%", kNone, OpId::arith_remsi, OpId::arith_remui, kNone};
constexpr Operator kAnd{"&", kNone, OpId::arith_andi, OpId::arith_andi, OpId::arith_andi};
constexpr Operator kOr{"|", kNone, OpId::arith_ori, OpId::arith_ori, OpId::arith_ori};
constexpr Operator kXor{"^", kNone, OpId::arith_xori, OpId::arith_xori, OpId::arith_xori};
constexpr Operator kShl{"<<", kNone, OpId::arith_shli, OpId::arith_shli, kNone};
constexpr Operator kShr{">>", kNone, OpId::arith_shrsi, OpId::arith_shrui, kNone};
constexpr Operator kMax{"maximum", OpId::arith_maximumf, OpId::arith_maxsi, OpId::arith_maxui, OpId::arith_ori};
constexpr Operator kMin{"minimum", OpId::arith_minimumf, OpId::arith_minsi, OpId::arith_minui, OpId::arith_andi};

} // namespace

Tile operator+(const Operand &a, const Operand &b) { return binary(kAdd, a, b); }
Tile operator-(const Operand &a, const Operand &b) { return binary(kSub, a, b); }
Tile operator*(const Operand &a, const Operand &b) { return binary(kMul, a, b); }
Tile operator/(const Operand &a, const Operand &b) { return binary(kDiv, a, b); }
Tile operator%(const Operand &a, const Operand &b) { return binary(kRem, a, b); }
Tile operator&(const Operand &a, const Operand &b) { return binary(kAnd, a, b); }
Tile operator|(const Operand &a, const Operand &b) { return binary(kOr, a, b); }
Tile operator^(const Operand &a, const Operand &b) { return binary(kXor, a, b); }
Tile operator<<(const Operand &a, const Operand &b) { return binary(kShl, a, b); }
Tile operator>>(const Operand &a, const Operand &b) { return binary(kShr, a, b); }
Tile maximum(const Operand &a, const Operand &b) { return binary(kMax, a, b); }
Tile minimum(const Operand &a, const Operand &b) { return binary(kMin, a, b); }

Tile operator==(const Operand &a, const Operand &b) { return compare({"==", 0, 0, 1, true}, a, b); }
Tile operator!=(const Operand &a, const Operand &b) { return compare({"!=", 1, 1, 13, true}, a, b); }
Tile operator<(const Operand &a, const Operand &b) { return compare({"<", 2, 6, 4, false}, a, b); }
Tile operator<=(const Operand &a, const Operand &b) { return compare({"<=", 3, 7, 5, false}, a, b); }
Tile operator>(const Operand &a, const Operand &b) { return compare({">", 4, 8, 2, false}, a, b); }
Tile operator>=(const Operand &a, const Operand &b) { return compare({">=", 5, 9, 3, false}, a, b); }

Tile operator~(const Operand &a) { return negate_bits(a, "~", false); }
Tile operator!(const Tile &a) { return negate_bits(Operand(a, rec::where_made(a)), "!", true); }

Tile operator-(const Operand &a) {
  Recorder &r = Recorder::current(a.where());
  Value *x = r.value(a, "-x");
  DType t = x->type->dtype;
  if (t == DType::boolean || is_fp8(t))
    fail(a.where(), fmt::format("-({})", rec::spell(r, a)), fmt::format("{} has no operator -", name(t)),
         "cast it first");
  if (is_float(t)) return r.tile(r.make(OpId::arith_negf, {x}, {}, a.where()));
  return r.tile(r.make(OpId::arith_subi, {r.constant(x->type, 0, a.where()), x}, {}, a.where()));
}

} // namespace moec
