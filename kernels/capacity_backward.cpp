// Gradient of the probabilities that a capacity dropped.
#include "kernels/moe.h"
#include "kernels/registration.h"
#include "kernels/routing_map.h"

namespace moec {

namespace kernel {
namespace {

struct CapacityBackwardSpec {
  int experts = 128;
  static void fields(auto &s, auto &&f) { f("experts", s.experts); }
};

/// grad where a pair stays or never was, 0 where it was dropped.
void map_limit_backward(const CapacityBackwardSpec &s, View map, View limited, View grad, View out) {
  arg_names({"routing_map", "limited", "grad", "grad_probs"});
  Int T = map.size(0);
  for (const View &v : {map, limited, grad, out}) v.expect({T, s.experts});
  const int padded = next_pow2(s.experts), rows = padded >= 1024 ? 1 : 1024 / padded;
  grid(cdiv(T, rows));
  Tile t = expand_dims(program_id(0) * rows + arange(rows), 1), e = arange(padded);
  Tile g = load(grad(t, e));
  store(out(t, e), where(is_pair(load(map(t, e))) & !is_pair(load(limited(t, e))), zeros(g.shape(), g.dtype()), g));
}

} // namespace
} // namespace kernel

static constexpr Schedule kSchedule{.num_warps = 4};

Tensor limit_capacity_backward(const Stream &stream, const Tensor &grad, const Tensor &routing_map,
                               const Tensor &limited_map) {
  check_map("limit_capacity_backward: routing_map", routing_map);
  const int64_t tokens = routing_map.size(0), experts = routing_map.size(1);
  check_shape("limit_capacity_backward: limited map", limited_map, {tokens, experts});
  check_dtype("limit_capacity_backward: limited map", limited_map, {routing_map.dtype()});
  check_shape("limit_capacity_backward: gradient", grad, {tokens, experts});
  check_dtype("limit_capacity_backward: gradient", grad, {f32, bf16, f16, f64});
  static const auto run = jit(kernel::map_limit_backward, kSchedule);
  Tensor out = Tensor::empty(grad.shape(), grad.dtype(), stream);
  run(stream, {static_cast<int>(experts)}, routing_map, limited_map, grad, out);
  return out;
}

void register_capacity_backward(Library &l) {
  add_kernel(l, kernel::map_limit_backward, "map_limit_backward", "gradient of probabilities within a capacity",
             kSchedule,
             {{"routing_map", "[T, experts]", "map"},
              {"limited", "[T, experts]", "map"},
              {"grad", "[T, experts]", "dtype"},
              {"grad_probs", "[T, experts]", "dtype"}},
             {{"T", "4096", "tokens"}, {"map", "bool", "dtype of the map"}, {"dtype", "f32", "of the probabilities"}});
  l.add_specializations({{"map_limit_backward", "experts=128", "Qwen3-30B-A3B"},
                         {"map_limit_backward", "experts=6,dtype=f64,map=i32,T=33", "odd sizes, f64"}});
}

} // namespace moec
