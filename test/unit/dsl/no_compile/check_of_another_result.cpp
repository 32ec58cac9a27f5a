// expect: returns a Tensor, or a pair
#include "runtime/testing.h"

using namespace moec;

struct Both {
  Tensor a, b;
};
#ifdef MISTAKE
Both twice(const Stream &, const Tensor &a) { return {a, a}; }
#else
std::pair<Tensor, Tensor> twice(const Stream &, const Tensor &a) { return {a, a}; }
#endif
std::pair<Tensor, Tensor> reference(const Tensor &a) { return {a, a}; }

Report test(const Tensor &a) { return check(twice, reference, {a}); }
