// The registry and the kernel table: declarations that tools and docs rely on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "kernels/kernel_table.h"
#include "kernels/registry.h"
#include "kernels/specializations.h"
#include "runtime/jit.h"

namespace moec {
namespace {

using testing::HasSubstr;

TEST(Registry, OpsAreDeclaredInFull) {
  std::set<std::string> names;
  for (const Op &op : ops()) {
    SCOPED_TRACE(op.name);
    EXPECT_TRUE(names.insert(op.name).second) << "declared twice";
    for (const std::string *text : {&op.summary, &op.formula, &op.source, &op.determinism}) EXPECT_FALSE(text->empty());
    EXPECT_TRUE(op.run);
    int outputs = 0;
    for (const OpTensor &t : op.tensors) {
      EXPECT_FALSE(t.doc.empty()) << t.name;
      EXPECT_EQ(t.shape.front(), '[') << t.name;
      outputs += t.output;
      // Either a list of dtypes or the name of an input.
      const OpTensor *like = op.input(t.dtypes);
      EXPECT_TRUE(like || dtype_from_name(t.dtypes.substr(0, t.dtypes.find(' ')))) << t.name << " " << t.dtypes;
      EXPECT_LE(t.f32_tolerance, t.low_tolerance) << t.name;
    }
    EXPECT_GT(outputs, 0);
    for (const OpParameter &p : op.parameters) EXPECT_FALSE(p.doc.empty()) << p.name;
    for (const std::string &k : op.kernels) EXPECT_TRUE(find_kernel(k)) << k;
  }
}

// ---- the functions that programs call

/// A file of the sources without its comments, or with them.
std::string source(const std::string &path, bool comments = false) {
  std::stringstream text;
  text << std::ifstream(MOEC_SOURCE_DIR "/" + path).rdbuf();
  return comments ? text.str() : std::regex_replace(text.str(), std::regex("//[^\n]*"), "");
}
/// What moe.h includes of kernels/.
std::vector<std::string> public_headers() {
  std::vector<std::string> headers;
  const std::string all = source("kernels/moe.h");
  const std::regex include("#include \"(kernels/[a-z0-9_]+\\.h)\"");
  for (std::sregex_iterator i(all.begin(), all.end(), include), end; i != end; ++i) headers.push_back((*i)[1]);
  return headers;
}
/// "name" of a function or a class, "Class::function".
bool declared(const std::string &header, const std::string &name) {
  const size_t scope = name.find("::");
  const std::string outer = name.substr(0, scope);
  auto found = [](const std::string &text, const std::string &pattern) {
    return std::regex_search(text, std::regex(pattern));
  };
  if (isupper(outer.front()) == 0) return found(header, "\n[A-Za-z].*\\b" + outer + "\\(");
  std::smatch open;
  if (!std::regex_search(header, open, std::regex("\n(class|struct) " + outer + "\\b[^;]*\\{"))) return false;
  const std::string rest = open.suffix(), body = rest.substr(0, rest.find("\n};"));
  return scope == std::string::npos || found(body, "\\b" + name.substr(scope + 2) + "\\(");
}

TEST(Registry, FunctionsAreDeclaredForPrograms) {
  if (getenv("MOEC_TEST_GOLDEN")) GTEST_SKIP() << "the bundle has no sources";
  std::vector<std::string> texts;
  for (const std::string &header : public_headers()) texts.push_back(source(header));
  ASSERT_GT(texts.size(), 10u);
  for (const Op &op : ops()) {
    EXPECT_FALSE(op.functions.empty()) << op.name;
    for (const std::string &f : op.functions)
      EXPECT_TRUE(std::ranges::any_of(texts, [&](const std::string &text) { return declared(text, f); }))
          << op.name << ": " << f;
  }
  EXPECT_FALSE(declared("\nTensor a(int);\nstruct S {\n  void f();\n};\nvoid g();\n", "S::g"));
}

/// Parts of several ops.
const std::set<std::string> kParts{"add", "matmul", "row_dots", "packed", "stack"};

TEST(Registry, EveryFunctionBelongsToAnOpAndNamesItsSource) {
  if (getenv("MOEC_TEST_GOLDEN")) GTEST_SKIP() << "the bundle has no sources";
  std::set<std::string> named = kParts;
  for (const Op &op : ops()) named.insert(op.functions.begin(), op.functions.end());
  const std::set<std::string> of_this_library{"as_dtype", "packed", "count_rows"};
  // The comment before a function, which stands at the margin.
  const std::regex function("\n((?:///[^\n]*\n)*)[A-Za-z]\\w* (\\w+)\\(const Stream &");
  int seen = 0;
  for (const std::string &path : public_headers()) {
    const std::string text = source(path, true);
    std::string doc;
    for (std::sregex_iterator i(text.begin(), text.end(), function), end; i != end; ++i, ++seen) {
      const std::string own = (*i)[1], name = (*i)[2], between = i->prefix();
      if (!own.empty() || between.find("\nstruct") != std::string::npos) doc = own; // else the one above is of both
      EXPECT_TRUE(named.contains(name)) << path << ": no op names " << name;
      EXPECT_TRUE(doc.find("Source") != std::string::npos || of_this_library.contains(name)) << path << ": " << name;
    }
  }
  EXPECT_GT(seen, 40);
}

// docs/ops.md is made from the registry. MOEC_UPDATE_DOCS=1 renews it.
TEST(Registry, TheReferenceIsFresh) {
  const std::string path = MOEC_SOURCE_DIR "/docs/ops.md", made = op_reference();
  if (getenv("MOEC_UPDATE_DOCS")) std::ofstream(path) << made;
  if (getenv("MOEC_TEST_GOLDEN")) GTEST_SKIP() << "the bundle has no docs";
  std::stringstream kept;
  kept << std::ifstream(path).rdbuf();
  EXPECT_EQ(kept.str(), made) << "renew it: MOEC_UPDATE_DOCS=1 kernels_test --gtest_filter=Registry.*";
}

TEST(Registry, NamesAreUnique) { // both lists are sorted by name
  auto op = std::ranges::adjacent_find(ops(), {}, &Op::name);
  EXPECT_TRUE(op == ops().end()) << op->name;
  auto kernel = std::ranges::adjacent_find(kernels(), {}, &KernelInfo::name);
  EXPECT_TRUE(kernel == kernels().end()) << kernel->name;
}

TEST(Registry, EveryKernelIsUsedAndSpecialized) {
  std::set<std::string> used, specialized;
  for (const Op &op : ops()) used.insert(op.kernels.begin(), op.kernels.end());
  for (const SpecializationRow &row : specializations()) {
    EXPECT_TRUE(find_kernel(row.kernel)) << row.kernel;
    EXPECT_FALSE(row.where.empty());
    specialized.insert(std::string(row.kernel));
  }
  for (const KernelInfo &k : kernels()) {
    EXPECT_TRUE(used.contains(k.name)) << k.name;
    EXPECT_TRUE(specialized.contains(k.name)) << k.name;
  }
}

TEST(Registry, EveryKernelOfFloatsIsSpecializedForF64) {
  std::set<std::string> of_floats, in_f64;
  for (const KernelInfo &k : kernels())
    for (const KernelArgument &a : k.arguments) {
      auto setting = std::ranges::find(k.settings, a.dtype, &KernelSetting::name);
      auto dtype = setting == k.settings.end() ? std::nullopt : dtype_from_name(setting->default_value);
      if (dtype && is_float(*dtype)) of_floats.insert(k.name);
    }
  for (const SpecializationRow &row : specializations())
    for (const ExampleArgument &a : example_arguments(kernel_at(row.kernel), parse_settings(row.settings)))
      if (a.dtype == f64) in_f64.insert(std::string(row.kernel));
  for (const std::string &kernel : of_floats) EXPECT_TRUE(in_f64.contains(kernel)) << kernel;
  EXPECT_GT(of_floats.size(), 20u);
}

TEST(KernelTable, RecordsWithSettings) {
  const KernelInfo &k = kernel_at("weighted_swiglu");
  Recording r = k.record(parse_settings("block=512,H=768,dtype=f16"));
  EXPECT_EQ(r.kernel, "weighted_swiglu");
  ASSERT_EQ(r.args.size(), 3u);
  EXPECT_EQ(r.args[0].dtype, f16);
  EXPECT_EQ(r.args[1].dtype, f32);
  EXPECT_EQ(r.args[0].size_divisors[1], 16);
  auto example = example_arguments(k, parse_settings("H=768"));
  EXPECT_EQ(example[0].shape, (std::vector<int64_t>{4096, 1536}));
}

TEST(KernelTable, EnumsHaveNames) {
  const KernelInfo &k = kernel_at("weighted_swiglu");
  auto gate = std::ranges::find(k.spec, "gate", &KernelSetting::name);
  ASSERT_NE(gate, k.spec.end());
  EXPECT_EQ(gate->default_value, "silu");
  EXPECT_EQ(gate->doc, "silu, gelu_tanh, relu2");
  EXPECT_EQ(k.record(parse_settings("gate=gelu_tanh")).text, k.record(parse_settings("gate=1")).text);
  EXPECT_NE(k.record(parse_settings("gate=relu2")).text, k.record(parse_settings("gate=1")).text);
}

std::string error_of(auto f) {
  try {
    f();
  } catch (const Error &e) { return e.what(); }
  return "";
}

TEST(KernelTable, BadSettings) {
  EXPECT_THAT(error_of([] { kernel_at("weighted_swiglu").record(parse_settings("blok=512")); }),
              HasSubstr("did you mean block?"));
  EXPECT_THAT(error_of([] { kernel_at("weighted_swiglu").record(parse_settings("block=many")); }),
              HasSubstr("the value does not fit"));
  for (const char *gate : {"gate=3", "gate=tanh", "gate="})
    EXPECT_THAT(error_of([&] { kernel_at("weighted_swiglu").record(parse_settings(gate)); }),
                HasSubstr("the value does not fit; by default it is silu"));
  EXPECT_THAT(error_of([] { kernel_at("weighted_swiglu").record(parse_settings("dtype=f17")); }),
              HasSubstr("the value does not fit"));
  EXPECT_THAT(error_of([] { kernel_at("weighted_swiglu").record(parse_settings("H=-3")); }),
              HasSubstr("the value does not fit"));
  EXPECT_THAT(error_of([] { parse_settings("block"); }), HasSubstr("it is not name=value"));
  EXPECT_THAT(error_of([] { kernel_at("swiglu"); }), HasSubstr("there is no such kernel"));
  EXPECT_THAT(error_of([] { op_at("weighted_swiglo"); }), HasSubstr("did you mean weighted_swiglu?"));
}

} // namespace
} // namespace moec
