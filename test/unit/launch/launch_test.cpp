// Kernels from C++ to results through the real compiler, on the simulated GPU and the interpreter; and to a cubin on
// the stand-in driver.
#include <moec/moec.h>

#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <numeric>
#include <thread>

#include "runtime/cache.h"
#include "runtime/toolkit.h"
#include "test/unit/runtime/stand_ins.h"

using namespace moec;
using namespace moec::testing;
using ::testing::HasSubstr;

namespace {

/// A cache of this program's own, unless a parent process chose one. Every hit is recorded again and compared.
struct Setup {
  std::optional<ScratchDirectory> cache;
  Setup() {
    ::setenv("MOEC_CHECK", "record", 1);
    ::unsetenv("MOEC_DEVICE");
    ::setenv("MOEC_LIBCUDA", fake_cuda_path().c_str(), 1);
    if (std::getenv("MOEC_LAUNCH_CHILD")) return;
    ::setenv("MOEC_CACHE_DIR", cache.emplace().path("kernels").c_str(), 1);
    set_sim_checked(true);
  }
} const setup;

struct BlockSpec {
  int block = 64;
  static void fields(auto &s, auto &&f) { f("block", s.block); }
};

void copy2d(const BlockSpec &s, View x, View y) {
  auto [T, H] = y.sizes<2>();
  x.expect({T, H});
  grid(T, cdiv(H, s.block));
  Int t = program_id(0);
  Tile c = program_id(1) * s.block + arange(s.block);
  store(y(t, c), load(x(t, c)));
}
void scaled_row_sums(const BlockSpec &s, View x, View y, Float by) {
  auto [T] = y.sizes<1>();
  Int H = x.size(1);
  grid(T);
  Int t = program_id(0);
  Tile total = zeros({s.block}, f32);
  for (Int c : range(0, H, s.block)) total = total + cast(load(x(t, c + arange(s.block))), f32);
  store(y(t), sum(total) * by);
}
constexpr int kLineOfTheStore = __LINE__ + 3;
void beyond_the_end(const BlockSpec &s, Pointer p) {
  grid(1);
  store(p[arange(s.block)], full({s.block}, 1.0f, f32));
}

class OnDevice : public ::testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(launch, OnDevice, ::testing::Values(Device::sim(), Device::interp()),
                         [](const auto &info) { return info.param.name(); });

TEST_P(OnDevice, copies_every_dtype) {
  for (int i = 0; i < kNumDTypes; ++i) {
    auto t = static_cast<DType>(i);
    std::vector<double> values(3 * 100);
    for (size_t k = 0; k < values.size(); ++k) values[k] = t == boolean ? k % 2 : static_cast<double>(k % 17);
    Tensor x = Tensor::from_values(values, {3, 100}, t), y = Tensor::zeros({3, 100}, t);
    jit(copy2d)(GetParam(), {}, x, y);
    EXPECT_EQ(y.to_bytes(), x.to_bytes()) << name(t);
  }
}

TEST_P(OnDevice, strided_and_misaligned_views) {
  Tensor x = Tensor::from_values(std::vector<double>(5 * 33, 0), {5, 33}, f32), y = Tensor::zeros({40, 7}, f32);
  std::iota(x.data_as<float>(), x.data_as<float>() + 5 * 33, 0.0f);
  Tensor in = x.slice(1, 1, 33, 2).slice(0, 1, 4), out = y.slice(0, 3, 19).transpose(0, 1).slice(0, 2, 5);
  jit(copy2d)(GetParam(), {.block = 8}, in, out);
  EXPECT_EQ(out.to_vector<float>(), in.to_vector<float>());
  EXPECT_EQ(y.select(1, 0).to_values(), std::vector<double>(40, 0)); // nothing else was written
}

TEST_P(OnDevice, loops_reductions_and_scalars) {
  std::vector<double> values(4 * 300);
  for (size_t k = 0; k < values.size(); ++k) values[k] = static_cast<double>(k % 11) - 5;
  Tensor x = Tensor::from_values(values, {4, 300}, bf16), y = Tensor::zeros({4}, f32);
  jit(scaled_row_sums)(GetParam(), {}, x, y, 0.5f);
  for (size_t t = 0; t < 4; ++t)
    EXPECT_EQ(y.data_as<float>()[t], 0.5 * std::accumulate(values.begin() + static_cast<long>(t) * 300,
                                                           values.begin() + static_cast<long>(t + 1) * 300, 0.0));
}

TEST_P(OnDevice, no_tokens_launch_nothing) {
  EXPECT_NO_THROW(jit(copy2d)(GetParam(), {}, Tensor::zeros({0, 64}, f32), Tensor::zeros({0, 64}, f32)));
  EXPECT_NO_THROW(jit(copy2d)(GetParam(), {}, Tensor::zeros({4, 0}, f32), Tensor::zeros({4, 0}, f32)));
}

TEST_P(OnDevice, out_of_bounds_is_reported_with_the_users_line) {
  Tensor x = Tensor::zeros({60}, f32);
  std::string text = message_of<DeviceError>([&] { jit(beyond_the_end)(GetParam(), {}, x); });
  EXPECT_THAT(text, HasSubstr("beyond_the_end"));
  EXPECT_THAT(text, HasSubstr("launch_test.cpp:" + std::to_string(kLineOfTheStore)));
}

TEST(launch, a_real_cubin_on_the_stand_in_driver) {
  if (nvjitlink_path().empty()) GTEST_SKIP() << "no nvJitLink: the driver would assemble";
  auto last_launch = exported<decltype(fake_last_launch)>(fake_cuda_path(), "fake_last_launch");
  Device gpu = Device::cuda();
  DiskCache::shared().clear();
  jit(copy2d, {.num_warps = 2})(gpu, {.block = 32}, Tensor::zeros({3, 100}, bf16, gpu),
                                Tensor::zeros({3, 100}, bf16, gpu));
  FakeLaunch l;
  last_launch(&l);
  EXPECT_STREQ(l.kernel, "copy2d");
  EXPECT_THAT(l.grid, ::testing::ElementsAre(3, 4, 1));
  EXPECT_THAT(l.block, ::testing::ElementsAre(64, 1, 1));
  auto entries = DiskCache::shared().list();
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_THAT(entries[0].manifest, HasSubstr("\"target\":\"sm_90a\""));
  EXPECT_GT(compile_records().back().registers, 0);
}

TEST(launch, line_tables_show_the_users_lines_when_asked) {
  if (nvjitlink_path().empty()) GTEST_SKIP() << "no nvJitLink: the driver would assemble";
  Device gpu = Device::cuda();
  for (bool wanted : {false, true}) {
    WithVariable lineinfo("MOEC_LINEINFO", wanted ? "1" : "0");
    reload_environment();
    DiskCache::shared().clear();
    jit(beyond_the_end)(gpu, {.block = 32}, Tensor::zeros({32}, f32, gpu));
    auto entries = DiskCache::shared().list();
    ASSERT_EQ(entries.size(), 1u);
    std::string file = read_file(DiskCache::shared().directory() + "/" + entries[0].file);
    std::string cubin = file.substr(file.find("\177ELF"));
    EXPECT_EQ(cubin.find("launch_test.cpp") != std::string::npos, wanted);
    EXPECT_EQ(entries[0].key.find("launch_test.cpp:" + std::to_string(kLineOfTheStore)) != std::string::npos, wanted);
  }
  reload_environment();
}

TEST(launch, seeds_and_workers_do_not_change_results) {
  Tensor x = Tensor::zeros({64, 200}, f32), y = Tensor::zeros({64}, f32);
  for (int i = 0; i < 64 * 200; ++i) x.data_as<float>()[i] = 1.0f / static_cast<float>(i + 1);
  jit(scaled_row_sums)(Device::sim(), {}, x, y, 1.0f);
  auto first = y.to_vector<float>();
  for (const char *seed : {"1", "2", "3"}) {
    WithVariable s("MOEC_SIM_SEED", seed), w("MOEC_SIM_WORKERS", seed);
    reload_environment();
    jit(scaled_row_sums, {.num_warps = 8})(Device::sim(), {}, x, y, 1.0f);
    EXPECT_EQ(y.to_vector<float>(), first);
  }
  reload_environment();
  jit(scaled_row_sums)(Device::interp(), {}, x, y, 1.0f);
  EXPECT_EQ(y.to_vector<float>(), first);
}

/// y[t, c] = x[t, c] + 1 in the first and the last `edge` rows only: a few programs of a tensor that could fill a disk.
void touch_both_ends(const BlockSpec &s, View x, Int edge) {
  Int rows = x.size(0), p = program_id(0);
  grid(2 * edge);
  Int row = Int(where(p < edge, p, rows - 2 * edge + p));
  Tile c = arange(s.block);
  store(x(row, c), load(x(row, c)) + 1);
}
TEST_P(OnDevice, more_than_2_to_the_31_elements) {
  const int64_t rows = (int64_t{1} << 25) + 3, cols = 65; // 2.2 * 10^9 elements of lazily mapped memory
  void *memory = ::mmap(nullptr, static_cast<size_t>(rows * cols), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  Tensor x = Tensor::lend(memory, {rows, cols}, i8, Device::host(), {},
                          [=] { ::munmap(memory, static_cast<size_t>(rows * cols)); });
  jit(touch_both_ends)(GetParam(), {}, x, 2);
  for (int64_t row : {int64_t{0}, int64_t{1}, int64_t{2}, rows / 2, rows - 3, rows - 2, rows - 1})
    EXPECT_EQ(x.select(0, row).to_vector<int8_t>(), [&] {
      std::vector<int8_t> want(65, row < 2 || row >= rows - 2);
      want[64] = 0;
      return want;
    }()) << row;
}

TEST_P(OnDevice, threads_compile_and_launch_side_by_side) {
  auto kernel = jit(copy2d, {.num_warps = 1});
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      Tensor x = Tensor::from_values(std::vector<double>(5 * 48, i), {5, 48}, f32), y = Tensor::zeros({5, 48}, f32);
      for (int k = 0; k < 4; ++k) kernel(GetParam(), {.block = 16 << (i + k) % 4}, x, y);
      good += y.to_bytes() == x.to_bytes();
    });
  for (auto &t : threads) t.join();
  EXPECT_EQ(good, 8);
}

