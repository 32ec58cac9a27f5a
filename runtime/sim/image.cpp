#include "runtime/sim/image.h"

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

namespace moec::sim {

uint32_t host_level() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  if (!v3) return kLevelV2;
  bool v4 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vl");
  return v4 ? kLevelV4 : kLevelV3;
#else
  return 0;
#endif
}

namespace {

void check(bool good, const char *problem) {
  if (!good) throw std::runtime_error(std::string("not a usable simulator image: ") + problem);
}

/// Whether [offset, offset + count * size) lies in the image.
bool inside(uint64_t offset, uint64_t count, uint64_t size, uint64_t total) {
  return offset <= total && count <= (total - offset) / size;
}

void validate(std::span<const char> bytes) {
  check(bytes.size() >= sizeof(SimImageHeader), "too short");
  SimImageHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);
  check(header.magic == kSimMagic, "wrong magic");
  check(header.version == kSimAbiVersion, "made for another version");
  check(header.header_bytes == sizeof(SimImageHeader) && header.total_bytes == bytes.size(), "wrong size");
  check(header.entry >= sizeof(SimImageHeader) && header.entry < bytes.size(), "entry outside");
  check(header.locations % alignof(SimLocation) == 0 &&
            inside(header.locations, header.num_locations, sizeof(SimLocation), bytes.size()),
        "location table outside");
  check(header.string_bytes > 0 && inside(header.strings, header.string_bytes, 1, bytes.size()), "strings outside");
  check(bytes[header.strings + header.string_bytes - 1] == 0, "strings without an end");
  check(header.kernel_name < header.string_bytes, "kernel name outside");
  check(header.threads <= kMaxThreads, "too many threads");
  check(header.exchange_slots < 4096 && header.stack_bytes < (64u << 20), "sizes out of range");
  for (uint64_t i = 0; i < header.num_locations; ++i) {
    SimLocation location;
    std::memcpy(&location, bytes.data() + header.locations + i * sizeof location, sizeof location);
    check(location.file < header.string_bytes, "location outside");
  }
  check(header.level >= kLevelV2 && header.level <= kLevelV4, "unknown x86-64 level");
  if (header.level > host_level())
    throw std::runtime_error("the image needs x86-64-v" + std::to_string(header.level) + ", this CPU has x86-64-v" +
                             std::to_string(host_level()));
}

} // namespace

LoadedImage::LoadedImage(std::span<const char> bytes) {
  validate(bytes);
  size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  size_t size = (bytes.size() + page - 1) / page * page;
  void *memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    throw std::runtime_error(std::string("no memory for a simulator image: ") + std::strerror(errno));
  std::memcpy(memory, bytes.data(), bytes.size());
  if (mprotect(memory, size, PROT_READ | PROT_EXEC) != 0) {
    int error = errno;
    munmap(memory, size);
    throw std::runtime_error(std::string("this system refuses executable memory for the simulator: ") +
                             std::strerror(error));
  }
  base_ = static_cast<const char *>(memory);
  mapped_ = size;
}

LoadedImage::LoadedImage(LoadedImage &&other) noexcept
    : base_(std::exchange(other.base_, nullptr)), mapped_(std::exchange(other.mapped_, 0)) {}

LoadedImage &LoadedImage::operator=(LoadedImage &&other) noexcept {
  std::swap(base_, other.base_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

LoadedImage::~LoadedImage() {
  if (base_) munmap(const_cast<char *>(base_), mapped_);
}

std::string_view LoadedImage::kernel() const { return base_ + header().strings + header().kernel_name; }

SourcePosition LoadedImage::position(uint32_t id) const {
  if (id == 0 || id >= header().num_locations) return {};
  const auto *location = reinterpret_cast<const SimLocation *>(base_ + header().locations) + id;
  return {base_ + header().strings + location->file, location->line, location->column};
}

} // namespace moec::sim
