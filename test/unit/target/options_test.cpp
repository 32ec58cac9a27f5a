#include "compiler/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using moec::compiler::CompileOptions;
using moec::compiler::parseOptions;
using testing::HasSubstr;

namespace {

CompileOptions parse(llvm::StringRef text) {
  auto options = parseOptions(text);
  if (options) return *options;
  ADD_FAILURE() << llvm::toString(options.takeError());
  return {};
}

std::string error_of(llvm::StringRef text) {
  auto options = parseOptions(text);
  return options ? "accepted" : llvm::toString(options.takeError());
}

TEST(Options, Gpu) {
  CompileOptions o =
      parse("target=sm_90a;num_warps=8; num_stages=2;contract_fma=1;lineinfo=1;verify_each=1;dump=/tmp/d;;");
  EXPECT_FALSE(o.isSim());
  EXPECT_EQ(o.targetName, "sm_90a");
  EXPECT_EQ(o.computeCapability, 90);
  EXPECT_EQ(o.numWarps, 8);
  EXPECT_EQ(o.numStages, 2);
  EXPECT_TRUE(o.contractFma && o.lineInfo && o.verifyEach);
  EXPECT_EQ(o.dumpFolder, "/tmp/d");
}

TEST(Options, Simulator) {
  CompileOptions o = parse("target=sim-x86-64-v4;checked=1");
  EXPECT_TRUE(o.isSim());
  EXPECT_EQ(o.simLevel, "v4");
  EXPECT_EQ(o.computeCapability, 80);
  EXPECT_TRUE(o.checked);
  EXPECT_EQ(parse("target=sim-x86-64-v2;cc=90").computeCapability, 90);
  EXPECT_THAT(parse("target=sim").targetName, testing::StartsWith("sim-x86-64-v"));
}

TEST(Options, Errors) {
  struct Row {
    const char *text, *message;
  };
  for (Row row : {Row{"", "option target is missing"},
                  {"target=sm_75", "too old: moec needs sm_80 or later"},
                  {"target=sm_130", "newer than this moec, which knows GPUs up to sm_121a"},
                  {"target=gfx942", "unknown target 'gfx942' (targets: sm_80, sm_86"},
                  {"target=sim-x86-64-v5", "unknown target"},
                  {"target=sm_80;num_wraps=4", "Did you mean 'num_warps'?"},
                  {"target=sm_80;zzzzzzzzzz=4", "unknown option 'zzzzzzzzzz' (options: target, cc, num_warps"},
                  {"target=sm_80;num_warps=3", "option num_warps=3: must be one of 1, 2, 4, 8, 16"},
                  {"target=sm_80;num_warps=", "must be one of"},
                  {"target=sm_80;num_stages=9", "must be one of 1, 2, 3"},
                  {"target=sm_80;contract_fma=yes", "option contract_fma=yes: must be 0 or 1"},
                  {"target=sm_80;lineinfo", "option 'lineinfo' has no value"},
                  {"target=sm_80;checked=1", "for the simulated GPU only"},
                  {"target=sm_80;cc=90", "contradicts target=sm_80"},
                  {"target=sim;cc=70", "option cc=70: must be one of 80"}})
    EXPECT_THAT(error_of(row.text), HasSubstr(row.message)) << row.text;
}

} // namespace
