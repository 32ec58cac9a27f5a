// Every row of the committed table becomes a cubin for three generations of GPUs, without spills or messages.
#include <gtest/gtest.h>

#include "kernels/kernel_table.h"
#include "kernels/specializations.h"
#include "runtime/compiler_library.h"
#include "runtime/toolkit.h"
#include "test/unit/sanitized.h"

#include <nlohmann/json.hpp>

namespace moec {
namespace {

class Specializations : public testing::TestWithParam<const char *> {};

TEST_P(Specializations, BecomeCubins) {
  if (nvjitlink_path().empty()) GTEST_SKIP() << "no nvJitLink here: cubins would be made by the driver";
  if (kSanitized && GetParam() != std::string_view("sm_90a")) GTEST_SKIP() << "one target is enough for the sanitizers";
  for (const SpecializationRow &row : specializations()) {
    SCOPED_TRACE(std::string(row.kernel) + " " + std::string(row.settings));
    const KernelInfo &kernel = kernel_at(row.kernel);
    Recording r = kernel.record(parse_settings(row.settings));
    CompileInput input;
    input.source = r.text;
    input.options = compile_options(GetParam(), schedule_of(row));
    input.ordinal_locations = true;
    input.lines = r.lines;
    CompileOutput out;
    ASSERT_NO_THROW(out = compile(input));
    EXPECT_EQ(out.output.substr(0, 4), "\x7f"
                                       "ELF");
    EXPECT_TRUE(out.diagnostics.empty()) << out.diagnostics[0].text();
    auto info = nlohmann::json::parse(out.info);
    EXPECT_EQ(info.at("spill_bytes"), 0);
  }
}
INSTANTIATE_TEST_SUITE_P(Targets, Specializations, testing::Values("sm_80", "sm_90a", "sm_100a"),
                         [](const auto &info) { return std::string(info.param); });

} // namespace
} // namespace moec
