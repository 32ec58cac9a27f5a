// Every gradient of the registry against central differences, in f64: outputs grad_X of inputs X, from the inputs
// grad_Y of the outputs Y. An op with gradients must have a case here or a reason among the exceptions.
#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "runtime/testing.h"
#include "test/unit/kernels/recorded_calls.h"

namespace moec {
namespace {

constexpr int64_t kMostElements = 40'000;

/// Gradients that are not checked, and why: "op" or "op.grad_X".
const std::map<std::string, std::string> exceptions{
    {"permute_tokens_for_grouped_mm", "sorted_weights is f32 by its specification; the gradient is a copy"},
    {"moe_aux_loss_auto_scaler", "its gradients are a copy and a constant by definition, not derivatives"},
};
/// False where the gradients are not the outputs' derivatives, by definition: they are taken at the input rounded to
/// fp8, logits have a precision of their own, or an auxiliary loss that is no output's part is added (gate_test
/// differentiates that).
bool makes_derivatives(const RecordedCall &call) {
  auto given = [&](const char *name) {
    auto it = call.parameters.find(name);
    return it == call.parameters.end() ? std::string() : it->second;
  };
  std::string aux = given("aux_loss_coeff");
  return given("fp8_input_store") != "true" && given("gate_precision").empty() && (aux.empty() || std::stod(aux) == 0);
}

/// The op's tensors that a gradient check moves: inputs with their gradients, outputs with theirs.
struct Pairs {
  std::vector<std::string> inputs, outputs;           ///< X, Y
  std::vector<std::string> grad_inputs, grad_outputs; ///< grad_X (outputs), grad_Y (inputs)
};
Pairs pairs_of(const RecordedCall &call) {
  Pairs p;
  for (const OpTensor &t : call.op->tensors) {
    const OpTensor *of = gradient_of(*call.op, t);
    if (!of) continue;
    if (t.output && call.inputs.contains(of->name) && std::ranges::find(call.outputs, t.name) != call.outputs.end()) {
      p.inputs.push_back(of->name);
      p.grad_inputs.push_back(t.name);
    } else if (!t.output && call.inputs.contains(t.name)) {
      p.outputs.push_back(of->name);
      p.grad_outputs.push_back(t.name);
    }
  }
  return p;
}

/// Values at which a formula may have a kink: 0 and every number among the parameters, with both signs.
std::vector<double> kinks_of(const RecordedCall &call) {
  std::vector<double> kinks{0};
  for (const OpParameter &p : call.op->parameters) {
    auto it = call.parameters.find(p.name);
    const std::string &text = it == call.parameters.end() ? p.default_value : it->second;
    double v = 0;
    if (p.type == OpParameter::Type::integer || p.type == OpParameter::Type::boolean ||
        std::from_chars(text.data(), text.data() + text.size(), v).ec != std::errc())
      continue;
    kinks.insert(kinks.end(), {v, -v});
  }
  return kinks;
}

NamedTensors in_f64(const RecordedCall &call) {
  NamedTensors inputs;
  for (const auto &[name, tensor] : call.inputs)
    inputs[name] = is_float(tensor.dtype()) ? Tensor::from_values(tensor.to_values(), tensor.shape(), f64) : tensor;
  return inputs;
}

Report gradients(const RecordedCall &call, const Pairs &p) {
  NamedTensors fixed = in_f64(call);
  Tensors moving;
  for (const std::string &x : p.inputs) moving.push_back(fixed.at(x));
  auto run = [&](const Tensors &inputs, const Tensors *grads, const std::vector<std::string> &wanted) {
    NamedTensors all = fixed;
    for (size_t i = 0; i < inputs.size(); ++i) all[p.inputs[i]] = inputs[i];
    for (size_t i = 0; i < p.grad_outputs.size(); ++i)
      grads ? all[p.grad_outputs[i]] = (*grads)[i] : (all.erase(p.grad_outputs[i]), Tensor());
    NamedTensors outputs = outputs_of({call.op, all, call.parameters, wanted});
    Tensors out;
    for (const std::string &name : wanted) out.push_back(outputs.at(name));
    return out;
  };
  GradcheckOptions options;
  options.samples = 12;
  options.kinks = kinks_of(call);
  return gradcheck(
      [&](const Stream &, const Tensors &in) { return run(in, nullptr, p.outputs); },
      [&](const Stream &, const Tensors &grads, const Tensors &in) { return run(in, &grads, p.grad_inputs); }, moving,
      options);
}

class Gradients : public testing::TestWithParam<std::string> {};

TEST_P(Gradients, AgreeWithCentralDifferences) {
  const Op &op = op_at(GetParam());
  if (auto it = exceptions.find(op.name); it != exceptions.end()) GTEST_SKIP() << it->second;
  std::set<std::string> declared, checked;
  for (const OpTensor &t : op.tensors)
    if (t.output && gradient_of(op, t) && !exceptions.contains(op.name + "." + t.name)) declared.insert(t.name);
  std::set<std::string> kinds; // one case of each set of parameters' values and of gradients
  for (NamedCall c : recorded_calls(op, kMostElements)) {
    c.call = with_gradients(std::move(c.call));
    Pairs p = pairs_of(c.call);
    std::string kind;
    for (const std::string &g : p.grad_inputs) kind += g + " ";
    for (const auto &[name, value] : c.call.parameters)
      if (op.parameter(name)->type != OpParameter::Type::integer) kind += name + value;
    bool empty = std::ranges::any_of(p.inputs, [&](const std::string &x) { return c.call.inputs.at(x).numel() == 0; });
    if (p.grad_inputs.empty() || p.outputs.empty() || empty || !makes_derivatives(c.call) || !kinds.insert(kind).second)
      continue;
    Report report = gradients(c.call, p);
    EXPECT_TRUE(report) << op.name << "/" << c.name;
    std::printf("%-40s %-36s max relative error %.1e\n", op.name.c_str(), c.name.c_str(), report.max_error);
    checked.insert(p.grad_inputs.begin(), p.grad_inputs.end());
  }
  EXPECT_EQ(checked, declared) << "record a case that has them in test/golden/" << op.name;
}

std::vector<std::string> names() {
  std::vector<std::string> list;
  for (const Op &op : ops())
    if (std::ranges::any_of(op.tensors, [&](const OpTensor &t) { return t.output && gradient_of(op, t); }))
      list.push_back(op.name);
  return list;
}
INSTANTIATE_TEST_SUITE_P(Ops, Gradients, testing::ValuesIn(names()), [](const auto &info) { return info.param; });

} // namespace
} // namespace moec
