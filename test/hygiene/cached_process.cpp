// A process that runs kernels on the simulated GPU and looks at itself: says which kernels came from the cache, whether
// a compiler is mapped into it, and whether it ever had a child. Used by cached_process.py.
#include <sys/resource.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <moec/moe.h>

#include "runtime/compiler_library.h"
#include "runtime/jit.h"

using namespace moec;

static Tensor full(const Dims &shape, double value, DType dtype) {
  int64_t n = 1;
  for (int64_t size : shape) n *= size;
  return Tensor::from_values(std::vector<double>(static_cast<size_t>(n), value), shape, dtype);
}

int main() {
  Stream stream(Device::sim());
  Tensor indices = Tensor::from(std::vector<int64_t>{0, 3, 1, 2, 3, 0}, {3, 2});
  Multihot m = indices_to_multihot(stream, indices, full({3, 2}, 0.5, f32), 4);
  Tensor y = weighted_swiglu(stream, full({3, 32}, 1.0, bf16), full({3, 1}, 2.0, f32));
  stream.synchronize();
  if (m.position_map.to_values()[3] != 1 || y.to_values()[0] < 1.4 || y.to_values()[0] > 1.5)
    return std::puts("wrong results"), 1;

  for (const CompileRecord &r : compile_records())
    std::printf("%s %s\n", r.from_cache ? "cached" : "compiled", r.kernel.c_str());
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    for (const char *library : {"libLLVM", "libMLIR", "libmoec_compiler", "libnvJitLink"})
      if (line.find(library) != std::string::npos) std::printf("mapped %s\n", library);
  if (compiler_library_opened()) std::puts("opened libmoec_compiler");
  rusage children{};
  getrusage(RUSAGE_CHILDREN, &children);
  bool none = ::waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD && children.ru_maxrss == 0;
  std::puts(none ? "no children" : "children");
}
