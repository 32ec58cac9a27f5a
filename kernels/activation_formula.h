// The formulas of activation.h in the DSL: what kernels and epilogues of products are made of. Internal to kernels/.
#pragma once

#include "dsl/dsl.h"
#include "kernels/activation.h"

namespace moec::kernel {

/// An Activation as fields of a kernel's spec: a spec holds one and calls its visit().
struct ActivationFields {
  Gate gate = Gate::silu;
  double alpha = 1;
  bool gated = true, interleaved = false, clamped = false;
  double limit = 0, linear_offset = 0;
  bool closed = false;    ///< gradients pass at the bounds too: x was coded by e4m3_codes
  DType gate_dtype = f64; ///< f64: the gate's value is not rounded

  ActivationFields() = default;
  ActivationFields(const Activation &a)
      : gate(a.gate), alpha(a.alpha), gated(a.gated), interleaved(a.interleaved), clamped(a.limit.has_value()),
        limit(a.limit.value_or(0)), linear_offset(a.linear_offset), gate_dtype(a.gate_dtype.value_or(f64)) {}
  static void fields(auto &s, auto &&f) {
    f("gate", s.gate), f("alpha", s.alpha), f("gated", s.gated), f("interleaved", s.interleaved);
    f("clamped", s.clamped), f("limit", s.limit), f("linear_offset", s.linear_offset);
    f("closed", s.closed), f("gate_dtype", s.gate_dtype);
  }
};

/// Tiles of one shape, in f32 or f64; up is unused where the activation is not gated.
struct GateUp {
  Tile gate, up;
};

/// The tile's elements inside of the clamp's bounds.
GateUp clamped(const ActivationFields &a, const GateUp &x);
/// activation(x) of clamped x.
Tile activation_value(const ActivationFields &a, const GateUp &x);
struct ActivationSlopes {
  Tile value;    ///< as activation_value
  Tile gate, up; ///< its derivatives
};
ActivationSlopes activation_slopes(const ActivationFields &a, const GateUp &x);
/// `gradient` where x, before the clamp, is strictly inside of the bounds, 0 elsewhere.
GateUp inside_bounds(const ActivationFields &a, const GateUp &x, const GateUp &gradient);

/// Codes (u8) of e4m3 for x, clamped to `inside`. Where x is not strictly inside of the bounds it is the code beyond
/// that of the bound: with the rounded bound as limit and `closed`, the codes have the values and the gradients of x.
GateUp e4m3_codes(const ActivationFields &a, const GateUp &x, const GateUp &inside);
/// The fields with which a backward takes such codes for x.
ActivationFields of_e4m3_codes(ActivationFields a);

/// Even and odd columns of a tile [R, 2C], and back.
GateUp deinterleave(const Tile &x);
Tile interleave(const GateUp &x);

} // namespace moec::kernel

namespace moec {
/// Throws UserError unless its gate is one, its numbers are numbers and its dtype holds floats.
void check_activation(const char *what, const Activation &activation);
} // namespace moec
