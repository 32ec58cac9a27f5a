#include "runtime/sim/global_shadow.h"

#include <atomic>
#include <sys/mman.h>

namespace moec::sim {
namespace {

constexpr uint64_t kLocBits = 24, kLocMask = (1u << kLocBits) - 1, kMany = ~kLocMask;
constexpr uint64_t kWatchWrites = 256u << 20, kWatchReads = 16u << 20;

/// Zeroed words that cost memory only where they are touched; null if the system has none.
uint64_t *map_words(uint64_t count) {
  void *memory = mmap(nullptr, count * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<uint64_t *>(memory);
}

uint64_t load(uint64_t &word) { return std::atomic_ref(word).load(std::memory_order_relaxed); }
void store(uint64_t &word, uint64_t value) { std::atomic_ref(word).store(value, std::memory_order_relaxed); }

bool by_other(uint64_t word, uint64_t mine) { return word && (word & ~kLocMask) != (mine & ~kLocMask); }

GlobalShadow::Conflict conflict(uint64_t word, uint64_t address, bool wrote) {
  uint64_t cta = word >> kLocBits;
  return {true, wrote, (word & kMany) == kMany ? GlobalShadow::kManyCtas : cta - 1, address,
          static_cast<uint32_t>(word & kLocMask)};
}

} // namespace

GlobalShadow::~GlobalShadow() {
  for (Range &range : ranges_) {
    if (range.writers) munmap(range.writers, range.size * 8);
    if (range.readers) munmap(range.readers, range.size * 8);
  }
}

void GlobalShadow::add(uint64_t begin, uint64_t end) {
  Range range{begin, end - begin};
  if (range.size && range.size <= kWatchWrites) range.writers = map_words(range.size);
  if (range.size && range.size <= kWatchReads) range.readers = map_words(range.size);
  ranges_.push_back(range);
}

GlobalShadow::Conflict GlobalShadow::write(size_t index, uint64_t address, uint32_t size, uint64_t cta, uint32_t loc) {
  Range &range = ranges_[index];
  Conflict first;
  if (!range.writers) return first;
  uint64_t mine = (cta + 1) << kLocBits | (loc & kLocMask), at = address - range.begin;
  for (uint32_t i = 0; i < size; ++i) {
    uint64_t before = load(range.writers[at + i]);
    if (before != mine) store(range.writers[at + i], mine);
    if (first.found) continue;
    if (by_other(before, mine))
      first = conflict(before, address + i, true);
    else if (range.readers)
      if (uint64_t reader = load(range.readers[at + i]); by_other(reader, mine))
        first = conflict(reader, address + i, false);
  }
  return first;
}

GlobalShadow::Conflict GlobalShadow::read(size_t index, uint64_t address, uint32_t size, uint64_t cta, uint32_t loc) {
  Range &range = ranges_[index];
  Conflict first;
  if (!range.writers) return first;
  uint64_t mine = (cta + 1) << kLocBits | (loc & kLocMask), at = address - range.begin;
  for (uint32_t i = 0; i < size; ++i) {
    if (range.readers) {
      uint64_t reader = load(range.readers[at + i]);
      if (!reader)
        store(range.readers[at + i], mine);
      else if (by_other(reader, mine) && (reader & kMany) != kMany)
        store(range.readers[at + i], kMany | (reader & kLocMask));
    }
    if (uint64_t before = load(range.writers[at + i]); !first.found && by_other(before, mine))
      first = conflict(before, address + i, true);
  }
  return first;
}

} // namespace moec::sim
