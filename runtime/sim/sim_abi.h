// The binary interface between code images made by compiler/target/sim and the executor in runtime/sim: what a thread's
// context looks like, which runtime functions it can call, how warp-wide operations are described, and the image's
// header. Plain data only; both halves include it. Any change of meaning or layout here needs a new kSimAbiVersion.
#pragma once

#include <cstddef>
#include <cstdint>

namespace moec::sim {

constexpr uint32_t kSimMagic = 0x6d697331; // "1sim"
constexpr uint32_t kSimAbiVersion = 2;
constexpr uint32_t kWarpSize = 32;
constexpr uint32_t kMaxThreads = 1024;
constexpr uint32_t kMaxWarps = kMaxThreads / kWarpSize;
constexpr uint32_t kNumBarriers = 16;

/// Shared memory lives below 4 GiB, one window per CTA, so that a pointer's low 32 bits are its "shared address" and
/// the low 18 bits the offset in the CTA, as descriptors and swizzles expect.
constexpr uint64_t kSharedWindow = 256 * 1024;
constexpr uint64_t kMaxSharedBytes = 227 * 1024;

/// Runtime functions, by their place in the table that a thread's context points to.
enum SimFunction : uint32_t {
  kFnBatch,            ///< void(ctx, const SimBatch *, u32 mask)
  kFnBarrier,          ///< void(ctx, u32 id, u32 count or 0 for all, u32 loc)
  kFnBarrierReduce,    ///< u32(ctx, u32 id, u32 count, u32 SimBarrierReduction, u32 predicate, u32 loc)
  kFnBarrierArrive,    ///< void(ctx, u32 id, u32 count, u32 loc)
  kFnWarpBarrier,      ///< void(ctx, u32 mask, u32 loc)
  kFnCpAsync,          ///< void(ctx, ptr shared, ptr global, u32 size, u32 source_bytes, u32 loc)
  kFnCpAsyncCommit,    ///< void(ctx, u32 loc)
  kFnCpAsyncWait,      ///< void(ctx, u32 groups or ~0u: all, loc)
  kFnCpAsyncMbarrier,  ///< void(ctx, ptr mbarrier, u32 noinc, u32 loc)
  kFnMbarrierInit,     ///< void(ctx, ptr, u32 count, u32 loc)
  kFnMbarrierInval,    ///< void(ctx, ptr, u32 loc)
  kFnMbarrierArrive,   ///< u64 state(ctx, ptr, u32 count, u32 expect_bytes, u32 loc)
  kFnMbarrierExpect,   ///< void(ctx, ptr, u32 bytes, u32 loc)
  kFnMbarrierTryWait,  ///< u32(ctx, ptr, u64 state_or_parity, u32 is_parity, u32 loc): blocks until the phase is over
  kFnMbarrierTestWait, ///< u32(ctx, ptr, u64 state_or_parity, u32 is_parity, u32 loc): lets others run first
  kFnAccess,           ///< ptr(ctx, ptr, u32 SimAccess bits, u32 loc): the address to use; instrumented images only
  kFnFence,            ///< void(ctx, u32 SimFence, u32 loc); instrumented images only
  kFnTrap,             ///< void(ctx, u32 loc): does not return
  kFnAssert,   ///< void(ctx, ptr message, i64 first, i64 second, u32 loc): does not return; the integers stand for {0}
               ///< and {1}
  kFnDivision, ///< void(ctx, i64 dividend, i64 divisor, u32 loc): before a division; instrumented images only
  kFnSteps,    ///< void(ctx, u32 loc): at a loop's end when the context's `steps` are used up
  kFnYield,    ///< void(ctx, u32 loc): nanosleep and the like
  kNumSimFunctions
};

enum SimBarrierReduction : uint32_t { kBarrierAnd, kBarrierOr, kBarrierPopc };
enum SimFence : uint32_t { kFenceCta, kFenceGpu, kFenceSystem, kFenceProxyAsync, kFenceMbarrierInit };

/// The third argument of kFnAccess: bytes in the low 16 bits, then flags and log2 of the alignment that the code
/// promises.
enum SimAccess : uint32_t {
  kAccessSizeMask = 0xffff,
  kAccessWrite = 1u << 16,
  kAccessRead = 1u << 17,
  kAccessAtomic = 1u << 18,
  kAccessAlignShift = 20
};

/// What all threads of one CTA see. 32-bit words; the compiler addresses them by offsetof.
struct SimCtaInfo {
  uint32_t ctaid[3], nctaid[3], ntid[3];
  uint32_t nwarpid, smid, nsmid, gridid;
  uint32_t clusterid[3], nclusterid[3], cluster_ctaid[3], cluster_nctaid[3], cluster_ctarank, cluster_nctarank;
  uint32_t total_smem, dynamic_smem, aggr_smem;
};

/// The hidden first argument of every function of an image: the part of a thread's state that compiled code reads.
struct SimContext {
  const void *const *table; ///< SimFunction -> address
  char *shared;             ///< the CTA's dynamic shared memory (below 4 GiB)
  char *exchange4;          ///< the warp's exchange buffer + 4 * lane
  char *exchange8;          ///< the warp's exchange buffer + 8 * lane
  const SimCtaInfo *cta;
  uint32_t tid[3], laneid, warpid;
  uint32_t lanemask_eq, lanemask_le, lanemask_lt, lanemask_ge, lanemask_gt;
  uint32_t steps; ///< loop iterations until kFnSteps is called; compiled code counts down
};
constexpr uint32_t kStepsPerTurn = 4096;

/// Warp-wide operations. A run of them that needs nothing else in between is one SimBatch: each lane writes its
/// operands to the exchange buffer, the last lane to arrive computes every operation for all lanes, then each lane
/// reads its results. Operands are named by slot: slot s is 128 bytes at exchange + 128 * s, 4 bytes per lane. A "pair"
/// operand takes two slots, 8 bytes per lane: f32 accumulators c0,c1 of mma (which makes 8 matrix rows of 8 floats),
/// f64 and i64 values.
enum SimOpcode : uint32_t {
  kOpShfl,     ///< in: value, offset, clamp; out: result, predicate (or kNoSlot); mode: SimShfl
  kOpVote,     ///< in: predicate; out: result; mode: SimVote
  kOpMatch,    ///< in: value (pair if 64-bit); out: mask, predicate (all only); mode: bit 0 all, bit 1 64-bit
  kOpRedux,    ///< in: value; out: result; mode: SimRedux
  kOpElect,    ///< out: leader, predicate
  kOpLdMatrix, ///< in: shared address; out: num registers; mode: num | trans << 8
  kOpStMatrix, ///< in: shared address, num registers; mode as kOpLdMatrix
  kOpMma,      ///< in: A, B, C registers; out: D registers; mode: SimMma
};
enum SimShfl : uint32_t { kShflBfly, kShflUp, kShflDown, kShflIdx };
enum SimVote : uint32_t { kVoteAny, kVoteAll, kVoteUni, kVoteBallot };
enum SimRedux : uint32_t {
  kReduxAdd,
  kReduxUmin,
  kReduxUmax,
  kReduxMin,
  kReduxMax,
  kReduxAnd,
  kReduxOr,
  kReduxXor,
  kReduxFmin,
  kReduxFmax, ///< f32, numbers win over NaN
  kReduxAbs = 1u << 8,
  kReduxNan = 1u << 9
};
/// mma.sync kinds. Shapes are m16n8kK except f64 (m8n8k4). Registers in PTX order; C and D as pairs for f32, i32 and
/// f64.
enum SimMma : uint32_t {
  kMmaBf16K16,
  kMmaBf16K8,
  kMmaF16K16,
  kMmaF16K8,
  kMmaTf32K8,
  kMmaTf32K4,
  kMmaS8K32,
  kMmaU8K32,
  kMmaF64,
  kMmaF16Accum = 1u << 8 ///< C and D are f16x2 registers instead of f32 pairs
};
constexpr uint32_t kNoSlot = 0xffff;

struct SimBatchOp {
  uint32_t opcode, mode, loc;
  uint32_t num_in, num_out;
  uint32_t in[11];
  uint32_t out[8];
};
static_assert(sizeof(SimBatchOp) == 24 * 4);

struct SimBatch {
  uint32_t num_ops, loc; ///< followed by the operations
  const SimBatchOp *ops() const { return reinterpret_cast<const SimBatchOp *>(this + 1); }
};

enum SimLevel : uint32_t { kLevelV2 = 2, kLevelV3 = 3, kLevelV4 = 4 };
enum SimImageFlags : uint32_t { kImageChecked = 1 };

/// The start of an image. Offsets are in bytes from the image's first byte. The image is position-independent, is
/// mapped as a whole read+execute, and is entered at `entry`: void(SimContext *, void *const *params).
struct SimImageHeader {
  uint32_t magic, version, header_bytes, flags;
  uint32_t level;          ///< x86-64 level (SimLevel)
  uint32_t exchange_slots; ///< slots that a warp's exchange buffer needs
  uint32_t stack_bytes;    ///< largest stack frame of a function in the image
  uint32_t threads;        ///< nvvm.reqntid's product, 0 if the kernel does not say
  uint64_t total_bytes;
  uint64_t entry;
  uint64_t locations, num_locations; ///< SimLocation[]; location 0 is "unknown"
  uint64_t strings, string_bytes;    ///< NUL-terminated strings
  uint64_t kernel_name;              ///< offset into strings
};

struct SimLocation {
  uint32_t file; ///< offset into strings
  uint32_t line, column;
};

} // namespace moec::sim
