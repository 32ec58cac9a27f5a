#include "runtime/environment.h"

#include <gmock/gmock.h>

#include <set>

#include "runtime/error.h"
#include "scratch.h"

using namespace moec;
using moec::testing::message_of;
using moec::testing::WithVariable;
using ::testing::Contains;
using ::testing::HasSubstr;

namespace {

TEST(environment, defaults) {
  std::vector<std::unique_ptr<WithVariable>> unset;
  for (const EnvironmentVariable &v : environment_variables())
    unset.push_back(std::make_unique<WithVariable>(std::string(v.name).c_str(), nullptr));
  Environment e = read_environment();
  EXPECT_EQ(e.device, "best");
  EXPECT_EQ(e.cache, CacheMode::on);
  EXPECT_EQ(e.cache_max_bytes, uint64_t{2} << 30);
  EXPECT_FALSE(e.sim_checked.has_value());
  EXPECT_EQ(e.log, LogLevel::warn);
}

TEST(environment, every_default_text_that_is_a_value_parses_to_the_default) {
  for (const EnvironmentVariable &v : environment_variables()) {
    if (v.name != "MOEC_DEVICE" && v.name != "MOEC_CACHE" && v.name != "MOEC_CACHE_MAX_BYTES" && v.name != "MOEC_LOG")
      continue;
    Environment e;
    EXPECT_EQ(v.parse(v.default_text, e), nullptr) << v.name;
    EXPECT_EQ(e.device, Environment().device);
    EXPECT_EQ(e.cache_max_bytes, Environment().cache_max_bytes);
  }
}

TEST(environment, values) {
  WithVariable a("MOEC_DEVICE", "cuda:3"), b("MOEC_CACHE", "require"), c("MOEC_CACHE_MAX_BYTES", "512M"),
      d("MOEC_CHECK", "record"), f("MOEC_SIM_CHECKED", "0"), g("MOEC_SIM_SEED", "42"), h("MOEC_SIM_LEVEL", "v3"),
      i("MOEC_LOG", "debug");
  Environment e = read_environment();
  EXPECT_EQ(e.device, "cuda:3");
  EXPECT_EQ(e.cache, CacheMode::require);
  EXPECT_EQ(e.cache_max_bytes, uint64_t{512} << 20);
  EXPECT_TRUE(e.check_record);
  EXPECT_EQ(e.sim_checked, std::optional(false));
  EXPECT_EQ(e.sim_seed, 42u);
  EXPECT_EQ(e.sim_level, "v3");
  EXPECT_EQ(e.log, LogLevel::debug);
}

struct Wrong {
  const char *name, *value, *expected;
};
class WrongValue : public ::testing::TestWithParam<Wrong> {};
TEST_P(WrongValue, names_variable_and_choices) {
  WithVariable set(GetParam().name, GetParam().value);
  std::string text = message_of<UserError>([] { read_environment(); });
  EXPECT_THAT(text, HasSubstr(GetParam().name));
  EXPECT_THAT(text, HasSubstr(GetParam().value));
  EXPECT_THAT(text, HasSubstr(GetParam().expected));
}
INSTANTIATE_TEST_SUITE_P(
    environment, WrongValue,
    ::testing::Values(Wrong{"MOEC_DEVICE", "gpu", "say best, sim, interp, cuda"},
                      Wrong{"MOEC_DEVICE", "cuda:-1", "say best"}, Wrong{"MOEC_DEVICE", "cuda:x", "say best"},
                      Wrong{"MOEC_CACHE", "yes", "on, off or require"}, Wrong{"MOEC_CACHE_DIR", "a/b", "absolute"},
                      Wrong{"MOEC_CACHE_MAX_BYTES", "many", "512M"},
                      Wrong{"MOEC_CACHE_MAX_BYTES", "99999999999G", "512M"}, Wrong{"MOEC_CACHE_MAX_BYTES", "G", "512M"},
                      Wrong{"MOEC_CHECK", "all", "record or none"}, Wrong{"MOEC_SIM_CHECKED", "2", "0 or 1"},
                      Wrong{"MOEC_SIM_SEED", "-1", "whole number"},
                      Wrong{"MOEC_SIM_WORKERS", "1025", "0 (all cores) to 1024"},
                      Wrong{"MOEC_SIM_LEVEL", "v5", "v2, v3 or v4"}, Wrong{"MOEC_LINEINFO", "maybe", "0 or 1"},
                      Wrong{"MOEC_LOG", "loud", "warn, info or debug"}));

TEST(environment, unknown_names_are_found) {
  WithVariable typo("MOEC_CAHCE", "off");
  EXPECT_THAT(unknown_environment_variables(), Contains("MOEC_CAHCE"));
  for (const EnvironmentVariable &v : environment_variables())
    EXPECT_THAT(unknown_environment_variables(), ::testing::Not(Contains(std::string(v.name))));
}

TEST(environment, table_is_complete_and_unique) {
  std::set<std::string_view> names;
  for (const EnvironmentVariable &v : environment_variables()) {
    EXPECT_TRUE(names.insert(v.name).second) << v.name;
    EXPECT_TRUE(v.name.starts_with("MOEC_"));
    EXPECT_FALSE(v.doc.empty() || v.type.empty()) << v.name;
  }
}

} // namespace
