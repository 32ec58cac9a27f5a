// moec-translate: the back end alone, on a module of LLVM and NVVM dialects; for the lit tests of compiler/target.
//   moec-translate [--target sm_90a] [--emit llvm|ptx|cubin|resources] [--options k=v;...] [-o FILE] FILE
#include "compiler/Source.h"
#include "compiler/target/nvptx/NvJitLink.h"
#include "compiler/target/nvptx/Nvptx.h"
#include "compiler/target/nvptx/Resources.h"

#include "llvm/Support/MemoryBuffer.h"
#include <chrono>
#include <cstring>
#include <fstream>

using namespace moec::compiler;

namespace {

struct Arguments {
  std::string target = "sm_90a", emit = "ptx", input, output = "-";
  bool lineInfo = false, verbose = false;
  int repeat = 1; ///< print each stage's median time over this many compiles
};

[[noreturn]] void die(const llvm::Twine &message) {
  llvm::errs() << "moec-translate: " << message << "\n";
  std::exit(1);
}

Arguments parseArguments(int argc, char **argv) {
  Arguments args;
  for (int i = 1; i < argc; ++i) {
    llvm::StringRef arg = argv[i];
    auto value = [&]() -> std::string {
      if (++i == argc) die(arg + " needs a value");
      return argv[i];
    };
    if (arg == "--target") args.target = value();
    else if (arg == "--emit") args.emit = value();
    else if (arg == "--lineinfo") args.lineInfo = true;
    else if (arg == "--verbose") args.verbose = true;
    else if (arg == "--repeat") args.repeat = std::stoi(value());
    else if (arg == "-o") args.output = value();
    else if (arg.starts_with("-") && arg != "-") die("unknown argument " + arg);
    else args.input = arg.str();
  }
  if (args.input.empty())
    die("usage: moec-translate [--target sm_90a] [--emit llvm|ptx|cubin|resources] [--lineinfo] [--verbose] [--repeat N] [-o FILE] FILE");
  return args;
}

std::vector<std::pair<std::string, std::vector<double>>> times;
void record(llvm::StringRef stage, double ms) {
  for (auto &[name, list] : times)
    if (name == stage) return list.push_back(ms);
  times.push_back({stage.str(), {ms}});
}
template <typename F> auto timed(llvm::StringRef stage, F body) {
  auto start = std::chrono::steady_clock::now();
  auto result = body();
  record(stage, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  return result;
}

template <typename T> T orDie(llvm::Expected<T> value) {
  if (!value) die(llvm::toString(value.takeError()));
  return std::move(*value);
}

std::string resourcesText(const KernelResources &r) {
  std::string text;
  llvm::raw_string_ostream(text) << "kernel: " << r.kernel << "\nregisters: " << r.registers << "\nbarriers: " << r.barriers
                                 << "\nstack_bytes: " << r.stackBytes << "\nspill_bytes: " << r.spillBytes
                                 << "\nshared_bytes: " << r.sharedBytes << "\n";
  return text;
}

std::string compileOnce(const Arguments &args, llvm::StringRef text) {
  mlir::MLIRContext &context = threadContext();
  DiagnosticCollector collector(context);
  auto module = timed("parse", [&] { return parseSource(context, text, /*ordinal=*/false, collector, args.input); });
  if (!module) die(collector.text());
  const NvptxTarget *target = findNvptxTarget(args.target);
  if (!target) die("unknown target " + args.target);
  std::string llvmIr;
  NvptxOptions options;
  options.lineInfo = args.lineInfo;
  options.verify = args.repeat == 1;
  options.timing = record;
  options.stopAtLlvm = args.emit == "llvm";
  if (options.stopAtLlvm) options.llvmIr = &llvmIr;
  llvm::Expected<std::string> ptx = compileToPtx(*module, *target, options);
  if (!ptx) die(llvm::toString(ptx.takeError()) + "\n" + collector.text());
  if (options.stopAtLlvm) return llvmIr;
  if (args.emit == "ptx") return std::move(*ptx);
  Cubin cubin = timed("nvjitlink", [&] { return orDie(assemblePtx(*ptx, args.target, args.lineInfo)); });
  llvm::errs() << cubin.warnings;
  if (args.verbose) llvm::errs() << cubin.statistics;
  if (args.emit == "cubin") return std::move(cubin.bytes);
  if (args.emit == "resources") return resourcesText(orDie(readResources(cubin.bytes, cubin.statistics)));
  die("unknown --emit " + args.emit);
}

} // namespace

int main(int argc, char **argv) {
  Arguments args = parseArguments(argc, argv);
  auto buffer = llvm::MemoryBuffer::getFileOrSTDIN(args.input);
  if (!buffer) die(args.input + ": " + buffer.getError().message());
  std::string output;
  for (int i = 0; i < args.repeat; ++i)
    output = compileOnce(args, (*buffer)->getBuffer());
  if (args.output == "-") llvm::outs() << output;
  else std::ofstream(args.output, std::ios::binary) << output;
  if (args.repeat > 1)
    for (auto &[name, list] : times) {
      std::sort(list.begin(), list.end());
      llvm::errs() << llvm::format("%-12s median %7.3f ms, least %7.3f ms\n", name.c_str(), list[list.size() / 2], list.front());
    }
}
