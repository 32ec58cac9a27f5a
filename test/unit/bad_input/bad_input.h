// Tables of bad input: what is asked, and what the one clear exception must say.
#pragma once

#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "kernels/moe.h"
#include "runtime/error.h"
#include "runtime/simulator.h"

namespace moec {

/// One mistake.
struct BadCall {
  std::string begin; ///< of the error: the function, and mostly the tensor
  std::string text;  ///< a part of the error
  std::function<void(const Stream &)> call;
};

/// Tensors for calls that are refused: zeros.
template <class... Size> Tensor of(DType dtype, Size... sizes) {
  return Tensor::zeros({static_cast<int64_t>(sizes)...}, dtype);
}
template <class... Size> Tensor f(Size... sizes) { return of(f32, sizes...); }
inline Tensor ids(const std::vector<int64_t> &values) {
  return Tensor::from(values, {static_cast<int64_t>(values.size())});
}
inline Tensor ids32(const std::vector<int32_t> &values) {
  return Tensor::from(values, {static_cast<int64_t>(values.size())});
}

/// What `E` the call throws by the end of the stream's work: it must say what was asked, what is wrong and what to do.
template <class E> std::string error_of(const Stream &stream, const BadCall &row) {
  try {
    row.call(stream);
    stream.synchronize();
  } catch (const E &e) {
    EXPECT_NE(e.asked(), "") << e.what();
    EXPECT_NE(e.wrong(), "") << e.what();
    EXPECT_NE(e.todo(), "") << e.what();
    return e.what();
  } catch (const std::exception &e) { ADD_FAILURE() << "another kind of error: " << e.what(); }
  return "no error";
}

/// Each call is refused by the host with a UserError, before anything runs.
inline void expect_refused(const std::vector<BadCall> &rows, Device device = Device::interp()) {
  const Stream stream(device);
  for (const BadCall &row : rows)
    EXPECT_THAT(error_of<UserError>(stream, row),
                ::testing::AllOf(::testing::StartsWith(row.begin), ::testing::HasSubstr(row.text)));
}

/// Each call is stopped by the device, which alone can see the values, with a DeviceError: on the interpreter and the
/// simulated GPU, checked or not.
inline void expect_stopped(const std::vector<BadCall> &rows) {
  for (const Device &device : {Device::interp(), Device::sim()})
    for (bool checked : {false, true}) {
      if (device == Device::interp() && checked) continue;
      SCOPED_TRACE(device.name() + (checked ? ", checked" : ""));
      set_sim_checked(checked);
      const Stream stream(device);
      for (const BadCall &row : rows)
        EXPECT_THAT(
            error_of<DeviceError>(stream, row),
            ::testing::AllOf(::testing::StartsWith("run " + row.begin + " on "), ::testing::HasSubstr(row.text)));
    }
  set_sim_checked(true);
}

} // namespace moec
