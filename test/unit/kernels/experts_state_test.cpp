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
}

} // namespace
} // namespace moec
