#include "runtime/cache_entry.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include <atomic>
#include <cerrno>
#include <cstring>

namespace moec {

namespace {

/// The first bytes of a file; little endian. `checksum` is XXH3-128 of the file with these two words set to zero.
struct Header {
  char magic[8];
  uint32_t version, header_bytes;
  uint64_t key_bytes, manifest_bytes, payload_bytes;
  uint64_t checksum[2];
};
static_assert(sizeof(Header) == 56);
constexpr char kMagic[8] = {'m', 'o', 'e', 'c', 'k', 'e', 'r', 'n'};
constexpr uint32_t kVersion = 1;

XXH128_hash_t checksum(Header header, std::string_view body) {
  header.checksum[0] = header.checksum[1] = 0;
  XXH3_state_t *state = XXH3_createState();
  XXH3_128bits_reset(state);
  XXH3_128bits_update(state, &header, sizeof header);
  XXH3_128bits_update(state, body.data(), body.size());
  XXH128_hash_t hash = XXH3_128bits_digest(state);
  XXH3_freeState(state);
  return hash;
}

struct File {
  int fd = -1;
  ~File() {
    if (fd >= 0) ::close(fd);
  }
};

/// Blocks SIGXFSZ (a write beyond RLIMIT_FSIZE) in this thread for a scope and drops one that came.
class NoFileSizeSignal {
public:
  NoFileSizeSignal() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~NoFileSizeSignal() {
    timespec now{0, 0};
    if (!sigismember(&before_, SIGXFSZ))
      while (sigtimedwait(&set_, nullptr, &now) > 0) {}
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

private:
  sigset_t set_, before_;
};

int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return ENOSPC;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return 0;
}

} // namespace

std::string encode_entry(std::string_view key, std::string_view manifest, std::string_view payload) {
  std::string body;
  body.reserve(key.size() + manifest.size() + payload.size());
  body.append(key).append(manifest).append(payload);
  Header h{};
  std::memcpy(h.magic, kMagic, sizeof kMagic);
  h.version = kVersion;
  h.header_bytes = sizeof h;
  h.key_bytes = key.size();
  h.manifest_bytes = manifest.size();
  h.payload_bytes = payload.size();
  XXH128_hash_t sum = checksum(h, body);
  h.checksum[0] = sum.low64;
  h.checksum[1] = sum.high64;
  return std::string(reinterpret_cast<const char *>(&h), sizeof h) + body;
}

std::string decode_entry(std::string_view file, CacheEntry &entry) {
  Header h;
  if (file.size() < sizeof h) return "truncated header";
  std::memcpy(&h, file.data(), sizeof h);
  if (std::memcmp(h.magic, kMagic, sizeof kMagic) != 0) return "not a cache entry";
  if (h.version != kVersion || h.header_bytes != sizeof h)
    return fmt::format("format version {}, not {}", h.version, kVersion);
  std::string_view body = file.substr(sizeof h);
  uint64_t left = body.size();
  for (uint64_t part : {h.key_bytes, h.manifest_bytes, h.payload_bytes}) {
    if (part > left) return "truncated";
    left -= part;
  }
  if (left) return "longer than its header says";
  XXH128_hash_t sum = checksum(h, body);
  if (sum.low64 != h.checksum[0] || sum.high64 != h.checksum[1]) return "checksum mismatch";
  entry.key = body.substr(0, h.key_bytes);
  entry.manifest = body.substr(h.key_bytes, h.manifest_bytes);
  entry.payload = body.substr(h.key_bytes + h.manifest_bytes);
  return "";
}

std::string read_entry(int directory, const std::string &name, const std::string *expected_key, bool mark_used,
                       CacheEntry &entry) {
  File file{::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
  if (file.fd < 0) return errno == ENOENT ? "missing" : errno == ELOOP ? "a symbolic link" : std::strerror(errno);
  struct stat status;
  if (::fstat(file.fd, &status) != 0) return std::strerror(errno);
  if (!S_ISREG(status.st_mode)) return "not a regular file";
  if (status.st_uid != ::geteuid()) return "another user's file";
  if (status.st_mode & 077) return "others may read or write it";
  if (static_cast<uint64_t>(status.st_size) > kMaxEntryBytes) return "too large";
  std::string bytes(static_cast<size_t>(status.st_size), '\0');
  for (size_t done = 0; done < bytes.size();) {
    ssize_t n = ::read(file.fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::strerror(errno);
    if (n == 0) return "truncated";
    done += static_cast<size_t>(n);
  }
  std::string wrong = decode_entry(bytes, entry);
  if (!wrong.empty()) return wrong;
  if (expected_key && entry.key != *expected_key) return "another key";
  if (mark_used && ::time(nullptr) - status.st_mtime > 60)
    ::futimens(file.fd, nullptr); // at most a write per minute and entry
  return "";
}

int publish(int directory, const std::string &name, std::string_view bytes) {
  static std::atomic<unsigned> counter{0};
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  std::string aside = fmt::format("{}{}-{}-{}-{}", kAsidePrefix, ::getpid(), counter++, now.tv_sec, now.tv_nsec);
  NoFileSizeSignal guard;
  File file{::openat(directory, aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (file.fd < 0) return errno;
  int error = write_all(file.fd, bytes);
  if (!error && ::fchmod(file.fd, 0600) != 0) error = errno; // whatever the umask
  if (!error && ::fsync(file.fd) != 0) error = errno;
  if (!error && ::renameat(directory, aside.c_str(), directory, name.c_str()) != 0) {
    error = errno;
    // Something that a file cannot replace, such as an empty directory.
    if (::unlinkat(directory, name.c_str(), AT_REMOVEDIR) == 0)
      error = ::renameat(directory, aside.c_str(), directory, name.c_str()) == 0 ? 0 : errno;
  }
  if (error)
    ::unlinkat(directory, aside.c_str(), 0);
  else
    ::fsync(directory);
  return error;
}

} // namespace moec
