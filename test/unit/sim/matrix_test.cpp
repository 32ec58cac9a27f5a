// mma.sync in every form that the simulator has a model of, and matrices moved by ldmatrix and stmatrix, against plain
// matrices: where an element lies in the lanes' registers is written here once more, from the fragment figures of the
// PTX ISA.
#include "harness.h"

#include <bit>
#include <cmath>
#include <functional>
#include <random>

using namespace moec;
using namespace moec::simtest;
using sim::SimLaunch;
using sim::SimOptions;

namespace {

uint64_t bits_of_half(double v) { return std::bit_cast<uint16_t>(static_cast<_Float16>(v)); }
struct Element {
  const char *name; ///< of #nvvm.mma_type, or null for f64
  unsigned bytes;
  uint64_t (*bits)(double);
  double least, step; ///< values are least, least + step, … 17 of them
};
const Element kF16{"f16", 2, bits_of_half, -4, 0.5},
    kBf16{"bf16", 2, [](double v) { return uint64_t{std::bit_cast<uint32_t>(static_cast<float>(v)) >> 16}; }, -4, 0.5},
    kTf32{"tf32", 4, [](double v) { return uint64_t{std::bit_cast<uint32_t>(static_cast<float>(v))}; }, -4, 0.5},
    kS8{"s8", 1, [](double v) { return uint64_t{static_cast<uint8_t>(static_cast<int>(v))}; }, -128, 15},
    kU8{"u8", 1, [](double v) { return static_cast<uint64_t>(v); }, 0, 15},
    kF64{nullptr, 8, [](double v) { return std::bit_cast<uint64_t>(v); }, -4, 0.5};

enum class Sum : uint8_t { f32, f16, s32, f64 };

struct Form {
  Element a, b;
  int m, n, k;
  Sum sum;
  std::string name() const {
    const char *sums[] = {"f32", "f16", "s32", "f64"};
    return "m" + std::to_string(m) + "n" + std::to_string(n) + "k" + std::to_string(k) + " " +
           (a.name ? a.name : "f64") + " " + (b.name ? b.name : "f64") + " to " + sums[int(sum)];
  }
  unsigned a_bytes() const { return unsigned(m * k) * a.bytes / 32; } ///< of a lane's registers
  unsigned b_bytes() const { return unsigned(n * k) * b.bytes / 32; }
  unsigned c_bytes() const { return unsigned(m * n) * (sum == Sum::f64 ? 8 : sum == Sum::f16 ? 2 : 4) / 32; }
};

/// One warp: every lane loads its registers of A, B and C, multiplies twice (the second time with the first result as
/// C), and stores D.
std::string text_of(const Form &f) {
  bool f64 = f.sum == Sum::f64;
  std::string in = f64                              ? "f64"
                   : f.a.name == std::string("f16") ? "vector<2xf16>"
                                                    : "i32",
              out = f64                 ? "f64"
                    : f.sum == Sum::f32 ? "f32"
                    : f.sum == Sum::s32 ? "i32"
                                        : "vector<2xf16>";
  unsigned in_bytes = f64 ? 8 : 4, out_bytes = f64 ? 8 : 4;
  std::string body = "  %lane = nvvm.read.ptx.sreg.laneid : i32\n", result = "!llvm.struct<(";
  auto load = [&](const std::string &what, unsigned bytes, unsigned each, const std::string &type) {
    std::string names;
    body += "  %base_" + what + " = llvm.getelementptr %" + what +
            "[%lane] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, !llvm.array<" + std::to_string(bytes) + " x i8>\n";
    for (unsigned i = 0; i < bytes / each; ++i) {
      std::string n = what + std::to_string(i);
      body += "  %p" + n + " = llvm.getelementptr %base_" + what + "[" + std::to_string(i * each) +
              "] : (!llvm.ptr<1>) -> !llvm.ptr<1>, i8\n" + "  %" + n + " = llvm.load %p" + n + " : !llvm.ptr<1> -> " +
              type + "\n";
      names += (i ? ", %" : "%") + n;
    }
    return names;
  };
  std::string a = load("a", f.a_bytes(), in_bytes, in), b = load("b", f.b_bytes(), in_bytes, in),
              c = load("c", f.c_bytes(), out_bytes, out);
  unsigned registers = f.c_bytes() / out_bytes;
  for (unsigned i = 0; i < registers; ++i) result += (i ? ", " : "") + out;
  result += ")>";
  std::string attributes = "{layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, ";
  if (!f64)
    attributes += std::string("multiplicandAPtxType = #nvvm.mma_type<") + f.a.name +
                  ">, multiplicandBPtxType = #nvvm.mma_type<" + f.b.name + ">, ";
  if (f.sum == Sum::s32) attributes += "intOverflowBehavior = #nvvm.mma_int_overflow<wrapped>, ";
  attributes += "shape = #nvvm.shape<m = " + std::to_string(f.m) + ", n = " + std::to_string(f.n) +
                ", k = " + std::to_string(f.k) + ">}";
  auto multiply = [&](const std::string &name, const std::string &acc) {
    body += "  %" + name + " = nvvm.mma.sync A[" + a + "] B[" + b + "] C[" + acc + "] " + attributes + " : (" + in +
            ", " + in + ", " + out + ") -> " + result + "\n";
    std::string names;
    for (unsigned i = 0; i < registers; ++i) {
      body += "  %" + name + std::to_string(i) + " = llvm.extractvalue %" + name + "[" + std::to_string(i) +
              "] : " + result + "\n";
      names += (i ? ", %" : "%") + name + std::to_string(i);
    }
    return names;
  };
  multiply("e", multiply("d", c));
  body += "  %base_r = llvm.getelementptr %r[%lane] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, !llvm.array<" +
          std::to_string(f.c_bytes()) + " x i8>\n";
  for (unsigned i = 0; i < registers; ++i)
    body += "  %pr" + std::to_string(i) + " = llvm.getelementptr %base_r[" + std::to_string(i * out_bytes) +
            "] : (!llvm.ptr<1>) -> !llvm.ptr<1>, i8\n" + "  llvm.store %e" + std::to_string(i) + ", %pr" +
            std::to_string(i) + " : " + out + ", !llvm.ptr<1>\n";
  return "llvm.func @k(%a: !llvm.ptr<1>, %b: !llvm.ptr<1>, %c: !llvm.ptr<1>, %r: !llvm.ptr<1>) attributes "
         "{nvvm.kernel, nvvm.reqntid = array<i32: 32>} {\n" +
         body + "  llvm.return\n}\n";
}

/// Calls f(lane, byte in the lane's registers, row, column) for every element of a fragment of A: groups of four lanes
/// hold a row; registers alternate between rows 0-7 and 8-15, then go on along k.
void for_a(const Form &f, const std::function<void(unsigned, unsigned, int, int)> &visit) {
  int per = f.sum == Sum::f64 ? 1 : 4 / int(f.a.bytes), halves = f.m / 8;
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < f.m * f.k / 32; ++i) {
      int reg = i / per, row = lane / 4 + 8 * (reg % halves), k = lane % 4 * per + i % per + reg / halves * 4 * per;
      visit(lane, unsigned(i) * f.a.bytes, row, k);
    }
}
void for_b(const Form &f, const std::function<void(unsigned, unsigned, int, int)> &visit) {
  int per = f.sum == Sum::f64 ? 1 : 4 / int(f.b.bytes);
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < f.n * f.k / 32; ++i)
      visit(lane, unsigned(i) * f.b.bytes, lane % 4 * per + i % per + i / per * 4 * per, lane / 4);
}
void for_c(const Form &f, const std::function<void(unsigned, unsigned, int, int)> &visit) {
  unsigned bytes = f.c_bytes() * 32 / unsigned(f.m * f.n);
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < f.m * f.n / 32; ++i)
      visit(lane, unsigned(i) * bytes, lane / 4 + 8 * (i / 2), lane % 4 * 2 + i % 2);
}

