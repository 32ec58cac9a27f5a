// moec bench: every op at the shapes of real models, beside what the device can do and what others need.
#include "tools/moec/commands.h"

#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>
#include <memory>
#include <optional>

#include "runtime/jit.h"
#include "tools/moec/bench/cases.h"
#include "tools/moec/bench/measure.h"
#include "tools/moec/bench/peers.h"

namespace moec::cli {

namespace {

using bench::Case;
using bench::Pass;

struct BenchOptions {
  std::vector<std::string> ops, models;
  std::string device, dtype = "bf16", python = "python3";
  std::optional<int64_t> tokens; ///< none: what suits the device
  bool no_peers = false, all = false, list = false;
};

/// What a simulated GPU or the interpreter gets through in a few seconds.
constexpr double kHostFlops = 5e8;
constexpr int64_t kHostBytes = int64_t{2} << 30;

/// Why the case is not for this device, or "".
std::string too_much(const Case &c, Device device) {
  if (!device.host_memory()) return "";
  int64_t written = 0;
  for (const bench::CaseTensor &t : c.outputs) written += t.bytes();
  if (c.flops > kHostFlops) return fmt::format("{:.1f} GFLOP", c.flops * 1e-9);
  if (written > kHostBytes) return fmt::format("{:.1f} GB to write", static_cast<double>(written) * 1e-9);
  return "";
}

std::string time_text(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.1f} us", seconds * 1e6);
  return seconds < 1 ? fmt::format("{:.2f} ms", seconds * 1e3) : fmt::format("{:.2f} s", seconds);
}

/// Rates that the device reaches, measured when they are first needed.
class Limits {
public:
  Limits(Device device, DType dtype) : device_(device), dtype_(dtype) {}
  double bandwidth() {
    if (!bandwidth_) bandwidth_ = bench::copy_bandwidth(device_);
    return bandwidth_;
  }
  double flops() {
    if (!flops_) flops_ = bench::peak_flops(device_, dtype_);
    return flops_;
  }

private:
  Device device_;
  DType dtype_;
  double bandwidth_ = 0, flops_ = 0;
};

/// "312.4 GB/s  94% of copy", or TFLOP/s of the peak.
std::string rate_text(const Case &c, double seconds, Limits &limits) {
  if (c.flops > 0) {
    double rate = c.flops / seconds;
    bool tera = rate >= 1e12;
    return fmt::format("{:9.3f} {}FLOP/s  {:6.2f}% of peak", rate * (tera ? 1e-12 : 1e-9), tera ? 'T' : 'G',
                       100 * rate / limits.flops());
  }
  if (c.bytes() == 0) return "gives what it was given";
  double rate = static_cast<double>(c.bytes()) / seconds;
  return fmt::format("{:9.3f} GB/s     {:6.2f}% of copy", rate * 1e-9, 100 * rate / limits.bandwidth());
}

std::vector<Case> chosen_cases(const BenchOptions &o, Device device, DType dtype) {
  std::vector<const Op *> chosen;
  for (const std::string &name : o.ops) chosen.push_back(&op_at(name));
  if (chosen.empty())
    for (const Op &op : ops()) chosen.push_back(&op);
  std::vector<std::string> models = o.models;
  if (models.empty())
    for (const bench::Model &m : bench::models()) models.emplace_back(m.name);
  std::vector<Case> cases;
  for (const Op *op : chosen)
    for (const std::string &model : models)
      for (Case &c : bench::cases(*op, bench::model_at(model), o.tokens.value_or(device.is_cuda() ? 4096 : 4), dtype))
        cases.push_back(std::move(c));
  return cases;
}

void print_row(const Case &c, const std::string &what) {
  fmt::print("{:32} {:8} {:14} {:38} {}\n", c.op->name, c.pass == Pass::forward ? "forward" : "backward", c.model.name,
             c.shape_text(), what);
  std::fflush(stdout);
}

/// The peers' times and how many times moec's they are.
std::string peers_text(const bench::PeerSeconds &peers, double seconds) {
  std::string text;
  for (const auto &[peer, theirs] : peers)
    text += fmt::format("  {} {} ({:.2f}x)", peer, time_text(theirs), theirs / seconds);
  return text;
}

int bench_ops(const BenchOptions &o) {
  const Device device = o.device.empty() ? Device::best() : Device::parse(o.device);
  const auto dtype = dtype_from_name(o.dtype);
  if (!dtype || !is_float(*dtype) || is_fp8(*dtype))
    throw UserError(fmt::format("bench with --dtype {}", o.dtype), "it is no dtype of activations",
                    "it may be bf16, f16, f32 or f64");
  if (o.tokens && *o.tokens <= 0)
    throw UserError(fmt::format("bench with --tokens {}", *o.tokens), "there must be tokens",
                    "leave it out, or give 1 or more");
  std::vector<Case> cases = chosen_cases(o, device, *dtype);
  if (o.list) {
    for (const Case &c : cases)
      print_row(c, c.flops > 0 ? fmt::format("{:.3f} GFLOP", c.flops * 1e-9)
                               : fmt::format("{:.3f} MB", static_cast<double>(c.bytes()) * 1e-6));
    return kOk;
  }
  fmt::print("{}, {}; medians{}\n", device.description(), o.dtype,
             device.is_cuda() ? ", L2 cache overwritten before each run" : "");
  std::vector<bench::PeerSeconds> peers(cases.size());
  if (std::string reason; !o.no_peers && device.is_cuda()) {
    peers = bench::python_seconds(cases, device, o.python, reason);
    if (!reason.empty()) fmt::print("no PyTorch beside it: {}\n", reason);
  }
  Limits limits(device, *dtype);
  int failed = 0;
  for (size_t i = 0; i < cases.size(); ++i) {
    const Case &c = cases[i];
    if (std::string why = o.all ? "" : too_much(c, device); !why.empty()) {
      print_row(c, fmt::format("left out on {}: {} (--all times it, fewer --tokens are less)", device.name(), why));
      continue;
    }
    try {
      bench::Timing t = bench::measure(c, device);
      if (auto cublas = o.no_peers ? std::nullopt : bench::cublas_seconds(c, device)) peers[i]["cublas"] = *cublas;
      print_row(c, fmt::format("{:>10} {}{}{}", time_text(t.seconds), rate_text(c, t.seconds, limits),
                               device.is_cuda() && !t.captured ? "  (waits for the host)" : "",
                               peers_text(peers[i], t.seconds)));
    } catch (const Error &e) { // the others are still of interest
      print_row(c, e.what());
      ++failed;
    }
  }
  return failed ? kFailed : kOk;
}

} // namespace

