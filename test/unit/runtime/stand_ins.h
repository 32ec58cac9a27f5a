// The runtime's tests run against stand-ins for libcuda and libmoec_compiler, in a cache directory of their own.
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "fake_compiler.h"
#include "fake_libcuda.h"
#include "scratch.h"

namespace moec::testing {

/// build/lib/<name>, beside this program's folder.
inline std::string library_path(const std::string &name) {
  auto program = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  for (const char *place : {"../lib/", ""})
    if (std::filesystem::exists(program / place / name))
      return std::filesystem::canonical(program / place / name).string();
  return name;
}
inline std::string fake_cuda_path() { return library_path("libfake_cuda.so"); }
inline std::string fake_compiler_path() { return library_path("libfake_compiler.so"); }

/// Points MOEC_LIBCUDA, MOEC_COMPILER and MOEC_CACHE_DIR at stand-ins; before anything reads the environment.
struct StandIns {
  ScratchDirectory cache;
  StandIns() {
    ::setenv("MOEC_LIBCUDA", fake_cuda_path().c_str(), 1);
    ::setenv("MOEC_COMPILER", fake_compiler_path().c_str(), 1);
    ::setenv("MOEC_CACHE_DIR", cache.path("kernels").c_str(), 1);
    for (const char *other : {"MOEC_DEVICE", "MOEC_CACHE", "MOEC_CHECK", "MOEC_DUMP", "MOEC_LINEINFO"})
      ::unsetenv(other);
  }
};

/// A function that a stand-in exports.
template <typename F> F *exported(const std::string &library, const char *name) {
  void *handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    ADD_FAILURE() << dlerror();
    std::abort();
  }
  return reinterpret_cast<F *>(dlsym(handle, name));
}

} // namespace moec::testing
