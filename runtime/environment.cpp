#include "runtime/environment.h"

#include <algorithm>
#include <fmt/format.h>

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <limits>

#include "runtime/error.h"

extern char **environ;

namespace moec {

namespace {

template <typename T> bool number(std::string_view text, T &value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

const char *parse_bool(std::string_view text, bool &value) {
  if (text == "1" || text == "on" || text == "true" || text == "yes") return value = true, nullptr;
  if (text == "0" || text == "off" || text == "false" || text == "no") return value = false, nullptr;
  return "it is not a switch; say 0 or 1";
}

const char *parse_bytes(std::string_view text, uint64_t &value) {
  uint64_t unit = 1;
  if (!text.empty()) switch (text.back()) {
    case 'k':
    case 'K': unit = uint64_t{1} << 10; break;
    case 'm':
    case 'M': unit = uint64_t{1} << 20; break;
    case 'g':
    case 'G': unit = uint64_t{1} << 30; break;
    default: break;
    }
  if (unit != 1) text.remove_suffix(1);
  uint64_t count = 0;
  if (!number(text, count) || count > std::numeric_limits<int64_t>::max() / unit)
    return "it is not a number of bytes; say for example 1073741824, 512M or 2G";
  value = count * unit;
  return nullptr;
}

const char *parse_device(std::string_view text, std::string &value) {
  int index = 0;
  bool numbered = text.starts_with("cuda:") && number(text.substr(5), index) && index >= 0 && index < 1024;
  if (text != "best" && text != "sim" && text != "interp" && text != "cuda" && !numbered)
    return "there is no such device; say best, sim, interp, cuda or cuda:<index>";
  value = text;
  return nullptr;
}

const char *parse_cache(std::string_view text, Environment &e) {
  if (text == "on") return e.cache = CacheMode::on, nullptr;
  if (text == "off") return e.cache = CacheMode::off, nullptr;
  if (text == "require") return e.cache = CacheMode::require, nullptr;
  return "it is not a cache mode; say on, off or require";
}

const char *parse_check(std::string_view text, Environment &e) {
  if (text == "record") return e.check_record = true, nullptr;
  if (text == "none") return e.check_record = false, nullptr;
  return "there is no such check; say record or none";
}

const char *parse_level(std::string_view text, Environment &e) {
  if (text != "auto" && text != "v2" && text != "v3" && text != "v4")
    return "it is not an x86-64 level; say auto, v2, v3 or v4";
  e.sim_level = text;
  return nullptr;
}

const char *parse_log(std::string_view text, Environment &e) {
  constexpr std::string_view names[] = {"off", "warn", "info", "debug"};
  for (int i = 0; i < 4; ++i)
    if (text == names[i]) return e.log = static_cast<LogLevel>(i), nullptr;
  return "it is not a log level; say off, warn, info or debug";
}

const char *parse_workers(std::string_view text, Environment &e) {
  return number(text, e.sim_workers) && e.sim_workers >= 0 && e.sim_workers <= 1024
             ? nullptr
             : "it is not a number of threads; say 0 (all cores) to 1024";
}

const char *parse_cache_dir(std::string_view text, Environment &e) {
  e.cache_dir = text;
  return text.front() == '/' ? nullptr : "it is a relative path; say an absolute one";
}

const EnvironmentVariable table[] = {
    {"MOEC_DEVICE", "best|sim|interp|cuda|cuda:<index>", "best",
     "Device::best(): the first CUDA device, else the simulated GPU with a warning; any other value insists on that "
     "device",
     [](std::string_view t, Environment &e) { return parse_device(t, e.device); }},
    {"MOEC_CACHE", "on|off|require", "on",
     "the disk cache of compiled kernels; require: a kernel that is not in it is an error", parse_cache},
    {"MOEC_CACHE_DIR", "path", "$XDG_CACHE_HOME/moec or ~/.cache/moec",
     "directory of the disk cache, private to its user", parse_cache_dir},
    {"MOEC_CACHE_MAX_BYTES", "bytes", "2G",
     "size that the disk cache is kept below; least recently used entries go first",
     [](std::string_view t, Environment &e) { return parse_bytes(t, e.cache_max_bytes); }},
    {"MOEC_CHECK", "record|none", "none",
     "record: record a kernel again at every hit and compare its text with the compiled one's", parse_check},
    {"MOEC_SIM_CHECKED", "0|1", "1 in tests and verify, else 0", "simulated GPU: watch every memory access and barrier",
     [](std::string_view t, Environment &e) {
       bool on = false;
       const char *wrong = parse_bool(t, on);
       e.sim_checked = on;
       return wrong;
     }},
    {"MOEC_SIM_SEED", "number", "0",
     "simulated GPU: seed of a random order of CTAs, warps, lanes and atomics; 0: in order",
     [](std::string_view t, Environment &e) {
       return number(t, e.sim_seed) ? nullptr : "it is not a whole number; say for example 1";
     }},
    {"MOEC_SIM_WORKERS", "number", "0 (all cores)", "simulated GPU: how many host threads run CTAs", parse_workers},
    {"MOEC_SIM_LEVEL", "auto|v2|v3|v4", "auto", "simulated GPU: x86-64 level that its code is compiled for",
     parse_level},
    {"MOEC_SIM_SECONDS", "number", "120",
     "simulated GPU: processor time after which a thread block (CTA) that has not ended is reported and given up; 0: "
     "never",
     [](std::string_view t, Environment &e) {
       return number(t, e.sim_seconds) && e.sim_seconds >= 0
                  ? nullptr
                  : "it is not a number of seconds; say for example 600, or 0 for no limit";
     }},
    {"MOEC_INTERP_ITERATIONS", "number", "4194304",
     "reference interpreter: iterations after which a while loop is reported and given up; 0: never",
     [](std::string_view t, Environment &e) {
       return number(t, e.interp_iterations) ? nullptr
                                             : "it is not a whole number; say for example 1000000, or 0 for no limit";
     }},
    {"MOEC_LINEINFO", "0|1", "0", "put source lines into the PTX, for profilers; then they are part of the cache key",
     [](std::string_view t, Environment &e) { return parse_bool(t, e.lineinfo); }},
    {"MOEC_DUMP", "path", "",
     "directory into which a compile writes the IR after each pass; kernels are then compiled even if they are cached",
     [](std::string_view t, Environment &e) -> const char * { return e.dump = t, nullptr; }},
    {"MOEC_CUDA_ROOT", "path", "the first that is found",
     "CUDA toolkit that nvJitLink is taken from, or none; when moec is built: headers and libdevice, too",
     [](std::string_view t, Environment &e) -> const char * { return e.cuda_root = t, nullptr; }},
    {"MOEC_LIBCUDA", "path", "libcuda.so.1", "CUDA driver library, or a stand-in for it",
     [](std::string_view t, Environment &e) -> const char * { return e.libcuda = t, nullptr; }},
    {"MOEC_COMPILER", "path", "beside the program, in its lib or ../lib, or on its run path", "libmoec_compiler.so",
     [](std::string_view t, Environment &e) -> const char * { return e.compiler = t, nullptr; }},
    {"MOEC_LOG", "off|warn|info|debug", "warn", "what is written to standard error", parse_log},
};

} // namespace

std::span<const EnvironmentVariable> environment_variables() { return table; }

std::optional<std::string> environment_text(std::string_view name) {
  const char *text = std::getenv(std::string(name).c_str());
  if (!text || !*text) return std::nullopt;
  return text;
}

Environment read_environment() {
  Environment e;
  for (const EnvironmentVariable &v : table)
    if (auto text = environment_text(v.name))
      if (const char *wrong = v.parse(*text, e))
        throw UserError(
            fmt::format("read {}='{}' from the environment", v.name, *text), fmt::format("wrong value: {}", wrong),
            fmt::format("or unset it for the default ({})", v.default_text.empty() ? "none" : v.default_text));
  return e;
}

static std::atomic<const Environment *> &current() {
  static std::atomic<const Environment *> value{new Environment(read_environment())};
  return value;
}
const Environment &environment() { return *current().load(std::memory_order_acquire); }
void reload_environment() { current() = new Environment(read_environment()); } // the old one may be in use: it stays

/// Of the project's scripts and tests, which read them themselves (CONTRIBUTING.md).
constexpr std::string_view kOfTheProject[] = {"MOEC_PRESET",      "MOEC_TEST_GOLDEN", "MOEC_UPDATE_DOCS",
                                              "MOEC_SHOW_ERRORS", "MOEC_SIM_TIMING",  "MOEC_SIM_IR",
                                              "MOEC_LAUNCH_CHILD"};

std::vector<std::string> unknown_environment_variables() {
  std::vector<std::string> unknown;
  for (char **p = environ; p && *p; ++p) {
    std::string_view entry = *p;
    std::string_view name = entry.substr(0, entry.find('='));
    bool known = !name.starts_with("MOEC_") || std::ranges::find(kOfTheProject, name) != std::end(kOfTheProject);
    for (const EnvironmentVariable &v : table) known |= v.name == name;
    if (!known) unknown.emplace_back(name);
  }
  return unknown;
}

} // namespace moec
