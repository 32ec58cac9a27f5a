// The disk cache: what comes back is what was stored, damage is a miss and is repaired, processes that miss together
// compile once.
#include "runtime/cache.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "runtime/cache_entry.h"
#include "scratch.h"

using namespace moec;
using namespace moec::testing;
namespace fs = std::filesystem;

namespace {

CacheKey key_of(const std::string &text) { return CacheKey().add("text", text).add("target", "sm_90a"); }

class Cache : public ::testing::Test {
protected:
  std::string directory() const { return scratch.path("cache"); }
  std::string file_of(const CacheKey &key) const { return directory() + "/" + key.digest() + ".moec"; }
  size_t entries() const {
    size_t n = 0;
    for (auto &e : fs::directory_iterator(directory())) n += e.path().extension() == ".moec";
    return n;
  }
  /// Stores `key` afresh over whatever is there and expects to read it back.
  void expect_repaired(DiskCache &cache, const CacheKey &key) {
    bool hit = true;
    CacheEntry made = cache.load_or_make(key, [] { return CacheEntry{"", "{\"new\":1}", "fresh"}; }, &hit);
    EXPECT_FALSE(hit);
    EXPECT_EQ(made.payload, "fresh");
    auto again = cache.load(key);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->payload, "fresh");
    EXPECT_EQ(again->manifest, "{\"new\":1}");
  }
  ScratchDirectory scratch;
};

