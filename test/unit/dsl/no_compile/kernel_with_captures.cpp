// expect: no matching function|cannot convert|no known conversion|deduce
#include "dsl/dsl.h"

using namespace moec;

Recording make(int block) {
#ifdef MISTAKE
  auto kernel = [=](const NoSpec &, View x) { grid(block), store(x(0), 1); };
#else
  auto kernel = +[](const NoSpec &, View x) { grid(1), store(x(0), 1); };
#endif
  (void)block;
  return record(kernel, NoSpec{}, {});
}
