// Pointers: loads and stores of every dtype, atomics of every kind, and the accesses that are found to be wrong.
#include "test/unit/interp/dtype.h"

using namespace moec;

namespace {

TEST(pointer, every_dtype_by_element_and_by_scalar) {
  for (const Dtype &t : all_dtypes) {
    Words words = samples(t, 8, 1), expected = words;
    std::vector<unsigned char> x = pack(t, words), y(8 * t.bytes(), 0xee);
    std::string p = std::string("!tile.ptr<") + t.name + ">", tile = tile_type(t, 8);
    Outcome o = Launch().pointer(x).pointer(y).run(
        "tile.kernel @k(%x: " + p + ", %y: " + p + R"() {
  %i = tile.arange 0 : tensor<8xi32>
  %e = tile.load %x[%i : tensor<8xi32>] : )" +
        p + " -> " + tile + "\ntile.store %y[%i : tensor<8xi32>], %e : " + tile + " : " + p + R"(
  %3 = arith.constant 3 : i32
  %1 = arith.constant 1 : i64
  %q = tile.addptr %x, %3 : )" +
        p + ", i32\n%s = tile.load %q[%1 : i64] : " + p + " -> " + t.name +
        "\ntile.store %y[%3 : i32], %s : " + t.name + " : " + p + "\ntile.return\n}\n");
    ASSERT_EQ(o.diagnostics, "") << t.name;
    expected[3] = words[4];
    EXPECT_EQ(unpack(t, y), expected) << t.name;
  }
}

TEST(pointer, masked_off_elements_are_other_and_not_stored) {
  std::vector<float> x = {1, 2, 3, 4}, y(8, -1);
  Outcome o = Launch().pointer(x).pointer(y).run(R"(
tile.kernel @k(%x: !tile.ptr<f32>, %y: !tile.ptr<f32>) {
  %i = tile.arange 0 : tensor<4xi64>
  tile.return
})");
  EXPECT_NE(o.status, MOEC_OK) << "arange is i32";
  o = Launch().pointer(x).pointer(y).run(R"(
tile.kernel @k(%x: !tile.ptr<f32>, %y: !tile.ptr<f32>) {
  %i = tile.arange 0 : tensor<4xi32>
  %4 = arith.constant dense<4> : tensor<4xi64>
  %wide = tile.cast %i : tensor<4xi32> -> tensor<4xi64>
  %up = arith.addi %wide, %4 : tensor<4xi64>
  %mask = arith.constant dense<[true, false, false, true]> : tensor<4xi1>
  %other = arith.constant 9.0 : f32
  %e = tile.load %x[%i : tensor<4xi32>], mask %mask : tensor<4xi1>, other %other : f32 : !tile.ptr<f32> -> tensor<4xf32>
  tile.store %y[%i : tensor<4xi32>], %e : tensor<4xf32> : !tile.ptr<f32>
  %z = tile.load %x[%i : tensor<4xi32>], mask %mask : tensor<4xi1> : !tile.ptr<f32> -> tensor<4xf32>
  tile.store %y[%up : tensor<4xi64>], %z : tensor<4xf32>, mask %mask : tensor<4xi1> : !tile.ptr<f32>
  tile.return
})");
  EXPECT_EQ(o.diagnostics, "");
  EXPECT_EQ(y, (std::vector<float>{1, 9, 9, 4, 1, -1, -1, 4}));
}

TEST(pointer, out_of_range_and_misaligned_accesses_are_found) {
  std::vector<int32_t> x(4, 5);
  std::string text = R"(
tile.kernel @k(%x: !tile.ptr<i32>, %at: i64) {
  %e = tile.load %x[%at : i64] : !tile.ptr<i32> -> i32
  tile.store %x[%at : i64], %e : i32 : !tile.ptr<i32>
  tile.return
})";
  EXPECT_EQ(Launch().pointer(x).scalar(int64_t(3)).run(text).diagnostics, "");
  Outcome o = Launch().pointer(x).scalar(int64_t(4)).run(text);
  EXPECT_EQ(o.status, MOEC_USER_ERROR);
  EXPECT_NE(o.diagnostics.find("error\tsource.mlir\t3\t8\tload of 4 bytes at 0x"), std::string::npos) << o.diagnostics;
  EXPECT_NE(o.diagnostics.find(
                "is outside every tensor of the launch, 0 bytes after the end of the nearest tensor before it"),
            std::string::npos);
  EXPECT_NE(o.diagnostics.find("error\tsource.mlir\t4\t3\tstore of 4 bytes at 0x"), std::string::npos);
  EXPECT_NE(Launch().pointer(x).scalar(int64_t(-1)).run(text).diagnostics.find("is outside every tensor of the launch"),
            std::string::npos);
  EXPECT_EQ(x, std::vector<int32_t>(4, 5));
  // An element that only begins inside.
  std::vector<int16_t> odd_end(3, 7);
  EXPECT_EQ(Launch().pointer(odd_end).scalar(int64_t(0)).run(text).diagnostics, "");
  EXPECT_NE(Launch().pointer(odd_end).scalar(int64_t(1)).run(text).diagnostics.find("load of 4 bytes"),
            std::string::npos);
  // Unchecked, only what cannot be memory is found.
  uint64_t odd = reinterpret_cast<uint64_t>(x.data()) + 2;
  EXPECT_NE(Launch().scalar(odd).scalar(int64_t(0)).run(text).diagnostics.find("not aligned"), std::string::npos);
  EXPECT_NE(Launch().scalar(uint64_t(0)).scalar(int64_t(0)).run(text).diagnostics.find("not a pointer to anything"),
            std::string::npos);
}

// ---- atomics

struct Atomic {
  const char *kind;
  uint64_t (*f)(const Dtype &t, uint64_t old, uint64_t value);
};

