// expect: deleted
#include "dsl/dsl.h"

using namespace moec;

void kernel(const NoSpec &, View x, Int n) {
  grid(1);
  Tile t = load(x(arange(16)));
#ifdef MISTAKE
  while (n > 0) n = n - 1;
#else
  while_([&] { return n > 0; }, [&] { n = n - 1; });
#endif
  store(x(arange(16)), t + n * 0);
}
