// arith: every op in every dtype, against C++ on the operands' values.
#include "test/unit/interp/dtype.h"

using namespace moec;

namespace {

constexpr size_t n = 1024;

std::string call(const std::string &op, const Dtype &t) { return "%r = " + op + " %0, %1 : " + tile_type(t, n); }

using Wide = __int128;

struct IntegerOp {
  const char *name;
  Wide (*f)(Wide a, Wide b); ///< of signed values, or of unsigned ones
  bool is_unsigned = false;
};

Wide floor_div(Wide a, Wide b) { return (a - ((a % b) + b) % b) / b; }

const IntegerOp kIntegerOps[] = {
    {"addi", [](Wide a, Wide b) { return a + b; }},
    {"subi", [](Wide a, Wide b) { return a - b; }},
    {"muli",
     [](Wide a, Wide b) {
       return static_cast<Wide>(static_cast<unsigned __int128>(a) * static_cast<unsigned __int128>(b));
     }},
    {"andi", [](Wide a, Wide b) { return a & b; }},
    {"ori", [](Wide a, Wide b) { return a | b; }},
    {"xori", [](Wide a, Wide b) { return a ^ b; }},
    {"maxsi", [](Wide a, Wide b) { return a > b ? a : b; }},
    {"minsi", [](Wide a, Wide b) { return a < b ? a : b; }},
    {"maxui", [](Wide a, Wide b) { return a > b ? a : b; }, true},
    {"minui", [](Wide a, Wide b) { return a < b ? a : b; }, true},
};

const IntegerOp kDivisions[] = {
    {"divsi", [](Wide a, Wide b) { return a / b; }},
    {"remsi", [](Wide a, Wide b) { return a % b; }},
    {"floordivsi", floor_div},
    {"ceildivsi", [](Wide a, Wide b) { return -floor_div(-a, b); }},
    {"divui", [](Wide a, Wide b) { return a / b; }, true},
    {"remui", [](Wide a, Wide b) { return a % b; }, true},
    {"ceildivui", [](Wide a, Wide b) { return (a + b - 1) / b; }, true},
};

void expect_integer(const IntegerOp &op, const Dtype &t, const Words &a, const Words &b) {
  Words r = apply(call(std::string("arith.") + op.name, t), {{t, a}, {t, b}}, t);
  for (size_t i = 0; i < n; ++i) {
    Wide x = op.is_unsigned ? Wide(a[i]) : Wide(t.signed_of(a[i])),
         y = op.is_unsigned ? Wide(b[i]) : Wide(t.signed_of(b[i]));
    ASSERT_EQ(r[i], static_cast<uint64_t>(op.f(x, y)) & t.mask())
        << op.name << " " << t.name << " of " << a[i] << " and " << b[i];
  }
}

TEST(integer, wraps_and_orders_as_its_width) {
  for (const Dtype &t : integers)
    for (const IntegerOp &op : kIntegerOps) expect_integer(op, t, samples(t, n, 1), samples(t, n, 2));
}

TEST(integer, divisions) {
  for (const Dtype &t : integers)
    for (const IntegerOp &op : kDivisions) {
      Words b = samples(t, n, 4);
      for (uint64_t &word : b)
        if (word == 0) word = 3;
      expect_integer(op, t, samples(t, n, 3), b);
    }
}

TEST(integer, booleans) {
  Words a, b;
  for (size_t i = 0; i < n; ++i) a.push_back(i & 1), b.push_back(i >> 1 & 1);
  for (const char *op : {"andi", "ori", "xori"}) {
    Words r = apply(call(std::string("arith.") + op, i1), {{i1, a}, {i1, b}}, i1);
    for (size_t i = 0; i < n; ++i)
      ASSERT_EQ(r[i], op[0] == 'a' ? a[i] & b[i] : op[0] == 'o' ? a[i] | b[i] : a[i] ^ b[i]);
  }
}

TEST(integer, shifts_by_too_much_are_defined) {
  for (const Dtype &t : integers) {
    Words a = samples(t, n, 5), by;
    for (size_t i = 0; i < n; ++i) by.push_back(i % (t.width + 4));
    Words left = apply(call("arith.shli", t), {{t, a}, {t, by}}, t),
          right = apply(call("arith.shrui", t), {{t, a}, {t, by}}, t);
    Words sign = apply(call("arith.shrsi", t), {{t, a}, {t, by}}, t);
    for (size_t i = 0; i < n; ++i) {
      uint64_t x = a[i], most = by[i] < uint64_t(t.width) ? by[i] : t.width - 1;
      ASSERT_EQ(left[i], by[i] < uint64_t(t.width) ? x << by[i] & t.mask() : 0);
      ASSERT_EQ(right[i], by[i] < uint64_t(t.width) ? x >> by[i] : 0);
      ASSERT_EQ(sign[i], static_cast<uint64_t>(t.signed_of(x) >> most) & t.mask());
    }
  }
}

TEST(integer, division_by_zero_is_found_and_gives_all_bits) {
  std::vector<int32_t> x = {7, 8, 9, 10}, y = {7, 0, 3, 0}, z(4, -1);
  Outcome o = Launch().pointer(x).pointer(y).pointer(z).run(R"(
tile.kernel @k(%x: !tile.ptr<i32>, %y: !tile.ptr<i32>, %z: !tile.ptr<i32>) {
  %i = tile.arange 0 : tensor<4xi32>
  %a = tile.load %x[%i : tensor<4xi32>] : !tile.ptr<i32> -> tensor<4xi32>
  %b = tile.load %y[%i : tensor<4xi32>] : !tile.ptr<i32> -> tensor<4xi32>
  %c = arith.divsi %a, %b : tensor<4xi32>
  tile.store %z[%i : tensor<4xi32>], %c : tensor<4xi32> : !tile.ptr<i32>
  tile.return
})");
  EXPECT_EQ(o.status, MOEC_USER_ERROR);
  EXPECT_EQ(o.diagnostics,
            "error\tsource.mlir\t6\t8\tinteger division of 8 by zero, at element [1] (and 1 more times)\n");
  EXPECT_EQ(z, (std::vector<int32_t>{1, -1, 3, -1}));
}

TEST(integer, every_comparison) {
  struct {
    const char *name;
    bool (*f)(Wide, Wide);
    bool is_unsigned;
  } predicates[] = {
      {"eq", [](Wide a, Wide b) { return a == b; }, false}, {"ne", [](Wide a, Wide b) { return a != b; }, false},
      {"slt", [](Wide a, Wide b) { return a < b; }, false}, {"sle", [](Wide a, Wide b) { return a <= b; }, false},
      {"sgt", [](Wide a, Wide b) { return a > b; }, false}, {"sge", [](Wide a, Wide b) { return a >= b; }, false},
      {"ult", [](Wide a, Wide b) { return a < b; }, true},  {"ule", [](Wide a, Wide b) { return a <= b; }, true},
      {"ugt", [](Wide a, Wide b) { return a > b; }, true},  {"uge", [](Wide a, Wide b) { return a >= b; }, true},
  };
  for (const Dtype &t : {i1, i8, i32, i64})
    for (auto &p : predicates) {
      Words a = samples(t, n, 6), b = samples(t, n, 7);
      for (size_t i = 0; i < n; i += 5) b[i] = a[i];
      Words r = apply(std::string("%r = arith.cmpi ") + p.name + ", %0, %1 : " + tile_type(t, n), {{t, a}, {t, b}}, i1);
      for (size_t i = 0; i < n; ++i) {
        bool expected = p.is_unsigned ? p.f(a[i], b[i]) : p.f(t.signed_of(a[i]), t.signed_of(b[i]));
        ASSERT_EQ(r[i], expected) << p.name << " " << t.name << " " << a[i] << " " << b[i];
      }
    }
}

// ---- floats

struct FloatOp {
  const char *name;
  float (*f)(float, float);
  double (*d)(double, double);
  long double (*l)(long double, long double);
};

template <typename T> T pick(T a, T b, bool greater, bool keep_nan) {
  if (std::isnan(a) || std::isnan(b)) return keep_nan ? T(NAN) : std::isnan(a) ? b : a;
  if (a == 0 && b == 0) return (std::signbit(a) == greater) ? b : a;
  return (a > b) == greater ? a : b;
}
#define MOEC_FLOAT_OP(name, expression)                                                                                \
  {name, [](float a, float b) -> float { return expression; },                                                         \
   [](double a, double b) -> double { return expression; },                                                            \
   [](long double a, long double b) -> long double { return expression; }}

const FloatOp kFloatOps[] = {
    MOEC_FLOAT_OP("addf", a + b),
    MOEC_FLOAT_OP("subf", a - b),
    MOEC_FLOAT_OP("mulf", a *b),
    MOEC_FLOAT_OP("divf", a / b),
    MOEC_FLOAT_OP("remf", std::fmod(a, b)),
    MOEC_FLOAT_OP("maximumf", pick(a, b, true, true)),
    MOEC_FLOAT_OP("minimumf", pick(a, b, false, true)),
    MOEC_FLOAT_OP("maxnumf", pick(a, b, true, false)),
    MOEC_FLOAT_OP("minnumf", pick(a, b, false, false)),
};

uint64_t expected_float(const FloatOp &op, const Dtype &t, uint64_t a, uint64_t b) {
  if (t.width == 64) return std::bit_cast<uint64_t>(op.d(std::bit_cast<double>(a), std::bit_cast<double>(b)));
  if (t.width == 32)
    return std::bit_cast<uint32_t>(op.f(std::bit_cast<float>(uint32_t(a)), std::bit_cast<float>(uint32_t(b))));
  return t.nearest(op.l(t.number(a), t.number(b)));
}

void expect_float(const FloatOp &op, const Dtype &t, const Words &a, const Words &b) {
  Words r = apply(call(std::string("arith.") + op.name, t), {{t, a}, {t, b}}, t);
  for (size_t i = 0; i < n; ++i) {
    uint64_t e = expected_float(op, t, a[i], b[i]);
    ASSERT_TRUE(same(t, r[i], e)) << op.name << " " << t.name << " of " << t.number(a[i]) << " and " << t.number(b[i])
                                  << " gives " << t.number(r[i]) << ", not " << t.number(e);
  }
}

TEST(floating, rounds_once_in_every_dtype) {
  for (const Dtype &t : {f16, bf16, f32, f64, e4m3, e5m2})
    for (const FloatOp &op : kFloatOps) {
      Words a = samples(t, n, 8), b = samples(t, n, 9);
      expect_float(op, t, a, b);
      // Exponents near each other, where sums and quotients round in interesting ways; and denormal results.
      for (size_t i = 0; i < n; ++i) b[i] = (a[i] ^ (b[i] & ((uint64_t(1) << (t.mantissa_bits + 1)) - 1)));
      expect_float(op, t, a, b);
      // Every two special values: both zeros, infinities, NaN, the least and the greatest.
      Words special = samples(t, 18, 8);
      for (size_t i = 0; i < n; ++i) a[i] = special[i % 18], b[i] = special[i / 18 % 18];
      expect_float(op, t, a, b);
    }
}

TEST(floating, negation_flips_the_sign_only) {
  for (const Dtype &t : {f16, bf16, f32, f64, e4m3, e5m2}) {
    Words a = samples(t, n, 10), r = apply("%r = arith.negf %0 : " + tile_type(t, n), {{t, a}}, t);
    for (size_t i = 0; i < n; ++i) ASSERT_EQ(r[i], a[i] ^ (uint64_t(1) << (t.width - 1)));
  }
}

TEST(floating, every_comparison) {
  struct {
    const char *name;
    bool (*f)(double, double);
    bool with_nan;
  } predicates[] = {
      {"false", [](double, double) { return false; }, false},
      {"true", [](double, double) { return true; }, true},
      {"ord", [](double, double) { return true; }, false},
      {"uno", [](double, double) { return false; }, true},
      {"oeq", [](double a, double b) { return a == b; }, false},
      {"ueq", [](double a, double b) { return a == b; }, true},
      {"one", [](double a, double b) { return a != b; }, false},
      {"une", [](double a, double b) { return a != b; }, true},
      {"olt", [](double a, double b) { return a < b; }, false},
      {"ult", [](double a, double b) { return a < b; }, true},
      {"ole", [](double a, double b) { return a <= b; }, false},
      {"ule", [](double a, double b) { return a <= b; }, true},
      {"ogt", [](double a, double b) { return a > b; }, false},
      {"ugt", [](double a, double b) { return a > b; }, true},
      {"oge", [](double a, double b) { return a >= b; }, false},
      {"uge", [](double a, double b) { return a >= b; }, true},
  };
  for (const Dtype &t : {f16, bf16, f32, f64, e4m3, e5m2})
    for (auto &p : predicates) {
      Words a = samples(t, n, 11), b = samples(t, n, 12);
      for (size_t i = 0; i < n; i += 5) b[i] = a[i];
      Words r = apply(std::string("%r = arith.cmpf ") + p.name + ", %0, %1 : " + tile_type(t, n), {{t, a}, {t, b}}, i1);
      for (size_t i = 0; i < n; ++i) {
        double x = t.number(a[i]), y = t.number(b[i]);
        ASSERT_EQ(r[i], std::isnan(x) || std::isnan(y) ? p.with_nan : p.f(x, y))
            << p.name << " " << t.name << " " << x << " " << y;
      }
    }
}

TEST(select, by_element_and_by_scalar_in_every_dtype) {
  for (const Dtype &t : all_dtypes) {
    Words c = samples(i1, n, 13), a = samples(t, n, 14), b = samples(t, n, 15);
    std::string type = tile_type(t, n);
    Words r = apply("%r = arith.select %0, %1, %2 : " + tile_type(i1, n) + ", " + type, {{i1, c}, {t, a}, {t, b}}, t);
    for (size_t i = 0; i < n; ++i) ASSERT_EQ(r[i], c[i] ? a[i] : b[i]);
    EXPECT_EQ(apply("%c = arith.constant false\n%r = arith.select %c, %0, %1 : " + type, {{t, a}, {t, b}}, t), b);
  }
}

TEST(constant, by_bits_splat_and_element) {
  Words zeros(4);
  EXPECT_EQ(apply("%r = arith.constant dense<[1, -2, 3, 2147483647]> : tensor<4xi32>", {{i32, zeros}}, i32),
            (Words{1, 0xfffffffe, 3, 0x7fffffff}));
  EXPECT_EQ(apply("%r = arith.constant dense<[true, false, true, true]> : tensor<4xi1>", {{i32, zeros}}, i1),
            (Words{1, 0, 1, 1}));
  EXPECT_EQ(apply("%r = arith.constant dense<0x7FC00001> : tensor<4xf32>", {{i32, zeros}}, f32), Words(4, 0x7fc00001));
  EXPECT_EQ(apply("%r = arith.constant dense<[0x7C00, 0x0001, 0x8000, 0x3C00]> : tensor<4xf16>", {{i32, zeros}}, f16),
            (Words{0x7c00, 1, 0x8000, 0x3c00}));
  EXPECT_EQ(apply("%r = arith.constant dense<1.0> : tensor<4xbf16>", {{i32, zeros}}, bf16), Words(4, 0x3f80));
  EXPECT_EQ(apply("%r = arith.constant dense<1.5> : tensor<4xf8E4M3FN>", {{i32, zeros}}, e4m3), Words(4, 0x3c));
  EXPECT_EQ(apply("%r = arith.constant dense<1.5> : tensor<4xf8E5M2>", {{i32, zeros}}, e5m2), Words(4, 0x3e));
  EXPECT_EQ(apply("%c = arith.constant 0x3FF8000000000000 : f64\n%r = tile.splat %c : f64 -> tensor<4xf64>",
                  {{i32, zeros}}, f64),
            Words(4, 0x3ff8000000000000));
}

} // namespace
