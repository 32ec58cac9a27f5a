// jit on stand-ins for the compiler and the driver: what is compiled and when, what a launch passes, and every way to
// do it wrong.
#include <moec/moec.h>

#include <gmock/gmock.h>

#include <atomic>
#include <new>
#include <thread>

#include "runtime/cache.h"
#include "runtime/environment.h"
#include "runtime/error.h"
#include "stand_ins.h"
#include "test/unit/sanitized.h"

using namespace moec;
using namespace moec::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace {

const StandIns stand_ins;

struct ScaleSpec {
  int block = 128;
  bool round = false;
  DType type = f32;
  static void fields(auto &s, auto &&f) { f("block", s.block), f("round", s.round), f("type", s.type); }
};
int forgotten_constant = 1; // what a kernel must not read

void scale(const ScaleSpec &s, View x, View y, Float by, Int offset) {
  auto [T, H] = y.sizes<2>();
  x.expect({T, 2 * H});
  grid(T, cdiv(H, s.block));
  Int t = program_id(0);
  Tile c = program_id(1) * s.block + arange(s.block);
  store(y(t, c), load(x(t, c + offset)) * by * forgotten_constant);
}
void fixed_grid(const ScaleSpec &s, View x, Int programs) {
  grid(programs, programs / 2);
  store(x(arange(s.block)), zeros({s.block}, f32));
}
void loop(const ScaleSpec &s, View x) {
  grid(persistent());
  store(x(program_id(0) * s.block + arange(s.block)), zeros({s.block}, f32));
}
struct None {};
void nothing(const None &) { grid(1); }
void raw(const None &, Pointer p, Bool b, Tile v) {
  grid(1);
  store(p[arange(4)], full({4}, 1.0f, f32), b & (arange(4) < cast(v, i32)));
}
void wrong_kernel(const None &, View x) {
  grid(1);
  store(x(arange(3)), 1.0f);
}

class Jit : public ::testing::Test {
protected:
  void SetUp() override {
    exported<decltype(fake_reset)>(fake_cuda_path(), "fake_reset")();
    compiler<decltype(fake_compiler_reset)>("fake_compiler_reset")();
    forgotten_constant = 1;
    DiskCache::shared().clear();
  }
  void TearDown() override { reload_environment(); }
  template <typename F> static F *compiler(const char *name) { return exported<F>(fake_compiler_path(), name); }
  static int compiles() { return compiler<decltype(fake_compiler_compiles)>("fake_compiler_compiles")(); }
  static std::string options() { return compiler<decltype(fake_compiler_options)>("fake_compiler_options")(); }
  static void parameters(const char *bytes) { compiler<decltype(fake_compiler_params)>("fake_compiler_params")(bytes); }
  static FakeLaunch last_launch() {
    FakeLaunch l;
    exported<decltype(fake_last_launch)>(fake_cuda_path(), "fake_last_launch")(&l);
    return l;
  }
  static std::string calls() { return exported<decltype(fake_calls)>(fake_cuda_path(), "fake_calls")(); }
  static Device gpu() { return Device::cuda(); }
  static Tensor zeros_on_gpu(const Dims &shape, DType t = f32) { return Tensor::zeros(shape, t, gpu()); }
};

TEST_F(Jit, launch_passes_parameters_in_order) {
  parameters("8 4 4 4 8 4 4 4 4 4");
  auto kernel = jit(scale, {.num_warps = 8});
  Tensor x = zeros_on_gpu({3, 64}), y = zeros_on_gpu({3, 32});
  kernel(gpu(), {.block = 16}, x, y, 2.5f, -7);
  FakeLaunch l = last_launch();
  EXPECT_STREQ(l.kernel, "scale");
  EXPECT_THAT(l.grid, ElementsAre(3, 2, 1));
  EXPECT_THAT(l.block, ElementsAre(128, 1, 1));
  EXPECT_EQ(l.shared_bytes, 64u);
  ASSERT_EQ(l.num_params, 10u); // x: pointer, 2 sizes, 1 stride (the other is 1); y the same; by; offset
  EXPECT_EQ(l.params[0], reinterpret_cast<uint64_t>(x.data()));
  EXPECT_EQ(static_cast<int>(l.params[1]), 3);
  EXPECT_EQ(static_cast<int>(l.params[2]), 64);
  EXPECT_EQ(static_cast<int>(l.params[3]), 64);
  EXPECT_EQ(l.params[4], reinterpret_cast<uint64_t>(y.data()));
  EXPECT_EQ(static_cast<int>(l.params[7]), 32);
  EXPECT_EQ(std::bit_cast<float>(static_cast<uint32_t>(l.params[8])), 2.5f);
  EXPECT_EQ(static_cast<int>(l.params[9]), -7);
  EXPECT_THAT(options(), HasSubstr("target=sm_90a;num_warps=8;num_stages=3;contract_fma=0"));
}

TEST_F(Jit, one_compile_per_specialization) {
  auto kernel = jit(scale);
  Tensor x = zeros_on_gpu({3, 64}), y = zeros_on_gpu({3, 32}), wide_x = zeros_on_gpu({5, 128}),
         wide_y = zeros_on_gpu({5, 64});
  kernel(gpu(), {}, x, y, 1.0f, 0);
  EXPECT_EQ(compiles(), 1);
  kernel(gpu(), {}, x, y, 3.0f, 9);           // values of scalars
  kernel(gpu(), {}, wide_x, wide_y, 1.0f, 0); // sizes of the same divisibility
  EXPECT_EQ(compiles(), 1);
  kernel(gpu(), {.block = 64}, x, y, 1.0f, 0); // a constant
  kernel(gpu(), {.round = true}, x, y, 1.0f, 0);
  EXPECT_EQ(compiles(), 2); // recording with `round` gives the same text: the disk cache's key is the text
  kernel(gpu(), {}, zeros_on_gpu({3, 62}), zeros_on_gpu({3, 31}), 1.0f, 0); // divisibility
  EXPECT_EQ(compiles(), 3);
  kernel(gpu(), {}, x, y.to(gpu()).transpose(0, 1).contiguous().transpose(0, 1), 1.0f, 0); // strides
  EXPECT_EQ(compiles(), 4);
  jit(scale)(gpu(), {}, x, y, 1.0f, 0); // another callable: from disk
  EXPECT_EQ(compiles(), 4);
  jit(scale, {.num_warps = 2})(gpu(), {}, x, y, 1.0f, 0);
  EXPECT_EQ(compiles(), 5);
}

TEST_F(Jit, misaligned_memory_is_another_specialization) {
  auto kernel = jit(loop);
  Tensor x = zeros_on_gpu({64});
  kernel(gpu(), {}, x);
  kernel(gpu(), {}, x.slice(0, 0, 48));
  EXPECT_EQ(compiles(), 1);
  kernel(gpu(), {}, x.slice(0, 1, 49));
  EXPECT_EQ(compiles(), 2);
}

TEST_F(Jit, wide_views_get_64_bit_strides) {
  // [2, 2^30] f32 of which nothing is touched: memory is lent and only the parameters are looked at.
  int64_t far = int64_t{1} << 30;
  alignas(16) static float memory[4];
  Tensor x = Tensor::lend(memory, {2, far}, f32, gpu(), {far + 4, 1});
  ArgFacts f = facts_of(x, rec::Parameter::view, 0, gpu());
  EXPECT_TRUE(f.wide);
  EXPECT_THAT(f.stride_divisors, ElementsAre(4, 0, 0, 0, 0));
  EXPECT_FALSE(facts_of(Tensor::lend(memory, {2, far / 8}, f32, gpu()), rec::Parameter::view, 0, gpu()).wide);
}

TEST_F(Jit, facts) {
  alignas(16) static int8_t memory[64];
  auto facts = [&](Tensor t) { return facts_of(t, rec::Parameter::view, 0, Device::sim()); };
  ArgFacts f = facts(Tensor::lend(memory, {2, 16, 3}, i8, Device::host(), {24, 32, 1}));
  EXPECT_EQ(f.rank, 3);
  EXPECT_EQ(f.align, 16);
  EXPECT_THAT(f.size_divisors, ElementsAre(1, 16, 1, 0, 0));
  EXPECT_THAT(f.stride_divisors, ElementsAre(1, 16, 0, 0, 0));
  f = facts(Tensor::lend(memory + 8, {4}, f64, Device::host(), {2}));
  EXPECT_EQ(f.align, 8);
  EXPECT_EQ(f.stride_divisors[0], 2);
  EXPECT_FALSE(f.packed);
  EXPECT_EQ(facts(Tensor::empty({0, 5}, bf16)).size_divisors[0], 16);
  Tensor x = Tensor::empty({4, 3, 5}, f32);
  EXPECT_TRUE(facts(x).packed);
  EXPECT_TRUE(facts(x.slice(0, 1, 3)).packed);
  EXPECT_FALSE(facts(x.slice(2, 0, 4)).packed);
  EXPECT_FALSE(facts(x.slice(0, 0, 4, 2)).packed);
  EXPECT_TRUE(facts(Tensor::empty({0, 5}, bf16)).packed);
}

TEST_F(Jit, empty_grids_launch_nothing) {
  parameters("8");
  auto kernel = jit(scale);
  kernel(gpu(), {}, zeros_on_gpu({0, 64}), zeros_on_gpu({0, 32}), 1.0f, 0);
  EXPECT_THAT(calls(), ::testing::Not(HasSubstr("cuLaunchKernel")));
  EXPECT_EQ(compiles(), 1);
}

TEST_F(Jit, persistent_grids_fill_the_device) {
  jit(loop)(gpu(), {}, zeros_on_gpu({64}));
  EXPECT_THAT(last_launch().grid, ElementsAre(264, 1, 1)); // 132 SMs, of which each runs 2
}

TEST_F(Jit, grid_limits) {
  auto kernel = jit(fixed_grid);
  Tensor x = zeros_on_gpu({64});
  kernel(gpu(), {}, x, 100);
  EXPECT_THAT(last_launch().grid, ElementsAre(100, 50, 1));
  EXPECT_THAT(message_of<UserError>([&] { kernel(gpu(), {}, x, 131072); }),
              HasSubstr("exceeds 65535 programs in dimension 1"));
  EXPECT_THAT(message_of<UserError>([&] { kernel(gpu(), {}, x, -4); }), HasSubstr("negative number of programs"));
}

TEST_F(Jit, contract_is_checked_before_the_launch) {
  auto kernel = jit(scale);
  std::string text =
      message_of<UserError>([&] { kernel(gpu(), {}, zeros_on_gpu({3, 60}), zeros_on_gpu({3, 32}), 1.0f, 0); });
  EXPECT_THAT(text, HasSubstr("launch scale: "));
  EXPECT_THAT(text, HasSubstr("is f32[3, 60] on cuda:0, so its dimension 1 is 60"));
  EXPECT_THAT(text, HasSubstr("jit_test.cpp:"));
  EXPECT_THAT(text, HasSubstr("makes it 64"));
  EXPECT_THAT(calls(), ::testing::Not(HasSubstr("cuLaunchKernel")));
}

TEST_F(Jit, arguments_that_kernels_cannot_take) {
  auto kernel = jit(loop);
  EXPECT_THAT(message_of<UserError>([&] { kernel(gpu(), {}, Tensor()); }), HasSubstr("argument 0 = no tensor"));
  EXPECT_THAT(message_of<UserError>([&] { kernel(gpu(), {}, Tensor::zeros({4}, f32)); }),
              HasSubstr("a kernel on cuda:0 cannot use memory of host"));
  EXPECT_THAT(message_of<UserError>([&] { kernel(Device::sim(), {}, zeros_on_gpu({4})); }),
              HasSubstr("a kernel on sim cannot use memory of cuda:0"));
  EXPECT_THAT(message_of<UserError>([&] { kernel(Device::host(), {}, Tensor::zeros({4}, f32)); }),
              HasSubstr("only a place for memory"));
  EXPECT_THAT(message_of<UserError>([&] { kernel(gpu(), {}, zeros_on_gpu({1, 1, 1, 1, 1, 1})); }),
              HasSubstr("a view has at most 5"));
  EXPECT_THAT(message_of<UserError>([&] { kernel(gpu(), {}, zeros_on_gpu({1}).expand({int64_t{1} << 31})); }),
              HasSubstr("more than 2^31-1"));
  EXPECT_EQ(compiles(), 0);
}

TEST_F(Jit, a_mistake_in_the_kernel_is_a_kernel_error_every_time) {
  auto kernel = jit(wrong_kernel);
  for (int i = 0; i < 2; ++i)
    EXPECT_THAT(message_of<KernelError>([&] { kernel(gpu(), {}, zeros_on_gpu({4})); }), HasSubstr("jit_test.cpp:"));
}

TEST_F(Jit, compilers_messages_carry_the_users_lines) {
  auto fail = compiler<decltype(fake_compiler_result)>("fake_compiler_result");
  auto kernel = jit(nothing);
  fail(1, "error\tkernel\t0\t0\tno such layout\\nsecond line\nnote\ta.mlir\t7\t3\there\n");
  std::string text = message_of<UserError>([&] { kernel(gpu(), {}); });
  EXPECT_THAT(text, HasSubstr("compile nothing for sm_90a: "));
  EXPECT_THAT(text, ::testing::ContainsRegex("jit_test.cpp:[0-9]+: error: no such layout\nsecond line"));
  EXPECT_THAT(text, HasSubstr("a.mlir:7: note: here"));
  fail(2, "error\t\t0\t0\tnvJitLink: no\n");
  EXPECT_THAT(message_of<DeviceError>([&] { kernel(gpu(), {}); }), HasSubstr("nvJitLink: no"));
  fail(3, "");
  EXPECT_THAT(message_of<InternalError>([&] { kernel(gpu(), {}); }), HasSubstr("defect of moec"));
  fail(0, "");
  EXPECT_NO_THROW(kernel(gpu(), {})); // a failure is not remembered
}

TEST_F(Jit, pointers_and_scalars) {
  parameters("8 1 8");
  Tensor x = zeros_on_gpu({4});
  jit(raw)(gpu(), {}, x, true, int64_t{3});
  FakeLaunch l = last_launch();
  EXPECT_EQ(l.params[0], reinterpret_cast<uint64_t>(x.data()));
  EXPECT_EQ(l.params[1], 1u);
  EXPECT_EQ(l.params[2], 3u);
}

TEST_F(Jit, threads_compile_a_specialization_once) {
  compiler<decltype(fake_compiler_pause)>("fake_compiler_pause")(100);
  auto kernel = jit(loop);
  Tensor x = zeros_on_gpu({64});
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&, i] { kernel.compile(gpu(), {.block = i % 2 ? 32 : 64}, x); });
  for (auto &t : threads) t.join();
  EXPECT_EQ(compiles(), 2);
  EXPECT_THAT(calls(), ::testing::Not(HasSubstr("cuLaunchKernel")));
}

