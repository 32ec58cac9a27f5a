// Device functions for code that runs on the simulated GPU: what NVPTX has as instructions and x86-64 has not, or has
// differently on different CPUs. Compiled to bitcode by clang at build time; LinkDeviceFunctions.cpp links what a
// kernel needs. Each function is named after the LLVM intrinsic that it implements ("moec." instead of "llvm."). Only
// +, -, *, /, sqrt and conversions of IEEE types are used, each rounded once, so results are the same on every CPU;
// approximate functions are computed in double and rounded, which is at least as accurate as the hardware's.
#include <stdint.h>

#define FN(type, id, name, ...)                                                                                        \
  type id(__VA_ARGS__) __asm__("moec." name);                                                                          \
  type id(__VA_ARGS__)

static inline uint32_t bits(float x) { return __builtin_bit_cast(uint32_t, x); }
static inline float f32(uint32_t x) { return __builtin_bit_cast(float, x); }
static inline uint64_t bits64(double x) { return __builtin_bit_cast(uint64_t, x); }
static inline double f64(uint64_t x) { return __builtin_bit_cast(double, x); }
static inline int is_nan(float x) { return x != x; }
static inline int is_nan64(double x) { return x != x; }
/// Flush to zero: subnormals become zeros of the same sign.
static inline float ftz(float x) { return (bits(x) & 0x7f800000u) ? x : f32(bits(x) & 0x80000000u); }

// ---------------------------------------------------------------------------------------------------------------- fma

/// a + b of which the last bit is made odd if the sum was not exact: rounding that to a type with at least two bits
/// less gives the correctly rounded result.
static inline double add_odd(double a, double b) {
  double s = a + b;
  double t = s - a;
  double error = (a - (s - t)) + (b - t);
  uint64_t u = bits64(s);
  if (error != 0 && !(u & 1) && (u & 0x7ff0000000000000u) != 0x7ff0000000000000u)
    u += ((error > 0) == (s > 0)) ? 1 : -1;
  return f64(u);
}

FN(float, fma_f32, "fma.f32", float a, float b, float c) { return (float)add_odd((double)a * (double)b, (double)c); }
/// For types whose products are exact in double (f16, bf16): a result that is safe to round once more.
FN(double, fma_odd, "fma.odd", double a, double b, double c) { return add_odd(a * b, c); }

typedef unsigned __int128 u128;

static inline int clz128(u128 x) {
  uint64_t high = (uint64_t)(x >> 64);
  return high ? __builtin_clzll(high) : 64 + __builtin_clzll((uint64_t)x);
}

/// Splits a finite non-zero double into a 53-bit significand and an exponent: x = m * 2^e.
static inline uint64_t split(double x, int *e) {
  uint64_t u = bits64(x), m = u & 0xfffffffffffffu;
  int biased = (u >> 52) & 0x7ff;
  if (biased) {
    m |= 1ull << 52;
    *e = biased - 1075;
  } else {
    int shift = __builtin_clzll(m) - 11;
    m <<= shift;
    *e = -1074 - shift;
  }
  return m;
}

/// Rounds sign * m * 2^e (plus a sticky bit below) to double, to nearest even.
static inline double compose(uint64_t sign, u128 m, int e, int sticky) {
  int top = 127 - clz128(m); // value in [2^(top+e), 2^(top+e+1))
  int lowest = top + e - 52; // exponent of the result's last bit
  if (lowest < -1074) lowest = -1074;
  int shift = lowest - e;
  u128 kept;
  if (shift <= 0) {
    kept = m << -shift;
  } else if (shift > 127) {
    kept = 0;
    if (shift == 128) { // half of the last place is bit 127
      u128 half = (u128)1 << 127;
      if (m > half || (m == half && sticky)) kept = 1;
    }
  } else {
    kept = m >> shift;
    u128 rest = m & (((u128)1 << shift) - 1), half = (u128)1 << (shift - 1);
    if (rest > half || (rest == half && (sticky || (kept & 1)))) ++kept;
  }
  uint64_t q = (uint64_t)kept;
  if (q >> 53) {
    q >>= 1;
    ++lowest;
  }
  if (lowest > 971) return f64(sign | 0x7ff0000000000000u);
  if (!(q >> 52)) return f64(sign | q);
  return f64(sign | ((uint64_t)(lowest + 1075) << 52) | (q & 0xfffffffffffffu));
}

