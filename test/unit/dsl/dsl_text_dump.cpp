// Prints the text of every sample kernel. Built with g++ and with clang++: the outputs must be equal, byte by byte.
#include "sample_kernels.h"

#include <cstdio>

int main() {
  for (const moec::test::Sample &s : moec::test::samples()) std::printf("%s// -----\n", s.record().text.c_str());
}
