#include "compiler/target/nvptx/NvJitLink.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdlib>
#include <dlfcn.h>
#include <vector>

using namespace llvm;

namespace moec::compiler {

char ToolError::ID = 0;

namespace {

// nvJitLink's C interface as its header declares it (the same since CUDA 12.0); written out because a build without CUDA has no header.
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

/// In order: MOEC_CUDA_ROOT ("none": nowhere at all), beside this library, where the build found it, the usual places, the loader's path.
std::vector<std::string> candidatePaths() {
  std::vector<std::string> paths;
  auto addToolkit = [&](const std::string &root) {
    for (const char *folder : {"/lib64/", "/lib/", "/targets/x86_64-linux/lib/"})
      for (const char *name : {"libnvJitLink.so.13", "libnvJitLink.so.12"})
        paths.push_back(root + folder + name);
  };
  if (const char *root = std::getenv("MOEC_CUDA_ROOT"); root && *root) {
    if (StringRef(root) == "none") return {};
    addToolkit(root);
  }
  Dl_info self;
  if (dladdr(reinterpret_cast<void *>(&candidatePaths), &self) && self.dli_fname) {
    StringRef file = self.dli_fname;
    if (size_t slash = file.rfind('/'); slash != StringRef::npos) paths.push_back((file.take_front(slash) + "/libnvJitLink.so.13").str());
  }
#ifdef MOEC_NVJITLINK_PATH
  paths.push_back(MOEC_NVJITLINK_PATH);
#endif
  if (const char *home = std::getenv("CUDA_HOME"); home && *home) addToolkit(home);
  addToolkit("/usr/local/cuda");
  paths.push_back("libnvJitLink.so.13");
  paths.push_back("libnvJitLink.so.12");
  return paths;
}

template <typename F> bool resolve(void *library, const char *name, F &function) {
  function = reinterpret_cast<F>(dlsym(library, name));
  return function != nullptr;
}

bool resolveAll(void *library, Api &api) {
  return resolve(library, "nvJitLinkCreate", api.create) && resolve(library, "nvJitLinkDestroy", api.destroy) &&
         resolve(library, "nvJitLinkAddData", api.addData) && resolve(library, "nvJitLinkComplete", api.complete) &&
         resolve(library, "nvJitLinkGetLinkedCubinSize", api.cubinSize) && resolve(library, "nvJitLinkGetLinkedCubin", api.cubin) &&
         resolve(library, "nvJitLinkGetErrorLogSize", api.errorLogSize) && resolve(library, "nvJitLinkGetErrorLog", api.errorLog) &&
         resolve(library, "nvJitLinkGetInfoLogSize", api.infoLogSize) && resolve(library, "nvJitLinkGetInfoLog", api.infoLog) &&
         resolve(library, "nvJitLinkVersion", api.version);
}

Api openApi() {
  Api api;
  std::string tried;
  for (const std::string &path : candidatePaths()) {
    void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library && resolveAll(library, api)) {
      unsigned major = 0, minor = 0;
      api.version(&major, &minor);
      // The loader's answer, because a bare name says nothing about where it was found.
      Dl_info info;
      bool known = dladdr(reinterpret_cast<void *>(api.create), &info) && info.dli_fname;
      api.facts = {known ? info.dli_fname : path, int(major), int(minor), ""};
      return api;
    }
    if (library) dlclose(library);
    tried += (tried.empty() ? "" : ", ") + path;
  }
  api.create = nullptr;
  api.facts.error = tried.empty() ? "nvJitLink is switched off by MOEC_CUDA_ROOT=none"
                                  : "nvJitLink was not found (tried " + tried +
                                        "); install CUDA 13's libnvJitLink or the PyPI package nvidia-nvjitlink, or point MOEC_CUDA_ROOT at a toolkit";
  return api;
}

const Api &api() {
  static const Api opened = openApi();
  return opened;
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
  static constexpr const char *names[] = {"success",          "unrecognized option",  "missing -arch",        "invalid input",
                                          "PTX does not compile", "NVVM does not compile", "internal error",    "thread pool error",
                                          "unrecognized input", "finalizer error",      "null input",           "incompatible options",
                                          "incorrect input type", "arch mismatch",      "outdated library: the PTX is newer than nvJitLink",
                                          "missing fatbin",   "unrecognized -arch",   "unsupported -arch",    "LTO not enabled"};
  return result >= 0 && size_t(result) < std::size(names) ? names[result] : "unknown error";
}

} // namespace

const NvJitLinkFacts &nvJitLinkFacts() { return api().facts; }

Expected<Cubin> assemblePtx(StringRef ptx, StringRef arch, bool lineInfo) {
  const Api &lib = api();
  if (!lib.create) return make_error<ToolError>(lib.facts.error);

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
  if ((result = lib.addData(handle, kInputPtx, terminated.c_str(), terminated.size() + 1, "kernel.ptx")) != 0) return fail("PTX");
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
