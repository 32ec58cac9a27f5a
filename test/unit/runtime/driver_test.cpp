// The CUDA path against a recording stand-in: which calls it makes, what a launch passes, and that each call's failure
// is a DeviceError.
#include "runtime/cuda/driver.h"

#include <dlfcn.h>
#include <gmock/gmock.h>

#include <filesystem>

#include "runtime/cuda/cuda_backend.h"
#include "runtime/error.h"
#include "runtime/tensor.h"
#include "stand_ins.h"

#if __has_include(<cuda.h>)
#include <cuda.h>
static_assert(sizeof(moec::cuda::LaunchConfig) == sizeof(CUlaunchConfig));
static_assert(offsetof(moec::cuda::LaunchConfig, stream) == offsetof(CUlaunchConfig, hStream));
static_assert(offsetof(moec::cuda::LaunchConfig, shared_bytes) == offsetof(CUlaunchConfig, sharedMemBytes));
static_assert(offsetof(moec::cuda::LaunchConfig, num_attributes) == offsetof(CUlaunchConfig, numAttrs));
static_assert(sizeof(moec::cuda::DevicePointer) == sizeof(CUdeviceptr) &&
              sizeof(moec::cuda::Result) == sizeof(CUresult));
static_assert(moec::cuda::kErrorOutOfMemory == CUDA_ERROR_OUT_OF_MEMORY &&
              moec::cuda::kErrorNotReady == CUDA_ERROR_NOT_READY);
static_assert(int{moec::cuda::kAttributeMultiprocessors} == int{CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT} &&
              int{moec::cuda::kAttributeComputeMajor} == int{CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR} &&
              int{moec::cuda::kAttributeComputeMinor} == int{CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR} &&
              int{moec::cuda::kAttributeMaxSharedOptin} == int{CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN} &&
              int{moec::cuda::kAttributeMemoryPools} == int{CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED});
static_assert(int{moec::cuda::kFunctionMaxDynamicShared} == int{CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES} &&
              int{moec::cuda::kFunctionRegisters} == int{CU_FUNC_ATTRIBUTE_NUM_REGS} &&
              int{moec::cuda::kFunctionLocalBytes} == int{CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES});
static_assert(moec::cuda::kCaptureRelaxed == CU_STREAM_CAPTURE_MODE_RELAXED &&
              moec::cuda::kPoolReleaseThreshold == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD);
static_assert(moec::cuda::kJitInputPtx == CU_JIT_INPUT_PTX &&
              int{moec::cuda::kJitErrorLog} == int{CU_JIT_ERROR_LOG_BUFFER} &&
              int{moec::cuda::kJitErrorLogBytes} == int{CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES});
#endif

using namespace moec;
using namespace moec::testing;
using ::testing::HasSubstr;

