#include "runtime/sim/checker.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace moec::sim {
namespace {

std::string bytes_text(uint64_t n) { return std::to_string(n) + (n == 1 ? " byte" : " bytes"); }

std::string hex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

} // namespace

Checker::Checker(Worker &worker) : worker_(worker), shadow_(clocks_), ranges_(worker.launch().ranges) {}

void Checker::begin_cta() {
  Cta &cta = worker_.cta();
  clocks_.reset(cta.num_threads);
  shadow_.reset(cta.shared_bytes);
  for (BarrierClock &barrier : barriers_) {
    barrier.waiting.clear();
    barrier.arrived.clear();
  }
  mbarriers_.clear();
  const SimCtaInfo &info = cta.info;
  cta_index_ = (uint64_t(info.ctaid[2]) * info.nctaid[1] + info.ctaid[1]) * info.nctaid[0] + info.ctaid[0];
  synchronizes_ = false;
  std::memset(cta.shared, 0xff, cta.shared_bytes); // what nobody wrote should look wrong
}

void Checker::report(Thread &thread, FindingKind kind, uint32_t loc, uint64_t address, std::string message,
                     uint32_t other_loc, uint32_t other_thread) {
  SimFinding finding = worker_.finding(thread, kind, loc, std::move(message), other_loc);
  finding.address = address;
  finding.other_thread = other_thread;
  worker_.launch().report(std::move(finding));
}

bool Checker::in_window(const char *address) const {
  return static_cast<uint64_t>(address - worker_.cta().shared) < kSharedWindow;
}

bool Checker::shared_in_bounds(Thread &thread, uint64_t offset, uint32_t size, bool write, uint32_t loc) {
  uint32_t total = worker_.cta().shared_bytes;
  if (offset + size <= total) return true;
  report(thread, FindingKind::OutOfBounds, loc, offset,
         "shared " + std::string(write ? "write" : "read") + " of " + bytes_text(size) + " at offset " +
             std::to_string(offset) + ", the CTA has " + bytes_text(total));
  return false;
}

bool Checker::global_in_bounds(Thread &thread, uint64_t address, uint32_t size, bool write, uint32_t loc) {
  auto holds = [&](const MemoryRange &range) {
    return address >= range.begin && address + size <= range.end && (range.writable || !write);
  };
  if (last_range_ < ranges_.size() && holds(ranges_[last_range_])) return true;
  auto after = std::upper_bound(ranges_.begin(), ranges_.end(), address,
                                [](uint64_t a, const MemoryRange &r) { return a < r.begin; });
  const MemoryRange *before = after == ranges_.begin() ? nullptr : &*(after - 1);
  if (before && holds(*before)) {
    last_range_ = static_cast<size_t>(before - ranges_.data());
    return true;
  }
  std::string message =
      std::string("global ") + (write ? "write" : "read") + " of " + bytes_text(size) + " at " + hex(address);
  if (before && address + size <= before->end)
    message += ", memory that this launch may only read";
  else if (before && address - before->begin < 2 * (before->end - before->begin) + 4096)
    message += ", offset " + std::to_string(address - before->begin) + " of an allocation of " +
               bytes_text(before->end - before->begin);
  else if (after != ranges_.end() && after->begin - address < 4096)
    message += ", " + bytes_text(after->begin - address) + " before an allocation";
  report(thread, FindingKind::OutOfBounds, loc, address, message);
  return false;
}

void Checker::report_conflict(Thread &thread, const Conflict &conflict, uint32_t loc, bool write) {
  if (conflict.kind == Conflict::None) return;
  std::string place = "shared+" + std::to_string(conflict.offset);
  if (conflict.kind == Conflict::Uninitialized) {
    report(thread, FindingKind::Uninitialized, loc, conflict.offset,
           "read of " + place + ", which no thread has written");
    return;
  }
  uint32_t agent = conflict.other.agent;
  bool copy = agent >= clocks_.threads();
  uint32_t other = copy ? agent - clocks_.threads() : agent;
  std::string before = copy ? "an asynchronous copy" : conflict.kind == Conflict::ReadWrite ? "a read" : "a write";
  report(thread, FindingKind::SharedRace, loc, conflict.offset,
         std::string(write ? "write" : "read") + " of " + place + " is not ordered after " + before + " of thread " +
             std::to_string(other),
         conflict.other.loc, other);
}

