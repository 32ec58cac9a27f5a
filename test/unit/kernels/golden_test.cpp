// Every recorded case of an op that the library has, on the interpreter and on the simulated GPU with its checks on.
#include <gtest/gtest.h>

#include "kernels/registry.h"
#include "places.h"
#include "kernels/verify.h"
#include "runtime/jit.h"

namespace moec {
namespace {

const std::string kGolden = golden_folder();

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
    EXPECT_EQ(r.status, CheckStatus::pass) << report_text(r, false);
    EXPECT_EQ(r.unsupported_tensors(), 0) << report_text(r, true);
    passed += r.status == CheckStatus::pass;
  }
  EXPECT_GT(passed, 0);
}

std::vector<OnDevice> all() {
  std::vector<OnDevice> list;
  for (const Op &op : ops())
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
