// `moec bench`'s cuBLAS, on stand-ins for libcuda and libcublas.
#include <gtest/gtest.h>

#include "test/unit/runtime/stand_ins.h"
#include "tools/moec/bench/cublas.h"

namespace moec::bench {
namespace {

// cuBLAS makes a handle for the device of the thread's current context, and wants that context for all that follows.
TEST(Cublas, WorksInTheContextOfItsStreamsDevice) {
  const std::string cuda = testing::fake_cuda_path(), cublas = testing::library_path("libfake_cublas.so");
  testing::exported<void(int)>(cuda, "fake_set_devices")(2);
  auto calls = testing::exported<const char *()>(cublas, "fake_cublas_calls");
  const Device second = Device::cuda(1);
  {
    const Stream stream = Stream::create(second);
    auto opened = Cublas::open(stream);
    ASSERT_TRUE(opened);
    Tensor a = Tensor::zeros({4, 4}, f32, second);
    opened->multiply(a, a, Tensor::empty({4, 4}, f32, second));
  }
  EXPECT_STREQ(calls(), "create on cuda:1\nset stream on cuda:1\nmultiply on cuda:1\ndestroy on cuda:1\n");
  testing::exported<void()>(cuda, "fake_reset")();
}

} // namespace
} // namespace moec::bench
