// Lines on standard output, and a clock that shows that a long step still runs.
#pragma once

#include <chrono>
#include <string>
#include <utility>

class Progress {
public:
  /// Prints a line.
  static void line(const std::string &text);
  /// Runs f and prints how long it took; every few seconds that it still runs.
  template <class F> static auto step(const std::string &name, F f) {
    begin(name);
    auto start = std::chrono::steady_clock::now();
    auto result = f();
    end(name, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    return result;
  }
  /// Stops the clock after an exception.
  static void stop();

private:
  static void begin(const std::string &name);
  static void end(const std::string &name, double seconds);
};
