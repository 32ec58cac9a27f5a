// Grouped matrix products: host functions. Ragged groups, any M, N, K.
#include "kernels/grouped_mm.h"

#include <vector>

#include "kernels/grouped_mm_forms.h"
#include "kernels/grouped_mm_kernels.h"
#include "kernels/host.h"

namespace moec {

const Form &form_for(DType t, Device device) {
  const bool large = device.is_cuda(); // on the simulated GPU small tiles waste less on short groups
  switch (t) {
  case f64: return kForms[0];
  case f32: return kForms[1];
  case e4m3: return kForms[large ? 3 : 2];
  default: return kForms[large ? 5 : 4];
  }
}

namespace {

template <class Spec> void set_form(Spec &s, const Form &form) { s.bm = form.bm, s.bn = form.bn, s.bk = form.bk; }

/// The kernel under the schedule of each form.
template <auto *function> const auto &kernel_of(const Form &form) {
  static const auto kernels = [] {
    std::vector<decltype(jit(function))> list;
    for (const Form &f : kForms) list.push_back(jit(function, f.schedule));
    return list;
  }();
  return kernels[static_cast<size_t>(&form - kForms)];
}

void check_sizes(const char *what, int64_t experts, int64_t n, int64_t k) {
  check_experts(what, experts);
  check_range(what, "N", n, 1, (1 << 30) - 1);
  check_range(what, "K", k, 1, (1 << 30) - 1);
}

void check_offs(const char *what, const Tensor &offs, int64_t experts, bool sizes) {
  check_shape(what, offs, {experts});
  sizes ? check_dtype(what, offs, {i32, i64}) : check_dtype(what, offs, {i32});
}

void check_index(const char *what, const Tensor &index, int64_t rows) {
  if (!index.defined()) return;
  rows < 0 ? check_rank(what, index, 1) : check_shape(what, index, {rows});
  check_dtype(what, index, {i32, i64});
}

void check_float(const char *what, const Tensor &t, const Dims &shape) {
  if (!t.defined()) return;
  check_shape(what, t, shape);
  check_dtype(what, t, {f32, bf16, f16, f64});
}

DType result_dtype(const char *what, const GroupedMmOptions &o, DType a) {
  DType t = o.dtype.value_or(o.accumulate.defined() ? o.accumulate.dtype() : a == e4m3 ? bf16 : a);
  const bool fits = a == f64 ? t == f64 : t == f32 || t == bf16 || t == f16;
  if (!fits)
    check_that(false, what, "the result would be " + std::string(name(t)),
               a == f64 ? "of f64 operands it is f64" : "it must be f32, bf16 or f16");
  check_that(!o.accumulate.defined() || o.accumulate.dtype() == t, what, "dtype is not accumulate's",
             "leave dtype to accumulate");
  return t;
}

void set_scales(kernel::GroupedMmSpec &s, const GroupedMmOptions &o, const Tensor &a) {
  const int64_t blocks = cdiv(int64_t{s.k}, int64_t{kernel::kScaleBlock});
  for (const Tensor &t : {o.scale_a, o.scale_b}) {
    if (!t.defined()) continue;
    check_tensor(a.dtype() == e4m3, "grouped_mm: a", a, "its dtype must be e4m3: scales are given");
    check_dtype("grouped_mm: scales", t, {f32});
  }
  if (o.scale_a.defined()) {
    check_shape("grouped_mm: scale_a", o.scale_a, {a.size(0), -1});
    s.scale_a = o.scale_a.size(1) == 1 ? kernel::Scale::row : kernel::Scale::blocks;
    if (s.scale_a == kernel::Scale::blocks) check_shape("grouped_mm: scale_a", o.scale_a, {a.size(0), blocks});
  }
  if (!o.scale_b.defined()) return;
  if (o.scale_b.rank() == 2) {
    check_shape("grouped_mm: scale_b", o.scale_b, {s.experts, s.n});
    s.scale_b = kernel::Scale::row;
  } else if (o.scale_b.rank() == 3 && o.scale_b.size(1) == s.n) {
    check_shape("grouped_mm: scale_b", o.scale_b, {s.experts, s.n, blocks});
    s.scale_b = kernel::Scale::blocks;
  } else {
    check_shape("grouped_mm: scale_b", o.scale_b,
                {s.experts, cdiv(int64_t{s.n}, int64_t{kernel::kScaleBlock}), blocks});
    s.scale_b = kernel::Scale::square;
  }
}

void set_rows(kernel::GroupedMmSpec &s, const GroupedMmOptions &o, int64_t rows) {
  s.sizes = o.sizes, s.zero_tail = o.zero_tail && !o.accumulate.defined();
  s.gather = o.gather.defined(), s.scatter = o.scatter.defined();
  check_range("grouped_mm", "divide", o.divide, 1);
  check_that(o.divide == 1 || s.gather, "grouped_mm: divide", "it divides the indices of gather, which is missing",
             "pass gather, or leave divide at 1");
  s.divide = o.divide;
  check_index("grouped_mm: scatter", o.scatter, rows);
}

void set_epilogue(kernel::GroupedMmSpec &s, const GroupedMmOptions &o, int64_t rows, int64_t c_rows, DType c) {
  s.bias = o.bias.defined(), s.bias_weighted = o.bias_weights.defined();
  check_float("grouped_mm: bias", o.bias, {s.experts, s.n});
  s.round_product = s.bias && o.round_before_bias && (c == bf16 || c == f16); // f32 and f64 sums have c's dtype
  check_that(s.bias || !s.bias_weighted, "grouped_mm: bias_weights", "there is no bias", "pass bias");
  check_float("grouped_mm: bias_weights", o.bias_weights, {rows});
  s.activated = o.activation.has_value(), s.keep = o.pre_activation.defined();
  if (s.activated) check_activation("grouped_mm", *o.activation), s.activation = *o.activation;
  check_that(!s.gated() || s.n % 2 == 0, "grouped_mm: b", "it has an odd number of columns",
             "a gated activation needs an even number");
  if (s.keep) {
    check_that(s.activated, "grouped_mm: pre_activation", "there is no activation", "pass activation");
    check_shape("grouped_mm: pre_activation", o.pre_activation, {rows, s.n});
    check_dtype("grouped_mm: pre_activation", o.pre_activation, {c});
  }
  s.weighted = o.row_weights.defined(), s.by_slot = o.weights_by_slot, s.round_first = o.round_before_weights;
  check_that(s.weighted || !(s.by_slot || s.round_first), "grouped_mm: row_weights", "they are missing",
             "weights_by_slot and round_before_weights need them");
  check_that(s.scatter || !s.by_slot, "grouped_mm: weights_by_slot", "there is no scatter, whose rows are the slots",
             "pass scatter");
  check_float("grouped_mm: row_weights", o.row_weights, {s.by_slot ? c_rows : rows});
}

} // namespace

Tensor grouped_mm(const Stream &stream, const Tensor &a, const Tensor &b, const Tensor &offs,
                  const GroupedMmOptions &o) {
  check_rank("grouped_mm: a", a, 2);
  check_dtype("grouped_mm: a", a, {f32, bf16, f16, f64, e4m3});
  o.transposed ? check_shape("grouped_mm: b", b, {-1, -1, a.size(1)})
               : check_shape("grouped_mm: b", b, {-1, a.size(1), -1});
  check_dtype("grouped_mm: b", b, {a.dtype()});
  check_offs("grouped_mm: offs", offs, b.size(0), o.sizes);
  const int64_t n = b.size(o.transposed ? 1 : 2);
  check_sizes("grouped_mm", b.size(0), n, a.size(1));
  check_index("grouped_mm: gather", o.gather, -1);
  const int64_t rows = o.gather.defined() ? o.gather.size(0) : a.size(0);
  const DType dtype = result_dtype("grouped_mm: dtype", o, a.dtype());
  const Form &form = form_for(a.dtype(), stream.device());

  kernel::GroupedMmSpec s{
      .experts = static_cast<int>(b.size(0)), .n = static_cast<int>(n), .k = static_cast<int>(a.size(1))};
  s.transposed = o.transposed, s.accumulate = o.accumulate.defined();
  set_form(s, form);
  set_rows(s, o, rows);
  set_scales(s, o, a);
  if (s.accumulate) check_shape("grouped_mm: accumulate", o.accumulate, {s.scatter ? -1 : rows, -1});
  set_epilogue(s, o, rows, s.accumulate ? o.accumulate.size(0) : rows, dtype);
  if (s.accumulate) check_shape("grouped_mm: accumulate", o.accumulate, {-1, s.width()});
  auto check_written = [&](const char *what, const Tensor &t) {
    check_apart(what, t,
                {a, b, offs, o.gather, o.scatter, o.scale_a, o.scale_b, o.bias, o.bias_weights, o.row_weights});
  };
  if (s.accumulate) check_written("grouped_mm: accumulate", o.accumulate);
  if (s.keep) check_written("grouped_mm: pre_activation", o.pre_activation);
  if (s.accumulate && s.keep) check_apart("grouped_mm: accumulate", o.accumulate, {o.pre_activation});
  check_that((rows / s.bm + s.experts) * cdiv(s.width(), s.tile_width()) < int64_t{1} << 31, "grouped_mm",
             "the result has 2^31 tiles or more", "do it in parts");

  Tensor c = s.accumulate ? o.accumulate : Tensor::empty({rows, s.width()}, dtype, stream);
  if (rows == 0) return c;
  const Tensor scale_b = s.scale_b == kernel::Scale::row ? o.scale_b.reshape({s.experts, s.n, 1}) : o.scale_b;
  auto given = [&](const Tensor &t) -> const Tensor & { return t.defined() ? t : offs; }; // offs: for what is not used
  kernel_of<kernel::grouped_mm>(form)(stream, s, a, b, c, offs, given(o.gather), given(o.scatter), given(o.row_weights),
                                      given(o.bias), given(o.bias_weights), given(o.pre_activation), given(o.scale_a),
                                      given(scale_b));
  return c;
}

Tensor grouped_mm_backward_b(const Stream &stream, const Tensor &a, const Tensor &grad, const Tensor &offs,
                             const GroupedMmOptions &o) {
  check_rank("grouped_mm_backward_b: a", a, 2);
  check_dtype("grouped_mm_backward_b: a", a, {f32, bf16, f16, f64});
  check_index("grouped_mm_backward_b: gather", o.gather, -1);
  check_range("grouped_mm_backward_b", "divide", o.divide, 1);
  const int64_t rows = o.gather.defined() ? o.gather.size(0) : a.size(0);
  check_index("grouped_mm_backward_b: scatter", o.scatter, rows);
  check_shape("grouped_mm_backward_b: gradient", grad, {o.scatter.defined() ? -1 : rows, -1});
  check_dtype("grouped_mm_backward_b: gradient", grad, {a.dtype()});
  check_that(!o.bias.defined() && !o.activation && !o.row_weights.defined() && !o.scale_a.defined() &&
                 !o.scale_b.defined() && !o.pre_activation.defined(),
             "grouped_mm_backward_b: options", "bias, activation, row_weights or scales are given",
             "grad is the gradient of the product itself; give the gradient after them");
  check_rank("grouped_mm_backward_b: offs", offs, 1);
  const int64_t experts = offs.size(0), k = a.size(1), n = grad.size(1);
  check_offs("grouped_mm_backward_b: offs", offs, experts, o.sizes);
  check_sizes("grouped_mm_backward_b", experts, n, k);
  const DType dtype = result_dtype("grouped_mm_backward_b: dtype", o, a.dtype());
  const Dims shape = o.transposed ? Dims{experts, n, k} : Dims{experts, k, n};
  if (o.accumulate.defined()) {
    check_shape("grouped_mm_backward_b: accumulate", o.accumulate, {shape[0], shape[1], shape[2]});
    check_apart("grouped_mm_backward_b: accumulate", o.accumulate, {a, grad, offs, o.gather, o.scatter});
  }
  const Form &form = form_for(a.dtype(), stream.device());
  kernel::GroupedMmBackwardSpec s{
      .experts = static_cast<int>(experts), .n = static_cast<int>(n), .k = static_cast<int>(k)};
  s.transposed = o.transposed, s.sizes = o.sizes, s.gather = o.gather.defined(), s.divide = o.divide;
  s.scatter = o.scatter.defined(), s.accumulate = o.accumulate.defined();
  set_form(s, form);
  Tensor out = s.accumulate ? o.accumulate : Tensor::empty(shape, dtype, stream);
  kernel_of<kernel::grouped_mm_backward_b>(form)(stream, s, a, grad, out, offs, s.gather ? o.gather : offs,
                                                 s.scatter ? o.scatter : offs);
  return out;
}

} // namespace moec
