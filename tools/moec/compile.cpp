// moec compile: a library kernel or a .mlir file to any stage's text or binary; moec opt.
#include "tools/moec/commands.h"

#include "kernels/kernel_table.h"
#include "runtime/compiler_library.h"
#include "runtime/error.h"
#include "runtime/jit.h"
#include "runtime/json.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>

namespace moec::cli {

namespace {

struct Options {
  std::string what, target = "sm_90a", emit = "ptx", out = "-";
  std::vector<std::string> set;
  std::optional<int> num_warps, num_stages;
  bool contract_fma = false;
};

/// No kernel of the library has such a name.
bool is_file(const std::string &what) {
  return what == "-" || what.ends_with(".mlir") || what.find('/') != std::string::npos;
}

std::string options_text(const Options &o, Schedule schedule) {
  if (o.num_warps) schedule.num_warps = *o.num_warps;
  if (o.num_stages) schedule.num_stages = *o.num_stages;
  schedule.contract_fma |= o.contract_fma;
  return compile_options(o.target, schedule);
}

std::string emit_name(const std::string &emit) { return emit == "cubin" ? "binary" : emit; }

int finish(const Options &o, const CompileOutput &result) {
  for (const Diagnostic &d : result.diagnostics) fmt::print(stderr, "{}\n", d.text());
  Json info;
  std::string wrong;
  // Without nvJitLink a GPU's binary is PTX, for its driver to assemble.
  if (o.emit == "cubin" && parse_json(result.info, 16, info, wrong) && info.is_object() &&
      info.value("format", "") == "ptx")
    throw DeviceError(fmt::format("compile {} for {}", o.what, o.target), "there is no nvJitLink to make a cubin",
                      "`moec doctor` says why; --emit ptx gives what a driver assembles");
  write_output(o.out, o.emit == "resources" ? result.output + "\n" : result.output);
  return kOk;
}

int compile_kernel(const Options &o) {
  const KernelInfo &kernel = kernel_at(o.what);
  Recording recording = kernel.record(settings_of(o.set));
  CompileInput input;
  input.source = recording.text;
  input.kernel = kernel.name;
  input.options = options_text(o, kernel.schedule);
  input.emit = emit_name(o.emit);
  input.ordinal_locations = true;
  input.lines = recording.lines;
  input.what = fmt::format("compile {} for {}", kernel.name, o.target);
  return finish(o, compile(input));
}

/// A file of somebody's may break the parser: it is compiled in a child, so that a crash becomes a message.
int compile_file(const Options &o) {
  if (!o.set.empty())
    throw UserError("compile " + o.what, "--set is for kernels of the library",
                    "leave it out; a .mlir file is specialized already");
  std::string source = read_input(o.what);
  std::fflush(nullptr);
  pid_t child = fork();
  if (child < 0)
    throw DeviceError("compile " + o.what, std::string("fork: ") + std::strerror(errno), "end other processes");
  if (child == 0) {
    int code = run([&] {
      CompileInput input;
      input.source = source;
      input.kernel = o.what == "-" ? "stdin" : std::filesystem::path(o.what).stem().string();
      input.file = o.what == "-" ? "standard input" : o.what;
      input.options = options_text(o, {});
      input.emit = emit_name(o.emit);
      input.what = fmt::format("compile {} for {}", o.what, o.target);
      return finish(o, compile(input));
    });
    std::fflush(nullptr);
    _exit(code);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  if (WTERMSIG(status) == SIGPIPE) return std::raise(SIGPIPE); // who reads the output has read enough
  throw InternalError("compile " + o.what, fmt::format("the compiler crashed ({})", strsignal(WTERMSIG(status))),
                      "please report it with the file");
}

int opt(const std::vector<std::string> &args) {
  std::error_code ec;
  auto self = std::filesystem::read_symlink("/proc/self/exe", ec);
  std::string tool = (self.parent_path() / "moec-opt").string();
  std::vector<char *> argv{tool.data()};
  std::vector<std::string> copy = args;
  for (std::string &a : copy) argv.push_back(a.data());
  argv.push_back(nullptr);
  execv(tool.c_str(), argv.data());
  throw UserError("run moec opt", fmt::format("{}: {}", tool, std::strerror(errno)),
                  "moec-opt belongs beside moec; build it with ./dev build moec-opt");
}

} // namespace

void add_compile(CLI::App &app, Action &action) {
  auto o = std::make_shared<Options>();
  auto *c = app.add_subcommand("compile", "compile a kernel of the library, or a .mlir file; no GPU needed");
  c->add_option(
       "kernel", o->what,
       "a kernel (see moec list), a file of MLIR text (name.mlir or with a folder: ./name), or '-' for standard input")
      ->required();
  c->add_option("--set", o->set, "a field of the kernel's spec, a size or a dtype: name=value; repeatable")
      ->allow_extra_args(false);
  c->add_option("--target", o->target, "sm_80, sm_90a, sm_100a, ..., sim")->capture_default_str();
  c->add_option("--emit", o->emit, "what to write; binary: the cubin, or the simulated GPU's code")
      ->check(CLI::IsMember({"tile", "tilegpu", "nvvm", "llvm", "ptx", "cubin", "binary", "resources"}))
      ->capture_default_str();
  c->add_option("-o,--output", o->out, "file to write ('-': standard output)")->capture_default_str();
  c->add_option("--num-warps", o->num_warps, "warps per CTA (default: the kernel's schedule)");
  c->add_option("--num-stages", o->num_stages, "buffers of a pipelined loop (default: the kernel's schedule)");
  c->add_flag("--contract-fma", o->contract_fma, "a*b+c becomes one fma");
  c->callback([&action, o] { action = [o] { return is_file(o->what) ? compile_file(*o) : compile_kernel(*o); }; });
}

void add_opt(CLI::App &app, Action &action) {
  auto *c = app.add_subcommand("opt", "run single passes: all arguments go to moec-opt");
  c->prefix_command();
  c->set_help_flag(); // --help is moec-opt's
  c->callback([&action, c] { action = [args = c->remaining()] { return opt(args); }; });
}

} // namespace moec::cli
