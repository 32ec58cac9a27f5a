// Loads and stores of every dtype, vectorized or not, masked at every kind of edge; gathers; shape ops; control flow
// around them.
#include "test/unit/lower/assigned.h"

#include <gtest/gtest.h>

namespace moec::compiler {
namespace {

std::vector<Memory> memoriesOf(const std::string &element, int64_t in, int64_t out) {
  std::mt19937 rng(3);
  std::vector<Memory> memories{{element, in}, {element, out}};
  fillBits(memories[0], rng);
  return memories;
}

std::string one(const std::string &element) {
  if (element == "i1") return "true";
  return element[0] == 'i' ? "7 : " + element : "1.5 : " + element;
}

class MaskedCopy : public testing::TestWithParam<std::string> {};

TEST_P(MaskedCopy, EveryBound) {
  const std::string &t = GetParam();
  for (int bound : {0, 1, 500, 504, 1003, 1024})
    for (const char *p : {"ult", "sge"}) {
      std::string text = fmt::format(R"(tile.kernel @k(%x: !tile.ptr<{0}, 16>, %y: !tile.ptr<{0}, 16>) {{
  %i = tile.arange 0 : tensor<1024xi32>
  %b = arith.constant dense<{1}> : tensor<1024xi32>
  %m = arith.cmpi {2}, %i, %b : tensor<1024xi32>
  %z = arith.constant {3}
  %v = tile.load %x[%i : tensor<1024xi32>], mask %m : tensor<1024xi1>, other %z : {0} : !tile.ptr<{0}, 16> -> tensor<1024x{0}>
  tile.store %y[%i : tensor<1024xi32>], %v : tensor<1024x{0}> : !tile.ptr<{0}, 16>
  tile.store %x[%i : tensor<1024xi32>], %v : tensor<1024x{0}>, mask %m : tensor<1024xi1> : !tile.ptr<{0}, 16>
  tile.return
}}
)",
                                     t, bound, p, one(t));
      EXPECT_EQ(runAssigned(text, 2, memoriesOf(t, 1024, 1024)), "") << bound << p;
    }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, MaskedCopy,
                         testing::Values("i1", "i8", "i32", "i64", "f16", "bf16", "f32", "f64", "f8E4M3FN", "f8E5M2"),
                         [](auto &info) { return info.param; });

TEST(Gather, ByComputedIndex) {
  const char *indices[] = {
      "%c = arith.constant dense<3> : tensor<256xi32>\n  %w = arith.constant dense<255> : tensor<256xi32>\n"
      "  %p = arith.muli %i, %c : tensor<256xi32>\n  %o = arith.andi %p, %w : tensor<256xi32>",
      "%c = arith.constant dense<1> : tensor<256xi32>\n  %o = arith.shrui %i, %c : tensor<256xi32>",
      "%c = arith.constant dense<255> : tensor<256xi32>\n  %o = arith.subi %c, %i : tensor<256xi32>",
      "%c = arith.constant dense<16> : tensor<256xi32>\n  %o = arith.remsi %i, %c : tensor<256xi32>",
      "%c = arith.constant dense<9> : tensor<256xi32>\n  %o = arith.xori %i, %c : tensor<256xi32>",
      "%c = arith.extsi %i : tensor<256xi32> to tensor<256xi64>\n  %k = arith.constant dense<2> : tensor<256xi64>\n"
      "  %h = arith.shrui %c, %k : tensor<256xi64>\n  %o1 = arith.muli %h, %k : tensor<256xi64>\n  %o = arith.trunci "
      "%o1 : tensor<256xi64> to tensor<256xi32>"};
  for (const char *index : indices)
    for (const char *t : {"i8", "bf16", "f32", "f64"}) {
      std::string text = fmt::format(
          "tile.kernel @k(%x: !tile.ptr<{0}, 16>, %y: !tile.ptr<{0}, 16>) {{\n  %i = tile.arange 0 : tensor<256xi32>\n "
          " {1}\n"
          "  %v = tile.load %x[%o : tensor<256xi32>] : !tile.ptr<{0}, 16> -> tensor<256x{0}>\n"
          "  tile.store %y[%i : tensor<256xi32>], %v : tensor<256x{0}> : !tile.ptr<{0}, 16>\n  tile.return\n}}\n",
          t, index);
      EXPECT_EQ(runAssigned(text, 1, memoriesOf(t, 256, 256)), "");
    }
}

TEST(Gather, WindowThatStartsBeforeTheArray) {
  std::string text = R"(tile.kernel @k(%x: !tile.ptr<f32, 16>, %y: !tile.ptr<f32, 16>) {
  %i = tile.arange 0 : tensor<512xi32>
  %c = arith.constant dense<5> : tensor<512xi32>
  %o = arith.subi %i, %c : tensor<512xi32>
  %n = arith.constant dense<512> : tensor<512xi32>
  %m = arith.cmpi ult, %o, %n : tensor<512xi32>
  %v = tile.load %x[%o : tensor<512xi32>], mask %m : tensor<512xi1> : !tile.ptr<f32, 16> -> tensor<512xf32>
  tile.store %y[%i : tensor<512xi32>], %v : tensor<512xf32> : !tile.ptr<f32, 16>
  tile.return
}
)";
  EXPECT_EQ(runAssigned(text, 2, memoriesOf("f32", 512, 512)), "");
}

