// Which CTA wrote and read each byte of global memory in a launch: plain accesses of different CTAs to one byte, at
// least one of them a write, are a race, since nothing orders CTAs (the checker forgives writes that leave the bytes as
// they are). Atomics take no part, and a CTA that has used one is trusted from then on: it may have synchronized. Races
// between threads of one CTA in global memory are not looked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace moec::sim {

class GlobalShadow {
public:
  /// An access that conflicts: which CTA (linear; kManyCtas if several read it), at which location, at which byte.
  struct Conflict {
    bool found = false, other_wrote = false;
    uint64_t cta = 0, address = 0;
    uint32_t loc = 0;
  };
  static constexpr uint64_t kManyCtas = ~uint64_t{0};

  GlobalShadow() = default;
  GlobalShadow(const GlobalShadow &) = delete;
  ~GlobalShadow();
  /// Adds memory to watch. Large ranges are watched for writes only, very large ones not at all.
  void add(uint64_t begin, uint64_t end);

  /// Notes accesses of `size` bytes inside range number `range`. Any thread.
  Conflict write(size_t range, uint64_t address, uint32_t size, uint64_t cta, uint32_t loc);
  Conflict read(size_t range, uint64_t address, uint32_t size, uint64_t cta, uint32_t loc);

private:
  /// One word per byte: (CTA + 1) << 24 | location; 0: nobody. All CTA bits set: many.
  struct Range {
    uint64_t begin = 0, size = 0;
    uint64_t *writers = nullptr, *readers = nullptr; ///< null: not watched
  };
  std::vector<Range> ranges_;
};

} // namespace moec::sim
