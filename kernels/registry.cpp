// Looking up ops, and checking one call against an op's declaration.
#include "kernels/registry.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <utility>

#include "kernels/names.h"

namespace moec {

const OpParameter *Op::parameter(std::string_view n) const {
  auto it = std::ranges::find(parameters, n, &OpParameter::name);
  return it == parameters.end() ? nullptr : &*it;
}
static const OpTensor *find_tensor(const std::vector<OpTensor> &tensors, std::string_view name, bool output) {
  auto it = std::ranges::find_if(tensors, [&](const OpTensor &t) { return t.name == name && t.output == output; });
  return it == tensors.end() ? nullptr : &*it;
}
const OpTensor *Op::input(std::string_view n) const { return find_tensor(tensors, n, false); }
const OpTensor *Op::output(std::string_view n) const { return find_tensor(tensors, n, true); }

const Op *find_op(std::string_view name) {
  for (const Op &op : ops())
    if (op.name == name) return &op;
  return nullptr;
}
const Op &op_at(std::string_view name) {
  if (const Op *op = find_op(name)) return *op;
  std::vector<std::string> names;
  for (const Op &op : ops()) names.push_back(op.name);
  throw UnsupportedError(fmt::format("op {}", name), "there is no such op", did_you_mean(name, names, "moec list"));
}

std::string signature(const Op &op) {
  std::string text = op.name + "(";
  const char *separator = "";
  for (const OpTensor &t : op.tensors)
    if (!t.output)
      text += fmt::format("{}{}{} {}", std::exchange(separator, ", "), t.name, t.optional ? "?" : "", t.shape);
  text += ") -> (";
  separator = "";
  for (const OpTensor &t : op.tensors)
    if (t.output) text += fmt::format("{}{} {}", std::exchange(separator, ", "), t.name, t.shape);
  return text + ")";
}

// -------------------------------------------------------------------------------------------------------------
// one call

namespace {

/// What to give instead of `value` for the parameter, or "" if it fits.
std::string better_value(const OpParameter &p, const std::string &value) {
  const char *begin = value.data(), *end = begin + value.size();
  auto whole = [&](auto result) { return result.ec == std::errc() && result.ptr == end; };
  int64_t i;
  double d;
  switch (p.type) {
  case OpParameter::Type::boolean: return value == "true" || value == "false" ? "" : "give true or false";
  case OpParameter::Type::integer: // a size or a count
    if (!whole(std::from_chars(begin, end, i))) return "give an integer";
    return i == static_cast<int32_t>(i) ? "" : "give an integer of 32 bits";
  case OpParameter::Type::floating: return whole(std::from_chars(begin, end, d)) ? "" : "give a number";
  case OpParameter::Type::text: return "";
  }
  return "";
}

std::vector<std::string> names_of(const std::vector<OpTensor> &tensors, bool output) {
  std::vector<std::string> names;
  for (const OpTensor &t : tensors)
    if (t.output == output) names.push_back(t.name);
  return names;
}

void check_parameters(const Op &op, const Settings &given) {
  for (const auto &[name, value] : given) {
    const OpParameter *p = op.parameter(name);
    std::string asked = fmt::format("{} with {}={}", op.name, name, value);
    if (!p) {
      std::vector<std::string> names;
      for (const OpParameter &q : op.parameters) names.push_back(q.name);
      throw UserError(asked, "the op has no such parameter",
                      did_you_mean(name, names, fmt::format("moec list {}", op.name)));
    }
    if (std::string todo = better_value(*p, value); !todo.empty())
      throw UserError(asked, "the value does not fit", fmt::format("{}: {}", todo, p->doc));
    if (!p->allowed.empty() && std::ranges::find(p->allowed, value) == p->allowed.end())
      throw UnsupportedError(asked, "moec does not do this value",
                             fmt::format("it may be {}", fmt::join(p->allowed, ", ")));
  }
  for (const OpParameter &p : op.parameters)
    if (p.required && !given.contains(p.name))
      throw UserError(op.name, fmt::format("the parameter {} is missing", p.name), "give it: " + p.doc);
}

void check_inputs(const Op &op, const NamedTensors &inputs) {
  for (const auto &[name, tensor] : inputs) {
    if (!op.input(name))
      throw UserError(fmt::format("{} with tensor {}", op.name, name), "the op has no such input",
                      did_you_mean(name, names_of(op.tensors, false), fmt::format("moec list {}", op.name)));
  }
  for (const OpTensor &t : op.tensors)
    if (!t.output && !t.optional && !inputs.contains(t.name))
      throw UserError(op.name, fmt::format("the tensor {} {} is missing", t.name, t.shape), "give it: " + t.doc);
}

} // namespace

OpCall::OpCall(const Op &op, Stream stream, NamedTensors inputs, const Settings &parameters,
               std::vector<std::string> wanted)
    : op_(op), stream_(std::move(stream)), inputs_(std::move(inputs)), parameters_(parameters),
      wanted_(std::move(wanted)) {
  check_parameters(op_, parameters_);
  check_inputs(op_, inputs_);
  for (const OpParameter &p : op_.parameters) parameters_.try_emplace(p.name, p.default_value);
  for (auto &[name, tensor] : inputs_)
    if (!stream_.device().can_use(tensor.device())) tensor = tensor.to(stream_.device());
}

const Tensor &OpCall::in(std::string_view input) const {
  if (auto it = inputs_.find(input); it != inputs_.end()) return it->second;
  throw UserError(op_.name, fmt::format("the tensor {} is missing", input), "give it to get the outputs that need it");
}
bool OpCall::wants(std::initializer_list<std::string_view> outputs) const {
  return wanted_.empty() || std::ranges::any_of(outputs, [&](std::string_view o) {
           return std::ranges::find(wanted_, o) != wanted_.end();
         });
}
void OpCall::out(std::string name, Tensor tensor) {
  if (!op_.output(name))
    throw InternalError(op_.name, fmt::format("output {} is not declared", name), "declare it in the registry");
  outputs_.insert_or_assign(std::move(name), std::move(tensor));
}

void OpCall::out_rows(std::string name, Tensor tensor, const Tensor &count) {
  row_counts_.insert_or_assign(name, count);
  out(std::move(name), std::move(tensor));
}
const NamedTensors &OpCall::outputs() {
  std::map<const void *, int64_t> known; // many outputs share a count
  for (const auto &[name, count] : row_counts_) {
    auto [it, fresh] = known.try_emplace(count.data(), 0);
    if (fresh && count.numel() > 0) {
      stream_.synchronize();
      it->second = static_cast<int64_t>(count.to_values().back());
    }
    Tensor &t = outputs_.at(name);
    t = t.slice(0, 0, it->second);
  }
  row_counts_.clear();
  for (auto &[name, t] : outputs_)
    if (auto declared = dtype_from_name(op_.output(name)->dtypes); declared && *declared != t.dtype()) {
      stream_.synchronize();
      t = Tensor::from_values(t.to_values(), t.shape(), *declared, stream_.device());
    }
  return outputs_;
}

const std::string &OpCall::text(std::string_view parameter) const {
  auto it = parameters_.find(parameter);
  if (it == parameters_.end())
    throw InternalError(op_.name, fmt::format("parameter {} is not declared", parameter), "declare it in the registry");
  return it->second;
}
int64_t OpCall::integer(std::string_view parameter) const {
  const std::string &t = text(parameter);
  int64_t v = 0;
  std::from_chars(t.data(), t.data() + t.size(), v);
  return v;
}
double OpCall::floating(std::string_view parameter) const {
  const std::string &t = text(parameter);
  double v = 0;
  std::from_chars(t.data(), t.data() + t.size(), v);
  return v;
}
bool OpCall::flag(std::string_view parameter) const { return text(parameter) == "true"; }

void OpCall::run() {
  run_forward();
  run_backward();
}
void OpCall::run_forward() { op_.run(*this); }
void OpCall::run_backward() {
  if (backward_) backward_();
}

} // namespace moec
