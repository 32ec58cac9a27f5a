// A stand-in for libcuda: records calls, keeps "device" memory on the host, and fails at a call that the test chooses.
// A module's image reads "fake <kernel> <size of parameter>..." or anything else (then parameters are not recorded).
#include "fake_libcuda.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "runtime/cuda/driver.h"

namespace {

struct FakeFunction {
  std::string name;
  std::vector<int> param_bytes;
};
struct FakeModule {
  std::string image;
  std::map<std::string, FakeFunction> functions;
};

std::recursive_mutex mutex;
std::vector<std::string> calls;
std::string text;
int devices = 1, pools = 1, fail_at = -1, fail_with = 0, count = 0;
bool fail_sticky = false;
FakeLaunch last{};
std::set<void *> live; // allocations, streams, events, modules, link states
thread_local std::vector<void *> contexts;
int primary_contexts[8]; // one per device; its address is the handle

/// Records a call; the error to give, or 0.
int call(const std::string &what) {
  std::lock_guard lock(mutex);
  calls.push_back(what);
  int n = count++;
  return n == fail_at || (fail_sticky && fail_at >= 0 && n > fail_at) ? fail_with : 0;
}
#define CALL(...)                                                                                                      \
  do {                                                                                                                 \
    std::ostringstream s;                                                                                              \
    s << __VA_ARGS__;                                                                                                  \
    if (int error = call(s.str())) return error;                                                                       \
  } while (0)

void *make(size_t bytes) {
  std::lock_guard lock(mutex);
  void *p = std::aligned_alloc(256, (bytes + 511) / 256 * 256);
  live.insert(p);
  return p;
}
int drop(void *p) {
  std::lock_guard lock(mutex);
  if (!live.erase(p)) return 400; // CUDA_ERROR_INVALID_HANDLE
  std::free(p);
  return 0;
}
int no_context() { return contexts.empty() ? 201 : 0; } // CUDA_ERROR_INVALID_CONTEXT

#define NEEDS_CONTEXT                                                                                                  \
  if (int error = no_context()) return error

int launch(FakeFunction *f, const unsigned *grid, const unsigned *block, unsigned shared, void *stream, void **params) {
  last = {};
  for (int i = 0; i < 3; ++i) last.grid[i] = grid[i], last.block[i] = block[i];
  last.shared_bytes = shared;
  last.stream = stream;
  std::strncpy(last.kernel, f->name.c_str(), sizeof last.kernel - 1);
  for (size_t i = 0; i < f->param_bytes.size() && i < 32; ++i) {
    std::memcpy(&last.params[i], params[i], static_cast<size_t>(f->param_bytes[i]));
    ++last.num_params;
  }
  return 0;
}

} // namespace

