// Parameters of the experts layers: initial values, state, what is kept for the backward pass.
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <numbers>

#include "kernels/convert.h"
#include "kernels/experts_core.h"
#include "kernels/host.h"
#include "runtime/convert.h"
#include "runtime/hash_values.h"
#include "runtime/parallel.h"

namespace moec {

/// A parameter: its key, where it is, and its stacked shape on this rank.
struct ExpertsLayer::Entry {
  std::string key;
  Tensor ExpertParameters::*member;
  Dims shape;
  bool matrix = true; ///< a bias otherwise
};

std::vector<ExpertsLayer::Entry> ExpertsLayer::entries() const {
  const int64_t e = local_experts(), d = config_.expert_dim(), u = config_.up_dim(), i = config_.moe_inter_dim;
  std::vector<Entry> list{{"gate_and_up_projs", &ExpertParameters::gate_up, {e, d, u}},
                          {"down_projs", &ExpertParameters::down, {e, i, d}}};
  if (config_.expert_bias) {
    list.push_back({"gate_up_proj_bias", &ExpertParameters::gate_up_bias, {e, u}, false});
    list.push_back({"down_proj_bias", &ExpertParameters::down_bias, {e, d}, false});
  }
  return list;
}

void ExpertsLayer::check_ready() const {
  std::string missing;
  for (const Entry &e : entries())
    if (!(parameters_.*e.member).defined()) missing += (missing.empty() ? "" : ", ") + e.key;
  check_that(missing.empty(), form_.name, fmt::format("no values for {}", missing),
             "call initialize(), set_parameters() or load_state() first");
}

namespace {

/// Elements first, first+1, ... of N(0, deviation): pairs 2j, 2j+1 are r cos, r sin of the uniforms 2j, 2j+1 in (0, 1).
Tensor normal_values(uint64_t key, int64_t first, double deviation, const Dims &shape, DType dtype) {
  Tensor t = Tensor::empty(shape, dtype);
  auto *data = static_cast<std::byte *>(t.data());
  const int64_t width = size_bytes(dtype);
  auto uniform = [&](int64_t i) {
    return (static_cast<double>(splitmix64(key + static_cast<uint64_t>(i)) >> 12) + 0.5) * 0x1p-52;
  };
  for_chunks(t.numel(), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t element = first + i, pair = element / 2 * 2;
      const double radius = std::sqrt(-2 * std::log(uniform(pair))), angle = 2 * std::numbers::pi * uniform(pair + 1);
      store_element(dtype, data + i * width, deviation * radius * (element % 2 ? std::sin(angle) : std::cos(angle)));
    }
  });
  return t;
}

} // namespace

void ExpertsLayer::set_parameters(const ExpertParameters &parameters) {
  for (const Entry &e : entries()) {
    const Dims &s = e.shape;
    const Dims shape = form_.transposed && e.matrix ? Dims{s[0], s[2], s[1]} : s;
    const Tensor &value = parameters.*e.member;
    const std::string asked = fmt::format("{}: {}", form_.name, e.key);
    check_shape(asked, value, shape);
    check_dtype(asked, value, {form_.dtype});
    check_tensor(device_.can_use(value.device()), asked, value, "copy it with to(Device) to the layer's device");
  }
  parameters_ = parameters;
  if (!config_.expert_bias) parameters_.gate_up_bias = parameters_.down_bias = {};
}

void ExpertsLayer::initialize(uint64_t seed) {
  uint64_t parameter = 0;
  for (const Entry &e : entries()) {
    ++parameter;
    if (!e.matrix) {
      parameters_.*e.member = Tensor::zeros(e.shape, form_.dtype, device_);
      continue;
    }
    const int64_t size = e.shape[0] * e.shape[1] * e.shape[2];
    Tensor stacked = normal_values(splitmix64(splitmix64(seed) + parameter), communicator().rank() * size, 0.02,
                                   e.shape, form_.dtype);
    parameters_.*e.member = (form_.transposed ? stacked.transpose(1, 2).contiguous() : stacked).to(device_);
  }
}

TensorFile ExpertsLayer::state(const std::string &prefix) const {
  check_ready();
  TensorFile file;
  for (const Entry &e : entries()) {
    Tensor t = (parameters_.*e.member).to(Device::host());
    file.add(prefix + e.key, form_.transposed && e.matrix ? t.transpose(1, 2).contiguous() : t);
  }
  return file;
}

