// moec: the command line of the compiler and the kernel library.
#include "tools/moec/commands.h"

#include "runtime/error.h"

#include <fmt/format.h>

#include <cstdio>

using namespace moec;
using namespace moec::cli;

namespace {

constexpr const char *kFooter =
    R"(Exit codes: 0 done; 1 a mismatch or a mistake in what was given; 2 wrong command line, or an op or a
parameter's value that moec does not do; 3 a device or an outside tool failed; 4 a defect of moec.
Settings come from MOEC_* environment variables too: `moec doctor` lists them.)";

} // namespace

int moec::cli::run(const Action &action) {
  try {
    return action();
  } catch (const UnsupportedError &e) {
    fmt::print(stderr, "moec: {}\n", e.what());
    return kUsage;
  } catch (const UserError &e) {
    fmt::print(stderr, "moec: {}\n", e.what());
    return kFailed;
  } catch (const DeviceError &e) {
    fmt::print(stderr, "moec: {}\n", e.what());
    return kDeviceError;
  } catch (const std::exception &e) {
    fmt::print(stderr, "moec: internal error: {}\nThis is a defect of moec; please report it with the command line.\n",
               e.what());
    return kInternal;
  }
}

int main(int argc, char **argv) {
  CLI::App app{"moec: kernels written in C++, compiled in process; a mixture-of-experts kernel library", "moec"};
  app.require_subcommand(1);
  app.footer(kFooter);
  app.set_version_flag("--version", "moec " MOEC_VERSION);
  Action action;
  add_list(app, action);
  add_compile(app, action);
  add_opt(app, action);
  add_run(app, action);
  add_verify(app, action);
  add_bench(app, action);
  add_cache(app, action);
  add_doctor(app, action);
  // CLI11 would ask for a subcommand, without a word about this one.
  std::string asked = "moec";
  CLI::App *at = &app;
  for (int i = 1; i < argc && argv[i][0] != '-' && at->get_require_subcommand_min() > 0; ++i) {
    auto found = at->get_subcommands([&](const CLI::App *c) { return c->get_name() == argv[i]; });
    if (found.empty()) {
      fmt::print(stderr, "moec: there is no command '{}'; {} --help lists them\n", argv[i], asked);
      return kUsage;
    }
    at = found.front();
    asked += std::string(" ") + argv[i];
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &e) { return app.exit(e) == 0 ? kOk : kUsage; }
  return run(action);
}
