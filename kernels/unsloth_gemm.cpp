// Unsloth's grouped products, over grouped_mm.
#include "kernels/unsloth_gemm.h"

#include "kernels/convert.h"
#include "kernels/grouped_mm.h"
#include "kernels/grouped_mm_forms.h"
#include "kernels/host.h"
#include "kernels/registration.h"

namespace moec {

namespace kernel {
namespace {

struct SumSlotsSpec {
  int topk = 8, cols = 2048, block = 1024;
  static void fields(auto &s, auto &&f) { f("topk", s.topk), f("cols", s.cols), f("block", s.block); }
};

/// y[t, :] = sum over k ascending of rows[t * topk + k, :].
void sum_slots(const SumSlotsSpec &s, View rows, View y) {
  arg_names({"rows", "y"});
  Int T = y.size(0);
  y.expect({T, s.cols}), rows.expect({T * s.topk, s.cols});
  grid(T, cdiv(s.cols, s.block));
  Int t = program_id(0);
  Tile col = program_id(1) * s.block + arange(s.block), sum = zeros({s.block}, wide_dtype(y.dtype()));
  for (int k = 0; k < s.topk; ++k) sum += cast(load(rows(t * s.topk + k, col)), sum.dtype());
  store(y(t, col), cast(sum, y.dtype()));
}

} // namespace
} // namespace kernel

Tensor torch_grouped_gemm(const Stream &stream, const Tensor &x, const Tensor &w, const Tensor &m_sizes,
                          bool transpose) {
  check_rank("torch_grouped_gemm: w", w, 3);
  check_shape("torch_grouped_gemm: m_sizes", m_sizes, {w.size(0)});
  return grouped_mm(stream, as_matrix(stream, "torch_grouped_gemm: x", x), w, m_sizes,
                    {.transposed = transpose, .sizes = true, .zero_tail = true});
}

namespace {

constexpr const char *kGemm = "unsloth_grouped_gemm";

/// w as [E, N, K].
Tensor stacked(const Tensor &w, const Tensor &m_sizes) {
  check_rank("unsloth_grouped_gemm: m_sizes", m_sizes, 1);
  const int64_t experts = m_sizes.size(0);
  if (w.rank() != 2) {
    check_shape("unsloth_grouped_gemm: w", w, {experts, -1, -1});
    return w;
  }
  check_tensor(experts > 0 && w.size(0) % experts == 0, {kGemm, "w"}, w, "its rows must be E*N for m_sizes [E]");
  return w.reshape({experts, w.size(0) / experts, w.size(1)});
}

/// Of x as a matrix and w [E, N, K].
void check_options(const Tensor &x, const Tensor &w, const UnslothGemmOptions &o) {
  check_shape("unsloth_grouped_gemm: x", x, {-1, w.size(2)});
  check_range(kGemm, "topk", o.topk, 1);
  check_that(!(o.permute_x && o.permute_y), kGemm, "permute_x and permute_y are both set",
             "the first product permutes x, the second y");
  check_that(!o.permute_x || o.is_first_gemm, kGemm, "permute_x in the second product", "only the first permutes x");
  check_that(!o.permute_y || !o.is_first_gemm, kGemm, "permute_y in the first product", "only the second permutes y");
  check_that(!o.fuse_mul_post || o.permute_y, kGemm, "fuse_mul_post without permute_y",
             "weights are multiplied in the second product, which permutes y");
  check_that(!o.fuse_mul_post || o.topk_weights.defined(), kGemm, "fuse_mul_post without topk_weights",
             "pass topk_weights");
  if (!o.permute_x && !o.permute_y) return;
  const int64_t rows = o.permute_x ? x.size(0) * o.topk : x.size(0);
  check_shape("unsloth_grouped_gemm: gather_indices", o.gather_indices, {rows});
  if (o.fuse_mul_post && o.topk_weights.numel() != rows)
    check_tensor(false, {kGemm, "topk_weights"}, o.topk_weights,
                 "it must have a weight for each of the " + std::to_string(rows) + " slots");
}

/// The product's form: all rows of the result are defined, those after the last group are 0.
GroupedMmOptions product(const UnslothGemmOptions &o) {
  GroupedMmOptions p{.transposed = true, .sizes = true, .zero_tail = true};
  if (o.permute_x) p.gather = o.gather_indices, p.divide = o.topk;
  if (o.permute_y) p.scatter = o.gather_indices;
  return p;
}

} // namespace

Tensor unsloth_grouped_gemm(const Stream &stream, const Tensor &x, const Tensor &w, const Tensor &m_sizes,
                            const UnslothGemmOptions &o) {
  const Tensor rows = as_matrix(stream, "unsloth_grouped_gemm: x", x), matrices = stacked(w, m_sizes);
  check_options(rows, matrices, o);
  GroupedMmOptions p = product(o);
  if (o.fuse_mul_post) {
    p.row_weights = packed(stream, o.topk_weights).reshape({-1});
    p.weights_by_slot = p.round_before_weights = true;
  }
  return grouped_mm(stream, rows, matrices, m_sizes, p);
}

/// Each token's rows [T*topk, D] summed, in the shape of the tokens [..., D].
static Tensor summed_slots(const Stream &stream, const Tensor &rows, const Dims &shape, int topk) {
  static const auto run = jit(kernel::sum_slots, {.num_warps = 4});
  Tensor sums = Tensor::empty(shape, rows.dtype(), stream);
  const int cols = static_cast<int>(rows.size(1));
  if (rows.size(0) > 0)
    run(stream, kernel::SumSlotsSpec{.topk = topk, .cols = cols, .block = block_for(cols, 1024)}, rows,
        as_matrix(stream, "unsloth_grouped_gemm: gradient", sums));
  return sums;
}

UnslothGemmGrads unsloth_grouped_gemm_backward(const Stream &stream, const Tensor &grad, const Tensor &x,
                                               const Tensor &w, const Tensor &m_sizes, const UnslothGemmOptions &o,
                                               bool of_x, bool of_w) {
  const Tensor rows = as_matrix(stream, "unsloth_grouped_gemm: x", x), matrices = stacked(w, m_sizes);
  check_options(rows, matrices, o);
  check_that(!o.fuse_mul_post, kGemm, "fuse_mul_post has no backward", "it is for inference");
  const GroupedMmOptions forward = product(o);
  UnslothGemmGrads g;
  if (of_w) g.w = grouped_mm_backward_b(stream, rows, grad, m_sizes, forward);
  if (of_w && w.rank() == 2) g.w = g.w.reshape(w.shape());
  if (!of_x) return g;
  GroupedMmOptions p{.sizes = true, .zero_tail = true};
  if (o.permute_x) p.scatter = o.gather_indices;
  if (o.permute_y) p.gather = o.gather_indices;
  g.x_rows = grouped_mm(stream, grad, matrices, m_sizes, p);
  g.x = o.permute_x && o.topk > 1 ? summed_slots(stream, g.x_rows, x.shape(), o.topk) : g.x_rows.reshape(x.shape());
  return g;
}

// -------------------------------------------------------------------------------------------------------------
// registration

static void run_torch_grouped_gemm(OpCall &c) {
  const Tensor &x = c.in("x"), &w = c.in("w"), &sizes = c.in("m_sizes");
  const bool transpose = c.flag("transpose");
  c.out("y", torch_grouped_gemm(c.stream(), x, w, sizes, transpose));
  if (!c.has("grad_output")) return;
  c.backward([&c, x, w, sizes, transpose] {
    const Tensor &grad = c.in("grad_output");
    if (c.wants({"grad_x"}))
      c.out("grad_x", torch_grouped_gemm(c.stream(), grad, w, sizes, !transpose).reshape(x.shape()));
    if (c.wants({"grad_w"}))
      c.out("grad_w", grouped_mm_backward_b(c.stream(), as_matrix(c.stream(), "torch_grouped_gemm: x", x), grad, sizes,
                                            {.transposed = transpose, .sizes = true}));
  });
}

static void run_unsloth_grouped_gemm(OpCall &c) {
  const Tensor &x = c.in("x"), &w = c.in("w"), &sizes = c.in("m_sizes");
  UnslothGemmOptions o{.topk = static_cast<int>(c.integer("topk"))};
  if (c.has("gather_indices")) o.gather_indices = c.in("gather_indices");
  if (c.has("topk_weights")) o.topk_weights = c.in("topk_weights");
  o.permute_x = c.flag("permute_x"), o.permute_y = c.flag("permute_y"), o.fuse_mul_post = c.flag("fuse_mul_post");
  o.is_first_gemm = c.text("is_first_gemm") == "auto" ? !o.permute_y : c.text("is_first_gemm") == "true";
  const bool dx_only = c.flag("dX_only"), dw_only = c.flag("dW_only");
  check_that(!(dx_only && dw_only), kGemm, "dX_only and dW_only are both set", "set at most one");
  if (c.wants({"y"})) c.out("y", unsloth_grouped_gemm(c.stream(), x, w, sizes, o));
  if (!c.has("grad_output")) return;
  const bool of_x = !dw_only && c.wants({"grad_x", "grad_x_kernel"}), of_w = !dx_only && c.wants({"grad_w"});
  c.backward([&c, x, w, sizes, o, of_x, of_w] {
    UnslothGemmGrads g = unsloth_grouped_gemm_backward(c.stream(), c.in("grad_output"), x, w, sizes, o, of_x, of_w);
    if (of_x) c.out("grad_x", g.x), c.out("grad_x_kernel", g.x_rows);
    if (of_w) c.out("grad_w", g.w);
  });
}

static void register_torch_form(Library &l) {
  l.ops.push_back(
      {"unsloth_torch_grouped_gemm",
       "grouped product by sizes",
       "y[r] = x[r] w[e]^T for the e-th group of m_sizes[e] rows, 0 after the last; transpose=false: x[r] w[e]",
       "unsloth kernels.moe.grouped_gemm.reference.moe_ops.torch_grouped_gemm",
       kProductOrder,
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
       {"torch_grouped_gemm", "grouped_mm_backward_b"},
       run_torch_grouped_gemm});
}

void register_unsloth_gemm(Library &l) {
  using Type = OpParameter::Type;
  register_torch_form(l);
  add_kernel(l, kernel::sum_slots, "sum_slots", "each token's rows, summed", {.num_warps = 4},
             {{"rows", "[T*topk, cols]", "dtype"}, {"y", "[T, cols]", "dtype"}},
             {{"T", "4096", "tokens"}, {"dtype", "bf16", "of both"}});
  l.add_specializations({{"sum_slots", "topk=8,cols=2048", "Qwen3-30B-A3B"},
                         {"sum_slots", "topk=3,cols=33,block=64,T=7,dtype=f64", "sizes that divide nothing, f64"}});
  l.ops.push_back(
      {"unsloth_grouped_gemm",
       "grouped product with the rows' permutation and weights",
       "y[o(i)] = x[p(i)] w[e]^T for the rows i of e's group; permute_x: p(i) = gather[i] / topk, permute_y: o(i) = "
       "gather[i], else i; fuse_mul_post: round(round(y[s]) * round(topk_weights[s])); grad_x_kernel: by row or slot, "
       "grad_x: summed over a token's slots",
       "unsloth kernels.moe.grouped_gemm.interface.grouped_gemm",
       kProductOrder,
       {{"topk", Type::integer, "1", "slots of a token"},
        {"permute_x", Type::boolean, "false", "first product: rows of x by gather_indices"},
        {"permute_y", Type::boolean, "false", "second product: rows of y by gather_indices"},
        {"fuse_mul_post", Type::boolean, "false", "second product: y times topk_weights"},
        {"is_first_gemm", Type::text, "auto", "auto: unless permute_y", {"auto", "true", "false"}},
        {"dX_only", Type::boolean, "false", "no gradient of w"},
        {"dW_only", Type::boolean, "false", "no gradient of x"},
        {"w_layout", Type::text, "[E,N,K]", "order of w's dimensions", {"[E,N,K]"}}},
       {{"x", "[X, K]", "f32 bf16 f16 f64", "tokens with permute_x, else rows by expert"},
        {"w", "[E, N, K]", "x", "matrices, or [E*N, K]"},
        {"m_sizes", "[E]", "i64 i32", "rows of each expert"},
        {"gather_indices", "[M]", "i64 i32", "slot of each row", false, true},
        {"topk_weights", "[M]", "f32 bf16 f16 f64", "weight of each slot", false, true},
        {"grad_output", "[M, N]", "x", "gradient of y", false, true},
        {"y", "[M, N]", "x", "products", true, false, 2e-5, 8e-3},
        {"grad_x_kernel", "[M, K]", "x", "gradient of the rows", true, true, 2e-5, 8e-3},
        {"grad_x", "[X, K]", "x", "gradient of x", true, true, 2e-5, 8e-3},
        {"grad_w", "[E, N, K]", "x", "gradient of w", true, true, 2e-5, 8e-3}},
       {"grouped_mm", "grouped_mm_backward_b", "sum_slots"},
       {"unsloth_grouped_gemm", "unsloth_grouped_gemm_backward"},
       run_unsloth_grouped_gemm});
}

} // namespace moec
