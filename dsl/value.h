// Handles of values inside a kernel: Tile, Int, Float, Bool. Standard library only; part of <moec/moec.h>.
#pragma once

#include "dsl/dtype.h"

#include <array>
#include <concepts>
#include <initializer_list>
#include <source_location>
#include <type_traits>

namespace moec {

namespace rec {
struct Value;
class Recorder;
/// What `*range.begin()` hands to the loop's variable.
struct LoopVariable {
  Value *value;
  uint32_t recording;
};
/// Every handle is in its recorder's list, a ring.
struct Link {
  Link *older = nullptr, *newer = nullptr;
};
} // namespace rec

using Where = std::source_location;

class Tile;

/// The shape of a tile: up to 5 sizes, each a power of two. `Shape{64, 32}` and plain braces both work.
struct Shape {
  static constexpr int kMaxRank = 5;
  int rank = 0;
  std::array<int, kMaxRank> sizes{};
  constexpr Shape() = default;
  constexpr Shape(std::initializer_list<int> s) : rank(static_cast<int>(s.size())) {
    for (int i = 0; i < rank && i < kMaxRank; ++i) sizes[static_cast<size_t>(i)] = s.begin()[i];
  }
  constexpr int operator[](int i) const { return sizes[static_cast<size_t>(i)]; }
  constexpr int64_t count() const {
    int64_t n = 1;
    for (int i = 0; i < rank && i < kMaxRank; ++i) n *= sizes[static_cast<size_t>(i)];
    return n;
  }
  constexpr bool operator==(const Shape &) const = default;
};

/// What functions of the DSL take: a handle or a C++ literal, and the line on which it stood. Users never write its
/// name. A literal takes the dtype of what it meets.
class Operand {
public:
  enum class Kind : uint8_t { none, handle, integer, floating, boolean };
  Operand(const Tile &t, Where where = Where::current()) : tile_(&t), kind_(Kind::handle), where_(where) {}
  template <std::same_as<bool> B> // nothing that merely converts to bool, such as a pointer
  Operand(B v, Where where = Where::current()) : integer_(v), kind_(Kind::boolean), where_(where) {}
  Operand(int v, Where where = Where::current()) : integer_(v), kind_(Kind::integer), where_(where) {}
  Operand(unsigned v, Where where = Where::current()) : integer_(v), kind_(Kind::integer), where_(where) {}
  Operand(long v, Where where = Where::current()) : integer_(v), kind_(Kind::integer), where_(where) {}
  Operand(long long v, Where where = Where::current()) : integer_(v), kind_(Kind::integer), where_(where) {}
  Operand(unsigned long v, Where where = Where::current())
      : integer_(static_cast<int64_t>(v)), kind_(Kind::integer), where_(where) {}
  Operand(unsigned long long v, Where where = Where::current())
      : integer_(static_cast<int64_t>(v)), kind_(Kind::integer), where_(where) {}
  Operand(float v, Where where = Where::current()) : floating_(v), kind_(Kind::floating), where_(where) {}
  Operand(double v, Where where = Where::current()) : floating_(v), kind_(Kind::floating), where_(where) {}
  /// Not given: no mask, no `other`.
  static Operand none() { return Operand(); }

  Kind kind() const { return kind_; }
  bool given() const { return kind_ != Kind::none; }
  bool is_literal() const { return kind_ > Kind::handle; }
  const Tile &tile() const { return *tile_; }
  int64_t integer() const { return integer_; }
  double floating() const { return floating_; }
  Where where() const { return where_; }

private:
  Operand() : integer_(0), kind_(Kind::none) {}
  union {
    const Tile *tile_;
    int64_t integer_;
    double floating_;
  };
  Kind kind_;
  Where where_;
};

/// A value inside a kernel: a tile, or a scalar where `rank() == 0`. Dtype and shape are known while the kernel is
/// recorded. Assigning to a handle inside a recorded loop makes it a carried variable.
class Tile : private rec::Link {
public:
  Tile() { link(); }
  Tile(const Tile &other) : value_(other.value_), recording_(other.recording_) { link(); }
  Tile(int v, Where where = Where::current()) : Tile(Operand(v, where)) {}
  Tile(long v, Where where = Where::current()) : Tile(Operand(v, where)) {}
  Tile(long long v, Where where = Where::current()) : Tile(Operand(v, where)) {}
  Tile(float v, Where where = Where::current()) : Tile(Operand(v, where)) {}
  Tile(double v, Where where = Where::current()) : Tile(Operand(v, where)) {}
  template <std::same_as<bool> B> Tile(B v, Where where = Where::current()) : Tile(Operand(v, where)) {}
  Tile &operator=(const Tile &other) & {
    assign(other);
    return *this;
  }
  ~Tile() { unlink(); }

  /// `if (tile > 0)` would need the value while recording. Use where(), a mask, or when().
  explicit operator bool() const = delete;

  DType dtype(Where where = Where::current()) const;
  /// Rank 0 for a scalar.
  Shape shape(Where where = Where::current()) const;
  int rank(Where where = Where::current()) const { return shape(where).rank; }

protected:
  explicit Tile(const Operand &literal);
  explicit Tile(rec::LoopVariable v) : value_(v.value), recording_(v.recording), loop_variable_(true) { link(); }
  void assign(const Tile &other);

private:
  friend class rec::Recorder;
  void link();
  void unlink() {
    if (!older) return;
    older->newer = newer;
    newer->older = older;
  }

