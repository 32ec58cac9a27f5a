// grouped_mm as an op: registration, specializations.
#include "kernels/convert.h"
#include "kernels/grouped_mm.h"
#include "kernels/grouped_mm_forms.h"
#include "kernels/grouped_mm_kernels.h"
#include "kernels/host.h"
#include "kernels/registration.h"

namespace moec {

namespace {

/// What the op's optional tensors and parameters ask for.
GroupedMmOptions options_of(const OpCall &c) {
  GroupedMmOptions o{.transposed = c.text("b_layout") == "[E,N,K]", .sizes = c.flag("sizes"), .zero_tail = true};
  o.gather = c.given("gather"), o.divide = static_cast<int>(c.integer("divide")), o.scatter = c.given("scatter");
  o.scale_a = c.given("scale_a"), o.scale_b = c.given("scale_b");
  o.bias = c.given("bias"), o.bias_weights = c.given("bias_weights"), o.row_weights = c.given("row_weights");
  o.weights_by_slot = c.flag("weights_by_slot"), o.round_before_weights = c.flag("round_before_weights");
  if (const std::string &name = c.text("expert_activation"); name != "none")
    o.activation = activation_named(name, c.floating("activation_alpha"), c.floating("activation_limit"),
                                    c.floating("swiglu_limit"));
  if (c.text("out_dtype") != "auto") o.dtype = dtype_from_name(c.text("out_dtype"));
  if (c.has("accumulate")) // a copy: the op does not change its inputs
    o.accumulate = convert(c.stream(), c.in("accumulate"), c.in("accumulate").dtype());
  return o;
}

void run_grouped_mm(OpCall &c) {
  const Tensor &a = c.in("a"), &b = c.in("b"), &offs = c.in("offs");
  const GroupedMmOptions o = options_of(c);
  c.out("output", grouped_mm(c.stream(), a, b, offs, o));
  if (!c.has("grad_output")) return;
  for (const char *fused : {"gather", "scatter", "scale_a", "scale_b", "bias", "row_weights", "accumulate"})
    if (c.has(fused))
      throw UserError("grouped_mm: grad_output", std::string("gradients are asked for a product with ") + fused,
                      "the op gives those of the plain product; see grouped_mm.h for the others");
  check_that(!o.activation, "grouped_mm: grad_output", "gradients are asked for a product with an activation",
             "the op gives those of the plain product; see grouped_mm.h for the others");
  c.backward([&c, a, b, offs, o] {
    const Tensor &grad = c.in("grad_output");
    const GroupedMmOptions turned{.transposed = !o.transposed, .sizes = o.sizes, .zero_tail = true};
    if (c.wants({"grad_a"})) c.out("grad_a", grouped_mm(c.stream(), grad, b, offs, turned));
    if (c.wants({"grad_b"})) c.out("grad_b", grouped_mm_backward_b(c.stream(), a, grad, offs, o));
  });
}

} // namespace

static void add_kernels(Library &l) {
  std::vector<KernelSetting> sizes{{"M", "4096", "rows in expert order"},
                                   {"dtype", "bf16", "of a and b"},
                                   {"out", "bf16", "of c"},
                                   {"bias_dtype", "bf16", "of the bias"},
                                   {"rows", "4096", "of a, with gather"},
                                   {"width", "2048", "columns of c"},
                                   {"blocks_a", "1", "scales of a row of a"},
                                   {"columns_b", "2048", "scales of b along its columns"},
                                   {"blocks_b", "1", "and along k"}};
  const KernelArgument offs{"offs", "[experts]", "i32"}, gather{"gather", "[M]", "i32"},
      scatter{"scatter", "[M]", "i32"};
  add_kernel(l, kernel::grouped_mm, "grouped_mm", "each expert's rows times its matrix, and what is fused with it",
             kForms[5].schedule,
             {{"a", "[rows, k]", "dtype"},
              {"b", "[experts, k, n]", "dtype"},
              {"c", "[M, width]", "out"},
              offs,
              gather,
              scatter,
              {"row_weights", "[M]", "f32"},
              {"bias", "[experts, n]", "bias_dtype"},
              {"bias_weights", "[M]", "f32"},
              {"pre_activation", "[M, n]", "out"},
              {"scale_a", "[rows, blocks_a]", "f32"},
              {"scale_b", "[experts, columns_b, blocks_b]", "f32"}},
             sizes);
  add_kernel(l, kernel::grouped_mm_backward_b, "grouped_mm_backward_b", "gradient of the experts' matrices",
             kForms[5].schedule,
             {{"a", "[M, k]", "dtype"},
              {"grad", "[M, n]", "dtype"},
              {"grad_b", "[experts, k, n]", "out"},
              offs,
              gather,
              scatter},
             {sizes[0], sizes[1], sizes[2]});
}

static void add_rows(Library &l) {
  l.add_specializations({
      {"grouped_mm", "experts=128,k=2048,n=1536", "Qwen3-30B-A3B, gate and up"},
      {"grouped_mm", "experts=128,k=2048,n=1536,width=768,gather=true,divide=8,activated=true,keep=true,rows=512",
       "the same, tokens gathered, swiglu"},
      {"grouped_mm", "experts=128,k=2048,n=768,width=768,gather=true,divide=8,rows=512,out=f32",
       "Qwen3-30B-A3B, down, gradient of its input in f32"},
      {"grouped_mm",
       "experts=128,k=768,n=2048,scatter=true,weighted=true,by_slot=true,round_first=true,transposed=true",
       "Qwen3-30B-A3B, down, Unsloth's permute_y and fuse_mul_post"},
      {"grouped_mm",
       "experts=32,k=2880,n=5760,width=2880,activated=true,interleaved=true,alpha=1.702,clamped=true,limit=7,"
       "linear_offset=1,bias=true,weighted=true,keep=true",
       "gpt-oss-120b, a quarter of its experts, gate and up"},
      {"grouped_mm", "experts=8,k=4096,n=14336,width=14336,dtype=f16,out=f32,accumulate=true,sizes=true,zero_tail=true",
       "Mixtral 8x7B, added in f32"},
      {"grouped_mm",
       "experts=32,k=7168,n=4096,width=2048,activated=true,transposed=true,dtype=e4m3,bm=64,scale_a=2,"
       "blocks_a=56,scale_b=3,columns_b=32,blocks_b=56",
       "DeepSeek-V3, an eighth of its experts, scales of blocks"},
      {"grouped_mm",
       "experts=256,k=7168,n=4096,width=2048,activated=true,transposed=true,dtype=e4m3,bm=64,scale_a=2,blocks_a=56,"
       "scale_b=3,columns_b=32,blocks_b=56,gather=true,divide=8,scatter=true,weighted=true,by_slot=true,"
       "round_first=true,round_product=true,bias=true,bias_weighted=true,keep=true,rows=512,zero_tail=true,sizes=true",
       "DeepSeek-V3 on one rank, every fused option at once"},
      {"grouped_mm", "experts=16,k=5120,n=8192,width=8192,dtype=e4m3,bm=64,scale_a=1,scale_b=1,columns_b=8192",
       "Llama-4, scales of rows and columns"},
      {"grouped_mm", "experts=64,k=1024,n=1024,width=1024,bm=32", "main job, small tiles", 4, 2},
      {"grouped_mm", "experts=4,k=33,n=47,width=47,bm=32,bn=64,bk=16,dtype=f32,out=f32,M=19,rows=19",
       "sizes that divide nothing", 4, 2},
      {"grouped_mm", "experts=4,k=64,n=64,width=64,bm=32,bn=32,bk=16,dtype=f64,out=f64", "f64", 4, 2},
      {"grouped_mm_backward_b", "experts=128,k=2048,n=1536", "Qwen3-30B-A3B"},
      {"grouped_mm_backward_b", "experts=128,k=2048,n=1536,gather=true,divide=8,accumulate=true,out=f32",
       "the same, tokens gathered, added in f32"},
      {"grouped_mm_backward_b", "experts=128,k=768,n=2048,scatter=true,transposed=true", "Qwen3-30B-A3B, slots"},
      {"grouped_mm_backward_b", "experts=4,k=32,n=48,bm=32,bn=64,bk=16,dtype=f32,out=f32", "recorded case", 4, 2},
      {"grouped_mm_backward_b", "experts=4,k=33,n=47,bm=32,bn=32,bk=16,dtype=f64,out=f64,M=19", "f64", 4, 2},
  });
}

void register_grouped_mm(Library &l) {
  using Type = OpParameter::Type;
  add_kernels(l);
  add_rows(l);
  const char *floats = "f32 bf16 f16 f64", *indices = "i32 i64";
  l.ops.push_back(
      {"grouped_mm",
       "each expert's rows times its own matrix, and what is fused with it",
       "output[r] = a[r] b[e] for offs[e-1] <= r < offs[e], 0 after the last; grad_a[r] = g[r] b[e]^T; grad_b[e] = "
       "a_e^T g_e. With the optional inputs output[scatter[r]] = accumulate[scatter[r]] + row_weights[r] * "
       "activation(scales * a[gather[r] / divide] b[e] + bias_weights[r] * bias[e])",
       "torch._grouped_mm",
       kProductOrder,
       {{"b_layout", Type::text, "[E,K,N]", "order of b's dimensions", {"[E,K,N]", "[E,N,K]"}},
        {"sizes", Type::boolean, "false", "offs holds the groups' sizes"},
        {"divide", Type::integer, "1", "of gather's slots: topk"},
        {"expert_activation",
         Type::text,
         "none",
         "as activation_named",
         {"none", "swiglu", "swigluoai", "quick_geglu", "geglu", "relu2"}},
        {"activation_alpha", Type::floating, "1.702", "of swigluoai and quick_geglu"},
        {"activation_limit", Type::floating, "7", "of swigluoai and quick_geglu"},
        {"swiglu_limit", Type::floating, "0", "of swiglu, if above 0"},
        {"weights_by_slot", Type::boolean, "false", "the weight of row r is row_weights[scatter[r]]"},
        {"round_before_weights", Type::boolean, "false", "product and weight are rounded before and after"},
        {"out_dtype",
         Type::text,
         "auto",
         "of output; auto: a's, bf16 for e4m3",
         {"auto", "f32", "bf16", "f16", "f64"}}},
       {{"a", "[M, K]", "f32 bf16 f16 f64 e4m3", "rows by expert; with gather any number"},
        {"b", "[E, K, U]", "a", "matrices, [E, U, K] if b_layout says so"},
        {"offs", "[E]", indices, "one past each expert's last row (i32), or sizes"},
        {"gather", "[M]", indices, "row of a, times divide; -1: zeros", false, true},
        {"scatter", "[M]", indices, "row of output; -1: dropped", false, true},
        {"scale_a", "[M, S]", "f32", "of e4m3: S is 1, or a scale for each 128 of K", false, true},
        {"scale_b", "[E, ...]", "f32", "[E, U], [E, U, S] or [E, U/128, S]", false, true},
        {"bias", "[E, U]", floats, "added", false, true},
        {"bias_weights", "[M]", floats, "times bias", false, true},
        {"row_weights", "[M]", floats, "times the row", false, true},
        {"accumulate", "[M, N]", floats, "what the result is added to", false, true},
        {"grad_output", "[M, N]", "a", "gradient of output, of the plain product", false, true},
        {"output", "[M, N]", "a", "products; N = U, or U/2 after a gated activation", true, false, 2e-5, 8e-3},
        {"grad_a", "[M, K]", "a", "gradient of a", true, true, 2e-5, 8e-3},
        {"grad_b", "[E, K, U]", "a", "gradient of b", true, true, 2e-5, 8e-3}},
       {"grouped_mm", "grouped_mm_backward_b", "convert"},
       {"grouped_mm", "grouped_mm_backward_b"},
       run_grouped_mm});
}

} // namespace moec