void add_bench(CLI::App &app, Action &action) {
  auto o = std::make_shared<BenchOptions>();
  auto *c = app.add_subcommand(
      "bench", "time ops at the shapes of real models, beside the device's limits and cuBLAS, PyTorch, Triton");
  c->add_option("ops", o->ops, "ops (default: all)");
  c->add_option("--model", o->models,
                "mixtral-8x7b, qwen3-30b-a3b, deepseek-v3, gpt-oss-120b, llama-4-scout (default: all); repeatable")
      ->allow_extra_args(false);
  c->add_option("--tokens", o->tokens, "tokens of the batch (default: 4096 on CUDA, 4 on a simulated GPU)");
  c->add_option("--dtype", o->dtype, "of the activations: bf16, f16, f32, f64")->capture_default_str();
  c->add_option("--device", o->device, "sim, interp, cuda, cuda:N (default: MOEC_DEVICE, or the best there is)");
  c->add_option("--python", o->python, "the interpreter that may have torch and triton")->capture_default_str();
  c->add_flag("--no-peers", o->no_peers, "without cuBLAS, PyTorch and Triton");
  c->add_flag("--all", o->all, "also what takes minutes on a simulated GPU");
  c->add_flag("--list", o->list, "only print the cases, with what they move or compute");
  c->footer(
      "A backward row times the gradients alone. GB/s count each input that is read and each output once; the "
      "fraction\n"
      "is of moec's copy kernel or the driver's copy, whichever is faster. TFLOP/s count a multiply-add as two; the\n"
      "fraction is of one large dense product (cuBLAS where there is one).");
  c->callback([&action, o] { action = [o] { return bench_ops(*o); }; });
}

} // namespace moec::cli
