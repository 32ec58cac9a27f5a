// Broadcasting, and the ops that make or move elements.
#include "dsl/recorder.h"

#include <fmt/format.h>

namespace moec::rec {

Shape common_shape(const Shape &a, const Shape &b, Where where, std::string_view asked) {
  if (a == b) return a;
  Shape s;
  s.rank = std::max(a.rank, b.rank);
  for (int i = 0; i < s.rank; ++i) {
    int ia = i - (s.rank - a.rank), ib = i - (s.rank - b.rank);
    int x = ia < 0 ? 1 : a[ia], y = ib < 0 ? 1 : b[ib];
    if (x != y && x != 1 && y != 1)
      fail(where, std::string(asked),
           fmt::format("shapes {} and {} do not broadcast: dimension {} has {} and {}", spell(a), spell(b), i, x, y),
           "only dimensions of size 1 repeat: use expand_dims or reshape");
    s.sizes[static_cast<size_t>(i)] = std::max(x, y);
  }
  return s;
}

Value *broadcast_to(Recorder &r, Value *v, const Shape &shape, Where where, std::string_view asked) {
  const Type &t = *v->type;
  if (t.is_scalar())
    return shape.rank ? r.make(OpId::tile_splat, {v}, {}, where, r.type(t.dtype, shape, where, asked)) : v;
  Shape from = t.shape();
  if (from == shape) return v;
  if (from.rank > shape.rank || common_shape(from, shape, where, asked) != shape)
    fail(where, std::string(asked), fmt::format("{} does not broadcast to {}", spell(from), spell(shape)),
         "reduce it, or reshape it");
  while (from.rank < shape.rank) {
    for (int i = from.rank; i > 0; --i) from.sizes[static_cast<size_t>(i)] = from.sizes[static_cast<size_t>(i - 1)];
    from.sizes[0] = 1;
    ++from.rank;
    v = r.make(OpId::tile_expand_dims, {v}, {0}, where, r.type(Type::of(t.dtype, from)));
  }
  return from == shape ? v : r.make(OpId::tile_broadcast, {v}, {}, where, r.type(t.dtype, shape, where, asked));
}

static Value *widen(Recorder &r, Value *v, Where where) {
  return r.make(OpId::tile_cast, {v}, {0, 0}, where, r.type(Type::of(DType::i64, {})));
}

std::pair<Value *, Value *> unify_dtypes(Recorder &r, const Operand &a, const Operand &b, std::string_view asked) {
  if (a.is_literal() && b.is_literal()) {
    bool floating = a.kind() == Operand::Kind::floating || b.kind() == Operand::Kind::floating;
    if (!floating) {
      Value *x = r.value(a, asked);
      return {x, r.literal(b, x->type, asked)};
    }
    TypeRef f = r.type(Type::of(DType::f32, {}));
    Value *x = r.literal(a, f, asked);
    return {x, r.literal(b, f, asked)};
  }
  if (a.is_literal()) {
    Value *y = r.value(b, asked);
    return {r.literal(a, y->type, asked), y};
  }
  Value *x = r.value(a, asked);
  if (b.is_literal()) return {x, r.literal(b, x->type, asked)};
  Value *y = r.value(b, asked);
  const Type &tx = *x->type, &ty = *y->type;
  if (tx.dtype == ty.dtype) return {x, y};
  // The only conversion that happens by itself: a scalar i32 meets i64, without loss.
  if (tx.is_scalar() && tx.dtype == DType::i32 && ty.dtype == DType::i64) return {widen(r, x, a.where()), y};
  if (ty.is_scalar() && ty.dtype == DType::i32 && tx.dtype == DType::i64) return {x, widen(r, y, b.where())};
  DType wider = size_bytes(tx.dtype) >= size_bytes(ty.dtype) ? tx.dtype : ty.dtype;
  if (is_float(tx.dtype) != is_float(ty.dtype)) wider = is_float(tx.dtype) ? tx.dtype : ty.dtype;
  fail(a.where(), std::string(asked), "dtypes do not mix",
       fmt::format("cast one of them, for instance the {} one to {}", wider == tx.dtype ? "right" : "left",
                   name(wider)));
}

std::pair<Value *, Value *> unify(Recorder &r, const Operand &a, const Operand &b, const char *symbol) {
  // The sentence is only made for mistakes: a lambda would do, but the common case must stay cheap.
  const Type *ta = a.kind() == Operand::Kind::handle ? r.value(a.tile(), a.where(), symbol)->type : nullptr;
  const Type *tb = b.kind() == Operand::Kind::handle ? r.value(b.tile(), b.where(), symbol)->type : nullptr;
  const bool plain = ta && tb && ta->dtype == tb->dtype && ta->shape() == tb->shape();
  const std::string asked = plain ? std::string() : fmt::format("{} {} {}", spell(r, a), symbol, spell(r, b));
  auto [x, y] = unify_dtypes(r, a, b, asked);
  if (plain) return {x, y};
  Shape s = common_shape(x->type->shape(), y->type->shape(), a.where(), asked);
  Value *bx = broadcast_to(r, x, s, a.where(), asked);
  return {bx, broadcast_to(r, y, s, b.where(), asked)};
}

int checked_axis(const Operand &x, const Shape &s, int axis, const char *what) {
  int a = axis < 0 ? axis + s.rank : axis;
  if (a < 0 || a >= s.rank)
    fail(x.where(), fmt::format("{} along axis {}", what, axis),
         fmt::format("the tile {} has {} dimensions", spell(s), s.rank),
         fmt::format("axes are 0 to {}, or -1 for the last", s.rank - 1));
  return a;
}

static Value *tile_of(Recorder &r, const Operand &x, const char *what) {
  Value *v = r.value(x, what);
  if (v->type->is_tile()) return v;
  fail(x.where(), fmt::format("{}({})", what, spell(r, x)), "it takes a tile",
       "make a tile of the scalar with full() or broadcast()");
}

} // namespace moec::rec