FN(double, fma_f64, "fma.f64", double a, double b, double c) {
  const uint64_t inf = 0x7ff0000000000000u;
  uint64_t ua = bits64(a), ub = bits64(b), uc = bits64(c);
  if ((ua & inf) == inf || (ub & inf) == inf || a == 0 || b == 0) return a * b + c;
  if ((uc & inf) == inf) return is_nan64(c) ? f64(0x7fffffffffffffffu) : c;
  uint64_t sp = (ua ^ ub) & (1ull << 63), sc = uc & (1ull << 63);
  int ea, eb, ec;
  u128 p = (u128)split(a, &ea) * split(b, &eb); // 105 or 106 bits
  int ep = ea + eb;
  if (c == 0) return compose(sp, p, ep, 0);
  // Both aligned to bit 124 at most, so that the sum fits; what falls off below becomes sticky.
  u128 m = (u128)split(c, &ec) << 70; // top bit 122
  ec -= 70;
  int up = clz128(p) - 5; // top bit 122
  p <<= up;
  ep -= up;
  if (ec > ep || (ec == ep && m > p)) {
    u128 t = p;
    p = m;
    m = t;
    int i = ep;
    ep = ec;
    ec = i;
    uint64_t s = sp;
    sp = sc;
    sc = s;
  }
  int distance = ep - ec, sticky = 0;
  if (distance > 0) {
    if (distance > 127) {
      sticky = 1;
      m = 0;
    } else {
      sticky = (m & (((u128)1 << distance) - 1)) != 0;
      m >>= distance;
    }
  }
  u128 sum;
  if (sp == sc) {
    sum = p + m;
  } else {
    sum = p - m - (sticky ? 1 : 0); // the lost bits were part of the subtrahend: borrow, and keep sticky
    if (sum == 0 && !sticky) return 0.0;
  }
  return compose(sp, sum, ep, sticky);
}

// ------------------------------------------------------------------------------------- exact floating-point operations

FN(float, add_rn, "nvvm.add.rn.f", float a, float b) { return a + b; }
FN(float, add_rn_ftz, "nvvm.add.rn.ftz.f", float a, float b) { return ftz(ftz(a) + ftz(b)); }
FN(double, add_rn_d, "nvvm.add.rn.d", double a, double b) { return a + b; }
FN(float, mul_rn, "nvvm.mul.rn.f", float a, float b) { return a * b; }
FN(float, mul_rn_ftz, "nvvm.mul.rn.ftz.f", float a, float b) { return ftz(ftz(a) * ftz(b)); }
FN(double, mul_rn_d, "nvvm.mul.rn.d", double a, double b) { return a * b; }
/// Becomes one instruction where the CPU has it, and fma.f32 above where not (legalizeForHost).
FN(float, fma_rn, "nvvm.fma.rn.f", float a, float b, float c) { return __builtin_fmaf(a, b, c); }
FN(float, fma_rn_ftz, "nvvm.fma.rn.ftz.f", float a, float b, float c) {
  return ftz(__builtin_fmaf(ftz(a), ftz(b), ftz(c)));
}
FN(double, fma_rn_d, "nvvm.fma.rn.d", double a, double b, double c) { return __builtin_fma(a, b, c); }

static inline float round_zero(double exact, float nearest) { // nearest is exact rounded to nearest
  double n = nearest;
  double a = exact < 0 ? -exact : exact, m = n < 0 ? -n : n;
  return m > a ? f32(bits(nearest) - 1) : nearest;
}
FN(float, fma_rz, "nvvm.fma.rz.f", float a, float b, float c) {
  double odd = add_odd((double)a * (double)b, (double)c);
  return round_zero(odd, (float)odd);
}
FN(float, fma_rz_ftz, "nvvm.fma.rz.ftz.f", float a, float b, float c) { return ftz(fma_rz(ftz(a), ftz(b), ftz(c))); }
/// Toward minus infinity: one step down where nearest lies above the exact value.
static inline float round_down(double exact, float nearest) {
  if (!((double)nearest > exact)) return nearest;
  unsigned n = bits(nearest);
  return n == 0 ? f32(0x80000001u) : f32(n & 0x80000000u ? n + 1 : n - 1);
}
FN(float, fma_rm, "nvvm.fma.rm.f", float a, float b, float c) {
  double odd = add_odd((double)a * (double)b, (double)c);
  return round_down(odd, (float)odd);
}
FN(float, fma_rm_ftz, "nvvm.fma.rm.ftz.f", float a, float b, float c) { return ftz(fma_rm(ftz(a), ftz(b), ftz(c))); }
FN(float, mul_rz, "nvvm.mul.rz.f", float a, float b) { return round_zero((double)a * (double)b, a * b); }
FN(float, mul_rz_ftz, "nvvm.mul.rz.ftz.f", float a, float b) { return ftz(mul_rz(ftz(a), ftz(b))); }
FN(float, add_rz, "nvvm.add.rz.f", float a, float b) {
  double odd = add_odd((double)a, (double)b);
  return round_zero(odd, (float)odd);
}
FN(double, add_rz_d, "nvvm.add.rz.d", double a, double b) {
  double s = a + b, t = s - a;
  double error = (a - (s - t)) + (b - t);
  if (error != 0 && s != 0 && (error > 0) != (s > 0) && s - s == 0) return f64(bits64(s) - 1);
  return s;
}
FN(float, add_rz_ftz, "nvvm.add.rz.ftz.f", float a, float b) { return ftz(add_rz(ftz(a), ftz(b))); }

