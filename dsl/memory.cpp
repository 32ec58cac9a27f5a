// load, store, atomics, effects.
#include "dsl/recorder.h"

#include <fmt/format.h>

namespace moec {

using rec::fail;
using rec::Group;
using rec::OpId;
using rec::Recorder;
using rec::Type;
using rec::Value;

namespace {

enum class AtomicKind { add, max, min, exchange };

/// A reference resolved: index tiles of one rank, and the shape that they broadcast to.
struct Access {
  Recorder &r;
  const char *what;
  Where where;
  Value *base;
  std::array<Value *, Shape::kMaxRank> indices{};
  size_t count = 0;
  Shape shape;
  DType dtype() const { return base->type->dtype; }
  bool of_view() const { return base->type->kind == Type::Kind::view; }
  std::span<Value *const> index_span() const { return {indices.data(), count}; }
};

void align_indices(Access &a) {
  for (size_t i = 0; i < a.count; ++i)
    a.shape = rec::common_shape(a.shape, a.indices[i]->type->shape(), a.where, a.what);
  // Index tiles have the value's rank; their dimensions of size 1 stay.
  for (size_t i = 0; i < a.count; ++i) {
    const Type &t = *a.indices[i]->type;
    if (t.is_scalar() || t.rank == a.shape.rank) continue;
    Shape s = t.shape();
    Shape padded;
    padded.rank = a.shape.rank;
    for (int d = 0; d < padded.rank; ++d) {
      int from = d - (padded.rank - s.rank);
      padded.sizes[static_cast<size_t>(d)] = from < 0 ? 1 : s[from];
    }
    a.indices[i] = rec::broadcast_to(a.r, a.indices[i], padded, a.where, a.what);
  }
}

Access access(const ElementRef &ref, const char *what) {
  Recorder &r = Recorder::current(ref.where);
  r.check_visible(ref.base, ref.recording, ref.where, what);
  Access a{r, what, ref.where, ref.base, ref.indices, static_cast<size_t>(ref.rank), {}};
  align_indices(a);
  return a;
}

/// The shape grows with the mask and the value: load(p[0], tile_mask) is a tile.
void grow(Access &a, const Shape &s) {
  Shape shape = rec::common_shape(a.shape, s, a.where, a.what);
  if (shape == a.shape) return;
  a.shape = shape;
  align_indices(a);
}

Value *mask_value(Access &a, const Operand &mask) {
  if (!mask.given()) return nullptr;
  Value *m = a.r.value(mask, a.what);
  if (m->type->dtype != DType::boolean)
    fail(mask.where(), fmt::format("{} with mask {}", a.what, rec::spell(a.r, mask)), "a mask is bool",
         "compare: mask != 0");
  grow(a, m->type->shape());
  return m;
}
/// Scalar masks hold for all elements and stay scalars.
Value *fit_mask(Access &a, Value *m) {
  return m && m->type->is_tile() ? rec::broadcast_to(a.r, m, a.shape, a.where, a.what) : m;
}

Value *other_value(Access &a, const Operand &other) {
  if (!other.given()) return nullptr;
  rec::TypeRef scalar = a.r.type(Type::of(a.dtype(), {}));
  if (other.is_literal()) return a.r.literal(other, scalar, a.what);
  Value *v = a.r.value(other, a.what);
  if (v->type != scalar)
    fail(other.where(), fmt::format("{} of {} with other {}", a.what, name(a.dtype()), rec::spell(*v->type)),
         fmt::format("`other` is a scalar {}", name(a.dtype())), "cast it, or use where() on the loaded tile");
  return v;
}

/// Offsets of pointers have the value's shape, in full.
void fit_offset(Access &a) { a.indices[0] = rec::broadcast_to(a.r, a.indices[0], a.shape, a.where, a.what); }

/// The value to be written, as the memory's dtype and in the access's shape.
Value *stored(Access &a, const Operand &value) {
  if (value.is_literal()) return a.r.literal(value, a.r.type(a.dtype(), a.shape, a.where, a.what), a.what);
  Value *v = a.r.value(value, a.what);
  if (v->type->dtype != a.dtype())
    fail(value.where(), fmt::format("{} of {} into {}", a.what, rec::spell(*v->type), rec::spell(*a.base->type)),
         "the dtypes differ", fmt::format("write the rounding down: cast(value, {})", name(a.dtype())));
  const Shape &s = v->type->shape();
  Shape both = rec::common_shape(a.shape, s, value.where(), a.what);
  if (both != a.shape)
    fail(value.where(),
         fmt::format("{} of {} at indices of shape {}", a.what, rec::spell(*v->type), rec::spell(a.shape)),
         "several values would meet in one element", "give indices of the value's shape, or reduce the value");
  return rec::broadcast_to(a.r, v, a.shape, value.where(), a.what);
}

Tile load_elements(Access a, const Operand &mask, const Operand &other) {
  Value *m = mask_value(a, mask), *o = other_value(a, other);
  m = fit_mask(a, m);
  rec::TypeRef type = a.r.type(a.dtype(), a.shape, a.where, a.what);
  if (a.of_view()) return a.r.tile(a.r.make(OpId::tile_view_load, {a.base, a.index_span(), m, o}, {0}, a.where, type));
  fit_offset(a);
  return a.r.tile(a.r.make(OpId::tile_load, {a.base, a.indices[0], m, o}, {}, a.where, type));
}

void store_elements(Access a, const Operand &value, const Operand &mask) {
  Value *m = mask_value(a, mask);
  Value *v = stored(a, value);
  m = fit_mask(a, m);
  if (a.of_view()) {
    a.r.create(OpId::tile_view_store, {a.base, a.index_span(), v, m}, {}, {0}, a.where);
    return;
  }
  fit_offset(a);
  a.r.create(OpId::tile_store, {a.base, a.indices[0], v, m}, {}, {}, a.where);
}

Tile rmw(Access a, AtomicKind kind, const Operand &value, const Operand &mask) {
  DType t = a.dtype();
  const bool wide = t == DType::i32 || t == DType::i64 || t == DType::f32 || t == DType::f64;
  if (!wide && !(kind == AtomicKind::add && (t == DType::f16 || t == DType::bf16)))
    fail(a.where, fmt::format("{} on {}", a.what, rec::spell(*a.base->type)),
         fmt::format("there is no such atomic on {}", name(t)),
         "add takes i32, i64, f16, bf16, f32, f64; the others i32, i64, f32, f64");
  Value *m = mask_value(a, mask);
  Value *v = stored(a, value);
  m = fit_mask(a, m);
  const int64_t k = static_cast<int64_t>(kind);
  if (a.of_view())
    return a.r.tile(a.r.make(OpId::tile_view_atomic_rmw, {a.base, a.index_span(), v, m}, {k, 0}, a.where, v->type));
  fit_offset(a);
  return a.r.tile(a.r.make(OpId::tile_atomic_rmw, {a.base, a.indices[0], v, m}, {k}, a.where, v->type));
}

Tile cas(Access a, const Operand &compare, const Operand &value) {
  DType t = a.dtype();
  if (t != DType::i32 && t != DType::i64)
    fail(a.where, fmt::format("atomic_cas on {}", rec::spell(*a.base->type)),
         fmt::format("it compares i32 or i64, not {}", name(t)),
         "bitcast the memory on the host, or use atomic_exchange");
  Value *c = stored(a, compare), *v = stored(a, value);
  if (a.of_view()) return a.r.tile(a.r.make(OpId::tile_view_atomic_cas, {a.base, a.index_span(), c, v}, {}, a.where));
  fit_offset(a);
  return a.r.tile(a.r.make(OpId::tile_atomic_cas, {a.base, a.indices[0], c, v}, {}, a.where));
}

} // namespace

Tile load(const ElementRef &ref, const Operand &mask, const Operand &other) {
  return load_elements(access(ref, "load"), mask, other);
}
void store(const ElementRef &ref, const Operand &value, const Operand &mask) {
  store_elements(access(ref, "store"), value, mask);
}

Tile load(const BlockRef &ref, const Operand &other) {
  Recorder &r = Recorder::current(ref.where);
  r.check_visible(ref.view, ref.recording, ref.where, "load");
  Access a{r, "load", ref.where, ref.view, {}, 0, {}};
  Value *o = other_value(a, other);
  std::span<Value *const> origins(ref.origins.data(), static_cast<size_t>(ref.shape.rank));
  return r.tile(
      r.make(OpId::tile_block_load, {ref.view, origins, o}, {}, ref.where, r.type(Type::of(a.dtype(), ref.shape))));
}

void store(const BlockRef &ref, const Operand &value) {
  Recorder &r = Recorder::current(ref.where);
  r.check_visible(ref.view, ref.recording, ref.where, "store");
  Access a{r, "store", ref.where, ref.view, {}, 0, ref.shape};
  Value *v = stored(a, value);
  std::span<Value *const> origins(ref.origins.data(), static_cast<size_t>(ref.shape.rank));
  r.create(OpId::tile_block_store, {ref.view, origins, v}, {}, {}, ref.where);
}

Tile atomic_add(const ElementRef &ref, const Operand &value, const Operand &mask) {
  return rmw(access(ref, "atomic_add"), AtomicKind::add, value, mask);
}
Tile atomic_max(const ElementRef &ref, const Operand &value, const Operand &mask) {
  return rmw(access(ref, "atomic_max"), AtomicKind::max, value, mask);
}
Tile atomic_min(const ElementRef &ref, const Operand &value, const Operand &mask) {
  return rmw(access(ref, "atomic_min"), AtomicKind::min, value, mask);
}
Tile atomic_exchange(const ElementRef &ref, const Operand &value, const Operand &mask) {
  return rmw(access(ref, "atomic_exchange"), AtomicKind::exchange, value, mask);
}
Tile atomic_cas(const ElementRef &ref, const Operand &compare, const Operand &value) {
  return cas(access(ref, "atomic_cas"), compare, value);
}

void barrier(Where where) {
  Recorder &r = Recorder::current(where);
  r.create(OpId::tile_barrier, {}, {}, {}, where);
}

void device_assert(const Operand &condition, std::string_view message, std::initializer_list<Operand> values) {
  Recorder &r = Recorder::current(condition.where());
  Value *c = r.value(condition, "device_assert");
  if (c->type->dtype != DType::boolean)
    fail(condition.where(), fmt::format("device_assert({})", rec::spell(r, condition)), "the condition is bool",
         "compare: x != 0");
  if (values.size() > 2)
    fail(condition.where(), "device_assert", fmt::format("{} values to print", values.size()), "give two at most");
  Value *printed[2];
  size_t count = 0;
  for (const Operand &v : values) {
    Value *p = printed[count++] = r.value(v, "device_assert");
    if (p->type->dtype != DType::i32 && p->type->dtype != DType::i64)
      fail(v.where(), fmt::format("device_assert({})", rec::spell(r, condition)),
           fmt::format("{} is not printed", rec::spell(*p->type)), "i32 and i64 are: cast(x, i32)");
    if (p->type->kind == Type::Kind::tile && !(p->type->shape() == c->type->shape()))
      fail(v.where(), fmt::format("device_assert({})", rec::spell(r, condition)),
           fmt::format("{} is printed for each element of the condition", rec::spell(*p->type)),
           "give a scalar, or a tile of the condition's shape");
  }
  for (size_t at = 0; at + 2 < message.size(); ++at) {
    const auto place = static_cast<size_t>(message[at + 1] - '0');
    if (message[at] == '{' && message[at + 2] == '}' && place < 10 && place >= count)
      fail(condition.where(), fmt::format("device_assert with \"{}\" in its message", message.substr(at, 3)),
           fmt::format("values given to print: {}", count), "give a value for each place; {0} is the first");
  }
  r.create(OpId::tile_assert, {c, std::span<Value *const>(printed, count)}, {}, {r.arena.copy(message)},
           condition.where());
}

} // namespace moec
