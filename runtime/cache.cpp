#include "runtime/cache.h"

#include <blake2.h>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "runtime/cache_entry.h"
#include "runtime/environment.h"
#include "runtime/log.h"

namespace moec {

namespace {

constexpr const char *kLockFile = ".lock";
constexpr auto kLockPatience = std::chrono::seconds(120);
constexpr int64_t kAsideLife_s = 3600; // a writer that is still at it after an hour is dead

/// BLAKE2b-256 in hex.
std::string hex_digest(std::string_view text) {
  unsigned char hash[32];
  blake2b(hash, text.data(), nullptr, sizeof hash, text.size(), 0);
  std::string hex;
  for (unsigned char byte : hash) hex += fmt::format("{:02x}", byte);
  return hex;
}

/// Makes `path` and its parents, mode 0700, as far as it can.
void make_directories(const std::string &path) {
  for (size_t at = 1; at != std::string::npos;) {
    at = path.find('/', at + 1);
    if (::mkdir(path.substr(0, at).c_str(), 0700) != 0 && errno != EEXIST && errno != EISDIR && errno != EROFS &&
        errno != EACCES)
      return;
  }
}

/// Why the open directory must not be trusted, or "".
std::string untrusted(int fd) {
  struct stat status;
  if (::fstat(fd, &status) != 0) return std::strerror(errno);
  if (!S_ISDIR(status.st_mode)) return "it is not a directory";
  if (status.st_uid != ::geteuid()) return "it belongs to another user";
  if (status.st_mode & 077) return fmt::format("others may enter it (mode {:o}); chmod 700 it", status.st_mode & 07777);
  return "";
}

/// A lock on one key: a byte of the lock file, chosen by the digest. Open-file-description locks work between threads
/// and processes alike and vanish with their holder. On a file system without locks the key is simply not locked.
class KeyLock {
public:
  KeyLock(int directory, const std::string &digest) {
    fd_ = ::openat(directory, kLockFile, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd_ < 0) return;
    struct flock range{};
    range.l_type = F_WRLCK;
    range.l_whence = SEEK_SET;
    range.l_start = static_cast<off_t>(std::strtoull(digest.substr(0, 15).c_str(), nullptr, 16));
    range.l_len = 1;
    auto give_up = std::chrono::steady_clock::now() + kLockPatience;
    auto pause = std::chrono::microseconds(200);
    while (::fcntl(fd_, F_OFD_SETLK, &range) != 0) {
      if ((errno != EAGAIN && errno != EACCES && errno != EINTR) || std::chrono::steady_clock::now() > give_up) return;
      std::this_thread::sleep_for(pause);
      pause = std::min(pause * 2, std::chrono::microseconds(10000));
    }
  }
  ~KeyLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  KeyLock(const KeyLock &) = delete;

private:
  int fd_ = -1;
};

/// True if the file, or empty directory, is gone by this.
bool remove_file(int directory, const std::string &name) {
  return ::unlinkat(directory, name.c_str(), 0) == 0 || ::unlinkat(directory, name.c_str(), AT_REMOVEDIR) == 0;
}

/// Calls f(name, status) for every entry and leftover in the directory.
template <typename F> void each_file(int directory, F &&f) {
  int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = copy >= 0 ? ::fdopendir(copy) : nullptr;
  if (!stream) {
    if (copy >= 0) ::close(copy);
    return;
  }
  while (dirent *d = ::readdir(stream)) {
    std::string name = d->d_name;
    struct stat status;
    if (!name.ends_with(kEntrySuffix) && !name.starts_with(kAsidePrefix)) continue;
    if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) f(name, status);
  }
  ::closedir(stream);
}

} // namespace

// -- keys

CacheKey &CacheKey::add(std::string_view name, std::string_view value) {
  text_ += fmt::format("{} {}\n{}\n", name, value.size(), value);
  return *this;
}

std::string CacheKey::digest() const { return hex_digest(text_); }

// -- the directory

DiskCache::DiskCache(std::string directory, uint64_t max_bytes)
    : directory_(std::move(directory)), max_bytes_(max_bytes) {}
