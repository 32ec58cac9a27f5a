// Rows gathered, spread and combined, against plain host code: odd widths, strides, no rows, more than 2^31 elements.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cmath>

#include "kernels/moe.h"
#include "on_devices.h"
#include "random_data.h"
#include "runtime/error.h"
#include "runtime/jit.h"

namespace moec {
namespace {

using RowsOn = OnDevice;
MOEC_ON_DEVICES(RowsOn, test_devices());

TEST_P(RowsOn, GatherScatterCombine) {
  for (int64_t cols : {1, 20, 96, 1024, 2500})
    for (DType t : {bf16, f32, i64}) {
      const int64_t tokens = 13, rows = 39;
      Tensor x = is_float(t) ? random_floats({tokens, cols}, t) : random_ints({tokens, cols}, t, -99, 99);
      Tensor index = random_ints({rows}, cols % 2 ? i64 : i32, -3, 3 * tokens - 1);
      auto v = x.to_values(), id = index.to_values(), out = gather_rows(stream, x, index, 3).to_values();
      for (int64_t i = 0; i < rows * cols; ++i) {
        auto from = static_cast<int64_t>(id[static_cast<size_t>(i / cols)]);
        ASSERT_EQ(out[static_cast<size_t>(i)], from < 0 ? 0 : v[static_cast<size_t>(from / 3 * cols + i % cols)])
            << cols << " " << i;
      }
      std::vector<int32_t> order(static_cast<size_t>(tokens));
      for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
      std::ranges::shuffle(order, engine());
      Tensor permutation = Here::from(order, {tokens});
      EXPECT_EQ(gather_rows(stream, scatter_rows(stream, x, permutation), permutation).to_bytes(), x.to_bytes());
    }
}

TEST_P(RowsOn, CombineInSlotOrder) {
  for (DType t : {f32, f64}) {
    const int64_t tokens = 9, cols = 40, rows = 27;
    const int topk = 3;
    Tensor x = random_floats({rows, cols}, t), ids = random_ints({tokens * topk}, i32, -1, rows - 1),
           w = random_floats({tokens, topk}, t);
    auto v = x.to_values(), id = ids.to_values(), weight = w.to_values();
    for (bool weighted : {false, true}) {
      auto y = combine_rows(stream, x, ids, topk, weighted ? w : Tensor()).to_values();
      for (int64_t i = 0; i < tokens * cols; ++i) {
        double sum = 0; // each step rounded as the kernel rounds it
        for (int k = 0; k < topk; ++k) {
          auto slot = static_cast<size_t>(i / cols * topk + k);
          if (id[slot] < 0) continue;
          double p = v[static_cast<size_t>(static_cast<int64_t>(id[slot]) * cols + i % cols)];
          if (weighted)
            p = t == f32 ? static_cast<float>(static_cast<float>(p) * static_cast<float>(weight[slot]))
                         : p * weight[slot];
          sum = t == f32 ? static_cast<float>(static_cast<float>(sum) + static_cast<float>(p)) : sum + p;
        }
        ASSERT_EQ(y[static_cast<size_t>(i)], sum);
      }
    }
  }
}

TEST_P(RowsOn, SpreadIsTheGatherOfTheInverse) {
  const int64_t tokens = 11;
  const int topk = 3;
  std::vector<int64_t> row_ids(static_cast<size_t>(tokens * topk)), slots(row_ids.size());
  for (size_t slot = 0; slot < row_ids.size(); ++slot) {
    row_ids[slot] = static_cast<int64_t>(slot * 7 % row_ids.size());
    slots[static_cast<size_t>(row_ids[slot])] = static_cast<int64_t>(slot);
  }
  for (int64_t cols : {5, 24, 1500}) {
    Tensor x = random_floats({tokens, cols}, bf16);
    EXPECT_EQ(spread_slots(stream, x, Here::from(row_ids, {33}), topk, 33).to_bytes(),
              gather_rows(stream, x, Here::from(slots, {33}), topk).to_bytes());
  }
}

// A slot without a row counts nothing, be its weight no number.
TEST_P(RowsOn, NoRowTimesNaN) {
  for (int64_t cols : {5, 40, 4100}) {
    Tensor rows = random_floats({3, cols}, bf16);
    const double nan = std::nan(""), inf = INFINITY;
    Tensor w = Here::from_values({nan, 1, 1, inf}, {2, 2}, f32);
    Tensor y = combine_rows(stream, rows, Here::from<int32_t>({-1, 0, 2, -1}, {4}), 2, w);
    EXPECT_EQ(y.to_bytes(), gather_rows(stream, rows, Here::from<int32_t>({0, 2}, {2})).to_bytes());
    Tensor scaled =
        gather_rows(stream, rows, Here::from<int64_t>({-1, 1}, {2}), 1, Here::from_values({nan, 1}, {2}, f32));
    EXPECT_EQ(scaled.to_bytes(), gather_rows(stream, rows, Here::from<int64_t>({-1, 1}, {2})).to_bytes());
  }
  Tensor none = gather_rows(stream, Here::zeros({0, 8}, f32), Here::from<int32_t>({-1, -2}, {2}), 2);
  EXPECT_EQ(none.to_values(), std::vector<double>(16, 0.0));
}

TEST_P(RowsOn, RoundsWeightedRowsIfAsked) {
  Tensor rows = random_floats({12, 40}, bf16), w = random_floats({4, 3}, f32);
  std::vector<int32_t> order{3, 0, 11, -1, 7, 1, 2, -1, -1, 10, 4, 5}, in_order(12);
  for (size_t i = 0; i < 12; ++i) in_order[i] = order[i] < 0 ? -1 : static_cast<int32_t>(i);
  Tensor ids = Here::from(order, {12});
  Tensor weighted = gather_rows(stream, rows, ids, 1, w.reshape({12}));
  Tensor y = combine_rows(stream, rows, ids, 3, w, true);
  EXPECT_EQ(y.to_bytes(), combine_rows(stream, weighted, Here::from(in_order, {12}), 3).to_bytes());
  EXPECT_NE(y.to_bytes(), combine_rows(stream, rows, ids, 3, w).to_bytes());
}

TEST_P(RowsOn, StridedInput) {
  Tensor wide = random_floats({10, 64}, f32), x = wide.slice(1, 5, 38), index = random_ints({17}, i32, 0, 9);
  EXPECT_EQ(gather_rows(stream, x, index).to_bytes(), gather_rows(stream, x.contiguous(), index).to_bytes());
  Tensor rows = wide.slice(0, 0, 10, 2);
  EXPECT_EQ(weighted_swiglu(stream, rows, Here::from_values(std::vector<double>(5, 1.0), {5, 1}, f32)).to_bytes(),
            weighted_swiglu(stream, rows.contiguous(), Here::from_values(std::vector<double>(5, 1.0), {5, 1}, f32))
                .to_bytes());
}

TEST_P(RowsOn, NoTokens) {
  Tensor x = Here::zeros({0, 16}, f32);
  EXPECT_EQ(gather_rows(stream, x, Here::zeros({0}, i32)).size(0), 0);
  EXPECT_EQ(weighted_swiglu(stream, x, Here::zeros({0, 1}, f32)).shape(), (Dims{0, 8}));
  EXPECT_EQ(combine_rows(stream, x, Here::zeros({0}, i32), 4).shape(), (Dims{0, 16}));
}

/// Host memory that is there only where it is touched.
Tensor untouched(const Dims &shape, DType dtype) {
  const size_t bytes = static_cast<size_t>(shape[0] * shape[1]) * static_cast<size_t>(size_bytes(dtype));
  void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  EXPECT_NE(memory, MAP_FAILED);
  return Tensor::lend(memory, shape, dtype, Device::host(), {}, [=] { munmap(memory, bytes); });
}

// More than 2^31 elements: 4 GiB of bf16.
TEST_P(RowsOn, RowsBeyond31Bits) {
  const int64_t cols = 1 << 11, rows = (int64_t{1} << 20) + 5;
  Tensor x = stream.device().host_memory() ? untouched({rows, cols}, bf16) : Here::empty({rows, cols}, bf16);
  const std::vector<int64_t> at{0, 1, rows / 2, rows - 2, rows - 1};
  std::vector<Tensor> lines;
  for (int64_t r : at) {
    lines.push_back(random_floats({1, cols}, bf16));
    x.slice(0, r, r + 1).copy_from(lines.back());
  }
  Tensor out = gather_rows(stream, x, Here::from(at, {5}));
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(out.slice(0, i, i + 1).to_bytes(), lines[static_cast<size_t>(i)].to_bytes())
        << at[static_cast<size_t>(i)];
  std::vector<int32_t> ids{static_cast<int32_t>(rows - 1), 0};
  Tensor sum = combine_rows(stream, x, Here::from(ids, {2}), 2);
  auto s = sum.to_values(), p = lines[4].to_values(), q = lines[0].to_values();
  for (size_t i = 0; i < s.size(); ++i)
    ASSERT_EQ(s[i], Here::from_values(std::vector<double>{p[i] + q[i]}, {1}, bf16).to_values()[0]);
}

} // namespace
} // namespace moec
