// Vector clocks of the threads of one CTA and of their asynchronous copies, for the race detector.
//
// Agents 0..T-1 are the threads, T..2T-1 the copies (cp.async) of thread u-T; a copy's time is its group's number,
// since groups are complete in order. What thread t knows of agent u is one number: accesses of u up to that time
// happened before. All but two entries of a thread's clock (its own, and its own copies) stand in a block that threads
// share and never change: a barrier gives all its threads the same new block.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace moec::sim {

using ClockBlock = std::shared_ptr<const std::vector<uint32_t>>;

struct ThreadClock {
  ClockBlock block;
  uint32_t own = 1;         ///< this thread's time; moves on at each release
  uint32_t copies_done = 0; ///< groups of its copies that it has waited for
};

class Clocks {
public:
  void reset(uint32_t threads) {
    threads_ = threads;
    if (!zero_ || zero_->size() != 2 * threads) zero_ = std::make_shared<std::vector<uint32_t>>(2 * threads, 0);
    clocks_.assign(threads, {zero_, 1, 0});
  }

  uint32_t threads() const { return threads_; }
  ThreadClock &of(uint32_t thread) { return clocks_[thread]; }

  /// Whether what `agent` did at `time` happened before what `thread` does now.
  bool ordered(uint32_t thread, uint32_t agent, uint32_t time) const {
    const ThreadClock &clock = clocks_[thread];
    if (agent == thread) return true;
    if (agent == threads_ + thread) return time <= clock.copies_done;
    return time <= (*clock.block)[agent];
  }

  /// Adds what `thread` knows to `sum` (made if empty).
  void add(std::vector<uint32_t> &sum, uint32_t thread) const {
    if (sum.empty()) sum.assign(2 * threads_, 0);
    const ThreadClock &clock = clocks_[thread];
    raise(sum, *clock.block);
    raise(sum[thread], clock.own);
    raise(sum[threads_ + thread], clock.copies_done);
  }

  /// The sum of all `members`' knowledge becomes theirs; each then moves on.
  void join(const std::vector<uint32_t> &members, std::vector<uint32_t> extra = {}) {
    std::vector<uint32_t> sum = std::move(extra);
    if (sum.empty()) sum.assign(2 * threads_, 0);
    const void *last = nullptr;
    for (uint32_t thread : members) {
      const ThreadClock &clock = clocks_[thread];
      if (clock.block.get() != last) raise(sum, *clock.block);
      last = clock.block.get();
      raise(sum[thread], clock.own);
      raise(sum[threads_ + thread], clock.copies_done);
    }
    ClockBlock block = std::make_shared<const std::vector<uint32_t>>(std::move(sum));
    for (uint32_t thread : members) {
      clocks_[thread].block = block;
      ++clocks_[thread].own;
    }
  }

  /// `thread` learns what `block` says.
  void acquire(uint32_t thread, const ClockBlock &block) {
    ThreadClock &clock = clocks_[thread];
    if (clock.block == block) return;
    if (last_from_ == clock.block && last_with_ == block) {
      clock.block = last_result_;
      return;
    }
    auto sum = std::make_shared<std::vector<uint32_t>>(*clock.block);
    raise(*sum, *block);
    last_from_ = clock.block;
    last_with_ = block;
    clock.block = last_result_ = sum;
  }

private:
  static void raise(uint32_t &to, uint32_t value) {
    if (to < value) to = value;
  }
  static void raise(std::vector<uint32_t> &to, const std::vector<uint32_t> &values) {
    for (size_t i = 0; i < to.size(); ++i) raise(to[i], values[i]);
  }

  uint32_t threads_ = 0;
  ClockBlock zero_;
  std::vector<ThreadClock> clocks_;
  ClockBlock last_from_, last_with_, last_result_; ///< the last acquire: many threads often learn the same
};

} // namespace moec::sim
