// One forward and one backward kernel for all activations, and the sum over rows for the bias.
#include "kernels/activation_kernels.h"

#include <algorithm>

#include "kernels/host.h"

namespace moec::kernel {

namespace {

/// Columns begin.. of the gate, and of up, of rows t of x.
GateUp load_gate_up(const ActivationSpec &s, const View &x, const Tile &t, const Int &begin, const Int &H, DType wide) {
  if (s.formula.interleaved) return deinterleave(cast(load(x(t, 2 * begin + arange(2 * s.block))), wide));
  Tile c = begin + arange(s.block);
  if (!s.formula.gated) return {cast(load(x(t, c)), wide), {}};
  auto [gate, up] = x.split_cols(H);
  return {cast(load(gate(t, c)), wide), cast(load(up(t, c)), wide)};
}

void store_gate_up(const ActivationSpec &s, const View &x, const Tile &t, const Int &begin, const Int &H,
                   const GateUp &v) {
  Tile c = begin + arange(s.block);
  if (s.formula.interleaved) {
    store(x(t, 2 * begin + arange(2 * s.block)), cast(interleave(v), x.dtype()));
  } else if (!s.formula.gated) {
    store(x(t, c), cast(v.gate, x.dtype()));
  } else {
    auto [gate, up] = x.split_cols(H);
    store(gate(t, c), cast(v.gate, x.dtype()));
    store(up(t, c), cast(v.up, x.dtype()));
  }
}

/// The bias of rows t, or the one of all rows.
GateUp load_bias(const ActivationSpec &s, const View &bias, const Tile &t, const Int &begin, const Int &H, DType wide) {
  if (s.bias == Bias::none) return {};
  return load_gate_up(s, bias, s.bias == Bias::rows ? t : expand_dims(arange(1), 1), begin, H, wide);
}

/// x + bias, after the clamp.
GateUp biased(const ActivationSpec &s, const GateUp &x, const GateUp &bias) {
  if (s.bias == Bias::none) return x;
  return {x.gate + bias.gate, s.formula.gated ? x.up + bias.up : Tile()};
}

void expect_inputs(const ActivationSpec &s, const View &x, const View &w, const View &bias, const Int &T,
                   const Tile &U) {
  x.expect({T, U});
  if (s.weighted) w.expect({T, 1});
  if (s.bias != Bias::none) bias.expect({s.bias == Bias::rows ? Tile(T) : Tile(1), U});
}

Tile input_width(const ActivationSpec &s, const Int &H) { return s.formula.gated ? 2 * H : Tile(H); }

void forward(const ActivationSpec &s, const View &x, const View &w, const View &bias, const View &y, const View &saved,
             DType wide) {
  auto [T, H] = y.sizes<2>();
  expect_inputs(s, x, w, bias, T, input_width(s, H));
  if (s.saves) saved.expect({T, input_width(s, H)});
  auto block = [&](const Tile &t, const Tile &weight, const Int &begin, const GateUp &b) {
    GateUp raw = load_gate_up(s, x, t, begin, H, wide), inside = clamped(s.formula, raw);
    if (s.saves) store_gate_up(s, saved, t, begin, H, e4m3_codes(s.formula, raw, inside));
    Tile value = activation_value(s.formula, biased(s, inside, b));
    if (s.weighted) value = value * weight;
    store(y(t, begin + arange(s.block)), cast(value, y.dtype()));
  };
  auto weight = [&](const Tile &t) { return s.weighted ? cast(load(w(t, 0)), wide) : Tile(); };
  if (s.bias != Bias::one_row) {
    Tile t = expand_dims(program_id(0) * s.rows + arange(s.rows), 1), of_rows = weight(t);
    for (Int step : range(0, s.steps)) {
      Int begin = (program_id(1) * s.steps + step) * s.block;
      block(t, of_rows, begin, load_bias(s, bias, t, begin, H, wide));
    }
    return;
  }
  // A program keeps its columns of the bias and goes down the rows.
  Int begin = program_id(1) * s.block, first = program_id(0) * s.rows * s.steps;
  GateUp b = load_bias(s, bias, {}, begin, H, wide);
  for (Int r : range(0, minimum(T - first, s.rows * s.steps), s.rows)) {
    Tile t = expand_dims(first + r + arange(s.rows), 1);
    block(t, weight(t), begin, b);
  }
}

/// Rows and columns that a program of the forward has: its steps go down where a bias is kept, else along the row.
int forward_rows(const ActivationSpec &s) { return s.bias == Bias::one_row ? s.rows * s.steps : s.rows; }
int forward_columns(const ActivationSpec &s) { return s.bias == Bias::one_row ? s.block : s.block * s.steps; }

/// At rows t and columns begin..: x, activation(x), and the gradient of the clamped x + bias.
struct Gradients {
  GateUp raw, inner;
  Tile products; ///< activation * grad, whose sum over the columns is the gradient of the weight
};
Gradients gradients(const ActivationSpec &s, const View &grad, const View &x, const GateUp &bias, const Tile &weight,
                    const Tile &t, const Int &begin, const Int &H, DType wide) {
  GateUp raw = load_gate_up(s, x, t, begin, H, wide);
  Tile g = cast(load(grad(t, begin + arange(s.block))), wide);
  ActivationSlopes slopes = activation_slopes(s.formula, biased(s, clamped(s.formula, raw), bias));
  if (!s.weighted) return {raw, {g * slopes.gate, s.formula.gated ? g * slopes.up : Tile()}, {}};
  Tile gw = g * weight;
  return {raw, {gw * slopes.gate, s.formula.gated ? gw * slopes.up : Tile()}, slopes.value * g};
}

} // namespace

void weighted_swiglu(const ActivationSpec &s, View x, View w, View y) {
  arg_names({"x", "w", "y"});
  grid(cdiv(y.size(0), forward_rows(s)), cdiv(y.size(1), forward_columns(s)));
  forward(s, x, w, {}, y, {}, wide_dtype({x.dtype(), w.dtype()}));
}

void activation(const ActivationSpec &s, View x, View w, View bias, View y, View saved) {
  arg_names({"x", "w", "bias", "y", "saved"});
  grid(cdiv(y.size(0), forward_rows(s)), cdiv(y.size(1), forward_columns(s)));
  forward(s, x, w, bias, y, saved, wide_dtype({x.dtype(), w.dtype(), bias.dtype()}));
}

bool own_bias_gradient(const ActivationSpec &s, DType grad_x, DType bias) {
  return s.bias == Bias::rows && (s.formula.clamped || grad_x != bias);
}

void activation_backward(const ActivationSpec &s, View grad, View x, View w, View bias, View grad_x, View grad_w,
                         View grad_bias) {
  arg_names({"grad", "x", "w", "bias", "grad_x", "grad_w", "grad_bias"});
  auto [T, H] = grad.sizes<2>();
  Tile U = input_width(s, H);
  expect_inputs(s, x, w, bias, T, U);
  grad_x.expect({T, U});
  if (s.weighted) grad_w.expect({T, 1});
  if (own_bias_gradient(s, grad_x.dtype(), bias.dtype())) grad_bias.expect({T, U});
  grid(cdiv(T, s.rows)); // one program has whole rows
  const DType wide = wide_dtype({grad.dtype(), x.dtype(), w.dtype(), bias.dtype()});
  Tile row = program_id(0) * s.rows + arange(s.rows), t = expand_dims(row, 1);
  const int columns = std::min(s.block, kWeightColumns), parts = s.block / columns;
  Tile weight, products = zeros({s.rows, parts}, wide);
  if (s.weighted) weight = cast(load(w(t, 0)), wide);
  for (Int begin : range(0, H, s.block)) {
    Gradients g = gradients(s, grad, x, load_bias(s, bias, t, begin, H, wide), weight, t, begin, H, wide);
    store_gate_up(s, grad_x, t, begin, H, inside_bounds(s.formula, g.raw, g.inner));
    if (own_bias_gradient(s, grad_x.dtype(), bias.dtype())) store_gate_up(s, grad_bias, t, begin, H, g.inner);
    if (s.weighted) products += sum(reshape(g.products, {s.rows, parts, columns}), 2);
  }
  if (s.weighted) store(grad_w(row, 0), cast(sum(products, 1), grad_w.dtype()));
}

void activation_backward_bias(const ActivationSpec &s, View grad, View x, View w, View bias, View grad_x, View products,
                              View sums) {
  arg_names({"grad", "x", "w", "bias", "grad_x", "products", "sums"});
  auto [T, H] = grad.sizes<2>();
  Tile U = input_width(s, H), parts = cdiv(H, s.block);
  expect_inputs(s, x, w, bias, T, U);
  grad_x.expect({T, U});
  if (s.weighted) products.expect({parts, T});
  sums.expect({cdiv(T, kSummedRows), U});
  grid(cdiv(T, kSummedRows), cdiv(H, s.block));
  const DType wide = wide_dtype({grad.dtype(), x.dtype(), w.dtype(), bias.dtype()});
  Int part = program_id(1), begin = part * s.block, first = program_id(0) * kSummedRows;
  Tile gate = zeros({s.rows, s.block}, wide), up = gate;
  GateUp b = load_bias(s, bias, {}, begin, H, wide);
  for (Int r : range(0, minimum(T - first, kSummedRows), s.rows)) {
    Tile row = first + r + arange(s.rows), t = expand_dims(row, 1), weight;
    if (s.weighted) weight = cast(load(w(t, 0)), wide);
    Gradients g = gradients(s, grad, x, b, weight, t, begin, H, wide);
    store_gate_up(s, grad_x, t, begin, H, inside_bounds(s.formula, g.raw, g.inner));
    if (s.weighted) store(products(part, row), sum(g.products, 1));
    gate += g.inner.gate;
    if (s.formula.gated) up += g.inner.up;
  }
  GateUp total{expand_dims(sum(gate, 0), 0), expand_dims(sum(up, 0), 0)};
  store_gate_up(s, sums, expand_dims(program_id(0) + arange(1), 1), begin, H, total);
}

void sum_rows(const SumRowsSpec &s, View x, View y) {
  arg_names({"x", "y"});
  auto [N, F] = x.sizes<2>();
  y.expect({cdiv(N, kSummedRows), F});
  grid(cdiv(F, s.block), cdiv(N, kSummedRows));
  Int part = program_id(1), first = part * kSummedRows;
  const DType wide = wide_dtype(x.dtype());
  Tile c = program_id(0) * s.block + arange(s.block), acc = zeros({s.rows, s.block}, wide);
  for (Int r : range(0, kSummedRows, s.rows)) acc += cast(load(x(expand_dims(first + r + arange(s.rows), 1), c)), wide);
  store(y(part, c), cast(sum(acc, 0), y.dtype()));
}

} // namespace moec::kernel
