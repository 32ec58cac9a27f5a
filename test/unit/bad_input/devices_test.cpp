// Tensors of another device than the stream's: every family of functions refuses them before anything runs. The other
// device is a stand-in for a GPU (test/unit/runtime/fake_libcuda.cpp).
#include <gtest/gtest.h>

#include <cstdlib>

#include "bad_input.h"
#include "test/unit/runtime/stand_ins.h"

namespace moec {
namespace {

// Before anything reads the environment.
[[maybe_unused]] const int libcuda_is_a_stand_in = ::setenv("MOEC_LIBCUDA", testing::fake_cuda_path().c_str(), 1);

Tensor there(const Tensor &tensor) { return tensor.to(Device::cuda(0)); }

TEST(BadInput, TensorsOfAnotherDevice) {
  const char *wrong = "a kernel on sim cannot use memory of cuda:0; copy it with to(Device) to sim";
  expect_refused(
      {
          {"launch with argument 0", wrong, [](auto &s) { activate(s, there(f(4, 8)), Activation::swiglu()); }},
          {"launch with argument 1", wrong,
           [](auto &s) { activate(s, f(4, 8), Activation::swiglu(), there(f(4, 1))); }},
          {"launch with argument 0", wrong,
           [](auto &s) { activate_backward(s, there(f(4, 4)), f(4, 8), Activation::swiglu()); }},
          {"launch with argument 1", wrong,
           [](auto &s) { apply_bias(s, f(4, 8), there(f(2, 8)), RowsOfExperts(of(i64, 2))); }},
          {"launch with argument 2", wrong, [](auto &s) { bias_grad(s, f(4, 8), RowsOfExperts(there(of(i64, 2)))); }},
          {"launch with argument 1", wrong,
           [](auto &s) { gate_forward(s, f(4, 8), {there(f(6, 8)), {}, {}}, {.topk = 2}); }},
          {"launch with argument 0", wrong, [](auto &s) { expert_load(s, there(of(i64, 4, 2)), 6); }},
          {"launch with argument 1", wrong, [](auto &s) { matmul(s, f(4, 8), there(f(8, 5))); }},
          {"launch with argument 3", wrong, [](auto &s) { grouped_mm(s, f(4, 8), f(2, 8, 6), there(of(i32, 2))); }},
          {"launch with argument 0", wrong,
           [](auto &s) { grouped_mm_backward_b(s, there(f(4, 8)), f(4, 6), of(i32, 2)); }},
          {"launch with argument 1", wrong,
           [](auto &s) { torch_grouped_gemm(s, f(4, 8), there(f(2, 6, 8)), of(i64, 2)); }},
          {"launch with argument 1", wrong, [](auto &s) { indices_to_multihot(s, of(i64, 4, 2), there(f(4, 2)), 6); }},
          {"launch with argument 0", wrong, [](auto &s) { multihot_to_indices(s, there(f(4, 6)), of(i32, 4, 6), 2); }},
          {"launch with argument 0", wrong, [](auto &s) { calculate_topk(s, there(f(4, 6)), 2); }},
          {"launch with argument 1", wrong,
           [](auto &s) { route_slots(s, of(i64, 4, 2), 6, 0, there(of(boolean, 4))); }},
          {"launch with argument 0", wrong, [](auto &s) { route_map(s, there(of(boolean, 4, 6)), {}, {.rows = 8}); }},
          {"launch with argument 0", wrong, [](auto &s) { gather_rows(s, there(f(4, 8)), of(i64, 5)); }},
          {"launch with argument 1", wrong, [](auto &s) { combine_rows(s, f(4, 8), there(of(i64, 4)), 2); }},
          {"launch with argument 0", wrong, [](auto &s) { permute(s, there(f(4, 8)), of(boolean, 4, 6), {}, 8); }},
          {"launch with argument 0", wrong, [](auto &s) { unpermute(s, f(4, 8), there(of(i64, 4)), 4); }},
          {"launch with argument 1", wrong,
           [](auto &s) { Qwen3MoeBlock({f(4, 8), there(f(4, 12, 8)), f(4, 8, 6)}, 2).forward(s, f(3, 8)); }},
          {"launch with argument 1", wrong, [](auto &s) { weighted_swiglu(s, f(4, 8), there(f(4, 1))); }},
          {"launch with argument 1", wrong,
           [](auto &s) { unsloth_grouped_gemm(s, f(4, 8), there(f(2, 6, 8)), of(i64, 2)); }},
          {"launch with argument 0", wrong, [](auto &s) { unpermute_fused(s, there(f(4, 8)), of(i32, 5, 5)); }},
          {"launch with argument 0", wrong, [](auto &s) { sort_chunks(s, f(4, 8), there(of(i64, 2)), of(i64, 2)); }},
          {"launch with argument 1", wrong, [](auto &s) { limit_capacity(s, of(boolean, 4, 2), there(f(4, 2)), 1); }},
          {"launch with argument 0", wrong, [](auto &s) { pad_routing_map(s, there(of(boolean, 4, 2)), 2); }},
          {"launch with argument 2", wrong, [](auto &s) { aux_loss(s, f(4, 8), there(of(i64, 8)), 2); }},
          {"launch with argument 0", wrong, [](auto &s) { routing_indices(s, there(of(i64, 4, 2)), 6); }},
          {"launch with argument 0", wrong, [](auto &s) { convert(s, there(f(4)), bf16); }},
          {"launch with argument 1", wrong, [](auto &s) { add(s, f(4), there(f(4))); }},
          {"launch with argument 1", wrong, [](auto &s) { row_dots(s, f(4, 8), there(f(4, 8)), of(i32, 4), f32); }},
          {"launch with argument 0", wrong,
           [](auto &s) {
             GroupedExperts layer(
                 {.n_routed_experts = 2, .n_activated_experts = 1, .dim = 8, .moe_inter_dim = 6, .dtype = f32},
                 Device::sim());
             layer.initialize(1);
             layer.forward(s, there(f(4, 8)), {}, f(4, 1), of(i64, 4, 1));
           }},
          {"GroupedExperts: down_projs", "copy it with to(Device) to the layer's device",
           [](auto &) {
             GroupedExperts layer(
                 {.n_routed_experts = 2, .n_activated_experts = 1, .dim = 8, .moe_inter_dim = 6, .dtype = f32},
                 Device::sim());
             layer.set_parameters({f(2, 8, 12), there(f(2, 6, 8)), {}, {}});
           }},
      },
      Device::sim());
}

} // namespace
} // namespace moec
