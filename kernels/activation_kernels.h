// The kernels of the activations, made from activation_formula.h. Internal to kernels/.
#pragma once

#include "kernels/activation_formula.h"
#include "runtime/jit.h"

namespace moec::kernel {

/// What is added to x after the clamp: nothing, one row [1, U], or [M, U].
enum class Bias : uint8_t { none, one_row, rows };

struct ActivationSpec {
  int block = 1024; ///< columns of y per step
  int steps = 1;    ///< of a forward's program: along the row, or, with Bias::one_row, down the rows
  int rows = 1;     ///< rows per step
  ActivationFields formula;
  bool weighted = true; ///< times w[t]
  Bias bias = Bias::none;
  bool saves = false; ///< forward: codes of e4m3 for the backward
  static void fields(auto &s, auto &&f) {
    f("block", s.block), f("steps", s.steps), f("rows", s.rows);
    ActivationFields::fields(s.formula, f);
    f("weighted", s.weighted), f("bias", s.bias), f("saves", s.saves);
  }
};

/// y[t, c] = activation(x[t])[c] * w[t]; x [T, U], w [T, 1], y [T, H].
void weighted_swiglu(const ActivationSpec &s, View x, View w, View y);
/// The same with all options; bias, and saved u8 [T, U]; what the spec leaves out is not touched.
void activation(const ActivationSpec &s, View x, View w, View bias, View y, View saved);
/// grad_x [T, U], grad_w [T, 1] for grad [T, H]; x of any float dtype or e4m3 codes as saved. grad_bias [T, U], the
/// gradient before the clamp's, if own_bias_gradient. Not for Bias::one_row. grad_w: see kWeightColumns.
void activation_backward(const ActivationSpec &s, View grad, View x, View w, View bias, View grad_x, View grad_w,
                         View grad_bias);
/// The gradient of a weight sums as many columns (or the block's, if it has fewer) as a balanced tree; these sums are
/// added in as many running sums as a block has of them, and those as a balanced tree. So in all forms of the kernel.
constexpr int kWeightColumns = 128;
/// False where there is no gradient of a bias [T, U], or it is that of x.
bool own_bias_gradient(const ActivationSpec &s, DType grad_x, DType bias);
/// Rows that are one row of sums, in steps of spec.rows.
constexpr int kSummedRows = 512;
/// activation_backward for Bias::one_row: sums[p, :] = sum of the gradient before the clamp's over rows p * kSummedRows
/// .. (p + 1) * kSummedRows; products[q, t] = the part of grad_w[t] from columns q * spec.block .. (q + 1) *
/// spec.block.
void activation_backward_bias(const ActivationSpec &s, View grad, View x, View w, View bias, View grad_x, View products,
                              View sums);
struct SumRowsSpec {
  int rows = 32;  ///< per step
  int block = 64; ///< columns per program
  static void fields(auto &s, auto &&f) { f("rows", s.rows), f("block", s.block); }
};
/// y[p, :] = sum of x[p * kSummedRows .. (p + 1) * kSummedRows, :].
void sum_rows(const SumRowsSpec &s, View x, View y);

} // namespace moec::kernel

namespace moec {

/// The sum of all rows of [N, F]: f32 (f64 for f64), one rounding to `dtype`. [F]. 512 rows at a time in
/// `running` running sums (a power of two), a balanced tree of these, then the blocks' sums likewise.
Tensor sum_of_rows(const Stream &stream, Tensor x, DType dtype, int running = 32);

} // namespace moec
