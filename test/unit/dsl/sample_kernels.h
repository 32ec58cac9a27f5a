// Kernels that the tests of the recorder share, and the program that prints them with g++ and with clang.
#pragma once

#include "dsl/dsl.h"

#include <string>
#include <vector>

namespace moec::test {

/// Facts of a contiguous, 16-byte aligned view whose sizes are multiples of 16.
inline ArgFacts view(DType dtype, int rank) {
  ArgFacts f;
  f.dtype = dtype;
  f.rank = static_cast<uint8_t>(rank);
  for (int i = 0; i < rank; ++i) {
    f.size_divisors[static_cast<size_t>(i)] = 16;
    f.stride_divisors[static_cast<size_t>(i)] = i + 1 == rank ? 0 : 16 / size_bytes(dtype);
  }
  return f;
}
/// The same, with nothing known but dtype and rank.
inline ArgFacts plain_view(DType dtype, int rank) {
  ArgFacts f = view(dtype, rank);
  f.align = static_cast<uint8_t>(size_bytes(dtype));
  for (int i = 0; i < rank; ++i)
    f.size_divisors[static_cast<size_t>(i)] = f.stride_divisors[static_cast<size_t>(i)] = 1;
  return f;
}
inline ArgFacts pointer(DType dtype) {
  ArgFacts f;
  f.kind = ArgFacts::Kind::pointer;
  f.dtype = dtype;
  return f;
}
inline ArgFacts scalar(DType dtype) {
  ArgFacts f;
  f.kind = ArgFacts::Kind::scalar;
  f.dtype = dtype;
  return f;
}

struct Sample {
  const char *name;
  Recording (*record)();
};
/// All sample kernels.
const std::vector<Sample> &samples();

} // namespace moec::test
