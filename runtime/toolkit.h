// Where the CUDA toolkit's parts are that enter cache keys. Opens nothing.
#pragma once

#include <string>

namespace moec {

/// The nvJitLink library that the compiler would open, or "" (then the driver assembles). The order is compiler/target/nvptx/NvJitLink.cpp's.
std::string nvjitlink_path();

} // namespace moec
