// Views, sub-views, pointers.
#include "dsl/recorder.h"

#include <fmt/format.h>

namespace moec {

using rec::fail;
using rec::OpId;
using rec::Recorder;
using rec::Type;
using rec::Value;

// ------------------------------------------------------------------------------------------------------------- handles

namespace rec {
/// Views and pointers are not carried by loops: an assignment from inside one would be lost, so it is a mistake.
template <class Handle> void Recorder::reassign(Handle &to, const Handle &from, const char *what) {
  if (to.value_ && to.recording_ == id && to.made_in_ != block) {
    Where where = from.value_ && from.value_->def ? from.value_->def->where : last_where_;
    fail(where, fmt::format("assignment of a {} inside a recorded loop or branch", what), "it was declared outside",
         fmt::format("declare a {} inside the body, or carry an Int offset instead", what));
  }
  to.value_ = from.value_;
  to.recording_ = from.recording_;
  to.made_in_ = block;
}
} // namespace rec

static const void *current_block() {
  Recorder *r = Recorder::current_or_null();
  return r ? r->block : nullptr;
}

View::View(const View &other) : value_(other.value_), recording_(other.recording_), made_in_(current_block()) {}
View &View::operator=(const View &other) {
  if (Recorder *r = Recorder::current_or_null()) r->reassign(*this, other, "View");
  return *this;
}
Pointer::Pointer(const Pointer &other)
    : value_(other.value_), recording_(other.recording_), made_in_(current_block()) {}
Pointer &Pointer::operator=(const Pointer &other) {
  if (Recorder *r = Recorder::current_or_null()) r->reassign(*this, other, "Pointer");
  return *this;
}

// ------------------------------------------------------------------------------------------------------------- views

DType View::dtype(Where where) const { return Recorder::current(where).value(*this, where, "dtype()")->type->dtype; }
int View::rank(Where where) const { return Recorder::current(where).value(*this, where, "rank()")->type->rank; }

static int checked_dim(const Type &t, int dim, const char *what, Where where) {
  int d = dim < 0 ? dim + t.rank : dim;
  if (d < 0 || d >= t.rank)
    fail(where, fmt::format("{}({})", what, dim), fmt::format("the view has rank {}", t.rank),
         fmt::format("dimensions are 0 to {}", t.rank - 1));
  return d;
}

static Value *size_of(Recorder &r, Value *view, int dim, Where where) {
  return r.make(OpId::tile_dim, {view}, {dim}, where, r.type(Type::of(DType::i32, {})));
}

Int View::size(int dim, Where where) const {
  Recorder &r = Recorder::current(where);
  Value *v = r.value(*this, where, "size()");
  return Int(r.tile(size_of(r, v, checked_dim(*v->type, dim, "size", where), where)), where);
}

void View::check_rank(int rank, Where where) const {
  int has = this->rank(where);
  if (has != rank)
    fail(where, fmt::format("sizes<{}>()", rank), fmt::format("the view has rank {}", has),
         fmt::format("use sizes<{}>()", has));
}

void View::expect(std::initializer_list<Operand> sizes, Where where) const {
  Recorder &r = Recorder::current(where);
  r.add_expect(r.value(*this, where, "expect()"), {sizes.begin(), sizes.size()}, where);
}

ElementRef View::element(std::initializer_list<Operand> indices, Where where) const {
  Recorder &r = Recorder::current(where);
  Value *v = r.value(*this, where, "view(...)");
  if (indices.size() != v->type->rank)
    fail(where, fmt::format("view({} indices)", indices.size()), fmt::format("the {}", rec::spell(*v->type)),
         fmt::format("give {} indices, one per dimension", v->type->rank));
  ElementRef ref;
  ref.base = v;
  ref.rank = v->type->rank;
  ref.recording = r.id;
  ref.where = where;
  size_t i = 0;
  for (const Operand &o : indices) ref.indices[i++] = r.index(o, "view(...)", true);
  return ref;
}

BlockRef View::tile(std::initializer_list<Operand> origin, Shape shape, Where where) const {
  Recorder &r = Recorder::current(where);
  Value *v = r.value(*this, where, "view.tile()");
  if (origin.size() != v->type->rank || shape.rank != v->type->rank)
    fail(where, fmt::format("view.tile() with {} origins and shape {}", origin.size(), rec::spell(shape)),
         fmt::format("the {}", rec::spell(*v->type)), "give one origin and one size per dimension");
  r.type(v->type->dtype, shape, where, "view.tile()");
  BlockRef ref;
  ref.view = v;
  ref.shape = shape;
  ref.recording = r.id;
  ref.where = where;
  size_t i = 0;
  for (const Operand &o : origin) ref.origins[i++] = r.index(o, "view.tile()", false);
  return ref;
}

// The type is filled in when all offsets are known for good (schedule.cpp): what is known of divisors depends on them.
View View::part(int dim, const Operand *begin, const Operand *end, Where where) const {
  Recorder &r = Recorder::current(where);
  Value *v = r.value(*this, where, "sub-view");
  const Type &t = *v->type;
  int d = checked_dim(t, dim, "slice", where);
  std::array<Value *, Shape::kMaxRank> offsets{}, sizes{};
  for (int i = 0; i < t.rank; ++i) {
    auto k = static_cast<size_t>(i);
    if (i != d || !begin) offsets[k] = r.integer(0, DType::i32, where);
    if (i != d) sizes[k] = size_of(r, v, i, where);
  }
  auto k = static_cast<size_t>(d);
  if (begin) offsets[k] = r.index(*begin, "sub-view", false, true);
  Value *last = end ? r.index(*end, "sub-view", false, true) : size_of(r, v, d, where);
  sizes[k] = begin ? r.make(OpId::arith_subi, {last, offsets[k]}, {}, where) : last;
  std::span<Value *const> o(offsets.data(), t.rank), s(sizes.data(), t.rank);
  return r.view(r.make(OpId::tile_subview, {v, o, s}, {}, where, v->type));
}

std::array<View, 2> View::split_cols(const Operand &h) const {
  return {part(-1, nullptr, &h, h.where()), part(-1, &h, nullptr, h.where())};
}
View View::rows_before(const Operand &end) const { return part(0, nullptr, &end, end.where()); }
View View::rows_from(const Operand &begin) const { return part(0, &begin, nullptr, begin.where()); }
View View::rows(const Operand &begin, const Operand &end) const { return part(0, &begin, &end, begin.where()); }
View View::cols_before(const Operand &end) const { return part(-1, nullptr, &end, end.where()); }
View View::cols_from(const Operand &begin) const { return part(-1, &begin, nullptr, begin.where()); }
View View::cols(const Operand &begin, const Operand &end) const { return part(-1, &begin, &end, begin.where()); }
View View::slice(int dim, const Operand &begin, const Operand &end) const {
  return part(dim, &begin, &end, begin.where());
}

View View::at(const Operand &index) const {
  Recorder &r = Recorder::current(index.where());
  Value *v = r.value(*this, index.where(), "at()");
  if (v->type->rank < 2)
    fail(index.where(), "at()", fmt::format("the view has rank {}", v->type->rank), "an element is load(view(i))");
  Value *i = r.index(index, "at()", false);
  Type t = *v->type;
  for (size_t d = 1; d < t.rank; ++d) t.sizes[d - 1] = t.sizes[d], t.strides[d - 1] = t.strides[d];
  --t.rank;
  t.sizes[t.rank] = t.strides[t.rank] = 0;
  return r.view(r.make(OpId::tile_view_at, {v, i}, {}, index.where(), r.type(t)));
}

// -------------------------------------------------------------------------------------------------------------
// pointers

DType Pointer::dtype(Where where) const { return Recorder::current(where).value(*this, where, "dtype()")->type->dtype; }

ElementRef Pointer::operator[](const Operand &offset) const {
  Recorder &r = Recorder::current(offset.where());
  ElementRef ref;
  ref.base = r.value(*this, offset.where(), "pointer[...]");
  ref.indices[0] = r.index(offset, "pointer[...]", true);
  ref.rank = 1;
  ref.recording = r.id;
  ref.where = offset.where();
  return ref;
}

Pointer operator+(const Pointer &p, const Operand &offset) {
  Recorder &r = Recorder::current(offset.where());
  Value *v = r.value(p, offset.where(), "pointer + offset");
  Value *o = r.value(offset, "pointer + offset");
  if (o->type->is_tile())
    fail(offset.where(), fmt::format("pointer + {}", rec::spell(*o->type)), "a pointer moves by a scalar",
         "elements at a tile of offsets are pointer[tile]");
  o = r.index(offset, "pointer + offset", false);
  Type t = *v->type;
  t.align = 0;
  return r.pointer(r.make(OpId::tile_addptr, {v, o}, {}, offset.where(), r.type(t)));
}

} // namespace moec
