// Warp-wide operations: lanes meet, the last one computes for all.
#include "runtime/sim/checker.h"
#include "runtime/sim/machine.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace moec::sim {
namespace {

uint32_t *slot32(char *exchange, uint32_t slot) { return reinterpret_cast<uint32_t *>(exchange + 128 * slot); }
uint64_t *slot64(char *exchange, uint32_t slot) { return reinterpret_cast<uint64_t *>(exchange + 128 * slot); }

/// Brings `thread` to the rendezvous of `operation`; true if it completes it.
bool meet(Thread &thread, const void *operation, uint32_t mask, uint32_t loc) {
  Warp &warp = *thread.warp;
  Worker &worker = *thread.home->worker;
  uint32_t lane = thread.lanemask_eq;
  if (!(mask & lane))
    worker.fatal(thread, FindingKind::DivergentCollective, loc,
                 "a lane executes a warp-wide operation whose mask leaves it out");
  Rendezvous *found = nullptr;
  for (uint32_t i = 0; i < warp.num_waiting; ++i) {
    Rendezvous &other = warp.waiting[i];
    if (other.operation == operation && other.mask == mask) {
      found = &other;
    } else if ((other.mask & lane) || (mask & other.arrived)) {
      worker.fatal(thread, FindingKind::DivergentCollective, loc,
                   "lanes of one warp wait at different warp-wide operations", other.loc);
    }
  }
  if (!found) {
    found = &warp.waiting[warp.num_waiting++];
    *found = {operation, mask, 0, loc};
  }
  found->arrived |= lane;
  uint32_t needed = mask & warp.members;
  if (found->arrived != needed) {
    if (found->arrived != (needed & warp.alive)) return false;
    worker.fatal(thread, FindingKind::DivergentCollective, loc, "lanes that the operation's mask names have exited");
  }
  *found = warp.waiting[--warp.num_waiting];
  return true;
}

void run_shfl(char *exchange, const SimBatchOp &op, uint32_t mask) {
  const uint32_t *value = slot32(exchange, op.in[0]);
  uint32_t *result = slot32(exchange, op.out[0]);
  uint32_t *valid = op.num_out > 1 ? slot32(exchange, op.out[1]) : nullptr;
  uint32_t kind = op.mode & 0xff;
  for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
    if (!(mask >> lane & 1)) continue;
    uint32_t offset = (op.mode & (1u << 9) ? op.in[1] : slot32(exchange, op.in[1])[lane]) & 31;
    uint32_t control = op.mode & (1u << 10) ? op.in[2] : slot32(exchange, op.in[2])[lane];
    uint32_t clamp = control & 31, segment = control >> 8 & 31;
    uint32_t max = (lane & segment) | (clamp & ~segment), min = lane & segment;
    int32_t from = 0;
    bool inside = false;
    switch (kind) {
    case kShflUp:
      from = static_cast<int32_t>(lane - offset);
      inside = from >= static_cast<int32_t>(max);
      break;
    case kShflDown:
      from = static_cast<int32_t>(lane + offset);
      inside = from <= static_cast<int32_t>(max);
      break;
    case kShflBfly:
      from = static_cast<int32_t>(lane ^ offset);
      inside = from <= static_cast<int32_t>(max);
      break;
    default:
      from = static_cast<int32_t>(min | (offset & ~segment));
      inside = from <= static_cast<int32_t>(max);
      break;
    }
    result[lane] = value[inside ? from & 31 : static_cast<int32_t>(lane)];
    if (valid) valid[lane] = inside;
  }
}

void run_vote(char *exchange, const SimBatchOp &op, uint32_t mask) {
  const uint32_t *predicate = slot32(exchange, op.in[0]);
  uint32_t ballot = 0;
  for (uint32_t lane = 0; lane < kWarpSize; ++lane) ballot |= (predicate[lane] & 1u) << lane;
  ballot &= mask;
  uint32_t answer = 0;
  switch (op.mode) {
  case kVoteAny: answer = ballot != 0; break;
  case kVoteAll: answer = ballot == mask; break;
  case kVoteUni: answer = ballot == 0 || ballot == mask; break;
  default: answer = ballot; break;
  }
  uint32_t *result = slot32(exchange, op.out[0]);
  for (uint32_t lane = 0; lane < kWarpSize; ++lane)
    if (mask >> lane & 1) result[lane] = answer;
}