void Checker::shared_access(Thread &thread, uint32_t offset, uint32_t size, uint32_t bits, uint32_t loc) {
  Epoch epoch{thread.index, clocks_.of(thread.index).own, loc};
  bool atomic = bits & kAccessAtomic;
  if (bits & kAccessRead) report_conflict(thread, shadow_.read(offset, size, thread.index, epoch, atomic), loc, false);
  if (bits & kAccessWrite) report_conflict(thread, shadow_.write(offset, size, thread.index, epoch, atomic), loc, true);
}

char *Checker::access(Thread &thread, char *address, uint32_t bits, uint32_t loc) {
  settle_overwrite();
  uint32_t size = bits & kAccessSizeMask, alignment = 1u << (bits >> kAccessAlignShift);
  auto value = reinterpret_cast<uint64_t>(address);
  bool shared = in_window(address), write = bits & kAccessWrite;
  uint64_t offset = static_cast<uint64_t>(address - worker_.cta().shared);
  if (value & (alignment - 1))
    report(thread, FindingKind::Misaligned, loc, shared ? offset : value,
           std::string(shared ? "shared" : "global") + (write ? " write" : " read") + " of " + bytes_text(size) +
               " at " + (shared ? "offset " + std::to_string(offset) : hex(value)) + ", which is not a multiple of " +
               std::to_string(alignment));
  if (shared) {
    if (!shared_in_bounds(thread, offset, size, write, loc)) return harmless_;
    shared_access(thread, static_cast<uint32_t>(offset), size, bits, loc);
    return address;
  }
  if (!global_in_bounds(thread, value, size, write, loc)) return harmless_;
  global_access(thread, value, size, bits, loc);
  return address;
}

void Checker::global_access(Thread &thread, uint64_t address, uint32_t size, uint32_t bits, uint32_t loc) {
  if (worker_.launch().num_ctas == 1) return;
  if (bits & kAccessAtomic) {
    synchronizes_ = true;
    return;
  }
  GlobalShadow &shadow = worker_.launch().global;
  bool write = bits & kAccessWrite;
  GlobalShadow::Conflict conflict = write ? shadow.write(last_range_, address, size, cta_index_, loc)
                                          : shadow.read(last_range_, address, size, cta_index_, loc);
  if (!conflict.found || synchronizes_) return;
  std::string other = conflict.cta == GlobalShadow::kManyCtas ? "other CTAs" : "CTA " + std::to_string(conflict.cta);
  SimFinding finding =
      worker_.finding(thread, FindingKind::GlobalRace, loc,
                      std::string(write ? "write" : "read") + " of " + hex(conflict.address) + ", which " + other +
                          (conflict.other_wrote ? " writes" : " reads") + " in the same launch; nothing orders CTAs",
                      conflict.loc);
  finding.address = conflict.address;
  if (!write || !conflict.other_wrote || size > sizeof overwrite_.before) {
    worker_.launch().report(std::move(finding));
    return;
  }
  overwrite_.address = address;
  overwrite_.size = size;
  overwrite_.finding = std::move(finding);
  std::memcpy(overwrite_.before, reinterpret_cast<const char *>(address), size);
}

void Checker::settle_overwrite() {
  if (!overwrite_.size) return;
  bool changed =
      std::memcmp(overwrite_.before, reinterpret_cast<const char *>(overwrite_.address), overwrite_.size) != 0;
  overwrite_.size = 0;
  if (changed) worker_.launch().report(std::move(overwrite_.finding));
}

char *Checker::matrix_row(Thread &thread, char *address, bool write, uint32_t loc) {
  uint64_t offset = static_cast<uint64_t>(address - worker_.cta().shared);
  if (offset % 16)
    report(thread, FindingKind::Misaligned, loc, offset,
           "a matrix row at shared+" + std::to_string(offset) + ", which is not a multiple of 16");
  if (!shared_in_bounds(thread, offset, 16, write, loc)) return harmless_;
  shared_access(thread, static_cast<uint32_t>(offset), 16, write ? kAccessWrite : kAccessRead, loc);
  return address;
}

