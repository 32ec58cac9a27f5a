#include "kernels/specializations.h"

#include "kernels/kernel_table.h"

namespace moec {

std::span<const SpecializationRow> specializations() {
  static constexpr SpecializationRow rows[] = {
      // kernel, settings, where these sizes come from
      {"indices_to_multihot", "topk=8,experts=128,rows=1", "benchmark, Qwen3-30B-A3B"},
      {"indices_to_multihot", "topk=8,experts=128,rows=2", "Qwen3-30B-A3B"},
      {"indices_to_multihot", "topk=6,experts=60,rows=4,dtype=bf16,T=33", "recorded case, sizes that divide nothing"},
      {"indices_to_multihot", "topk=8,experts=256,rows=1,dtype=bf16", "DeepSeek-V3"},
      {"indices_to_multihot", "topk=2,experts=8,rows=32,dtype=f64,index=i32", "Mixtral 8x7B, f64"},
      {"indices_to_multihot_unfused", "topk=8,experts=64,rows=4", "recorded case"},
      {"multihot_to_indices", "topk=8,experts=128,rows=2", "Qwen3-30B-A3B"},
      {"multihot_to_indices", "topk=6,experts=20,rows=8,dtype=bf16,T=9", "recorded case"},
      {"multihot_unfused_backward", "topk=8,experts=64,rows=4", "recorded case"},
      {"calculate_topk", "topk=8,experts=128,rows=1,renormalize=true", "Qwen3-30B-A3B"},
      {"calculate_topk", "topk=8,experts=64,rows=2,renormalize=true,dtype=bf16", "main job"},
      {"calculate_topk", "topk=8,experts=256,rows=1,sigmoid=true,renormalize=true", "DeepSeek-V3"},
      {"calculate_topk", "topk=4,experts=128,rows=1,pre_act=false,dtype=bf16", "gpt-oss-120b"},
      {"calculate_topk", "topk=3,experts=12,rows=8,pre_act=false,sigmoid=true,T=19", "recorded case"},
      {"route_count", "topk=8,experts=128", "Qwen3-30B-A3B"},
      {"route_count", "topk=8,experts=64,masked=true", "main job"},
      {"route_place", "topk=8,experts=128", "Qwen3-30B-A3B"},
      {"route_place", "topk=8,experts=256", "DeepSeek-V3"},
      {"route_place", "topk=3,experts=6,masked=true,weight=bf16,T=20", "recorded case"},
      {"map_count", "experts=128,block=8", "Qwen3-30B-A3B"},
      {"map_place", "experts=128,block=8", "Qwen3-30B-A3B"},
      {"map_place", "experts=256,block=4,dtype=bf16", "DeepSeek-V3"},
      {"map_gather", "experts=128,block=8", "Qwen3-30B-A3B"},
      {"gather_rows", "cols=4096,block=1024", "benchmark, Mixtral 8x7B"},
      {"gather_rows", "cols=2048,block=1024,divide=8,index=i64", "Qwen3-30B-A3B, by slot"},
      {"gather_rows", "cols=7168,block=1024,weighted=true", "DeepSeek-V3, gradient of unpermute"},
      {"gather_rows", "cols=20,block=32,rows=32,T=18,N=36", "recorded case, rows of 40 bytes"},
      {"scatter_rows", "cols=2048,block=1024", "Qwen3-30B-A3B"},
      {"combine_rows", "topk=8,cols=2048,block=1024", "Qwen3-30B-A3B"},
      {"combine_rows", "topk=8,cols=1024,block=1024", "main job"},
      {"combine_rows", "topk=2,cols=4096,block=1024,weighted=true", "Mixtral 8x7B, weights after"},
      {"unpermute_map", "experts=128,cols=2048,block=1024", "Qwen3-30B-A3B"},
      {"unpermute_map", "experts=8,cols=4096,block=1024,weighted=true", "Mixtral 8x7B"},
      {"unpermute_grad_probs", "experts=128,cols=2048,block=1024", "Qwen3-30B-A3B"},
      {"unpermute_search", "cols=2048,block=1024", "rows without a map"},
      {"weighted_swiglu", "block=1024,H=2048", "benchmark"},
      {"weighted_swiglu", "block=1024,H=768", "Qwen3-30B-A3B"},
      {"weighted_swiglu", "block=1024,H=2880,dtype=f16", "gpt-oss-120b"},
      {"weighted_swiglu", "block=32,rows=32,H=24,dtype=f32,T=21", "recorded case"},
      {"weighted_swiglu", "block=512,rows=2,H=512,dtype=f64,weight=f64", "gradient checks"},
      {"weighted_swiglu_backward", "block=1024,H=768", "Qwen3-30B-A3B"},
      {"weighted_swiglu_backward", "block=1024,H=2048,dtype=f32", "f32"},
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
  };
  return rows;
}

Schedule schedule_of(const SpecializationRow &row) {
  Schedule s = kernel_at(row.kernel).schedule;
  if (row.num_warps) s.num_warps = row.num_warps;
  if (row.num_stages) s.num_stages = row.num_stages;
  return s;
}

} // namespace moec
