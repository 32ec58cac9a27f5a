#include "runtime/parallel.h"

#include <algorithm>
#include <thread>
#include <vector>

namespace moec {

void for_chunks(int64_t n, const std::function<void(int64_t, int64_t)> &f) {
  const int64_t workers = n < 1 << 20 ? 1 : std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::thread> threads;
  for (int64_t w = 1; w < workers; ++w) threads.emplace_back(f, n * w / workers, n * (w + 1) / workers);
  f(0, n / workers);
  for (std::thread &thread : threads) thread.join();
}

} // namespace moec
