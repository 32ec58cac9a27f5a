// The op registry: every op of the kernel library with its parameters, tensors, source and tolerances. `moec list`,
// `moec run`, `moec verify`, the tests and the op reference are made from it. Standard library and the runtime only.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/device.h"
#include "runtime/error.h"
#include "runtime/tensor.h"

namespace moec {

/// An op, a parameter's value or a dtype that moec does not do (yet): `moec verify` counts the case as unsupported.
class UnsupportedError : public UserError {
  using UserError::UserError;
};

/// A parameter of an op. Values travel as text: "true"/"false", integers, floats, names.
struct OpParameter {
  enum class Type : uint8_t { boolean, integer, floating, text };
  std::string name;
  Type type = Type::text;
  std::string default_value; ///< "" if it must be given (see `required`)
  std::string doc;
  std::vector<std::string> allowed =
      {}; ///< of text and boolean parameters: what moec does; empty: anything of its type
  bool required = false;
};

/// An input or output of an op.
struct OpTensor {
  std::string name;
  std::string shape;  ///< "[T, 2*H]"; equal letters are equal sizes
  std::string dtypes; ///< "f32 bf16 f16 f64"; "x" stands for the dtype of tensor x
  std::string doc;
  bool output = false;
  bool optional = false;    ///< inputs: may be missing; outputs: made only if the inputs that they need are there
  double f32_tolerance = 0; ///< outputs: of the relative metric of verify.h; 0: exact
  double low_tolerance = 0; ///< the same where the case's dtype is bf16 or f16
};

class OpCall;

/// One op.
struct Op {
  std::string name;
  std::string summary;     ///< one line
  std::string formula;     ///< what is computed, in the letters of the shapes
  std::string source;      ///< the upstream symbol that it follows
  std::string determinism; ///< reduction order, and what may differ between devices
  std::vector<OpParameter> parameters;
  std::vector<OpTensor> tensors;
  std::vector<std::string> kernels;   ///< names in kernel_table.h
  std::vector<std::string> functions; ///< what a program calls for it, forward and backward: names in moe.h's headers
  std::function<void(OpCall &)> run;
  /// Calls for which the source leaves a token's slots, the columns of tensors [T, K], in any order: `moec verify` then
  /// finds a recorded slot by its id in the output `indices`. Empty: none.
  std::function<bool(const OpCall &)> slots_in_any_order = {};

  const OpParameter *parameter(std::string_view name) const;
  const OpTensor *input(std::string_view name) const;
  const OpTensor *output(std::string_view name) const; ///< may have the name of an input
};

using Settings = std::map<std::string, std::string, std::less<>>;
using NamedTensors = std::map<std::string, Tensor, std::less<>>;

/// One execution of an op: named tensors and parameters in, named tensors out.
class OpCall {
public:
  /// Takes inputs (on the stream's device, or on the host where the device can use that) and parameters; defaults fill
  /// what is missing. Throws UserError for an unknown or missing tensor or parameter and a value that is not of its
  /// type, UnsupportedError for a value that is not among the allowed ones. `wanted`: outputs to make; empty: all that
  /// the inputs allow.
  OpCall(const Op &op, Stream stream, NamedTensors inputs, const Settings &parameters,
         std::vector<std::string> wanted = {});

  const Op &op() const { return op_; }
  const Stream &stream() const { return stream_; }
  bool has(std::string_view input) const { return inputs_.contains(input); }
  /// Throws UserError if it was not given.
  const Tensor &in(std::string_view input) const;
  /// Undefined if it was not given.
  Tensor given(std::string_view input) const { return has(input) ? in(input) : Tensor(); }
  /// True if one of these outputs is wanted.
  bool wants(std::initializer_list<std::string_view> outputs) const;
  void out(std::string name, Tensor tensor);
  /// An output of which only the first rows count: as many as the last element of `count` (i32 or i64) says, on the
  /// device. run() does not wait for that: outputs() does.
  void out_rows(std::string name, Tensor tensor, const Tensor &count);
  /// The outputs, cut to their rows and in the dtypes that the op declares (ids that are i32 inside of the library may
  /// be i64 here). Waits for the stream if something has to be cut or converted.
  const NamedTensors &outputs();

  const std::string &text(std::string_view parameter) const;
  int64_t integer(std::string_view parameter) const;
  double floating(std::string_view parameter) const;
  bool flag(std::string_view parameter) const;

  /// For the op: what makes the gradients, once its forward part is queued. It is done last, perhaps several times.
  void backward(std::function<void()> work) { backward_ = std::move(work); }

  /// Runs the op: forward, then backward. Throws what the op throws.
  void run();
  /// The two parts of run(), for those who time them apart.
  void run_forward();
  void run_backward();

private:
  const Op &op_;
  Stream stream_;
  NamedTensors inputs_, outputs_, row_counts_;
  Settings parameters_;
  std::vector<std::string> wanted_;
  std::function<void()> backward_;
};

/// All ops, by name.
std::span<const Op> ops();
/// nullptr if there is none.
const Op *find_op(std::string_view name);
/// Throws UnsupportedError with the names that come closest.
const Op &op_at(std::string_view name);

/// "weighted_swiglu(x [M, 2*H], weights [M, 1]) -> (y [M, H])".
std::string signature(const Op &op);
/// The op reference, docs/ops.md: all ops with formula, tensors, parameters, determinism, source.
std::string op_reference();

} // namespace moec
