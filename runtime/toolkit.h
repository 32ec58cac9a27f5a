// Where the CUDA toolkit's parts are that enter cache keys. Opens nothing.
#pragma once

#include <string>

namespace moec {

/// The nvJitLink library that the compiler is told to open, or "" (then the driver assembles): MOEC_CUDA_ROOT's
/// ("none": none) and no other, be it missing, if that is set; else the one beside the compiler, where the build found
/// it, CUDA_HOME's, /usr/local/cuda's, on LD_LIBRARY_PATH, the distribution's.
std::string nvjitlink_path();

} // namespace moec
