// Copies, barriers, shuffles, atomics: right results, on every level, schedule and number of workers.
#include "harness.h"

#include <cmath>
#include <numeric>

using namespace moec;
using namespace moec::simtest;
using moec::sim::SimLaunch;
using moec::sim::SimOptions;

namespace {

const std::string kMaskedCopy = R"(
llvm.func @masked_copy(%in: !llvm.ptr<1>, %out: !llvm.ptr<1>, %n: i32) attributes {nvvm.kernel, nvvm.reqntid = array<i32: 128>} {
  %tid = nvvm.read.ptx.sreg.tid.x : i32
  %cta = nvvm.read.ptx.sreg.ctaid.x : i32
  %ntid = nvvm.read.ptx.sreg.ntid.x : i32
  %base = llvm.mul %cta, %ntid : i32
  %i = llvm.add %base, %tid : i32
  %in_range = llvm.icmp "slt" %i, %n : i32
  llvm.cond_br %in_range, ^copy, ^done
^copy:
  %from = llvm.getelementptr %in[%i] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, f32
  %to = llvm.getelementptr %out[%i] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, f32
  %v = llvm.load %from : !llvm.ptr<1> -> f32
  llvm.store %v, %to : f32, !llvm.ptr<1>
  llvm.br ^done
^done:
  llvm.return
}
)";

TEST(SimBasic, MaskedCopy) {
  for (const char *level : {"v2", "v3", "v4"}) {
    if (level[1] - '0' > static_cast<int>(sim::host_level())) GTEST_SKIP() << "this CPU has no x86-64-" << level;
    auto image = load(kMaskedCopy, {.level = level});
    EXPECT_EQ(image.kernel(), "masked_copy");
    int n = 1000;
    std::vector<float> in(n), out(1024, -1);
    std::iota(in.begin(), in.end(), 0.5f);
    Params params(in.data(), out.data(), n);
    auto findings = sim::launch(image, SimLaunch{.grid = {8, 1, 1}, .threads = 128, .params = params.data()});
    EXPECT_EQ(texts(findings), "");
    for (int i = 0; i < 1024; ++i) ASSERT_EQ(out[i], i < n ? in[i] : -1.0f) << i;
  }
}

TEST(SimBasic, EmptyGridLaunchesNothing) {
  auto image = load(kMaskedCopy);
  EXPECT_TRUE(sim::launch(image, SimLaunch{.grid = {0, 1, 1}, .threads = 128}).empty());
}

TEST(SimBasic, LaunchesThatNoDeviceTakes) {
  auto image = load(kMaskedCopy);
  EXPECT_THROW(sim::launch(image, SimLaunch{.threads = 64}), std::invalid_argument);
  EXPECT_THROW(sim::launch(image, SimLaunch{.threads = 128, .shared_bytes = 300000}), std::invalid_argument);
  EXPECT_THROW(sim::launch(image, SimLaunch{.grid = {1, 70000, 1}, .threads = 128}), std::invalid_argument);
  EXPECT_THROW(sim::launch(image, SimLaunch{.threads = 128}, SimOptions{.checked = true}), std::invalid_argument);
}

TEST(SimBasic, DamagedImagesAreRefused) {
  auto [bytes, error] = compile(kMaskedCopy);
  ASSERT_EQ(error, "");
  EXPECT_THROW(sim::LoadedImage(std::span(bytes.data(), 20)), std::runtime_error);
  EXPECT_THROW(sim::LoadedImage(std::span(bytes.data(), bytes.size() - 1)), std::runtime_error);
  auto wrong = bytes;
  wrong[4] ^= 1; // the version
  EXPECT_THROW(sim::LoadedImage{wrong}, std::runtime_error);
}

