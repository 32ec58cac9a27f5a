// expect: deleted|conver
#include "dsl/dsl.h"

using namespace moec;

void kernel(const NoSpec &, View x, Int n) {
  grid(1);
  Tile t = load(x(arange(16)));
#ifdef MISTAKE
  bool b = n > 0;
  if (b) t = t * 2;
#else
  Bool b = n > 0;
  t = where(b, t, 0);
#endif
  store(x(arange(16)), t + n * 0);
}
