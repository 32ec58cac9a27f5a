// Every environment variable that moec reads, in one typed table. Standard library only.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moec {

enum class CacheMode : uint8_t {
  on,      ///< read and write the disk cache
  off,     ///< neither
  require, ///< any compile is an error
};
enum class LogLevel : uint8_t { off, warn, info, debug };

/// The variables' values. Field order is the table's.
struct Environment {
  std::string device = "best";
  CacheMode cache = CacheMode::on;
  std::string cache_dir;
  uint64_t cache_max_bytes = uint64_t{2} << 30;
  bool check_record = false;
  std::optional<bool> sim_checked;
  uint64_t sim_seed = 0;
  int sim_workers = 0;
  std::string sim_level = "auto";
  double sim_seconds = 120;
  uint64_t interp_iterations = 1 << 22;
  bool lineinfo = false;
  std::string dump;
  std::string cuda_root;
  std::string libcuda;
  std::string compiler;
  LogLevel log = LogLevel::warn;
};

/// A row of the table.
struct EnvironmentVariable {
  std::string_view name;         ///< "MOEC_CACHE"
  std::string_view type;         ///< "on|off|require", "bytes", "path", ...
  std::string_view default_text; ///< "on"
  std::string_view doc;
  /// Parses `text` into the field. Returns what is wrong with it, or nullptr.
  const char *(*parse)(std::string_view text, Environment &into);
};

std::span<const EnvironmentVariable> environment_variables();
/// Reads the process's environment now. Throws UserError that names the variable, its value and what it may be.
Environment read_environment();
/// What read_environment() gave at the first call. Throws the same.
const Environment &environment();
/// Reads the process's environment again for environment(). For tests: what was already derived from the old values
/// stays.
void reload_environment();
/// The variable's text if it is set and not empty.
std::optional<std::string> environment_text(std::string_view name);
/// Variables that are set, start with MOEC_ and are neither in the table nor of the project's scripts and tests: likely
/// typing errors, for `moec doctor`.
std::vector<std::string> unknown_environment_variables();

} // namespace moec
