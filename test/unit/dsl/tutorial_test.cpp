// The snippets of docs/dsl.md: regions between "// [name]" and "// [end]" stand in the document word by word (docs_agree.py).
#include "recorded.h"

using namespace moec::test;
using testing::HasSubstr;

// [scale]
using namespace moec;

struct ScaleSpec {
  int block = 1024;
  static void fields(auto &s, auto &&f) { f("block", s.block); }
};

// y[i] = x[i] * factor
void scale(const ScaleSpec &s, View x, View y, Float factor) {
  auto [n] = y.sizes<1>();
  x.expect({n});
  grid(cdiv(n, s.block));
  Tile i = program_id(0) * s.block + arange(s.block);
  store(y(i), cast(cast(load(x(i)), f32) * factor, y.dtype()));
}
// [end]

// [dtypes]
void dtypes(const NoSpec &, View x, View y, Int n) {
  grid(1);
  Tile i = arange(64);                  // i32[64]
  Tile a = load(x(i));                  // bf16[64]: the view's dtype
  Tile b = cast(a, f32) * 2 + 1;        // f32[64]: literals take the tile's dtype
  Tile positive = b > 0;                // bool[64]
  Tile c = where(positive, b, exp(b));  // f32[64]
  Float scale = sum(c) / cast(n, f32);  // a scalar
  Tile bits = bitcast(c * scale, i32);  // the same bits
  store(y(i), cast(cast(bits, f64) + 0.5, y.dtype()));
}
// [end]

// [halves]
// y[t, c] = max(x[t, c], x[t, H + c]) for the halves of each row
void max_of_halves(const ScaleSpec &s, View x, View y) {
  auto [T, H] = y.sizes<2>();
  x.expect({T, 2 * H});
  grid(T, cdiv(H, s.block));
  auto [left, right] = x.split_cols(H);
  Int t = program_id(0);
  Tile c = program_id(1) * s.block + arange(s.block);
  store(y(t, c), maximum(load(left(t, c)), load(right(t, c))));
}
// [end]

// [transpose]
void transpose(const NoSpec &, View x, View y) {
  auto [rows, cols] = x.sizes<2>();
  y.expect({cols, rows});
  grid(cdiv(rows, 64), cdiv(cols, 64));
  Int r = program_id(0) * 64, c = program_id(1) * 64;
  store(y.tile({c, r}, {64, 64}), trans(load(x.tile({r, c}, {64, 64}))));
}
// [end]

// [gather]
// y[r, :] = x[rows[r], :], and zero where rows[r] is -1
void gather(const ScaleSpec &s, View x, View rows, View y) {
  auto [R, H] = y.sizes<2>();
  rows.expect({R});
  grid(R, cdiv(H, s.block));
  Int r = program_id(0), from = load(rows(r));
  Tile c = program_id(1) * s.block + arange(s.block);
  store(y(r, c), load(x(from, c), from >= 0));
}
// [end]

struct TopkSpec {
  int topk = 6, experts = 60;
  static void fields(auto &s, auto &&f) { f("topk", s.topk), f("experts", s.experts); }
};

// [lanes]
// counts[e] = how often expert e is chosen by row t
void count_row(const TopkSpec &s, View chosen, View counts) {
  grid(chosen.size(0));
  Int t = program_id(0);
  auto [k, real] = lanes(s.topk);                           // i32[8] and bool[8]: six real lanes, two of padding
  auto [e, live] = lanes(s.experts);                        // 64 lanes, 60 of them real
  Tile at = load(chosen(t, k), real, -1);                   // i32[8], padding reads as -1
  Tile hit = expand_dims(at, 1) == e;                       // [8, 1] against [64]: bool[8, 64]
  store(counts(t, e), sum(cast(hit, i32), 0), live);        // i32[64]
}
// [end]

// [softmax]
void softmax(const ScaleSpec &s, View x, View y) {
  auto [rows, n] = x.sizes<2>();
  y.expect({rows, n});
  grid(rows);
  Int r = program_id(0);
  Tile c = arange(s.block);
  Tile v = where(c < n, cast(load(x(r, c)), f32), -1e30f);
  Tile p = exp(v - max(v));
  store(y(r, c), cast(p / sum(p), y.dtype()));
}
// [end]

// [welford]
// mean and variance of each row in one pass over the values, by pairs (count, mean, sum of squares)
void moments(const ScaleSpec &s, View x, View mean, View variance) {
  grid(x.size(0));
  Int r = program_id(0);
  Tile v = load(x(r, arange(s.block)));
  auto [count, m, m2] = reduce(std::array{full({s.block}, 1, f32), v, zeros({s.block}, f32)}, 0, [](auto a, auto b) {
    Tile n = a[0] + b[0], delta = b[1] - a[1];
    return std::array{n, a[1] + delta * b[0] / n, a[2] + b[2] + delta * delta * a[0] * b[0] / n};
  });
  store(mean(r), m);
  store(variance(r), m2 / count);
}
// [end]

// [loop]
// y[r] = sum of row r, in f32, any number of columns
void row_sum(const ScaleSpec &s, View x, View y) {
  auto [rows, n] = x.sizes<2>();
  y.expect({rows});
  grid(rows);
  Int r = program_id(0);
  Tile acc = zeros({s.block}, f32);
  for (Int k : range(0, n, s.block)) acc += cast(load(x(r, k + arange(s.block))), f32);
  store(y(r), cast(sum(acc), y.dtype()));
}
// [end]

