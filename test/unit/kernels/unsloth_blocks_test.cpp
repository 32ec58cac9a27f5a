// The MoE blocks of Qwen3 and Llama-4 against the layers and plain f64 references; gradients by central differences.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "experts_data.h"
#include "kernels/unsloth_blocks.h"
#include "kernels/verify.h"
#include "on_devices.h"
#include "places.h"
#include "runtime/error.h"
#include "runtime/graph.h"
#include "runtime/jit.h"

namespace moec {
namespace {

using testing::HasSubstr;

class BlocksOn : public OnDevice {
protected:
  Tensor here(const Tensor &t) { return t.to(stream.device()); }
  Tensor random(const Dims &shape, DType dtype) { return here(random_floats(shape, dtype, 0.5)); }
  Qwen3MoeBlock::Parameters qwen3(int64_t E, int64_t D, int64_t I, DType t) {
    return {random({E, D}, t), random({E, 2 * I, D}, t), random({E, D, I}, t)};
  }
  Llama4MoeBlock::Parameters llama4(int64_t E, int64_t D, int64_t I, int64_t S, DType t) {
    return {random({E, D}, t), random({E, 2 * I, D}, t), random({E, D, I}, t), random({2 * S, D}, t),
            random({D, S}, t)};
  }
};
MOEC_ON_DEVICES(BlocksOn, test_devices());

Tensor transposed(const Tensor &t) { return t.transpose(1, 2).contiguous(); }

// The block is the experts layer with transposed matrices and the weights after them, behind softmax and top-k.
TEST_P(BlocksOn, Qwen3IsTheLayerBehindItsRouter) {
  auto p = qwen3(6, 12, 10, f32);
  Qwen3MoeBlock block(p, 2);
  Tensor x = random({2, 5, 12}, f32);
  Qwen3MoeBlock::Steps steps;
  auto r = block.forward(stream, x, &steps);
  EXPECT_EQ(r.y.shape(), x.shape());
  MoeConfig c = block.config();
  GroupedExperts layer(c, stream.device());
  TensorFile state;
  state.add("gate_and_up_projs", transposed(p.gate_up_proj));
  state.add("down_projs", transposed(p.down_proj));
  layer.load_state(state);
  ExpertsResult same = layer.forward(stream, x.reshape({10, 12}), {}, steps.gate.weights, steps.gate.indices);
  EXPECT_EQ(r.y.to_bytes(), same.y.to_bytes());
  Tensor grad = random({2, 5, 12}, f32);
  auto g = block.backward(stream, grad, r.kept);
  EXPECT_EQ(g.x.shape(), x.shape());
  ExpertsGrads h = layer.backward(stream, grad.reshape({10, 12}), same.kept);
  EXPECT_EQ(g.parameters.down_proj.to_bytes(), transposed(h.parameters.down).to_bytes());
  EXPECT_EQ(g.parameters.gate_up_proj.to_bytes(), transposed(h.parameters.gate_up).to_bytes());
}

// In bf16 the source rounds after each step. Tensor cores of a GPU may add in another order.
TEST(RecordedBlocks, Qwen3RoundsAsItsSource) {
  CaseReport r =
      verify_case(golden_folder() + "unsloth_qwen3_moe_block/b1_s16_d32_i32_e8_k2_bf16.safetensors", Device::interp());
  int exact = 0;
  for (const TensorReport &t : r.tensors)
    if (t.name == "intermediate" || t.name == "second_gemm" || t.name == "y") {
      EXPECT_EQ(t.max_error, 0) << t.name;
      ++exact;
    }
  EXPECT_EQ(exact, 3);
}

/// y of Llama-4's block in f64, token by token.
std::vector<double> reference(const Llama4MoeBlock::Parameters &p, const Tensor &x) {
  const int64_t E = p.router.size(0), D = p.router.size(1), I = p.down_proj.size(2), S = p.shared_down.size(1),
                T = x.numel() / D;
  auto router = p.router.to_values(), up = p.gate_up_proj.to_values(), down = p.down_proj.to_values(),
       shared_up = p.shared_gate_up.to_values(), shared_down = p.shared_down.to_values(), values = x.to_values();
  auto dot = [&](const double *a, const double *b, int64_t n) { return std::inner_product(a, a + n, b, 0.0); };
  // y += swiglu(scale x w1^T) w2^T with w1 [2n, D], w2 [D, n].
  auto mlp = [&](const double *token, double scale, const double *w1, const double *w2, int64_t n, double *y) {
    std::vector<double> a(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) {
      const double g = scale * dot(token, w1 + i * D, D), u = scale * dot(token, w1 + (n + i) * D, D);
      a[static_cast<size_t>(i)] = g / (1 + std::exp(-g)) * u;
    }
    for (int64_t d = 0; d < D; ++d) y[d] += dot(a.data(), w2 + d * n, n);
  };
  std::vector<double> y(values.size());
  for (int64_t t = 0; t < T; ++t) {
    const double *token = values.data() + t * D;
    std::vector<double> logits;
    for (int64_t e = 0; e < E; ++e) logits.push_back(dot(token, router.data() + e * D, D));
    logits = Tensor::from_values(logits, {E}, x.dtype()).to_values(); // as the block's: what rounds to a tie is one
    const int64_t e = std::ranges::max_element(logits) - logits.begin();
    const double w = 1 / (1 + std::exp(-logits[static_cast<size_t>(e)]));
    mlp(token, w, up.data() + e * 2 * I * D, down.data() + e * D * I, I, y.data() + t * D);
    mlp(token, 1, shared_up.data(), shared_down.data(), S, y.data() + t * D);
  }
  return y;
}

TEST_P(BlocksOn, Llama4MatchesThePlainReference) {
  struct {
    int64_t E, D, I, S, T;
    DType dtype;
    double tolerance;
  } cases[] = {{4, 16, 12, 20, 9, f32, 5e-5},
               {1, 5, 3, 1, 2, f32, 5e-5},
               {6, 24, 16, 8, 30, bf16, 8e-2},
               {5, 9, 7, 11, 6, f64, 1e-12},
               {3, 8, 4, 4, 0, f32, 0}};
  for (auto &s : cases) {
    SCOPED_TRACE(s.E);
    auto p = llama4(s.E, s.D, s.I, s.S, s.dtype);
    Tensor x = random({s.T, s.D}, s.dtype);
    Tensor y = Llama4MoeBlock(p).forward(stream, x).y;
    TensorReport r =
        compare("y", y.to(Device::host()), Tensor::from_values(reference(p, x), x.shape(), s.dtype), s.tolerance);
    EXPECT_EQ(r.status, CheckStatus::pass) << r.detail << " error " << r.max_error;
  }
}

// ------------------------------------------------------------------------------------------------------------
// gradients

template <class Block, class Make>
void expect_gradients(const Stream &stream, typename Block::Parameters p, const Tensor &x, const Tensor &grad,
                      Make make, std::vector<std::pair<const char *, Tensor Block::Parameters::*>> members) {
  auto loss = [&](const typename Block::Parameters &parameters, const Tensor &at) {
    return dot(make(parameters).forward(stream, at).y, grad);
  };
  Block block = make(p);
  auto g = block.backward(stream, grad, block.forward(stream, x).kept);
  expect_gradient("x", x, g.x, [&](const Tensor &at) { return loss(p, at); });
  for (auto [name, member] : members)
    expect_gradient(name, p.*member, g.parameters.*member, [&, member = member](const Tensor &at) {
      auto q = p;
      q.*member = at;
      return loss(q, x);
    });
}

/// No two logits of a token are so close that the steps of a difference swap them.
bool far_from_ties(const Tensor &x, const Tensor &router) {
  const int64_t E = router.size(0), D = router.size(1);
  auto tokens = x.to_values(), rows = router.to_values();
  for (auto token = tokens.begin(); token != tokens.end(); token += D) {
    std::vector<double> logits;
    for (int64_t e = 0; e < E; ++e) logits.push_back(std::inner_product(token, token + D, rows.begin() + e * D, 0.0));
    std::ranges::sort(logits);
    for (size_t i = 1; i < logits.size(); ++i)
      if (logits[i] - logits[i - 1] < 1e-3) return false;
  }
  return true;
}

TEST_P(BlocksOn, Qwen3Gradients) {
  using P = Qwen3MoeBlock::Parameters;
  for (int topk : {1, 3})
    for (bool norm : {false, true}) {
      P p = qwen3(5, 8, 6, f64);
      Tensor x = random({7, 8}, f64);
      while (!far_from_ties(x, p.gate)) x = random({7, 8}, f64);
      expect_gradients<Qwen3MoeBlock>(
          stream, p, x, random({7, 8}, f64), [&](const P &q) { return Qwen3MoeBlock(q, topk, norm); },
          {{"gate", &P::gate}, {"gate_up_proj", &P::gate_up_proj}, {"down_proj", &P::down_proj}});
    }
}

// One weight divided by its sum is 1, whatever its logit.
TEST_P(BlocksOn, OneNormalizedWeightIsOne) {
  Qwen3MoeBlock::Steps steps;
  Qwen3MoeBlock(qwen3(6, 12, 10, bf16), 1).forward(stream, random({9, 12}, bf16), &steps);
  for (double w : steps.gate.weights.to_values()) EXPECT_EQ(w, 1);
  Qwen3MoeBlock(qwen3(6, 12, 10, bf16), 1, false).forward(stream, random({9, 12}, bf16), &steps);
  for (double w : steps.gate.weights.to_values()) EXPECT_LT(w, 1);
}

TEST_P(BlocksOn, NoTokens) {
  auto q = Qwen3MoeBlock(qwen3(4, 8, 6, f32), 2);
  auto gq = q.backward(stream, here(Tensor::zeros({2, 0, 8}, f32)), q.forward(stream, random({2, 0, 8}, f32)).kept);
  EXPECT_EQ(gq.x.shape(), (Dims{2, 0, 8}));
  auto l = Llama4MoeBlock(llama4(4, 8, 6, 5, f32));
  auto gl = l.backward(stream, here(Tensor::zeros({0, 8}, f32)), l.forward(stream, random({0, 8}, f32)).kept);
  for (const Tensor &t : {gq.parameters.gate, gq.parameters.gate_up_proj, gq.parameters.down_proj, gl.parameters.router,
                          gl.parameters.gate_up_proj, gl.parameters.shared_gate_up, gl.parameters.shared_down})
    for (double v : t.to_values()) ASSERT_EQ(v, 0);
}

TEST_P(BlocksOn, Llama4Gradients) {
  using P = Llama4MoeBlock::Parameters;
  P p = llama4(4, 8, 6, 5, f64);
  Tensor x = random({2, 4, 8}, f64);
  while (!far_from_ties(x, p.router)) x = random({2, 4, 8}, f64);
  expect_gradients<Llama4MoeBlock>(stream, p, x, random({2, 4, 8}, f64), [](const P &p) { return Llama4MoeBlock(p); },
                                   {{"router", &P::router},
                                    {"gate_up_proj", &P::gate_up_proj},
                                    {"down_proj", &P::down_proj},
                                    {"shared_gate_up", &P::shared_gate_up},
                                    {"shared_down", &P::shared_down}});
}

// ------------------------------------------------------------------------------------------------------------
// memory, capture

TEST_P(BlocksOn, KeptBytes) {
  const int64_t T = 20, E = 8, D = 16, I = 12, b = 2;
  auto q = Qwen3MoeBlock(qwen3(E, D, I, bf16), 4);
  auto kept = q.forward(stream, random({T, D}, bf16)).kept.bytes();
  EXPECT_LE(kept, T * D * b + T * 4 * 2 * I * b + 16 * T * 4 + 8 * E);
  EXPECT_THAT(q.describe(T), HasSubstr("at most " + std::to_string(q.config().kept_bytes_bound(T, bf16)) + " bytes"));
  auto l = Llama4MoeBlock(llama4(E, D, I, 30, bf16));
  kept = l.forward(stream, random({T, D}, bf16)).kept.bytes();
  EXPECT_LE(kept, T * D * b + T * 2 * I * b + 16 * T + 8 * E);
  EXPECT_THAT(l.describe(T), HasSubstr("Llama4MoeBlock: 8 experts, topk 1, hidden 16, inter 12, swiglu"));
}

TEST_P(BlocksOn, Capture) {
  Qwen3MoeBlock qwen(qwen3(6, 16, 12, bf16), 2);
  Llama4MoeBlock llama(llama4(6, 16, 12, 10, bf16));
  Tensor x = random({9, 16}, bf16), other = random({9, 16}, bf16), grad = random({9, 16}, bf16);
  const Stream own = Stream::create(stream.device()); // CUDA's default stream cannot be captured
  auto step = [&](const Tensor &at) {
    auto q = qwen.forward(own, at);
    auto l = llama.forward(own, at);
    auto gq = qwen.backward(own, grad, q.kept);
    auto gl = llama.backward(own, grad, l.kept);
    return std::vector<Tensor>{q.y, l.y, gq.x, gl.x, gq.parameters.gate, gl.parameters.router};
  };
  step(x); // compiles
  std::vector<Tensor> out;
  Graph graph = Graph::capture(own, [&] { out = step(x); });
  own.synchronize();
  x.copy_from(other);
  graph.launch(own);
  std::vector<Tensor> want = step(other);
  own.synchronize();
  for (size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i].to_bytes(), want[i].to_bytes()) << i;
}

} // namespace
} // namespace moec
