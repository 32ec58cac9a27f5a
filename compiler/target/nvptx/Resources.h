// What a compiled kernel takes from the machine, read from the cubin itself.
#pragma once

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace moec::compiler {

struct KernelResources {
  std::string kernel;
  int registers = 0;   ///< 32-bit registers per thread
  int barriers = 0;    ///< named barriers
  int stackBytes = 0;  ///< local memory per thread: arrays and spills
  int spillBytes = 0;  ///< bytes of spill stores and loads, as the assembler says
  int sharedBytes = 0; ///< static shared memory, without what the system reserves
  int codeBytes = 0;   ///< size of the code, NOP padding included
};

/// Reads the resources of the cubin's only kernel. Spills are not in the cubin: they come from `statistics`
/// (Cubin::statistics).
llvm::Expected<KernelResources> readResources(llvm::StringRef cubin, llvm::StringRef statistics);

} // namespace moec::compiler
