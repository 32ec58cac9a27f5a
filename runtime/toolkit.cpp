#include "runtime/toolkit.h"

#include <unistd.h>

#include <vector>

#include "runtime/compiler_library.h"
#include "runtime/environment.h"

namespace moec {

namespace {
std::string first_readable(const std::vector<std::string> &paths, const std::string &otherwise) {
  for (const std::string &path : paths)
    if (::access(path.c_str(), R_OK) == 0) return path;
  return otherwise;
}
} // namespace

std::string nvjitlink_path() {
  constexpr const char *kNames[] = {"libnvJitLink.so.13", "libnvJitLink.so.12"};
  std::vector<std::string> paths;
  auto add_toolkit = [&](const std::string &root) {
    for (const char *folder : {"/lib64/", "/lib/", "/targets/x86_64-linux/lib/"})
      for (const char *name : kNames) paths.push_back(root + folder + name);
  };
  const std::string &root = environment().cuda_root;
  if (root == "none") return "";
  if (!root.empty()) {
    add_toolkit(root);
    return first_readable(paths, paths.front()); // what was asked for and is missing is an error to whoever opens it
  }
  if (std::string library = compiler_library_path(); library.rfind('/') != std::string::npos)
    paths.push_back(library.substr(0, library.rfind('/') + 1) + kNames[0]);
#ifdef MOEC_NVJITLINK_PATH
  paths.push_back(MOEC_NVJITLINK_PATH);
#endif
  if (auto home = environment_text("CUDA_HOME")) add_toolkit(*home);
  add_toolkit("/usr/local/cuda");
  std::string folders = environment_text("LD_LIBRARY_PATH").value_or("") + ":/usr/lib/x86_64-linux-gnu:";
  for (size_t begin = 0, end; (end = folders.find(':', begin)) != std::string::npos; begin = end + 1)
    for (const char *name : kNames)
      if (end > begin) paths.push_back(folders.substr(begin, end - begin) + "/" + name);
  return first_readable(paths, "");
}

} // namespace moec
