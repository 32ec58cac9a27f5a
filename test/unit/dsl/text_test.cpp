// What the recorder prints: form, order, numbering, lines.
#include "recorded.h"

using namespace moec;
using namespace moec::test;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

void add_one(const NoSpec &, View x, Int n) {
  grid(cdiv(n, 64));
  Tile i = program_id(0) * 64 + arange(64);
  store(x(i), load(x(i)) + 1);
}

TEST(DslText, GenericFormOfAKernel) {
  Recording r = record(add_one, NoSpec{}, {view(f32, 1), scalar(i32)});
  EXPECT_EQ(r.text, R"("builtin.module"() ({
  "tile.kernel"() <{function_type = (!tile.view<f32, sizes = [16], strides = [0], align = 16, wide = false>, i32) -> (), sym_name = "add_one"}> ({
  ^bb0(%arg0: !tile.view<f32, sizes = [16], strides = [0], align = 16, wide = false>, %arg1: i32):
    %0 = "arith.constant"() <{value = 63 : i32}> : () -> i32
    %1 = "arith.addi"(%arg1, %0) : (i32, i32) -> i32
    %2 = "arith.constant"() <{value = 64 : i32}> : () -> i32
    %3 = "arith.divsi"(%1, %2) : (i32, i32) -> i32
    "tile.grid"(%3) : (i32) -> ()
    %4 = "tile.program_id"() <{axis = 0 : i32}> : () -> i32
    %5 = "arith.constant"() <{value = 64 : i32}> : () -> i32
    %6 = "arith.muli"(%4, %5) : (i32, i32) -> i32
    %7 = "tile.splat"(%6) : (i32) -> tensor<64xi32>
    %8 = "tile.arange"() <{start = 0 : i32}> : () -> tensor<64xi32>
    %9 = "arith.addi"(%7, %8) : (tensor<64xi32>, tensor<64xi32>) -> tensor<64xi32>
    %10 = "tile.view_load"(%arg0, %9) <{clip = array<i1: true>, operandSegmentSizes = array<i32: 1, 1, 0, 0>}> : (!tile.view<f32, sizes = [16], strides = [0], align = 16, wide = false>, tensor<64xi32>) -> tensor<64xf32>
    %11 = "arith.constant"() <{value = dense<1.0> : tensor<64xf32>}> : () -> tensor<64xf32>
    %12 = "arith.addf"(%10, %11) : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32>
    "tile.view_store"(%arg0, %9, %12) <{clip = array<i1: true>, operandSegmentSizes = array<i32: 1, 1, 1, 0>}> : (!tile.view<f32, sizes = [16], strides = [0], align = 16, wide = false>, tensor<64xi32>, tensor<64xf32>) -> ()
    "tile.return"() : () -> ()
  }) : () -> ()
}) : () -> ()
)");
}

TEST(DslText, SamplesParseAndVerify) {
  std::vector<std::string> texts;
  for (const Sample &s : samples()) texts.push_back(s.record().text);
  EXPECT_EQ(parse_and_verify(texts), "");
}

TEST(DslText, RecordingTwiceGivesTheSameText) {
  for (const Sample &s : samples()) EXPECT_EQ(s.record().text, s.record().text) << s.name;
}

TEST(DslText, NameOfTheKernelIsTheFunctionsUnlessGiven) {
  EXPECT_EQ(record(add_one, NoSpec{}, {view(f32, 1), scalar(i32)}).kernel, "add_one");
  Recording r = record(add_one, NoSpec{}, {view(f32, 1), scalar(i32)}, "plus one");
  EXPECT_EQ(r.kernel, "plus one");
  EXPECT_THAT(r.text, HasSubstr("sym_name = \"plus one\""));
}

template <int N> void templated(const NoSpec &, View x) {
  grid(1);
  store(x(arange(N)), 0);
}
TEST(DslText, NameOfATemplate) { EXPECT_EQ(record(templated<8>, NoSpec{}, {view(f32, 1)}).kernel, "templated"); }

void dead(const NoSpec &, View x) {
  grid(1);
  Tile unused = exp(load(x(arange(16)))) * 3;
  Tile used = load(x(arange(32)));
  store(x(arange(32)), used);
}
TEST(DslText, DeadPureOpsAndLoadsAreNotPrinted) {
  Recording r = record(dead, NoSpec{}, {view(f32, 1)});
  EXPECT_EQ(count(r, "math.exp"), 0u);
  EXPECT_EQ(count(r, "tile.view_load"), 1u);
}

void loads(const NoSpec &, View x, View y) {
  grid(1);
  Tile i = arange(16);
  Tile before = load(x(i)), late = load(y(i));
  store(x(i), 1);
  Tile after = load(x(i));
  store(y(i),
        after + late * before); // operand order: after, late, before; but late and before stand above the first store
}
TEST(DslText, LoadsStayBetweenTheirEffects) {
  Recording r = record(loads, NoSpec{}, {view(f32, 1), plain_view(f32, 1)});
  std::vector<std::string> memory;
  for (const std::string &l : body(r))
    if (l.find("view_") != l.npos) memory.push_back(l.substr(l.find("\"tile"), l.find(", ") - l.find("\"tile")));
  EXPECT_THAT(memory, ElementsAre("\"tile.view_load\"(%arg1", "\"tile.view_load\"(%arg0", "\"tile.view_store\"(%arg0",
                                  "\"tile.view_load\"(%arg0", "\"tile.view_store\"(%arg1"));
}