void run_match(char *exchange, const SimBatchOp &op, uint32_t mask) {
  bool all = op.mode & 1, wide = op.mode & 2;
  auto value = [&](uint32_t lane) {
    return wide ? slot64(exchange, op.in[0])[lane] : uint64_t(slot32(exchange, op.in[0])[lane]);
  };
  uint32_t results[kWarpSize] = {};
  bool same = true;
  uint32_t first = static_cast<uint32_t>(std::countr_zero(mask));
  for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
    if (!(mask >> lane & 1)) continue;
    same &= value(lane) == value(first);
    for (uint32_t other = 0; other < kWarpSize; ++other)
      if ((mask >> other & 1) && value(other) == value(lane)) results[lane] |= 1u << other;
  }
  for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
    if (!(mask >> lane & 1)) continue;
    slot32(exchange, op.out[0])[lane] = all ? (same ? mask : 0) : results[lane];
    if (op.num_out > 1) slot32(exchange, op.out[1])[lane] = same;
  }
}

uint32_t reduce_float(uint32_t mode, uint32_t a, uint32_t b) {
  float x = std::bit_cast<float>(a), y = std::bit_cast<float>(b);
  bool x_nan = x != x, y_nan = y != y;
  if (x_nan || y_nan) {
    if ((mode & kReduxNan) || (x_nan && y_nan)) return 0x7fffffff;
    return x_nan ? b : a;
  }
  bool max = (mode & 0xff) == kReduxFmax;
  if (x == y) return max ? (a & b) : (a | b); // -0 is less than +0
  return (x > y) == max ? a : b;
}

void run_redux(char *exchange, const SimBatchOp &op, uint32_t mask) {
  const uint32_t *value = slot32(exchange, op.in[0]);
  bool first = true;
  uint32_t total = 0;
  for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
    if (!(mask >> lane & 1)) continue;
    uint32_t x = value[lane];
    if (op.mode & kReduxAbs) x &= 0x7fffffff;
    if (first) {
      total = x;
      first = false;
      continue;
    }
    auto a = static_cast<int32_t>(total), b = static_cast<int32_t>(x);
    switch (op.mode & 0xff) {
    case kReduxAdd: total += x; break;
    case kReduxUmin: total = std::min(total, x); break;
    case kReduxUmax: total = std::max(total, x); break;
    case kReduxMin: total = static_cast<uint32_t>(std::min(a, b)); break;
    case kReduxMax: total = static_cast<uint32_t>(std::max(a, b)); break;
    case kReduxAnd: total &= x; break;
    case kReduxOr: total |= x; break;
    case kReduxXor: total ^= x; break;
    default: total = reduce_float(op.mode, total, x); break;
    }
  }
  if ((op.mode & 0xff) >= kReduxFmin)
    total = reduce_float(op.mode, total, total); // a NaN that met no other is canonical, too
  uint32_t *result = slot32(exchange, op.out[0]);
  for (uint32_t lane = 0; lane < kWarpSize; ++lane)
    if (mask >> lane & 1) result[lane] = total;
}

void run_elect(char *exchange, const SimBatchOp &op, uint32_t mask) {
  uint32_t leader = static_cast<uint32_t>(std::countr_zero(mask));
  uint32_t *result = slot32(exchange, op.out[0]);
  for (uint32_t lane = 0; lane < kWarpSize; ++lane)
    if (mask >> lane & 1) result[lane] = lane == leader;
}

