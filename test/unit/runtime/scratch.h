// Things that several runtime tests need: a private directory, files, environment variables for a scope.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

namespace moec::testing {

/// A directory of its own, mode 0700, removed at the end.
class ScratchDirectory {
public:
  ScratchDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "moec-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::permissions(path_, std::filesystem::perms::owner_all, ignored);
    std::filesystem::remove_all(path_, ignored);
  }
  std::string path(const std::string &name = "") const { return name.empty() ? path_ : path_ + "/" + name; }

private:
  std::string path_;
};

/// Sets an environment variable (nullptr: unsets it) for a scope.
class WithVariable {
public:
  WithVariable(const char *name, const char *value) : name_(name) {
    if (const char *before = std::getenv(name)) before_ = before;
    value ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  ~WithVariable() { before_ ? ::setenv(name_, before_->c_str(), 1) : ::unsetenv(name_); }

private:
  const char *name_;
  std::optional<std::string> before_;
};

inline std::string read_file(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}
inline void write_file(const std::string &path, const std::string &bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

/// The message of the Error of kind E that `f` throws; fails the test if it throws none or another.
template <typename E, typename F> std::string message_of(F &&f) {
  try {
    f();
  } catch (const E &e) { return e.what(); } catch (const std::exception &e) {
    ADD_FAILURE() << "another exception: " << e.what();
    return "";
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

} // namespace moec::testing
