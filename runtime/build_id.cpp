#include "runtime/build_id.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <mutex>
#include <vector>

namespace moec {

namespace {

bool read_at(int fd, uint64_t offset, void *into, size_t bytes) {
  return ::pread(fd, into, bytes, static_cast<off_t>(offset)) == static_cast<ssize_t>(bytes);
}

/// The build-id in the notes of one PT_NOTE segment, or "".
std::string id_in_notes(const std::vector<char> &notes) {
  for (size_t at = 0; at + sizeof(Elf64_Nhdr) <= notes.size();) {
    Elf64_Nhdr note;
    std::memcpy(&note, notes.data() + at, sizeof note);
    uint64_t name = at + sizeof note, id = name + (uint64_t{note.n_namesz} + 3) / 4 * 4,
             next = id + (uint64_t{note.n_descsz} + 3) / 4 * 4;
    if (id + note.n_descsz > notes.size()) return "";
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(notes.data() + name, "GNU", 4) == 0) {
      std::string hex;
      for (uint64_t i = id; i < id + note.n_descsz; ++i)
        hex += fmt::format("{:02x}", static_cast<unsigned char>(notes[i]));
      return hex;
    }
    at = next;
  }
  return "";
}

std::string elf_build_id(int fd) {
  Elf64_Ehdr header;
  if (!read_at(fd, 0, &header, sizeof header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(Elf64_Phdr))
    return "";
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    if (!read_at(fd, header.e_phoff + static_cast<uint64_t>(i) * sizeof segment, &segment, sizeof segment)) return "";
    if (segment.p_type != PT_NOTE || segment.p_filesz > 1 << 20) continue;
    std::vector<char> notes(segment.p_filesz);
    if (!read_at(fd, segment.p_offset, notes.data(), notes.size())) return "";
    if (std::string id = id_in_notes(notes); !id.empty()) return id;
  }
  return "";
}

} // namespace

std::string build_id_of(const std::string &path) {
  static std::mutex mutex;
  static auto &known = *new std::map<std::string, std::string>;
  std::lock_guard lock(mutex);
  if (auto it = known.find(path); it != known.end()) return it->second;
  std::string id;
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (fd >= 0 && ::fstat(fd, &status) == 0) {
    id = elf_build_id(fd);
    if (id.empty())
      id = fmt::format("size-{}-time-{}.{}", status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
  }
  if (fd >= 0) ::close(fd);
  if (!id.empty()) known[path] = id;
  return id;
}

} // namespace moec
