// The recorded cases as input of the safetensors reader and the host conversions.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "runtime/convert.h"
#include "runtime/safetensors.h"

using namespace moec;
namespace fs = std::filesystem;

namespace {

fs::path golden() {
  const char *moved = std::getenv("MOEC_TEST_GOLDEN"); // where the bundle has them
  return moved ? fs::path(moved) : fs::path(MOEC_SOURCE_DIR) / "test/golden";
}

TEST(golden, every_file_is_read_and_written_back_unchanged) {
  int files = 0;
  for (const auto &entry : fs::recursive_directory_iterator(golden())) {
    if (entry.path().extension() != ".safetensors") continue;
    ++files;
    TensorFile file = read_safetensors(entry.path().string());
    EXPECT_TRUE(file.metadata.contains("op")) << entry.path();
    TensorFile again = parse_safetensors(serialize_safetensors(file));
    EXPECT_EQ(again.metadata, file.metadata);
    ASSERT_EQ(again.tensors.size(), file.tensors.size());
    for (size_t i = 0; i < file.tensors.size(); ++i) {
      EXPECT_EQ(again.tensors[i].first, file.tensors[i].first);
      EXPECT_EQ(again.tensors[i].second.text(), file.tensors[i].second.text());
      EXPECT_EQ(again.tensors[i].second.to_bytes(), file.tensors[i].second.to_bytes());
    }
  }
  EXPECT_GE(files, 227) << "recorded cases are missing";
}

// torch gives NaN beyond 448 where CUDA and moec saturate; within the range all agree.
TEST(golden, e4m3_rounds_as_torch_within_its_range) {
  TensorFile file = read_safetensors((golden() / "fp8_e4m3fn_roundtrip/table.safetensors").string());
  auto x = file.at("in.x").to_vector<float>();
  auto fp8 = file.at("out.fp8").to_vector<uint8_t>();
  auto back = file.at("out.roundtrip").to_vector<float>();
  int compared = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!(std::fabs(x[i]) <= 448)) continue;
    EXPECT_EQ(to_e4m3(x[i]), fp8[i]) << x[i];
    EXPECT_EQ(from_e4m3(fp8[i]), back[i]) << x[i];
    ++compared;
  }
  EXPECT_EQ(compared, 18);
}

} // namespace