uint64_t sum_bits(Sum sum, double v) {
  switch (sum) {
  case Sum::f32: return std::bit_cast<uint32_t>(static_cast<float>(v));
  case Sum::f16: return bits_of_half(v);
  case Sum::s32: return static_cast<uint32_t>(static_cast<int64_t>(v));
  case Sum::f64: return std::bit_cast<uint64_t>(v);
  }
  return 0;
}

/// All values are such that every sum is exact, in f16, too.
void expect_product(const Form &f, double c_least) {
  SCOPED_TRACE(f.name());
  std::mt19937 random(f.k);
  auto value = [&](const Element &e) { return e.least + e.step * (random() % 17); };
  std::vector<double> a(f.m * f.k), b(f.k * f.n), c(f.m * f.n), d;
  for (double &v : a) v = f.sum == Sum::f16 ? double(int(random() % 5) - 2) : value(f.a);
  for (double &v : b) v = f.sum == Sum::f16 ? double(int(random() % 5) - 2) : value(f.b);
  for (double &v : c) v = c_least + random() % 16;
  d = c;
  for (int twice = 0; twice < 2; ++twice)
    for (int i = 0; i < f.m; ++i)
      for (int j = 0; j < f.n; ++j)
        for (int k = 0; k < f.k; ++k) d[i * f.n + j] += a[i * f.k + k] * b[k * f.n + j];
  std::vector<char> ra(32 * f.a_bytes()), rb(32 * f.b_bytes()), rc(32 * f.c_bytes()), rd(rc.size(), 0x5b),
      want(rc.size());
  unsigned each = f.c_bytes() * 32 / unsigned(f.m * f.n);
  auto put = [](std::vector<char> &to, size_t at, uint64_t bits, unsigned bytes) { memcpy(&to[at], &bits, bytes); };
  for_a(f, [&](unsigned lane, unsigned at, int row, int k) {
    put(ra, lane * f.a_bytes() + at, f.a.bits(a[row * f.k + k]), f.a.bytes);
  });
  for_b(f, [&](unsigned lane, unsigned at, int k, int column) {
    put(rb, lane * f.b_bytes() + at, f.b.bits(b[k * f.n + column]), f.b.bytes);
  });
  for_c(f, [&](unsigned lane, unsigned at, int row, int column) {
    put(rc, lane * f.c_bytes() + at, sum_bits(f.sum, c[row * f.n + column]), each);
    put(want, lane * f.c_bytes() + at, sum_bits(f.sum, d[row * f.n + column]), each);
  });
  auto [bytes, error] = compile(text_of(f));
  ASSERT_EQ(error, "");
  sim::LoadedImage image(bytes);
  Params params(ra.data(), rb.data(), rc.data(), rd.data());
  EXPECT_EQ(texts(sim::launch(image, SimLaunch{.threads = 32, .params = params.data()})), "");
  for_c(f, [&](unsigned lane, unsigned at, int row, int column) {
    EXPECT_EQ(memcmp(&rd[lane * f.c_bytes() + at], &want[lane * f.c_bytes() + at], each), 0)
        << "row " << row << " column " << column;
  });
}

