// Conversion of dtypes, and the op that pins e4m3.
#include "kernels/convert.h"

#include <algorithm>
#include <fmt/format.h>

#include "kernels/host.h"
#include "kernels/registration.h"

namespace moec {

namespace kernel {
namespace {

struct ConvertSpec {
  int block = 1024; ///< elements per program
  static void fields(auto &s, auto &&f) { f("block", s.block); }
};

void convert(const ConvertSpec &s, View x, View y) {
  arg_names({"x", "y"});
  auto [n] = y.sizes<1>();
  x.expect({n});
  grid(cdiv(n, s.block));
  Tile i = program_id(0) * s.block + arange(s.block);
  store(y(i), cast(load(x(i)), y.dtype()));
}

/// y = x in row-major order.
void pack(const ConvertSpec &s, View x, View y) {
  arg_names({"x", "y"});
  auto [A, B, C, D] = x.sizes<4>();
  auto [n] = y.sizes<1>();
  grid(cdiv(n, s.block));
  Tile i = program_id(0) * s.block + arange(s.block), c = i / D, b = c / C;
  store(y(i), load(x(b / B, b % B, c % C, i % D), i < n));
}

} // namespace
} // namespace kernel

static constexpr Schedule kSchedule{.num_warps = 4};
static constexpr int64_t kMostAtOnce = int64_t{1} << 30; ///< a view's dimension has fewer than 2^31 elements

Tensor convert(const Stream &stream, const Tensor &x, DType dtype) {
  check_dtype("convert: x", x, {f32, bf16, f16, f64, e4m3, e5m2});
  check_that(is_float(dtype), "convert: dtype", "it is " + std::string(name(dtype)), "it must be a float dtype");
  static const auto run = jit(kernel::convert, kSchedule);
  Tensor y = Tensor::empty(x.shape(), dtype, stream);
  const int64_t n = x.numel();
  const Tensor from = packed(stream, x).reshape({n}), to = y.reshape({n});
  for (int64_t begin = 0; begin < n; begin += kMostAtOnce) {
    const int64_t end = std::min(n, begin + kMostAtOnce);
    run(stream, {}, from.slice(0, begin, end), to.slice(0, begin, end));
  }
  return y;
}

Tensor as_dtype(const Stream &stream, const Tensor &x, DType dtype) {
  return x.dtype() == dtype ? x : convert(stream, x, dtype);
}

/// x's elements in row-major order to y, [N].
static void pack(const Stream &stream, const Tensor &x, const Tensor &y) {
  Dims shape, strides; // without sizes of 1; dimensions that continue each other are one
  for (int d = 0; d < x.rank(); ++d) {
    if (x.size(d) == 1) continue;
    const int last = shape.rank() - 1;
    if (last >= 0 && strides[last] == x.size(d) * x.stride(d))
      shape[last] *= x.size(d), strides[last] = x.stride(d);
    else
      shape.push_back(x.size(d)), strides.push_back(x.stride(d));
  }
  check_that(shape.rank() <= 4 && x.numel() < int64_t{1} << 31, "copy a tensor of other strides", "it is " + x.text(),
             "call contiguous() first");
  Dims whole;
  for (int d = shape.rank(); d < 4; ++d) whole.push_back(1);
  for (int64_t size : shape) whole.push_back(size);
  static const auto run = jit(kernel::pack, kSchedule);
  run(stream, {}, x.reshape(whole), y);
}

Tensor packed(const Stream &stream, const Tensor &x) {
  check_that(x.defined(), "packed: x", "it is missing", "give a tensor");
  if (x.is_contiguous()) return x;
  Tensor y = Tensor::empty(x.shape(), x.dtype(), stream);
  pack(stream, x, y.reshape({y.numel()}));
  return y;
}

Tensor stack(const Stream &stream, std::span<const Tensor> tensors) {
  check_that(!tensors.empty(), "stack: tensors", "there are none", "give one or more");
  const Tensor &first = tensors.front();
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::string what = fmt::format("stack: tensor {}", i);
    check_dtype(what, tensors[i], {first.dtype()});
    check_shape(what, tensors[i], first.shape());
  }
  Dims shape{static_cast<int64_t>(tensors.size())};
  for (int64_t size : first.shape()) shape.push_back(size);
  Tensor y = Tensor::empty(shape, first.dtype(), stream);
  for (size_t i = 0; i < tensors.size(); ++i)
    pack(stream, tensors[i], y.select(0, static_cast<int64_t>(i)).reshape({first.numel()}));
  return y;
}

static void run_roundtrip(OpCall &c) {
  const Tensor &x = c.in("x");
  Tensor codes = convert(c.stream(), x, e4m3);
  c.out("fp8", codes.bitcast(u8));
  c.out("roundtrip", convert(c.stream(), codes, x.dtype()));
  if (c.wants({"roundtrip_from_bf16"}))
    c.out("roundtrip_from_bf16",
          convert(c.stream(), convert(c.stream(), convert(c.stream(), x, bf16), e4m3), x.dtype()));
}

void register_convert(Library &l) {
  add_kernel(l, kernel::convert, "convert", "y = x in another dtype", kSchedule,
             {{"x", "[N]", "dtype"}, {"y", "[N]", "to"}},
             {{"N", "4096", "elements"}, {"dtype", "f32", "of x"}, {"to", "e4m3", "of y"}});
  add_kernel(l, kernel::pack, "pack", "a tensor in row-major order", kSchedule,
             {{"x", "[A, B, C, D]", "dtype"}, {"y", "[A*B*C*D]", "dtype"}},
             {{"A", "1", "sizes"},
              {"B", "4096", "sizes"},
              {"C", "8", "sizes"},
              {"D", "1", "sizes"},
              {"dtype", "i64", "of both"}});
  l.add_specializations({{"pack", "", "Qwen3-30B-A3B, experts of tokens"},
                         {"pack", "A=3,B=5,C=7,D=2,dtype=f64", "odd sizes, f64"},
                         {"convert", "N=8388608,dtype=bf16,to=e4m3", "fp8 products"},
                         {"convert", "N=29,dtype=e4m3,to=f32", "recorded case"},
                         {"convert", "N=29,dtype=f64,to=e4m3", "recorded case, f64"}});
  l.ops.push_back(
      {"fp8_e4m3fn_roundtrip",
       "x to e4m3 and back",
       "round to nearest even, 3 mantissa bits, subnormals down to 2^-9, saturating at 448 (infinities too)",
       "torch.Tensor.to(torch.float8_e4m3fn), torch 2.15",
       "exact",
       {},
       {{"x", "[...]", "f32 bf16 f16 f64", "values"},
        {"fp8", "[...]", "u8", "codes of e4m3", true},
        {"roundtrip", "[...]", "x", "their values", true},
        {"roundtrip_from_bf16", "[...]", "x", "the same for x rounded to bf16 first", true}},
       {"convert"},
       {"convert", "as_dtype"},
       run_roundtrip});
}

} // namespace moec
