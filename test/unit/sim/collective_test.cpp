// Warp-wide operations and barriers against what PTX says of them.
#include "harness.h"

#include <bit>
#include <cmath>

using namespace moec;
using namespace moec::simtest;
using sim::FindingKind;
using sim::SimLaunch;
using sim::SimOptions;

namespace {

/// One warp: out[lane] = the i32 %r that `body` makes of in[lane] (%x) and %lane.
std::vector<int> one_warp(const std::string &body, const std::vector<int> &in, uint64_t seed = 0,
                          const std::string &prologue = "") {
  std::string text =
      prologue +
      "llvm.func @k(%in: !llvm.ptr<1>, %out: !llvm.ptr<1>) attributes {nvvm.kernel, nvvm.reqntid = array<i32: 32>} {\n"
      "  %full = llvm.mlir.constant(-1 : i32) : i32\n  %c31 = llvm.mlir.constant(31 : i32) : i32\n  %c0 = "
      "llvm.mlir.constant(0 : i32) : i32\n"
      "  %c1 = llvm.mlir.constant(1 : i32) : i32\n  %c3 = llvm.mlir.constant(3 : i32) : i32\n"
      "  %lane = nvvm.read.ptx.sreg.laneid : i32\n"
      "  %px = llvm.getelementptr %in[%lane] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32\n"
      "  %pr = llvm.getelementptr %out[%lane] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32\n"
      "  %x = llvm.load %px : !llvm.ptr<1> -> i32\n" +
      body + "\n  llvm.store %r, %pr : i32, !llvm.ptr<1>\n  llvm.return\n}\n";
  auto image = load(text);
  std::vector<int> data = in, out(32, -7);
  Params params(data.data(), out.data());
  auto findings = sim::launch(image, SimLaunch{.threads = 32, .shared_bytes = 4096, .params = params.data()},
                              SimOptions{.seed = seed});
  EXPECT_EQ(texts(findings), "");
  return out;
}

std::vector<int> lanes(int (*f)(int)) {
  std::vector<int> v(32);
  for (int i = 0; i < 32; ++i) v[i] = f(i);
  return v;
}

TEST(SimCollective, Shuffles) {
  auto in = lanes([](int i) { return 100 + i; });
  for (uint64_t seed : {0, 4}) {
    EXPECT_EQ(one_warp("  %r = nvvm.shfl.sync up %full, %x, %c3, %c0 : i32 -> i32", in, seed),
              lanes([](int i) { return 100 + (i < 3 ? i : i - 3); }));
    EXPECT_EQ(one_warp("  %r = nvvm.shfl.sync down %full, %x, %c3, %c31 : i32 -> i32", in, seed),
              lanes([](int i) { return 100 + (i > 28 ? i : i + 3); }));
    EXPECT_EQ(one_warp("  %r = nvvm.shfl.sync bfly %full, %x, %c3, %c31 : i32 -> i32", in, seed),
              lanes([](int i) { return 100 + (i ^ 3); }));
    EXPECT_EQ(one_warp("  %r = nvvm.shfl.sync idx %full, %x, %lane, %c31 : i32 -> i32", in, seed), in);
    EXPECT_EQ(one_warp("  %t = llvm.add %lane, %c3 : i32\n  %r = nvvm.shfl.sync idx %full, %x, %t, %c31 : i32 -> i32",
                       in, seed),
              lanes([](int i) { return 100 + (i + 3) % 32; }));
  }
  // Segments of 8 lanes: control 0x181f for width 8.
  EXPECT_EQ(
      one_warp(
          "  %seg = llvm.mlir.constant(6175 : i32) : i32\n  %r = nvvm.shfl.sync down %full, %x, %c3, %seg : i32 -> i32",
          in),
      lanes([](int i) { return 100 + (i % 8 > 4 ? i : i + 3); }));
  // The predicate says whether the source lane was in range.
  EXPECT_EQ(one_warp("  %p = nvvm.shfl.sync down %full, %x, %c3, %c31 {return_value_and_is_valid} : i32 -> "
                     "!llvm.struct<(i32, i1)>\n"
                     "  %v = llvm.extractvalue %p[1] : !llvm.struct<(i32, i1)>\n  %r = llvm.zext %v : i1 to i32",
                     in),
            lanes([](int i) { return int(i <= 28); }));
}

TEST(SimCollective, ShufflesThatFeedOneAnother) {
  auto in = lanes([](int i) { return i * i; });
  // Two independent shuffles share a rendezvous; the third needs their sum.
  auto out = one_warp("  %a = nvvm.shfl.sync bfly %full, %x, %c1, %c31 : i32 -> i32\n  %b = nvvm.shfl.sync bfly %full, "
                      "%x, %c3, %c31 : i32 -> i32\n"
                      "  %s = llvm.add %a, %b : i32\n  %r = nvvm.shfl.sync idx %full, %s, %c0, %c31 : i32 -> i32",
                      in);
  EXPECT_EQ(out, std::vector<int>(32, 1 + 9));
}

TEST(SimCollective, VotesMatchesReductions) {
  auto in = lanes([](int i) { return i % 4 - 1; });
  std::string positive = "  %p = llvm.icmp \"sgt\" %x, %c0 : i32\n";
  EXPECT_EQ(one_warp(positive + "  %r = nvvm.vote.sync ballot %full, %p -> i32", in),
            std::vector<int>(32, int(0xcccccccc)));
  EXPECT_EQ(one_warp(positive + "  %v = nvvm.vote.sync any %full, %p -> i1\n  %r = llvm.zext %v : i1 to i32", in),
            std::vector<int>(32, 1));
  EXPECT_EQ(one_warp(positive + "  %v = nvvm.vote.sync all %full, %p -> i1\n  %r = llvm.zext %v : i1 to i32", in),
            std::vector<int>(32, 0));
  EXPECT_EQ(one_warp("  %r = nvvm.match.sync any %full, %x : i32 -> i32", in),
            lanes([](int i) { return int(0x11111111u << (i % 4)); }));
  EXPECT_EQ(one_warp("  %r = nvvm.redux.sync add %x, %full : i32 -> i32", in), std::vector<int>(32, 16));
  EXPECT_EQ(one_warp("  %r = nvvm.redux.sync min %x, %full : i32 -> i32", in), std::vector<int>(32, -1));
  EXPECT_EQ(one_warp("  %r = nvvm.redux.sync umax %x, %full : i32 -> i32", in), std::vector<int>(32, -1));
  EXPECT_EQ(one_warp("  %v = nvvm.elect.sync -> i1\n  %r = llvm.zext %v : i1 to i32", in),
            lanes([](int i) { return int(i == 0); }));
}

TEST(SimCollective, PartOfAWarp) {
  // Even lanes sum among themselves while odd lanes do something else.
  auto in = lanes([](int i) { return i; });
  std::string body =
      "  %odd = llvm.and %lane, %c1 : i32\n  %is = llvm.icmp \"eq\" %odd, %c1 : i32\n  llvm.cond_br %is, ^odd, ^even\n"
      "^odd:\n  %m1 = llvm.mlir.constant(-1431655766 : i32) : i32\n  %s1 = nvvm.redux.sync max %x, %m1 : i32 -> i32\n  "
      "llvm.br ^join(%s1 : i32)\n"
      "^even:\n  %m0 = llvm.mlir.constant(1431655765 : i32) : i32\n  %s0 = nvvm.redux.sync add %x, %m0 : i32 -> i32\n  "
      "llvm.br ^join(%s0 : i32)\n"
      "^join(%r: i32):";
  for (uint64_t seed : {0, 1, 2}) EXPECT_EQ(one_warp(body, in, seed), lanes([](int i) { return i % 2 ? 31 : 240; }));
}

TEST(SimCollective, MatricesTransposedAndStored) {
  const std::string smem =
      "llvm.mlir.global external @moec_smem() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<0 x i8>\n";
  // stmatrix of a register per lane, then a transposed ldmatrix: the register of lane l holds elements (row, column)
  // swapped.
  std::string body =
      "  %s = llvm.mlir.addressof @moec_smem : !llvm.ptr<3>\n  %c7 = llvm.mlir.constant(7 : i32) : i32\n  %c16 = "
      "llvm.mlir.constant(16 : i32) : i32\n"
      "  %row = llvm.and %lane, %c7 : i32\n  %o = llvm.mul %row, %c16 : i32\n"
      "  %p = llvm.getelementptr %s[%o] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8\n"
      "  nvvm.stmatrix %p, %x {layout = #nvvm.mma_layout<row>, shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>, eltType "
      "= #nvvm.ld_st_matrix_elt_type<b16>} : !llvm.ptr<3>, i32\n"
      "  nvvm.bar.warp.sync %full : i32\n"
      "  %r = nvvm.ldmatrix %p {num = 1 : i32, layout = #nvvm.mma_layout<col>, shape = #nvvm.ld_st_matrix_shape<m = 8, "
      "n = 8>, eltType = #nvvm.ld_st_matrix_elt_type<b16>} : (!llvm.ptr<3>) -> i32";
  auto in = lanes(
      [](int i) { return (i / 4 * 8 + i % 4 * 2) | (i / 4 * 8 + i % 4 * 2 + 1) << 16; }); // element = 8 * row + column
  EXPECT_EQ(one_warp(body, in, 0, smem), lanes([](int i) {
              int row = i / 4, column = i % 4 * 2;
              return (8 * column + row) | (8 * (column + 1) + row) << 16;
            }));
}

/// A producer and a consumer warp pass 8 rounds of values through named barriers 1 (full) and 2 (empty).
std::string named_barriers(const std::string &empty_wait = "nvvm.barrier id = %c2 number_of_threads = %c64") {
  return "llvm.mlir.global external @moec_smem() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<0 x i8>\n"
         "llvm.func @pipe(%in: !llvm.ptr<1>, %out: !llvm.ptr<1>) attributes {nvvm.kernel, nvvm.reqntid = array<i32: "
         "64>} {\n"
         "  %c0 = llvm.mlir.constant(0 : i32) : i32\n  %c1 = llvm.mlir.constant(1 : i32) : i32\n  %c2 = "
         "llvm.mlir.constant(2 : i32) : i32\n"
         "  %c8 = llvm.mlir.constant(8 : i32) : i32\n  %c32 = llvm.mlir.constant(32 : i32) : i32\n  %c64 = "
         "llvm.mlir.constant(64 : i32) : i32\n"
         "  %tid = nvvm.read.ptx.sreg.tid.x : i32\n  %lane = llvm.urem %tid, %c32 : i32\n"
         "  %s = llvm.mlir.addressof @moec_smem : !llvm.ptr<3>\n"
         "  %p = llvm.getelementptr %s[%lane] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32\n"
         "  %producer = llvm.icmp \"ult\" %tid, %c32 : i32\n  llvm.cond_br %producer, ^produce(%c0 : i32), ^first\n"
         "^first:\n  nvvm.barrier.arrive id = %c2 number_of_threads = %c64\n  llvm.br ^consume(%c0 : i32)\n"
         "^produce(%i: i32):\n  " +
         empty_wait +
         " // empty\n"
         "  %e = llvm.mul %i, %c32 : i32\n  %e2 = llvm.add %e, %lane : i32\n"
         "  %pi = llvm.getelementptr %in[%e2] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32\n  %v = llvm.load %pi : "
         "!llvm.ptr<1> -> i32\n"
         "  llvm.store %v, %p : i32, !llvm.ptr<3> // produce\n  nvvm.barrier.arrive id = %c1 number_of_threads = %c64\n"
         "  %i2 = llvm.add %i, %c1 : i32\n  %more = llvm.icmp \"ult\" %i2, %c8 : i32\n  llvm.cond_br %more, "
         "^produce(%i2 : i32), ^done\n"
         "^consume(%j: i32):\n  nvvm.barrier id = %c1 number_of_threads = %c64\n"
         "  %w = llvm.load %p : !llvm.ptr<3> -> i32 // consume\n"
         "  %f = llvm.mul %j, %c32 : i32\n  %f2 = llvm.add %f, %lane : i32\n"
         "  %po = llvm.getelementptr %out[%f2] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32\n  llvm.store %w, %po : i32, "
         "!llvm.ptr<1>\n"
         "  %j2 = llvm.add %j, %c1 : i32\n  %more2 = llvm.icmp \"ult\" %j2, %c8 : i32\n  llvm.cond_br %more2, "
         "^release(%j2 : i32), ^done\n"
         "^release(%j3: i32):\n  nvvm.barrier.arrive id = %c2 number_of_threads = %c64\n  llvm.br ^consume(%j3 : i32)\n"
         "^done:\n  llvm.return\n}\n";
}

std::pair<std::vector<int>, std::vector<sim::SimFinding>> run_pipe(const std::string &text, SimOptions options) {
  auto image = load(text, {.checked = options.checked});
  std::vector<int> in(256), out(256, -1);
  for (int i = 0; i < 256; ++i) in[i] = i * 3;
  sim::MemoryRange allowed[] = {range_of(in), range_of(out)};
  options.allowed = allowed;
  Params params(in.data(), out.data());
  auto findings = sim::launch(image, SimLaunch{.threads = 64, .shared_bytes = 128, .params = params.data()}, options);
  return {out, findings};
}

TEST(SimCollective, NamedBarriersBetweenProducerAndConsumer) {
  for (uint64_t seed : {0, 1, 2, 3}) {
    auto [out, findings] = run_pipe(named_barriers(), {.checked = true, .seed = seed});
    EXPECT_EQ(texts(findings), "");
    for (int i = 0; i < 256; ++i) ASSERT_EQ(out[i], i * 3);
  }
}

TEST(SimCollective, NoWaitForTheEmptyBarrier) {
  std::string text = named_barriers("%unused = llvm.add %c1, %c1 : i32");
  auto [out, findings] = run_pipe(text, {.checked = true, .seed = 1});
  bool found = std::any_of(findings.begin(), findings.end(), [&](const auto &f) {
    return f.kind == FindingKind::SharedRace || f.kind == FindingKind::BarrierMisuse || f.kind == FindingKind::Deadlock;
  });
  EXPECT_TRUE(found) << texts(findings);
}

/// The start of a kernel of 64 threads: an mbarrier %mb at shared+0 that expects `count` arrivals, and %mine, a word of
/// shared memory behind it.
std::string with_mbarrier(const std::string &arguments, int count) {
  return R"(
llvm.mlir.global external @moec_smem() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<0 x i8>
llvm.func @k()" +
         arguments + R"() attributes {nvvm.kernel, nvvm.reqntid = array<i32: 64>} {
  %c0 = llvm.mlir.constant(0 : i32) : i32
  %c1 = llvm.mlir.constant(1 : i32) : i32
  %c63 = llvm.mlir.constant(63 : i32) : i32
  %count = llvm.mlir.constant()" +
         std::to_string(count) + R"( : i32) : i32
  %tid = nvvm.read.ptx.sreg.tid.x : i32
  %mb = llvm.mlir.addressof @moec_smem : !llvm.ptr<3>
  %first = llvm.icmp "eq" %tid, %c0 : i32
  llvm.cond_br %first, ^init, ^go
^init:
  nvvm.mbarrier.init %mb, %count : !llvm.ptr<3>, i32
  nvvm.fence.mbarrier.init
  llvm.br ^go
^go:
  nvvm.barrier0
  %data = llvm.getelementptr %mb[16] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i8
  %mine = llvm.getelementptr %data[%tid] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
)";
}