TEST_F(Jit, damaged_cache_entry_is_compiled_again) {
  Tensor x = zeros_on_gpu({64});
  jit(loop)(gpu(), {}, x);
  for (const CacheListing &l : DiskCache::shared().list()) {
    std::string path = DiskCache::shared().directory() + "/" + l.file, bytes = read_file(path);
    bytes[bytes.size() / 2] ^= 1;
    write_file(path, bytes);
  }
  jit(loop)(gpu(), {}, x);
  EXPECT_EQ(compiles(), 2);
  jit(loop)(gpu(), {}, x);
  EXPECT_EQ(compiles(), 2);
}

TEST_F(Jit, cache_off_and_require) {
  Tensor x = zeros_on_gpu({64});
  {
    WithVariable off("MOEC_CACHE", "off");
    reload_environment();
    jit(loop)(gpu(), {}, x);
    jit(loop)(gpu(), {}, x);
    EXPECT_EQ(compiles(), 2);
    EXPECT_EQ(DiskCache::shared().totals().entries, 0u);
  }
  {
    WithVariable require("MOEC_CACHE", "require");
    reload_environment();
    EXPECT_THAT(message_of<UserError>([&] { jit(loop)(gpu(), {}, x); }),
                HasSubstr("MOEC_CACHE=require forbids compiling"));
    EXPECT_EQ(compiles(), 2);
  }
  reload_environment();
  jit(loop)(gpu(), {}, x);
  EXPECT_EQ(compiles(), 3);
  WithVariable require("MOEC_CACHE", "require");
  reload_environment();
  EXPECT_NO_THROW(jit(loop)(gpu(), {}, x));
  EXPECT_EQ(compiles(), 3);
}

