// Conversions between every two dtypes, on every value of the narrow ones; bits as other dtypes.
#include "test/unit/ops/differential.h"

#include <fmt/format.h>

namespace moec::ops {
namespace {

/// One result per dtype, in the order of kDTypes.
void casts(const NoSpec &, View x, View o0, View o1, View o2, View o3, View o4, View o5, View o6, View o7, View o8,
           View o9, View o10) {
  grid(cdiv(x.size(0), 256));
  Tile i = program_id(0) * 256 + arange(256), v = load(x(i));
  for (const View *o : {&o0, &o1, &o2, &o3, &o4, &o5, &o6, &o7, &o8, &o9, &o10}) store((*o)(i), cast(v, o->dtype()));
}

std::vector<Argument> cast_arguments(DType t) {
  const int64_t n = t == boolean || size_bytes(t) == 1 ? 250 : size_bytes(t) == 2 ? 65536 : 5000;
  std::vector<Argument> args{every(t, n, 7)};
  for (DType to : kDTypes) args.push_back(output(to, {n}));
  return args;
}

TEST(Cast, EveryPair) {
  std::vector<Case> cases;
  for (DType t : kDTypes)
    cases.push_back({fmt::format("casts of {}", name(t)), casts, NoSpec{}, cast_arguments(t), warps({1, 4})});
  check(cases);
}

struct ToSpec {
  DType to = f32;
  static void fields(auto &s, auto &&f) { f("to", s.to); }
};
/// Rounds to a narrower dtype and back, two dimensions: fewer elements per thread than a word holds.
void there_and_back(const ToSpec &s, View x, View y) {
  grid(1);
  store_whole(y, cast(cast(whole(x, {8, 64}), s.to), x.dtype()));
}

TEST(Cast, ThereAndBack) {
  std::vector<Case> cases;
  for (DType t : {f16, bf16, f32, i32})
    for (DType to : {e4m3, e5m2, f16, bf16, i8, u8, f64})
      if (t != to)
        cases.push_back({fmt::format("{} to {} and back", name(t), name(to)),
                         there_and_back,
                         ToSpec{to},
                         {special(t, {7, 61}, 3, Lay::rows), output(t, {7, 61}, Compare::bits, Lay::transposed)},
                         warps({8})});
  check(cases);
}

void bitcasts(const ToSpec &s, View x, View y) {
  grid(1);
  Tile v = whole(x, {512});
  store_whole(y.at(0), bitcast(v, s.to));
  store_whole(y.at(1), bitcast(bitcast(bitcast(v, s.to), x.dtype()), s.to));
}

TEST(Cast, BitsOfEveryPair) {
  std::vector<Case> cases;
  for (DType t : kDTypes)
    for (DType to : kDTypes)
      if (t != boolean && to != boolean && size_bytes(t) == size_bytes(to))
        cases.push_back({fmt::format("bits of {} as {}", name(t), name(to)),
                         bitcasts,
                         ToSpec{to},
                         {special(t, {500}, 3), output(to, {2, 500})},
                         warps({2})});
  check(cases);
}

/// A view of bool reads 0 and 1; scalars convert as tiles do.
void scalar_casts(const NoSpec &, View x, View y) {
  grid(x.size(0));
  Int p = program_id(0);
  Tile v = load(x(p));
  for (int k = 0; k < kNumDTypes; ++k) store(y(p, k), cast(cast(v, static_cast<DType>(k)), f64));
}

TEST(Cast, Scalars) {
  std::vector<Case> cases;
  for (DType t : kDTypes)
    cases.push_back({fmt::format("scalar {}", name(t)),
                     scalar_casts,
                     NoSpec{},
                     {special(t, {30}, 5), output(f64, {30, kNumDTypes})},
                     warps({2})});
  check(cases);
}

} // namespace
} // namespace moec::ops
