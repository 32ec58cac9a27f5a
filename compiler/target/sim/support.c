// Device functions for code that runs on the simulated GPU: what NVPTX has as instructions and x86-64 has not, or has
// differently on different CPUs. Compiled to bitcode by clang at build time; LinkDeviceFunctions.cpp links what a kernel
// needs. Each function is named after the LLVM intrinsic that it implements ("moec." instead of "llvm."). Only +, -, *, /,
// sqrt and conversions of IEEE types are used, each rounded once, so results are the same on every CPU; approximate
// functions are computed in double and rounded, which is at least as accurate as the hardware's.
#include <stdint.h>

#define FN(type, id, name, ...)                                                                                                \
  type id(__VA_ARGS__) __asm__("moec." name);                                                                                  \
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

/// a + b of which the last bit is made odd if the sum was not exact: rounding that to a type with at least two bits less
/// gives the correctly rounded result.
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
  if ((uc & inf) == inf) return c;
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
    u128 t = p; p = m; m = t;
    int i = ep; ep = ec; ec = i;
    uint64_t s = sp; sp = sc; sc = s;
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

// ----------------------------------------------------------------------------------------------------- half conversions

/// f32 to a type of `mant` mantissa bits and `expbits` exponent bits, round to nearest even; NaN becomes a quiet NaN with
/// the payload's upper bits, as x86's own instructions do.
FN(uint16_t, f32_to_f16, "f32.to.f16", float x) {
  uint32_t u = bits(x), sign = (u >> 16) & 0x8000u, a = u & 0x7fffffffu;
  if (a > 0x7f800000u) return sign | 0x7e00u | ((a >> 13) & 0x1ffu);
  if (a >= 0x477ff000u) return sign | 0x7c00u;
  if (a < 0x38800000u) { // subnormal: adding 0.5 rounds at 2^-24
    float r = f32(a) + 0.5f;
    return sign | (bits(r) - 0x3f000000u);
  }
  return sign | ((a + 0xfffu + ((a >> 13) & 1) - 0x38000000u) >> 13);
}

FN(float, f16_to_f32, "f16.to.f32", uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000u) << 16, a = h & 0x7fffu;
  if (a > 0x7c00u) return f32(sign | 0x7fc00000u | (a << 13));
  if (a == 0x7c00u) return f32(sign | 0x7f800000u);
  if (a < 0x400u) return f32(sign | bits((float)a * 0x1p-24f));
  return f32(sign | ((a << 13) + 0x38000000u));
}

FN(uint16_t, f32_to_bf16, "f32.to.bf16", float x) {
  uint32_t u = bits(x);
  if (is_nan(x)) return (u >> 16) | 0x40u;
  return (u + 0x7fffu + ((u >> 16) & 1)) >> 16;
}

/// A float that rounds to f16 and bf16 as the double would: rounded to odd.
static inline float f64_to_f32_odd(double x) {
  float r = (float)x;
  double back = (double)r;
  uint32_t u = bits(r);
  if (is_nan64(x) || back == x) return r;
  if ((u & 0x7f800000u) == 0x7f800000u) return f32(u - 1); // overflow: the largest finite value is odd
  if (u & 1) return r;
  // The exact value lies between r and a neighbour; the neighbour's last bit is odd.
  double magnitude = x < 0 ? -x : x, rounded = back < 0 ? -back : back;
  return f32(magnitude > rounded ? u + 1 : (u & 0x7fffffffu) ? u - 1 : u + 1);
}

FN(uint16_t, f64_to_f16, "f64.to.f16", double x) { return f32_to_f16(f64_to_f32_odd(x)); }
FN(uint16_t, f64_to_bf16, "f64.to.bf16", double x) { return f32_to_bf16(f64_to_f32_odd(x)); }
FN(float, f64_odd, "f64.to.f32.odd", double x) { return f64_to_f32_odd(x); }

/// 64-bit integers to a double that may be rounded again: the last bit is odd if anything was lost.
FN(double, u64_odd, "u64.to.f64.odd", uint64_t x) {
  if (x >> 53) {
    int shift = 11 - __builtin_clzll(x);
    uint64_t lost = x & ((1ull << shift) - 1);
    x = (x >> shift) << shift;
    if (lost) x |= 1ull << shift;
  }
  return (double)x;
}
FN(double, i64_odd, "i64.to.f64.odd", int64_t x) {
  return x < 0 ? -u64_odd(-(uint64_t)x) : u64_odd((uint64_t)x);
}

