// Loads, stores and atomics: views of every kind of strides, sub-views, masks, pointers; every dtype, bits unchanged.
#include "test/unit/ops/differential.h"

#include <fmt/format.h>
#include <sys/mman.h>

namespace moec::ops {
namespace {

void by_index(const NoSpec &, View x, View y) {
  auto [rows, cols] = y.sizes<2>();
  grid(cdiv(rows, 4), cdiv(cols, 64));
  Tile r = expand_dims(program_id(0) * 4 + arange(4), 1), c = program_id(1) * 64 + arange(64);
  store(y(r, c), load(x(r, c)));
}
void by_block(const NoSpec &, View x, View y) {
  auto [rows, cols] = y.sizes<2>();
  grid(cdiv(rows, 8), cdiv(cols, 32));
  Int r = program_id(0) * 8, c = program_id(1) * 32;
  store(y.tile({r, c}, {8, 32}), load(x.tile({r, c}, {8, 32})));
}

TEST(Memory, EveryLayoutOfTensors) {
  const Lay lays[] = {Lay::contiguous, Lay::rows, Lay::transposed, Lay::unaligned, Lay::every_second};
  std::vector<Case> cases;
  int k = 0;
  for (DType t : kDTypes)
    for (size_t from = 0; from < std::size(lays); ++from) {
      const Lay to = lays[(from + static_cast<size_t>(k)) % std::size(lays)];
      Dims shape = k % 3 ? Dims{13, 131} : Dims{16, 128};
      cases.push_back({fmt::format("copy {} {} {}", name(t), from, static_cast<int>(to)),
                       k % 2 ? by_index : by_block,
                       NoSpec{},
                       {special(t, shape, 1, lays[from]), output(t, shape, Compare::bits, to)},
                       warps({1 << k % 4})});
      ++k;
    }
  check(cases);
}

void row(const ShapeSpec &s, View x, View y) {
  grid(cdiv(x.size(0), s.a));
  Tile i = program_id(0) * s.a + arange(s.a);
  store(y(i), load(x(i)));
}

TEST(Memory, BlocksOfAllSizes) { // from one element to many per thread
  std::vector<Case> cases;
  int k = 0;
  for (DType t : {u8, bf16, f32, i64})
    for (int block : {1, 4, 32, 256, 1024, 4096})
      for (int n : {1, 4096, 5001})
        if (n / block < 300) {
          cases.push_back({fmt::format("row {} block {} of {}", name(t), block, n),
                           row,
                           ShapeSpec{block},
                           {special(t, {n}, 1), output(t, {n})},
                           warps({block > 1024 ? 8 : 1 << k % 4})});
          ++k;
        }
  check(cases);
}

/// Masks, others and sub-views, of elements and blocks; raw pointers.
void accesses(const NoSpec &, View x, View mask, Pointer p, View y, Pointer q, Int rows, Int base) {
  grid(1);
  const DType t = x.dtype();
  Tile i = arange(32), m = load(mask(i)), r = expand_dims(arange(8), 1), other = cast(1, t);
  store(y.at(0)(r, i), load(x(r, i), m));
  store(y.at(1)(r, i), load(x(r, i), m, other), m);
  store(y.at(2)(r, i), load(x.rows_before(rows)(r, i), expand_dims(arange(8), 1) != 2, other));
  store(y.at(3)(r, i), load(x.rows_from(rows).tile({0, 0}, {8, 32}), other));
  auto [left, right] = x.split_cols(rows * 4);
  store(y.at(4)(r, i), load(right(r, i)));
  store(y.at(5)(r, i), load(left.tile({1, 2}, {8, 32})));
  store(y.at(6).slice(1, 3, 29).rows(1, rows)(r, i), load(x.cols(base, 30)(r, i), true, other));
  store(y.at(7)(r, i), load(x(r - 2, i + base)));
  store(y.at(8).cols_from(5).tile({0, 0}, {8, 16}), load(x.cols_before(9).tile({0, 0}, {8, 16}), other));
  store(q[i], load(p[i * 3 + base], m), m);
  store((q + 40)[i], load((p + base)[i], !m, other));
  store(q[80 + rows], load(p[base]));
  store(q[100], load(p[1], base > 0, other), base < 0);
  store(q[101], load(p[1], base < 0, other), base > 0);
}

TEST(Memory, MasksSubviewsPointers) {
  std::vector<Case> cases;
  int k = 0;
  for (DType t : kDTypes)
    for (Lay lay : {Lay::contiguous, Lay::unaligned, Lay::rows}) {
      cases.push_back({fmt::format("accesses {} {}", name(t), static_cast<int>(lay)),
                       accesses,
                       NoSpec{},
                       {special(t, {7, 31}, 1, lay), special(boolean, {32}, 2), special(t, {200}, 3),
                        output(t, {9, 8, 32}, Compare::bits, lay), output(t, {128}), value(5), value(3)},
                       warps({1 << k++ % 4})});
    }
  check(cases);
}

/// Rows chosen by a loaded index, of i32 or i64; -1 is none.
void gather(const NoSpec &, View x, View rows, View y) {
  auto [R, H] = y.sizes<2>();
  grid(cdiv(R, 8));
  Tile r = program_id(0) * 8 + arange(8), from = load(rows(r), r < R, -1), c = arange(64);
  Tile f = expand_dims(from, 1);
  store(y(expand_dims(r, 1), c), load(x(f, cast(c, f.dtype())), (f >= 0) & (cast(c, f.dtype()) < cast(H, f.dtype()))));
}

TEST(Memory, Gather) {
  std::vector<Case> cases;
  for (DType index : {i32, i64})
    for (DType t : {i8, f16, f32, f64})
      cases.push_back({fmt::format("gather {} by {}", name(t), name(index)),
                       gather,
                       NoSpec{},
                       {special(t, {11, 50}, 1, Lay::rows), integers(index, {21}, -1, 10, 2), output(t, {21, 50})},
                       warps({2, 8})});
  check(cases);
}

/// Offsets beyond 31 bits: rows 4 GiB apart in memory that is there only where it is touched.
void far_rows(const NoSpec &, View x, View rows, View y) {
  grid(1);
  Tile c = arange(64), r = expand_dims(arange(4), 1), from = expand_dims(load(rows(arange(4))), 1);
  store(x.tile({0, 32}, {4, 32}), load(x.tile({0, 0}, {4, 32})) + 1);
  barrier();
  store(y(r, c), load(x(cast(from, i64), cast(c, i64))));
  barrier();
  atomic_add(x.at(3)(c), cast(c, x.dtype()));
  barrier();
  store(y(r + 4, c), load(x.rows_from(1)(r, c)));
}

TEST(Memory, FarRows) {
  const int64_t stride = int64_t{1} << 30;
  std::vector<std::vector<float>> results;
  for (Device device : {Device::interp(), Device::sim()}) {
    const size_t bytes = static_cast<size_t>(4 * stride * 4);
    void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    Tensor x = Tensor::lend(memory, {4, 64}, f32, Device::host(), {stride, 1}, [=] { munmap(memory, bytes); }),
           y = Tensor::zeros({8, 64}, f32);
    for (int64_t r = 0; r < 4; ++r)
      for (int64_t c = 0; c < 64; ++c) static_cast<float *>(memory)[r * stride + c] = static_cast<float>(100 * r + c);
    jit(far_rows, {.num_warps = 2})(device, NoSpec{}, x, Tensor::from(std::vector<int32_t>{3, 0, 2, 1}, {4}), y);
    results.push_back(y.to_vector<float>());
    EXPECT_EQ(results.back()[0], 300);
    EXPECT_EQ(results.back()[32], 301); // row 3, written by the block
    EXPECT_EQ(results.back()[(4 + 2) * 64 + 5], 310);
  }
  EXPECT_EQ(results[0], results[1]);
}

// ---- atomics: what memory holds at the end does not depend on an order, and neither do old values at addresses of
// one's own

void atomics(const NoSpec &, View x, View m, View own, View shared, Pointer at, View old) {
  grid(3);
  Int p = program_id(0);
  const DType t = x.dtype();
  Tile i = arange(64), v = load(x(p, i)), mask = load(m(i));
  const bool half = size_bytes(t) == 2;
  store(old(0, p, i), atomic_add(own(0, p, i), v, mask));
  atomic_add(shared(0, i % 5), v);
  atomic_add(at[i & 3], v, i != 9);
  atomic_add(shared(1, p), sum(v));
  if (half) return;
  store(old(1, p, i), atomic_max(own(1, p, i), v));
  store(old(2, p, i), atomic_min(own(2, p, i), v, mask));
  store(old(3, p, i), atomic_exchange(own(3, p, i), v));
  atomic_max(shared(2, i % 3), v), atomic_min(shared(3, i % 7), v);
  atomic_max(at[4], v, mask);
  atomic_min(at[5 + i % 2], v);
  atomic_exchange(at[7], cast(5, t));
  atomic_exchange(shared(4, i % 2), cast(3, t), mask);
  if (is_float(t)) return;
  store(old(4, p, i), atomic_cas(own(4, p, i), load(x(p, i & 62)), v));
  store(old(5, p, i), atomic_cas((at + 64)[p * 64 + i], 2, v));
  atomic_cas(shared(5, p), 0, cast(p, t));
}

TEST(Memory, Atomics) {
  std::vector<Case> cases;
  for (DType t : {i32, i64, f16, bf16, f32, f64})
    for (bool wild : {false, true}) {
      // Sums of small integers are exact in any order.
      Argument x = wild && !is_float(t) ? special(t, {3, 64}, 1) : integers(t, {3, 64}, -4, 4, 1);
      Argument memory = integers(t, {6, 3, 64}, -2, 4, 3, wild ? Lay::unaligned : Lay::contiguous);
      cases.push_back({fmt::format("atomics {} {}", name(t), wild),
                       atomics,
                       NoSpec{},
                       {x, special(boolean, {64}, 2), memory, integers(t, {6, 64}, 0, 3, 4),
                        integers(t, {256}, 0, 3, 5), output(t, {6, 3, 64})},
                       wild ? warps({1, 8}) : kAllWarps});
    }
  check(cases);
}

/// max and min of floats: NaN loses, -0 is less than +0.
void float_extremes(const NoSpec &, View x, View up, View down, View exchanged, View old) {
  grid(1);
  Tile i = arange(128), v = load(x(i));
  store(old(0, i), atomic_max(up(i), v));
  store(old(1, i), atomic_min(down(i), v));
  store(old(2, i), atomic_exchange(exchanged(i), v));
  store(old(3, i), atomic_add(exchanged(i), v));
}

TEST(Memory, AtomicsOfSpecialFloats) {
  std::vector<Case> cases;
  for (DType t : {f32, f64}) {
    auto memory = [&](uint64_t seed) { return special(t, {128}, seed); };
    cases.push_back({fmt::format("extremes {}", name(t)),
                     float_extremes,
                     NoSpec{},
                     {special(t, {128}, 1), memory(2), memory(3), memory(4), output(t, {4, 128})}});
  }
  check(cases);
}

} // namespace
} // namespace moec::ops
