// Part of support.c: conversions between numeric types.

// ---------------------------------------------------------------------------------------------------- half conversions

// Round to nearest even; NaN becomes the canonical NaN, which canonicalizeNans makes of x86's own instructions' NaNs,
// too.
FN(uint16_t, f32_to_f16, "f32.to.f16", float x) {
  uint32_t u = bits(x), sign = (u >> 16) & 0x8000u, a = u & 0x7fffffffu;
  if (a > 0x7f800000u) return 0x7fffu;
  if (a >= 0x477ff000u) return sign | 0x7c00u;
  if (a < 0x38800000u) { // subnormal: adding 0.5 rounds at 2^-24
    float r = f32(a) + 0.5f;
    return sign | (bits(r) - 0x3f000000u);
  }
  return sign | ((a + 0xfffu + ((a >> 13) & 1) - 0x38000000u) >> 13);
}

FN(float, f16_to_f32, "f16.to.f32", uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000u) << 16, a = h & 0x7fffu;
  if (a > 0x7c00u) return f32(0x7fffffffu);
  if (a == 0x7c00u) return f32(sign | 0x7f800000u);
  if (a < 0x400u) return f32(sign | bits((float)a * 0x1p-24f));
  return f32(sign | ((a << 13) + 0x38000000u));
}

FN(uint16_t, f32_to_bf16, "f32.to.bf16", float x) {
  uint32_t u = bits(x);
  if (is_nan(x)) return 0x7fffu;
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
FN(double, i64_odd, "i64.to.f64.odd", int64_t x) { return x < 0 ? -u64_odd(-(uint64_t)x) : u64_odd((uint64_t)x); }

// ----------------------------------------------------------------------------------------------------- fp8 conversions

/// f32 to e4m3 (max 448, NaN 0x7f) with saturation, round to nearest even.
static inline uint8_t to_e4m3(float x) {
  uint32_t u = bits(x), sign = (u >> 24) & 0x80u, a = u & 0x7fffffffu;
  if (a > 0x7f800000u) return 0x7fu;
  if (a >= 0x43e80000u) return sign | 0x7eu; // 464 and above: the largest finite value
  if (a < 0x3c800000u) {                     // below 2^-6: multiples of 2^-9
    float r = f32(a) + 0x1p14f;              // last place of 2^14 is 2^-9
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
static inline uint32_t half_of_e5m2(uint32_t x) { return (x & 0x7fu) > 0x7cu ? 0x7fffu : x << 8; }
FN(uint32_t, e5m2_f16x2, "nvvm.e5m2x2.to.f16x2.rn", uint16_t x) {
  return half_of_e5m2(x >> 8) << 16 | half_of_e5m2(x & 0xff);
}

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
FN(uint32_t, ff_bf16x2, "nvvm.ff2bf16x2.rn", float hi, float lo) {
  return (uint32_t)f32_to_bf16(hi) << 16 | f32_to_bf16(lo);
}
FN(uint32_t, ff_f16x2, "nvvm.ff2f16x2.rn", float hi, float lo) {
  return (uint32_t)f32_to_f16(hi) << 16 | f32_to_f16(lo);
}
FN(uint16_t, f_bf16, "nvvm.f2bf16.rn", float x) { return f32_to_bf16(x); }
FN(uint16_t, f2h_rn, "nvvm.f2h.rn", float x) { return f32_to_f16(x); }
FN(uint16_t, f2h_rn_ftz, "nvvm.f2h.rn.ftz", float x) { return f32_to_f16(ftz(x)); }
FN(float, from_fp16, "convert.from.fp16.f32", uint16_t x) { return f16_to_f32(x); }
FN(uint16_t, to_fp16, "convert.to.fp16.f32", float x) { return f32_to_f16(x); }

// --------------------------------------------------------------------------------------------------------- conversions

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

static inline int32_t to_i32(double x) {
  return !(x == x) ? 0 : x <= -2147483648.0 ? INT32_MIN : x >= 2147483647.0 ? INT32_MAX : (int32_t)x;
}
static inline uint32_t to_u32(double x) { return !(x > 0) ? 0 : x >= 4294967295.0 ? UINT32_MAX : (uint32_t)(int64_t)x; }
static inline int64_t to_i64(double x) {
  return !(x == x) ? INT64_MIN : x <= -0x1p63 ? INT64_MIN : x >= 0x1p63 ? INT64_MAX : (int64_t)x;
}
static inline uint64_t to_u64(double x) {
  if (!(x == x)) return 0x8000000000000000u;
  if (x <= 0) return 0;
  if (x >= 0x1p64) return UINT64_MAX;
  return x >= 0x1p63 ? (uint64_t)(int64_t)(x - 0x1p63) + 0x8000000000000000u : (uint64_t)(int64_t)x;
}
#define TO_INT(mode, round)                                                                                            \
  FN(int32_t, f2i_##mode, "nvvm.f2i." #mode, float x) { return to_i32(round((double)x)); }                             \
  FN(int32_t, f2i_##mode##_ftz, "nvvm.f2i." #mode ".ftz", float x) { return to_i32(round((double)ftz(x))); }           \
  FN(uint32_t, f2ui_##mode, "nvvm.f2ui." #mode, float x) { return to_u32(round((double)x)); }                          \
  FN(uint32_t, f2ui_##mode##_ftz, "nvvm.f2ui." #mode ".ftz", float x) { return to_u32(round((double)ftz(x))); }        \
  FN(int64_t, f2ll_##mode, "nvvm.f2ll." #mode, float x) { return to_i64(round((double)x)); }                           \
  FN(int64_t, f2ll_##mode##_ftz, "nvvm.f2ll." #mode ".ftz", float x) { return to_i64(round((double)ftz(x))); }         \
  FN(uint64_t, f2ull_##mode, "nvvm.f2ull." #mode, float x) { return to_u64(round((double)x)); }                        \
  FN(uint64_t, f2ull_##mode##_ftz, "nvvm.f2ull." #mode ".ftz", float x) { return to_u64(round((double)ftz(x))); }      \
  FN(int32_t, d2i_##mode, "nvvm.d2i." #mode, double x) { return to_i32(round(x)); }                                    \
  FN(uint32_t, d2ui_##mode, "nvvm.d2ui." #mode, double x) { return to_u32(round(x)); }                                 \
  FN(int64_t, d2ll_##mode, "nvvm.d2ll." #mode, double x) { return to_i64(round(x)); }                                  \
  FN(uint64_t, d2ull_##mode, "nvvm.d2ull." #mode, double x) { return to_u64(round(x)); }
TO_INT(rn, __builtin_rint)
TO_INT(rz, __builtin_trunc)
TO_INT(rm, __builtin_floor)
TO_INT(rp, __builtin_ceil)
