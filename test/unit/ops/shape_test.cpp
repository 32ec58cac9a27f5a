// Ops that move elements without touching them: every dtype, NaN bits included.
#include "test/unit/ops/differential.h"

#include <fmt/format.h>

namespace moec::ops {
namespace {

struct PermuteSpec {
  int a = 8, b = 32, c = 1, d = 1; ///< sizes
  int p = 0, q = 1, r = 2, s = 3;  ///< result dimension i is dimension p, q, r, s
  static void fields(auto &x, auto &&f) {
    f("a", x.a), f("b", x.b), f("c", x.c), f("d", x.d), f("p", x.p), f("q", x.q), f("r", x.r), f("s", x.s);
  }
};
void permute(const PermuteSpec &s, View x, View y) {
  grid(1);
  store_whole(y, trans(whole(x, {s.a, s.b, s.c, s.d}), {s.p, s.q, s.r, s.s}));
}
void transpose(const ShapeSpec &s, View x, View y) {
  grid(1);
  store_whole(y, trans(whole(x, s.shape())));
}

TEST(Shape, Permutations) {
  std::vector<Case> cases;
  const PermuteSpec specs[] = {
      {2, 4, 8, 16, 3, 2, 1, 0}, {2, 4, 8, 16, 0, 2, 1, 3}, {16, 1, 4, 8, 2, 3, 0, 1}, {1, 32, 2, 2, 1, 3, 0, 2}};
  int k = 0;
  for (const PermuteSpec &s : specs)
    for (DType t : {boolean, bf16, f32, i64, e4m3}) {
      const int sizes[] = {s.a, s.b, s.c, s.d};
      cases.push_back(
          {fmt::format("permute {} {}", name(t), spec_text(s)),
           permute,
           s,
           {special(t, {s.a, s.b, s.c, s.d}, 1), output(t, {sizes[s.p], sizes[s.q], sizes[s.r], sizes[s.s]})},
           warps({1 << k++ % 4})});
    }
  k = 0;
  for (DType t : kDTypes)
    for (ShapeSpec s : {ShapeSpec{8, 32}, ShapeSpec{64, 64}, ShapeSpec{128, 2}, ShapeSpec{1, 16}}) {
      Dims less = s.less();
      cases.push_back({fmt::format("transpose {} {}", name(t), s.text()),
                       transpose,
                       s,
                       {special(t, less, 2, Lay::rows), output(t, {s.b, s.a})},
                       warps({1 << k++ % 4})});
    }
  check(cases);
}

/// expand_dims, broadcast and reshape between shapes of several ranks; NumPy's rules without saying so.
void shapes(const NoSpec &, View row, View column, View y, View z, View flat, View scalars) {
  grid(1);
  Tile r = whole(row, {32}), c = whole(column, {16});
  store_whole(y.at(0), broadcast(expand_dims(r, 0), {16, 32}));
  store_whole(y.at(1), broadcast(expand_dims(c, 1), {16, 32}));
  store_whole(y.at(2), broadcast(expand_dims(c, -1), {16, 32}));
  store_whole(y.at(3), where(expand_dims(arange(16), 1) % 2 == 0, r, expand_dims(c, 1)));
  store_whole(y.at(4), full({16, 32}, load(row(3)), row.dtype()));
  store_whole(y.at(5), reshape(broadcast(expand_dims(reshape(r, {4, 8}), 1), {4, 16, 8}), {16, 32}));
  Tile cube = broadcast(expand_dims(expand_dims(r, 0), 2), {4, 32, 4});
  store_whole(z, cube);
  store_whole(flat, reshape(where(expand_dims(expand_dims(c, 1), 0) == expand_dims(expand_dims(c, 1), 0),
                                  broadcast(expand_dims(r, 0), {1, 1, 32}), expand_dims(expand_dims(c, 1), 0)),
                            {512}));
  store(scalars(0), load(column(15)));
  store(scalars(arange(1, 2)), broadcast(load(column(1)), {1}));
  store(scalars(arange(2, 4)), reshape(trans(reshape(load(row(arange(2))), {2, 1})), {2}));
}

TEST(Shape, BroadcastExpandReshape) {
  std::vector<Case> cases;
  for (DType t : kDTypes)
    if (!is_fp8(t)) // no comparison
      cases.push_back({fmt::format("shapes {}", name(t)),
                       shapes,
                       NoSpec{},
                       {special(t, {32}, 1), special(t, {16}, 2), output(t, {6, 16, 32}), output(t, {4, 32, 4}),
                        output(t, {512}), output(t, {4})},
                       t == f16 ? kAllWarps : warps({t == i8 ? 8 : 2})});
  check(cases);
}

struct ReshapeSpec {
  ShapeSpec from, to;
  static void fields(auto &s, auto &&f) { ShapeSpec::fields(s.from, f), ShapeSpec::fields(s.to, f); }
};
void reshapes(const ReshapeSpec &s, View x, View y) {
  grid(1);
  store_whole(y, reshape(whole(x, s.from.shape()), s.to.shape()));
}

TEST(Shape, Reshapes) {
  std::vector<Case> cases;
  const ShapeSpec forms[] = {{1024}, {32, 32}, {4, 256}, {256, 4}, {4, 16, 16}, {1, 1024}};
  int k = 0;
  for (const ShapeSpec &a : forms)
    for (const ShapeSpec &b : forms)
      if (&a != &b) {
        DType t = kDTypes[k % kNumDTypes];
        cases.push_back({fmt::format("reshape {} {} to {}", name(t), a.text(), b.text()),
                         reshapes,
                         ReshapeSpec{a, b},
                         {special(t, a.dims(), 4), output(t, b.dims())},
                         warps({1 << k++ % 4})});
      }
  check(cases);
}

void ranges(const NoSpec &, View y, View live, View grids) {
  grid(2, 3, 4);
  Int p = program_id(0), q = program_id(1), r = program_id(2), n = (p * 3 + q) * 4 + r;
  store(grids(n, 0), n), store(grids(n, 1), num_programs(0)),
      store(grids(n, 2), num_programs(1) * 100 + num_programs(2));
  store(y(n, 0, arange(64)), arange(64));
  store(y(n, 1, arange(64)), arange(-5, 59));
  auto [i, mask] = lanes(50);
  store(y(n, 2, i), i * 3, mask);
  store(live(n, i), mask);
  store(y(n, 3, arange(64)), full({64}, n * 0 + 7, i32) + zeros({64}, i32));
}

TEST(Shape, RangesLanesPrograms) {
  check({{"ranges", ranges, NoSpec{}, {output(i32, {24, 4, 64}), output(boolean, {24, 64}), output(i32, {24, 3})}}});
}

/// The greatest rank: blocks and elements of five dimensions, reduced, scanned and permuted.
void five(const NoSpec &, View x, View y, View less, View scanned) {
  grid(1);
  Tile v = load(x.tile({0, 1, 0, 0, 2}, {2, 4, 2, 4, 8}));
  store(y.tile({0, 0, 0, 0, 0}, {8, 2, 4, 4, 2}), trans(v, {4, 2, 1, 3, 0}));
  store_whole(less, max(v, 2));
  Tile i = arange(4), j = expand_dims(arange(4), 1), k = expand_dims(expand_dims(arange(2), 1), 1);
  store(scanned(k, 1, 0, j, i), cumsum(load(x(k, 1, 0, j, i)), 1));
}

TEST(Shape, FiveDimensions) {
  std::vector<Case> cases;
  for (DType t : {i8, bf16, f32, i64})
    for (Lay lay : {Lay::contiguous, Lay::transposed})
      cases.push_back({fmt::format("five {}", name(t)),
                       five,
                       NoSpec{},
                       {special(t, {2, 4, 2, 4, 9}, 1, lay), output(t, {8, 2, 4, 4, 2}), output(t, {2, 4, 4, 8}),
                        output(t, {2, 2, 1, 4, 4})},
                       warps({1, 4})});
  check(cases);
}

} // namespace
} // namespace moec::ops
