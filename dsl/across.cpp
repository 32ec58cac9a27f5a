// Ops across elements: reductions, scans, sorts, histogram, dot.
#include "dsl/recorder.h"

#include <fmt/format.h>

namespace moec {

using rec::fail;
using rec::Group;
using rec::OpId;
using rec::Recorder;
using rec::Type;
using rec::Value;

namespace rec {

/// Tiles of one shape.
static std::vector<Value *> tiles_of(Recorder &r, const Operand *x, int n, const char *what) {
  std::vector<Value *> v;
  for (int i = 0; i < n; ++i) {
    v.push_back(r.value(x[i], what));
    if (!v.back()->type->is_tile())
      fail(x[i].where(), fmt::format("{}({})", what, spell(*v.back()->type)), "it takes a tile",
           "a scalar has nothing to combine");
    if (v.back()->type->shape() != v[0]->type->shape())
      fail(x[i].where(), fmt::format("{}({}, {})", what, spell(*v[0]->type), spell(*v.back()->type)),
           "the shapes differ", "broadcast them to one shape");
  }
  return v;
}

/// The region of a reduce or scan: scalars left and right in, combined out.
static Block *record_combiner(Recorder &r, const std::vector<Value *> &v, Combiner combiner, const char *what,
                              Where where) {
  const size_t n = v.size();
  Block *body = r.new_block(r.block);
  body->combiner = true;
  for (size_t i = 0; i < 2 * n; ++i) {
    Value *arg = r.arena.make<Value>();
    arg->type = r.type(Type::of(v[i % n]->type->dtype, {}));
    arg->block = body;
    body->args.push_back(arg);
  }
  struct Inside {
    Recorder &r;
    Block *outer;
    ~Inside() {
      r.block->open = false;
      r.block = outer;
    }
  } inside{r, r.block};
  r.block = body;
  std::vector<Tile> in, out(n);
  in.reserve(2 * n);
  for (Value *arg : body->args) in.push_back(r.tile(arg));
  combiner.function(combiner.context, in.data(), out.data());
  std::vector<Value *> yields;
  for (size_t i = 0; i < n; ++i) {
    Value *y = r.value(out[i], where, what);
    if (Recorder::find(y)->block != body)
      fail(where, fmt::format("combiner of {}", what), "it gives a value from outside", "combine the two arguments");
    if (y->type != body->args[i]->type)
      fail(where, fmt::format("combiner of {}", what),
           fmt::format("it gives {} for {}", spell(*y->type), spell(*body->args[i]->type)),
           "it gives the dtype that it gets: cast the tile first");
    yields.push_back(y);
  }
  r.create(OpId::tile_yield, {std::span<Value *const>(yields)}, {}, {}, where);
  return body;
}

void reduce(const Operand *x, int n, int axis, Combiner combiner, Tile *out) {
  const Where where = x[0].where();
  Recorder &r = Recorder::current(where);
  std::vector<Value *> v = tiles_of(r, x, n, "reduce");
  Shape s = v[0]->type->shape();
  if (axis == all_axes) {
    if (s.rank > 1)
      for (Value *&t : v)
        t = r.make(OpId::tile_reshape, {t}, {}, where,
                   r.type(Type::of(t->type->dtype, Shape{static_cast<int>(s.count())})));
    s = v[0]->type->shape();
    axis = 0;
  }
  axis = checked_axis(x[0], s, axis, "reduce");
  Block *body = record_combiner(r, v, combiner, "reduce", where);
  Shape to = s;
  for (int i = axis; i + 1 < s.rank; ++i) to.sizes[static_cast<size_t>(i)] = s[i + 1];
  to.sizes[static_cast<size_t>(--to.rank)] = 0;
  std::vector<TypeRef> types;
  for (Value *t : v) types.push_back(r.type(Type::of(t->type->dtype, to)));
  Node *node = r.create(OpId::tile_reduce, {std::span<Value *const>(v)}, types, {axis}, where, {&body, 1});
  for (int i = 0; i < n; ++i) out[i] = r.tile(&node->results[i]);
}

void scan(const Operand *x, int n, int axis, bool reverse, Combiner combiner, Tile *out) {
  const Where where = x[0].where();
  Recorder &r = Recorder::current(where);
  std::vector<Value *> v = tiles_of(r, x, n, "scan");
  axis = checked_axis(x[0], v[0]->type->shape(), axis, "scan");
  Block *body = record_combiner(r, v, combiner, "scan", where);
  std::vector<TypeRef> types;
  for (Value *t : v) types.push_back(t->type);
  Node *node = r.create(OpId::tile_scan, {std::span<Value *const>(v)}, types, {axis, reverse}, where, {&body, 1});
  for (int i = 0; i < n; ++i) out[i] = r.tile(&node->results[i]);
}

static void check_ordered(const Operand &x, DType t, const char *what) {
  if (t == DType::boolean || is_fp8(t))
    fail(x.where(), fmt::format("{} of {}", what, name(t)), "it has no order to sort by",
         "cast the keys to i32 or f32");
}

void sort(const Operand *x, int n, bool descending, Tile *out, Where where) {
  Recorder &r = Recorder::current(where);
  std::vector<Value *> v = tiles_of(r, x, n, "sort");
  check_ordered(x[0], v[0]->type->dtype, "sort");
  std::vector<TypeRef> types;
  for (Value *t : v) types.push_back(t->type);
  Node *node = r.create(OpId::tile_sort, {std::span<Value *const>(v)}, types,
                        {descending, v[0]->type->dtype == DType::u8}, where);
  for (int i = 0; i < n; ++i) out[i] = r.tile(&node->results[i]);
}

} // namespace rec

// -------------------------------------------------------------------------------------------------------------
// ready-made

/// Reductions say their own name in errors.
static DType reduced_dtype(const Operand &x, const char *what, bool of_bool, bool of_number) {
  Recorder &r = Recorder::current(x.where());
  Value *v = r.value(x, what);
  DType t = v->type->dtype;
  if (!v->type->is_tile())
    fail(x.where(), fmt::format("{}({})", what, rec::spell(*v->type)), "it takes a tile",
         "a scalar has nothing to combine");
  if (t == DType::boolean ? !of_bool : !of_number || is_fp8(t))
    fail(x.where(), fmt::format("{}({})", what, rec::spell(*v->type)), fmt::format("{} has no {}", name(t), what),
         t == DType::boolean ? "any() and all() combine bools; to count, cast to i32"
         : of_number         ? "cast it to f32 first"
                             : "compare first: x != 0");
  return t;
}

Tile sum(const Operand &x, int axis) {
  reduced_dtype(x, "sum", false, true);
  return reduce(x, axis, [&](const Tile &a, const Tile &b) { return Operand(a, x.where()) + b; });
}
Tile max(const Operand &x, int axis) {
  reduced_dtype(x, "max", false, true);
  return reduce(x, axis, [&](const Tile &a, const Tile &b) { return maximum(Operand(a, x.where()), b); });
}
Tile min(const Operand &x, int axis) {
  reduced_dtype(x, "min", false, true);
  return reduce(x, axis, [&](const Tile &a, const Tile &b) { return minimum(Operand(a, x.where()), b); });
}
Tile any(const Operand &x, int axis) {
  reduced_dtype(x, "any", true, false);
  return reduce(x, axis, [&](const Tile &a, const Tile &b) { return Operand(a, x.where()) | b; });
}
Tile all(const Operand &x, int axis) {
  reduced_dtype(x, "all", true, false);
  return reduce(x, axis, [&](const Tile &a, const Tile &b) { return Operand(a, x.where()) & b; });
}

/// The left side has the lower index, so it wins among equals.
static Tile arg_extreme(const Operand &x, int axis, const char *what, bool greatest) {
  const DType t = reduced_dtype(x, what, false, true);
  const Where where = x.where();
  Recorder &r = Recorder::current(where);
  Tile values = r.tile(r.value(x, what));
  Shape s = values.shape(where);
  if (axis == all_axes && s.rank > 1) {
    s = Shape{static_cast<int>(s.count())};
    values = reshape(Operand(values, where), s);
  }
  if (axis == all_axes) axis = 0;
  axis = rec::checked_axis(x, s, axis, what);
  Tile index = arange(s[axis], where);
  Shape along = s;
  for (int i = 0; i < s.rank; ++i) along.sizes[static_cast<size_t>(i)] = i == axis ? s[i] : 1;
  if (s.rank > 1) index = broadcast(Operand(reshape(Operand(index, where), along), where), s);
  auto both = reduce(
      std::array<Tile, 2>{values, index}, axis,
      [&](const std::array<Tile, 2> &left, const std::array<Tile, 2> &right) {
        Operand l(left[0], where), h(right[0], where);
        Tile take = greatest ? h > l : h < l;
        if (is_float(t)) {
          Tile first_nan = Operand(h != h, where) & Operand(l == l, where);
          take = Operand(take, where) | first_nan;
        }
        Tile value = moec::where(Operand(take, where), h, l);
        Tile at = moec::where(Operand(take, where), Operand(right[1], where), Operand(left[1], where));
        return std::array<Tile, 2>{value, at};
      },
      where);
  return both[1];
}
Tile argmax(const Operand &x, int axis) { return arg_extreme(x, axis, "argmax", true); }
Tile argmin(const Operand &x, int axis) { return arg_extreme(x, axis, "argmin", false); }

Tile cumsum(const Operand &x, int axis, bool reverse) {
  reduced_dtype(x, "cumsum", false, true);
  return scan(x, axis, [&](const Tile &a, const Tile &b) { return Operand(a, x.where()) + b; }, reverse);
}

Tile sort(const Operand &x, bool descending) {
  Tile out;
  rec::sort(&x, 1, descending, &out, x.where());
  return out;
}

TopK topk(const Operand &x, int k) {
  Recorder &r = Recorder::current(x.where());
  Value *v = rec::tiles_of(r, &x, 1, "topk")[0];
  rec::check_ordered(x, v->type->dtype, "topk");
  Shape s = v->type->shape();
  const auto last = static_cast<size_t>(s.rank - 1);
  if (k < 1 || next_pow2(k) > s.sizes[last])
    fail(x.where(), fmt::format("topk({}, {})", rec::spell(*v->type), k),
         fmt::format("the last axis has {} elements", s.sizes[last]), "k is at least 1 and at most that");
  s.sizes[last] = next_pow2(k);
  rec::TypeRef types[] = {r.type(Type::of(v->type->dtype, s)), r.type(Type::of(DType::i32, s))};
  rec::Node *n = r.create(OpId::tile_topk, {v}, types, {next_pow2(k)}, x.where());
  return {r.tile(&n->results[0]), r.tile(&n->results[1])};
}

Tile histogram(const Operand &x, int bins, const Operand &mask) {
  Recorder &r = Recorder::current(x.where());
  Value *v = rec::tiles_of(r, &x, 1, "histogram")[0];
  if (v->type->dtype != i32)
    fail(x.where(), fmt::format("histogram({})", rec::spell(*v->type)), "it counts i32", "cast(x, i32)");
  if (bins < 1)
    fail(x.where(), fmt::format("histogram with {} bins", bins), "there is nothing to count", "bins is at least 1");
  Value *m = nullptr;
  if (mask.given()) {
    m = r.value(mask, "histogram");
    if (m->type->dtype != boolean)
      fail(mask.where(), fmt::format("histogram with mask {}", rec::spell(r, mask)), "a mask is bool",
           "compare: mask != 0");
    m = rec::broadcast_to(r, m, v->type->shape(), mask.where(), "histogram");
  }
  return r.tile(
      r.make(OpId::tile_histogram, {v, m}, {}, x.where(), r.type(i32, {next_pow2(bins)}, x.where(), "histogram")));
}

Tile dot(const Operand &a, const Operand &b, const Operand &acc) {
  Recorder &r = Recorder::current(a.where());
  Value *x = rec::tiles_of(r, &a, 1, "dot")[0], *y = rec::tiles_of(r, &b, 1, "dot")[0];
  const Type &tx = *x->type, &ty = *y->type;
  std::string asked = fmt::format("dot({}, {}{}{})", rec::spell(tx), rec::spell(ty), acc.given() ? ", " : "",
                                  acc.given() ? rec::spell(r, acc) : "");
  if (tx.rank != 2 || ty.rank != 2 || tx.sizes[1] != ty.sizes[0])
    fail(a.where(), asked, "it multiplies [M, K] by [K, N]",
         "the first tile's columns are the second's rows: use trans()");
  const bool fp8 = is_fp8(tx.dtype) && is_fp8(ty.dtype), same = tx.dtype == ty.dtype;
  const DType sum = tx.dtype == f64 ? f64 : f32;
  if (!fp8 && !(same && is_float(tx.dtype)))
    fail(a.where(), asked, fmt::format("it does not multiply {} by {}", name(tx.dtype), name(ty.dtype)),
         "both f16, both bf16, both f32, both f64, or e4m3 and e5m2 in any mix");
  rec::TypeRef type = r.type(sum, {tx.sizes[0], ty.sizes[1]}, a.where(), "dot");
  Value *c = !acc.given()       ? r.constant(type, 0, a.where())
             : acc.is_literal() ? r.literal(acc, type, asked)
                                : r.value(acc, asked);
  if (c->type != type)
    fail(acc.where(), asked, fmt::format("the sum is {}", rec::spell(*type)),
         fmt::format("start with zeros({{{}, {}}}, {})", tx.sizes[0], ty.sizes[1], name(sum)));
  return r.tile(r.make(OpId::tile_dot, {x, y, c}, {}, a.where()));
}

} // namespace moec
