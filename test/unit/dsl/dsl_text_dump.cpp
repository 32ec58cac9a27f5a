// Prints the text of every sample kernel and of the library's committed specializations. Built with g++ and with
// clang++: the outputs must be equal, byte by byte.
#include "sample_kernels.h"

#include <cstdio>

#include "kernels/kernel_table.h"
#include "kernels/specializations.h"

int main() {
  for (const moec::test::Sample &s : moec::test::samples()) std::printf("%s// -----\n", s.record().text.c_str());
  for (const moec::SpecializationRow &row : moec::specializations())
    std::printf("%s// -----\n", moec::kernel_at(row.kernel).record(moec::parse_settings(row.settings)).text.c_str());
}
