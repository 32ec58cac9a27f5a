// Whole kernels of the library's kind, as the recorder would write them.
#include "test/unit/interp/dtype.h"

using namespace moec;

namespace {

/// The kernel's text as written, after the tile passes, and with layouts: it must mean the same everywhere.
std::vector<std::string> stages(const std::string &text) {
  std::vector<std::string> all = {text};
  for (const char *emit : {"tile", "tilegpu"}) {
    std::string_view options = "target=sm_80;num_warps=1";
    MoecCompileRequest request{
        {text.data(), text.size()}, {options.data(), options.size()}, {emit, std::strlen(emit)}, 0};
    MoecCompileResult result{};
    EXPECT_EQ(moec_compiler_compile(&request, &result), MOEC_OK)
        << emit << ": " << std::string(result.diagnostics.data, result.diagnostics.size);
    all.emplace_back(result.output.data, result.output.size);
    moec_compiler_free(&result);
  }
  return all;
}

TEST(kernel, weighted_swiglu) {
  constexpr int T = 3, H = 10;
  std::mt19937_64 random(91);
  std::vector<uint16_t> x(T * 2 * H), w(T), y(T * H, 0xeeee);
  for (auto *v : {&x, &w})
    for (uint16_t &e : *v) e = bf16.nearest(std::ldexp(double(int64_t(random()) >> 11), -51));
  const std::string kernel = R"(
!x = !tile.view<bf16, sizes = [1, 1], strides = [1, 0], align = 2, wide = false>
tile.kernel @weighted_swiglu(%x: !x, %w: !x, %y: !x) {
  %T = tile.dim %y, 0 : !x
  %H = tile.dim %y, 1 : !x
  %1 = arith.constant 1 : i32
  %2 = arith.constant 2 : i32
  %0 = arith.constant 0 : i32
  %8 = arith.constant 8 : i32
  %H2 = arith.muli %H, %2 : i32
  tile.expect %x, [%T, %H2] : !x
  tile.expect %w, [%T, %1] : !x
  %blocks = arith.ceildivsi %H, %8 : i32
  tile.grid %T, %blocks
  %gate = tile.subview %x[%0, %0][%T, %H] : !x -> !x
  %up = tile.subview %x[%0, %H][%T, %H] : !x -> !x
  %t = tile.program_id 0
  %b = tile.program_id 1
  %begin = arith.muli %b, %8 : i32
  %first = tile.splat %begin : i32 -> tensor<8xi32>
  %lane = tile.arange 0 : tensor<8xi32>
  %c = arith.addi %first, %lane : tensor<8xi32>
  %g16 = tile.view_load %gate[%t, %c : i32, tensor<8xi32>] clip [false, true] : !x -> tensor<8xbf16>
  %g = tile.cast %g16 : tensor<8xbf16> -> tensor<8xf32>
  %u16 = tile.view_load %up[%t, %c : i32, tensor<8xi32>] clip [false, true] : !x -> tensor<8xbf16>
  %u = tile.cast %u16 : tensor<8xbf16> -> tensor<8xf32>
  %w16 = tile.view_load %w[%t, %0 : i32, i32] clip [false, false] : !x -> bf16
  %w32 = tile.cast %w16 : bf16 -> f32
  %wt = tile.splat %w32 : f32 -> tensor<8xf32>
  %s = tile.sigmoid %g : tensor<8xf32>
  %a = arith.mulf %g, %s : tensor<8xf32>
  %m = arith.mulf %a, %u : tensor<8xf32>
  %r32 = arith.mulf %m, %wt : tensor<8xf32>
  %r = tile.cast %r32 : tensor<8xf32> -> tensor<8xbf16>
  tile.view_store %y[%t, %c : i32, tensor<8xi32>], %r : tensor<8xbf16> clip [false, true] : !x
  tile.return
})";
  for (const std::string &text : stages(kernel)) {
    std::fill(y.begin(), y.end(), 0xeeee);
    Outcome o = Launch().view(x, {T, 2 * H}, {2 * H}).view(w, {T, 1}, {1}).view(y, {T, H}, {H}).grid(T, 2).run(text);
    ASSERT_EQ(o.diagnostics, "") << text;
    for (int t = 0; t < T; ++t)
      for (int c = 0; c < H; ++c) {
        float g = float(bf16.number(x[t * 2 * H + c])), u = float(bf16.number(x[t * 2 * H + H + c]));
        float s = float(1 / (1 + std::exp(-double(g))));
        EXPECT_EQ(y[t * H + c], bf16.nearest(g * s * u * float(bf16.number(w[t])))) << t << ", " << c << text;
      }
  }
}

