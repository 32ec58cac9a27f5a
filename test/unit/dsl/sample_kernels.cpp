#include "sample_kernels.h"

using namespace moec;
using namespace moec::test;

namespace {

struct BlockSpec {
  int block = 1024;
  static void fields(auto &s, auto &&f) { f("block", s.block); }
};

void copy(const BlockSpec &s, View x, View y) {
  auto [n] = y.sizes<1>();
  x.expect({n});
  grid(cdiv(n, s.block));
  Tile i = program_id(0) * s.block + arange(s.block);
  store(y(i), load(x(i)));
}

// The two kernels of the design.
void weighted_swiglu(const BlockSpec &s, View x, View w, View y) {
  auto [T, H] = y.sizes<2>();
  x.expect({T, 2 * H});
  w.expect({T, 1});
  grid(T, cdiv(H, s.block));
  auto [gate, up] = x.split_cols(H);
  Int t = program_id(0);
  Tile c = program_id(1) * s.block + arange(s.block);
  Tile g = cast(load(gate(t, c)), f32), u = cast(load(up(t, c)), f32);
  store(y(t, c), cast(g * sigmoid(g) * u * cast(load(w(t, 0)), f32), y.dtype()));
}

struct GroupedMmSpec {
  int experts = 60, n = 1024, k = 512, bm = 64, bn = 64, bk = 32;
  static void fields(auto &s, auto &&f) {
    f("experts", s.experts), f("n", s.n), f("k", s.k), f("bm", s.bm), f("bn", s.bn), f("bk", s.bk);
  }
};

void grouped_mm(const GroupedMmSpec &s, View a, View b, View c, View ends) {
  grid(persistent());
  auto [x, live] = lanes(s.experts);
  Tile last = load(ends(x), live), first = load(ends(x - 1), live & (x > 0));
  Tile upto = cumsum(cdiv(last - first, s.bm)) * cdiv(s.n, s.bn);
  for (Int i : range(program_id(0), max(upto), num_programs(0))) {
    Tile done = upto <= i;
    Int e = sum(cast(done, i32)), j = i - max(where(done, upto, 0));
    Int begin = max(where(x == e, first, 0)), end = load(ends(e));
    Int row = begin + j / cdiv(s.n, s.bn) * s.bm, col = j % cdiv(s.n, s.bn) * s.bn;
    Tile acc = zeros({s.bm, s.bn}, f32);
    for (Int k : range(0, s.k, s.bk))
      acc = dot(load(a.rows_before(end).tile({row, k}, {s.bm, s.bk})),
                trans(load(b.at(e).tile({col, k}, {s.bn, s.bk}))), acc);
    store(c.rows_before(end).tile({row, col}, {s.bm, s.bn}), cast(acc, c.dtype()));
  }
}

struct MultihotSpec {
  int topk = 6, experts = 60, rows = 4;
  static void fields(auto &s, auto &&f) { f("topk", s.topk), f("experts", s.experts), f("rows", s.rows); }
};

void indices_to_multihot(const MultihotSpec &s, View indices, View probs, View map, View out) {
  auto [T, K] = indices.sizes<2>();
  probs.expect({T, K});
  map.expect({T, s.experts});
  grid(cdiv(T, s.rows));
  Tile t = program_id(0) * s.rows + arange(s.rows);
  auto [k, live] = lanes(s.topk);
  auto [e, real] = lanes(s.experts);
  Tile at = load(indices(expand_dims(t, 1), k), live, -1), p = load(probs(expand_dims(t, 1), k), live);
  Tile hit = expand_dims(at, -1) == cast(e, at.dtype());             // [rows, topk, experts]
  Tile value = sum(where(hit, expand_dims(cast(p, f32), -1), 0), 1); // [rows, experts]
  store(map(expand_dims(t, 1), e), any(hit, 1), real);
  store(out(expand_dims(t, 1), e), cast(value, out.dtype()), real);
}

void route(const MultihotSpec &s, View logits, View weights, View experts) {
  grid(logits.size(0));
  Int t = program_id(0);
  auto [e, live] = lanes(s.experts);
  auto [k, chosen] = lanes(s.topk);
  Tile x = where(live, load(logits(t, e), live), -1e30);
  Tile p = exp(x - max(x));
  p = p / sum(p);
  auto [values, at] = topk(p, s.topk);
  values = where(chosen, values, 0);
  store(weights(t, k), values / sum(values), chosen);
  store(experts(t, k), at, chosen);
}

void count_tokens(const MultihotSpec &s, View experts, View counts, Pointer total) {
  auto [n] = experts.sizes<1>();
  grid(cdiv(n, 256));
  Tile i = program_id(0) * 256 + arange(256);
  Tile e = load(experts(i), i < n, -1);
  Tile h = histogram(e, s.experts, e >= 0);
  auto [x, live] = lanes(s.experts);
  atomic_add(counts(x), h, live);
  atomic_add(total[0], sum(h));
  barrier();
  device_assert(all(e < s.experts), "expert index \"out of range\"\n");
}

// Arguments of calls are evaluated in different orders by g++ and clang.
void order_of_loads(const NoSpec &, View a, View b, View c, Float scale) {
  grid(1);
  Tile i = arange(16);
  store(a(i), (load(b(i)) - load(c(i))) * maximum(load(b(i + 1)), load(c(i + 1))));
  Tile kept = load(a(i)), late = load(b(i + 2)), unused = load(c(i + 3));
  store(b(i), fma(load(a(i + 1)), scale, load(c(i + 4))));
  store(c(i), where(late > kept, late, load(b(i))));
  store(a(cast(load(c(i)), i32)), kept);
}

// Swap, alias and nesting of carried variables.
void fibonacci(const NoSpec &, View y, Int n) {
  grid(1);
  Int a = 0, b = 1, alias = a, untouched = 7;
  for (Int i : range(n)) {
    Int next = a + b;
    a = b;
    b = next;
    for (Int j : range(i, n, 2)) {
      std::swap(a, b);
      alias = j * untouched;
    }
    alias = a;
  }
  store(y(0), a);
  store(y(1), b + alias);
}

void collatz(const NoSpec &, View x, View steps, Int limit) {
  grid(x.size(0));
  Int t = program_id(0), v = load(x(t)), n = 0;
  while_([&] { return (v > 1) & (n < limit); },
         [&] {
           when(v % 2 == 0, [&] { v = v / 2; }, [&] { v = 3 * v + 1; });
           n = n + 1;
         });
  when(n == limit, [&] { store(steps(t), -1); }, [&] { store(steps(t), n); });
}

void bytes(const NoSpec &, View u, View s, View f, Pointer p) {
  grid(cdiv(u.size(0), 64), 2, 3);
  Tile i = program_id(0) * 64 + arange(64);
  Tile a = load(u(i)), b = cast(load(s(i)), u8);
  store(u(i), maximum(a / 3, b >> 1) % 200);
  store(s(i), cast(cast(a, f32) * 0.5, i8), ~(a == 200));
  store(f(i), cast(cast(b, f32) + 1.0f, f.dtype()));
  Tile bits = bitcast(cast(a, f32), i32);
  store((p + program_id(1))[i], abs(-bits) ^ 0x55, a != b);
  atomic_cas(p[i], 0, bits);
}

void across(const NoSpec &, View x, View y) {
  auto [rows, cols] = x.sizes<2>();
  grid(cdiv(rows, 16));
  Tile t = load(x.tile({program_id(0) * 16, 0}, {16, 32}), -1.5);
  Tile best = argmax(t, 1), worst = argmin(t);
  auto [keys, where_from] = sort(std::array{t, broadcast(cast(arange(32), f32), {16, 32})}, true);
  Tile prefix = scan(t, 0, [](Tile a, Tile b) { return maximum(a, b); }, true);
  auto moments = reduce(std::array{t, t * t}, -1,
                        [](const auto &l, const auto &r) { return std::array<Tile, 2>{l[0] + r[0], l[1] + r[1]}; });
  Tile all_of = min(t) + cast(worst, f32);
  Tile v = trans(reshape(keys, {32, 16})) + prefix.shape()[1];
  Tile turned = trans(expand_dims(prefix, 0), {1, 0, 2}); // [16, 1, 32]
  store(y.tile({program_id(0) * 16, 0}, {16, 32}), reshape(turned, {16, 32}) * all_of + v);
  store(y(program_id(0) * 16 + arange(16), 0), moments[0] / sqrt(moments[1]) + cast(best, f32) + sum(where_from, 1));
}

template <class Spec, class... P> Recording make(void (*kernel)(const Spec &, P...), std::vector<ArgFacts> facts) {
  return record(kernel, Spec{}, std::move(facts));
}

} // namespace

