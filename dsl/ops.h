// Functions of the DSL over tiles. Part of <moec/moec.h>. All throw KernelError, with the user's line, for operands
// that do not fit.
#pragma once

#include "dsl/value.h"
#include "dsl/view.h"

#include <string_view>

namespace moec {

// ---------------------------------------------------------------------------------------------------------- programs,
// shapes

/// Index of this program along grid axis 0, 1 or 2; number of programs along it. i32.
Int program_id(int axis, Where where = Where::current());
Int num_programs(int axis, Where where = Where::current());

/// The smallest power of two that is at least n (1 <= n <= 2^30).
constexpr int next_pow2(int n) {
  int p = 1;
  while (p < n && p < 1 << 30) p *= 2;
  return p;
}
/// 0, 1, ... n-1 as an i32 tile [n]; n is a power of two.
Tile arange(int n, Where where = Where::current());
/// lo, lo+1, ... hi-1; hi - lo is a power of two.
Tile arange(int lo, int hi, Where where = Where::current());
struct Lanes {
  Tile index; ///< i32 [next_pow2(n)]: 0, 1, ...
  Tile live;  ///< bool: index < n
};
/// n lanes, padded to a power of two, and the mask of the real ones: `auto [i, live] = lanes(topk);`.
Lanes lanes(int n, Where where = Where::current());

/// A tile with `value` everywhere (a literal, or a scalar of that dtype). An empty shape gives a scalar.
Tile full(Shape shape, const Operand &value, DType dtype);
Tile zeros(Shape shape, DType dtype, Where where = Where::current());
/// Repeats dimensions of size 1 (and adds leading ones) up to `shape`.
Tile broadcast(const Operand &x, Shape shape);
/// Inserts a dimension of size 1 before dimension `axis`; -1: after the last.
Tile expand_dims(const Operand &x, int axis);
/// The same elements in row-major order.
Tile reshape(const Operand &x, Shape shape);
/// A matrix transposed; or any permutation: result dimension i is x's dimension order[i].
Tile trans(const Operand &x);
Tile trans(const Operand &x, std::initializer_list<int> order);

// ---------------------------------------------------------------------------------------------------------- memory

/// Elements at `ref`; where `mask` is false, or the view's extents clip, `other` (default 0). An index that depends on
/// a load is not clipped: it must be in range or masked. Loads keep their place among stores.
Tile load(const ElementRef &ref, const Operand &mask = Operand::none(), const Operand &other = Operand::none());
/// A block; what lies outside of the view is `other`.
Tile load(const BlockRef &ref, const Operand &other = Operand::none());
/// `value` must have the memory's dtype: cast(value, y.dtype()) writes the rounding down.
void store(const ElementRef &ref, const Operand &value, const Operand &mask = Operand::none());
void store(const BlockRef &ref, const Operand &value);

/// Relaxed read-modify-write per element; gives the old values (0 where masked off). add: i32, i64, f16, bf16, f32,
/// f64; the others: i32, i64, f32, f64 (max and min: NaN loses, -0 < +0).
Tile atomic_add(const ElementRef &ref, const Operand &value, const Operand &mask = Operand::none());
Tile atomic_max(const ElementRef &ref, const Operand &value, const Operand &mask = Operand::none());
Tile atomic_min(const ElementRef &ref, const Operand &value, const Operand &mask = Operand::none());
Tile atomic_exchange(const ElementRef &ref, const Operand &value, const Operand &mask = Operand::none());
/// Compare and swap (i32, i64): stores `value` where memory equals `compare`; gives the old values. Indices must be in
/// range.
Tile atomic_cas(const ElementRef &ref, const Operand &compare, const Operand &value);

// ----------------------------------------------------------------------------------------------------------
// elementwise

/// `condition ? yes : no` per element; all three broadcast.
Tile where(const Operand &condition, const Operand &yes, const Operand &no);
/// Converts: floats to nearest even; float to int toward zero, saturating, NaN gives 0; int to narrower int keeps the
/// low bits; to e4m3 and e5m2 saturating; to bool `!= 0`; bool gives 0 or 1.
Tile cast(const Operand &x, DType dtype);
/// The same bits as a dtype of the same width.
Tile bitcast(const Operand &x, DType dtype);

// Functions of f16, bf16, f32 and f64 tiles (floor, ceil, abs: exact; abs of integers, too). Error bounds per dtype:
// the table in docs/dialects/tile.md.
Tile exp(const Operand &x);
Tile exp2(const Operand &x);
Tile log(const Operand &x);
Tile log2(const Operand &x);
Tile sqrt(const Operand &x);
Tile rsqrt(const Operand &x);
Tile tanh(const Operand &x);
Tile erf(const Operand &x);
Tile floor(const Operand &x);
Tile ceil(const Operand &x);
Tile abs(const Operand &x);
/// 1/(1+e^-x), f32 and f64; in f32 approximate, see tile.sigmoid.
Tile sigmoid(const Operand &x);
/// 2^x, f32, <= 2 ulp, flushes denormals.
Tile fast_exp2(const Operand &x);
/// a/b, f32, <= 2 ulp for |b| in [2^-126, 2^126].
Tile fast_div(const Operand &a, const Operand &b);
/// The greater, the lesser; a NaN operand gives NaN.
Tile maximum(const Operand &a, const Operand &b);
Tile minimum(const Operand &a, const Operand &b);
/// a*b + c, rounded once.
Tile fma(const Operand &a, const Operand &b, const Operand &c);
namespace rec {
[[noreturn]] void fail_cdiv(int64_t a, int64_t b, Where where);
}
/// (a + b - 1) / b for positive b.
Tile cdiv(const Operand &a, const Operand &b);
template <class A, class B>
  requires(std::is_integral_v<A> && std::is_integral_v<B>)
constexpr auto cdiv(A a, B b, Where where = Where::current()) {
  if (b <= 0) rec::fail_cdiv(static_cast<int64_t>(a), static_cast<int64_t>(b), where);
  return (a + b - 1) / b;
}

// ---------------------------------------------------------------------------------------------------------- across
// elements

namespace rec {
/// A combiner without its type: `function(context, in, out)` takes 2n scalars and gives n.
struct Combiner {
  void (*function)(void *context, const Tile *in, Tile *out);
  void *context;
};
void reduce(const Operand *x, int n, int axis, Combiner combiner, Tile *out);
void scan(const Operand *x, int n, int axis, bool reverse, Combiner combiner, Tile *out);
void sort(const Operand *x, int n, bool descending, Tile *out, Where where);

template <class F> Combiner combiner1(F &f) {
  return {[](void *c, const Tile *in, Tile *out) { out[0] = (*static_cast<F *>(c))(in[0], in[1]); }, &f};
}
template <size_t N, class F> Combiner combiner_n(F &f) {
  return {[](void *c, const Tile *in, Tile *out) {
            std::array<Tile, N> left, right;
            for (size_t i = 0; i < N; ++i) left[i] = in[i], right[i] = in[N + i];
            std::array<Tile, N> both = (*static_cast<F *>(c))(left, right);
            for (size_t i = 0; i < N; ++i) out[i] = both[i];
          },
          &f};
}
template <size_t N, size_t... I>
std::array<Operand, N> operands(const std::array<Tile, N> &x, Where where, std::index_sequence<I...>) {
  return {Operand(x[I], where)...};
}
} // namespace rec

inline constexpr int all_axes = 1 << 20;

/// Combines the elements along `axis` (negative: from the last; `all_axes`: all of them) and drops it; a 1-D tile gives
/// a scalar. The combiner `f(left, right)` must be associative; it gets scalars and uses nothing but these and
/// literals. Order: a balanced tree over the index bits.
template <class F> Tile reduce(const Operand &x, int axis, F f) {
  Tile out;
  rec::reduce(&x, 1, axis, rec::combiner1(f), &out);
  return out;
}
/// Over several tiles of one shape at once: `reduce(std::array{v, i}, 0, [](auto l, auto r) { ...; return std::array{v,
/// i}; })`.
template <size_t N, class F>
std::array<Tile, N> reduce(const std::array<Tile, N> &x, int axis, F f, Where where = Where::current()) {
  std::array<Tile, N> out;
  rec::reduce(rec::operands(x, where, std::make_index_sequence<N>()).data(), N, axis, rec::combiner_n<N>(f),
              out.data());
  return out;
}
/// Any dtype but bool and fp8, added in that dtype.
Tile sum(const Operand &x, int axis = all_axes);
/// A NaN element gives NaN.
Tile max(const Operand &x, int axis = all_axes);
Tile min(const Operand &x, int axis = all_axes);
/// i32 index of the greatest (least) element, the lowest of equal ones; NaN counts as greatest (least).
Tile argmax(const Operand &x, int axis = all_axes);
Tile argmin(const Operand &x, int axis = all_axes);
/// Of bool tiles.
Tile any(const Operand &x, int axis = all_axes);
Tile all(const Operand &x, int axis = all_axes);

/// Inclusive scan along `axis` (negative: from the last); `reverse` scans from the end.
template <class F> Tile scan(const Operand &x, int axis, F f, bool reverse = false) {
  Tile out;
  rec::scan(&x, 1, axis, reverse, rec::combiner1(f), &out);
  return out;
}
template <size_t N, class F>
std::array<Tile, N> scan(const std::array<Tile, N> &x, int axis, F f, bool reverse = false,
                         Where where = Where::current()) {
  std::array<Tile, N> out;
  rec::scan(rec::operands(x, where, std::make_index_sequence<N>()).data(), N, axis, reverse, rec::combiner_n<N>(f),
            out.data());
  return out;
}
/// The inclusive scan by addition, in x's dtype; any dtype but bool and fp8.
Tile cumsum(const Operand &x, int axis = -1, bool reverse = false);

/// Stable sort along the last axis. NaN counts as greatest.
Tile sort(const Operand &x, bool descending = false);
/// The others move with the first: `auto [keys, values] = sort(std::array{k, v});`.
template <size_t N>
std::array<Tile, N> sort(const std::array<Tile, N> &x, bool descending = false, Where where = Where::current()) {
  std::array<Tile, N> out;
  rec::sort(rec::operands(x, where, std::make_index_sequence<N>()).data(), N, descending, out.data(), where);
  return out;
}
struct TopK {
  Tile values;  ///< [..., next_pow2(k)], descending
  Tile indices; ///< i32 positions along the last axis
};
/// The k greatest along the last axis, padded to next_pow2(k) (mask with lanes(k)); the lower position first among
/// equals.
TopK topk(const Operand &x, int k);
/// How often each of 0..bins-1 occurs in an i32 tile: i32 [next_pow2(bins)].
Tile histogram(const Operand &x, int bins, const Operand &mask = Operand::none());
/// acc + a[M,K] * b[K,N]; f16, bf16 and fp8 with an f32 acc, f32 with f32, f64 with f64. Without acc: zero.
Tile dot(const Operand &a, const Operand &b, const Operand &acc = Operand::none());

// ---------------------------------------------------------------------------------------------------------- effects

/// All threads of the program wait; what was written to global memory before is visible after.
void barrier(Where where = Where::current());
/// Stops the launch with `message` where an element of `condition` is false. Up to two integers (i32 or i64, scalars or
/// tiles of the condition's shape) are printed for "{0}" and "{1}" in it. On a GPU the launch stops without the text.
void device_assert(const Operand &condition, std::string_view message, std::initializer_list<Operand> values = {});

} // namespace moec