DiskCache::~DiskCache() {
  if (directory_fd_ >= 0) ::close(directory_fd_);
}

DiskCache &DiskCache::shared() {
  static DiskCache cache(default_directory(), environment().cache_max_bytes);
  return cache;
}

std::string DiskCache::default_directory() {
  if (!environment().cache_dir.empty()) return environment().cache_dir;
  if (auto xdg = environment_text("XDG_CACHE_HOME"); xdg && xdg->front() == '/') return *xdg + "/moec";
  if (auto home = environment_text("HOME"); home && home->front() == '/') return *home + "/.cache/moec";
  passwd entry{}, *found = nullptr;
  char buffer[4096];
  if (::getpwuid_r(::geteuid(), &entry, buffer, sizeof buffer, &found) == 0 && found && found->pw_dir &&
      *found->pw_dir == '/')
    return std::string(found->pw_dir) + "/.cache/moec";
  return "";
}

/// The directory's descriptor, or -1. It stays open: what was checked is what is used.
int DiskCache::open_directory(bool make) {
  std::lock_guard lock(mutex_);
  if (directory_fd_ >= 0) {
    struct stat status;
    if (::fstat(directory_fd_, &status) == 0 && status.st_nlink > 0) return directory_fd_;
    ::close(directory_fd_); // it was removed under us
    directory_fd_ = -1;
  }
  auto refuse = [&](const std::string &what, std::string wrong) {
    warn_once("cache", fmt::format("{}: {}; kernels are kept in memory only", what, wrong));
    problem_ = std::move(wrong);
    return -1;
  };
  if (directory_.empty()) return refuse("no kernel cache", "there is no home directory for it, set MOEC_CACHE_DIR");
  auto open = [&] { return ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); };
  int fd = open();
  if (fd < 0 && errno == ENOENT) {
    if (!make) return -1;
    make_directories(directory_);
    fd = open();
  }
  std::string wrong =
      fd < 0 ? (errno == ELOOP || errno == ENOTDIR ? "it is a symbolic link or no directory" : std::strerror(errno))
             : untrusted(fd);
  if (!wrong.empty()) {
    if (fd >= 0) ::close(fd);
    return refuse(fmt::format("kernel cache {} is not used", directory_), std::move(wrong));
  }
  return directory_fd_ = fd;
}

std::string DiskCache::problem() {
  int directory = open_directory(true);
  if (directory >= 0) return ::faccessat(directory, ".", W_OK | X_OK, AT_EACCESS) == 0 ? "" : std::strerror(errno);
  std::lock_guard lock(mutex_);
  return problem_;
}

std::string DiskCache::digest_file(const CacheKey &key) const { return key.digest() + std::string(kEntrySuffix); }

// -- entries

std::optional<CacheEntry> DiskCache::load(const CacheKey &key) {
  int directory = open_directory(false);
  if (directory < 0) return std::nullopt;
  CacheEntry entry;
  std::string file = digest_file(key);
  std::string wrong = read_entry(directory, file, &key.text(), true, entry);
  if (wrong.empty()) return entry;
  if (wrong != "missing")
    log_line(LogLevel::info, fmt::format("cache entry {}/{} is not used: {}", directory_, file, wrong));
  return std::nullopt;
}

bool DiskCache::store(const CacheKey &key, std::string_view manifest, std::string_view payload) {
  int directory = open_directory(true);
  if (directory < 0) return false;
  std::string bytes = encode_entry(key.text(), manifest, payload);
  int error = bytes.size() > kMaxEntryBytes ? EFBIG : publish(directory, digest_file(key), bytes);
  if (error) {
    warn_once("cache store", fmt::format("cannot write to the kernel cache {}: {}; kernels are kept in memory only",
                                         directory_, std::strerror(error)));
    return false;
  }
  remember_bytes(bytes.size());
  return true;
}