bool Checker::cp_async(Thread &thread, const PendingCopy &copy, uint32_t loc) {
  auto from = reinterpret_cast<uint64_t>(copy.from);
  uint64_t offset = static_cast<uint64_t>(copy.to - worker_.cta().shared);
  if (from % copy.size && copy.source_bytes)
    report(thread, FindingKind::Misaligned, loc, from, "cp.async of " + bytes_text(copy.size) + " from " + hex(from));
  if (offset % copy.size)
    report(thread, FindingKind::Misaligned, loc, offset,
           "cp.async of " + bytes_text(copy.size) + " to shared+" + std::to_string(offset));
  if (copy.source_bytes && !global_in_bounds(thread, from, copy.source_bytes, false, loc)) return false;
  if (copy.source_bytes) global_access(thread, from, copy.source_bytes, kAccessRead, loc);
  if (!shared_in_bounds(thread, offset, copy.size, true, loc)) return false;
  Epoch epoch{clocks_.threads() + thread.index, copy.group, loc};
  report_conflict(thread, shadow_.write(static_cast<uint32_t>(offset), copy.size, thread.index, epoch, false), loc,
                  true);
  return true;
}

void Checker::cp_async_waited(Thread &thread, uint32_t groups_done) {
  uint32_t &done = clocks_.of(thread.index).copies_done;
  done = std::max(done, groups_done);
}

void Checker::thread_exits(Thread &thread) {
  settle_overwrite();
  if (thread.copies.empty()) return;
  report(thread, FindingKind::BarrierMisuse, thread.copies.front().loc, 0,
         "a thread exits with asynchronous copies that nobody waited for");
}

void Checker::warp_barrier(Warp &warp, uint32_t mask) {
  std::vector<uint32_t> members;
  for (uint32_t lanes = mask; lanes; lanes &= lanes - 1)
    members.push_back(warp.index * kWarpSize + static_cast<uint32_t>(std::countr_zero(lanes)));
  clocks_.join(members);
}

void Checker::barrier_arrives(Thread &thread, uint32_t id, bool waits) {
  BarrierClock &barrier = barriers_[id];
  if (waits) {
    barrier.waiting.push_back(thread.index);
    return;
  }
  clocks_.add(barrier.arrived, thread.index);
  ++clocks_.of(thread.index).own;
}

void Checker::barrier_completes(uint32_t id) {
  BarrierClock &barrier = barriers_[id];
  clocks_.join(barrier.waiting, std::move(barrier.arrived));
  barrier.waiting.clear();
  barrier.arrived.clear();
}

void Checker::mbarrier_init(Thread &thread, uint32_t offset, uint32_t loc) {
  MbarrierClock &barrier = mbarriers_[offset];
  barrier = {};
  barrier.init = {thread.index, clocks_.of(thread.index).own, loc};
}

void Checker::mbarrier_used(Thread &thread, uint32_t offset, uint32_t loc) {
  MbarrierClock &barrier = mbarriers_[offset];
  if (clocks_.ordered(thread.index, barrier.init.agent, barrier.init.time)) return;
  report(thread, FindingKind::MbarrierMisuse, loc, offset,
         "an mbarrier is used before its initialisation is visible to this thread", barrier.init.loc,
         barrier.init.agent);
}

void Checker::mbarrier_arrives(Thread &thread, uint32_t offset) {
  clocks_.add(mbarriers_[offset].current, thread.index);
  ++clocks_.of(thread.index).own;
}

void Checker::async_arrives(Thread &thread, uint32_t group, uint32_t offset) {
  std::vector<uint32_t> &current = mbarriers_[offset].current;
  if (current.empty()) current.assign(2 * clocks_.threads(), 0);
  uint32_t &copies = current[clocks_.threads() + thread.index];
  copies = std::max(copies, group);
}

void Checker::mbarrier_completes(uint32_t offset) {
  MbarrierClock &barrier = mbarriers_[offset];
  if (!barrier.current.empty()) barrier.done = std::make_shared<const std::vector<uint32_t>>(barrier.current);
}

void Checker::mbarrier_waited(Thread &thread, uint32_t offset) {
  MbarrierClock &barrier = mbarriers_[offset];
  if (!barrier.done) return;
  clocks_.acquire(thread.index, barrier.done);
  // What this thread's own copies brought to the barrier is known to it now, too.
  cp_async_waited(thread, (*barrier.done)[clocks_.threads() + thread.index]);
}

char *sim_access(SimContext *context, char *address, uint32_t bits, uint32_t loc) {
  Thread &thread = thread_of(context);
  Worker &worker = *thread.home->worker;
  worker.before_access(thread, address, bits, loc, __builtin_return_address(0));
  Checker *checker = worker.checker();
  return checker ? checker->access(thread, address, bits, loc) : address;
}

void sim_fence(SimContext *, uint32_t, uint32_t) {} // orders nothing between threads by itself; proxies come with TMA

} // namespace moec::sim