TEST(SimCollective, MbarrierPhases) {
  // 64 threads arrive; all wait for phase 0, then again for phase 1.
  const std::string text = with_mbarrier("%out: !llvm.ptr<1>", 64) + R"(
  llvm.store %tid, %mine : i32, !llvm.ptr<3>
  %s0 = nvvm.mbarrier.arrive %mb : !llvm.ptr<3> -> i64
  llvm.br ^wait0
^wait0:
  %d0 = nvvm.mbarrier.try_wait %mb, %c0 : !llvm.ptr<3>, i32 -> i1
  llvm.cond_br %d0, ^next, ^wait0
^next:
  %other = llvm.sub %c63, %tid : i32
  %theirs = llvm.getelementptr %data[%other] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
  %v = llvm.load %theirs : !llvm.ptr<3> -> i32 // read
  %s1 = nvvm.mbarrier.arrive %mb : !llvm.ptr<3> -> i64
  llvm.br ^wait1
^wait1:
  %d1 = nvvm.mbarrier.try_wait %mb, %c1 : !llvm.ptr<3>, i32 -> i1
  llvm.cond_br %d1, ^last, ^wait1
^last:
  llvm.store %v, %mine : i32, !llvm.ptr<3>
  %to = llvm.getelementptr %out[%tid] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
  llvm.store %v, %to : i32, !llvm.ptr<1>
  llvm.return
})";
  auto image = load(text, {.checked = true});
  for (uint64_t seed : {0, 1, 2}) {
    std::vector<int> out(64, -1);
    sim::MemoryRange allowed[] = {range_of(out)};
    Params params(out.data());
    auto findings = sim::launch(image, SimLaunch{.threads = 64, .shared_bytes = 512, .params = params.data()},
                                SimOptions{.checked = true, .seed = seed, .allowed = allowed});
    EXPECT_EQ(texts(findings), "");
    for (int i = 0; i < 64; ++i) ASSERT_EQ(out[i], 63 - i);
  }
}

