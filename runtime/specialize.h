// One specialization of a kernel: recorded, compiled or taken from the cache, loaded. Internal.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "runtime/backend.h"
#include "runtime/jit.h"

namespace moec::detail {

struct Specialization {
  SpecializationKey key;
  uint64_t hash = 0;
  Specialization *next = nullptr; ///< in its bucket; fixed once published
  Device device;
  Recording recording;
  std::unique_ptr<Executable> executable;
  uint32_t threads = 0, shared_bytes = 0;
  int resident_ctas = 1; ///< of a persistent kernel
};

struct SpecializeRequest {
  Device device;
  const KernelType *type;
  void (*kernel)();
  const void *spec;
  std::string_view name;
  const Schedule *schedule;
  std::vector<ArgFacts> facts;
};

/// Records, compiles or loads from the cache, loads on the device, and tells on_compile's listener. Throws as a launch
/// does.
std::unique_ptr<Specialization> specialize(const SpecializeRequest &request);
/// Records again and throws UserError if the text is another: the kernel reads something that its spec does not name
/// (MOEC_CHECK=record).
void check_recording(const Specialization &s, const SpecializeRequest &request);

} // namespace moec::detail
