// The disk cache of compiled kernels. Content-addressed: the name of an entry is the BLAKE2b hash of its key, and an
// entry is one self-contained file (header, full key, manifest, payload) under a checksum, so that a damaged, truncated
// or foreign file is a miss and is replaced. Nothing here throws for the state of the disk: it degrades to "no cache"
// with one warning. Standard library only.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moec {

/// What decides a compile's result, as named fields in a canonical text: two keys are equal if and only if all fields
/// are.
class CacheKey {
public:
  /// Adds a field. Names should be unique; order matters. Values may hold any bytes.
  CacheKey &add(std::string_view name, std::string_view value);
  const std::string &text() const { return text_; }
  /// BLAKE2b-256 of the text, 64 hex digits.
  std::string digest() const;

private:
  std::string text_;
};

/// A cache entry's content. `manifest` is JSON; `payload` is a cubin, a sim image or text.
struct CacheEntry {
  std::string key, manifest, payload;
};

/// One file of the cache, for `moec cache ls` and `verify`.
struct CacheListing {
  std::string file; ///< its name in the directory
  uint64_t bytes = 0;
  int64_t last_use_s = 0;    ///< seconds since 1970
  std::string wrong;         ///< why it is not a valid entry; empty if it is
  std::string key, manifest; ///< of a valid entry
};

struct CacheTotals {
  uint64_t entries = 0, bytes = 0, max_bytes = 0;
};

class DiskCache {
public:
  /// Uses `directory` (made with mode 0700 at the first store). Entries are kept below `max_bytes`, least recently used
  /// first to go.
  DiskCache(std::string directory, uint64_t max_bytes);
  ~DiskCache();
  DiskCache(const DiskCache &) = delete;
  /// The process's cache, as MOEC_CACHE_DIR and MOEC_CACHE_MAX_BYTES say. Throws UserError for a wrong variable.
  static DiskCache &shared();
  /// $MOEC_CACHE_DIR, or $XDG_CACHE_HOME/moec, or ~/.cache/moec; empty if there is no home.
  static std::string default_directory();

  const std::string &directory() const { return directory_; }
  /// The entry of `key`, every byte checked, or nullopt. Marks it as used.
  std::optional<CacheEntry> load(const CacheKey &key);
  /// Publishes an entry: written aside, flushed, renamed. False (after one warning) if the disk does not let it.
  bool store(const CacheKey &key, std::string_view manifest, std::string_view payload);
  /// The entry of `key`, or what `make` returns, stored. Of threads and processes that miss together one calls `make`,
  /// the others wait for its entry. Exceptions of `make` pass through. `was_hit` says which it was.
  CacheEntry load_or_make(const CacheKey &key, const std::function<CacheEntry()> &make, bool *was_hit = nullptr);

  // -- for `moec cache`
  /// Why no kernels can be kept in the directory (which it makes, if it is missing), or "".
  std::string problem();
  std::vector<CacheListing> list();
  CacheTotals totals();
  /// Removes leftovers, things that are no files and the least recently used entries until at most `max_bytes` are
  /// left. Returns how many went.
  uint64_t prune(uint64_t max_bytes);
  /// Removes files that are no valid entries (see list). Returns how many.
  uint64_t remove_bad();
  /// Removes all entries. Returns how many.
  uint64_t clear();

private:
  int open_directory(bool make);
  void remember_bytes(uint64_t added);
  std::string digest_file(const CacheKey &key) const;

  std::string directory_;
  uint64_t max_bytes_;
  std::mutex mutex_;
  int directory_fd_ = -1;
  std::string problem_;                      // why the last open_directory(true) failed
  uint64_t stored_since_prune_ = UINT64_MAX; // of the first store: look
};

} // namespace moec
