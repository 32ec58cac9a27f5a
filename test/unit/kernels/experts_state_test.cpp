// The experts layers' parameters: initial values, state dicts; bad input of the layers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <unistd.h>

#include "experts_data.h"
#include "runtime/error.h"
#include "runtime/safetensors.h"

namespace moec {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ExpertsState, InitialValues) {
  MoeConfig c = config_of(4, 2, 64, 48, "swiglu", true, false, f32);
  GroupedExperts plain(c, Device::sim());
  GroupedExpertsTE te(c, Device::sim());
  plain.initialize(7), te.initialize(7);
  auto w = plain.parameters().gate_up.to_values();
  double sum = 0, squares = 0;
  for (double v : w) sum += v, squares += v * v;
  const double n = static_cast<double>(w.size());
  EXPECT_NEAR(sum / n, 0, 4 * 0.02 / std::sqrt(n));
  EXPECT_NEAR(std::sqrt(squares / n), 0.02, 4 * 0.02 / std::sqrt(2 * n));
  double within = static_cast<double>(std::ranges::count_if(w, [](double v) { return std::abs(v) < 0.02; }));
  EXPECT_NEAR(within / n, 0.6827, 4 * std::sqrt(0.6827 * 0.3173 / n));
  for (double v : plain.parameters().gate_up_bias.to_values()) ASSERT_EQ(v, 0);
  // One generator for all classes, another stream for each parameter and seed.
  EXPECT_EQ(plain.state().at("down_projs").to_bytes(), te.state().at("down_projs").to_bytes());
  EXPECT_NE(plain.parameters().down.to_values()[0], w[0]);
  plain.initialize(8);
  EXPECT_NE(plain.parameters().gate_up.to_values()[0], w[0]);
  plain.initialize(7);
  EXPECT_EQ(plain.parameters().gate_up.to_values(), w);
  // In other dtypes: the same values, rounded once.
  auto in_dtype = [&](DType dtype) {
    c.dtype = dtype;
    GroupedExperts layer(c, Device::sim());
    layer.initialize(7);
    return layer.parameters().gate_up;
  };
  std::vector<double> exact = in_dtype(f64).to_values();
  EXPECT_EQ(in_dtype(bf16).to_bytes(), Tensor::from_values(exact, {4, 64, 96}, bf16).to_bytes());
  EXPECT_EQ(in_dtype(f32).to_bytes(), Tensor::from_values(exact, {4, 64, 96}, f32).to_bytes());
}

TEST(ExpertsState, RoundTrip) {
  const std::string path = testing::TempDir() + "moec_experts_" + std::to_string(getpid()) + ".safetensors";
  MoeConfig c = config_of(3, 2, 8, 6, "quick_geglu", true, false, bf16);
  GroupedExpertsTE te(c, Device::sim()), again(c, Device::sim());
  GroupedExperts plain(c, Device::sim());
  te.load_state(random_state(c));
  write_safetensors(path, te.state("layers.3.mlp.experts."));
  TensorFile file = read_safetensors(path);
  std::filesystem::remove(path);
  std::vector<std::string> keys;
  for (auto &[key, tensor] : file.tensors) keys.push_back(key);
  EXPECT_THAT(keys, ElementsAre("layers.3.mlp.experts.gate_and_up_projs", "layers.3.mlp.experts.down_projs",
                                "layers.3.mlp.experts.gate_up_proj_bias", "layers.3.mlp.experts.down_proj_bias"));
  Tensor stacked = file.at("layers.3.mlp.experts.gate_and_up_projs");
  EXPECT_EQ(stacked.text(), Tensor::empty({3, 8, 12}, bf16).text());
  again.load_state(file, "layers.3.mlp.experts."), plain.load_state(file, "layers.3.mlp.experts.");
  EXPECT_EQ(again.parameters().gate_up.to_bytes(), te.parameters().gate_up.to_bytes());
  EXPECT_EQ(again.parameters().down_bias.to_bytes(), te.parameters().down_bias.to_bytes());
  EXPECT_EQ(plain.parameters().gate_up.to_bytes(), stacked.to_bytes());
  // One expert's linear map: [out, in], in the layer's own memory.
  GroupedExpertsTE::Linear l = te.gate_up_linear(2);
  EXPECT_EQ(l.weight.shape(), (Dims{12, 8}));
  EXPECT_EQ(l.weight.to_bytes(), stacked.select(0, 2).transpose(0, 1).to_bytes());
  EXPECT_EQ(l.bias.to_bytes(), file.at("layers.3.mlp.experts.gate_up_proj_bias").select(0, 2).to_bytes());
  EXPECT_EQ(te.down_linear(0).weight.shape(), (Dims{8, 6}));
}