void outer_used_inside(const NoSpec &, View x) {
  grid(1);
  Tile i = arange(16), v = load(x(i)), twice = v * 2;
  for (Int k : range(4)) store(x(i + k), twice);
  store(x(i), exp(v));
}
TEST(DslText, APureOpStandsInTheRegionWhereItWasMade) {
  auto names = op_names(record(outer_used_inside, NoSpec{}, {view(f32, 1)}));
  auto at = [&](const char *n) { return std::find(names.begin(), names.end(), n) - names.begin(); };
  EXPECT_LT(at("arith.mulf"), at("scf.for"));
  EXPECT_GT(at("math.exp"), at("scf.for"));
}

int marker_line = 0;
void lined(const NoSpec &, View x) {
  grid(1);
  Tile i = arange(16);
  Tile v = load(x(i));
  Tile e = exp(v);
  marker_line = __LINE__ + 1;
  store(x(i), e);
}
TEST(DslText, LinesBelongToOpsInPreOrder) {
  Recording r = record(lined, NoSpec{}, {view(f32, 1)});
  std::vector<int> lines;
  for (const SourceLine &l : r.lines) {
    EXPECT_THAT(std::string(l.file), HasSubstr("text_test.cpp"));
    lines.push_back(l.line - marker_line);
  }
  // kernel, constant 1, grid, arange, load, exp, store, return (kernel and return: grid's line)
  EXPECT_THAT(lines, ElementsAre(-5, -5, -5, -4, -3, -2, 0, -5));
}
TEST(DslText, OneLinePerOp) {
  for (const Sample &s : samples()) {
    Recording r = s.record();
    EXPECT_EQ(r.lines.size(), op_names(r).size() + 1) << s.name;
  }
}

void compound(const NoSpec &, View x) {
  grid(1);
  Int n = 4;
  n += 1;
  Tile v = load(x(arange(16)));
  marker_line = __LINE__ + 1;
  v *= 2;
  v -= v / 3;
  store(x(arange(16) + n), v);
}
TEST(DslText, CompoundAssignmentHasTheUsersLine) {
  Recording r = record(compound, NoSpec{}, {view(f32, 1)});
  for (const SourceLine &l : r.lines) EXPECT_THAT(std::string(l.file), HasSubstr("text_test.cpp"));
  EXPECT_TRUE(std::any_of(r.lines.begin(), r.lines.end(), [](const SourceLine &l) { return l.line == marker_line; }));
}

void long_chain(const NoSpec &, View x) {
  grid(1);
  Tile v = load(x(arange(16)));
  for (int k = 0; k < 40000; ++k) v = v + v;
  store(x(arange(16)), v);
}
TEST(DslText, LongChainsNeedNoStack) {
  EXPECT_EQ(count(record(long_chain, NoSpec{}, {view(f32, 1)}), "arith.addf"), 40000u);
}

struct LiteralCase {
  DType dtype;
  double value;
  const char *text;
};
double literal_value;
void literal(const NoSpec &, View x) {
  grid(1);
  store(x(arange(4)), literal_value);
}
void scalar_zero(const NoSpec &, View x) {
  grid(1);
  Float sum = 0; // an int
  for (Int i : range(0, 4)) sum += load(x(i));
  store(x(0), sum);
}
TEST(DslText, AFloatStartsFromAnInt) {
  EXPECT_THAT(record(scalar_zero, NoSpec{}, {view(f32, 1)}).text, HasSubstr("value = 0.0 : f32"));
}

TEST(DslText, FloatLiteralsAreRoundedOnceAndPrintedByBits) {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  const LiteralCase cases[] = {
      {f32, 1, "dense<1.0>"},
      {f32, -0.0, "dense<0x80000000>"},
      {f32, 0.1, "dense<0x3DCCCCCD>"},
      {f32, inf, "dense<0x7F800000>"},
      {f32, nan, "dense<0x7FC00000>"},
      {f32, 1e-45, "dense<0x00000001>"},
      {f32, 1e60, "dense<0x7F800000>"},
      {f32, -3, "dense<-3.0>"},
      {f64, 0.1, "dense<0x3FB999999999999A>"},
      {f16, 0.1, "dense<0x2E66>"},
      {f16, 65504, "dense<0x7BFF>"},
      {f16, 65520, "dense<0x7C00>"},
      {f16, 65519, "dense<0x7BFF>"},
      {f16, 6e-8, "dense<0x0001>"},
      {f16, 1, "dense<1.0>"},
      {bf16, 0.1, "dense<0x3DCD>"},
      {bf16, 1.00390625, "dense<1.0>"},
      {bf16, 1.01171875, "dense<0x3F82>"},
      {bf16, 3.4e38, "dense<0x7F80>"},
      {e4m3, 448, "dense<0x7E>"},
      {e4m3, 1e9, "dense<0x7E>"},
      {e4m3, -inf, "dense<0xFE>"},
      {e4m3, nan, "dense<0x7F>"},
      {e4m3, 0.001953125, "dense<0x01>"},
      {e4m3, 0.0009765625, "dense<0.0>"},
      {e5m2, 57344, "dense<0x7B>"},
      {e5m2, 1e9, "dense<0x7B>"},
      {e5m2, 0.3, "dense<0x35>"},
      {e5m2, nan, "dense<0x7E>"},
  };
  std::vector<std::string> texts;
  for (const LiteralCase &c : cases) {
    literal_value = c.value;
    Recording r = record(literal, NoSpec{}, {view(c.dtype, 1)});
    EXPECT_THAT(line_with(r, "dense<"), HasSubstr(c.text)) << name(c.dtype) << " " << c.value;
    texts.push_back(r.text);
  }
  EXPECT_EQ(parse_and_verify(texts), "");
}

} // namespace
