// Every recorded case of an op that the library has, on the interpreter and on the simulated GPU with its checks on.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "kernels/registry.h"
#include "places.h"
#include "kernels/verify.h"
#include "runtime/jit.h"

namespace moec {
namespace {

const std::string kGolden = golden_folder();

/// Recorded cases whose parameters moec does not take yet; all others of registered ops must pass.
const std::set<std::string> kUnsupported = {
    "t10_d16_i24_e6_k3_geglu_masked",         "t128_d128_i256_e16_k4_quickgeglu_bias",
    "t12_d16_i16_e4_k2_swiglu_clamped",       "t12_d16_i16_e4_k2_swigluoai_bias",
    "t12_d16_i32_e4_k2_relu2_bias",           "t5_d16_i8_e4_k2_noactive",
    "t7_d16_i12_e4_k2_quickgeglu_bias_small", "t9_d16_i16_e4_k2_swiglu_bias_afterdown"};

/// Ops that nothing was recorded of.
const std::set<std::string> kWithoutCases = {"limit_capacity"};

struct OnDevice {
  std::string op;
  Device device;
};
class Golden : public testing::TestWithParam<OnDevice> {};

TEST_P(Golden, Passes) {
  set_sim_checked(true);
  int passed = 0;
  for (const std::string &file : find_cases({kGolden + GetParam().op})) {
    CaseReport r = verify_case(file, GetParam().device);
    EXPECT_EQ(r.status, kUnsupported.contains(r.name) ? CheckStatus::unsupported : CheckStatus::pass)
        << report_text(r, false);
    passed += r.status == CheckStatus::pass;
  }
  EXPECT_GT(passed, 0);
}

std::vector<OnDevice> all() {
  std::vector<OnDevice> list;
  for (const Op &op : ops())
    if (!kWithoutCases.contains(op.name))
      for (Device d : test_devices()) list.push_back({op.name, d});
  return list;
}
INSTANTIATE_TEST_SUITE_P(Cases, Golden, testing::ValuesIn(all()),
                         [](const auto &info) { return info.param.op + "_" + std::string(info.param.device.name(), 0, info.param.device.name().find(':')); });

TEST(GoldenList, TheOpsOfTheFirstMilestoneAreThere) {
  for (const char *op : {"indices_to_multihot", "indices_to_multihot_unfused", "multihot_to_indices", "permute",
                         "unpermute", "weighted_swiglu", "grouped_mm", "permute_tokens_for_grouped_mm",
                         "unsloth_calculate_topk", "unsloth_routing_permute", "moe_experts_e2e",
                         "apply_bias", "deterministic_bias_grad", "gate_route", "moe_aux_loss_auto_scaler"})
    EXPECT_TRUE(find_op(op)) << op;
}

} // namespace
} // namespace moec