/// Sum of 256 floats per CTA: shuffles within warps, then shared memory and a barrier.
const std::string kReduce = R"(
llvm.mlir.global external @moec_smem() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<0 x i8>
llvm.func @reduce(%in: !llvm.ptr<1>, %out: !llvm.ptr<1>) attributes {nvvm.kernel, nvvm.reqntid = array<i32: 256>} {
  %full = llvm.mlir.constant(-1 : i32) : i32
  %clamp = llvm.mlir.constant(31 : i32) : i32
  %c0 = llvm.mlir.constant(0 : i32) : i32
  %c8 = llvm.mlir.constant(8 : i32) : i32
  %c32 = llvm.mlir.constant(32 : i32) : i32
  %c256 = llvm.mlir.constant(256 : i32) : i32
  %o16 = llvm.mlir.constant(16 : i32) : i32
  %o4 = llvm.mlir.constant(4 : i32) : i32
  %o2 = llvm.mlir.constant(2 : i32) : i32
  %o1 = llvm.mlir.constant(1 : i32) : i32
  %tid = nvvm.read.ptx.sreg.tid.x : i32
  %cta = nvvm.read.ptx.sreg.ctaid.x : i32
  %base = llvm.mul %cta, %c256 : i32
  %i = llvm.add %base, %tid : i32
  %from = llvm.getelementptr %in[%i] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, f32
  %x0 = llvm.load %from : !llvm.ptr<1> -> f32
  %s0 = nvvm.shfl.sync bfly %full, %x0, %o16, %clamp : f32 -> f32
  %x1 = llvm.fadd %x0, %s0 : f32
  %s1 = nvvm.shfl.sync bfly %full, %x1, %c8, %clamp : f32 -> f32
  %x2 = llvm.fadd %x1, %s1 : f32
  %s2 = nvvm.shfl.sync bfly %full, %x2, %o4, %clamp : f32 -> f32
  %x3 = llvm.fadd %x2, %s2 : f32
  %s3 = nvvm.shfl.sync bfly %full, %x3, %o2, %clamp : f32 -> f32
  %x4 = llvm.fadd %x3, %s3 : f32
  %s4 = nvvm.shfl.sync bfly %full, %x4, %o1, %clamp : f32 -> f32
  %x5 = llvm.fadd %x4, %s4 : f32
  %lane = llvm.urem %tid, %c32 : i32
  %warp = llvm.udiv %tid, %c32 : i32
  %smem = llvm.mlir.addressof @moec_smem : !llvm.ptr<3>
  %first = llvm.icmp "eq" %lane, %c0 : i32
  llvm.cond_br %first, ^store, ^sync
^store:
  %slot = llvm.getelementptr %smem[%warp] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, f32
  llvm.store %x5, %slot : f32, !llvm.ptr<3>
  llvm.br ^sync
^sync:
  nvvm.barrier0 // barrier
  %one = llvm.icmp "eq" %tid, %c0 : i32
  llvm.cond_br %one, ^loop(%c0, %x5 : i32, f32), ^done
^loop(%k: i32, %acc: f32):
  %p = llvm.getelementptr %smem[%k] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, f32
  %v = llvm.load %p : !llvm.ptr<3> -> f32 // read
  %isfirst = llvm.icmp "eq" %k, %c0 : i32
  %sum = llvm.fadd %acc, %v : f32
  %next_acc = llvm.select %isfirst, %v, %sum : i1, f32
  %next = llvm.add %k, %o1 : i32
  %more = llvm.icmp "slt" %next, %c8 : i32
  llvm.cond_br %more, ^loop(%next, %next_acc : i32, f32), ^write(%next_acc : f32)
^write(%total: f32):
  %to = llvm.getelementptr %out[%cta] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, f32
  llvm.store %total, %to : f32, !llvm.ptr<1>
  llvm.br ^done
^done:
  llvm.return
}
)";

TEST(SimBasic, ShuffleAndBarrierReduction) {
  const int ctas = 37;
  std::vector<float> in(256 * ctas);
  for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i % 97) - 40;
  for (bool checked : {false, true}) {
    auto image = load(kReduce, {.checked = checked});
    for (uint64_t seed : {0, 1, 2, 3}) {
      for (unsigned workers : {1u, 2u}) {
        std::vector<float> out(ctas, -1);
        sim::MemoryRange allowed[] = {range_of(in), range_of(out)};
        Params params(in.data(), out.data());
        auto findings = sim::launch(
            image, SimLaunch{.grid = {ctas, 1, 1}, .threads = 256, .shared_bytes = 64, .params = params.data()},
            SimOptions{.checked = checked, .seed = seed, .workers = workers, .allowed = allowed});
        EXPECT_EQ(texts(findings), "");
        for (int c = 0; c < ctas; ++c)
          ASSERT_EQ(out[c], std::accumulate(in.begin() + 256 * c, in.begin() + 256 * (c + 1), 0.0f)) << c;
      }
    }
  }
}