void ExpertsLayer::load_state(const TensorFile &state, const std::string &prefix,
                              std::vector<std::string> *missing_keys) {
  ExpertParameters loaded = parameters_;
  std::vector<std::string> missing;
  for (const Entry &e : entries()) {
    const std::string key = prefix + e.key, asked = fmt::format("{}: load {}", form_.name, key);
    if (!state.contains(key)) {
      missing.push_back(key);
      continue;
    }
    check_that(std::ranges::count(state.tensors, key, [](const auto &t) { return t.first; }) == 1, asked,
               "the state has it twice", "give one");
    const Tensor &value = state.at(key);
    if (!value.defined()) continue;
    check_shape(asked, value, e.shape);
    check_dtype(asked, value, {f32, bf16, f16, f64});
    Tensor mine = convert(Stream(device_), value.to(device_), form_.dtype); // the layer's own, also of one dtype
    loaded.*e.member = form_.transposed && e.matrix ? mine.transpose(1, 2).contiguous() : mine;
  }
  if (missing_keys)
    missing_keys->insert(missing_keys->end(), missing.begin(), missing.end());
  else
    check_that(missing.empty(), fmt::format("{}: load", form_.name),
               fmt::format("the state has no {}", fmt::join(missing, ", ")), "give them, or ask for missing_keys");
  parameters_ = loaded;
}

static GroupedExpertsTE::Linear linear(const char *what, const Tensor &weights, const Tensor &biases, int expert) {
  check_that(weights.defined(), what, "no values", "call initialize() or load_state() first");
  check_range(what, "the expert", expert, 0, weights.size(0) - 1);
  return {weights.select(0, expert), biases.defined() ? biases.select(0, expert) : Tensor()};
}
GroupedExpertsTE::Linear GroupedExpertsTE::gate_up_linear(int expert) const {
  return linear("GroupedExpertsTE: gate_up_linear", parameters().gate_up, parameters().gate_up_bias, expert);
}
GroupedExpertsTE::Linear GroupedExpertsTE::down_linear(int expert) const {
  return linear("GroupedExpertsTE: down_linear", parameters().down, parameters().down_bias, expert);
}

// -------------------------------------------------------------------------------------------------------------
// memory

int64_t ExpertsKept::bytes() const {
  int64_t bytes = 0;
  for (const Tensor &t : {x, gate_up, token_ids, row_ids, weights, offs}) bytes += t.numel() * size_bytes(t.dtype());
  return bytes;
}

int64_t MoeConfig::kept_bytes_bound(int64_t tokens, DType dtype) const {
  check_range("kept_bytes_bound", "the number of tokens", tokens, 0,
              std::numeric_limits<int32_t>::max() / std::max(n_activated_experts, 1));
  const int64_t rows = tokens * n_activated_experts, b = size_bytes(dtype);
  return tokens * expert_dim() * b + rows * up_dim() * b + 16 * rows + 8 * n_routed_experts;
}

std::string describe_experts(const char *name, const MoeConfig &c, int64_t parameters, DType dtype, int64_t tokens,
                             DType x) {
  const int64_t kept = c.kept_bytes_bound(tokens, x), rows = tokens * c.n_activated_experts, b = size_bytes(x);
  return fmt::format("{}: {} experts, topk {}, hidden {}, inter {}, {}{}{}; parameters {} bytes of {}; kept for the "
                     "backward pass of {} tokens in {}: at most {} bytes (x {}, gate_up {}, routing {})",
                     name, c.n_routed_experts, c.n_activated_experts, c.expert_dim(), c.moe_inter_dim,
                     c.expert_activation, c.expert_bias ? ", biases" : "",
                     c.apply_router_weight_after_down ? ", weights after down" : "", parameters, moec::name(dtype),
                     tokens, moec::name(x), kept, tokens * c.expert_dim() * b, rows * c.up_dim() * b,
                     16 * rows + 8 * c.n_routed_experts);
}

std::string ExpertsLayer::describe(int64_t tokens, DType dtype) const {
  int64_t elements = 0;
  for (const Entry &e : entries()) {
    int64_t n = 1;
    for (int64_t size : e.shape) n *= size;
    elements += n;
  }
  return describe_experts(form_.name, config_, elements * size_bytes(form_.dtype), form_.dtype, tokens, dtype);
}

} // namespace moec
