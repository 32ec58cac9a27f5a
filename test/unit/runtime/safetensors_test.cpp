#include "runtime/safetensors.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <random>

#include "runtime/error.h"
#include "scratch.h"

using namespace moec;
using namespace moec::testing;
using ::testing::HasSubstr;

namespace {

std::span<const std::byte> bytes_of(const std::string &s) { return std::as_bytes(std::span(s)); }

std::string file_with(const std::string &header, size_t data_bytes) {
  std::string file(8, '\0');
  for (int i = 0; i < 8; ++i) file[static_cast<size_t>(i)] = static_cast<char>(uint64_t{header.size()} >> 8 * i);
  return file + header + std::string(data_bytes, '\0');
}

TEST(safetensors, round_trip_of_every_dtype_with_metadata) {
  ScratchDirectory scratch;
  TensorFile file;
  file.metadata = {{"op", "copy"}, {"quote", "a \"b\" \n \xc3\xa9"}};
  for (int i = 0; i < kNumDTypes; ++i) {
    auto t = static_cast<DType>(i);
    file.add("in." + std::string(name(t)), Tensor::from_values(std::vector<double>{0, 1, 0, 1, 1, 0}, {2, 3}, t));
  }
  file.add("strided", Tensor::from(std::vector<float>{1, 2, 3, 4}, {2, 2}).transpose(0, 1));
  file.add("none", Tensor::empty({0, 7}, f64));
  file.add("scalar", Tensor::from(std::vector<int64_t>{-5}, {}));
  write_safetensors(scratch.path("a.safetensors"), file);
  TensorFile back = read_safetensors(scratch.path("a.safetensors"));
  EXPECT_EQ(back.metadata, file.metadata);
  ASSERT_EQ(back.tensors.size(), file.tensors.size());
  for (const auto &[name, tensor] : file.tensors) {
    EXPECT_EQ(back.at(name).shape(), tensor.shape()) << name;
    EXPECT_EQ(back.at(name).dtype(), tensor.dtype()) << name;
    EXPECT_EQ(back.at(name).to_bytes(), tensor.to_bytes()) << name;
  }
  EXPECT_THAT(message_of<UserError>([&] { back.at("out.y"); }), HasSubstr("it has: in.bool"));
}

TEST(safetensors, written_file_is_laid_out_as_the_format_says) {
  TensorFile file;
  file.add("x", Tensor::from(std::vector<int32_t>{1, 2}, {2}));
  auto bytes = serialize_safetensors(file);
  std::string text(reinterpret_cast<const char *>(bytes.data()) + 8, bytes.size() - 8);
  EXPECT_EQ(text.substr(0, text.find_last_of('}') + 1), R"({"x":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}})");
  EXPECT_EQ((bytes.size() - 8) % 8, 0u);
  EXPECT_EQ(static_cast<unsigned>(bytes[bytes.size() - 8]), 1u);
}

struct Bad {
  std::string what, header;
  size_t data_bytes;
  std::string expected;
};
class BadHeader : public ::testing::TestWithParam<Bad> {};
TEST_P(BadHeader, is_refused) {
  std::string file = file_with(GetParam().header, GetParam().data_bytes);
  EXPECT_THAT(message_of<UserError>([&] { parse_safetensors(bytes_of(file), "x.safetensors"); }),
              ::testing::AllOf(HasSubstr("read x.safetensors"), HasSubstr(GetParam().expected)));
}
std::string entry(const std::string &dtype, const std::string &shape, const std::string &offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}
std::string nested(int depth) {
  std::string s = R"({"a":)";
  for (int i = 0; i < depth; ++i) s += "[";
  return s;
}
INSTANTIATE_TEST_SUITE_P(
    safetensors, BadHeader,
    ::testing::Values(
        Bad{"no json", "{nonsense", 0, "not JSON at byte 3"}, Bad{"array", "[]", 0, "does not start with '{'"},
        Bad{"empty", "", 0, "does not start with '{'"}, Bad{"trailing", "{}{}", 0, "not JSON"},
        Bad{"deep", nested(100000), 0, "nested deeper than 8 levels"},
        Bad{"deep metadata", R"({"__metadata__":{"a":{}}})", 0, "not a string"},
        Bad{"duplicate", R"({"x":)" + entry("F32", "[1]", "[0,4]") + R"(,"x":)" + entry("F32", "[1]", "[4,8]") + "}", 8,
            "\"x\" appears twice"},
        Bad{"duplicate field", R"({"x":{"dtype":"F32","dtype":"I8","shape":[1],"data_offsets":[0,4]}})", 4,
            "\"dtype\" appears twice"},
        Bad{"dtype", R"({"x":)" + entry("F12", "[1]", "[0,4]") + "}", 4, "dtype F12, which moec does not know"},
        Bad{"dtype u16", R"({"x":)" + entry("U16", "[1]", "[0,2]") + "}", 2, "dtype U16, which moec does not take"},
        Bad{"dtype u64", R"({"x":)" + entry("U64", "[1]", "[0,8]") + "}", 8, "does not take"},
        Bad{"no dtype", R"({"x":{"shape":[1],"data_offsets":[0,4]}})", 4, "no dtype"},
        Bad{"no shape", R"({"x":{"dtype":"F32","data_offsets":[0,4]}})", 4, "no shape"},
        Bad{"no offsets", R"({"x":{"dtype":"F32","shape":[1]}})", 4, "no pair of data_offsets"},
        Bad{"three offsets", R"({"x":)" + entry("F32", "[1]", "[0,4,8]") + "}", 4, "no pair"},
        Bad{"negative offset", R"({"x":)" + entry("F32", "[1]", "[-4,0]") + "}", 4, "no pair"},
        Bad{"beyond", R"({"x":)" + entry("F32", "[2]", "[0,8]") + "}", 4, "the file has 4 bytes of data"},
        Bad{"reversed", R"({"x":)" + entry("F32", "[1]", "[4,0]") + "}", 4, "data_offsets [4, 0]"},
        Bad{"huge offset", R"({"x":)" + entry("F32", "[1]", "[18446744073709551612,18446744073709551615]") + "}", 4,
            "has 4 bytes of data"},
        Bad{"size", R"({"x":)" + entry("F32", "[2]", "[0,4]") + "}", 4, "that is 8 bytes, but its data_offsets span 4"},
        Bad{"negative size", R"({"x":)" + entry("F32", "[-1]", "[0,4]") + "}", 4, "not a whole number"},
        Bad{"fraction", R"({"x":)" + entry("F32", "[1.0]", "[0,4]") + "}", 4, "not a whole number"},
        Bad{"overflow", R"({"x":)" + entry("F32", "[4294967296,4294967296,4294967296]", "[0,4]") + "}", 4,
            "overflows 2^62"},
        Bad{"overflow with zero", R"({"x":)" + entry("F32", "[0,4294967296,4294967296]", "[0,0]") + "}", 0,
            "overflows 2^62"},
        Bad{"rank", R"({"x":)" + entry("U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") + "}", 1, "9 dimensions"},
        Bad{"overlap", R"({"x":)" + entry("U8", "[4]", "[0,4]") + R"(,"y":)" + entry("U8", "[4]", "[2,6]") + "}", 6,
            "overlaps"},
        Bad{"same", R"({"x":)" + entry("U8", "[4]", "[0,4]") + R"(,"y":)" + entry("U8", "[4]", "[0,4]") + "}", 4,
            "overlaps"},
        Bad{"gap", R"({"x":)" + entry("U8", "[4]", "[1,5]") + "}", 5, "gap of 1 bytes"},
        Bad{"rest", R"({"x":)" + entry("U8", "[4]", "[0,4]") + "}", 5, "1 bytes after the last tensor"},
        Bad{"extra field", R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"more":1}})", 1,
            "unknown field \"more\""},
        Bad{"entry is text", R"({"x":"y"})", 0, "is not an object"},
        Bad{"metadata is text", R"({"__metadata__":"y"})", 0, "is not an object"},
        Bad{"utf8", "{\"\xff\":1}", 0, "not JSON"}),
    [](const auto &info) {
      std::string n = info.param.what;
      for (char &c : n)
        if (c == ' ') c = '_';
      return n;
    });

