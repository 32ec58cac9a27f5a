// The contract with the host: expects and grids as host expressions; what is known of sub-views.
#include "recorded.h"

using namespace moec;
using namespace moec::test;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

/// Evaluates a host expression as the runtime does: sizes[arg][dim], scalars[arg].
int64_t evaluate(const HostExpr &e, const std::vector<std::vector<int64_t>> &sizes,
                 const std::vector<int64_t> &scalars) {
  std::vector<int64_t> stack;
  using Op = HostExpr::Op;
  for (const HostExpr::Step &s : e.steps) {
    if (s.op == Op::constant || s.op == Op::size || s.op == Op::scalar) {
      const auto a = static_cast<size_t>(s.a), b = static_cast<size_t>(s.b);
      stack.push_back(s.op == Op::constant ? s.a : s.op == Op::size ? sizes[a][b] : scalars[a]);
      continue;
    }
    int64_t y = stack.back(), x = (stack.pop_back(), stack.back());
    stack.back() = s.op == Op::add   ? x + y
                   : s.op == Op::sub ? x - y
                   : s.op == Op::mul ? x * y
                   : s.op == Op::div ? x / y
                   : s.op == Op::rem ? x % y
                   : s.op == Op::min ? std::min(x, y)
                                     : std::max(x, y);
  }
  EXPECT_EQ(stack.size(), 1u);
  return stack.back();
}

void contract(const NoSpec &, View x, View y, Int n, Int w) {
  arg_names({"x", "y", "n", "w"});
  auto [T, H] = y.sizes<2>();
  x.expect({T, 2 * H + n % 3, maximum(cdiv(n, 4), 1)});
  y.expect({minimum(w, 7) - 1, 8});
  grid(cdiv(H, 1024), cdiv(T, n), (T + 1) * 2 / (n - 1));
  store(y(0, 0), 1);
}

TEST(DslContract, ExpressionsAndTheirSpelling) {
  Recording r = record(contract, NoSpec{}, {view(f32, 3), view(f32, 2), scalar(i32), scalar(i64)});
  EXPECT_EQ(parse_and_verify({r.text}), "");
  EXPECT_THAT(r.arg_names, ElementsAre("x", "y", "n", "w"));
  EXPECT_FALSE(r.persistent);
  std::vector<std::string> text;
  for (const HostExpect &e : r.expects)
    text.push_back(r.arg_names[static_cast<size_t>(e.arg)] + "." + std::to_string(e.dim) + " = " + e.value.text);
  EXPECT_THAT(text, ElementsAre("x.0 = y.size(0)", "x.1 = (2 * y.size(1)) + (n % 3)", "x.2 = maximum(cdiv(n, 4), 1)",
                                "y.0 = minimum(w, 7) - 1", "y.1 = 8"));
  text.clear();
  for (const HostExpr &e : r.grid) text.push_back(e.text);
  EXPECT_THAT(text, ElementsAre("cdiv(y.size(1), 1024)", "cdiv(y.size(0), n)", "((y.size(0) + 1) * 2) / (n - 1)"));
  const std::vector<std::vector<int64_t>> sizes = {{}, {10, 3000}};
  const std::vector<int64_t> scalars = {0, 0, 5, 100};
  std::vector<int64_t> values;
  for (const HostExpect &e : r.expects) values.push_back(evaluate(e.value, sizes, scalars));
  EXPECT_THAT(values, ElementsAre(10, 6002, 2, 6, 8));
  values.clear();
  for (const HostExpr &e : r.grid) values.push_back(evaluate(e, sizes, scalars));
  EXPECT_THAT(values, ElementsAre(3, 2, 5));
  for (const HostExpect &e : r.expects) EXPECT_THAT(e.file, HasSubstr("contract_test.cpp"));
  EXPECT_LT(r.expects[0].line, r.expects[3].line);
}

void persistent_kernel(const NoSpec &, View y) {
  grid(persistent());
  store(y(program_id(0), 0), 1);
}
TEST(DslContract, Persistent) {
  Recording r = record(persistent_kernel, NoSpec{}, {view(f32, 2)});
  EXPECT_TRUE(r.persistent);
  EXPECT_TRUE(r.grid.empty());
  EXPECT_THAT(r.arg_names, ElementsAre("arg0"));
  EXPECT_EQ(line_with(r, "tile.grid"), "\"tile.grid\"() : () -> ()");
}