TEST_F(Cache, key_is_canonical) {
  EXPECT_EQ(CacheKey().add("a", "b").text(), "a 1\nb\n");
  EXPECT_NE(CacheKey().add("a", "1\nb 1\n2").text(), CacheKey().add("a", "1").add("b", "2").text());
  EXPECT_EQ(key_of("x").digest(), key_of("x").digest());
  EXPECT_NE(key_of("x").digest(), key_of("y").digest());
  // BLAKE2b-256 of the empty text, a published value.
  EXPECT_EQ(CacheKey().digest(), "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
}

TEST_F(Cache, stores_and_loads) {
  DiskCache cache(directory(), 1 << 20);
  std::string payload("\0binary\xff\n", 9);
  EXPECT_FALSE(cache.load(key_of("x")));
  EXPECT_FALSE(fs::exists(directory())); // looking makes nothing
  EXPECT_TRUE(cache.store(key_of("x"), "{}", payload));
  DiskCache other(directory(), 1 << 20);
  auto entry = other.load(key_of("x"));
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->payload, payload);
  EXPECT_EQ(entry->manifest, "{}");
  EXPECT_EQ(entry->key, key_of("x").text());
  EXPECT_FALSE(other.load(key_of("y")));
  EXPECT_EQ(fs::status(directory()).permissions(), fs::perms::owner_all);
  EXPECT_EQ(fs::status(file_of(key_of("x"))).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(Cache, entries_are_relocatable) {
  DiskCache(directory(), 1 << 20).store(key_of("x"), "{}", "p");
  fs::rename(directory(), scratch.path("elsewhere"));
  EXPECT_TRUE(DiskCache(scratch.path("elsewhere"), 1 << 20).load(key_of("x")));
}

TEST_F(Cache, every_flipped_bit_is_a_miss_and_is_repaired) {
  DiskCache cache(directory(), 1 << 20);
  CacheKey key = key_of("x");
  cache.store(key, "{\"a\":1}", "payload");
  std::string whole = read_file(file_of(key));
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    write_file(file_of(key), damaged);
    ASSERT_FALSE(cache.load(key)) << "bit " << bit;
  }
  expect_repaired(cache, key);
}

TEST_F(Cache, every_truncation_and_extension_is_a_miss) {
  DiskCache cache(directory(), 1 << 20);
  CacheKey key = key_of("x");
  cache.store(key, "{\"a\":1}", "payload");
  std::string whole = read_file(file_of(key));
  for (size_t n = 0; n < whole.size(); ++n) {
    write_file(file_of(key), whole.substr(0, n));
    ASSERT_FALSE(cache.load(key)) << n << " bytes";
  }
  write_file(file_of(key), whole + "x");
  EXPECT_FALSE(cache.load(key));
  expect_repaired(cache, key);
}

TEST_F(Cache, swapped_entries_are_misses) {
  DiskCache cache(directory(), 1 << 20);
  cache.store(key_of("x"), "{}", "px");
  cache.store(key_of("y"), "{}", "py");
  fs::rename(file_of(key_of("x")), scratch.path("t"));
  fs::rename(file_of(key_of("y")), file_of(key_of("x")));
  fs::rename(scratch.path("t"), file_of(key_of("y")));
  EXPECT_FALSE(cache.load(key_of("x")));
  EXPECT_FALSE(cache.load(key_of("y")));
  for (const CacheListing &l : cache.list()) EXPECT_EQ(l.wrong, "its name is not its key's hash");
  expect_repaired(cache, key_of("x"));
}

TEST_F(Cache, links_pipes_directories_and_open_modes_are_misses) {
  DiskCache cache(directory(), 1 << 20);
  CacheKey key = key_of("x");
  auto fresh = [&] {
    fs::remove_all(file_of(key));
    cache.store(key, "{}", "p");
    ASSERT_TRUE(cache.load(key));
  };
  fresh();
  fs::rename(file_of(key), scratch.path("outside"));
  fs::create_symlink(scratch.path("outside"), file_of(key));
  EXPECT_FALSE(cache.load(key));
  expect_repaired(cache, key);
  EXPECT_FALSE(fs::is_symlink(file_of(key)));

  fs::remove(file_of(key));
  ASSERT_EQ(::mkfifo(file_of(key).c_str(), 0600), 0);
  EXPECT_FALSE(cache.load(key));
  expect_repaired(cache, key);

  fs::remove(file_of(key));
  fs::create_directory(file_of(key));
  EXPECT_FALSE(cache.load(key));
  expect_repaired(cache, key);

  for (int mode : {0644, 0660, 0602, 0604}) {
    fresh();
    ::chmod(file_of(key).c_str(), static_cast<mode_t>(mode));
    EXPECT_FALSE(cache.load(key)) << std::oct << mode;
    expect_repaired(cache, key);
  }
}

TEST_F(Cache, another_users_entry_is_a_miss) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to give a file away";
  DiskCache cache(directory(), 1 << 20);
  cache.store(key_of("x"), "{}", "p");
  ASSERT_EQ(::chown(file_of(key_of("x")).c_str(), 12345, 12345), 0);
  EXPECT_FALSE(cache.load(key_of("x")));
  expect_repaired(cache, key_of("x"));
}

TEST_F(Cache, directories_that_others_could_change_are_not_used) {
  auto refuses = [&](const std::string &path) {
    DiskCache cache(path, 1 << 20);
    bool hit = true;
    CacheEntry made = cache.load_or_make(key_of("x"), [] { return CacheEntry{"", "{}", "p"}; }, &hit);
    EXPECT_EQ(made.payload, "p"); // the program goes on without a cache
    EXPECT_FALSE(hit);
    return !cache.load(key_of("x")) && !cache.store(key_of("x"), "{}", "p");
  };
  fs::create_directory(directory());
  ::chmod(directory().c_str(), 0755);
  EXPECT_TRUE(refuses(directory()));
  ::chmod(directory().c_str(), 0777);
  EXPECT_TRUE(refuses(directory()));
  ::chmod(directory().c_str(), 0700);
  EXPECT_FALSE(refuses(directory()));
  fs::create_directory_symlink(directory(), scratch.path("link"));
  EXPECT_TRUE(refuses(scratch.path("link")));
  write_file(scratch.path("file"), "x");
  EXPECT_TRUE(refuses(scratch.path("file")));
  EXPECT_TRUE(refuses(scratch.path("file") + "/below"));
  EXPECT_TRUE(refuses("/proc/no/such"));
  EXPECT_TRUE(refuses(""));
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(directory().c_str(), 12345, 12345), 0);
    EXPECT_TRUE(refuses(directory()));
  }
}

