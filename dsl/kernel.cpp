// The kernel's contract with the host, and recording as a whole.
#include "dsl/recorder.h"

#include <fmt/format.h>

namespace moec::rec {

static const char *const kHostTodo = "use sizes of the kernel's views, scalar arguments and constants only";

// ------------------------------------------------------------------------------------------------------------- host
// expressions

/// The host's op for a device op; nullopt: the host does not know it.
static std::optional<HostExpr::Op> host_op(OpId op) {
  switch (op) {
  case OpId::arith_addi: return HostExpr::Op::add;
  case OpId::arith_subi: return HostExpr::Op::sub;
  case OpId::arith_muli: return HostExpr::Op::mul;
  case OpId::arith_divsi: return HostExpr::Op::div;
  case OpId::arith_remsi: return HostExpr::Op::rem;
  case OpId::arith_minsi: return HostExpr::Op::min;
  case OpId::arith_maxsi: return HostExpr::Op::max;
  default: return std::nullopt;
  }
}

namespace {
bool is_constant(Value *v, int64_t &c) {
  v = Recorder::find(v);
  if (!v->def || v->def->op != OpId::arith_constant) return false;
  c = v->def->attrs[0].integer;
  return true;
}

/// Text as the user would write it: (a + (b - 1)) / b is cdiv(a, b).
struct Spelling {
  const std::vector<std::string> &names;
  const Block *top;

  int argument(Value *v) const {
    for (size_t i = 0; i < top->args.size(); ++i)
      if (top->args[i] == v) return static_cast<int>(i);
    return -1;
  }

  std::string operator()(Value *v, bool nested = false) const {
    v = Recorder::find(v);
    if (!v->def) return names[static_cast<size_t>(argument(v))];
    const Node *n = v->def;
    int64_t c;
    if (is_constant(v, c)) return std::to_string(c);
    if (n->op == OpId::tile_dim)
      return fmt::format("{}.size({})", names[static_cast<size_t>(argument(Recorder::find(n->operands[0])))],
                         n->attrs[0].integer);
    if (n->op == OpId::tile_cast) return (*this)(n->operands[0], nested);
    Value *a = n->operands[0], *b = n->operands[1];
    if (n->op == OpId::arith_divsi)
      if (Value *numerator = cdiv_numerator(a, b)) return fmt::format("cdiv({}, {})", (*this)(numerator), (*this)(b));
    if (n->op == OpId::arith_minsi || n->op == OpId::arith_maxsi)
      return fmt::format("{}({}, {})", n->op == OpId::arith_minsi ? "minimum" : "maximum", (*this)(a), (*this)(b));
    const char *symbol = n->op == OpId::arith_addi    ? "+"
                         : n->op == OpId::arith_subi  ? "-"
                         : n->op == OpId::arith_muli  ? "*"
                         : n->op == OpId::arith_divsi ? "/"
                                                      : "%";
    std::string s = fmt::format("{} {} {}", (*this)(a, true), symbol, (*this)(b, true));
    return nested ? "(" + s + ")" : s;
  }

