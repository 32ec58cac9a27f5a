// expect: a kernel's parameters are a const Spec &, then View, Pointer, Int, Float, Bool or Tile, by value
#include "dsl/dsl.h"

using namespace moec;

#ifdef MISTAKE
void kernel(const NoSpec &, View x, int n) { grid(n), store(x(0), 1); }
#else
void kernel(const NoSpec &, View x, Int n) { grid(n), store(x(0), 1); }
#endif

Recording make() { return record(kernel, NoSpec{}, {}); }
