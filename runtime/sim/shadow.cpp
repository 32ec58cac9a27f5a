#include "runtime/sim/shadow.h"

#include <algorithm>
#include <bit>

namespace moec::sim {

void SharedShadow::reset(uint32_t bytes) {
  ++generation_;
  if (cells_.size() * 16 < bytes) cells_.resize((bytes + 15) / 16);
  used_sets_ = 0;
}

/// The cell, split so that `piece` bytes (a power of two up to 16) are whole records.
SharedShadow::Cell &SharedShadow::cell_at(uint32_t index, uint32_t piece) {
  Cell &cell = cells_[index];
  if (cell.generation != generation_) {
    cell.generation = generation_;
    cell.granule = 16;
    cell.records[0] = {};
  }
  while (cell.granule > piece) {
    uint32_t half = cell.granule / 2;
    for (uint32_t at = 0; at < 16; at += cell.granule) {
      Record &copy = cell.records[at + half] = cell.records[at];
      if (copy.read.agent & kReadSet) {
        if (used_sets_ == read_sets_.size()) read_sets_.emplace_back();
        read_sets_[used_sets_] = read_sets_[copy.read.time];
        copy.read.time = static_cast<uint32_t>(used_sets_++);
      }
    }
    cell.granule = half;
  }
  return cell;
}

template <class Visit> Conflict SharedShadow::visit(uint32_t offset, uint32_t size, Visit visit) {
  Conflict first;
  uint32_t end = offset + size;
  while (offset < end) {
    uint32_t in_cell = offset % 16, length = std::min(end - offset, 16 - in_cell);
    // The largest power of two that divides both the place and the length.
    uint32_t piece = 1u << std::countr_zero(in_cell | length | 16u);
    Cell &cell = cell_at(offset / 16, piece);
    for (uint32_t at = in_cell; at < in_cell + length; at += cell.granule) {
      Conflict conflict = visit(cell.records[at]);
      if (conflict.kind != Conflict::None && first.kind == Conflict::None) {
        first = conflict;
        first.offset = offset - in_cell + at;
      }
    }
    if (length == 16) { // whole again, if all records agree
      bool same = true;
      for (uint32_t at = cell.granule; at < 16 && same; at += cell.granule)
        same = cell.records[at].written.agent == cell.records[0].written.agent &&
               cell.records[at].written.time == cell.records[0].written.time &&
               cell.records[at].written.loc == cell.records[0].written.loc && cell.records[at].read.time == 0 &&
               cell.records[0].read.time == 0;
      if (same) cell.granule = 16;
    }
    offset += length;
  }
  return first;
}

Epoch SharedShadow::unordered_reader(const Record &record, uint32_t thread) {
  if (record.read.time == 0 && !(record.read.agent & kReadSet)) return {};
  if (!(record.read.agent & kReadSet))
    return clocks_.ordered(thread, record.read.agent, record.read.time) ? Epoch{} : record.read;
  for (const Reader &reader : read_sets_[record.read.time])
    for (uint32_t lanes = reader.lanes; lanes; lanes &= lanes - 1) {
      uint32_t agent = reader.warp * 32 + static_cast<uint32_t>(std::countr_zero(lanes));
      if (!clocks_.ordered(thread, agent, reader.time)) return {agent, reader.time, reader.loc};
    }
  return {};
}

void SharedShadow::add_reader(std::vector<Reader> &set, uint32_t thread, const Epoch &epoch) {
  uint32_t warp = thread / 32, lane = 1u << (thread % 32);
  for (Reader &reader : set)
    if (reader.warp == warp && reader.time == epoch.time) {
      reader.lanes |= lane;
      return;
    }
  if (set.size() >= 64) { // forget readers that this one happened after
    std::erase_if(set, [&](const Reader &reader) {
      for (uint32_t lanes = reader.lanes; lanes; lanes &= lanes - 1)
        if (!clocks_.ordered(thread, reader.warp * 32 + static_cast<uint32_t>(std::countr_zero(lanes)), reader.time))
          return false;
      return true;
    });
  }
  set.push_back({warp, lane, epoch.time, epoch.loc});
}

void SharedShadow::note_read(Record &record, uint32_t thread, const Epoch &epoch) {
  Epoch &read = record.read;
  if (read.agent & kReadSet) {
    add_reader(read_sets_[read.time], thread, epoch);
    return;
  }
  if (read.time == 0 || clocks_.ordered(thread, read.agent, read.time)) {
    read = epoch;
    return;
  }
  if (used_sets_ == read_sets_.size()) read_sets_.emplace_back();
  std::vector<Reader> &set = read_sets_[used_sets_];
  set.clear();
  add_reader(set, read.agent, read);
  add_reader(set, thread, epoch);
  read = {kReadSet, static_cast<uint32_t>(used_sets_++), epoch.loc};
}

Conflict SharedShadow::write(uint32_t offset, uint32_t size, uint32_t thread, Epoch epoch, bool atomic) {
  if (atomic) epoch.agent |= kAtomic;
  return visit(offset, size, [&](Record &record) {
    Conflict conflict;
    Epoch before = record.written;
    bool before_atomic = before.agent & kAtomic;
    before.agent &= ~kAtomic;
    if (before.time && !(atomic && before_atomic) && !clocks_.ordered(thread, before.agent, before.time)) {
      conflict = {Conflict::WriteWrite, before, 0};
    } else if (Epoch reader = unordered_reader(record, thread); reader.time) {
      conflict = {Conflict::ReadWrite, reader, 0};
    }
    record.written = epoch;
    record.read = {};
    return conflict;
  });
}

Conflict SharedShadow::read(uint32_t offset, uint32_t size, uint32_t thread, Epoch epoch, bool atomic) {
  return visit(offset, size, [&](Record &record) {
    Conflict conflict;
    Epoch before = record.written;
    bool before_atomic = before.agent & kAtomic;
    before.agent &= ~kAtomic;
    if (before.time == 0)
      conflict = {Conflict::Uninitialized, {}, 0};
    else if (!(atomic && before_atomic) && !clocks_.ordered(thread, before.agent, before.time))
      conflict = {Conflict::WriteRead, before, 0};
    if (!atomic) note_read(record, thread, epoch); // an atomic's own write stands for its read
    return conflict;
  });
}

} // namespace moec::sim