/// The lanes of `mask` take `body`, which makes %s; the others keep -5.
std::string in_lanes(uint32_t mask, const std::string &body) {
  return "  %mask = llvm.mlir.constant(" + std::to_string(int32_t(mask)) +
         " : i32) : i32\n  %sh = llvm.lshr %mask, %lane : i32\n  %bit = llvm.and %sh, %c1 : i32\n"
         "  %in_mask = llvm.icmp \"eq\" %bit, %c1 : i32\n  %minus = llvm.mlir.constant(-5 : i32) : i32\n  llvm.cond_br "
         "%in_mask, ^take, ^join(%minus : i32)\n^take:\n" +
         body + "\n  llvm.br ^join(%s : i32)\n^join(%r: i32):";
}

const uint32_t kMasks[] = {~0u, 0x0000ffff, 0x80000001, 0x00f0a5c3};

TEST(SimCollective, EveryVote) {
  for (uint32_t mask : kMasks)
    for (int values : {0, 1, 2}) { // none, all, or every third lane
      std::vector<int> in(32);
      uint32_t ballot = 0;
      for (int i = 0; i < 32; ++i) {
        in[i] = values == 1 || (values == 2 && i % 3 == 0);
        if (in[i]) ballot |= 1u << i & mask;
      }
      const std::pair<const char *, int> kinds[] = {
          {"any", ballot != 0}, {"all", ballot == mask}, {"uni", ballot == 0 || ballot == mask}};
      auto expect = [&](const std::string &body, int want) {
        auto got = one_warp(in_lanes(mask, "  %p = llvm.icmp \"ne\" %x, %c0 : i32\n" + body), in);
        for (int i = 0; i < 32; ++i)
          ASSERT_EQ(got[i], mask >> i & 1 ? want : -5) << body << " lane " << i << " mask " << mask;
      };
      for (auto [kind, want] : kinds)
        expect(std::string("  %v = nvvm.vote.sync ") + kind + " %mask, %p -> i1\n  %s = llvm.zext %v : i1 to i32",
               want);
      expect("  %s = nvvm.vote.sync ballot %mask, %p -> i32", int(ballot));
    }
}

