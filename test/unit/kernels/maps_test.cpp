// Routing maps padded and limited per expert, and chunks of rows in another order, against plain host code.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/host.h"
#include "kernels/moe.h"
#include "on_devices.h"
#include "random_data.h"

namespace moec {
namespace {

using Values = std::vector<double>;

using MapsOn = OnDevice;
MOEC_ON_DEVICES(MapsOn, test_devices());

TEST_P(MapsOn, SortChunks) {
  const std::vector<int64_t> sizes{3, 0, 5, 300, 0, 1}, order{4, 3, 0, 5, 1, 2};
  std::vector<int64_t> begin{0}, source;
  for (int64_t s : sizes) begin.push_back(begin.back() + s);
  for (int64_t c : order)
    for (int64_t i = 0; i < sizes[static_cast<size_t>(c)]; ++i) source.push_back(begin[static_cast<size_t>(c)] + i);
  const int64_t rows = begin.back();
  Tensor x = random_floats({rows, 2, 5}, bf16), p = random_floats({rows}, f32), s = Here::from(sizes, {6}),
         o = Here::from(order, {6});
  SortedChunks sorted = sort_chunks(stream, x, s, o, p);
  Values v = x.to_values(), q = p.to_values(), got = sorted.output.to_values(), probs = sorted.probs.to_values();
  for (int64_t i = 0; i < rows; ++i) {
    ASSERT_EQ(probs[static_cast<size_t>(i)], q[static_cast<size_t>(source[static_cast<size_t>(i)])]);
    for (int64_t c = 0; c < 10; ++c) ASSERT_EQ(got[at(i, 10, c)], v[at(source[static_cast<size_t>(i)], 10, c)]);
  }
  SortedChunks back = sort_chunks(stream, sorted.output, s, o, sorted.probs, true);
  EXPECT_EQ(back.output.to_bytes(), x.to_bytes());
  EXPECT_EQ(back.probs.to_bytes(), p.to_bytes());
}

TEST_P(MapsOn, PadRoutingMap) {
  const struct {
    DType dtype;
    int64_t tokens, experts;
  } cases[] = {{boolean, 300, 6}, {boolean, 150, 64}, {i32, 300, 6}, {bf16, 300, 6}, {i32, 4100, 6}}; // counted first
  for (const auto &[t, tokens, experts] : cases) {
    const int multiple = 16;
    Tensor map = some_map(tokens, experts, t);
    Values m = map.to_values(), counts, ceiling;
    for (int64_t e = 0; e < experts; ++e) {
      int64_t n = 0, free = 0;
      for (int64_t r = 0; r < tokens; ++r) n += m[at(r, experts, e)] != 0;
      ceiling.push_back(static_cast<double>(cdiv(n, int64_t{multiple}) * multiple));
      free = static_cast<int64_t>(ceiling.back()) - n;
      for (int64_t r = 0; r < tokens; ++r)
        if (m[at(r, experts, e)] == 0 && free-- > 0) m[at(r, experts, e)] = 1, ++n;
      counts.push_back(static_cast<double>(n));
    }
    PaddedMap p = pad_routing_map(stream, map, multiple);
    EXPECT_EQ(p.routing_map.to_values(), m);
    EXPECT_EQ(p.counts.to_values(), counts);
    EXPECT_EQ(p.tokens_per_expert.to_values(), ceiling);
    pad_routing_map_in_place(stream, map, multiple);
    EXPECT_EQ(map.to_values(), m);
  }
}

TEST_P(MapsOn, LimitCapacity) {
  const struct {
    DType dtype;
    int64_t tokens, experts;
  } cases[] = {{f32, 530, 11}, {bf16, 530, 11}, {f64, 530, 11}, {f32, 260, 100}, {f64, 260, 100}};
  for (const auto &[t, tokens, experts] : cases) {
    const int64_t capacity = 60;
    Tensor map = some_map(tokens, experts);
    Values m = map.to_values();
    Tensor probs = random_floats({tokens, experts}, t);
    Values p = probs.to_values();
    for (size_t i = 0; i < p.size(); i += 2) p[i] = std::round(p[i] * 2) / 2; // equal ones
    probs = Here::from_values(p, {tokens, experts}, t);
    for (bool by_probs : {true, false}) {
      Values want(m.size()), rest = p;
      for (int64_t e = 0; e < experts; ++e) {
        std::vector<int64_t> order;
        for (int64_t r = 0; r < tokens; ++r)
          if (m[at(r, experts, e)] != 0) order.push_back(r);
        if (by_probs) std::ranges::sort(order, {}, [&](int64_t r) { return std::pair(-p[at(r, experts, e)], r); });
        for (size_t i = 0; i < order.size(); ++i) (i < capacity ? want : rest)[at(order[i], experts, e)] = i < capacity;
      }
      LimitedMap got = limit_capacity(stream, map, probs, capacity, {.by_probs = by_probs});
      ASSERT_EQ(got.routing_map.to_values(), want) << by_probs;
      ASSERT_EQ(got.probs.to_values(), rest);
    }
  }
  EXPECT_EQ(expert_capacity(100, 2, 8, 1.25), 32);
  EXPECT_EQ(expert_capacity(10, 2, 8, 1.0, 4), 4);
  EXPECT_EQ(expert_capacity(10, 8, 8, 2.0), 10);
}

} // namespace
} // namespace moec
