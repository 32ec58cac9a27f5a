// Rows by token for indices of any origin: a stable radix sort, eight bits of the token at a time, and the sums over
// its lists.
#include "kernels/inverse.h"

#include "kernels/registration.h"
#include "kernels/routing_map.h"
#include "kernels/token_rows.h"

namespace moec {

namespace kernel {
namespace {

struct DigitSpec {
  int shift = 0; ///< bits shift..shift+7 of the token; of the first pass 0, whose order is that of the rows
  int block = 512;
  static void fields(auto &s, auto &&f) { f("shift", s.shift), f("block", s.block); }
};
constexpr int kBins = 256;

/// Rows at positions `at` of the order before this pass, -1 past the end.
Tile rows_at(const DigitSpec &s, View order, Tile at, Int N) {
  return s.shift == 0 ? where(at < N, at, -1) : load(order(at), Operand::none(), -1);
}
/// Their digits, kBins past the end. Rows of no token go behind the last token.
Tile digits(const DigitSpec &s, View index, Tile row, Int tokens) {
  Tile t = load(index(row), row >= 0);
  device_assert((row < 0) | (t < cast(tokens, t.dtype())), "row index {0} is past the last of the result's {1} rows",
                {t, tokens});
  Tile key = where(t < 0, tokens, cast(t, i32));
  return where(row >= 0, key >> s.shift & (kBins - 1), kBins);
}

void digit_count(const DigitSpec &s, View index, View order, Int tokens, View counts) {
  arg_names({"index", "order", "tokens", "counts"});
  Int N = index.size(0), b = program_id(0);
  counts.expect({cdiv(N, s.block), kBins});
  grid(cdiv(N, s.block));
  Tile digit = digits(s, index, rows_at(s, order, b * s.block + arange(s.block), N), tokens);
  store(counts(b, arange(kBins)), histogram(digit, kBins, digit < kBins));
}

/// `counts`: rows of each digit in the blocks before; `totals`: in all. `base` is scratch.
void digit_place(const DigitSpec &s, View index, View order, Int tokens, View counts, View totals, View base,
                 View sorted) {
  arg_names({"index", "order", "tokens", "counts", "totals", "base", "sorted"});
  Int N = index.size(0), b = program_id(0);
  for (const View &v : {counts, base}) v.expect({cdiv(N, s.block), kBins});
  totals.expect({kBins}), sorted.expect({N});
  grid(cdiv(N, s.block));
  Tile lane = arange(s.block), row = rows_at(s, order, b * s.block + lane, N), bin = arange(kBins);
  Tile digit = digits(s, index, row, tokens), own = histogram(digit, kBins, digit < kBins), total = load(totals(bin));
  store(base(b, bin), cumsum(total) - total + load(counts(b, bin)) - (cumsum(own) - own));
  barrier();
  auto [key, moved] = sort(std::array{digit * s.block + lane, row}); // digit and lane: stable
  Tile to = key / s.block, real = to < kBins;
  store(sorted(lane + load(base(b, to), real)), moved, real);
}

struct StartsSpec {
  static void fields(auto &, auto &&) {}
};

/// starts[t]: the first position whose row's token is t or greater.
void list_starts(const StartsSpec &, View index, View order, View starts) {
  arg_names({"index", "order", "starts"});
  Int N = index.size(0), tokens = starts.size(0) - 1;
  order.expect({N});
  const int block = 512;
  grid(N / block + 1);
  Tile at = program_id(0) * block + arange(block);
  auto token = [&](Tile i, Tile real) {
    Tile t = load(index(load(order(i), real, 0)), real, -1);
    return where(real & (t >= 0), cast(t, i32), tokens);
  };
  Tile own = token(at, at < N), before = where(at > 0, token(at - 1, (at > 0) & (at <= N)), -1);
  Tile gap = where(at <= N, own - before, 0); // tokens that begin here
  for (Int k : range(1, max(gap) + 1)) store(starts(before + k), at, k <= gap);
}

struct ListedSpec {
  int cols = 4096, block = 4096;
  static void fields(auto &s, auto &&f) { f("cols", s.cols), f("block", s.block); }
};

void sum_listed_rows(const ListedSpec &s, View x, View order, View starts, View out) {
  arg_names({"x", "rows", "starts", "out"});
  Int T = out.size(0);
  x.expect({x.size(0), s.cols}), out.expect({T, s.cols}), order.expect({x.size(0)}), starts.expect({T + 1});
  grid(T);
  Int t = program_id(0), begin = load(starts(t)), end = load(starts(t + 1));
  DType wide = wide_dtype(x.dtype());
  const int step = 8;
  Tile lane = arange(step);
  for_columns(s.cols, s.block, [&](Tile col) {
    Tile acc = zeros({s.block}, wide);
    for (Int i : range(begin, end, step)) {
      Tile ids = load(order(i + lane), i + lane < end, -1);
      for (int k = 0; k < step; ++k) {
        Int row = sum(where(lane == k, ids, 0));
        acc += cast(load(x(row, col), row >= 0), wide);
      }
    }
    store(out(t, col), cast(acc, out.dtype()));
  });
}

} // namespace
} // namespace kernel

static constexpr Schedule kSchedule{.num_warps = 4};

RowLists list_rows(const Stream &stream, const Tensor &index, int64_t tokens) {
  const int64_t n = index.size(0);
  check_that(n < (int64_t{1} << 31) - 4096 && tokens >= 0 && tokens < (int64_t{1} << 31) - 4096,
             "unpermute: sorted_indices", "there are 2^31 rows or tokens or more", "do it in parts");
  static const auto count = jit(kernel::digit_count, kSchedule);
  static const auto place = jit(kernel::digit_place, kSchedule);
  static const auto mark = jit(kernel::list_starts, kSchedule);
  kernel::DigitSpec spec;
  const Dims blocks{cdiv(n, int64_t{spec.block}), kernel::kBins};
  Tensor counts = Tensor::empty(blocks, i32, stream), base = Tensor::empty(blocks, i32, stream),
         totals = Tensor::empty({kernel::kBins}, i32, stream);
  RowLists lists{Tensor::empty({n}, i32, stream), Tensor::empty({tokens + 1}, i32, stream)};
  Tensor other = tokens >= kernel::kBins ? Tensor::empty({n}, i32, stream) : lists.rows;
  const auto last = static_cast<int32_t>(tokens);
  for (int64_t rest = tokens; spec.shift == 0 || rest > 0; spec.shift += 8) { // keys are 0..tokens
    rest >>= 8;
    count(stream, spec, index, other, last, counts);
    scan_counts(stream, counts, totals);
    place(stream, spec, index, other, last, counts, totals, base, lists.rows);
    if (rest > 0) std::swap(lists.rows, other);
  }
  if (n == 0) {
    lists.starts = Tensor::zeros({tokens + 1}, i32, stream);
    return lists;
  }
  mark(stream, kernel::StartsSpec{}, index, lists.rows, lists.starts);
  return lists;
}

Tensor sum_listed_rows(const Stream &stream, const Tensor &x, const RowLists &lists) {
  check_columns("unpermute: permuted_tokens", x.size(1));
  static const auto run = jit(kernel::sum_listed_rows, kSchedule);
  Tensor out = Tensor::empty({lists.starts.size(0) - 1, x.size(1)}, x.dtype(), stream);
  run(stream, kernel::ListedSpec{static_cast<int>(x.size(1)), block_for(x.size(1), 4096)}, x, lists.rows, lists.starts,
      out);
  return out;
}

void register_inverse(Library &l) {
  const std::vector<KernelSetting> sizes{{"T", "4096", "tokens"},
                                         {"N", "32768", "rows"},
                                         {"dtype", "bf16", "of the rows"},
                                         {"index", "i64", "of the indices"}};
  const KernelArgument index{"index", "[N]", "index"}, order{"order", "[N]", "i32"}, tokens{"tokens", "scalar", "i32"},
      counts{"counts", "[(N+block-1)/block, 256]", "i32"}, starts{"starts", "[T+1]", "i32"};
  add_kernel(l, kernel::digit_count, "digit_count", "rows per digit of the token and block of rows", kSchedule,
             {index, order, tokens, counts}, sizes);
  add_kernel(l, kernel::digit_place, "digit_place", "rows in order of a digit of the token", kSchedule,
             {index,
              order,
              tokens,
              counts,
              {"totals", "[256]", "i32"},
              {"base", "[(N+block-1)/block, 256]", "i32"},
              {"sorted", "[N]", "i32"}},
             sizes);
  add_kernel(l, kernel::list_starts, "list_starts", "where each token's rows begin", kSchedule, {index, order, starts},
             sizes);
  add_kernel(l, kernel::sum_listed_rows, "sum_listed_rows", "sum of each token's listed rows", kSchedule,
             {{"x", "[N, cols]", "dtype"}, order, starts, {"out", "[T, cols]", "dtype"}}, sizes);
  l.add_specializations({
      {"digit_count", "shift=0", "Qwen3-30B-A3B"},
      {"digit_count", "shift=8,index=i32,N=77,T=300", "odd sizes"},
      {"digit_place", "shift=0", "Qwen3-30B-A3B"},
      {"digit_place", "shift=8,index=i32,N=77,T=300", "odd sizes"},
      {"list_starts", "index=i64", "Qwen3-30B-A3B"},
      {"sum_listed_rows", "cols=2048,block=2048", "Qwen3-30B-A3B"},
      {"sum_listed_rows", "cols=24,block=32,dtype=f64,T=37,N=111", "f64"},
  });
}

} // namespace moec
