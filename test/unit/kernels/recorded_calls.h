// Recorded cases as calls, for tests that run every op of the registry.
#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/registry.h"
#include "kernels/verify.h"
#include "places.h"

namespace moec {

struct NamedCall {
  std::string name; ///< of the case
  RecordedCall call;
};

/// Of all ops of the registry: the instances of a test that holds for every op.
inline std::vector<std::string> op_names() {
  std::vector<std::string> list;
  for (const Op &op : ops()) list.push_back(op.name);
  return list;
}

/// The op's recorded cases that moec supports, with at most `most_elements` in all inputs together.
inline std::vector<NamedCall> recorded_calls(const Op &op, int64_t most_elements) {
  std::vector<NamedCall> calls;
  const std::string folder = golden_folder() + op.name;
  if (!std::filesystem::exists(folder)) return calls;
  for (const std::string &file : find_cases({folder})) {
    try {
      RecordedCall call = recorded_call(load_case(file));
      int64_t elements = 0;
      for (const auto &[name, tensor] : call.inputs) elements += tensor.numel();
      OpCall(op, Device::sim(), call.inputs, call.parameters, call.outputs); // throws for values that it does not do
      if (elements <= most_elements) calls.push_back({std::filesystem::path(file).stem().string(), std::move(call)});
    } catch (const UnsupportedError &) {} // `moec verify` counts them
  }
  return calls;
}

/// Which inputs the call has, their dtypes and ranks, and what its parameters choose: calls of one kind differ in sizes
/// and numbers only.
inline std::string kind_of(const RecordedCall &call) {
  std::string kind;
  for (const auto &[name, tensor] : call.inputs)
    kind += name + std::string(moec::name(tensor.dtype())) + std::to_string(tensor.rank());
  for (const auto &[name, value] : call.parameters)
    if (const OpParameter *p = call.op->parameter(name);
        p->type == OpParameter::Type::boolean || p->type == OpParameter::Type::text)
      kind += name + value;
  return kind;
}

/// Gradients that are not called grad_ and the tensor's name: "op.grad_X", tensor; "": of a part of the op, which no
/// other gradient takes into account.
inline const std::map<std::string, std::string> &renamed_gradients() {
  static const std::map<std::string, std::string> all{{"apply_bias.grad_probs", "permuted_probs"},
                                                      {"permute_fused_te.grad_output", ""}};
  return all;
}

/// The tensor whose gradient `tensor` is, or nullptr: grad_X is that of X, an output grad_X of an input X and an input
/// grad_Y of an output Y; where the op has no Y (grad_output), that of its first output.
inline const OpTensor *gradient_of(const Op &op, const OpTensor &tensor) {
  if (!tensor.name.starts_with("grad_")) return nullptr;
  auto it = renamed_gradients().find(op.name + "." + tensor.name);
  if (it != renamed_gradients().end() && it->second.empty()) return nullptr;
  std::string_view of = it == renamed_gradients().end() ? std::string_view(tensor.name).substr(5) : it->second;
  if (tensor.output) return op.input(of);
  if (const OpTensor *output = op.output(of)) return output;
  auto first = std::ranges::find(op.tensors, true, &OpTensor::output);
  return first == op.tensors.end() ? nullptr : &*first;
}

/// The call's outputs on test_device(), or on another device.
inline NamedTensors outputs_of(const RecordedCall &call, Device device = test_device()) {
  OpCall c(*call.op, device, call.inputs, call.parameters, call.outputs);
  c.run();
  NamedTensors outputs;
  for (const auto &[name, tensor] : c.outputs()) outputs[name] = tensor.defined() ? tensor.to(Device::host()) : tensor;
  return outputs;
}

/// The call with gradients of its outputs, if it was recorded without any and the op has gradients.
inline RecordedCall with_gradients(RecordedCall call) {
  const Op &op = *call.op;
  if (auto it = call.parameters.find("fuse_mul_post"); it != call.parameters.end() && it->second == "true")
    return call; // for inference only
  for (const OpTensor &t : op.tensors)
    if (!t.output && t.name.starts_with("grad_") && call.inputs.contains(t.name)) return call;
  const NamedTensors outputs = outputs_of(call);
  bool any = false;
  for (const OpTensor &t : op.tensors) {
    const OpTensor *of = t.output ? nullptr : gradient_of(op, t);
    auto y = of ? outputs.find(of->name) : outputs.end();
    if (y == outputs.end() || !is_float(y->second.dtype())) continue;
    call.inputs[t.name] = hash_uniform(77, 1, y->second.shape(), y->second.dtype());
    any = true;
  }
  for (const OpTensor &t : op.tensors)
    if (const OpTensor *of = t.output && any ? gradient_of(op, t) : nullptr; of && call.inputs.contains(of->name))
      call.outputs.push_back(t.name);
  return call;
}

} // namespace moec