TEST(ExpertsState, MissingAndUndefined) {
  MoeConfig c = config_of(3, 2, 8, 6, "swiglu", true);
  GroupedExpertsTE te(c, Device::sim());
  te.initialize(3);
  Tensor before = te.parameters().gate_up, down = random_floats({3, 6, 8}, f32);
  TensorFile part;
  part.add("p.down_projs", down);
  part.add("p.gate_and_up_projs", Tensor()); // no value: the parameter stays
  part.add("p.something_else", down);
  std::vector<std::string> missing{"from before"};
  te.load_state(part, "p.", &missing);
  EXPECT_THAT(missing, ElementsAre("from before", "p.gate_up_proj_bias", "p.down_proj_bias"));
  EXPECT_EQ(te.state().at("down_projs").to_bytes(), down.to_bytes());
  EXPECT_EQ(te.parameters().gate_up.data(), before.data());
}

// Tensors of the caller's: shared, not copied.
TEST(ExpertsState, SetParameters) {
  MoeConfig c = config_of(3, 2, 8, 6, "swiglu", true);
  GroupedExpertsTE te(c, Device::sim()), copy(c, Device::sim());
  te.initialize(5);
  copy.set_parameters(te.parameters());
  EXPECT_EQ(copy.parameters().down.data(), te.parameters().down.data());
  EXPECT_EQ(copy.state().at("gate_and_up_projs").to_bytes(), te.state().at("gate_and_up_projs").to_bytes());
  GroupedExperts other(c, Device::sim()); // has the matrices the other way round
  EXPECT_THROW(other.set_parameters(te.parameters()), UserError);
  ExpertParameters low = te.parameters();
  low.down = random_floats({3, 8, 6}, bf16);
  EXPECT_THROW(copy.set_parameters(low), UserError);
  EXPECT_EQ(copy.parameters().down.data(), te.parameters().down.data());
}

// ----------------------------------------------------------------------------------------------------------------
// bad input

struct TwoRanks : Communicator {
  int rank() const override { return 1; }
  int size() const override { return 2; }
};

