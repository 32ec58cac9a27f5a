// The main job: a MoE experts layer, every step a kernel that is JIT-compiled from C++ in this process. First the layer
// of a recorded case against its reference, then one of real proportions against an f64 reference on the host.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "examples/host_layer.h"
#include "examples/progress.h"
#include "kernels/moe.h"
#include "kernels/verify.h"
#include "moec/moec.h"

using namespace moec;

namespace {

struct Options {
  std::string device = "best", golden;
  bool checked = false;
};

constexpr const char *kHelp = R"(usage: moec_layer_demo [--device best|sim|interp|cuda[:N]] [--checked] [--golden DIR]

Runs a recorded MoE layer and a layer of 256 tokens, hidden 1024, inter 512, 64 experts, topk 8 in bf16.
  --device   where kernels run (default: the first GPU, else the simulated GPU)
  --checked  the simulated GPU watches every access and barrier (slower)
  --golden   the folder of recorded cases (default: test/golden of the source tree or bundle)
)";

/// The folder of recorded cases: as asked, or beside the program's source tree or bundle, or here.
std::string golden_folder(const Options &o) {
  namespace fs = std::filesystem;
  if (!o.golden.empty()) return o.golden;
  std::error_code error;
  fs::path self = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (fs::path p :
       {self / "../../test/golden", self / "../test/golden", self / "../share/moec/golden", fs::path("test/golden")})
    if (fs::is_directory(p, error)) return fs::weakly_canonical(p, error).string();
  throw UserError("find the recorded cases", "there is no test/golden near the program",
                  "give the folder with --golden");
}

void print_compile(const CompileRecord &r) {
  std::string stages;
  if (r.from_cache) {
    stages = fmt::format("from the cache in {:.1f} ms", r.total_ms);
  } else {
    stages = fmt::format("compiled in {:.1f} ms: record {:.2f}", r.total_ms, r.record_ms);
    // Passes of one phase are one number; the long stages have their own.
    double passes = 0;
    for (const CompileRecord::Stage &s : r.stages) {
      if (s.name.starts_with("tile") || s.name == "cse" || s.name.starts_with("loop"))
        passes += s.ms;
      else
        stages += fmt::format(", {} {:.1f}", s.name, s.ms);
    }
    stages += fmt::format(", passes {:.1f}", passes);
  }
  Progress::line(fmt::format("    {} ({}) for {}: {}", r.kernel, r.spec, r.target, stages));
}

void print_tokens(const Tensor &counts) {
  std::vector<int64_t> n = counts.to_vector<int64_t>();
  int64_t total = 0;
  for (int64_t c : n) total += c;
  Progress::line(fmt::format("  tokens per expert: {} (least {}, most {}, rows {})", fmt::join(n, " "),
                             *std::ranges::min_element(n), *std::ranges::max_element(n), total));
}

void print_check(const TensorReport &r, const char *against) {
  Progress::line(fmt::format("  {} against the {}: max error {:.2e}, tolerance {:.1e}: {}", r.name, against,
                             r.max_error, r.tolerance, r.status == CheckStatus::pass ? "ok" : "WRONG " + r.detail));
}

/// The layer, step by step.
struct Layer {
  Tensor x, indices, weights, gate_and_up, down, token_mask;
};
Tensor run_layer(const Stream &stream, const Layer &l, Routing &routing) {
  const int topk = static_cast<int>(l.indices.size(1));
  routing = Progress::step("route slots", [&] {
    return route_slots(stream, l.indices, static_cast<int>(l.down.size(0)), 0, l.token_mask, l.weights);
  });
  Tensor rows = Progress::step("permute", [&] { return gather_rows(stream, l.x, routing.token_ids); });
  Tensor h =
      Progress::step("grouped_mm gate_up", [&] { return grouped_mm(stream, rows, l.gate_and_up, routing.offs); });
  Tensor a =
      Progress::step("weighted_swiglu", [&] { return weighted_swiglu(stream, h, routing.weights.reshape({-1, 1})); });
  Tensor o = Progress::step("grouped_mm down", [&] { return grouped_mm(stream, a, l.down, routing.offs); });
  return Progress::step("unpermute", [&] {
    Tensor y = combine_rows(stream, o, routing.row_ids, topk);
    stream.synchronize();
    return y;
  });
}

/// The same layer as a class, forward and backward, against what was recorded.
bool recorded_class(const Stream &stream, const Layer &l, const TensorFile &recorded) {
  MoeConfig config;
  config.n_routed_experts = static_cast<int>(l.down.size(0));
  config.n_activated_experts = static_cast<int>(l.indices.size(1));
  config.dim = l.down.size(2), config.moe_inter_dim = l.down.size(1), config.dtype = l.down.dtype();
  GroupedExperts experts(config, stream.device());
  TensorFile state;
  state.add("gate_and_up_projs", l.gate_and_up);
  state.add("down_projs", l.down);
  experts.load_state(state);
  Progress::line("  " + experts.describe(l.x.size(0), l.x.dtype()));
  ExpertsResult forward = Progress::step(
      "GroupedExperts forward", [&] { return experts.forward(stream, l.x, l.token_mask, l.weights, l.indices); });
  ExpertsGrads grads = Progress::step("GroupedExperts backward", [&] {
    ExpertsGrads g = experts.backward(stream, recorded.at("in.grad_output").to(stream.device()), forward.kept);
    stream.synchronize();
    return g;
  });
  bool fine = true;
  for (auto &[name, tensor] : {std::pair{"y", forward.y}, {"grad_x", grads.x}, {"grad_weights", grads.weights}}) {
    TensorReport r = compare(name, tensor.to(Device::host()), recorded.at(std::string("out.") + name), 4e-5);
    print_check(r, "recorded reference");
    fine = fine && r.status == CheckStatus::pass;
  }
  return fine;
}

