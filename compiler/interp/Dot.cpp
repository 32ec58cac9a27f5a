// tile.dot. f32 and f64: one fma after the other, k ascending. Narrow operands: products are exact in f64, the sum is
// kept in f64 and added to the accumulator with one rounding to f32, which is closer than any order of a tensor core's.
#include "compiler/interp/Machine.h"

#include <bit>
#include <cmath>

using namespace mlir;

namespace moec::compiler::interp {
namespace {

template <typename T> std::vector<T> numbers(const Value &tile) {
  std::vector<T> out(tile.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<T>(tile.floatAt(i));
  return out;
}

/// sums[m, n] becomes step(a[m, k], b[k, n], sums[m, n]) for each k in turn.
template <typename T, typename F>
void accumulate(const std::vector<T> &a, const std::vector<T> &b, std::vector<T> &sums, size_t M, size_t N, size_t K,
                F step) {
  for (size_t m = 0; m < M; ++m)
    for (size_t k = 0; k < K; ++k)
      for (size_t n = 0; n < N; ++n) sums[m * N + n] = step(a[m * K + k], b[k * N + n], sums[m * N + n]);
}

template <typename T>
std::vector<Bits> fmaDot(const Value &a, const Value &b, const Value &acc, size_t M, size_t N, size_t K) {
  std::vector<T> sums = numbers<T>(acc);
  accumulate(numbers<T>(a), numbers<T>(b), sums, M, N, K, [](T x, T y, T sum) { return std::fma(x, y, sum); });
  std::vector<Bits> out(sums.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = encode(acc.element(), sums[i]);
  return out;
}

std::vector<Bits> exactProductDot(const Value &a, const Value &b, const Value &acc, size_t M, size_t N, size_t K) {
  std::vector<double> sums(M * N);
  accumulate(numbers<double>(a), numbers<double>(b), sums, M, N, K,
             [](double x, double y, double sum) { return x * y + sum; });
  std::vector<Bits> out(sums.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = encode(acc.element(), acc.floatAt(i) + sums[i]);
  return out;
}

void runDot(Machine &m, tile::DotOp op) {
  Value a = m.get(op.getA()), b = m.get(op.getB()), acc = m.get(op.getAcc());
  size_t M = a.shape()[0], K = a.shape()[1], N = b.shape()[1];
  if (a.element().isF32())
    m.setResult(op, fmaDot<float>(a, b, acc, M, N, K));
  else if (a.element().isF64())
    m.setResult(op, fmaDot<double>(a, b, acc, M, N, K));
  else
    m.setResult(op, exactProductDot(a, b, acc, M, N, K));
}

} // namespace

void registerDot(Table &table) { table.on<tile::DotOp>(runDot); }

} // namespace moec::compiler::interp
