#include "runtime/contract.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "runtime/error.h"

namespace moec {

namespace {

constexpr int kMaxDepth = 64;

[[noreturn]] void fail(const std::string &kernel, const HostExpr &e, const char *wrong) {
  throw UserError(fmt::format("launch {}", kernel), fmt::format("{} {}", e.text, wrong), "check the arguments' sizes");
}

/// One arithmetic step; false on overflow or division by zero.
bool apply(HostExpr::Op op, int64_t a, int64_t b, int64_t &out) {
  using Op = HostExpr::Op;
  switch (op) {
  case Op::add: return !__builtin_add_overflow(a, b, &out);
  case Op::sub: return !__builtin_sub_overflow(a, b, &out);
  case Op::mul: return !__builtin_mul_overflow(a, b, &out);
  case Op::div:
  case Op::rem:
    if (b == 0 || (b == -1 && a == std::numeric_limits<int64_t>::min())) return false;
    out = op == Op::div ? a / b : a % b;
    return true;
  case Op::min: return out = std::min(a, b), true;
  case Op::max: return out = std::max(a, b), true;
  default: return false;
  }
}

std::string arg_name(const Recording &r, int arg) {
  auto i = static_cast<size_t>(arg);
  return i < r.arg_names.size() ? r.arg_names[i] : fmt::format("arg{}", arg);
}

} // namespace

int64_t evaluate(const HostExpr &e, std::span<const LaunchArg> args, const std::string &kernel) {
  using Op = HostExpr::Op;
  int64_t stack[kMaxDepth];
  int depth = 0;
  for (const HostExpr::Step &step : e.steps) {
    if (step.op <= Op::scalar) {
      if (depth == kMaxDepth)
        throw InternalError("launch " + kernel, "an expression of its contract is too deep", "simplify " + e.text);
      const auto arg = static_cast<size_t>(step.a);
      stack[depth++] = step.op == Op::constant ? step.a
                       : step.op == Op::size   ? args[arg].tensor()->shape()[static_cast<int>(step.b)]
                                               : args[arg].integer();
      continue;
    }
    int64_t out = 0;
    if (depth < 2 || !apply(step.op, stack[depth - 2], stack[depth - 1], out))
      fail(kernel, e, "overflows or divides by zero");
    stack[--depth - 1] = out;
  }
  return depth == 1 ? stack[0] : 0;
}

void check_expects(const Recording &r, std::span<const LaunchArg> args) {
  for (const HostExpect &x : r.expects) {
    int64_t have = args[static_cast<size_t>(x.arg)].tensor()->shape()[x.dim], want = evaluate(x.value, args, r.kernel);
    if (have == want) continue;
    throw UserError(fmt::format("launch {}", r.kernel),
                    fmt::format("{} is {}, so its dimension {} is {}, but {} ({}:{}) makes it {}", arg_name(r, x.arg),
                                args[static_cast<size_t>(x.arg)].tensor()->text(), x.dim, have, x.value.text, x.file,
                                x.line, want),
                    "pass tensors whose shapes belong together");
  }
}

bool evaluate_grid(const Recording &r, std::span<const LaunchArg> args, int resident_ctas, uint32_t (&grid)[3]) {
  constexpr int64_t limits[3] = {std::numeric_limits<int32_t>::max(), 65535, 65535};
  grid[0] = grid[1] = grid[2] = 1;
  if (r.persistent) return grid[0] = static_cast<uint32_t>(resident_ctas), true;
  bool some = true;
  int64_t extents[3] = {1, 1, 1};
  for (size_t i = 0; i < r.grid.size() && i < 3; ++i) some &= (extents[i] = evaluate(r.grid[i], args, r.kernel)) != 0;
  for (size_t i = 0; i < 3; ++i) {
    if (extents[i] < 0) fail(r.kernel, r.grid[i], "is a negative number of programs");
    if (some && extents[i] > limits[i])
      throw UserError(
          fmt::format("launch {}", r.kernel),
          fmt::format("its grid {} = {} exceeds {} programs in dimension {}", r.grid[i].text, extents[i], limits[i], i),
          i == 0 ? "give each program more work" : "put the long dimension first, or give each program more work");
    grid[i] = static_cast<uint32_t>(extents[i]);
  }
  return some;
}

} // namespace moec