TEST(launch, dump_writes_the_ir_of_each_specialization) {
  ScratchDirectory scratch;
  {
    WithVariable dump("MOEC_DUMP", scratch.path("dump").c_str());
    reload_environment();
    jit(copy2d)(Device::sim(), {.block = 32}, Tensor::zeros({1, 32}, f32), Tensor::zeros({1, 32}, f32));
    jit(copy2d)(Device::sim(), {.block = 64}, Tensor::zeros({1, 32}, f32), Tensor::zeros({1, 32}, f32));
  }
  std::vector<std::string> folders;
  size_t files = 0;
  for (auto &e : std::filesystem::directory_iterator(scratch.path("dump"))) folders.push_back(e.path().filename());
  for (auto &e : std::filesystem::recursive_directory_iterator(scratch.path("dump")))
    files += e.path().extension() == ".mlir";
  EXPECT_THAT(folders, ::testing::ElementsAre(::testing::StartsWith("copy2d-"), ::testing::StartsWith("copy2d-")));
  EXPECT_GE(files, 10u);
  WithVariable file("MOEC_DUMP", "/proc/no/such");
  reload_environment();
  EXPECT_THAT(message_of<UserError>([] {
                jit(copy2d)(Device::sim(), {.block = 32}, Tensor::zeros({1, 32}, f32), Tensor::zeros({1, 32}, f32));
              }),
              HasSubstr("set MOEC_DUMP to a folder that can be written"));
  ::unsetenv("MOEC_DUMP");
  reload_environment();
}