TEST(SimCollective, Matches) {
  const std::string all = "  %m = nvvm.match.sync all %mask, %x : i32 -> !llvm.struct<(i32, i1)>\n  %same = "
                          "llvm.extractvalue %m[1] : !llvm.struct<(i32, i1)>\n"
                          "  %lanes = llvm.extractvalue %m[0] : !llvm.struct<(i32, i1)>\n  %one = llvm.zext %same : i1 "
                          "to i32\n  %s = llvm.xor %lanes, %one : i32";
  const std::string wide =
      "  %x64 = llvm.zext %x : i32 to i64\n  %c40 = llvm.mlir.constant(40 : i64) : i64\n  %high = llvm.shl %x64, %c40 "
      ": i64\n"
      "  %s = nvvm.match.sync any %mask, %high : i64 -> i32"; // values that differ in the upper half only
  for (uint32_t mask : kMasks)
    for (int modulus : {1, 3, 32}) {
      std::vector<int> in(32);
      for (int i = 0; i < 32; ++i) in[i] = i % modulus;
      auto same_as = [&](int lane) {
        uint32_t lanes = 0;
        for (int i = 0; i < 32; ++i) lanes |= uint32_t{in[i] == in[lane]} << i & mask;
        return lanes;
      };
      auto any = one_warp(in_lanes(mask, "  %s = nvvm.match.sync any %mask, %x : i32 -> i32"), in),
           any64 = one_warp(in_lanes(mask, wide), in), every = one_warp(in_lanes(mask, all), in);
      for (int i = 0; i < 32; ++i) {
        bool takes = mask >> i & 1, equal = same_as(i) == mask;
        ASSERT_EQ(any[i], takes ? int(same_as(i)) : -5) << mask << " " << modulus << " " << i;
        ASSERT_EQ(any64[i], any[i]);
        ASSERT_EQ(every[i], takes ? int(equal ? mask ^ 1u : 0u) : -5) << mask << " " << modulus << " " << i;
      }
    }
}

