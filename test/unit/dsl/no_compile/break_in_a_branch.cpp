// expect: break.? statement
#include "dsl/dsl.h"

using namespace moec;

void kernel(const NoSpec &, View x, Int n) {
  grid(1);
  Tile t = load(x(arange(16)));
#ifdef MISTAKE
  for (Int i : range(n)) when(i > 3, [&] { break; });
#else
  when(n > 0, [&] { t = t + 1; });
#endif
  store(x(arange(16)), t + n * 0);
}
