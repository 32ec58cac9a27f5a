// moec list, run, verify: the op registry from the command line.
#include "tools/moec/commands.h"

#include "kernels/kernel_table.h"
#include "kernels/names.h"
#include "kernels/registry.h"
#include "kernels/verify.h"
#include "runtime/jit.h"
#include "runtime/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

namespace moec::cli {

namespace {

// ---- list

void print_op(const Op &op) {
  fmt::print("{}\n  {}\n  {}\n  source: {}\n  {}\n", op.name, op.summary, op.formula, op.source, op.determinism);
  for (const OpTensor &t : op.tensors)
    fmt::print("  {:4}{:26} {:22} {}{}\n", t.output ? "out" : "in", t.name + " " + t.shape, t.dtypes, t.doc,
               t.optional ? " (optional)" : "");
  for (const OpParameter &p : op.parameters)
    fmt::print("  set {:26} {:22} {}\n", p.name, p.required ? "required" : "default " + p.default_value, p.doc);
  fmt::print("  functions {}\n  kernels   {}\n", fmt::join(op.functions, ", "), fmt::join(op.kernels, ", "));
}

void print_kernel(const KernelInfo &kernel) {
  fmt::print("{} (kernel)\n  {}\n", kernel.name, kernel.summary);
  for (const auto *group : {&kernel.spec, &kernel.settings})
    for (const KernelSetting &s : *group) fmt::print("  set {:16} default {:10} {}\n", s.name, s.default_value, s.doc);
}

int list(const std::string &name, bool markdown) {
  if (markdown) return fmt::print("{}", op_reference()), kOk;
  if (!name.empty()) {
    const KernelInfo *kernel = find_kernel(name);
    const Op *op = find_op(name);
    if (op) print_op(*op);
    if (kernel) print_kernel(*kernel);
    if (op || kernel) return kOk;
    std::vector<std::string> names;
    for (const Op &o : ops()) names.push_back(o.name);
    for (const KernelInfo &k : kernels()) names.push_back(k.name);
    throw UnsupportedError(fmt::format("op or kernel {}", name), "there is none",
                           did_you_mean(name, names, "moec list"));
  }
  fmt::print("Ops (moec run, moec verify):\n");
  for (const Op &op : ops()) fmt::print("  {:32} {}\n", op.name, op.summary);
  fmt::print("Kernels (moec compile):\n");
  for (const KernelInfo &k : kernels()) fmt::print("  {:32} {}\n", k.name, k.summary);
  return kOk;
}

// ---- run

int run_op(const std::string &name, const std::string &in, const std::vector<std::string> &set, const std::string &out,
           const std::string &device) {
  const Op &op = op_at(name);
  TensorFile input = load_case(in);
  NamedTensors inputs;
  for (auto &[tensor_name, tensor] : input.tensors) {
    if (tensor_name.starts_with("out.")) continue;
    std::string plain = tensor_name.starts_with("in.") ? tensor_name.substr(3) : tensor_name;
    if (op.input(plain))
      inputs[plain] = tensor;
    else
      fmt::print(stderr, "moec: run {}: the op has no input {}; that tensor of {} is left out\n", name, plain, in);
  }
  Settings settings = settings_of(set);
  // What the file says of the op's parameters holds where --set says nothing.
  for (auto &[k, v] : input.metadata)
    if (op.parameter(k)) settings.try_emplace(k, v);
  Device where = device.empty() ? Device::best() : Device::parse(device);
  OpCall call(op, Stream(where), inputs, settings);
  call.run();
  call.stream().synchronize();
  TensorFile result;
  result.metadata["op"] = name;
  for (auto &[k, v] : settings) result.metadata[k] = v;
  for (auto &[tensor_name, tensor] : call.outputs()) result.add("out." + tensor_name, tensor.to(Device::host()));
  auto bytes = serialize_safetensors(result);
  write_output(out, {reinterpret_cast<const char *>(bytes.data()), bytes.size()});
  if (out != "-")
    for (auto &[tensor_name, tensor] : result.tensors) fmt::print("{:32} {}\n", tensor_name, tensor.text());
  return kOk;
}

// ---- verify

int verify_files(const std::vector<std::string> &paths, const std::string &device,
                 const std::vector<std::string> &except, bool strict, bool quiet) {
  set_sim_checked(true); // a case is for finding mistakes; MOEC_SIM_CHECKED=0 is faster
  VerifyOptions options;
  options.device = device.empty() ? Device::best() : Device::parse(device);
  options.strict = strict;
  options.except = except;
  VerifySummary summary = verify(find_cases(paths), options, [&](const CaseReport &report) {
    if (!quiet || report.status != CheckStatus::pass) fmt::print("{}", report_text(report, !quiet));
    std::fflush(stdout);
  });
  fmt::print("{}", summary.ops_text());
  if (summary.unsupported_tensors) fmt::print("{} output tensors are not produced yet\n", summary.unsupported_tensors);
  fmt::print("{}\n", summary.text());
  return summary.exit_code();
}

} // namespace

Settings settings_of(const std::vector<std::string> &items) {
  Settings settings;
  for (const std::string &item : items)
    for (auto &[k, v] : parse_settings(item)) settings[k] = v;
  return settings;
}

void add_list(CLI::App &app, Action &action) {
  auto *c = app.add_subcommand("list", "ops and kernels; with a name, everything about it");
  auto name = std::make_shared<std::string>();
  c->add_option("name", *name, "an op or kernel");
  auto markdown = std::make_shared<bool>(false);
  c->add_flag("--markdown", *markdown, "the whole reference, as docs/ops.md");
  c->callback([&action, name, markdown] { action = [name, markdown] { return list(*name, *markdown); }; });
}

void add_run(CLI::App &app, Action &action) {
  struct Options {
    std::string op, in, out, device;
    std::vector<std::string> set;
  };
  auto o = std::make_shared<Options>();
  auto *c = app.add_subcommand("run", "run an op on tensors from a safetensors file");
  c->add_option("op", o->op, "see moec list")->required();
  c->add_option("--in", o->in, "safetensors with the inputs, named as the op's tensors (a prefix 'in.' is fine)")
      ->required();
  c->add_option("--set", o->set, "a parameter: name=value; repeatable")->allow_extra_args(false);
  c->add_option("--out", o->out, "safetensors to write ('-': standard output)")->required();
  c->add_option("--device", o->device, "sim, interp, cuda, cuda:N (default: MOEC_DEVICE, or the best there is)");
  c->callback([&action, o] { action = [o] { return run_op(o->op, o->in, o->set, o->out, o->device); }; });
}

void add_verify(CLI::App &app, Action &action) {
  struct Options {
    std::vector<std::string> paths, except;
    std::string device;
    bool strict = false, quiet = false;
  };
  auto o = std::make_shared<Options>();
  auto *c = app.add_subcommand("verify", "run recorded cases and compare every output with what was recorded");
  c->add_option("paths", o->paths, "safetensors files, or folders of them")->required();
  c->add_option("--device", o->device, "sim, interp, cuda, cuda:N (default: MOEC_DEVICE, or the best there is)");
  c->add_option("--except", o->except, "ops to leave out, comma-separated")->delimiter(',')->allow_extra_args(false);
  c->add_flag("--strict", o->strict, "a case with an output that is not produced counts as unsupported");
  c->add_flag("-q,--quiet", o->quiet, "print only what does not pass, and the summary");
  c->footer("Last line: N passed, M failed, K unsupported (cases). Exit: 1 on any mismatch, else 2 on anything "
            "unsupported, else 0.");
  c->callback(
      [&action, o] { action = [o] { return verify_files(o->paths, o->device, o->except, o->strict, o->quiet); }; });
}

} // namespace moec::cli