FN(float, fabs_f, "nvvm.fabs.f32", float x) { return f32(bits(x) & 0x7fffffffu); }
FN(float, fabs_ftz, "nvvm.fabs.ftz.f32", float x) { return f32(bits(ftz(x)) & 0x7fffffffu); }
FN(double, fabs_d, "nvvm.fabs.f64", double x) { return f64(bits64(x) & 0x7fffffffffffffffu); }
FN(float, floor_f, "nvvm.floor.f", float x) { return __builtin_floorf(x); }
FN(float, floor_ftz, "nvvm.floor.ftz.f", float x) { return __builtin_floorf(ftz(x)); }
FN(double, floor_d, "nvvm.floor.d", double x) { return __builtin_floor(x); }
FN(float, ceil_f, "nvvm.ceil.f", float x) { return __builtin_ceilf(x); }
FN(float, ceil_ftz, "nvvm.ceil.ftz.f", float x) { return __builtin_ceilf(ftz(x)); }
FN(double, ceil_d, "nvvm.ceil.d", double x) { return __builtin_ceil(x); }
FN(float, trunc_f, "nvvm.trunc.f", float x) { return __builtin_truncf(x); }
FN(float, trunc_ftz, "nvvm.trunc.ftz.f", float x) { return __builtin_truncf(ftz(x)); }
FN(double, trunc_d, "nvvm.trunc.d", double x) { return __builtin_trunc(x); }
FN(float, round_f, "nvvm.round.f", float x) { return __builtin_rintf(x); }
FN(float, round_ftz, "nvvm.round.ftz.f", float x) { return __builtin_rintf(ftz(x)); }
FN(double, round_d, "nvvm.round.d", double x) { return __builtin_rint(x); }
FN(float, saturate_f, "nvvm.saturate.f", float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }
FN(float, saturate_ftz, "nvvm.saturate.ftz.f", float x) { return saturate_f(ftz(x)); }

/// max.f32 and min.f32: a number wins over NaN, -0 is less than +0.
FN(float, fmax_f, "nvvm.fmax.f", float a, float b) {
  if (is_nan(a)) return is_nan(b) ? f32(0x7fffffffu) : b;
  if (is_nan(b)) return a;
  if (a == b) return f32(bits(a) & bits(b));
  return a > b ? a : b;
}
FN(float, fmin_f, "nvvm.fmin.f", float a, float b) {
  if (is_nan(a)) return is_nan(b) ? f32(0x7fffffffu) : b;
  if (is_nan(b)) return a;
  if (a == b) return f32(bits(a) | bits(b));
  return a < b ? a : b;
}
FN(float, fmax_ftz, "nvvm.fmax.ftz.f", float a, float b) { return fmax_f(ftz(a), ftz(b)); }
FN(float, fmin_ftz, "nvvm.fmin.ftz.f", float a, float b) { return fmin_f(ftz(a), ftz(b)); }
FN(float, fmax_nan, "nvvm.fmax.nan.f", float a, float b) {
  return is_nan(a) || is_nan(b) ? f32(0x7fffffffu) : fmax_f(a, b);
}
FN(float, fmin_nan, "nvvm.fmin.nan.f", float a, float b) {
  return is_nan(a) || is_nan(b) ? f32(0x7fffffffu) : fmin_f(a, b);
}
FN(double, fmax_d, "nvvm.fmax.d", double a, double b) {
  if (is_nan64(a)) return is_nan64(b) ? f64(0x7fffffffffffffffu) : b;
  if (is_nan64(b)) return a;
  if (a == b) return f64(bits64(a) & bits64(b));
  return a > b ? a : b;
}
FN(double, fmin_d, "nvvm.fmin.d", double a, double b) {
  if (is_nan64(a)) return is_nan64(b) ? f64(0x7fffffffffffffffu) : b;
  if (is_nan64(b)) return a;
  if (a == b) return f64(bits64(a) | bits64(b));
  return a < b ? a : b;
}
FN(float, maxnum_f32, "maxnum.f32", float a, float b) { return fmax_f(a, b); }
FN(float, minnum_f32, "minnum.f32", float a, float b) { return fmin_f(a, b); }
FN(double, maxnum_f64, "maxnum.f64", double a, double b) { return fmax_d(a, b); }
FN(double, minnum_f64, "minnum.f64", double a, double b) { return fmin_d(a, b); }
FN(float, maximum_f32, "maximum.f32", float a, float b) { return fmax_nan(a, b); }
FN(float, minimum_f32, "minimum.f32", float a, float b) { return fmin_nan(a, b); }
FN(double, maximum_f64, "maximum.f64", double a, double b) {
  return is_nan64(a) || is_nan64(b) ? f64(0x7fffffffffffffffu) : fmax_d(a, b);
}
FN(double, minimum_f64, "minimum.f64", double a, double b) {
  return is_nan64(a) || is_nan64(b) ? f64(0x7fffffffffffffffu) : fmin_d(a, b);
}

