// expect: deleted
#include "dsl/dsl.h"

using namespace moec;

void kernel(const NoSpec &, View x, Int n) {
  grid(1);
  Tile t = load(x(arange(16)));
#ifdef MISTAKE
  t = where((t > 0) && (t < 5), t, 0);
#else
  t = where((t > 0) & (t < 5), t, 0);
#endif
  store(x(arange(16)), t + n * 0);
}
