#include "compiler/target/nvptx/NvJitLink.h"
#include "compiler/target/nvptx/Resources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace moec::compiler;

namespace {

/// A kernel with a local array, static shared memory and two barriers.
std::string ptx(const std::string &target) {
  return ".version 8.6\n.target " + target + R"(
.address_size 64
.visible .entry k(.param .u64 p, .param .u32 n)
.maxntid 128
{
 .local .align 8 .b8 __local_depot0[64];
 .shared .align 4 .b8 st[512];
 .reg .b64 %rd<9>;
 .reg .b32 %r<9>;
 ld.param.u64 %rd1, [p];
 ld.param.u32 %r3, [n];
 mov.u32 %r1, %tid.x;
 mov.u64 %rd6, __local_depot0;
 and.b32 %r4, %r3, 15;
 mul.wide.u32 %rd8, %r4, 4;
 add.s64 %rd7, %rd6, %rd8;
 st.local.u32 [%rd7], %r3;
 st.shared.u32 [st], %r1;
 bar.sync 0;
 bar.sync 3;
 xor.b32 %r4, %r4, 3;
 mul.wide.u32 %rd8, %r4, 4;
 add.s64 %rd7, %rd6, %rd8;
 ld.local.u32 %r5, [%rd7];
 ld.shared.u32 %r6, [st+4];
 add.u32 %r5, %r5, %r6;
 cvta.to.global.u64 %rd2, %rd1;
 mul.wide.u32 %rd5, %r1, 4;
 add.s64 %rd3, %rd2, %rd5;
 st.global.u32 [%rd3], %r5;
 ret;
})";
}

TEST(Resources, OfARealCubin) {
  for (std::string target : {"sm_80", "sm_90a", "sm_100a"}) {
    auto cubin = assemblePtx(ptx(target), target);
    ASSERT_TRUE(bool(cubin)) << llvm::toString(cubin.takeError());
    auto resources = readResources(cubin->bytes, cubin->statistics);
    ASSERT_TRUE(bool(resources)) << llvm::toString(resources.takeError());
    EXPECT_EQ(resources->kernel, "k");
    EXPECT_EQ(resources->sharedBytes, 512) << target;
    EXPECT_EQ(resources->barriers, 4);
    EXPECT_EQ(resources->stackBytes, 64) << target;
    EXPECT_EQ(resources->spillBytes, 0);
    EXPECT_EQ(cubin->warnings, "");
    // ptxas's own words about the same kernel.
    EXPECT_THAT(cubin->statistics, testing::HasSubstr("Used " + std::to_string(resources->registers) + " registers"));
  }
}

TEST(Resources, OfASpillingKernel) {
  std::string text = ".version 8.6\n.target sm_90a\n.address_size 64\n.visible .entry k(.param .u64 p)\n.maxnreg "
                     "24\n{\n.reg .b64 %rd<3>;\n.reg .b32 %r<128>;\n"
                     "ld.param.u64 %rd1, [p];\ncvta.to.global.u64 %rd2, %rd1;\n";
  for (int i = 0; i < 100; ++i)
    text += "ld.volatile.global.u32 %r" + std::to_string(i) + ", [%rd2+" + std::to_string(4 * i) + "];\n";
  text += "bar.sync 0;\n";
  for (int i = 0; i < 100; ++i)
    text += "st.volatile.global.u32 [%rd2+" + std::to_string(4 * (99 - i)) + "], %r" + std::to_string(i) + ";\n";
  text += "ret;\n}\n";
  auto cubin = assemblePtx(text, "sm_90a");
  ASSERT_TRUE(bool(cubin)) << llvm::toString(cubin.takeError());
  auto resources = readResources(cubin->bytes, cubin->statistics);
  ASSERT_TRUE(bool(resources)) << llvm::toString(resources.takeError());
  EXPECT_LE(resources->registers, 24);
  EXPECT_GE(resources->spillBytes, 4 * 70);
}

TEST(Resources, DamagedCubins) {
  auto cubin = assemblePtx(ptx("sm_90a"), "sm_90a");
  ASSERT_TRUE(bool(cubin));
  EXPECT_TRUE(llvm::errorToBool(readResources("", "").takeError()));
  EXPECT_TRUE(llvm::errorToBool(
      readResources("not an ELF file at all, but long enough to hold a header of 64 bytes", "").takeError()));
  // No truncation and no damaged byte of the header may read out of bounds (the asan build sees it) or succeed with
  // nonsense. (What is behind the section table is not read.)
  for (size_t size = 0; size < cubin->bytes.size(); size += 7) {
    auto resources = readResources(llvm::StringRef(cubin->bytes).take_front(size), "");
    EXPECT_TRUE(!resources || size > cubin->bytes.size() / 2) << size;
    if (!resources)
      llvm::consumeError(resources.takeError());
    else
      EXPECT_EQ(resources->kernel, "k");
  }
  for (size_t byte = 0; byte < 64; ++byte) {
    std::string damaged = cubin->bytes;
    damaged[byte] = char(0xff);
    auto resources = readResources(damaged, "");
    if (resources)
      EXPECT_EQ(resources->kernel, "k");
    else
      llvm::consumeError(resources.takeError());
  }
}

TEST(NvJitLink, Errors) {
  auto unknown = assemblePtx(ptx("sm_90a"), "sm_99");
  EXPECT_THAT(llvm::toString(unknown.takeError()), testing::HasSubstr("nvJitLink for sm_99"));
  auto syntax = assemblePtx(".version 8.6\n.target sm_90a\n.address_size 64\nnonsense", "sm_90a");
  ASSERT_FALSE(bool(syntax));
  EXPECT_TRUE(syntax.errorIsA<ToolError>());
  EXPECT_THAT(llvm::toString(syntax.takeError()), testing::HasSubstr("syntax error"));
  auto newer = assemblePtx(".version 99.0\n.target sm_90a\n.address_size 64\n", "sm_90a");
  EXPECT_THAT(llvm::toString(newer.takeError()), testing::HasSubstr("99.0"));
}

TEST(NvJitLink, Facts) {
  const NvJitLinkFacts &facts = nvJitLinkFacts();
  EXPECT_THAT(facts.path, testing::HasSubstr("libnvJitLink.so"));
  EXPECT_GE(facts.major, 12);
  EXPECT_EQ(facts.error, "");
}

} // namespace
