// How a project of its own tests its kernels: GoogleTest, moec's test kit, plain host references. docs/testing.md walks
// through it. Build: link moec::moec (examples/own_kernel.cpp says how) and GTest::gtest_main.
#include <gtest/gtest.h>
#include <moec/moec.h>
#include <moec/testing.h>

#include <cmath>
#include <cstdio>

using namespace moec;

// -- the project: y = x * sigmoid(x) * w[row], and its gradients

struct SwishSpec {
  int block = 256;
  static void fields(auto &s, auto &&f) { f("block", s.block); }
};

void swish_kernel(const SwishSpec &s, View x, View w, View y) {
  auto [T, D] = x.sizes<2>();
  w.expect({T});
  y.expect({T, D});
  grid(T, cdiv(D, s.block));
  Int t = program_id(0);
  Tile c = program_id(1) * s.block + arange(s.block);
  Tile v = load(x(t, c));
  store(y(t, c), v * sigmoid(v) * load(w(t)));
}

void swish_backward_kernel(const SwishSpec &s, View grad, View x, View w, View grad_x, View grad_w) {
  auto [T, D] = x.sizes<2>();
  grad.expect({T, D});
  w.expect({T});
  grad_x.expect({T, D});
  grad_w.expect({T});
  grid(T);
  Int t = program_id(0);
  Tile sums = zeros({s.block}, x.dtype());
  for (Int begin : range(0, D, s.block)) {
    Tile c = begin + arange(s.block), v = load(x(t, c)), g = load(grad(t, c)), sig = sigmoid(v);
    store(grad_x(t, c), g * load(w(t)) * sig * (1 + v * (1 - sig)));
    sums += g * v * sig;
  }
  store(grad_w(t), sum(sums));
}

Tensor swish(const Stream &stream, const Tensor &x, const Tensor &w) {
  static const auto run = jit(swish_kernel);
  Tensor y = Tensor::empty(x.shape(), x.dtype(), stream.device());
  run(stream, {}, x, w, y);
  return y;
}

std::pair<Tensor, Tensor> swish_backward(const Stream &stream, const Tensor &grad, const Tensor &x, const Tensor &w) {
  static const auto run = jit(swish_backward_kernel);
  Tensor grad_x = Tensor::empty(x.shape(), x.dtype(), stream.device());
  Tensor grad_w = Tensor::empty(w.shape(), w.dtype(), stream.device());
  run(stream, {}, grad, x, w, grad_x, grad_w);
  return {grad_x, grad_w};
}

// -- its tests

const auto forward = [](const Stream &stream, const Tensor &x, const Tensor &w) { return swish(stream, x, w); };
const auto backward = [](const Stream &stream, const Tensor &grad, const Tensor &x, const Tensor &w) {
  return swish_backward(stream, grad, x, w);
};

// What is right, slowly and plainly, in f64; on the interpreter and the checked simulator, in order and under random
// schedules.
// [check]
Tensor reference(const Tensor &x, const Tensor &w) {
  std::vector<double> y = x.to_values(), weights = w.to_values();
  const auto columns = static_cast<size_t>(x.size(1));
  for (size_t i = 0; i < y.size(); ++i) y[i] *= weights[i / columns] / (1 + std::exp(-y[i]));
  return Tensor::from_values(y, x.shape(), x.dtype());
}

TEST(Swish, IsRight) {
  Tensor x = hash_uniform(1, 4, {7, 300}, f32), w = hash_uniform(2, 1, {7}, f32);
  EXPECT_TRUE(check(forward, reference, {x, w}, {.tolerance = 1e-6}));
}
// [end]

// A kernel by itself: inputs first, then what it writes.
TEST(Swish, KernelIsRight) {
  Tensor x = hash_uniform(3, 4, {5, 64}, f32), w = hash_uniform(4, 1, {5}, f32);
  const auto kernel = jit(swish_kernel);
  EXPECT_TRUE(
      check(kernel, SwishSpec{.block = 32}, reference, {x, w}, {Tensor::empty({5, 64}, f32)}, {.tolerance = 1e-6}));
}

// The gradients against central differences, in f64.
TEST(Swish, Gradients) {
  EXPECT_TRUE(gradcheck(forward, backward, {hash_uniform(5, 3, {4, 300}, f64), hash_uniform(6, 1, {4}, f64)}));
}

// Twenty orders of CTAs, warps and lanes give the same bits.
TEST(Swish, IsDeterministic) {
  EXPECT_TRUE(same_on_schedules(
      backward, {hash_uniform(7, 1, {9, 300}, f32), hash_uniform(8, 1, {9, 300}, f32), hash_uniform(9, 1, {9}, f32)},
      20));
}

// Every 32-byte sector is moved about once.
TEST(Swish, MovesItsTensorsOnce) {
  TrafficReport traffic =
      measure_traffic(forward, {hash_uniform(10, 1, {64, 2048}, f32), hash_uniform(11, 1, {64}, f32)});
  EXPECT_LE(traffic.ratio, 1.1) << traffic.text;
}

// Any piece of a program: under one random schedule, and its traffic counted.
TEST(Swish, InsideOfAProgram) {
  const Stream stream(Device::sim());
  Tensor x = hash_uniform(12, 1, {64, 2048}, f32), w = hash_uniform(13, 1, {64}, f32), y = swish(stream, x, w);
  const std::vector<std::byte> in_order = y.to_bytes();
  {
    // [schedule]
    SimScope scope({.checked = true, .seed = 7});
    // [end]
    EXPECT_EQ(swish(stream, x, w).to_bytes(), in_order);
  }
  // [traffic]
  SimTraffic traffic;
  {
    SimScope scope({.traffic = &traffic});
    y = swish(stream, x, w);
  }
  traffic.name(x, "x");
  traffic.name(y, "y");
  puts(traffic.text().c_str());
  // [end]
  EXPECT_EQ(traffic.of(y).stored, 64 * 2048 * 4 / 32u);
}
