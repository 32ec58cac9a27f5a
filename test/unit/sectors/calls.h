// Calls whose traffic sectors_test.cpp counts: ops of the registry as a whole, and parts of them by their host
// functions (backwards without the forward, and what an op makes besides its outputs).
#pragma once

#include <array>
#include <functional>
#include <string_view>

#include "kernels/gate_kernels.h"
#include "kernels/moe.h"
#include "kernels/registry.h"
#include "runtime/hash_values.h"

namespace moec::sectors {

struct Call {
  NamedTensors inputs;
  Settings parameters = {};
  std::vector<std::string> outputs = {};   ///< that the op makes; empty: all
  std::function<NamedTensors()> part = {}; ///< what is run instead of the op
  std::string kernel = {};                 ///< the only one that counts; none: all
};

inline NamedTensors run(const char *op, const Call &call) {
  if (call.part) return call.part();
  OpCall c(op_at(op), Device::sim(), call.inputs, call.parameters, call.outputs);
  c.run();
  return c.outputs();
}

// -- inputs

inline Tensor floats(const Dims &shape, DType dtype, uint64_t seed = 1) { return hash_uniform(seed, 1, shape, dtype); }

/// T tokens, D hidden, E experts, K experts of each token.
struct Sizes {
  int64_t T, D, E = 8, K = 2;
  int64_t rows() const { return T * K; }
};
constexpr Sizes mixtral(int64_t T) { return {T, 4096, 8, 2}; }
constexpr Sizes qwen(int64_t T) { return {T, 2048, 128, 8}; }
constexpr Sizes deepseek(int64_t T) { return {T, 7168, 256, 8}; }
constexpr Sizes gpt_oss(int64_t T) { return {T, 2880, 128, 4}; }
constexpr Sizes llama(int64_t T) { return {T, 5120, 16, 1}; }
constexpr Sizes kTail{67, 1032, 8, 2};

/// K different experts for each token, without an order.
inline Tensor experts_of(const Sizes &s) {
  std::vector<double> ids;
  for (int64_t t = 0; t < s.T; ++t)
    for (int64_t k = 0; k < s.K; ++k)
      ids.push_back(static_cast<double>(((t * 2654435761 >> 12) + k * (s.E / s.K)) % s.E));
  return Tensor::from_values(ids, {s.T, s.K}, i64);
}
inline Tensor map_of(const Sizes &s) {
  Tensor map = Tensor::zeros({s.T, s.E}, boolean), ids = experts_of(s);
  for (int64_t i = 0; i < s.rows(); ++i)
    static_cast<uint8_t *>(map.data())[i / s.K * s.E + ids.data_as<int64_t>()[i]] = 1;
  return map;
}
inline Tensor probs_of(const Sizes &s) { return floats({s.T, s.E}, f32, 2); }
inline Tensor all_true(int64_t n) {
  return Tensor::from_values(std::vector<double>(static_cast<size_t>(n), 1), {n}, boolean);
}
/// N rows shared out among E experts.
inline Tensor counts_of(int64_t N, int64_t E) {
  std::vector<double> counts(static_cast<size_t>(E), static_cast<double>(N / E));
  counts[0] += static_cast<double>(N % E);
  return Tensor::from_values(counts, {E}, i64);
}

// -- activations

/// An activation of x [T, 2*H], or [T, H] if it has no gate. `weights`: their name, if it takes any.
struct Glu {
  const char *weights = "weights";
  bool gated = true;
  int64_t bias = 0; ///< rows of it: 1, or (-1) one for each of x
};
inline Call glu(const Glu &op, int64_t T, int64_t H, DType dtype, bool backward) {
  const int64_t columns = op.gated ? 2 * H : H;
  Call c{{{"x", floats({T, columns}, dtype)}}, {}, {"y"}};
  if (op.weights) c.inputs[op.weights] = floats({T, 1}, f32, 2);
  if (op.bias) c.inputs["bias"] = floats({op.bias < 0 ? T : op.bias, columns}, dtype, 3);
  if (!backward) return c;
  c.inputs["grad_output"] = floats({T, H}, dtype, 4);
  c.outputs = {"grad_x"};
  if (op.weights) c.outputs.push_back(std::string("grad_") + op.weights);
  return c;
}
/// The backward of an autograd entry point, which as an op begins with a forward.
inline Call entry_point_backward(const Activation &activation, const Glu &op, int64_t T, int64_t H, DType dtype) {
  Call c = glu(op, T, H, dtype, true);
  WeightedBiasActivation forward{c.inputs["grad_output"], activation, c.inputs["x"], c.inputs["weights"],
                                 op.bias ? c.inputs["bias"] : Tensor()};
  c.part = [=] {
    ActivationGrads g = weighted_bias_backward(Device::sim(), forward.y, forward);
    NamedTensors out{{"grad_x", g.x}, {"grad_weights", g.weights}};
    if (g.bias.defined()) out["grad_bias"] = g.bias;
    return out;
  };
  return c;
}

// -- permute and unpermute

/// `op`: what its outputs are called besides the rows.
inline Call permute(const Sizes &s, DType dtype, const char *indices = "sorted_indices") {
  return {{{"tokens", floats({s.T, s.D}, dtype)}, {"routing_map", map_of(s)}, {"probs", probs_of(s)}},
          {},
          {"permuted_tokens", "permuted_probs", indices}};
}
inline Call permute_drop_and_pad(const Sizes &s, DType dtype) {
  Call c = permute(s, dtype);
  c.parameters = {{"num_out_tokens", std::to_string(s.rows() / s.E * s.E)}};
  return c;
}
inline Call permute_fused(const Sizes &s, DType dtype, int multiple = 1) {
  Call c = permute(s, dtype, "row_id_map");
  c.parameters = {{"num_out_tokens", std::to_string(s.rows())}};
  if (multiple > 1) c.parameters = {{"topk", std::to_string(s.K)}, {"pad_multiple", std::to_string(multiple)}};
  return c;
}
/// `forward`: what the rows come from.
inline Call unpermute(const char *permute, const Call &forward) {
  NamedTensors rows = run(permute, forward);
  return {{{"permuted_tokens", rows.at("permuted_tokens")},
           {"sorted_indices", rows.at("sorted_indices")},
           {"routing_map", forward.inputs.at("routing_map")},
           {"probs", forward.inputs.at("probs")}},
          {},
          {"output"}};
}
inline Call unpermute_backward(const char *permute, const Call &forward) {
  Call c = unpermute(permute, forward);
  const Tensor &tokens = forward.inputs.at("tokens");
  c.inputs["grad_output"] = floats(tokens.shape(), tokens.dtype(), 5);
  c.outputs = {"grad_permuted_tokens", "grad_probs"};
  return c;
}

/// Parts that take a routing map as one of the permutes made it.
enum class By : uint8_t { map, capacity, row_id_map, padded };
inline Permuted permuted(By by, const Sizes &s, DType dtype) {
  const Tensor x = floats({s.T, s.D}, dtype), map = map_of(s), probs = probs_of(s);
  if (by == By::capacity) return moec::permute_drop_and_pad(Device::sim(), x, map, probs, s.rows());
  if (by == By::row_id_map) return moec::permute_fused(Device::sim(), x, map, probs, s.rows());
  if (by == By::padded) return permute_padded(Device::sim(), x, map, probs, static_cast<int>(s.K), 32);
  return moec::permute(Device::sim(), x, map, probs);
}
inline NamedTensors lists_of(const RoutingMap &map) {
  return {{"token_rows", map.token_rows}, {"row_counts", map.row_counts}};
}
inline Call permute_backward(By by, const Sizes &s, DType dtype) {
  const RoutingMap map = permuted(by, s, dtype).map;
  const int64_t rows = map.sorted_indices.size(0);
  Tensor grad = floats({rows, s.D}, dtype, 5), grad_probs = floats({rows}, f32, 6);
  Call c{lists_of(map)};
  c.inputs["grad"] = grad, c.inputs["grad_probs"] = grad_probs;
  c.part = [=]() -> NamedTensors {
    return {{"grad_tokens", permute_backward_tokens(Device::sim(), grad, map)},
            {"grad_probs", permute_backward_probs(Device::sim(), grad_probs, map)}};
  };
  return c;
}
/// By the row_id_map alone.
inline Call unpermute_fused(const Sizes &s, DType dtype, int multiple = 1, bool backward = false) {
  const Call forward = permute_fused(s, dtype, multiple);
  NamedTensors rows = run("permute_fused_te", forward);
  Call c{{{"permuted_tokens", rows.at("permuted_tokens")},
          {"row_id_map", rows.at("row_id_map")},
          {"merging_probs", forward.inputs.at("probs")}},
         {},
         {"output"}};
  if (!backward) return c;
  c.inputs["grad_output"] = floats({s.T, s.D}, dtype, 5);
  c.outputs = {"grad_permuted_tokens", "grad_merging_probs"};
  return c;
}

inline Call sort_chunks(int64_t N, int64_t D, int64_t chunks, DType dtype, bool backward = false) {
  std::vector<double> order;
  for (int64_t c = 0; c < chunks; ++c) order.push_back(static_cast<double>((c * 7 + 3) % chunks));
  Call c{{{"input", floats({N, D}, dtype)},
          {"split_sizes", counts_of(N, chunks)},
          {"sorted_idxs", Tensor::from_values(order, {chunks}, i64)}},
         {},
         {"output"}};
  if (!backward) return c;
  c.part = [inputs = c.inputs]() -> NamedTensors {
    return {{"grad_input", moec::sort_chunks(Device::sim(), inputs.at("input"), inputs.at("split_sizes"),
                                             inputs.at("sorted_idxs"), {}, true)
                               .output}};
  };
  return c;
}

// -- routing

inline Call multihot(const Sizes &s, bool fused = true) {
  Call c{{{"indices", experts_of(s)}, {"probs", floats({s.T, s.K}, f32)}},
         {{"num_local_experts", std::to_string(s.E)}},
         {"multihot", "probs_in_multihot"}};
  if (fused) c.outputs.push_back("position_map");
  return c;
}
inline Call multihot_back(const Sizes &s) {
  NamedTensors map = run("indices_to_multihot", multihot(s));
  return {{{"probs_in_multihot", map.at("probs_in_multihot")}, {"position_map", map.at("position_map")}},
          {{"topk", std::to_string(s.K)}}};
}
/// The backward of indices_to_multihot, or of its unfused form.
inline Call multihot_backward(const Sizes &s, bool fused = true) {
  Tensor grad = floats({s.T, s.E}, f32, 2), ids = experts_of(s);
  const auto K = static_cast<int>(s.K);
  Tensor by = fused ? run("indices_to_multihot", multihot(s)).at("position_map") : ids;
  return {{{"grad", grad}, {"indices", by}}, {}, {}, [=]() -> NamedTensors {
            return {{"grad_probs", fused ? multihot_to_indices(Device::sim(), grad, by, K)
                                         : indices_to_multihot_unfused_backward(Device::sim(), grad, by)}};
          }};
}
inline Call topk(const Sizes &s, DType dtype) {
  return {
      {{"gating_output", floats({s.T, s.E}, dtype)}}, {{"topk", std::to_string(s.K)}}, {"topk_weights", "topk_ids"}};
}
inline Call topk_backward(const Sizes &s, DType dtype) {
  Tensor logits = floats({s.T, s.E}, dtype), grad = floats({s.T, s.K}, dtype, 2), ids = experts_of(s);
  return {{{"logits", logits}, {"grad", grad}, {"ids", ids}}, {}, {}, [=]() -> NamedTensors {
            return {{"grad_logits", calculate_topk_backward(Device::sim(), grad, logits, ids, {.renormalize = true})}};
          }};
}
/// Slots sorted by expert, with all that route_slots makes.
inline Call routed_slots(const Sizes &s) {
  Tensor ids = experts_of(s), weights = floats({s.T, s.K}, f32), mask = all_true(s.T);
  return {{{"indices", ids}, {"weights", weights}, {"token_mask", mask}}, {}, {}, [=]() -> NamedTensors {
            Routing r = route_slots(Device::sim(), ids, static_cast<int>(s.E), 0, mask, weights);
            return {{"slot_ids", r.slot_ids}, {"token_ids", r.token_ids}, {"sorted_weights", r.weights},
                    {"row_ids", r.row_ids},   {"counts", r.counts},       {"offs", r.offs}};
          }};
}
inline Call routed_slots_backward(const Sizes &s) {
  Tensor ids = experts_of(s), grad = floats({s.rows()}, f32);
  Tensor row_ids = route_slots(Device::sim(), ids, static_cast<int>(s.E)).row_ids;
  return {{{"grad", grad}, {"row_ids", row_ids}}, {}, {}, [=, K = static_cast<int>(s.K)]() -> NamedTensors {
            return {{"grad_weights", route_slots_backward(Device::sim(), grad, row_ids, K, f32)}};
          }};
}
inline Call slots(const Sizes &s, DType dtype) {
  return {{{"selected_experts", experts_of(s)}, {"x", floats({s.T, s.D}, dtype)}},
          {{"num_experts", std::to_string(s.E)}},
          {"gather_indices", "permuted"}};
}
/// From slots' rows back to tokens.
inline Call slots_backward(const Sizes &s, DType dtype) {
  Tensor scatter = routing_indices(Device::sim(), experts_of(s), static_cast<int>(s.E)).scatter;
  Tensor grad = floats({s.rows(), s.D}, dtype);
  return {{{"grad", grad}, {"scatter", scatter}}, {}, {}, [=, K = static_cast<int>(s.K)]() -> NamedTensors {
            return {{"grad_x", combine_rows(Device::sim(), grad, scatter, K)}};
          }};
}
inline Call unslot(const Sizes &s, DType dtype) {
  return {{{"x", floats({s.rows(), s.D}, dtype)},
           {"gather_indices", run("unsloth_routing_permute", slots(s, dtype)).at("gather_indices")}},
          {},
          {"unpermuted"}};
}
inline Call unslot_backward(const Sizes &s, DType dtype) {
  Call c = unslot(s, dtype);
  c.inputs["grad_output"] = floats({s.rows(), s.D}, dtype, 5);
  c.outputs = {"grad_x"};
  return c;
}
inline Call pad_map(const Sizes &s, int multiple) {
  return {{{"routing_map", map_of(s)}}, {{"pad_multiple", std::to_string(multiple)}}};
}
inline Call limit(const Sizes &s, bool by_probs = true) {
  Call c{{{"routing_map", map_of(s)}}, {{"capacity", std::to_string(s.rows() / s.E / 2)}}};
  c.parameters["drop_policy"] = by_probs ? "probs" : "position";
  if (by_probs) c.inputs["probs"] = probs_of(s);
  return c;
}
inline Call limit_backward(const Sizes &s) {
  const Call forward = limit(s);
  Tensor map = forward.inputs.at("routing_map"), limited = run("limit_capacity", forward).at("routing_map"),
         grad = floats({s.T, s.E}, f32, 5);
  return {{{"routing_map", map}, {"limited", limited}, {"grad", grad}}, {}, {}, [=]() -> NamedTensors {
            return {{"grad_probs", limit_capacity_backward(Device::sim(), grad, map, limited)}};
          }};
}

// -- the gate without its products

/// Weights and experts from logits; the product that makes these is not counted.
inline Call gate_selection(const Sizes &s, DType dtype, const GateOptions &options, bool corrected = false) {
  Call c;
  if (corrected) c.inputs["correction_bias"] = floats({s.E}, f32, 3);
  const GateParameters p{floats({s.E, 16}, dtype), {}, corrected ? c.inputs["correction_bias"] : Tensor()};
  Tensor x = floats({s.T, 16}, dtype, 2);
  c.part = [=]() -> NamedTensors {
    GateOutput g = gate_forward(Device::sim(), x, p, options);
    return {{"logits", g.logits}, {"weights", g.weights}, {"indices", g.indices}};
  };
  c.kernel = corrected ? "gate_select_corrected" : "gate_select";
  return c;
}
inline Call gate_backward(const Sizes &s, DType dtype, const Selection &selection) {
  Tensor logits = floats({s.T, s.E}, dtype), grad = floats({s.T, s.K}, dtype, 2), ids = experts_of(s),
         scores = floats({s.T, s.E}, f32, 3);
  return {{{"logits", logits}, {"grad", grad}, {"ids", ids}, {"grad_scores", scores}}, {}, {}, [=]() -> NamedTensors {
            return {{"grad_logits", select_backward(Device::sim(), "gate", selection, grad, logits, ids, scores)}};
          }};
}
inline Call load_of_experts(const Sizes &s) {
  Tensor ids = experts_of(s);
  return {{{"indices", ids}}, {}, {}, [=, E = static_cast<int>(s.E)]() -> NamedTensors {
            return {{"expert_load", expert_load(Device::sim(), ids, E)}};
          }};
}
inline Call loss(const Sizes &s, DType dtype, bool backward) {
  Tensor scores = floats({s.T, s.E}, dtype), load = counts_of(s.rows(), s.E), grad = floats({1}, f32, 2),
         valid = Tensor::from_values(std::array{static_cast<double>(s.T)}, {1}, i64), mask = all_true(s.T);
  const auto K = static_cast<int>(s.K);
  if (backward)
    return {{{"grad", grad}, {"load", load}, {"valid", valid}, {"mask", mask}}, {}, {}, [=]() -> NamedTensors {
              return {{"grad_scores", aux_loss_backward(Device::sim(), grad, load, valid, s.T, K, mask, 1, dtype)}};
            }};
  return {{{"scores", scores}, {"load", load}, {"mask", mask}}, {}, {}, [=]() -> NamedTensors {
            AuxLoss l = aux_loss(Device::sim(), scores, load, K, mask);
            return {{"loss", l.loss}, {"valid", l.valid}};
          }};
}
inline Call attached_loss(int64_t n) {
  Tensor scale = floats({1}, f32), loss = floats({n}, f32, 2), grad = floats({n}, f32, 3);
  return {{{"scale", scale}, {"aux_loss", loss}, {"grad", grad}}, {}, {}, [=]() -> NamedTensors {
            return {{"grad_aux_loss", AuxLossAutoScaler{scale}.backward(Device::sim(), grad, loss).aux_loss}};
          }};
}

// -- biases, conversions

inline Call bias(int64_t N, int64_t F, int64_t E, DType dtype) {
  return {{{"value", floats({N, F}, dtype)},
           {"bias", floats({E, F}, dtype, 2)},
           {"tokens_per_expert", counts_of(N, E)},
           {"permuted_probs", floats({N, 1}, f32, 3)}},
          {},
          {"output"}};
}
inline Call bias_grad(int64_t N, int64_t F, int64_t E, DType dtype) {
  return {{{"grad_output", floats({N, F}, dtype)}, {"tokens_per_expert", counts_of(N, E)}}, {}, {"grad_bias_kahan"}};
}
inline Call bias_backward(int64_t N, int64_t F, int64_t E, DType dtype) {
  Tensor grad = floats({N, F}, dtype), bias = floats({E, F}, dtype, 2), counts = counts_of(N, E),
         probs = floats({N, 1}, f32, 3);
  return {{{"grad", grad}, {"bias", bias}, {"counts", counts}, {"probs", probs}}, {}, {}, [=]() -> NamedTensors {
            BiasGrads g = apply_bias_backward(Device::sim(), grad, bias, counts, probs);
            return {{"grad_probs", g.probs}, {"grad_bias", g.bias}};
          }};
}
inline Call to_e4m3(int64_t n, DType dtype) {
  Tensor x = floats({n}, dtype);
  return {{{"x", x}}, {}, {}, [=]() -> NamedTensors { return {{"codes", convert(Device::sim(), x, e4m3)}}; }};
}

} // namespace moec::sectors