// ------------------------------------------------------------------------------------------------------ fp8 conversions

/// f32 to e4m3 (max 448, NaN 0x7f) with saturation, round to nearest even.
static inline uint8_t to_e4m3(float x) {
  uint32_t u = bits(x), sign = (u >> 24) & 0x80u, a = u & 0x7fffffffu;
  if (a > 0x7f800000u) return 0x7fu;
  if (a >= 0x43e80000u) return sign | 0x7eu; // 464 and above: the largest finite value
  if (a < 0x3c800000u) { // below 2^-6: multiples of 2^-9
    float r = f32(a) + 0x1p14f; // last place of 2^14 is 2^-9
    return sign | (bits(r) - bits(0x1p14f));
  }
  uint32_t r = (a + 0x7ffffu + ((a >> 20) & 1)) >> 20;
  r -= 120u << 3;
  return sign | (r > 0x7eu ? 0x7eu : r);
}

/// f32 to e5m2 (max 57344, NaN 0x7f) with saturation, round to nearest even.
static inline uint8_t to_e5m2(float x) {
  uint32_t u = bits(x), sign = (u >> 24) & 0x80u, a = u & 0x7fffffffu;
  if (a > 0x7f800000u) return 0x7fu;
  if (a >= 0x47600000u) return sign | 0x7bu;
  if (a < 0x38800000u) { // below 2^-14: multiples of 2^-16
    float r = f32(a) + 0x1p7f;
    return sign | (bits(r) - bits(0x1p7f));
  }
  uint32_t r = (a + 0xfffffu + ((a >> 21) & 1)) >> 21;
  r -= 112u << 2;
  return sign | (r > 0x7bu ? 0x7bu : r);
}

static inline float from_e4m3(uint8_t x) {
  uint32_t sign = (uint32_t)(x & 0x80u) << 24, a = x & 0x7fu;
  if (a == 0x7fu) return f32(0x7fffffffu);
  if (a < 8) return f32(sign | bits((float)a * 0x1p-9f));
  return f32(sign | ((a << 20) + (120u << 23)));
}

/// PTX packs the first operand into the upper byte.
FN(uint16_t, ff_e4m3, "nvvm.ff.to.e4m3x2.rn", float hi, float lo) { return (uint16_t)(to_e4m3(hi) << 8 | to_e4m3(lo)); }
FN(uint16_t, ff_e5m2, "nvvm.ff.to.e5m2x2.rn", float hi, float lo) { return (uint16_t)(to_e5m2(hi) << 8 | to_e5m2(lo)); }
static inline float relu(float x) { return is_nan(x) ? x : x > 0 ? x : 0.0f; }
FN(uint16_t, ff_e4m3_relu, "nvvm.ff.to.e4m3x2.rn.relu", float hi, float lo) { return ff_e4m3(relu(hi), relu(lo)); }
FN(uint16_t, ff_e5m2_relu, "nvvm.ff.to.e5m2x2.rn.relu", float hi, float lo) { return ff_e5m2(relu(hi), relu(lo)); }
FN(uint16_t, f16x2_e4m3, "nvvm.f16x2.to.e4m3x2.rn", uint32_t x) {
  return ff_e4m3(f16_to_f32(x >> 16), f16_to_f32(x & 0xffff));
}
FN(uint16_t, f16x2_e5m2, "nvvm.f16x2.to.e5m2x2.rn", uint32_t x) {
  return ff_e5m2(f16_to_f32(x >> 16), f16_to_f32(x & 0xffff));
}
FN(uint32_t, e4m3_f16x2, "nvvm.e4m3x2.to.f16x2.rn", uint16_t x) {
  return (uint32_t)f32_to_f16(from_e4m3(x >> 8)) << 16 | f32_to_f16(from_e4m3(x & 0xff));
}
FN(uint32_t, e5m2_f16x2, "nvvm.e5m2x2.to.f16x2.rn", uint16_t x) { return (uint32_t)(x >> 8) << 24 | (uint32_t)(x & 0xff) << 8; }

