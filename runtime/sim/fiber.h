// Stacks that can be switched to and from (Boost.Context's assembly, annotated for AddressSanitizer).
#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define MOEC_ASAN_FIBERS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MOEC_ASAN_FIBERS 1
#endif
#endif

namespace moec::sim {

/// One stack. The fiber of a host thread's own stack has none.
struct Fiber {
  boost::context::detail::fcontext_t context = nullptr;
  Fiber *next_free = nullptr;
  void *owner = nullptr;
  char *stack = nullptr; ///< lowest usable byte
  size_t stack_bytes = 0;
  char *mapping = nullptr; ///< with the guard page
  size_t mapping_bytes = 0;
  void *fake_stack = nullptr; ///< AddressSanitizer's

  /// Maps a stack of at least `bytes` with a guard page below. Throws std::bad_alloc.
  void allocate(size_t bytes, size_t stagger);
  void release();
  /// The next switch to this fiber starts `function` on an empty stack.
  void start_with(void (*function)(boost::context::detail::transfer_t));
};

/// Leaves `from` (the running fiber) for `to`; returns when something switches back to `from`.
void switch_fiber(Fiber *from, Fiber *to);
/// What a fiber's function calls first, with what it was given; returns the fiber that it came from.
Fiber *fiber_started(boost::context::detail::transfer_t transfer);

} // namespace moec::sim
