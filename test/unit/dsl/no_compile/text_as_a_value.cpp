// expect: no matching function|could not convert|no viable|invalid
#include "dsl/dsl.h"

using namespace moec;

void kernel(const NoSpec &, View x, Int n) {
  grid(1);
  Tile t = load(x(arange(16)));
#ifdef MISTAKE
  store(x(0), "one");
#else
  store(x(0), 1);
#endif
  store(x(arange(16)), t + n * 0);
}