  rec::Value *value_ = nullptr;
  uint32_t recording_ = 0; ///< number of the recording that made value_
  uint32_t serial_ = 0;    ///< grows with every handle of a recording
  uint32_t assigned_ = 0;  ///< when it was first assigned in the scope being recorded
  bool loop_variable_ = false;
};

/// A scalar integer (i8, u8, i32 or i64). Throws KernelError if made from anything else.
class Int : public Tile {
public:
  Int() = default;
  Int(const Int &) = default;
  Int(const Tile &t, Where where = Where::current());
  Int(int v, Where where = Where::current()) : Tile(v, where) {}
  Int(long v, Where where = Where::current()) : Tile(v, where) {}
  Int(long long v, Where where = Where::current()) : Tile(v, where) {}
  explicit Int(rec::LoopVariable v) : Tile(v) {}
  Int &operator=(const Int &other) & {
    assign(other);
    return *this;
  }
};

/// A scalar float (f16, bf16, f32, f64, e4m3, e5m2).
class Float : public Tile {
public:
  Float() = default;
  Float(const Float &) = default;
  Float(const Tile &t, Where where = Where::current());
  Float(float v, Where where = Where::current()) : Tile(v, where) {}
  Float(double v, Where where = Where::current()) : Tile(v, where) {}
  Float(int v, Where where = Where::current()) : Tile(static_cast<double>(v), where) {}
  Float &operator=(const Float &other) & {
    assign(other);
    return *this;
  }
};

/// A scalar bool.
class Bool : public Tile {
public:
  Bool() = default;
  Bool(const Bool &) = default;
  Bool(const Tile &t, Where where = Where::current());
  template <std::same_as<bool> B> Bool(B v, Where where = Where::current()) : Tile(v, where) {}
  Bool &operator=(const Bool &other) & {
    assign(other);
    return *this;
  }
};

/// Operators round once, to nearest even; `/` and `%` of integers truncate, as in C++; comparisons give bool, and `!=`
/// is true where an operand is NaN. Operands must have one dtype (a literal takes the other side's, a scalar i32 widens
/// to i64); scalars and dimensions of size 1 broadcast, as in NumPy.
Tile operator+(const Operand &a, const Operand &b);
Tile operator-(const Operand &a, const Operand &b);
Tile operator*(const Operand &a, const Operand &b);
Tile operator/(const Operand &a, const Operand &b);
Tile operator%(const Operand &a, const Operand &b);
Tile operator&(const Operand &a, const Operand &b);
Tile operator|(const Operand &a, const Operand &b);
Tile operator^(const Operand &a, const Operand &b);
Tile operator<<(const Operand &a, const Operand &b);
Tile operator>>(const Operand &a, const Operand &b);
Tile operator==(const Operand &a, const Operand &b);
Tile operator!=(const Operand &a, const Operand &b);
Tile operator<(const Operand &a, const Operand &b);
Tile operator<=(const Operand &a, const Operand &b);
Tile operator>(const Operand &a, const Operand &b);
Tile operator>=(const Operand &a, const Operand &b);
Tile operator-(const Operand &a);
Tile operator~(const Operand &a); ///< all bits of an integer; "not" of a bool
Tile operator!(const Tile &a);    ///< "not" of a bool (an Operand would compete with the deleted conversion to bool)

namespace rec {
/// `a op= b` keeps the kind of handle: an Int stays a scalar integer.
template <class T> T &update(T &a, const Tile &v, Where where) {
  if constexpr (std::is_same_v<T, Tile>)
    return a = v;
  else
    return a = T(v, where);
}
} // namespace rec
template <class T>
concept Handle = std::is_base_of_v<Tile, T>;
template <Handle T> T &operator+=(T &a, const Operand &b) {
  return rec::update(a, Operand(a, b.where()) + b, b.where());
}
template <Handle T> T &operator-=(T &a, const Operand &b) {
  return rec::update(a, Operand(a, b.where()) - b, b.where());
}
template <Handle T> T &operator*=(T &a, const Operand &b) {
  return rec::update(a, Operand(a, b.where()) * b, b.where());
}
template <Handle T> T &operator/=(T &a, const Operand &b) {
  return rec::update(a, Operand(a, b.where()) / b, b.where());
}
template <Handle T> T &operator%=(T &a, const Operand &b) {
  return rec::update(a, Operand(a, b.where()) % b, b.where());
}
template <Handle T> T &operator&=(T &a, const Operand &b) {
  return rec::update(a, Operand(a, b.where()) & b, b.where());
}
template <Handle T> T &operator|=(T &a, const Operand &b) {
  return rec::update(a, Operand(a, b.where()) | b, b.where());
}
template <Handle T> T &operator^=(T &a, const Operand &b) {
  return rec::update(a, Operand(a, b.where()) ^ b, b.where());
}
template <Handle T> T &operator<<=(T &a, const Operand &b) {
  return rec::update(a, Operand(a, b.where()) << b, b.where());
}
template <Handle T> T &operator>>=(T &a, const Operand &b) {
  return rec::update(a, Operand(a, b.where()) >> b, b.where());
}

} // namespace moec
