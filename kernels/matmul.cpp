// Dense matrix product: router logits and their gradients.
#include "kernels/matmul.h"

#include "kernels/host.h"
#include "kernels/registration.h"

namespace moec {

namespace kernel {
namespace {

struct MatmulSpec {
  bool transpose_a = false, transpose_b = true;
  bool biased = false;
  int bm = 64, bn = 64, bk = 64;
  static void fields(auto &s, auto &&f) {
    f("transpose_a", s.transpose_a), f("transpose_b", s.transpose_b), f("biased", s.biased), f("bm", s.bm),
        f("bn", s.bn), f("bk", s.bk);
  }
};

void matmul(const MatmulSpec &s, View a, View b, View bias, View c) {
  arg_names({"a", "b", "bias", "c"});
  auto [M, N] = c.sizes<2>();
  Int K = a.size(s.transpose_a ? 0 : 1);
  s.transpose_a ? a.expect({K, M}) : a.expect({M, K});
  s.transpose_b ? b.expect({N, K}) : b.expect({K, N});
  if (s.biased) bias.expect({N});
  grid(cdiv(N, s.bn), cdiv(M, s.bm));
  Int col = program_id(0) * s.bn, row = program_id(1) * s.bm;
  DType wide = wide_dtype(a.dtype());
  Tile acc = zeros({s.bm, s.bn}, wide);
  for (Int k : range(0, K, s.bk)) {
    Tile left = s.transpose_a ? trans(load(a.tile({k, row}, {s.bk, s.bm}))) : load(a.tile({row, k}, {s.bm, s.bk}));
    Tile right = s.transpose_b ? trans(load(b.tile({col, k}, {s.bn, s.bk}))) : load(b.tile({k, col}, {s.bk, s.bn}));
    acc = dot(left, cast(right, a.dtype()), acc);
  }
  if (s.biased) acc = acc + cast(load(bias(col + arange(s.bn))), wide);
  store(c.tile({row, col}, {s.bm, s.bn}), cast(acc, c.dtype()));
}

} // namespace
} // namespace kernel

// One form per dtype, so that a batch never changes a sum.
static constexpr Schedule kHalf{.num_warps = 4, .num_stages = 3}, kWide{.num_warps = 4, .num_stages = 2};

Tensor matmul(const Stream &stream, const Tensor &a, const Tensor &b, const MatmulOptions &options) {
  check_rank("matmul: a", a, 2);
  check_rank("matmul: b", b, 2);
  check_dtype("matmul: a", a, {f32, bf16, f16, f64});
  check_dtype("matmul: b", b, {f32, bf16, f16, f64});
  const int64_t m = a.size(options.transpose_a ? 1 : 0), k = a.size(options.transpose_a ? 0 : 1),
                n = b.size(options.transpose_b ? 0 : 1);
  options.transpose_b ? check_shape("matmul: b", b, {-1, k}) : check_shape("matmul: b", b, {k, -1});
  const bool biased = options.bias.defined();
  if (biased)
    check_shape("matmul: bias", options.bias, {n}), check_dtype("matmul: bias", options.bias, {f32, bf16, f16, f64});
  static const auto half = jit(kernel::matmul, kHalf), wide = jit(kernel::matmul, kWide);
  kernel::MatmulSpec spec{options.transpose_a, options.transpose_b, biased};
  const bool low = size_bytes(a.dtype()) == 2;
  if (!low) spec.bm = 32, spec.bn = a.dtype() == f64 ? 32 : 64, spec.bk = 16;
  Tensor c = Tensor::empty({m, n}, options.dtype.value_or(a.dtype()), stream);
  check_dtype("matmul: result", c, {f32, bf16, f16, f64});
  (low ? half : wide)(stream, spec, a, b, or_empty(stream, options.bias, 1), c);
  return c;
}

void register_matmul(Library &l) {
  const std::vector<KernelSetting> sizes{{"M", "4096", "rows of c"},
                                         {"N", "128", "columns of c"},
                                         {"K", "2048", "summed over"},
                                         {"dtype", "bf16", "of a, b and c"},
                                         {"weight", "bf16", "dtype of b"}};
  add_kernel(l, kernel::matmul, "matmul", "dense matrix product", kHalf,
             {{"a", "[M, K]", "dtype"}, {"b", "[N, K]", "weight"}, {"bias", "[N]", "f32"}, {"c", "[M, N]", "dtype"}},
             sizes);
  l.add_specializations({
      {"matmul", "biased=true", "Qwen3-30B-A3B, router"},
      {"matmul", "N=256,K=7168,weight=f32", "DeepSeek-V3, router with f32 weights"},
      {"matmul", "M=11,N=8,K=16,bm=32,bk=16,dtype=f32,weight=f32", "recorded case", 4, 2},
      {"matmul", "M=9,N=10,K=13,bm=32,bn=32,bk=16,dtype=f64,weight=f64,biased=true", "f64", 4, 2},
  });
}

} // namespace moec