TEST(SimMatrix, FloatProducts) {
  for (int k : {8, 16}) {
    expect_product({kF16, kF16, 16, 8, k, Sum::f32}, -8);
    expect_product({kF16, kF16, 16, 8, k, Sum::f16}, -8);
    expect_product({kBf16, kBf16, 16, 8, k, Sum::f32}, -8);
  }
  for (int k : {4, 8}) expect_product({kTf32, kTf32, 16, 8, k, Sum::f32}, -8);
  expect_product({kF64, kF64, 8, 8, 4, Sum::f64}, -8);
}

TEST(SimMatrix, IntegerProductsWrap) {
  for (const Element &e : {kS8, kU8})
    for (double c : {-8.0, 2147483630.0, -2147483648.0}) expect_product({e, e, 16, 8, 32, Sum::s32}, c);
}

TEST(SimMatrix, Tf32LooksAtTheUpperBits) {
  // The low 13 bits of an operand do not count.
  Form f{kTf32, kTf32, 16, 8, 8, Sum::f32};
  f.a.bits = [](double v) { return std::bit_cast<uint32_t>(static_cast<float>(v)) | uint64_t{0x1fff}; };
  expect_product(f, 0);
}

TEST(SimMatrix, OneNanForAll) {
  // A NaN in an operand, and inf - inf, give the canonical NaN in their row.
  Form f{kBf16, kBf16, 16, 8, 8, Sum::f32};
  std::vector<uint16_t> a(32 * 4), b(32 * 2, 0x3f80);
  std::vector<float> c(32 * 4), d(c.size());
  for_a(f, [&](unsigned lane, unsigned at, int row, int k) {
    a[lane * 4 + at / 2] = row == 3 && k == 2 ? 0xffc1 : row == 5 ? (k == 0 ? 0x7f80 : k == 1 ? 0xff80 : 0) : 0x3f80;
  });
  for (float &v : c) v = std::bit_cast<float>(0xffc12345); // a NaN of its own in every element of C…
  for_c(f, [&](unsigned lane, unsigned at, int row, int) {
    if (row > 2) c[lane * 4 + at / 4] = 0;
  }); // …of three rows
  sim::LoadedImage image = load(text_of(f));
  Params params(a.data(), b.data(), c.data(), d.data());
  EXPECT_EQ(texts(sim::launch(image, SimLaunch{.threads = 32, .params = params.data()})), "");
  for_c(f, [&](unsigned lane, unsigned at, int row, int) {
    bool nan = row <= 3 || row == 5;
    EXPECT_EQ(std::bit_cast<uint32_t>(d[lane * 4 + at / 4]), nan ? 0x7fffffff : std::bit_cast<uint32_t>(16.0f)) << row;
  });
}

TEST(SimMatrix, FormsWithoutAModelAreRefused) {
  Form f{kS8, kS8, 16, 8, 16, Sum::s32};
  EXPECT_THAT(compile(text_of(f)).second, testing::HasSubstr("does not know this form of 'nvvm.mma.sync'"));
}

