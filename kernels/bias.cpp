// Biases by expert: added to routed rows, and their gradient, summed in one fixed order with compensation.
#include "kernels/bias.h"

#include <algorithm>
#include <fmt/format.h>

#include "kernels/activation_kernels.h"
#include "kernels/convert.h"
#include "kernels/host.h"
#include "kernels/registration.h"
#include "kernels/rounding.h"
#include "kernels/row_range.h"

namespace moec {

namespace kernel {
namespace {

struct BiasSpec {
  int experts = 128;
  RowsOfExperts::Kind kind = RowsOfExperts::Kind::counts;
  bool weighted = false;      ///< there are probs
  int rows = 1, block = 2048; ///< tile of rows and columns
  static void fields(auto &s, auto &&f) {
    f("experts", s.experts), f("kind", s.kind), f("weighted", s.weighted), f("rows", s.rows), f("block", s.block);
  }
};

/// Programs that share an expert's rows: about one for `each` of them; one if there are none, as it checks the counts.
Int sharing(const Int &rows, int experts, int each) { return rows / (experts * each) + 1; }
constexpr int kAddedRows = 64, // few programs read the same piece of a bias
    kSharedRows = 1024;        // of one atomic addition

/// out[n] = value[n] + bias[e(n)] (* probs[n]). A program holds its columns of one expert's bias.
void apply_bias(const BiasSpec &s, View value, View bias, View groups, View probs, View out) {
  arg_names({"value", "bias", "groups", "probs", "output"});
  auto [N, F] = value.sizes<2>();
  out.expect({N, F}), bias.expect({s.experts, F});
  if (s.weighted) probs.expect({N, 1});
  grid(cdiv(F, s.block), s.experts, sharing(N, s.experts, kAddedRows));
  Int col = program_id(0) * s.block, e = program_id(1);
  RowRange own = rows_of_expert(groups, s.kind, e, s.experts, N);
  DType wide = wide_dtype({value.dtype(), bias.dtype(), probs.dtype()});
  View from = value.rows_before(own.end), to = out.rows_before(own.end),
       weights = s.weighted ? probs.rows_before(own.end) : probs;
  Int first = own.begin + program_id(2) * s.rows;
  Tile b = expand_dims(cast(load(bias(e, col + arange(s.block)), first < own.end), wide), 0);
  for (Int r : range(first, own.end, num_programs(2) * s.rows)) {
    Tile v = cast(load(from.tile({r, col}, {s.rows, s.block})), wide);
    Tile added = b;
    if (s.weighted)
      added = rounded(b * cast(load(weights.tile({r, 0}, {s.rows, 1})), wide), promoted(bias.dtype(), probs.dtype()));
    store(to.tile({r, col}, {s.rows, s.block}), cast(v + added, out.dtype()));
  }
}

constexpr int kRowsAtOnce = 16;

struct BiasGradSpec {
  int experts = 128;
  RowsOfExperts::Kind kind = RowsOfExperts::Kind::counts;
  bool weighted = false; ///< there are probs
  bool dots = false;     ///< and products, for their gradient
  BiasSum sum = BiasSum::kahan;
  int block = 128; ///< columns per program
  int rows = 128;  ///< of a sum
  static void fields(auto &s, auto &&f) {
    f("experts", s.experts), f("kind", s.kind), f("weighted", s.weighted), f("dots", s.dots), f("sum", s.sum),
        f("block", s.block), f("rows", s.rows);
  }
};

/// out[e] = sum over the rows n of e of grad[n] (* probs[n]); with atomics it is added to. products[p, n] = sum of
/// grad[n] * bias[e(n)] over the columns p * block .. (p + 1) * block.
void bias_grad(const BiasGradSpec &s, View grad, View bias, View groups, View probs, View out, View products) {
  arg_names({"grad", "bias", "groups", "probs", "grad_bias", "products"});
  auto [N, F] = grad.sizes<2>();
  Tile parts = cdiv(F, s.block);
  out.expect({s.experts, F});
  if (s.weighted) probs.expect({N, 1});
  if (s.dots) bias.expect({s.experts, F}), products.expect({parts, N});
  const bool shared = s.sum == BiasSum::atomic;
  Int sharers = shared ? sharing(N, s.experts, kSharedRows) : Int(1);
  grid(cdiv(F, s.block), s.experts, sharers);
  Int part = program_id(0), col = part * s.block, e = program_id(1);
  RowRange own = rows_of_expert(groups, s.kind, e, s.experts, N);
  Int begin = own.begin + program_id(2) * s.rows;
  DType wide = s.sum == BiasSum::f64 ? f64 : wide_dtype({grad.dtype(), probs.dtype(), out.dtype()});
  View from = grad.rows_before(own.end), weights = s.weighted ? probs.rows_before(own.end) : probs,
       to = s.dots ? products.cols_before(own.end) : products;
  Tile b;
  if (s.dots) b = cast(load(bias(e, col + arange(s.block)), begin < own.end), products.dtype());
  Tile total = zeros({s.block}, wide), excess = zeros({s.block}, wide);
  for (Int r : range(begin, own.end, sharers * s.rows)) {
    // Rows r+i, ..., added as a balanced tree: 16 at a time, so that a few loads are under way together.
    const int at_once = std::min(s.rows, kRowsAtOnce);
    auto rows = [&](auto &self, int i, int n) -> Tile {
      if (n > at_once) {
        Tile first = self(self, i, n / 2), second = self(self, i + n / 2, n / 2);
        return first + second;
      }
      Int row = minimum(r + i, own.end);
      Tile g = load(from.tile({row, col}, {at_once, s.block})), v = cast(g, wide);
      if (s.dots)
        store(to.tile({part, row}, {1, at_once}),
              expand_dims(sum(rounded(cast(g, products.dtype()) * b, promoted(bias.dtype(), probs.dtype())), 1), 0));
      if (!s.weighted) return v;
      Tile weight = cast(load(weights.tile({row, 0}, {at_once, 1})), wide);
      return rounded(v * weight, promoted(out.dtype(), probs.dtype()));
    };
    Tile block = sum(rows(rows, 0, s.rows), 0);
    if (s.sum == BiasSum::kahan) {
      Tile lacking = block - excess, next = total + lacking;
      excess = next - total - lacking; // what the addition rounded away, with its sign turned
      total = next;
    } else {
      total += block;
    }
  }
  Tile c = arange(s.block);
  if (shared)
    atomic_add(out(e, col + c), total, (begin < own.end) & (col + c < F));
  else
    store(out(e, col + c), cast(total, out.dtype()));
}

} // namespace
} // namespace kernel

namespace {
constexpr Schedule kSchedule{.num_warps = 4}, kWide{.num_warps = 16};
constexpr int kElements = 2048; // of a tile

/// The operands of one call, as the kernels take them.
struct BiasCall {
  Tensor rows;  ///< value or grad [N, F]
  Tensor probs; ///< [N, 1], or one of no rows
  Tensor groups;
  kernel::BiasSpec spec;
};

BiasCall bias_call(const Stream &stream, const char *what, const Tensor &rows, const RowsOfExperts &groups,
                   const Tensor &probs) {
  auto tensor = [&](const char *name) { return Asked(what, name); };
  check_tensor(rows.defined() && rows.rank() >= 1, tensor("rows"), rows, "it must have 1 dimension or more");
  check_dtype(tensor("rows"), rows, {f32, bf16, f16, f64});
  const int64_t features = rows.size(-1);
  check_columns(tensor("rows"), features);
  Tensor grouping = groups.groups;
  if (groups.kind == RowsOfExperts::Kind::one) {
    grouping = Tensor::empty({0}, i32, stream);
  } else {
    const bool ends = groups.kind == RowsOfExperts::Kind::ends;
    const Asked name = tensor(ends ? "offs" : "tokens_per_expert");
    check_rank(name, grouping, 1);
    ends ? check_dtype(name, grouping, {i32, i64}) : check_dtype(name, grouping, {i8, u8, i32, i64});
  }
  const int64_t experts = groups.groups.defined() ? grouping.size(0) : 1, n = rows.numel() / features;
  check_experts(what, experts);
  BiasCall call{
      as_matrix(stream, tensor("rows"), rows), or_empty(stream, probs, 2, wide_dtype(rows.dtype())), grouping, {}};
  if (probs.defined()) {
    check_dtype(tensor("probs"), probs, {f32, bf16, f16, f64});
    if (probs.rank() == 1)
      check_shape(tensor("probs"), probs, {n}), call.probs = packed(stream, probs).reshape({n, 1});
    else
      check_shape(tensor("probs"), probs, {n, 1});
  }
  const int e = static_cast<int>(experts);
  call.spec = {e, groups.kind, probs.defined()};
  call.spec.block = block_for(features, kElements);
  call.spec.rows = kElements / call.spec.block;
  return call;
}

void check_bias(const char *what, const Tensor &bias, const BiasCall &call) {
  check_shape(what, bias, {call.spec.experts, call.rows.size(1)});
  check_dtype(what, bias, {f32, bf16, f16, f64});
}
} // namespace

Tensor apply_bias(const Stream &stream, const Tensor &value, const Tensor &bias, const RowsOfExperts &rows,
                  const Tensor &probs) {
  if (!bias.defined()) return value;
  BiasCall call = bias_call(stream, "apply_bias", value, rows, probs);
  check_bias("apply_bias: bias", bias, call);
  static const auto run = jit(kernel::apply_bias, kSchedule);
  Tensor out = Tensor::empty(call.rows.shape(), value.dtype(), stream);
  run(stream, call.spec, call.rows, bias, call.groups, call.probs, out);
  return out.reshape(value.shape());
}

/// The gradient of the bias and, if that is given, of the probs.
static BiasGrads gradients(const Stream &stream, const BiasCall &call, const Tensor &bias, const Tensor &probs,
                           const BiasGradOptions &options) {
  static const auto run = jit(kernel::bias_grad, kSchedule), run_wide = jit(kernel::bias_grad, kWide);
  const Tensor &grad = call.rows;
  const int64_t features = grad.size(1);
  kernel::BiasGradSpec spec{call.spec.experts, call.spec.kind, probs.defined(), probs.defined() && bias.defined(),
                            options.sum};
  spec.rows = options.block_rows;
  check_that(options.sum <= BiasSum::atomic, "bias_grad: sum", "it is none of BiasSum's values",
             "give kahan, f64 or atomic");
  check_that(spec.rows >= 1 && spec.rows <= 256 && next_pow2(spec.rows) == spec.rows, "bias_grad: block_rows",
             fmt::format("it is {}", spec.rows), "give a power of two up to 256");
  // Programs share the probs, and each adds to what the probs' gradient is summed from.
  const int bytes = !spec.weighted ? 256 : grad.dtype() == f64 ? 512 : 1024; // what registers hold
  spec.block = block_for(features, bytes / static_cast<int>(size_bytes(grad.dtype())));
  const DType dtype = options.dtype.value_or(grad.dtype());
  BiasGrads out{{}, {}, Tensor::empty({spec.experts, features}, dtype, stream)};
  check_dtype("bias_grad: result", out.bias, {f32, bf16, f16, f64});
  const bool loose = options.sum == BiasSum::atomic;
  const DType wide = wide_dtype({grad.dtype(), call.probs.dtype(), dtype});
  Tensor sums = loose ? Tensor::zeros(out.bias.shape(), wide, stream) : out.bias;
  Tensor products;
  if (spec.dots) {
    products = Tensor::empty({cdiv(features, int64_t{spec.block}), grad.size(0)},
                             wide_dtype({grad.dtype(), bias.dtype(), probs.dtype()}), stream);
  }
  (spec.weighted ? run_wide : run)(stream, spec, grad, or_empty(stream, spec.dots ? bias : Tensor(), 2), call.groups,
                                   call.probs, sums, or_empty(stream, products, 2));
  if (loose) out.bias = as_dtype(stream, sums, dtype);
  if (spec.dots) out.probs = sum_of_rows(stream, products, probs.dtype()).reshape(probs.shape());
  return out;
}

Tensor bias_grad(const Stream &stream, const Tensor &grad, const RowsOfExperts &rows, const Tensor &probs,
                 const BiasGradOptions &options) {
  return gradients(stream, bias_call(stream, "bias_grad", grad, rows, probs), {}, probs, options).bias;
}

BiasGrads apply_bias_backward(const Stream &stream, const Tensor &grad, const Tensor &bias, const RowsOfExperts &rows,
                              const Tensor &probs, const BiasGradOptions &options) {
  BiasCall call = bias_call(stream, "apply_bias_backward", grad, rows, probs);
  check_bias("apply_bias_backward: bias", bias, call);
  BiasGrads out =
      gradients(stream, call, bias, probs, {options.sum, options.dtype.value_or(bias.dtype()), options.block_rows});
  out.value = grad;
  return out;
}

// -------------------------------------------------------------------------------------------------------------
// registration

static void run_apply_bias(OpCall &c) {
  const Tensor &counts = c.in("tokens_per_expert");
  Tensor bias = c.given("bias"), probs = c.given("permuted_probs");
  c.out("output", apply_bias(c.stream(), c.in("value"), bias, counts, probs));
  if (!c.has("grad_output") || !c.wants({"grad_value", "grad_probs", "grad_bias"})) return;
  if (!bias.defined()) return c.out("grad_value", c.in("grad_output"));
  const std::string &how = c.text("bias_sum");
  const BiasSum sum = how == "f64" ? BiasSum::f64 : how == "atomic" ? BiasSum::atomic : BiasSum::kahan;
  c.backward([&c, bias, counts, probs, sum] {
    BiasGrads g = apply_bias_backward(c.stream(), c.in("grad_output"), bias, counts, probs, {sum});
    c.out("grad_value", g.value);
    c.out("grad_bias", g.bias);
    if (g.probs.defined()) c.out("grad_probs", g.probs);
  });
}

static void run_bias_grad(OpCall &c) {
  c.backward([&c] {
    const Tensor &grad = c.in("grad_output"), &counts = c.in("tokens_per_expert");
    const int rows = static_cast<int>(c.integer("BLOCK_TOKENS"));
    auto sum = [&](BiasSum how, DType dtype) { return bias_grad(c.stream(), grad, counts, {}, {how, dtype, rows}); };
    c.out("grad_bias_kahan", sum(BiasSum::kahan, grad.dtype()));
    if (c.wants({"grad_bias_fallback_cpu"})) c.out("grad_bias_fallback_cpu", sum(BiasSum::f64, grad.dtype()));
    if (c.wants({"grad_bias_f64_sum"})) c.out("grad_bias_f64_sum", sum(BiasSum::f64, f64));
  });
}

static void register_bias_ops(Library &l) {
  using Type = OpParameter::Type;
  l.ops.push_back(
      {"apply_bias",
       "each expert's bias added to its rows, weighted or not",
       "output[n] = value[n] + bias[e(n)] (* probs[n]); grad_value = g; grad_probs[n] = sum over f of g[n,f] "
       "bias[e(n),f]; grad_bias[e] = sum over rows n of e of g[n] (* probs[n])",
       "nemo_automodel components.moe.experts._apply_bias",
       "products of two bf16 or of two f16 (bias, probs, gradients) are rounded as upstream rounds them; grad_bias as "
       "deterministic_bias_grad, but with bias_sum=atomic: in any order; grad_probs: balanced trees of 1 KiB (f64: 512 "
       "bytes) of a row's gradient "
       "each, their sums "
       "in 32 ascending chains, then a balanced tree",
       {{"bias_sum",
         Type::text,
         "kahan",
         "how grad_bias is summed; atomic: loose, faster where experts are few",
         {"kahan", "f64", "atomic"}}},
       {{"value", "[..., F]", "f32 bf16 f16 f64", "rows by expert"},
        {"bias", "[E, F]", "f32 bf16 f16 f64", "biases; without them output is value", false, true},
        {"tokens_per_expert", "[E]", "i64 i32 i8 u8", "rows of each expert; they sum to N"},
        {"permuted_probs", "[N, 1]", "f32 bf16 f16 f64", "weight of each row's bias", false, true},
        {"grad_output", "[..., F]", "value", "gradient of output", false, true},
        {"output", "[..., F]", "value", "sums", true, false, 2e-5, 1e-2},
        {"grad_value", "[..., F]", "value", "gradient of value", true, true, 2e-5, 1e-2},
        {"grad_probs", "[N, 1]", "permuted_probs", "gradient of probs", true, true, 2e-5, 1e-2},
        {"grad_bias", "[E, F]", "bias", "gradient of bias", true, true, 2e-5, 1e-2}},
       {"apply_bias", "bias_grad", "sum_rows"},
       {"apply_bias", "apply_bias_backward"},
       run_apply_bias});
  l.ops.push_back(
      {"deterministic_bias_grad",
       "rows summed by expert, compensated",
       "per block of BLOCK_TOKENS rows of the expert: s = its sum; c = s - comp; t = total + c; comp = (t - total) - "
       "c; total = "
       "t",
       "nemo_automodel components.moe.experts._deterministic_bias_grad_kernel",
       "a block's rows: a balanced tree over rows 16 apart, then over the 16; blocks ascending from the expert's "
       "first row, compensated in f32 (f64: in f64); one "
       "rounding",
       {{"BLOCK_TOKENS", Type::integer, "128", "rows per block, a power of two up to 256"},
        {"BLOCK_HIDDEN", Type::integer, "16", "columns per upstream program; no result depends on it"}},
       {{"grad_output", "[..., F]", "f32 bf16 f16 f64", "rows by expert"},
        {"tokens_per_expert", "[E]", "i64 i32 i8 u8", "rows of each expert; they sum to N"},
        {"grad_bias_kahan", "[E, F]", "grad_output", "the compensated sum", true, false, 2e-5, 1e-2},
        {"grad_bias_fallback_cpu", "[E, F]", "grad_output", "summed in f64, rounded", true, true, 2e-5, 1e-2},
        {"grad_bias_f64_sum", "[E, F]", "f64", "summed in f64", true, true, 1e-12, 1e-12}},
       {"bias_grad"},
       {"bias_grad"},
       run_bias_grad});
}

void register_bias(Library &l) {
  const std::vector<KernelSetting> sizes{{"N", "32768", "rows"},
                                         {"F", "2048", "features"},
                                         {"dtype", "bf16", "of the rows"},
                                         {"bias", "bf16", "dtype of the bias"},
                                         {"prob", "f32", "dtype of the probs"},
                                         {"group", "i64", "dtype of counts or ends"}};
  const KernelArgument bias{"bias", "[experts, F]", "bias"}, groups{"groups", "[experts]", "group"},
      probs{"probs", "[N, 1]", "prob"}, grad{"grad", "[N, F]", "dtype"};
  add_kernel(l, kernel::apply_bias, "apply_bias", "each expert's bias added to its rows", kSchedule,
             {{"value", "[N, F]", "dtype"}, bias, groups, probs, {"output", "[N, F]", "dtype"}}, sizes);
  add_kernel(l, kernel::bias_grad, "bias_grad", "rows summed by expert, compensated", kSchedule,
             {grad,
              bias,
              groups,
              probs,
              {"grad_bias", "[experts, F]", "bias"},
              {"products", "[(F+block-1)/block, N]", "prob"}},
             sizes);
  l.add_specializations({
      {"apply_bias", "experts=128,F=5760,weighted=true", "gpt-oss-120b, gate and up"},
      {"apply_bias", "experts=32,F=2880,kind=1,group=i32,weighted=true,prob=bf16", "gpt-oss-20b, down"},
      {"apply_bias", "experts=6,rows=64,block=32,F=23,N=15,dtype=f32,bias=f32", "sizes that divide nothing"},
      {"apply_bias", "experts=4,rows=64,block=32,F=24,dtype=f64,bias=f64,prob=f64,weighted=true", "f64"},
      {"bias_grad", "experts=128,F=5760", "gpt-oss-120b, gate and up"},
      {"bias_grad", "experts=128,F=2880,block=512,weighted=true,dots=true", "gpt-oss-120b, down", 16},
      {"bias_grad", "experts=1,kind=2,F=128,sum=2,bias=f32", "Qwen3-30B-A3B, the gate's, loose"},
      {"bias_grad", "experts=6,F=23,N=15,block=32,dtype=f32,bias=f32,weighted=true,dots=true",
       "sizes that divide nothing"},
      {"bias_grad", "experts=4,F=24,block=32,dtype=f64,bias=f64,prob=f64", "f64"},
      {"bias_grad", "experts=32,F=2880,block=64,dtype=f64,bias=f64,prob=f64,weighted=true,dots=true", "f64, probs", 16},
      {"bias_grad", "experts=4,F=24,block=32,bias=f64,sum=1", "recorded case, in f64"},
  });
  register_bias_ops(l);
}

} // namespace moec