TEST(Experts, BadInput) {
  const Device sim = Device::sim();
  const Stream stream(sim);
  const MoeConfig good = config_of(4, 2, 8, 6, "swiglu", true);
  auto changed = [&](auto change) {
    MoeConfig c = good;
    change(c);
    return c;
  };
  GroupedExperts layer(good, sim), empty(good, sim);
  layer.initialize(1);
  const Input in = random_input(good, 5, f32);
  const ExpertsKept kept = layer.forward(stream, in.x, in.token_mask, in.weights, in.indices).kept;
  auto forward = [&](const Tensor &x, const Tensor &mask, const Tensor &weights, const Tensor &indices) {
    layer.forward(stream, x, mask, weights, indices);
  };
  auto load = [&](const char *key, const Tensor &value) {
    TensorFile state = layer.state();
    for (auto &[name, tensor] : state.tensors)
      if (name == key) tensor = value;
    layer.load_state(state);
  };
  const std::pair<std::function<void()>, const char *> table[] = {
      {[&] { GroupedExperts(changed([](auto &c) { c.expert_activation = "silu"; }), sim); },
       "Invalid expert activation"},
      {[&] { GroupedExperts(changed([](auto &c) { c.n_routed_experts = 0; }), sim); }, "n_routed_experts is 0"},
      {[&] { GroupedExperts(changed([](auto &c) { c.n_activated_experts = 5; }), sim); }, "n_activated_experts is 5"},
      {[&] { GroupedExperts(changed([](auto &c) { c.moe_latent_size = -1; }), sim); }, "the experts' dim is -1"},
      {[&] { GroupedExperts(changed([](auto &c) { c.moe_inter_dim = 0; }), sim); }, "moe_inter_dim is 0"},
      {[&] { GroupedExperts(changed([](auto &c) { c.dtype = i32; }), sim); }, "the parameters' dtype is i32"},
      {[&] { GroupedExperts(good, sim, std::make_shared<TwoRanks>()); }, "the communicator has 2 ranks"},
      {[&] { GroupedExperts(good, sim, nullptr); }, "there is no communicator"},
      {[&] { GroupedExpertsTE(changed([](auto &c) { c.apply_router_weight_after_down = true; }), sim); },
       "GroupedExpertsTE: its linear maps add the down bias themselves, so it cannot apply router weights after them"},
      {[&] { GroupedExpertsTE(good, sim).gate_up_linear(0); }, "no values"},
      {[&] { empty.forward(stream, in.x, in.token_mask, in.weights, in.indices); },
       "no values for gate_and_up_projs, down_projs, gate_up_proj_bias, down_proj_bias"},
      {[&] { empty.state(); }, "call initialize(), set_parameters() or load_state() first"},
      {[&] { empty.load_state(TensorFile()); }, "the state has no gate_and_up_projs, down_projs, gate_up_proj_bias"},
      {[&] {
         load("down_projs", Tensor::zeros({4, 8, 6}, f32));
       },
       "its shape must be [4, 6, 8]"},
      {[&] {
         load("gate_and_up_projs", Tensor::zeros({3, 8, 12}, f32));
       },
       "its shape must be [4, 8, 12]"},
      {[&] {
         load("gate_up_proj_bias", Tensor::zeros({4, 12}, i32));
       },
       "its dtype must be f32 or bf16 or f16 or f64"},
      {[&] {
         forward(Tensor::zeros({5, 9}, f32), in.token_mask, in.weights, in.indices);
       },
       "GroupedExperts: x: it is f32[5, 9] on host; its shape must be [*, 8]"},
      {[&] {
         forward(Tensor::zeros({5, 8}, i32), in.token_mask, in.weights, in.indices);
       },
       "GroupedExperts: x"},
      {[&] { forward(in.x, Tensor::zeros({4}, boolean), in.weights, in.indices); }, "token_mask"},
      {[&] { forward(in.x, Tensor::zeros({5}, f32), in.weights, in.indices); }, "its dtype must be bool"},
      {[&] {
         forward(in.x, in.token_mask, Tensor::zeros({5, 3}, f32), in.indices);
       },
       "weights"},
      {[&] { forward(in.x, in.token_mask, Tensor(), in.indices); }, "weights: it is missing"},
      {[&] {
         forward(in.x, in.token_mask, in.weights, Tensor::zeros({5, 3}, i64));
       },
       "indices: it is i64[5, 3] on host; its shape must be [5, 2]"},
      {[&] {
         forward(in.x, in.token_mask, in.weights, Tensor::zeros({5, 2}, f32));
       },
       "its dtype must be i32 or i64"},
      {[&] {
         layer.backward(stream, Tensor::zeros({4, 8}, f32), kept);
       },
       "its shape must be [5, 8]"},
      {[&] {
         layer.backward(stream, Tensor::zeros({5, 8}, bf16), kept);
       },
       "its dtype must be f32"},
      {[&] { layer.backward(stream, in.x, ExpertsKept()); }, "backward() without what a forward pass kept"},
  };
  for (auto &[call, expected] : table) {
    std::string message;
    try {
      call();
    } catch (const UserError &e) { message = e.what(); }
    EXPECT_THAT(message, HasSubstr(expected));
  }
}

} // namespace
} // namespace moec
