// The smallest program with a kernel of its own. Against a bundle (./dev dist), in its folder:
//   g++ -std=c++20 -Iinclude examples/own_kernel.cpp lib/libmoec.a -ldl -pthread -o own_kernel && ./own_kernel
// Elsewhere add -Wl,-rpath,<bundle>/lib, or use CMake: find_package(moec) gives moec::moec (examples/CMakeLists.txt).
#include <moec/moec.h>

#include <cmath>
#include <cstdio>

using namespace moec;

struct SiluSpec {
  int block = 1024; ///< elements per program
  static void fields(auto &s, auto &&f) { f("block", s.block); }
};

/// y = x * sigmoid(x); both [N].
void silu(const SiluSpec &s, View x, View y) {
  Int N = x.size(0);
  y.expect({N});
  grid(cdiv(N, s.block));
  Tile i = program_id(0) * s.block + arange(s.block);
  Tile v = load(x(i));
  store(y(i), v * sigmoid(v));
}

int main() {
  Device device = Device::best();
  std::vector<float> values(5000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) / 1000 - 2.5f;
  Tensor x = Tensor::from(values, {5000}, device), y = Tensor::empty({5000}, f32, device);
  auto kernel = jit(silu);
  Stream stream(device);
  kernel(stream, {}, x, y);
  stream.synchronize();
  double worst = 0;
  std::vector<float> got = y.to(Device::host()).to_vector<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    double v = values[i];
    worst = std::max(worst, std::abs(got[i] - v / (1 + std::exp(-v))));
  }
  std::printf("silu of %zu elements on %s: max error %.1e\n", values.size(), device.name().c_str(), worst);
  return worst < 1e-6 ? 0 : 1;
}