/// Runs the tests named `filter` of this program in a process of their own.
int run_child(const std::string &filter) {
  pid_t child = ::fork();
  if (child == 0) {
    ::setenv("MOEC_LAUNCH_CHILD", "1", 1);
    std::string argument = "--gtest_filter=" + filter;
    ::execl("/proc/self/exe", "launch_test", argument.c_str(), nullptr);
    ::_exit(3);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

TEST(launch, a_process_that_finds_its_kernels_cached_maps_no_compiler) {
  ScratchDirectory cache;
  WithVariable directory("MOEC_CACHE_DIR", cache.path("kernels").c_str()), check("MOEC_CHECK", "none");
  EXPECT_EQ(run_child("LaunchChild.compiles"), 0);
  EXPECT_EQ(run_child("LaunchChild.takes_from_the_cache"), 0);
}
std::string maps() { return read_file("/proc/self/maps"); }
void child_launch() {
  Tensor x = Tensor::zeros({3, 64}, f32), y = Tensor::zeros({3, 64}, f32);
  jit(copy2d)(Device::sim(), {}, x, y);
}
TEST(LaunchChild, compiles) {
  if (!std::getenv("MOEC_LAUNCH_CHILD"))
    GTEST_SKIP() << "run by launch.a_process_that_finds_its_kernels_cached_maps_no_compiler";
  child_launch();
  EXPECT_THAT(maps(), HasSubstr("libmoec_compiler"));
  EXPECT_FALSE(compile_records().at(0).from_cache);
}
TEST(LaunchChild, takes_from_the_cache) {
  if (!std::getenv("MOEC_LAUNCH_CHILD"))
    GTEST_SKIP() << "run by launch.a_process_that_finds_its_kernels_cached_maps_no_compiler";
  child_launch();
  for (const char *library : {"libmoec_compiler", "libLLVM", "libMLIR", "libcuda", "libfake_cuda", "libnvJitLink"})
    EXPECT_THAT(maps(), ::testing::Not(HasSubstr(library)));
  EXPECT_TRUE(compile_records().at(0).from_cache);
  EXPECT_LE(compile_records().at(0).total_ms, 10.0);
}

} // namespace