TEST_F(Jit, check_record_finds_constants_outside_of_the_spec) {
  WithVariable check("MOEC_CHECK", "record");
  reload_environment();
  auto kernel = jit(scale);
  Tensor x = zeros_on_gpu({3, 64}), y = zeros_on_gpu({3, 32});
  kernel(gpu(), {}, x, y, 1.0f, 0);
  EXPECT_NO_THROW(kernel(gpu(), {}, x, y, 1.0f, 0));
  forgotten_constant = 3;
  EXPECT_THAT(message_of<UserError>([&] { kernel(gpu(), {}, x, y, 1.0f, 0); }),
              HasSubstr("reads something that its spec does not name"));
}

TEST_F(Jit, records_of_compiles) {
  size_t before = compile_records().size();
  std::vector<std::string> heard;
  on_compile([&](const CompileRecord &r) { heard.push_back(r.kernel + (r.from_cache ? " cached" : " compiled")); });
  Tensor x = zeros_on_gpu({64});
  jit(loop)(gpu(), {.block = 32}, x);
  jit(loop)(gpu(), {.block = 32}, x);
  on_compile({});
  EXPECT_THAT(heard, ElementsAre("loop compiled", "loop cached"));
  auto records = compile_records();
  ASSERT_EQ(records.size(), before + 2);
  const CompileRecord &first = records[before], &second = records[before + 1];
  EXPECT_EQ(first.spec, "block=32, round=false, type=f32");
  EXPECT_EQ(first.target, "sm_90a");
  EXPECT_EQ(first.threads, 128);
  EXPECT_EQ(first.registers, 40);
  ASSERT_EQ(first.stages.size(), 2u);
  EXPECT_EQ(first.stages[1].name, "nvjitlink");
  EXPECT_EQ(first.stages[1].ms, 2);
  EXPECT_TRUE(second.from_cache);
  EXPECT_TRUE(second.stages.empty());
}

