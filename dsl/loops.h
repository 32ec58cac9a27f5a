// Recorded control flow: range, while_, when. Part of <moec/moec.h>.
#pragma once

#include "dsl/value.h"

namespace moec {

namespace rec {
struct OpenLoop;

/// What `range(...)` returns: the body of the `for` over it is recorded once.
class Range {
public:
  Range(const Operand &lo, const Operand &hi, const Operand &step, Where where);
  Range(const Range &) = delete;
  ~Range();
  struct End {};
  class Iterator {
  public:
    explicit Iterator(Range &range) : range_(&range) {}
    Int operator*() const { return range_->variable(); }
    Iterator &operator++() {
      range_->close();
      return *this;
    }
    bool operator!=(End) const { return !range_->closed_; }

  private:
    Range *range_;
  };
  Iterator begin() {
    open();
    return Iterator(*this);
  }
  End end() const { return {}; }

private:
  void open();
  void close();
  Int variable() const;
  Value *lo_, *hi_, *step_;
  Where where_;
  OpenLoop *loop_ = nullptr;
  bool closed_ = false;
  int exceptions_ = 0;
};

/// A callable without std::function: a plain function and what it gets.
struct Call {
  void (*function)(void *);
  void *context;
};
template <class F> Call call(F &f) {
  return {[](void *c) { (*static_cast<F *>(c))(); }, &f};
}
struct TileCall {
  Tile (*function)(void *);
  void *context;
};
void when(const Operand &condition, Call then, Call otherwise);
void while_(TileCall condition, Call body, Where where);
} // namespace rec

/// `for (Int k : range(lo, hi, step))` records its body once, as a loop at run time. Variables declared outside that
/// the body assigns are carried from one pass to the next; they keep dtype and shape. `step` must be positive. Bounds
/// are i32, or i64 if one of them is. `continue` skips to the end of the body being recorded; leaving the loop (break,
/// return) is an error. Loops over plain C++ ints unroll.
inline rec::Range range(const Operand &lo, const Operand &hi, const Operand &step, Where where = Where::current()) {
  return rec::Range(lo, hi, step, where);
}
inline rec::Range range(const Operand &lo, const Operand &hi, Where where = Where::current()) {
  return rec::Range(lo, hi, 1, where);
}
inline rec::Range range(const Operand &hi, Where where = Where::current()) { return rec::Range(0, hi, 1, where); }

/// A branch at run time on a scalar bool: the variables that a branch assigns have the value of the branch taken.
template <class Then, class Else> void when(const Operand &condition, Then then, Else otherwise) {
  static_assert(std::is_void_v<decltype(then())> && std::is_void_v<decltype(otherwise())>,
                "a branch of when() returns nothing: assign to a variable declared outside");
  rec::when(condition, rec::call(then), rec::call(otherwise));
}
template <class Then> void when(const Operand &condition, Then then) {
  static_assert(std::is_void_v<decltype(then())>,
                "a branch of when() returns nothing: assign to a variable declared outside");
  rec::when(condition, rec::call(then), {nullptr, nullptr});
}

/// A loop at run time as long as `condition()` (a scalar bool) holds: `while_([&] { return x > 0; }, [&] { x = x / 2;
/// });`.
template <class Condition, class Body> void while_(Condition condition, Body body, Where where = Where::current()) {
  static_assert(std::is_void_v<decltype(body())>,
                "the body of while_() returns nothing: assign to a variable declared outside");
  static_assert(!std::is_same_v<decltype(condition()), bool>,
                "the condition of while_() is a Tile or Bool, not a C++ bool");
  rec::while_({[](void *c) -> Tile { return (*static_cast<Condition *>(c))(); }, &condition}, rec::call(body), where);
}

} // namespace moec