TEST_F(Cache, directory_removed_meanwhile_is_made_again) {
  DiskCache cache(directory(), 1 << 20);
  cache.store(key_of("x"), "{}", "p");
  fs::remove_all(directory());
  EXPECT_FALSE(cache.load(key_of("x")));
  expect_repaired(cache, key_of("x"));
}

TEST_F(Cache, full_disk_degrades_to_memory) {
  DiskCache cache(directory(), 1 << 20);
  cache.store(key_of("small"), "{}", "p");
  pid_t child = ::fork();
  if (child == 0) { // a file-size limit makes write() fail as a full disk does, and would raise SIGXFSZ
    rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    bool hit = true;
    CacheEntry made =
        cache.load_or_make(key_of("x"), [] { return CacheEntry{"", "{}", std::string(100000, 'p')}; }, &hit);
    bool fine = !hit && made.payload.size() == 100000 && !cache.load(key_of("x")) && cache.load(key_of("small"));
    ::_exit(fine ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  for (auto &e : fs::directory_iterator(directory())) EXPECT_FALSE(e.path().filename().string().starts_with(".aside-"));
}

TEST_F(Cache, read_only_directory_still_gives_hits) {
  DiskCache(directory(), 1 << 20).store(key_of("x"), "{}", "p");
  ::chmod(directory().c_str(), 0500);
  pid_t child = ::fork();
  if (child == 0) {
    // root may write anywhere: become the directory's other owner
    if (::geteuid() == 0 && (::chmod(scratch.path().c_str(), 0711) || ::chown(directory().c_str(), 54321, 54321) ||
                             ::chown(file_of(key_of("x")).c_str(), 54321, 54321) || ::setuid(54321)))
      ::_exit(2);
    DiskCache cache(directory(), 1 << 20);
    bool fine = cache.load(key_of("x")).has_value();
    fine &= !cache.store(key_of("y"), "{}", "p");
    fine &= cache.load_or_make(key_of("y"), [] { return CacheEntry{"", "{}", "made"}; }).payload == "made";
    ::_exit(fine ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(Cache, processes_that_miss_together_make_once) {
  auto *made =
      static_cast<std::atomic<int> *>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    pid_t child = ::fork();
    if (child == 0) {
      DiskCache cache(directory(), 1 << 20);
      CacheEntry e = cache.load_or_make(key_of("x"), [&] {
        ++*made;
        std::this_thread::sleep_for(std::chrono::milliseconds(150));
        return CacheEntry{"", "{}", "p"};
      });
      ::_exit(e.payload == "p" ? 0 : 1);
    }
    children.push_back(child);
  }
  for (pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(made->load(), 1);
  ::munmap(made, 4096);
}

TEST_F(Cache, threads_that_miss_together_make_once_per_key) {
  DiskCache cache(directory(), 1 << 20);
  std::atomic<int> made{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      cache.load_or_make(key_of(std::to_string(i % 2)), [&] {
        ++made;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        return CacheEntry{"", "{}", "p"};
      });
    });
  for (auto &t : threads) t.join();
  EXPECT_EQ(made, 2);
}

TEST_F(Cache, killed_maker_lets_the_next_go_on) {
  pid_t child = ::fork();
  if (child == 0) {
    DiskCache cache(directory(), 1 << 20);
    cache.load_or_make(key_of("x"), [&] {
      write_file(scratch.path("started"), "1");
      for (;;) ::pause();
      return CacheEntry{};
    });
    ::_exit(0);
  }
  while (!fs::exists(scratch.path("started"))) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  DiskCache cache(directory(), 1 << 20);
  expect_repaired(cache, key_of("x"));
}

TEST_F(Cache, exceptions_of_the_maker_pass_and_free_the_lock) {
  DiskCache cache(directory(), 1 << 20);
  EXPECT_THROW(cache.load_or_make(key_of("x"), []() -> CacheEntry { throw std::runtime_error("no"); }),
               std::runtime_error);
  expect_repaired(cache, key_of("x"));
}

TEST_F(Cache, size_is_bounded_and_the_least_recently_used_go_first) {
  const uint64_t bound = 64 << 10;
  DiskCache cache(directory(), bound);
  for (int i = 0; i < 200; ++i) cache.store(key_of(std::to_string(i)), "{}", std::string(1000, 'p'));
  EXPECT_LE(cache.totals().bytes, bound + bound / 8 + 2048);
  EXPECT_GT(cache.totals().entries, 30u);
  EXPECT_TRUE(cache.load(key_of("199")));
  EXPECT_FALSE(cache.load(key_of("0")));

  cache.clear();
  for (const char *k : {"old", "used", "new"}) {
    cache.store(key_of(k), "{}", "p");
    timespec old[2] = {{1000000 + k[0], 0}, {1000000 + k[0], 0}}; // long ago: n < o < u
    ::utimensat(AT_FDCWD, file_of(key_of(k)).c_str(), old, 0);
  }
  EXPECT_TRUE(cache.load(key_of("new"))); // a hit is a use
  uint64_t one = fs::file_size(file_of(key_of("new")));
  EXPECT_EQ(cache.prune(2 * one + 8), 1u);
  EXPECT_FALSE(cache.load(key_of("old")));
  EXPECT_TRUE(cache.load(key_of("used")));
  EXPECT_TRUE(cache.load(key_of("new")));
}

TEST_F(Cache, leftovers_of_dead_writers_are_swept) {
  DiskCache cache(directory(), 1 << 20);
  cache.store(key_of("x"), "{}", "p");
  write_file(directory() + "/.aside-1-old", "x");
  write_file(directory() + "/.aside-1-new", "x");
  timespec old[2] = {{1000000, 0}, {1000000, 0}};
  ::utimensat(AT_FDCWD, (directory() + "/.aside-1-old").c_str(), old, 0);
  cache.prune(1 << 20);
  EXPECT_FALSE(fs::exists(directory() + "/.aside-1-old"));
  EXPECT_TRUE(fs::exists(directory() + "/.aside-1-new"));
  EXPECT_TRUE(cache.load(key_of("x")));
}

TEST_F(Cache, list_verify_totals_and_clear) {
  DiskCache cache(directory(), 1 << 20);
  EXPECT_TRUE(cache.list().empty());
  cache.store(key_of("x"), "{\"kernel\":\"k\"}", "p");
  cache.store(key_of("y"), "{}", "p");
  write_file(file_of(key_of("y")), "garbage");
  ::chmod(file_of(key_of("y")).c_str(), 0600);
  auto files = cache.list();
  ASSERT_EQ(files.size(), 2u);
  for (const CacheListing &l : files) {
    if (l.file == key_of("x").digest() + ".moec") {
      EXPECT_EQ(l.wrong, "");
      EXPECT_EQ(l.manifest, "{\"kernel\":\"k\"}");
      EXPECT_EQ(l.key, key_of("x").text());
    } else {
      EXPECT_EQ(l.wrong, "truncated header");
    }
  }
  EXPECT_EQ(cache.totals().entries, 2u);
  EXPECT_EQ(cache.remove_bad(), 1u);
  EXPECT_EQ(cache.totals().entries, 1u);
  EXPECT_EQ(cache.clear(), 1u);
  EXPECT_EQ(cache.totals().entries, 0u);
  EXPECT_EQ(entries(), 0u);
}

TEST_F(Cache, inodes_per_entry) {
  DiskCache cache(directory(), 1 << 20);
  for (int i = 0; i < 50; ++i) cache.load_or_make(key_of(std::to_string(i)), [] { return CacheEntry{"", "{}", "p"}; });
  size_t files = 0;
  for ([[maybe_unused]] auto &e : fs::directory_iterator(directory())) ++files;
  EXPECT_EQ(files, 51u); // one each, and the lock file
}

} // namespace
