#include "runtime/sim/fiber.h"

#include <new>
#include <sys/mman.h>
#include <unistd.h>

#ifdef MOEC_ASAN_FIBERS
#include <pthread.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace moec::sim {
using boost::context::detail::fcontext_t;
using boost::context::detail::transfer_t;

void Fiber::allocate(size_t bytes, size_t stagger) {
  size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  // Tops of stacks that are equal modulo 4 KiB would share cache sets; `stagger` spreads them.
  bytes = (bytes + stagger + page - 1) / page * page;
  mapping_bytes = bytes + page;
  void *memory = mmap(nullptr, mapping_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, page, PROT_NONE);
  mapping = static_cast<char *>(memory);
  stack = mapping + page;
  stack_bytes = bytes - stagger / 64 * 64;
}

void Fiber::release() {
  if (mapping) munmap(mapping, mapping_bytes);
  mapping = stack = nullptr;
}

#ifdef MOEC_ASAN_FIBERS
static void fill_stack_bounds(Fiber *fiber) { // of a host thread's own stack
  if (fiber->stack) return;
  pthread_attr_t attributes;
  pthread_getattr_np(pthread_self(), &attributes);
  void *low = nullptr;
  pthread_attr_getstack(&attributes, &low, &fiber->stack_bytes);
  pthread_attr_destroy(&attributes);
  fiber->stack = static_cast<char *>(low);
}
#endif

void Fiber::start_with(void (*function)(transfer_t)) {
  context = boost::context::detail::make_fcontext(stack + stack_bytes, stack_bytes, function);
}

void switch_fiber(Fiber *from, Fiber *to) {
#ifdef MOEC_ASAN_FIBERS
  fill_stack_bounds(from);
  __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->stack_bytes);
#endif
  transfer_t transfer = boost::context::detail::jump_fcontext(to->context, from);
#ifdef MOEC_ASAN_FIBERS
  __sanitizer_finish_switch_fiber(from->fake_stack, nullptr, nullptr);
#endif
  static_cast<Fiber *>(transfer.data)->context = transfer.fctx;
}

Fiber *fiber_started(transfer_t transfer) {
#ifdef MOEC_ASAN_FIBERS
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
  auto *from = static_cast<Fiber *>(transfer.data);
  from->context = transfer.fctx;
  return from;
}

} // namespace moec::sim
