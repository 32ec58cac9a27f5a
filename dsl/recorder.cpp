#include "dsl/recorder.h"

#include <atomic>
#include <fmt/format.h>
#include <limits>

namespace moec::rec {

namespace {
thread_local Recorder *current_recorder = nullptr;
std::atomic<uint32_t> next_recording{1};

/// A recording takes the thread's arena; one inside another (a kernel that records) takes a fresh one.
thread_local std::vector<std::unique_ptr<Arena>> arenas;
thread_local size_t arenas_used = 0;
Arena &take_arena() {
  if (arenas_used == arenas.size()) arenas.push_back(std::make_unique<Arena>());
  Arena &a = *arenas[arenas_used++];
  a.reset();
  return a;
}
} // namespace

void *Arena::allocate(size_t bytes, size_t align) {
  for (;; ++chunk_, used_ = 0) {
    if (chunk_ == chunks_.size()) {
      size_t size = std::max<size_t>(bytes + align, 64 << 10);
      chunks_.push_back({std::make_unique_for_overwrite<char[]>(size), size});
    }
    size_t at = (used_ + align - 1) & ~(align - 1);
    if (at + bytes <= chunks_[chunk_].size) {
      used_ = at + bytes;
      return chunks_[chunk_].data.get() + at;
    }
  }
}

std::string_view Arena::copy(std::string_view s) {
  char *p = static_cast<char *>(allocate(s.size() + 1, 1));
  std::memcpy(p, s.data(), s.size());
  return {p, s.size()};
}

void fail(Where where, std::string asked, std::string wrong, std::string todo) {
  throw KernelError(where.file_name(), static_cast<int>(where.line()), std::move(asked), std::move(wrong),
                    std::move(todo));
}

// -------------------------------------------------------------------------------------------------------------
// spelling

std::string spell(const Shape &s) {
  std::string t = "[";
  for (int i = 0; i < std::min(s.rank, Shape::kMaxRank); ++i) t += (i ? ", " : "") + std::to_string(s[i]);
  return t + "]";
}

std::string spell(const Type &t) {
  switch (t.kind) {
  case Type::Kind::scalar: return fmt::format("scalar {}", name(t.dtype));
  case Type::Kind::tile: return std::string(name(t.dtype)) + spell(t.shape());
  case Type::Kind::view: return fmt::format("view of {} with rank {}", name(t.dtype), t.rank);
  case Type::Kind::pointer: return fmt::format("pointer to {}", name(t.dtype));
  }
  return "";
}

std::string spell(Recorder &r, const Operand &o) {
  switch (o.kind()) {
  case Operand::Kind::none: return "nothing";
  case Operand::Kind::integer: return std::to_string(o.integer());
  case Operand::Kind::boolean: return o.integer() ? "true" : "false";
  case Operand::Kind::floating: {
    std::string text = fmt::format("{}", o.floating());
    return text.find_first_not_of("-0123456789") == std::string::npos ? text + ".0" : text; // 2.0 is no integer
  }
  case Operand::Kind::handle: return spell(*r.value(o.tile(), o.where(), "use of a value")->type);
  }
  return "";
}

std::string spell_dtypes(uint16_t mask) {
  std::vector<std::string_view> names;
  for (int i = 0; i < kNumDTypes; ++i)
    if (mask >> i & 1) names.push_back(name(static_cast<DType>(i)));
  std::string s;
  for (size_t i = 0; i < names.size(); ++i)
    s += std::string(i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + std::string(names[i]);
  return s;
}

// ------------------------------------------------------------------------------------------------------------- the
// recorder

Recorder::Recorder(std::string_view kernel_name, std::vector<ArgFacts> facts)
    : name(kernel_name), arena(take_arena()), id(next_recording++), outer_(current_recorder), facts_(std::move(facts)) {
  handles_.older = handles_.newer = &handles_;
  top = block = new_block(nullptr);
  current_recorder = this;
}

Recorder::~Recorder() {
  for (Link *l = handles_.older; l != &handles_;) // handles that outlive the recording are in no list any more
    l = std::exchange(*l, Link()).older;
  current_recorder = outer_;
  --arenas_used;
}

Recorder *Recorder::current_or_null() { return current_recorder; }

Recorder &Recorder::current(Where where) {
  if (!current_recorder)
    fail(where, "use of the DSL", "no kernel is being recorded",
         "call this inside a kernel function that record() or jit() runs");
  current_recorder->raise_pending();
  return *current_recorder;
}

void Recorder::raise_pending() {
  if (pending_.empty()) return;
  std::string wrong = std::move(pending_);
  pending_.clear();
  fail(pending_where_, "recorded loop", wrong,
       "a recorded loop has one body and runs to its end: use a mask, when() or while_()");
}

TypeRef Recorder::type(const Type &t) {
  for (const TypeEntry &e : types_)
    if (static_cast<const Type &>(e) == t) return &e;
  TypeEntry &e = types_.emplace_back();
  static_cast<Type &>(e) = t;
  std::string s;
  auto list = [](const auto &values, int rank) {
    std::string l;
    for (int i = 0; i < rank; ++i) l += (i ? ", " : "") + std::to_string(values[static_cast<size_t>(i)]);
    return l;
  };
  const std::string element(mlir_name(t.dtype));
  switch (t.kind) {
  case Type::Kind::scalar: s = element; break;
  case Type::Kind::tile:
    s = "tensor<";
    for (int i = 0; i < t.rank; ++i) s += std::to_string(t.sizes[static_cast<size_t>(i)]) + "x";
    s += element + ">";
    break;
  case Type::Kind::view:
    s = "!tile.view<" + element + ", sizes = [" + list(t.sizes, t.rank) + "], strides = [" + list(t.strides, t.rank) +
        "], align = " + std::to_string(t.align) + ", wide = " + (t.wide ? "true" : "false") +
        (t.packed ? ", packed = true>" : ">");
    break;
  case Type::Kind::pointer: s = "!tile.ptr<" + element + (t.align ? ", " + std::to_string(t.align) : "") + ">"; break;
  }
  e.text = arena.copy(s);
  return &e;
}

TypeRef Recorder::type(DType dtype, const Shape &shape, Where where, std::string_view asked) {
  if (shape.rank > Shape::kMaxRank)
    fail(where, std::string(asked), fmt::format("a tile of rank {}", shape.rank), "tiles have at most 5 dimensions");
  for (int i = 0; i < shape.rank; ++i)
    if (shape[i] < 1 || (shape[i] & (shape[i] - 1)))
      fail(where, std::string(asked), fmt::format("dimension {} of {} is not a power of two", i, spell(shape)),
           "pad with next_pow2() or lanes(), and mask");
  if (shape.count() > 1 << 20)
    fail(where, std::string(asked), fmt::format("a tile {} of {} elements", spell(shape), shape.count()),
         "a tile has at most 1048576 elements: use a smaller block, or a loop");
  return type(Type::of(dtype, shape));
}

// ------------------------------------------------------------------------------------------------------------- ops

static bool takes(const OperandInfo &o, const Type &t) {
  switch (t.kind) {
  case Type::Kind::scalar: return o.scalar >> static_cast<int>(t.dtype) & 1;
  case Type::Kind::tile: return o.tile >> static_cast<int>(t.dtype) & 1;
  case Type::Kind::view: return o.view;
  case Type::Kind::pointer: return o.pointer;
  }
  return false;
}

static std::string spell_taken(const OperandInfo &o) {
  if (o.view) return "a view";
  if (o.pointer) return "a pointer";
  if (o.scalar && o.tile == 0) return "a scalar of " + spell_dtypes(o.scalar);
  if (o.scalar == 0) return "a tile of " + spell_dtypes(o.tile);
  return spell_dtypes(o.tile);
}

static std::string_view mnemonic(const OpInfo &op) { return op.name.substr(op.name.find('.') + 1); }

void Recorder::check_operands(const OpInfo &op, std::initializer_list<Group> operands, Where where) {
  int i = 0;
  for (const Group &g : operands) {
    const OperandInfo &o = op.operands[i++];
    for (size_t k = 0; k < g.size; ++k) {
      const Type &t = *g.data[k]->type;
      if (takes(o, t)) continue;
      std::string todo = t.kind == Type::Kind::scalar && !o.scalar && o.tile
                             ? "give it a tile: broadcast the scalar first"
                         : t.kind == Type::Kind::tile && !o.tile && o.scalar ? "give it a scalar"
                                                                             : "cast it first";
      fail(where, fmt::format("{}({})", mnemonic(op), spell(t)), fmt::format("{} takes {}", o.name, spell_taken(o)),
           todo);
    }
  }
}

void Recorder::fill_operands(Node *n, const OpInfo &op, std::initializer_list<Group> operands) {
  size_t count = 0;
  for (const Group &g : operands) count += g.size;
  n->num_operands = static_cast<uint32_t>(count);
  n->operands = arena.make<Value *>(count);
  n->segments = op.segments ? arena.make<int32_t>(operands.size()) : nullptr;
  size_t at = 0, which = 0;
  for (const Group &g : operands) {
    for (size_t k = 0; k < g.size; ++k) {
      check_visible(g.data[k], id, n->where, mnemonic(op)); // references keep indices of their own
      n->operands[at++] = g.data[k];
    }
    if (n->segments) n->segments[which++] = static_cast<int32_t>(g.size);
  }
}

void Recorder::check_combiner(const Node *n, const OpInfo &op) {
  if (op.effect != Effect::pure)
    fail(n->where, std::string(mnemonic(op)), "a combiner of reduce() or scan() only computes",
         "load and store outside");
  for (uint32_t k = 0; k < n->num_operands; ++k)
    if (find(n->operands[k])->block != block)
      fail(n->where, std::string(mnemonic(op)), "a combiner uses a value from outside",
           "a combiner uses its arguments and literals only");
}

Node *Recorder::create(OpId op, std::initializer_list<Group> operands, std::span<const TypeRef> results,
                       std::initializer_list<Attr> attrs, Where where, std::span<Block *const> regions) {
  const OpInfo &o = info(op);
  check_operands(o, operands, where);
  if (++num_ops_ > kMaxOps)
    fail(where, fmt::format("kernel with more than {} ops", kMaxOps),
         "a loop over C++ integers is unrolled while recording",
         "use `for (Int i : range(...))` to record its body once");
  Node *n = arena.make<Node>();
  n->op = op;
  n->block = block;
  n->where = last_where_ = where;
  fill_operands(n, o, operands);
  if (block->combiner && o.effect != Effect::terminator) check_combiner(n, o);
  n->num_results = static_cast<uint16_t>(results.size());
  n->results = arena.make<Value>(results.size());
  for (size_t i = 0; i < results.size(); ++i) {
    Value &v = n->results[i];
    v.type = results[i];
    v.def = n;
    v.block = block;
    v.index = static_cast<uint16_t>(i);
  }
  n->num_attrs = static_cast<uint8_t>(attrs.size());
  n->attrs = arena.make<Attr>(attrs.size());
  std::copy(attrs.begin(), attrs.end(), n->attrs);
  n->num_regions = static_cast<uint8_t>(regions.size());
  n->regions = arena.make<Block *>(regions.size());
  for (size_t i = 0; i < regions.size(); ++i) n->regions[i] = regions[i], regions[i]->owner = n;
  if (o.effect == Effect::read)
    n->epoch = static_cast<uint32_t>(block->anchors.size());
  else if (o.effect != Effect::pure)
    block->anchors.push_back(n);
  return n;
}

Value *Recorder::make(OpId op, std::initializer_list<Group> operands, std::initializer_list<Attr> attrs, Where where,
                      TypeRef type) {
  if (!type) {
    const Group &g = operands.begin()[info(op).same_as];
    type = g.data[0]->type;
  }
  return &create(op, operands, {&type, 1}, attrs, where)->results[0];
}

Value *Recorder::constant(TypeRef type, int64_t bits, Where where) {
  return make(OpId::arith_constant, {}, {bits}, where, type);
}

Value *Recorder::relabel(Value *v, TypeRef type) {
  Value *w = arena.make<Value>();
  *w = *v;
  w->type = type;
  w->alias = v;
  return w;
}

// -------------------------------------------------------------------------------------------------------------
// operands

void Recorder::check_visible(Value *v, uint32_t recording, Where where, std::string_view asked) {
  if (!v)
    fail(where, std::string(asked), "the handle is empty: nothing was assigned to it",
         "give it a value where it is declared");
  if (recording != id)
    fail(where, std::string(asked), "the handle belongs to another recording",
         "make it inside this kernel; global and static handles do not work");
  if (!find(v)->block->open)
    fail(where, std::string(asked), "the value was made inside a loop or branch that has ended",
         "assign it to a variable declared before the loop or branch");
}

Value *Recorder::value(const Tile &t, Where where, std::string_view asked) {
  check_visible(t.value_, t.recording_, where, asked);
  return t.value_;
}
Value *Recorder::value(const View &v, Where where, std::string_view asked) {
  check_visible(v.value_, v.recording_, where, asked);
  return v.value_;
}
Value *Recorder::value(const Pointer &p, Where where, std::string_view asked) {
  check_visible(p.value_, p.recording_, where, asked);
  return p.value_;
}

Value *Recorder::value(const Operand &o, std::string_view asked) {
  DType dtype = DType::f32;
  switch (o.kind()) {
  case Operand::Kind::none: fail(o.where(), std::string(asked), "an operand is missing"); break;
  case Operand::Kind::handle: return value(o.tile(), o.where(), asked);
  case Operand::Kind::boolean: dtype = DType::boolean; break;
  case Operand::Kind::floating: break;
  case Operand::Kind::integer:
    dtype = o.integer() == static_cast<int32_t>(o.integer()) ? DType::i32 : DType::i64;
    break;
  }
  return literal(o, type(Type::of(dtype, {})), asked);
}

Value *Recorder::literal(const Operand &o, TypeRef like, std::string_view asked) {
  const DType t = like->dtype;
  auto wrong = [&](std::string todo) {
    fail(o.where(), std::string(asked), fmt::format("the literal {} is not a {}", spell(*this, o), moec::name(t)),
         std::move(todo));
  };
  if (is_float(t)) {
    if (o.kind() == Operand::Kind::boolean) wrong("write 0.0 or 1.0");
    double v = o.kind() == Operand::Kind::floating ? o.floating() : static_cast<double>(o.integer());
    return constant(like, static_cast<int64_t>(float_bits(v, t)), o.where());
  }
  if (o.kind() == Operand::Kind::floating)
    wrong(fmt::format("write an integer, or cast the {} to a float dtype", moec::name(t)));
  int64_t v = o.integer();
  if (t == DType::boolean) {
    if (o.kind() != Operand::Kind::boolean && v != 0 && v != 1) wrong("write true or false");
  } else if (o.kind() == Operand::Kind::boolean) {
    wrong("write 0 or 1");
  } else {
    bool fits = t == DType::u8   ? v >= 0 && v <= 255
                : t == DType::i8 ? v >= -128 && v <= 127
                                 : t == DType::i64 || v == static_cast<int32_t>(v);
    if (!fits) wrong("it is out of range: cast the other side to a wider dtype");
  }
  return constant(like, v, o.where());
}

Value *Recorder::index(const Operand &o, std::string_view asked, bool tiles_too, bool narrow) {
  Value *v = value(o, asked);
  const Type &t = *v->type;
  if (t.kind == Type::Kind::tile && !tiles_too)
    fail(o.where(), std::string(asked), fmt::format("{} where a scalar is needed", spell(t)), "give an Int");
  if (t.dtype != DType::i32 && t.dtype != DType::i64)
    fail(o.where(), std::string(asked), fmt::format("{} as an index", spell(t)),
         "indices are i32 or i64: cast(index, i32)");
  if (narrow && t.dtype == DType::i64) {
    if (o.is_literal())
      fail(o.where(), std::string(asked), fmt::format("{} is more than an i32 holds", o.integer()),
           "a size is at most 2147483647");
    return make(OpId::tile_cast, {v}, {0, 0}, o.where(), type(Type::of(DType::i32, t.shape())));
  }
  return v;
}

// ------------------------------------------------------------------------------------------------------------- handles

Where where_made(const Tile &t) { return current_recorder ? current_recorder->where_made(t) : Where(); }

void Recorder::link(Tile &t) {
  t.serial_ = next_serial_++;
  t.older = handles_.older;
  t.newer = &handles_;
  handles_.older = handles_.older->newer = &t;
}

void Recorder::assigned(Tile &t, const Tile &from) {
  if (t.loop_variable_) {
    Where loop = loops_.empty() ? Where() : loops_.back()->where;
    for (auto &[variable, where] : loop_variables_)
      if (variable == t.value_) loop = where;
    // A plain copy (i = j) carries no line: then the loop's is the nearest.
    Where at = from.value_ && from.value_->def ? from.value_->def->where : loop;
    fail(at, "assignment to a loop variable",
         fmt::format("it is the variable of the recorded loop at {}:{}", loop.file_name(), loop.line()),
         "copy it into a variable of the body: Int j = i;");
  }
  if (t.assigned_ <= scope_start_) t.assigned_ = ++clock_;
}

Tile Recorder::tile(Value *v) {
  Tile t;
  t.value_ = v;
  t.recording_ = id;
  return t;
}

template <class Handle> Handle Recorder::scoped(Value *v) {
  Handle h;
  h.value_ = v;
  h.recording_ = id;
  h.made_in_ = block;
  return h;
}
View Recorder::view(Value *v) { return scoped<View>(v); }
Pointer Recorder::pointer(Value *v) { return scoped<Pointer>(v); }

Block *Recorder::new_block(Block *parent) {
  Block &b = blocks_.emplace_back();
  b.parent = parent;
  return &b;
}

} // namespace moec::rec
