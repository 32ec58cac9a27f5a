// Tensors of another device than the stream's: every family of functions refuses them before anything runs. The other
// device is a stand-in for a GPU (test/unit/runtime/fake_libcuda.cpp).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>

#include "kernels/moe.h"
#include "runtime/error.h"
#include "test/unit/runtime/stand_ins.h"

namespace moec {
namespace {

// Before anything reads the environment.
[[maybe_unused]] const int libcuda_is_a_stand_in = ::setenv("MOEC_LIBCUDA", testing::fake_cuda_path().c_str(), 1);

Tensor f(const Dims &shape) { return Tensor::zeros(shape, f32); }
Tensor ids(const Dims &shape) { return Tensor::zeros(shape, i64); }
Tensor offs(int64_t experts) { return Tensor::zeros({experts}, i32); }
Tensor there(const Tensor &tensor) { return tensor.to(Device::cuda(0)); }

struct Row {
  const char *function;
  std::function<void(const Stream &)> call;
};
const std::vector<Row> &rows() {
  static const std::vector<Row> all{
      {"activate",
       [](auto &s) {
         activate(s, there(f({4, 8})), Activation::swiglu());
       }},
      {"activate: weights",
       [](auto &s) {
         activate(s, f({4, 8}), Activation::swiglu(), there(f({4, 1})));
       }},
      {"activate_backward",
       [](auto &s) {
         activate_backward(s, there(f({4, 4})), f({4, 8}), Activation::swiglu());
       }},
      {"apply_bias",
       [](auto &s) {
         apply_bias(s, f({4, 8}), there(f({2, 8})), RowsOfExperts(ids({2})));
       }},
      {"bias_grad",
       [](auto &s) {
         bias_grad(s, f({4, 8}), RowsOfExperts(there(ids({2}))));
       }},
      {"gate_forward",
       [](auto &s) {
         gate_forward(s, f({4, 8}), {there(f({6, 8})), {}, {}}, {.topk = 2});
       }},
      {"expert_load",
       [](auto &s) {
         expert_load(s, there(ids({4, 2})), 6);
       }},
      {"matmul",
       [](auto &s) {
         matmul(s, f({4, 8}), there(f({8, 5})));
       }},
      {"grouped_mm",
       [](auto &s) {
         grouped_mm(s, f({4, 8}), f({2, 8, 6}), there(offs(2)));
       }},
      {"grouped_mm_backward_b",
       [](auto &s) {
         grouped_mm_backward_b(s, there(f({4, 8})), f({4, 6}), offs(2));
       }},
      {"torch_grouped_gemm",
       [](auto &s) {
         torch_grouped_gemm(s, f({4, 8}), there(f({2, 6, 8})), ids({2}));
       }},
      {"indices_to_multihot",
       [](auto &s) {
         indices_to_multihot(s, ids({4, 2}), there(f({4, 2})), 6);
       }},
      {"multihot_to_indices",
       [](auto &s) {
         multihot_to_indices(s, there(f({4, 6})), Tensor::zeros({4, 6}, i32), 2);
       }},
      {"calculate_topk",
       [](auto &s) {
         calculate_topk(s, there(f({4, 6})), 2);
       }},
      {"route_slots",
       [](auto &s) {
         route_slots(s, ids({4, 2}), 6, 0, there(Tensor::zeros({4}, boolean)));
       }},
      {"route_map",
       [](auto &s) {
         route_map(s, there(Tensor::zeros({4, 6}, boolean)), {}, {.rows = 8});
       }},
      {"gather_rows",
       [](auto &s) {
         gather_rows(s, there(f({4, 8})), ids({5}));
       }},
      {"combine_rows",
       [](auto &s) {
         combine_rows(s, f({4, 8}), there(ids({4})), 2);
       }},
      {"permute",
       [](auto &s) {
         permute(s, there(f({4, 8})), Tensor::zeros({4, 6}, boolean), {}, 8);
       }},
      {"unpermute",
       [](auto &s) {
         unpermute(s, f({4, 8}), there(ids({4})), 4);
       }},
      {"GroupedExperts",
       [](auto &s) {
         GroupedExperts layer(
             {.n_routed_experts = 2, .n_activated_experts = 1, .dim = 8, .moe_inter_dim = 6, .dtype = f32},
             Device::sim());
         layer.initialize(1);
         layer.forward(s, there(f({4, 8})), {}, f({4, 1}), ids({4, 1}));
       }},
  };
  return all;
}

TEST(BadInput, TensorsOfAnotherDevice) {
  Stream stream(Device::sim());
  for (const Row &row : rows()) {
    try {
      row.call(stream);
      ADD_FAILURE() << row.function << ": no error";
    } catch (const UserError &e) {
      EXPECT_THAT(e.what(), ::testing::AllOf(::testing::HasSubstr("a kernel on sim cannot use memory of cuda"),
                                             ::testing::HasSubstr("copy it with to(Device) to sim")))
          << row.function;
    }
  }
}

} // namespace
} // namespace moec
