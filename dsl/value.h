// Handles of values inside a kernel: Tile, Int, Float, Bool. Standard library only; part of <moec/moec.h>.
#pragma once

#include "dsl/dtype.h"

#include <array>
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

/// What functions of the DSL take: a handle or a C++ literal, and the line on which it stood. Users never write its name.
/// A literal takes the dtype of what it meets.
class Operand {
public:
  enum class Kind : uint8_t { none, handle, integer, floating, boolean };
  Operand(const Tile &t, Where where = Where::current()) : tile_(&t), kind_(Kind::handle), where_(where) {}
  Operand(bool v, Where where = Where::current()) : integer_(v), kind_(Kind::boolean), where_(where) {}
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

/// A value inside a kernel: a tile, or a scalar where `rank() == 0`. Dtype and shape are known while the kernel is recorded.
/// Assigning to a handle inside a recorded loop makes it a carried variable. All operators round once, to nearest even; `/` and `%` of
/// integers truncate, as in C++; `==` and the other comparisons give a bool tile; `!=` is true where an operand is NaN.
/// Operands must have one dtype (a literal takes the other side's); scalars and dimensions of size 1 broadcast, as in NumPy.
class Tile {
public:
  Tile() { link(); }
  Tile(const Tile &other) : value_(other.value_), recording_(other.recording_) { link(); }
  Tile(int v, Where where = Where::current()) : Tile(Operand(v, where)) {}
  Tile(long v, Where where = Where::current()) : Tile(Operand(v, where)) {}
  Tile(long long v, Where where = Where::current()) : Tile(Operand(v, where)) {}
  Tile(float v, Where where = Where::current()) : Tile(Operand(v, where)) {}
  Tile(double v, Where where = Where::current()) : Tile(Operand(v, where)) {}
  Tile(bool v, Where where = Where::current()) : Tile(Operand(v, where)) {}
  Tile &operator=(const Tile &other) {
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

  Tile &operator+=(const Operand &o) { return *this = *this + o; }
  Tile &operator-=(const Operand &o) { return *this = *this - o; }
  Tile &operator*=(const Operand &o) { return *this = *this * o; }
  Tile &operator/=(const Operand &o) { return *this = *this / o; }
  Tile &operator%=(const Operand &o) { return *this = *this % o; }
  Tile &operator&=(const Operand &o) { return *this = *this & o; }
  Tile &operator|=(const Operand &o) { return *this = *this | o; }
  Tile &operator^=(const Operand &o) { return *this = *this ^ o; }
  Tile &operator<<=(const Operand &o) { return *this = *this << o; }
  Tile &operator>>=(const Operand &o) { return *this = *this >> o; }

  friend Tile operator+(const Operand &a, const Operand &b);
  friend Tile operator-(const Operand &a, const Operand &b);
  friend Tile operator*(const Operand &a, const Operand &b);
  friend Tile operator/(const Operand &a, const Operand &b);
  friend Tile operator%(const Operand &a, const Operand &b);
  friend Tile operator&(const Operand &a, const Operand &b);
  friend Tile operator|(const Operand &a, const Operand &b);
  friend Tile operator^(const Operand &a, const Operand &b);
  friend Tile operator<<(const Operand &a, const Operand &b);
  friend Tile operator>>(const Operand &a, const Operand &b);
  friend Tile operator==(const Operand &a, const Operand &b);
  friend Tile operator!=(const Operand &a, const Operand &b);
  friend Tile operator<(const Operand &a, const Operand &b);
  friend Tile operator<=(const Operand &a, const Operand &b);
  friend Tile operator>(const Operand &a, const Operand &b);
  friend Tile operator>=(const Operand &a, const Operand &b);
  friend Tile operator-(const Operand &a);
  friend Tile operator~(const Operand &a); ///< all bits of an integer; "not" of a bool
  friend Tile operator!(const Operand &a); ///< "not" of a bool

protected:
  explicit Tile(const Operand &literal);
  explicit Tile(rec::LoopVariable v) : value_(v.value), recording_(v.recording), loop_variable_(true) { link(); }
  void assign(const Tile &other);

private:
  friend class rec::Recorder;
  void link();
  void unlink();

  rec::Value *value_ = nullptr;
  uint32_t recording_ = 0; ///< number of the recording that made value_
  uint32_t serial_ = 0;    ///< grows with every handle of a recording
  uint32_t assigned_ = 0;  ///< when it was first assigned in the scope being recorded
  bool loop_variable_ = false;
  Tile *older_ = nullptr, *newer_ = nullptr;
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
  Int &operator=(const Int &other) {
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
  Float &operator=(const Float &other) {
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
  Bool(bool v, Where where = Where::current()) : Tile(v, where) {}
  Bool &operator=(const Bool &other) {
    assign(other);
    return *this;
  }
};

} // namespace moec