// ------------------------------------------------------------------------------------------------------------ integers

FN(double, lohi_i2d, "nvvm.lohi.i2d", uint32_t lo, uint32_t hi) { return f64((uint64_t)hi << 32 | lo); }
FN(uint32_t, d2i_hi, "nvvm.d2i.hi", double x) { return bits64(x) >> 32; }
FN(uint32_t, d2i_lo, "nvvm.d2i.lo", double x) { return (uint32_t)bits64(x); }
FN(int32_t, mulhi_i, "nvvm.mulhi.i", int32_t a, int32_t b) { return (int64_t)a * b >> 32; }
FN(uint32_t, mulhi_ui, "nvvm.mulhi.ui", uint32_t a, uint32_t b) { return (uint64_t)a * b >> 32; }
FN(int64_t, mulhi_ll, "nvvm.mulhi.ll", int64_t a, int64_t b) { return (__int128)a * b >> 64; }
FN(uint64_t, mulhi_ull, "nvvm.mulhi.ull", uint64_t a, uint64_t b) { return (u128)a * b >> 64; }
FN(uint32_t, sad_i, "nvvm.sad.i", int32_t a, int32_t b, uint32_t c) {
  return c + (a < b ? (uint32_t)b - (uint32_t)a : (uint32_t)a - (uint32_t)b);
}
FN(uint32_t, sad_ui, "nvvm.sad.ui", uint32_t a, uint32_t b, uint32_t c) { return c + (a < b ? b - a : a - b); }
FN(uint32_t, prmt, "nvvm.prmt", uint32_t lo, uint32_t hi, uint32_t selector) {
  uint64_t bytes = (uint64_t)hi << 32 | lo;
  uint32_t result = 0;
  for (int i = 0; i < 4; ++i) {
    uint32_t s = selector >> (4 * i);
    uint32_t byte = (bytes >> (8 * (s & 7))) & 0xff;
    if (s & 8) byte = byte & 0x80 ? 0xff : 0;
    result |= byte << (8 * i);
  }
  return result;
}

/// fmod: exact, by shift and subtract.
FN(double, frem_f64, "frem.f64", double x, double y) {
  double a = x < 0 ? -x : x, b = y < 0 ? -y : y;
  if (is_nan64(x) || is_nan64(y) || a == f64(0x7ff0000000000000u) || b == 0) return f64(0x7fffffffffffffffu);
  if (a < b) return x;
  int ea, eb;
  if (a == 0) return x;
  uint64_t ma = split(a, &ea), mb = split(b, &eb);
  for (; ea > eb; --ea) {
    if (ma >= mb) ma -= mb;
    ma <<= 1;
  }
  if (ma >= mb) ma -= mb;
  double r = ma ? compose(0, ma, ea, 0) : 0.0;
  return f64(bits64(r) | (bits64(x) & (1ull << 63)));
}
FN(float, frem_f32, "frem.f32", float x, float y) { return (float)frem_f64(x, y); }

#include "compiler/target/sim/support_approximate.h"
#include "compiler/target/sim/support_conversions.h"
