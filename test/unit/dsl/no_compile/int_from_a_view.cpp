// expect: no viable|conversion|no matching
#include "dsl/dsl.h"

using namespace moec;

void kernel(const NoSpec &, View x, Int n) {
  grid(1);
  Tile t = load(x(arange(16)));
#ifdef MISTAKE
  Int k = x;
  t = t + cast(k, f32);
#else
  Int k = x.size(0);
  t = t + cast(k, f32);
#endif
  store(x(arange(16)), t + n * 0);
}