// [branches]
void collatz(const NoSpec &, View x, View steps, Int limit) {
  grid(x.size(0));
  Int t = program_id(0), v = load(x(t)), n = 0;
  while_([&] { return (v > 1) & (n < limit); },
         [&] {
           when(v % 2 == 0, [&] { v = v / 2; }, [&] { v = 3 * v + 1; });
           n += 1;
         });
  store(steps(t), n);
}
// [end]

// [unroll]
// A polynomial of any degree, by Horner's rule; the coefficients are part of the spec.
struct PolynomialSpec {
  int degree = 3;
  float c0 = 1, c1 = 1, c2 = 0.5f, c3 = 0.25f;
  static void fields(auto &s, auto &&f) { f("degree", s.degree), f("c0", s.c0), f("c1", s.c1), f("c2", s.c2), f("c3", s.c3); }
};

void polynomial(const PolynomialSpec &s, View x, View y) {
  grid(cdiv(x.size(0), 256));
  Tile i = program_id(0) * 256 + arange(256);
  const float c[] = {s.c0, s.c1, s.c2, s.c3};
  Tile v = load(x(i)), p = full({256}, c[s.degree], f32);
  for (int k = s.degree - 1; k >= 0; --k) p = fma(p, v, c[k]); // a C++ loop: unrolled
  store(y(i), p);
}
// [end]

// [atomics]
void histogram_of_bytes(const NoSpec &, View bytes, Pointer counts, Int n) {
  grid(cdiv(n, 1024));
  Tile i = program_id(0) * 1024 + arange(1024);
  Tile b = cast(load(bytes(i), i < n), i32);
  Tile h = histogram(b, 256, i < n);
  atomic_add(counts[arange(256)], h); // a raw pointer: nothing clips, all 256 lanes are written
}
// [end]

// [matmul]
struct MatmulSpec {
  int bm = 64, bn = 64, bk = 32;
  static void fields(auto &s, auto &&f) { f("bm", s.bm), f("bn", s.bn), f("bk", s.bk); }
};

// c = a * b^T
void matmul(const MatmulSpec &s, View a, View b, View c) {
  auto [M, N] = c.sizes<2>();
  Int K = a.size(1);
  a.expect({M, K});
  b.expect({N, K});
  grid(cdiv(M, s.bm), cdiv(N, s.bn));
  Int m = program_id(0) * s.bm, n = program_id(1) * s.bn;
  Tile acc = zeros({s.bm, s.bn}, f32);
  for (Int k : range(0, K, s.bk))
    acc = dot(load(a.tile({m, k}, {s.bm, s.bk})), trans(load(b.tile({n, k}, {s.bn, s.bk}))), acc);
  store(c.tile({m, n}, {s.bm, s.bn}), cast(acc, c.dtype()));
}
// [end]

// [fused]
// Routing of a mixture of experts, one row per program: softmax over the experts, the topk best, weights that sum to 1.
void route(const TopkSpec &s, View logits, View weights, View experts) {
  auto [T, E] = logits.sizes<2>();
  logits.expect({T, s.experts});
  weights.expect({T, s.topk});
  experts.expect({T, s.topk});
  grid(T);
  Int t = program_id(0);
  auto [e, live] = lanes(s.experts);
  auto [k, chosen] = lanes(s.topk);
  Tile x = where(live, cast(load(logits(t, e), live), f32), -1e30f);
  Tile p = exp(x - max(x));
  auto [best, at] = topk(p, s.topk); // descending; the lower index first among equals
  best = where(chosen, best, 0);     // padding lanes count nothing
  store(weights(t, k), cast(best / sum(best), weights.dtype()), chosen);
  store(experts(t, k), cast(at, experts.dtype()), chosen);
}
// [end]

namespace {

TEST(DslTutorial, SnippetsRecordAndVerify) {
  std::vector<std::string> texts;
  auto add = [&](const Recording &r) { texts.push_back(r.text); };
  add(record(scale, ScaleSpec{}, {view(bf16, 1), view(bf16, 1), scalar(f32)}));
  add(record(dtypes, NoSpec{}, {view(bf16, 1), view(f16, 1), scalar(i32)}));
  add(record(max_of_halves, ScaleSpec{}, {view(bf16, 2), view(bf16, 2)}));
  add(record(transpose, NoSpec{}, {view(f16, 2), view(f16, 2)}));
  add(record(gather, ScaleSpec{}, {view(f32, 2), view(i64, 1), view(f32, 2)}));
  add(record(count_row, TopkSpec{}, {view(i32, 2), view(i32, 2)}));
  add(record(softmax, ScaleSpec{}, {view(bf16, 2), view(bf16, 2)}));
  add(record(moments, ScaleSpec{}, {view(f32, 2), view(f32, 1), view(f32, 1)}));
  add(record(row_sum, ScaleSpec{}, {view(bf16, 2), view(f32, 1)}));
  add(record(collatz, NoSpec{}, {view(i32, 1), view(i32, 1), scalar(i32)}));
  add(record(polynomial, PolynomialSpec{}, {view(f32, 1), view(f32, 1)}));
  add(record(histogram_of_bytes, NoSpec{}, {view(u8, 1), pointer(i32), scalar(i32)}));
  add(record(matmul, MatmulSpec{}, {view(bf16, 2), view(bf16, 2), view(f32, 2)}));
  add(record(route, TopkSpec{}, {view(f32, 2), view(bf16, 2), view(i64, 2)}));
  EXPECT_EQ(parse_and_verify(texts), "");
}

} // namespace
