// The formulas of the activations, once.
#include "kernels/activation_formula.h"

#include "kernels/rounding.h"
#include "runtime/convert.h"

namespace moec::kernel {

namespace {

struct GateSlope {
  Tile value, slope;
};

/// x * s with s = sigmoid(q(x)) is both silu (q = alpha x) and gelu (tanh form: 0.5 (1 + tanh k) = sigmoid(2k)). Its
/// slope is s + q'(x) x s (1 - s); x s goes first: 0 in the negative tail, however large x is.
GateSlope sigmoid_gate(const ActivationFields &a, const Tile &x, bool with_slope) {
  if (a.gate == Gate::silu) {
    Tile s = sigmoid(a.alpha == 1 ? x : x * a.alpha), value = x * s;
    if (!with_slope) return {value, {}};
    Tile bend = value * (1.0 - s);
    return {value, s + (a.alpha == 1 ? bend : bend * a.alpha)};
  }
  constexpr double slope0 = 2 * 0.7978845608028654, cubic = 0.044715; // 2 sqrt(2/pi)
  Tile square = minimum(x * x, 1e6);                                  // s is 0 or 1 long before: nothing overflows
  Tile s = sigmoid(x * (slope0 + (slope0 * cubic) * square)), value = x * s;
  if (!with_slope) return {value, {}};
  return {value, s + value * (1.0 - s) * (slope0 + (3 * slope0 * cubic) * square)};
}

GateSlope gate_of(const ActivationFields &a, const Tile &x, bool with_slope) {
  if (a.gate != Gate::relu2) return sigmoid_gate(a, x, with_slope);
  Tile positive = maximum(x, 0.0);
  return {positive * positive, with_slope ? positive * 2.0 : Tile()};
}

Tile shifted_up(const ActivationFields &a, const Tile &up) { return a.linear_offset == 0 ? up : up + a.linear_offset; }

Tile rounded_gate(const ActivationFields &a, const Tile &value) {
  return a.gate_dtype == f64 ? value : rounded(value, a.gate_dtype);
}

} // namespace

GateUp clamped(const ActivationFields &a, const GateUp &x) {
  if (!a.clamped) return x;
  return {minimum(x.gate, a.limit), a.gated ? minimum(maximum(x.up, -a.limit), a.limit) : Tile()};
}

Tile activation_value(const ActivationFields &a, const GateUp &x) {
  Tile value = rounded_gate(a, gate_of(a, x.gate, false).value);
  return a.gated ? value * shifted_up(a, x.up) : value;
}

ActivationSlopes activation_slopes(const ActivationFields &a, const GateUp &x) {
  GateSlope g = gate_of(a, x.gate, true);
  if (!a.gated) return {g.value, g.slope, {}};
  Tile up = shifted_up(a, x.up), value = rounded_gate(a, g.value);
  return {value * up, g.slope * up, value};
}

GateUp inside_bounds(const ActivationFields &a, const GateUp &x, const GateUp &gradient) {
  if (!a.clamped) return gradient;
  auto below = [&](const Tile &v) { return a.closed ? v <= a.limit : v < a.limit; };
  auto above = [&](const Tile &v) { return a.closed ? v >= -a.limit : v > -a.limit; };
  return {where(below(x.gate), gradient.gate, 0.0),
          a.gated ? where(below(x.up) & above(x.up), gradient.up, 0.0) : Tile()};
}

GateUp e4m3_codes(const ActivationFields &a, const GateUp &x, const GateUp &inside) {
  // One more is the next value away from 0.
  auto code = [](const Tile &v) { return bitcast(cast(v, e4m3), u8); };
  if (!a.clamped) return {code(x.gate), a.gated ? code(x.up) : Tile()};
  return {code(inside.gate) + cast(x.gate >= a.limit, u8),
          a.gated ? code(inside.up) + cast((x.up >= a.limit) | (x.up <= -a.limit), u8) : Tile()};
}

ActivationFields of_e4m3_codes(ActivationFields a) {
  a.limit = from_e4m3(to_e4m3(a.limit));
  a.closed = true;
  return a;
}

GateUp deinterleave(const Tile &x) {
  const int rows = x.shape()[0], cols = x.shape()[1] / 2;
  Tile pairs = reshape(x, {rows, cols, 2});
  return {reduce(pairs, 2, [](Tile even, Tile) { return even; }), reduce(pairs, 2, [](Tile, Tile odd) { return odd; })};
}

Tile interleave(const GateUp &x) {
  const int rows = x.gate.shape()[0], cols = x.gate.shape()[1];
  Tile pairs = where(arange(2) == 0, expand_dims(x.gate, 2), expand_dims(x.up, 2));
  return reshape(pairs, {rows, 2 * cols});
}

} // namespace moec::kernel
