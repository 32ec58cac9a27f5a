// What a compiled kernel takes from the machine, read from the cubin itself.
#pragma once

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace moec::compiler {

struct KernelResources {
  std::string kernel;
  int registers = 0;    ///< 32-bit registers per thread
  int barriers = 0;     ///< named barriers
  int stackBytes = 0;   ///< local memory per thread: arrays and spills
  int spillBytes = 0;   ///< the part of it that is not declared in the PTX, so made by the assembler
  int sharedBytes = 0;  ///< static shared memory, without what the system reserves
  int codeBytes = 0;    ///< size of the code, NOP padding included
};

/// Reads the resources of the cubin's only kernel. `ptx` is what it was assembled from (for the declared local memory).
llvm::Expected<KernelResources> readResources(llvm::StringRef cubin, llvm::StringRef ptx);

} // namespace moec::compiler