FN(uint32_t, f_tf32_rna, "nvvm.f2tf32.rna", float x) {
  uint32_t u = bits(x);
  if ((u & 0x7f800000u) == 0x7f800000u) return is_nan(x) ? 0x7fffffffu : u;
  return (u + 0x1000u) & 0xffffe000u;
}
FN(uint32_t, f_tf32_rn, "nvvm.f2tf32.rn", float x) {
  uint32_t u = bits(x);
  if ((u & 0x7f800000u) == 0x7f800000u) return is_nan(x) ? 0x7fffffffu : u;
  return (u + 0xfffu + ((u >> 13) & 1)) & 0xffffe000u;
}
FN(uint32_t, f_tf32_rz, "nvvm.f2tf32.rz", float x) { return is_nan(x) ? 0x7fffffffu : bits(x) & 0xffffe000u; }
FN(uint32_t, ff_bf16x2, "nvvm.ff2bf16x2.rn", float hi, float lo) { return (uint32_t)f32_to_bf16(hi) << 16 | f32_to_bf16(lo); }
FN(uint32_t, ff_f16x2, "nvvm.ff2f16x2.rn", float hi, float lo) { return (uint32_t)f32_to_f16(hi) << 16 | f32_to_f16(lo); }
FN(uint16_t, f_bf16, "nvvm.f2bf16.rn", float x) { return f32_to_bf16(x); }
FN(uint16_t, f2h_rn, "nvvm.f2h.rn", float x) { return f32_to_f16(x); }
FN(uint16_t, f2h_rn_ftz, "nvvm.f2h.rn.ftz", float x) { return f32_to_f16(ftz(x)); }
FN(float, from_fp16, "convert.from.fp16.f32", uint16_t x) { return f16_to_f32(x); }
FN(uint16_t, to_fp16, "convert.to.fp16.f32", float x) { return f32_to_f16(x); }

// ------------------------------------------------------------------------------------------------ approximate functions

/// 2^x for |x| <= 1/2, to about 1e-17.
static inline double exp2_poly(double f) {
  double t = f * 0.693147180559945309417;
  double r = 1.0 / 6227020800.0;
  r = r * t + 1.0 / 479001600.0;
  r = r * t + 1.0 / 39916800.0;
  r = r * t + 1.0 / 3628800.0;
  r = r * t + 1.0 / 362880.0;
  r = r * t + 1.0 / 40320.0;
  r = r * t + 1.0 / 5040.0;
  r = r * t + 1.0 / 720.0;
  r = r * t + 1.0 / 120.0;
  r = r * t + 1.0 / 24.0;
  r = r * t + 1.0 / 6.0;
  r = r * t + 0.5;
  r = r * t + 1.0;
  return r * t + 1.0;
}

static inline double exp2_double(double x) { // |x| < 1000
  double rounded = (x + 0x1.8p52) - 0x1.8p52;
  int64_t n = (int64_t)rounded;
  return exp2_poly(x - rounded) * f64((uint64_t)(n + 1023) << 52);
}

FN(float, ex2_approx, "nvvm.ex2.approx.f32", float x) {
  if (is_nan(x)) return f32(0x7fffffffu);
  if (x >= 128.0f) return f32(0x7f800000u);
  if (x < -151.0f) return 0.0f;
  return (float)exp2_double(x);
}
FN(float, ex2_approx_ftz, "nvvm.ex2.approx.ftz.f32", float x) { return ftz(ex2_approx(ftz(x))); }

/// log2 of a positive finite double.
static inline double log2_double(double x) {
  uint64_t u = bits64(x);
  int e = (int)(u >> 52) - 1023;
  double m = f64((u & 0xfffffffffffffu) | 0x3ff0000000000000u);
  if (m > 1.41421356237309515) {
    m *= 0.5;
    ++e;
  }
  double s = (m - 1.0) / (m + 1.0), z = s * s; // |s| < 0.172
  double r = 1.0 / 21.0;
  r = r * z + 1.0 / 19.0;
  r = r * z + 1.0 / 17.0;
  r = r * z + 1.0 / 15.0;
  r = r * z + 1.0 / 13.0;
  r = r * z + 1.0 / 11.0;
  r = r * z + 1.0 / 9.0;
  r = r * z + 1.0 / 7.0;
  r = r * z + 1.0 / 5.0;
  r = r * z + 1.0 / 3.0;
  r = r * z + 1.0;
  return (double)e + 2.88539008177792681472 * s * r; // 2 / ln 2
}

FN(float, lg2_approx, "nvvm.lg2.approx.f", float x) {
  if (is_nan(x) || x < 0) return f32(0x7fffffffu);
  if (x == 0) return f32(0xff800000u);
  if (bits(x) == 0x7f800000u) return x;
  return (float)log2_double(x);
}
FN(float, lg2_approx_ftz, "nvvm.lg2.approx.ftz.f", float x) { return ftz(lg2_approx(ftz(x))); }