/// The view type of the store's first operand.
std::string stored_to(void (*kernel)(const NoSpec &, View, Int), ArgFacts facts) {
  Recording r = record(kernel, NoSpec{}, {facts, scalar(i32)});
  EXPECT_EQ(parse_and_verify({r.text}), "");
  size_t at = r.text.find("tile.view_store");
  at = r.text.find("!tile.view<", at);
  return r.text.substr(at, r.text.find('>', at) - at + 1);
}

TEST(DslViews, WhatIsKnownOfSubViews) {
  // bf16 [.., ..], strides multiples of 8 elements, all divisible by 16
  EXPECT_EQ(stored_to(
                +[](const NoSpec &, View x, Int) {
                  grid(1);
                  auto [a, b] = x.split_cols(x.size(1) / 2);
                  store(b(0, 0), 1);
                },
                view(bf16, 2)),
            "!tile.view<bf16, sizes = [16, 1], strides = [8, 0], align = 2, wide = false>"); // half of a multiple of 16
                                                                                             // may be odd
  EXPECT_EQ(stored_to(
                +[](const NoSpec &, View x, Int) {
                  grid(1);
                  store(x.cols_from(64)(0, 0), 1);
                },
                view(bf16, 2)),
            "!tile.view<bf16, sizes = [16, 16], strides = [8, 0], align = 16, wide = false>");
  EXPECT_EQ(stored_to(
                +[](const NoSpec &, View x, Int) {
                  grid(1);
                  store(x.cols_from(4)(0, 0), 1);
                },
                view(bf16, 2)),
            "!tile.view<bf16, sizes = [16, 1], strides = [8, 0], align = 8, wide = false>");
  EXPECT_EQ(stored_to(
                +[](const NoSpec &, View x, Int n) {
                  grid(1);
                  store(x.rows_from(n)(0, 0), 1);
                },
                view(bf16, 2)),
            "!tile.view<bf16, sizes = [1, 16], strides = [8, 0], align = 16, wide = false>"); // whole rows of 16 bytes
  EXPECT_EQ(stored_to(
                +[](const NoSpec &, View x, Int n) {
                  grid(1);
                  store(x.rows_from(n)(0, 0), 1);
                },
                plain_view(bf16, 2)),
            "!tile.view<bf16, sizes = [1, 1], strides = [1, 1], align = 2, wide = false>");
  EXPECT_EQ(stored_to(
                +[](const NoSpec &, View x, Int n) {
                  grid(1);
                  store(x.rows(n * 32, n * 32 + 48)(0, 0), 1);
                },
                view(f32, 2)),
            "!tile.view<f32, sizes = [16, 16], strides = [4, 0], align = 16, wide = false>");
  EXPECT_EQ(stored_to(
                +[](const NoSpec &, View x, Int n) {
                  grid(1);
                  store(x.at(n)(0, 0), 1);
                },
                view(f32, 3)),
            "!tile.view<f32, sizes = [16, 16], strides = [4, 0], align = 16, wide = false>");
  ArgFacts wide = view(f64, 2);
  wide.wide = true;
  EXPECT_EQ(stored_to(
                +[](const NoSpec &, View x, Int n) {
                  grid(1);
                  store(x.cols(n, n + 16).rows_before(4)(0, 0), 1);
                },
                wide),
            "!tile.view<f64, sizes = [1, 1], strides = [2, 0], align = 8, wide = true>");
  // a loop's variable is a multiple of what its bounds and step are
  EXPECT_EQ(stored_to(
                +[](const NoSpec &, View x, Int n) {
                  grid(1);
                  for (Int k : range(0, n, 32)) store(x.cols_from(k)(0, 0), 1);
                },
                view(bf16, 2)),
            "!tile.view<bf16, sizes = [16, 16], strides = [8, 0], align = 16, wide = false>");
}

TEST(DslViews, IndicesGetTheRankOfTheResult) {
  Recording r = record(
      +[](const NoSpec &, View x, Int n) {
        grid(1);
        Tile rows = expand_dims(arange(4), 1), cols = arange(8);
        store(x(n, rows, cols), load(x(0, rows, cols), cols > 2, n * 0 + 3));
        store(x(n, 0, cols), 3, n > 2);
      },
      NoSpec{}, {view(i32, 3), scalar(i32)});
  EXPECT_EQ(parse_and_verify({r.text}), "");
  EXPECT_THAT(line_with(r, "view_load"),
              HasSubstr(": (V, i32, tensor<4x1xi32>, tensor<1x8xi32>, tensor<4x8xi1>, i32) -> tensor<4x8xi32>"));
}

} // namespace