template <typename F> uint64_t by_number(const Dtype &t, uint64_t a, uint64_t b, F greater) {
  if (!t.is_float()) return greater(t.signed_of(a), t.signed_of(b)) ? a : b;
  double x = t.number(a), y = t.number(b);
  if (std::isnan(x)) return b;
  if (std::isnan(y)) return a;
  if (x == y) return greater(std::signbit(y), std::signbit(x)) ? a : b; // -0 < +0
  return greater(x, y) ? a : b;
}
uint64_t add(const Dtype &t, uint64_t a, uint64_t b) {
  if (!t.is_float()) return (a + b) & t.mask();
  return t.width == 64 ? std::bit_cast<uint64_t>(t.number(a) + t.number(b))
                       : t.nearest((long double)t.number(a) + t.number(b));
}
uint64_t greatest(const Dtype &t, uint64_t a, uint64_t b) {
  return by_number(t, a, b, [](auto x, auto y) { return x > y; });
}
uint64_t least(const Dtype &t, uint64_t a, uint64_t b) {
  return by_number(t, a, b, [](auto x, auto y) { return x < y; });
}

void expect_atomic(const Dtype &t, const Atomic &atomic) {
  Words memory = samples(t, 64, 2), values = samples(t, 64, 3);
  std::vector<unsigned char> m = pack(t, memory), v = pack(t, values), old(64 * t.bytes());
  std::string p = std::string("!tile.ptr<") + t.name + ">", tile = tile_type(t, 64), index = "tensor<64xi32>";
  Outcome o = Launch().pointer(m).pointer(v).pointer(old).run(
      "tile.kernel @k(%m: " + p + ", %v: " + p + ", %old: " + p + ") {\n%i = tile.arange 0 : " + index +
      "\n%e = tile.load %v[%i : " + index + "] : " + p + " -> " + tile + "\n%o = tile.atomic_rmw " + atomic.kind +
      ", %m[%i : " + index + "], %e : " + p + ", " + tile + " -> " + tile + "\ntile.store %old[%i : " + index +
      "], %o : " + tile + " : " + p + "\ntile.return\n}\n");
  ASSERT_EQ(o.diagnostics, "") << atomic.kind << " " << t.name;
  EXPECT_EQ(unpack(t, old), memory);
  Words after = unpack(t, m);
  for (size_t i = 0; i < 64; ++i)
    ASSERT_TRUE(same(t, after[i], atomic.f(t, memory[i], values[i])))
        << atomic.kind << " " << t.name << " " << memory[i] << " " << values[i];
}

TEST(atomic, every_kind_in_every_dtype) {
  Atomic exchange = {"exchange", [](const Dtype &, uint64_t, uint64_t b) { return b; }};
  Atomic umax = {"umax", [](const Dtype &, uint64_t a, uint64_t b) { return std::max(a, b); }};
  Atomic umin = {"umin", [](const Dtype &, uint64_t a, uint64_t b) { return std::min(a, b); }};
  for (const Dtype &t : {i32, i64, f16, bf16, f32, f64}) expect_atomic(t, {"add", add});
  for (const Dtype &t : {i32, i64, f32, f64})
    for (const Atomic &a : {Atomic{"max", greatest}, Atomic{"min", least}, exchange}) expect_atomic(t, a);
  for (const Dtype &t : {i32, i64})
    for (const Atomic &a : {umax, umin}) expect_atomic(t, a);
}

TEST(atomic, one_address_many_times_and_masks) {
  std::vector<int64_t> sum = {0}, old(4, -1);
  Outcome o = Launch().pointer(sum).pointer(old).run(R"(
tile.kernel @k(%s: !tile.ptr<i64>, %old: !tile.ptr<i64>) {
  %i = tile.arange 0 : tensor<4xi32>
  %zero = arith.constant dense<0> : tensor<4xi32>
  %ten = arith.constant dense<10> : tensor<4xi64>
  %mask = arith.constant dense<[true, true, false, true]> : tensor<4xi1>
  %o = tile.atomic_rmw add, %s[%zero : tensor<4xi32>], %ten, mask %mask : tensor<4xi1> : !tile.ptr<i64>, tensor<4xi64> -> tensor<4xi64>
  tile.store %old[%i : tensor<4xi32>], %o : tensor<4xi64> : !tile.ptr<i64>
  tile.return
})");
  EXPECT_EQ(o.diagnostics, "");
  EXPECT_EQ(sum[0], 30);
  EXPECT_EQ(old, (std::vector<int64_t>{0, 10, 0, 20}));
}

TEST(atomic, compare_and_swap) {
  for (const Dtype &t : {i32, i64}) {
    Words memory = {1, 2, 3, 4};
    std::vector<unsigned char> m = pack(t, memory), old(4 * t.bytes());
    std::string p = std::string("!tile.ptr<") + t.name + ">", tile = tile_type(t, 4);
    Outcome o = Launch().pointer(m).pointer(old).run(
        "tile.kernel @k(%m: " + p + ", %old: " + p + R"() {
  %i = tile.arange 0 : tensor<4xi32>
  %c = arith.constant dense<[1, 9, 3, 9]> : )" +
        tile + "\n%v = arith.constant dense<-1> : " + tile +
        "\n%o = tile.atomic_cas %m[%i : tensor<4xi32>], %c, %v : " + p + ", " + tile +
        "\ntile.store %old[%i : tensor<4xi32>], %o : " + tile + " : " + p + "\ntile.return\n}\n");
    ASSERT_EQ(o.diagnostics, "");
    EXPECT_EQ(unpack(t, old), memory);
    EXPECT_EQ(unpack(t, m), (Words{t.mask(), 2, t.mask(), 4}));
  }
}

} // namespace
