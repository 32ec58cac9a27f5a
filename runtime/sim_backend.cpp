#include "runtime/host_backend.h"
#include "runtime/error.h"
namespace moec {
struct B : HostBackend {
  std::string description() override { return "simulated GPU"; }
  std::string target() override { return "sim"; }
  int multiprocessors() override { return 8; }
  std::unique_ptr<Executable> load(const ExecutableImage &) override { throw InternalError("load a kernel on the simulated GPU", "its executor is not in this build", ""); }
  void launch(const Launch &, void *) override {}
};
Backend &sim_backend() { static auto &b = *new B; return b; }
}
