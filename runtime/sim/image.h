// Code images of compiler/target/sim, loaded into this process.
#pragma once

#include "runtime/sim/sim_abi.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace moec::sim {

/// The highest x86-64 level (2, 3 or 4) that this CPU runs.
uint32_t host_level();

struct SourcePosition {
  std::string_view file;
  uint32_t line = 0, column = 0;
};

/// An image mapped read+execute. Movable; unmapped at the end of its life, which must come after its last launch.
class LoadedImage {
public:
  using Entry = void (*)(SimContext *, void *const *params);

  /// Copies `bytes` into executable memory. Throws std::runtime_error if they are not an image, are damaged, come from
  /// another ABI version, or need a higher x86-64 level than this CPU has.
  explicit LoadedImage(std::span<const char> bytes);
  LoadedImage(LoadedImage &&other) noexcept;
  LoadedImage &operator=(LoadedImage &&other) noexcept;
  LoadedImage(const LoadedImage &) = delete;
  LoadedImage &operator=(const LoadedImage &) = delete;
  ~LoadedImage();

  const SimImageHeader &header() const { return *reinterpret_cast<const SimImageHeader *>(base_); }
  bool checked() const { return header().flags & kImageChecked; }
  Entry entry() const { return reinterpret_cast<Entry>(const_cast<char *>(base_) + header().entry); }
  std::string_view kernel() const;
  /// Where location number `id` is; an empty file if unknown.
  SourcePosition position(uint32_t id) const;

private:
  const char *base_ = nullptr;
  size_t mapped_ = 0;
};

} // namespace moec::sim
