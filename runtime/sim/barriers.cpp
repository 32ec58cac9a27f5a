// CTA barriers (named, counted, with reductions) and mbarriers.
#include "runtime/sim/checker.h"
#include "runtime/sim/machine.h"

#include <bit>

namespace moec::sim {
namespace {

/// Everyone has arrived: wake the waiting threads and start over. `self` is not asleep.
void release(Cta &cta, Barrier &barrier, Thread *self) {
  if (barrier.reduces) {
    for (uint32_t w = 0; w < cta.num_warps; ++w)
      for (uint32_t lanes = barrier.waiting[w]; lanes; lanes &= lanes - 1)
        cta.warps[w].threads[std::countr_zero(lanes)].barrier_result = barrier.reduction;
  }
  if (Checker *checker = cta.worker->checker())
    checker->barrier_completes(static_cast<uint32_t>(&barrier - cta.barriers.data()));
  for (uint32_t w = 0; w < cta.num_warps; ++w) {
    uint32_t lanes = barrier.waiting[w];
    if (self && self->warp->index == w) lanes &= ~self->lanemask_eq;
    if (lanes) cta.wake(cta.warps[w], lanes);
  }
  barrier = {};
}

/// Checks and counts one arrival; true if the barrier is complete.
bool arrive(Thread &thread, uint32_t id, uint32_t count, uint32_t loc, bool waits) {
  Cta &cta = *thread.home;
  Worker &worker = *cta.worker;
  if (id >= kNumBarriers)
    worker.fatal(thread, FindingKind::BarrierMisuse, loc,
                 "barrier " + std::to_string(id) + " does not exist (0 to 15)");
  Barrier &barrier = cta.barriers[id];
  if (count % kWarpSize || count > cta.num_threads + kWarpSize - 1)
    worker.fatal(thread, FindingKind::BarrierMisuse, loc,
                 "a barrier for " + std::to_string(count) + " threads (must be a multiple of 32, at most the CTA's " +
                     std::to_string(cta.num_threads) + ")");
  if (barrier.arrived == 0) {
    barrier.count = count;
    barrier.loc = loc;
  } else if (barrier.count != count) {
    worker.fatal(thread, FindingKind::BarrierMisuse, loc,
                 "barrier " + std::to_string(id) + " is used for " + std::to_string(count) + " and for " +
                     std::to_string(barrier.count) + " threads at once",
                 barrier.loc);
  }
  uint32_t &warp_loc = barrier.locs[thread.warp->index];
  if (!barrier.waiting[thread.warp->index]) warp_loc = loc;
  if (waits) {
    if (warp_loc != loc && worker.checker())
      worker.launch().report(worker.finding(
          thread, FindingKind::BarrierMisuse, loc,
          "threads of one warp wait at barrier " + std::to_string(id) + " in different places", warp_loc));
    barrier.waiting[thread.warp->index] |= thread.lanemask_eq;
  }
  ++barrier.arrived;
  if (Checker *checker = worker.checker()) checker->barrier_arrives(thread, id, waits);
  return barrier.arrived == (count ? count : cta.alive);
}

} // namespace

void sim_barrier(SimContext *context, uint32_t id, uint32_t count, uint32_t loc) {
  Thread &thread = thread_of(context);
  if (arrive(thread, id, count, loc, true))
    release(*thread.home, thread.home->barriers[id], &thread);
  else
    thread.home->worker->block(thread, WaitKind::Barrier, loc, id);
}

uint32_t sim_barrier_reduce(SimContext *context, uint32_t id, uint32_t count, uint32_t kind, uint32_t predicate,
                            uint32_t loc) {
  Thread &thread = thread_of(context);
  bool complete = arrive(thread, id, count, loc, true);
  Barrier &barrier = thread.home->barriers[id];
  bool value = predicate != 0;
  if (!barrier.reduces) barrier.reduction = kind == kBarrierAnd ? 1 : 0;
  barrier.reduces = true;
  if (kind == kBarrierAnd)
    barrier.reduction &= value;
  else if (kind == kBarrierOr)
    barrier.reduction |= value;
  else
    barrier.reduction += value;
  if (complete)
    release(*thread.home, barrier, &thread);
  else
    thread.home->worker->block(thread, WaitKind::Barrier, loc, id);
  return thread.barrier_result;
}

void sim_barrier_arrive(SimContext *context, uint32_t id, uint32_t count, uint32_t loc) {
  Thread &thread = thread_of(context);
  if (count == 0)
    thread.home->worker->fatal(thread, FindingKind::BarrierMisuse, loc, "bar.arrive needs a thread count");
  if (arrive(thread, id, count, loc, false)) release(*thread.home, thread.home->barriers[id], nullptr);
}

void barriers_after_exit(Thread &thread) {
  Cta &cta = *thread.home;
  for (Barrier &barrier : cta.barriers)
    if (barrier.arrived && barrier.count == 0 && barrier.arrived == cta.alive) release(cta, barrier, nullptr);
}

// ----------------------------------------------------------------------------------------------------------- mbarriers

namespace {

uint32_t shared_offset(Thread &thread, const char *address, uint32_t loc) {
  Cta &cta = *thread.home;
  uint64_t offset = static_cast<uint64_t>(address - cta.shared);
  if (offset + 8 > cta.shared_bytes)
    cta.worker->fatal(thread, FindingKind::OutOfBounds, loc, "an mbarrier outside the CTA's shared memory");
  if (offset % 8) cta.worker->fatal(thread, FindingKind::Misaligned, loc, "an mbarrier that is not 8-byte aligned");
  return static_cast<uint32_t>(offset);
}

Mbarrier &mbarrier_at(Thread &thread, uint32_t offset, uint32_t loc) {
  Cta &cta = *thread.home;
  auto it = cta.mbarriers.find(offset);
  if (it == cta.mbarriers.end())
    cta.worker->fatal(thread, FindingKind::MbarrierMisuse, loc,
                      "shared+" + std::to_string(offset) + " was not initialised as an mbarrier");
  if (Checker *checker = cta.worker->checker()) checker->mbarrier_used(thread, offset, loc);
  return it->second;
}

/// Ends the phase if nothing is missing.
void settle(Cta &cta, Mbarrier &barrier, uint32_t offset) {
  if (barrier.pending != 0 || barrier.transactions != 0) return;
  ++barrier.phase;
  barrier.pending = barrier.expected;
  if (Checker *checker = cta.worker->checker()) checker->mbarrier_completes(offset);
  for (uint32_t i = 0; i < cta.num_threads; ++i) {
    Thread &thread = cta.threads[i];
    if (thread.wait == WaitKind::Mbarrier && thread.wait_object == offset) cta.wake(thread);
  }
}

bool phase_over(const Mbarrier &barrier, uint64_t state, bool is_parity) {
  return is_parity ? (barrier.phase & 1) != (state & 1) : barrier.phase > state;
}

} // namespace

void mbarrier_arrive(Cta &cta, Mbarrier &barrier, uint32_t offset, uint32_t count) {
  barrier.pending -= std::min(count, barrier.pending);
  settle(cta, barrier, offset);
}

void sim_mbarrier_init(SimContext *context, char *address, uint32_t count, uint32_t loc) {
  Thread &thread = thread_of(context);
  uint32_t offset = shared_offset(thread, address, loc);
  Cta &cta = *thread.home;
  if (count == 0 || count > (1u << 20) - 1)
    cta.worker->fatal(thread, FindingKind::MbarrierMisuse, loc,
                      "an mbarrier for " + std::to_string(count) + " arrivals");
  auto [it, inserted] = cta.mbarriers.try_emplace(offset);
  if (!inserted && cta.worker->checker())
    cta.worker->launch().report(cta.worker->finding(thread, FindingKind::MbarrierMisuse, loc,
                                                    "an mbarrier is initialised twice", it->second.init_loc));
  it->second = {count, count, 0, 0, loc};
  if (Checker *checker = cta.worker->checker()) checker->mbarrier_init(thread, offset, loc);
}

void sim_mbarrier_inval(SimContext *context, char *address, uint32_t loc) {
  Thread &thread = thread_of(context);
  uint32_t offset = shared_offset(thread, address, loc);
  mbarrier_at(thread, offset, loc);
  thread.home->mbarriers.erase(offset);
}

uint64_t sim_mbarrier_arrive(SimContext *context, char *address, uint32_t count, uint32_t expect_bytes, uint32_t loc) {
  Thread &thread = thread_of(context);
  uint32_t offset = shared_offset(thread, address, loc);
  Mbarrier &barrier = mbarrier_at(thread, offset, loc);
  uint64_t state = barrier.phase;
  if (count > barrier.pending)
    thread.home->worker->fatal(
        thread, FindingKind::MbarrierMisuse, loc,
        "more arrivals than the mbarrier's " + std::to_string(barrier.expected) + " in one phase", barrier.init_loc);
  if (Checker *checker = thread.home->worker->checker()) checker->mbarrier_arrives(thread, offset);
  barrier.transactions += expect_bytes;
  mbarrier_arrive(*thread.home, barrier, offset, count);
  return state;
}

void sim_mbarrier_expect(SimContext *context, char *address, uint32_t bytes, uint32_t loc) {
  Thread &thread = thread_of(context);
  mbarrier_at(thread, shared_offset(thread, address, loc), loc).transactions += bytes;
}

uint32_t sim_mbarrier_try_wait(SimContext *context, char *address, uint64_t state, uint32_t is_parity, uint32_t loc) {
  Thread &thread = thread_of(context);
  uint32_t offset = shared_offset(thread, address, loc);
  while (!phase_over(mbarrier_at(thread, offset, loc), state, is_parity))
    thread.home->worker->block(thread, WaitKind::Mbarrier, loc, offset, state);
  if (Checker *checker = thread.home->worker->checker()) checker->mbarrier_waited(thread, offset);
  return 1;
}

uint32_t sim_mbarrier_test_wait(SimContext *context, char *address, uint64_t state, uint32_t is_parity, uint32_t loc) {
  Thread &thread = thread_of(context);
  uint32_t offset = shared_offset(thread, address, loc);
  if (!phase_over(mbarrier_at(thread, offset, loc), state, is_parity)) {
    // A loop around this is a wait: if nobody else can run, it will never end unless asynchronous work ends it.
    // Threads that only poll keep one another awake, so some of their turns go to that work.
    if (++thread.home->polls % 64 == 0 && thread.home->worker->run_deferred()) return 0;
    if (thread.home->ready_warps)
      thread.home->worker->yield(thread, loc);
    else
      thread.home->worker->block(thread, WaitKind::Mbarrier, loc, offset, state);
  }
  if (!phase_over(mbarrier_at(thread, offset, loc), state, is_parity)) return 0;
  if (Checker *checker = thread.home->worker->checker()) checker->mbarrier_waited(thread, offset);
  return 1;
}

} // namespace moec::sim