TEST(SimCollective, EveryReduction) {
  const struct {
    const char *kind;
    uint32_t (*f)(uint32_t, uint32_t);
  } kinds[] = {{"add", [](uint32_t a, uint32_t b) { return a + b; }},
               {"min", [](uint32_t a, uint32_t b) { return int(a) < int(b) ? a : b; }},
               {"max", [](uint32_t a, uint32_t b) { return int(a) > int(b) ? a : b; }},
               {"umin", [](uint32_t a, uint32_t b) { return std::min(a, b); }},
               {"umax", [](uint32_t a, uint32_t b) { return std::max(a, b); }},
               {"and", [](uint32_t a, uint32_t b) { return a & b; }},
               {"or", [](uint32_t a, uint32_t b) { return a | b; }},
               {"xor", [](uint32_t a, uint32_t b) { return a ^ b; }}};
  auto in = lanes([](int i) { return int(uint32_t(i * 2654435761u) ^ (i % 2 ? 0x80000000u : 0)); });
  for (uint32_t mask : kMasks)
    for (const auto &k : kinds) {
      uint32_t want = 0;
      bool first = true;
      for (int i = 0; i < 32; ++i)
        if (mask >> i & 1) want = first ? uint32_t(in[i]) : k.f(want, uint32_t(in[i])), first = false;
      auto got =
          one_warp(in_lanes(mask, std::string("  %s = nvvm.redux.sync ") + k.kind + " %x, %mask : i32 -> i32"), in);
      for (int i = 0; i < 32; ++i) ASSERT_EQ(got[i], mask >> i & 1 ? int(want) : -5) << k.kind << " mask " << mask;
    }
}

