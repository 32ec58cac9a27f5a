// The library's C door: compiling hand-written LLVM+NVVM kernels to PTX and cubins, errors, threads.
#include "compiler/compiler.h"
#include "compiler/target/nvptx/NvJitLink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

using moec::compiler::nvJitLinkFacts;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

namespace {

std::string read_file(const std::string &path) {
  std::ifstream in(path);
  EXPECT_TRUE(in.good()) << path;
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string swiglu() { return read_file(MOEC_SOURCE_DIR "/test/lit/target/swiglu.mlir"); }

struct Compiled {
  MoecStatus status;
  std::string output, diagnostics, info;
};

MoecText text(const std::string &s) { return {s.data(), s.size()}; }

Compiled compile(const std::string &source, const std::string &options, const std::string &emit) {
  MoecCompileRequest request{text(source), text(options), text(emit), 0};
  MoecCompileResult result{};
  MoecStatus status = moec_compiler_compile(&request, &result);
  auto string = [](MoecText t) { return std::string(t.data, t.size); };
  Compiled compiled{status, string(result.output), string(result.diagnostics), string(result.info)};
  EXPECT_EQ(result.status, status);
  moec_compiler_free(&result);
  EXPECT_EQ(result.owner, nullptr);
  return compiled;
}

TEST(Compile, PtxOfEveryGeneration) {
  for (std::string target :
       {"sm_80", "sm_86", "sm_89", "sm_90", "sm_90a", "sm_100", "sm_100a", "sm_103a", "sm_110a", "sm_120a", "sm_121"}) {
    Compiled c = compile(swiglu(), "target=" + target, "ptx");
    EXPECT_EQ(c.status, MOEC_OK) << c.diagnostics;
    EXPECT_THAT(c.output, HasSubstr(".target " + target + "\n"));
  }
}

TEST(Compile, CubinWithFacts) {
  Compiled c = compile(swiglu(), "target=sm_90a", "binary");
  ASSERT_EQ(c.status, MOEC_OK) << c.diagnostics;
  EXPECT_EQ(c.output.substr(0, 4), "\x7f"
                                   "ELF");
  EXPECT_THAT(c.info, HasSubstr(R"("kernel":"swiglu")"));
  EXPECT_THAT(c.info, HasSubstr(R"("threads":128)"));
  EXPECT_THAT(c.info, HasSubstr(R"("spill_bytes":0)"));
  EXPECT_THAT(c.info, HasSubstr(R"("name":"nvjitlink")"));
  EXPECT_EQ(c.diagnostics, "");
}

TEST(Compile, FourThreadsGiveTheSameBytes) {
  std::string source = swiglu();
  Compiled expected = compile(source, "target=sm_90a", "binary");
  ASSERT_EQ(expected.status, MOEC_OK) << expected.diagnostics;
  std::vector<std::thread> threads;
  std::vector<int> same(4);
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 8; ++i) {
        Compiled c = compile(source, "target=sm_90a", "binary");
        same[t] += c.status == MOEC_OK && c.output == expected.output;
        // Other targets in between, so that kept state is shared by nothing but its own target.
        same[t] += compile(source, "target=sm_80", "ptx").status == MOEC_OK;
      }
    });
  for (std::thread &thread : threads) thread.join();
  EXPECT_EQ(same, std::vector<int>(4, 16));
}

TEST(Compile, RepeatedCompilesGiveTheSamePtx) {
  std::string source = swiglu(), first = compile(source, "target=sm_80", "ptx").output;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(compile(source, "target=sm_80", "ptx").output, first);
}

TEST(Compile, FatalErrorInsideLlvmIsReportedAndSurvived) {
  // wgmma's fence does not exist on sm_80: instruction selection gives up.
  std::string source = "llvm.func @k() attributes {nvvm.kernel} { nvvm.wgmma.fence.aligned\n llvm.return }";
  for (int i = 0; i < 3; ++i) {
    Compiled c = compile(source, "target=sm_80", "ptx");
    EXPECT_EQ(c.status, MOEC_INTERNAL_ERROR);
    EXPECT_THAT(c.diagnostics, HasSubstr("Cannot select"));
    EXPECT_EQ(c.output, "");
    EXPECT_EQ(compile(source, "target=sm_90a", "ptx").status, MOEC_OK);
    EXPECT_EQ(compile(swiglu(), "target=sm_80", "ptx").status, MOEC_OK);
  }
}

