// A stand-in for libcublas: records its calls, each with the device whose context was current. As the stand-in for
// libcuda (MOEC_LIBCUDA) says it; under libcublas.so.13's soname, so that opening that name finds this library once it
// is loaded.
#include <dlfcn.h>

#include <cstdlib>
#include <string>

namespace {
std::string calls;

int record(const char *what) {
  static auto device_of_context =
      reinterpret_cast<int (*)(int *)>(dlsym(dlopen(std::getenv("MOEC_LIBCUDA"), RTLD_NOW), "cuCtxGetDevice"));
  int device = -1;
  bool current = device_of_context(&device) == 0;
  calls += std::string(what) + (current ? " on cuda:" + std::to_string(device) : " without a context") + "\n";
  return 0;
}
} // namespace

extern "C" {
const char *fake_cublas_calls() { return calls.c_str(); }

int cublasCreate_v2(void **handle) { return *handle = &calls, record("create"); }
int cublasDestroy_v2(void *) { return record("destroy"); }
int cublasSetStream_v2(void *, void *) { return record("set stream"); }
int cublasGemmEx(void *, int, int, int, int, int, const void *, const void *, int, int, const void *, int, int,
                 const void *, void *, int, int, int, int) {
  return record("multiply");
}
}