TEST(SimCollective, FloatReductions) {
  // PTX: a NaN loses unless .NaN; -0 < +0; .abs takes magnitudes first; a result that is NaN is canonical.
  const float nan = std::bit_cast<float>(0xffc00123), zero = 0;
  const std::vector<std::vector<float>> inputs = {
      {3, -7, 2.5f, 0}, {nan, -7, 2, 1}, {zero, -zero, -zero, zero}, {nan, nan, nan, nan}};
  for (const auto &values : inputs)
    for (bool abs : {false, true})
      for (bool keep_nan : {false, true})
        for (bool max : {false, true}) {
          std::vector<int> in(32);
          for (int i = 0; i < 32; ++i) in[i] = std::bit_cast<int>(values[i % 4]);
          float want = nan;
          bool any_nan = false;
          for (float v : values) {
            if (abs) v = std::fabs(v);
            any_nan |= v != v;
            if (want != want)
              want = v;
            else if (v == v &&
                     (max ? v > want || (v == want && !std::signbit(v)) : v < want || (v == want && std::signbit(v))))
              want = v;
          }
          bool is_nan = want != want || (keep_nan && any_nan);
          std::string flags =
              std::string(abs ? "abs = true" : "") + (abs && keep_nan ? ", " : "") + (keep_nan ? "nan = true" : "");
          auto got = one_warp("  %v = llvm.bitcast %x : i32 to f32\n  %m = nvvm.redux.sync " +
                                  std::string(max ? "fmax" : "fmin") + " %v, %full {" + flags +
                                  "} : f32 -> f32\n  %r = llvm.bitcast %m : f32 to i32",
                              in);
          EXPECT_EQ(got, std::vector<int>(32, is_nan ? 0x7fffffff : std::bit_cast<int>(want)))
              << flags << " " << max << " " << values[0];
        }
}

