// grouped_mm as an op: registration, specializations.
#include "kernels/grouped_mm.h"
#include "kernels/grouped_mm_forms.h"
#include "kernels/grouped_mm_kernels.h"
#include "kernels/registration.h"

namespace moec {

static void run_grouped_mm(OpCall &c) {
  const Tensor &a = c.in("a"), &b = c.in("b"), &offs = c.in("offs");
  const bool transposed = c.text("b_layout") == "[E,N,K]";
  c.out("output", grouped_mm(c.stream(), a, b, offs, {.transposed = transposed, .zero_tail = true}));
  if (!c.has("grad_output")) return;
  const Tensor &grad = c.in("grad_output");
  if (c.wants({"grad_a"}))
    c.out("grad_a", grouped_mm(c.stream(), grad, b, offs, {.transposed = !transposed, .zero_tail = true}));
  if (c.wants({"grad_b"}))
    c.out("grad_b", grouped_mm_backward_b(c.stream(), a, grad, offs, {.transposed = transposed}));
}

static void add_kernels(Library &l) {
  std::vector<KernelSetting> sizes{{"M", "4096", "rows in expert order"},
                                   {"dtype", "bf16", "of a and b"},
                                   {"out", "bf16", "of c"},
                                   {"bias_dtype", "bf16", "of the bias"},
                                   {"rows", "4096", "of a, with gather"},
                                   {"width", "2048", "columns of c"},
                                   {"blocks_a", "1", "scales of a row of a"},
                                   {"columns_b", "2048", "scales of b along its columns"}};
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
              {"scale_b", "[experts, columns_b]", "f32"}},
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
      {"grouped_mm", "experts=128,k=768,n=2048", "Qwen3-30B-A3B, down"},
      {"grouped_mm", "experts=8,k=4096,n=14336,dtype=f16,out=f16", "Mixtral 8x7B"},
      {"grouped_mm", "experts=64,k=1024,n=1024,bm=32", "main job, small tiles", 4, 2},
      {"grouped_mm", "experts=4,k=33,n=47,width=47,bm=32,bn=64,bk=16,dtype=f32,out=f32,M=19,rows=19",
       "sizes that divide nothing", 4, 2},
      {"grouped_mm", "experts=4,k=64,n=64,bm=32,bn=32,bk=16,dtype=f64,out=f64", "f64", 4, 2},
      {"grouped_mm_backward_b", "experts=128,k=2048,n=1536", "Qwen3-30B-A3B"},
      {"grouped_mm_backward_b", "experts=4,k=32,n=48,bm=32,bn=64,bk=16,dtype=f32,out=f32", "recorded case", 4, 2},
  });
}

void register_grouped_mm(Library &l) {
  add_kernels(l);
  add_rows(l);
  l.ops.push_back(
      {"grouped_mm",
       "each expert's rows times its own matrix",
       "output[r] = a[r] b[e] for offs[e-1] <= r < offs[e], 0 after the last; grad_a[r] = g[r] b[e]^T; grad_b[e] = "
       "a_e^T g_e",
       "torch._grouped_mm",
       kProductOrder,
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
}

} // namespace moec
