#include "runtime/log.h"

#include <cstdio>
#include <mutex>
#include <set>
#include <string>

namespace moec {

void log_line(LogLevel level, std::string_view text) noexcept {
  LogLevel allowed = LogLevel::warn;
  try {
    allowed = environment().log;
  } catch (...) { // a wrong variable is reported where it is used
  }
  if (level > allowed) return;
  std::fprintf(stderr, "moec: %.*s\n", static_cast<int>(text.size()), text.data());
}

void warn_once(std::string_view topic, std::string_view text) noexcept {
  try {
    static std::mutex mutex;
    static std::set<std::string, std::less<>> seen;
    std::lock_guard lock(mutex);
    if (!seen.emplace(topic).second) return;
  } catch (...) { return; }
  log_line(LogLevel::warn, text);
}

} // namespace moec
