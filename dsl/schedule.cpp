// From the graph to an order: which ops live, where they stand, what clips, what is known of sub-views.
#include "dsl/recorder.h"

#include <algorithm>

namespace moec::rec {

/// Two walks from the effects along the operands. The first finds live loads in operand order; the second puts every op
/// into its block: an op before its first user (in that order), a load before the effect that follows it.
class Scheduler {
public:
  explicit Scheduler(Recorder &r) : r_(r) {}
  void run() {
    for (mark_ = 1; mark_ <= 2; ++mark_) walk(r_.top);
    while (spread_dependence(r_.top)) {}
  }

private:
  struct Frame {
    Node *node;
    uint32_t next;
  };

  void walk(Block *b) {
    if (mark_ == 2) // by the effect that they must precede; within, in operand order
      std::sort(b->loads.begin(), b->loads.end(),
                [](Node *x, Node *y) { return std::tuple(x->epoch, x->rank) < std::tuple(y->epoch, y->rank); });
    for (uint32_t i = 0; i < b->anchors.size(); ++i) {
      Node *anchor = b->anchors[i];
      for (uint32_t k = 0; k < anchor->num_operands; ++k) reach(anchor->operands[k]);
      for (int k = 0; k < anchor->num_regions; ++k) walk(anchor->regions[k]);
      if (mark_ == 2)
        for (; b->next_load < b->loads.size() && b->loads[b->next_load]->epoch <= i; ++b->next_load) {
          Value *v = b->loads[b->next_load]->results;
          reach(v);
        }
      place(anchor);
    }
  }

  /// Post-order over what `v` needs, without recursion: chains of unrolled loops are long.
  void reach(Value *&v) {
    v = Recorder::find(v);
    if (!v->def || v->def->mark >= mark_) return;
    const size_t base = stack_.size();
    stack_.push_back({v->def, 0});
    while (stack_.size() > base) {
      Frame &f = stack_.back();
      Node *n = f.node;
      if (n->mark >= mark_) {
        stack_.pop_back();
      } else if (f.next < n->num_operands) {
        Value *&o = n->operands[f.next++];
        o = Recorder::find(o);
        if (o->def && o->def->mark < mark_) stack_.push_back({o->def, 0});
      } else {
        stack_.pop_back();
        for (int k = 0; k < n->num_regions; ++k) walk(n->regions[k]);
        place(n);
      }
    }
  }

  void place(Node *n) {
    n->mark = mark_;
    if (mark_ == 1) {
      if (info(n->op).effect != Effect::read) return;
      n->rank = static_cast<uint32_t>(n->block->loads.size());
      n->block->loads.push_back(n);
      return;
    }
    n->block->order.push_back(n);
    if (n->op == OpId::tile_subview || n->op == OpId::tile_view_at) refine(n);
  }

  /// What is known of a sub-view's alignment and divisors.
  void refine(Node *n) {
    const Type &from = *n->operands[0]->type;
    Type to = *n->results[0].type;
    const int element = size_bytes(from.dtype);
    auto keeps_align = [&](size_t dim, Value *offset) {
      int64_t stride = from.strides[dim] ? from.strides[dim] : 1;
      int64_t step = divisor(offset) * stride * element;
      while (to.align > element && step % to.align) to.align /= 2;
    };
    to.align = from.align;
    if (n->op == OpId::tile_view_at) {
      for (size_t d = 1; d < from.rank; ++d) to.sizes[d - 1] = from.sizes[d], to.strides[d - 1] = from.strides[d];
      keeps_align(0, n->operands[1]);
    } else {
      to.strides = from.strides;
      to.packed = false; // its inner sizes may be others
      for (size_t d = 0; d < from.rank; ++d) {
        keeps_align(d, n->operands[1 + d]);
        to.sizes[d] =
            static_cast<int32_t>(std::min<int64_t>(divisor(n->operands[1 + from.rank + d]), 16)) >= 16 ? 16 : 1;
      }
    }
    n->results[0].type = r_.type(to);
  }

