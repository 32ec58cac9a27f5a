// Reductions, scans, sorts, top-k and histograms: the op's order, whatever the number of warps.
#include "test/unit/ops/differential.h"

#include <fmt/format.h>

namespace moec::ops {
namespace {

struct AxisSpec {
  ShapeSpec shape;
  int axis = 0;
  static void fields(auto &s, auto &&f) { ShapeSpec::fields(s.shape, f), f("axis", s.axis); }
  std::string text() const { return shape.text() + " axis " + std::to_string(axis); }
  /// The result's sizes.
  Dims without() const {
    Dims d, all = shape.dims();
    for (int i = 0; i < all.rank(); ++i)
      if (i != axis) d.push_back(all[i]);
    return d.empty() ? Dims{1} : d;
  }
};
/// A single element, fewer than threads, more; rows, columns, cubes.
const AxisSpec kAxes[] = {{{1}, 0},        {{16}, 0},       {{1024}, 0},     {{8, 64}, 0},
                          {{8, 64}, 1},    {{256, 4}, 0},   {{256, 4}, 1},   {{2, 512}, 1},
                          {{4, 8, 32}, 0}, {{4, 8, 32}, 1}, {{32, 4, 8}, 2}, {{16, 1, 4}, 1}};

constexpr int kReductions = 3;
void reductions(const AxisSpec &s, View x, View y, View at) {
  grid(1);
  Tile v = whole(x, s.shape.shape());
  const Tile values[kReductions] = {sum(v, s.axis), max(v, s.axis), min(v, s.axis)},
             where[] = {argmax(v, s.axis), argmin(v, s.axis)};
  for (int i = 0; i < kReductions; ++i) store_whole(y.at(i), values[i]);
  for (int i = 0; i < 2; ++i) store_whole(at.at(i), where[i]);
}

TEST(Across, Reductions) {
  std::vector<Case> cases;
  int k = 0;
  for (DType t : kNumbers)
    for (const AxisSpec &s : kAxes) {
      const bool ties = k % 2;
      cases.push_back({fmt::format("reduce {} {}", name(t), s.text()),
                       reductions,
                       s,
                       {ties ? special(t, s.shape.dims(), 1) : numbers(t, s.shape.dims(), 2, Lay::rows),
                        output(t, stacked(kReductions, s.without())), output(i32, stacked(2, s.without()))},
                       warps({1 << k % 4})});
      k += 3;
    }
  check(cases);
}

/// Associative and not commutative: affine maps, the first and the last element, concatenation of digits.
void combiners(const AxisSpec &s, View x, View y, View both, View firsts, View flat) {
  grid(1);
  Tile v = whole(x, s.shape.shape()), w = whole(y, s.shape.shape());
  auto affine = [](const std::array<Tile, 2> &a, const std::array<Tile, 2> &b) {
    return std::array<Tile, 2>{a[0] * b[0], a[1] * b[0] + b[1]};
  };
  auto maps = reduce(std::array{v, w}, s.axis, affine), scanned = scan(std::array{v, w}, s.axis, affine),
       reversed = scan(std::array{v, w}, s.axis, affine, true);
  for (int i = 0; i < 2; ++i) {
    store_whole(firsts.at(i), maps[static_cast<size_t>(i)]);
    store_whole(both.at(i), scanned[static_cast<size_t>(i)]);
    store_whole(both.at(2 + i), reversed[static_cast<size_t>(i)]);
  }
  store_whole(firsts.at(2), reduce(v, s.axis, [](const Tile &a, const Tile &) { return a; }));
  store_whole(firsts.at(3), reduce(v, s.axis, [](const Tile &, const Tile &b) { return b; }));
  // Three tiles of three dtypes at once: the greatest, its place, how many.
  auto best = reduce(std::array{v, cast(w, f32), full(s.shape.shape(), 1, i32)}, s.axis,
                     [](const std::array<Tile, 3> &a, const std::array<Tile, 3> &b) {
                       Tile take = b[0] > a[0];
                       return std::array<Tile, 3>{where(take, b[0], a[0]), where(take, b[1], a[1]), a[2] + b[2]};
                     });
  store_whole(firsts.at(4), best[0]), store_whole(firsts.at(5), cast(best[1], x.dtype())),
      store_whole(firsts.at(6), cast(best[2], x.dtype()));
  store(flat(0), sum(v)), store(flat(1), max(w));
}

TEST(Across, Combiners) {
  std::vector<Case> cases;
  int k = 0, n = 0;
  for (DType t : {i32, i64, f16, bf16, f32, f64, i8})
    for (const AxisSpec &s : kAxes) {
      if (t != f32 && ++k % 3) continue;
      Dims d = s.shape.dims();
      cases.push_back({fmt::format("combine {} {}", name(t), s.text()),
                       combiners,
                       s,
                       {numbers(t, d, 1), numbers(t, d, 2), output(t, stacked(4, d)),
                        output(t, stacked(7, s.without())), output(t, {2})},
                       t == f32 ? warps({1, 2 << n++ % 3}) : warps({1 << k % 4})});
    }
  check(cases);
}

void scans(const AxisSpec &s, View x, View y) {
  grid(1);
  Tile v = whole(x, s.shape.shape());
  store_whole(y.at(0), cumsum(v, s.axis));
  store_whole(y.at(1), cumsum(v, s.axis, true));
  store_whole(y.at(2), scan(v, s.axis, [](const Tile &a, const Tile &b) { return maximum(a, b); }));
}

TEST(Across, Scans) {
  std::vector<Case> cases;
  int k = 0;
  for (DType t : kNumbers)
    for (const AxisSpec &s : kAxes) {
      if (t != f32 && ++k % 2) continue;
      cases.push_back({fmt::format("scan {} {}", name(t), s.text()),
                       scans,
                       s,
                       {k % 4 ? special(t, s.shape.dims(), 1) : numbers(t, s.shape.dims(), 2),
                        output(t, stacked(3, s.shape.dims()))},
                       t == f32 ? kAllWarps : warps({1 << k / 2 % 4})});
    }
  check(cases);
}

void of_bools(const AxisSpec &s, View x, View y) {
  grid(1);
  Tile v = whole(x, s.shape.shape());
  store_whole(y.at(0), any(v, s.axis));
  store_whole(y.at(1), all(v, s.axis));
  store_whole(y.at(2), reduce(v, s.axis, [](const Tile &a, const Tile &b) { return a ^ b; }));
}
/// Dtypes without arithmetic reduce and scan too, with combiners that choose.
void choices(const AxisSpec &s, View x, View ends, View scanned) {
  grid(1);
  Tile v = whole(x, s.shape.shape()), i = reshape(arange(static_cast<int>(s.shape.shape().count())), s.shape.shape());
  auto later = [](const std::array<Tile, 2> &a, const std::array<Tile, 2> &b) {
    Tile take = b[1] % 3 != 0;
    return std::array<Tile, 2>{where(take, b[0], a[0]), where(take, b[1], a[1])};
  };
  store_whole(ends.at(0), reduce(std::array{v, i}, s.axis, later)[0]);
  store_whole(ends.at(1), reduce(v, s.axis, [](const Tile &a, const Tile &) { return a; }));
  store_whole(scanned.at(0), scan(std::array{v, i}, s.axis, later)[0]);
  store_whole(scanned.at(1), scan(std::array{v, i}, s.axis, later, true)[0]);
}

TEST(Across, Bools) {
  std::vector<Case> cases;
  int k = 0;
  for (const AxisSpec &s : kAxes)
    cases.push_back({"bools " + s.text(),
                     of_bools,
                     s,
                     {special(boolean, s.shape.dims(), 1), output(boolean, stacked(3, s.without()))},
                     warps({1 << k++ % 4})});
  check(cases);
}

TEST(Across, DtypesWithoutArithmetic) {
  std::vector<Case> cases;
  int k = 0;
  for (DType t : {boolean, u8, e4m3, e5m2})
    for (AxisSpec s : {AxisSpec{{256}, 0}, AxisSpec{{8, 64}, 0}, AxisSpec{{16, 4}, 1}})
      cases.push_back(
          {fmt::format("choose {} {}", name(t), s.text()),
           choices,
           s,
           {special(t, s.shape.dims(), 1), output(t, stacked(2, s.without())), output(t, stacked(2, s.shape.dims()))},
           warps({1 << k++ % 4})});
  check(cases);
}

// ---- order

/// Keys with many ties; payloads of other dtypes move along.
void sorts(const ShapeSpec &s, View x, View y, View places, View payload, View bools) {
  grid(1);
  Tile v = whole(x, s.shape()), i = reshape(arange(static_cast<int>(s.shape().count())), s.shape()), h = cast(i, f16);
  store_whole(y.at(0), sort(v));
  store_whole(y.at(1), sort(v, true));
  auto [up, at] = sort(std::array{v, i});
  store_whole(y.at(2), up), store_whole(places.at(0), at);
  auto [down, at2, halves, odd] = sort(std::array{v, i, h, i % 2 != 0}, true);
  store_whole(y.at(3), down), store_whole(places.at(1), at2), store_whole(payload, halves), store_whole(bools, odd);
}

const ShapeSpec kSorted[] = {{1}, {16}, {512}, {4, 32}, {64, 2}, {8, 128}, {2, 4, 16}};

TEST(Across, Sorts) {
  std::vector<Case> cases;
  int k = 0;
  for (DType t : kNumbers)
    for (const ShapeSpec &s : kSorted) {
      if (t != f32 && ++k % 2) continue;
      Dims d = s.dims();
      cases.push_back({fmt::format("sort {} {}", name(t), s.text()),
                       sorts,
                       s,
                       {k % 3 ? special(t, d, 1) : integers(t, d, 0, 5, 2), output(t, stacked(4, d)),
                        output(i32, stacked(2, d)), output(f16, d), output(boolean, d)},
                       t == f32 ? warps({1, 4, 8}) : warps({1 << k / 2 % 4})});
    }
  check(cases);
}

struct BestSpec {
  ShapeSpec shape;
  int k = 8;
  static void fields(auto &s, auto &&f) { ShapeSpec::fields(s.shape, f), f("k", s.k); }
};
void best(const BestSpec &s, View x, View y, View at) {
  grid(1);
  auto [values, places] = topk(whole(x, s.shape.shape()), s.k);
  store_whole(y, values), store_whole(at, places);
}

TEST(Across, TopK) {
  std::vector<Case> cases;
  const BestSpec specs[] = {{{1}, 1},     {{16}, 1},      {{64}, 6},       {{512}, 8},    {{256}, 256},
                            {{8, 64}, 8}, {{32, 128}, 4}, {{4, 8, 16}, 3}, {{128, 8}, 8}, {{1, 1024}, 2}};
  int k = 0;
  for (DType t : kNumbers)
    for (const BestSpec &s : specs) {
      if (t != f32 && t != bf16 && ++k % 2) continue;
      Dims d = s.shape.dims(), r = d;
      r[r.rank() - 1] = next_pow2(s.k);
      cases.push_back({fmt::format("topk {} {}", name(t), spec_text(s)),
                       best,
                       s,
                       {k % 3 ? special(t, d, 1) : integers(t, d, 0, 9, 2), output(t, r), output(i32, r)},
                       t == f32 ? kAllWarps : warps({1 << k % 4})});
      if (t == bf16) ++k;
    }
  check(cases);
}

struct BinsSpec {
  int n = 64, bins = 16;
  static void fields(auto &s, auto &&f) { f("n", s.n), f("bins", s.bins); }
};
void histograms(const BinsSpec &s, View x, View mask, View all, View some) {
  grid(1);
  Tile v = whole(x, {s.n});
  store_whole(all, histogram(v, s.bins));
  store_whole(some, histogram(v, s.bins, whole(mask, {s.n})));
}

TEST(Across, Histograms) {
  std::vector<Case> cases;
  for (BinsSpec s : {BinsSpec{16, 1}, BinsSpec{1, 16}, BinsSpec{64, 60}, BinsSpec{1024, 256}, BinsSpec{256, 1024}})
    for (bool wild : {false, true}) {
      const int64_t bins = next_pow2(s.bins);
      cases.push_back({fmt::format("histogram {} {}", spec_text(s), wild),
                       histograms,
                       s,
                       {wild ? special(i32, {s.n}, 1) : integers(i32, {s.n}, -2, bins + 1, 2),
                        special(boolean, {s.n}, 3), output(i32, {bins}), output(i32, {bins})},
                       wild ? warps({4}) : kAllWarps});
    }
  check(cases);
}

} // namespace
} // namespace moec::ops
