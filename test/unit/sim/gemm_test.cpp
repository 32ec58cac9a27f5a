// mma.sync GEMMs: right against a plain loop, equal on every level and schedule, silent in checked mode, planted bugs
// found.
#include "gemm_text.h"
#include "harness.h"

#include <bit>
#include <chrono>

using namespace moec;
using namespace moec::simtest;
using sim::FindingKind;
using sim::SimLaunch;
using sim::SimOptions;

namespace {

uint16_t to_bf16(float x) { return static_cast<uint16_t>(std::bit_cast<uint32_t>(x) >> 16); }
float from_bf16(uint16_t x) { return std::bit_cast<float>(uint32_t(x) << 16); }

struct Problem {
  int m, n, k;
  std::vector<uint16_t> a, b;
  std::vector<float> c;

  Problem(int m, int n, int k) : m(m), n(n), k(k), a(m * k), b(n * k), c(m * n, -1) {
    uint32_t state = 1;
    auto random = [&] {
      state = state * 1664525 + 1013904223;
      return to_bf16(static_cast<float>(static_cast<int>(state >> 16) - 32768) / 32768);
    };
    for (auto &x : a) x = random();
    for (auto &x : b) x = random();
  }

  std::vector<sim::SimFinding> run(const GemmShape &shape, const sim::LoadedImage &image, SimOptions options = {}) {
    sim::MemoryRange allowed[] = {range_of(a), range_of(b), range_of(c)};
    options.allowed = allowed;
    Params params(a.data(), b.data(), c.data(), n);
    return sim::launch(image,
                       SimLaunch{.grid = {uint32_t(n / shape.block_n()), uint32_t(m / shape.block_m()), 1},
                                 .threads = 128,
                                 .shared_bytes = uint32_t(shape.shared_bytes()),
                                 .params = params.data()},
                       options);
  }

  /// One product after the other, as the simulator does.
  float expected(int row, int column) const {
    float sum = 0;
    for (int i = 0; i < k; ++i) sum += from_bf16(a[row * k + i]) * from_bf16(b[column * k + i]);
    return sum;
  }
};

TEST(SimGemm, RightOnEveryLevelAndSchedule) {
  GemmShape shape{.k = 160};
  std::string text = GemmText(shape).text();
  std::vector<float> first;
  for (const char *level : {"v2", "v3", "v4"}) {
    if (level[1] - '0' > static_cast<int>(sim::host_level())) continue;
    for (bool checked : {false, true}) {
      auto image = load(text, {.level = level, .checked = checked});
      for (uint64_t seed : {0, 7, 8}) {
        for (bool eager : {false, true}) {
          Problem p(128, 128, shape.k);
          auto findings = p.run(shape, image, {.checked = checked, .seed = seed, .eager_async = eager, .workers = 2});
          ASSERT_EQ(texts(findings), "");
          for (int i = 0; i < p.m; i += 5)
            for (int j = 0; j < p.n; ++j) ASSERT_EQ(p.c[i * p.n + j], p.expected(i, j)) << i << "," << j;
          if (first.empty()) first = p.c;
          ASSERT_EQ(p.c, first);
        }
      }
    }
  }
}

TEST(SimGemm, MissingWaitGivesWrongValuesAndARace) {
  GemmShape shape{.wait = false};
  std::string text = GemmText(shape).text();
  Problem p(64, 64, shape.k);
  auto unchecked = load(text);
  EXPECT_EQ(texts(p.run(shape, unchecked)), "");
  EXPECT_NE(p.c[0], p.expected(0, 0));
  auto findings = p.run(shape, load(text, {.checked = true}), {.checked = true});
  EXPECT_NE(find(findings, FindingKind::SharedRace, line_of(text, "// load")), nullptr) << texts(findings);
}

TEST(SimGemm, MissingBarriersAreRaces) {
  GemmShape no_first{.first_barrier = false};
  std::string text = GemmText(no_first).text();
  for (uint64_t seed : {0, 1, 2}) {
    auto findings =
        Problem(64, 64, no_first.k).run(no_first, load(text, {.checked = true}), {.checked = true, .seed = seed});
    EXPECT_NE(find(findings, FindingKind::SharedRace, line_of(text, "// load")), nullptr) << texts(findings);
  }
  GemmShape no_second{.k = 96, .second_barrier = false};
  text = GemmText(no_second).text();
  for (uint64_t seed : {0, 1, 2}) {
    auto findings =
        Problem(64, 64, no_second.k).run(no_second, load(text, {.checked = true}), {.checked = true, .seed = seed});
    bool race = std::any_of(findings.begin(), findings.end(),
                            [](const auto &f) { return f.kind == FindingKind::SharedRace && f.other_line; });
    EXPECT_TRUE(race) << texts(findings);
  }
}

TEST(SimGemm, Speed) {
  for (auto [m_tiles, n_tiles] : {std::pair(2, 4), std::pair(4, 8)}) {
    GemmShape shape{.m_tiles = m_tiles, .n_tiles = n_tiles, .k = 256};
    std::string text = GemmText(shape).text();
    for (bool checked : {false, true}) {
      auto begin = std::chrono::steady_clock::now();
      auto image = load(text, {.checked = checked});
      double compile_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
      Problem p(256, 256, shape.k);
      double best = 1e9;
      for (int i = 0; i < 3; ++i) {
        begin = std::chrono::steady_clock::now();
        ASSERT_EQ(texts(p.run(shape, image, {.checked = checked, .workers = 1})), "");
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
      }
      double flops = 2.0 * p.m * p.n * p.k;
      printf("  warp tile %dx%d%s: %.2f GFLOP/s on one core, compile %.0f ms\n", 16 * m_tiles, 8 * n_tiles,
             checked ? ", checked" : "", flops / best / 1e9, compile_ms);
      ASSERT_EQ(p.c[p.n + 1], p.expected(1, 1));
    }
  }
}

} // namespace
