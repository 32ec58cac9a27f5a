// Mistakes in calls of grouped products, and what is said about them.
#include <gtest/gtest.h>

#include <functional>

#include "kernels/moe.h"
#include "random_data.h"
#include "runtime/error.h"
#include "runtime/jit.h"

namespace moec {
namespace {

class GroupedMmErrorsOn : public testing::TestWithParam<Device> {
protected:
  Stream stream{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Devices, GroupedMmErrorsOn, testing::Values(Device::interp(), Device::sim()),
                         [](const auto &i) { return i.param.name(); });

Tensor ints(const std::vector<int32_t> &v) { return Tensor::from(v, {static_cast<int64_t>(v.size())}); }

// What only the device can see stops the launch, checked or not.
TEST_P(GroupedMmErrorsOn, DeviceSeesBadGroups) {
  Tensor x = random_floats({4, 8}, f32), b = random_floats({2, 8, 16}, f32), g = random_floats({4, 16}, f32);
  auto stops = [&](const char *why, const std::function<void()> &f) {
    for (bool checked : {false, true}) {
      set_sim_checked(checked);
      try {
        f();
        stream.synchronize();
        ADD_FAILURE() << "no error: " << why;
      } catch (const DeviceError &e) { EXPECT_NE(std::string(e.what()).find(why), std::string::npos) << e.what(); }
    }
  };
  for (auto v : {std::vector<int32_t>{3, 2}, {0, 5}, {-1, 4}, {1 << 30, 4}}) {
    stops("offs must not decrease nor pass the last row", [&] { grouped_mm(stream, x, b, ints(v)); });
    stops("offs must not decrease nor pass the last row", [&] { grouped_mm_backward_b(stream, x, g, ints(v)); });
  }
  stops("size is negative or above", [&] { grouped_mm(stream, x, b, ints({-1, 2}), {.sizes = true}); });
  stops("the sum of the groups' sizes", [&] { grouped_mm(stream, x, b, ints({3, 2}), {.sizes = true}); });
  stops("the sum of the groups' sizes", [&] { grouped_mm_backward_b(stream, x, g, ints({3, 2}), {.sizes = true}); });
  stops("a gather index is past", [&] {
    grouped_mm(stream, x, b, ints({2, 4}), {.gather = ints({0, 1, 2, 8}), .divide = 2});
  });
  Tensor far = Tensor::from(std::vector<int64_t>{0, 1, int64_t{1} << 40, 1}, {4});
  stops("a gather index is past", [&] { grouped_mm_backward_b(stream, x, g, ints({2, 4}), {.gather = far}); });
  stops("a scatter index is past", [&] { grouped_mm_backward_b(stream, x, g, ints({2, 4}), {.scatter = far}); });
  stops("a scatter index is past", [&] { grouped_mm(stream, x, b, ints({2, 4}), {.scatter = ints({0, 1, 2, 4})}); });
}

TEST(GroupedMmErrors, SayWhatIsWrong) {
  Stream stream(Device::interp());
  Tensor a = Tensor::zeros({6, 8}, f32), b = Tensor::zeros({2, 8, 10}, f32), offs = Tensor::zeros({2}, i32);
  Tensor a8 = Tensor::zeros({6, 8}, e4m3), b8 = Tensor::zeros({2, 8, 10}, e4m3), index = Tensor::zeros({6}, i32);
  Tensor weights = Tensor::zeros({6}, f32), x = Tensor::zeros({3, 8}, f32), w = Tensor::zeros({2, 10, 8}, f32);
  struct {
    const char *text;
    std::function<void()> call;
  } table[] = {
      {"its shape must be [*, 8, *]",
       [&] {
         grouped_mm(stream, a, Tensor::zeros({2, 9, 10}, f32), offs);
       }},
      {"its dtype must be f32",
       [&] {
         grouped_mm(stream, a, Tensor::zeros({2, 8, 10}, bf16), offs);
       }},
      {"its dtype must be i32", [&] { grouped_mm(stream, a, b, Tensor::zeros({2}, i64)); }},
      {"its shape must be [2]", [&] { grouped_mm(stream, a, b, Tensor::zeros({3}, i32), {.sizes = true}); }},
      {"the number of experts must be",
       [&] {
         grouped_mm(stream, a, Tensor::zeros({0, 8, 10}, f32), Tensor::zeros({0}, i32));
       }},
      {"it divides the indices of gather", [&] { grouped_mm(stream, a, b, offs, {.divide = 2}); }},
      {"its dtype must be i32 or i64", [&] { grouped_mm(stream, a, b, offs, {.gather = weights}); }},
      {"its shape must be [6]", [&] { grouped_mm(stream, a, b, offs, {.scatter = offs}); }},
      {"even number of columns, not 9",
       [&] {
         grouped_mm(stream, a, Tensor::zeros({2, 8, 9}, f32), offs, {.activation = Activation::swiglu()});
       }},
      {"there is no activation",
       [&] {
         grouped_mm(stream, a, b, offs, {.pre_activation = Tensor::zeros({6, 10}, f32)});
       }},
      {"there is no bias", [&] { grouped_mm(stream, a, b, offs, {.bias_weights = weights}); }},
      {"its shape must be [2, 10]", [&] { grouped_mm(stream, a, b, offs, {.bias = weights}); }},
      {"there is no scatter",
       [&] { grouped_mm(stream, a, b, offs, {.row_weights = weights, .weights_by_slot = true}); }},
      {"row_weights: they are missing", [&] { grouped_mm(stream, a, b, offs, {.round_before_weights = true}); }},
      {"scales belong to e4m3",
       [&] {
         grouped_mm(stream, a, b, offs, {.scale_a = Tensor::zeros({6, 1}, f32)});
       }},
      {"its shape must be [6, 1]",
       [&] {
         grouped_mm(stream, a8, b8, offs, {.scale_a = Tensor::zeros({6, 2}, f32)});
       }},
      {"its shape must be [2, 1, 1]",
       [&] {
         grouped_mm(stream, a8, b8, offs, {.scale_b = Tensor::zeros({2, 3, 1}, f32)});
       }},
      {"of f64 operands it is f64",
       [&] {
         grouped_mm(stream, Tensor::zeros({6, 8}, f64), Tensor::zeros({2, 8, 10}, f64), offs, {.dtype = f32});
       }},
      {"it must be f32, bf16 or f16", [&] { grouped_mm(stream, a, b, offs, {.dtype = f64}); }},
      {"its shape must be [*, 10]",
       [&] {
         grouped_mm(stream, a, b, offs, {.accumulate = Tensor::zeros({6, 9}, f32)});
       }},
      {"shares memory with",
       [&] {
         grouped_mm(stream, a, Tensor::zeros({2, 8, 8}, f32), offs, {.accumulate = a});
       }},
      {"grad is the gradient of the product itself",
       [&] {
         grouped_mm_backward_b(stream, a, Tensor::zeros({6, 10}, f32), offs, {.row_weights = weights});
       }},
      {"its shape must be [6, *]", [&] { grouped_mm_backward_b(stream, a, x, offs); }},
      {"permute_x and permute_y are both set",
       [&] { unsloth_grouped_gemm(stream, x, w, offs, {.permute_x = true, .permute_y = true}); }},
      {"only the first permutes x",
       [&] { unsloth_grouped_gemm(stream, x, w, offs, {.permute_x = true, .is_first_gemm = false}); }},
      {"only the second permutes y", [&] { unsloth_grouped_gemm(stream, x, w, offs, {.permute_y = true}); }},
      {"fuse_mul_post without permute_y", [&] { unsloth_grouped_gemm(stream, x, w, offs, {.fuse_mul_post = true}); }},
      {"a weight for each of the 6 slots",
       [&] {
         unsloth_grouped_gemm(stream, a, w, offs,
                              {.gather_indices = index,
                               .permute_y = true,
                               .fuse_mul_post = true,
                               .topk_weights = Tensor::zeros({5}, f32),
                               .is_first_gemm = false});
       }},
      {"fuse_mul_post without topk_weights",
       [&] {
         unsloth_grouped_gemm(
             stream, a, w, offs,
             {.gather_indices = index, .permute_y = true, .fuse_mul_post = true, .is_first_gemm = false});
       }},
      {"its shape must be [6]",
       [&] { unsloth_grouped_gemm(stream, x, w, offs, {.topk = 2, .gather_indices = offs, .permute_x = true}); }},
      {"fuse_mul_post has no backward",
       [&] {
         unsloth_grouped_gemm_backward(stream, Tensor::zeros({6, 10}, f32), a, w, offs,
                                       {.gather_indices = index,
                                        .permute_y = true,
                                        .fuse_mul_post = true,
                                        .topk_weights = weights,
                                        .is_first_gemm = false});
       }},
      {"its rows must be E*N",
       [&] {
         unsloth_grouped_gemm(stream, a, Tensor::zeros({21, 8}, f32), offs);
       }},
  };
  for (auto &row : table) try {
      row.call();
      ADD_FAILURE() << "no error: " << row.text;
    } catch (const UserError &e) { EXPECT_NE(std::string(e.what()).find(row.text), std::string::npos) << e.what(); }
}

} // namespace
} // namespace moec
