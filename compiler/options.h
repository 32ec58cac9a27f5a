// What a compile can be told: "key=value;key=value", as a struct.
#pragma once

#include "compiler/target/nvptx/Nvptx.h"

#include <string>

namespace moec::compiler {

struct CompileOptions {
  // target=sm_90a | sim-x86-64-v3 | sim (this machine's level): required
  const NvptxTarget *gpu = nullptr; ///< null for the simulated GPU
  std::string simLevel;             ///< "v2", "v3" or "v4"; empty for a real GPU
  std::string targetName;           ///< "sm_90a", "sim-x86-64-v3"

  int computeCapability = 80; ///< whose instructions are used. GPU: the target's. Simulated GPU: cc=, default 80
  int numWarps = 4;           ///< num_warps=1|2|4|8|16
  int numStages = 3;          ///< num_stages=1…8: buffers of a pipelined loop; 1: no pipelining
  bool contractFma = false;   ///< contract_fma=0|1: a*b+c may become one fma
  bool checked = false;       ///< checked=0|1 (sim): accesses and synchronisation are reported to the checker
  bool lineInfo = false;      ///< lineinfo=0|1: line tables in the PTX and the cubin
  bool verifyEach = false;    ///< verify_each=0|1: verify the IR after every pass
  bool verbose = false;       ///< verbose=0|1: the assembler's statistics as remarks
  std::string dumpFolder;     ///< dump=FOLDER: the IR after every pass, one file each
  std::string nvJitLink;      ///< nvjitlink=FILE|none: the library that assembles PTX; empty: the build's, or what
                              ///< MOEC_CUDA_ROOT says

  bool isSim() const { return gpu == nullptr; }
};

/// Parses the options. Keys may come in any order, empty items are ignored, the last of a repeated key counts. The
/// error's text says what would be right.
llvm::Expected<CompileOptions> parseOptions(llvm::StringRef text);

/// Names of all targets, for messages and `describe`.
std::vector<std::string> targetNames();

} // namespace moec::compiler
