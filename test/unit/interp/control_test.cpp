// The grid, loops, branches, assertions, and the entry's own errors.
#include "test/unit/interp/dtype.h"

using namespace moec;

namespace {

std::vector<int32_t> run_scalar(const std::string &body, int32_t n, size_t results = 1) {
  std::vector<int32_t> y(results, -1);
  Outcome o = Launch().pointer(y).scalar(n).run(
      "tile.kernel @k(%y: !tile.ptr<i32>, %n: i32) {\n%c0 = arith.constant 0 : i32\n%c1 = arith.constant 1 : i32\n" +
      body + "\ntile.return\n}\n");
  EXPECT_EQ(o.diagnostics, "");
  return y;
}

TEST(grid, programs_know_who_they_are) {
  std::vector<int32_t> y(2 * 3 * 4, -1);
  Outcome o = Launch().pointer(y).grid(2, 3, 4).run(R"(
tile.kernel @k(%y: !tile.ptr<i32>) {
  %c2 = arith.constant 2 : i32
  %c3 = arith.constant 3 : i32
  %c4 = arith.constant 4 : i32
  tile.grid %c2, %c3, %c4
  %x = tile.program_id 0
  %yy = tile.program_id 1
  %z = tile.program_id 2
  %nx = tile.num_programs 0
  %ny = tile.num_programs 1
  %a = arith.muli %z, %ny : i32
  %b = arith.addi %a, %yy : i32
  %c = arith.muli %b, %nx : i32
  %d = arith.addi %c, %x : i32
  tile.barrier
  tile.store %y[%d : i32], %d : i32 : !tile.ptr<i32>
  tile.return
})");
  EXPECT_EQ(o.diagnostics, "");
  for (int i = 0; i < 24; ++i) EXPECT_EQ(y[i], i);
}

TEST(grid, an_empty_grid_runs_nothing) {
  std::vector<int32_t> y(1, -1);
  Outcome o = Launch().pointer(y).grid(0).run(R"(
tile.kernel @k(%y: !tile.ptr<i32>) {
  %c0 = arith.constant 0 : i32
  tile.store %y[%c0 : i32], %c0 : i32 : !tile.ptr<i32>
  tile.return
})");
  EXPECT_EQ(o.diagnostics, "");
  EXPECT_EQ(y[0], -1);
}

TEST(loop, carries_values) {
  const char *body = R"(
  %c3 = arith.constant 3 : i32
  %sum, %last = scf.for %i = %c1 to %n step %c3 iter_args(%s = %c0, %l = %n) -> (i32, i32) : i32 {
    %t = arith.addi %s, %i : i32
    scf.yield %t, %s : i32, i32
  }
  tile.store %y[%c0 : i32], %sum : i32 : !tile.ptr<i32>
  tile.store %y[%c1 : i32], %last : i32 : !tile.ptr<i32>)";
  EXPECT_EQ(run_scalar(body, 11, 2), (std::vector<int32_t>{1 + 4 + 7 + 10, 12}));
  EXPECT_EQ(run_scalar(body, 1, 2), (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(run_scalar(body, -5, 2), (std::vector<int32_t>{0, -5}));
}

TEST(loop, does_not_wrap_around_at_the_end) {
  EXPECT_EQ(run_scalar(R"(
  %big = arith.constant 2147483646 : i32
  %end = arith.constant 2147483647 : i32
  %c2 = arith.constant 2 : i32
  %times = scf.for %i = %big to %end step %c2 iter_args(%t = %c0) -> (i32) : i32 {
    %u = arith.addi %t, %c1 : i32
    scf.yield %u : i32
  }
  tile.store %y[%c0 : i32], %times : i32 : !tile.ptr<i32>)",
                       0),
            std::vector<int32_t>{1});
}

TEST(loop, counts_in_i64_and_index) {
  EXPECT_EQ(run_scalar(R"(
  %b = arith.constant 4294967296 : i64
  %e = arith.constant 4294967301 : i64
  %s = arith.constant 2 : i64
  %times = scf.for %i = %b to %e step %s iter_args(%t = %c0) -> (i32) : i64 {
    %u = arith.addi %t, %c1 : i32
    scf.yield %u : i32
  }
  %ni = arith.index_cast %n : i32 to index
  %i0 = arith.constant 0 : index
  %i1 = arith.constant 1 : index
  %all = scf.for %i = %i0 to %ni step %i1 iter_args(%t = %times) -> (i32) {
    %u = arith.addi %t, %c1 : i32
    scf.yield %u : i32
  }
  tile.store %y[%c0 : i32], %all : i32 : !tile.ptr<i32>)",
                       10),
            std::vector<int32_t>{13});
}

