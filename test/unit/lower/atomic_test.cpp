// tile.atomic_rmw and tile.atomic_cas. Where elements meet at one place, the operations commute and the old values are
// not looked at.
#include "test/unit/layout/random_layouts.h"
#include "test/unit/lower/both.h"
#include "test/unit/lower/tile_text.h"

#include <gtest/gtest.h>

namespace moec::compiler {
namespace {

struct AtomicCase {
  const char *kind, *element;
};
const AtomicCase kCases[] = {
    {"add", "i32"},  {"max", "i32"}, {"min", "i64"},      {"exchange", "i32"}, {"umax", "i32"}, {"umin", "i64"},
    {"add", "i64"},  {"add", "f32"}, {"add", "f64"},      {"exchange", "f32"}, {"max", "f32"},  {"min", "f64"},
    {"add", "bf16"}, {"add", "f16"}, {"exchange", "f64"}, {"min", "f32"},      {"max", "f64"},  {"exchange", "i64"}};

/// atomic_rmw of a tile of values at given offsets, masked by a tile; the old values are stored unless `count` elements
/// share places.
std::string rmwText(const AtomicCase &c, const LinearLayout &layout, bool masked, bool useOld) {
  KernelText k;
  std::string target = k.pointer(c.element), offset = k.load({"i32", layout}), value = k.load({c.element, layout});
  std::string mask = masked ? k.load({"i1", layout}) : "", old = k.fresh();
  k.line("{} = tile.atomic_rmw {}, {}[{} : {}], {}{} : !tile.ptr<{}>, {} -> {}", old, c.kind, target, offset,
         TileType{"i32", layout}.text(), value,
         masked ? fmt::format(", mask {} : {}", mask, TileType{"i1", layout}.text()) : "", c.element,
         TileType{c.element, layout}.text(), TileType{c.element, layout}.text());
  if (useOld) k.store(old, {c.element, layout});
  return k.text();
}

TEST(Atomic, EachPlaceOnce) {
  RandomLayouts random(21);
  for (int i = 0; i < 108; ++i) {
    const AtomicCase &c = kCases[i % 18];
    int bits = random.below(10), warpBits = random.below(4);
    Dims shape = random.shape(bits);
    LinearLayout layout =
        random.distributed(shape, std::max(0, bits - 5 - warpBits) + random.below(2), warpBits, random.below(4) == 0);
    bool masked = random.coin(), useOld = random.below(3) > 0;
    int64_t n = int64_t(1) << bits;
    std::vector<Memory> memories{{c.element, n}, {"i32", n}, {c.element, n}};
    fill(memories[0], random.engine(), true);
    fill(memories[2], random.engine(), true);
    for (int e = 0; e < int(n); ++e) memories[1].at<int32_t>(size_t(e)) = e ^ (int(n) - 1) / 3; // a permutation
    if (masked) memories.emplace_back("i1", n), fill(memories.back(), random.engine());
    if (useOld) memories.emplace_back(c.element, n);
    ASSERT_EQ(runBoth(rmwText(c, layout, masked, useOld), 1 << warpBits, memories, uint64_t(i % 3)), "")
        << "case " << i << " " << c.kind << " " << c.element;
  }
}

TEST(Atomic, ManyElementsAtOnePlace) {
  RandomLayouts random(22);
  const AtomicCase cases[] = {{"add", "i32"}, {"max", "i32"}, {"umin", "i64"}, {"max", "f32"},
                              {"min", "f64"}, {"add", "f32"}, {"add", "f16"},  {"add", "bf16"}};
  for (int i = 0; i < 48; ++i) {
    const AtomicCase &c = cases[i % 8];
    int bits = random.below(10), warpBits = random.below(4);
    LinearLayout layout = random.distributed(random.shape(bits), std::max(0, bits - 5 - warpBits), warpBits, false);
    int64_t n = int64_t(1) << bits;
    std::vector<Memory> memories{{c.element, 4}, {"i32", n}, {c.element, n}};
    // Sums are exact: few small integers.
    for (size_t e = 0; e < size_t(n); ++e) {
      int v = random.below(2);
      memories[1].at<int32_t>(e) = random.below(4);
      if (c.element[0] == 'i')
        memories[2].bytes[e * size_t(Memory::bytesOf(c.element))] = uint8_t(v);
      else if (std::string(c.element) == "f32")
        memories[2].at<float>(e) = float(v);
      else if (std::string(c.element) == "f64")
        memories[2].at<double>(e) = v ? 0.0 : -0.0;
      else if (std::string(c.element) == "f16")
        memories[2].at<uint16_t>(e) = v ? 0x3c00 : 0;
      else
        memories[2].at<uint16_t>(e) = v && e % 8 == 0 ? 0x3f80 : 0;
    }
    ASSERT_EQ(runBoth(rmwText(c, layout, false, false), 1 << warpBits, memories, uint64_t(i % 3)), "") << "case " << i;
  }
}

TEST(Atomic, CompareAndSwap) {
  RandomLayouts random(23);
  for (int i = 0; i < 30; ++i) {
    int bits = random.below(10), warpBits = random.below(4);
    std::string element = i % 2 ? "i32" : "i64";
    LinearLayout layout = random.distributed(random.shape(bits), std::max(0, bits - 5 - warpBits) + random.below(2),
                                             warpBits, random.below(4) == 0);
    TileType type{element, layout};
    int64_t n = int64_t(1) << bits;
    KernelText k;
    std::string target = k.pointer(element), compare = k.load(type), value = k.load(type), offset = k.indices(layout),
                old = k.fresh();
    k.line("{} = tile.atomic_cas {}[{} : {}], {}, {} : !tile.ptr<{}>, {}", old, target, offset,
           TileType{"i32", layout}.text(), compare, value, element, type.text());
    if (random.coin()) k.store(old, type);
    std::vector<Memory> memories{{element, n}, {element, n}, {element, n}, {element, n}};
    for (int m = 0; m < 3; ++m)
      for (size_t e = 0; e < size_t(n); ++e)
        memories[size_t(m)].bytes[e * size_t(Memory::bytesOf(element))] = uint8_t(random.below(3));
    if (k.text().find("tile.store") == std::string::npos) memories.pop_back();
    ASSERT_EQ(runBoth(k.text(), 1 << warpBits, memories), "") << "case " << i;
  }
}

TEST(Atomic, ScalarsAreDoneOnceAndKnownToAll) {
  for (const AtomicCase &c : kCases)
    for (int warps : {1, 4}) {
      KernelText k;
      std::string target = k.pointer(c.element), source = k.pointer(c.element), zero = k.fresh(), v = k.fresh(),
                  old = k.fresh(), all = k.fresh();
      k.line("{} = arith.constant 0 : i32", zero);
      k.line("{} = tile.load {}[{} : i32] : !tile.ptr<{}> -> {}", v, source, zero, c.element, c.element);
      k.line("{} = tile.atomic_rmw {}, {}[{} : i32], {} : !tile.ptr<{}>, {} -> {}", old, c.kind, target, zero, v,
             c.element, c.element, c.element);
      LinearLayout layout(Dims{128});
      for (int bit = 0; bit < 5; ++bit) layout.addFlatBasis(InDim::Lane, 1u << bit);
      for (int bit = 0; bit < log2Exact(warps); ++bit) layout.addFlatBasis(InDim::Warp, 32u << bit);
      for (int bit = 5 + log2Exact(warps); bit < 7; ++bit) layout.addFlatBasis(InDim::Register, 1u << bit);
      k.line("{} = tile.splat {} : {} -> {}", all, old, c.element, TileType{c.element, layout}.text());
      k.store(all, {c.element, layout});
      std::vector<Memory> memories{{c.element, 1}, {c.element, 1}, {c.element, 128}};
      std::mt19937 rng(unsigned(warps) + 31);
      fill(memories[0], rng);
      fill(memories[1], rng);
      ASSERT_EQ(runBoth(k.text(), warps, memories), "") << c.kind << " " << c.element << " " << warps;
    }
}

} // namespace
} // namespace moec::compiler