  // -- which values depend on a load: a fixpoint over carried values

  static bool any_depends(Value **v, uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to; ++i)
      if (v[i]->depends_on_load) return true;
    return false;
  }
  bool mark_value(Value *v, bool depends) {
    if (!depends || v->depends_on_load) return false;
    return v->depends_on_load = true;
  }
  static Node *terminator(Block *b) { return b->anchors.empty() ? nullptr : b->anchors.back(); }

  bool spread_dependence(Block *b) {
    bool changed = false;
    for (Node *n : b->order) changed |= spread(n);
    return changed;
  }

  bool spread(Node *n) {
    bool changed = false;
    if (n->op == OpId::scf_for) {
      // Its trip count decides what every carried value is.
      Block *body = n->regions[0];
      const bool bounds = any_depends(n->operands, 0, 3);
      changed |= mark_value(body->args[0], bounds);
      Node *yield = terminator(body);
      for (uint32_t i = 0; i < n->num_results; ++i) {
        bool d = bounds || n->operands[3 + i]->depends_on_load || yield->operands[i]->depends_on_load;
        changed |= mark_value(body->args[i + 1], d);
        changed |= mark_value(&n->results[i], d);
      }
    } else if (n->op == OpId::scf_while) {
      Node *condition = terminator(n->regions[0]), *yield = terminator(n->regions[1]);
      for (uint32_t i = 0; i < n->num_results; ++i) {
        bool d = condition->operands[0]->depends_on_load || n->operands[i]->depends_on_load ||
                 condition->operands[1 + i]->depends_on_load || yield->operands[i]->depends_on_load;
        for (Value *v : {n->regions[0]->args[i], n->regions[1]->args[i], &n->results[i]}) changed |= mark_value(v, d);
      }
    } else if (n->op == OpId::scf_if) {
      for (uint32_t i = 0; i < n->num_results; ++i)
        for (int side = 0; side < 2; ++side)
          changed |= mark_value(&n->results[i], n->operands[0]->depends_on_load ||
                                                    terminator(n->regions[side])->operands[i]->depends_on_load);
    } else {
      const Effect e = info(n->op).effect;
      const bool d = e == Effect::read || e == Effect::write || any_depends(n->operands, 0, n->num_operands);
      for (uint32_t i = 0; i < n->num_results; ++i) changed |= mark_value(&n->results[i], d);
    }
    for (int k = 0; k < n->num_regions; ++k) changed |= spread_dependence(n->regions[k]);
    return changed;
  }

  Recorder &r_;
  uint8_t mark_ = 1;
  std::vector<Frame> stack_;
};

void schedule(Recorder &r) { Scheduler(r).run(); }

/// A power of two up to 4096 that divides the value, as far as its ops tell.
int64_t divisor(Value *v, int depth) {
  constexpr int64_t most = 4096;
  v = Recorder::find(v);
  if (depth > 8) return 1;
  const Node *n = v->def ? v->def : v->block->owner;
  if (!n) return 1;
  auto of = [&](uint32_t i) { return divisor(n->operands[i], depth + 1); };
  if (!v->def) // a loop's variable: lo + i * step
    return n->op == OpId::scf_for && v == v->block->args[0] ? std::min(of(0), of(2)) : 1;
  switch (n->op) {
  case OpId::arith_constant: {
    int64_t c = n->attrs[0].integer;
    return c == 0 ? most : std::min<int64_t>(most, c & -c);
  }
  case OpId::tile_dim: return n->operands[0]->type->sizes[static_cast<size_t>(n->attrs[0].integer)];
  case OpId::arith_muli: return std::min(most, of(0) * of(1));
  case OpId::arith_addi:
  case OpId::arith_subi:
  case OpId::arith_minsi:
  case OpId::arith_maxsi: return std::min(of(0), of(1));
  case OpId::arith_select: return std::min(of(1), of(2));
  case OpId::tile_cast: return is_int(n->operands[0]->type->dtype) ? of(0) : 1;
  default: return 1;
  }
}

} // namespace moec::rec