/// sin(x + quadrant * pi/2). Good for |x| up to some 1e5, as the hardware's.
static inline double sin_double(double x, int quadrant) {
  double q = (x * 0.63661977236758134308 + 0x1.8p52) - 0x1.8p52;
  double r = (x - q * 0x1.921fb54440000p0) - q * 0x1.68c234c4c6629p-39;
  int64_t n = (int64_t)q + quadrant;
  double z = r * r, s;
  if (n & 1) {
    s = 1.0 / 20922789888000.0;
    s = s * z - 1.0 / 87178291200.0;
    s = s * z + 1.0 / 479001600.0;
    s = s * z - 1.0 / 3628800.0;
    s = s * z + 1.0 / 40320.0;
    s = s * z - 1.0 / 720.0;
    s = s * z + 1.0 / 24.0;
    s = s * z - 0.5;
    s = s * z + 1.0;
  } else {
    s = -1.0 / 1307674368000.0;
    s = s * z + 1.0 / 6227020800.0;
    s = s * z - 1.0 / 39916800.0;
    s = s * z + 1.0 / 362880.0;
    s = s * z - 1.0 / 5040.0;
    s = s * z + 1.0 / 120.0;
    s = s * z - 1.0 / 6.0;
    s = s * z * r + r;
  }
  return n & 2 ? -s : s;
}

static inline float sin_float(float x, int quadrant) {
  float magnitude = f32(bits(x) & 0x7fffffffu);
  if (!(magnitude < f32(0x7f800000u))) return f32(0x7fffffffu);
  if (magnitude > 0x1p40f) return 0.0f; // no accuracy is promised there
  return (float)sin_double(x, quadrant);
}
FN(float, sin_approx, "nvvm.sin.approx.f", float x) { return sin_float(x, 0); }
FN(float, sin_approx_ftz, "nvvm.sin.approx.ftz.f", float x) { return ftz(sin_float(ftz(x), 0)); }
FN(float, cos_approx, "nvvm.cos.approx.f", float x) { return sin_float(x, 1); }
FN(float, cos_approx_ftz, "nvvm.cos.approx.ftz.f", float x) { return ftz(sin_float(ftz(x), 1)); }

FN(float, tanh_approx, "nvvm.tanh.approx.f", float x) {
  if (is_nan(x)) return f32(0x7fffffffu);
  double a = x < 0 ? -(double)x : (double)x;
  if (a > 20) return x < 0 ? -1.0f : 1.0f;
  double r;
  if (a < 0.01) {
    double z = a * a;
    r = a - a * z * (1.0 / 3.0) + a * z * z * (2.0 / 15.0);
  } else {
    double e = exp2_double(a * 2.88539008177792681472);
    r = (e - 1.0) / (e + 1.0);
  }
  return f32(bits((float)r) | (bits(x) & 0x80000000u));
}
FN(float, tanh_llvm, "tanh.f32", float x) { return tanh_approx(x); }
FN(float, tanh_approx_f32, "nvvm.tanh.approx.f32", float x) { return tanh_approx(x); }

