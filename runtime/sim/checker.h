// The checked mode: looks at every access and synchronization of a CTA's threads and reports what is wrong.
#pragma once

#include "runtime/sim/machine.h"
#include "runtime/sim/shadow.h"

namespace moec::sim {

class Checker {
public:
  explicit Checker(Worker &worker);
  void begin_cta();

  /// One access of compiled code. Returns the address to use: a harmless one if the given one must not be touched.
  char *access(Thread &thread, char *address, uint32_t bits, uint32_t loc);
  /// One 16-byte row of ldmatrix or stmatrix, on account of the lane that gives its address.
  char *matrix_row(Thread &thread, char *address, bool write, uint32_t loc);
  /// A cp.async when it is issued; false if it must not be done.
  bool cp_async(Thread &thread, const PendingCopy &copy, uint32_t loc);
  void cp_async_waited(Thread &thread, uint32_t groups_done);

  // Synchronization, for the happens-before order.
  void thread_exits(Thread &thread);
  void warp_barrier(Warp &warp, uint32_t mask);
  void barrier_arrives(Thread &thread, uint32_t id, bool waits);
  void barrier_completes(uint32_t id);
  void mbarrier_init(Thread &thread, uint32_t offset, uint32_t loc);
  void mbarrier_used(Thread &thread, uint32_t offset, uint32_t loc);
  void mbarrier_arrives(Thread &thread, uint32_t offset);
  void mbarrier_completes(uint32_t offset);
  void mbarrier_waited(Thread &thread, uint32_t offset);
  void async_arrives(Thread &thread, uint32_t group, uint32_t offset);

private:
  struct MbarrierClock {
    std::vector<uint32_t> current; ///< what arrivals of this phase brought
    ClockBlock done;               ///< what the last phase brought
    Epoch init;
  };

  bool in_window(const char *address) const;
  /// False (and a report) if the shared range is not the CTA's.
  bool shared_in_bounds(Thread &thread, uint64_t offset, uint32_t size, bool write, uint32_t loc);
  bool global_in_bounds(Thread &thread, uint64_t address, uint32_t size, bool write, uint32_t loc);
  void shared_access(Thread &thread, uint32_t offset, uint32_t size, uint32_t bits, uint32_t loc);
  /// After global_in_bounds has found the range: races with other CTAs.
  void global_access(Thread &thread, uint64_t address, uint32_t size, uint32_t bits, uint32_t loc);
  /// The last noted overwrite is done by now: reports it if it changed anything.
  void settle_overwrite();
  void report_conflict(Thread &thread, const Conflict &conflict, uint32_t loc, bool write);
  void report(Thread &thread, FindingKind kind, uint32_t loc, uint64_t address, std::string message,
              uint32_t other_loc = 0, uint32_t other_thread = 0);

  Worker &worker_;
  Clocks clocks_;
  SharedShadow shadow_;
  const std::vector<MemoryRange> &ranges_; ///< sorted
  size_t last_range_ = 0;                  ///< the one that the last good access was in
  uint64_t cta_index_ = 0;
  bool synchronizes_ = false; ///< this CTA has used atomics on global memory
  /// A write to what another CTA wrote, about to be done: a race only if it changes the bytes.
  struct Overwrite {
    uint64_t address = 0;
    uint32_t size = 0; ///< 0: none
    char before[64];
    SimFinding finding;
  } overwrite_;
  struct BarrierClock {
    std::vector<uint32_t> waiting;
    std::vector<uint32_t> arrived; ///< knowledge of threads that arrived without waiting
  };
  std::array<BarrierClock, kNumBarriers> barriers_;
  std::unordered_map<uint32_t, MbarrierClock> mbarriers_;
  alignas(64) char harmless_[256] = {}; ///< stands in for memory that must not be touched
};

} // namespace moec::sim
