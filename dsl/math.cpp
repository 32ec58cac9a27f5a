// Elementwise functions and casts.
#include "dsl/recorder.h"

#include <fmt/format.h>

namespace moec {

using rec::fail;
using rec::OpId;
using rec::Recorder;
using rec::Type;
using rec::Value;

namespace {

constexpr uint16_t bit(DType t) { return static_cast<uint16_t>(1u << static_cast<int>(t)); }
constexpr uint16_t kFloats = bit(f16) | bit(bf16) | bit(f32) | bit(f64), kWide = bit(f32) | bit(f64);

/// x for a function that takes the dtypes of `mask`; a literal is an f32.
Value *taken(Recorder &r, const Operand &x, const char *what, uint16_t mask) {
  Value *v = x.is_literal() ? r.literal(x, r.type(Type::of(f32, {})), what) : r.value(x, what);
  if (mask >> static_cast<int>(v->type->dtype) & 1) return v;
  fail(x.where(), fmt::format("{}({})", what, rec::spell(*v->type)),
       fmt::format("it takes {}", rec::spell_dtypes(mask)), fmt::format("{}(cast(x, f32))", what));
}

Tile unary(OpId op, const char *what, const Operand &x, uint16_t mask = kFloats) {
  Recorder &r = Recorder::current(x.where());
  Value *v = taken(r, x, what, mask);
  return r.tile(r.make(op, {v}, {}, x.where()));
}

} // namespace

Tile exp(const Operand &x) { return unary(OpId::math_exp, "exp", x); }
Tile exp2(const Operand &x) { return unary(OpId::math_exp2, "exp2", x); }
Tile log(const Operand &x) { return unary(OpId::math_log, "log", x); }
Tile log2(const Operand &x) { return unary(OpId::math_log2, "log2", x); }
Tile sqrt(const Operand &x) { return unary(OpId::math_sqrt, "sqrt", x); }
Tile rsqrt(const Operand &x) { return unary(OpId::math_rsqrt, "rsqrt", x); }
Tile tanh(const Operand &x) { return unary(OpId::math_tanh, "tanh", x); }
Tile erf(const Operand &x) { return unary(OpId::math_erf, "erf", x); }
Tile floor(const Operand &x) { return unary(OpId::math_floor, "floor", x); }
Tile ceil(const Operand &x) { return unary(OpId::math_ceil, "ceil", x); }
Tile sigmoid(const Operand &x) { return unary(OpId::tile_sigmoid, "sigmoid", x, kWide); }
Tile fast_exp2(const Operand &x) { return unary(OpId::tile_fast_exp2, "fast_exp2", x, bit(f32)); }

Tile abs(const Operand &x) {
  Recorder &r = Recorder::current(x.where());
  Value *v = r.value(x, "abs");
  DType t = v->type->dtype;
  if (t == u8) return r.tile(v);
  if (is_int(t)) return r.tile(r.make(OpId::math_absi, {v}, {}, x.where()));
  return unary(OpId::math_absf, "abs", x);
}

Tile fast_div(const Operand &a, const Operand &b) {
  Recorder &r = Recorder::current(a.where());
  auto [x, y] = rec::unify(r, a, b, "fast_div");
  if (x->type->dtype != f32)
    fail(a.where(), fmt::format("fast_div({})", rec::spell(*x->type)), "it takes f32",
         "cast(x, f32), or use /, which is exact");
  return r.tile(r.make(OpId::tile_fast_div, {x, y}, {}, a.where()));
}

Tile fma(const Operand &a, const Operand &b, const Operand &c) {
  Recorder &r = Recorder::current(a.where());
  // Dtype and shape of all three: those of the first handle.
  const Operand *like = !a.is_literal() ? &a : !b.is_literal() ? &b : &c;
  Value *first = taken(r, *like, "fma", kFloats);
  rec::TypeRef scalar = r.type(Type::of(first->type->dtype, {}));
  Value *v[3];
  Shape s = first->type->shape();
  int i = 0;
  for (const Operand *o : {&a, &b, &c}) {
    v[i] = o->is_literal() ? r.literal(*o, scalar, "fma") : r.value(*o, "fma");
    if (v[i]->type->dtype != first->type->dtype)
      fail(o->where(), fmt::format("fma({}, {}, {})", rec::spell(r, a), rec::spell(r, b), rec::spell(r, c)),
           "dtypes do not mix", fmt::format("cast all three to {}", name(first->type->dtype)));
    s = rec::common_shape(s, v[i++]->type->shape(), a.where(), "fma");
  }
  for (Value *&x : v) x = rec::broadcast_to(r, x, s, a.where(), "fma");
  return r.tile(r.make(OpId::math_fma, {v[0], v[1], v[2]}, {}, a.where()));
}

void rec::fail_cdiv(int64_t a, int64_t b, Where where) {
  fail(where, fmt::format("cdiv({}, {})", a, b), "the divisor is not positive",
       "correct the constants that it is made of");
}

Tile cdiv(const Operand &a, const Operand &b) {
  Recorder &r = Recorder::current(a.where());
  for (const Operand *o : {&a, &b})
    if (!o->is_literal() && !is_int(r.value(*o, "cdiv")->type->dtype))
      fail(o->where(), fmt::format("cdiv({}, {})", rec::spell(r, a), rec::spell(r, b)), "it divides integers",
           "use / and ceil() for floats");
  if (b.kind() == Operand::Kind::integer) {
    if (b.integer() < 1)
      fail(b.where(), fmt::format("cdiv({}, {})", rec::spell(r, a), b.integer()), "the divisor is not positive");
    return Operand(a + Operand(b.integer() - 1, b.where()), a.where()) / b;
  }
  Tile less = b - Operand(1, b.where());
  Tile up = a + Operand(less, b.where());
  return Operand(up, a.where()) / b;
}

Tile where(const Operand &condition, const Operand &yes, const Operand &no) {
  Recorder &r = Recorder::current(condition.where());
  Value *c = r.value(condition, "where");
  if (c->type->dtype != boolean)
    fail(condition.where(), fmt::format("where({}, ...)", rec::spell(r, condition)), "the condition is bool",
         "compare: x != 0");
  std::string asked = fmt::format("where({}, {}, {})", rec::spell(*c->type), rec::spell(r, yes), rec::spell(r, no));
  auto [y, n] = rec::unify_dtypes(r, yes, no, asked);
  Shape s = rec::common_shape(c->type->shape(),
                              rec::common_shape(y->type->shape(), n->type->shape(), condition.where(), asked),
                              condition.where(), asked);
  Value *v[3] = {c, y, n};
  for (Value *&x : v) x = rec::broadcast_to(r, x, s, condition.where(), asked);
  return r.tile(r.make(OpId::arith_select, {v[0], v[1], v[2]}, {}, condition.where()));
}

Tile cast(const Operand &x, DType dtype) {
  Recorder &r = Recorder::current(x.where());
  rec::TypeRef scalar = r.type(Type::of(dtype, {}));
  if (x.is_literal() && (is_float(dtype) || x.kind() != Operand::Kind::floating))
    return r.tile(r.literal(x, scalar, "cast"));
  Value *v = r.value(x, "cast");
  DType from = v->type->dtype;
  if (from == dtype) return r.tile(v);
  rec::TypeRef type = r.type(Type::of(dtype, v->type->shape()));
  if (type->text == v->type->text) return r.tile(r.relabel(v, type)); // i8 and u8: the same bits
  return r.tile(r.make(OpId::tile_cast, {v}, {from == u8, dtype == u8}, x.where(), type));
}

Tile bitcast(const Operand &x, DType dtype) {
  Recorder &r = Recorder::current(x.where());
  Value *v = r.value(x, "bitcast");
  DType from = v->type->dtype;
  std::string asked = fmt::format("bitcast({}, {})", rec::spell(r, x), name(dtype));
  if (from == dtype) return r.tile(v);
  if (from == boolean || dtype == boolean)
    fail(x.where(), asked, "a bool has no bits to speak of", "cast(x, i8), or compare with 0");
  if (size_bytes(from) != size_bytes(dtype))
    fail(x.where(), asked,
         fmt::format("{} has {} bits, {} has {}", name(from), 8 * size_bytes(from), name(dtype), 8 * size_bytes(dtype)),
         "use a dtype of the same width, or cast");
  rec::TypeRef type = r.type(Type::of(dtype, v->type->shape()));
  if (type->text == v->type->text) return r.tile(r.relabel(v, type));
  return r.tile(r.make(OpId::arith_bitcast, {v}, {}, x.where(), type));
}

} // namespace moec
