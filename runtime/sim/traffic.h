// Counts a launch's accesses to global memory in 32-byte sectors: those that each warp-level access asks for, and those
// that each CTA moves, if what it has once touched stays in its L1 cache.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace moec::sim {

constexpr uint32_t kSectorBytes = 32;

enum class TrafficKind : uint8_t { Load, Store, Atomic };
constexpr size_t kTrafficKinds = 3;

/// Of one kind of access.
struct AccessCounts {
  uint64_t requests = 0; ///< warp-level accesses
  uint64_t bytes = 0;    ///< that their lanes asked for
  uint64_t sectors = 0;  ///< distinct 32-byte sectors of each warp-level access, summed
  uint64_t moved = 0;    ///< distinct ones of each CTA, summed; all of them for atomics, which no L1 keeps
};

/// How often each sector of global memory was moved (AccessCounts::moved).
class SectorMap {
public:
  using Moves = std::array<uint64_t, kTrafficKinds>;
  struct Sum {
    Moves moved{};         ///< by TrafficKind
    uint64_t distinct = 0; ///< sectors that were moved at all
  };

  std::mutex mutex; ///< for those who share the map to hold

  void add(uint64_t sector, TrafficKind kind);
  /// Of the sectors that [begin, end) touches; end 0: of all.
  Sum sum(uint64_t begin = 0, uint64_t end = 0) const;
  void clear();

private:
  static constexpr uint64_t kPageSectors = 128;
  struct Page {
    std::array<uint32_t, kPageSectors> moved[kTrafficKinds]{};
  };
  std::unordered_map<uint64_t, std::unique_ptr<Page>> pages_;
  uint64_t last_number_ = ~uint64_t{0};
  Page *last_ = nullptr;
};

/// What a launch adds to.
struct TrafficCounts {
  std::array<AccessCounts, kTrafficKinds> kinds;
  SectorMap *sectors = nullptr;
};

/// Puts lanes' accesses together: the n-th execution of one access by the lanes of a warp is one warp-level access.
class TrafficRecorder {
public:
  explicit TrafficRecorder(TrafficCounts &counts) : counts_(counts) {}
  void begin_cta(uint32_t threads);
  /// `site` tells the kernel's accesses apart.
  void access(const void *site, uint32_t thread, uint64_t address, uint32_t bytes, TrafficKind kind);
  /// Adds the CTA's accesses to the counts.
  void end_cta();

private:
  struct Site {
    TrafficKind kind;
    std::vector<uint32_t> executed; ///< by thread
  };
  struct Record {
    uint64_t request, sector;
    auto operator<=>(const Record &) const = default;
  };

  TrafficCounts &counts_;
  uint32_t threads_ = 0;
  std::unordered_map<const void *, uint32_t> site_numbers_;
  std::vector<Site> sites_;
  void moved(TrafficKind kind, uint64_t sector);
  std::vector<Record> records_;                  ///< of the CTA
  std::vector<uint64_t> touched_[kTrafficKinds]; ///< sectors of the CTA
};

} // namespace moec::sim
