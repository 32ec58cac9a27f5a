// The state of the simulated machine: threads, warps, one CTA with its barriers, and the host thread that runs it.
#pragma once

#include "runtime/sim/executor.h"
#include "runtime/sim/fiber.h"
#include "runtime/sim/global_shadow.h"
#include "runtime/sim/traffic.h"

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace moec::sim {

struct Cta;
struct Warp;
class Worker;
class Checker;
struct MatrixScratch;

enum class WaitKind : uint8_t { None, Batch, WarpBarrier, Barrier, Mbarrier, Yield };

/// An asynchronous copy that was issued and not done yet.
struct PendingCopy {
  char *to;
  const char *from;
  uint32_t size, source_bytes;
  uint32_t group;    ///< of cp.async.commit_group, from 1
  uint32_t sequence; ///< of the thread's copies, from 1
  uint32_t loc;
};

/// One CUDA thread. Its fiber is null until it runs first.
struct Thread : SimContext {
  Cta *home = nullptr;
  Warp *warp = nullptr;
  Fiber *fiber = nullptr;
  uint32_t index = 0; ///< in the CTA
  WaitKind wait = WaitKind::None;
  uint32_t wait_loc = 0;
  uint64_t wait_object = 0; ///< barrier number, or mbarrier offset
  uint64_t wait_phase = 0;
  uint32_t barrier_predicate = 0, barrier_result = 0;
  std::vector<PendingCopy> copies; ///< cp.async, oldest first
  uint32_t committed_groups = 0, issued_copies = 0;
};

/// Lanes that wait at one warp-wide operation.
struct Rendezvous {
  const void *operation = nullptr; ///< the SimBatch, or null for bar.warp.sync
  uint32_t mask = 0, arrived = 0, loc = 0;
};

struct Warp {
  uint32_t index = 0;
  uint32_t members = 0; ///< lanes that exist
  uint32_t alive = 0;   ///< have not exited
  uint32_t ready = 0;   ///< can run now, or have not started
  uint32_t num_waiting = 0;
  std::array<Rendezvous, kWarpSize> waiting; ///< the first num_waiting are in use
  char *exchange = nullptr;
  Thread *threads = nullptr; ///< its 32 in the CTA's array
};

struct Barrier {
  uint32_t arrived = 0, count = 0; ///< count 0: all threads of the CTA
  uint32_t loc = 0;
  std::array<uint32_t, kMaxWarps> waiting{}; ///< lanes to wake, per warp
  std::array<uint32_t, kMaxWarps> locs{};    ///< where the warp's first lane arrived
  uint32_t reduction = 0;
  bool reduces = false;
};

struct Mbarrier {
  uint32_t expected = 0, pending = 0;
  int64_t transactions = 0;
  uint64_t phase = 0;
  uint32_t init_loc = 0;
};

/// cp.async.mbarrier.arrive: arrives when `thread`'s copies up to number `sequence` are done.
struct DeferredArrive {
  Thread *thread;
  uint32_t sequence, group, address;
};

struct Cta {
  Worker *worker = nullptr;
  SimCtaInfo info{};
  char *shared = nullptr; ///< the window's base, below 4 GiB
  uint32_t shared_bytes = 0;
  uint32_t num_threads = 0, num_warps = 0, alive = 0;
  uint32_t ready_warps = 0;
  std::unique_ptr<Thread[]> threads;
  std::unique_ptr<Warp[]> warps;
  std::array<Barrier, kNumBarriers> barriers;
  std::unordered_map<uint32_t, Mbarrier> mbarriers; ///< by offset in shared memory
  std::vector<DeferredArrive> deferred;
  uint32_t polls = 0; ///< mbarrier.test_wait that found nothing

  void wake(Warp &warp, uint32_t lanes) {
    warp.ready |= lanes;
    ready_warps |= 1u << warp.index;
  }
  void wake(Thread &thread) { wake(*thread.warp, thread.lanemask_eq); }
};

/// One launch, shared by its workers.
struct LaunchState {
  const LoadedImage &image;
  const SimLaunch &launch;
  const SimOptions &options;
  bool checked;
  uint64_t num_ctas;
  LaunchState(const LoadedImage &image, const SimLaunch &launch, const SimOptions &options, uint64_t num_ctas)
      : image(image), launch(launch), options(options), checked(options.checked), num_ctas(num_ctas) {}
  std::atomic<uint64_t> next_cta{0};
  std::atomic<bool> aborted{false};
  std::mutex mutex;
  std::vector<SimFinding> findings;
  std::vector<MemoryRange> ranges; ///< checked: what may be touched, sorted by begin
  GlobalShadow global;             ///< checked: of each of `ranges`

  /// Records a finding, or counts it if one of its kind and positions is known.
  void report(SimFinding finding);
};

/// A host thread's part: runs one CTA after the other, each thread of it on a fiber.
class Worker {
public:
  Worker();
  ~Worker();
  /// Runs CTAs until none are left.
  void run(LaunchState &launch);

  // For the runtime functions, which run on fibers.
  LaunchState &launch() { return *launch_; }
  Checker *checker() { return checker_.get(); } ///< null in unchecked launches
  Cta &cta() { return cta_; }
  MatrixScratch &matrix_scratch() { return *matrix_; }
  /// Suspends `thread` until something has made it ready and its turn comes.
  void block(Thread &thread, WaitKind kind, uint32_t loc, uint64_t object = 0, uint64_t phase = 0);
  /// What every access of an instrumented image begins with: in a random schedule other threads may run first; counted
  /// launches count it. `site`: of the code that asks.
  void before_access(Thread &thread, const char *address, uint32_t bits, uint32_t loc, const void *site);
  /// Lets another thread run first, any that can.
  void yield(Thread &thread, uint32_t loc);
  /// `thread` has used up its loop iterations: the others' turn, if the CTA has time left.
  void next_turn(Thread &thread, uint32_t loc);
  /// Does the oldest asynchronous work that someone may be waiting for; false if there is none.
  bool run_deferred();
  /// Reports and gives the whole launch up; does not return.
  [[noreturn]] void fatal(SimFinding finding);
  [[noreturn]] void fatal(Thread &thread, FindingKind kind, uint32_t loc, std::string message, uint32_t other_loc = 0);
  SimFinding finding(const Thread &thread, FindingKind kind, uint32_t loc, std::string message, uint32_t other_loc = 0);

private:
  static void fiber_main(boost::context::detail::transfer_t transfer);
  void prepare();
  void start_cta(uint64_t index);
  bool next_cta();
  void finish(Thread &thread);
  Thread *pick(const Warp *current, uint32_t lane);
  Thread *pick_any();
  Thread *take(Warp &warp, uint32_t lane);
  /// What to do when no thread can run: asynchronous work first; else everyone is stuck.
  Thread *pick_or_progress(Thread &last);
  std::vector<SimFinding::Wait> whereabouts(Thread *&example);
  [[noreturn]] void deadlock(Thread &thread);
  [[noreturn]] void livelock(Thread &thread, uint32_t loc);
  void switch_to(Thread &next);
  Fiber *take_fiber();
  void release_fibers();
  uint64_t random();

  LaunchState *launch_ = nullptr;
  Cta cta_;
  std::unique_ptr<Checker> checker_;
  std::unique_ptr<TrafficRecorder> traffic_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  Fiber *free_ = nullptr;  ///< those that wait in fiber_main for a thread to run
  bool abandoned_ = false; ///< the last launch ended in the middle: its fibers are suspended anywhere
  Fiber main_;
  Fiber *current_ = nullptr;
  Thread *to_start_ = nullptr;
  size_t stack_bytes_ = 0;
  uint64_t random_ = 0;
  double cta_began_ = 0; ///< this host thread's processor time, in seconds
  std::unique_ptr<char[]> exchange_;
  char *window_ = nullptr;
  MatrixScratch *matrix_;
};

inline Thread &thread_of(SimContext *context) { return *static_cast<Thread *>(context); }

/// The runtime functions, by SimFunction.
extern const void *const function_table[kNumSimFunctions];

// Runtime functions by file (see sim_abi.h for what they do).
void sim_batch(SimContext *context, const SimBatch *batch, uint32_t mask);
void sim_warp_barrier(SimContext *context, uint32_t mask, uint32_t loc);
void sim_barrier(SimContext *context, uint32_t id, uint32_t count, uint32_t loc);
uint32_t sim_barrier_reduce(SimContext *context, uint32_t id, uint32_t count, uint32_t kind, uint32_t predicate,
                            uint32_t loc);
void sim_barrier_arrive(SimContext *context, uint32_t id, uint32_t count, uint32_t loc);
void sim_cp_async(SimContext *context, char *to, const char *from, uint32_t size, uint32_t source_bytes, uint32_t loc);
void sim_cp_async_commit(SimContext *context, uint32_t loc);
void sim_cp_async_wait(SimContext *context, uint32_t groups, uint32_t loc);
void sim_cp_async_mbarrier(SimContext *context, char *address, uint32_t noinc, uint32_t loc);
void sim_mbarrier_init(SimContext *context, char *address, uint32_t count, uint32_t loc);
void sim_mbarrier_inval(SimContext *context, char *address, uint32_t loc);
uint64_t sim_mbarrier_arrive(SimContext *context, char *address, uint32_t count, uint32_t expect_bytes, uint32_t loc);
void sim_mbarrier_expect(SimContext *context, char *address, uint32_t bytes, uint32_t loc);
uint32_t sim_mbarrier_try_wait(SimContext *context, char *address, uint64_t state, uint32_t is_parity, uint32_t loc);
uint32_t sim_mbarrier_test_wait(SimContext *context, char *address, uint64_t state, uint32_t is_parity, uint32_t loc);
char *sim_access(SimContext *context, char *address, uint32_t bits, uint32_t loc);
void sim_fence(SimContext *context, uint32_t kind, uint32_t loc);

/// A thread has exited: barriers that count all threads may be complete now.
void barriers_after_exit(Thread &thread);
/// Does `thread`'s copies of groups up to `group` and numbers up to `sequence`.
void run_copies(Thread &thread, uint32_t group, uint32_t sequence = ~0u);
/// `count` arrivals at an mbarrier (after any expected bytes were added).
void mbarrier_arrive(Cta &cta, Mbarrier &barrier, uint32_t offset, uint32_t count);

// Computing warp-wide operations (all lanes' operands are in the exchange buffer).
void run_batch(Warp &warp, const SimBatch &batch, uint32_t mask);
void run_mma(MatrixScratch &scratch, char *exchange, const SimBatchOp &op);
/// Forgets the operand conversions that run_mma keeps within a batch.
void begin_matrix_batch(MatrixScratch &scratch);
MatrixScratch *make_matrix_scratch();
void free_matrix_scratch(MatrixScratch *scratch);

} // namespace moec::sim
