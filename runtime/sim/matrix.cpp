// mma.sync. D = A * B + C for one warp: f32 accumulators take the products one k after the other, each product (exact
// in f32 for 8- and 16-bit inputs) added with one rounding. Hardware adds a group of products at once, in an order and
// with a truncation that it does not promise; results agree within the usual bound of a dot product.
#include "runtime/sim/machine.h"

#include <bit>
#include <cstring>

#if defined(__x86_64__) && !defined(MOEC_ASAN_FIBERS)
#define MOEC_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define MOEC_CLONES
#endif

namespace moec::sim {
namespace {

constexpr uint32_t kMaxSlots =
    1024; // of pairs and of 4-byte slots a batch has 448 at most, and each kind has its place for all batches
} // namespace

/// Operands converted to f32, kept while a batch runs: the same A and B fragments feed many operations.
struct MatrixScratch {
  alignas(64) float a[kMaxSlots][64]; ///< 8 rows of k elements (4 or 8)
  alignas(64) float b[kMaxSlots][64]; ///< k rows of 8 columns
  uint32_t a_stamp[kMaxSlots] = {}, b_stamp[kMaxSlots] = {};
  uint32_t a_kind[kMaxSlots], b_kind[kMaxSlots];
  uint32_t stamp = 0;
};

MatrixScratch *make_matrix_scratch() { return new MatrixScratch; }
void free_matrix_scratch(MatrixScratch *scratch) { delete scratch; }

namespace {

enum Element : uint32_t { kBf16, kF16, kTf32 };

float half_to_float(uint16_t h) {
  uint32_t sign = uint32_t(h & 0x8000) << 16, a = h & 0x7fffu;
  uint32_t normal = (a << 13) + 0x38000000u;
  if (a >= 0x7c00) normal = 0x7f800000u | (a & 0x3ff) << 13;
  if (a < 0x400) normal = std::bit_cast<uint32_t>(static_cast<float>(a) * 0x1p-24f);
  return std::bit_cast<float>(sign | normal);
}

uint32_t elements_per_register(Element type) { return type == kTf32 ? 1 : 2; }

/// One register of all lanes as 8 rows of 4 * (elements per register) values: lane l holds row l / 4.
MOEC_CLONES void convert_rows(const char *from, Element type, float *to) {
  switch (type) {
  case kBf16: {
    uint16_t raw[64];
    std::memcpy(raw, from, sizeof raw);
    for (int i = 0; i < 64; ++i) to[i] = std::bit_cast<float>(uint32_t(raw[i]) << 16);
    break;
  }
  case kF16: {
    uint16_t raw[64];
    std::memcpy(raw, from, sizeof raw);
    for (int i = 0; i < 64; ++i) to[i] = half_to_float(raw[i]);
    break;
  }
  case kTf32: {
    uint32_t raw[32];
    std::memcpy(raw, from, sizeof raw);
    for (int i = 0; i < 32; ++i) to[i] = std::bit_cast<float>(raw[i] & 0xffffe000u);
    break;
  }
  }
}

const float *rows_of_a(MatrixScratch &c, char *exchange, uint32_t slot, Element type) {
  if (c.a_stamp[slot] != c.stamp || c.a_kind[slot] != type) {
    c.a_stamp[slot] = c.stamp;
    c.a_kind[slot] = type;
    convert_rows(exchange + 128 * slot, type, c.a[slot]);
  }
  return c.a[slot];
}

const float *rows_of_b(MatrixScratch &c, char *exchange, uint32_t slot, Element type) {
  if (c.b_stamp[slot] != c.stamp || c.b_kind[slot] != type) {
    c.b_stamp[slot] = c.stamp;
    c.b_kind[slot] = type;
    alignas(64) float columns[64]; // lane l holds column l / 4: n rows of k
    convert_rows(exchange + 128 * slot, type, columns);
    uint32_t k = 4 * elements_per_register(type);
    for (uint32_t n = 0; n < 8; ++n)
      for (uint32_t i = 0; i < k; ++i) c.b[slot][8 * i + n] = columns[k * n + i];
  }
  return c.b[slot];
}

/// acc[8][8] += a[8][k] * b[k][8]
template <int K> [[gnu::always_inline]] inline void multiply(float *acc, const float *a, const float *b) {
  typedef float Row __attribute__((vector_size(32), aligned(4)));
  Row rows[8];
  std::memcpy(rows, acc, sizeof rows);
  for (int k = 0; k < K; ++k) {
    Row bk;
    std::memcpy(&bk, b + 8 * k, sizeof bk);
    for (int i = 0; i < 8; ++i) rows[i] = rows[i] + bk * a[K * i + k];
  }
  std::memcpy(acc, rows, sizeof rows);
}

MOEC_CLONES void multiply4(float *acc, const float *a, const float *b) { multiply<4>(acc, a, b); }
MOEC_CLONES void multiply8(float *acc, const float *a, const float *b) { multiply<8>(acc, a, b); }

uint16_t float_to_half(float x) {
  uint32_t u = std::bit_cast<uint32_t>(x), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
  if (a > 0x7f800000) return 0x7fff;
  if (a >= 0x477ff000) return static_cast<uint16_t>(sign | 0x7c00);
  if (a < 0x38800000)
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(std::bit_cast<float>(a) + 0.5f) - 0x3f000000));
  return static_cast<uint16_t>(sign | ((a + 0xfff + (a >> 13 & 1) - 0x38000000) >> 13));
}

