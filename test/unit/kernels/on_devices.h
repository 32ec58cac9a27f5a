// Tests that run on several devices: `using RowsOn = OnDevice; MOEC_ON_DEVICES(RowsOn, test_devices());`, then
// TEST_P(RowsOn, …) with `stream`, and tensors from Here.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "here.h"
#include "places.h"
#include "runtime/simulator.h"

namespace moec {

class OnDevice : public testing::TestWithParam<Device> {
protected:
  void SetUp() override {
    set_sim_checked(true);
    if (!GetParam().host_memory()) Here::device_ = GetParam();
  }
  void TearDown() override { Here::device_ = Device::host(); }
  Stream stream{GetParam()};
};
/// "sim", and "cuda" for cuda:0.
inline std::string name_of_device(const testing::TestParamInfo<Device> &info) {
  return info.param.name().substr(0, info.param.name().find(':'));
}

#define MOEC_ON_DEVICES(Suite, devices)                                                                                \
  INSTANTIATE_TEST_SUITE_P(Devices, Suite, testing::ValuesIn(devices), name_of_device)

} // namespace moec