TEST(Wide, RowsByStrideAndColumns) {
  std::string text = R"(tile.kernel @k(%x: !tile.ptr<bf16, 16>, %y: !tile.ptr<bf16, 16>) {
  %stride = arith.constant 72 : i64
  %r = tile.arange 0 : tensor<32xi32>
  %r64 = arith.extsi %r : tensor<32xi32> to tensor<32xi64>
  %s = tile.splat %stride : i64 -> tensor<32xi64>
  %ro = arith.muli %r64, %s : tensor<32xi64>
  %r1 = tile.expand_dims %ro, 1 : tensor<32xi64> -> tensor<32x1xi64>
  %rb = tile.broadcast %r1 : tensor<32x1xi64> -> tensor<32x64xi64>
  %c = tile.arange 0 : tensor<64xi32>
  %c64 = arith.extsi %c : tensor<64xi32> to tensor<64xi64>
  %c1 = tile.expand_dims %c64, 0 : tensor<64xi64> -> tensor<1x64xi64>
  %cb = tile.broadcast %c1 : tensor<1x64xi64> -> tensor<32x64xi64>
  %o = arith.addi %rb, %cb : tensor<32x64xi64>
  %v = tile.load %x[%o : tensor<32x64xi64>] : !tile.ptr<bf16, 16> -> tensor<32x64xbf16>
  tile.store %y[%o : tensor<32x64xi64>], %v : tensor<32x64xbf16> : !tile.ptr<bf16, 16>
  tile.return
}
)";
  EXPECT_EQ(runAssigned(text, 4, memoriesOf("bf16", 32 * 72, 32 * 72)), "");
}

TEST(Shapes, BroadcastOfRowsAndColumns) {
  for (auto [m, n] : {std::pair{16, 64}, {64, 16}, {8, 8}, {4, 256}, {1, 32}})
    for (int warps : {1, 4}) {
      std::string text = fmt::format(R"(tile.kernel @k(%x: !tile.ptr<f32, 16>, %y: !tile.ptr<f32, 16>) {{
  %r = tile.arange 0 : tensor<{0}xi32>
  %c = tile.arange 0 : tensor<{1}xi32>
  %xr = tile.load %x[%r : tensor<{0}xi32>] : !tile.ptr<f32, 16> -> tensor<{0}xf32>
  %xc = tile.load %x[%c : tensor<{1}xi32>] : !tile.ptr<f32, 16> -> tensor<{1}xf32>
  %r1 = tile.expand_dims %r, 1 : tensor<{0}xi32> -> tensor<{0}x1xi32>
  %c1 = tile.expand_dims %c, 0 : tensor<{1}xi32> -> tensor<1x{1}xi32>
  %xr1 = tile.expand_dims %xr, 1 : tensor<{0}xf32> -> tensor<{0}x1xf32>
  %xc1 = tile.expand_dims %xc, 0 : tensor<{1}xf32> -> tensor<1x{1}xf32>
  %rb = tile.broadcast %r1 : tensor<{0}x1xi32> -> tensor<{0}x{1}xi32>
  %cb = tile.broadcast %c1 : tensor<1x{1}xi32> -> tensor<{0}x{1}xi32>
  %xrb = tile.broadcast %xr1 : tensor<{0}x1xf32> -> tensor<{0}x{1}xf32>
  %xcb = tile.broadcast %xc1 : tensor<1x{1}xf32> -> tensor<{0}x{1}xf32>
  %s = arith.subf %xrb, %xcb : tensor<{0}x{1}xf32>
  %nn = arith.constant dense<{1}> : tensor<{0}x{1}xi32>
  %ro = arith.muli %rb, %nn : tensor<{0}x{1}xi32>
  %o = arith.addi %ro, %cb : tensor<{0}x{1}xi32>
  tile.store %y[%o : tensor<{0}x{1}xi32>], %s : tensor<{0}x{1}xf32> : !tile.ptr<f32, 16>
  tile.return
}}
)",
                                     m, n);
      EXPECT_EQ(runAssigned(text, warps, memoriesOf("f32", std::max(m, n), m * n)), "") << m << "x" << n;
    }
}

