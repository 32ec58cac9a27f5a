// The C++ half of `./dev bench compile`.
//   moec_compile_bench
//       reads lines "<kernel> <cubin file>", compiles each anew, answers one JSON line with times
//   moec_compile_bench --start PROGRAM
//       measures process start to cached kernel ready, by starting PROGRAM --ready
//   moec_compile_bench --ready
//       makes one kernel ready from the disk cache and says so
#include <moec/moec.h>

#include "kernels/kernel_table.h"
#include "runtime/compiler_library.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <string>

using namespace moec;
using Clock = std::chrono::steady_clock;

namespace {

/// What this process has computed for so far: unlike the time on the wall, it hardly depends on what else the machine
/// does.
double cpu_ms() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) * 1e-6;
}
double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

struct Case {
  const char *kernel, *settings;
  int num_warps;
};
// By the names of triton_kernels.py, with its constants: one row per CTA.
const std::map<std::string, Case, std::less<>> kCases = {
    {"indices_to_multihot", {"indices_to_multihot", "topk=8,experts=128,rows=1", 1}},
    {"weighted_swiglu", {"weighted_swiglu", "block=1024,steps=2,H=2048", 4}},
    {"permute_rows", {"gather_rows", "cols=4096,block=4096", 4}},
};

int compile_loop() {
  std::string name, file;
  while (std::cin >> name >> file) {
    const Case &c = kCases.at(name);
    const KernelInfo &kernel = kernel_at(c.kernel);
    Settings settings = parse_settings(c.settings);
    Schedule schedule = kernel.schedule;
    schedule.num_warps = c.num_warps;
    double cpu_start = cpu_ms();
    auto start = Clock::now();
    Recording recording = kernel.record(settings);
    double record_ms = ms_since(start);
    CompileInput input;
    input.source = recording.text;
    input.options = compile_options("sm_90a", schedule);
    input.ordinal_locations = true;
    input.lines = recording.lines;
    CompileOutput output = compile(input);
    nlohmann::json answer{{"kernel", name},
                          {"total_ms", ms_since(start)},
                          {"cpu_ms", cpu_ms() - cpu_start},
                          {"record_ms", record_ms},
                          {"nvjitlink_ms", 0.0}};
    auto info = nlohmann::json::parse(output.info);
    answer["stages"] = info["stages"];
    for (auto &stage : info["stages"])
      if (stage["name"] == "nvjitlink") answer["nvjitlink_ms"] = stage["ms"];
    std::ofstream(file, std::ios::binary) << output.output;
    std::cout << answer.dump() << std::endl;
  }
  return 0;
}

struct CopySpec {
  int block = 1024;
  static void fields(auto &s, auto &&f) { f("block", s.block); }
};
void copy_kernel(const CopySpec &s, View x, View y) {
  auto [n] = y.sizes<1>();
  x.expect({n});
  grid(cdiv(n, s.block));
  Tile i = program_id(0) * s.block + arange(s.block);
  store(y(i), load(x(i)));
}

int ready() {
  Tensor x = Tensor::zeros({4096}, f32, Device::sim()), y = Tensor::empty({4096}, f32, Device::sim());
  jit(copy_kernel).compile(Device::sim(), CopySpec{}, x, y);
  auto records = compile_records();
  std::puts(records.at(0).from_cache ? "cached" : "compiled");
  return 0;
}

/// Milliseconds from fork to the child's word that its kernel is ready; `from_cache` says how it got it.
double start_once(const char *program, bool &from_cache) {
  int fds[2];
  if (pipe(fds)) throw DeviceError("start a process", "pipe failed");
  auto start = Clock::now();
  pid_t child = fork();
  if (child == 0) {
    dup2(fds[1], 1);
    execl(program, program, "--ready", nullptr);
    _exit(127);
  }
  close(fds[1]);
  char word[16] = {};
  ssize_t got = read(fds[0], word, sizeof word - 1);
  double ms = ms_since(start);
  close(fds[0]);
  waitpid(child, nullptr, 0);
  from_cache = got > 0 && std::string_view(word).starts_with("cached");
  return ms;
}

int measure_start(const char *program) {
  bool from_cache = false;
  double cold = start_once(program, from_cache);
  std::vector<double> times;
  for (int i = 0; i < 30; ++i) {
    double ms = start_once(program, from_cache);
    if (from_cache) times.push_back(ms);
  }
  if (times.empty()) throw InternalError("measure a cached start", "no start found its kernel in the cache");
  std::sort(times.begin(), times.end());
  fmt::print("process start to cached kernel ready (simulated GPU): median {:.1f} ms of {}, max {:.1f}; first {:.1f}\n",
             times[times.size() / 2], times.size(), times.back(), cold);
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  std::string_view mode = argc > 1 ? argv[1] : "";
  try {
    if (mode == "--ready") return ready();
    if (mode == "--start" && argc > 2) return measure_start(argv[2]);
    return compile_loop();
  } catch (const std::exception &e) {
    fmt::print(stderr, "moec_compile_bench: {}\n", e.what());
    return 1;
  }
}
