// Reading and writing safetensors files: named tensors and string metadata. The format: 8 bytes with the header's
// length (little endian), the header as JSON, then the tensors' bytes without gaps. Standard library only.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/tensor.h"

namespace moec {

/// What a safetensors file holds. Tensors are on the host and row-major.
struct TensorFile {
  std::map<std::string, std::string> metadata;
  std::vector<std::pair<std::string, Tensor>> tensors; ///< in the order of their bytes

  bool contains(std::string_view name) const;
  /// Throws UserError if there is no tensor of this name; it lists those that there are.
  const Tensor &at(std::string_view name) const;
  void add(std::string name, Tensor tensor) { tensors.emplace_back(std::move(name), std::move(tensor)); }
};

/// Reads a file. Dtypes BOOL, I8, U8, I32, I64, F16, BF16, F32, F64, F8_E4M3, F8_E5M2. Every length, offset, shape and
/// name is checked before memory is allocated for it: throws UserError for a file that cannot be read or is not
/// well-formed, naming tensor and reason.
TensorFile read_safetensors(const std::string &path);
/// The same from memory; `label` stands for the path in errors.
TensorFile parse_safetensors(std::span<const std::byte> file, std::string_view label = "memory");
/// The file's bytes. Tensors may be strided and on any device. Throws UserError for a missing tensor and a duplicate or
/// reserved name.
std::vector<std::byte> serialize_safetensors(const TensorFile &file);
/// Writes a file aside and renames it. Throws UserError if it cannot be written.
void write_safetensors(const std::string &path, const TensorFile &file);

} // namespace moec