const std::vector<Sample> &moec::test::samples() {
  static const std::vector<Sample> all = {
      {"copy", [] { return make(copy, {view(bf16, 1), view(bf16, 1)}); }},
      {"weighted_swiglu", [] { return make(weighted_swiglu, {view(bf16, 2), plain_view(f32, 2), view(bf16, 2)}); }},
      {"grouped_mm", [] { return make(grouped_mm, {view(bf16, 2), view(bf16, 3), view(bf16, 2), view(i32, 1)}); }},
      {"indices_to_multihot",
       [] { return make(indices_to_multihot, {view(i64, 2), view(bf16, 2), view(boolean, 2), view(f32, 2)}); }},
      {"route", [] { return make(route, {view(f32, 2), view(f32, 2), view(i32, 2)}); }},
      {"count_tokens", [] { return make(count_tokens, {view(i32, 1), view(i32, 1), pointer(i32)}); }},
      {"order_of_loads", [] { return make(order_of_loads, {view(f32, 1), view(f32, 1), view(f32, 1), scalar(f32)}); }},
      {"fibonacci", [] { return make(fibonacci, {view(i32, 1), scalar(i32)}); }},
      {"collatz", [] { return make(collatz, {view(i32, 1), view(i32, 1), scalar(i32)}); }},
      {"bytes", [] { return make(bytes, {view(u8, 1), view(i8, 1), view(e4m3, 1), pointer(i32)}); }},
      {"across", [] { return make(across, {view(f32, 2), view(f32, 2)}); }},
  };
  return all;
}
