#include "runtime/hash_values.h"

#include <bit>
#include <functional>
#include <numeric>
#include <vector>

#include "runtime/convert.h"
#include "runtime/parallel.h"

namespace moec {

uint64_t splitmix64(uint64_t z) {
  z += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

namespace {

uint64_t hashed(uint64_t seed, uint64_t i) { return splitmix64(seed * 0x100000001B3u + i); }
double uniform(uint64_t seed, uint64_t i) { return static_cast<double>(hashed(seed, i) >> 40) * 0x1p-23 - 1; }
/// Finite floats only.
uint16_t bf16_of(float f) {
  uint32_t b = std::bit_cast<uint32_t>(f);
  return static_cast<uint16_t>((b + 0x7fff + (b >> 16 & 1)) >> 16);
}

} // namespace

Tensor hash_uniform(uint64_t seed, double scale, const Dims &shape, DType dtype, Device device) {
  Tensor t = Tensor::empty(shape, dtype);
  auto *data = static_cast<std::byte *>(t.data());
  const int64_t n = t.numel(), width = size_bytes(dtype);
  for_chunks(n, [&](int64_t begin, int64_t end) { // weights of a real layer have 10^8 elements
    for (int64_t i = begin; i < end; ++i) {
      double value = scale * uniform(seed, static_cast<uint64_t>(i));
      if (dtype == bf16)
        reinterpret_cast<uint16_t *>(data)[i] = bf16_of(static_cast<float>(value));
      else
        store_element(dtype, data + i * width, value);
    }
  });
  return device == Device::host() ? t : t.to(device);
}

Tensor hash_integers(uint64_t seed, int64_t low, int64_t high, const Dims &shape, DType dtype) {
  int64_t n = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  std::vector<double> values(static_cast<size_t>(n));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] =
        static_cast<double>(low + static_cast<int64_t>(hashed(seed, i) % static_cast<uint64_t>(high - low + 1)));
  return Tensor::from_values(values, shape, dtype);
}

} // namespace moec
