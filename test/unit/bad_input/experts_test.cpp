// Bad input of the experts layers and blocks.
#include <gtest/gtest.h>

#include "bad_input.h"
#include "test/unit/kernels/experts_data.h"

namespace moec {
namespace {

struct TwoRanks : Communicator {
  int rank() const override { return 1; }
  int size() const override { return 2; }
};

const Device sim = Device::sim();
const MoeConfig good = config_of(4, 2, 8, 6, "swiglu", true);
MoeConfig changed(auto change) {
  MoeConfig c = good;
  change(c);
  return c;
}

TEST(BadInput, LayersConfiguration) {
  expect_refused({
      {"Invalid expert activation", "'silu' is none; use swiglu, swigluoai",
       [&](auto &) { GroupedExperts(changed([](auto &c) { c.expert_activation = "silu"; }), sim); }},
      {"GroupedExperts", "n_routed_experts is 0",
       [&](auto &) { GroupedExperts(changed([](auto &c) { c.n_routed_experts = 0; }), sim); }},
      {"GroupedExperts", "n_activated_experts is 5",
       [&](auto &) { GroupedExperts(changed([](auto &c) { c.n_activated_experts = 5; }), sim); }},
      {"GroupedExperts", "the experts' dim is -1",
       [&](auto &) { GroupedExperts(changed([](auto &c) { c.moe_latent_size = -1; }), sim); }},
      {"GroupedExperts", "moe_inter_dim is 0",
       [&](auto &) { GroupedExperts(changed([](auto &c) { c.moe_inter_dim = 0; }), sim); }},
      {"GroupedExperts", "the parameters' dtype is i32",
       [&](auto &) { GroupedExperts(changed([](auto &c) { c.dtype = i32; }), sim); }},
      {"GroupedExperts", "the communicator has 2 ranks",
       [&](auto &) { GroupedExperts(good, sim, std::make_shared<TwoRanks>()); }},
      {"GroupedExperts: limit", "it is not a number",
       [&](auto &) { GroupedExperts(changed([](auto &c) { c.swiglu_limit = std::nan(""); }), sim); }},
      {"GroupedExperts", "there is no communicator", [&](auto &) { GroupedExperts(good, sim, nullptr); }},
      {"GroupedExpertsTE", "its linear maps add the down bias themselves, so it cannot apply router weights after them",
       [&](auto &) { GroupedExpertsTE(changed([](auto &c) { c.apply_router_weight_after_down = true; }), sim); }},
      {"GroupedExpertsTE: gate_up_linear", "no values", [&](auto &) { GroupedExpertsTE(good, sim).gate_up_linear(0); }},
  });
}

TEST(BadInput, LayersCalls) {
  GroupedExperts layer(good, sim), empty(good, sim);
  layer.initialize(1);
  const Stream stream(sim);
  const Input in = random_input(good, 5, f32);
  const ExpertsKept kept = layer.forward(stream, in.x, in.token_mask, in.weights, in.indices).kept;
  auto changed_kept = [&](auto change) {
    ExpertsKept k = kept;
    change(k);
    return k;
  };
  auto forward = [&](const Tensor &x, const Tensor &mask, const Tensor &weights, const Tensor &indices) {
    layer.forward(stream, x, mask, weights, indices);
  };
  auto load = [&](const char *key, const Tensor &value) {
    TensorFile state = layer.state();
    for (auto &[name, tensor] : state.tensors)
      if (name == key) tensor = value;
    layer.load_state(state);
  };
  expect_refused({
      {"GroupedExperts", "no values for gate_and_up_projs, down_projs, gate_up_proj_bias, down_proj_bias",
       [&](auto &s) { empty.forward(s, in.x, in.token_mask, in.weights, in.indices); }},
      {"GroupedExperts: no values for gate_and_up_projs, down_projs, gate_up_proj_bias, down_proj_bias;",
       "call initialize(), set_parameters() or load_state() first", [&](auto &) { empty.state(); }},
      {"GroupedExperts: load", "the state has no gate_and_up_projs, down_projs, gate_up_proj_bias",
       [&](auto &) { empty.load_state(TensorFile()); }},
      {"GroupedExperts: load down_projs", "the state has it twice",
       [&](auto &) {
         TensorFile state = layer.state();
         state.add("down_projs", f(4, 6, 8));
         layer.load_state(state);
       }},
      {"GroupedExperts: load down_projs", "its shape must be [4, 6, 8]",
       [&](auto &) { load("down_projs", f(4, 8, 6)); }},
      {"GroupedExperts: load gate_and_up_projs", "its shape must be [4, 8, 12]",
       [&](auto &) { load("gate_and_up_projs", f(3, 8, 12)); }},
      {"GroupedExperts: load gate_up_proj_bias", "its dtype must be f32 or bf16 or f16 or f64",
       [&](auto &) { load("gate_up_proj_bias", of(i32, 4, 12)); }},
      {"GroupedExperts: x", "it is f32[5, 9] on host; its shape must be [*, 8]",
       [&](auto &) { forward(f(5, 9), in.token_mask, in.weights, in.indices); }},
      {"GroupedExperts: x", "its dtype must be f32 or bf16 or f16 or f64",
       [&](auto &) { forward(of(i32, 5, 8), in.token_mask, in.weights, in.indices); }},
      {"GroupedExperts", "token_mask", [&](auto &) { forward(in.x, of(boolean, 4), in.weights, in.indices); }},
      {"GroupedExperts: token_mask", "its dtype must be bool",
       [&](auto &) { forward(in.x, f(5), in.weights, in.indices); }},
      {"GroupedExperts", "weights", [&](auto &) { forward(in.x, in.token_mask, f(5, 3), in.indices); }},
      {"GroupedExperts", "weights: it is missing", [&](auto &) { forward(in.x, in.token_mask, Tensor(), in.indices); }},
      {"GroupedExperts", "indices: it is i64[5, 3] on host; its shape must be [5, 2]",
       [&](auto &) { forward(in.x, in.token_mask, in.weights, of(i64, 5, 3)); }},
      {"GroupedExperts: indices", "its dtype must be i32 or i64",
       [&](auto &) { forward(in.x, in.token_mask, in.weights, f(5, 2)); }},
      {"GroupedExperts: gradient", "its shape must be [5, 8]", [&](auto &s) { layer.backward(s, f(4, 8), kept); }},
      {"GroupedExperts: gradient", "its dtype must be f32", [&](auto &s) { layer.backward(s, of(bf16, 5, 8), kept); }},
      {"GroupedExperts", "backward() without what a forward pass kept",
       [&](auto &s) { layer.backward(s, in.x, ExpertsKept()); }},
      {"GroupedExperts: what was kept is of another topk: 1", "pass what this layer's forward() kept",
       [&](auto &s) { layer.backward(s, in.x, changed_kept([](auto &k) { k.topk = 1; })); }},
      {"GroupedExperts: kept row_ids", "its shape must be [10]",
       [&](auto &s) { layer.backward(s, in.x, changed_kept([](auto &k) { k.row_ids = k.row_ids.slice(0, 0, 5); })); }},
      {"GroupedExperts: kept offs", "it is missing",
       [&](auto &s) {
         ExpertsGrads grads;
         layer.drop_idle_gradients(s, changed_kept([](auto &k) { k.offs = {}; }), grads);
       }},
      {"GroupedExperts: the layer was moved to another", "use that one",
       [&](auto &s) {
         GroupedExperts moved(good, sim), there(std::move(moved));
         moved.forward(s, in.x, in.token_mask, in.weights, in.indices);
       }},
      {"kept_bytes_bound", "the number of tokens is -1", [&](auto &) { layer.describe(-1, f32); }},
      {"GroupedExperts: gate_and_up_projs", "its shape must be [4, 8, 12]",
       [&](auto &) {
         ExpertParameters p = layer.parameters();
         p.gate_up = f(4, 12, 8); // as GroupedExpertsTE has it
         layer.set_parameters(p);
       }},
      {"GroupedExperts: down_projs", "its dtype must be f32",
       [&](auto &) {
         ExpertParameters p = layer.parameters();
         p.down = of(bf16, 4, 6, 8);
         layer.set_parameters(p);
       }},
      {"GroupedExperts: down_proj_bias", "it is missing",
       [&](auto &) {
         ExpertParameters p = layer.parameters();
         p.down_bias = {};
         layer.set_parameters(p);
       }},
      {"GroupedExpertsTE: down_linear", "the expert is 4; it must be 0 to 3",
       [&](auto &) {
         GroupedExpertsTE te(good, sim);
         te.initialize(1);
         te.down_linear(4);
       }},
  });
}

TEST(BadInput, Blocks) {
  const Qwen3MoeBlock::Parameters q{f(4, 8), f(4, 12, 8), f(4, 8, 6)};
  const Llama4MoeBlock::Parameters l{q.gate, q.gate_up_proj, q.down_proj, f(10, 8), f(8, 5)};
  auto changed = [](auto p, auto change) {
    change(p);
    return p;
  };
  const Qwen3MoeBlock qwen(q, 2);
  const Llama4MoeBlock llama(l);
  const ExpertsKept kept = qwen.forward(Stream(sim), f(3, 8)).kept;
  expect_refused({
      {"Qwen3MoeBlock", "topk is 0; it must be 1 to 4", [&](auto &) { Qwen3MoeBlock(q, 0); }},
      {"Qwen3MoeBlock", "topk is 5; it must be 1 to 4", [&](auto &) { Qwen3MoeBlock(q, 5); }},
      {"Qwen3MoeBlock", "router: it is missing",
       [&](auto &) { Qwen3MoeBlock(changed(q, [&](auto &p) { p.gate = {}; }), 2); }},
      {"Qwen3MoeBlock: router", "its dtype must be f32",
       [&](auto &) { Qwen3MoeBlock(changed(q, [&](auto &p) { p.gate = of(i32, 4, 8); }), 2); }},
      {"Qwen3MoeBlock: router", "sizes must be positive",
       [&](auto &) { Qwen3MoeBlock(changed(q, [&](auto &p) { p.gate = f(4, 0); }), 2); }},
      {"Qwen3MoeBlock", "gate_up_proj: it is f32[4, 10, 8] on host; its shape must be [4, 12, 8]",
       [&](auto &) { Qwen3MoeBlock(changed(q, [&](auto &p) { p.gate_up_proj = f(4, 10, 8); }), 2); }},
      {"Qwen3MoeBlock", "down_proj",
       [&](auto &) { Qwen3MoeBlock(changed(q, [&](auto &p) { p.down_proj = f(3, 8, 6); }), 2); }},
      {"Qwen3MoeBlock: down_proj", "its dtype must be f32",
       [&](auto &) { Qwen3MoeBlock(changed(q, [&](auto &p) { p.down_proj = of(bf16, 4, 8, 6); }), 2); }},
      {"Qwen3MoeBlock", "x: it is f32[3, 9] on host; its shape must be", [&](auto &s) { qwen.forward(s, f(3, 9)); }},
      {"Qwen3MoeBlock", "x", [&](auto &s) { qwen.forward(s, f(8)); }},
      {"Qwen3MoeBlock: x", "its dtype must be f32", [&](auto &s) { qwen.forward(s, of(bf16, 3, 8)); }},
      {"Qwen3MoeBlock", "gradient", [&](auto &s) { qwen.backward(s, f(4, 8), kept); }},
      {"Qwen3MoeBlock: kept gate_up", "its dtype must be f32",
       [&](auto &s) {
         ExpertsKept other = kept;
         other.gate_up = of(bf16, 6, 12);
         qwen.backward(s, f(3, 8), other);
       }},
      {"Qwen3MoeBlock", "backward() without what a forward pass kept", [&](auto &s) { qwen.backward(s, f(3, 8), {}); }},
      {"Llama4MoeBlock", "topk is 2; it must be 1", [&](auto &) { Llama4MoeBlock(l, 2); }},
      {"Llama4MoeBlock", "shared_down",
       [&](auto &) { Llama4MoeBlock(changed(l, [&](auto &p) { p.shared_down = f(9, 5); })); }},
      {"Llama4MoeBlock: shared_gate_up", "its shape must be [10, 8]",
       [&](auto &) { Llama4MoeBlock(changed(l, [&](auto &p) { p.shared_gate_up = f(8, 8); })); }},
      {"Llama4MoeBlock", "x: it is missing", [&](auto &s) { llama.forward(s, Tensor()); }},
      {"Llama4MoeBlock", "backward() without what a forward pass kept",
       [&](auto &s) { llama.backward(s, f(3, 8), {}); }},
  });
}

} // namespace
} // namespace moec
