// cp.async, and the table of runtime functions. Copies are done as late as the kernel allows, so that a missing wait
// gives wrong values even without checks.
#include "runtime/sim/checker.h"
#include "runtime/sim/machine.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace moec::sim {
namespace {

void copy_now(const PendingCopy &copy) {
  std::memcpy(copy.to, copy.from, copy.source_bytes);
  if (copy.source_bytes < copy.size) std::memset(copy.to + copy.source_bytes, 0, copy.size - copy.source_bytes);
}

void trap(SimContext *context, uint32_t loc) {
  Thread &thread = thread_of(context);
  thread.home->worker->fatal(thread, FindingKind::Trap, loc, "the kernel executed a trap");
}

void assert_failed(SimContext *context, const char *message, int64_t first, int64_t second, uint32_t loc) {
  Thread &thread = thread_of(context);
  std::string text = message ? message : "";
  for (auto [mark, value] : {std::pair("{0}", first), std::pair("{1}", second)})
    if (size_t at = text.find(mark); at != std::string::npos) text.replace(at, 3, std::to_string(value));
  thread.home->worker->fatal(thread, FindingKind::Assert, loc, text);
}

void division(SimContext *context, int64_t dividend, int64_t divisor, uint32_t loc) {
  Thread &thread = thread_of(context);
  Worker &worker = *thread.home->worker;
  if (divisor == 0 && worker.checker())
    worker.launch().report(worker.finding(thread, FindingKind::ZeroDivision, loc,
                                          "integer division of " + std::to_string(dividend) + " by zero"));
}

void used_steps(SimContext *context, uint32_t loc) {
  Thread &thread = thread_of(context);
  thread.home->worker->next_turn(thread, loc);
}

void yield_thread(SimContext *context, uint32_t loc) {
  Thread &thread = thread_of(context);
  thread.home->worker->yield(thread, loc);
}

} // namespace

void sim_cp_async(SimContext *context, char *to, const char *from, uint32_t size, uint32_t source_bytes, uint32_t loc) {
  Thread &thread = thread_of(context);
  PendingCopy copy{to, from, size, std::min(source_bytes, size), thread.committed_groups + 1, ++thread.issued_copies,
                   loc};
  Worker &worker = *thread.home->worker;
  worker.before_access(thread, from, kAccessRead | copy.source_bytes, loc, __builtin_return_address(0));
  if (Checker *checker = worker.checker(); checker && !checker->cp_async(thread, copy, loc)) return;
  if (worker.launch().options.eager_async)
    copy_now(copy);
  else
    thread.copies.push_back(copy);
}

void run_copies(Thread &thread, uint32_t group, uint32_t sequence) {
  auto end = thread.copies.begin();
  while (end != thread.copies.end() && end->group <= group && end->sequence <= sequence) copy_now(*end++);
  thread.copies.erase(thread.copies.begin(), end);
}

void sim_cp_async_commit(SimContext *context, uint32_t) { ++thread_of(context).committed_groups; }

void sim_cp_async_wait(SimContext *context, uint32_t groups, uint32_t) {
  Thread &thread = thread_of(context);
  if (thread.committed_groups < groups) return;
  uint32_t done = thread.committed_groups - groups;
  run_copies(thread, done);
  if (Checker *checker = thread.home->worker->checker()) checker->cp_async_waited(thread, done);
}

void sim_cp_async_mbarrier(SimContext *context, char *address, uint32_t noinc, uint32_t loc) {
  Thread &thread = thread_of(context);
  Cta &cta = *thread.home;
  uint32_t offset = static_cast<uint32_t>(address - cta.shared);
  auto it = cta.mbarriers.find(offset);
  if (it == cta.mbarriers.end())
    cta.worker->fatal(thread, FindingKind::MbarrierMisuse, loc,
                      "shared+" + std::to_string(offset) + " was not initialised as an mbarrier");
  if (Checker *checker = cta.worker->checker()) checker->mbarrier_used(thread, offset, loc);
  if (!noinc) ++it->second.pending;
  cta.deferred.push_back({&thread, thread.issued_copies, thread.committed_groups + 1, offset});
}

#define ENTRY(f) reinterpret_cast<const void *>(&f)
const void *const function_table[kNumSimFunctions] = {
    ENTRY(sim_batch),
    ENTRY(sim_barrier),
    ENTRY(sim_barrier_reduce),
    ENTRY(sim_barrier_arrive),
    ENTRY(sim_warp_barrier),
    ENTRY(sim_cp_async),
    ENTRY(sim_cp_async_commit),
    ENTRY(sim_cp_async_wait),
    ENTRY(sim_cp_async_mbarrier),
    ENTRY(sim_mbarrier_init),
    ENTRY(sim_mbarrier_inval),
    ENTRY(sim_mbarrier_arrive),
    ENTRY(sim_mbarrier_expect),
    ENTRY(sim_mbarrier_try_wait),
    ENTRY(sim_mbarrier_test_wait),
    ENTRY(sim_access),
    ENTRY(sim_fence),
    ENTRY(trap),
    ENTRY(assert_failed),
    ENTRY(division),
    ENTRY(used_steps),
    ENTRY(yield_thread),
};
#undef ENTRY

} // namespace moec::sim
