// expect: deleted
#include "dsl/dsl.h"

using namespace moec;

void kernel(const NoSpec &, View x, Int n) {
  grid(1);
  Tile t = load(x(arange(16)));
#ifdef MISTAKE
  for (Int i = 0; i < n; i += 1) t = t + 1;
#else
  for (Int i : range(n)) t = t + 1;
#endif
  store(x(arange(16)), t + n * 0);
}