namespace moec {

using rec::fail;
using rec::OpId;
using rec::Recorder;
using rec::Type;
using rec::Value;

static Int program_number(OpId op, const char *what, int axis, Where where) {
  Recorder &r = Recorder::current(where);
  if (axis < 0 || axis > 2) fail(where, fmt::format("{}({})", what, axis), "a grid has axes 0, 1 and 2");
  return Int(r.tile(r.make(op, {}, {axis}, where, r.type(Type::of(DType::i32, {})))), where);
}
Int program_id(int axis, Where where) { return program_number(OpId::tile_program_id, "program_id", axis, where); }
Int num_programs(int axis, Where where) { return program_number(OpId::tile_num_programs, "num_programs", axis, where); }

Tile arange(int n, Where where) { return arange(0, n, where); }
Tile arange(int lo, int hi, Where where) {
  Recorder &r = Recorder::current(where);
  int n = hi - lo;
  if (n < 1 || (n & (n - 1)))
    fail(where, lo ? fmt::format("arange({}, {})", lo, hi) : fmt::format("arange({})", hi),
         fmt::format("{} is not a power of two", n),
         fmt::format("use lanes({}), which pads and gives the mask of the real lanes", n));
  return r.tile(r.make(OpId::tile_arange, {}, {lo}, where, r.type(DType::i32, {n}, where, "arange")));
}

Lanes lanes(int n, Where where) {
  Recorder &r = Recorder::current(where);
  if (n < 1) fail(where, fmt::format("lanes({})", n), "there is no lane", "n is at least 1");
  const int padded = next_pow2(n);
  Tile index = arange(padded, where);
  if (padded == n) return {index, r.tile(r.constant(r.type(DType::boolean, {n}, where, "lanes"), 1, where))};
  return {index, Operand(index, where) < Operand(n, where)};
}

Tile full(Shape shape, const Operand &value, DType dtype) {
  Recorder &r = Recorder::current(value.where());
  std::string asked = fmt::format("full({}, {}, {})", rec::spell(shape), rec::spell(r, value), name(dtype));
  rec::TypeRef type = r.type(dtype, shape, value.where(), asked);
  if (value.is_literal()) return r.tile(r.literal(value, type, asked));
  Value *v = r.value(value, asked);
  if (!v->type->is_scalar())
    fail(value.where(), asked, fmt::format("the value is {}", rec::spell(*v->type)),
         "give a scalar, or use broadcast()");
  if (v->type->dtype != dtype)
    fail(value.where(), asked, fmt::format("the value is {}", rec::spell(*v->type)),
         fmt::format("cast(value, {})", name(dtype)));
  return r.tile(rec::broadcast_to(r, v, shape, value.where(), asked));
}
Tile zeros(Shape shape, DType dtype, Where where) {
  Recorder &r = Recorder::current(where);
  return r.tile(r.constant(r.type(dtype, shape, where, "zeros"), 0, where));
}

Tile broadcast(const Operand &x, Shape shape) {
  Recorder &r = Recorder::current(x.where());
  Value *v = r.value(x, "broadcast");
  std::string asked = fmt::format("broadcast({}, {})", rec::spell(r, x), rec::spell(shape));
  r.type(v->type->dtype, shape, x.where(), asked);
  return r.tile(rec::broadcast_to(r, v, shape, x.where(), asked));
}

Tile expand_dims(const Operand &x, int axis) {
  Recorder &r = Recorder::current(x.where());
  Value *v = rec::tile_of(r, x, "expand_dims");
  Shape s = v->type->shape();
  int a = axis < 0 ? axis + s.rank + 1 : axis;
  std::string asked = fmt::format("expand_dims({}, {})", rec::spell(*v->type), axis);
  if (a < 0 || a > s.rank)
    fail(x.where(), asked, "there is no such place", fmt::format("axes are 0 to {}, or -1 for after the last", s.rank));
  if (s.rank == Shape::kMaxRank) fail(x.where(), asked, "tiles have at most 5 dimensions", "reshape it first");
  for (int i = s.rank; i > a; --i) s.sizes[static_cast<size_t>(i)] = s.sizes[static_cast<size_t>(i - 1)];
  s.sizes[static_cast<size_t>(a)] = 1;
  ++s.rank;
  return r.tile(r.make(OpId::tile_expand_dims, {v}, {a}, x.where(), r.type(Type::of(v->type->dtype, s))));
}

Tile reshape(const Operand &x, Shape shape) {
  Recorder &r = Recorder::current(x.where());
  Value *v = rec::tile_of(r, x, "reshape");
  std::string asked = fmt::format("reshape({}, {})", rec::spell(*v->type), rec::spell(shape));
  rec::TypeRef type = r.type(v->type->dtype, shape, x.where(), asked);
  if (shape.rank == 0 || shape.count() != v->type->shape().count())
    fail(x.where(), asked,
         fmt::format("{} elements do not become {}", v->type->shape().count(), shape.rank ? shape.count() : 1),
         "both shapes need the same number of elements");
  if (type == v->type) return r.tile(v);
  return r.tile(r.make(OpId::tile_reshape, {v}, {}, x.where(), type));
}

Tile trans(const Operand &x) {
  Recorder &r = Recorder::current(x.where());
  Value *v = rec::tile_of(r, x, "trans");
  if (v->type->rank != 2)
    fail(x.where(), fmt::format("trans({})", rec::spell(*v->type)), "a matrix has 2 dimensions",
         "give the order: trans(x, {0, 2, 1})");
  return trans(x, {1, 0});
}
Tile trans(const Operand &x, std::initializer_list<int> order) {
  Recorder &r = Recorder::current(x.where());
  Value *v = rec::tile_of(r, x, "trans");
  Shape from = v->type->shape(), to = from;
  unsigned seen = 0;
  for (int d : order) seen |= d >= 0 && d < from.rank ? 1u << d : 0u;
  if (static_cast<int>(order.size()) != from.rank || seen != (1u << from.rank) - 1)
    fail(x.where(), fmt::format("trans({})", rec::spell(*v->type)), "the order is not a permutation of its dimensions",
         fmt::format("name each of 0 to {} once", from.rank - 1));
  int32_t *data = r.arena.make<int32_t>(order.size());
  for (size_t i = 0; i < order.size(); ++i) data[i] = order.begin()[i], to.sizes[i] = from[order.begin()[i]];
  rec::Attr attr;
  attr.data = data;
  attr.size = static_cast<uint32_t>(order.size());
  return r.tile(r.make(OpId::tile_trans, {v}, {attr}, x.where(), r.type(Type::of(v->type->dtype, to))));
}

} // namespace moec
