#include "runtime/compiler_library.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <climits>
#include <cstddef>
#include <cstring>
#include <filesystem>

#include "compiler/compiler.h"
#include "runtime/cache.h"
#include "runtime/environment.h"
#include "runtime/error.h"
#include "runtime/toolkit.h"

namespace moec {

namespace {

constexpr const char *kLibraryName = "libmoec_compiler.so";
std::atomic<bool> opened{false};

struct Library {
  decltype(&moec_compiler_compile) compile;
  decltype(&moec_compiler_interpret) interpret;
  decltype(&moec_compiler_free) free;
  decltype(&moec_compiler_describe) describe;
};

std::string folder_of(std::string path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

const Library &library() {
  static const Library once = [] {
    std::string path = compiler_library_path();
    const std::string asked = fmt::format("open the kernel compiler ({})", path.empty() ? kLibraryName : path);
    if (path.empty())
      throw UserError(
          asked, "it is neither beside the program nor in a lib folder beside it, nor where the loader looks",
          "link the program with -Wl,-rpath,<folder of libmoec_compiler.so>, or set MOEC_COMPILER to its path");
    void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) throw UserError(asked, dlerror(), "set MOEC_COMPILER to the library that belongs to this program");
    Library l;
    auto bind = [&](auto &slot, const char *name) {
      slot = reinterpret_cast<std::decay_t<decltype(slot)>>(dlsym(handle, name));
      if (!slot)
        throw UserError(asked, fmt::format("it has no {}", name),
                        "it is of another version; install both from one build");
    };
    bind(l.compile, "moec_compiler_compile");
    bind(l.interpret, "moec_compiler_interpret");
    bind(l.free, "moec_compiler_free");
    bind(l.describe, "moec_compiler_describe");
    opened = true;
    return l;
  }();
  return once;
}

MoecText text_of(std::string_view s) { return {s.data(), s.size()}; }
std::string string_of(MoecText t) { return t.data ? std::string(t.data, t.size) : std::string(); }

std::string unescaped(std::string_view text) {
  std::string s;
  for (size_t i = 0; i < text.size(); ++i)
    if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == 'n')
      s += '\n', ++i;
    else
      s += text[i];
  return s;
}

/// Splits "<severity>\t<file>\t<line>\t<column>\t<message>" lines and puts the user's lines for ordinals.
std::vector<Diagnostic> parse_diagnostics(std::string_view text, std::span<const SourceLine> lines) {
  std::vector<Diagnostic> all;
  while (!text.empty()) {
    std::string_view row = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), row.size() + 1));
    if (row.empty()) continue;
    std::string_view fields[5];
    int n = 0;
    for (; n < 4; ++n) {
      size_t tab = row.find('\t');
      if (tab == std::string_view::npos) break;
      fields[n] = row.substr(0, tab);
      row.remove_prefix(tab + 1);
    }
    Diagnostic d;
    if (n < 4) {
      d.severity = "error";
      d.message = unescaped(row);
    } else {
      d.severity = fields[0];
      d.file = fields[1];
      std::from_chars(fields[2].data(), fields[2].data() + fields[2].size(), d.line);
      std::from_chars(fields[3].data(), fields[3].data() + fields[3].size(), d.column);
      d.message = unescaped(row);
    }
    if (d.file == "kernel" && d.line >= 0 && static_cast<size_t>(d.line) < lines.size()) {
      const SourceLine &at = lines[static_cast<size_t>(d.line)];
      d.file = at.file ? at.file : "";
      d.line = at.line;
      d.column = 0;
    }
    all.push_back(std::move(d));
  }
  return all;
}

[[noreturn]] void fail(MoecStatus status, const CompileInput &input, const std::vector<Diagnostic> &diagnostics) {
  std::string text;
  for (const Diagnostic &d : diagnostics) text += "\n  " + d.text();
  if (text.empty()) text = "the compiler gave no message";
  switch (status) {
  case MOEC_USER_ERROR: { // an option's error stands on no line and says itself what may be
    bool placed =
        std::any_of(diagnostics.begin(), diagnostics.end(), [](const Diagnostic &d) { return !d.file.empty(); });
    throw UserError(input.what, text, placed ? "correct the kernel" : "");
  }
  case MOEC_TOOL_ERROR: throw DeviceError(input.what, text, "MOEC_DUMP=<folder> keeps what the tool was given");
  default: throw InternalError(input.what, text, "this is a defect of moec; please report it with the kernel's text");
  }
}

/// Frees a result at the end of a scope.
struct Result : MoecCompileResult {
  Result() : MoecCompileResult{} {}
  ~Result() { library().free(this); }
};

} // namespace

