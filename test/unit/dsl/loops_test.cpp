// Recorded loops and branches: what is carried, in which order, and what handles hold afterwards.
#include "recorded.h"

#include <thread>

using namespace moec;
using namespace moec::test;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

/// Body of a kernel (Int n) that ends with stores to y: records and verifies it.
Recording run(void (*kernel)(const NoSpec &, View y, Int n)) {
  Recording r = record(kernel, NoSpec{}, {view(i32, 1), scalar(i32)});
  EXPECT_EQ(parse_and_verify({r.text}), "") << r.text;
  return r;
}

TEST(DslLoops, AssignedVariablesAreCarriedOthersAreNot) {
  Recording r = run([](const NoSpec &, View y, [[maybe_unused]] Int n) {
    grid(1);
    Int a = 3, b = 5;
    for (Int i : range(n)) a = a + b * i;
    store(y(0), a);
  });
  EXPECT_THAT(line_with(r, "scf.for"), HasSubstr("\"scf.for\"(%1, %arg1, %2, %3) ({"));
  EXPECT_THAT(line_with(r, "^bb0(%arg2"), HasSubstr("^bb0(%arg2: i32, %arg3: i32):"));
  EXPECT_THAT(line_with(r, "arith.muli"), HasSubstr("\"arith.muli\"(%4, %arg2)")); // b itself, not an argument
}

TEST(DslLoops, OrderIsThatOfFirstAssignment) {
  Recording r = run([](const NoSpec &, View y, [[maybe_unused]] Int n) {
    grid(1);
    Int a = 1, b = 2, c = 3;
    for (Int i : range(n)) {
      c = c + i;
      a = a + i;
      c = c + b;
      b = b + a;
    }
    store(y(0), a + b * c);
  });
  EXPECT_THAT(line_with(r, "value = 3 "), HasSubstr("%3 ="));
  EXPECT_THAT(line_with(r, "value = 1 "), HasSubstr("%0 ="));
  EXPECT_THAT(body(r)[7], HasSubstr("scf.for")) << r.text;
  // initial values: c, a, b
  auto lines = body(r);
  EXPECT_THAT(lines[4], HasSubstr("value = 3 "));
  EXPECT_THAT(lines[5], HasSubstr("value = 1 "));
  EXPECT_THAT(lines[6], HasSubstr("value = 2 "));
  EXPECT_THAT(lines[7], HasSubstr("(%1, %arg1, %2, %3, %4, %5)"));
}

TEST(DslLoops, Swap) {
  Recording r = run([](const NoSpec &, View y, [[maybe_unused]] Int n) {
    grid(1);
    Int a = 1, b = 2;
    for (Int i : range(n)) std::swap(a, b);
    store(y(0), a);
    store(y(1), b);
  });
  EXPECT_THAT(line_with(r, "scf.yield"), HasSubstr("\"scf.yield\"(%arg4, %arg3)"));
}

TEST(DslLoops, AliasOfAnUnassignedVariable) {
  Recording r = run([](const NoSpec &, View y, [[maybe_unused]] Int n) {
    grid(1);
    Int acc = 0, other = 7;
    for (Int i : range(n)) acc = other;
    store(y(0), acc + other);
  });
  EXPECT_THAT(line_with(r, "^bb0(%arg2"), HasSubstr("^bb0(%arg2: i32, %arg3: i32):")); // only acc
  EXPECT_THAT(line_with(r, "scf.yield"), HasSubstr("\"scf.yield\"(%4)"));              // other's own value
  EXPECT_THAT(line_with(r, "= \"arith.constant\"() <{value = 7"), HasSubstr("%4 ="));
}

TEST(DslLoops, NestedLoopsRecordOnceAndPassThrough) {
  Recording r = run([](const NoSpec &, View y, [[maybe_unused]] Int n) {
    grid(1);
    Int a = 0, b = 1;
    for (Int i : range(n))
      for (Int j : range(n))
        for (Int k : range(n)) a = a + b;
    store(y(0), a);
  });
  EXPECT_EQ(count(r, "scf.for"), 3u);
  EXPECT_EQ(count(r, "arith.addi"), 1u);
  EXPECT_THAT(line_with(r, "arith.addi"), HasSubstr("(%arg7, %")); // the innermost argument, and b from the top
}

TEST(DslLoops, InnerAssignmentDecidesForOuter) {
  Recording r = run([](const NoSpec &, View y, [[maybe_unused]] Int n) {
    grid(1);
    Int a = 0, b = 1;
    for (Int i : range(n)) {
      b = b + 1;
      for (Int j : range(n)) {
        a = a + b;
        b = b * 2;
      }
    }
    store(y(0), a);
    store(y(1), b);
  });
  auto lines = body(r);
  std::string outer = line_with(r, ":2 = \"scf.for\"");
  EXPECT_THAT(line_with(r, "value = 1 : i32"), HasSubstr("%0")); // grid's
  EXPECT_THAT(outer, HasSubstr("%3, %4) ({"));                   // b (assigned first) = 1, a = 0
  EXPECT_THAT(lines[4], HasSubstr("value = 1 "));
  EXPECT_THAT(lines[5], HasSubstr("value = 0 "));
}

