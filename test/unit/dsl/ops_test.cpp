// Every tile op, in every dtype that it takes, records, parses and verifies; what it takes comes from the table.
#include "dsl/op_table.h"
#include "recorded.h"

#include <set>

using namespace moec;
using namespace moec::test;

namespace {

DType dtype_under_test;
std::set<std::string> seen;
std::vector<std::string> texts;

/// Records `body` with x: a view [., .] of the dtype, p: a pointer to it, v: a loaded tile [16, 16] of it.
template <class F> void with(DType t, F body) {
  static F *current;
  current = &body;
  dtype_under_test = t;
  Recording r = record(
      +[](const NoSpec &, View x, View y, Pointer p) {
        grid(1);
        Tile v = load(x(expand_dims(arange(16), 1), arange(16)));
        (*current)(x, y, p, v);
      },
      NoSpec{}, {view(t, 2), view(t, 3), pointer(t)});
  for (const std::string &n : op_names(r)) seen.insert(n);
  texts.push_back(r.text);
}
void keep(View x, const Tile &t) { // makes a result live, whatever its dtype and shape
  Tile same = cast(t, x.dtype());
  if (same.rank() == 2)
    store(x(expand_dims(arange(same.shape()[0]), 1), arange(same.shape()[1])), same);
  else if (same.rank() == 1)
    store(x(0, arange(same.shape()[0])), same);
  else
    store(x(0, 0), same);
}
const DType all_dtypes[] = {boolean, i8, u8, i32, i64, f16, bf16, f32, f64, e4m3, e5m2};
bool arithmetic(DType t) { return t != boolean && !is_fp8(t); }

void record_everything() {
  for (DType t : all_dtypes) {
    with(t, [&](View x, View y, Pointer p, Tile v) {
      Tile i = arange(16), m = i < 9;
      store(x(0, i), load(y.at(1)(i, 0), m));
      store(y.tile({0, 1, 2}, {1, 16, 16}), expand_dims(trans(v), 0));
      keep(x, load(y.slice(1, 2, 9).at(0).tile({0, 0}, {16, 16}), t == boolean ? Tile(false) : cast(1, t)));
      store(p[i], load((p + 3)[i * 2], m, cast(0, t)), m);
      keep(x, where(m, v, full({1}, cast(0, t), t)));
      keep(x, reshape(broadcast(reshape(v, {1, 256}), {2, 256}), {32, 16}));
      if (t != boolean && !is_fp8(t)) keep(x, sum(v, 0));
      for (DType to : all_dtypes) keep(x, cast(cast(v, to), t));
    });
    if (arithmetic(t))
      with(t, [&](View x, View, Pointer, Tile v) {
        Tile w = v + 1;
        keep(x, -((v + w) * (v - w) / (w * 2)));
        keep(x, maximum(v, minimum(w, 3)));
        for (const Tile &c : {v == w, v != w, v<w, v <= w, v> w, v >= w}) keep(x, c);
        keep(x, abs(v));
        keep(x, cumsum(v, 1, true));
        keep(x, max(v) + min(v, 1));
        keep(x, argmax(v, 0) + argmin(v, 1));
        keep(x, sort(v, true));
        auto [values, at] = topk(v, 3);
        keep(x, values), keep(x, at);
        if (is_int(t)) keep(x, (v % w) & (v | w) ^ ~(v << 2) >> 1);
        if (is_float(t)) {
          for (const Tile &f :
               {exp(v), exp2(v), log(v), log2(v), sqrt(v), rsqrt(v), tanh(v), erf(v), floor(v), ceil(v), fma(v, w, 1)})
            keep(x, f);
          if (size_bytes(t) >= 4) keep(x, sigmoid(v));
          if (t == f32) keep(x, fast_exp2(v) + fast_div(v, w));
        }
        if (t == i32) keep(x, histogram(v, 30, v > 0) + num_programs(2));
      });
    if (arithmetic(t) && size_bytes(t) >= 2)
      with(t, [&](View x, View, Pointer p, Tile v) {
        Tile i = arange(16), row = sum(v, 0);
        keep(x, atomic_add(x(0, i), row, i < 3) + atomic_add(p[i], row));
        if (size_bytes(t) < 4) return;
        keep(x, atomic_max(x(0, i), row) + atomic_min(p[i], row, i < 4) + atomic_exchange(x(0, i), row));
        if (is_int(t)) keep(x, atomic_cas(x(0, i), 0, row) + atomic_cas(p[3], 0, 1));
      });
    if (is_float(t))
      with(t, [&](View x, View, Pointer, Tile v) {
        keep(x, dot(v, trans(v)) + dot(v, v, zeros({16, 16}, t == f64 ? f64 : f32)));
      });
    if (t == boolean)
      with(t, [&](View x, View, Pointer, Tile v) {
        keep(x, (v & !v) | (v ^ true));
        keep(x, (v == true) | (v != false));
        keep(x, any(v) & all(v, 1));
        device_assert(v, "all of them");
        device_assert(v, "{0} and {1}", {program_id(0), expand_dims(arange(16), 1) + arange(16)});
        barrier();
      });
    if (t != boolean)
      for (DType to : all_dtypes)
        if (to != boolean && size_bytes(to) == size_bytes(t))
          with(t, [&](View x, View, Pointer, Tile v) { keep(x, bitcast(bitcast(v, to), t)); });
  }
}

TEST(DslOps, EveryOpInEveryDtypeParsesAndVerifies) {
  seen.clear();
  texts.clear();
  record_everything();
  EXPECT_EQ(parse_and_verify(texts), "");
  for (const Sample &s : samples()) // loops and branches
    for (const std::string &n : op_names(s.record())) seen.insert(n);
  Recording contract = samples()[0].record();
  std::vector<std::string> unseen;
  for (const rec::OpInfo &o : rec::op_table)
    if (!seen.count(std::string(o.name))) unseen.push_back(std::string(o.name));
  EXPECT_THAT(unseen, testing::ElementsAre("tile.kernel")); // printed, but not an op of a body
}

TEST(DslOps, Signedness) {
  auto names = [](DType t) {
    texts.clear();
    seen.clear();
    with(t, [](View x, View, Pointer, Tile v) { keep(x, where(v < 3, v / 2, v % 5) + maximum(v, 1) + (v >> 1)); });
    return seen;
  };
  auto unsigned_ops = names(u8), signed_ops = names(i8);
  for (const char *op : {"arith.divui", "arith.remui", "arith.maxui", "arith.shrui"})
    EXPECT_TRUE(unsigned_ops.count(op)) << op;
  for (const char *op : {"arith.divsi", "arith.remsi", "arith.maxsi", "arith.shrsi"})
    EXPECT_TRUE(signed_ops.count(op)) << op;
}

void casts(const NoSpec &, View u, View f) {
  grid(1);
  Tile i = arange(16), v = load(u(i));
  store(f(i), cast(v, f32));
  store(u(i), cast(load(f(i)), u8));
  store(u(i), cast(cast(v, i8), u8)); // the same bits: no op
}
TEST(DslOps, CastsOfU8SayThatItIsUnsigned) {
  Recording r = record(casts, NoSpec{}, {view(u8, 1), view(f32, 1)});
  EXPECT_EQ(count(r, "tile.cast"), 2u);
  EXPECT_THAT(r.text, testing::HasSubstr("<{unsigned_input}> : (tensor<16xi8>) -> tensor<16xf32>"));
  EXPECT_THAT(r.text, testing::HasSubstr("<{unsigned_result}> : (tensor<16xf32>) -> tensor<16xi8>"));
}

TEST(DslOps, WidenScalars) {
  Recording r = record(
      +[](const NoSpec &, View x, Int n, Int w) {
        grid(1);
        store(x(0), n + w);
        store(x(arange(16)), load(x(arange(16))) * n);
      },
      NoSpec{}, {view(i64, 1), scalar(i32), scalar(i64)});
  EXPECT_EQ(parse_and_verify({r.text}), "");
  EXPECT_EQ(count(r, "tile.cast"), 2u);
}

TEST(DslOps, HostSideArithmeticStaysOnTheHost) {
  static_assert(cdiv(10, 4) == 3 && std::is_same_v<decltype(cdiv(10, 4)), int>);
  static_assert(next_pow2(1) == 1 && next_pow2(6) == 8 && next_pow2(8) == 8);
}

} // namespace
