#include "tools/moec/commands.h"

#include "runtime/error.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

namespace moec::cli {

std::string read_input(const std::string &path) {
  if (path == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::error_code ec;
  if (std::filesystem::is_directory(path, ec))
    throw UserError(fmt::format("read {}", path), "it is a directory", "give a file");
  std::ifstream in(path, std::ios::binary);
  if (!in) throw UserError(fmt::format("read {}", path), std::strerror(errno), "check the path and its permissions");
  std::stringstream all;
  all << in.rdbuf();
  return std::move(all).str();
}

void write_output(const std::string &path, std::string_view bytes) {
  if (path == "-") {
    if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size() || std::fflush(stdout) != 0)
      throw UserError("write to standard output", std::strerror(errno), "check where it goes");
    return;
  }
  std::error_code ec;
  auto status = std::filesystem::status(path, ec);
  if (is_directory(status)) throw UserError(fmt::format("write {}", path), "it is a directory", "give a file");
  bool special = exists(status) && !is_regular_file(status); // a device or a pipe is written, not replaced
  std::string aside = special ? path : fmt::format("{}.{}.tmp", path, getpid());
  std::ofstream out(aside, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  int error = errno;
  ec.clear();
  if (out && !special) std::filesystem::rename(aside, path, ec);
  if (out && !ec) return;
  std::string why = ec ? ec.message() : std::strerror(error);
  if (!special) std::filesystem::remove(aside, ec);
  throw UserError(fmt::format("write {}", path), why, "check the directory, its permissions and free space");
}

} // namespace moec::cli
