// Loops, branches, grids, barriers and asserts; and whole kernels: the design's sketches.
#include "test/unit/ops/differential.h"

#include <fmt/format.h>

#include "runtime/error.h"

namespace moec::ops {
namespace {

struct BlockSpec {
  int block = 64;
  static void fields(auto &s, auto &&f) { f("block", s.block); }
};

/// Nested loops that carry tiles and scalars of several dtypes; a swap; a loop that may run no pass at all.
void nested(const BlockSpec &s, View x, View y, View ints, Int rounds, Int step) {
  auto [rows, cols] = x.sizes<2>();
  grid(rows);
  Int r = program_id(0), passes = 0, a = 0, b = 1;
  Tile total = zeros({s.block}, x.dtype()), last = full({s.block}, 1, i32), order = arange(s.block);
  for (Int k : range(0, rounds)) {
    Tile part = zeros({s.block}, x.dtype());
    for (Int c : range(k * step, cols, s.block)) {
      part += load(x(r, c + order));
      passes += 1;
      for (Int z : range(k % 3)) last = last * 3 + z;
    }
    total = where(order % 2 == 0, total + part, maximum(total, part));
    Int next = a + b;
    a = b, b = next;
    order = (order + 1) % s.block;
  }
  store(y(r, arange(s.block)), total);
  store(ints(r, 0), passes), store(ints(r, 1), a), store(ints(r, 2), b), store(ints(r, 3), sum(last));
}

TEST(Control, NestedLoops) {
  std::vector<Case> cases;
  for (DType t : {f32, f64, bf16, i64})
    for (int rounds : {0, 1, 5})
      cases.push_back({fmt::format("nested {} {}", name(t), rounds),
                       nested,
                       BlockSpec{rounds == 5 ? 256 : 32},
                       {numbers(t, {3, 200}, 1), output(t, {3, 256}), output(i32, {3, 4}), value(rounds), value(30)},
                       t == f32 ? kAllWarps : warps({rounds ? 4 : 1})});
  check(cases);
}

/// Branches inside loops inside branches; conditions on loaded values; tiles that one path leaves alone.
void branches(const NoSpec &, View x, View y, View steps, Int limit) {
  grid(x.size(0));
  Int t = program_id(0), v = load(x(t)), n = 0;
  Tile walk = zeros({32}, i32), flag = arange(32) < 0;
  while_([&] { return (v > 1) & (n < limit); },
         [&] {
           when(
               v % 2 == 0, [&] { v = v / 2; },
               [&] {
                 v = 3 * v + 1;
                 walk = where(arange(32) == n % 32, v, walk);
                 when(n > 5, [&] { flag = flag | (walk > 50); });
               });
           n += 1;
         });
  when(n == 0, [&] { walk = walk - 1; });
  when(v != 1, [&] { store(y(t, arange(32)), walk + 1000); }, [&] { store(y(t, arange(32)), walk + cast(flag, i32)); });
  store(steps(t), n);
}

TEST(Control, Branches) {
  std::vector<double> x;
  for (int i = 0; i < 30; ++i) x.push_back(i);
  check({{"branches", branches, NoSpec{}, {from(i32, {30}, x), output(i32, {30, 32}), output(i32, {30}), value(20)}}});
}

/// Tiles carried by while_, of several dtypes, until all elements are small; the number of passes differs per program.
void halve(const NoSpec &, View x, View y, View count) {
  grid(x.size(0));
  Int p = program_id(0), n = 0;
  Tile v = load(x(p, arange(128))), c = zeros({128}, i64);
  while_([&] { return any(abs(v) > 1); },
         [&] {
           c += cast(abs(v) > 1, i64);
           v = where(abs(v) > 1, v * 0.5f, v);
           n += 1;
         });
  store(y(p, arange(128)), v);
  store(count(p, arange(128)), c * cast(n, i64));
}

TEST(Control, WhileOverTiles) {
  std::vector<Case> cases;
  for (DType t : {f32, f64})
    cases.push_back({fmt::format("halve {}", name(t)),
                     halve,
                     NoSpec{},
                     {numbers(t, {5, 128}, 3), output(t, {5, 128}), output(i64, {5, 128})}});
  Argument big = from(f32, {2, 128}, std::vector<double>(256, 1e6));
  cases.push_back({"halve big", halve, NoSpec{}, {big, output(f32, {2, 128}), output(i64, {2, 128})}});
  check(cases);
}

/// What one thread wrote to global memory others read behind a barrier.
void through_memory(const BlockSpec &s, View x, View between, View y) {
  grid(x.size(0));
  Int p = program_id(0);
  Tile i = arange(s.block);
  store(between(p, i), load(x(p, i)));
  barrier();
  Tile turned = load(between(p, s.block - 1 - i));
  barrier();
  store(between(p, i), turned + 1);
  barrier();
  store(y(p, i), load(between(p, i ^ 1)));
}

TEST(Control, Barriers) {
  std::vector<Case> cases;
  for (int block : {16, 64, 1024})
    cases.push_back({fmt::format("barrier {}", block),
                     through_memory,
                     BlockSpec{block},
                     {integers(i32, {3, block}, -99, 99, 1), output(i32, {3, block}), output(i32, {3, block})}});
  check(cases);
}

/// A persistent grid: each program takes every num_programs-th row, however many programs there are.
void persistent_rows(const BlockSpec &s, View x, View y, View visits) {
  grid(persistent());
  auto [rows, cols] = x.sizes<2>();
  for (Int r : range(program_id(0), rows, num_programs(0))) {
    Tile c = arange(s.block);
    store(y(r), sum(load(x(r, c))));
    atomic_add(visits(0), 1);
  }
}

TEST(Control, PersistentGrid) {
  check({{"persistent",
          persistent_rows,
          BlockSpec{64},
          {numbers(f32, {37, 50}, 1), output(f32, {37}), integers(i32, {1}, 0, 0, 1)}}});
}

constexpr int kLineOfTheAssert = __LINE__ + 4;
void guarded(const NoSpec &, View x, View y) {
  grid(1);
  Tile i = arange(64), v = load(x(i));
  device_assert(v < x.size(0) + 36, "{0} is not below {1}", {v, x.size(0) + 36});
  store(y(i), v);
}

TEST(Control, DeviceAssert) {
  Argument fine = integers(i32, {64}, 0, 99, 1), wrong = fine;
  wrong.set(17, 100);
  check({{"assert that holds", guarded, NoSpec{}, {fine, output(i32, {64})}}});
  for (Device device : {Device::interp(), Device::sim()})
    for (int warps : {1, 4}) {
      Argument y = output(i32, {64});
      try {
        jit(guarded, {.num_warps = warps})(device, NoSpec{}, wrong.tensor(), y.tensor());
        ADD_FAILURE() << device.name() << ": nothing was thrown";
      } catch (const DeviceError &e) {
        std::string text = e.what();
        EXPECT_NE(text.find("assertion failed: 100 is not below 100"), std::string::npos) << text;
        EXPECT_NE(text.find(fmt::format("control_test.cpp:{}", kLineOfTheAssert)), std::string::npos) << text;
      }
    }
}

/// An integer division by zero is the author's mistake: interpreter and checked simulator find it. It stops nothing,
/// and gives what a GPU gives.
constexpr int kLineOfTheDivision = __LINE__ + 4;
void divide(const NoSpec &, View x, View y, View z) {
  grid(1);
  Tile i = arange(64);
  store(z(i), load(x(i)) / load(y(i)));
}

TEST(Control, DivisionByZero) {
  for (DType t : {u8, i32, i64})
    for (Device device : {Device::interp(), Device::sim()}) {
      Argument x = integers(t, {64}, 1, 9, 1), y = integers(t, {64}, 1, 9, 2), z = output(t, {64});
      y.set(5, 0);
      try {
        jit(divide)(device, NoSpec{}, x.tensor(), y.tensor(), z.tensor());
        ADD_FAILURE() << device.name() << ": nothing was thrown";
      } catch (const DeviceError &e) {
        std::string text = e.what(), what = fmt::format("integer division of {} by zero", number(t, x.bits(5)));
        EXPECT_NE(text.find(what), std::string::npos) << text;
        EXPECT_NE(text.find(fmt::format("control_test.cpp:{}", kLineOfTheDivision)), std::string::npos) << text;
      }
      EXPECT_EQ(number(t, z.bits(5)), t == u8 ? 255 : t == i32 ? -1 : 4294967295.0) << device.name();
      EXPECT_EQ(number(t, z.bits(6)), static_cast<int>(number(t, x.bits(6))) / static_cast<int>(number(t, y.bits(6))));
    }
}

// ---- the two kernels that the design sketches

void weighted_swiglu(const BlockSpec &s, View x, View w, View y) {
  auto [T, H] = y.sizes<2>();
  x.expect({T, 2 * H});
  w.expect({T, 1});
  grid(T, cdiv(H, s.block));
  auto [gate, up] = x.split_cols(H);
  Int t = program_id(0);
  Tile c = program_id(1) * s.block + arange(s.block);
  Tile g = cast(load(gate(t, c)), f32), u = cast(load(up(t, c)), f32);
  store(y(t, c), cast(g * sigmoid(g) * u * cast(load(w(t, 0)), f32), y.dtype()));
}

TEST(Control, SketchOfSwiglu) {
  std::vector<Case> cases;
  for (DType t : {bf16, f16, f32}) {
    Argument y = output(t, {5, 300}, Compare::bounded);
    // The sigmoid's bound, or a unit of the narrow dtype where that is more.
    y.tolerance = [t](double want, size_t) {
      return std::abs(want) * (t == bf16 ? 0x1p-7 : t == f16 ? 0x1p-10 : 0x1p-19) + (t == f16 ? 0x1p-24 : 0);
    };
    cases.push_back({fmt::format("swiglu {}", name(t)),
                     weighted_swiglu,
                     BlockSpec{128},
                     {numbers(t, {5, 600}, 1), numbers(f32, {5, 1}, 2), y}});
  }
  check(cases);
}

/// The first `need` zeros of each column become 1: values are compared, and live on behind masked loads and a scan.
void fill_zeros(const NoSpec &, View x, View y, Int need) {
  auto [rows, cols] = x.sizes<2>();
  grid(cdiv(cols, 8));
  Tile c = program_id(0) * 8 + arange(8), left = full({8}, need, i32);
  for (Int i : range(0, rows, 64)) {
    Tile r = expand_dims(i + arange(64), 1), v = load(x(r, c)), free = cast(!(v != 0), i32), rank = cumsum(free, 0);
    store(y(r, c), where((free != 0) & (rank <= left), cast(full({64, 8}, 1, i32), v.dtype()), v));
    left = left - sum(free, 0);
  }
}

TEST(Control, ComparedValuesLiveOn) {
  std::vector<Case> cases;
  for (DType t : {bf16, f16, f32, i8})
    cases.push_back({fmt::format("fill zeros {}", name(t)),
                     fill_zeros,
                     NoSpec{},
                     {special(t, {150, 6}, 1), output(t, {150, 6}), value(3)}});
  check(cases);
}

struct GroupedMmSpec {
  int experts = 5, n = 70, k = 40, bm = 32, bn = 32, bk = 16;
  static void fields(auto &s, auto &&f) {
    f("experts", s.experts), f("n", s.n), f("k", s.k), f("bm", s.bm), f("bn", s.bn), f("bk", s.bk);
  }
};
void grouped_mm(const GroupedMmSpec &s, View a, View b, View c, View ends) {
  grid(persistent());
  auto [x, live] = lanes(s.experts);
  Tile last = load(ends(x), live), first = load(ends(x - 1), live & (x > 0));
  Tile upto = cumsum(cdiv(last - first, s.bm)) * cdiv(s.n, s.bn);
  for (Int i : range(program_id(0), max(upto), num_programs(0))) {
    Tile done = upto <= i;
    Int e = sum(cast(done, i32)), j = i - max(where(done, upto, 0));
    Int begin = max(where(x == e, first, 0)), end = load(ends(e));
    Int row = begin + j / cdiv(s.n, s.bn) * s.bm, col = j % cdiv(s.n, s.bn) * s.bn;
    Tile acc = zeros({s.bm, s.bn}, f32);
    for (Int k : range(0, s.k, s.bk))
      acc = dot(load(a.rows_before(end).tile({row, k}, {s.bm, s.bk})),
                trans(load(b.at(e).tile({col, k}, {s.bn, s.bk}))), acc);
    store(c.rows_before(end).tile({row, col}, {s.bm, s.bn}), cast(acc, c.dtype()));
  }
}

TEST(Control, SketchOfGroupedMm) {
  std::vector<Case> cases;
  std::vector<Schedule> schedules;
  for (int stages : {1, 2, 3}) schedules.push_back({.num_warps = stages == 3 ? 4 : 2 * stages, .num_stages = stages});
  for (DType t : {f32, bf16}) {
    Argument c = output(f32, {90, 70}, t == f32 ? Compare::bits : Compare::bounded);
    c.tolerance = [](double, size_t) { return 40 * 0x1p-23 * 40 * 4; }; // |a| and |b| are below 2
    cases.push_back({fmt::format("grouped_mm {}", name(t)),
                     grouped_mm,
                     GroupedMmSpec{},
                     {numbers(t, {90, 40}, 1), numbers(t, {5, 70, 40}, 2), c, from(i32, {5}, {33, 33, 40, 85, 90})},
                     schedules});
  }
  check(cases);
}

// ---- products, reductions and carried tiles of one another's layouts in one loop

struct AttentionSpec {
  int rows = 32, cols = 32, depth = 16;
  static void fields(auto &s, auto &&f) { f("rows", s.rows), f("cols", s.cols), f("depth", s.depth); }
};
/// Attention with 1/(1 + m - x) in the place of e^(x - m), which is exact to the bit.
void attention(const AttentionSpec &s, View q, View k, View v, View y, View norms) {
  auto [T, D] = q.sizes<2>();
  Int N = k.size(0);
  grid(cdiv(T, s.rows));
  Int t = program_id(0) * s.rows;
  Tile queries = load(q.tile({t, 0}, {s.rows, s.depth}));
  Tile greatest = full({s.rows}, -1e30, f32), total = zeros({s.rows}, f32), acc = zeros({s.rows, s.depth}, f32);
  for (Int n : range(0, N, s.cols)) {
    Tile x = dot(queries, trans(load(k.tile({n, 0}, {s.cols, s.depth}))));
    x = where(n + arange(s.cols) < N, x, -1e30);
    Tile m = maximum(greatest, max(x, 1));
    Tile p = 1 / (1 + expand_dims(m, 1) - x), scale = 1 / (1 + m - greatest);
    total = total * scale + sum(p, 1);
    acc = dot(cast(p, v.dtype()), load(v.tile({n, 0}, {s.cols, s.depth})), acc * expand_dims(scale, 1));
    greatest = m;
  }
  store(y.tile({t, 0}, {s.rows, s.depth}), cast(acc / expand_dims(total, 1), y.dtype()));
  store(norms(t + arange(s.rows)), total);
}

TEST(Control, Attention) {
  std::vector<Case> cases;
  std::vector<Schedule> schedules;
  for (int stages : {1, 2, 3})
    for (int n : {1 << stages, 8 >> stages}) schedules.push_back({.num_warps = n, .num_stages = stages});
  for (AttentionSpec s : {AttentionSpec{}, AttentionSpec{16, 64, 32}})
    for (DType t : {f32, f16}) {
      Dims rows{50, s.depth}, keys{70, s.depth};
      Argument y = output(f32, rows, t == f32 ? Compare::bits : Compare::bounded), norms = output(f32, {50}, y.compare);
      y.tolerance = [](double, size_t) {
        return 0x1p-9;
      }; // p is rounded to f16, whose last place a sum's order may change
      norms.tolerance = [](double want, size_t) { return want * 0x1p-16; };
      cases.push_back({fmt::format("attention {} {}", name(t), spec_text(s)),
                       attention,
                       s,
                       {numbers(t, rows, 1), numbers(t, keys, 2), numbers(t, keys, 3), y, norms},
                       schedules});
    }
  check(cases);
}

} // namespace
} // namespace moec::ops