TEST_F(Jit, ptx_is_assembled_by_the_driver_and_the_result_cached) {
  compiler<decltype(fake_compiler_format)>("fake_compiler_format")("ptx");
  Tensor x = zeros_on_gpu({64});
  jit(loop)(gpu(), {}, x);
  EXPECT_THAT(calls(), HasSubstr("cuLinkComplete"));
  exported<decltype(fake_reset)>(fake_cuda_path(), "fake_reset")();
  jit(loop)(gpu(), {}, x);
  EXPECT_THAT(calls(), ::testing::Not(HasSubstr("cuLink")));
}

TEST_F(Jit, interpreter_gets_grid_parameters_and_ranges) {
  Tensor x = Tensor::zeros({3, 64}, f32), y = Tensor::zeros({3, 32}, f32);
  jit(scale)(Device::interp(), {.block = 16}, x, y, 1.0f, 0);
  EXPECT_EQ(options(), "grid 3 params 10 ranges 2");
  EXPECT_EQ(compiles(), 0);
  compiler<decltype(fake_compiler_result)>("fake_compiler_result")(1, "error\tkernel\t1\t0\tout of bounds\n");
  EXPECT_THAT(message_of<DeviceError>([&] { jit(scale)(Device::interp(), {}, x, y, 1.0f, 0); }),
              ::testing::ContainsRegex("run scale on the interpreter.*\n.*jit_test.cpp:[0-9]+: error: out of bounds"));
}