TEST(SimCollective, BarriersThatReduce) {
  // 96 threads; two thirds, all, or none of them say yes.
  const std::string text = R"(
llvm.func @k(%in: !llvm.ptr<1>, %out: !llvm.ptr<1>) attributes {nvvm.kernel, nvvm.reqntid = array<i32: 96>} {
  %c96 = llvm.mlir.constant(96 : i32) : i32
  %c192 = llvm.mlir.constant(192 : i32) : i32
  %tid = nvvm.read.ptx.sreg.tid.x : i32
  %px = llvm.getelementptr %in[%tid] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
  %x = llvm.load %px : !llvm.ptr<1> -> i32
  %n = nvvm.barrier #nvvm.reduction<popc> %x -> i32
  %a = nvvm.barrier #nvvm.reduction<and> %x -> i32
  %o = nvvm.barrier #nvvm.reduction<or> %x -> i32
  %p0 = llvm.getelementptr %out[%tid] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
  llvm.store %n, %p0 : i32, !llvm.ptr<1>
  %t1 = llvm.add %tid, %c96 : i32
  %p1 = llvm.getelementptr %out[%t1] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
  llvm.store %a, %p1 : i32, !llvm.ptr<1>
  %t2 = llvm.add %tid, %c192 : i32
  %p2 = llvm.getelementptr %out[%t2] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
  llvm.store %o, %p2 : i32, !llvm.ptr<1>
  llvm.return
})";
  auto image = load(text, {.checked = true});
  for (uint64_t seed : {0, 1, 2})
    for (int yes : {0, 2, 3}) {
      std::vector<int> in(96), out(288, -1), want(288);
      int all = 0;
      for (int i = 0; i < 96; ++i) {
        in[i] = i % 3 < yes ? 1 + i : 0; // any number but 0 is true
        all += in[i] != 0;
      }
      for (int i = 0; i < 96; ++i) want[i] = all, want[96 + i] = all == 96, want[192 + i] = all != 0;
      sim::MemoryRange allowed[] = {range_of(in), range_of(out)};
      Params params(in.data(), out.data());
      auto findings = sim::launch(image, SimLaunch{.threads = 96, .params = params.data()},
                                  SimOptions{.checked = true, .seed = seed, .allowed = allowed});
      EXPECT_EQ(texts(findings), "");
      EXPECT_EQ(out, want) << yes << " seed " << seed;
    }
}

/// 64 threads copy a number each to shared memory by cp.async and let an mbarrier wait for the copies; then each reads
/// another one's. `arrive` is what they do, `count` what the mbarrier expects, `wait` how they wait (0: by phase, in
/// %done).
std::string copies(const std::string &arrive, int count, const std::string &wait) {
  return with_mbarrier("%in: !llvm.ptr<1>, %out: !llvm.ptr<1>", count) + R"(
  %from = llvm.getelementptr %in[%tid] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
  nvvm.cp.async.shared.global %mine, %from, 4, cache = ca : !llvm.ptr<3>, !llvm.ptr<1>
)" + arrive +
         R"(
  llvm.br ^wait
