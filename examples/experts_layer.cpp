// An experts layer in a C++ program: docs/experts.md explains it.
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <unistd.h>

#include "moec/moe.h"
#include "moec/moec.h"
#include "moec/testing.h" // hash_uniform

using namespace moec;

namespace {

// [layer]
GroupedExperts make_experts(Device device) {
  MoeConfig config;
  config.n_routed_experts = 8;    // E
  config.n_activated_experts = 2; // K
  config.dim = 64;                // D
  config.moe_inter_dim = 48;      // I
  config.expert_activation = "swigluoai";
  config.expert_bias = true;
  config.dtype = bf16; // of the parameters
  GroupedExperts experts(config, device);
  experts.initialize(/*seed=*/1);
  return experts;
}
// [end]

// [step]
struct Step {
  Tensor y;           // [T, D]
  ExpertsGrads layer; // of x, the routers' weights and the parameters
  GateGrads router;   // of x and the router
};
Step train_step(const Stream &stream, const ExpertsLayer &experts, const Tensor &router, const Tensor &x,
                const Tensor &token_mask, const Tensor &grad) {
  const GateOptions options{.topk = experts.config().n_activated_experts, .softmax_before_topk = true};
  GateOutput gate = gate_forward(stream, x, {router, {}, {}}, options);
  ExpertsResult out = experts.forward(stream, x, token_mask, gate.weights, gate.indices);
  ExpertsGrads layer = experts.backward(stream, grad, out.kept);
  return {out.y, layer, gate_backward(stream, layer.weights, x, {router, {}, {}}, gate, options)};
}
// [end]

// [state]
void save(const std::string &path, const ExpertsLayer &experts) {
  write_safetensors(path, experts.state("model.layers.0.mlp.experts."));
}
GroupedExpertsTE load(const std::string &path, const MoeConfig &config, Device device) {
  GroupedExpertsTE experts(config, device);
  experts.load_state(read_safetensors(path), "model.layers.0.mlp.experts.");
  return experts;
}
// [end]

// [graph]
Step replayed(const Stream &stream, const ExpertsLayer &experts, const Tensor &router, const Tensor &x,
              const Tensor &token_mask, const Tensor &grad) {
  Step step;
  Graph graph = Graph::capture(stream, [&] { step = train_step(stream, experts, router, x, token_mask, grad); });
  graph.launch(stream); // again and again, with new contents of x, token_mask and grad
  stream.synchronize();
  return step;
}
// [end]

int run() {
  const Device device = Device::best();
  const Stream stream = device.is_cuda() ? Stream::create(device) : Stream(device);
  GroupedExperts experts = make_experts(device);
  const int64_t tokens = 32;
  Tensor x = hash_uniform(1, 1, {tokens, 64}, bf16, device), router = hash_uniform(2, 1, {8, 64}, bf16, device),
         grad = hash_uniform(3, 1, {tokens, 64}, bf16, device);
  std::vector<double> all(static_cast<size_t>(tokens), 1);
  all.back() = 0; // padding
  Tensor token_mask = Tensor::from_values(all, {tokens}, boolean).to(device);
  std::puts(experts.describe(tokens, x.dtype()).c_str());

  Step step = train_step(stream, experts, router, x, token_mask, grad);
  stream.synchronize();
  std::printf("y %s, gradient of gate_and_up_projs %s\n", step.y.text().c_str(),
              step.layer.parameters.gate_up.text().c_str());

  const std::string path = std::filesystem::temp_directory_path() / ("experts_" + std::to_string(getpid()));
  save(path, experts);
  GroupedExpertsTE loaded = load(path, experts.config(), device);
  std::filesystem::remove(path);
  Step of_loaded = train_step(stream, loaded, router, x, token_mask, grad);
  stream.synchronize(); // before the host reads what was made on a stream of its own
  bool same = of_loaded.y.to_bytes() == step.y.to_bytes();
  std::printf("GroupedExpertsTE with the same state: %s\n", same ? "the same bits" : "OTHER BITS");
  bool again = replayed(stream, experts, router, x, token_mask, grad).layer.x.to_bytes() == step.layer.x.to_bytes();
  std::printf("the step as a graph: %s\n", again ? "the same bits" : "OTHER BITS");
  return same && again ? EXIT_SUCCESS : EXIT_FAILURE;
}

} // namespace

int main() {
  try {
    return run();
  } catch (const std::exception &e) {
    std::fprintf(stderr, "experts_layer: %s\n", e.what());
    return 2;
  }
}
