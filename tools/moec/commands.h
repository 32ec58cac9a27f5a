// The subcommands of `moec`. Each adds itself to the app and sets `action` to what it does when it is chosen.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/registry.h"

namespace moec::cli {

/// Exit codes of every subcommand.
enum Exit : int {
  kOk = 0,
  kFailed = 1,      ///< a mismatch, or a mistake in what was given: a file, a kernel, a tensor
  kUsage = 2,       ///< wrong command line, or something unsupported: an op, a parameter's value
  kDeviceError = 3, ///< a device, its driver or an outside tool failed
  kInternal = 4,    ///< a defect of moec
};

using Action = std::function<int()>;
/// Does it. An error becomes its text on standard error and its exit code.
int run(const Action &action);

void add_list(CLI::App &app, Action &action);
void add_compile(CLI::App &app, Action &action);
void add_opt(CLI::App &app, Action &action);
void add_run(CLI::App &app, Action &action);
void add_verify(CLI::App &app, Action &action);
void add_bench(CLI::App &app, Action &action);
void add_cache(CLI::App &app, Action &action);
void add_doctor(CLI::App &app, Action &action);

/// "k=v" items of --set. Throws UserError for one without '='.
Settings settings_of(const std::vector<std::string> &items);
/// "581 entries, 7.1 MiB of at most 2048.0 MiB, 0 bad" of the disk cache; every byte of it is read.
std::string cache_text();
/// A whole file, or standard input for "-". Throws UserError.
std::string read_input(const std::string &path);
/// Writes a file (aside, then renamed), or standard output for "-". Throws UserError.
void write_output(const std::string &path, std::string_view bytes);

} // namespace moec::cli
