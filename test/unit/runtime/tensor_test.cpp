#include "runtime/tensor.h"

#include <dlpack/dlpack.h>
#include <gmock/gmock.h>

#include <numeric>

#include "runtime/error.h"
#include "scratch.h"

using namespace moec;
using moec::testing::message_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace {

Tensor counting(const Dims &shape) {
  int64_t n = 1;
  for (int64_t s : shape) n *= s;
  std::vector<int32_t> v(static_cast<size_t>(n));
  std::iota(v.begin(), v.end(), 0);
  return Tensor::from(v, shape);
}

TEST(tensor, empty_has_row_major_strides_and_alignment) {
  for (int i = 0; i < kNumDTypes; ++i) {
    Tensor t = Tensor::empty({2, 3, 4}, static_cast<DType>(i));
    EXPECT_EQ(t.strides(), Dims({12, 4, 1}));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(t.data()) % 256, 0u);
    EXPECT_EQ(t.numel(), 24);
    EXPECT_EQ(t.extent_bytes(), 24 * size_bytes(t.dtype()));
    EXPECT_TRUE(t.is_contiguous());
  }
}

TEST(tensor, none_scalar_and_no_elements) {
  Tensor none;
  EXPECT_FALSE(none.defined());
  EXPECT_EQ(none.numel(), 0);
  EXPECT_EQ(none.text(), "no tensor");
  Tensor scalar = Tensor::zeros({}, f32);
  EXPECT_EQ(scalar.numel(), 1);
  EXPECT_THAT(scalar.to_vector<float>(), ElementsAre(0.0f));
  Tensor nothing = Tensor::zeros({4, 0, 2}, i64);
  EXPECT_EQ(nothing.numel(), 0);
  EXPECT_EQ(nothing.extent_bytes(), 0);
  EXPECT_TRUE(nothing.to_vector<int64_t>().empty());
  EXPECT_TRUE(nothing.to(Device::sim()).is_contiguous());
}

TEST(tensor, from_values_rounds_once) {
  Tensor t = Tensor::from_values(std::vector<double>{1.0, 1.00390625, -449, 0.1}, {4}, e4m3);
  EXPECT_THAT(t.to_values(), ElementsAre(1.0, 1.0, -448.0, 0.1015625));
  EXPECT_THAT(Tensor::from_values(std::vector<double>{0, 2}, {2}, boolean).to_vector<bool>(), ElementsAre(false, true));
}

TEST(tensor, a_move_leaves_no_tensor) {
  Tensor from = counting({2, 3}), to = std::move(from);
  EXPECT_FALSE(from.defined()); // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(from.numel(), 0);
  EXPECT_EQ(to.text(), "i32[2, 3] on host");
  Tensor &same = to;
  to = std::move(same);
  EXPECT_EQ(to.numel(), 6);
}

TEST(tensor, copies_share_memory) {
  Tensor a = Tensor::zeros({2}, f32), b = a;
  b.data_as<float>()[1] = 5;
  EXPECT_THAT(a.to_vector<float>(), ElementsAre(0.0f, 5.0f));
}

TEST(tensor, views) {
  Tensor t = counting({3, 4});
  EXPECT_THAT(t.slice(1, 1, 4, 2).to_vector<int32_t>(), ElementsAre(1, 3, 5, 7, 9, 11));
  EXPECT_THAT(t.select(0, 2).to_vector<int32_t>(), ElementsAre(8, 9, 10, 11));
  EXPECT_THAT(t.select(-1, 0).to_vector<int32_t>(), ElementsAre(0, 4, 8));
  EXPECT_THAT(t.transpose(0, 1).to_vector<int32_t>(), ElementsAre(0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11));
  EXPECT_THAT(t.slice(0, 3, 3).to_vector<int32_t>(), ElementsAre());
  EXPECT_THAT(counting({2, 1}).expand({2, 3}).to_vector<int32_t>(), ElementsAre(0, 0, 0, 1, 1, 1));
  EXPECT_FALSE(t.transpose(0, 1).is_contiguous());
  EXPECT_TRUE(t.transpose(0, 1).contiguous().is_contiguous());
  EXPECT_EQ(t.slice(0, 1, 3).extent_bytes(), 32);
  EXPECT_EQ(t.transpose(0, 1).slice(0, 0, 1).extent_bytes(), (8 + 1) * 4);
}