TEST(DslLoops, HandlesThatDieOrAreBornInsideAreNotCarried) {
  Recording r = run([](const NoSpec &, View y, [[maybe_unused]] Int n) {
    grid(1);
    std::vector<Int> gone(3, Int(4));
    Int sum = 0;
    for (Int i : range(n)) {
      Int local = i * 2;
      local = local + 1;
      sum = sum + local;
      gone.clear();
    }
    store(y(0), sum);
  });
  EXPECT_THAT(line_with(r, "^bb0(%arg2"), HasSubstr("^bb0(%arg2: i32, %arg3: i32):"));
}

TEST(DslLoops, ContinueEndsTheBodyBeingRecorded) {
  Recording r = run([](const NoSpec &, View y, [[maybe_unused]] Int n) {
    grid(1);
    Int sum = 0;
    bool skip_rest = true; // a C++ bool: decided while recording
    for (Int i : range(n)) {
      sum = sum + i;
      if (skip_rest) continue;
      sum = sum * 100;
    }
    store(y(0), sum);
  });
  EXPECT_EQ(count(r, "arith.muli"), 0u);
}

TEST(DslLoops, CppLoopsUnroll) {
  Recording r = run([](const NoSpec &, View y, [[maybe_unused]] Int n) {
    grid(1);
    for (int i = 0; i < 4; ++i) n = n * n;
    store(y(0), n);
  });
  EXPECT_EQ(count(r, "arith.muli"), 4u);
}

TEST(DslLoops, BoundsWidenToI64Together) {
  Recording r = record(
      +[](const NoSpec &, View y, [[maybe_unused]] Int n) {
        grid(1);
        for (Int i : range(program_id(0), n, 2)) store(y(i), cast(i, i32));
      },
      NoSpec{}, {view(i32, 1), scalar(i64)});
  EXPECT_EQ(parse_and_verify({r.text}), "");
  EXPECT_THAT(line_with(r, "}) : (i64"), HasSubstr("}) : (i64, i64, i64) -> ()"));
}

TEST(DslLoops, WhenGivesTheValuesOfTheBranchTaken) {
  Recording r = run([](const NoSpec &, View y, [[maybe_unused]] Int n) {
    grid(1);
    Int a = 1, b = 2, c = 3, fresh;
    when(
        n > 0,
        [&] {
          b = b + n;
          fresh = 5;
        },
        [&] {
          a = a * n;
          fresh = 6;
        });
    store(y(0), a + b * c);
    store(y(1), fresh);
  });
  EXPECT_THAT(line_with(r, "scf.if"), HasSubstr(":3 = \"scf.if\"("));
  EXPECT_EQ(count(r, "scf.yield"), 2u);
}

TEST(DslLoops, WhenWithoutElse) {
  Recording r = run([](const NoSpec &, View y, [[maybe_unused]] Int n) {
    grid(1);
    Int a = 1;
    when(n > 0, [&] { store(y(0), 1); });
    when(n > 1, [&] { a = n; });
    store(y(1), a);
  });
  EXPECT_THAT(r.text, HasSubstr("}, {\n    }) : (i1) -> ()"));
  EXPECT_THAT(r.text, HasSubstr("}) : (i1) -> i32"));
}

TEST(DslLoops, WhileCarriesWhatEitherPartAssigns) {
  Recording r = run([](const NoSpec &, View y, [[maybe_unused]] Int n) {
    grid(1);
    Int a = 1, tries = 0, limit = 10;
    while_(
        [&] {
          tries = tries + 1;
          return (a < n) & (tries < limit);
        },
        [&] { a = a * 2; });
    store(y(0), a);
    store(y(1), tries);
  });
  EXPECT_THAT(line_with(r, "scf.condition"), HasSubstr(": (i1, i32, i32) -> ()"));
}

TEST(DslLoops, LoopInsideWhenInsideLoop) {
  Recording r = run([](const NoSpec &, View y, [[maybe_unused]] Int n) {
    grid(1);
    Int a = 0;
    for (Int i : range(n))
      when(i % 2 == 0, [&] {
        for (Int j : range(i)) a = a + j;
      });
    store(y(0), a);
  });
  EXPECT_EQ(count(r, "scf.for"), 2u);
  EXPECT_EQ(count(r, "scf.if"), 1u);
}