^wait:
)" + wait +
         R"(
  llvm.cond_br %done, ^read, ^wait
^read:
  %other = llvm.sub %c63, %tid : i32
  %theirs = llvm.getelementptr %data[%other] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
  %v = llvm.load %theirs : !llvm.ptr<3> -> i32 // read
  %to = llvm.getelementptr %out[%tid] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
  llvm.store %v, %to : i32, !llvm.ptr<1>
  nvvm.cp.async.wait.group 0
  llvm.return
})";
}

std::pair<std::vector<int>, std::vector<sim::SimFinding>> run_copies(const std::string &text, uint64_t seed) {
  auto image = load(text, {.checked = true});
  std::vector<int> in(64), out(64, -1);
  for (int i = 0; i < 64; ++i) in[i] = 7 * i;
  sim::MemoryRange allowed[] = {range_of(in), range_of(out)};
  Params params(in.data(), out.data());
  auto findings = sim::launch(image, SimLaunch{.threads = 64, .shared_bytes = 512, .params = params.data()},
                              SimOptions{.checked = true, .seed = seed, .cta_seconds = 20, .allowed = allowed});
  return {out, findings};
}

const std::string kTryWait = "  %done = nvvm.mbarrier.try_wait %mb, %c0 : !llvm.ptr<3>, i32 -> i1";
const std::string kTestPhase = "  %done = nvvm.mbarrier.test.wait %mb, %c0 : !llvm.ptr<3>, i32 -> i1";

TEST(SimCollective, CopiesThatArriveAtAnMbarrier) {
  // noinc: the arrival of a thread's copies is one of those that the mbarrier expects. Without it the copies' arrival
  // comes on top.
  const std::string noinc = "  nvvm.cp.async.mbarrier.arrive %mb {noinc = true} : !llvm.ptr<3>\n";
  const std::string inc =
      "  nvvm.cp.async.mbarrier.arrive %mb : !llvm.ptr<3>\n  %s = nvvm.mbarrier.arrive %mb : !llvm.ptr<3> -> i64\n";
  const std::string test_state = "  %done = nvvm.mbarrier.test.wait %mb, %s : !llvm.ptr<3>, i64 -> i1";
  for (uint64_t seed : {0, 1, 2, 3})
    for (const std::string &text : {copies(noinc, 64, kTryWait), copies(inc, 64, kTryWait),
                                    copies(noinc, 64, kTestPhase), copies(inc, 64, test_state)}) {
      auto [out, findings] = run_copies(text, seed);
      EXPECT_EQ(texts(findings), "") << text;
      for (int i = 0; i < 64; ++i) ASSERT_EQ(out[i], 7 * (63 - i)) << "seed " << seed;
    }
}

TEST(SimCollective, CopiesThatNobodyWaitsFor) {
  // The threads arrive by themselves, which says nothing of their copies.
  const std::string text = copies("  %s = nvvm.mbarrier.arrive %mb : !llvm.ptr<3> -> i64\n", 64, kTryWait);
  for (uint64_t seed : {0, 1, 2}) {
    auto findings = run_copies(text, seed).second;
    const auto *race = find(findings, FindingKind::SharedRace, line_of(text, "// read"));
    ASSERT_NE(race, nullptr) << texts(findings);
    EXPECT_THAT(race->text(), testing::HasSubstr("an asynchronous copy of thread"));
  }
}

TEST(SimCollective, CopiesThatAreOneArrivalShort) {
  const std::string text = copies("  nvvm.cp.async.mbarrier.arrive %mb {noinc = true} : !llvm.ptr<3>\n", 65, kTryWait);
  auto findings = run_copies(text, 0).second;
  ASSERT_EQ(findings.size(), 1u) << texts(findings);
  EXPECT_THAT(findings[0].text(),
              testing::AllOf(testing::HasSubstr("deadlock"), testing::HasSubstr("1 of 65 arrivals")));
}

} // namespace
