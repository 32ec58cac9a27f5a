// The kernels of grouped products.
#include "kernels/grouped_mm_kernels.h"

#include <vector>

#include "kernels/host.h"
#include "kernels/rounding.h"
#include "kernels/row_index.h"

namespace moec::kernel {

Groups groups_of(int experts, bool sizes, const View &offs, const Int &rows) {
  auto [x, live] = lanes(experts);
  if (!sizes) {
    Tile last = load(offs(x), live), first = load(offs(x - 1), live & (x > 0));
    device_assert((first <= last) & (last <= rows), "offs must not decrease nor pass the last row: {0} after {1}",
                  {last, first});
    return {x, live, first, last};
  }
  Tile size = cast(load(offs(x), live), i64);
  device_assert((size >= 0) & (size <= rows), "a group's size is negative or above the number of rows: {0} of {1}",
                {size, rows});
  Tile last = cumsum(size);
  device_assert(last <= rows, "the sum of the groups' sizes passes the last row: {0} of {1}", {last, rows});
  return {x, live, cast(last - size, i32), cast(last, i32)};
}

Tile indexed_rows(const View &index, const Tile &at, const Tile &live, const Int &rows, int divide,
                  const char *message) {
  Tile id = load(index(at), live, -1);
  return rows_below(divide == 1 ? id : where(id < 0, -1, id / divide), rows, std::string(message) + ": {0} of {1}");
}

namespace {

/// Tensors of a product.
struct Operands {
  View a, b, c, gather, scatter, weights, bias, bias_weights, kept, scale_a, scale_b;
};

/// One tile of c: rows first.. below end of expert e.
struct Place {
  Int e, first, end;
  Int col;        ///< first column of each part of b
  Int c_col;      ///< and of c
  Tile row, live; ///< [bm]: rows in expert order; below end
  Tile from;      ///< [bm], with gather: rows of a, -1 for zeros
  Tile to;        ///< [bm], with scatter: rows of c, -1 to drop
};

/// `column`: of tiles.
Place place_of(const GroupedMmSpec &s, const Operands &o, const Int &e, const Int &first, const Int &end,
               const Int &column) {
  Place p{e, first, end, Int(column * s.part_width()), Int(column * s.tile_width()), first + arange(s.bm), {}, {}, {}};
  p.live = p.row < end;
  if (s.gather)
    p.from = indexed_rows(o.gather, p.row, p.live, o.a.size(0), s.divide, "a gather index is past the last row of a");
  if (s.scatter)
    p.to = indexed_rows(o.scatter, p.row, p.live, o.c.size(0), 1, "a scatter index is past the last row of c");
  return p;
}

/// The part's columns of a tensor with n columns.
View part_of(const GroupedMmSpec &s, const View &v, int dim, int part) {
  if (s.parts() == 1) return v;
  const int half = s.n / 2;
  return v.slice(dim, part * half, part * half + half);
}

Tile along_rows(const Tile &v) { return expand_dims(v, 1); }

/// Scales of a's rows in block `kb` of K: [bm, 1].
Tile scales_of_a(const GroupedMmSpec &s, const Operands &o, const Place &p, const Int &kb) {
  if (s.gather) return along_rows(load(o.scale_a(p.from, kb), p.from >= 0));
  return load(o.scale_a.rows_before(p.end).tile({p.first, kb}, {s.bm, 1}));
}
/// Scales of b's columns there: [1, bn].
Tile scales_of_b(const GroupedMmSpec &s, const Operands &o, const Place &p, int part, const Int &kb) {
  const int bn = s.part_width();
  if (s.scale_b != Scale::square) return trans(load(part_of(s, o.scale_b.at(p.e), 0, part).tile({p.col, kb}, {bn, 1})));
  Tile col = p.col + arange(bn) + part * (s.n / 2);
  return expand_dims(load(o.scale_b(p.e, col / kScaleBlock, kb), col < s.n), 0);
}

using Parts = std::vector<Tile>; ///< one tile [bm, part_width] per part of b

/// Adds the products over k.. k + bk to each part.
void add_products(const GroupedMmSpec &s, const Operands &o, const Place &p, const Int &k, Parts &acc) {
  const int bn = s.part_width();
  View weight = o.b.at(p.e);
  Tile left = s.gather ? load(o.a(along_rows(p.from), k + arange(s.bk)), along_rows(p.from >= 0))
                       : load(o.a.rows_before(p.end).tile({p.first, k}, {s.bm, s.bk}));
  for (int i = 0; i < s.parts(); ++i) {
    View w = part_of(s, weight, s.transposed ? 0 : 1, i);
    Tile right = s.transposed ? trans(load(w.tile({p.col, k}, {bn, s.bk}))) : load(w.tile({k, p.col}, {s.bk, bn}));
    Tile &sum = acc[static_cast<size_t>(i)];
    sum = dot(left, right, sum);
  }
}

/// The scales of both operands in block `kb` of K: [bm, bn], or less where they repeat.
Tile scales(const GroupedMmSpec &s, const Operands &o, const Place &p, int part, const Int &kb) {
  if (s.scale_b < Scale::blocks) return scales_of_a(s, o, p, kb);
  Tile columns = scales_of_b(s, o, p, part, kb);
  return s.scale_a == Scale::blocks ? scales_of_a(s, o, p, kb) * columns : columns;
}

/// The tile's sums. Where scales depend on k, each block of K is summed by itself, scaled and added.
Parts products(const GroupedMmSpec &s, const Operands &o, const Place &p) {
  Tile zero = zeros({s.bm, s.part_width()}, wide_dtype(o.a.dtype()));
  Parts acc(static_cast<size_t>(s.parts()), zero);
  if (!s.scales_in_loop()) {
    for (Int k : range(0, s.k, s.bk)) add_products(s, o, p, k, acc);
    return acc;
  }
  for (Int k : range(0, s.k, kScaleBlock)) {
    Parts sums(acc.size(), zero);
    for (int step = 0; step < kScaleBlock; step += s.bk) add_products(s, o, p, Int(k + step), sums);
    for (int i = 0; i < s.parts(); ++i) {
      Tile &sum = acc[static_cast<size_t>(i)], scale = scales(s, o, p, i, Int(k / kScaleBlock));
      sum = fma(sums[static_cast<size_t>(i)], broadcast(scale, sum.shape()), sum);
    }
  }
  return acc;
}

/// What is done with a part's sums before the activation.
Tile completed(const GroupedMmSpec &s, const Operands &o, const Place &p, int part, Tile v) {
  const DType wide = v.dtype();
  const int bn = s.part_width();
  if (s.scale_a == Scale::row) v = v * scales_of_a(s, o, p, 0);
  if (s.scale_b == Scale::row) v = v * scales_of_b(s, o, p, part, 0);
  if (s.round_product) v = rounded(v, o.c.dtype());
  if (s.bias) {
    Tile bias = cast(load(part_of(s, o.bias, 1, part).tile({p.e, p.col}, {1, bn})), wide);
    v = v + (s.bias_weighted ? bias * along_rows(cast(load(o.bias_weights(p.row), p.live), wide)) : bias);
  }
  if (!s.keep) return v;
  Tile kept = cast(v, o.kept.dtype());
  store(part_of(s, o.kept, 1, part).rows_before(p.end).tile({p.first, p.col}, {s.bm, bn}), kept);
  return cast(kept, wide); // so that a backward pass that activates what was kept gets the same bits
}

Tile activated(const GroupedMmSpec &s, const Parts &v) {
  if (!s.activated) return v[0];
  GateUp x = s.parts() == 2 ? GateUp{v[0], v[1]} : s.gated() ? deinterleave(v[0]) : GateUp{v[0], {}};
  return activation_value(s.activation, clamped(s.activation, x));
}

Tile times_weights(const GroupedMmSpec &s, const Operands &o, const Place &p, const Tile &v) {
  if (!s.weighted) return v;
  const DType wide = v.dtype();
  Tile w = s.by_slot ? load(o.weights(p.to), p.to >= 0) : load(o.weights(p.row), p.live);
  auto rounded = [&](const Tile &x) { return s.round_first ? cast(cast(x, o.c.dtype()), wide) : cast(x, wide); };
  return rounded(v) * along_rows(rounded(w));
}

/// Writes a tile of c, or adds it to what is there.
template <class Ref, class... Mask>
void put(bool accumulate, const Ref &ref, const Tile &v, DType dtype, const Mask &...mask) {
  store(ref, cast(accumulate ? cast(load(ref, mask...), v.dtype()) + v : v, dtype), mask...);
}

void put(const GroupedMmSpec &s, const Operands &o, const Place &p, const Tile &v) {
  if (!s.scatter) {
    View rows = o.c.rows_before(p.end);
    return put(s.accumulate, rows.tile({p.first, p.c_col}, {s.bm, s.tile_width()}), v, rows.dtype());
  }
  Tile col = expand_dims(p.c_col + arange(s.tile_width()), 0), real = along_rows(p.to >= 0) & (col < s.width());
  put(s.accumulate, o.c(along_rows(p.to), col), v, o.c.dtype(), real);
}

/// Tile j of an expert with `rows` blocks of rows: bands of 8 of them, in a band all blocks of a column before the next
/// column, so that the tiles which run at the same time share rows and columns.
std::array<Int, 2> row_and_column(const Int &j, const Int &rows, int columns) {
  constexpr int band = 8;
  Int first = j / (band * columns) * band, in_band = j % (band * columns);
  Int height = Int(minimum(rows - first, band));
  return {Int(first + in_band % height), Int(in_band / height)};
}

void expect_shapes(const GroupedMmSpec &s, const Operands &o, const Int &M, const View &offs) {
  const int blocks = cdiv(s.k, kScaleBlock);
  o.a.expect({o.a.size(0), s.k});
  s.transposed ? o.b.expect({s.experts, s.n, s.k}) : o.b.expect({s.experts, s.k, s.n});
  o.c.expect({s.scatter ? o.c.size(0) : M, s.width()}), offs.expect({s.experts});
  if (s.scatter) o.scatter.expect({M});
  if (s.weighted) o.weights.expect({s.by_slot ? o.c.size(0) : M});
  if (s.bias) o.bias.expect({s.experts, s.n});
  if (s.bias_weighted) o.bias_weights.expect({M});
  if (s.keep) o.kept.expect({M, s.n});
  if (s.scale_a != Scale::none) o.scale_a.expect({o.a.size(0), s.scale_a == Scale::row ? 1 : blocks});
  if (s.scale_b != Scale::none)
    o.scale_b.expect(
        {s.experts, s.scale_b == Scale::square ? cdiv(s.n, kScaleBlock) : s.n, s.scale_b == Scale::row ? 1 : blocks});
}

} // namespace

void grouped_mm(const GroupedMmSpec &s, View a, View b, View c, View offs, View gather, View scatter, View weights,
                View bias, View bias_weights, View kept, View scale_a, View scale_b) {
  arg_names({"a", "b", "c", "offs", "gather", "scatter", "row_weights", "bias", "bias_weights", "pre_activation",
             "scale_a", "scale_b"});
  const Operands o{a, b, c, gather, scatter, weights, bias, bias_weights, kept, scale_a, scale_b};
  Int M = s.gather ? gather.size(0) : a.size(0);
  expect_shapes(s, o, M, offs);
  grid(persistent());
  const int columns = cdiv(s.width(), s.tile_width());
  Groups g = groups_of(s.experts, s.sizes, offs, M);
  Tile upto = cumsum(cdiv(g.last - g.first, s.bm)) * columns; // tiles up to and with each expert
  for (Int i : range(program_id(0), max(upto), num_programs(0))) {
    Tile done = upto <= i;
    auto [e, before, begin, end] =
        reduce(std::array<Tile, 4>{cast(done, i32), where(done, upto, 0), where(done, g.last, 0),
                                   where(done | !g.live, M, g.last)},
               0, [](auto x, auto y) {
                 return std::array<Tile, 4>{x[0] + y[0], maximum(x[1], y[1]), maximum(x[2], y[2]), minimum(x[3], y[3])};
               });
    auto [row, col] = row_and_column(Int(i - before), Int(cdiv(end - begin, s.bm)), columns);
    Place p = place_of(s, o, Int(e), Int(begin + row * s.bm), Int(end), col);
    Parts v = products(s, o, p);
    for (size_t part = 0; part < v.size(); ++part) v[part] = completed(s, o, p, static_cast<int>(part), v[part]);
    put(s, o, p, times_weights(s, o, p, activated(s, v)));
  }
  if (!s.zero_tail) return;
  Int total = max(g.last);
  for (Int i : range(program_id(0), Int(cdiv(M - total, s.bm)) * columns, num_programs(0))) {
    Place p = place_of(s, o, 0, Int(total + i / columns * s.bm), M, Int(i % columns));
    put(s, o, p, zeros({s.bm, s.tile_width()}, wide_dtype(a.dtype())));
  }
}

/// Rows of the result are columns of x, its columns those of y: x = a, y = grad, or the other way round if transposed.
void grouped_mm_backward_b(const GroupedMmBackwardSpec &s, View a, View grad, View out, View offs, View gather,
                           View scatter) {
  arg_names({"a", "grad", "grad_b", "offs", "gather", "scatter"});
  Int M = s.gather ? gather.size(0) : s.scatter ? scatter.size(0) : a.size(0);
  a.expect({s.gather ? a.size(0) : M, s.k}), grad.expect({s.scatter ? grad.size(0) : M, s.n});
  if (s.scatter) scatter.expect({M});
  s.transposed ? out.expect({s.experts, s.n, s.k}) : out.expect({s.experts, s.k, s.n});
  offs.expect({s.experts});
  const int height = s.transposed ? s.n : s.k, width = s.transposed ? s.k : s.n;
  grid(cdiv(width, s.bn), cdiv(height, s.bm), s.experts);
  Int col = program_id(0) * s.bn, row = program_id(1) * s.bm, e = program_id(2);
  Groups g = groups_of(s.experts, s.sizes, offs, M);
  Int begin = max(where(g.lane == e, g.first, 0)), end = max(where(g.lane == e, g.last, 0));
  // Columns c.. of a's or grad's rows from r on: [bk, size].
  auto block = [&](bool of_a, const Int &r, const Int &c, int size) {
    const View &v = of_a ? a : grad;
    if (!(of_a ? s.gather : s.scatter)) return load(v.rows_before(end).tile({r, c}, {s.bk, size}));
    Tile at = r + arange(s.bk);
    Tile from = indexed_rows(of_a ? gather : scatter, at, at < end, v.size(0), of_a ? s.divide : 1,
                             of_a ? "a gather index is past the last row of a"
                                  : "a scatter index is past the last row of the gradient");
    return load(v(along_rows(from), c + arange(size)), along_rows(from >= 0));
  };
  Tile acc = zeros({s.bm, s.bn}, wide_dtype(a.dtype()));
  for (Int r : range(begin, end, s.bk)) {
    Tile left = trans(block(!s.transposed, r, row, s.bm));
    acc = dot(left, block(s.transposed, r, col, s.bn), acc);
  }
  put(s.accumulate, out.at(e).tile({row, col}, {s.bm, s.bn}), acc, out.dtype());
}

} // namespace moec::kernel