TEST(Shapes, Transposed) {
  for (auto [m, n] : {std::pair{16, 64}, {64, 16}, {8, 8}, {4, 256}}) {
    std::string text = fmt::format(R"(tile.kernel @k(%x: !tile.ptr<bf16, 16>, %y: !tile.ptr<bf16, 16>) {{
  %i = tile.arange 0 : tensor<{2}xi32>
  %ii = tile.reshape %i : tensor<{2}xi32> -> tensor<{0}x{1}xi32>
  %v = tile.load %x[%ii : tensor<{0}x{1}xi32>] : !tile.ptr<bf16, 16> -> tensor<{0}x{1}xbf16>
  %t = tile.trans %v, [1, 0] : tensor<{0}x{1}xbf16> -> tensor<{1}x{0}xbf16>
  %io = tile.reshape %i : tensor<{2}xi32> -> tensor<{1}x{0}xi32>
  tile.store %y[%io : tensor<{1}x{0}xi32>], %t : tensor<{1}x{0}xbf16> : !tile.ptr<bf16, 16>
  tile.return
}}
)",
                                   m, n, m * n);
    EXPECT_EQ(runAssigned(text, 2, memoriesOf("bf16", m * n, m * n)), "") << m << "x" << n;
  }
}

// A loop with unknown bounds, a branch in it and a loop on a condition after it; tiles and scalars are carried through
// all of them.
TEST(Control, LoopsAndBranches) {
  std::string text = R"(tile.kernel @k(%x: !tile.ptr<i32, 16>, %y: !tile.ptr<i32, 16>) {
  %i = tile.arange 0 : tensor<256xi32>
  %v = tile.load %x[%i : tensor<256xi32>] : !tile.ptr<i32, 16> -> tensor<256xi32>
  %c0 = arith.constant 0 : i32
  %n0 = tile.load %x[%c0 : i32] : !tile.ptr<i32, 16> -> i32
  %seven = arith.constant 7 : i32
  %n = arith.andi %n0, %seven : i32
  %n5 = arith.addi %n, %seven : i32
  %two = arith.constant 2 : i32
  %a, %s = scf.for %k = %n to %n5 step %two iter_args(%acc = %v, %q = %n) -> (tensor<256xi32>, i32) : i32 {
    %ks = tile.splat %k : i32 -> tensor<256xi32>
    %b = arith.muli %acc, %ks : tensor<256xi32>
    %b2 = arith.addi %b, %i : tensor<256xi32>
    %odd = arith.andi %k, %two : i32
    %p = arith.cmpi ne, %odd, %c0 : i32
    %w = scf.if %p -> (tensor<256xi32>) {
      %t = arith.subi %b2, %ks : tensor<256xi32>
      scf.yield %t : tensor<256xi32>
    } else {
      scf.yield %b2 : tensor<256xi32>
    }
    %q2 = arith.addi %q, %k : i32
    scf.yield %w, %q2 : tensor<256xi32>, i32
  }
  %hundred = arith.constant 100 : i32
  %wa, %wq = scf.while (%x1 = %a, %x2 = %s) : (tensor<256xi32>, i32) -> (tensor<256xi32>, i32) {
    %go = arith.cmpi slt, %x2, %hundred : i32
    scf.condition(%go) %x1, %x2 : tensor<256xi32>, i32
  } do {
  ^bb0(%z1: tensor<256xi32>, %z2: i32):
    %u = arith.addi %z1, %i : tensor<256xi32>
    %d = arith.addi %z2, %seven : i32
    scf.yield %u, %d : tensor<256xi32>, i32
  }
  %ws = tile.splat %wq : i32 -> tensor<256xi32>
  %f = arith.addi %wa, %ws : tensor<256xi32>
  tile.store %y[%i : tensor<256xi32>], %f : tensor<256xi32> : !tile.ptr<i32, 16>
  tile.return
}
)";
  EXPECT_EQ(runAssigned(text, 2, memoriesOf("i32", 256, 256)), "");
}

TEST(Control, CarriedOffsets) {
  std::string text = R"(tile.kernel @k(%x: !tile.ptr<f32, 16>, %y: !tile.ptr<f32, 16>) {
  %i = tile.arange 0 : tensor<256xi32>
  %c0 = arith.constant 0 : i32
  %c4 = arith.constant 4 : i32
  %c1 = arith.constant 1 : i32
  %step = arith.constant dense<256> : tensor<256xi32>
  %z = arith.constant dense<0.0> : tensor<256xf32>
  %a, %o = scf.for %k = %c0 to %c4 step %c1 iter_args(%acc = %z, %off = %i) -> (tensor<256xf32>, tensor<256xi32>) : i32 {
    %v = tile.load %x[%off : tensor<256xi32>] : !tile.ptr<f32, 16> -> tensor<256xf32>
    %s = arith.addf %acc, %v : tensor<256xf32>
    %o2 = arith.addi %off, %step : tensor<256xi32>
    scf.yield %s, %o2 : tensor<256xf32>, tensor<256xi32>
  }
  tile.store %y[%i : tensor<256xi32>], %a : tensor<256xf32> : !tile.ptr<f32, 16>
  tile.return
}
)";
  EXPECT_EQ(runAssigned(text, 2, memoriesOf("f32", 1024, 256)), "");
}

} // namespace
} // namespace moec::compiler
