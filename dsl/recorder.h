// The recorder behind the DSL: a graph of ops in an arena. Private to dsl/.
#pragma once

#include "dsl/dsl.h"
#include "dsl/op_table.h"

#include <array>
#include <cstring>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace moec::rec {

struct Node;
struct Block;

/// Type of a value. `sizes`: a tile's shape; a view's divisors of its sizes. Interned: equal types have equal
/// addresses.
struct Type {
  enum class Kind : uint8_t { scalar, tile, view, pointer };
  Kind kind = Kind::scalar;
  DType dtype = DType::i32;
  uint8_t rank = 0;
  uint8_t align = 0;
  bool wide = false, packed = false; ///< of a view: see ArgFacts
  std::array<int32_t, Shape::kMaxRank> sizes{};
  std::array<int32_t, Shape::kMaxRank> strides{}; ///< of a view: divisors; 0: exactly 1

  bool operator==(const Type &) const = default;
  bool is_scalar() const { return kind == Kind::scalar; }
  bool is_tile() const { return kind == Kind::tile; }
  static Type of(DType dtype, const Shape &shape) {
    Type t;
    t.kind = shape.rank ? Kind::tile : Kind::scalar;
    t.dtype = dtype;
    t.rank = static_cast<uint8_t>(shape.rank);
    for (int i = 0; i < shape.rank; ++i) t.sizes[static_cast<size_t>(i)] = shape[i];
    return t;
  }
  Shape shape() const {
    Shape s;
    if (kind != Kind::tile) return s;
    s.rank = rank;
    for (size_t i = 0; i < rank; ++i) s.sizes[i] = sizes[i];
    return s;
  }
};

/// An interned type and its MLIR spelling.
struct TypeEntry : Type {
  std::string_view text;
};
using TypeRef = const TypeEntry *;

struct Value {
  TypeRef type = nullptr;
  Node *def = nullptr;    ///< null: a block argument
  Block *block = nullptr; ///< where it is visible
  Value *alias = nullptr; ///< stands for this one
  uint32_t number = 0;    ///< in the text: op result or argument
  uint16_t index = 0;     ///< among its op's results
  bool depends_on_load = false;
};

/// An attribute's value; which of the op's attributes it is follows from its position.
struct Attr {
  int64_t integer = 0; ///< i32, i64, unit (0: absent), enumeration's case, a constant's bits
  const int32_t *data = nullptr;
  uint32_t size = 0;
  std::string_view text;
  Attr(int64_t i = 0) : integer(i) {}
  Attr(std::string_view t) : text(t) {}
};

struct Node {
  OpId op;
  uint8_t mark = 0; ///< of the walks in schedule.cpp
  uint8_t num_attrs = 0, num_regions = 0;
  uint16_t num_results = 0;
  uint32_t num_operands = 0;
  uint32_t epoch = 0; ///< of a load: effects recorded before it in its block
  uint32_t rank = 0;  ///< of a load: in operand order within its block
  Block *block = nullptr;
  Value **operands = nullptr;
  Value *results = nullptr;
  Attr *attrs = nullptr;
  Block **regions = nullptr;
  int32_t *segments = nullptr; ///< how many values each ODS operand has
  Where where;
};

struct Block {
  Block *parent = nullptr;
  bool open = true;
  Node *owner = nullptr; ///< the op whose region it is
  bool combiner = false; ///< body of a reduce or scan: only pure ops on its own values
  std::vector<Value *> args;
  std::vector<Node *> anchors; ///< effects, control flow and the terminator, in program order
  std::vector<Node *> loads;   ///< live loads, in operand order (schedule.cpp)
  std::vector<Node *> order;   ///< all ops, as printed (schedule.cpp)
  size_t next_load = 0;
};

/// Values given to one ODS operand.
struct Group {
  Value *const *data;
  size_t size;
  Group(Value *const &one) : data(&one), size(one ? 1 : 0) {}
  Group(std::span<Value *const> many) : data(many.data()), size(many.size()) {}
};