TEST(safetensors, lying_header_lengths) {
  for (uint64_t claim : {uint64_t{1}, uint64_t{1000}, uint64_t{1} << 40, UINT64_MAX, UINT64_MAX - 8}) {
    std::string file(8, '\0');
    for (int i = 0; i < 8; ++i) file[static_cast<size_t>(i)] = static_cast<char>(claim >> 8 * i);
    EXPECT_THAT(message_of<UserError>([&] { parse_safetensors(bytes_of(file)); }), HasSubstr("its header claims"));
  }
  EXPECT_THAT(message_of<UserError>([&] { parse_safetensors(bytes_of("abc")); }), HasSubstr("only 3 bytes"));
}

TEST(safetensors, booleans_are_0_or_1) {
  std::string file = file_with(R"({"x":)" + entry("BOOL", "[2]", "[0,2]") + "}", 2);
  EXPECT_EQ(parse_safetensors(bytes_of(file)).at("x").to_values(), (std::vector<double>{0, 0}));
  file.back() = 2;
  EXPECT_THAT(message_of<UserError>([&] { parse_safetensors(bytes_of(file)); }), HasSubstr("BOOL but element 1 is 2"));
}

// Damage of any kind gives a UserError or a file, never anything else.
TEST(safetensors, damaged_files_never_do_worse_than_a_user_error) {
  TensorFile file;
  file.metadata["op"] = "x";
  file.add("a", Tensor::from(std::vector<float>{1, 2, 3}, {3}));
  file.add("b", Tensor::zeros({2, 2}, u8));
  auto whole = serialize_safetensors(file);
  auto survives = [](std::span<const std::byte> bytes) {
    try {
      parse_safetensors(bytes);
      return true;
    } catch (const UserError &) { return false; }
  };
  for (size_t n = 0; n < whole.size(); ++n) EXPECT_FALSE(survives(std::span(whole).first(n))) << n;
  std::mt19937 random(1);
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    auto damaged = whole;
    damaged[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    survives(damaged);
  }
  for (int i = 0; i < 20000; ++i) {
    auto damaged = whole;
    for (int k = 0; k < 4; ++k) damaged[random() % damaged.size()] = static_cast<std::byte>(random());
    survives(damaged);
  }
}

