// Running CTAs: which thread runs next, on which stack, and what happens when none can.
#include "runtime/sim/checker.h"
#include "runtime/sim/machine.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <ctime>
#include <sys/mman.h>

namespace moec::sim {
namespace {

/// Windows for shared memory below 4 GiB; never given back, as workers are kept.
char *map_window() {
  static std::mutex mutex;
  static uint64_t next = 0x20000000;
  std::lock_guard lock(mutex);
  for (; next < 0xf0000000; next += kSharedWindow) {
    void *memory = mmap(reinterpret_cast<void *>(next), kSharedWindow, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (memory == reinterpret_cast<void *>(next)) {
      next += kSharedWindow;
      uint64_t usable = (kMaxSharedBytes + 4095) / 4096 * 4096;
      mprotect(static_cast<char *>(memory) + usable, kSharedWindow - usable, PROT_NONE);
      return static_cast<char *>(memory);
    }
    if (memory != MAP_FAILED) munmap(memory, kSharedWindow); // a kernel without MAP_FIXED_NOREPLACE
  }
  throw std::bad_alloc();
}

/// Of this host thread, which other work on the machine does not lengthen.
double processor_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

/// The CTA that runs as number `index` of `count` in the order of `seed`: a permutation of 0..count-1, from a Feistel
/// network over the next power of four.
uint64_t cta_in_order(uint64_t index, uint64_t count, uint64_t seed) {
  if (!seed || count < 2) return index;
  unsigned half = (static_cast<unsigned>(std::bit_width(count - 1)) + 1) / 2;
  uint64_t mask = (uint64_t{1} << half) - 1;
  do {
    uint64_t left = index >> half, right = index & mask;
    for (uint64_t round = 0; round < 4; ++round) {
      uint64_t next = left ^ (mix(mix(seed + round) ^ right) & mask);
      left = right;
      right = next;
    }
    index = left << half | right;
  } while (index >= count);
  return index;
}

} // namespace

Worker::Worker() : window_(map_window()), matrix_(make_matrix_scratch()) {
  main_.owner = this;
  cta_.worker = this;
  cta_.shared = window_;
}

Worker::~Worker() {
  free_matrix_scratch(matrix_);
  release_fibers();
}

void Worker::release_fibers() {
  for (auto &fiber : fibers_) fiber->release();
  fibers_.clear();
  free_ = nullptr;
}

uint64_t Worker::random() { return random_ = mix(random_); }

/// Sets up what stays the same for all CTAs of a launch.
void Worker::prepare() {
  const SimLaunch &launch = launch_->launch;
  const SimImageHeader &header = launch_->image.header();
  size_t stack = std::max<size_t>(64 * 1024, (2 * size_t(header.stack_bytes) + 48 * 1024 + 4095) / 4096 * 4096);
  if (stack > stack_bytes_ || abandoned_) {
    release_fibers();
    stack_bytes_ = std::max(stack, stack_bytes_);
    abandoned_ = false;
  }
  cta_.num_threads = launch.threads;
  cta_.num_warps = (launch.threads + kWarpSize - 1) / kWarpSize;
  cta_.shared_bytes = launch.shared_bytes;
  if (!cta_.threads) {
    cta_.threads = std::make_unique<Thread[]>(kMaxThreads);
    cta_.warps = std::make_unique<Warp[]>(kMaxWarps);
  }
  size_t exchange_bytes = (std::max<size_t>(header.exchange_slots, 1) * 128 + 255) / 256 * 256 + 256;
  exchange_ = std::make_unique<char[]>(exchange_bytes * cta_.num_warps + 256);
  char *exchange = reinterpret_cast<char *>((reinterpret_cast<uintptr_t>(exchange_.get()) + 255) / 256 * 256);
  for (uint32_t w = 0; w < cta_.num_warps; ++w) {
    Warp &warp = cta_.warps[w];
    uint32_t lanes = std::min(kWarpSize, launch.threads - w * kWarpSize);
    warp.index = w;
    warp.members = lanes == kWarpSize ? ~0u : (1u << lanes) - 1;
    warp.exchange = exchange + w * exchange_bytes;
    warp.threads = &cta_.threads[w * kWarpSize];
    for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
      Thread &thread = warp.threads[lane];
      thread.table = function_table;
      thread.shared = cta_.shared;
      thread.exchange4 = warp.exchange + 4 * lane;
      thread.exchange8 = warp.exchange + 8 * lane;
      thread.cta = &cta_.info;
      thread.index = w * kWarpSize + lane;
      thread.tid[0] = thread.index;
      thread.tid[1] = thread.tid[2] = 0;
      thread.laneid = lane;
      thread.warpid = w;
      thread.lanemask_eq = 1u << lane;
      thread.lanemask_lt = thread.lanemask_eq - 1;
      thread.lanemask_le = thread.lanemask_eq | thread.lanemask_lt;
      thread.lanemask_ge = ~thread.lanemask_lt;
      thread.lanemask_gt = ~thread.lanemask_le;
      thread.home = &cta_;
      thread.warp = &warp;
    }
  }
  SimCtaInfo &info = cta_.info;
  info = {};
  for (int i = 0; i < 3; ++i) {
    info.nctaid[i] = info.nclusterid[i] = launch.grid[i];
    info.ntid[i] = info.cluster_nctaid[i] = 1;
  }
  info.ntid[0] = launch.threads;
  info.nwarpid = cta_.num_warps;
  info.nsmid = 1;
  info.cluster_nctarank = 1;
  info.total_smem = info.dynamic_smem = info.aggr_smem = launch.shared_bytes;
  checker_ = launch_->checked ? std::make_unique<Checker>(*this) : nullptr;
  TrafficCounts *traffic = launch_->options.traffic;
  traffic_ = traffic ? std::make_unique<TrafficRecorder>(*traffic) : nullptr;
}

void Worker::start_cta(uint64_t index) {
  SimCtaInfo &info = cta_.info;
  const uint32_t *grid = launch_->launch.grid;
  uint64_t rest = index / grid[0];
  info.ctaid[0] = info.clusterid[0] = static_cast<uint32_t>(index % grid[0]);
  info.ctaid[1] = info.clusterid[1] = static_cast<uint32_t>(rest % grid[1]);
  info.ctaid[2] = info.clusterid[2] = static_cast<uint32_t>(rest / grid[1]);
  random_ = mix(launch_->options.seed ^ (index * 0x9e3779b97f4a7c15));
  cta_.alive = cta_.num_threads;
  cta_.ready_warps = cta_.num_warps == 32 ? ~0u : (1u << cta_.num_warps) - 1;
  for (uint32_t w = 0; w < cta_.num_warps; ++w) {
    Warp &warp = cta_.warps[w];
    warp.alive = warp.ready = warp.members;
    warp.num_waiting = 0;
  }
  for (uint32_t i = 0; i < cta_.num_threads; ++i) {
    Thread &thread = cta_.threads[i];
    thread.fiber = nullptr;
    thread.wait = WaitKind::None;
    thread.wait_loc = 0;
    thread.steps = kStepsPerTurn;
    thread.copies.clear();
    thread.committed_groups = thread.issued_copies = 0;
  }
  for (Barrier &barrier : cta_.barriers)
    if (barrier.arrived) barrier = {};
  cta_.mbarriers.clear();
  cta_.deferred.clear();
  cta_.polls = 0;
  cta_began_ = processor_seconds();
  if (checker_) checker_->begin_cta();
  if (traffic_) traffic_->begin_cta(cta_.num_threads);
}

bool Worker::next_cta() {
  if (traffic_) traffic_->end_cta();
  if (launch_->aborted.load(std::memory_order_relaxed)) return false;
  uint64_t index = launch_->next_cta.fetch_add(1, std::memory_order_relaxed);
  if (index >= launch_->num_ctas) return false;
  start_cta(cta_in_order(index, launch_->num_ctas, launch_->options.seed));
  return true;
}

void Worker::run(LaunchState &launch) {
  launch_ = &launch;
  main_.stack = nullptr; // this host thread's own, known only to AddressSanitizer
  prepare();
  if (next_cta()) {
    to_start_ = pick(nullptr, 0);
    Fiber *fiber = take_fiber();
    to_start_->fiber = fiber;
    current_ = fiber;
    switch_fiber(&main_, fiber);
  }
  checker_.reset();
  traffic_.reset();
  launch_ = nullptr;
}

Fiber *Worker::take_fiber() {
  if (Fiber *fiber = free_) {
    free_ = fiber->next_free;
    return fiber;
  }
  auto fiber = std::make_unique<Fiber>();
  fiber->owner = this;
  fiber->allocate(stack_bytes_, (fibers_.size() % 31) * 128);
  fiber->start_with(fiber_main);
  fibers_.push_back(std::move(fiber));
  return fibers_.back().get();
}

/// Runs threads that have not started, one after the other, on this stack; when the next thread to run has its own
/// stack, this one is set aside for later use. So threads that never wait cost no switch.
void Worker::fiber_main(boost::context::detail::transfer_t transfer) {
  Fiber *from = fiber_started(transfer);
  auto &worker = *static_cast<Worker *>(from->owner);
  Fiber *self = worker.current_;
  LoadedImage::Entry entry = nullptr;
  for (;;) {
    Thread *thread = worker.to_start_;
    entry = worker.launch_->image.entry();
    entry(thread, worker.launch_->launch.params);
    worker.finish(*thread);
    Thread *next = nullptr; // none: this launch is over here
    if (worker.cta_.alive)
      next = worker.pick_or_progress(*thread);
    else if (worker.next_cta())
      next = worker.pick(nullptr, 0);
    if (next && !next->fiber) {
      next->fiber = self;
      worker.to_start_ = next;
      continue;
    }
    self->next_free = worker.free_;
    worker.free_ = self;
    worker.current_ = next ? next->fiber : &worker.main_;
    switch_fiber(self, worker.current_);
  }
}

void Worker::finish(Thread &thread) {
  Warp &warp = *thread.warp;
  warp.alive &= ~thread.lanemask_eq;
  --cta_.alive;
  for (uint32_t i = 0; i < warp.num_waiting; ++i)
    if (warp.waiting[i].mask & thread.lanemask_eq)
      fatal(thread, FindingKind::DivergentCollective, warp.waiting[i].loc,
            "a lane that the operation's mask names has exited");
  if (checker_) checker_->thread_exits(thread);
  if (cta_.alive) barriers_after_exit(thread);
}

/// The next thread to run, taken off its ready set; null if none can. In order: the following lane of the same warp,
/// then the following warp.
Thread *Worker::pick(const Warp *current, uint32_t lane) {
  uint32_t warps = cta_.ready_warps;
  if (!warps) return nullptr;
  if (launch_->options.seed) return pick_any();
  if (current && current->ready) {
    uint32_t after = current->ready & ~((2u << lane) - 1);
    return take(cta_.warps[current->index], static_cast<uint32_t>(std::countr_zero(after ? after : current->ready)));
  }
  uint32_t after = current ? warps & ~((2u << current->index) - 1) : warps;
  Warp &warp = cta_.warps[std::countr_zero(after ? after : warps)];
  return take(warp, static_cast<uint32_t>(std::countr_zero(warp.ready)));
}

/// Any of the ready threads, of which there is one.
Thread *Worker::pick_any() {
  auto nth = [](uint32_t bits, uint32_t n) {
    while (n--) bits &= bits - 1;
    return static_cast<uint32_t>(std::countr_zero(bits));
  };
  uint64_t r = random();
  uint32_t warps = cta_.ready_warps;
  Warp &warp = cta_.warps[nth(warps, static_cast<uint32_t>(r >> 32) % static_cast<uint32_t>(std::popcount(warps)))];
  return take(warp, nth(warp.ready, static_cast<uint32_t>(r) % static_cast<uint32_t>(std::popcount(warp.ready))));
}

Thread *Worker::take(Warp &warp, uint32_t lane) {
  warp.ready &= ~(1u << lane);
  if (!warp.ready) cta_.ready_warps &= ~(1u << warp.index);
  return &warp.threads[lane];
}

Thread *Worker::pick_or_progress(Thread &last) {
  for (;;) {
    if (Thread *next = pick(last.warp, last.laneid)) return next;
    if (!run_deferred()) deadlock(last);
  }
}

bool Worker::run_deferred() {
  if (cta_.deferred.empty()) return false;
  DeferredArrive arrive = cta_.deferred.front();
  cta_.deferred.erase(cta_.deferred.begin());
  run_copies(*arrive.thread, ~0u, arrive.sequence);
  auto it = cta_.mbarriers.find(arrive.address);
  if (it != cta_.mbarriers.end()) {
    if (checker_) checker_->async_arrives(*arrive.thread, arrive.group, arrive.address);
    mbarrier_arrive(cta_, it->second, arrive.address, 1);
  }
  return true;
}

void Worker::switch_to(Thread &next) {
  Fiber *self = current_;
  Fiber *fiber = next.fiber;
  if (!fiber) {
    fiber = take_fiber();
    next.fiber = fiber;
    to_start_ = &next;
  }
  current_ = fiber;
  switch_fiber(self, fiber);
}

void Worker::block(Thread &thread, WaitKind kind, uint32_t loc, uint64_t object, uint64_t phase) {
  thread.wait = kind;
  thread.wait_loc = loc;
  thread.wait_object = object;
  thread.wait_phase = phase;
  Thread *next = pick_or_progress(thread);
  if (next != &thread) switch_to(*next);
  thread.wait = WaitKind::None;
}

void Worker::yield(Thread &thread, uint32_t loc) {
  if (!cta_.ready_warps) return;
  thread.wait = WaitKind::Yield;
  thread.wait_loc = loc;
  Thread *next = pick_any(); // in order, those that spin could keep the one that they wait for from its turn
  cta_.wake(thread);
  switch_to(*next);
  thread.wait = WaitKind::None;
}

void Worker::next_turn(Thread &thread, uint32_t loc) {
  thread.steps = kStepsPerTurn;
  double limit = launch_->options.cta_seconds;
  if (limit > 0 && processor_seconds() - cta_began_ > limit) livelock(thread, loc);
  yield(thread, loc);
}

void Worker::before_access(Thread &thread, const char *address, uint32_t bits, uint32_t loc, const void *site) {
  if (launch_->options.seed && random() % (bits & kAccessAtomic ? 2 : 16) == 0) yield(thread, loc);
  if (!traffic_ || static_cast<uint64_t>(address - cta_.shared) < kSharedWindow) return;
  TrafficKind kind = bits & kAccessAtomic  ? TrafficKind::Atomic
                     : bits & kAccessWrite ? TrafficKind::Store
                                           : TrafficKind::Load;
  traffic_->access(site, thread.index, reinterpret_cast<uint64_t>(address), bits & kAccessSizeMask, kind);
}

SimFinding Worker::finding(const Thread &thread, FindingKind kind, uint32_t loc, std::string message,
                           uint32_t other_loc) {
  SimFinding result;
  result.kind = kind;
  result.message = std::move(message);
  SourcePosition position = launch_->image.position(loc), other = launch_->image.position(other_loc);
  result.file = position.file;
  result.line = position.line;
  result.column = position.column;
  result.other_file = other.file;
  result.other_line = other.line;
  std::copy(cta_.info.ctaid, cta_.info.ctaid + 3, result.cta);
  result.thread = thread.index;
  return result;
}

void Worker::fatal(Thread &thread, FindingKind kind, uint32_t loc, std::string message, uint32_t other_loc) {
  fatal(finding(thread, kind, loc, std::move(message), other_loc));
}

void Worker::fatal(SimFinding result) {
  result.fatal = true;
  launch_->report(std::move(result));
  launch_->aborted = true;
  abandoned_ = true;
  Fiber *self = current_;
  current_ = &main_;
  switch_fiber(self, &main_);
  __builtin_unreachable();
}

} // namespace moec::sim
