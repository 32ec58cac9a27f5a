// The one door into libmoec_compiler.so: C functions over plain data. The runtime opens the library with dlopen on the
// first cache miss and calls these; no exception and no LLVM type crosses. Standard library only.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

/// Bytes that the callee does not own; not necessarily NUL-terminated.
struct MoecText {
  const char *data;
  size_t size;
};

/// What to compile.
struct MoecCompileRequest {
  MoecText source;  ///< one kernel as MLIR text (generic or pretty form)
  MoecText options; ///< "key=value;key=value", see compiler/options.h: target, num_warps, num_stages, contract_fma, ...
  MoecText emit;    ///< "binary" (cubin, or the sim's code image), or a stage's text: tile, tilegpu, nvvm, llvm, ptx
  /// 1: the text came from the recorder and has no locations; op number n (pre-order, from 0) gets the location
  /// "kernel":n, or what the n-th line of the form "//! file:line" at the text's end says (so that line tables show the
  /// author's lines).
  int32_t ordinal_locations;
};

enum MoecStatus : int32_t {
  MOEC_OK = 0,
  MOEC_USER_ERROR = 1,     ///< the kernel or an option is wrong; `diagnostics` says where and what to do
  MOEC_TOOL_ERROR = 2,     ///< nvJitLink or another outside tool failed; `diagnostics` has its log
  MOEC_INTERNAL_ERROR = 3, ///< a defect of moec
};

/// What came out. Everything in it lives until moec_compiler_free.
struct MoecCompileResult {
  MoecStatus status;
  MoecText output;      ///< the artifact asked for
  MoecText diagnostics; ///< one per line: "<severity>\t<file>\t<line>\t<column>\t<message>" (newlines in a message are
                        ///< "\\n")
  MoecText info; ///< JSON: kernel, target, threads, shared_bytes, registers, spill_bytes, stages: [{name, ms}], ...
  void *owner;
};

/// One argument of an interpreted launch, as in cuLaunchKernel: each pointer points to a parameter's value.
struct MoecInterpretRequest {
  MoecText source;
  MoecText options;
  int32_t ordinal_locations;
  int32_t grid[3];
  void *const *params; ///< in the order of docs/architecture.md "Kernel parameters"
  size_t num_params;
  /// Ranges of memory that the kernel may touch, [begin, end) pairs; with num_ranges == 0 accesses are not checked.
  const uint64_t *ranges;
  size_t num_ranges;
  uint64_t while_limit; ///< iterations after which a while loop is a finding; 0: none
};

/// Compiles. Thread-safe; several threads compile in parallel. Returns result->status.
MoecStatus moec_compiler_compile(const MoecCompileRequest *request, MoecCompileResult *result);
/// Runs the reference interpreter over the grid. `output` is empty; run-time findings are in `diagnostics`.
MoecStatus moec_compiler_interpret(const MoecInterpretRequest *request, MoecCompileResult *result);
/// Frees what a result holds; a zeroed result is fine.
void moec_compiler_free(MoecCompileResult *result);
/// Facts of this build as JSON: versions of moec and llvm, targets, stages.
const char *moec_compiler_describe(void);
}
