// The cache on a disk whose every call may fail: EBUSY, ESTALE, ENOENT, ENOSPC, EACCES.
#include "faulty_disk.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "runtime/cache.h"
#include "scratch.h"

namespace {
std::atomic<int> calls{0}, fail_at{-1}, fail_with{0};
std::atomic<bool> sticky{false}, armed{false};
thread_local bool inside = false;

/// True if this call is to fail; errno is set.
bool fails() {
  if (!armed || inside) return false;
  int n = calls++;
  if (n != fail_at && !(sticky && n > fail_at)) return false;
  errno = fail_with;
  return true;
}
} // namespace

namespace moec::testing {
void fail_disk_call(int nth, int error, bool keep) {
  calls = 0, fail_at = nth, fail_with = error, sticky = keep;
  armed = true;
}
int heal_disk() {
  armed = false;
  return calls;
}
} // namespace moec::testing

// What runtime/cache*.cpp calls. These take the place of libc's in this program.
extern "C" {
int openat(int at, const char *path, int flags, ...) {
  if (fails()) return -1;
  va_list list;
  va_start(list, flags);
  int mode = va_arg(list, int);
  va_end(list);
  return static_cast<int>(syscall(SYS_openat, at, path, flags, mode));
}
int renameat(int from_at, const char *from, int to_at, const char *to) noexcept {
  return fails() ? -1 : static_cast<int>(syscall(SYS_renameat, from_at, from, to_at, to));
}
int unlinkat(int at, const char *path, int flags) noexcept {
  return fails() ? -1 : static_cast<int>(syscall(SYS_unlinkat, at, path, flags));
}
int fsync(int fd) { return fails() ? -1 : static_cast<int>(syscall(SYS_fsync, fd)); }
int fchmod(int fd, mode_t mode) noexcept { return fails() ? -1 : static_cast<int>(syscall(SYS_fchmod, fd, mode)); }
int mkdir(const char *path, mode_t mode) noexcept {
  return fails() ? -1 : static_cast<int>(syscall(SYS_mkdir, path, mode));
}
}

using namespace moec;
using namespace moec::testing;

namespace {

CacheKey key_of(const std::string &text) { return CacheKey().add("text", text); }

/// What a program does with the cache. True if it got right content each time.
bool use(DiskCache &cache) {
  bool fine = true;
  for (const char *name : {"a", "b", "a"}) {
    CacheEntry e =
        cache.load_or_make(key_of(name), [&] { return CacheEntry{"", "{}", std::string("payload of ") + name}; });
    fine &= e.payload == std::string("payload of ") + name;
  }
  cache.list();
  cache.totals();
  cache.prune(1 << 20);
  return fine;
}

class FaultyDisk : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(cache, FaultyDisk, ::testing::Values(EBUSY, ESTALE, ENOENT, ENOSPC, EACCES));

TEST_P(FaultyDisk, any_call_may_fail_and_the_program_goes_on) {
  int total = 0;
  {
    ScratchDirectory scratch;
    DiskCache cache(scratch.path("cache"), 1 << 20);
    fail_disk_call(-1, 0, false);
    EXPECT_TRUE(use(cache));
    total = heal_disk();
  }
  ASSERT_GT(total, 15);
  for (bool keep : {false, true})
    for (int n = 0; n < total; ++n) {
      ScratchDirectory scratch;
      DiskCache cache(scratch.path("cache"), 1 << 20);
      fail_disk_call(n, GetParam(), keep);
      EXPECT_TRUE(use(cache)) << "call " << n;
      heal_disk();
      EXPECT_TRUE(use(cache)) << "after call " << n; // and recovers
      EXPECT_TRUE(cache.load(key_of("a"))) << "after call " << n;
      for (const CacheListing &l : cache.list()) EXPECT_EQ(l.wrong, "") << "after call " << n;
    }
}

} // namespace