/// Memory for one recording; chunks are kept for the thread's next.
class Arena {
public:
  template <class T> T *make(size_t n = 1) {
    static_assert(std::is_trivially_destructible_v<T>);
    T *p = static_cast<T *>(allocate(n * sizeof(T), alignof(T)));
    for (size_t i = 0; i < n; ++i) new (p + i) T();
    return p;
  }
  std::string_view copy(std::string_view s);
  void reset() { chunk_ = 0, used_ = 0; }

private:
  void *allocate(size_t bytes, size_t align);
  struct Chunk {
    std::unique_ptr<char[]> data;
    size_t size;
  };
  std::vector<Chunk> chunks_;
  size_t chunk_ = 0, used_ = 0;
};

/// One handle alive when a scope (loop, branch) began.
struct Cell {
  Tile *handle;
  uint32_t serial;
  uint32_t assigned; ///< before the scope
  Value *outer;      ///< its value before
  Value *args[2];    ///< what it was given in the scope's region: loop argument; while: of both regions
  Value *results[2]; ///< what it held when a region ended
  TypeRef type;
};

/// A scope in which assignments to older handles are watched.
struct Scope {
  std::vector<Cell> cells;
  uint32_t first_serial; ///< handles from here on are younger than the scope
  uint32_t start;        ///< of assignments: the clock when the scope began
  uint32_t outer_start;
};

struct OpenLoop {
  Scope scope;
  Block *body, *outer;
  Value *variable;
  Where where;
};

class Recorder {
public:
  Recorder(std::string_view name, std::vector<ArgFacts> facts);
  ~Recorder();
  Recorder(const Recorder &) = delete;
  /// The one recording on this thread. Throws KernelError if there is none.
  static Recorder &current(Where where);
  static Recorder *current_or_null();

  // -- types
  TypeRef type(const Type &t);
  TypeRef type(DType dtype, const Shape &shape, Where where, std::string_view asked);

  // -- ops
  /// Records an op: one Group per ODS operand, one Attr per printed ODS attribute (fewer: absent).
  Node *create(OpId op, std::initializer_list<Group> operands, std::span<const TypeRef> results,
               std::initializer_list<Attr> attrs, Where where, std::span<Block *const> regions = {});
  /// An op with one result; without `type` it follows from the table.
  Value *make(OpId op, std::initializer_list<Group> operands, std::initializer_list<Attr> attrs, Where where,
              TypeRef type = nullptr);
  Value *constant(TypeRef type, int64_t bits, Where where);
  Value *integer(int64_t v, DType dtype, Where where) { return constant(type(Type::of(dtype, {})), v, where); }
  /// `v` under another type with the same MLIR spelling (i8 and u8).
  Value *relabel(Value *v, TypeRef type);

  // -- operands
  /// The value of a handle, or of a literal with `dtype` of its own kind (i32, i64, f32, bool).
  Value *value(const Operand &o, std::string_view asked);
  /// A literal as `like`'s dtype (and shape, if a tile); `like` is a scalar or tile.
  Value *literal(const Operand &o, TypeRef like, std::string_view asked);
  /// o as a scalar of i32 or i64; i64 becomes i32 where `narrow`.
  Value *index(const Operand &o, std::string_view asked, bool tiles_too, bool narrow = false);
  /// Checks that a value may be used here.
  Where where_made(const Tile &t) const {
    return t.value_ && t.recording_ == id && t.value_->def ? t.value_->def->where : last_where_;
  }
  void check_visible(Value *v, uint32_t recording, Where where, std::string_view asked);
  static Value *find(Value *v) {
    while (v->alias) v = v->alias;
    return v;
  }

  // -- handles
  Tile tile(Value *v);
  View view(Value *v);
  Pointer pointer(Value *v);
  /// Value behind a handle of ours; throws for one of another recording.
  Value *value(const Tile &t, Where where, std::string_view asked);
  Value *value(const View &v, Where where, std::string_view asked);
  Value *value(const Pointer &p, Where where, std::string_view asked);
  void link(Tile &t);
  Tile *older(Link *l) const { return l->older == &handles_ ? nullptr : static_cast<Tile *>(l->older); }
  void assigned(Tile &t, const Tile &from);
  template <class Handle> void reassign(Handle &to, const Handle &from, const char *what);

