// Sums and products of tensors.
#include "kernels/arithmetic.h"

#include "kernels/convert.h"
#include "kernels/host.h"
#include "kernels/registration.h"
#include "kernels/row_index.h"

namespace moec {

namespace kernel {
namespace {

struct ArithmeticSpec {
  int rows = 1, block = 1024; ///< of a program, and columns at a time
  static void fields(auto &s, auto &&f) { f("rows", s.rows), f("block", s.block); }
};

void add(const ArithmeticSpec &s, View a, View b, View out) {
  arg_names({"a", "b", "out"});
  auto [R, C] = out.sizes<2>();
  a.expect({R, C}), b.expect({R, C});
  grid(cdiv(R, s.rows), cdiv(C, s.block));
  Tile r = expand_dims(program_id(0) * s.rows + arange(s.rows), 1), c = program_id(1) * s.block + arange(s.block);
  DType wide = wide_dtype(out.dtype());
  store(out(r, c), cast(cast(load(a(r, c)), wide) + cast(load(b(r, c)), wide), out.dtype()));
}

void row_dots(const ArithmeticSpec &s, View a, View b, View index, View out) {
  arg_names({"a", "b", "index", "out"});
  auto [N, D] = a.sizes<2>();
  b.expect({b.size(0), D}), index.expect({N}), out.expect({N});
  grid(cdiv(N, s.rows));
  Tile r = program_id(0) * s.rows + arange(s.rows);
  Tile from = rows_below(load(index(r), r < N, -1), b.size(0), "index {0} is past the last of b's {1} rows");
  Tile row = expand_dims(r, 1), of_b = expand_dims(maximum(from, 0), 1), live = expand_dims(from >= 0, 1);
  Tile sums = zeros({s.rows, s.block}, wide_dtype(a.dtype()));
  for (Int i : range(0, D, s.block)) {
    Tile c = i + arange(s.block);
    sums = fma(cast(load(a(row, c), live), sums.dtype()), cast(load(b(of_b, c), live), sums.dtype()), sums);
  }
  store(out(r), cast(sum(sums, 1), out.dtype()));
}

} // namespace
} // namespace kernel

namespace {
constexpr Schedule kSchedule{.num_warps = 4};

/// The tensor as a matrix whose columns are its last dimension.
Tensor matrix_of(const Stream &stream, const Tensor &t) {
  return as_matrix(stream, "add", t.rank() == 0 ? t.reshape({1}) : t);
}
kernel::ArithmeticSpec spec_for(int64_t columns, int most) {
  kernel::ArithmeticSpec s;
  s.block = block_for(columns, most);
  s.rows = most / s.block;
  return s;
}
} // namespace

Tensor add(const Stream &stream, const Tensor &a, const Tensor &b) {
  check_dtype("add: a", a, {f32, bf16, f16, f64});
  check_dtype("add: b", b, {a.dtype()});
  check_that(a.shape() == b.shape(), "add", "a is " + a.text() + ", b " + b.text(), "they must have one shape");
  static const auto run = jit(kernel::add, kSchedule);
  Tensor out = Tensor::empty(a.shape(), a.dtype(), stream), to = matrix_of(stream, out);
  run(stream, spec_for(to.size(1), 1024), matrix_of(stream, a), matrix_of(stream, b), to);
  return out;
}

Tensor row_dots(const Stream &stream, const Tensor &a, const Tensor &b, const Tensor &index, DType dtype) {
  check_rank("row_dots: a", a, 2);
  check_dtype("row_dots: a", a, {f32, bf16, f16, f64});
  check_shape("row_dots: b", b, {-1, a.size(1)});
  check_dtype("row_dots: b", b, {a.dtype()});
  check_shape("row_dots: index", index, {a.size(0)});
  check_dtype("row_dots: index", index, {i32, i64});
  Tensor out = Tensor::empty({a.size(0)}, dtype, stream);
  check_dtype("row_dots: result", out, {f32, bf16, f16, f64});
  static const auto run = jit(kernel::row_dots, kSchedule);
  run(stream, spec_for(a.size(1), 1024), a, b, index, out);
  return out;
}

void register_arithmetic(Library &l) {
  const KernelSetting dtype{"dtype", "bf16", "of the operands"};
  add_kernel(l, kernel::add, "add", "sum of two tensors", kSchedule,
             {{"a", "[R, C]", "dtype"}, {"b", "[R, C]", "dtype"}, {"out", "[R, C]", "dtype"}},
             {{"R", "4096", "rows"}, {"C", "2048", "columns"}, dtype});
  add_kernel(l, kernel::row_dots, "row_dots", "dot products of rows", kSchedule,
             {{"a", "[N, D]", "dtype"}, {"b", "[T, D]", "dtype"}, {"index", "[N]", "i32"}, {"out", "[N]", "wide"}},
             {{"N", "4096", "rows of a"},
              {"T", "4096", "rows of b"},
              {"D", "5120", "columns"},
              dtype,
              {"wide", "f32", "of the result"}});
  l.add_specializations({
      {"add", "", "shared and routed experts"},
      {"add", "R=10,C=1,rows=64,block=16,dtype=f32", "gradients of the routers' weights"},
      {"add", "R=9,C=33,rows=16,block=64,dtype=f64", "sizes that divide nothing, f64"},
      {"row_dots", "", "Llama-4"},
      {"row_dots", "N=9,T=7,D=33,rows=16,block=64,dtype=f64,wide=f64", "sizes that divide nothing, f64"},
  });
}

} // namespace moec