TEST(Compile, AssemblerErrorsAreToolErrorsWithTheLog) {
  std::string source = R"(llvm.func @k() attributes {nvvm.kernel} {
    llvm.inline_asm has_side_effects "no.such.instruction;", "" : () -> ()
    llvm.return })";
  Compiled c = compile(source, "target=sm_90a", "binary");
  EXPECT_EQ(c.status, MOEC_TOOL_ERROR);
  EXPECT_THAT(c.diagnostics, HasSubstr("PTX does not compile"));
  EXPECT_THAT(c.diagnostics, HasSubstr("Not a name of any known instruction: 'no'"));
}

TEST(Compile, UserErrors) {
  Compiled parse = compile("llvm.func @k(", "target=sm_90a", "ptx");
  EXPECT_EQ(parse.status, MOEC_USER_ERROR);
  EXPECT_THAT(parse.diagnostics, HasSubstr("error\tsource.mlir\t1\t"));
  Compiled emit = compile(swiglu(), "target=sm_90a", "sass");
  EXPECT_EQ(emit.status, MOEC_USER_ERROR);
  EXPECT_THAT(
      emit.diagnostics,
      HasSubstr("emit=sass is unknown (known: tile, layouts, tilegpu, nvvm, llvm, ptx, binary, cubin, resources)"));
  Compiled sim = compile(swiglu(), "target=sim-x86-64-v3", "ptx");
  EXPECT_EQ(sim.status, MOEC_USER_ERROR);
  EXPECT_THAT(sim.diagnostics, HasSubstr("the simulated GPU (target=sim-x86-64-v3) has none"));
  EXPECT_EQ(compile(swiglu(), "num_warps=4", "ptx").status, MOEC_USER_ERROR);
}

TEST(Compile, UnknownLibdeviceFunctionIsNamed) {
  std::string source = R"(llvm.func @__nv_tgammaf(f32) -> f32
    llvm.func @k(%p: !llvm.ptr<1>, %x: f32) attributes {nvvm.kernel} {
      %y = llvm.call @__nv_tgammaf(%x) : (f32) -> f32
      llvm.store %y, %p : f32, !llvm.ptr<1>
      llvm.return })";
  Compiled c = compile(source, "target=sm_90a", "ptx");
  EXPECT_EQ(c.status, MOEC_INTERNAL_ERROR);
  EXPECT_THAT(c.diagnostics, HasSubstr("__nv_tgammaf is not in moec's subset"));
}

TEST(Compile, LineInfo) {
  Compiled with = compile(swiglu(), "target=sm_90a;lineinfo=1", "ptx");
  EXPECT_THAT(with.output, HasSubstr(".loc\t"));
  EXPECT_THAT(compile(swiglu(), "target=sm_90a", "ptx").output, Not(HasSubstr(".loc")));
  EXPECT_EQ(compile(swiglu(), "target=sm_90a;lineinfo=1", "binary").status, MOEC_OK);
}

TEST(Describe, SaysWhatIsThere) {
  std::string facts = moec_compiler_describe();
  EXPECT_THAT(facts, HasSubstr(R"("libdevice":true)"));
  EXPECT_THAT(facts, HasSubstr("sm_100a"));
}

// What is named is used, or else nothing: the cache's key has its build-id.
TEST(Compile, UsesTheNvJitLinkThatItIsTold) {
  Compiled own = compile(swiglu(), "target=sm_90a", "binary");
  EXPECT_THAT(own.info, HasSubstr("\"assembler\":{\"path\":\"" + nvJitLinkFacts().path + "\",\"version\":\""));
  Compiled driver = compile(swiglu(), "target=sm_90a;nvjitlink=none", "binary");
  EXPECT_THAT(driver.info, AllOf(HasSubstr(R"("format":"ptx")"), Not(HasSubstr("assembler"))));
  EXPECT_EQ(compile(swiglu(), "target=sm_90a;nvjitlink=none", "cubin").status, MOEC_TOOL_ERROR);
  Compiled missing = compile(swiglu(), "target=sm_90a;nvjitlink=/no/such/libnvJitLink.so.13", "binary");
  EXPECT_EQ(missing.status, MOEC_TOOL_ERROR);
  EXPECT_THAT(missing.diagnostics, AllOf(HasSubstr("/no/such/libnvJitLink.so.13"), HasSubstr("MOEC_CUDA_ROOT")));
}

} // namespace
