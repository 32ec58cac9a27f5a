#include "examples/host_layer.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>
#include <vector>

#include "runtime/convert.h"

using namespace moec;

namespace {

const uint16_t *bits(const Tensor &t) { return static_cast<const uint16_t *>(t.data()); }
double rounded(double v) { return from_bf16(to_bf16(v)); }

/// A row of an expert: slot k of token t.
struct Row {
  int64_t token, slot;
  double weight;
};

/// c [rows, n] = a [rows, k] * b [k, n] (bf16), each element rounded to bf16.
void product(const std::vector<double> &a, const uint16_t *b, std::vector<double> &c, size_t rows, size_t k, size_t n) {
  c.assign(rows * n, 0);
  std::vector<double> line(n);
  for (size_t i = 0; i < k; ++i) {
    for (size_t j = 0; j < n; ++j) line[j] = from_bf16(b[i * n + j]);
    for (size_t r = 0; r < rows; ++r) {
      const double v = a[r * k + i];
      double *out = c.data() + r * n;
      for (size_t j = 0; j < n; ++j) out[j] += v * line[j];
    }
  }
  for (double &v : c) v = rounded(v);
}

} // namespace

Tensor host_layer(const Tensor &x, const Tensor &ids, const Tensor &weights, const Tensor &gate_and_up,
                  const Tensor &down) {
  const auto T = static_cast<size_t>(x.size(0)), D = static_cast<size_t>(x.size(1)),
             K = static_cast<size_t>(ids.size(1)), E = static_cast<size_t>(down.size(0)),
             I = static_cast<size_t>(down.size(1));
  std::vector<std::vector<Row>> rows(E);
  const auto *id = static_cast<const int64_t *>(ids.data());
  for (size_t s = 0; s < T * K; ++s)
    rows[static_cast<size_t>(id[s])].push_back(
        {static_cast<int64_t>(s / K), static_cast<int64_t>(s), from_bf16(bits(weights)[s])});
  std::vector<double> slots(T * K * D); // o of each slot
  std::atomic<size_t> next{0};
  auto work = [&] {
    std::vector<double> in, h, a, o;
    for (size_t e; (e = next++) < E;) {
      const size_t n = rows[e].size();
      in.resize(n * D);
      for (size_t r = 0; r < n; ++r)
        for (size_t d = 0; d < D; ++d)
          in[r * D + d] = from_bf16(bits(x)[static_cast<size_t>(rows[e][r].token) * D + d]);
      product(in, bits(gate_and_up) + e * D * 2 * I, h, n, D, 2 * I);
      a.resize(n * I);
      for (size_t r = 0; r < n; ++r)
        for (size_t c = 0; c < I; ++c) {
          double g = h[r * 2 * I + c], u = h[r * 2 * I + I + c];
          a[r * I + c] = rounded(g / (1 + std::exp(-g)) * u * rows[e][r].weight);
        }
      product(a, bits(down) + e * I * D, o, n, I, D);
      for (size_t r = 0; r < n; ++r)
        std::copy_n(o.data() + r * D, D, slots.data() + static_cast<size_t>(rows[e][r].slot) * D);
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i) threads.emplace_back(work);
  for (std::thread &t : threads) t.join();
  Tensor y = Tensor::empty(x.shape(), bf16);
  for (size_t t = 0; t < T; ++t)
    for (size_t d = 0; d < D; ++d) {
      double sum = 0;
      for (size_t k = 0; k < K; ++k) sum += slots[(t * K + k) * D + d];
      static_cast<uint16_t *>(y.data())[t * D + d] = to_bf16(sum);
    }
  return y;
}

TensorReport compare_routing(const Tensor &logits, const Tensor &ids, const Tensor &weights) {
  const auto T = static_cast<size_t>(logits.size(0)), E = static_cast<size_t>(logits.size(1)),
             K = static_cast<size_t>(ids.size(1));
  const auto *id = static_cast<const int64_t *>(ids.data());
  TensorReport report{"routing weights", CheckStatus::pass, 0, 0x1p-6, ""};
  auto wrong = [&](std::string why) {
    report.status = CheckStatus::fail;
    if (report.detail.empty()) report.detail = std::move(why);
  };
  for (size_t t = 0; t < T; ++t) {
    std::vector<double> score(E);
    double chosen = 0, least = INFINITY;
    for (size_t e = 0; e < E; ++e) score[e] = std::exp(static_cast<double>(from_bf16(bits(logits)[t * E + e])));
    std::vector<bool> taken(E);
    for (size_t k = 0; k < K; ++k) {
      auto e = static_cast<size_t>(id[t * K + k]);
      if (e >= E || taken[e]) {
        wrong(fmt::format("token {} slot {} has expert {}", t, k, e));
        return report;
      }
      taken[e] = true;
      chosen += score[e], least = std::min(least, score[e]);
    }
    for (size_t e = 0; e < E; ++e)
      if (!taken[e] && score[e] > least * (1 + 0x1p-7)) wrong(fmt::format("token {} leaves out expert {}", t, e));
    for (size_t k = 0; k < K; ++k) {
      double want = score[static_cast<size_t>(id[t * K + k])] / chosen,
             error = std::abs(from_bf16(bits(weights)[t * K + k]) - want) / want;
      report.max_error = std::max(report.max_error, error);
      if (error > report.tolerance) wrong(fmt::format("weight of token {} slot {} is off", t, k));
    }
  }
  return report;
}
