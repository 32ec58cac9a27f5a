// The verifier itself: generated tensors, the metric, and that mismatches and unsupported things are found.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <unistd.h>

#include "kernels/verify.h"
#include "places.h"
#include "runtime/error.h"

namespace moec {
namespace {

using testing::HasSubstr;

TEST(HashUniform, KnownValues) {
  auto v = hash_uniform(1, 1, {4}, f32).to_vector<float>();
  EXPECT_FLOAT_EQ(v[0], -0.000542283058f);
  EXPECT_FLOAT_EQ(v[1], 0.684568524f);
  EXPECT_FLOAT_EQ(v[2], -0.50166595f);
  EXPECT_FLOAT_EQ(v[3], -0.07137537f);
}

TEST(HashUniform, RoundsOnceAndDoesNotDependOnThreads) {
  Dims large{1 << 11, 1 << 10}; // more than one thread
  Tensor wide = hash_uniform(7, 0x1p-5, large, f32), narrow = hash_uniform(7, 0x1p-5, large, bf16);
  Tensor small = hash_uniform(7, 0x1p-5, {1000}, f32);
  auto w = wide.to_values(), n = narrow.to_values(), s = small.to_values();
  for (size_t i = 0; i < s.size(); ++i) ASSERT_EQ(w[i], s[i]);
  Tensor rounded = Tensor::from_values(w, large, bf16);
  EXPECT_EQ(rounded.to_bytes(), narrow.to_bytes());
}

Tensor values(std::vector<double> v, DType t = f32) {
  return Tensor::from_values(v, {static_cast<int64_t>(v.size())}, t);
}

TEST(Compare, Metric) {
  const double nan = std::nan(""), inf = INFINITY;
  // |got - ref| / (|ref| + 0.05 max|ref|)
  TensorReport r = compare("y", values({1, 2.5, 10}), values({1, 2, 10}), 0.25);
  EXPECT_EQ(r.status, CheckStatus::pass);
  EXPECT_DOUBLE_EQ(r.max_error, 0.5 / 2.5);
  EXPECT_EQ(compare("y", values({1, 2.5, 10}), values({1, 2, 10}), 0.15).status, CheckStatus::fail);
  EXPECT_EQ(compare("y", values({1, 2}), values({1, 2}), 0).status, CheckStatus::pass);
  r = compare("y", values({1, std::nextafter(2.f, 3.f)}), values({1, 2}), 0);
  EXPECT_EQ(r.status, CheckStatus::fail);
  EXPECT_EQ(r.max_error, 1);
  EXPECT_THAT(r.detail, HasSubstr("element [1] is"));
  EXPECT_EQ(compare("y", values({nan}), values({nan}), 0).status, CheckStatus::pass);
  EXPECT_EQ(compare("y", values({nan}), values({1}), 10).status, CheckStatus::fail);
  EXPECT_EQ(compare("y", values({1}), values({nan}), 10).status, CheckStatus::fail);
  EXPECT_EQ(compare("y", values({inf}), values({1}), 10).status, CheckStatus::fail);
  EXPECT_EQ(compare("y", values({1}), values({inf}), 10).status, CheckStatus::fail);
  EXPECT_EQ(compare("y", values({inf}), values({inf}), 1e-3).status, CheckStatus::pass);
  EXPECT_EQ(compare("y", values({1e-9}), values({0}), 1e-3).status, CheckStatus::fail); // nothing to be relative to
  EXPECT_THAT(compare("y", values({1, 2}), values({1}), 0).detail, HasSubstr("f32[2]"));
  EXPECT_EQ(compare("y", values({1}, bf16), values({1}), 0).status, CheckStatus::fail);
  EXPECT_EQ(compare("y", values({}), values({}), 0).status, CheckStatus::pass);
}

/// A recorded case with changes, in a file of its own.
class Case : public testing::Test {
protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "moec_verify_" + std::to_string(getpid());
    std::filesystem::create_directories(folder_);
    file = read_safetensors(golden_folder() + "weighted_swiglu/t21_h24_f32.safetensors");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  Tensor &tensor(const std::string &name) {
    for (auto &[n, t] : file.tensors)
      if (n == name) return t;
    throw std::out_of_range(name);
  }
  std::string write(const std::string &name = "case") {
    write_safetensors(folder_ + "/" + name + ".safetensors", file);
    return folder_ + "/" + name + ".safetensors";
  }
  CaseReport check() { return verify_case(write(), Device::interp()); }
  std::string folder_;
  TensorFile file;
};

TEST_F(Case, PassesUnchanged) {
  CaseReport r = check();
  EXPECT_EQ(r.status, CheckStatus::pass) << report_text(r, true);
  EXPECT_EQ(r.tensors.size(), 3u);
  EXPECT_EQ(r.unsupported_tensors(), 0);
}
TEST_F(Case, NoneStandsForWhatWasNotGiven) {
  file = read_safetensors(golden_folder() + "weighted_bias_quick_geglu_impl/t18_h16_f32_nobias.safetensors");
  file.metadata["clamp_value"] = file.metadata["bias"] = file.metadata["beta"] = "none";
  file.metadata["bias_dtype"] = "f32"; // describes
  EXPECT_EQ(check().status, CheckStatus::pass);
  file.metadata["bias"] = "0.5";
  EXPECT_EQ(check().status, CheckStatus::unsupported);
}
TEST_F(Case, OneWrongElementFails) {
  tensor("out.y") = tensor("out.y").contiguous().to(Device::host());
  tensor("out.y").data_as<float>()[7] += 0.01f;
  CaseReport r = check();
  EXPECT_EQ(r.status, CheckStatus::fail);
  EXPECT_THAT(report_text(r, false), HasSubstr("element [0, 7] is"));
}
TEST_F(Case, Ref32Replaces) {
  file.add("out.ref32.y", tensor("out.y"));
  tensor("out.y") = Tensor::zeros(tensor("out.y").shape(), f32);
  EXPECT_EQ(check().status, CheckStatus::pass);
}
TEST_F(Case, GeneratedInput) {
  Tensor x = hash_uniform(5, 2, {21, 48}, f32);
  std::erase_if(file.tensors, [](auto &t) { return t.first == "in.x" || t.first.starts_with("out.grad"); });
  file.metadata["gen.x"] = "hash_uniform seed=5 scale=2.0 shape=21x48";
  EXPECT_EQ(load_case(write()).at("in.x").to_bytes(), x.to_bytes());
  file.metadata["gen.x"] = "hash_uniform seed=5 scale=2.0 shape=21xx48";
  EXPECT_THAT(check().message, HasSubstr("cannot be generated"));
  file.metadata["gen.x"] = "hash_uniform seed=5 scale=2.0 shape=1000000x1000000";
  EXPECT_THAT(check().message, HasSubstr("cannot be generated"));
}
// Where the source leaves a token's slots in any order, they are found by their ids; their gradients move with them.
TEST_F(Case, SlotsInAnyOrder) {
  auto record = [&](const char *score_func) { // what this score function gives
    file = read_safetensors(golden_folder() + "gate_route/sigmoid_groups_bias_scale.safetensors");
    file.metadata["score_func"] = score_func;
    RecordedCall recorded = recorded_call(file);
    OpCall call(op_at("gate_route"), Stream(Device::interp()), recorded.inputs, recorded.parameters, recorded.outputs);
    call.run();
    for (const auto &[name, made] : call.outputs())
      if (file.contains("out." + name)) tensor("out." + name) = made.to(Device::host());
    EXPECT_EQ(check().status, CheckStatus::pass);
  };
  auto swap_slots = [&](const std::vector<std::string> &names) { // the first two of every token
    for (const std::string &name : names) {
      Tensor t = tensor(name).contiguous().to(Device::host()),
             swapped = Tensor::empty(t.shape(), t.dtype(), Device::host());
      swapped.copy_from(t);
      swapped.slice(1, 0, 1).copy_from(t.slice(1, 1, 2));
      swapped.slice(1, 1, 2).copy_from(t.slice(1, 0, 1));
      tensor(name) = swapped;
    }
  };
  record("sigmoid"); // has an order
  swap_slots({"out.weights", "out.indices"});
  EXPECT_EQ(check().status, CheckStatus::fail);
  swap_slots({"out.weights", "out.indices"});
  EXPECT_EQ(check().status, CheckStatus::pass);

  record("sigmoid_with_bias");
  swap_slots({"in.grad_weights", "out.weights", "out.indices"});
  CaseReport r = check();
  EXPECT_EQ(r.status, CheckStatus::pass) << report_text(r, true);
  tensor("out.indices").data_as<int64_t>()[0] ^= 1;
  EXPECT_EQ(check().status, CheckStatus::fail);
  tensor("out.indices") = Tensor::zeros({3, 2}, i64);
  EXPECT_THAT(report_text(check(), true), HasSubstr("i64[3, 2]"));
}
// A case may hold a corner and the sums of a large tensor in its place.
TEST_F(Case, Excerpts) {
  Tensor whole = tensor("out.grad_x");
  std::vector<double> values = whole.to_values(), sum(21), abssum(21);
  for (size_t i = 0; i < values.size(); ++i) sum[i / 48] += values[i], abssum[i / 48] += std::abs(values[i]);
  std::erase_if(file.tensors, [](auto &t) { return t.first == "out.grad_x"; });
  file.add("out.grad_x.slice", whole.slice(1, 0, 8).contiguous());
  file.add("out.grad_x.sum", Tensor::from(sum, {21}));
  file.add("out.grad_x.abssum", Tensor::from(abssum, {21}));
  CaseReport r = check();
  EXPECT_EQ(r.status, CheckStatus::pass) << report_text(r, true);
  EXPECT_EQ(r.tensors.size(), 5u);
  EXPECT_EQ(r.unsupported_tensors(), 0);
  for (const char *name : {"out.grad_x.slice", "out.grad_x.sum", "out.grad_x.abssum"}) {
    Tensor good = tensor(name);
    std::vector<double> wrong = good.to_values();
    wrong[3] += 1;
    tensor(name) = Tensor::from_values(wrong, good.shape(), good.dtype());
    EXPECT_EQ(check().status, CheckStatus::fail) << name;
    tensor(name) = good;
  }
}
// What the specification allows and no recorded case has.
TEST_F(Case, NoBiasToApply) {
  file = read_safetensors(golden_folder() + "apply_bias/e4_f16_f32_probs.safetensors");
  tensor("out.output") = tensor("in.value");
  std::erase_if(file.tensors, [](auto &t) {
    return t.first == "in.bias" || t.first == "out.grad_bias" || t.first == "out.grad_probs";
  });
  CaseReport r = check();
  EXPECT_EQ(r.status, CheckStatus::pass) << report_text(r, true);
  EXPECT_EQ(r.unsupported_tensors(), 0);
}
TEST_F(Case, TokensOfMoreDimensions) {
  file = read_safetensors(golden_folder() + "unsloth_routing_permute/t17_e8_k2_d16.safetensors");
  for (const char *name : {"in.x", "out.grad_x"}) tensor(name) = tensor(name).reshape({1, 17, 16});
  CaseReport r = check();
  EXPECT_EQ(r.status, CheckStatus::pass) << report_text(r, true);
}
TEST_F(Case, ParametersOfAnotherDtype) {
  file = read_safetensors(golden_folder() + "moe_experts_e2e/t7_d16_i12_e4_k2_quickgeglu_bias_small.safetensors");
  for (auto &[name, t] : file.tensors)
    if (name.find("proj") != std::string::npos) t = Tensor::from_values(t.to_values(), t.shape(), f64);
  CaseReport r = check();
  EXPECT_EQ(r.status, CheckStatus::pass) << report_text(r, true);
  tensor("in.down_proj_bias") = Tensor::from_values(tensor("in.down_proj_bias").to_values(), {4, 16}, f32);
  EXPECT_THAT(check().message, HasSubstr("its dtype must be f64"));
}
TEST_F(Case, FieldsOfTheConfigurationThatConcernOthers) {
  file = read_safetensors(golden_folder() + "gate_route/softmax_after_topk.safetensors");
  file.metadata["expert_bias"] = "true"; // of the experts
  file.metadata["swiglu_limit"] = "1.5";
  EXPECT_EQ(check().status, CheckStatus::pass);
  file.metadata["temperature"] = "2.0";
  EXPECT_EQ(check().status, CheckStatus::unsupported);
}
TEST_F(Case, UnsupportedThings) {
  file.metadata["clamp_value"] = "2.0"; // would change the result
  CaseReport r = check();
  EXPECT_EQ(r.status, CheckStatus::unsupported);
  EXPECT_THAT(r.message, HasSubstr("clamp_value"));
  file.metadata.erase("clamp_value");
  file.metadata["op"] = "weighted_swigloo";
  r = check();
  EXPECT_EQ(r.status, CheckStatus::unsupported);
  EXPECT_THAT(r.message, HasSubstr("did you mean weighted_swiglu?"));
  file.metadata.erase("op");
  EXPECT_EQ(check().status, CheckStatus::fail);
}
TEST_F(Case, MissingInputFails) {
  std::erase_if(file.tensors, [](auto &t) { return t.first == "in.weights"; });
  CaseReport r = check();
  EXPECT_EQ(r.status, CheckStatus::fail);
  EXPECT_THAT(r.message, HasSubstr("the tensor weights [M, 1] is missing"));
}

TEST_F(Case, SummariesAndExitCodes) {
  write("a_pass");
  file.add("out.extra", Tensor::zeros({1}, f32));
  write("b_extra");
  auto counts = [&](VerifyOptions o) { return verify(find_cases({folder_}), o, {}); };
  VerifySummary s = counts({Device::interp(), false, {}});
  EXPECT_EQ(s.text(), "2 passed, 0 failed, 0 unsupported");
  EXPECT_EQ(s.unsupported_tensors, 1);
  EXPECT_EQ(s.exit_code(), 0);
  s = counts({Device::interp(), true, {}});
  EXPECT_EQ(s.text(), "1 passed, 0 failed, 1 unsupported");
  EXPECT_EQ(s.exit_code(), 2);
  tensor("out.y") = Tensor::zeros(tensor("out.y").shape(), f32);
  write("c_wrong");
  s = counts({Device::interp(), true, {}});
  EXPECT_EQ(s.text(), "1 passed, 1 failed, 1 unsupported");
  EXPECT_EQ(s.exit_code(), 1);
  EXPECT_EQ(counts({Device::interp(), true, {"weighted_swiglu"}}).text(), "0 passed, 0 failed, 0 unsupported");
  EXPECT_THROW(find_cases({folder_ + "/nothing"}), UserError);
}

} // namespace
} // namespace moec
