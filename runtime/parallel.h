// Work on the host that pays for several threads. Standard library only.
#pragma once

#include <cstdint>
#include <functional>

namespace moec {

/// Calls f(begin, end) for parts that make up 0..n-1, on several threads if n is large. f must not throw.
void for_chunks(int64_t n, const std::function<void(int64_t, int64_t)> &f);

} // namespace moec