TEST(kernel, indices_to_multihot) {
  // Each token's row of a [T, E] map and probabilities from its K indices (-1: none).
  constexpr int T = 4, K = 2, E = 6;
  std::vector<int64_t> indices = {0, 5, 3, -1, -1, -1, 2, 1};
  std::vector<float> probs = {.5f, .25f, 1, 9, 9, 9, .75f, .125f}, out(T * E, -1);
  std::vector<uint8_t> map(T * E, 9);
  const std::string kernel = R"(
!i = !tile.view<i64, sizes = [1, 1], strides = [1, 0], align = 8, wide = false>
!f = !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = false>
!b = !tile.view<i1, sizes = [1, 1], strides = [1, 0], align = 1, wide = false>
tile.kernel @indices_to_multihot(%indices: !i, %probs: !f, %map: !b, %out: !f) {
  %t = tile.program_id 0
  %k = tile.arange 0 : tensor<2xi32>
  %i = tile.view_load %indices[%t, %k : i32, tensor<2xi32>] clip [false, false] : !i -> tensor<2xi64>
  %p = tile.view_load %probs[%t, %k : i32, tensor<2xi32>] clip [false, false] : !f -> tensor<2xf32>
  %e = tile.arange 0 : tensor<8xi32>
  %e64 = tile.cast %e : tensor<8xi32> -> tensor<8xi64>
  %er = tile.expand_dims %e64, 0 : tensor<8xi64> -> tensor<1x8xi64>
  %ir = tile.expand_dims %i, 1 : tensor<2xi64> -> tensor<2x1xi64>
  %eb = tile.broadcast %er : tensor<1x8xi64> -> tensor<2x8xi64>
  %ib = tile.broadcast %ir : tensor<2x1xi64> -> tensor<2x8xi64>
  %hit = arith.cmpi eq, %ib, %eb : tensor<2x8xi64>
  %pr = tile.expand_dims %p, 1 : tensor<2xf32> -> tensor<2x1xf32>
  %pb = tile.broadcast %pr : tensor<2x1xf32> -> tensor<2x8xf32>
  %zero = arith.constant dense<0.0> : tensor<2x8xf32>
  %sel = arith.select %hit, %pb, %zero : tensor<2x8xi1>, tensor<2x8xf32>
  %row = "tile.reduce"(%sel) ({
  ^bb0(%a: f32, %b: f32):
    %s = arith.addf %a, %b : f32
    tile.yield %s : f32
  }) {axis = 0 : i32} : (tensor<2x8xf32>) -> tensor<8xf32>
  %any = "tile.reduce"(%hit) ({
  ^bb0(%a: i1, %b: i1):
    %s = arith.ori %a, %b : i1
    tile.yield %s : i1
  }) {axis = 0 : i32} : (tensor<2x8xi1>) -> tensor<8xi1>
  tile.view_store %map[%t, %e : i32, tensor<8xi32>], %any : tensor<8xi1> clip [false, true] : !b
  tile.view_store %out[%t, %e : i32, tensor<8xi32>], %row : tensor<8xf32> clip [false, true] : !f
  tile.return
})";
  for (const std::string &text : stages(kernel)) {
    std::fill(out.begin(), out.end(), -1.0f);
    std::fill(map.begin(), map.end(), 9);
    Outcome o = Launch()
                    .view(indices, {T, K}, {K})
                    .view(probs, {T, K}, {K})
                    .view(map, {T, E}, {E})
                    .view(out, {T, E}, {E})
                    .grid(T)
                    .run(text);
    ASSERT_EQ(o.diagnostics, "") << text;
    for (int t = 0; t < T; ++t)
      for (int e = 0; e < E; ++e) {
        float expected = 0;
        bool hit = false;
        for (int k = 0; k < K; ++k)
          if (indices[t * K + k] == e) expected = probs[t * K + k], hit = true;
        EXPECT_EQ(out[t * E + e], expected);
        EXPECT_EQ(map[t * E + e], hit) << text;
      }
  }
}

} // namespace
