#include "runtime/cuda/driver.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <memory>
#include <mutex>

#include "runtime/environment.h"
#include "runtime/error.h"
#include "runtime/once.h"

namespace moec::cuda {

namespace {

struct Symbol {
  const char *name;
  void *slot; // of a function pointer in Functions
  bool optional = false;
};

/// dlsym for every function. Names with _v2 are what cuda.h's macros make of the plain ones.
void bind(Driver &d, void *library) {
  const Symbol symbols[] = {{"cuInit", &d.init},
                            {"cuDriverGetVersion", &d.driver_version},
                            {"cuGetErrorName", &d.error_name},
                            {"cuGetErrorString", &d.error_string},
                            {"cuDeviceGetCount", &d.device_count},
                            {"cuDeviceGet", &d.device_get},
                            {"cuDeviceGetName", &d.device_name},
                            {"cuDeviceGetAttribute", &d.device_attribute},
                            {"cuDevicePrimaryCtxRetain", &d.primary_retain},
                            {"cuDevicePrimaryCtxRelease_v2", &d.primary_release},
                            {"cuCtxGetCurrent", &d.context_current},
                            {"cuCtxGetDevice", &d.context_device},
                            {"cuCtxPushCurrent_v2", &d.context_push},
                            {"cuCtxPopCurrent_v2", &d.context_pop},
                            {"cuModuleLoadDataEx", &d.module_load},
                            {"cuModuleUnload", &d.module_unload},
                            {"cuModuleGetFunction", &d.module_function},
                            {"cuFuncSetAttribute", &d.function_set_attribute},
                            {"cuFuncGetAttribute", &d.function_attribute},
                            {"cuOccupancyMaxActiveBlocksPerMultiprocessor", &d.occupancy},
                            {"cuLaunchKernel", &d.launch},
                            {"cuLaunchKernelEx", &d.launch_ex, true},
                            {"cuMemAlloc_v2", &d.allocate},
                            {"cuMemFree_v2", &d.free},
                            {"cuMemAllocAsync", &d.allocate_async, true},
                            {"cuMemFreeAsync", &d.free_async, true},
                            {"cuDeviceGetDefaultMemPool", &d.default_pool, true},
                            {"cuMemPoolSetAttribute", &d.pool_set_attribute, true},
                            {"cuMemPoolTrimTo", &d.pool_trim, true},
                            {"cuMemcpyHtoDAsync_v2", &d.copy_to_device},
                            {"cuMemcpyDtoHAsync_v2", &d.copy_to_host},
                            {"cuMemcpyDtoDAsync_v2", &d.copy_on_device},
                            {"cuMemsetD8Async", &d.fill},
                            {"cuStreamCreate", &d.stream_create},
                            {"cuStreamDestroy_v2", &d.stream_destroy},
                            {"cuStreamSynchronize", &d.stream_synchronize},
                            {"cuStreamQuery", &d.stream_query},
                            {"cuStreamBeginCapture_v2", &d.capture_begin},
                            {"cuStreamEndCapture", &d.capture_end},
                            {"cuGraphInstantiateWithFlags", &d.graph_instantiate},
                            {"cuGraphLaunch", &d.graph_launch},
                            {"cuGraphDestroy", &d.graph_destroy},
                            {"cuGraphExecDestroy", &d.graph_exec_destroy},
                            {"cuStreamWaitEvent", &d.stream_wait_event},
                            {"cuEventCreate", &d.event_create},
                            {"cuEventDestroy_v2", &d.event_destroy},
                            {"cuEventRecord", &d.event_record},
                            {"cuEventSynchronize", &d.event_synchronize},
                            {"cuEventQuery", &d.event_query},
                            {"cuEventElapsedTime", &d.event_elapsed},
                            {"cuLinkCreate_v2", &d.link_create},
                            {"cuLinkAddData_v2", &d.link_add},
                            {"cuLinkComplete", &d.link_complete},
                            {"cuLinkDestroy", &d.link_destroy}};
  static_assert(sizeof(symbols) / sizeof(*symbols) * sizeof(void *) == sizeof(Functions));
  for (const Symbol &s : symbols) {
    void *address = dlsym(library, s.name);
    if (!address && !s.optional)
      throw DeviceError(fmt::format("open the CUDA driver {}", d.path), fmt::format("it has no function {}", s.name),
                        "install a driver of CUDA 11.4 or later");
    *static_cast<void **>(s.slot) = address;
  }
}

const char *advice(std::string_view name) {
  if (name == "CUDA_ERROR_OUT_OF_MEMORY") return "use smaller tensors or free some";
  if (name == "CUDA_ERROR_NO_DEVICE")
    return "use MOEC_DEVICE=sim, or check that a GPU is visible (CUDA_VISIBLE_DEVICES)";
  for (std::string_view image : {"CUDA_ERROR_INVALID_IMAGE", "CUDA_ERROR_NO_BINARY_FOR_GPU", "CUDA_ERROR_INVALID_PTX",
                                 "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"})
    if (name == image)
      return "the driver may be older than the kernel's target or than nvJitLink; update it, compile for an older "
             "target, or let the driver "
             "assemble (MOEC_CUDA_ROOT=none)";
  // What a kernel did, a failed assertion's trap among it: every later call of the context gives it again.
  for (std::string_view lost :
       {"CUDA_ERROR_ILLEGAL_ADDRESS", "CUDA_ERROR_MISALIGNED_ADDRESS", "CUDA_ERROR_LAUNCH_FAILED",
        "CUDA_ERROR_ILLEGAL_INSTRUCTION", "CUDA_ERROR_HARDWARE_STACK_ERROR", "CUDA_ERROR_INVALID_ADDRESS_SPACE",
        "CUDA_ERROR_INVALID_PC", "CUDA_ERROR_ASSERT", "CUDA_ERROR_LAUNCH_TIMEOUT"})
    if (name == lost)
      return "run the same launch with MOEC_DEVICE=sim MOEC_SIM_CHECKED=1, which names the line; this process's CUDA "
             "context is lost";
  return "";
}

} // namespace

void Driver::fail(Result result, const std::string &asked) const {
  const char *symbol = nullptr, *words = nullptr;
  if (error_name(result, &symbol) != kSuccess || !symbol) symbol = "an unknown CUDA error";
  if (error_string(result, &words) != kSuccess || !words) words = "no description";
  throw DeviceError(asked, fmt::format("{} ({}): {}", symbol, result, words), advice(symbol));
}

Driver open_driver(const std::string &path) {
  Driver d{};
  d.path = path;
  std::string asked = fmt::format("open the CUDA driver {}", path);
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *why = dlerror();
    throw DeviceError(asked, why ? why : "dlopen failed", "install an NVIDIA driver, or use MOEC_DEVICE=sim");
  }
  bind(d, library); // never closed: drivers do not survive it
  d.check(d.init(0), asked);
  d.check(d.driver_version(&d.version), asked);
  return d;
}