/// Stores `count` matrices with stmatrix, as rows or columns, and loads them with ldmatrix the same or the other way.
void expect_matrices(int count, bool trans_store, bool trans_load) {
  std::string layout[] = {"row", "col"}, n = std::to_string(count), regs, types, results, body;
  for (int m = 0; m < count; ++m) {
    std::string i = std::to_string(m);
    body += "  %p" + i + " = llvm.getelementptr %mine[" + i + "] : (!llvm.ptr<1>) -> !llvm.ptr<1>, i32\n  %x" + i +
            " = llvm.load %p" + i + " : !llvm.ptr<1> -> i32\n";
    regs += ", %x" + i;
    types += ", i32";
    results += (m ? ", i32" : "i32");
  }
  std::string form = "shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>, eltType = #nvvm.ld_st_matrix_elt_type<b16>}";
  std::string result = count == 1 ? "i32" : "!llvm.struct<(" + results + ")>";
  body += "  nvvm.stmatrix %row" + regs + " {layout = #nvvm.mma_layout<" + layout[trans_store] + ">, " + form +
          " : !llvm.ptr<3>" + types + "\n  nvvm.bar.warp.sync %full : i32\n" + "  %y = nvvm.ldmatrix %row {num = " + n +
          " : i32, layout = #nvvm.mma_layout<" + layout[trans_load] + ">, " + form + " : (!llvm.ptr<3>) -> " + result +
          "\n";
  for (int m = 0; m < count; ++m) {
    std::string i = std::to_string(m);
    std::string y = count == 1 ? "%y" : "%y" + i;
    if (count > 1) body += "  " + y + " = llvm.extractvalue %y[" + i + "] : " + result + "\n";
    body += "  %q" + i + " = llvm.getelementptr %to[" + i + "] : (!llvm.ptr<1>) -> !llvm.ptr<1>, i32\n  llvm.store " +
            y + ", %q" + i + " : i32, !llvm.ptr<1>\n";
  }
  std::string text =
      "llvm.mlir.global external @moec_smem() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<0 x i8>\n"
      "llvm.func @k(%in: !llvm.ptr<1>, %out: !llvm.ptr<1>) attributes {nvvm.kernel, nvvm.reqntid = array<i32: 32>} {\n"
      "  %full = llvm.mlir.constant(-1 : i32) : i32\n  %lane = nvvm.read.ptx.sreg.laneid : i32\n  %last = "
      "llvm.mlir.constant(" +
      std::to_string(8 * count - 1) +
      " : i32) : i32\n"
      "  %which = llvm.and %lane, %last : i32\n  %s = llvm.mlir.addressof @moec_smem : !llvm.ptr<3>\n"
      "  %row = llvm.getelementptr %s[%which] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, !llvm.array<16 x i8>\n"
      "  %mine = llvm.getelementptr %in[%lane] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, !llvm.array<" +
      n +
      " x i32>\n"
      "  %to = llvm.getelementptr %out[%lane] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, !llvm.array<" +
      n + " x i32>\n" + body + "  llvm.return\n}\n";
  auto image = load(text, {.checked = true});
  // Element (row, column) of matrix m is number 64 m + 8 row + column; lane l holds columns 2 (l % 4) and the next of
  // row l / 4.
  std::vector<uint16_t> in(64 * count), out(64 * count, 0x5b5b);
  auto place = [&](int m, int row, int column) { return ((row * 4 + column / 2) * count + m) * 2 + column % 2; };
  for (int m = 0; m < count; ++m)
    for (int row = 0; row < 8; ++row)
      for (int column = 0; column < 8; ++column) in[place(m, row, column)] = uint16_t(64 * m + 8 * row + column);
  sim::MemoryRange allowed[] = {range_of(in), range_of(out)};
  Params params(in.data(), out.data());
  EXPECT_EQ(texts(sim::launch(image, SimLaunch{.threads = 32, .shared_bytes = 512, .params = params.data()},
                              SimOptions{.checked = true, .allowed = allowed})),
            "");
  for (int m = 0; m < count; ++m)
    for (int row = 0; row < 8; ++row)
      for (int column = 0; column < 8; ++column)
        ASSERT_EQ(out[place(m, row, column)],
                  trans_store == trans_load ? in[place(m, row, column)] : in[place(m, column, row)])
            << count << " matrices, matrix " << m << " (" << row << ", " << column << ")";
}

TEST(SimMatrix, StoredAndLoaded) {
  for (int count : {1, 2, 4})
    for (bool trans_store : {false, true})
      for (bool trans_load : {false, true}) expect_matrices(count, trans_store, trans_load);
}

} // namespace
