// What holds for every op of the registry, by its recorded cases: strides of the inputs change no bits, and an op can
// be captured in a graph and replayed with other numbers.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "recorded_calls.h"
#include "runtime/graph.h"

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
  for (const auto &[name, tensor] : expected) {
    TensorReport r = compare(name, got.at(name).to(Device::host()), tensor, 0);
    EXPECT_EQ(r.status, CheckStatus::pass) << which << ": " << name << ": " << r.detail;
  }
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

INSTANTIATE_TEST_SUITE_P(Ops, EveryOp, testing::ValuesIn(op_names()), [](const auto &info) { return info.param; });

} // namespace
} // namespace moec
