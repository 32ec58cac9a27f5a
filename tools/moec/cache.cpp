// moec cache: the disk cache of compiled kernels.
#include "tools/moec/commands.h"

#include "runtime/cache.h"
#include "runtime/error.h"
#include "runtime/json.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <optional>

namespace moec::cli {

namespace {

DiskCache &cache() {
  if (DiskCache::default_directory().empty())
    throw UserError("use the disk cache",
                    "there is no directory for it: neither MOEC_CACHE_DIR, XDG_CACHE_HOME nor HOME is set",
                    "set MOEC_CACHE_DIR");
  return DiskCache::shared();
}

/// "weighted_swiglu (block=1024)  target=sm_90a;..." of an entry's manifest.
std::string what_is(const std::string &manifest) {
  Json facts;
  std::string wrong;
  if (!parse_json(manifest, 16, facts, wrong) || !facts.is_object()) return "?";
  std::string spec = facts.value("spec", "");
  return fmt::format("{}{}  {}", facts.value("kernel", "?"), spec.empty() ? "" : " (" + spec + ")",
                     facts.value("options", "?"));
}

std::string text_of(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  if (bytes < 1024 * 1024) return fmt::format("{:.1f} KiB", double(bytes) / 1024);
  return fmt::format("{:.1f} MiB", double(bytes) / 1024 / 1024);
}

int ls() {
  for (const CacheListing &e : cache().list()) {
    std::time_t when = e.last_use_s;
    fmt::print("{:%Y-%m-%d %H:%M}  {:>10}  {}  {}\n", fmt::localtime(when), text_of(e.bytes), e.file.substr(0, 16),
               e.wrong.empty() ? what_is(e.manifest) : "BAD: " + e.wrong);
  }
  return kOk;
}

int stat() {
  const std::string text = cache_text(); // the directory alone would look like one in use
  fmt::print("{}\n{}\n", cache().directory(), text);
  return kOk;
}

int verify(bool repair) {
  uint64_t good = 0, bad = 0;
  for (const CacheListing &e : cache().list()) {
    e.wrong.empty() ? ++good : ++bad;
    if (!e.wrong.empty()) fmt::print("{}: {}\n", e.file, e.wrong);
  }
  if (repair) fmt::print("removed {}\n", cache().remove_bad());
  fmt::print("{} good, {} bad\n", good, bad);
  return bad && !repair ? kFailed : kOk;
}

} // namespace

std::string cache_text() {
  if (std::string wrong = DiskCache::shared().problem(); !wrong.empty())
    throw UserError("keep kernels in " + DiskCache::shared().directory(), wrong,
                    "set MOEC_CACHE_DIR to a folder of yours; until then kernels are kept in memory only");
  CacheTotals t = DiskCache::shared().totals();
  const std::vector<CacheListing> files = DiskCache::shared().list();
  auto bad = std::count_if(files.begin(), files.end(), [](const CacheListing &e) { return !e.wrong.empty(); });
  return fmt::format("{} entries, {} of at most {}, {} bad", t.entries, text_of(t.bytes), text_of(t.max_bytes), bad);
}

void add_cache(CLI::App &app, Action &action) {
  auto *c = app.add_subcommand("cache", "the disk cache of compiled kernels");
  c->require_subcommand(1);
  auto command = [&](const char *name, const char *doc, std::function<int()> f) {
    auto *s = c->add_subcommand(name, doc);
    s->callback([&action, f] { action = f; });
    return s;
  };
  command("path", "its directory", [] { return fmt::print("{}\n", cache().directory()), kOk; });
  command("ls", "its entries, with their last use, size, kernel and options", ls);
  command("stat", "how many entries and bytes", stat);
  auto repair = std::make_shared<bool>(false);
  command("verify", "check every byte of every entry; exit 1 if one is bad", [repair] {
    return verify(*repair);
  })->add_flag("--repair", *repair, "remove bad entries");
  auto bytes = std::make_shared<std::optional<uint64_t>>();
  command("prune", "remove the least recently used entries",
          [bytes] {
            return fmt::print("removed {} entries\n", cache().prune(bytes->value_or(cache().totals().max_bytes))), kOk;
          })
      ->add_option("--to", *bytes, "until at most this is left, such as 500MiB (default: MOEC_CACHE_MAX_BYTES)")
      ->transform(CLI::AsSizeValue(false));
  command("clear", "remove all entries", [] { return fmt::print("removed {} entries\n", cache().clear()), kOk; });
}

} // namespace moec::cli
