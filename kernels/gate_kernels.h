// What the gate's kernels share: the formulas of the scores; and the gradient of a selection. Internal to kernels/.
#pragma once

#include <cmath>

#include "dsl/dsl.h"
#include "kernels/gate.h"
#include "kernels/rounding.h"

namespace moec::kernel {

constexpr double kTiny = 1e-20; ///< in the divisor of normalized weights

/// Sums along the last axis of [rows, lanes] as a column.
inline Tile row_sum(const Tile &x) { return expand_dims(sum(x, 1), 1); }
/// Softmax over the lanes that have a part in it, 0 elsewhere.
inline Tile softmax_of(const Tile &x, const Tile &part) {
  Tile masked = where(part, x, -INFINITY), p = exp(masked - expand_dims(max(masked, 1), 1));
  return p / row_sum(p);
}

/// Scores are functions of one logit and two numbers of its row.
struct ScoreRow {
  ScoreFunction function;
  bool before_topk;
  DType logits;         ///< their dtype, to which sigmoid rounds
  Tile greatest, total; ///< of a softmax, [rows, 1]

  bool is_softmax() const {
    return function == ScoreFunction::softmax_with_bias || (function == ScoreFunction::softmax && before_topk);
  }
  bool is_sigmoid() const { return function == ScoreFunction::sigmoid || function == ScoreFunction::sigmoid_with_bias; }

  /// x [rows, lanes] of one wide dtype; lanes that are not live have no part in it.
  ScoreRow(ScoreFunction function, bool before_topk, DType logits, const Tile &x, const Tile &live)
      : function(function), before_topk(before_topk), logits(logits) {
    if (!is_softmax()) return;
    Tile masked = where(live, x, -INFINITY);
    greatest = expand_dims(max(masked, 1), 1);
    total = row_sum(exp(masked - greatest));
  }

  /// The scores of logits x of the row; logits themselves if the softmax comes after the selection.
  Tile operator()(const Tile &x) const {
    if (is_softmax()) return exp(x - greatest) / total;
    if (is_sigmoid()) return rounded(1.0 / (1.0 + exp(-x)), logits);
    return function == ScoreFunction::sqrtsoftplus ? sqrt(softplus(x)) : x;
  }

  /// Gradient of the logits from gradients g of the scores; both 0 where not live.
  Tile backward(const Tile &g, const Tile &x, const Tile &live) const {
    Tile s = where(live, (*this)(x), 0);
    if (is_softmax()) return s * (g - row_sum(g * s));
    if (is_sigmoid()) return g * s * (1.0 - s);
    if (function != ScoreFunction::sqrtsoftplus) return g;
    return where(s > 0, g / (2.0 * s * (1.0 + exp(-x))), 0);
  }

private:
  /// log(1 + e^x), accurate on both sides: max(x, 0) + log1p(e^-|x|).
  static Tile softplus(const Tile &x) {
    Tile e = exp(-abs(x)), sum = 1.0 + e;
    // The rounding of 1 + e cancels in log(sum) / (sum - 1).
    Tile small = sum == 1, log1p = where(small, e, log(sum) * e / where(small, 1, sum - 1.0));
    return maximum(x, 0) + log1p;
  }
};

} // namespace moec::kernel

namespace moec {

/// Throws UserError unless these belong together and can be.
void check_gate(const Tensor &x, const GateParameters &parameters, const GateOptions &options);
/// x in the dtype of the logits.
Tensor in_precision(const Stream &stream, const Tensor &x, const GateOptions &options);

/// How weights came from logits; the gate's and the top-k's options both say it.
struct Selection {
  ScoreFunction score = ScoreFunction::softmax;
  bool before_topk = false; ///< softmax over all experts
  bool normalized = false;  ///< weights and scores divided by their sum
  double scale = 1;
};
/// Gradient of logits [T, E], in their dtype, from those of the selected weights [T, K] and, if defined, of the scores
/// [T, E].
Tensor select_backward(const Stream &stream, const std::string &what, const Selection &selection, const Tensor &grad,
                       const Tensor &logits, const Tensor &indices, const Tensor &grad_scores = {});

} // namespace moec
