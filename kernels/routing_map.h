// What kernels and host functions over routing maps [T, E] share. Internal to kernels/.
#pragma once

#include "dsl/dsl.h"
#include "kernels/host.h"
#include "kernels/routing.h"

namespace moec {
namespace kernel {

struct MapSpec {
  int experts = 128;
  int block = 32;        ///< tokens per program
  bool weighted = true;  ///< there are probabilities
  bool capacity = false; ///< every expert gets exactly `unit` rows, else its count rounded up to a multiple of `unit`
  bool check = false;    ///< sorted_indices is given and must be the map's, else it is written
  bool compact = false;  ///< row_id_map is written as well
  bool zero = false;     ///< pairs of probability 0 have rows of zeros
  static void fields(auto &s, auto &&f) {
    f("experts", s.experts), f("block", s.block), f("weighted", s.weighted), f("capacity", s.capacity),
        f("check", s.check), f("compact", s.compact), f("zero", s.zero);
  }
};

/// Where a program's tokens stand in each expert's column. All [block, next_pow2(experts)] or broadcast to it.
struct MapBlock {
  Tile token, expert; ///< [block, 1], [experts]
  Tile routed;        ///< bool, false outside of the map
  Tile rank;          ///< i32: routed tokens of the expert before this one
  Tile count;         ///< i32 [experts]: routed tokens of the expert in all
};
/// Block `b` of a map; counts[b] holds the routed tokens per expert before the block, totals those in all.
MapBlock map_block(const MapSpec &s, View map, View counts, View totals, Int b);

/// Whether values of a map say that a pair is routed.
inline Tile is_pair(const Tile &m) { return m.dtype() == boolean ? m : m != 0; }

} // namespace kernel

/// Throws UserError unless the map is [T, E] with 1 to 4096 experts, fewer than 2^31 cells and a dtype with zero.
void check_map(const Asked &what, const Tensor &map);
kernel::MapSpec map_spec(int64_t experts, bool weighted = false);
/// Experts of a program that has all tokens of some columns of [T, E] tensors of these dtypes: so many that programs
/// share no 32-byte sector. If rows begin inside of sectors these are all.
int columns_of_map(int experts, std::initializer_list<DType> dtypes);

struct MapCounts {
  Tensor before; ///< i32 [blocks, E]: routed tokens of the expert before each block of tokens
  Tensor totals; ///< i32 [E]: in all
};
/// Counts a map's columns in blocks of map_spec(E).block tokens: two kernels.
MapCounts count_map(const Stream &stream, const Tensor &map);
/// Throws UserError unless the map has token_rows [T, 2*E] and row_counts [T].
void check_token_rows(const std::string &what, const RoutingMap &map);
/// The token_rows and row_counts of row_of i32 [T, E]: row of each pair, or -1.
RoutingMap list_token_rows(const Stream &stream, const Tensor &row_of);
/// Replaces counts [blocks, bins] i32 by the sums of the rows before; totals [bins]: of all rows.
void scan_counts(const Stream &stream, const Tensor &counts, const Tensor &totals);
/// Waits for the stream. Throws UserError with all counts if one of `routed` i32 [E] is more than the capacity.
void check_capacity(const Stream &stream, const Asked &what, const Tensor &routed, int64_t capacity);

} // namespace moec