  /// x where sum is x + (b - 1), as cdiv() records it.
  static Value *cdiv_numerator(Value *sum, Value *b) {
    sum = Recorder::find(sum);
    if (!sum->def || sum->def->op != OpId::arith_addi) return nullptr;
    Value *minus = Recorder::find(sum->def->operands[1]);
    int64_t less, divisor;
    if (is_constant(minus, less) && is_constant(b, divisor))
      return less == divisor - 1 ? sum->def->operands[0] : nullptr;
    if (!minus->def || minus->def->op != OpId::arith_subi ||
        Recorder::find(minus->def->operands[0]) != Recorder::find(b))
      return nullptr;
    return is_constant(minus->def->operands[1], less) && less == 1 ? sum->def->operands[0] : nullptr;
  }
};
} // namespace

int64_t Recorder::host_steps(Value *v, HostExpr &e, Where where, std::string_view asked, int depth) {
  auto push = [&](HostExpr::Op op, int64_t a = 0, int64_t b = 0) { e.steps.push_back({op, a, b}); };
  auto refuse = [&](std::string what) {
    fail(where, std::string(asked), "the host cannot evaluate " + what, kHostTodo);
  };
  v = find(v);
  auto argument = [&](Value *x) {
    for (size_t i = 0; i < top->args.size(); ++i)
      if (top->args[i] == x) return static_cast<int64_t>(i);
    return int64_t(-1);
  };
  if (depth > 64 || e.steps.size() > 1000) refuse("an expression this large");
  if (!v->def) {
    int64_t i = argument(v);
    if (i < 0) refuse("a loop's variable");
    if (!is_int(v->type->dtype)) refuse(spell(*v->type));
    push(HostExpr::Op::scalar, i);
    return 0;
  }
  const Node *n = v->def;
  if (n->op == OpId::arith_constant) {
    push(HostExpr::Op::constant, n->attrs[0].integer);
  } else if (n->op == OpId::tile_dim) {
    int64_t i = argument(find(n->operands[0]));
    if (i < 0) refuse("the size of a sub-view");
    push(HostExpr::Op::size, i, n->attrs[0].integer);
  } else if (n->op == OpId::tile_cast && is_int(n->operands[0]->type->dtype)) {
    host_steps(n->operands[0], e, where, asked, depth + 1);
  } else if (auto op = host_op(n->op)) {
    for (uint32_t i = 0; i < 2; ++i) host_steps(n->operands[i], e, where, asked, depth + 1);
    push(*op);
  } else {
    std::string_view name = info(n->op).name;
    refuse(info(n->op).effect == Effect::read ? "a loaded value" : std::string(name.substr(name.find('.') + 1)));
  }
  return 0;
}

HostExpr Recorder::host_expr(Value *v, Where where, std::string_view asked) {
  HostExpr e;
  host_steps(v, e, where, asked, 0);
  e.text = Spelling{arg_names_, top}(v);
  return e;
}

// -------------------------------------------------------------------------------------------------------------
// contract

void Recorder::add_grid(std::span<const Operand> extents, Where where) {
  std::vector<Value *> values;
  for (const Operand &o : extents) values.push_back(index(o, "grid", false, true));
  if (block != top)
    fail(where, "grid() inside a loop or branch", "the host evaluates it before the launch",
         "call it at the top of the kernel");
  if (has_grid_)
    fail(where, "a second grid()",
         fmt::format("the kernel's grid is set at {}:{}", grid_where_.file_name(), grid_where_.line()),
         "call grid() once");
  has_grid_ = true;
  grid_where_ = where;
  persistent_ = extents.empty();
  create(OpId::tile_grid, {std::span<Value *const>(values)}, {}, {}, where);
}

void Recorder::add_expect(Value *view, std::span<const Operand> sizes, Where where) {
  if (block != top)
    fail(where, "expect() inside a loop or branch", "the host checks it before the launch",
         "call it at the top of the kernel");
  view = find(view);
  if (view->def)
    fail(where, "expect() on a sub-view", "the host checks the kernel's own arguments only",
         "call it on the parameter");
  if (sizes.size() != view->type->rank)
    fail(where, fmt::format("expect() with {} sizes", sizes.size()), fmt::format("the {}", spell(*view->type)),
         fmt::format("give {} sizes, one per dimension", view->type->rank));
  std::vector<Value *> values;
  for (const Operand &o : sizes) values.push_back(index(o, "expect", false, true));
  Node *n = create(OpId::tile_expect, {view, std::span<Value *const>(values)}, {}, {}, where);
  expect_nodes_.push_back({n, where});
}

void Recorder::set_arg_names(std::span<const std::string_view> names, Where where) {
  if (names.size() != facts_.size())
    fail(where, fmt::format("arg_names() with {} names", names.size()),
         fmt::format("the kernel has {} arguments", facts_.size()), "name each, in order");
  for (size_t i = 0; i < names.size(); ++i) arg_names_[i] = names[i];
}

// -------------------------------------------------------------------------------------------------------------
// arguments

static const char *spell(Parameter p) {
  constexpr const char *names[] = {"View", "Pointer", "Int", "Float", "Bool", "Tile"};
  return names[static_cast<int>(p)];
}
static std::string spell(const ArgFacts &f) {
  switch (f.kind) {
  case ArgFacts::Kind::view: return fmt::format("a tensor of {} with rank {}", name(f.dtype), f.rank);
  case ArgFacts::Kind::pointer: return fmt::format("a pointer to {}", name(f.dtype));
  case ArgFacts::Kind::scalar: return fmt::format("a scalar {}", name(f.dtype));
  }
  return "";
}
static bool fits(Parameter p, const ArgFacts &f) {
  using Kind = ArgFacts::Kind;
  switch (p) {
  case Parameter::view: return f.kind == Kind::view;
  case Parameter::pointer: return f.kind == Kind::pointer;
  case Parameter::integer: return f.kind == Kind::scalar && is_int(f.dtype);
  case Parameter::floating: return f.kind == Kind::scalar && is_float(f.dtype);
  case Parameter::boolean: return f.kind == Kind::scalar && f.dtype == DType::boolean;
  case Parameter::any: return f.kind == Kind::scalar;
  }
  return false;
}

static Type type_of(const ArgFacts &f) {
  Type t;
  t.dtype = f.dtype;
  if (f.kind == ArgFacts::Kind::scalar) return t;
  t.kind = f.kind == ArgFacts::Kind::view ? Type::Kind::view : Type::Kind::pointer;
  t.align = f.align;
  if (f.kind == ArgFacts::Kind::pointer) return t;
  t.rank = f.rank;
  t.wide = f.wide;
  t.packed = f.packed;
  for (size_t d = 0; d < f.rank; ++d) t.sizes[d] = f.size_divisors[d], t.strides[d] = f.stride_divisors[d];
  return t;
}

View Arguments::view(int i) const { return recorder_.view_argument(i); }
Pointer Arguments::pointer(int i) const { return recorder_.pointer_argument(i); }
Tile Arguments::scalar(int i) const { return recorder_.scalar_argument(i); }
View Recorder::view_argument(int i) { return view(top->args[static_cast<size_t>(i)]); }
Pointer Recorder::pointer_argument(int i) { return pointer(top->args[static_cast<size_t>(i)]); }
Tile Recorder::scalar_argument(int i) { return tile(top->args[static_cast<size_t>(i)]); }

void Recorder::make_arguments() {
  for (size_t i = 0; i < facts_.size(); ++i) {
    arg_names_.push_back("arg" + std::to_string(i));
    Value *v = arena.make<Value>();
    v->type = type(type_of(facts_[i]));
    v->block = top;
    top->args.push_back(v);
  }
}

// -------------------------------------------------------------------------------------------------------------
// recording

/// "void (anonymous namespace)::copy<3>(const Spec &, View)" ▶ "copy"; g++ and clang spell the rest differently.
static std::string function_name(std::string_view s) {
  for (std::string_view anonymous : {"(anonymous namespace)::", "{anonymous}::", "<unnamed>::"})
    if (size_t at = s.find(anonymous); at != s.npos) s = s.substr(at + anonymous.size());
  s = s.substr(0, s.find_first_of("(<"));
  if (size_t at = s.find_last_of(" :&*"); at != s.npos) s = s.substr(at + 1);
  return s.empty() || s == "operator" ? "kernel" : std::string(s);
}

Recording Recorder::finish() {
  raise_pending();
  if (!has_grid_)
    fail(last_where_, fmt::format("kernel {}", name.empty() ? "without a name" : name), "it has no grid",
         "call grid(...) at its top: grid(cdiv(n, s.block)), or grid(persistent())");
  create(OpId::tile_return, {}, {}, {}, grid_where_);
  schedule(*this);
  Recording out;
  out.kernel = name.empty() ? function_name(grid_where_.function_name()) : name;
  for (Node *n : top->order) {
    if (n->op == OpId::tile_grid)
      for (uint32_t i = 0; i < n->num_operands; ++i)
        out.grid.push_back(host_expr(n->operands[i], n->where, fmt::format("grid(): extent {}", i)));
  }
  for (auto &[n, where] : expect_nodes_)
    for (uint32_t d = 0; d + 1 < n->num_operands; ++d) {
      int arg = 0;
      while (top->args[static_cast<size_t>(arg)] != n->operands[0]) ++arg;
      out.expects.push_back({arg, static_cast<int>(d),
                             host_expr(n->operands[d + 1], where, fmt::format("expect(): size {}", d)),
                             where.file_name(), static_cast<int>(where.line())});
    }
  out.text = print(*this, out.kernel, out.lines);
  out.args = facts_;
  out.arg_names = arg_names_;
  out.persistent = persistent_;
  return out;
}

Recording record(std::string_view name, std::vector<ArgFacts> facts, const Parameter *parameters, int count,
                 void (*invoke)(const void *context, const Arguments &), const void *context) {
  const std::string asked = "recording of kernel " + (name.empty() ? std::string("(unnamed)") : std::string(name));
  if (static_cast<size_t>(count) != facts.size())
    throw UserError(asked, fmt::format("it takes {} arguments after its spec, {} are given", count, facts.size()),
                    "give one for each parameter");
  for (size_t i = 0; i < facts.size(); ++i) {
    if (!fits(parameters[i], facts[i]))
      throw UserError(
          asked,
          fmt::format("argument {} is {}, the kernel's parameter is a {}", i, spell(facts[i]), spell(parameters[i])),
          "give what the parameter stands for: a tensor for View and Pointer, a number for the others");
    if (facts[i].rank > Shape::kMaxRank)
      throw UserError(asked, fmt::format("argument {} has rank {}", i, facts[i].rank),
                      "views have at most 5 dimensions");
  }
  Recorder r(name, std::move(facts));
  r.make_arguments();
  invoke(context, Arguments(r));
  return r.finish();
}

} // namespace moec::rec

namespace moec {

using rec::Recorder;

void grid(const Operand &x, Where where) { Recorder::current(where).add_grid({&x, 1}, where); }
void grid(const Operand &x, const Operand &y, Where where) {
  Operand extents[] = {x, y};
  Recorder::current(where).add_grid(extents, where);
}
void grid(const Operand &x, const Operand &y, const Operand &z, Where where) {
  Operand extents[] = {x, y, z};
  Recorder::current(where).add_grid(extents, where);
}
void grid(Persistent, Where where) { Recorder::current(where).add_grid({}, where); }
void arg_names(std::initializer_list<std::string_view> names, Where where) {
  Recorder::current(where).set_arg_names({names.begin(), names.size()}, where);
}

} // namespace moec
