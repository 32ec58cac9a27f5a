#include "tools/moec/bench/cases.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <numeric>
#include <random>

#include "kernels/shape_text.h"
#include "kernels/verify.h"
#include "runtime/error.h"

namespace moec::bench {

namespace {

constexpr std::array<Model, 5> kModels{{{"mixtral-8x7b", 4096, 14336, 8, 2},
                                        {"qwen3-30b-a3b", 2048, 768, 128, 8},
                                        {"deepseek-v3", 7168, 2048, 256, 8},
                                        {"gpt-oss-120b", 2880, 2880, 128, 4},
                                        {"llama-4-scout", 5120, 8192, 16, 1}}};

/// Where an op's letters differ from the usual ones below, what its passes read only in part, and its products.
struct Special {
  std::string_view op;
  std::string_view letters = {};          ///< "N=2*I;M=T*K"
  std::string_view forward_partial = {};  ///< inputs that the forward pass does not read whole, outputs that are inputs
  std::string_view backward_partial = {}; ///< of the backward pass
  std::string_view flops = {};            ///< of the forward pass; the backward pass has twice as many
  std::string_view without = {};          ///< optional inputs that are not given
};
constexpr Special kSpecials[] = {
    {"grouped_mm", "M=T*topk;K=D;N=2*I", "", "", "2*M*K*N",
     "gather scatter scale_a scale_b bias bias_weights row_weights accumulate"},
    {"unsloth_torch_grouped_gemm", "M=T*topk;K=D;N=2*I", "", "", "2*M*K*N"},
    {"unsloth_grouped_gemm", "M=T*topk;X=M;K=D;N=2*I", "", "grad_x", "2*M*K*N"},
    {"moe_experts_e2e", "", "", "", "6*T*topk*D*I"},
    {"unsloth_qwen3_moe_block", "", "", "", "6*T*topk*D*I"},
    {"unsloth_llama4_moe_block", "", "", "", "6*T*D*(I+H)"},
    {"gate_route", "", "", "", "2*T*D*E"},
    {"apply_bias", "", "", "value grad_value", ""},
    {"aux_loss", "", "", "scores", ""},
    {"indices_to_multihot", "", "", "indices probs", ""},
    {"indices_to_multihot_unfused", "", "", "probs grad_probs_in_multihot", ""},
    {"limit_capacity", "", "", "probs", ""},
    {"moe_aux_loss_auto_scaler", "", "output aux_loss y", "output aux_loss grad_output grad_output_in", ""},
    {"permute", "", "", "tokens routing_map probs", ""},
    {"permute_drop_and_pad", "N=E*C", "tokens", "tokens routing_map probs", ""},
    {"permute_fused_te", "", "", "tokens routing_map", ""},
    {"permute_tokens_for_grouped_mm", "", "", "indices weights token_mask", ""},
    {"unsloth_routing_permute", "", "", "selected_experts x", ""},
    {"unsloth_unpermute", "", "", "x", ""},
    {"weighted_bias_quick_geglu", "", "", "grad_bias_unreduced", ""},
    {"unpermute_drop_and_pad", "N=E*C", "", "", ""},
    {"sort_chunks_by_idxs", "C=E", "", "input probs", ""},
};
const Special &special(std::string_view op) {
  static constexpr Special usual{};
  auto it = std::ranges::find(kSpecials, op, &Special::op);
  return it == std::end(kSpecials) ? usual : *it;
}

/// Letters of the registry's shapes. C: an expert's capacity without slack; S, B: tokens as one sequence.
constexpr std::string_view kLetters = "K=topk;N=T*topk;M=T*topk;X=T;B=1;S=T;H=I;U=2*I;F=D;C=(T*topk+E-1)/E";

class Letters {
public:
  Letters(const Op &op, const Model &m, int64_t tokens)
      : sizes_{{"T", tokens}, {"D", m.hidden}, {"I", m.inter}, {"E", m.experts}, {"topk", m.topk}}, op_(op.name) {}
  int64_t operator()(std::string_view name) const {
    if (auto it = sizes_.find(name); it != sizes_.end()) return it->second;
    for (std::string_view list : {special(op_).letters, kLetters})
      if (std::string_view text = definition(list, name); !text.empty()) return size_from_text(text, *this);
    throw InternalError(fmt::format("bench {}", op_), fmt::format("the registry's size {} stands for nothing", name),
                        "add it to tools/moec/bench/cases.cpp");
  }

private:
  /// What "a=x;b=y" says of a name, or "".
  static std::string_view definition(std::string_view list, std::string_view name) {
    while (!list.empty()) {
      std::string_view item = list.substr(0, list.find(';'));
      list.remove_prefix(std::min(item.size() + 1, list.size()));
      if (size_t equals = item.find('='); item.substr(0, equals) == name) return item.substr(equals + 1);
    }
    return "";
  }
  std::map<std::string, int64_t, std::less<>> sizes_;
  std::string op_;
};

bool names(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    std::string_view item = list.substr(0, list.find(' '));
    if (item == name) return true;
    list.remove_prefix(std::min(item.size() + 1, list.size()));
  }
  return false;
}

/// Routing weights stay f32, whatever the model's dtype.
bool is_weight(std::string_view tensor) {
  return names("weights probs permuted_probs grad_permuted_probs topk_weights sorted_weights grad_sorted_weights "
               "grad_probs_in_multihot probs_in_multihot e_score_correction_bias aux_loss grad_weights",
               tensor);
}

DType dtype_for(const Op &op, const OpTensor &t, DType wanted) {
  for (const OpTensor *like : {op.input(t.dtypes), op.output(t.dtypes)})
    if (like && like != &t) return dtype_for(op, *like, wanted);
  std::string_view list = t.dtypes;
  DType choice = is_weight(t.name) ? f32 : t.name == "routing_map" ? boolean : wanted;
  if (names(list, name(choice))) return choice;
  std::string_view first = list.substr(0, list.find(' '));
  if (auto dtype = dtype_from_name(first)) return *dtype;
  throw InternalError(fmt::format("bench {}", op.name), fmt::format("dtypes '{}' of {}", list, t.name),
                      "correct the registration");
}

/// Values of the parameters that must be given, by what they are called everywhere.
Settings parameters_for(const Op &op, const Model &m, const Letters &letters) {
  const std::map<std::string_view, int64_t> known{
      {"num_local_experts", m.experts}, {"num_experts", m.experts},      {"n_local_experts", m.experts},
      {"n_routed_experts", m.experts},  {"n_activated_experts", m.topk}, {"topk", m.topk},
      {"num_out_tokens", letters("N")}, {"max_rows", letters("N")},      {"pad_multiple", 16},
      {"capacity", letters("C")}};
  Settings settings;
  for (const OpParameter &p : op.parameters) {
    if (!p.required && !names("num_out_tokens max_rows topk", p.name)) continue;
    auto it = known.find(p.name);
    if (it == known.end())
      throw InternalError(fmt::format("bench {}", op.name), fmt::format("no value for parameter {}", p.name),
                          "add it to tools/moec/bench/cases.cpp");
    settings[p.name] = fmt::format("{}", it->second);
  }
  return settings;
}

CaseTensor tensor_of(const Op &op, const OpTensor &t, const Letters &letters, DType dtype) {
  std::string text = t.shape == "[...]" ? "[T, D]" : t.shape;
  if (size_t dots = text.find("..."); dots != std::string::npos) text.replace(dots, 3, "M"); // leading sizes: rows
  std::vector<int64_t> shape = shape_from_text(text, letters);
  return {t.name, shape, dtype_for(op, t, dtype)};
}

// ------------------------------------------------------------------------------------------------ inputs

/// A routing on the host, from which every index tensor is made.
struct Routed {
  int64_t tokens, topk, experts;
  std::vector<int64_t> ids;                 ///< [T, K]
  std::vector<int64_t> counts, offs, slots; ///< [E], inclusive sums, slot of each row in expert order

