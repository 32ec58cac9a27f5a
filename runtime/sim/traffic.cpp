#include "runtime/sim/traffic.h"

#include "runtime/sim/sim_abi.h"

#include <algorithm>

namespace moec::sim {

void SectorMap::add(uint64_t sector, TrafficKind kind) {
  if (uint64_t number = sector / kPageSectors; number != last_number_) {
    auto &page = pages_[number];
    if (!page) page = std::make_unique<Page>();
    last_number_ = number;
    last_ = page.get();
  }
  ++last_->moved[static_cast<size_t>(kind)][sector % kPageSectors];
}

SectorMap::Sum SectorMap::sum(uint64_t begin, uint64_t end) const {
  uint64_t first = begin / kSectorBytes, last = end ? (end - 1) / kSectorBytes : ~uint64_t{0};
  Sum total;
  for (const auto &[number, page] : pages_)
    for (uint64_t i = 0; i < kPageSectors; ++i) {
      uint64_t sector = number * kPageSectors + i;
      if (sector < first || sector > last) continue;
      bool moved = false;
      for (size_t k = 0; k < kTrafficKinds; ++k) {
        total.moved[k] += page->moved[k][i];
        moved |= page->moved[k][i] != 0;
      }
      total.distinct += moved;
    }
  return total;
}

void SectorMap::clear() {
  pages_.clear();
  last_number_ = ~uint64_t{0};
}

void TrafficRecorder::begin_cta(uint32_t threads) {
  threads_ = threads;
  for (Site &site : sites_) site.executed.assign(threads, 0);
}

void TrafficRecorder::access(const void *place, uint32_t thread, uint64_t address, uint32_t bytes, TrafficKind kind) {
  if (!bytes) return;
  auto [it, fresh] = site_numbers_.try_emplace(place, static_cast<uint32_t>(sites_.size()));
  if (fresh) sites_.push_back({kind, std::vector<uint32_t>(threads_, 0)});
  Site &site = sites_[it->second];
  // Site, execution and warp in one word: 2^27 sites, 2^32 executions, 2^5 warps.
  uint64_t request = uint64_t{it->second} << 37 | uint64_t{site.executed[thread]++} << 5 | thread / kWarpSize;
  counts_.kinds[static_cast<size_t>(site.kind)].bytes += bytes;
  for (uint64_t s = address / kSectorBytes; s <= (address + bytes - 1) / kSectorBytes; ++s)
    records_.push_back({request, s});
}

void TrafficRecorder::end_cta() {
  std::ranges::sort(records_);
  const Record *before = nullptr;
  for (const Record &record : records_) {
    if (before && *before == record) continue;
    TrafficKind kind = sites_[record.request >> 37].kind;
    AccessCounts &counts = counts_.kinds[static_cast<size_t>(kind)];
    counts.requests += !before || before->request != record.request;
    ++counts.sectors;
    if (kind == TrafficKind::Atomic)
      moved(kind, record.sector);
    else
      touched_[static_cast<size_t>(kind)].push_back(record.sector);
    before = &record;
  }
  records_.clear();
  for (TrafficKind kind : {TrafficKind::Load, TrafficKind::Store}) {
    auto &sectors = touched_[static_cast<size_t>(kind)];
    std::ranges::sort(sectors);
    const auto rest = std::ranges::unique(sectors);
    for (auto it = sectors.begin(); it != rest.begin(); ++it) moved(kind, *it);
    sectors.clear();
  }
}

void TrafficRecorder::moved(TrafficKind kind, uint64_t sector) {
  ++counts_.kinds[static_cast<size_t>(kind)].moved;
  if (counts_.sectors) counts_.sectors->add(sector, kind);
}

} // namespace moec::sim
