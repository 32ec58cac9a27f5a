#include "compiler/target/nvptx/NvJitLink.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include <cstdlib>
#include <dlfcn.h>
#include <mutex>
#include <vector>

using namespace llvm;

namespace moec::compiler {

char ToolError::ID = 0;

namespace {

// nvJitLink's C interface as its header declares it (the same since CUDA 12.0); written out because a build without
// CUDA has no header.
using Handle = void *;
using Result = int;
constexpr int kInputPtx = 2;

struct Api {
  Result (*create)(Handle *, uint32_t, const char **) = nullptr;
  Result (*destroy)(Handle *) = nullptr;
  Result (*addData)(Handle, int, const void *, size_t, const char *) = nullptr;
  Result (*complete)(Handle) = nullptr;
  Result (*cubinSize)(Handle, size_t *) = nullptr;
  Result (*cubin)(Handle, void *) = nullptr;
  Result (*errorLogSize)(Handle, size_t *) = nullptr;
  Result (*errorLog)(Handle, char *) = nullptr;
  Result (*infoLogSize)(Handle, size_t *) = nullptr;
  Result (*infoLog)(Handle, char *) = nullptr;
  Result (*version)(unsigned *, unsigned *) = nullptr;
  NvJitLinkFacts facts;
};

/// For callers that name no library: MOEC_CUDA_ROOT's ("none": nowhere at all), else where the build found it.
std::vector<std::string> defaultPaths() {
  const char *root = std::getenv("MOEC_CUDA_ROOT");
  std::vector<std::string> paths;
  if (root && *root) {
    for (const char *folder : {"/lib64/", "/lib/", "/targets/x86_64-linux/lib/"})
      for (const char *name : {"libnvJitLink.so.13", "libnvJitLink.so.12"})
        if (StringRef(root) != "none") paths.push_back(std::string(root) + folder + name);
    return paths;
  }
#ifdef MOEC_NVJITLINK_PATH
  paths.push_back(MOEC_NVJITLINK_PATH);
#endif
  return paths;
}

template <typename F> bool resolve(void *library, const char *name, F &function) {
  function = reinterpret_cast<F>(dlsym(library, name));
  return function != nullptr;
}

bool resolveAll(void *library, Api &api) {
  return resolve(library, "nvJitLinkCreate", api.create) && resolve(library, "nvJitLinkDestroy", api.destroy) &&
         resolve(library, "nvJitLinkAddData", api.addData) && resolve(library, "nvJitLinkComplete", api.complete) &&
         resolve(library, "nvJitLinkGetLinkedCubinSize", api.cubinSize) &&
         resolve(library, "nvJitLinkGetLinkedCubin", api.cubin) &&
         resolve(library, "nvJitLinkGetErrorLogSize", api.errorLogSize) &&
         resolve(library, "nvJitLinkGetErrorLog", api.errorLog) &&
         resolve(library, "nvJitLinkGetInfoLogSize", api.infoLogSize) &&
         resolve(library, "nvJitLinkGetInfoLog", api.infoLog) && resolve(library, "nvJitLinkVersion", api.version);
}

Api openApi(StringRef library) {
  Api api;
  if (library == "none") return api;
  std::string tried;
  for (const std::string &path : library.empty() ? defaultPaths() : std::vector{library.str()}) {
    void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    std::string why = handle ? path + ": it is too old" : dlerror(); // names the file
    if (handle && resolveAll(handle, api)) {
      unsigned major = 0, minor = 0;
      api.version(&major, &minor);
      api.facts = {path, int(major), int(minor), ""};
      return api;
    }
    if (handle) dlclose(handle);
    tried += (tried.empty() ? "" : ", ") + why;
  }
  api.create = nullptr;
  api.facts.error = "nvJitLink cannot be opened (" + (tried.empty() ? "no place is known" : tried) +
                    "); point MOEC_CUDA_ROOT at a toolkit, or set it to none: then the driver assembles";
  return api;
}

const Api &apiOf(StringRef library) {
  static std::mutex mutex;
  static auto &opened = *new StringMap<Api>; // its entries stay where they are
  std::lock_guard lock(mutex);
  auto [entry, fresh] = opened.try_emplace(library);
  if (fresh) entry->second = openApi(library);
  return entry->second;
}

std::string readLog(Handle handle, Result (*size)(Handle, size_t *), Result (*read)(Handle, char *)) {
  size_t bytes = 0;
  if (size(handle, &bytes) != 0 || bytes <= 1) return "";
  std::string text(bytes, '\0');
  if (read(handle, text.data()) != 0) return "";
  return StringRef(text.c_str()).trim().str();
}

/// Statistics are "ptxas info : …", "info : …" and their continuations "ptxas . …"; the rest is warnings.
void sortLog(StringRef log, Cubin &cubin) {
  for (StringRef line : split(log, '\n')) {
    if (line.trim().empty()) continue;
    StringRef head = line;
    head.consume_front("ptxas");
    head = head.ltrim();
    bool statistic = head.starts_with("info") || head.starts_with(".");
    (statistic ? cubin.statistics : cubin.warnings) += (line + "\n").str();
  }
}

const char *resultName(Result result) {
  static constexpr const char *names[] = {"success",
                                          "unrecognized option",
                                          "missing -arch",
                                          "invalid input",
                                          "PTX does not compile",
                                          "NVVM does not compile",
                                          "internal error",
                                          "thread pool error",
                                          "unrecognized input",
                                          "finalizer error",
                                          "null input",
                                          "incompatible options",
                                          "incorrect input type",
                                          "arch mismatch",
                                          "outdated library: the PTX is newer than nvJitLink",
                                          "missing fatbin",
                                          "unrecognized -arch",
                                          "unsupported -arch",
                                          "LTO not enabled"};
  return result >= 0 && size_t(result) < std::size(names) ? names[result] : "unknown error";
}

} // namespace

const NvJitLinkFacts &nvJitLinkFacts(StringRef library) { return apiOf(library).facts; }

Expected<Cubin> assemblePtx(StringRef ptx, StringRef arch, bool lineInfo, StringRef library) {
  const Api &lib = apiOf(library);
  if (!lib.create)
    return make_error<ToolError>(lib.facts.error.empty() ? "nvJitLink is switched off (MOEC_CUDA_ROOT=none)"
                                                         : lib.facts.error);

  std::string archOption = ("-arch=" + arch).str();
  // -verbose costs no measurable time, and only it tells spills from arrays.
  SmallVector<const char *, 4> args{archOption.c_str(), "-verbose"};
  if (lineInfo) args.push_back("-lineinfo");

  Handle handle = nullptr;
  Result result = lib.create(&handle, args.size(), args.data());
  auto fail = [&](const char *step) -> Error {
    std::string log = handle ? readLog(handle, lib.errorLogSize, lib.errorLog) : "";
    std::string message = std::string("nvJitLink for ") + arch.str() + ": " + step + ": " + resultName(result);
    if (!log.empty()) message += "\n" + log;
    if (handle) lib.destroy(&handle);
    return make_error<ToolError>(message);
  };
  if (result != 0) return fail("create");
  std::string terminated = ptx.str(); // nvJitLink wants the NUL counted
  if ((result = lib.addData(handle, kInputPtx, terminated.c_str(), terminated.size() + 1, "kernel.ptx")) != 0)
    return fail("PTX");
  if ((result = lib.complete(handle)) != 0) return fail("link");

  Cubin cubin;
  size_t bytes = 0;
  if ((result = lib.cubinSize(handle, &bytes)) != 0) return fail("cubin");
  cubin.bytes.resize(bytes);
  if ((result = lib.cubin(handle, cubin.bytes.data())) != 0) return fail("cubin");
  sortLog(readLog(handle, lib.errorLogSize, lib.errorLog), cubin);
  sortLog(readLog(handle, lib.infoLogSize, lib.infoLog), cubin);
  lib.destroy(&handle);
  return cubin;
}

} // namespace moec::compiler
