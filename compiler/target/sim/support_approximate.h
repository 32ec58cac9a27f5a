// Part of support.c: functions that hardware approximates.

/// c[0] x^(n-1) + … + c[n-1], by Horner's rule. Unrolled: no table is left in the module.
static inline double polynomial(double x, const double *c, int n) {
  double r = c[0];
  for (int i = 1; i < n; ++i) r = r * x + c[i];
  return r;
}
#define POLYNOMIAL(x, ...)                                                                                             \
  polynomial(x, (const double[]){__VA_ARGS__}, sizeof((const double[]){__VA_ARGS__}) / sizeof(double))

/// 2^x for |x| <= 1/2, to about 1e-17.
static inline double exp2_poly(double f) {
  return POLYNOMIAL(f * 0.693147180559945309417, 1.0 / 6227020800.0, 1.0 / 479001600.0, 1.0 / 39916800.0,
                    1.0 / 3628800.0, 1.0 / 362880.0, 1.0 / 40320.0, 1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0,
                    1.0 / 6.0, 0.5, 1.0, 1.0);
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
  double r = POLYNOMIAL(z, 1.0 / 21.0, 1.0 / 19.0, 1.0 / 17.0, 1.0 / 15.0, 1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0,
                        1.0 / 5.0, 1.0 / 3.0, 1.0);
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
  if (n & 1)
    s = POLYNOMIAL(z, 1.0 / 20922789888000.0, -1.0 / 87178291200.0, 1.0 / 479001600.0, -1.0 / 3628800.0, 1.0 / 40320.0,
                   -1.0 / 720.0, 1.0 / 24.0, -0.5, 1.0);
  else
    s = POLYNOMIAL(z, -1.0 / 1307674368000.0, 1.0 / 6227020800.0, -1.0 / 39916800.0, 1.0 / 362880.0, -1.0 / 5040.0,
                   1.0 / 120.0, -1.0 / 6.0) *
            z * r +
        r;
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
FN(float, rsqrt_approx_ftz, "nvvm.rsqrt.approx.ftz.f", float x) {
  return (float)(1.0 / __builtin_sqrt((double)ftz(x)));
}
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
