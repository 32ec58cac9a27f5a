// What holds for every op of the registry, by its recorded cases: strides of the inputs change no bits, an op can be
// captured in a graph and replayed with other numbers, and the registry lists its kernels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "recorded_calls.h"
#include "runtime/compare.h"
#include "runtime/graph.h"
#include "runtime/simulator.h"

namespace moec {
namespace {

constexpr int64_t kMostElements = 40'000;

class EveryOp : public testing::TestWithParam<std::string> {};

/// One small call of each set of dtypes, with gradients.
std::vector<NamedCall> calls_of(const Op &op) {
  std::vector<NamedCall> calls;
  std::set<std::string> kinds;
  for (NamedCall &c : recorded_calls(op, kMostElements)) {
    std::string kind;
    for (const auto &[name, tensor] : c.call.inputs) kind += name + std::string(moec::name(tensor.dtype()));
    if (!kinds.insert(kind).second) continue;
    c.call = with_gradients(std::move(c.call));
    calls.push_back(std::move(c));
  }
  EXPECT_FALSE(calls.empty()) << "record a case of at most " << kMostElements << " elements in test/golden/" << op.name;
  return calls;
}

void expect_same(const NamedTensors &got, const NamedTensors &expected, const std::string &which) {
  for (const auto &[name, tensor] : expected)
    EXPECT_EQ(different_bits(got.at(name).to(Device::host()), tensor), "") << which << ": " << name;
}

/// The same values in every second element of memory, first and last dimension exchanged there.
Tensor scattered(const Tensor &t) {
  if (t.rank() == kMaxRank) return t;
  Dims shape = t.shape();
  const int last = std::max(t.rank() - 1, 0);
  if (t.rank() > 0) std::swap(shape[0], shape[last]);
  shape.push_back(2);
  Tensor view = Tensor::zeros(shape, t.dtype()).select(t.rank(), 1);
  if (t.rank() > 0) view = view.transpose(0, last);
  view.copy_from(t);
  return view;
}

TEST_P(EveryOp, TakesInputsOfAnyStrides) {
  const Device device = test_devices().front(); // the interpreter: specializations for strides are many
  for (const NamedCall &c : calls_of(op_at(GetParam()))) {
    RecordedCall other = c.call;
    for (auto &[name, tensor] : other.inputs) tensor = scattered(tensor);
    expect_same(outputs_of(other, device), outputs_of(c.call, device), c.name);
  }
}

/// Other numbers where the values are no indices, counts or maps.
Tensor other_numbers(const Tensor &t) {
  std::vector<double> values = t.to_values();
  for (double &v : values) v *= -0.5;
  return Tensor::from_values(values, t.shape(), t.dtype());
}

TEST_P(EveryOp, CanBeCapturedAndReplayed) {
  const Op &op = op_at(GetParam());
  NamedCall c = calls_of(op).front();
  if (auto grad = c.call.inputs.find("grad_permuted_tokens"); op.parameter("max_rows") && grad != c.call.inputs.end())
    c.call.parameters["max_rows"] = std::to_string(grad->second.size(0)); // without it the op waits for the number
  const Stream stream = Stream::create(test_device());
  RecordedCall mine = c.call;
  for (auto &[name, tensor] : mine.inputs) tensor = tensor.to(stream.device());
  OpCall call(op, stream, mine.inputs, mine.parameters, mine.outputs);
  const Graph graph = Graph::capture(stream, [&] { call.run(); });
  for (auto &[name, tensor] : mine.inputs)
    if (is_float(tensor.dtype()) && name != "routing_map") {
      c.call.inputs[name] = other_numbers(tensor.to(Device::host()));
      tensor.copy_from(c.call.inputs[name]);
    }
  graph.launch(stream);
  stream.synchronize();
  expect_same(call.outputs(), outputs_of(c.call), c.name);
}

/// Kernels that the recorded cases of an op that lists them may not need, as they are small, contiguous and of one
/// dtype.
const std::set<std::string> kForOtherInputs{
    "pack",                                   // strides
    "convert",                                // dtypes
    "route_count",  "route_place",            // many slots
    "map_count",    "map_scan",    "map_pad", // many tokens
    "invert_index", "map_list",               // unpermute with drop_and_pad and probs
};

TEST_P(EveryOp, ListsTheKernelsThatRun) {
  const Op &op = op_at(GetParam());
  SimTraffic traffic;
  for (const NamedCall &c : recorded_calls(op, kMostElements)) {
    RecordedCall call = with_gradients(c.call);
    call.outputs.clear(); // all that its inputs allow
    SimScope counted({.traffic = &traffic});
    outputs_of(call, Device::sim());
  }
  std::set<std::string> ran, needed;
  for (const KernelTraffic &k : traffic.kernels()) ran.insert(k.kernel);
  for (const std::string &k : op.kernels)
    if (!kForOtherInputs.contains(k)) needed.insert(k);
  EXPECT_THAT(ran, testing::IsSubsetOf(op.kernels));
  EXPECT_THAT(needed, testing::IsSubsetOf(ran));
}

INSTANTIATE_TEST_SUITE_P(Ops, EveryOp, testing::ValuesIn(op_names()), [](const auto &info) { return info.param; });

} // namespace
} // namespace moec
