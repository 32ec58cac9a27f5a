// Indices, sub-views and origins that come from memory and are wrong: the checked simulator says which number is out of
// which range, at the line of the access or of the part. The same kernels with right numbers are silent, and so is what
// looks wrong but touches nothing.
#include "test/unit/ops/differential.h"

#include <fmt/format.h>

namespace moec::ops {
namespace {

void gather(const NoSpec &, View x, View n, View y) {
  grid(1);
  Tile i = arange(16);
  store(y(i), load(x(load(n(i)))));
}
void masked_gather(const NoSpec &, View x, View n, View y) {
  grid(1);
  Tile i = arange(16), from = load(n(i));
  store(y(i), load(x(from), (from >= 0) & (from < x.size(0))));
}
void one_of(const NoSpec &, View x, View n, View y) { // x [8, 16]
  grid(1);
  Tile i = arange(16);
  store(y(i), load(x.at(load(n(3)))(i)));
}
void none_of(const NoSpec &, View x, View n, View y) { // nothing of the part is accessed
  grid(1);
  Tile i = arange(16);
  Int e = load(n(3));
  store(y(i), load(x.at(e)(i), (e < x.size(0)) & (i < 16)));
}
void part(const NoSpec &, View x, View n, View y) {
  grid(1);
  Tile i = arange(16);
  store(y(i), load(x.rows(load(n(2)), load(n(3)))(i)));
}
void block(const NoSpec &, View x, View n, View y) {
  grid(1);
  store(y.tile({0}, {16}), load(x.tile({load(n(3))}, {16})));
}
void block_of_loop(const NoSpec &, View x, View n, View y) { // the origin comes through a loop and arithmetic
  grid(1);
  Int at = 0;
  for (Int k : range(0, 4)) at = at + load(n(k));
  store(y.tile({0}, {16}), load(x.tile({at * 2}, {16})));
}
void block_by_program(const NoSpec &, View x, View, View y) { // no load: clipped, as blocks are
  grid(1);
  store(y.tile({0}, {16}), load(x.tile({program_id(0) + 1000}, {16})));
}

struct Mistake {
  const char *what;
  void (*kernel)(const NoSpec &, View, View, View);
  std::vector<double> numbers; ///< n[0..3]; the rest is 0
  std::string text;            ///< "" where all is well
  Dims shape = {128};
};

TEST(Mistakes, NumbersFromMemory) {
  const Mistake mistakes[] = {
      {"index", gather, {127, 130, 0, 1}, "index 130 is outside 0..128 of dimension 0"},
      {"negative index", gather, {0, 0, -1, 1}, "index -1 is outside 0..128 of dimension 0"},
      {"good index", gather, {127, 0, 0, 1}, ""},
      {"masked index", masked_gather, {127, 130, -1, 1}, ""},
      {"view_at", one_of, {0, 0, 0, 8}, "index 8 is outside 0..8 of the view's first dimension", {8, 16}},
      {"good view_at", one_of, {0, 0, 0, 7}, "", {8, 16}},
      {"view_at without an access", none_of, {0, 0, 0, 8}, "", {8, 16}},
      {"part", part, {0, 0, 3, 129}, "3..129 of dimension 0 is no part of the view"},
      {"part that ends before it begins", part, {0, 0, 5, 4}, "5..4 of dimension 0 is no part of the view"},
      {"good part", part, {0, 0, 128, 128}, ""},
      {"origin", block, {0, 0, 0, 129}, "origin 129 of a block is outside 0..128 of dimension 0"},
      {"negative origin", block, {0, 0, 0, -1}, "origin -1 of a block is outside 0..128 of dimension 0"},
      {"origin at the end", block, {0, 0, 0, 128}, ""},
      {"block over the end", block, {0, 0, 0, 120}, ""},
      {"origin of a loop", block_of_loop, {20, 20, 20, 5}, "origin 130 of a block is outside 0..128 of dimension 0"},
      {"good origin of a loop", block_of_loop, {20, 20, 20, 4}, ""},
      {"origin of the program", block_by_program, {}, ""},
  };
  for (const Mistake &m : mistakes)
    for (int warps : {1, 4}) {
      Argument x = numbers(f32, m.shape, 1), n = integers(i32, {16}, 0, 0, 1), y = output(f32, {16});
      for (size_t i = 0; i < m.numbers.size(); ++i)
        n.set(static_cast<int64_t>(i), static_cast<uint32_t>(static_cast<int32_t>(m.numbers[i])));
      std::string said;
      try {
        jit(m.kernel, {.num_warps = warps})(Device::sim(), NoSpec{}, x.tensor(), n.tensor(), y.tensor());
      } catch (const DeviceError &e) { said = e.what(); }
      if (m.text.empty()) {
        EXPECT_EQ(said, "") << m.what;
      } else {
        EXPECT_NE(said.find(m.text), std::string::npos) << m.what << ": " << said;
        EXPECT_NE(said.find("mistakes_test.cpp:"), std::string::npos) << said;
      }
    }
}

/// Every thread loads the scalar, one replaces it.
void take_number(const NoSpec &, View counter, View y) {
  grid(1);
  Int n = load(counter(0));
  store(counter(0), n + 1);
  store(y(arange(128)), full({128}, n, i32));
}

TEST(Mistakes, AScalarIsReadByAllBeforeItIsReplaced) {
  for (int warps : {1, 4}) {
    Tensor counter = Tensor::from(std::vector<int>{5}, {1}), y = Tensor::zeros({128}, i32);
    jit(take_number, {.num_warps = warps})(Device::sim(), NoSpec{}, counter, y);
    EXPECT_EQ(y.to_vector<int>(), std::vector<int>(128, 5));
    EXPECT_EQ(counter.to_vector<int>()[0], 6);
  }
}

void endless(const NoSpec &, View x) {
  grid(1);
  while_([&] { return load(x(0)) < 1; }, [&] { store(x(1), 1.0f); });
}
const int endless_line = __LINE__ - 2;

// The limit is read once per process: in a child of its own.
TEST(MistakesDeathTest, AnEndlessLoopSaysWhereItsThreadsAre) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  setenv("MOEC_SIM_SECONDS", "0.2", 1);
  const std::string line = "mistakes_test.cpp:" + std::to_string(endless_line);
  EXPECT_EXIT(
      {
        try {
          jit(endless)(Device::sim(), NoSpec{}, Tensor::zeros({2}, f32));
        } catch (const DeviceError &e) {
          fputs(e.what(), stderr);
          exit(1);
        }
        exit(0);
      },
      testing::ExitedWithCode(1),
      line + ": livelock: the CTA has not ended after 0.2 s.*; threads .* wait at .* at [^;]*" + line);
  unsetenv("MOEC_SIM_SECONDS");
}

} // namespace
} // namespace moec::ops