TEST(loop, a_step_that_is_not_positive_is_found) {
  Outcome o = Launch().run(R"(tile.kernel @k() {
  %0 = arith.constant 0 : i32
  %9 = arith.constant 9 : i32
  scf.for %i = %0 to %9 step %0 : i32 {
  }
  tile.return
})");
  EXPECT_EQ(o.diagnostics, "error\tsource.mlir\t4\t3\tthe loop's step is 0, not positive\n");
}

TEST(branch, takes_one_side) {
  const char *body = R"(
  %positive = arith.cmpi sgt, %n, %c0 : i32
  %v = scf.if %positive -> (i32) {
    scf.yield %n : i32
  } else {
    %m = arith.subi %c0, %n : i32
    scf.yield %m : i32
  }
  scf.if %positive {
    tile.store %y[%c1 : i32], %c1 : i32 : !tile.ptr<i32>
  }
  tile.store %y[%c0 : i32], %v : i32 : !tile.ptr<i32>)";
  EXPECT_EQ(run_scalar(body, 5, 2), (std::vector<int32_t>{5, 1}));
  EXPECT_EQ(run_scalar(body, -7, 2), (std::vector<int32_t>{7, -1}));
}

TEST(loop, while_runs_until_its_condition_fails) {
  // Collatz steps: the condition passes on what the body needs.
  EXPECT_EQ(run_scalar(R"(
  %c2 = arith.constant 2 : i32
  %c3 = arith.constant 3 : i32
  %end, %steps = scf.while (%x = %n, %k = %c0) : (i32, i32) -> (i32, i32) {
    %more = arith.cmpi ne, %x, %c1 : i32
    scf.condition(%more) %x, %k : i32, i32
  } do {
  ^bb0(%x: i32, %k: i32):
    %odd = arith.remsi %x, %c2 : i32
    %is = arith.cmpi ne, %odd, %c0 : i32
    %half = arith.divsi %x, %c2 : i32
    %triple = arith.muli %x, %c3 : i32
    %up = arith.addi %triple, %c1 : i32
    %next = arith.select %is, %up, %half : i32
    %k1 = arith.addi %k, %c1 : i32
    scf.yield %next, %k1 : i32, i32
  }
  tile.store %y[%c0 : i32], %steps : i32 : !tile.ptr<i32>)",
                       27),
            std::vector<int32_t>{111});
}

TEST(assertion, stops_the_launch) {
  std::vector<int32_t> y(1, -1);
  std::string text = R"(
tile.kernel @k(%y: !tile.ptr<i32>, %ok: i1) {
  %0 = arith.constant 0 : i32
  tile.assert %ok, "expert out of range" : i1
  %i = tile.arange 0 : tensor<4xi32>
  %2 = arith.constant dense<2> : tensor<4xi32>
  %ids = arith.cmpi ne, %i, %2 : tensor<4xi32>
  tile.assert %ids, "no two" : tensor<4xi1>
  tile.store %y[%0 : i32], %0 : i32 : !tile.ptr<i32>
  tile.return
})";
  EXPECT_EQ(Launch().pointer(y).scalar(int8_t(0)).run(text).diagnostics,
            "error\tsource.mlir\t4\t3\tassertion failed: expert out of range\n");
  EXPECT_EQ(Launch().pointer(y).scalar(int8_t(1)).grid(2).run(text).diagnostics,
            "error\tsource.mlir\t8\t3\tassertion failed: no two, at element [2] (program 0, 0, 0)\n");
  EXPECT_EQ(y[0], -1);
}

