// The kernels of grouped products: their specs, and what they share. Internal to kernels/.
#pragma once

#include "dsl/dsl.h"
#include "kernels/activation_formula.h"

namespace moec::kernel {

inline constexpr int kScaleBlock = 128; ///< elements along K (and columns, for blocks of b) under one scale

/// How the scales of an operand lie.
enum class Scale : uint8_t {
  none,
  row,    ///< one per row of a, one per column of b: after the sums
  blocks, ///< one per row (column) and 128 elements of K
  square, ///< of b: one per 128 columns and 128 elements of K
};

/// One description of all forms of the product.
struct GroupedMmSpec {
  int experts = 8, n = 2048, k = 2048; ///< n: columns of b
  bool transposed = false;             ///< b is [E, N, K], else [E, K, N]
  int bm = 128, bn = 128, bk = 64;     ///< bn: columns of b per tile
  bool sizes = false;                  ///< offs holds sizes, else ends
  bool zero_tail = false, gather = false;
  int divide = 1;
  bool scatter = false;
  Scale scale_a = Scale::none, scale_b = Scale::none;
  bool round_product = false; ///< the sums are rounded to c's dtype before the bias
  bool bias = false, bias_weighted = false, keep = false, activated = false;
  bool weighted = false, by_slot = false, round_first = false, accumulate = false;
  ActivationFields activation = {};
  static void fields(auto &s, auto &&f) {
    f("experts", s.experts), f("n", s.n), f("k", s.k), f("transposed", s.transposed);
    f("bm", s.bm), f("bn", s.bn), f("bk", s.bk), f("sizes", s.sizes), f("zero_tail", s.zero_tail);
    f("gather", s.gather), f("divide", s.divide), f("scatter", s.scatter);
    f("scale_a", s.scale_a), f("scale_b", s.scale_b), f("bias", s.bias), f("bias_weighted", s.bias_weighted);
    f("round_product", s.round_product);
    f("keep", s.keep), f("weighted", s.weighted), f("by_slot", s.by_slot), f("round_first", s.round_first);
    f("accumulate", s.accumulate), f("activated", s.activated);
    ActivationFields::fields(s.activation, f);
  }

  bool gated() const { return activated && activation.gated; }
  /// Gate and up columns of [gate | up] are two products with the same rows; interleaved ones are neighbours in one.
  int parts() const { return gated() && !activation.interleaved ? 2 : 1; }
  int width() const { return gated() ? n / 2 : n; } ///< columns of c
  int tile_width() const { return gated() ? bn / 2 : bn; }
  int part_width() const { return bn / parts(); } ///< columns of each part of b per tile
  bool scales_in_loop() const { return scale_a == Scale::blocks || scale_b > Scale::row; }
};

/// Where each expert's rows are; padding lanes have none.
struct Groups {
  Tile lane, live, first, last;
};
/// Of offs (ends or sizes), asserting that they do not decrease nor pass `rows`.
Groups groups_of(int experts, bool sizes, const View &offs, const Int &rows);

/// The row of the source (below `rows` * divide) that `index` names at `at`; -1 where `live` is false or it says so.
Tile indexed_rows(const View &index, const Tile &at, const Tile &live, const Int &rows, int divide,
                  const char *message);

/// Persistent: one flat loop over all tiles of all experts.
void grouped_mm(const GroupedMmSpec &s, View a, View b, View c, View offs, View gather, View scatter, View weights,
                View bias, View bias_weights, View kept, View scale_a, View scale_b);

struct GroupedMmBackwardSpec {
  int experts = 8, n = 2048, k = 2048;
  bool transposed = false; ///< the result is [E, N, K], else [E, K, N]
  int bm = 128, bn = 128, bk = 64;
  bool sizes = false, gather = false;
  int divide = 1;
  bool scatter = false, accumulate = false;
  static void fields(auto &s, auto &&f) {
    f("experts", s.experts), f("n", s.n), f("k", s.k), f("transposed", s.transposed);
    f("bm", s.bm), f("bn", s.bn), f("bk", s.bk), f("sizes", s.sizes), f("gather", s.gather), f("divide", s.divide);
    f("scatter", s.scatter), f("accumulate", s.accumulate);
  }
};
/// One program per tile of the result.
void grouped_mm_backward_b(const GroupedMmBackwardSpec &s, View a, View grad, View out, View offs, View gather,
                           View scatter);

} // namespace moec::kernel
