// The format of one cache file, and reading and writing it. Internal to the cache.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/cache.h"

namespace moec {

inline constexpr std::string_view kEntrySuffix = ".moec";
inline constexpr std::string_view kAsidePrefix = ".aside-";
inline constexpr uint64_t kMaxEntryBytes = uint64_t{1} << 30;

/// Reads and checks the file `name` in `directory`. Empty return: `entry` is filled. Else what is wrong; "" never
/// stands for a failure, a missing file gives "missing". Refuses symlinks, other users' files, files that others may
/// touch, and anything not regular. `expected_key`: the key that it must have (nullptr: any). `mark_used`: set its time
/// of last use.
std::string read_entry(int directory, const std::string &name, const std::string *expected_key, bool mark_used,
                       CacheEntry &entry);

/// The file's bytes for an entry.
std::string encode_entry(std::string_view key, std::string_view manifest, std::string_view payload);
/// The inverse; returns what is wrong, or "".
std::string decode_entry(std::string_view file, CacheEntry &entry);

/// Writes `bytes` under a temporary name, flushes and renames it to `name`. Returns 0 or errno. SIGXFSZ is kept from
/// the process.
int publish(int directory, const std::string &name, std::string_view bytes);

} // namespace moec
