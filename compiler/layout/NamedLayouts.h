// Constructors of the layouts that have names: readable parameters in, a LinearLayout out. Nothing else in the compiler
// knows these formulas; conversions, vector widths and bank conflicts look at the LinearLayout alone.
//
// `order` lists the dims, fastest first; for a row-major matrix it is {1, 0}. Register bits that would hold copies are
// left out by blocked and coalesced; the mma layouts keep theirs, since the instruction's fragment has a fixed register
// count. Fragment formulas: PTX ISA, "Matrix Fragments for mma.m16n8k16 / m16n8k32 / m16n8k8"; swizzles: "Tensor
// swizzling modes".
#pragma once

#include "compiler/layout/LinearLayout.h"

namespace moec::compiler {

/// Every thread holds a block of `sizePerThread`, `threadsPerWarp` blocks make a warp's tile, `warpsPerCTA` of these
/// the CTA's; what is smaller than `shape` repeats over it in registers, what sticks out of it holds copies.
LinearLayout blocked(const Dims &shape, const Dims &sizePerThread, const Dims &threadsPerWarp, const Dims &warpsPerCTA,
                     const Dims &order);

/// The blocked layout for memory access: up to `vec` neighbours per thread along order[0] (fewer if threads would
/// idle), lanes and then warps along the dims in order. Follows from shape, vec, order and numWarps alone.
LinearLayout coalesced(const Dims &shape, int vec, int numWarps, const Dims &order);

/// Accumulator of mma.sync m16n8 [M, N] with 32-bit elements (c0..c3). Warp w works at rows 16 * (w % warpsM), columns
/// 8 * (w / warpsM); over bigger shapes the tile of all warps repeats in registers, N first, then M.
/// With warpsM = 4, warpsN = 1 it is also wgmma's m64nN accumulator.
LinearLayout mmaAccumulator(const Dims &shape, int warpsM, int warpsN);

enum class DotOperand { A, B };
/// Operand A [M, K] or B [K, N] of the mma.sync whose A is 16 x (8 * 32/elemBits): m16n8k16 for 16-bit elements,
/// m16n8k32 for 8-bit, m16n8k8 for tf32. Same warps as mmaAccumulator; a warp column (row) shares A (B). Repeats K
/// first.
LinearLayout mmaOperand(DotOperand operand, const Dims &shape, int elemBits, int warpsM, int warpsN);

/// Shared memory, `order` fastest first, with groups of `vec` elements XORed by (row / perPhase) % maxPhase, where row
/// is the coordinate of order[1]: offset -> tensor. vec = perPhase = maxPhase = 1 is plain memory; rank 1 is always
/// plain.
LinearLayout swizzledShared(const Dims &shape, int vec, int perPhase, int maxPhase, const Dims &order);

/// swizzledShared for a matrix that ldmatrix reads (plain or transposed): the 16-byte chunks of 8 rows of order[1] that
/// follow each other fall into different banks, and 16-byte stores stay whole.
LinearLayout matrixShared(const Dims &shape, int elemBits, const Dims &order);

/// The shared memory that TMA writes and wgmma reads, row-major, swizzle of 32, 64 or 128 bytes: 16-byte chunk number
/// (address bits 4..6) XOR address bits 7..9, as many bits as the swizzle has. The inner extent is cut into boxes of
/// `swizzleBytes`, stored one after the other. The buffer must be aligned to 8 * swizzleBytes.
LinearLayout tmaShared(const Dims &shape, int elemBits, int swizzleBytes);

} // namespace moec::compiler