TEST(entry, says_what_is_wrong_with_text_and_launch) {
  Outcome o = Launch().run("tile.kernel @k() {\n  %0 = tile.nothing\n}");
  EXPECT_EQ(o.status, MOEC_USER_ERROR);
  EXPECT_NE(o.diagnostics.find("error\tsource.mlir\t2\t8\t"), std::string::npos) << o.diagnostics;
  o = Launch().run("");
  EXPECT_EQ(o.status, MOEC_USER_ERROR);
  EXPECT_NE(o.diagnostics.find("a module to interpret has one tile.kernel, this has 0"), std::string::npos)
      << o.diagnostics;
  o = Launch().scalar(1).run("tile.kernel @k() {\n  tile.return\n}");
  EXPECT_EQ(o.diagnostics, "error\tsource.mlir\t1\t1\tthe kernel has 0 parameters, the launch gives 1\n");
  o = Launch().run("tile.kernel @k() {\n  %0 = arith.constant 1 : i32\n  %1 = llvm.add %0, %0 : i32\n  tile.return\n}");
  EXPECT_EQ(o.status, MOEC_INTERNAL_ERROR);
  EXPECT_EQ(o.diagnostics, "error\tsource.mlir\t3\t8\tthe interpreter has no rule for 'llvm.add'\n");
  // A verifier's message at an ordinal: kernel 0, arange 1.
  o = Launch().run("tile.kernel @k() {\n  %0 = tile.arange 0 : tensor<2x2xi32>\n  tile.return\n}", /*ordinal=*/true);
  EXPECT_EQ(o.diagnostics, "error\tkernel\t1\t0\t'tile.arange' op gives a 1-D tile\n");
}

TEST(entry, scalars_of_every_dtype_arrive) {
  for (const Dtype &t : all_dtypes) {
    std::vector<unsigned char> y(t.bytes(), 0xee);
    uint64_t word = samples(t, 64, 21)[40];
    std::string p = std::string("!tile.ptr<") + t.name + ">";
    Outcome o = Launch().pointer(y).scalar(word).run(
        "tile.kernel @k(%y: " + p + ", %v: " + t.name +
        ") {\n%0 = arith.constant 0 : i32\ntile.store %y[%0 : i32], %v : " + t.name + " : " + p + "\ntile.return\n}");
    ASSERT_EQ(o.diagnostics, "");
    EXPECT_EQ(unpack(t, y), Words{word}) << t.name;
  }
}

TEST(entry, contracts_products_only_where_asked) {
  // 1 + 2^-12 squared, minus its rounded square: 0 in two roundings, 2^-24 in one.
  std::string text = R"(
tile.kernel @k(%y: !tile.ptr<f32>, %a: f32, %c: f32) {
  %0 = arith.constant 0 : i32
  %p = arith.mulf %a, %a : f32
  %s = arith.addf %p, %c : f32
  tile.store %y[%0 : i32], %s : f32 : !tile.ptr<f32>
  tile.return
})";
  float a = 1 + 0x1p-12f, c = -(a * a);
  std::vector<float> y(1);
  EXPECT_EQ(Launch().pointer(y).scalar(a).scalar(c).run(text).diagnostics, "");
  EXPECT_EQ(y[0], 0.0f);
  EXPECT_EQ(Launch().pointer(y).scalar(a).scalar(c).options("num_warps=4;contract_fma=1").run(text).diagnostics, "");
  EXPECT_EQ(y[0], 0x1p-24f);
}

} // namespace
