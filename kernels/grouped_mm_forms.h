// Tiles and schedules of grouped products, by static facts only, so that a batch never changes a sum. Internal to
// kernels/.
#pragma once

#include "runtime/device.h"
#include "runtime/jit.h"

namespace moec {

/// Rows, columns and depth of a tile, and its schedule.
struct Form {
  int bm, bn, bk;
  Schedule schedule;
};
inline constexpr Form kForms[] = {
    {32, 32, 16, {.num_warps = 4, .num_stages = 2}},   // f64
    {32, 64, 16, {.num_warps = 4, .num_stages = 2}},   // f32
    {32, 128, 64, {.num_warps = 4, .num_stages = 2}},  // fp8 on the simulated GPU; bk divides a block of scales
    {64, 128, 64, {.num_warps = 8, .num_stages = 3}},  // fp8
    {32, 128, 64, {.num_warps = 4, .num_stages = 2}},  // f16 and bf16 on the simulated GPU
    {128, 128, 64, {.num_warps = 8, .num_stages = 3}}, // f16 and bf16; with 4 warps what is fused spills
};
const Form &form_for(DType t, Device device);

/// Of all ops made from these products.
inline constexpr const char *kProductOrder =
    "f32 and f64: one fma after the other, k (rows for the gradient of the matrices) ascending; bf16, f16 and fp8: "
    "tensor cores, blocks of k ascending, f32 sums";

} // namespace moec
