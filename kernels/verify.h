// Holds an op against a recorded case: a safetensors file with in.* and out.* tensors and the op's parameters as
// metadata.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/registry.h"
#include "runtime/device.h"
#include "runtime/hash_values.h"
#include "runtime/safetensors.h"
#include "runtime/tensor.h"

namespace moec {

enum class CheckStatus : uint8_t { pass, fail, unsupported };
/// "pass", "FAIL", "unsupported".
std::string_view name(CheckStatus status);

/// One output tensor against its reference.
struct TensorReport {
  std::string name;
  CheckStatus status = CheckStatus::unsupported;
  double max_error =
      0; ///< relative metric max |got-ref| / (|ref| + 0.05 max|ref|); exact tensors: how many elements differ
  double tolerance = 0; ///< 0: exact
  std::string detail;   ///< first difference, wrong shape or dtype, or why it is not produced
};

/// One case. `status` counts mismatches (fail) and ops or parameter values that moec does not do (unsupported); tensors
/// that the op does not produce leave it as it is.
struct CaseReport {
  std::string path, op, name;
  CheckStatus status = CheckStatus::pass;
  std::vector<TensorReport> tensors;
  std::string message; ///< why it failed or is unsupported, if not for a tensor
  double seconds = 0;

  int unsupported_tensors() const;
};

/// A case with its generated tensors (metadata gen.<name> = "hash_uniform seed=S scale=C shape=AxB") filled in as
/// in.<name>. Throws UserError for a file that is no case.
TensorFile load_case(const std::string &path);
/// A recorded case as a call of its op.
struct RecordedCall {
  const Op *op = nullptr;
  NamedTensors inputs;              ///< those that the op takes
  Settings parameters;              ///< those of the metadata that the op takes
  std::vector<std::string> outputs; ///< recorded ones that the op makes
};
/// Throws UnsupportedError for an op that moec does not have, a parameter that it does not know, and where none of the
/// recorded outputs is made.
RecordedCall recorded_call(const TensorFile &file);

/// Runs one case on `device` and compares every out.* (out.ref32.X replaces out.X). Never throws for what is in the
/// file: that is a failed case with the message.
CaseReport verify_case(const std::string &path, Device device);

/// Element-wise comparison of values as f64: NaN equals NaN, and -0 equals 0 (different_bits of runtime/compare.h tells
/// them apart). `tolerance` 0: no value may differ. Another dtype or shape than the reference's fails. Both on the
/// host.
TensorReport compare(std::string name, const Tensor &got, const Tensor &reference, double tolerance);

struct VerifyOptions {
  Device device;
  bool strict = false;             ///< unsupported tensors make their case unsupported
  std::vector<std::string> except; ///< ops to leave out
};
/// Cases, counted.
struct CaseCounts {
  int passed = 0, failed = 0, unsupported = 0;
  void add(CheckStatus status);
  /// "12 passed, 0 failed, 1 unsupported".
  std::string text() const;
};
struct VerifySummary : CaseCounts {
  struct PerOp : CaseCounts {
    double worst = 0; ///< of tensors with a tolerance: the largest error in units of its tolerance
  };
  int unsupported_tensors = 0;
  std::map<std::string, PerOp> ops;
  /// 1 on any mismatch, else 2 on any unsupported case, else 0.
  int exit_code() const { return failed ? 1 : unsupported ? 2 : 0; }
  /// A line for each op.
  std::string ops_text() const;
};

/// All *.safetensors below the paths (files or directories), in order. Throws UserError for a path
/// that does not exist and for a directory without cases.
std::vector<std::string> find_cases(const std::vector<std::string> &paths);
/// Verifies them; `each` is called after every case that was not left out.
VerifySummary verify(const std::vector<std::string> &files, const VerifyOptions &options,
                     const std::function<void(const CaseReport &)> &each);
/// A case's report as lines for people.
std::string report_text(const CaseReport &report, bool tensors);

} // namespace moec
