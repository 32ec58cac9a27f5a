// `moec bench`'s cases run, for every op of the registry; and what they queue can be captured in a graph.
#include <filesystem>
#include <fstream>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/kernel_table.h"
#include "kernels/verify.h"
#include "runtime/error.h"
#include "runtime/graph.h"
#include "runtime/jit.h"
#include "test/unit/kernels/places.h"
#include "tools/moec/bench/cases.h"
#include "tools/moec/bench/measure.h"
#include "tools/moec/bench/peers.h"

namespace moec::bench {
namespace {

constexpr Model kTiny{"tiny", 64, 32, 8, 2};

std::vector<std::string> names_of(const std::vector<CaseTensor> &tensors) {
  std::vector<std::string> names;
  for (const CaseTensor &t : tensors) names.push_back(t.name);
  return names;
}

std::vector<Case> tiny_cases() {
  std::vector<Case> all;
  for (const Op &op : ops())
    for (Case &c : cases(op, kTiny, 6, bf16)) all.push_back(std::move(c));
  return all;
}

class EveryCase : public testing::TestWithParam<Case> {};
std::string name_of(const testing::TestParamInfo<Case> &info) {
  return info.param.op->name + (info.param.pass == Pass::forward ? "_forward" : "_backward");
}

/// Outputs that the op left out although the case wants them: those that need a parameter's other value may stay away.
TEST_P(EveryCase, RunsAndMovesWhatItCounts) {
  const Case &c = GetParam();
  const NamedTensors inputs = make_inputs(c, test_device());
  OpCall call(*c.op, test_device(), inputs, c.parameters, names_of(c.outputs));
  ASSERT_NO_THROW(call.run_forward());
  if (c.pass == Pass::backward) // what it is timed for has not begun
    for (const CaseTensor &t : c.outputs) EXPECT_FALSE(call.outputs().contains(t.name)) << t.name;
  ASSERT_NO_THROW(call.run_backward());
  int made = 0;
  std::vector<Tensor> others;
  for (const CaseTensor &t : c.inputs) others.push_back(inputs.at(t.name));
  for (const CaseTensor &t : c.outputs) {
    auto it = call.outputs().find(t.name);
    if (it == call.outputs().end()) continue;
    ++made;
    EXPECT_EQ(it->second.shape(), Dims(t.shape)) << t.name;
    EXPECT_EQ(name(it->second.dtype()), name(t.dtype)) << t.name;
    const bool given = std::ranges::any_of(others, [&](const Tensor &o) { return share_memory(o, it->second); });
    EXPECT_EQ(t.counted, !given) << t.name << ": counted although nobody writes it, or the reverse";
    others.push_back(it->second);
  }
  EXPECT_GT(made, 0);
  if (c.op->name != "moe_aux_loss_auto_scaler") EXPECT_GT(c.bytes(), 0); // its forward pass does nothing
  // A kernel is called after the function that calls grid(): not one of its helpers.
  for (const CompileRecord &r : compile_records()) // "copy" is the bandwidth's
    EXPECT_TRUE(r.kernel == "copy" || find_kernel(r.kernel)) << r.kernel;
}

/// Capturing runs nothing, and refuses whatever waits: so the host decided nothing by values, and the replay made all.
TEST_P(EveryCase, CanBeCapturedAndReplayed) {
  const Case &c = GetParam();
  const Stream stream = Stream::create(test_device());
  NamedTensors inputs = make_inputs(c, test_device());
  OpCall plain(*c.op, stream, inputs, c.parameters, names_of(c.outputs));
  plain.run();
  OpCall captured(*c.op, stream, inputs, c.parameters, names_of(c.outputs));
  Graph graph = Graph::capture(stream, [&] { captured.run(); });
  graph.launch(stream);
  stream.synchronize();
  for (const auto &[name, expected] : plain.outputs())
    EXPECT_EQ(captured.outputs().at(name).to_bytes(), expected.to_bytes()) << name;
}

INSTANTIATE_TEST_SUITE_P(Ops, EveryCase, testing::ValuesIn(tiny_cases()), name_of);

TEST(Bench, ModelsAreFoundByName) {
  EXPECT_EQ(models().size(), 5u);
  EXPECT_EQ(model_at("deepseek-v3").experts, 256);
  EXPECT_THROW(model_at("deepseek"), UserError);
}

TEST(Bench, CountsEachTensorOnce) {
  for (const Case &c : cases(op_at("weighted_swiglu"), kTiny, 6, bf16)) {
    const int64_t rows = 6 * 2, x = rows * 64 * 2, y = rows * 32 * 2, w = rows * 4;
    EXPECT_EQ(c.bytes(), c.pass == Pass::forward ? x + w + y : x + w + y + x + w);
  }
  for (const Case &c : cases(op_at("grouped_mm"), kTiny, 6, bf16))
    EXPECT_EQ(c.flops, 2.0 * 12 * 64 * 64 * (c.pass == Pass::forward ? 1 : 2));
}

/// A stand-in for the Python interpreter: a shell script, which gets the peers' script and the cases as arguments.
std::string interpreter(const std::string &name, const std::string &lines) {
  std::string path = testing::TempDir() + "moec_bench_" + name;
  std::ofstream(path) << "#!/bin/sh\n" << lines;
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  return path;
}

TEST(Bench, ReadsWhatPythonMeasured) {
  std::vector<Case> two = cases(op_at("weighted_swiglu"), kTiny, 6, bf16);
  std::string reason;
  std::string python = interpreter("good", "grep -q '\"op\": *\"weighted_swiglu\"' \"$2\" || exit 3\n"
                                           "test -s \"$(dirname \"$1\")/triton_kernels.py\" || exit 4\n"
                                           "test \"$3\" = sim || exit 5\n"
                                           "echo a library says hello\n"
                                           "echo '{\"case\": 1, \"peer\": \"torch\", \"seconds\": 0.5}'\n"
                                           "echo '{\"case\": 7, \"peer\": \"torch\", \"seconds\": 1}'\n");
  std::vector<PeerSeconds> seconds = python_seconds(two, Device::sim(), python, reason);
  EXPECT_EQ(reason, "");
  ASSERT_EQ(seconds.size(), 2u);
  EXPECT_TRUE(seconds[0].empty());
  EXPECT_EQ(seconds[1], (PeerSeconds{{"torch", 0.5}}));
}

TEST(Bench, SaysWhyThereAreNoPeers) {
  std::vector<Case> two = cases(op_at("weighted_swiglu"), kTiny, 6, bf16);
  std::string reason;
  python_seconds(two, Device::sim(), interpreter("none", "echo '{\"reason\": \"no module named torch\"}'\n"), reason);
  EXPECT_EQ(reason, "no module named torch");
  reason.clear();
  python_seconds(two, Device::sim(), "/no/such/python", reason);
  EXPECT_THAT(reason, testing::HasSubstr("/no/such/python"));
}

TEST(Bench, MeasuresWhatRuns) {
  int runs = 0;
  Timing t = measure(Device::sim(), [&] { ++runs; }, {.least_runs = 4, .most_runs = 4});
  EXPECT_EQ(t.runs, 4);
  EXPECT_EQ(runs, 5); // one to warm up
  EXPECT_GT(copy_bandwidth(Device::sim()), 0);
}

} // namespace
} // namespace moec::bench
