// tilegpu as one program sees it: buffers, copies that arrive when waited for, layouts that mean nothing.
#include "test/unit/interp/dtype.h"

using namespace moec;

namespace {

const std::string kTypes = R"(
#l = #tilegpu.blocked<size = [1, 1], threads = [4, 8], warps = [1, 1], order = [1, 0]>
#k = #tilegpu.blocked<size = [2, 2], threads = [8, 4], warps = [1, 1], order = [0, 1]>
#s = #tilegpu.swizzled<vec = 1, per_phase = 1, max_phase = 1, order = [1, 0]>
!p = !tile.ptr<i32>
!t = tensor<4x2xi32, #l>
!u = tensor<2x4xi32, #k>
!b = !tilegpu.buffer<[4, 2] x i32, stages = 2, #s>
)";

const std::string kOffsets = R"(
  %0 = arith.constant 0 : i32
  %1 = arith.constant 1 : i32
  %2 = arith.constant 2 : i32
  %lane = tile.arange 0 : tensor<8xi32>
  %o = tile.reshape %lane : tensor<8xi32> -> !t
  %q = tile.reshape %lane : tensor<8xi32> -> !u
)";

std::string kernel(const std::string &body) {
  return kTypes + "tile.kernel @k(%x: !p, %y: !p) {" + kOffsets + body + "\n  tile.return\n}\n";
}

std::vector<int32_t> run(const std::string &body, const std::string &diagnostics = "") {
  std::vector<int32_t> x = {10, 11, 12, 13, 14, 15, 16, 17}, y(8, -1);
  EXPECT_EQ(Launch().pointer(x).pointer(y).run(kernel(body)).diagnostics, diagnostics);
  return y;
}

TEST(gpu, convert_layout_changes_nothing) {
  EXPECT_EQ(run(R"(
  %e = tile.load %x[%o : !t] : !p -> !t
  %c = tilegpu.convert_layout %e : !t -> tensor<4x2xi32, #k>
  %d = tilegpu.convert_layout %c : tensor<4x2xi32, #k> -> !t
  tile.store %y[%o : !t], %d : !t : !p)"),
            (std::vector<int32_t>{10, 11, 12, 13, 14, 15, 16, 17}));
}

TEST(gpu, buffers_hold_tiles_and_load_transposed) {
  const char *body = R"(
  %e = tile.load %x[%o : !t] : !p -> !t
  %b = tilegpu.alloc : !b
  tilegpu.local_store %o, %b[%0] : !t, !b
  tilegpu.local_store %e, %b[%1] : !t, !b
  tilegpu.barrier
  %d = tilegpu.local_load %b[%1] trans : !b -> !u
  tile.store %y[%q : !u], %d : !u : !p)";
  EXPECT_EQ(run(body), (std::vector<int32_t>{10, 12, 14, 16, 11, 13, 15, 17}));
}

const std::string kCopies = R"(
  %b = tilegpu.alloc : !b
  %mask = arith.cmpi ne, %o, %q2 : !t
  tilegpu.async_copy %x[%o : !t] to %b[%0], mask %mask : tensor<4x2xi1, #l> : !p, !b
  tilegpu.async_commit
  tilegpu.async_copy %x[%o : !t] to %b[%1] : !p, !b
  tilegpu.async_commit
)";

std::string copies(const std::string &rest) { return "%q2 = arith.constant dense<3> : !t\n" + kCopies + rest; }

TEST(gpu, copies_arrive_group_by_group) {
  EXPECT_EQ(run(copies(R"(
  tilegpu.async_wait 1
  %d = tilegpu.local_load %b[%0] : !b -> !t
  tile.store %y[%o : !t], %d : !t : !p)")),
            (std::vector<int32_t>{10, 11, 12, 0, 14, 15, 16, 17}));
  EXPECT_EQ(run(copies(R"(
  tilegpu.async_wait 0
  %d = tilegpu.local_load %b[%1] : !b -> !t
  tile.store %y[%o : !t], %d : !t : !p)")),
            (std::vector<int32_t>{10, 11, 12, 13, 14, 15, 16, 17}));
}

TEST(gpu, a_copy_that_nobody_waited_for_is_found) {
  EXPECT_EQ(run(copies("tilegpu.async_wait 1\n  %d = tilegpu.local_load %b[%1] : !b -> !t"),
                "error\tsource.mlir\t25\t8\tshared memory is read before anything is stored in it\n"),
            std::vector<int32_t>(8, -1));
}

TEST(gpu, stages_are_checked) {
  run("%b = tilegpu.alloc : !b\n  tilegpu.local_store %o, %b[%2] : !t, !b",
      "error\tsource.mlir\t17\t3\tstage 2 is outside 0..2 of the buffer\n");
}

} // namespace