TEST(tensor, reshape) {
  Tensor t = counting({2, 3, 4});
  EXPECT_EQ(t.reshape({6, -1}).shape(), Dims({6, 4}));
  EXPECT_EQ(t.reshape({24}).to_vector<int32_t>(), t.to_vector<int32_t>());
  EXPECT_EQ(t.reshape({1, 24, 1}).strides(), Dims({24, 1, 1}));
  Tensor rows = t.slice(2, 0, 2); // [2,3,2] strides [12,4,1]: the first two dimensions still merge
  EXPECT_EQ(rows.reshape({6, 2}).strides(), Dims({4, 1}));
  EXPECT_EQ(rows.reshape({6, 2}).to_vector<int32_t>(), rows.to_vector<int32_t>());
  EXPECT_EQ(rows.reshape({2, 1, 3, 1, 2}).to_vector<int32_t>(), rows.to_vector<int32_t>());
  EXPECT_THAT(message_of<UserError>([&] { rows.reshape({12}); }), HasSubstr("call contiguous() first"));
  EXPECT_THAT(message_of<UserError>([&] { t.transpose(0, 2).reshape({24}); }),
              HasSubstr("do not allow it without a copy"));
  EXPECT_THAT(message_of<UserError>([&] { t.reshape({5, 5}); }), HasSubstr("24 elements are not 25"));
  EXPECT_THAT(message_of<UserError>([&] { t.reshape({-1, 5}); }), HasSubstr("do not divide by 5"));
  EXPECT_THAT(message_of<UserError>([&] { t.reshape({-1, -1}); }), HasSubstr("negative"));
  EXPECT_EQ(Tensor::zeros({0, 3}, f32).reshape({3, 0, 7}).numel(), 0);
}

TEST(tensor, lend_calls_release_once_after_the_last_handle) {
  float memory[6] = {0, 1, 2, 3, 4, 5};
  int released = 0;
  {
    Tensor view;
    {
      Tensor t = Tensor::lend(memory, {2, 2}, f32, Device::host(), {3, 1}, [&] { ++released; });
      EXPECT_THAT(t.to_vector<float>(), ElementsAre(0, 1, 3, 4));
      view = t.select(0, 1);
    }
    EXPECT_EQ(released, 0);
    EXPECT_EQ(view.data(), memory + 3);
  }
  EXPECT_EQ(released, 1);
}

// In and out in one memory: as if the source had been copied away first.
TEST(tensor, copy_from_itself) {
  Tensor t = Tensor::from(std::vector<int32_t>{1, 2, 3, 4, 5, 6, 7, 8, 9}, {3, 3});
  t.copy_from(t.transpose(0, 1));
  EXPECT_THAT(t.to_vector<int32_t>(), ElementsAre(1, 4, 7, 2, 5, 8, 3, 6, 9));
  t.slice(1, 1, 3).copy_from(t.slice(1, 0, 2));
  EXPECT_THAT(t.to_vector<int32_t>(), ElementsAre(1, 1, 4, 2, 2, 5, 3, 3, 6));
}

TEST(tensor, copy_from_between_layouts) {
  Tensor a = counting({2, 3}), b = Tensor::zeros({3, 2}, i32);
  b.transpose(0, 1).copy_from(a);
  EXPECT_THAT(b.to_vector<int32_t>(), ElementsAre(0, 3, 1, 4, 2, 5));
}

TEST(tensor, wrong_use_says_what_to_do) {
  Tensor t = counting({3, 4});
  alignas(8) char memory[64];
  EXPECT_THAT(message_of<UserError>([&] { t.data_as<float>(); }), HasSubstr("read i32[3, 4] on host as f32"));
  EXPECT_THAT(message_of<UserError>([&] { t.to_vector<int64_t>(); }), HasSubstr("another dtype"));
  EXPECT_THAT(message_of<UserError>([&] { t.to_vector<bool>(); }), HasSubstr("another width"));
  EXPECT_THAT(message_of<UserError>([&] { t.size(2); }), HasSubstr("it has 2 dimensions"));
  EXPECT_THAT(message_of<UserError>([&] { t.slice(0, 2, 4); }), HasSubstr("not within 0..3"));
  EXPECT_THAT(message_of<UserError>([&] { t.slice(0, 0, 3, 0); }), HasSubstr("step >= 1"));
  EXPECT_THAT(message_of<UserError>([&] { t.select(1, 4); }), HasSubstr("pass 0 to 3"));
  EXPECT_THAT(message_of<UserError>([&] { t.expand({3, 8}); }), HasSubstr("only sizes of 1"));
  const int64_t far = int64_t{1} << 62;
  EXPECT_THAT(message_of<UserError>([&] { counting({1, 4}).expand({far, 4}); }), HasSubstr("more than 2^62 bytes"));
  EXPECT_EQ(t.slice(0, 1, 3, INT64_MAX).size(0), 1);
  EXPECT_THAT(message_of<UserError>([] { Tensor::empty({2}, static_cast<DType>(99)); }),
              HasSubstr("make no dtype[2] on host: it is of no dtype"));
  EXPECT_THAT(message_of<UserError>([&] { t.copy_from(Tensor::zeros({3, 4}, f32)); }),
              HasSubstr("shape or dtype differ"));
  EXPECT_THAT(message_of<UserError>([] { Tensor::empty({-1}, f32); }), HasSubstr("size -1 is negative"));
  EXPECT_THAT(message_of<UserError>([] { Tensor::empty({int64_t{1} << 40, int64_t{1} << 40}, f32); }),
              HasSubstr("more than 2^62 bytes"));
  EXPECT_THAT(message_of<UserError>([] { Tensor::empty({0, int64_t{1} << 62, 1 << 20}, f32); }),
              HasSubstr("more than 2^62 bytes"));
  EXPECT_THAT(message_of<DeviceError>([] { Tensor::empty({int64_t{1} << 58}, f32); }), HasSubstr("bytes left"));
  EXPECT_THAT(message_of<UserError>([] { Tensor::from(std::vector<float>{1, 2, 3}, {2, 2}); }),
              HasSubstr("4 elements"));
  EXPECT_THAT(message_of<UserError>([] { Dims{1, 2, 3, 4, 5, 6, 7, 8, 9}; }), HasSubstr("more than 8 dimensions"));
  EXPECT_THAT(message_of<UserError>([] { Tensor::lend(nullptr, {1}, f32); }), HasSubstr("pointer is null"));
  EXPECT_THAT(message_of<UserError>([&] { Tensor::lend(memory + 2, {1}, f32); }), HasSubstr("multiple of 4 bytes"));
  EXPECT_THAT(message_of<UserError>([&] { Tensor::lend(memory, {2}, f32, Device::host(), {-1}); }),
              HasSubstr("stride -1 is negative"));
  EXPECT_THAT(message_of<UserError>([&] { Tensor::lend(memory, {2}, f32, Device::host(), {1, 1}); }),
              HasSubstr("2 strides for 1"));
  EXPECT_THAT(
      message_of<UserError>([&] { Tensor::lend(memory, {int64_t{1} << 32}, u8, Device::host(), {int64_t{1} << 40}); }),
      HasSubstr("beyond 2^62"));
}

