// Rows in the order of their experts through the two products, and back.
#include "kernels/experts_core.h"

#include "kernels/arithmetic.h"
#include "kernels/bias.h"
#include "kernels/convert.h"
#include "kernels/grouped_mm.h"
#include "kernels/host.h"
#include "kernels/rows.h"

namespace moec {

ExpertsResult experts_forward(const Stream &stream, const ExpertsForm &form, const ExpertParameters &p, const Tensor &x,
                              const Tensor &token_mask, const Tensor &weights, const Tensor &indices,
                              ExpertsSteps *steps) {
  const int experts = static_cast<int>(p.gate_up.size(0)), topk = static_cast<int>(indices.size(1));
  Routing r = route_slots(stream, indices, experts, form.first_expert, token_mask, weights);
  GroupedMmOptions up, down;
  up.transposed = down.transposed = form.transposed;
  Tensor rows = x;
  if (form.weights == RouterWeights::input)
    rows = gather_rows(stream, x, r.token_ids, 1, r.weights);
  else
    up.gather = r.token_ids;
  up.bias = p.gate_up_bias;
  up.round_before_bias = down.round_before_bias = true;
  up.activation = form.activation;
  up.pre_activation = Tensor::empty({indices.numel(), p.gate_up.size(form.transposed ? 1 : 2)}, x.dtype(), stream);
  down.bias = p.down_bias;
  if (form.weights == RouterWeights::activation) {
    up.row_weights = r.weights;
    if (p.down_bias.defined()) down.bias_weights = r.weights;
  }
  Tensor activated = grouped_mm(stream, rows, p.gate_up, r.offs, up);
  Tensor result = grouped_mm(stream, activated, p.down, r.offs, down);
  ExpertsResult out;
  out.y = combine_rows(stream, result, r.row_ids, topk, form.weights == RouterWeights::output ? weights : Tensor(),
                       form.round_weighted);
  out.kept = {x, up.pre_activation, r.token_ids, r.row_ids, r.weights, r.offs, topk, weights.dtype()};
  if (steps) *steps = {r, up.pre_activation, activated, result};
  return out;
}

namespace {

/// The dtype in which a product of x's dtype can be made for `dtype`.
DType product_dtype(DType x, DType dtype) { return x == f64 || dtype != f64 ? (x == f64 ? f64 : dtype) : f32; }

/// Gradients of both matrices from those of their products' rows.
void matrix_gradients(const Stream &stream, const ExpertsForm &form, const Tensor &grad, const Tensor &grad_gate_up,
                      const Tensor &row_weights, const ExpertsKept &kept, DType dtype, ExpertParameters &out) {
  GroupedMmOptions up, down;
  up.transposed = down.transposed = form.transposed;
  up.dtype = down.dtype = product_dtype(kept.x.dtype(), dtype);
  down.scatter = kept.token_ids;
  Tensor activated = activate(stream, kept.gate_up, form.activation, row_weights), rows = kept.x;
  if (form.weights == RouterWeights::input)
    rows = gather_rows(stream, kept.x, kept.token_ids, 1, kept.weights);
  else
    up.gather = kept.token_ids;
  out.down = as_dtype(stream, grouped_mm_backward_b(stream, activated, grad, kept.offs, down), dtype);
  out.gate_up = as_dtype(stream, grouped_mm_backward_b(stream, rows, grad_gate_up, kept.offs, up), dtype);
}

} // namespace

void check_kept(const char *name, const MoeConfig &config, const ExpertsKept &kept) {
  check_that(kept.x.defined(), name, "backward() without what a forward pass kept",
             "pass the kept part of forward()'s result");
  check_that(kept.topk == config.n_activated_experts, name,
             "what was kept is of another topk: " + std::to_string(kept.topk), "pass what this layer's forward() kept");
  check_shape({name, "kept x"}, kept.x, {-1, config.expert_dim()});
  const int64_t rows = kept.x.size(0) * kept.topk;
  auto check = [&](const char *what, const Tensor &tensor, const Dims &shape, std::initializer_list<DType> dtypes) {
    check_shape({name, what}, tensor, shape);
    check_dtype({name, what}, tensor, dtypes);
  };
  check("kept gate_up", kept.gate_up, {rows, config.up_dim()}, {kept.x.dtype()});
  check("kept token_ids", kept.token_ids, {rows}, {i32});
  check("kept row_ids", kept.row_ids, {rows}, {i32});
  check("kept weights", kept.weights, {rows}, {f32, f64});
  check("kept offs", kept.offs, {config.n_routed_experts}, {i32});
}

ExpertsGrads experts_backward(const Stream &stream, const ExpertsForm &form, const ExpertParameters &p,
                              const Tensor &grad, const ExpertsKept &kept, DType dtype) {
  const bool at_input = form.weights == RouterWeights::input;
  const Tensor row_weights = at_input ? Tensor() : kept.weights.reshape({-1, 1});
  const RowsOfExperts experts = RowsOfExperts::by_ends(kept.offs);
  GroupedMmOptions back, of_tokens;
  back.transposed = of_tokens.transposed = !form.transposed;
  of_tokens.gather = kept.token_ids;
  // Where the weights multiply the second product, the source has their gradient from its rows: no rounding comes
  // between.
  if (form.weights == RouterWeights::output) of_tokens.dtype = wide_dtype(grad.dtype());
  Tensor grad_activated = grouped_mm(stream, grad, p.down, kept.offs, of_tokens);
  ActivationGrads act = activate_backward(stream, grad_activated, kept.gate_up, form.activation, row_weights);
  Tensor rows = grouped_mm(stream, act.x, p.gate_up, kept.offs, back);

  ExpertsGrads out;
  matrix_gradients(stream, form, grad, act.x, row_weights, kept, dtype, out.parameters);
  Tensor of_weights = at_input ? row_dots(stream, rows, kept.x, kept.token_ids, kept.weights.dtype()) : act.weights;
  if (p.down_bias.defined()) {
    Tensor of_rows = gather_rows(stream, grad, kept.token_ids);
    BiasGrads b = apply_bias_backward(stream, of_rows, p.down_bias, experts, row_weights, {.dtype = dtype});
    out.parameters.down_bias = b.bias;
    if (!at_input) of_weights = add(stream, of_weights, b.probs);
  }
  if (p.gate_up_bias.defined()) out.parameters.gate_up_bias = bias_grad(stream, act.x, experts, {}, {.dtype = dtype});
  auto by_slot = [&](const Tensor &of_row, DType t) {
    return route_slots_backward(stream, of_row.reshape({-1}), kept.row_ids, kept.topk, t);
  };
  out.weights = by_slot(of_weights, kept.weights_dtype);
  out.x = combine_rows(stream, rows, kept.row_ids, kept.topk,
                       at_input ? by_slot(kept.weights, kept.weights.dtype()) : Tensor());
  return out;
}

} // namespace moec
