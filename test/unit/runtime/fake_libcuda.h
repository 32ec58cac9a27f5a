// What tests may ask of the stand-in for libcuda, beside the driver's own functions. Taken with dlsym.
#pragma once

#include <cstdint>

extern "C" {

/// The last launch; params as 64-bit words.
struct FakeLaunch {
  unsigned grid[3], block[3];
  unsigned shared_bytes, num_params;
  void *stream;
  uint64_t params[32];
  char kernel[128];
};

/// Forgets calls and planned failures; one device, with memory pools.
void fake_reset();
/// Call number `nth_call` from now (0: the next) gives `error`; with `sticky`, all after it too.
void fake_fail(int nth_call, int error, int sticky);
void fake_set_devices(int n);
/// Whether devices have memory pools.
void fake_set_pools(int on);
/// The calls since fake_reset, one per line.
const char *fake_calls();
/// How many allocations, streams, events, modules and links are alive.
int fake_live();
void fake_last_launch(FakeLaunch *into);
}