TEST(DslLoops, CarriedTilesAndArraysOfHandles) {
  Recording r = record(
      +[](const NoSpec &, View x, View y) {
        grid(1);
        std::array<Tile, 2> acc{zeros({16}, f32), zeros({16}, f32)};
        for (Int k : range(0, x.size(0), 16))
          for (size_t j = 0; j < 2; ++j) acc[j] += load(x(k + arange(16))) * static_cast<float>(j + 1);
        store(y(arange(16)), acc[0] + acc[1]);
      },
      NoSpec{}, {view(f32, 1), view(f32, 1)});
  EXPECT_EQ(parse_and_verify({r.text}), "");
  EXPECT_THAT(line_with(r, "}) : (i32"), HasSubstr("-> (tensor<16xf32>, tensor<16xf32>)"));
}

// -- what clips: everything that does not depend on a load

std::string clip_of(const Recording &r, const std::string &op) {
  std::string line = line_with(r, op);
  size_t at = line.find("array<i1");
  return at == line.npos ? line : line.substr(at, line.find('>', at) - at + 1);
}

TEST(DslClip, AnIndexFromALoadDoesNotClip) {
  Recording r = run([](const NoSpec &, View y, [[maybe_unused]] Int n) {
    grid(1);
    store(y(load(y(n))), 1);
  });
  EXPECT_EQ(clip_of(r, "tile.view_load"), "array<i1: true>");
  EXPECT_EQ(clip_of(r, "tile.view_store"), "array<i1: false>");
}

TEST(DslClip, ThroughCarriedValues) {
  Recording r = run([](const NoSpec &, View y, [[maybe_unused]] Int n) {
    grid(1);
    Int a = 0, b = 0, c = 0;
    for (Int i : range(n)) {
      store(y(a), 1); // a becomes what b was, which is loaded
      store(y(c), 2);
      a = b;
      b = load(y(i));
      c = c + 1;
    }
  });
  auto lines = body(r);
  std::vector<std::string> clips;
  for (auto &l : lines)
    if (l.find("view_store") != l.npos)
      clips.push_back(l.substr(l.find("array<i1"), l.find('>', l.find("array<i1")) - l.find("array<i1") + 1));
  EXPECT_THAT(clips, ElementsAre("array<i1: false>", "array<i1: true>"));
}

TEST(DslClip, BoundsAndConditionsCount) {
  Recording r = run([](const NoSpec &, View y, [[maybe_unused]] Int n) {
    grid(1);
    for (Int i : range(load(y(0)))) store(y(i), 1);
  });
  EXPECT_EQ(clip_of(r, "tile.view_store"), "array<i1: false>");
  r = run([](const NoSpec &, View y, [[maybe_unused]] Int n) {
    grid(1);
    Int at = 0;
    when(load(y(0)) > 0, [&] { at = 1; });
    store(y(at), 1);
  });
  EXPECT_EQ(clip_of(r, "tile.view_store"), "array<i1: false>");
  r = run([](const NoSpec &, View y, [[maybe_unused]] Int n) {
    grid(1);
    Int at = 0;
    while_([&] { return at < load(y(0)); }, [&] { at += 1; });
    store(y(at), 1);
  });
  EXPECT_EQ(clip_of(r, "tile.view_store"), "array<i1: false>");
}

// -- threads and lives of handles

TEST(DslHandles, RecordingsOnManyThreadsDoNotMeet) {
  std::vector<std::string> expected;
  for (const Sample &s : samples()) expected.push_back(s.record().text);
  std::vector<std::thread> threads;
  std::vector<int> wrong(8);
  for (size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      for (int k = 0; k < 20; ++k)
        for (size_t i = 0; i < samples().size(); ++i) wrong[t] += samples()[i].record().text != expected[i];
    });
  for (std::thread &t : threads) t.join();
  EXPECT_THAT(wrong, testing::Each(0));
}

TEST(DslHandles, ARecordingInsideARecording) {
  static std::string inner;
  Recording r = run([](const NoSpec &, View y, [[maybe_unused]] Int n) {
    grid(1);
    Int a = n + 1;
    inner = samples()[2].record().text;
    store(y(0), a);
  });
  EXPECT_EQ(inner, samples()[2].record().text);
  EXPECT_EQ(count(r, "arith.addi"), 1u);
}

TEST(DslHandles, HandlesOutliveTheirRecording) {
  static std::vector<Tile> kept;
  kept.clear();
  run([](const NoSpec &, View y, [[maybe_unused]] Int n) {
    grid(1);
    kept.push_back(n + 1);
    store(y(0), kept[0]);
  });
  kept.clear(); // touches no list that is gone
  run([](const NoSpec &, View y, [[maybe_unused]] Int n) {
    grid(1);
    store(y(0), n);
  });
}

} // namespace
