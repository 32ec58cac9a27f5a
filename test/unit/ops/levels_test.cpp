// The simulator's code is compiled for the CPU that it runs on, and what it computes does not depend on that: equal
// bits for every x86-64 level, approximate functions, tensor cores and NaNs included.
#include "test/unit/ops/differential.h"

#include <fmt/format.h>

#include <fstream>

#include "runtime/environment.h"
#include "test/unit/runtime/scratch.h"

namespace moec::ops {
namespace {

constexpr int kFunctions = 14;
void functions(const NoSpec &, View x, View y, View z, View out) {
  grid(cdiv(x.size(0), 256));
  Tile i = program_id(0) * 256 + arange(256), v = load(x(i)), w = load(y(i)), u = load(z(i));
  const Tile results[kFunctions] = {exp(v),  exp2(v), log(v),       log2(v),   rsqrt(v), tanh(v),       erf(v),
                                    sqrt(v), v / w,   fma(v, w, u), v * w + u, floor(v), maximum(v, w), -v};
  for (int k = 0; k < kFunctions; ++k) store(out(k, i), results[k]);
}
void approximations(const NoSpec &, View x, View y, View out) {
  grid(cdiv(x.size(0), 256));
  Tile i = program_id(0) * 256 + arange(256), v = load(x(i));
  store(out(0, i), sigmoid(v)), store(out(1, i), fast_exp2(v)), store(out(2, i), fast_div(v, load(y(i))));
}
/// One result per dtype, in the order of kDTypes.
void casts(const NoSpec &, View x, View o0, View o1, View o2, View o3, View o4, View o5, View o6, View o7, View o8,
           View o9, View o10) {
  grid(cdiv(x.size(0), 256));
  Tile i = program_id(0) * 256 + arange(256), v = load(x(i));
  for (const View *o : {&o0, &o1, &o2, &o3, &o4, &o5, &o6, &o7, &o8, &o9, &o10}) store((*o)(i), cast(v, o->dtype()));
}
struct DotSpec {
  int m = 32, n = 32, k = 32;
  static void fields(auto &s, auto &&f) { f("m", s.m), f("n", s.n), f("k", s.k); }
};
void product(const DotSpec &s, View a, View b, View d) {
  grid(1);
  store_whole(d, dot(whole(a, {s.m, s.k}), whole(b, {s.k, s.n})));
}
void across(const NoSpec &, View x, View sums, View sorted, View best) {
  grid(1);
  Tile v = whole(x, {16, 64});
  store_whole(sums.at(0), sum(v, 1)), store_whole(sums.at(1), max(v, 1)), store_whole(sums.at(2), cumsum(sum(v, 1)));
  store_whole(sorted, sort(v));
  store_whole(best, topk(v, 4).values);
}

std::vector<Case> sample() {
  std::vector<Case> cases;
  for (DType t : kFloats)
    cases.push_back(
        {fmt::format("functions {}", name(t)),
         functions,
         NoSpec{},
         {special(t, {1000}, 1), numbers(t, {1000}, 2), special(t, {1000}, 3), output(t, {kFunctions, 1000})},
         warps({4})});
  cases.push_back({"approximations",
                   approximations,
                   NoSpec{},
                   {special(f32, {1000}, 1), numbers(f32, {1000}, 2), output(f32, {3, 1000})},
                   warps({4})});
  for (DType t : kDTypes) {
    std::vector<Argument> args{special(t, {2000}, 5)};
    for (DType to : kDTypes) args.push_back(output(to, {2000}));
    cases.push_back({fmt::format("casts of {}", name(t)), casts, NoSpec{}, args, warps({2})});
  }
  for (DType t : {f16, bf16, e4m3, e5m2, f32, f64})
    cases.push_back({fmt::format("dot {}", name(t)),
                     product,
                     DotSpec{},
                     {numbers(t, {32, 32}, 1), numbers(t, {32, 32}, 2), output(t == f64 ? f64 : f32, {32, 32})},
                     warps({4})});
  for (DType t : {bf16, f32, f64})
    cases.push_back({fmt::format("across {}", name(t)),
                     across,
                     NoSpec{},
                     {special(t, {16, 64}, 1), output(t, {3, 16}), output(t, {16, 64}), output(t, {16, 4})},
                     warps({4})});
  return cases;
}

/// True if this CPU runs code of the level.
bool has(const std::string &level) {
  std::ifstream info("/proc/cpuinfo");
  std::string flags;
  for (std::string line; flags.empty() && std::getline(info, line);)
    if (line.starts_with("flags")) flags = line + " ";
  auto all = [&](std::initializer_list<const char *> names) {
    for (const char *n : names)
      if (flags.find(std::string(" ") + n + " ") == std::string::npos) return false;
    return true;
  };
  if (level == "v3") return all({"avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"});
  if (level == "v4")
    return all(
        {"avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"});
  return true;
}

class Levels : public ::testing::TestWithParam<const char *> {};
INSTANTIATE_TEST_SUITE_P(All, Levels, ::testing::Values("v3", "v4"),
                         [](const auto &info) { return std::string(info.param); });

std::vector<std::vector<Argument>> run_at(const char *level, const std::vector<Case> &cases) {
  moec::testing::WithVariable variable("MOEC_SIM_LEVEL", level);
  reload_environment();
  std::vector<std::vector<Argument>> results(cases.size());
  const size_t before = compile_records().size();
  in_parallel(cases.size(), [&](size_t i) {
    results[i] = cases[i].args;
    cases[i].jit(cases[i].schedules[0])(Device::sim(), results[i]);
  });
  EXPECT_GE(compile_records().size(), before + cases.size()) << "code of another level was used";
  return results;
}

TEST_P(Levels, SameBitsAsV2) {
  if (!has(GetParam())) GTEST_SKIP() << "this CPU does not run x86-64-" << GetParam();
  const std::vector<Case> cases = sample();
  static const auto lowest = run_at("v2", cases);
  auto got = run_at(GetParam(), cases);
  reload_environment();
  for (size_t i = 0; i < cases.size(); ++i) EXPECT_EQ(difference(lowest[i], got[i]), "") << cases[i].name;
}

} // namespace
} // namespace moec::ops
