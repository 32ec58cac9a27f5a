// The registry and the kernel table: declarations that tools and docs rely on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
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
      EXPECT_TRUE(like || dtype_from_name(t.dtypes.substr(0, t.dtypes.find(' '))))
          << t.name << " " << t.dtypes;
      EXPECT_LE(t.f32_tolerance, t.low_tolerance) << t.name;
    }
    EXPECT_GT(outputs, 0);
    for (const OpParameter &p : op.parameters) EXPECT_FALSE(p.doc.empty()) << p.name;
    for (const std::string &k : op.kernels) EXPECT_TRUE(find_kernel(k)) << k;
  }
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
  EXPECT_THAT(error_of([] { kernel_at("weighted_swiglu").record(parse_settings("dtype=f17")); }),
              HasSubstr("the value does not fit"));
  EXPECT_THAT(error_of([] { kernel_at("weighted_swiglu").record(parse_settings("H=-3")); }),
              HasSubstr("the value does not fit"));
  EXPECT_THAT(error_of([] { parse_settings("block"); }), HasSubstr("it is not name=value"));
  EXPECT_THAT(error_of([] { kernel_at("swiglu"); }), HasSubstr("there is no such kernel"));
  EXPECT_THAT(error_of([] { op_at("weighted_swiglo"); }), HasSubstr("did you mean weighted_swiglu?"));
}

Tensor f(std::initializer_list<int64_t> shape) { return Tensor::zeros(shape, f32); }

/// One row: what is asked of an op, and what the error says.
struct BadCall {
  const char *op;
  NamedTensors inputs;
  Settings parameters;
  const char *expected;
};

TEST(Registry, BadCalls) {
  Tensor ids = Tensor::zeros({4, 2}, i64), mask = Tensor::zeros({4}, boolean), offs = Tensor::zeros({3}, i32);
  const Settings experts{{"num_local_experts", "4"}};
  const BadCall table[] = {
      {"indices_to_multihot",
       {{"indices", ids}, {"probs", f({4, 2})}},
       {},
       "the parameter num_local_experts is missing"},
      {"indices_to_multihot", {{"indices", ids}}, experts, "the tensor probs [T, K] is missing"},
      {"indices_to_multihot", {{"indices", ids}, {"probs", f({4, 3})}}, experts, "its shape must be [4, 2]"},
      {"indices_to_multihot",
       {{"indices", f({4, 2})}, {"probs", f({4, 2})}},
       experts,
       "its dtype must be i64 or i32 or i8 or u8"},
      {"indices_to_multihot",
       {{"indices", ids}, {"probs", ids}},
       experts,
       "its dtype must be f32 or bf16 or f16 or f64"},
      {"indices_to_multihot", {{"indices", mask}, {"probs", f({4, 2})}}, experts, "it must have 2 dimensions"},
      {"indices_to_multihot",
       {{"indices", ids}, {"probs", f({4, 2})}},
       {{"num_local_experts", "0"}},
       "the number of experts must be 1 to 4096"},
      {"indices_to_multihot",
       {{"indices", ids}, {"probs", f({4, 2})}},
       {{"num_local_experts", "four"}},
       "it is an integer"},
      {"indices_to_multihot",
       {{"indices", ids}, {"probs", f({4, 2})}},
       {{"num_local_experts", "4"}, {"top", "1"}},
       "the op has no such parameter"},
      {"indices_to_multihot",
       {{"indices", ids}, {"probs", f({4, 2})}, {"weights", f({4})}},
       experts,
       "the op has no such input"},
      {"indices_to_multihot_unfused",
       {{"indices", ids}, {"probs", Tensor::zeros({4, 2}, bf16)}},
       experts,
       "its dtype must be f32"},
      {"multihot_to_indices",
       {{"probs_in_multihot", f({4, 8})}, {"position_map", ids}},
       {{"topk", "2"}},
       "its shape must be [4, 8]"},
      {"unsloth_calculate_topk",
       {{"gating_output", f({4, 2})}},
       {{"topk", "3"}},
       "topk must be 1 to the number of experts"},
      {"unsloth_calculate_topk",
       {{"gating_output", f({4, 2})}},
       {{"topk", "1"}, {"post_act", "true"}},
       "exactly one of pre_act and post_act"},
      {"permute_tokens_for_grouped_mm",
       {{"indices", ids}, {"weights", f({4, 2})}, {"token_mask", f({4})}},
       {{"n_local_experts", "2"}},
       "its dtype must be bool"},
      {"permute",
       {{"tokens", f({4, 8})}, {"routing_map", Tensor::zeros({5, 2}, boolean)}},
       {},
       "its shape must be [4, *]"},
      {"permute",
       {{"tokens", f({4, 8})}, {"routing_map", Tensor::zeros({4, 2}, boolean)}},
       {{"drop_and_pad", "true"}, {"num_out_tokens", "10"}},
       "it is 5, and there are 4 tokens"},
      {"permute",
       {{"tokens", f({4, 8})}, {"routing_map", Tensor::zeros({4, 2}, e4m3)}},
       {},
       "its dtype must be bool or i8"},
      {"unpermute",
       {{"permuted_tokens", f({3, 8})}, {"sorted_indices", Tensor::zeros({4}, i64)}},
       {},
       "its shape must be [3]"},
      {"unpermute",
       {{"permuted_tokens", f({4, 8})}, {"sorted_indices", Tensor::zeros({4}, i64)}, {"probs", f({2, 2})}},
       {{"tokens", "2"}},
       "probs need the routing map"},
      {"weighted_swiglu", {{"x", f({4, 7})}, {"weights", f({4, 1})}}, {}, "its last dimension must be even"},
      {"weighted_swiglu", {{"x", f({4, 8})}, {"weights", f({4})}}, {}, "its shape must be [4, 1]"},
      {"weighted_swiglu", {{"x", ids}, {"weights", f({4, 1})}}, {}, "its dtype must be f32 or bf16 or f16 or f64"},
      {"grouped_mm", {{"a", f({4, 8})}, {"b", f({3, 7, 5})}, {"offs", offs}}, {}, "its shape must be [*, 8, *]"},
      {"grouped_mm",
       {{"a", f({4, 8})}, {"b", Tensor::zeros({3, 8, 5}, bf16)}, {"offs", offs}},
       {},
       "its dtype must be f32"},
      {"grouped_mm", {{"a", f({4, 8})}, {"b", f({2, 8, 5})}, {"offs", offs}}, {}, "its shape must be [2]"},
      {"grouped_mm",
       {{"a", f({4, 8})}, {"b", f({3, 8, 5})}, {"offs", Tensor::zeros({3}, i64)}},
       {},
       "its dtype must be i32"},
      {"grouped_mm",
       {{"a", f({4, 8})}, {"b", f({3, 8, 5})}, {"offs", offs}},
       {{"b_layout", "[K,E,N]"}},
       "it may be [E,K,N], [E,N,K]"},
  };
  for (const BadCall &row : table) {
    std::string what = error_of([&] {
      OpCall call(op_at(row.op), Device::interp(), row.inputs, row.parameters);
      call.run();
    });
    EXPECT_THAT(what, HasSubstr(row.expected)) << row.op;
  }
}

} // namespace
} // namespace moec
