// What the simulated GPU and the interpreter share: host memory, and work that is done when the call returns. Internal.
#pragma once

#include <cstring>
#include <new>

#include "runtime/backend.h"

namespace moec {

class HostBackend : public Backend {
public:
  void *allocate(size_t bytes) override { return ::operator new(bytes, std::align_val_t(256)); }
  void free(void *memory) noexcept override { ::operator delete(memory, std::align_val_t(256)); }
  void *allocate_on(size_t bytes, void *) override { return allocate(bytes); }
  void free_on(void *memory, void *) noexcept override { free(memory); }
  void *create_stream() override { return nullptr; }
  void destroy_stream(void *) noexcept override {}
  void synchronize(void *) override {}
  bool done(void *) override { return true; }
  void *create_event() override { return nullptr; }
  void destroy_event(void *) noexcept override {}
  void record(void *, void *) override {}
  void wait(void *, void *) override {}
  void synchronize_event(void *) override {}
  bool event_done(void *) override { return true; }
  double elapsed_ms(void *, void *) override { return 0; } // Event times these devices itself
  void copy(void *to, bool, const void *from, bool, size_t bytes, void *) override { std::memmove(to, from, bytes); }
  void fill(void *to, uint8_t value, size_t bytes, void *) override { std::memset(to, value, bytes); }
  // Graph records this work as steps.
  void begin_capture(void *) override {}
  void *end_capture(void *) override { return nullptr; }
  void abandon_capture(void *) noexcept override {}
  void launch_graph(void *, void *) override {}
  void destroy_graph(void *) noexcept override {}
};

} // namespace moec
