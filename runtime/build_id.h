// The build-id of an ELF file, read from the file: what names a library in a cache key without opening it. Standard
// library only.
#pragma once

#include <string>

namespace moec {

/// The GNU build-id of the ELF file at `path` in hex; a library without one is named by its size and time of change.
/// Empty if there is no such file. The answer is remembered per path.
std::string build_id_of(const std::string &path);

} // namespace moec