bool recorded_layer(const Stream &stream, const std::string &golden) {
  std::string path = golden + "/moe_experts_e2e/t37_d64_i96_e8_k2_swiglu.safetensors";
  Progress::line(fmt::format("recorded layer {}", path));
  TensorFile f = load_case(path);
  auto on_device = [&](const char *name) { return f.at(name).to(stream.device()); };
  Layer l{on_device("in.x"),          on_device("in.indices"),
          on_device("in.weights"),    on_device("in.gate_and_up_projs"),
          on_device("in.down_projs"), on_device("in.token_mask")};
  Routing routing;
  Tensor y = run_layer(stream, l, routing);
  print_tokens(routing.counts);
  TensorReport r = compare("y", y.to(Device::host()), f.at("out.y"), 4e-5);
  print_check(r, "recorded reference");
  return recorded_class(stream, l, f) && r.status == CheckStatus::pass;
}

bool large_layer(const Stream &stream) {
  const int64_t tokens = 256, hidden = 1024, inter = 512, experts = 64;
  const int topk = 8;
  Progress::line(fmt::format("layer of {} tokens, hidden {}, inter {}, {} experts, topk {}, bf16", tokens, hidden,
                             inter, experts, topk));
  Tensor x, logits, gate_and_up, down;
  Progress::step("generate inputs and weights", [&] {
    x = hash_uniform(1, 1, {tokens, hidden}, bf16);
    logits = hash_uniform(2, 1, {tokens, experts}, bf16);
    gate_and_up = hash_uniform(3, 0x1p-5, {experts, hidden, 2 * inter}, bf16);
    down = hash_uniform(4, 0x1p-5, {experts, inter, hidden}, bf16);
    return 0;
  });
  const Device device = stream.device();
  TopKWeights best = Progress::step(
      "route: softmax, top-k", [&] { return calculate_topk(stream, logits.to(device), topk, {.renormalize = true}); });
  Layer l{x.to(device), best.ids, best.weights, gate_and_up.to(device), down.to(device), {}};
  Routing routing;
  Tensor y = run_layer(stream, l, routing);
  print_tokens(routing.counts);
  Tensor ids = best.ids.to(Device::host()), weights = best.weights.to(Device::host());
  TensorReport route = compare_routing(logits, ids, weights);
  print_check(route, "f64 softmax of the host");
  Tensor reference =
      Progress::step("f64 reference on the host", [&] { return host_layer(x, ids, weights, gate_and_up, down); });
  TensorReport r = compare("y", y.to(Device::host()), reference, 8e-2);
  print_check(r, "f64 reference of the host");
  return r.status == CheckStatus::pass && route.status == CheckStatus::pass;
}

/// Empty: go on. Else the exit status' text.
bool parse(int argc, char **argv, Options &o) {
  for (int i = 1; i < argc; ++i) {
    std::string a = argv[i];
    auto value = [&]() -> std::string {
      if (++i >= argc) throw UserError(a, "its value is missing", "moec_layer_demo --help");
      return argv[i];
    };
    if (a == "--help" || a == "-h") return false;
    if (a == "--checked")
      o.checked = true;
    else if (a == "--device")
      o.device = value();
    else if (a == "--golden")
      o.golden = value();
    else
      throw UserError(a, "there is no such option", "moec_layer_demo --help");
  }
  return true;
}

int run(int argc, char **argv) {
  Options o;
  if (!parse(argc, argv, o)) {
    std::fputs(kHelp, stdout);
    return 0;
  }
  auto start = std::chrono::steady_clock::now();
  set_sim_checked(o.checked);
  Device device = Device::parse(o.device);
  Stream stream(device);
  Progress::line(fmt::format("device: {}{}", device.description(), o.checked ? ", checked" : ""));
  on_compile(print_compile);
  bool fine = recorded_layer(stream, golden_folder(o));
  fine = large_layer(stream) && fine;
  on_compile({});
  int cached = 0, compiled = 0;
  for (const CompileRecord &r : compile_records()) ++(r.from_cache ? cached : compiled);
  Progress::line(fmt::format("{}: {} kernels compiled, {} from the cache, {:.1f} s in all", fine ? "ok" : "WRONG",
                             compiled, cached,
                             std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()));
  return fine ? 0 : 1;
}

} // namespace

int main(int argc, char **argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception &e) {
    Progress::stop();
    std::fprintf(stderr, "moec_layer_demo: %s\n", e.what());
    return 2;
  }
}