TEST(tensor, dlpack_round_trip_of_every_dtype) {
  for (int i = 0; i < kNumDTypes; ++i) {
    Tensor t = Tensor::from_values(std::vector<double>{0, 1, 1, 0, 1, 0}, {2, 3}, static_cast<DType>(i));
    Tensor back = from_dlpack(to_dlpack(t.transpose(0, 1)));
    EXPECT_EQ(back.dtype(), t.dtype());
    EXPECT_EQ(back.data(), t.data());
    EXPECT_EQ(back.strides(), Dims({1, 3}));
    EXPECT_EQ(back.to_values(), t.transpose(0, 1).to_values());
  }
}

struct Foreign {
  DLManagedTensor managed{};
  int64_t shape[9] = {2, 2, 1, 1, 1, 1, 1, 1, 1}, strides[9] = {2, 1, 1, 1, 1, 1, 1, 1, 1};
  alignas(8) float data[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  int deleted = 0;
  Foreign() {
    managed.dl_tensor = {data, {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, shape, strides, 0};
    managed.manager_ctx = this;
    managed.deleter = [](DLManagedTensor *m) { ++static_cast<Foreign *>(m->manager_ctx)->deleted; };
  }
};

TEST(tensor, dlpack_import_takes_ownership) {
  Foreign f;
  f.managed.dl_tensor.byte_offset = 8;
  f.managed.dl_tensor.strides = nullptr;
  {
    Tensor t = from_dlpack(&f.managed);
    EXPECT_THAT(t.to_vector<float>(), ElementsAre(2, 3, 4, 5));
    EXPECT_EQ(f.deleted, 0);
  }
  EXPECT_EQ(f.deleted, 1);
}

TEST(tensor, dlpack_refusals_consume_nothing) {
  auto refused = [](auto &&change) {
    Foreign f;
    change(f.managed.dl_tensor, f);
    std::string text = message_of<UserError>([&] { from_dlpack(&f.managed); });
    EXPECT_EQ(f.deleted, 0);
    return text;
  };
  EXPECT_THAT(refused([](DLTensor &t, Foreign &) { t.dtype.lanes = 4; }), HasSubstr("4 lanes"));
  EXPECT_THAT(refused([](DLTensor &t, Foreign &) { t.dtype = {kDLUInt, 64, 1}; }),
              HasSubstr("no dtype for code 1 with 64 bits"));
  EXPECT_THAT(refused([](DLTensor &t, Foreign &) { t.device.device_type = kDLMetal; }), HasSubstr("device type 8"));
  EXPECT_THAT(refused([](DLTensor &t, Foreign &) { t.ndim = 9; }), HasSubstr("9 dimensions"));
  EXPECT_THAT(refused([](DLTensor &, Foreign &f) { f.strides[0] = -2; }), HasSubstr("negative"));
  EXPECT_THAT(refused([](DLTensor &t, Foreign &) { t.byte_offset = 2; }), HasSubstr("multiple of 4 bytes"));
  EXPECT_THAT(refused([](DLTensor &t, Foreign &) { t.data = nullptr; }), HasSubstr("null"));
  EXPECT_THAT(message_of<UserError>([] { from_dlpack(nullptr); }), HasSubstr("null"));
}

} // namespace
