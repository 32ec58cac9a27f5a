// A user's file: what it costs to compile is tested by header_cost.py.
#include <moec/moec.h>

using namespace moec;

namespace {
struct Spec {
  int block = 1024;
  static void fields(auto &s, auto &&f) { f("block", s.block); }
};

void scale(const Spec &s, View x, View y, Float factor) {
  auto [n] = y.sizes<1>();
  x.expect({n});
  grid(cdiv(n, s.block));
  Tile i = program_id(0) * s.block + arange(s.block);
  store(y(i), cast(cast(load(x(i)), f32) * factor, y.dtype()));
}
} // namespace

Recording recorded(const Spec &s, std::vector<ArgFacts> facts) { return record(scale, s, std::move(facts)); }
