#include "test/unit/ops/differential.h"

#include <fmt/format.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <mutex>
#include <thread>

#include "runtime/convert.h"
#include "runtime/environment.h"
#include "test/unit/runtime/scratch.h"
#include "test/unit/sanitized.h"

namespace moec::ops {

namespace {

/// A cache of this program's own. Every hit is recorded again and compared.
struct Setup {
  moec::testing::ScratchDirectory cache;
  Setup() {
    for (const char *other : {"MOEC_CACHE", "MOEC_SIM_CHECKED", "MOEC_SIM_SEED", "MOEC_SIM_LEVEL"}) ::unsetenv(other);
    ::setenv("MOEC_CHECK", "record", 1);
    ::setenv("MOEC_CACHE_DIR", cache.path("kernels").c_str(), 1);
    reload_environment();
    set_sim_checked(true);
  }
} const setup;

Device device_under_test() { return std::getenv("MOEC_DEVICE") ? Device::best() : Device::sim(); }

uint64_t mask_of(DType t) { return ~uint64_t{0} >> (64 - 8 * size_bytes(t)); }

Argument laid(DType dtype, const Dims &shape, Lay lay) {
  Argument a;
  a.shape = shape;
  a.dtype = dtype;
  a.strides = shape;
  int64_t step = lay == Lay::every_second ? 2 : 1;
  auto line_up = [&](int d, int gap) {
    a.strides[d] = step;
    step *= std::max<int64_t>(shape[d], 1);
    step += gap;
  };
  if (lay == Lay::transposed)
    for (int d = 0; d < shape.rank(); ++d) line_up(d, 0);
  else
    for (int d = shape.rank() - 1; d >= 0; --d) line_up(d, lay == Lay::rows && d == shape.rank() - 1 ? 3 : 0);
  a.offset = lay == Lay::unaligned ? 1 : 0;
  const int64_t bytes = (step + 8 + a.offset) * size_bytes(dtype);
  a.words.assign(static_cast<size_t>((bytes + 7) / 8), 0);
  return a;
}

/// Calls f(element in memory, number in row-major order).
template <class F> void each(const Argument &a, F f) {
  int64_t n = 1;
  for (int64_t s : a.shape) n *= s;
  for (int64_t i = 0; i < n; ++i) {
    int64_t at = a.offset, rest = i;
    for (int d = a.shape.rank() - 1; d >= 0; --d) {
      at += rest % a.shape[d] * a.strides[d];
      rest /= a.shape[d];
    }
    f(at, i);
  }
}

uint64_t encode(DType t, double v) {
  uint64_t bits = 0;
  store_element(t, &bits, v);
  return bits;
}

/// Exponent and mantissa bits of the floats.
std::pair<int, int> format(DType t) {
  switch (t) {
  case DType::f16: return {5, 10};
  case DType::bf16: return {8, 7};
  case DType::f32: return {8, 23};
  case DType::f64: return {11, 52};
  case DType::e4m3: return {4, 3};
  default: return {5, 2};
  }
}

uint64_t special_bits(DType t, std::mt19937_64 &rng) {
  const int width = 8 * size_bytes(t);
  if (t == boolean) return rng() & 1;
  if (is_int(t)) {
    const uint64_t top = uint64_t{1} << (width - 1);
    const uint64_t some[] = {0,
                             1,
                             2,
                             ~uint64_t{0},
                             top,
                             top - 1,
                             top + 1,
                             7,
                             0x7f,
                             0x80,
                             0xff,
                             uint64_t{1} << 24 | 1,
                             uint64_t{1} << 53 | 1};
    return some[rng() % std::size(some)] & mask_of(t);
  }
  auto [e, m] = format(t);
  const uint64_t one = (uint64_t{1} << (e - 1)) - 1, all = (uint64_t{1} << e) - 1, mantissa = (uint64_t{1} << m) - 1;
  const uint64_t some[] = {0,
                           1,
                           mantissa,
                           uint64_t{1} << m,
                           one << m,
                           one << m | 1,
                           (one << m) - 1,
                           (one + 1) << m,
                           (all - 1) << m | mantissa,
                           all << m,
                           all << m | mantissa,
                           all << m | (uint64_t{1} << (m - 1)),
                           rng() & mantissa};
  return some[rng() % std::size(some)] | (rng() & 1) << (width - 1);
}

std::string describe(DType t, uint64_t bits) {
  if (t == i64) return fmt::format("{}", static_cast<int64_t>(bits));
  return fmt::format("{} (bits {:#x})", number(t, bits), bits);
}

/// "" or why `got` is not near enough to `expected`.
bool near_enough(const Argument &a, uint64_t expected, uint64_t got, size_t index) {
  const double want = number(a.dtype, expected), have = number(a.dtype, got);
  if (std::isnan(want)) return std::isnan(have);
  const double allowed = a.tolerance(want, index);
  if (std::isinf(want) || std::isinf(have)) return want == have || std::isinf(allowed);
  return std::fabs(want - have) <= allowed;
}

} // namespace

uint64_t Argument::bits(int64_t element) const {
  uint64_t v = 0;
  std::memcpy(&v, memory() + element * size_bytes(dtype), static_cast<size_t>(size_bytes(dtype)));
  return v;
}
void Argument::set(int64_t element, uint64_t v) {
  std::memcpy(memory() + element * size_bytes(dtype), &v, static_cast<size_t>(size_bytes(dtype)));
}

detail::Placed::Placed(Argument &a, Device device)
    : argument(&a), memory(Tensor::lend(a.memory(), {static_cast<int64_t>(8 * a.words.size())}, u8).to(device)),
      tensor(Tensor::lend(static_cast<std::byte *>(memory.data()) + a.offset * size_bytes(a.dtype), a.shape, a.dtype,
                          device, a.strides)) {}

void detail::Placed::fetch() const { Tensor::lend(argument->memory(), memory.shape(), u8).copy_from(memory); }

double number(DType dtype, uint64_t bits) { return load_element(dtype, &bits); }

Argument value(LaunchArg scalar) {
  Argument a;
  a.scalar = scalar;
  return a;
}
Argument output(DType dtype, const Dims &shape, Compare compare, Lay lay) {
  Argument a = laid(dtype, shape, lay);
  a.compare = compare;
  for (int64_t i = 0; i < a.elements(); ++i)
    a.set(i, dtype == boolean ? static_cast<uint64_t>(i & 1) : 0x5b5b5b5b5b5b5b5b);
  return a;
}
Argument numbers(DType dtype, const Dims &shape, uint64_t seed, Lay lay) {
  Argument a = laid(dtype, shape, lay);
  std::mt19937_64 rng(seed);
  each(a, [&](int64_t at, int64_t) {
    double v = static_cast<double>(static_cast<int64_t>(rng()) >> 11) * 0x1p-52;
    if (dtype == boolean) v = v < 0;
    if (is_int(dtype)) v *= dtype == u8 ? 50 : 100;
    a.set(at, encode(dtype, is_int(dtype) ? std::fabs(v) * (dtype != u8 && v < 0 ? -1 : 1) : v));
  });
  return a;
}
Argument special(DType dtype, const Dims &shape, uint64_t seed, Lay lay) {
  Argument a = laid(dtype, shape, lay);
  std::mt19937_64 rng(seed);
  each(a, [&](int64_t at, int64_t) {
    a.set(at, rng() % 2 ? special_bits(dtype, rng) : dtype == boolean ? rng() & 1 : rng() & mask_of(dtype));
  });
  return a;
}
Argument every(DType dtype, int64_t count, uint64_t seed) {
  Argument a = special(dtype, {count}, seed);
  if (dtype != boolean && size_bytes(dtype) <= 2)
    for (int64_t i = 0; i < count; ++i) a.set(i, static_cast<uint64_t>(i) & mask_of(dtype));
  return a;
}
Argument integers(DType dtype, const Dims &shape, int64_t low, int64_t high, uint64_t seed, Lay lay) {
  Argument a = laid(dtype, shape, lay);
  std::mt19937_64 rng(seed);
  each(a, [&](int64_t at, int64_t) {
    a.set(at, encode(dtype,
                     static_cast<double>(low + static_cast<int64_t>(rng() % static_cast<uint64_t>(high - low + 1)))));
  });
  return a;
}
Argument from(DType dtype, const Dims &shape, const std::vector<double> &values) {
  Argument a = laid(dtype, shape, Lay::contiguous);
  each(a, [&](int64_t at, int64_t i) { a.set(at, encode(dtype, values.at(static_cast<size_t>(i)))); });
  return a;
}

std::string difference(const std::vector<Argument> &expected, const std::vector<Argument> &got) {
  for (size_t n = 0; n < expected.size(); ++n) {
    const Argument &e = expected[n], &g = got[n];
    if (e.words == g.words) continue;
    std::vector<int64_t> index(static_cast<size_t>(e.elements()), -1); // of what belongs to the tensor
    each(e, [&](int64_t at, int64_t i) { index[static_cast<size_t>(at)] = i; });
    size_t wrong = 0;
    std::string first;
    for (int64_t at = 0; at < e.elements(); ++at) {
      const uint64_t want = e.bits(at), have = g.bits(at);
      const int64_t i = index[static_cast<size_t>(at)];
      if (want == have) continue;
      if (i >= 0 && e.compare == Compare::bounded && near_enough(e, want, have, static_cast<size_t>(i))) continue;
      if (!wrong++)
        first = fmt::format("argument {} ({}{}) at {}: interpreter {}, device {}", n, moec::name(e.dtype),
                            e.shape.text(), i < 0 ? "a gap" : fmt::format("element {}", i), describe(e.dtype, want),
                            describe(e.dtype, have));
    }
    if (wrong) return fmt::format("{} ({} elements differ)", first, wrong);
  }
  return "";
}

void in_parallel(size_t n, const std::function<void(size_t)> &f) {
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::vector<std::string> failures;
  auto work = [&] {
    for (size_t i; (i = next++) < n;) {
      try {
        f(i);
      } catch (const std::exception &e) {
        std::lock_guard lock(mutex);
        failures.push_back(e.what());
      }
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < std::max(1u, std::thread::hardware_concurrency()); ++i) threads.emplace_back(work);
  work();
  for (std::thread &t : threads) t.join();
  for (const std::string &text : failures) ADD_FAILURE() << text;
}

void check(const std::vector<Case> &cases) {
  struct Run {
    const Case *c;
    std::vector<Argument> expected;
    std::vector<Case::Launch> launches;
  };
  std::vector<Run> runs;
  const char *only = std::getenv("OPS_CASE"); // part of a name: to look at one case
  for (const Case &c : cases) {
    if (only && c.name.find(only) == std::string::npos) continue;
    Run &r = runs.emplace_back(Run{&c, {}, {}});
    for (const Schedule &s : c.schedules)
      if (r.launches.empty() || !kSanitized) r.launches.push_back(c.jit(s));
  }
  const Device device = device_under_test();
  for (const char *seed : {"0", "1", "29"}) {
    moec::testing::WithVariable variable("MOEC_SIM_SEED", seed);
    reload_environment();
    in_parallel(runs.size(), [&](size_t i) {
      Run &r = runs[i];
      std::string at = r.c->name + " on the interpreter";
      try {
        if (r.expected.empty()) {
          r.expected = r.c->args;
          r.launches[0](Device::interp(), r.expected);
        }
        for (size_t k = 0; k < r.launches.size(); ++k) {
          at = fmt::format("{}, {}, seed {}", r.c->name, r.c->schedules[k].options(), seed);
          std::vector<Argument> got = r.c->args;
          r.launches[k](device, got);
          if (std::string d = difference(r.expected, got); !d.empty()) throw std::runtime_error(d);
        }
      } catch (const std::exception &e) { throw std::runtime_error(at + ": " + e.what()); }
    });
    if (::testing::Test::HasFailure() || kSanitized || device != Device::sim()) break;
  }
  reload_environment();
}

Tile whole(const View &x, Shape shape) {
  switch (shape.rank) {
  case 1: return load(x.tile({0}, shape));
  case 2: return load(x.tile({0, 0}, shape));
  case 3: return load(x.tile({0, 0, 0}, shape));
  default: return load(x.tile({0, 0, 0, 0}, shape));
  }
}
void store_whole(const View &x, const Tile &value) {
  Shape shape = value.shape();
  switch (shape.rank) {
  case 0: return store(x(0), value);
  case 1: return store(x.tile({0}, shape), value);
  case 2: return store(x.tile({0, 0}, shape), value);
  case 3: return store(x.tile({0, 0, 0}, shape), value);
  default: return store(x.tile({0, 0, 0, 0}, shape), value);
  }
}

} // namespace moec::ops
