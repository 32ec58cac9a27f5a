#include "examples/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

namespace {

/// A thread that reports the running step: in place on a terminal, every 5 s otherwise.
struct Clock {
  std::mutex mutex;
  std::condition_variable changed;
  std::thread thread;
  std::string name;
  std::chrono::steady_clock::time_point start;
  bool running = false, drawn = false;
  const bool terminal = isatty(1) != 0;

  void erase() {
    if (drawn) std::fputs("\r\033[K", stdout);
    drawn = false;
  }
  void loop() {
    std::unique_lock lock(mutex);
    while (running) {
      changed.wait_for(lock, terminal ? std::chrono::milliseconds(500) : std::chrono::milliseconds(5000));
      if (!running) break;
      double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      if (terminal) {
        std::fputs(fmt::format("\r\033[K  {} … {:.1f} s", name, seconds).c_str(), stdout);
        drawn = true;
      } else {
        std::fputs(fmt::format("  {} … {:.0f} s\n", name, seconds).c_str(), stdout);
      }
      std::fflush(stdout);
    }
  }
  void stop() {
    {
      std::lock_guard lock(mutex);
      running = false;
      erase();
    }
    changed.notify_all();
    if (thread.joinable()) thread.join();
  }
};

Clock &timer() {
  static Clock &c = *new Clock;
  return c;
}

} // namespace

void Progress::line(const std::string &text) {
  std::lock_guard lock(timer().mutex);
  timer().erase();
  std::fputs((text + "\n").c_str(), stdout);
  std::fflush(stdout);
}
void Progress::stop() { timer().stop(); }
void Progress::begin(const std::string &name) {
  Clock &c = timer();
  c.stop();
  c.name = name;
  c.start = std::chrono::steady_clock::now();
  c.running = true;
  c.thread = std::thread([&c] { c.loop(); });
}
void Progress::end(const std::string &name, double seconds) {
  timer().stop();
  line(fmt::format("  {:28} {:8.1f} ms", name, seconds * 1e3));
}