TEST(SimBasic, HistogramWithAtomics) {
  const std::string text = R"(
llvm.mlir.global external @moec_smem() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<0 x i8>
llvm.func @histogram(%in: !llvm.ptr<1>, %out: !llvm.ptr<1>) attributes {nvvm.kernel, nvvm.reqntid = array<i32: 64>} {
  %c0 = llvm.mlir.constant(0 : i32) : i32
  %c1 = llvm.mlir.constant(1 : i32) : i32
  %c64 = llvm.mlir.constant(64 : i32) : i32
  %tid = nvvm.read.ptx.sreg.tid.x : i32
  %cta = nvvm.read.ptx.sreg.ctaid.x : i32
  %smem = llvm.mlir.addressof @moec_smem : !llvm.ptr<3>
  %mine = llvm.getelementptr %smem[%tid] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
  llvm.store %c0, %mine : i32, !llvm.ptr<3>
  nvvm.barrier0
  %b = llvm.mul %cta, %c64 : i32
  %i = llvm.add %b, %tid : i32
  %from = llvm.getelementptr %in[%i] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
  %bin = llvm.load %from : !llvm.ptr<1> -> i32
  %slot = llvm.getelementptr %smem[%bin] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
  %old = llvm.atomicrmw add %slot, %c1 monotonic : !llvm.ptr<3>, i32
  nvvm.barrier0
  %count = llvm.load %mine : !llvm.ptr<3> -> i32
  %to = llvm.getelementptr %out[%tid] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
  %old2 = llvm.atomicrmw add %to, %count monotonic : !llvm.ptr<1>, i32
  llvm.return
})";
  std::vector<int> in(64 * 20), want(64, 0);
  for (size_t i = 0; i < in.size(); ++i) ++want[in[i] = static_cast<int>(i * i % 61)];
  for (bool checked : {false, true}) {
    auto image = load(text, {.checked = checked});
    for (uint64_t seed : {0, 5, 6}) {
      std::vector<int> out(64, 0);
      sim::MemoryRange allowed[] = {range_of(in), range_of(out)};
      Params params(in.data(), out.data());
      auto findings =
          sim::launch(image, SimLaunch{.grid = {20, 1, 1}, .threads = 64, .shared_bytes = 256, .params = params.data()},
                      SimOptions{.checked = checked, .seed = seed, .workers = 2, .allowed = allowed});
      EXPECT_EQ(texts(findings), "");
      EXPECT_EQ(out, want);
    }
  }
}

TEST(SimBasic, GridIsThreeDimensional) {
  const std::string text = R"(
llvm.func @ids(%out: !llvm.ptr<1>) attributes {nvvm.kernel, nvvm.reqntid = array<i32: 1>} {
  %x = nvvm.read.ptx.sreg.ctaid.x : i32
  %y = nvvm.read.ptx.sreg.ctaid.y : i32
  %z = nvvm.read.ptx.sreg.ctaid.z : i32
  %nx = nvvm.read.ptx.sreg.nctaid.x : i32
  %ny = nvvm.read.ptx.sreg.nctaid.y : i32
  %zy = llvm.mul %z, %ny : i32
  %zy2 = llvm.add %zy, %y : i32
  %i0 = llvm.mul %zy2, %nx : i32
  %i = llvm.add %i0, %x : i32
  %to = llvm.getelementptr %out[%i] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
  llvm.store %i, %to : i32, !llvm.ptr<1>
  llvm.return
})";
  auto image = load(text);
  std::vector<int> out(3 * 4 * 5, -1), want(3 * 4 * 5);
  std::iota(want.begin(), want.end(), 0);
  Params params(out.data());
  EXPECT_TRUE(sim::launch(image, SimLaunch{.grid = {3, 4, 5}, .threads = 1, .params = params.data()}).empty());
  EXPECT_EQ(out, want);
}

TEST(SimBasic, UnknownOperationsAndFunctionsAreNamed) {
  auto kernel = [](const std::string &body) {
    return "llvm.func @host_function(f32) -> f32\n"
           "llvm.func @k(%p: !llvm.ptr<1>, %f: f32) attributes {nvvm.kernel} {\n" +
           body + "\n  llvm.return\n}";
  };
  EXPECT_THAT(compile(kernel("  nvvm.griddepcontrol wait")).second, testing::HasSubstr("kernel.mlir\":3:3"));
  EXPECT_THAT(compile(kernel("  nvvm.griddepcontrol wait")).second, testing::HasSubstr("griddepcontrol"));
  EXPECT_THAT(
      compile(kernel("  %x = llvm.call @host_function(%f) : (f32) -> f32\n  llvm.store %x, %p : f32, !llvm.ptr<1>"))
          .second,
      testing::HasSubstr("undefined function 'host_function'"));
  EXPECT_THAT(compile(kernel("  llvm.inline_asm has_side_effects \"nop\", \"\" : () -> ()")).second,
              testing::HasSubstr("inline assembly"));
}

} // namespace