/// Which of its operands' NaNs an addition gives differs between the clones above.
template <class T, size_t N> void canonicalize(T (&sums)[N], T nan) {
  for (T &x : sums) x = x == x ? x : nan;
}

/// The accumulator rows 8 * half .. 8 * half + 7 of a floating-point operation.
void run_half(MatrixScratch &scratch, char *exchange, const SimBatchOp &op, int half, Element a_type, Element b_type,
              uint32_t a_regs, uint32_t b_regs) {
  bool f16_accum = op.mode & kMmaF16Accum;
  uint32_t c_slot = op.in[a_regs + b_regs + half], d_slot = op.out[half];
  alignas(64) float rows[64];
  if (f16_accum) {
    const auto *c = reinterpret_cast<const uint16_t *>(exchange + 128 * c_slot);
    for (int i = 0; i < 64; ++i) rows[i] = half_to_float(c[i]);
  } else {
    std::memcpy(rows, exchange + 128 * c_slot, sizeof rows);
  }
  uint32_t k = 4 * elements_per_register(a_type);
  // A's registers alternate between the upper and lower eight rows.
  for (uint32_t j = 0; j < b_regs; ++j) {
    const float *a = rows_of_a(scratch, exchange, op.in[2 * j + half], a_type);
    const float *b = rows_of_b(scratch, exchange, op.in[a_regs + j], b_type);
    if (k == 4)
      multiply4(rows, a, b);
    else
      multiply8(rows, a, b);
  }
  canonicalize(rows, std::bit_cast<float>(0x7fffffffu));
  if (f16_accum) {
    auto *d = reinterpret_cast<uint16_t *>(exchange + 128 * d_slot);
    for (int i = 0; i < 64; ++i) d[i] = float_to_half(rows[i]);
  } else {
    std::memcpy(exchange + 128 * d_slot, rows, sizeof rows);
  }
}

template <class T> void run_integer(char *exchange, const SimBatchOp &op) {
  for (int half = 0; half < 2; ++half) {
    uint32_t rows[64]; // sums wrap
    std::memcpy(rows, exchange + 128 * op.in[6 + half], sizeof rows);
    for (int j = 0; j < 2; ++j) {
      const auto *a = reinterpret_cast<const T *>(exchange + 128 * op.in[2 * j + half]);
      const auto *b = reinterpret_cast<const T *>(exchange + 128 * op.in[4 + j]);
      for (int i = 0; i < 8; ++i)
        for (int n = 0; n < 8; ++n)
          for (int k = 0; k < 16; ++k) rows[8 * i + n] += uint32_t(int32_t(a[16 * i + k]) * int32_t(b[16 * n + k]));
    }
    std::memcpy(exchange + 128 * op.out[half], rows, sizeof rows);
  }
}

/// m8n8k4: lane l holds A[l / 4][l % 4], B[l % 4][l / 4] and C[l / 4][2 * (l % 4) + {0, 1}]; one fma after the other.
MOEC_CLONES void run_f64(char *exchange, const SimBatchOp &op) {
  const auto *a = reinterpret_cast<const double *>(exchange + 128 * op.in[0]);
  const auto *b = reinterpret_cast<const double *>(exchange + 128 * op.in[1]);
  double results[2][32];
  for (int lane = 0; lane < 32; ++lane) {
    for (int j = 0; j < 2; ++j) {
      int row = lane / 4, column = 2 * (lane % 4) + j;
      double sum = reinterpret_cast<const double *>(exchange + 128 * op.in[2 + j])[lane];
      for (int k = 0; k < 4; ++k) sum = __builtin_fma(a[4 * row + k], b[4 * column + k], sum);
      results[j][lane] = sum;
    }
  }
  for (auto &half : results) canonicalize(half, std::bit_cast<double>(0x7fffffffffffffffu));
  for (int j = 0; j < 2; ++j) std::memcpy(exchange + 128 * op.out[j], results[j], sizeof results[j]);
}

} // namespace

void begin_matrix_batch(MatrixScratch &c) {
  if (++c.stamp == 0) { // wrapped: forget everything
    std::memset(c.a_stamp, 0, sizeof c.a_stamp);
    std::memset(c.b_stamp, 0, sizeof c.b_stamp);
    c.stamp = 1;
  }
}

void run_mma(MatrixScratch &scratch, char *exchange, const SimBatchOp &op) {
  auto both = [&](Element a, Element b, uint32_t a_regs, uint32_t b_regs) {
    run_half(scratch, exchange, op, 0, a, b, a_regs, b_regs);
    run_half(scratch, exchange, op, 1, a, b, a_regs, b_regs);
  };
  switch (op.mode & 0xff) {
  case kMmaBf16K16: both(kBf16, kBf16, 4, 2); break;
  case kMmaBf16K8: both(kBf16, kBf16, 2, 1); break;
  case kMmaF16K16: both(kF16, kF16, 4, 2); break;
  case kMmaF16K8: both(kF16, kF16, 2, 1); break;
  case kMmaTf32K8: both(kTf32, kTf32, 4, 2); break;
  case kMmaTf32K4: both(kTf32, kTf32, 2, 1); break;
  case kMmaS8K32: run_integer<int8_t>(exchange, op); break;
  case kMmaU8K32: run_integer<uint8_t>(exchange, op); break;
  case kMmaF64: run_f64(exchange, op); break;
  }
}

} // namespace moec::sim