TEST_F(Jit, errors_of_the_launch_name_it) {
  auto kernel = jit(loop);
  Tensor x = zeros_on_gpu({64});
  kernel.compile(gpu(), {}, x);
  exported<decltype(fake_fail)>(fake_cuda_path(), "fake_fail")(1, 700, 0); // after the push of the context
  EXPECT_THAT(
      message_of<DeviceError>([&] { kernel(gpu(), {}, x); }),
      ::testing::AllOf(HasSubstr("launch loop on cuda:0 (grid 264x1x1, 128 threads, 64 bytes of shared memory)"),
                       HasSubstr("ILLEGAL_ADDRESS")));
}

TEST(spec, text_words_and_setting_by_name) {
  ScaleSpec s;
  EXPECT_EQ(spec_text(s), "block=128, round=false, type=f32");
  EXPECT_EQ(spec_text(None{}), "");
  EXPECT_EQ(set_spec_field(s, "block", "64"), 0);
  EXPECT_EQ(set_spec_field(s, "round", "true"), 0);
  EXPECT_EQ(set_spec_field(s, "type", "bf16"), 0);
  EXPECT_EQ(spec_text(s), "block=64, round=true, type=bf16");
  EXPECT_EQ(set_spec_field(s, "blocks", "1"), 1);
  for (const char *wrong : {"", "x", "1x", "99999999999", "1.5"})
    EXPECT_EQ(set_spec_field(s, "block", wrong), 2) << wrong;
  EXPECT_EQ(set_spec_field(s, "type", "f12"), 2);
  SpecializationKey a, b;
  add_spec(s, a);
  s.round = false;
  add_spec(s, b);
  EXPECT_FALSE(a == b);
}

#if !MOEC_SANITIZED
std::atomic<long> allocations{0};

TEST_F(Jit, looking_up_a_launched_specialization_allocates_nothing) {
  auto kernel = jit(scale);
  Tensor x = Tensor::lend(reinterpret_cast<void *>(4096), {0, 64}, f32, gpu()),
         y = Tensor::lend(reinterpret_cast<void *>(4096), {0, 32}, f32, gpu());
  Device device = gpu();
  kernel(device, {}, x, y, 1.0f, 0);
  long before = allocations;
  for (int i = 0; i < 100; ++i) kernel(device, {}, x, y, 1.0f, i); // an empty grid: everything but the driver's call
  EXPECT_EQ(allocations - before, 0);
}
#endif

} // namespace

#if !MOEC_SANITIZED
void *operator new(size_t bytes) {
  ++allocations;
  if (void *p = std::malloc(bytes ? bytes : 1)) return p;
  throw std::bad_alloc();
}
void operator delete(void *p) noexcept { std::free(p); }
void operator delete(void *p, size_t) noexcept { std::free(p); }
#endif