const Driver &driver() {
  static Once once;
  static std::unique_ptr<Driver> opened;
  static std::unique_ptr<DeviceError> failure;
  once.run([] {
    try {
      const std::string &path = environment().libcuda;
      opened = std::make_unique<Driver>(open_driver(path.empty() ? "libcuda.so.1" : path));
    } catch (const DeviceError &e) { failure = std::make_unique<DeviceError>(e); }
  });
  if (failure) throw *failure;
  return *opened;
}

std::string assemble(const Driver &d, std::string_view ptx) {
  std::string text(ptx); // the linker wants a terminating NUL
  std::string log(16384, '\0');
  int options[] = {kJitErrorLog, kJitErrorLogBytes};
  void *values[] = {log.data(), reinterpret_cast<void *>(log.size())};
  LinkState state = nullptr;
  const std::string asked = "assemble PTX with the CUDA driver";
  d.check(d.link_create(2, options, values, &state), asked);
  std::unique_ptr<void, Result (*)(LinkState)> guard(state, d.link_destroy);
  void *cubin = nullptr;
  size_t bytes = 0;
  Result result = d.link_add(state, kJitInputPtx, text.data(), text.size() + 1, "moec.ptx", 0, nullptr, nullptr);
  if (result == kSuccess) result = d.link_complete(state, &cubin, &bytes);
  if (result != kSuccess) {
    log.resize(log.find('\0') == std::string::npos ? log.size() : log.find('\0'));
    d.fail(result, log.empty() ? asked : fmt::format("{} ({})", asked, log));
  }
  return std::string(static_cast<const char *>(cubin), bytes);
}

} // namespace moec::cuda
