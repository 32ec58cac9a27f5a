// Bad input of routing, gate and bias functions: one clear exception each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "kernels/moe.h"
#include "runtime/error.h"

namespace moec {
namespace {

using testing::HasSubstr;

Tensor f(const Dims &shape, DType t = f32) { return Tensor::zeros(shape, t); }
const Tensor kIds = Tensor::zeros({4, 2}, i64), kCounts = Tensor::from(std::vector<int64_t>{3, 1}, {2});

struct Bad {
  const char *function; ///< how the text begins
  std::function<void(const Stream &)> call;
  const char *text;
};

const Bad kTable[] = {
    {"indices_to_multihot: indices",
     [](auto &s) {
       indices_to_multihot(s, f({4, 2}), f({4, 2}), 8);
     },
     "its dtype must be i64 or i32 or i8 or u8"},
    {"indices_to_multihot: indices", [](auto &s) { indices_to_multihot(s, Tensor::zeros({4}, i64), f({4}), 8); },
     "it must have 2 dimensions"},
    {"indices_to_multihot: probs",
     [](auto &s) {
       indices_to_multihot(s, kIds, f({2, 4}), 8);
     },
     "its shape must be [4, 2]"},
    {"indices_to_multihot: probs", [](auto &s) { indices_to_multihot(s, kIds, {}, 8); }, "it is missing"},
    {"indices_to_multihot",
     [](auto &s) {
       indices_to_multihot(s, kIds, f({4, 2}), 0);
     },
     "the number of experts must be 1 to 4096"},
    {"indices_to_multihot",
     [](auto &s) {
       indices_to_multihot(s, Tensor::zeros({4, 0}, i64), f({4, 0}), 8);
     },
     "topk must be 1 to 1024"},
    {"indices_to_multihot_unfused: probs",
     [](auto &s) {
       indices_to_multihot_unfused(s, kIds, f({4, 2}, bf16), 8);
     },
     "its dtype must be f32 or f64"},
    {"indices_to_multihot_unfused backward: gradient",
     [](auto &s) {
       indices_to_multihot_unfused_backward(s, f({3, 8}), kIds);
     },
     "its shape must be [4, *]"},
    {"multihot_to_indices: position_map",
     [](auto &s) {
       multihot_to_indices(s, f({4, 8}), Tensor::zeros({4, 8}, i64), 2);
     },
     "its dtype must be i32"},

    {"route_slots: indices",
     [](auto &s) {
       route_slots(s, f({4, 2}), 8);
     },
     "its dtype must be i32 or i64"},
    {"route_slots: indices", [](auto &s) { route_slots(s, Tensor::zeros({8}, i64), 8); }, "it must have 2 dimensions"},
    {"route_slots: indices",
     [](auto &s) {
       route_slots(s, Tensor::zeros({4, 0}, i64), 8);
     },
     "topk must be at least 1"},
    {"route_slots", [](auto &s) { route_slots(s, kIds, 5000); }, "the number of experts must be 1 to 4096"},
    {"route_slots", [](auto &s) { route_slots(s, kIds, 8, -1); }, "the first expert must not be negative"},
    {"route_slots: token_mask", [](auto &s) { route_slots(s, kIds, 8, 0, Tensor::zeros({5}, boolean)); },
     "its shape must be [4]"},
    {"route_slots: token_mask", [](auto &s) { route_slots(s, kIds, 8, 0, Tensor::zeros({4}, i32)); },
     "its dtype must be bool"},
    {"route_slots: weights",
     [](auto &s) {
       route_slots(s, kIds, 8, 0, {}, f({4, 3}));
     },
     "its shape must be [4, 2]"},
    {"route_slots: weights", [](auto &s) { route_slots(s, kIds, 8, 0, {}, kIds); }, "its dtype must be f32"},
    {"route_slots_backward: row_ids", [](auto &s) { route_slots_backward(s, f({8}), Tensor::zeros({8}, i32), 3, f32); },
     "their number is not a multiple of topk"},
    {"route_slots_backward", [](auto &s) { route_slots_backward(s, f({8}), Tensor::zeros({8}, i64), 2, f32); },
     "its dtype must be i32"},
    {"routing_indices: indices",
     [](auto &s) {
       routing_indices(s, f({4, 2}), 8);
     },
     "its dtype must be i32 or i64"},
    {"expert_load: token_mask", [](auto &s) { expert_load(s, kIds, 8, f({4})); }, "its dtype must be bool"},

    {"calculate_topk: logits", [](auto &s) { calculate_topk(s, kIds, 1); }, "its dtype must be f32"},
    {"calculate_topk",
     [](auto &s) {
       calculate_topk(s, f({4, 3}), 4);
     },
     "topk must be 1 to the number of experts"},
    {"gradient of a selection: gradient",
     [](auto &s) {
       calculate_topk_backward(s, f({4, 3}), f({4, 8}), kIds);
     },
     "its shape must be [4, 2]"},

    {"aux_loss: load",
     [](auto &s) {
       aux_loss(s, f({4, 8}), Tensor::zeros({7}, i64), 2);
     },
     "its shape must be [8]"},
    {"aux_loss: load",
     [](auto &s) {
       aux_loss(s, f({4, 8}), Tensor::zeros({8}, i32), 2);
     },
     "its dtype must be i64"},
    {"aux_loss: token_mask",
     [](auto &s) {
       aux_loss(s, f({4, 8}), Tensor::zeros({8}, i64), 2, f({4}));
     },
     "its dtype must be bool"},
    {"aux_loss",
     [](auto &s) {
       aux_loss(s, f({4, 8}), Tensor::zeros({8}, i64), 0);
     },
     "topk must be at least 1"},
    {"aux_loss_backward: gradient",
     [](auto &s) { aux_loss_backward(s, f({2}), Tensor::zeros({8}, i64), Tensor::zeros({}, i64), 4, 2); },
     "it must have one element"},
    {"limit_capacity_backward: limited map",
     [](auto &s) {
       limit_capacity_backward(s, f({4, 8}), Tensor::zeros({4, 8}, boolean), Tensor::zeros({4, 8}, i32));
     },
     "its dtype must be bool"},
    {"limit_capacity_backward: gradient",
     [](auto &s) {
       Tensor map = Tensor::zeros({4, 8}, boolean);
       limit_capacity_backward(s, f({4, 7}), map, map);
     },
     "its shape must be [4, 8]"},
    {"AuxLossAutoScaler: scale", [](auto &s) { AuxLossAutoScaler{f({2})}.backward(s, f({3}), f({})); },
     "it must have one element"},

    {"apply_bias: bias",
     [](auto &s) {
       apply_bias(s, f({4, 6}), f({2, 5}), kCounts);
     },
     "its shape must be [2, 6]"},
    {"apply_bias: bias",
     [](auto &s) {
       apply_bias(s, f({4, 6}), Tensor::zeros({2, 6}, i32), kCounts);
     },
     "its dtype must be f32"},
    {"apply_bias: rows",
     [](auto &s) {
       apply_bias(s, f({}), f({2, 6}), kCounts);
     },
     "it must have 1 dimension or more"},
    {"apply_bias: tokens_per_expert",
     [](auto &s) {
       apply_bias(s, f({4, 6}), f({2, 6}), f({2}));
     },
     "its dtype must be i8 or u8 or i32 or i64"},
    {"apply_bias: offs",
     [](auto &s) {
       apply_bias(s, f({4, 6}), f({2, 6}), RowsOfExperts::by_ends(f({2})));
     },
     "its dtype must be i32 or i64"},
    {"apply_bias: probs",
     [](auto &s) {
       apply_bias(s, f({4, 6}), f({2, 6}), kCounts, f({4, 2}));
     },
     "its shape must be [4, 1]"},
    {"apply_bias: probs",
     [](auto &s) {
       apply_bias(s, f({4, 6}), f({2, 6}), kCounts, f({3}));
     },
     "its shape must be [4]"},
    {"bias_grad: result",
     [](auto &s) {
       bias_grad(s, f({4, 6}), kCounts, {}, {.dtype = i32});
     },
     "its dtype must be f32"},
    {"bias_grad: rows", [](auto &s) { bias_grad(s, kIds, kCounts); }, "its dtype must be f32"},
    {"apply_bias backward: bias",
     [](auto &s) {
       apply_bias_backward(s, f({4, 6}), {}, kCounts);
     },
     "it is missing"},

    {"matmul: b",
     [](auto &s) {
       matmul(s, f({4, 6}), f({5, 6}));
     },
     "its shape must be [6, *]"},
    {"matmul: bias",
     [](auto &s) {
       matmul(s, f({4, 6}), f({6, 5}), {.bias = f({4})});
     },
     "its shape must be [5]"},
};

TEST(RoutingErrors, AreClear) {
  Stream stream(Device::interp());
  for (const Bad &row : kTable) {
    try {
      row.call(stream);
      ADD_FAILURE() << row.function << ": no error; expected: " << row.text;
    } catch (const UserError &e) {
      EXPECT_THAT(e.what(), testing::AllOf(testing::StartsWith(row.function), HasSubstr(row.text)));
    }
  }
}

} // namespace
} // namespace moec
