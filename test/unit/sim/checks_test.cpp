// Planted bugs: each is found at its line; the right twin of each kernel is silent under every schedule.
#include "harness.h"

using namespace moec;
using namespace moec::simtest;
using sim::FindingKind;
using sim::SimLaunch;
using sim::SimOptions;

namespace {

/// A kernel of 64 threads with %tid, %c0.., shared memory %s of 512 bytes, %mine = &s[tid] (i32), global %g.
std::string kernel(const std::string &body) {
  return "llvm.mlir.global external @moec_smem() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<0 x i8>\n"
         "llvm.func @__assertfail(!llvm.ptr, !llvm.ptr, i32, !llvm.ptr, i64)\n"
         "llvm.mlir.global private constant @message(\"n is odd\\00\") : !llvm.array<9 x i8>\n"
         "llvm.func @k(%g: !llvm.ptr<1>) attributes {nvvm.kernel, nvvm.reqntid = array<i32: 64>} {\n"
         "  %c0 = llvm.mlir.constant(0 : i32) : i32\n  %c1 = llvm.mlir.constant(1 : i32) : i32\n  %c2 = "
         "llvm.mlir.constant(2 : i32) : i32\n"
         "  %c32 = llvm.mlir.constant(32 : i32) : i32\n  %c48 = llvm.mlir.constant(48 : i32) : i32\n  %c63 = "
         "llvm.mlir.constant(63 : i32) : i32\n"
         "  %c64 = llvm.mlir.constant(64 : i32) : i32\n  %c200 = llvm.mlir.constant(200 : i32) : i32\n  %full = "
         "llvm.mlir.constant(-1 : i32) : i32\n"
         "  %tid = nvvm.read.ptx.sreg.tid.x : i32\n  %lane = nvvm.read.ptx.sreg.laneid : i32\n"
         "  %s = llvm.mlir.addressof @moec_smem : !llvm.ptr<3>\n"
         "  %mine = llvm.getelementptr %s[%tid] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32\n"
         "  %other = llvm.sub %c63, %tid : i32\n"
         "  %theirs = llvm.getelementptr %s[%other] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32\n"
         "  %gm = llvm.getelementptr %g[%tid] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32\n" +
         body + "\n  llvm.return\n}\n";
}

constexpr double kSoon = 0.3, kNever = 120; // seconds of processor time: enough to see a livelock, more than a slow
                                            // machine needs for a right kernel

std::vector<sim::SimFinding> run(const std::string &text, uint64_t seed = 0, unsigned ctas = 1, bool checked = true,
                                 double cta_seconds = kSoon) {
  auto image = load(text, {.checked = checked});
  std::vector<int> data(64, 5);
  sim::MemoryRange allowed[] = {range_of(data)};
  Params params(data.data());
  return sim::launch(
      image, SimLaunch{.grid = {ctas, 1, 1}, .threads = 64, .shared_bytes = 512, .params = params.data()},
      SimOptions{.checked = checked, .seed = seed, .cta_seconds = cta_seconds, .workers = 2, .allowed = allowed});
}

/// `body` has a finding of `kind` at the line marked "// bug" under each schedule.
void expect_found(const std::string &body, FindingKind kind, const std::string &words, const std::string &other = "") {
  std::string text = kernel(body);
  for (uint64_t seed : {0, 1, 2, 3}) {
    auto findings = run(text, seed);
    const auto *found = find(findings, kind, line_of(text, "// bug"));
    if (!found && !other.empty())
      found = find(findings, kind, line_of(text, other)); // the order decides which comes second
    ASSERT_NE(found, nullptr) << "seed " << seed << "\n" << texts(findings);
    EXPECT_THAT(found->text(), testing::HasSubstr(words));
  }
}

void expect_silent(const std::string &body) {
  std::string text = kernel(body);
  for (uint64_t seed : {0, 1, 2, 3, 4, 5}) EXPECT_EQ(texts(run(text, seed, 3, true, kNever)), "") << "seed " << seed;
}

const std::string kWrite = "  llvm.store %tid, %mine : i32, !llvm.ptr<3> // write\n";
const std::string kRead = "  %v = llvm.load %theirs : !llvm.ptr<3> -> i32 // bug\n";

TEST(SimChecks, RaceWithoutABarrier) {
  std::string text = kernel(kWrite + kRead);
  for (uint64_t seed : {0, 1, 2, 3}) {
    auto findings = run(text, seed);
    unsigned write = line_of(text, "// write"), read = line_of(text, "// bug");
    bool found = std::any_of(findings.begin(), findings.end(), [&](const auto &f) {
      return f.kind == FindingKind::SharedRace &&
             ((f.line == read && f.other_line == write) || (f.line == write && f.other_line == read));
    });
    EXPECT_TRUE(found) << texts(findings);
  }
  expect_silent(kWrite + "  nvvm.barrier0\n" + kRead);
}

TEST(SimChecks, ReuseWithoutABarrier) {
  std::string again = "  llvm.store %v, %mine : i32, !llvm.ptr<3> // bug\n";
  std::string read = "  %v = llvm.load %theirs : !llvm.ptr<3> -> i32 // read\n";
  expect_found(kWrite + "  nvvm.barrier0\n" + read + again, FindingKind::SharedRace, "not ordered after", "// read");
  expect_silent(kWrite + "  nvvm.barrier0\n" + read + "  nvvm.barrier0\n" + again);
}

TEST(SimChecks, ManyReadersAndOneWriter) {
  std::string broadcast = "  %z = llvm.load %s : !llvm.ptr<3> -> i32 // read\n";
  std::string write0 = "  %is0 = llvm.icmp \"eq\" %tid, %c48 : i32\n  llvm.cond_br %is0, ^w, ^d\n^w:\n  llvm.store "
                       "%c1, %s : i32, !llvm.ptr<3> // bug\n  llvm.br ^d\n^d:";
  expect_found(kWrite + "  nvvm.barrier0\n" + broadcast + write0, FindingKind::SharedRace, "not ordered after",
               "// read");
  expect_silent(kWrite + "  nvvm.barrier0\n" + broadcast + "  nvvm.barrier0\n" + write0);
}

TEST(SimChecks, WarpExchangeNeedsAWarpBarrier) {
  // A lane reads its neighbour's value within the warp.
  std::string read =
      "  %n = llvm.xor %tid, %c1 : i32\n  %np = llvm.getelementptr %s[%n] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32\n"
      "  %v = llvm.load %np : !llvm.ptr<3> -> i32 // bug\n";
  expect_found(kWrite + read, FindingKind::SharedRace, "not ordered after", "// write");
  expect_found(kWrite + "  %x = nvvm.shfl.sync bfly %full, %tid, %c1, %c63 : i32 -> i32\n" + read,
               FindingKind::SharedRace, "not ordered after", "// write");
  expect_silent(kWrite + "  nvvm.bar.warp.sync %full : i32\n" + read);
}

TEST(SimChecks, BytesOfOneWordByDifferentThreads) {
  std::string bytes = "  %p = llvm.getelementptr %s[%tid] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8\n  %t8 = "
                      "llvm.trunc %tid : i32 to i8\n"
                      "  llvm.store %t8, %p : i8, !llvm.ptr<3>\n  nvvm.barrier0\n"
                      "  %w = llvm.load %s {alignment = 4 : i64} : !llvm.ptr<3> -> i32\n";
  expect_silent(bytes);
}

TEST(SimChecks, Uninitialised) {
  expect_found("  %v = llvm.load %mine : !llvm.ptr<3> -> i32 // bug\n", FindingKind::Uninitialized,
               "which no thread has written");
  // Half of a vector was written.
  expect_found(kWrite + "  nvvm.barrier0\n  %p = llvm.getelementptr %s[240] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i8\n"
                        "  %q = llvm.getelementptr %p[16] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i8\n"
                        "  %v = llvm.load %q : !llvm.ptr<3> -> vector<4xi32> // bug\n",
               FindingKind::Uninitialized, "shared+256");
}

TEST(SimChecks, OutOfBounds) {
  expect_found("  %p = llvm.getelementptr %g[%c64] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32\n  %v = llvm.load %p : "
               "!llvm.ptr<1> -> i32 // bug\n",
               FindingKind::OutOfBounds, "offset 256 of an allocation of 256 bytes");
  expect_found("  %p = llvm.getelementptr %g[%c63] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32\n  %v = llvm.load %p "
               "{alignment = 4 : i64} : !llvm.ptr<1> -> vector<4xi32> // bug\n",
               FindingKind::OutOfBounds, "global read of 16 bytes");
  expect_found("  %p = llvm.getelementptr %s[%c200] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32\n  llvm.store %tid, %p "
               ": i32, !llvm.ptr<3> // bug\n",
               FindingKind::OutOfBounds, "shared write of 4 bytes at offset 800");
  expect_found("  %p = llvm.getelementptr %g[%c200] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32\n  %a = llvm.atomicrmw "
               "add %p, %c1 monotonic : !llvm.ptr<1>, i32 // bug\n",
               FindingKind::OutOfBounds, "global write of 4 bytes");
}

TEST(SimChecks, MemoryTransfers) {
  // One thread fills 16 bytes of shared memory, moves them up and down by one over themselves, and copies them out.
  const std::string only = "  %is = llvm.icmp \"eq\" %tid, %c0 : i32\n  llvm.cond_br %is, ^do, ^end\n^do:\n  %n = "
                           "llvm.mlir.constant(15 : i64) : i64\n  %v = llvm.mlir.constant(7 : i8) : i8\n";
  const std::string at = "  %s1 = llvm.getelementptr %s[1] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i8\n  %n32 = "
                         "llvm.mlir.constant(16 : i32) : i32\n";
  const std::string body =
      only + at +
      "  \"llvm.intr.memset\"(%s, %v, %n32) <{isVolatile = false}> : (!llvm.ptr<3>, i8, i32) -> ()\n  %first = "
      "llvm.mlir.constant(3 : i8) : i8\n"
      "  llvm.store %first, %s : i8, !llvm.ptr<3>\n  \"llvm.intr.memmove\"(%s1, %s, %n) <{isVolatile = false}> : "
      "(!llvm.ptr<3>, !llvm.ptr<3>, i64) -> ()\n"
      "  \"llvm.intr.memcpy\"(%g, %s, %n) <{isVolatile = false}> : (!llvm.ptr<1>, !llvm.ptr<3>, i64) -> ()\n"
      "  %g20 = llvm.getelementptr %g[20] : (!llvm.ptr<1>) -> !llvm.ptr<1>, i8\n  \"llvm.intr.memmove\"(%s, %s1, %n) "
      "<{isVolatile = true}> : (!llvm.ptr<3>, !llvm.ptr<3>, i64) -> ()\n"
      "  \"llvm.intr.memcpy.inline\"(%g20, %s) <{len = 4 : i64, isVolatile = false}> : (!llvm.ptr<1>, !llvm.ptr<3>) -> "
      "()\n";
  for (bool checked : {false, true}) {
    auto image = load(kernel(body + "  llvm.br ^end\n^end:"), {.checked = checked});
    std::vector<char> data(64, 9), want(64, 9);
    std::fill_n(want.begin(), 15, 7), std::fill_n(want.begin() + 20, 4, 7);
    want[0] = want[1] = want[20] = 3;
    sim::MemoryRange allowed[] = {range_of(data)};
    Params params(data.data());
    EXPECT_EQ(texts(sim::launch(image, SimLaunch{.threads = 64, .shared_bytes = 512, .params = params.data()},
                                SimOptions{.checked = checked, .allowed = allowed})),
              "");
    EXPECT_EQ(data, want) << "checked " << checked;
  }
  const std::string end = "  llvm.br ^end\n^end:", copy = "  \"llvm.intr.memcpy\"(%g, %s, %n) <{isVolatile = false}> : "
                                                          "(!llvm.ptr<1>, !llvm.ptr<3>, i64) -> () // bug\n";
  expect_found(only + copy + end, FindingKind::Uninitialized, "");
  expect_found(only +
                   "  %far = llvm.mlir.constant(300 : i64) : i64\n  \"llvm.intr.memset\"(%g, %v, %far) <{isVolatile = "
                   "false}> : (!llvm.ptr<1>, i8, i64) -> () // bug\n" +
                   end,
               FindingKind::OutOfBounds, "");
}

TEST(SimChecks, Misaligned) {
  expect_found(kWrite + "  nvvm.barrier0\n  %v = llvm.load %theirs : !llvm.ptr<3> -> vector<4xi32> // bug\n",
               FindingKind::Misaligned, "not a multiple of 16");
  expect_found("  %p = llvm.getelementptr %g[2] : (!llvm.ptr<1>) -> !llvm.ptr<1>, i8\n  %v = llvm.load %p : "
               "!llvm.ptr<1> -> i32 // bug\n",
               FindingKind::Misaligned, "global read of 4 bytes");
}

TEST(SimChecks, DivergentCollective) {
  // Only the lower half of each warp takes part, though the mask names all lanes.
  std::string body = "  %c16 = llvm.mlir.constant(16 : i32) : i32\n  %low = llvm.icmp \"ult\" %lane, %c16 : i32\n  "
                     "llvm.cond_br %low, ^a, ^b\n"
                     "^a:\n  %x = nvvm.shfl.sync bfly %full, %tid, %c1, %c63 : i32 -> i32 // bug\n  llvm.br ^b\n^b:";
  expect_found(body, FindingKind::DivergentCollective, "exited");
  std::string two = "  %c16 = llvm.mlir.constant(16 : i32) : i32\n  %low = llvm.icmp \"ult\" %lane, %c16 : i32\n  "
                    "llvm.cond_br %low, ^a, ^b\n"
                    "^a:\n  %x = nvvm.shfl.sync bfly %full, %tid, %c1, %c63 : i32 -> i32 // other\n  llvm.br ^c\n"
                    "^b:\n  %y = nvvm.shfl.sync bfly %full, %tid, %c2, %c63 : i32 -> i32 // bug\n  llvm.br ^c\n^c:";
  expect_found(two, FindingKind::DivergentCollective, "different warp-wide operations", "// other");
}

TEST(SimChecks, Deadlock) {
  // Half of the threads wait for a barrier that names all 64.
  std::string body = "  %low = llvm.icmp \"ult\" %tid, %c32 : i32\n  llvm.cond_br %low, ^a, ^b\n^a:\n"
                     "  nvvm.barrier id = %c1 number_of_threads = %c64 // bug\n  llvm.br ^b\n^b:";
  expect_found(body, FindingKind::Deadlock, "threads 0-31 wait at barrier 1 (32 of 64 threads have arrived)");
  // Unchecked launches end, too.
  EXPECT_NE(find(run(kernel(body), 0, 1, false), FindingKind::Deadlock, line_of(kernel(body), "// bug")), nullptr);
  // Threads that have exited count at a barrier for all.
  expect_silent("  %low = llvm.icmp \"ult\" %tid, %c32 : i32\n  llvm.cond_br %low, ^a, ^b\n^a:\n  nvvm.barrier0\n  "
                "llvm.br ^b\n^b:");
}

TEST(SimChecks, BarrierMisuse) {
  expect_found("  nvvm.barrier id = %c1 number_of_threads = %c48 // bug", FindingKind::BarrierMisuse,
               "must be a multiple of 32");
  expect_found("  %low = llvm.icmp \"ult\" %tid, %c32 : i32\n  llvm.cond_br %low, ^a, ^b\n^a:\n  nvvm.barrier id = %c1 "
               "number_of_threads = %c64 // other\n  llvm.br ^c\n"
               "^b:\n  nvvm.barrier id = %c1 number_of_threads = %c32 // bug\n  llvm.br ^c\n^c:",
               FindingKind::BarrierMisuse, "threads at once", "// other");
  expect_found("  nvvm.barrier id = %c200 number_of_threads = %c64 // bug", FindingKind::BarrierMisuse,
               "does not exist");
  // Lanes of one warp at different barrier instructions.
  expect_found("  %odd = llvm.and %tid, %c1 : i32\n  %is = llvm.icmp \"eq\" %odd, %c1 : i32\n  llvm.cond_br %is, ^a, "
               "^b\n^a:\n  nvvm.barrier0 // other\n  llvm.br ^c\n"
               "^b:\n  nvvm.barrier0 // bug\n  llvm.br ^c\n^c:",
               FindingKind::BarrierMisuse, "different places", "// other");
}

TEST(SimChecks, MbarrierMisuse) {
  expect_found("  %x = nvvm.mbarrier.arrive %s : !llvm.ptr<3> -> i64 // bug", FindingKind::MbarrierMisuse,
               "not initialised");
  std::string init = "  %is0 = llvm.icmp \"eq\" %tid, %c0 : i32\n  llvm.cond_br %is0, ^i, ^u\n^i:\n  "
                     "nvvm.mbarrier.init %s, %c64 : !llvm.ptr<3>, i32\n  llvm.br ^u\n^u:\n";
  std::string use = "  %x = nvvm.mbarrier.arrive %s : !llvm.ptr<3> -> i64 // bug";
  std::string text = kernel(init + use); // in order, thread 0 runs first
  EXPECT_NE(find(run(text), FindingKind::MbarrierMisuse, line_of(text, "// bug")), nullptr);
  expect_silent(init + "  nvvm.barrier0\n" + use);
}

TEST(SimChecks, TrapAndAssert) {
  std::string odd =
      "  %odd = llvm.and %tid, %c1 : i32\n  %is = llvm.icmp \"eq\" %odd, %c1 : i32\n  llvm.cond_br %is, ^a, ^b\n";
  expect_found(odd + "^a:\n  \"llvm.intr.trap\"() : () -> () // bug\n  llvm.br ^b\n^b:", FindingKind::Trap, "trap");
  expect_found(odd +
                   "^a:\n  %m = llvm.mlir.addressof @message : !llvm.ptr\n  %size = llvm.mlir.constant(1 : i64) : i64\n"
                   "  llvm.call @__assertfail(%m, %m, %c1, %m, %size) : (!llvm.ptr, !llvm.ptr, i32, !llvm.ptr, i64) -> "
                   "() // bug\n  llvm.br ^b\n^b:",
               FindingKind::Assert, "n is odd");
}

TEST(SimChecks, AssertPrintsIntegers) {
  const std::string fail = "  %n = llvm.mlir.constant(130 : i64) : i64\n  %m = llvm.mlir.constant(-128 : i64) : i64\n"
                           "  llvm.call @moec_assert_values(%n, %m) : (i64, i64) -> ()\n"
                           "  llvm.intr.trap {moec.message = \"{1} and {0}\"} // bug";
  std::string text = "llvm.func @moec_assert_values(i64, i64)\n" + kernel(fail);
  for (bool checked : {false, true}) {
    auto findings = run(text, 0, 1, checked);
    const auto *found = find(findings, FindingKind::Assert, line_of(text, "// bug"));
    ASSERT_NE(found, nullptr) << texts(findings);
    EXPECT_THAT(found->text(), testing::HasSubstr("assertion failed: -128 and 130"));
  }
}

TEST(SimChecks, DivisionByZero) {
  const std::string divide = "  %q = llvm.sdiv %c64, %lane : i32 // bug\n  llvm.store %q, %gm : i32, !llvm.ptr<1>";
  expect_found(divide, FindingKind::ZeroDivision, "integer division of 64 by zero");
  expect_found("  %m1 = llvm.mlir.constant(-1 : i8) : i8\n  %l8 = llvm.trunc %lane : i32 to i8\n  %q = llvm.urem %m1, "
               "%l8 : i8 // bug\n  llvm.store %q, %gm : i8, !llvm.ptr<1>",
               FindingKind::ZeroDivision, "integer division of 255 by zero");
  expect_silent(
      "  %d = llvm.add %lane, %c1 : i32\n  %q = llvm.sdiv %c64, %d : i32\n  llvm.store %q, %gm : i32, !llvm.ptr<1>");
  EXPECT_EQ(texts(run(kernel(divide), 0, 1, false)), "") << "unchecked it is a value";
}

/// All threads wait until g[0] is 1.
const std::string kSpin = "  llvm.br ^spin\n^spin:\n  %v = llvm.atomicrmw _or %g, %c0 monotonic : !llvm.ptr<1>, i32\n  "
                          "%set = llvm.icmp \"eq\" %v, %c1 : i32\n"
                          "  llvm.cond_br %set, ^end, ^spin // bug\n^end:";

TEST(SimChecks, Livelock) {
  expect_found(
      kSpin, FindingKind::Livelock,
      "the CTA has not ended after 0.3 s of processor time (MOEC_SIM_SECONDS sets the limit, 0 is none); threads ");
  auto findings = run(kernel(kSpin), 0, 1, false);
  EXPECT_NE(find(findings, FindingKind::Livelock, line_of(kernel(kSpin), "// bug")), nullptr) << texts(findings);
  // Whoever sets it gets a turn, though nobody waits for a barrier, and be it the last of all.
  for (const char *who : {"%c0", "%c48", "%c63"})
    expect_silent("  %is = llvm.icmp \"eq\" %tid, " + std::string(who) +
                  " : i32\n  llvm.cond_br %is, ^set, ^wait\n^set:\n"
                  "  %o = llvm.atomicrmw xchg %g, %c1 monotonic : !llvm.ptr<1>, i32\n  llvm.br ^wait\n^wait:\n" +
                  kSpin);
  // A long loop is none that does not end.
  expect_silent("  %n = llvm.mlir.constant(20000 : i32) : i32\n  llvm.br ^loop(%c0 : i32)\n^loop(%i: i32):\n  %j = "
                "llvm.add %i, %c1 : i32\n"
                "  %more = llvm.icmp \"ult\" %j, %n : i32\n  llvm.cond_br %more, ^loop(%j : i32), ^end\n^end:");
}

TEST(SimChecks, GlobalRacesBetweenCtas) {
  std::string write = "  llvm.store %tid, %gm : i32, !llvm.ptr<1> // bug\n";
  expect_silent(write); // all CTAs write the same
  std::string id = "  %id = nvvm.read.ptx.sreg.ctaid.x : i32\n  llvm.store %id, %gm : i32, !llvm.ptr<1> // bug\n";
  std::string text = kernel(id);
  for (uint64_t seed : {0, 1, 2}) {
    auto findings = run(text, seed, 2);
    const auto *found = find(findings, FindingKind::GlobalRace, line_of(text, "// bug"));
    ASSERT_NE(found, nullptr) << texts(findings);
    EXPECT_THAT(found->text(), testing::HasSubstr("nothing orders CTAs"));
    EXPECT_EQ(texts(run(text, seed, 1)), "");
  }
  // One CTA reads what another one writes, whichever comes first.
  std::string one_writes = "  %cta = nvvm.read.ptx.sreg.ctaid.x : i32\n  %w = llvm.icmp \"eq\" %cta, %c1 : i32\n  "
                           "llvm.cond_br %w, ^w, ^r\n^w:\n" +
                           write +
                           "  llvm.br ^d\n^r:\n  %v = llvm.load %gm : !llvm.ptr<1> -> i32 // read\n  llvm.br ^d\n^d:";
  text = kernel(one_writes);
  auto findings = run(text, 0, 3);
  bool found = find(findings, FindingKind::GlobalRace, line_of(text, "// bug")) ||
               find(findings, FindingKind::GlobalRace, line_of(text, "// read"));
  EXPECT_TRUE(found) << texts(findings);
  // Bytes of one word, and atomics, are no races.
  expect_silent("  %cta = nvvm.read.ptx.sreg.ctaid.x : i32\n  %p = llvm.getelementptr %g[%cta] : (!llvm.ptr<1>, i32) "
                "-> !llvm.ptr<1>, i8\n"
                "  %z = llvm.icmp \"eq\" %tid, %c0 : i32\n  llvm.cond_br %z, ^w, ^d\n^w:\n  %t8 = llvm.trunc %cta : "
                "i32 to i8\n  llvm.store %t8, %p : i8, !llvm.ptr<1>\n  llvm.br ^d\n^d:");
  expect_silent("  %a = llvm.atomicrmw add %gm, %c1 monotonic : !llvm.ptr<1>, i32\n");
}

TEST(SimChecks, FindingsAreCountedOnce) {
  std::string text = kernel(kWrite + kRead);
  auto findings = run(text, 0, 50);
  EXPECT_LE(findings.size(), 4u) << texts(findings);
  uint64_t seen = 0;
  for (const auto &f : findings) seen += f.count;
  EXPECT_GT(seen, 50u);
}

} // namespace
