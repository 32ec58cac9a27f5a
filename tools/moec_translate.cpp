// moec-translate: one compile of a .mlir file, as the library does it, for lit tests and for timing. The file may begin
// at any phase: tiles, tiles with layouts, or an LLVM+NVVM module.
//   moec-translate [--target sm_90a] [--emit tile|tilegpu|nvvm|llvm|ptx|binary|cubin|resources] [--options k=v;…]
//   [--repeat N] [-o FILE] FILE
#include "compiler/Compilation.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>
#include <map>
#include <vector>

using namespace moec::compiler;

namespace {

struct Arguments {
  std::string target = "sm_90a", emit = "ptx", options = "verify_each=1", input, output = "-";
  int repeat = 1; ///< compile this often and print each stage's median time
};

[[noreturn]] void die(const llvm::Twine &message) {
  llvm::errs() << message << "\n";
  std::exit(1);
}

Arguments parseArguments(int argc, char **argv) {
  Arguments args;
  for (int i = 1; i < argc; ++i) {
    llvm::StringRef arg = argv[i];
    auto value = [&]() -> std::string {
      if (++i == argc) die("moec-translate: " + arg + " needs a value");
      return argv[i];
    };
    if (arg == "--target")
      args.target = value();
    else if (arg == "--emit")
      args.emit = value();
    else if (arg == "--options")
      args.options = value();
    else if (arg == "--repeat")
      args.repeat = std::stoi(value());
    else if (arg == "-o")
      args.output = value();
    else if (arg.starts_with("-") && arg != "-")
      die("moec-translate: unknown argument " + arg);
    else
      args.input = arg.str();
  }
  if (args.input.empty())
    die("usage: moec-translate [--target sm_90a] [--emit PHASE] [--options k=v;...] [--repeat N] [-o FILE] FILE");
  return args;
}

/// Medians over all compiles but the first, which builds what later ones reuse.
class StageTable {
public:
  void add(llvm::StringRef info) {
    auto parsed = llvm::json::parse(info);
    if (!parsed) die("moec-translate: info is no JSON: " + llvm::toString(parsed.takeError()));
    std::map<std::string, double> sums; // a pass may run more than once
    for (const llvm::json::Value &stage : *parsed->getAsObject()->getArray("stages")) {
      std::string name = stage.getAsObject()->getString("name")->str();
      if (!times.count(name)) order.push_back(name), times[name];
      sums[name] += *stage.getAsObject()->getNumber("ms");
    }
    double total = 0, linker = 0;
    for (auto &[name, ms] : sums) {
      times[name].push_back(ms);
      total += ms;
      if (name == "nvjitlink") linker = ms;
    }
    outside.push_back(total - linker);
  }
  void print() {
    for (const std::string &name : order) printRow(name, times[name]);
    printRow("outside nvjitlink", outside);
  }

private:
  static void printRow(const std::string &name, std::vector<double> list) {
    std::sort(list.begin(), list.end());
    llvm::errs() << llvm::format("%-28s median %7.3f ms, least %7.3f ms\n", name.c_str(), list[list.size() / 2],
                                 list.front());
  }
  std::vector<std::string> order;
  std::map<std::string, std::vector<double>> times;
  std::vector<double> outside;
};

} // namespace

int main(int argc, char **argv) {
  Arguments args = parseArguments(argc, argv);
  auto buffer = llvm::MemoryBuffer::getFileOrSTDIN(args.input);
  if (!buffer) die("moec-translate: " + args.input + ": " + buffer.getError().message());
  std::string options = "target=" + args.target + ";" + args.options;
  StageTable table;
  CompileOutcome outcome;
  for (int i = 0; i < args.repeat; ++i) {
    outcome = compile({(*buffer)->getBuffer(), options, args.emit});
    if (outcome.status != MOEC_OK) die(outcome.diagnostics);
    if (i > 0) table.add(outcome.info);
  }
  llvm::errs() << outcome.diagnostics;
  std::error_code error;
  llvm::raw_fd_ostream out(args.output, error);
  if (error) die("moec-translate: " + args.output + ": " + error.message());
  out << outcome.output;
  if (args.repeat > 1) table.print();
}
