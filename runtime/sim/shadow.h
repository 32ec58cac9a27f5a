// Who wrote and read each byte of a CTA's shared memory last (FastTrack's epochs), in 16-byte cells that are split only
// where accesses are smaller.
#pragma once

#include "runtime/sim/clocks.h"

#include <array>

namespace moec::sim {

/// An access: by which agent, at which of its times, at which source location.
struct Epoch {
  uint32_t agent = 0, time = 0, loc = 0; ///< time 0: none
};

struct Conflict {
  enum Kind { None, Uninitialized, WriteWrite, WriteRead, ReadWrite } kind = None; ///< earlier, then this access
  Epoch other;
  uint32_t offset = 0;
};

class SharedShadow {
public:
  explicit SharedShadow(Clocks &clocks) : clocks_(clocks) {}
  void reset(uint32_t bytes);

  /// Notes an access of `size` bytes at `offset` by `thread`; `agent` and `time` are the thread's own, or those of its
  /// copy. Returns what it conflicts with first.
  Conflict write(uint32_t offset, uint32_t size, uint32_t thread, Epoch epoch, bool atomic);
  Conflict read(uint32_t offset, uint32_t size, uint32_t thread, Epoch epoch, bool atomic);

private:
  static constexpr uint32_t kAtomic = 1u << 31;  ///< in Epoch::agent of a write
  static constexpr uint32_t kReadSet = 1u << 30; ///< in Epoch::agent of a read: `time` is the set's index

  struct Record {
    Epoch written, read;
  };
  struct Cell {
    uint32_t generation = 0;
    uint32_t granule = 16; ///< bytes per record; records stand at multiples of it
    std::array<Record, 16> records;
  };
  /// Lanes of one warp that read at the same time.
  struct Reader {
    uint32_t warp, lanes, time, loc;
  };

  Cell &cell_at(uint32_t index, uint32_t piece);
  template <class Visit> Conflict visit(uint32_t offset, uint32_t size, Visit visit);
  void note_read(Record &record, uint32_t thread, const Epoch &epoch);
  void add_reader(std::vector<Reader> &set, uint32_t thread, const Epoch &epoch);
  /// A reader that did not happen before `thread`'s present; time 0 if there is none.
  Epoch unordered_reader(const Record &record, uint32_t thread);

  Clocks &clocks_;
  uint32_t generation_ = 0;
  std::vector<Cell> cells_;
  std::vector<std::vector<Reader>> read_sets_;
  size_t used_sets_ = 0;
};

} // namespace moec::sim
