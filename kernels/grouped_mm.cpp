// Grouped matrix product: each expert's rows times its own matrix. Ragged groups, any M, N, K.
#include <vector>

#include "kernels/host.h"
#include "kernels/moe.h"
#include "kernels/registration.h"

namespace moec {

namespace kernel {
namespace {

struct GroupedMmSpec {
  int experts = 8, n = 2048, k = 2048;
  bool transposed = false; ///< b is [E, N, K], else [E, K, N]
  int bm = 64, bn = 128, bk = 64;
  static void fields(auto &s, auto &&f) {
    f("experts", s.experts), f("n", s.n), f("k", s.k), f("transposed", s.transposed), f("bm", s.bm), f("bn", s.bn),
        f("bk", s.bk);
  }
};

/// c[r, :] = a[r, :] * b[e] for the rows r of expert e; ends[e] is one past e's last row. Persistent: one flat loop
/// over all tiles.
void grouped_mm(const GroupedMmSpec &s, View a, View b, View c, View ends) {
  arg_names({"a", "b", "c", "offs"});
  Int M = a.size(0);
  a.expect({M, s.k}), c.expect({M, s.n}), ends.expect({s.experts});
  s.transposed ? b.expect({s.experts, s.n, s.k}) : b.expect({s.experts, s.k, s.n});
  grid(persistent());
  const int columns = cdiv(s.n, s.bn);
  DType wide = wide_dtype(a.dtype());
  auto [x, live] = lanes(s.experts);
  Tile last = load(ends(x), live),
       first = load(ends(x - 1), live & (x > 0)); // rows of each expert; padding lanes: none
  device_assert((first <= last) & (last <= M), "offs must not decrease nor pass the last row");
  Tile upto = cumsum(cdiv(last - first, s.bm)) * columns; // tiles up to and with each expert
  for (Int i : range(program_id(0), max(upto), num_programs(0))) {
    Tile done = upto <= i;
    Int e = sum(cast(done, i32)), j = i - max(where(done, upto, 0)); // expert, and tile within it
    Int begin = max(where(x == e, first, 0)), end = max(where(x == e, last, 0));
    Int row = begin + j / columns * s.bm, col = j % columns * s.bn;
    View rows = a.rows_before(end), weight = b.at(e), out = c.rows_before(end);
    Tile acc = zeros({s.bm, s.bn}, wide);
    for (Int k : range(0, s.k, s.bk)) {
      Tile left = load(rows.tile({row, k}, {s.bm, s.bk}));
      Tile right =
          s.transposed ? trans(load(weight.tile({col, k}, {s.bn, s.bk}))) : load(weight.tile({k, col}, {s.bk, s.bn}));
      acc = dot(left, right, acc);
    }
    store(out.tile({row, col}, {s.bm, s.bn}), cast(acc, c.dtype()));
  }
}

/// out[e] = a[rows of e]^T * grad[rows of e]: [K, N], or [N, K] if transposed.
void grouped_mm_backward_b(const GroupedMmSpec &s, View a, View grad, View out, View ends) {
  arg_names({"a", "grad", "grad_b", "offs"});
  Int M = a.size(0);
  a.expect({M, s.k}), grad.expect({M, s.n}), ends.expect({s.experts});
  s.transposed ? out.expect({s.experts, s.n, s.k}) : out.expect({s.experts, s.k, s.n});
  // Rows of the result are columns of x, its columns those of y.
  View x = s.transposed ? grad : a, y = s.transposed ? a : grad;
  const int height = s.transposed ? s.n : s.k, width = s.transposed ? s.k : s.n;
  grid(cdiv(width, s.bn), cdiv(height, s.bm), s.experts);
  Int col = program_id(0) * s.bn, row = program_id(1) * s.bm, e = program_id(2);
  Int begin = load(ends(e - 1), e > 0), end = load(ends(e));
  device_assert((begin >= 0) & (begin <= end) & (end <= M), "offs must not decrease nor pass the last row");
  View left = x.rows_before(end), right = y.rows_before(end);
  Tile acc = zeros({s.bm, s.bn}, wide_dtype(a.dtype()));
  for (Int r : range(begin, end, s.bk))
    acc = dot(trans(load(left.tile({r, row}, {s.bk, s.bm}))), load(right.tile({r, col}, {s.bk, s.bn})), acc);
  store(out.at(e).tile({row, col}, {s.bm, s.bn}), cast(acc, out.dtype()));
}

} // namespace
} // namespace kernel

namespace {

/// Tiles by static facts only, so that a batch never changes a sum.
struct Form {
  int bm, bn, bk;
  Schedule schedule;
};
constexpr Form kHalf{64, 128, 64, {.num_warps = 4, .num_stages = 3}},
    kSmallHalf{32, 128, 64, {.num_warps = 4, .num_stages = 2}}, kSingle{32, 64, 16, {.num_warps = 4, .num_stages = 2}},
    kDouble{32, 32, 16, {.num_warps = 4, .num_stages = 2}};

/// On the simulated GPU small tiles waste less on short groups.
const Form &form_for(DType t, Device device) {
  if (t == f64) return kDouble;
  if (t == f32) return kSingle;
  return device.is_cuda() ? kHalf : kSmallHalf;
}

template <class K> const K &scheduled(const K &half, const K &small, const K &single, DType t, Device device) {
  const Form &form = form_for(t, device);
  return &form == &kHalf ? half : &form == &kSmallHalf ? small : single;
}

kernel::GroupedMmSpec mm_spec(const char *what, int64_t experts, int64_t n, int64_t k, bool transposed,
                              const Form &form) {
  check_that(experts >= 1 && experts <= 4096, what, "the number of experts must be 1 to 4096");
  check_that(n >= 1 && k >= 1 && n < 1 << 30 && k < 1 << 30, what, "N and K must be 1 to 2^30");
  return {static_cast<int>(experts), static_cast<int>(n), static_cast<int>(k), transposed, form.bm, form.bn, form.bk};
}

void check_offs(const char *what, const Tensor &offs, int64_t experts) {
  check_shape(what, offs, {experts});
  check_dtype(what, offs, {i32});
}

} // namespace

Tensor grouped_mm(const Stream &stream, const Tensor &a, const Tensor &b, const Tensor &offs, bool transposed,
                  bool zero_tail) {
  check_rank("grouped_mm: a", a, 2);
  check_dtype("grouped_mm: a", a, {f32, bf16, f16, f64});
  transposed ? check_shape("grouped_mm: b", b, {-1, -1, a.size(1)})
             : check_shape("grouped_mm: b", b, {-1, a.size(1), -1});
  check_dtype("grouped_mm: b", b, {a.dtype()});
  check_offs("grouped_mm: offs", offs, b.size(0));
  const int64_t n = b.size(transposed ? 1 : 2);
  const Form &form = form_for(a.dtype(), stream.device());
  static const auto half = jit(kernel::grouped_mm, kHalf.schedule),
                    small = jit(kernel::grouped_mm, kSmallHalf.schedule),
                    single = jit(kernel::grouped_mm, kSingle.schedule);
  auto spec = mm_spec("grouped_mm", b.size(0), n, a.size(1), transposed, form);
  Dims shape{a.size(0), n};
  Tensor c =
      zero_tail ? Tensor::zeros(shape, a.dtype(), stream.device()) : Tensor::empty(shape, a.dtype(), stream.device());
  if (a.size(0) > 0) scheduled(half, small, single, a.dtype(), stream.device())(stream, spec, a, b, c, offs);
  return c;
}

Tensor grouped_mm_backward_b(const Stream &stream, const Tensor &a, const Tensor &grad, const Tensor &offs,
                             bool transposed) {
  check_rank("grouped_mm_backward_b: a", a, 2);
  check_dtype("grouped_mm_backward_b: a", a, {f32, bf16, f16, f64});
  check_shape("grouped_mm_backward_b: gradient", grad, {a.size(0), -1});
  check_dtype("grouped_mm_backward_b: gradient", grad, {a.dtype()});
  check_rank("grouped_mm_backward_b: offs", offs, 1);
  check_offs("grouped_mm_backward_b: offs", offs, offs.size(0));
  const int64_t experts = offs.size(0), k = a.size(1), n = grad.size(1);
  Form form = form_for(a.dtype(), stream.device());
  static const auto half = jit(kernel::grouped_mm_backward_b, kHalf.schedule),
                    small = jit(kernel::grouped_mm_backward_b, kSmallHalf.schedule),
                    single = jit(kernel::grouped_mm_backward_b, kSingle.schedule);
  auto spec = mm_spec("grouped_mm_backward_b", experts, n, k, transposed, form);
  Tensor out = Tensor::empty(transposed ? Dims{experts, n, k} : Dims{experts, k, n}, a.dtype(), stream.device());
  scheduled(half, small, single, a.dtype(), stream.device())(stream, spec, a, grad, out, offs);
  return out;
}

// -------------------------------------------------------------------------------------------------------------
// registration

static void run_grouped_mm(OpCall &c) {
  const Tensor &a = c.in("a"), &b = c.in("b"), &offs = c.in("offs");
  const bool transposed = c.text("b_layout") == "[E,N,K]";
  c.out("output", grouped_mm(c.stream(), a, b, offs, transposed, true));
  if (!c.has("grad_output")) return;
  const Tensor &grad = c.in("grad_output");
  if (c.wants({"grad_a"})) c.out("grad_a", grouped_mm(c.stream(), grad, b, offs, !transposed, true));
  if (c.wants({"grad_b"})) c.out("grad_b", grouped_mm_backward_b(c.stream(), a, grad, offs, transposed));
}

/// Inclusive sums of sizes on the host: this reference form reads them there, too.
static Tensor offs_of(const Stream &stream, const Tensor &sizes) {
  check_rank("unsloth_torch_grouped_gemm: m_sizes", sizes, 1);
  stream.synchronize();
  std::vector<int32_t> offs;
  double total = 0;
  for (double s : sizes.to_values()) offs.push_back(static_cast<int32_t>(total += s));
  return Tensor::from(offs, sizes.shape()).to(stream.device());
}

static void run_torch_grouped_gemm(OpCall &c) {
  const Tensor &x = c.in("x"), &w = c.in("w");
  check_shape("unsloth_torch_grouped_gemm: m_sizes", c.in("m_sizes"), {w.size(0)});
  Tensor offs = offs_of(c.stream(), c.in("m_sizes"));
  const bool transpose = c.flag("transpose");
  c.out("y", grouped_mm(c.stream(), x, w, offs, transpose, true));
  if (!c.has("grad_output")) return;
  const Tensor &grad = c.in("grad_output");
  if (c.wants({"grad_x"})) c.out("grad_x", grouped_mm(c.stream(), grad, w, offs, !transpose, true));
  if (c.wants({"grad_w"})) c.out("grad_w", grouped_mm_backward_b(c.stream(), x, grad, offs, transpose));
}

void register_grouped_mm(Library &l) {
  const std::vector<KernelSetting> sizes{{"M", "4096", "rows"}, {"dtype", "bf16", "of a, b and c"}};
  const KernelArgument a{"a", "[M, k]", "dtype"}, offs{"offs", "[experts]", "i32"};
  add_kernel(l, kernel::grouped_mm, "grouped_mm", "each expert's rows times its matrix", kHalf.schedule,
             {a, {"b", "[experts, k, n]", "dtype"}, {"c", "[M, n]", "dtype"}, offs}, sizes);
  add_kernel(l, kernel::grouped_mm_backward_b, "grouped_mm_backward_b", "gradient of the experts' matrices",
             kHalf.schedule, {a, {"grad", "[M, n]", "dtype"}, {"grad_b", "[experts, k, n]", "dtype"}, offs}, sizes);
  const char *order = "f32 and f64: one fma after the other, k (rows for grad_b) ascending; bf16 and f16: tensor "
                      "cores, blocks of k ascending, f32 sums";
  l.add_specializations({
      {"grouped_mm", "experts=128,k=2048,n=1536,bm=64,bn=128,bk=64", "Qwen3-30B-A3B, gate and up"},
      {"grouped_mm", "experts=128,k=768,n=2048,bm=64,bn=128,bk=64", "Qwen3-30B-A3B, down"},
      {"grouped_mm", "experts=8,k=4096,n=14336,bm=64,bn=128,bk=64,dtype=f16", "Mixtral 8x7B"},
      {"grouped_mm", "experts=8,k=2048,n=2048,bm=64,bn=128,bk=64", "benchmark"},
      {"grouped_mm", "experts=64,k=1024,n=1024,bm=32,bn=128,bk=64", "main job, small tiles", 4, 2},
      {"grouped_mm", "experts=8,k=64,n=192,bm=32,bn=64,bk=16,dtype=f32", "recorded layer", 4, 2},
      {"grouped_mm", "experts=4,k=33,n=47,bm=32,bn=64,bk=16,dtype=f32,M=19", "sizes that divide nothing", 4, 2},
      {"grouped_mm", "experts=4,k=64,n=64,bm=32,bn=32,bk=16,dtype=f64", "f64", 4, 2},
      {"grouped_mm_backward_b", "experts=128,k=2048,n=1536,bm=64,bn=128,bk=64", "Qwen3-30B-A3B"},
      {"grouped_mm_backward_b", "experts=4,k=32,n=48,bm=32,bn=64,bk=16,dtype=f32", "recorded case", 4, 2},
  });
  l.ops.push_back(
      {"grouped_mm",
       "each expert's rows times its own matrix",
       "output[r] = a[r] b[e] for offs[e-1] <= r < offs[e], 0 after the last; grad_a[r] = g[r] b[e]^T; grad_b[e] = "
       "a_e^T g_e",
       "torch._grouped_mm",
       order,
       {{"b_layout", OpParameter::Type::text, "[E,K,N]", "order of b's dimensions", {"[E,K,N]", "[E,N,K]"}}},
       {{"a", "[M, K]", "f32 bf16 f16 f64", "rows by expert"},
        {"b", "[E, K, N]", "a", "matrices, [E, N, K] if b_layout says so"},
        {"offs", "[E]", "i32", "one past each expert's last row"},
        {"grad_output", "[M, N]", "a", "gradient of output", false, true},
        {"output", "[M, N]", "a", "products", true, false, 2e-5, 8e-3},
        {"grad_a", "[M, K]", "a", "gradient of a", true, true, 2e-5, 8e-3},
        {"grad_b", "[E, K, N]", "a", "gradient of b", true, true, 2e-5, 8e-3}},
       {"grouped_mm", "grouped_mm_backward_b"},
       run_grouped_mm});
  l.ops.push_back(
      {"unsloth_torch_grouped_gemm",
       "grouped product by sizes",
       "y[r] = x[r] w[e]^T for the e-th group of m_sizes[e] rows, 0 after the last; transpose=false: x[r] w[e]",
       "unsloth kernels.moe.grouped_gemm.reference.moe_ops.torch_grouped_gemm",
       order,
       {{"transpose", OpParameter::Type::boolean, "true", "w is [E, N, K]"},
        {"w_layout", OpParameter::Type::text, "[E,N,K]", "order of w's dimensions", {"[E,N,K]"}}},
       {{"x", "[M, K]", "f32 bf16 f16 f64", "rows by expert"},
        {"w", "[E, N, K]", "x", "matrices"},
        {"m_sizes", "[E]", "i64 i32", "rows of each expert"},
        {"grad_output", "[M, N]", "x", "gradient of y", false, true},
        {"y", "[M, N]", "x", "products", true, false, 2e-5, 8e-3},
        {"grad_x", "[M, K]", "x", "gradient of x", true, true, 2e-5, 8e-3},
        {"grad_w", "[E, N, K]", "x", "gradient of w", true, true, 2e-5, 8e-3}},
       {"grouped_mm", "grouped_mm_backward_b"},
       run_torch_grouped_gemm});
}

} // namespace moec