/// Row r of matrix m is at the address that lane 8 * m + r gives; lane l holds elements 2 * (l % 4) and the next of row
/// l / 4.
void run_ldmatrix(Warp &warp, const SimBatchOp &op) {
  const uint32_t *address = slot32(warp.exchange, op.in[0]);
  Checker *checker = warp.threads[0].home->worker->checker();
  bool transposed = op.mode >> 8 & 1;
  for (uint32_t m = 0; m < op.num_out; ++m) {
    uint32_t *result = slot32(warp.exchange, op.out[m]);
    for (uint32_t row = 0; row < 8; ++row) {
      uint32_t lane = 8 * m + row;
      const char *from = reinterpret_cast<const char *>(uintptr_t(address[lane]));
      if (checker) from = checker->matrix_row(warp.threads[lane], const_cast<char *>(from), false, op.loc);
      if (!transposed) {
        std::memcpy(result + 4 * row, from, 16);
      } else {
        uint16_t elements[8];
        std::memcpy(elements, from, 16);
        auto *halves = reinterpret_cast<uint16_t *>(result);
        for (uint32_t column = 0; column < 8; ++column) halves[8 * column + row] = elements[column];
      }
    }
  }
}

void run_stmatrix(Warp &warp, const SimBatchOp &op) {
  const uint32_t *address = slot32(warp.exchange, op.in[0]);
  Checker *checker = warp.threads[0].home->worker->checker();
  bool transposed = op.mode >> 8 & 1;
  for (uint32_t m = 0; m + 1 < op.num_in; ++m) {
    const uint32_t *source = slot32(warp.exchange, op.in[m + 1]);
    for (uint32_t row = 0; row < 8; ++row) {
      uint32_t lane = 8 * m + row;
      char *to = reinterpret_cast<char *>(uintptr_t(address[lane]));
      if (checker) to = checker->matrix_row(warp.threads[lane], to, true, op.loc);
      if (!transposed) {
        std::memcpy(to, source + 4 * row, 16);
      } else {
        uint16_t elements[8];
        const auto *halves = reinterpret_cast<const uint16_t *>(source);
        for (uint32_t column = 0; column < 8; ++column) elements[column] = halves[8 * column + row];
        std::memcpy(to, elements, 16);
      }
    }
  }
}

} // namespace

void run_batch(Warp &warp, const SimBatch &batch, uint32_t mask) {
  const SimBatchOp *ops = batch.ops();
  bool matrices = false;
  MatrixScratch &scratch = warp.threads[0].home->worker->matrix_scratch();
  for (uint32_t i = 0; i < batch.num_ops; ++i) {
    const SimBatchOp &op = ops[i];
    switch (op.opcode) {
    case kOpShfl: run_shfl(warp.exchange, op, mask); break;
    case kOpVote: run_vote(warp.exchange, op, mask); break;
    case kOpMatch: run_match(warp.exchange, op, mask); break;
    case kOpRedux: run_redux(warp.exchange, op, mask); break;
    case kOpElect: run_elect(warp.exchange, op, mask); break;
    case kOpLdMatrix: run_ldmatrix(warp, op); break;
    case kOpStMatrix: run_stmatrix(warp, op); break;
    case kOpMma:
      if (!matrices) begin_matrix_batch(scratch);
      matrices = true;
      run_mma(scratch, warp.exchange, op);
      break;
    }
  }
}

void sim_batch(SimContext *context, const SimBatch *batch, uint32_t mask) {
  Thread &thread = thread_of(context);
  Warp &warp = *thread.warp;
  if (meet(thread, batch, mask, batch->loc)) {
    run_batch(warp, *batch, mask & warp.members);
    uint32_t others = mask & warp.members & ~thread.lanemask_eq;
    if (others) thread.home->wake(warp, others);
  } else {
    thread.home->worker->block(thread, WaitKind::Batch, batch->loc);
  }
}

void sim_warp_barrier(SimContext *context, uint32_t mask, uint32_t loc) {
  Thread &thread = thread_of(context);
  Warp &warp = *thread.warp;
  if (meet(thread, nullptr, mask, loc)) {
    mask &= warp.members;
    if (Checker *checker = thread.home->worker->checker()) checker->warp_barrier(warp, mask);
    if (mask & ~thread.lanemask_eq) thread.home->wake(warp, mask & ~thread.lanemask_eq);
  } else {
    thread.home->worker->block(thread, WaitKind::WarpBarrier, loc);
  }
}

} // namespace moec::sim