namespace {

const auto fake_path = fake_cuda_path;

class Driver : public ::testing::Test {
protected:
  void SetUp() override {
    library = dlopen(fake_path().c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << dlerror();
    reset = function<decltype(fake_reset)>("fake_reset");
    fail = function<decltype(fake_fail)>("fake_fail");
    set_devices = function<decltype(fake_set_devices)>("fake_set_devices");
    live = function<decltype(fake_live)>("fake_live");
    last_launch = function<decltype(fake_last_launch)>("fake_last_launch");
    reset();
    live_before = live();
    driver = cuda::open_driver(fake_path());
  }
  template <typename F> F *function(const char *name) { return reinterpret_cast<F *>(dlsym(library, name)); }
  std::string calls() { return function<decltype(fake_calls)>("fake_calls")(); }
  int count_calls() {
    std::string all = calls();
    return static_cast<int>(std::count(all.begin(), all.end(), '\n'));
  }

  void *library = nullptr;
  decltype(&fake_reset) reset;
  decltype(&fake_fail) fail;
  decltype(&fake_set_devices) set_devices;
  decltype(&fake_live) live;
  decltype(&fake_last_launch) last_launch;
  int live_before = 0;
  cuda::Driver driver;
};

ExecutableImage image(std::string_view payload, uint32_t shared_bytes = 0) {
  ExecutableImage i;
  i.kernel = "kernel";
  i.payload = payload;
  i.threads = 128;
  i.shared_bytes = shared_bytes;
  return i;
}

/// Everything a program does with a device: memory, a module, a launch, streams, events, the linker.
void everything(const cuda::Driver &driver) {
  auto backend = cuda::make_backend(driver, 0);
  struct Memory {
    Backend &b;
    void *p;
    ~Memory() { b.free(p); }
  } memory{*backend, backend->allocate(1024)};
  struct OwnedStream {
    Backend &b;
    void *s;
    ~OwnedStream() { b.destroy_stream(s); }
  } stream{*backend, backend->create_stream()};
  struct OwnedEvent {
    Backend &b;
    void *e;
    ~OwnedEvent() { b.destroy_event(e); }
  } event{*backend, backend->create_event()};
  char host[64] = "hello";
  backend->copy(memory.p, false, host, true, 64, stream.s);
  backend->fill(static_cast<char *>(memory.p) + 512, 7, 8, stream.s);
  backend->copy(static_cast<char *>(memory.p) + 128, false, memory.p, false, 64, stream.s);
  backend->copy(host, true, static_cast<char *>(memory.p) + 128, false, 64, stream.s);
  auto executable = backend->load(image("fake kernel 8 4", 100000));
  uint64_t pointer = 0x1122334455667788;
  int32_t size = -5;
  void *params[] = {&pointer, &size};
  Launch launch;
  launch.executable = executable.get();
  launch.config = {{7, 2, 1}, 128, 100000};
  launch.params = params;
  launch.num_params = 2;
  backend->launch(launch, stream.s);
  backend->free_on(backend->allocate_on(256, stream.s), stream.s);
  backend->begin_capture(stream.s);
  backend->launch(launch, stream.s);
  struct OwnedGraph {
    Backend &b;
    void *g;
    ~OwnedGraph() { b.destroy_graph(g); }
  } graph{*backend, backend->end_capture(stream.s)};
  backend->launch_graph(graph.g, stream.s);
  backend->record(event.e, stream.s);
  backend->wait(stream.s, event.e);
  backend->event_done(event.e);
  backend->synchronize_event(event.e);
  backend->elapsed_ms(event.e, event.e);
  backend->done(stream.s);
  backend->synchronize(stream.s);
  backend->assemble(".version 8.0");
}

TEST_F(Driver, opens_once_initialised) {
  EXPECT_EQ(driver.version, 13000);
  EXPECT_EQ(calls(), "cuInit\ncuDriverGetVersion\n");
}

TEST_F(Driver, missing_library_and_missing_function) {
  EXPECT_THAT(message_of<DeviceError>([] { cuda::open_driver("/no/such/libcuda.so"); }),
              ::testing::AllOf(HasSubstr("open the CUDA driver /no/such/libcuda.so"), HasSubstr("MOEC_DEVICE=sim")));
  EXPECT_THAT(message_of<DeviceError>([] { cuda::open_driver("libm.so.6"); }), HasSubstr("it has no function cuInit"));
}

TEST_F(Driver, describes_the_device) {
  auto backend = cuda::make_backend(driver, 0);
  EXPECT_EQ(backend->description(), "Fake H100 (cuda:0, sm_90a, 132 SMs, driver 13.0)");
  EXPECT_EQ(backend->target(), "sm_90a");
  EXPECT_EQ(backend->multiprocessors(), 132);
  EXPECT_THAT(message_of<DeviceError>([&] { cuda::make_backend(driver, 1); }), HasSubstr("there are 1 CUDA devices"));
  set_devices(0);
  EXPECT_THAT(message_of<DeviceError>([&] { cuda::make_backend(driver, 0); }), HasSubstr("there are 0 CUDA devices"));
}

TEST_F(Driver, launch_passes_everything) {
  everything(driver);
  FakeLaunch l;
  last_launch(&l);
  EXPECT_STREQ(l.kernel, "kernel");
  EXPECT_THAT(l.grid, ::testing::ElementsAre(7, 2, 1));
  EXPECT_THAT(l.block, ::testing::ElementsAre(128, 1, 1));
  EXPECT_EQ(l.shared_bytes, 100000u);
  ASSERT_EQ(l.num_params, 2u);
  EXPECT_EQ(l.params[0], 0x1122334455667788u);
  EXPECT_EQ(static_cast<int32_t>(l.params[1]), -5);
  EXPECT_NE(l.stream, nullptr);
  EXPECT_THAT(calls(), HasSubstr("cuFuncSetAttribute 8 100000\n"));
  EXPECT_THAT(calls(), HasSubstr("cuLaunchKernelEx 7x2x1 128 100000\n"));
}

TEST_F(Driver, without_memory_pools_memory_is_the_contexts) {
  function<decltype(fake_set_pools)>("fake_set_pools")(0);
  auto backend = cuda::make_backend(driver, 0);
  void *stream = backend->create_stream();
  backend->free_on(backend->allocate_on(256, stream), stream);
  backend->destroy_stream(stream);
  EXPECT_THAT(calls(), ::testing::AllOf(HasSubstr("cuMemAlloc 256\n"), HasSubstr("cuMemFree\n"),
                                        ::testing::Not(HasSubstr("Async"))));
}

// Memory that was freed in a stream's order stays with the pool, until other memory needs it.
TEST_F(Driver, out_of_memory_empties_the_pool_once) {
  auto backend = cuda::make_backend(driver, 0);
  backend->free(backend->allocate(64)); // retains the context
  reset();
  fail(1, 2, 0); // behind the push of the context
  backend->free(backend->allocate(64));
  EXPECT_THAT(calls(), HasSubstr("cuMemAlloc 64\ncuDeviceGetDefaultMemPool\ncuMemPoolTrimTo 0\ncuMemAlloc 64\n"));
  reset();
  fail(1, 2, 1);
  EXPECT_THAT(message_of<DeviceError>([&] { backend->allocate(64); }), HasSubstr("CUDA_ERROR_OUT_OF_MEMORY"));
}

TEST_F(Driver, more_shared_memory_than_a_cta_can_have) {
  auto backend = cuda::make_backend(driver, 0);
  EXPECT_NO_THROW(backend->load(image("fake kernel", 232448)));
  EXPECT_THAT(
      message_of<DeviceError>([&] { backend->load(image("fake kernel", 232449)); }),
      ::testing::AllOf(HasSubstr("needs 232449 bytes"), HasSubstr("at most 232448"), HasSubstr("fewer stages")));
}

TEST_F(Driver, old_drivers_launch_without_ex) {
  driver.launch_ex = nullptr;
  everything(driver);
  FakeLaunch l;
  last_launch(&l);
  EXPECT_THAT(l.grid, ::testing::ElementsAre(7, 2, 1));
  EXPECT_EQ(l.params[0], 0x1122334455667788u);
  EXPECT_THAT(calls(), HasSubstr("cuLaunchKernel\n"));
}

TEST_F(Driver, primary_context_is_retained_once_and_left_unpushed) {
  everything(driver);
  std::string all = calls();
  EXPECT_EQ(all.find("cuDevicePrimaryCtxRetain"), all.rfind("cuDevicePrimaryCtxRetain"));
  cuda::Context current = &current;
  driver.context_current(&current);
  EXPECT_EQ(current, nullptr);
}

TEST_F(Driver, callers_context_is_used) {
  int mine;
  driver.context_push(&mine);
  reset();
  everything(driver);
  EXPECT_THAT(calls(), ::testing::Not(HasSubstr("Ctx")));
  cuda::Context popped;
  driver.context_pop(&popped);
  EXPECT_EQ(popped, &mine);
}

TEST_F(Driver, each_context_loads_its_own_module_once) {
  auto backend = cuda::make_backend(driver, 0);
  auto executable = backend->load(image("fake kernel"));
  Launch launch;
  launch.executable = executable.get();
  backend->launch(launch, nullptr);
  int mine;
  driver.context_push(&mine);
  reset();
  backend->launch(launch, nullptr);
  backend->launch(launch, nullptr);
  cuda::Context popped;
  driver.context_pop(&popped);
  EXPECT_EQ(
      calls(),
      "cuModuleLoadDataEx\ncuModuleGetFunction kernel\ncuLaunchKernelEx 1x1x1 32 0\ncuLaunchKernelEx 1x1x1 32 0\n");
}

// Fails call 0, 1, 2, ... of the whole sequence: always a DeviceError that says what was asked and CUDA's name, nothing
// leaks but the modules' contexts, and the next run works. Calls in destructors may fail silently.
TEST_F(Driver, every_call_that_fails_is_a_device_error) {
  everything(driver);
  reset();
  everything(driver);
  int total = count_calls();
  ASSERT_GT(total, 30);
  int thrown = 0;
  for (int n = 0; n < total; ++n) {
    reset();
    fail(n, 700, 0);
    try {
      everything(driver);
    } catch (const DeviceError &e) {
      ++thrown;
      EXPECT_THAT(e.what(), HasSubstr("CUDA_ERROR_ILLEGAL_ADDRESS (700): an illegal memory access was encountered"))
          << n;
      EXPECT_THAT(e.todo(), HasSubstr("MOEC_SIM_CHECKED=1")) << n;
      EXPECT_FALSE(e.asked().empty()) << n;
    }
    reset();
    EXPECT_NO_THROW(everything(driver)) << n;
  }
  // 6 destructors, each with a push of the context; the pool's two calls, which only save time; the recorded graph's
  // own end.
  EXPECT_GE(thrown, total - 15);
}

TEST_F(Driver, lost_context_ends_in_an_error_not_in_a_crash) {
  everything(driver);
  int total = count_calls();
  for (int n = 0; n < total; n += 3) {
    reset();
    fail(n, 700, 1);
    try {
      everything(driver);
    } catch (const DeviceError &) {}
  }
  reset();
  EXPECT_NO_THROW(everything(driver));
}

TEST_F(Driver, assemble_reports_the_log) {
  EXPECT_THAT(message_of<DeviceError>([&] { cuda::assemble(driver, ".version 8.0"); }),
              HasSubstr("CUDA_ERROR_INVALID_CONTEXT"));
  EXPECT_EQ(cuda::make_backend(driver, 0)->assemble(".version 8.0"), ".version 8.0");
  int mine;
  driver.context_push(&mine);
  EXPECT_EQ(cuda::assemble(driver, ".version 8.0"), ".version 8.0");
  reset();
  fail(1, 209, 0);
  EXPECT_THAT(message_of<DeviceError>([&] { cuda::assemble(driver, "x"); }),
              ::testing::AllOf(HasSubstr("ptxas fake: line 1"), HasSubstr("CUDA_ERROR_NO_BINARY_FOR_GPU")));
  EXPECT_THAT(calls(), HasSubstr("cuLinkDestroy"));
  cuda::Context popped;
  driver.context_pop(&popped);
}

TEST_F(Driver, unknown_error_numbers_are_named_as_such) {
  EXPECT_THAT(message_of<DeviceError>([&] { driver.check(12345, "x"); }),
              HasSubstr("an unknown CUDA error (12345): no description"));
}

TEST_F(Driver, missing_kernel_unloads_its_module) {
  auto backend = cuda::make_backend(driver, 0);
  int before = live();
  EXPECT_THAT(message_of<DeviceError>([&] { backend->load(image("fake other")); }), HasSubstr("CUDA_ERROR_NOT_FOUND"));
  EXPECT_EQ(live(), before);
}

// The process's own driver is the one that MOEC_LIBCUDA names.
TEST_F(Driver, tensors_and_streams_on_the_stand_in) {
  ASSERT_EQ(Device::best().name(), "cuda:0");
  EXPECT_EQ(cuda_device_count(), 1);
  EXPECT_EQ(Device::cuda().target(), "sm_90a");
  EXPECT_THAT(message_of<DeviceError>([] { Device::cuda(1); }), HasSubstr("there are 1 CUDA devices"));
  Device gpu = Device::cuda();
  EXPECT_TRUE(gpu.can_use(gpu) && !gpu.can_use(Device::host()) && !Device::sim().can_use(gpu));

  Tensor host = Tensor::from(std::vector<int32_t>{0, 1, 2, 3, 4, 5}, {2, 3});
  Tensor t = host.to(gpu);
  EXPECT_EQ(t.text(), "i32[2, 3] on cuda:0");
  EXPECT_NE(t.data(), host.data());
  EXPECT_EQ(t.to_vector<int32_t>(), host.to_vector<int32_t>());
  EXPECT_THAT(t.transpose(0, 1).to_vector<int32_t>(), ::testing::ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(t.transpose(0, 1).contiguous().to_vector<int32_t>(), ::testing::ElementsAre(0, 3, 1, 4, 2, 5));
  t.slice(1, 1, 2).copy_from(Tensor::from(std::vector<int32_t>{8, 9}, {2, 1})); // strided memory of the GPU
  EXPECT_THAT(t.to_vector<int32_t>(), ::testing::ElementsAre(0, 8, 2, 3, 9, 5));
  EXPECT_THAT(Tensor::zeros({3}, f32, gpu).to_values(), ::testing::ElementsAre(0, 0, 0));
  EXPECT_THAT(message_of<UserError>([&] { t.data_as<int32_t>(); }), HasSubstr("copy it with to(Device::host())"));

  Stream stream = Stream::create(gpu);
  EXPECT_NE(stream.native(), nullptr);
  EXPECT_FALSE(stream.done()); // the stand-in says "not ready"
  int lent;
  EXPECT_EQ(Stream::lend(gpu, &lent).native(), &lent);
  Event start(gpu), stop(gpu);
  EXPECT_THAT(message_of<UserError>([&] { Event::elapsed_ms(start, stop); }), HasSubstr("never recorded"));
  start.record(stream);
  stop.record(stream);
  stream.wait(stop);
  stop.synchronize();
  EXPECT_EQ(Event::elapsed_ms(start, stop), 1.5);
  EXPECT_THAT(message_of<UserError>([&] { start.record(Stream(Device::sim())); }), HasSubstr("different devices"));
  EXPECT_THAT(message_of<UserError>([&] { Stream(Device::sim()).copy(host.data(), Device::host(), t.data(), gpu, 4); }),
              HasSubstr("stream is of another device"));
}

} // namespace
