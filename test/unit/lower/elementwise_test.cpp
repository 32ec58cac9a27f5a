// arith, math and tile's elementwise ops in every dtype that they take: simulator against interpreter, bit for bit
// where the op is exact.
#include "test/unit/lower/assigned.h"

#include <gtest/gtest.h>

namespace moec::compiler {
namespace {

constexpr int n = 512;
std::string tile(const std::string &element) { return fmt::format("tensor<{}x{}>", n, element); }

std::string unary(const std::string &op, const std::string &t) {
  return runTileKernel({t}, t, fmt::format("%r = {} %a0 : {}", op, tile(t)));
}
std::string binary(const std::string &op, const std::string &t) {
  return runTileKernel({t, t}, t, fmt::format("%r = {} %a0, %a1 : {}", op, tile(t)));
}

class IntegerOps : public testing::TestWithParam<std::string> {};

TEST_P(IntegerOps, Binary) {
  for (const char *op : {"addi", "subi", "muli", "andi", "ori", "xori", "maxsi", "minsi", "maxui", "minui"})
    EXPECT_EQ(binary(fmt::format("arith.{}", op), GetParam()), "") << op;
}

TEST_P(IntegerOps, Division) {
  // Divisors 1..64, so that neither zero nor overflow occurs.
  std::string t = tile(GetParam());
  for (const char *op : {"divsi", "divui", "remsi", "remui", "floordivsi", "ceildivsi", "ceildivui"})
    EXPECT_EQ(runTileKernel({GetParam(), GetParam()}, GetParam(),
                            fmt::format("%m = arith.constant dense<63> : {0}\n  %b = arith.andi %a1, %m : {0}\n  %one "
                                        "= arith.constant dense<1> : {0}\n"
                                        "  %d = arith.addi %b, %one : {0}\n  %r = arith.{1} %a0, %d : {0}",
                                        t, op)),
              "")
        << op;
}

TEST_P(IntegerOps, Shifts) {
  std::string t = tile(GetParam());
  for (const char *op : {"shli", "shrsi", "shrui"}) {
    EXPECT_EQ(runTileKernel({GetParam()}, GetParam(),
                            fmt::format("%s = arith.constant dense<5> : {0}\n  %r = arith.{1} %a0, %s : {0}", t, op)),
              "")
        << op;
    EXPECT_EQ(
        runTileKernel(
            {GetParam(), GetParam()}, GetParam(),
            fmt::format(
                "%m = arith.constant dense<7> : {0}\n  %s = arith.andi %a1, %m : {0}\n  %r = arith.{1} %a0, %s : {0}",
                t, op)),
        "")
        << op;
  }
}

TEST_P(IntegerOps, Comparisons) {
  for (const char *p : {"eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge"})
    EXPECT_EQ(runTileKernel({GetParam(), GetParam()}, "i1",
                            fmt::format("%r = arith.cmpi {}, %a0, %a1 : {}", p, tile(GetParam()))),
              "")
        << p;
}

TEST_P(IntegerOps, Bits) {
  for (const char *op : {"absi", "ctpop", "ctlz", "cttz"})
    EXPECT_EQ(unary(fmt::format("math.{}", op), GetParam()), "") << op;
}

TEST_P(IntegerOps, Select) {
  EXPECT_EQ(runTileKernel({"i1", GetParam(), GetParam()}, GetParam(),
                          fmt::format("%r = arith.select %a0, %a1, %a2 : {}, {}", tile("i1"), tile(GetParam()))),
            "");
}

INSTANTIATE_TEST_SUITE_P(Dtypes, IntegerOps, testing::Values("i8", "i32", "i64"),
                         [](auto &info) { return info.param; });

TEST(BoolOps, Logic) {
  for (const char *op : {"andi", "ori", "xori"}) EXPECT_EQ(binary(fmt::format("arith.{}", op), "i1"), "") << op;
}

// Lanes of an arange share comparisons where divisibility allows it: every bound near a vector's edge must still be
// exact.
TEST(SharedComparisons, AgreeAtEveryBound) {
  for (const char *p : {"slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge"})
    for (int bound : {0, 1, 7, 8, 9, 96, 100, 104, 511, 512}) {
      std::string constant = fmt::format("%b = arith.constant dense<{}> : {}\n  ", bound, tile("i32"));
      EXPECT_EQ(runTileKernel({}, "i1", constant + fmt::format("%r = arith.cmpi {}, %i, %b : {}", p, tile("i32"))), "")
          << p << bound;
      EXPECT_EQ(runTileKernel({}, "i1", constant + fmt::format("%r = arith.cmpi {}, %b, %i : {}", p, tile("i32"))), "")
          << p << bound;
    }
}

class FloatOps : public testing::TestWithParam<std::string> {};

TEST_P(FloatOps, Binary) {
  for (const char *op : {"addf", "subf", "mulf", "divf", "maximumf", "minimumf"})
    EXPECT_EQ(binary(fmt::format("arith.{}", op), GetParam()), "") << op;
}

TEST_P(FloatOps, Unary) {
  for (const char *op :
       {"arith.negf", "math.absf", "math.sqrt", "math.floor", "math.ceil", "math.trunc", "math.roundeven"})
    EXPECT_EQ(unary(op, GetParam()), "") << op;
}

TEST_P(FloatOps, Comparisons) {
  for (const char *p :
       {"oeq", "ogt", "oge", "olt", "ole", "one", "ord", "ueq", "ugt", "uge", "ult", "ule", "une", "uno"})
    EXPECT_EQ(runTileKernel({GetParam(), GetParam()}, "i1",
                            fmt::format("%r = arith.cmpf {}, %a0, %a1 : {}", p, tile(GetParam()))),
              "")
        << p;
}

TEST_P(FloatOps, Fma) {
  EXPECT_EQ(runTileKernel({GetParam(), GetParam(), GetParam()}, GetParam(),
                          fmt::format("%r = math.fma %a0, %a1, %a2 : {}", tile(GetParam()))),
            "");
}

INSTANTIATE_TEST_SUITE_P(Dtypes, FloatOps, testing::Values("f16", "bf16", "f32", "f64", "f8E4M3FN", "f8E5M2"),
                         [](auto &info) { return info.param; });

} // namespace
} // namespace moec::compiler
