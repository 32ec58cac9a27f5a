// The library's content: every op and kernel, in one list.
#include <algorithm>

#include "kernels/registration.h"

namespace moec {

const Library &library() {
  static const Library &all = *[] {
    auto *l = new Library;
    for (auto add : {register_multihot,      register_topk,          register_routing,    register_routing_map,
                     register_permute,       register_permute_fused, register_unpermute,  register_rows,
                     register_inverse,       register_pad_map,       register_capacity,   register_capacity_backward,
                     register_sort_chunks,   register_activation,    register_convert,    register_grouped_mm,
                     register_unsloth_gemm,  register_matmul,        register_gate,       register_gate_backward,
                     register_aux_loss,      register_bias,          register_arithmetic, register_experts,
                     register_unsloth_blocks})
      add(*l);
    std::ranges::sort(l->ops, {}, &Op::name);
    std::ranges::sort(l->kernels, {}, &KernelInfo::name);
    return l;
  }();
  return all;
}

std::span<const Op> ops() { return library().ops; }
std::span<const KernelInfo> kernels() { return library().kernels; }

} // namespace moec
