// The test kit finds what it is for: wrong values, races, wrong gradients, orders that matter, traffic.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <moec/moec.h>
#include <moec/testing.h>

#include <cmath>
#include <limits>

namespace moec {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct BlockSpec {
  int block = 64;
  static void fields(auto &s, auto &&f) { f("block", s.block); }
};

/// y = factor * x by rows.
void scale(const BlockSpec &s, View x, View y, Float factor) {
  auto [T, D] = y.sizes<2>();
  x.expect({T, D});
  grid(T, cdiv(D, s.block));
  Int t = program_id(0);
  Tile c = program_id(1) * s.block + arange(s.block);
  store(y(t, c), load(x(t, c)) * cast(factor, x.dtype()));
}
Tensor scaled(const Stream &stream, const Tensor &x, double factor) {
  static const auto run = jit(scale);
  Tensor y = Tensor::empty(x.shape(), x.dtype(), stream.device());
  run(stream, {}, x, y, static_cast<float>(factor));
  return y;
}
Tensor doubled(const Stream &stream, const Tensor &x) { return scaled(stream, x, 2); }
Tensor twice(const Tensor &x) {
  std::vector<double> v = x.to_values();
  for (double &e : v) e *= 2;
  return Tensor::from_values(v, x.shape(), x.dtype());
}

TEST(Check, Passes) {
  Report report = check(doubled, twice, {hash_uniform(1, 1, {3, 100}, f32)});
  EXPECT_TRUE(report);
  EXPECT_EQ(report.text(), "check on interp and sim: max error 0");
}

TEST(Check, SaysWhichElementIsWrong) {
  auto wrong = [](const Tensor &x) {
    Tensor y = twice(x);
    y.data_as<float>()[105] = 7;
    return y;
  };
  Tensor x = Tensor::from_values(std::vector<double>(300, 3), {3, 100}, f32);
  std::string text = check(doubled, wrong, {x}).text();
  EXPECT_THAT(
      text,
      HasSubstr("output 0 (f32[3, 100] on host) on interp: element [1, 5] is 6, expected 7 (2.1e+06 ulps of f32); 1 of "
                "300 elements differ, max error 0.136"));
  EXPECT_THAT(text, HasSubstr("on sim: element [1, 5] is 6"));
  EXPECT_THAT(check(doubled, wrong, {x}, {.tolerance = 0.1}).text(),
              HasSubstr("1 of 300 elements are beyond the tolerance 0.1"));
  EXPECT_TRUE(check(doubled, wrong, {x}, {.tolerance = 0.2}));
  EXPECT_THAT(check(doubled, [](const Tensor &) { return Tensor::zeros({3, 99}, f32); }, {x}).text(),
              HasSubstr("it is f32[3, 100] on host, the reference f32[3, 99] on host"));
}

TEST(Check, ConvertsToAnAssertionResult) {
  auto zero = [](const Tensor &x) { return Tensor::zeros(x.shape(), f32); };
  ::testing::AssertionResult result = check(doubled, zero, {hash_uniform(1, 1, {1, 4}, f32)});
  EXPECT_FALSE(result);
  EXPECT_THAT(result.message(), HasSubstr("element [0, "));
}

/// Reads one element too far where the rows end.
void shifted(const NoSpec &, Pointer x, View y, Int n) {
  grid(1);
  Tile i = arange(32);
  store(y(i), load(x[i + 1], i < n));
}
/// Each lane reads what its neighbour wrote to global memory, with nothing between.
void neighbours(const NoSpec &, Pointer scratch, View y) {
  grid(4);
  Tile i = program_id(0) * 32 + arange(32);
  store(scratch[i], i);
  store(y(i), load(scratch[(i + 32) % 128]));
}

TEST(Check, ReportsWhatTheCheckedSimulatorFinds) {
  auto outside = [](const Stream &stream, const Tensor &x) {
    Tensor y = Tensor::empty(x.shape(), f32);
    jit(shifted)(stream, {}, x, y, 32);
    return y;
  };
  Report report =
      check(outside, [](const Tensor &x) { return x; }, {hash_uniform(1, 1, {32}, f32)}, {.devices = {Device::sim()}});
  EXPECT_THAT(report.text(), HasSubstr("out of bounds"));
  EXPECT_THAT(report.text(), HasSubstr("testing_test.cpp:"));
  auto racing = [](const Stream &stream, const Tensor &scratch) {
    Tensor y = Tensor::empty({128}, i32);
    jit(neighbours)(stream, {}, scratch, y);
    return y;
  };
  report = check(racing, [](const Tensor &x) { return x; }, {Tensor::zeros({128}, i32)}, {.devices = {Device::sim()}});
  EXPECT_THAT(report.text(), HasSubstr("race"));
}

/// Forgets the last row.
void first_rows(const BlockSpec &s, View x, View y) {
  auto [T, D] = y.sizes<2>();
  grid(T - 1);
  Tile c = arange(s.block);
  store(y(program_id(0), c), load(x(program_id(0), c)) * 2);
}
TEST(Check, KernelsThatLeaveElementsUnwritten) {
  Tensor x = hash_uniform(1, 1, {8, 64}, f32);
  EXPECT_THAT(check(jit(first_rows), BlockSpec{}, twice, {x}, {Tensor::empty({8, 64}, f32)}).text(),
              HasSubstr("nan, expected"));
}

TEST(Gradcheck, FindsAWrongGradient) {
  Tensor x = hash_uniform(1, 2, {3, 70}, f64);
  auto thrice = [](const Stream &stream, const Tensor &v) { return scaled(stream, v, 3); };
  EXPECT_TRUE(gradcheck(
      thrice, [](const Stream &stream, const Tensor &g, const Tensor &) { return scaled(stream, g, 3); }, {x}));
  Report report = gradcheck(
      thrice, [](const Stream &stream, const Tensor &g, const Tensor &) { return scaled(stream, g, 3.00001); }, {x});
  EXPECT_THAT(report.text(), HasSubstr("the gradient of input 0 (f64[3, 70] on host): element "));
  EXPECT_THAT(report.text(), HasSubstr("relative error 3.33e-06 (at most 1e-06)"));
  report = gradcheck(doubled, [](const Stream &, const Tensor &g, const Tensor &) { return g; },
                     {hash_uniform(1, 1, {2, 2}, f32)});
  EXPECT_THAT(report.text(), HasSubstr("give the function f64 inputs and outputs"));
}

/// max(x, 1)
void clamped(const NoSpec &, View x, View y) {
  grid(1);
  Tile i = arange(64);
  store(y(i), maximum(load(x(i)), 1));
}
TEST(Gradcheck, KeepsAwayFromKinks) {
  Tensor x = Tensor::from_values(std::vector<double>(64, 1.0), {64}, f64); // on the kink
  auto forward = [](const Stream &stream, const Tensor &v) {
    Tensor y = Tensor::empty({64}, f64);
    jit(clamped)(stream, {}, v, y);
    return y;
  };
  auto backward = [](const Stream &, const Tensor &g, const Tensor &v) {
    Tensor grad = g.to(Device::host());
    for (int i = 0; i < 64; ++i)
      if (v.data_as<double>()[i] < 1) grad.data_as<double>()[i] = 0;
    return grad;
  };
  EXPECT_FALSE(gradcheck(forward, backward, {x}));
  EXPECT_TRUE(gradcheck(forward, backward, {x}, {.kinks = {1}}));
  EXPECT_EQ(away_from(Tensor::from_values(std::vector{0.9995, 1.0, 3.0}, {3}, f64), {1}).to_vector<double>(),
            (std::vector<double>{1 - 1e-3, 1 + 1e-3, 3}));
}

// -- random schedules

/// The order in which programs and lanes come by.
void queue(const NoSpec &, Pointer next, View order) {
  grid(order.size(0) / 64);
  Tile i = program_id(0) * 64 + arange(64);
  store(order(i), atomic_add(next[i * 0], 1));
}
std::vector<int> order_of(std::optional<uint64_t> seed, bool checked) {
  static const auto run = jit(queue, {.num_warps = 2});
  SimScope scope({.checked = checked, .seed = seed});
  Tensor next = Tensor::zeros({1}, i32), order = Tensor::empty({256}, i32);
  run(Device::sim(), {}, next, order);
  return order.to_vector<int>();
}
TEST(Schedules, OneOrderPerSeed) {
  for (bool checked : {false, true}) {
    std::vector<int> in_order = order_of(0, checked), first = order_of(1, checked), second = order_of(2, checked);
    EXPECT_EQ(first, order_of(1, checked));
    EXPECT_NE(first, second);
    EXPECT_NE(first, in_order);
    auto sorted = first;
    std::ranges::sort(sorted);
    for (int i = 0; i < 256; ++i) EXPECT_EQ(sorted[static_cast<size_t>(i)], i);
    // Programs are shuffled, lanes too.
    auto least = [&](int program) {
      return *std::min_element(first.begin() + 64 * program, first.begin() + 64 * program + 64);
    };
    EXPECT_FALSE(least(0) < least(1) && least(1) < least(2) && least(2) < least(3));
    EXPECT_FALSE(std::is_sorted(first.begin(), first.begin() + 32));
  }
}
TEST(Schedules, TheScopeEndsAndInnerOnesWin) {
  SimScope outer({.checked = true, .seed = 3});
  EXPECT_EQ(sim_settings().seed, 3u);
  {
    SimScope inner({.seed = 5});
    EXPECT_EQ(sim_settings().seed, 5u);
    EXPECT_TRUE(sim_checked());
  }
  EXPECT_EQ(sim_settings().seed, 3u);
}

// -- traffic

struct StrideSpec {
  int step = 1;
  static void fields(auto &s, auto &&f) { f("step", s.step); }
};
/// y[i] = x[step * i], one element per lane.
void gather(const StrideSpec &s, Pointer x, View y) {
  grid(1);
  Tile i = arange(128);
  store(y(i), load(x[i * s.step]));
}
SimTraffic &counted(SimTraffic &traffic, int step, const Tensor &x, const Tensor &y) {
  SimScope scope({.traffic = &traffic});
  jit(gather, {.num_warps = 4})(Device::sim(), {.step = step}, x, y);
  return traffic;
}
TEST(Traffic, SectorsOfAWarp) {
  Tensor x = hash_uniform(1, 1, {128 * 16}, f32), y = Tensor::empty({128}, f32);
  struct {
    int step;
    uint64_t sectors, distinct;
  } cases[] = {
      {1, 16, 16}, {2, 32, 32}, {8, 128, 128}, {16, 128, 128}, {0, 4, 1}}; // 0: each warp asks for the same sector
  for (auto c : cases) {
    SimTraffic traffic;
    counted(traffic, c.step, x, y);
    auto kernels = traffic.kernels();
    ASSERT_EQ(kernels.size(), 1u);
    EXPECT_EQ(kernels[0].kernel, "gather");
    EXPECT_EQ(kernels[0].launches, 1u);
    EXPECT_EQ(kernels[0].loads.requests, 4u) << c.step;
    EXPECT_EQ(kernels[0].loads.bytes, 512u);
    EXPECT_EQ(kernels[0].loads.sectors, c.sectors) << c.step;
    EXPECT_EQ(kernels[0].loads.moved, c.distinct) << c.step;
    EXPECT_EQ(kernels[0].stores.sectors, 16u);
    EXPECT_EQ(traffic.of(x).distinct, c.distinct) << c.step;
    EXPECT_EQ(traffic.of(x).loaded, c.distinct);
    EXPECT_EQ(traffic.of(y).stored, 16u);
    EXPECT_EQ(traffic.total().sectors(), c.distinct + 16);
    EXPECT_DOUBLE_EQ(traffic.ratio({x, y}), 1);
    EXPECT_DOUBLE_EQ(counted(traffic, c.step, x, y).ratio({x, y}), 2) << "no cache keeps them from CTA to CTA";
  }
}
TEST(Traffic, MisalignedRowsTouchOneMore) {
  Tensor x = hash_uniform(1, 1, {129}, f32), y = Tensor::empty({128}, f32);
  SimTraffic traffic;
  counted(traffic, 1, x.slice(0, 1, 129), y);
  EXPECT_EQ(traffic.kernels()[0].loads.sectors, 20u); // five sectors for each warp's 128 bytes
  EXPECT_EQ(traffic.of(x.slice(0, 1, 129)).loaded, 17u);
  EXPECT_EQ(traffic.of(x.slice(0, 1, 129)).distinct, 17u);
}
TEST(Traffic, AtomicsAndSumsOverLaunches) {
  Tensor next = Tensor::zeros({1}, i32), order = Tensor::empty({256}, i32);
  SimTraffic traffic;
  SimScope scope({.traffic = &traffic});
  for (int i = 0; i < 3; ++i) jit(queue, {.num_warps = 2})(Device::sim(), {}, next, order);
  auto k = traffic.kernels().at(0);
  EXPECT_EQ(k.launches, 3u);
  EXPECT_EQ(k.atomics.sectors, 3u * 8);
  EXPECT_EQ(k.atomics.bytes, 3u * 256 * 4);
  EXPECT_EQ(traffic.of(next).atomic, 24u);
  traffic.name(next, "next");
  EXPECT_THAT(traffic.text(),
              HasSubstr("queue                                   3          0         96         24        120"));
  EXPECT_THAT(traffic.text(), HasSubstr("next                               24.000"));
  traffic.clear();
  EXPECT_EQ(traffic.total().sectors(), 0u);
}

TEST(HashIntegers, FillTheRange) {
  std::vector<double> v = hash_integers(1, -1, 2, {100}, i64).to_values();
  EXPECT_EQ(*std::ranges::min_element(v), -1);
  EXPECT_EQ(*std::ranges::max_element(v), 2);
}

TEST(Ulps, CountInTheDtype) {
  EXPECT_EQ(ulps_between(std::nextafter(1.f, 2.f), 1, f32), 1);
  EXPECT_EQ(ulps_between(1 + 0x1p-7, 1, bf16), 1);
  EXPECT_EQ(ulps_between(2, 0, f16), 2 / 0x1p-24);
  EXPECT_EQ(ulps_between(std::numeric_limits<double>::denorm_min(), 0, f64), 1);
}

} // namespace
} // namespace moec