extern "C" {

void fake_reset() {
  std::lock_guard lock(mutex);
  calls.clear();
  count = 0;
  fail_at = -1;
  fail_sticky = false;
  devices = pools = 1;
  last = {};
}
void fake_fail(int nth_call, int error, int sticky) {
  fail_at = nth_call, fail_with = error, fail_sticky = sticky != 0, count = 0;
}
void fake_set_devices(int n) { devices = n; }
void fake_set_pools(int on) { pools = on; }
const char *fake_calls() {
  std::lock_guard lock(mutex);
  text.clear();
  for (const auto &c : calls) text += c + "\n";
  return text.c_str();
}
int fake_live() { return static_cast<int>(live.size()); }
void fake_last_launch(FakeLaunch *into) { *into = last; }

int cuInit(unsigned) {
  CALL("cuInit");
  return 0;
}
int cuDriverGetVersion(int *v) {
  CALL("cuDriverGetVersion");
  return *v = 13000, 0;
}
int cuGetErrorName(int e, const char **s) {
  switch (e) {
  case 2: *s = "CUDA_ERROR_OUT_OF_MEMORY"; return 0;
  case 100: *s = "CUDA_ERROR_NO_DEVICE"; return 0;
  case 201: *s = "CUDA_ERROR_INVALID_CONTEXT"; return 0;
  case 209: *s = "CUDA_ERROR_NO_BINARY_FOR_GPU"; return 0;
  case 400: *s = "CUDA_ERROR_INVALID_HANDLE"; return 0;
  case 500: *s = "CUDA_ERROR_NOT_FOUND"; return 0;
  case 700: *s = "CUDA_ERROR_ILLEGAL_ADDRESS"; return 0;
  default: return 1;
  }
}
int cuGetErrorString(int e, const char **s) {
  if (e == 700) return *s = "an illegal memory access was encountered", 0;
  return 1;
}
int cuDeviceGetCount(int *n) {
  CALL("cuDeviceGetCount");
  return *n = devices, 0;
}
int cuDeviceGet(int *d, int i) {
  CALL("cuDeviceGet " << i);
  return *d = i, i < devices ? 0 : 101;
}
int cuDeviceGetName(char *s, int n, int) {
  CALL("cuDeviceGetName");
  return std::strncpy(s, "Fake H100", static_cast<size_t>(n)), 0;
}
int cuDeviceGetAttribute(int *v, int a, int) {
  CALL("cuDeviceGetAttribute " << a);
  *v = a == 16 ? 132 : a == 75 ? 9 : a == 97 ? 232448 : a == 115 ? pools : 0;
  return 0;
}
int cuDevicePrimaryCtxRetain(void **c, int d) {
  CALL("cuDevicePrimaryCtxRetain " << d);
  return *c = &primary_contexts[d], 0;
}
int cuDevicePrimaryCtxRelease_v2(int) {
  CALL("cuDevicePrimaryCtxRelease");
  return 0;
}
int cuCtxGetCurrent(void **c) { return *c = contexts.empty() ? nullptr : contexts.back(), 0; }
int cuCtxGetDevice(int *d) {
  if (contexts.empty()) return no_context();
  *d = 0; // where the caller made the context
  for (int i = 0; i < 8; ++i)
    if (contexts.back() == &primary_contexts[i]) *d = i;
  return 0;
}
int cuCtxPushCurrent_v2(void *c) {
  CALL("cuCtxPushCurrent");
  return contexts.push_back(c), 0;
}
int cuCtxPopCurrent_v2(void **c) {
  if (contexts.empty()) return 201;
  *c = contexts.back();
  contexts.pop_back();
  return 0;
}
int cuModuleLoadDataEx(void **m, const void *image, unsigned, int *, void **) {
  CALL("cuModuleLoadDataEx");
  if (int e = no_context()) return e;
  auto *module = new (make(sizeof(FakeModule))) FakeModule;
  std::istringstream in(std::string(static_cast<const char *>(image), strnlen(static_cast<const char *>(image), 4096)));
  std::string word, name;
  if (in >> word && word == "fake" && in >> name) {
    FakeFunction f{name, {}};
    for (int bytes; in >> bytes;) f.param_bytes.push_back(bytes);
    module->functions[name] = f;
  }
  return *m = module, 0;
}
int cuModuleUnload(void *m) {
  CALL("cuModuleUnload");
  static_cast<FakeModule *>(m)->~FakeModule();
  return drop(m);
}
int cuModuleGetFunction(void **f, void *m, const char *name) {
  CALL("cuModuleGetFunction " << name);
  auto *module = static_cast<FakeModule *>(m);
  auto it = module->functions.find(name);
  if (it == module->functions.end()) {
    if (!module->functions.empty()) return 500;
    it = module->functions.emplace(name, FakeFunction{name, {}}).first; // a real cubin: any name
  }
  return *f = &it->second, 0;
}
int cuFuncSetAttribute(void *, int a, int v) {
  CALL("cuFuncSetAttribute " << a << " " << v);
  NEEDS_CONTEXT;
  return 0;
}
int cuFuncGetAttribute(int *v, int a, void *) {
  CALL("cuFuncGetAttribute " << a);
  return *v = 0, 0;
}
int cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *stream, void **params, void **) {
  CALL("cuLaunchKernel");
  unsigned grid[3] = {gx, gy, gz}, block[3] = {bx, by, bz};
  return launch(static_cast<FakeFunction *>(f), grid, block, shared, stream, params);
}
int cuLaunchKernelEx(const moec::cuda::LaunchConfig *c, void *f, void **params, void **) {
  CALL("cuLaunchKernelEx " << c->grid[0] << "x" << c->grid[1] << "x" << c->grid[2] << " " << c->block[0] << " "
                           << c->shared_bytes);
  if (int e = no_context()) return e;
  return launch(static_cast<FakeFunction *>(f), c->grid, c->block, c->shared_bytes, c->stream, params);
}
int cuOccupancyMaxActiveBlocksPerMultiprocessor(int *n, void *, int threads, size_t shared) {
  CALL("cuOccupancyMaxActiveBlocksPerMultiprocessor " << threads << " " << shared);
  NEEDS_CONTEXT;
  return *n = 2, 0;
}
int cuMemAlloc_v2(unsigned long long *p, size_t n) {
  CALL("cuMemAlloc " << n);
  if (int e = no_context()) return e;
  return *p = reinterpret_cast<uintptr_t>(make(n)), 0;
}
int cuMemFree_v2(unsigned long long p) {
  CALL("cuMemFree");
  NEEDS_CONTEXT;
  return drop(reinterpret_cast<void *>(p));
}
int cuMemAllocAsync(unsigned long long *p, size_t n, void *) {
  CALL("cuMemAllocAsync " << n);
  NEEDS_CONTEXT;
  return *p = reinterpret_cast<unsigned long long>(make(n)), 0;
}
int cuDeviceGetDefaultMemPool(void **pool, int) {
  CALL("cuDeviceGetDefaultMemPool");
  return *pool = primary_contexts, 0;
}
int cuMemPoolSetAttribute(void *, int a, void *) {
  CALL("cuMemPoolSetAttribute " << a);
  return 0;
}
int cuMemPoolTrimTo(void *, size_t n) {
  CALL("cuMemPoolTrimTo " << n);
  return 0;
}
int cuStreamBeginCapture_v2(void *, int mode) {
  CALL("cuStreamBeginCapture " << mode);
  return no_context();
}
int cuStreamEndCapture(void *, void **graph) {
  CALL("cuStreamEndCapture");
  return *graph = make(8), 0;
}
int cuGraphInstantiateWithFlags(void **exec, void *, unsigned long long) {
  CALL("cuGraphInstantiate");
  return *exec = make(8), 0;
}
int cuGraphLaunch(void *, void *) {
  CALL("cuGraphLaunch");
  return no_context();
}
int cuGraphDestroy(void *graph) {
  CALL("cuGraphDestroy");
  return drop(graph);
}
int cuGraphExecDestroy(void *exec) {
  CALL("cuGraphExecDestroy");
  return drop(exec);
}
int cuMemFreeAsync(unsigned long long p, void *) {
  CALL("cuMemFreeAsync");
  NEEDS_CONTEXT;
  return drop(reinterpret_cast<void *>(p));
}
int cuMemcpyHtoDAsync_v2(unsigned long long to, const void *from, size_t n, void *) {
  CALL("cuMemcpyHtoDAsync " << n);
  NEEDS_CONTEXT;
  return std::memcpy(reinterpret_cast<void *>(to), from, n), 0;
}
int cuMemcpyDtoHAsync_v2(void *to, unsigned long long from, size_t n, void *) {
  CALL("cuMemcpyDtoHAsync " << n);
  NEEDS_CONTEXT;
  return std::memcpy(to, reinterpret_cast<void *>(from), n), 0;
}
int cuMemcpyDtoDAsync_v2(unsigned long long to, unsigned long long from, size_t n, void *) {
  CALL("cuMemcpyDtoDAsync " << n);
  NEEDS_CONTEXT;
  return std::memmove(reinterpret_cast<void *>(to), reinterpret_cast<void *>(from), n), 0;
}
int cuMemsetD8Async(unsigned long long to, unsigned char v, size_t n, void *) {
  CALL("cuMemsetD8Async " << n);
  NEEDS_CONTEXT;
  return std::memset(reinterpret_cast<void *>(to), v, n), 0;
}
int cuStreamCreate(void **s, unsigned flags) {
  CALL("cuStreamCreate " << flags);
  NEEDS_CONTEXT;
  return *s = make(8), 0;
}
int cuStreamDestroy_v2(void *s) {
  CALL("cuStreamDestroy");
  return drop(s);
}
int cuStreamSynchronize(void *) {
  CALL("cuStreamSynchronize");
  return no_context();
}
int cuStreamQuery(void *) {
  CALL("cuStreamQuery");
  return 600;
}
int cuStreamWaitEvent(void *, void *, unsigned) {
  CALL("cuStreamWaitEvent");
  NEEDS_CONTEXT;
  return 0;
}
int cuEventCreate(void **e, unsigned) {
  CALL("cuEventCreate");
  NEEDS_CONTEXT;
  return *e = make(8), 0;
}
int cuEventDestroy_v2(void *e) {
  CALL("cuEventDestroy");
  return drop(e);
}
int cuEventRecord(void *, void *) {
  CALL("cuEventRecord");
  NEEDS_CONTEXT;
  return 0;
}
int cuEventSynchronize(void *) {
  CALL("cuEventSynchronize");
  return 0;
}
int cuEventQuery(void *) {
  CALL("cuEventQuery");
  return 0;
}
int cuEventElapsedTime(float *ms, void *, void *) {
  CALL("cuEventElapsedTime");
  return *ms = 1.5f, 0;
}
int cuLinkCreate_v2(unsigned, int *options, void **values, void **state) {
  CALL("cuLinkCreate");
  NEEDS_CONTEXT;
  if (options[0] == 5) std::strcpy(static_cast<char *>(values[0]), "ptxas fake: line 1");
  return *state = make(64), 0;
}
int cuLinkAddData_v2(void *state, int kind, void *data, size_t n, const char *, unsigned, int *, void **) {
  CALL("cuLinkAddData " << kind << " " << n);
  std::memcpy(state, data, n < 64 ? n : 63);
  return 0;
}
int cuLinkComplete(void *state, void **cubin, size_t *n) {
  CALL("cuLinkComplete");
  return *cubin = state, *n = std::strlen(static_cast<char *>(state)), 0;
}
int cuLinkDestroy(void *state) {
  CALL("cuLinkDestroy");
  return drop(state);
}

} // extern "C"