  explicit Routed(const Case &c) : tokens(c.tokens), topk(c.model.topk), experts(c.model.experts) {
    std::mt19937_64 random(20251121);
    std::vector<int64_t> all(static_cast<size_t>(experts));
    std::iota(all.begin(), all.end(), 0);
    counts.assign(all.size(), 0);
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t k = 0; k < topk; ++k) { // the first steps of a shuffle
        auto other = k + static_cast<int64_t>(random() % static_cast<uint64_t>(experts - k));
        std::swap(all[static_cast<size_t>(k)], all[static_cast<size_t>(other)]);
        ids.push_back(all[static_cast<size_t>(k)]);
        ++counts[static_cast<size_t>(ids.back())];
      }
    offs.resize(counts.size());
    std::inclusive_scan(counts.begin(), counts.end(), offs.begin());
    slots.resize(ids.size());
    std::iota(slots.begin(), slots.end(), 0);
    std::ranges::sort(slots, {}, [&](int64_t s) { return std::pair(ids[static_cast<size_t>(s)], s); });
  }
  /// [T, 2E+1]: a token's rows descending, their experts, their number.
  std::vector<int64_t> row_id_map() const {
    std::vector<int64_t> map(static_cast<size_t>(tokens * (2 * experts + 1)), -1);
    for (int64_t t = 0; t < tokens; ++t) map[static_cast<size_t>((t + 1) * (2 * experts + 1) - 1)] = 0;
    for (auto row = static_cast<int64_t>(slots.size()) - 1; row >= 0; --row) {
      const int64_t slot = slots[static_cast<size_t>(row)], first = slot / topk * (2 * experts + 1);
      int64_t &n = map[static_cast<size_t>(first + 2 * experts)];
      map[static_cast<size_t>(first + n)] = row;
      map[static_cast<size_t>(first + experts + n++)] = ids[static_cast<size_t>(slot)];
    }
    return map;
  }
  std::vector<int64_t> cells(bool slot_numbers) const { ///< [T, E]: routed or not; its slot or -1
    std::vector<int64_t> cells(static_cast<size_t>(tokens * experts), slot_numbers ? -1 : 0);
    for (size_t s = 0; s < ids.size(); ++s) {
      auto slot = static_cast<int64_t>(s);
      cells[static_cast<size_t>(slot / topk * experts + ids[s])] = slot_numbers ? slot % topk : 1;
    }
    return cells;
  }
};

