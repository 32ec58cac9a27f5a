// Products: f32 and f64 in the op's order, bit for bit; tensor cores within K * 2^-23 of the sum of magnitudes.
#include "test/unit/ops/differential.h"

#include <fmt/format.h>

#include <cmath>

namespace moec::ops {
namespace {

struct DotSpec {
  int m = 16, n = 16, k = 16;
  bool a_transposed = false, b_transposed = false;
  static void fields(auto &s, auto &&f) {
    f("m", s.m), f("n", s.n), f("k", s.k), f("at", s.a_transposed), f("bt", s.b_transposed);
  }
};
void product(const DotSpec &s, View a, View b, View c, View d) {
  grid(1);
  Tile x = s.a_transposed ? trans(whole(a, {s.k, s.m})) : whole(a, {s.m, s.k}),
       y = s.b_transposed ? trans(whole(b, {s.n, s.k})) : whole(b, {s.k, s.n});
  store_whole(d, dot(x, y, whole(c, {s.m, s.n})));
}
/// Any K, in a loop whose loads the compiler pipelines.
void looped(const DotSpec &s, View a, View b, View c, View d) {
  auto [M, N] = d.sizes<2>();
  Int K = a.size(s.a_transposed ? 0 : 1);
  grid(cdiv(M, s.m), cdiv(N, s.n));
  Int m = program_id(0) * s.m, n = program_id(1) * s.n;
  Tile acc = load(c.tile({m, n}, {s.m, s.n}));
  for (Int k : range(0, K, s.k)) {
    Tile x = s.a_transposed ? trans(load(a.tile({k, m}, {s.k, s.m}))) : load(a.tile({m, k}, {s.m, s.k}));
    Tile y = s.b_transposed ? trans(load(b.tile({n, k}, {s.n, s.k}))) : load(b.tile({k, n}, {s.k, s.n}));
    acc = dot(x, y, acc);
  }
  store(d.tile({m, n}, {s.m, s.n}), acc);
}

struct Sizes {
  int64_t m, n, k;
};
std::vector<Argument> matrices(DType ta, DType tb, const DotSpec &s, Sizes z, Lay lay) {
  const DType sum = ta == f64 ? f64 : f32;
  Argument a = numbers(ta, s.a_transposed ? Dims{z.k, z.m} : Dims{z.m, z.k}, 1, lay),
           b = numbers(tb, s.b_transposed ? Dims{z.n, z.k} : Dims{z.k, z.n}, 2, lay);
  Argument c = numbers(sum, {z.m, z.n}, 3), d = output(sum, {z.m, z.n});
  if (size_bytes(ta) <= 2) {
    // [i, j] of a matrix that may lie transposed and with gaps.
    auto at = [](const Argument &x, bool transposed, int64_t i, int64_t j) {
      return std::fabs(number(
          x.dtype, x.bits(x.offset + (transposed ? j : i) * x.strides[0] + (transposed ? i : j) * x.strides[1])));
    };
    std::vector<double> magnitude;
    for (int64_t i = 0; i < z.m; ++i)
      for (int64_t j = 0; j < z.n; ++j) {
        double total = std::fabs(number(sum, c.bits(i * z.n + j)));
        for (int64_t k = 0; k < z.k; ++k) total += at(a, s.a_transposed, i, k) * at(b, s.b_transposed, k, j);
        magnitude.push_back(total);
      }
    d.compare = Compare::bounded;
    d.tolerance = [magnitude, k = z.k](double, size_t i) { return static_cast<double>(k) * 0x1p-23 * magnitude[i]; };
  }
  return {a, b, c, d};
}

struct Pair {
  DType a, b;
};
const Pair kPairs[] = {{f16, f16},   {bf16, bf16}, {e4m3, e4m3}, {e5m2, e5m2},
                       {e4m3, e5m2}, {e5m2, e4m3}, {f32, f32},   {f64, f64}};

TEST(Dot, OneTile) {
  std::vector<Case> cases;
  int k = 0;
  for (Pair p : kPairs)
    for (DotSpec s : {DotSpec{16, 16, 16}, DotSpec{32, 64, 32}, DotSpec{64, 16, 64}, DotSpec{8, 8, 8},
                      DotSpec{16, 8, 4}, DotSpec{1, 32, 16}, DotSpec{128, 32, 16}}) {
      s.a_transposed = k & 1, s.b_transposed = k / 2 & 1;
      cases.push_back({fmt::format("dot {} {} {}", name(p.a), name(p.b), spec_text(s)), product, s,
                       matrices(p.a, p.b, s, {s.m, s.n, s.k}, k % 3 ? Lay::contiguous : Lay::rows),
                       k % 5 ? warps({1 << k % 4}) : kAllWarps});
      ++k;
    }
  check(cases);
}

TEST(Dot, LoopsOfEveryDepth) {
  std::vector<Case> cases;
  int n = 0;
  for (Pair p : kPairs)
    for (Sizes z : {Sizes{64, 64, 128}, Sizes{40, 35, 77}, Sizes{16, 16, 3}}) {
      DotSpec s{32, 32, p.a == f64 ? 16 : 32, n % 3 == 1, n % 2 == 1};
      cases.push_back({fmt::format("looped dot {} {} {}x{}x{} {}", name(p.a), name(p.b), z.m, z.n, z.k, spec_text(s)),
                       looped,
                       s,
                       matrices(p.a, p.b, s, z, n % 4 == 3 ? Lay::unaligned : Lay::contiguous),
                       {{.num_warps = 1 << n % 4, .num_stages = 1},
                        {.num_warps = 2, .num_stages = 2},
                        {.num_warps = 4, .num_stages = 3}}});
      ++n;
    }
  check(cases);
}

/// Operands of fewer elements than the CTA has threads: copies of an element must not be written to shared memory
/// twice.
TEST(Dot, LoopsOverSmallTiles) {
  std::vector<Case> cases;
  for (Pair p : {Pair{f16, f16}, Pair{e4m3, e5m2}, Pair{f32, f32}})
    for (DotSpec s : {DotSpec{1, 16, 4}, DotSpec{1, 16, 32}, DotSpec{16, 1, 4}}) {
      Sizes z{s.m + 1, s.n + 3, 2 * s.k + 1};
      cases.push_back({fmt::format("looped dot {} {} {}", name(p.a), name(p.b), spec_text(s)), looped, s,
                       matrices(p.a, p.b, s, z, Lay::contiguous), warps({1, 4})});
    }
  check(cases);
}

/// Dots that feed each other: on the simulator more collectives than one batch holds.
void chained(const DotSpec &s, View a, View b, View c, View d) {
  grid(1);
  Tile x = whole(a, {s.m, s.k}), y = whole(b, {s.k, s.n}), sum = whole(c, {s.m, s.n});
  for (int i = 0; i < 4; ++i) sum = dot(x, y, sum);
  store_whole(d, sum);
}

TEST(Dot, Chains) {
  std::vector<Case> cases;
  for (Pair p : {Pair{bf16, bf16}, Pair{e4m3, e4m3}}) {
    DotSpec s{32, 64, 64};
    auto args = matrices(p.a, p.b, s, {s.m, s.n, s.k}, Lay::contiguous);
    args[3].tolerance = [once = args[3].tolerance](double v, size_t i) { return 16 * once(v, i); };
    cases.push_back({fmt::format("chained dots {} {}", name(p.a), spec_text(s)), chained, s, args, warps({1})});
  }
  check(cases);
}

/// softmax(q k^T) v: the second dot's A is computed from the first dot, row by row.
void attention(const DotSpec &s, View q, View k, View v, View o) {
  auto [T, D] = q.sizes<2>();
  grid(cdiv(T, s.m));
  Int m = program_id(0) * s.m;
  Tile rows = load(q.tile({m, 0}, {s.m, s.k})), at = expand_dims(m + arange(s.m), 1);
  Tile acc = zeros({s.m, s.k}, f32), total = zeros({s.m, 1}, f32), most = full({s.m, 1}, -1e30f, f32);
  for (Int n : range(0, minimum(T, m + s.m), s.n)) {
    Tile seen = expand_dims(n + arange(s.n), 0) <= at;
    Tile score = where(seen, dot(rows, trans(load(k.tile({n, 0}, {s.n, s.k}))), zeros({s.m, s.n}, f32)), -1e30f);
    Tile next = maximum(most, expand_dims(max(score, 1), 1)), p = where(seen, exp(score - next), 0),
         old = exp(most - next);
    total = total * old + expand_dims(sum(p, 1), 1);
    acc = dot(cast(p, v.dtype()), load(v.tile({n, 0}, {s.n, s.k})), acc * old);
    most = next;
  }
  store(o.tile({m, 0}, {s.m, s.k}), acc / total);
}

TEST(Dot, Attention) {
  std::vector<Case> cases;
  for (DType t : {bf16, f16, f32})
    for (DotSpec s : {DotSpec{64, 32, 32}, DotSpec{16, 64, 64}}) {
      Argument o = output(f32, {75, s.k}, Compare::bounded);
      o.tolerance = [t](double, size_t) { return t == f32 ? 1e-5 : 0x1p-8; }; // p may round the other way; |v| < 1
      cases.push_back({fmt::format("attention {} {}", name(t), spec_text(s)),
                       attention,
                       s,
                       {numbers(t, {75, s.k}, 1), numbers(t, {75, s.k}, 2), numbers(t, {75, s.k}, 3), o},
                       kAllWarps});
    }
  check(cases);
}

/// NaN, infinities, zeros and denormals among the operands: also where the tile is shorter than the instruction, whose
/// rest must be 0.
TEST(Dot, SpecialValues) {
  std::vector<Case> cases;
  for (Pair p : {Pair{f16, f16}, Pair{e4m3, e5m2}, Pair{f32, f32}, Pair{f64, f64}})
    for (int k : {1, 2, 4, 8, 16, 32}) {
      DotSpec s{16, 32, k, k == 2, k == 8};
      auto args = matrices(p.a, p.b, s, {s.m, s.n, s.k}, Lay::contiguous);
      args[0] = special(p.a, args[0].shape, 11), args[1] = special(p.b, args[1].shape, 12);
      // Of the sums that are numbers the magnitudes are below 65504^2 * k.
      if (args[3].compare == Compare::bounded)
        args[3].tolerance = [k](double, size_t) { return 0x1p32 * k * k * 0x1p-23; };
      cases.push_back(
          {fmt::format("special dot {} {} {}", name(p.a), name(p.b), k), product, s, args, warps({k % 4 ? 1 : 4})});
    }
  check(cases);
}

} // namespace
} // namespace moec::ops
