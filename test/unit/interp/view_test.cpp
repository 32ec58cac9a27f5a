// Views and what is accessed through them: clipping, masks, sub-views, blocks, and the mistakes that are found.
#include "test/unit/interp/dtype.h"

using namespace moec;

namespace {

std::vector<int32_t> iota(size_t n, int32_t from = 0) {
  std::vector<int32_t> v(n);
  for (size_t i = 0; i < n; ++i) v[i] = from + static_cast<int32_t>(i);
  return v;
}

const char *const kMatrix = "!tile.view<i32, sizes = [1, 1], strides = [1, 0], align = 4, wide = false>";
const char *const kVector = "!tile.view<i32, sizes = [1], strides = [0], align = 4, wide = false>";

std::string text(const std::string &arguments, const std::string &body) {
  return "!m = " + std::string(kMatrix) + "\n!v = " + kVector + "\ntile.kernel @k(" + arguments + ") {\n" + body +
         "\ntile.return\n}\n";
}

TEST(view, loads_and_stores_every_dtype_with_strides) {
  for (const Dtype &t : all_dtypes) {
    Words words = samples(t, 64, 1);
    std::vector<unsigned char> x = pack(t, words), y(32 * t.bytes(), 0xee);
    std::string type =
        std::string("!tile.view<") + t.name + ", sizes = [1, 1], strides = [1, 1], align = 1, wide = false>";
    std::string tile = std::string("tensor<8x4x") + t.name + ">", indices = "tensor<8x1xi32>, tensor<1x4xi32>";
    // x[r, c] of an 8x4 view with strides 8 and 2, transposed into y with strides 1 and 8.
    Outcome o = Launch()
                    .view(x, {8, 4}, {8, 2})
                    .view(y, {8, 4}, {1, 8})
                    .run("tile.kernel @k(%x: " + type + ", %y: " + type + R"() {
  %i = tile.arange 0 : tensor<8xi32>
  %r = tile.expand_dims %i, 1 : tensor<8xi32> -> tensor<8x1xi32>
  %j = tile.arange 0 : tensor<4xi32>
  %c = tile.expand_dims %j, 0 : tensor<4xi32> -> tensor<1x4xi32>
  %e = tile.view_load %x[%r, %c : )" +
                         indices + "] clip [false, false] : " + type + " -> " + tile +
                         "\n  tile.view_store %y[%r, %c : " + indices + "], %e : " + tile +
                         " clip [false, false] : " + type + "\n  tile.return\n}\n");
    ASSERT_EQ(o.diagnostics, "") << t.name;
    Words result = unpack(t, y);
    for (size_t r = 0; r < 8; ++r)
      for (size_t c = 0; c < 4; ++c) ASSERT_EQ(result[r + 8 * c], words[8 * r + 2 * c]) << t.name;
  }
}

TEST(view, wide_views_pass_i64_strides) {
  std::vector<int32_t> x = iota(16), y(4, -1);
  Outcome o = Launch().pointer(x).scalar(int32_t(4)).scalar(int64_t(3)).pointer(y).run(R"(
!w = !tile.view<i32, sizes = [1], strides = [1], align = 4, wide = true>
tile.kernel @k(%x: !w, %y: !tile.ptr<i32>) {
  %i = tile.arange 0 : tensor<4xi32>
  %e = tile.view_load %x[%i : tensor<4xi32>] clip [false] : !w -> tensor<4xi32>
  tile.store %y[%i : tensor<4xi32>], %e : tensor<4xi32> : !tile.ptr<i32>
  tile.return
})");
  EXPECT_EQ(o.diagnostics, "");
  EXPECT_EQ(y, (std::vector<int32_t>{0, 3, 6, 9}));
}

TEST(view, clipped_and_masked_elements_are_other_and_not_stored) {
  std::vector<int32_t> x = iota(5, 10), y(8, -1);
  Outcome o = Launch().view(x, {5}).view(y, {6}).run(text("%x: !v, %y: !v", R"(
  %i = tile.arange -1 : tensor<8xi32>
  %two = arith.constant dense<2> : tensor<8xi32>
  %mask = arith.cmpi ne, %i, %two : tensor<8xi32>
  %other = arith.constant 77 : i32
  %e = tile.view_load %x[%i : tensor<8xi32>], mask %mask : tensor<8xi1>, other %other : i32 clip [true] : !v -> tensor<8xi32>
  %j = tile.arange 0 : tensor<8xi32>
  tile.view_store %y[%j : tensor<8xi32>], %e : tensor<8xi32>, mask %mask : tensor<8xi1> clip [true] : !v)"));
  EXPECT_EQ(o.diagnostics, "");
  EXPECT_EQ(y, (std::vector<int32_t>{77, 10, 11, -1, 13, 14, -1, -1}));
}

TEST(view, scalars_and_scalar_masks) {
  std::vector<int32_t> x = iota(6), y(2, -1);
  Outcome o = Launch().view(x, {2, 3}, {3}).view(y, {2}).run(text("%x: !m, %y: !v", R"(
  %0 = arith.constant 0 : i32
  %1 = arith.constant 1 : i32
  %2 = arith.constant 2 : i64
  %no = arith.constant false
  %e = tile.view_load %x[%1, %2 : i32, i64] clip [false, false] : !m -> i32
  %f = tile.view_load %x[%1, %2 : i32, i64], mask %no : i1 clip [false, false] : !m -> i32
  tile.view_store %y[%0 : i32], %e : i32 clip [false] : !v
  tile.view_store %y[%1 : i32], %f : i32 clip [false] : !v)"));
  EXPECT_EQ(o.diagnostics, "");
  EXPECT_EQ(y, (std::vector<int32_t>{5, 0}));
}

TEST(view, an_unclipped_index_out_of_range_is_found) {
  std::vector<int32_t> x = iota(5), y(4, -1);
  std::string load = text("%x: !v, %y: !tile.ptr<i32>", R"(%i = tile.arange 3 : tensor<4xi32>
  %e = tile.view_load %x[%i : tensor<4xi32>] clip [false] : !v -> tensor<4xi32>
  %j = tile.arange 0 : tensor<4xi32>
  tile.store %y[%j : tensor<4xi32>], %e : tensor<4xi32> : !tile.ptr<i32>)");
  Outcome o = Launch().view(x, {5}).pointer(y).run(load);
  EXPECT_EQ(o.status, MOEC_USER_ERROR);
  EXPECT_EQ(o.diagnostics,
            "error\tsource.mlir\t5\t8\tindex 5 is outside 0..5 of dimension 0, at element [2] (and 1 more times)\n");
  EXPECT_EQ(y, (std::vector<int32_t>{3, 4, 0, 0}));
  // The same in a recorded kernel: the load is op 2 (kernel, arange, load), and a grid names the program.
  o = Launch().view(x, {5}).pointer(y).grid(1, 2).run(load, /*ordinal=*/true);
  EXPECT_EQ(o.diagnostics, "error\tkernel\t2\t0\tindex 5 is outside 0..5 of dimension 0, at element [2] (program 0, 0, "
                           "0) (and 3 more times)\n");
}

TEST(view, sub_views_have_their_own_bounds) {
  std::vector<int32_t> x = iota(24), y(8, -1);
  // rows 1..3 and columns 2..6 of a 4x6 matrix, then its second row, clipped to 8 lanes
  Outcome o = Launch().view(x, {4, 6}, {6}).view(y, {8}).run(text("%x: !m, %y: !v", R"(
  %1 = arith.constant 1 : i32
  %2 = arith.constant 2 : i32
  %4 = arith.constant 4 : i32
  %p = tile.subview %x[%1, %2][%2, %4] : !m -> !m
  %row = tile.view_at %p[%1 : i32] : !m -> !v
  %n = tile.dim %row, 0 : !v
  %i = tile.arange 0 : tensor<8xi32>
  %e = tile.view_load %row[%i : tensor<8xi32>] clip [true] : !v -> tensor<8xi32>
  %size = tile.splat %n : i32 -> tensor<8xi32>
  %hundred = arith.constant dense<100> : tensor<8xi32>
  %h = arith.muli %size, %hundred : tensor<8xi32>
  %s = arith.addi %e, %h : tensor<8xi32>
  tile.view_store %y[%i : tensor<8xi32>], %s : tensor<8xi32> clip [true] : !v)"));
  EXPECT_EQ(o.diagnostics, "");
  EXPECT_EQ(y, (std::vector<int32_t>{414, 415, 416, 417, 400, 400, 400, 400}));
}

TEST(view, a_wrong_sub_view_is_found_when_it_is_used) {
  std::vector<int32_t> x = iota(8), y(1, -1);
  for (bool use : {false, true}) {
    Outcome o = Launch()
                    .view(x, {8})
                    .view(y, {1})
                    .scalar(int8_t(use))
                    .run(text("%x: !v, %y: !v, %use: i1", R"(%0 = arith.constant 0 : i32
  %4 = arith.constant 4 : i32
  %5 = arith.constant 5 : i32
  %p = tile.subview %x[%4][%5] : !v -> !v
  %e = tile.view_load %p[%0 : i32], mask %use : i1 clip [false] : !v -> i32)"));
    EXPECT_EQ(o.diagnostics,
              use ? "error\tsource.mlir\t7\t8\tdimension 0 of this part of a view is 4..9, the whole has 0..8\n" : "");
  }
  std::vector<int32_t> m = iota(6);
  Outcome o = Launch().view(m, {2, 3}, {3}).run(text("%x: !m", R"(%0 = arith.constant 0 : i32
  %2 = arith.constant 2 : i32
  %row = tile.view_at %x[%2 : i32] : !m -> !v
  tile.view_store %row[%0 : i32], %0 : i32 clip [true] : !v)"));
  EXPECT_EQ(o.diagnostics, "error\tsource.mlir\t6\t10\tindex 2 is outside 0..2 of the view's first dimension\n");
  EXPECT_EQ(m, iota(6));
}

TEST(view, blocks_clip_on_every_side) {
  std::vector<int32_t> x = iota(15), y(16, -1);
  Outcome o = Launch().view(x, {3, 5}, {5}).view(y, {4, 4}, {4}).run(text("%x: !m, %y: !m", R"(
  %0 = arith.constant 0 : i32
  %r = arith.constant -1 : i32
  %c = arith.constant 3 : i64
  %other = arith.constant 7 : i32
  %b = tile.block_load %x[%r, %c : i32, i64], other %other : i32 : !m -> tensor<4x4xi32>
  tile.block_store %y[%0, %0 : i32, i32], %b : !m, tensor<4x4xi32>)"));
  EXPECT_EQ(o.diagnostics, "");
  EXPECT_EQ(y, (std::vector<int32_t>{7, 7, 7, 7, 3, 4, 7, 7, 8, 9, 7, 7, 13, 14, 7, 7}));
  o = Launch().view(x, {3, 5}, {5}).run(text("%x: !m", R"(
  %2 = arith.constant 2 : i32
  %4 = arith.constant 4 : i32
  %b = arith.constant dense<-9> : tensor<4x4xi32>
  tile.block_store %x[%2, %4 : i32, i32], %b : !m, tensor<4x4xi32>)"));
  EXPECT_EQ(o.diagnostics, "");
  std::vector<int32_t> expected = iota(15);
  expected[14] = -9;
  EXPECT_EQ(x, expected);
}

TEST(view, every_block_dtype) {
  for (const Dtype &t : all_dtypes) {
    Words words = samples(t, 16, 3);
    std::vector<unsigned char> x = pack(t, words), y(16 * t.bytes(), 0xee);
    std::string type =
        std::string("!tile.view<") + t.name + ", sizes = [1, 1], strides = [1, 0], align = 1, wide = false>";
    std::string tile = std::string("tensor<4x4x") + t.name + ">";
    Outcome o = Launch()
                    .view(x, {4, 4}, {4})
                    .view(y, {4, 4}, {4})
                    .run("tile.kernel @k(%x: " + type + ", %y: " + type + R"() {
  %0 = arith.constant 0 : i32
  %b = tile.block_load %x[%0, %0 : i32, i32] : )" +
                         type + " -> " + tile + "\n  tile.block_store %y[%0, %0 : i32, i32], %b : " + type + ", " +
                         tile + "\n  tile.return\n}\n");
    ASSERT_EQ(o.diagnostics, "");
    EXPECT_EQ(unpack(t, y), words) << t.name;
  }
}

TEST(view, atomics) {
  std::vector<int32_t> counts(3, 100), old(8, -1);
  Outcome o = Launch().view(counts, {3}).view(old, {8}).run(text("%c: !v, %old: !v", R"(
  %i = tile.arange 0 : tensor<8xi32>
  %3 = arith.constant dense<4> : tensor<8xi32>
  %bin = arith.remsi %i, %3 : tensor<8xi32>
  %one = arith.constant dense<1> : tensor<8xi32>
  %zero = arith.constant dense<0> : tensor<8xi32>
  %mask = arith.cmpi ne, %i, %zero : tensor<8xi32>
  %o = tile.view_atomic_rmw add, %c[%bin : tensor<8xi32>], %one, mask %mask : tensor<8xi1> clip [true] : !v, tensor<8xi32> -> tensor<8xi32>
  tile.view_store %old[%i : tensor<8xi32>], %o : tensor<8xi32> clip [false] : !v
  %0 = arith.constant 0 : i32
  %101 = arith.constant 101 : i32
  %102 = arith.constant 102 : i32
  %9 = arith.constant 9 : i32
  %first = tile.view_atomic_cas %c[%0 : i32], %102, %9 : !v, i32
  %second = tile.view_atomic_cas %c[%0 : i32], %101, %9 : !v, i32
  tile.view_store %old[%0 : i32], %first : i32 clip [false] : !v)"));
  EXPECT_EQ(o.diagnostics, "");
  EXPECT_EQ(counts, (std::vector<int32_t>{9, 102, 102}));
  EXPECT_EQ(old, (std::vector<int32_t>{101, 100, 100, 0, 100, 101, 101, 0}));
}

TEST(view, contracts_are_checked) {
  std::vector<int32_t> x = iota(8);
  std::string expect = text("%x: !v, %n: i32", "tile.expect %x, [%n] : !v\n%2 = arith.constant 2 : i32\ntile.grid %2");
  EXPECT_EQ(Launch().view(x, {8}).scalar(int32_t(8)).grid(2).run(expect).diagnostics, "");
  EXPECT_EQ(Launch().view(x, {8}).scalar(int32_t(7)).grid(1).run(expect).diagnostics,
            "error\tsource.mlir\t4\t1\tdimension 0 of the view has size 8, the kernel expects 7\n"
            "error\tsource.mlir\t6\t1\tthe launch has 1 programs along axis 0, the kernel says 2\n");
}

} // namespace
