// Elementwise ops on every dtype that they take, in every rank, from every kind of memory: the interpreter's bits.
#include "test/unit/ops/differential.h"

#include <fmt/format.h>

namespace moec::ops {
namespace {

/// Fewer elements than threads, more, a single one, rows, columns, three dimensions.
struct Form {
  ShapeSpec shape;
  bool clipped;
  Lay lay;
  std::vector<Schedule> schedules;
  Dims dims() const { return clipped ? shape.less() : shape.dims(); }
};
const Form kForms[] = {
    {{16}, false, Lay::contiguous, warps({1, 8})}, {{512}, true, Lay::unaligned, warps({4})},
    {{1}, false, Lay::contiguous, warps({2})},     {{8, 32}, true, Lay::rows, warps({2, 8})},
    {{64, 4}, false, Lay::transposed, warps({4})}, {{2, 8, 16}, true, Lay::every_second, warps({1})}};

constexpr int kFloatOps = 14, kComparisons = 7;
void float_ops(const ShapeSpec &s, View a, View b, View c, View out, View compared) {
  grid(1);
  Tile x = whole(a, s.shape()), y = whole(b, s.shape()), z = whole(c, s.shape());
  const Tile results[kFloatOps] = {
      x + y,  x - y,        x * y,    x / y,   maximum(x, y), minimum(x, y),      -x,
      abs(x), fma(x, y, z), floor(x), ceil(x), sqrt(x),       where(x < y, x, z), x * 3 + 0.1};
  for (int i = 0; i < kFloatOps; ++i) store_whole(out.at(i), results[i]);
  const Tile bools[kComparisons] = {x == y, x != y, x<y, x <= y, x> y, x >= y, x != x};
  for (int i = 0; i < kComparisons; ++i) store_whole(compared.at(i), bools[i]);
}

TEST(Elementwise, Floats) {
  std::vector<Case> cases;
  for (DType t : kFloats)
    for (const Form &f : kForms) {
      Dims d = f.dims();
      cases.push_back({fmt::format("floats {} {}", name(t), f.shape.text()),
                       float_ops,
                       f.shape,
                       {special(t, d, 1, f.lay), special(t, d, 2), f.clipped ? special(t, d, 3) : numbers(t, d, 4),
                        output(t, stacked(kFloatOps, d)), output(boolean, stacked(kComparisons, d))},
                       f.schedules});
    }
  check(cases);
}

/// The one schedule flag that changes results changes them alike on both devices.
TEST(Elementwise, ContractedFma) {
  std::vector<Case> cases;
  for (DType t : kFloats)
    cases.push_back({fmt::format("contracted {}", name(t)),
                     float_ops,
                     ShapeSpec{256},
                     {numbers(t, {256}, 1), numbers(t, {256}, 2), numbers(t, {256}, 3), output(t, {kFloatOps, 256}),
                      output(boolean, {kComparisons, 256})},
                     {{.num_warps = 2, .contract_fma = true}}});
  check(cases);
}

constexpr int kIntOps = 18;
void int_ops(const ShapeSpec &s, View a, View b, View positive, View shift, View out, View compared) {
  grid(1);
  Tile x = whole(a, s.shape()), y = whole(b, s.shape()), n = maximum(whole(positive, s.shape()), 1),
       by = whole(shift, s.shape());
  const Tile results[kIntOps] = {x + y,
                                 x - y,
                                 x * y,
                                 x / n,
                                 x % n,
                                 x & y,
                                 x | y,
                                 x ^ y,
                                 ~x,
                                 x << by,
                                 x >> by,
                                 -x,
                                 abs(x),
                                 maximum(x, y),
                                 minimum(x, y),
                                 cdiv(maximum(x, 1) / 2, n),
                                 where(x > y, y, n),
                                 x / 8 + x % 8 * 3};
  for (int i = 0; i < kIntOps; ++i) store_whole(out.at(i), results[i]);
  const Tile bools[kComparisons] = {x == y, x != y, x<y, x <= y, x> y, x >= y, x == 7};
  for (int i = 0; i < kComparisons; ++i) store_whole(compared.at(i), bools[i]);
}

TEST(Elementwise, Integers) {
  std::vector<Case> cases;
  for (DType t : kInts)
    for (const Form &f : kForms) {
      Dims d = f.dims();
      cases.push_back(
          {fmt::format("ints {} {}", name(t), f.shape.text()),
           int_ops,
           f.shape,
           {special(t, d, 1, f.lay), special(t, d, 2), special(t, d, 3), integers(t, d, 0, 8 * size_bytes(t) - 1, 4),
            output(t, stacked(kIntOps, d)), output(boolean, stacked(kComparisons, d))},
           f.schedules});
    }
  check(cases);
}

/// Division of the least number by -1 wraps; shifts by the width and more give 0 or the sign.
void int_edges(const NoSpec &, View a, View b, View out) {
  grid(1);
  Tile x = whole(a, {64}), y = whole(b, {64}), zero = zeros({64}, a.dtype());
  store_whole(out.at(0), x / where(y == 0, ~zero, y));
  store_whole(out.at(1), x % where(y == 0, ~zero, y));
  store_whole(out.at(2), x << (y & 63 | y & 8));
  store_whole(out.at(3), x >> (y & 63 | y & 8));
}

TEST(Elementwise, IntegerEdges) {
  std::vector<Case> cases;
  for (DType t : kInts)
    cases.push_back({fmt::format("edges {}", name(t)),
                     int_edges,
                     NoSpec{},
                     {special(t, {64}, 1), special(t, {64}, 2), output(t, {4, 64})}});
  check(cases);
}

constexpr int kBoolOps = 9;
void bool_ops(const ShapeSpec &s, View a, View b, View c, View out) {
  grid(1);
  Tile x = whole(a, s.shape()), y = whole(b, s.shape()), z = whole(c, s.shape());
  const Tile results[kBoolOps] = {
      x & y, x | y, x ^ y, !x, x == y, x != y, where(x, y, z), x & true, (x | false) ^ true};
  for (int i = 0; i < kBoolOps; ++i) store_whole(out.at(i), results[i]);
}

TEST(Elementwise, Bools) {
  std::vector<Case> cases;
  for (const Form &f : kForms) {
    Dims d = f.dims();
    cases.push_back({"bools " + f.shape.text(),
                     bool_ops,
                     f.shape,
                     {special(boolean, d, 1, f.lay), special(boolean, d, 2), special(boolean, d, 3),
                      output(boolean, stacked(kBoolOps, d))},
                     f.schedules});
  }
  check(cases);
}

/// Scalars take the same ops as tiles; literals, arguments and tiles meet.
void scalar_ops(const NoSpec &, View out, View ints, Float x, Float y, Int n, Int wide, Bool flag) {
  grid(1);
  const Tile floats[] = {x + y,
                         x - y,
                         x * y,
                         x / y,
                         maximum(x, y),
                         minimum(x, y),
                         fma(x, y, 1),
                         sqrt(abs(x)),
                         floor(x),
                         ceil(y),
                         where(flag, x, y),
                         -x,
                         cast(n, f32),
                         cast(flag, f32),
                         where(x < y, x, 2.5)};
  for (int i = 0; i < static_cast<int>(std::size(floats)); ++i) store(out(i), floats[i]);
  const Tile longs[] = {n + wide,           n * wide,
                        wide / 7,           wide % 7,
                        cast(n, i64) << 33, wide >> 3,
                        wide & 255,         wide | 1,
                        wide ^ n,           ~wide,
                        cdiv(wide, 5),      cast(x, i64),
                        cast(flag, i64),    sum(cast(arange(8), i64) * wide)};
  for (int i = 0; i < static_cast<int>(std::size(longs)); ++i) store(ints(i), longs[i]);
}

TEST(Elementwise, Scalars) {
  std::vector<Case> cases;
  for (bool flag : {false, true})
    cases.push_back({"scalars",
                     scalar_ops,
                     NoSpec{},
                     {output(f32, {15}), output(i64, {14}), value(flag ? 1.75f : -3e38f), value(0.3f),
                      value(flag ? -17 : 1 << 30), value(flag ? int64_t{1} << 40 : int64_t{-9}), value(flag)}});
  check(cases);
}

} // namespace
} // namespace moec::ops
