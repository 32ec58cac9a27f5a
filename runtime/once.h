// Doing something once, by the first thread that gets there; if that throws, the next one tries again. As
// std::call_once, but the exception does not pass through the C library, where a program with a static unwinder would
// abort. Internal.
#pragma once

#include <atomic>
#include <mutex>

namespace moec {

class Once {
public:
  template <class F> void run(F &&make) {
    if (done_.load(std::memory_order_acquire)) return;
    std::lock_guard lock(mutex_);
    if (done_.load(std::memory_order_relaxed)) return;
    make();
    done_.store(true, std::memory_order_release);
  }

private:
  std::atomic<bool> done_ = false;
  std::mutex mutex_;
};

} // namespace moec
