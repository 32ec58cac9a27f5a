// The recorded cases that belong to the library's ops. That they pass, on both devices, is what
// test/cli/verify_golden.py runs `moec verify` for (in the bundle: run_tests.sh).
#include <gtest/gtest.h>

#include "kernels/registry.h"
#include "kernels/verify.h"
#include "places.h"

namespace moec {
namespace {

TEST(Golden, EveryOpHasRecordedCases) {
  for (const Op &op : ops()) EXPECT_FALSE(find_cases({golden_folder() + op.name}).empty()) << op.name;
}

TEST(Golden, TheOpsOfTheFirstMilestoneAreThere) {
  for (const char *op : {"indices_to_multihot", "indices_to_multihot_unfused", "multihot_to_indices", "permute",
                         "unpermute", "weighted_swiglu", "grouped_mm", "permute_tokens_for_grouped_mm",
                         "unsloth_calculate_topk", "unsloth_routing_permute", "moe_experts_e2e", "apply_bias",
                         "deterministic_bias_grad", "gate_route", "moe_aux_loss_auto_scaler"})
    EXPECT_TRUE(find_op(op)) << op;
}

} // namespace
} // namespace moec