TEST(safetensors, files_that_cannot_be_read_or_written) {
  ScratchDirectory scratch;
  EXPECT_THAT(message_of<UserError>([&] { read_safetensors(scratch.path("none")); }), HasSubstr("No such file"));
  EXPECT_THAT(message_of<UserError>([&] { read_safetensors(scratch.path()); }), HasSubstr("not a regular file"));
  ASSERT_EQ(::mkfifo(scratch.path("pipe").c_str(), 0600), 0);
  EXPECT_THAT(message_of<UserError>([&] { read_safetensors(scratch.path("pipe")); }), HasSubstr("not a regular file"));
  EXPECT_THAT(message_of<UserError>([&] { write_safetensors(scratch.path("no/such/dir"), {}); }),
              HasSubstr("No such file"));
  TensorFile twice;
  twice.add("x", Tensor::zeros({1}, f32));
  twice.add("x", Tensor::zeros({1}, f32));
  EXPECT_THAT(message_of<UserError>([&] { write_safetensors(scratch.path("t"), twice); }), HasSubstr("appears twice"));
  TensorFile missing;
  missing.add("x", Tensor());
  EXPECT_THAT(message_of<UserError>([&] { serialize_safetensors(missing); }), HasSubstr("tensor \"x\" is missing"));
  TensorFile reserved;
  reserved.add("__metadata__", Tensor::zeros({1}, f32));
  EXPECT_THAT(message_of<UserError>([&] { serialize_safetensors(reserved); }), HasSubstr("reserved"));
  TensorFile text;
  text.metadata["x"] = "\xff\xfe";
  EXPECT_THAT(message_of<UserError>([&] { serialize_safetensors(text); }), HasSubstr("UTF-8"));
}

} // namespace