FN(float, rcp_rn, "nvvm.rcp.rn.f", float x) { return 1.0f / x; }
FN(float, rcp_rn_ftz, "nvvm.rcp.rn.ftz.f", float x) { return ftz(1.0f / ftz(x)); }
FN(float, rcp_approx_ftz, "nvvm.rcp.approx.ftz.f", float x) { return ftz(1.0f / ftz(x)); }
FN(double, rcp_rn_d, "nvvm.rcp.rn.d", double x) { return 1.0 / x; }
/// The hardware looks only at the upper 32 bits and returns as many.
FN(double, rcp_approx_d, "nvvm.rcp.approx.ftz.d", double x) {
  double r = 1.0 / f64(bits64(x) & 0xffffffff00000000u);
  uint64_t u = bits64(r);
  if (!(u & 0x7ff0000000000000u)) u &= 1ull << 63;
  return f64(u & 0xffffffff00000000u);
}
FN(float, rsqrt_approx, "nvvm.rsqrt.approx.f", float x) { return (float)(1.0 / __builtin_sqrt((double)x)); }
FN(float, rsqrt_approx_ftz, "nvvm.rsqrt.approx.ftz.f", float x) { return (float)(1.0 / __builtin_sqrt((double)ftz(x))); }
FN(double, rsqrt_approx_d, "nvvm.rsqrt.approx.d", double x) { return 1.0 / __builtin_sqrt(x); }
FN(double, rsqrt_approx_ftz_d, "nvvm.rsqrt.approx.ftz.d", double x) {
  double r = 1.0 / __builtin_sqrt(f64(bits64(x) & 0xffffffff00000000u));
  return f64(bits64(r) & 0xffffffff00000000u);
}
FN(float, sqrt_approx, "nvvm.sqrt.approx.f", float x) { return __builtin_sqrtf(x); }
FN(float, sqrt_approx_ftz, "nvvm.sqrt.approx.ftz.f", float x) { return __builtin_sqrtf(ftz(x)); }
FN(float, sqrt_rn, "nvvm.sqrt.rn.f", float x) { return __builtin_sqrtf(x); }
FN(float, sqrt_rn_ftz, "nvvm.sqrt.rn.ftz.f", float x) { return __builtin_sqrtf(ftz(x)); }
FN(float, sqrt_f, "nvvm.sqrt.f", float x) { return __builtin_sqrtf(x); }
FN(double, sqrt_rn_d, "nvvm.sqrt.rn.d", double x) { return __builtin_sqrt(x); }
FN(float, div_approx, "nvvm.div.approx.f", float a, float b) { return a / b; }
FN(float, div_approx_ftz, "nvvm.div.approx.ftz.f", float a, float b) { return ftz(ftz(a) / ftz(b)); }
FN(float, div_full, "nvvm.div.full", float a, float b) { return a / b; }
FN(float, div_full_ftz, "nvvm.div.full.ftz", float a, float b) { return ftz(ftz(a) / ftz(b)); }
FN(float, div_rn, "nvvm.div.rn.f", float a, float b) { return a / b; }
FN(float, div_rn_ftz, "nvvm.div.rn.ftz.f", float a, float b) { return ftz(ftz(a) / ftz(b)); }
FN(double, div_rn_d, "nvvm.div.rn.d", double a, double b) { return a / b; }
// exp2 and log2 as operations: NVPTX prints ex2.approx and lg2.approx.
FN(float, exp2_f32, "exp2.f32", float x) { return ex2_approx(x); }
FN(float, log2_f32, "log2.f32", float x) { return lg2_approx(x); }
FN(float, sin_f32, "sin.f32", float x) { return sin_approx(x); }
FN(float, cos_f32, "cos.f32", float x) { return cos_approx(x); }

// -------------------------------------------------------------------------------------- exact floating-point operations

FN(float, add_rn, "nvvm.add.rn.f", float a, float b) { return a + b; }
FN(float, add_rn_ftz, "nvvm.add.rn.ftz.f", float a, float b) { return ftz(ftz(a) + ftz(b)); }
FN(double, add_rn_d, "nvvm.add.rn.d", double a, double b) { return a + b; }
FN(float, mul_rn, "nvvm.mul.rn.f", float a, float b) { return a * b; }
FN(float, mul_rn_ftz, "nvvm.mul.rn.ftz.f", float a, float b) { return ftz(ftz(a) * ftz(b)); }
FN(double, mul_rn_d, "nvvm.mul.rn.d", double a, double b) { return a * b; }
/// Becomes one instruction where the CPU has it, and fma.f32 above where not (legalizeForHost).
FN(float, fma_rn, "nvvm.fma.rn.f", float a, float b, float c) { return __builtin_fmaf(a, b, c); }
FN(float, fma_rn_ftz, "nvvm.fma.rn.ftz.f", float a, float b, float c) { return ftz(__builtin_fmaf(ftz(a), ftz(b), ftz(c))); }
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
FN(float, fmax_nan, "nvvm.fmax.nan.f", float a, float b) { return is_nan(a) || is_nan(b) ? f32(0x7fffffffu) : fmax_f(a, b); }
FN(float, fmin_nan, "nvvm.fmin.nan.f", float a, float b) { return is_nan(a) || is_nan(b) ? f32(0x7fffffffu) : fmin_f(a, b); }
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

// ---------------------------------------------------------------------------------------------------------- conversions