  // -- scopes: loops.cpp
  Block *new_block(Block *parent);
  void enter(Scope &scope);
  void leave(Scope &scope);
  /// Cells whose handle is still alive, in the order of the scope's cells.
  template <class F> void for_live(Scope &scope, F &&f);
  OpenLoop *open_loop(TypeRef type, Where where);
  void close_loop(OpenLoop *loop, Value *lo, Value *hi, Value *step);
  void abandon_loop(OpenLoop *loop, bool tell);
  void when(const Operand &condition, Call then, Call otherwise);
  void while_(TileCall condition, Call body, Where where);
  LoopVariable loop_variable(OpenLoop *loop) const { return {loop->variable, id}; }
  void close_while(Scope &scope, Block *const (&blocks)[2], Value *holds, Where where);
  void run_branch(Scope &scope, Block *block, int which, Call branch);

  // -- kernel.cpp
  void add_grid(std::span<const Operand> extents, Where where);
  void add_expect(Value *view, std::span<const Operand> sizes, Where where);
  void set_arg_names(std::span<const std::string_view> names, Where where);
  HostExpr host_expr(Value *v, Where where, std::string_view asked);
  void make_arguments();
  /// The line that stands for the kernel as a whole.
  Where where() const { return grid_where_; }
  View view_argument(int i);
  Pointer pointer_argument(int i);
  Tile scalar_argument(int i);
  Recording finish();

  std::string name;
  Arena &arena;
  uint32_t id;
  Block *top = nullptr, *block = nullptr;
  static constexpr uint32_t kMaxOps = 100000;

private:
  /// A handle that belongs to the block being recorded.
  template <class Handle> Handle scoped(Value *v);
  friend class Scheduler;
  friend class Printer;
  int64_t host_steps(Value *v, HostExpr &e, Where where, std::string_view asked, int depth);
  void check_operands(const OpInfo &op, std::initializer_list<Group> operands, Where where);
  void fill_operands(Node *n, const OpInfo &op, std::initializer_list<Group> operands);
  void check_combiner(const Node *n, const OpInfo &op);

  Recorder *outer_;
  std::deque<TypeEntry> types_;
  std::deque<Block> blocks_;
  std::vector<std::unique_ptr<OpenLoop>> loops_;
  std::vector<std::pair<Value *, Where>> loop_variables_;
  Link handles_; ///< the ring's head; older: the newest handle
  uint32_t next_serial_ = 1, clock_ = 0, scope_start_ = 0;
  uint32_t num_ops_ = 0;
  Where last_where_;    ///< of the last op
  std::string pending_; ///< a mistake noticed where throwing is not possible
  Where pending_where_;
  std::vector<ArgFacts> facts_;
  std::vector<std::string> arg_names_;
  bool has_grid_ = false, persistent_ = false;
  Where grid_where_;
  std::vector<std::pair<Node *, Where>> expect_nodes_;
  void raise_pending();
};

/// "f32[64, 32]", "i32", "view bf16 of rank 2", "pointer to f32".
std::string spell(const Type &t);
std::string spell(const Shape &s);
/// A literal as the user wrote it, or the type of a handle.
std::string spell(Recorder &r, const Operand &o);
[[noreturn]] void fail(Where where, std::string asked, std::string wrong, std::string todo = "");
/// "f16, bf16, f32 or f64".
std::string spell_dtypes(uint16_t mask);

// shapes.cpp
/// The line of the op that made a handle's value: for operators that cannot carry their own.
Where where_made(const Tile &t);
/// The shape that both broadcast to, or fails.
Shape common_shape(const Shape &a, const Shape &b, Where where, std::string_view asked);
/// v repeated (splat, expand_dims, broadcast) up to `shape`; v's shape must fit.
Value *broadcast_to(Recorder &r, Value *v, const Shape &shape, Where where, std::string_view asked);
/// Both operands with one dtype and one shape.
std::pair<Value *, Value *> unify(Recorder &r, const Operand &a, const Operand &b, const char *symbol);
/// Only the dtypes, shapes as they are.
std::pair<Value *, Value *> unify_dtypes(Recorder &r, const Operand &a, const Operand &b, std::string_view asked);
int checked_axis(const Operand &x, const Shape &s, int axis, const char *what);

// schedule.cpp, print.cpp
void schedule(Recorder &r);
int64_t divisor(Value *v, int depth = 0);
std::string print(Recorder &r, std::string_view kernel_name, std::vector<SourceLine> &lines);

// floats.cpp
/// v rounded once to dtype, to nearest even, as bits; fp8 saturates (NaN stays NaN).
uint64_t float_bits(double v, DType dtype);

} // namespace moec::rec
