// Where the tests of the kernels find recorded cases and run: in the source tree, or in the bundle of ./dev dist.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "runtime/device.h"
#include "runtime/error.h"

namespace moec {

/// The folder of the recorded cases, with a slash at its end.
inline std::string golden_folder() {
  const char *moved = std::getenv("MOEC_TEST_GOLDEN"); // where the bundle has them
  return moved ? std::string(moved) + "/" : MOEC_SOURCE_DIR "/test/golden/";
}
/// What MOEC_DEVICE says; by default the interpreter and the simulated GPU. Without the device that it asks for there
/// is nothing to test: the program ends and says why.
inline std::vector<Device> test_devices() {
  if (!std::getenv("MOEC_DEVICE")) return {Device::interp(), Device::sim()};
  try {
    return {Device::best()};
  } catch (const Error &e) {
    std::fprintf(stderr, "%s\n", e.what());
    std::exit(1);
  }
}
/// Where tests that need one device run: what MOEC_DEVICE says; by default the simulated GPU.
inline Device test_device() { return test_devices().back(); }

} // namespace moec
