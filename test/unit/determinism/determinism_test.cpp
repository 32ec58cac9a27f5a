// The same input gives the same bits: every op of the registry, through its public host function, under random
// schedules of the simulated GPU and on cuts of the batch (so at other sizes, divisibilities and alignments). A new op
// takes part by its recorded cases; what its tensors' values say of the batch's rows stands in batches.h.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "batches.h"
#include "dsl/dsl.h"
#include "kernels/moe.h"
#include "runtime/testing.h"
#include "test/unit/kernels/recorded_calls.h"
#include "test/unit/sanitized.h"

namespace moec {
namespace {

constexpr int kSchedules = kSanitized ? 2 : 20;
constexpr size_t kCutKinds = kSanitized ? 3 : 100; ///< of each op; 100: all
constexpr int64_t kMostElements = 60'000;
constexpr int64_t kSmallBatch = kSanitized ? 6 : 20; ///< rows of a batch of which every slice is compared

/// Random schedules of the simulated GPU; a GPU has its own at every run.
Report schedules(const RecordedCall &call) {
  const Device device = test_device().is_cuda() ? test_device() : Device::sim();
  auto function = [&](const Stream &, const Tensors &) {
    Tensors out;
    for (auto &[name, tensor] : outputs_of(call, device)) out.push_back(tensor);
    return out;
  };
  return same_on_schedules(TensorFunction(function), {}, kSchedules, false);
}

/// Compares the outputs of rows begin..end alone with those of the whole batch; true if there was anything to compare.
bool same_on_cut(const Cutter &cutter, int64_t begin, int64_t end, std::string &problem) {
  std::optional<RecordedCall> part = cutter.cut(begin, end);
  if (!part) return false;
  bool compared = false;
  for (const auto &[name, got] : outputs_of(*part)) {
    std::optional<Tensor> expected = cutter.expected(name, begin, end);
    if (!expected) continue;
    compared = true;
    bool enough = got.rank() == expected->rank() && got.size(0) >= expected->size(0);
    std::string what = different_bits(enough ? got.slice(0, 0, expected->size(0)) : got, *expected);
    if (!what.empty() && problem.empty())
      problem = name + " of rows " + std::to_string(begin) + " to " + std::to_string(end) + ": " + what;
  }
  return compared;
}

/// "" if every cut gives the whole batch's bits. `count`: how many were compared; the whole is no cut.
std::string cuts(const RecordedCall &recorded, const Batch &batch, int &count) {
  const RecordedCall call = flattened(recorded);
  NamedTensors whole = outputs_of(call);
  Cutter cutter(call, batch, whole);
  std::string problem;
  const int64_t rows = cutter.rows();
  for (int64_t b = 0; b < rows && rows <= kSmallBatch; ++b)
    for (int64_t e = b + 1; e <= rows && problem.empty(); ++e)
      if (e - b < rows) count += same_on_cut(cutter, b, e, problem);
  if (rows <= kSmallBatch) return problem;
  for (int64_t n = 1; n < rows && problem.empty(); n += n < 40 ? 1 : 17) count += same_on_cut(cutter, 0, n, problem);
  for (int64_t b = 1; b < rows && b <= 5 && problem.empty(); ++b) count += same_on_cut(cutter, b, rows, problem);
  for (int64_t b = 3; b + 16 <= rows && b < 20 && problem.empty(); b += 5)
    count += same_on_cut(cutter, b, b + 16, problem);
  return problem;
}

/// Few and different: one of each kind, small ones first; none without rows.
std::vector<NamedCall> chosen(const Op &op, size_t most) {
  std::vector<NamedCall> all = recorded_calls(op, kMostElements), some;
  auto size = [](const NamedCall &c) {
    int64_t n = 0;
    for (const auto &[name, tensor] : c.call.inputs) n += tensor.numel();
    return n;
  };
  std::ranges::sort(all, {}, [&](const NamedCall &c) { return std::pair(size(c), c.name); });
  std::set<std::string> seen;
  for (NamedCall &c : all) {
    const bool empty = std::ranges::any_of(c.call.inputs, [](const auto &input) { return input.second.numel() == 0; });
    if (empty || some.size() == most || !seen.insert(kind_of(c.call)).second) continue;
    c.call = with_gradients(std::move(c.call));
    some.push_back(std::move(c));
  }
  return some;
}

class Determinism : public testing::TestWithParam<std::string> {};

TEST_P(Determinism, RandomSchedulesGiveTheSameBits) {
  const Op &op = op_at(GetParam());
  std::vector<NamedCall> calls = chosen(op, 2);
  ASSERT_FALSE(calls.empty()) << "record a case of at most " << kMostElements << " elements in test/golden/" << op.name;
  for (const NamedCall &c : calls) EXPECT_TRUE(schedules(c.call)) << c.name;
}

TEST_P(Determinism, RowsDoNotDependOnTheBatch) {
  const Op &op = op_at(GetParam());
  if (auto it = uncut().find(op.name); it != uncut().end()) GTEST_SKIP() << it->second;
  for (const NamedCall &c : chosen(op, kCutKinds)) {
    if (uncut().contains(op.name + "/" + c.name)) continue;
    int count = 0;
    EXPECT_EQ(cuts(c.call, batch_of(c.call), count), "") << c.name;
    EXPECT_GT(count, 0) << c.name << ": nothing was compared: say in batches.h how the batch is cut, or why it is not";
  }
}

/// Rows of which each takes several steps of a kernel's loops over columns, with all gradients: `width` elements of y.
RecordedCall wide_call(const Op &op, int64_t rows, int64_t width, DType dtype, const Dims &bias) {
  RecordedCall call{&op, {}, {}, {}};
  auto add = [&](const std::string &name, double scale, const Dims &shape, DType t) {
    if (op.input(name)) call.inputs[name] = hash_uniform(call.inputs.size() + 1, scale, shape, t);
  };
  add("x", 3, {rows, 2 * width}, dtype);
  add("bias", 1, bias, dtype);
  add("weights", 1, {rows, 1}, f32);
  add("probs", 1, {rows, 1}, f32);
  add("grad_output", 1, {rows, width}, dtype);
  return call;
}

class WideRows : public testing::TestWithParam<std::string> {};

// 1441: rows that begin at other places in memory.
TEST_P(WideRows, DoNotDependOnTheBatch) {
  const Op &op = op_at(GetParam());
  for (auto [rows, width] : {std::pair<int64_t, int64_t>{6, 1440}, {5, 1441}, {6, 2880}})
    for (DType dtype : {f32, bf16})
      for (const Dims &bias : {Dims{2 * width}, Dims{1, 2 * width}, Dims{rows, 2 * width}}) {
        if (bias.rank() > 1 && !op.input("bias")) continue;
        RecordedCall call = wide_call(op, rows, width, dtype, bias);
        SCOPED_TRACE(call.inputs.at("x").text() + (op.input("bias") ? ", " + call.inputs.at("bias").text() : ""));
        int count = 0;
        EXPECT_EQ(cuts(call, batch_of(call), count), "");
        EXPECT_EQ(count, rows * (rows + 1) / 2 - 1);
      }
}
INSTANTIATE_TEST_SUITE_P(Activations, WideRows,
                         testing::Values("weighted_swiglu", "weighted_bias_quick_geglu",
                                         "weighted_bias_quick_geglu_impl", "quick_geglu_deepep"),
                         [](const auto &info) { return info.param; });

TEST(Batches, AreOfOpsThatExist) {
  for (const auto &[name, batch] : batches()) {
    const Op &op = op_at(name);
    EXPECT_TRUE(batch.routed.empty() || op.input(batch.routed) || op.output(batch.routed)) << name;
    for (const auto &[tensor, values] : batch.values) EXPECT_TRUE(op.input(tensor) || op.output(tensor)) << tensor;
  }
  for (const auto &[name, reason] : uncut()) {
    EXPECT_FALSE(reason.empty());
    const size_t slash = name.find('/');
    const Op &op = op_at(name.substr(0, slash));
    if (slash == std::string::npos) continue;
    auto calls = recorded_calls(op, kMostElements);
    EXPECT_NE(std::ranges::find(calls, name.substr(slash + 1), &NamedCall::name), calls.end()) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, Determinism, testing::ValuesIn(op_names()), [](const auto &info) { return info.param; });

// -- what must fail

/// y[t] += rows[i] of the token's rows by atomics, whose order is the schedule's.
void scatter_add(const NoSpec &, View rows, View tokens, Pointer y) {
  auto [N, D] = rows.sizes<2>();
  tokens.expect({N});
  grid(N);
  Int i = program_id(0), t = cast(load(tokens(i)), i32);
  Tile c = arange(64);
  atomic_add(y[t * D + c], cast(load(rows(i, c)), f32), c < D);
}
void run_scatter_add(OpCall &call) {
  static const auto kernel = jit(scatter_add);
  const Tensor &rows = call.in("rows");
  Tensor y = Tensor::zeros({6, rows.size(1)}, f32);
  kernel(call.stream(), {}, rows, call.in("tokens"), y);
  call.out("y", y);
}

/// Sums of columns in blocks whose number depends on the number of rows.
struct BlockSpec {
  int block = 8;
  static void fields(auto &s, auto &&f) { f("block", s.block); }
};
void block_sums(const BlockSpec &s, View x, View y) {
  auto [T, D] = x.sizes<2>();
  y.expect({T});
  grid(T);
  Tile sum = zeros({s.block}, f32);
  for (Int c : range(0, D, s.block)) sum += load(x(program_id(0), c + arange(s.block)));
  store(y(program_id(0)), moec::sum(sum));
}
void run_block_sums(OpCall &call) {
  static const auto kernel = jit(block_sums);
  const Tensor &x = call.in("x");
  Tensor y = Tensor::empty({x.size(0)}, f32);
  kernel(call.stream(), {.block = x.size(0) > 8 ? 32 : 8}, x, y);
  call.out("y", y);
}

Op planted(std::string name, std::vector<OpTensor> tensors, void (*run)(OpCall &)) {
  Op op{name, name, name, name, name, {}, std::move(tensors), {}, {}, run};
  return op;
}

TEST(Planted, AtomicSumsFailUnderRandomSchedules) {
  Op op = planted("scatter_add",
                  {{"rows", "[N, D]", "f32", "rows"},
                   {"tokens", "[N]", "i32", "of each row"},
                   {"y", "[T, D]", "f32", "sums", true}},
                  run_scatter_add);
  RecordedCall call{
      &op, {{"rows", hash_uniform(1, 1, {64, 48}, f32)}, {"tokens", hash_integers(2, 0, 5, {64}, i32)}}, {}, {}};
  Report report = schedules(call);
  EXPECT_FALSE(report);
  EXPECT_THAT(
      report.text(),
      testing::HasSubstr(
          "output 0 (f32[6, 48] on host) under random schedule 1 differs from the schedule in order: element ["));
}

TEST(Planted, TheLooseBiasGradientFailsUnderRandomSchedules) {
  RecordedCall call{&op_at("apply_bias"),
                    {{"value", hash_uniform(1, 1, {5000, 8}, f32)},
                     {"bias", hash_uniform(2, 1, {1, 8}, f32)},
                     {"tokens_per_expert", Tensor::from(std::vector<int64_t>{5000}, {1})},
                     {"grad_output", hash_uniform(3, 1, {5000, 8}, f32)}},
                    {},
                    {"grad_bias"}};
  EXPECT_TRUE(schedules(call));
  call.parameters["bias_sum"] = "atomic";
  EXPECT_FALSE(schedules(call));
}

TEST(Planted, AFormThatTheBatchChoosesFailsOnCuts) {
  Op op = planted("block_sums", {{"x", "[T, D]", "f32", "rows"}, {"y", "[T]", "f32", "sums", true}}, run_block_sums);
  RecordedCall call{&op, {{"x", hash_uniform(1, 1, {20, 100}, f32)}}, {}, {}};
  int count = 0;
  EXPECT_THAT(cuts(call, {}, count), testing::HasSubstr("y of rows 0 to 1: element ["));
  EXPECT_EQ(count, 1);
}

} // namespace
} // namespace moec