/// ";dump=" and MOEC_DUMP's folder for this kernel under these options, made; "" if it is not set. Throws UserError.
static std::string dump_option(const CompileInput &input) {
  if (environment().dump.empty() || input.kernel.empty()) return "";
  std::string digest = CacheKey().add("text", input.source).add("options", input.options).digest();
  std::string folder = fmt::format("{}/{}-{}", environment().dump, input.kernel, digest.substr(0, 8));
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    throw UserError(fmt::format("dump IR into {}", folder), error.message(),
                    "set MOEC_DUMP to a folder that can be written");
  return ";dump=" + folder;
}

std::string Diagnostic::text() const {
  std::string place = file.empty() ? "" : line > 0 ? fmt::format("{}:{}: ", file, line) : file + ": ";
  return fmt::format("{}{}: {}", place, severity, message);
}

/// Where the loader would look for a library of the program: its run path, LD_LIBRARY_PATH, the system's folders.
static std::vector<std::string> loader_folders() {
  std::vector<std::string> folders;
  void *program = dlopen(nullptr, RTLD_LAZY);
  Dl_serinfo size{};
  if (!program || dlinfo(program, RTLD_DI_SERINFOSIZE, &size) != 0) return folders;
  std::vector<max_align_t> memory(size.dls_size / sizeof(max_align_t) + 1);
  auto *info = reinterpret_cast<Dl_serinfo *>(memory.data());
  if (dlinfo(program, RTLD_DI_SERINFOSIZE, info) != 0 || dlinfo(program, RTLD_DI_SERINFO, info) != 0) return folders;
  for (unsigned i = 0; i < info->dls_cnt; ++i) folders.emplace_back(info->dls_serpath[i].dls_name);
  return folders;
}

std::string compiler_library_path() {
  if (!environment().compiler.empty()) return environment().compiler;
  std::string folders[2];
  char program[PATH_MAX];
  ssize_t n = ::readlink("/proc/self/exe", program, sizeof program - 1);
  if (n > 0) folders[0] = folder_of(std::string(program, static_cast<size_t>(n)));
  Dl_info info;
  if (dladdr(reinterpret_cast<void *>(&compiler_library_path), &info) && info.dli_fname)
    folders[1] = folder_of(info.dli_fname);
  for (const std::string &folder : folders)
    for (const char *place : {"/", "/lib/", "/../lib/", "/../lib/moec/"})
      if (std::string path = folder + place + kLibraryName; !folder.empty() && ::access(path.c_str(), R_OK) == 0)
        return path;
  for (const std::string &folder : loader_folders())
    if (std::string path = folder + "/" + kLibraryName; ::access(path.c_str(), R_OK) == 0) return path;
  return "";
}

CompileOutput compile(const CompileInput &input) {
  const std::string linker = nvjitlink_path(); // the one that key_of names
  const std::string options =
      fmt::format("{}{};nvjitlink={}", input.options, dump_option(input), linker.empty() ? "none" : linker);
  MoecCompileRequest request{text_of(input.source), text_of(options), text_of(input.emit), input.ordinal_locations};
  const Library &l = library();
  Result result;
  MoecStatus status = l.compile(&request, &result);
  CompileOutput out;
  out.diagnostics = parse_diagnostics(string_of(result.diagnostics), input.lines);
  for (Diagnostic &d : out.diagnostics)
    if (!input.file.empty() && d.file == "source.mlir") d.file = input.file;
  if (status != MOEC_OK) fail(status, input, out.diagnostics);
  out.output = string_of(result.output);
  out.info = string_of(result.info);
  return out;
}

void interpret(const CompileInput &input, const uint32_t (&grid)[3], std::span<void *const> params,
               std::span<const uint64_t> ranges) {
  MoecInterpretRequest request{};
  request.source = text_of(input.source);
  request.options = text_of(input.options);
  request.ordinal_locations = input.ordinal_locations;
  for (int i = 0; i < 3; ++i) request.grid[i] = static_cast<int32_t>(grid[i]);
  request.params = params.data();
  request.num_params = params.size();
  request.ranges = ranges.data();
  request.num_ranges = ranges.size() / 2;
  request.while_limit = environment().interp_iterations;
  const Library &l = library();
  Result result;
  MoecStatus status = l.interpret(&request, &result);
  auto diagnostics = parse_diagnostics(string_of(result.diagnostics), input.lines);
  if (status == MOEC_USER_ERROR) { // what a running kernel did is the device's report
    std::string text;
    for (const Diagnostic &d : diagnostics) text += "\n  " + d.text();
    throw DeviceError(input.what, text, kAfterDeviceError);
  }
  if (status != MOEC_OK) fail(status, input, diagnostics);
}

std::string describe_compiler() {
  const char *text = library().describe();
  return text ? text : "";
}
bool compiler_library_opened() { return opened; }

} // namespace moec
