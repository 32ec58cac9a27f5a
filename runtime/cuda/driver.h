// The CUDA driver's functions, opened by name at first use. Declared here rather than taken from cuda.h, so that moec
// builds and assembles kernels by the driver where no toolkit is installed; test/unit/runtime/driver_test.cpp holds
// them against cuda.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace moec::cuda {

using Result = int; // CUresult
using DevicePointer = unsigned long long;
using Context = void *;
using Module = void *;
using Function = void *;
using StreamHandle = void *;
using EventHandle = void *;
using LinkState = void *;
using GraphHandle = void *;
using GraphExecHandle = void *;

/// CUresult values that are told apart.
inline constexpr Result kSuccess = 0, kErrorOutOfMemory = 2, kErrorNotReady = 600;
/// CUdevice_attribute values.
enum Attribute : int {
  kAttributeMultiprocessors = 16,
  kAttributeComputeMajor = 75,
  kAttributeComputeMinor = 76,
  kAttributeMaxSharedOptin = 97,
  kAttributeMemoryPools = 115,
};
/// CUfunction_attribute values.
enum FunctionAttribute : int {
  kFunctionSharedStatic = 1,
  kFunctionLocalBytes = 3,
  kFunctionRegisters = 4,
  kFunctionMaxDynamicShared = 8
};
/// CUjitInputType and CUjit_option values.
inline constexpr int kJitInputPtx = 1;
enum JitOption : int { kJitErrorLog = 5, kJitErrorLogBytes = 6 };
/// CUstreamCaptureMode and CUmemPool_attribute values.
inline constexpr int kCaptureRelaxed = 2, kPoolReleaseThreshold = 4;
inline constexpr unsigned kEventDefault = 0, kStreamNonBlocking = 1;

/// CUlaunchConfig.
struct LaunchConfig {
  unsigned grid[3], block[3];
  unsigned shared_bytes;
  StreamHandle stream;
  void *attributes;
  unsigned num_attributes;
};

/// The driver's functions. A null pointer: this driver does not have it (only for those marked optional in driver.cpp).
struct Functions {
  Result (*init)(unsigned);
  Result (*driver_version)(int *);
  Result (*error_name)(Result, const char **);
  Result (*error_string)(Result, const char **);
  Result (*device_count)(int *);
  Result (*device_get)(int *, int);
  Result (*device_name)(char *, int, int);
  Result (*device_attribute)(int *, int, int);
  Result (*primary_retain)(Context *, int);
  Result (*primary_release)(int);
  Result (*context_current)(Context *);
  Result (*context_device)(int *);
  Result (*context_push)(Context);
  Result (*context_pop)(Context *);
  Result (*module_load)(Module *, const void *, unsigned, int *, void **);
  Result (*module_unload)(Module);
  Result (*module_function)(Function *, Module, const char *);
  Result (*function_set_attribute)(Function, int, int);
  Result (*function_attribute)(int *, int, Function);
  Result (*occupancy)(int *, Function, int, size_t);
  Result (*launch)(Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, StreamHandle,
                   void **, void **);
  Result (*launch_ex)(const LaunchConfig *, Function, void **, void **); // optional
  Result (*allocate)(DevicePointer *, size_t);
  Result (*free)(DevicePointer);
  Result (*allocate_async)(DevicePointer *, size_t, StreamHandle); // optional
  Result (*free_async)(DevicePointer, StreamHandle);               // optional
  Result (*default_pool)(void **, int);                            // optional
  Result (*pool_set_attribute)(void *, int, void *);               // optional
  Result (*pool_trim)(void *, size_t);                             // optional
  Result (*copy_to_device)(DevicePointer, const void *, size_t, StreamHandle);
  Result (*copy_to_host)(void *, DevicePointer, size_t, StreamHandle);
  Result (*copy_on_device)(DevicePointer, DevicePointer, size_t, StreamHandle);
  Result (*fill)(DevicePointer, unsigned char, size_t, StreamHandle);
  Result (*stream_create)(StreamHandle *, unsigned);
  Result (*stream_destroy)(StreamHandle);
  Result (*stream_synchronize)(StreamHandle);
  Result (*stream_query)(StreamHandle);
  Result (*stream_wait_event)(StreamHandle, EventHandle, unsigned);
  Result (*capture_begin)(StreamHandle, int);
  Result (*capture_end)(StreamHandle, GraphHandle *);
  Result (*graph_instantiate)(GraphExecHandle *, GraphHandle, unsigned long long);
  Result (*graph_launch)(GraphExecHandle, StreamHandle);
  Result (*graph_destroy)(GraphHandle);
  Result (*graph_exec_destroy)(GraphExecHandle);
  Result (*event_create)(EventHandle *, unsigned);
  Result (*event_destroy)(EventHandle);
  Result (*event_record)(EventHandle, StreamHandle);
  Result (*event_synchronize)(EventHandle);
  Result (*event_query)(EventHandle);
  Result (*event_elapsed)(float *, EventHandle, EventHandle);
  Result (*link_create)(unsigned, int *, void **, LinkState *);
  Result (*link_add)(LinkState, int, void *, size_t, const char *, unsigned, int *, void **);
  Result (*link_complete)(LinkState, void **, size_t *);
  Result (*link_destroy)(LinkState);
};

/// An opened and initialised driver. Lives as long as the process.
struct Driver : Functions {
  std::string path; ///< what was opened
  int version = 0;  ///< 13000: CUDA 13.0

  /// Throws DeviceError "<asked>: CUDA_ERROR_... (<number>): <the driver's words>" unless `result` is kSuccess.
  void check(Result result, const std::string &asked) const {
    if (result != kSuccess) fail(result, asked);
  }
  [[noreturn]] void fail(Result result, const std::string &asked) const;
};

/// Opens `path` and initialises it. Throws DeviceError if it cannot be opened, lacks a function or cuInit fails.
Driver open_driver(const std::string &path);
/// The process's driver: MOEC_LIBCUDA, or libcuda.so.1. Opened at the first call; a failure is remembered and thrown
/// again.
const Driver &driver();

/// Assembles PTX to a cubin for the current context's device with the driver's linker, for machines without nvJitLink.
/// Throws DeviceError with the assembler's log, and where no context is current.
std::string assemble(const Driver &driver, std::string_view ptx);

} // namespace moec::cuda