FN(float, d2f_rn, "nvvm.d2f.rn", double x) { return (float)x; }
FN(float, d2f_rn_ftz, "nvvm.d2f.rn.ftz", double x) { return ftz((float)x); }
FN(float, d2f_rz, "nvvm.d2f.rz", double x) { return is_nan64(x) ? (float)x : round_zero(x, (float)x); }
FN(float, i2f, "nvvm.i2f.rn", int32_t x) { return (float)x; }
FN(float, ui2f, "nvvm.ui2f.rn", uint32_t x) { return (float)x; }
FN(float, ll2f, "nvvm.ll2f.rn", int64_t x) { return (float)x; }
FN(float, ull2f, "nvvm.ull2f.rn", uint64_t x) { return (float)u64_odd(x); }
FN(double, i2d, "nvvm.i2d.rn", int32_t x) { return (double)x; }
FN(double, ui2d, "nvvm.ui2d.rn", uint32_t x) { return (double)x; }
FN(double, ll2d, "nvvm.ll2d.rn", int64_t x) { return (double)x; }
FN(double, ull2d, "nvvm.ull2d.rn", uint64_t x) { return (double)(x >> 32) * 4294967296.0 + (double)(x & 0xffffffffu); }

static inline int32_t to_i32(double x) { return !(x == x) ? 0 : x <= -2147483648.0 ? INT32_MIN : x >= 2147483647.0 ? INT32_MAX : (int32_t)x; }
static inline uint32_t to_u32(double x) { return !(x > 0) ? 0 : x >= 4294967295.0 ? UINT32_MAX : (uint32_t)(int64_t)x; }
static inline int64_t to_i64(double x) { return !(x == x) ? INT64_MIN : x <= -0x1p63 ? INT64_MIN : x >= 0x1p63 ? INT64_MAX : (int64_t)x; }
static inline uint64_t to_u64(double x) {
  if (!(x == x)) return 0x8000000000000000u;
  if (x <= 0) return 0;
  if (x >= 0x1p64) return UINT64_MAX;
  return x >= 0x1p63 ? (uint64_t)(int64_t)(x - 0x1p63) + 0x8000000000000000u : (uint64_t)(int64_t)x;
}
#define TO_INT(mode, round)                                                                                                    \
  FN(int32_t, f2i_##mode, "nvvm.f2i." #mode, float x) { return to_i32(round((double)x)); }                                       \
  FN(int32_t, f2i_##mode##_ftz, "nvvm.f2i." #mode ".ftz", float x) { return to_i32(round((double)ftz(x))); }                     \
  FN(uint32_t, f2ui_##mode, "nvvm.f2ui." #mode, float x) { return to_u32(round((double)x)); }                                    \
  FN(uint32_t, f2ui_##mode##_ftz, "nvvm.f2ui." #mode ".ftz", float x) { return to_u32(round((double)ftz(x))); }                  \
  FN(int64_t, f2ll_##mode, "nvvm.f2ll." #mode, float x) { return to_i64(round((double)x)); }                                     \
  FN(int64_t, f2ll_##mode##_ftz, "nvvm.f2ll." #mode ".ftz", float x) { return to_i64(round((double)ftz(x))); }                   \
  FN(uint64_t, f2ull_##mode, "nvvm.f2ull." #mode, float x) { return to_u64(round((double)x)); }                                  \
  FN(uint64_t, f2ull_##mode##_ftz, "nvvm.f2ull." #mode ".ftz", float x) { return to_u64(round((double)ftz(x))); }                \
  FN(int32_t, d2i_##mode, "nvvm.d2i." #mode, double x) { return to_i32(round(x)); }                                              \
  FN(uint32_t, d2ui_##mode, "nvvm.d2ui." #mode, double x) { return to_u32(round(x)); }                                           \
  FN(int64_t, d2ll_##mode, "nvvm.d2ll." #mode, double x) { return to_i64(round(x)); }                                            \
  FN(uint64_t, d2ull_##mode, "nvvm.d2ull." #mode, double x) { return to_u64(round(x)); }
TO_INT(rn, __builtin_rint)
TO_INT(rz, __builtin_trunc)
TO_INT(rm, __builtin_floor)
TO_INT(rp, __builtin_ceil)

// -------------------------------------------------------------------------------------------------------------- integers

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

// ------------------------------------------------------------------------- what LLVM may call on its own account

void *memcpy(void *restrict to, const void *restrict from, unsigned long n) {
  for (unsigned long i = 0; i < n; ++i) ((volatile char *)to)[i] = ((const char *)from)[i];
  return to;
}
void *memset(void *to, int value, unsigned long n) {
  for (unsigned long i = 0; i < n; ++i) ((volatile char *)to)[i] = (char)value;
  return to;
}
void *memmove(void *to, const void *from, unsigned long n) {
  if ((uintptr_t)to < (uintptr_t)from) return memcpy(to, from, n);
  while (n--) ((volatile char *)to)[n] = ((const char *)from)[n];
  return to;
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
