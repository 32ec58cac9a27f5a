// Ops across elements in the layouts that the passes choose, for every number of warps: the shapes that kernels use.
#include "test/unit/lower/assigned.h"
#include "test/unit/lower/tile_text.h"

#include <gtest/gtest.h>

namespace moec::compiler {
namespace {

const int kWarps[] = {1, 2, 4, 8};

TileType tile(const std::string &element, const Dims &shape) { return {element, LinearLayout(shape)}; }

/// Sum, maximum with its position, reversed sum of products: a reduce or a scan of one tile along an axis.
std::string combineText(const std::string &op, const Dims &shape, int axis, const std::string &element, bool reverse) {
  TileType::WithoutLayouts plain;
  KernelText k;
  Dims rest = shape;
  rest.erase(axis);
  TileType in = tile(element, shape), out = op == "scan" ? in : tile(element, rest);
  out.scalar = op == "reduce" && rest.empty();
  std::string x = k.load(in), r = k.fresh(), add = element[0] == 'i' ? "addi" : "addf";
  k.line("{} = \"tile.{}\"({}) <{{axis = {} : i32{}}}> ({{\n  ^bb0(%a: {}, %b: {}):\n    %c = arith.{} %a, %b : {}\n   "
         " tile.yield %c : {}\n  }}) : ({}) -> {}",
         r, op, x, axis, reverse ? ", reverse" : "", element, element, add, element, element, in.text(), out.text());
  k.store(r, out);
  return k.text();
}

TEST(Assigned, ReduceAndScan) {
  std::mt19937 rng(41);
  for (Dims shape : {Dims{1}, Dims{32}, Dims{1024}, Dims{8192}, Dims{64, 64}, Dims{4, 512}, Dims{128, 8}, Dims{1, 256},
                     Dims{16, 4, 32}, Dims{2, 2}})
    for (int axis = 0; axis < shape.size(); ++axis)
      for (std::string op : {"reduce", "scan"}) {
        int warps = kWarps[rng() % 4];
        const char *element = rng() % 2 ? "f32" : "i32";
        std::vector<Memory> memories{{element, shape.product()},
                                     {element, op == "scan" ? shape.product() : shape.product() / shape[axis]}};
        fill(memories[0], rng);
        ASSERT_EQ(runAssigned(combineText(op, shape, axis, element, op == "scan" && rng() % 2), warps, memories), "")
            << warps << " warps";
      }
}

TEST(Assigned, SortTopKHistogram) {
  std::mt19937 rng(42);
  TileType::WithoutLayouts plain;
  for (Dims shape : {Dims{128}, Dims{8, 64}, Dims{1, 512}, Dims{16, 128}, Dims{4, 4}, Dims{2, 256}})
    for (int warps : kWarps) {
      int64_t n = shape.product(), last = shape[shape.size() - 1], bins = 64;
      Dims best = shape;
      best[shape.size() - 1] = std::min<int64_t>(8, last);
      TileType in = tile("f32", shape), out = tile("f32", best), at = tile("i32", best), keys = tile("i32", shape),
               counts = tile("i32", Dims{bins});
      KernelText k;
      std::string x = k.load(in), i = k.load(keys), t = k.fresh(), s = k.fresh(), h = k.fresh();
      k.line("{}:2 = tile.topk {}, {} : {} -> {}, {}", t, x, best[shape.size() - 1], in.text(), out.text(), at.text());
      k.line("{}:2 = \"tile.sort\"({}, {}) : ({}, {}) -> ({}, {})", s, i, x, keys.text(), in.text(), keys.text(),
             in.text());
      k.line("{} = tile.histogram {} : {} -> {}", h, i, keys.text(), counts.text());
      k.store(t + "#0", out);
      k.store(t + "#1", at);
      k.store(s + "#0", keys);
      k.store(s + "#1", in);
      k.store(h, counts);
      std::vector<Memory> memories{
          {"f32", n}, {"i32", n},   {"f32", best.product()}, {"i32", best.product()}, {"i32", n},
          {"f32", n}, {"i32", bins}};
      fill(memories[0], rng, true);
      for (size_t e = 0; e < size_t(n); ++e) memories[1].at<int32_t>(e) = int32_t(rng() % 80) - 8;
      ASSERT_EQ(runAssigned(k.text(), warps, memories), "") << warps << " warps";
    }
}

/// A softmax over rows with its top-k, renormalized: reductions, broadcasts and top-k of one another, as routing does
/// it.
TEST(Assigned, RoutingOfRows) {
  std::mt19937 rng(43);
  TileType::WithoutLayouts plain;
  for (int experts : {64, 128, 256})
    for (int warps : kWarps) {
      Dims shape{8, experts}, best{8, 8};
      TileType in = tile("f32", shape), out = tile("f32", best), at = tile("i32", best);
      KernelText k;
      auto row = [&](const std::string &op, const std::string &v, const Dims &s) {
        std::string r = k.fresh(), e = k.fresh(), b = k.fresh(), full = tile("f32", s).text();
        k.line("{} = \"tile.reduce\"({}) <{{axis = 1 : i32}}> ({{\n  ^bb0(%a: f32, %b: f32):\n    %c = arith.{} %a, %b "
               ": f32\n    tile.yield %c : f32\n  }}) : ({}) -> tensor<8xf32>",
               r, v, op, full);
        k.line("{} = tile.expand_dims {}, 1 : tensor<8xf32> -> tensor<8x1xf32>", e, r);
        k.line("{} = tile.broadcast {} : tensor<8x1xf32> -> {}", b, e, full);
        return b;
      };
      auto binary = [&](const std::string &op, const std::string &a, const std::string &b, const Dims &s) {
        std::string r = k.fresh();
        k.line("{} = arith.{} {}, {} : {}", r, op, a, b, tile("f32", s).text());
        return r;
      };
      std::string x = k.load(in), d = binary("subf", x, row("maximumf", x, shape), shape),
                  p = binary("divf", d, row("addf", d, shape), shape), t = k.fresh();
      k.line("{}:2 = tile.topk {}, 8 : {} -> {}, {}", t, p, in.text(), out.text(), at.text());
      std::string w = binary("divf", t + "#0", row("addf", t + "#0", best), best);
      k.store(w, out);
      k.store(t + "#1", at);
      std::vector<Memory> memories{{"f32", shape.product()}, {"f32", 64}, {"i32", 64}};
      fill(memories[0], rng);
      ASSERT_EQ(runAssigned(k.text(), warps, memories), "") << experts << " experts, " << warps << " warps";
    }
}

} // namespace
} // namespace moec::compiler
