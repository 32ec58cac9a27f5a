// Recorded loops and branches. Every live handle is a cell; entering a loop gives each cell a loop argument; leaving
// it, cells that still hold theirs were not assigned: the argument then stands for the outer value. The rest become
// carried values.
#include "dsl/recorder.h"

#include <algorithm>
#include <exception>
#include <fmt/format.h>

namespace moec::rec {

// ------------------------------------------------------------------------------------------------------------- scopes

void Recorder::enter(Scope &scope) {
  scope.first_serial = next_serial_;
  scope.outer_start = scope_start_;
  scope.start = scope_start_ = ++clock_;
  for (Tile *t = older(&handles_); t; t = older(t)) {
    Cell c{t, t->serial_, t->assigned_, t->value_, {}, {}, nullptr};
    // A value that is out of sight here (of an ended scope or another recording) stays what it is: using it is a
    // mistake anyway.
    if (t->value_ && t->recording_ == id && find(t->value_)->block->open) c.type = t->value_->type;
    scope.cells.push_back(c);
  }
}

/// Live handles and the scope's cells are both in order of age: one walk matches them.
template <class F> void Recorder::for_live(Scope &scope, F &&f) {
  Tile *t = older(&handles_);
  for (Cell &c : scope.cells) {
    while (t && t->serial_ > c.serial) t = older(t);
    if (t && t->serial_ == c.serial) f(c, *t);
  }
}

void Recorder::leave(Scope &scope) {
  scope_start_ = scope.outer_start;
  for_live(scope, [&](Cell &c, Tile &t) {
    if (c.assigned > scope_start_) t.assigned_ = c.assigned; // its first assignment in the outer scope was earlier
  });
}

static std::string place(Where w) { return fmt::format("{}:{}", w.file_name(), w.line()); }
static Where made_at(Value *v, Where otherwise) { return v && v->def ? v->def->where : otherwise; }
static std::string held(Value *v) { return v ? spell(*v->type) : "nothing"; }

/// Cells that changed, in the order of their first assignment.
struct Changed {
  Cell *cell;
  Tile *handle;
  uint32_t when;
};
static void in_order(std::vector<Changed> &v) {
  std::sort(v.begin(), v.end(), [](const Changed &a, const Changed &b) { return a.when < b.when; });
}

static void check_carried(const Changed &c, Value *after, const char *what, Where where, Recorder &r) {
  Where at = made_at(after, where);
  if (!c.cell->outer || !c.cell->type)
    fail(at, fmt::format("assignment inside the {} at {}", what, place(where)),
         fmt::format("the variable is empty before the {}, and {} in it", what, held(after)),
         fmt::format("give it its first value before the {}, or declare it inside", what));
  if (!after)
    fail(where, fmt::format("variable carried through the {}", what), "it is empty at the end of the body",
         "do not assign an empty handle to it");
  if (after->type != c.cell->type)
    fail(at, fmt::format("assignment inside the {} at {}", what, place(where)),
         fmt::format("the variable is {} before the {} and {} at the end of its body", spell(*c.cell->type), what,
                     spell(*after->type)),
         after->type->dtype != c.cell->type->dtype
             ? fmt::format("a carried variable keeps its type: cast(value, {})", name(c.cell->type->dtype))
             : "a carried variable keeps its shape: give it its final shape before");
  r.check_visible(after, r.id, at, "carried variable");
}

// ------------------------------------------------------------------------------------------------------------- for

OpenLoop *Recorder::open_loop(TypeRef type, Where where) {
  auto loop = std::make_unique<OpenLoop>();
  loop->outer = block;
  loop->where = where;
  enter(loop->scope);
  loop->body = new_block(block);
  loop->variable = arena.make<Value>();
  loop->variable->type = type;
  loop->variable->block = loop->body;
  loop->body->args.push_back(loop->variable);
  for_live(loop->scope, [&](Cell &c, Tile &t) {
    if (!c.type) return;
    Value *arg = arena.make<Value>();
    arg->type = c.type;
    arg->block = loop->body;
    c.args[0] = t.value_ = arg;
  });
  block = loop->body;
  loop_variables_.push_back({loop->variable, where});
  loops_.push_back(std::move(loop));
  return loops_.back().get();
}

void Recorder::close_loop(OpenLoop *loop, Value *lo, Value *hi, Value *step) {
  if (block != loop->body || loops_.back().get() != loop)
    fail(loop->where, "recorded loop", "another recorded loop or branch is still open at its end",
         "nest recorded loops like C++ blocks");
  std::vector<Changed> changed;
  for_live(loop->scope, [&](Cell &c, Tile &t) {
    if (t.value_ != (c.args[0] ? c.args[0] : c.outer)) changed.push_back({&c, &t, t.assigned_});
  });
  in_order(changed);
  std::vector<Value *> inits, nexts;
  std::vector<TypeRef> types;
  for (Changed &c : changed) {
    check_carried(c, c.handle->value_, "loop", loop->where, *this);
    inits.push_back(c.cell->outer);
    nexts.push_back(c.handle->value_);
    types.push_back(c.cell->type);
    loop->body->args.push_back(c.cell->args[0]);
  }
  create(OpId::scf_yield, {std::span<Value *const>(nexts)}, {}, {}, loop->where);
  loop->body->open = false;
  block = loop->outer;
  Block *body = loop->body;
  Node *node =
      create(OpId::scf_for, {lo, hi, step, std::span<Value *const>(inits)}, types, {}, loop->where, {&body, 1});
  for (Cell &c : loop->scope.cells)
    if (c.args[0]) c.args[0]->alias = c.outer;
  for (size_t i = 0; i < changed.size(); ++i) changed[i].cell->args[0]->alias = nullptr;
  for_live(loop->scope, [&](Cell &c, Tile &t) {
    if (c.args[0]) t.value_ = c.outer;
  });
  for (size_t i = 0; i < changed.size(); ++i) changed[i].handle->value_ = &node->results[i];
  leave(loop->scope);
  loops_.pop_back();
}

void Recorder::abandon_loop(OpenLoop *loop, bool tell) {
  if (tell && pending_.empty()) {
    pending_ = "it was left early, by break, return or goto";
    pending_where_ = loop->where;
  }
  loop->body->open = false;
  block = loop->outer;
  for (Cell &c : loop->scope.cells)
    if (c.args[0]) c.args[0]->alias = c.outer;
  leave(loop->scope);
  while (!loops_.empty() && loops_.back().get() != loop) loops_.pop_back();
  if (!loops_.empty()) loops_.pop_back();
}

Range::Range(const Operand &lo, const Operand &hi, const Operand &step, Where where) : where_(where) {
  Recorder &r = Recorder::current(where);
  if (step.kind() == Operand::Kind::integer && step.integer() < 1)
    fail(where, fmt::format("range with step {}", spell(r, step)), "a recorded loop counts upwards",
         "give a positive step; to go down, use hi - 1 - i");
  bool wide = false;
  for (const Operand *o : {&lo, &hi, &step}) {
    if (o->kind() == Operand::Kind::integer) {
      wide |= o->integer() != static_cast<int32_t>(o->integer());
      continue;
    }
    const Type &t = *r.value(*o, "range")->type;
    if (!t.is_scalar() || (t.dtype != DType::i32 && t.dtype != DType::i64))
      fail(where, fmt::format("range({}, {}, {})", spell(r, lo), spell(r, hi), spell(r, step)),
           fmt::format("{} is not a bound", spell(r, *o)), "bounds and step are scalar i32 or i64");
    wide |= t.dtype == DType::i64;
  }
  TypeRef type = r.type(Type::of(wide ? DType::i64 : DType::i32, {}));
  auto bound = [&](const Operand &o) {
    if (o.is_literal()) return r.literal(o, type, "range");
    Value *v = r.value(o, "range");
    return v->type == type ? v : r.make(OpId::tile_cast, {v}, {0, 0}, where, type);
  };
  lo_ = bound(lo);
  hi_ = bound(hi);
  step_ = bound(step);
}

void Range::open() {
  exceptions_ = std::uncaught_exceptions();
  loop_ = Recorder::current(where_).open_loop(lo_->type, where_);
}
void Range::close() {
  OpenLoop *loop = std::exchange(loop_, nullptr);
  closed_ = true;
  Recorder &r = *Recorder::current_or_null();
  try {
    r.close_loop(loop, lo_, hi_, step_);
  } catch (...) {
    r.abandon_loop(loop, false);
    throw;
  }
}
Int Range::variable() const { return Int(Recorder::current(where_).loop_variable(loop_)); }
Range::~Range() {
  if (!loop_) return;
  if (Recorder *r = Recorder::current_or_null()) r->abandon_loop(loop_, std::uncaught_exceptions() == exceptions_);
}

// ------------------------------------------------------------------------------------------------------------- when,
// while_

namespace {
/// Sets the block being recorded, and sets it back whatever happens.
struct BlockScope {
  BlockScope(Recorder &r, Block *b) : recorder(r), outer(r.block), inner(b) {
    r.block = b;
    b->open = true;
  }
  ~BlockScope() {
    inner->open = false;
    recorder.block = outer;
  }
  Recorder &recorder;
  Block *outer, *inner;
};
} // namespace

/// Records a branch; what each live cell holds at its end is kept, and the cells get their outer values back.
void Recorder::run_branch(Scope &scope, Block *branch_block, int which, Call branch) {
  BlockScope inside(*this, branch_block);
  if (branch.function) branch.function(branch.context);
  raise_pending();
  for_live(scope, [&](Cell &c, Tile &t) {
    c.results[which] = t.value_;
    t.value_ = c.outer;
  });
}

void Recorder::when(const Operand &condition, Call then, Call otherwise) {
  const Where where = condition.where();
  Value *holds = value(condition, "when");
  if (holds->type != type(Type::of(DType::boolean, {})))
    fail(where, fmt::format("when({})", spell(*this, condition)), "the condition is a scalar bool",
         holds->type->is_tile() ? "use where() or masks for tiles, or reduce: any(), all()" : "compare: x != 0");
  Scope scope;
  enter(scope);
  Block *blocks[2] = {new_block(block), new_block(block)};
  run_branch(scope, blocks[0], 0, then);
  run_branch(scope, blocks[1], 1, otherwise);
  std::vector<Changed> changed;
  for_live(scope, [&](Cell &c, Tile &t) {
    if (c.results[0] != c.outer || c.results[1] != c.outer) changed.push_back({&c, &t, t.assigned_});
  });
  in_order(changed);
  std::vector<TypeRef> types;
  for (Changed &c : changed) {
    Value *a = c.cell->results[0], *b = c.cell->results[1];
    if (!a || !b)
      fail(made_at(a ? a : b, where), fmt::format("assignment inside the branch at {}", place(where)),
           fmt::format("the variable is empty before the branch and only one side gives it a value ({})",
                       held(a ? a : b)),
           "give it a value before when(), or on both sides");
    if (a->type != b->type)
      fail(made_at(a == c.cell->outer ? b : a, where), fmt::format("assignment inside the branch at {}", place(where)),
           fmt::format("the variable is {} after one side and {} after the other", spell(*a->type), spell(*b->type)),
           "both sides leave the same dtype and shape: cast, or broadcast");
    types.push_back(a->type);
    for (int side = 0; side < 2; ++side) {
      blocks[side]->open = true; // what was made in the branch is visible to its end
      check_visible(c.cell->results[side], id, where, "assignment inside a branch");
      blocks[side]->open = false;
    }
  }
  for (int side = 0; side < 2; ++side) {
    std::vector<Value *> yields;
    for (Changed &c : changed) yields.push_back(c.cell->results[side]);
    if (side == 1 && !otherwise.function && changed.empty()) break; // no else region
    BlockScope inside(*this, blocks[side]);
    create(OpId::scf_yield, {std::span<Value *const>(yields)}, {}, {}, where);
  }
  Node *node = create(OpId::scf_if, {holds}, types, {}, where, blocks);
  for (size_t i = 0; i < changed.size(); ++i)
    changed[i].handle->value_ = &node->results[i], changed[i].handle->recording_ = id;
  leave(scope);
}

void when(const Operand &condition, Call then, Call otherwise) {
  Recorder::current(condition.where()).when(condition, then, otherwise);
}

void while_(TileCall condition, Call body, Where where) { Recorder::current(where).while_(condition, body, where); }

void Recorder::while_(TileCall condition, Call body, Where where) {
  Scope scope;
  enter(scope);
  Block *blocks[2] = {new_block(block), new_block(block)};
  auto give_args = [&](int which) {
    for_live(scope, [&](Cell &c, Tile &t) {
      if (!c.type) return;
      Value *arg = arena.make<Value>();
      arg->type = c.type;
      arg->block = blocks[which];
      c.args[which] = t.value_ = arg;
    });
  };
  auto keep = [&](int which) { for_live(scope, [&](Cell &c, Tile &t) { c.results[which] = t.value_; }); };
  Value *holds;
  {
    BlockScope inside(*this, blocks[0]);
    give_args(0);
    Tile h = condition.function(condition.context);
    holds = value(h, where, "condition of while_");
    if (holds->type != type(Type::of(DType::boolean, {})))
      fail(where, fmt::format("while_ with condition {}", spell(*holds->type)), "the condition is a scalar bool",
           "compare, or reduce: any(), all()");
    keep(0);
  }
  {
    BlockScope inside(*this, blocks[1]);
    give_args(1);
    body.function(body.context);
    raise_pending();
    keep(1);
  }
  close_while(scope, blocks, holds, where);
}

/// The op: what either region assigned goes from the initial values through the condition to the body and back.
void Recorder::close_while(Scope &scope, Block *const (&blocks)[2], Value *holds, Where where) {
  std::vector<Changed> changed;
  for_live(scope, [&](Cell &c, Tile &t) {
    const bool assigned = c.type ? c.results[0] != c.args[0] || c.results[1] != c.args[1] : c.results[1] != c.outer;
    if (assigned) changed.push_back({&c, &t, t.assigned_});
  });
  in_order(changed);
  std::vector<Value *> inits, passed, nexts;
  std::vector<TypeRef> types;
  for (const Changed &c : changed) {
    blocks[0]->open = blocks[1]->open = true; // values made in them are visible to their terminators
    Cell &cell = *c.cell;
    check_carried(c, cell.results[0] == cell.args[0] ? cell.results[1] : cell.results[0], "while_", where, *this);
    check_carried(c, cell.results[1], "while_", where, *this);
    inits.push_back(cell.outer);
    passed.push_back(cell.results[0]);
    nexts.push_back(cell.results[1]);
    types.push_back(cell.type);
    for (int which = 0; which < 2; ++which) blocks[which]->args.push_back(cell.args[which]);
  }
  {
    BlockScope inside(*this, blocks[0]);
    create(OpId::scf_condition, {holds, std::span<Value *const>(passed)}, {}, {}, where);
  }
  {
    BlockScope inside(*this, blocks[1]);
    create(OpId::scf_yield, {std::span<Value *const>(nexts)}, {}, {}, where);
  }
  Node *node = create(OpId::scf_while, {std::span<Value *const>(inits)}, types, {}, where, blocks);
  for (Cell &c : scope.cells)
    for (Value *arg : c.args)
      if (arg) arg->alias = c.outer;
  for (const Changed &c : changed) c.cell->args[0]->alias = c.cell->args[1]->alias = nullptr;
  for_live(scope, [&](Cell &c, Tile &t) { t.value_ = c.outer; });
  for (size_t i = 0; i < changed.size(); ++i) changed[i].handle->value_ = &node->results[i];
  leave(scope);
}

} // namespace moec::rec
