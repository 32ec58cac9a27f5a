// How the simulated GPU runs launches: with checks, under random schedules, counting memory traffic. Part of
// <moec/moec.h>.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/tensor.h"

namespace moec {

/// The program's choice whether the simulated GPU watches accesses and barriers; MOEC_SIM_CHECKED, if set, and a
/// SimScope win. Default: no.
void set_sim_checked(bool checked);
/// Whether launches of the calling thread are checked now.
bool sim_checked();

namespace sim {
class SectorMap;
struct TrafficCounts;
} // namespace sim

/// Accesses to global memory, summed over launches.
struct SimAccesses {
  uint64_t requests = 0; ///< warp-level accesses: one instruction, executed by the lanes of a warp
  uint64_t bytes = 0;    ///< that the lanes asked for
  uint64_t sectors = 0;  ///< 32-byte sectors asked for: distinct ones of each warp-level access, summed
  uint64_t moved = 0;    ///< sectors moved: distinct ones of each CTA, summed (atomics: all that were asked for)
};

/// The traffic of one kernel, of all its launches and specializations.
struct KernelTraffic {
  std::string kernel;
  uint64_t launches = 0;
  SimAccesses loads, stores, atomics; ///< cp.async counts as a load
  uint64_t moved() const { return loads.moved + stores.moved + atomics.moved; }
};

/// The traffic of a range of memory.
struct MemoryTraffic {
  uint64_t loaded = 0, stored = 0, atomic = 0; ///< sectors moved
  uint64_t distinct = 0;                       ///< sectors touched at all
  uint64_t sectors() const { return loaded + stored + atomic; }
  MemoryTraffic &operator+=(const MemoryTraffic &other);
};

/// Counts the global memory traffic of simulated launches, as a GPU coalesces it; give it to a SimScope. A warp-level
/// access is the n-th execution of one access by the lanes of a warp. What a CTA has loaded or stored stays in its L1
/// cache until it ends, and nothing stays in a cache from one CTA to another. Thread-safe.
class SimTraffic {
public:
  SimTraffic();
  ~SimTraffic();
  SimTraffic(const SimTraffic &) = delete;
  SimTraffic &operator=(const SimTraffic &) = delete;

  /// By name, in the order of their first launch.
  std::vector<KernelTraffic> kernels() const;
  /// Of the memory of a tensor, which must have lived as long as the counting: a later tensor may reuse memory.
  MemoryTraffic of(const Tensor &tensor) const;
  /// Of all memory; `distinct` counts memory that was freed and reused once.
  MemoryTraffic total() const;
  /// Sectors moved in all / distinct sectors of these tensors: 1 is what no kernel that reads and writes them can beat.
  double ratio(const std::vector<Tensor> &tensors) const;
  /// A table for people: a line per kernel, then one per tensor that was named.
  void name(const Tensor &tensor, std::string name);
  std::string text() const;
  void clear();

  /// For the simulated GPU.
  void add(std::string_view kernel, const sim::TrafficCounts &counts);
  sim::SectorMap &sectors() { return *sectors_; }

private:
  MemoryTraffic range(uint64_t begin, uint64_t end) const;
  std::vector<KernelTraffic> kernels_;
  std::vector<std::pair<std::string, Tensor>> named_;
  std::unique_ptr<sim::SectorMap> sectors_;
};

/// What a SimScope sets; what is left empty stays as it was.
struct SimSettings {
  std::optional<bool> checked = {};  ///< watch accesses and barriers. MOEC_SIM_CHECKED, if set, wins
  std::optional<uint64_t> seed = {}; ///< a random schedule, the same for the same seed: order of CTAs, warps and lanes,
                                     ///< preemption before accesses and atomics. 0: in order. Default: MOEC_SIM_SEED
  SimTraffic *traffic = nullptr;     ///< counts traffic; must outlive the scope
};

/// Settings of the simulated GPU for launches of the calling thread while the object lives. Scopes nest: the inner
/// one's settings win. Seeded and counted launches run one CTA after the other, in code with a hook before each access
/// (as for checked ones): several times slower, and a specialization of its own in the cache.
class SimScope {
public:
  explicit SimScope(const SimSettings &settings);
  ~SimScope();
  SimScope(const SimScope &) = delete;
  SimScope &operator=(const SimScope &) = delete;

private:
  SimSettings before_;
};

/// What holds for launches of the calling thread now, scopes and environment taken together.
SimSettings sim_settings();
/// Whether these settings need code with a hook before each access.
bool sim_instrumented();

} // namespace moec
