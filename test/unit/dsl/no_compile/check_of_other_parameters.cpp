// expect: of a reference .inputs\.\.\.
#include "runtime/testing.h"

using namespace moec;

Tensor sum(const Stream &, const Tensor &a, const Tensor &) { return a; }
#ifdef MISTAKE
Tensor reference(const Tensor &a) { return a; }
#else
Tensor reference(const Tensor &a, const Tensor &) { return a; }
#endif

Report test(const Tensor &a) { return check(sum, reference, {a, a}); }
