// moec doctor: what was found on this machine, and who set what.
#include "tools/moec/commands.h"

#include "runtime/cache.h"
#include "runtime/compiler_library.h"
#include "runtime/device.h"
#include "runtime/environment.h"
#include "runtime/error.h"
#include "runtime/toolkit.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace moec::cli {

namespace {

/// A line of the report: what a check gives, or why it failed.
template <class F> bool line(std::string_view what, F &&check) {
  try {
    fmt::print("{:18} {}\n", what, check());
    return true;
  } catch (const std::exception &e) {
    fmt::print("{:18} {}\n", what, e.what());
    return false;
  }
}

/// Where it is, and which version it says it is.
std::string nvjitlink() {
  const std::string path = nvjitlink_path();
  if (path.empty()) return "none: the driver assembles PTX";
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  auto version =
      library ? reinterpret_cast<int (*)(unsigned *, unsigned *)>(dlsym(library, "nvJitLinkVersion")) : nullptr;
  unsigned major = 0, minor = 0;
  if (!version || version(&major, &minor) != 0)
    throw UserError("open " + path, library ? "it has no version" : dlerror(),
                    "point MOEC_CUDA_ROOT at another toolkit, or set it to none");
  return fmt::format("{}  {}.{}", path, major, minor);
}

int doctor() {
  bool ok = line("moec", [] { return std::string(MOEC_VERSION); });
  ok &= line("compiler", [] {
    std::string path = compiler_library_path();
    if (path.empty())
      throw UserError("find libmoec_compiler.so", "it is neither beside this program nor in its lib or ../lib",
                      "set MOEC_COMPILER; cached kernels run without it");
    return path + "  " + describe_compiler();
  });
  line("nvJitLink", nvjitlink);
  line("CUDA device", [] { return Device::cuda(0).description(); }); // no GPU is no defect
  line("simulated GPU", [] { return Device::sim().description(); });
  ok &= line("default device", [] { return Device::best().name(); });
  ok &= line("cache", [] { return fmt::format("{}  {}", DiskCache::shared().directory(), cache_text()); });
  fmt::print("\nvariable                value                 default     meaning\n");
  for (const EnvironmentVariable &v : environment_variables()) {
    auto set = environment_text(v.name);
    fmt::print("{:23} {:21} {:11} {} ({})\n", v.name, set ? *set + " (environment)" : "-", v.default_text, v.doc,
               v.type);
  }
  for (const std::string &name : unknown_environment_variables()) {
    fmt::print("{:23} is set, but moec has no such variable\n", name);
    ok = false;
  }
  return ok ? kOk : kFailed;
}

} // namespace

void add_doctor(CLI::App &app, Action &action) {
  auto *c = app.add_subcommand(
      "doctor", "what was found on this machine, and which settings are in force; exit 1 if something is wrong");
  c->callback([&action] { action = doctor; });
}

} // namespace moec::cli