/// Prunes when enough came in since the last look that the bound may be exceeded by an eighth.
void DiskCache::remember_bytes(uint64_t added) {
  {
    std::lock_guard lock(mutex_);
    if (stored_since_prune_ != UINT64_MAX && (stored_since_prune_ += added) < max_bytes_ / 8) return;
    stored_since_prune_ = 0;
  }
  if (totals().bytes > max_bytes_) prune(max_bytes_ - max_bytes_ / 8);
}

CacheEntry DiskCache::load_or_make(const CacheKey &key, const std::function<CacheEntry()> &make, bool *was_hit) {
  if (was_hit) *was_hit = true;
  if (auto hit = load(key)) return std::move(*hit);
  int directory = open_directory(true);
  std::optional<KeyLock> lock;
  if (directory >= 0) {
    lock.emplace(directory, key.digest());
    if (auto hit = load(key)) return std::move(*hit); // made while this one waited
  }
  if (was_hit) *was_hit = false;
  CacheEntry made = make();
  made.key = key.text();
  if (directory >= 0) store(key, made.manifest, made.payload);
  return made;
}

// -- maintenance

std::vector<CacheListing> DiskCache::list() {
  std::vector<CacheListing> files;
  int directory = open_directory(false);
  if (directory < 0) return files;
  each_file(directory, [&](const std::string &name, const struct stat &status) {
    if (name.starts_with(kAsidePrefix)) return;
    CacheListing l{name, static_cast<uint64_t>(status.st_size), status.st_mtime, "", "", ""};
    CacheEntry entry;
    l.wrong = read_entry(directory, name, nullptr, false, entry);
    if (l.wrong.empty()) {
      if (hex_digest(entry.key) + std::string(kEntrySuffix) != name) l.wrong = "its name is not its key's hash";
    }
    if (l.wrong.empty()) l.key = std::move(entry.key), l.manifest = std::move(entry.manifest);
    files.push_back(std::move(l));
  });
  std::sort(files.begin(), files.end(), [](const auto &a, const auto &b) { return a.file < b.file; });
  return files;
}

CacheTotals DiskCache::totals() {
  CacheTotals t;
  t.max_bytes = max_bytes_;
  int directory = open_directory(false);
  if (directory < 0) return t;
  each_file(directory, [&](const std::string &name, const struct stat &status) {
    if (name.starts_with(kAsidePrefix)) return;
    ++t.entries;
    t.bytes += static_cast<uint64_t>(status.st_size);
  });
  return t;
}

uint64_t DiskCache::prune(uint64_t max_bytes) {
  int directory = open_directory(false);
  if (directory < 0) return 0;
  struct Item {
    std::string name;
    uint64_t bytes;
    timespec used;
  };
  std::vector<Item> items;
  uint64_t total = 0, removed = 0;
  auto remove = [&](const std::string &name) { removed += remove_file(directory, name); };
  each_file(directory, [&](const std::string &name, const struct stat &status) {
    if (name.starts_with(kAsidePrefix)) {
      if (::time(nullptr) - status.st_mtime > kAsideLife_s) remove(name);
      return;
    }
    if (!S_ISREG(status.st_mode)) return remove(name);
    items.push_back({name, static_cast<uint64_t>(status.st_size), status.st_mtim});
    total += items.back().bytes;
  });
  std::sort(items.begin(), items.end(), [](const Item &a, const Item &b) {
    return std::pair(a.used.tv_sec, a.used.tv_nsec) < std::pair(b.used.tv_sec, b.used.tv_nsec);
  });
  for (const Item &item : items) {
    if (total <= max_bytes) break;
    remove(item.name);
    total -= item.bytes;
  }
  return removed;
}

uint64_t DiskCache::remove_bad() {
  uint64_t removed = 0;
  for (const CacheListing &l : list()) {
    if (l.wrong.empty()) continue;
    removed += remove_file(open_directory(false), l.file);
  }
  return removed;
}

uint64_t DiskCache::clear() {
  int directory = open_directory(false);
  if (directory < 0) return 0;
  uint64_t removed = 0;
  each_file(directory, [&](const std::string &name, const struct stat &) {
    removed += remove_file(directory, name) && name.ends_with(kEntrySuffix);
  });
  return removed;
}

} // namespace moec