/// The values of an input whose meaning is an index, a count or a map; nothing for numbers.
std::vector<int64_t> routing_values(const Case &c, const Routed &r, const CaseTensor &t) {
  if (names("indices selected_experts topk_ids", t.name)) return r.ids;
  if (names("routing_map", t.name)) return r.cells(false);
  if (names("position_map", t.name)) return r.cells(true);
  if (names("tokens_per_expert m_sizes split_sizes token_counts_by_expert expert_load", t.name)) return r.counts;
  if (t.name == "offs") return r.offs;
  if (t.name == "row_id_map") return r.row_id_map();
  if (t.name == "gather_indices") return r.slots;
  if (t.name == "token_mask") return std::vector<int64_t>(static_cast<size_t>(r.tokens), 1);
  if (!names("sorted_idxs sorted_indices", t.name)) return {};
  std::vector<int64_t> values(static_cast<size_t>(t.shape.at(0)));
  std::iota(values.rbegin(), values.rend(), 0); // chunks backwards
  if (t.name == "sorted_indices")
    for (size_t i = 0; i < values.size(); ++i) // with capacities an expert's tokens only have to differ
      values[i] =
          i < r.slots.size() && c.op->name != "unpermute_drop_and_pad" ? r.slots[i] / r.topk : values[i] % r.tokens;
  return values;
}

constexpr int64_t kSmall = 1 << 22; ///< elements that are worth making one by one

} // namespace

Tensor numbers(std::string_view name, const Dims &shape, DType dtype, Device device) {
  const uint64_t seed = std::hash<std::string_view>()(name);
  const int64_t elements = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>()),
                width = size_bytes(dtype);
  if (elements <= kSmall) return hash_uniform(seed, 1, shape, dtype, device);
  Tensor tensor = Tensor::empty(shape, dtype, device);
  if (!device.is_cuda()) return tensor;
  Tensor piece = hash_uniform(seed, 1, {kSmall}, dtype, device);
  Stream stream(device);
  for (int64_t at = 0; at < elements; at += kSmall)
    stream.copy(static_cast<std::byte *>(tensor.data()) + at * width, device, piece.data(), device,
                static_cast<size_t>(std::min(kSmall, elements - at) * width));
  stream.synchronize();
  return tensor;
}

std::span<const Model> models() { return kModels; }
const Model &model_at(std::string_view name) {
  auto it = std::ranges::find(kModels, name, &Model::name);
  if (it != kModels.end()) return *it;
  std::vector<std::string_view> all;
  for (const Model &m : kModels) all.push_back(m.name);
  throw UserError(fmt::format("model {}", name), "there is no such model",
                  fmt::format("it may be {}", fmt::join(all, ", ")));
}

int64_t CaseTensor::bytes() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{size_bytes(dtype)}, std::multiplies<>());
}
int64_t Case::bytes() const {
  int64_t sum = 0;
  for (auto *list : {&inputs, &outputs})
    for (const CaseTensor &t : *list)
      if (t.counted) sum += t.bytes();
  return sum;
}
std::string Case::shape_text() const {
  return fmt::format("T={} D={} I={} E={} K={}", tokens, model.hidden, model.inter, model.experts, model.topk);
}

std::vector<Case> cases(const Op &op, const Model &model, int64_t tokens, DType dtype) {
  const Letters letters(op, model, tokens);
  const Special &s = special(op.name);
  std::vector<Case> cases;
  for (Pass pass : {Pass::forward, Pass::backward}) {
    const bool forward = pass == Pass::forward;
    Case c{&op, model, pass, tokens, dtype, parameters_for(op, model, letters), {}, {}, 0};
    for (const OpTensor &t : op.tensors) {
      const bool gradient = t.name.starts_with("grad_");
      if (!t.output && ((gradient && forward) || names(s.without, t.name))) continue;
      if (t.output && gradient == forward) continue;
      CaseTensor tensor = tensor_of(op, t, letters, dtype);
      tensor.counted = !names(forward ? s.forward_partial : s.backward_partial, t.name);
      (t.output ? c.outputs : c.inputs).push_back(std::move(tensor));
    }
    if (c.outputs.empty()) continue;
    if (!s.flops.empty()) c.flops = static_cast<double>(size_from_text(s.flops, letters)) * (forward ? 1 : 2);
    cases.push_back(std::move(c));
  }
  return cases;
}

NamedTensors make_inputs(const Case &c, Device device) {
  const Routed routed(c);
  NamedTensors inputs;
  for (const CaseTensor &t : c.inputs) {
    std::vector<int64_t> integers = routing_values(c, routed, t);
    if (integers.empty()) {
      inputs[t.name] = numbers(t.name, Dims(t.shape), t.dtype, device);
      continue;
    }
    inputs[t.name] =
        Tensor::from_values(std::vector<double>(integers.begin(), integers.end()), Dims(t.shape), t.dtype, device);
  }
  return inputs;
}

} // namespace moec::bench
