// Grouped products with all that is fused into them against a plain f64 host reference.
#include <gtest/gtest.h>

#include "grouped_mm_data.h"
#include "kernels/moe.h"
#include "kernels/registry.h"
#include "on_devices.h"
#include "runtime/error.h"

namespace moec {
namespace {

using GroupedMmOn = OnDevice;
MOEC_ON_DEVICES(GroupedMmOn, test_devices());

TEST_P(GroupedMmOn, ExactOrder) {
  struct {
    int64_t m, n, k;
    int experts;
  } shapes[] = {{19, 47, 33, 4}, {1, 1, 1, 1}, {70, 64, 16, 3}, {40, 130, 65, 9}, {0, 8, 8, 2}};
  for (auto &s : shapes)
    for (DType t : {f32, f64})
      for (bool transposed : {false, true}) {
        SCOPED_TRACE(std::string(name(t)) + " m=" + std::to_string(s.m) + " n=" + std::to_string(s.n) +
                     (transposed ? " ENK" : " EKN"));
        Tensor a = random_floats({s.m, s.k}, t), offs = random_offs(s.experts, s.m);
        Tensor b = random_floats(transposed ? Dims{s.experts, s.n, s.k} : Dims{s.experts, s.k, s.n}, t);
        auto c = values(grouped_mm(stream, a, b, offs, {.transposed = transposed, .zero_tail = true})), A = values(a),
             B = values(b);
        auto expert = experts_of(offs, false, s.m);
        for (int64_t r = 0; r < s.m; ++r)
          for (int64_t n = 0; n < s.n; ++n) {
            double sum = 0;
            const int64_t e = expert[at(r)];
            for (int64_t k = 0; k < s.k && e >= 0; ++k)
              sum = exact(t, A[at(r * s.k + k)], B[at(transposed ? (e * s.n + n) * s.k + k : (e * s.k + k) * s.n + n)],
                          sum);
            ASSERT_EQ(c[at(r * s.n + n)], sum) << r << " " << n;
          }
      }
}

TEST_P(GroupedMmOn, HalfPrecision) {
  struct {
    int64_t m, n, k;
    int experts;
  } shapes[] = {{19, 47, 33, 4}, {1, 1, 1, 1}, {70, 64, 128, 3}, {40, 130, 65, 9}};
  for (auto &s : shapes)
    for (DType t : {bf16, f16}) {
      const bool transposed = t == bf16;
      SCOPED_TRACE(std::string(name(t)) + " m=" + std::to_string(s.m) + " n=" + std::to_string(s.n));
      Tensor b = random_floats(transposed ? Dims{s.experts, s.n, s.k} : Dims{s.experts, s.k, s.n}, t);
      check_against_model(stream, random_floats({s.m, s.k}, t), b, random_offs(s.experts, s.m),
                          {.transposed = transposed});
    }
}

constexpr int64_t kRows = 40, kK = 24, kU = 48, kTokens = 20;
constexpr int kExperts = 5;

TEST_P(GroupedMmOn, FusedForms) {
  Tensor offs = random_offs(kExperts, kRows), slots = shuffled(kRows, i64),
         some = random_ints({kRows}, i32, -1, 2 * kTokens - 1);
  Tensor dropped = with_value(shuffled(kRows, i32), 3, -1);
  auto floats = [](Dims shape, DType t) { return random_floats(shape, t); };
  struct {
    const char *name;
    DType dtype;
    GroupedMmOptions options;
  } forms[] = {
      {"sizes i32, f32 result", bf16, {.sizes = true, .dtype = f32}},
      {"gather, divided", bf16, {.gather = some, .divide = 2}},
      {"gather, transposed", f32, {.transposed = true, .gather = slots, .divide = 2}},
      {"scatter", f16, {.scatter = dropped}},
      {"scatter, slots' weights, rounded twice",
       bf16,
       {.scatter = slots,
        .row_weights = weights_of(kRows, f16),
        .weights_by_slot = true,
        .round_before_weights = true}},
      {"bias and weights", bf16, {.bias = floats({kExperts, kU}, bf16), .row_weights = weights_of(kRows)}},
      {"weighted bias", f64, {.bias = floats({kExperts, kU}, f64), .bias_weights = weights_of(kRows, f64)}},
      {"swiglu, kept",
       bf16,
       {.bias = floats({kExperts, kU}, f32),
        .pre_activation = Here::empty({kRows, kU}, bf16),
        .activation = Activation::swiglu(),
        .row_weights = weights_of(kRows)}},
      {"clamped, gathered, transposed",
       f16,
       {.transposed = true, .gather = some, .divide = 2, .activation = Activation::swiglu_oai(1.702, 1.5)}},
      {"interleaved, kept",
       bf16,
       {.bias = floats({kExperts, kU}, bf16),
        .pre_activation = Here::empty({kRows, kU}, bf16),
        .activation = Activation::quick_geglu_interleaved()}},
      {"relu2", f32, {.pre_activation = Here::empty({kRows, kU}, f32), .activation = Activation::relu2()}},
      {"geglu", f64, {.activation = Activation::geglu(), .row_weights = weights_of(kRows, f64)}},
      {"accumulate in f32", bf16, {.accumulate = floats({kRows, kU}, f32)}},
      {"accumulate, scattered",
       f32,
       {.scatter = dropped, .row_weights = weights_of(kRows), .accumulate = floats({kRows, kU}, f32)}},
  };
  for (auto &form : forms) {
    SCOPED_TRACE(form.name);
    const bool divided = form.options.divide == 2;
    Tensor a = floats({divided ? kTokens : kRows, kK}, form.dtype);
    Tensor b = floats(form.options.transposed ? Dims{kExperts, kU, kK} : Dims{kExperts, kK, kU}, form.dtype);
    check_against_model(stream, a, b, form.options.sizes ? sizes_of(offs, i32) : offs, form.options);
    if (HasFatalFailure()) return;
  }
}

// A layer with biases has the bits of its steps done one by one, which is how bf16 references were made.
TEST_P(GroupedMmOn, BiasOfTheRoundedProduct) {
  Tensor ends = with_value(random_offs(kExperts, kRows), kExperts - 1, kRows), // apply_bias: no rows without an expert
      weights = weights_of(kRows), counts = sizes_of(ends, i64);
  for (DType t : {bf16, f16, f32}) {
    SCOPED_TRACE(name(t));
    auto floats = [&](Dims shape) { return random_floats(shape, t); };
    Tensor a = floats({kRows, kK}), b = floats({kExperts, kK, kU}), bias = floats({kExperts, kU});
    auto product = [&](GroupedMmOptions o) { return grouped_mm(stream, a, b, ends, o); };
    Tensor plain = product({.zero_tail = true});
    for (bool weighted : {false, true}) {
      Tensor w = weighted ? weights : Tensor();
      Tensor steps = apply_bias(stream, plain, bias, counts, w.defined() ? w.reshape({kRows, 1}) : w);
      Tensor fused = product({.zero_tail = true, .bias = bias, .round_before_bias = true, .bias_weights = w});
      Tensor once = product({.zero_tail = true, .bias = bias, .bias_weights = w});
      stream.synchronize();
      const double ulp = t == f32 ? 2e-6 : 0;
      expect_close(fused.to_values(), steps.to_values(), ulp, "fused");
      EXPECT_EQ(fused.to_bytes() == once.to_bytes(), t == f32);
    }
  }
}

TEST_P(GroupedMmOn, Fp8) {
  const int64_t rows = 37, K = 300, U = 200, tokens = 19, blocks = 3;
  auto scales = [](Dims shape) { return random_floats(shape, f32); };
  struct {
    const char *name;
    GroupedMmOptions options;
  } forms[] = {
      {"no scales", {}},
      {"rows and columns", {.scale_a = scales({rows, 1}), .scale_b = scales({kExperts, U}), .dtype = f32}},
      {"blocks", {.transposed = true, .scale_a = scales({rows, blocks}), .scale_b = scales({kExperts, 2, blocks})}},
      {"blocks of columns, gathered, swiglu",
       {.transposed = true,
        .gather = random_ints({rows}, i32, 0, 2 * tokens - 1),
        .divide = 2,
        .scale_a = scales({tokens, blocks}),
        .scale_b = scales({kExperts, U, blocks}),
        .activation = Activation::swiglu(),
        .dtype = f32}},
      {"square blocks, swiglu",
       {.scale_a = scales({rows, 1}),
        .scale_b = scales({kExperts, 2, blocks}),
        .activation = Activation::swiglu(),
        .dtype = f32}},
  };
  for (auto &form : forms) {
    SCOPED_TRACE(form.name);
    Tensor a = random_floats({form.options.gather.defined() ? tokens : rows, K}, e4m3, 4);
    Tensor b = random_floats(form.options.transposed ? Dims{kExperts, U, K} : Dims{kExperts, K, U}, e4m3, 4);
    check_against_model(stream, a, b, random_offs(kExperts, rows), form.options);
    if (HasFatalFailure()) return;
  }
}

// A row's result does not depend on the rows beside it, their number, or where the batch lies in memory.
TEST_P(GroupedMmOn, SlicesOfTheBatch) {
  const int64_t rows = 45, k = 40, n = 24;
  Tensor a = random_floats({rows, k}, bf16), b = random_floats({2, k, n}, bf16);
  auto offs = [](int32_t first, int64_t all) {
    return Here::from(std::vector<int32_t>{first, static_cast<int32_t>(all)}, {2});
  };
  Tensor whole = grouped_mm(stream, a, b, offs(17, rows));
  for (int64_t begin : {1, 7, 16})
    for (int64_t end : {18, 33, 44})
      EXPECT_EQ(
          grouped_mm(stream, a.slice(0, begin, end), b, offs(static_cast<int32_t>(17 - begin), end - begin)).to_bytes(),
          whole.slice(0, begin, end).to_bytes());
}

// The same for all that is fused, with rows that are gathered and scales that change along K.
TEST_P(GroupedMmOn, SlicesOfTheFusedBatch) {
  const int64_t tokens = 30, rows = 40, k = 200, u = 48;
  Tensor a = random_floats({tokens, k}, e4m3, 4), b = random_floats({2, u, k}, e4m3, 4);
  Tensor gather = random_ints({rows}, i32, 0, 2 * tokens - 1), weights = weights_of(rows);
  Tensor scale_a = random_floats({tokens, 2}, f32), scale_b = random_floats({2, 1, 2}, f32);
  auto product = [&](int64_t begin, int64_t end) {
    Tensor offs =
        Here::from(std::vector<int32_t>{static_cast<int32_t>(15 - begin), static_cast<int32_t>(end - begin)}, {2});
    return grouped_mm(stream, a, b, offs,
                      {.transposed = true,
                       .gather = gather.slice(0, begin, end),
                       .divide = 2,
                       .scale_a = scale_a,
                       .scale_b = scale_b,
                       .activation = Activation::swiglu(),
                       .row_weights = weights.slice(0, begin, end),
                       .dtype = f32});
  };
  Tensor whole = product(0, rows);
  for (int64_t begin : {1, 13})
    for (int64_t end : {16, 31}) EXPECT_EQ(product(begin, end).to_bytes(), whole.slice(0, begin, end).to_bytes());
}

// The registered op passes every option on.
TEST_P(GroupedMmOn, OpTakesOptions) {
  Tensor a = random_floats({kTokens, kK}, bf16), b = random_floats({kExperts, kU, kK}, bf16);
  Tensor offs = random_offs(kExperts, kRows), slots = shuffled(kRows, i64);
  GroupedMmOptions o{
      .transposed = true, .sizes = true, .zero_tail = true, .gather = slots, .divide = 2, .scatter = slots};
  o.bias = random_floats({kExperts, kU}, bf16), o.bias_weights = weights_of(kRows);
  o.activation = Activation::swiglu_oai(1.5, 2), o.row_weights = weights_of(kRows);
  o.weights_by_slot = o.round_before_weights = true;
  NamedTensors in{
      {"a", a},           {"b", b},         {"offs", sizes_of(offs, i64)},    {"gather", slots},
      {"scatter", slots}, {"bias", o.bias}, {"bias_weights", o.bias_weights}, {"row_weights", o.row_weights}};
  Settings settings{{"b_layout", "[E,N,K]"},
                    {"sizes", "true"},
                    {"divide", "2"},
                    {"expert_activation", "swigluoai"},
                    {"activation_alpha", "1.5"},
                    {"activation_limit", "2"},
                    {"weights_by_slot", "true"},
                    {"round_before_weights", "true"}};
  auto run = [&](const NamedTensors &given) {
    OpCall call(op_at("grouped_mm"), stream, given, settings);
    call.run();
    return call.outputs().at("output");
  };
  EXPECT_EQ(run(in).to_bytes(), grouped_mm(stream, a, b, in["offs"], o).to_bytes());
  Tensor before = random_floats({kRows, kU / 2}, f32);
  in["accumulate"] = before;
  const std::vector<double> kept = values(before), sums = values(run(in));
  EXPECT_EQ(values(before), kept); // the op leaves its inputs alone
  o.accumulate = before;
  EXPECT_EQ(values(grouped_mm(stream, a, b, in["offs"], o)), sums);
  in["grad_output"] = random_floats({kRows, kU}, bf16);
  EXPECT_THROW(run(in), UserError);
}

TEST_P(GroupedMmOn, StridedOperands) {
  Tensor wide = random_floats({10, 64}, bf16), a = wide.slice(1, 5, 38),
         b = random_floats({2, 40, 33}, bf16).transpose(1, 2);
  Tensor offs = Here::from(std::vector<int32_t>{4, 10}, {2});
  EXPECT_EQ(grouped_mm(stream, a, b, offs).to_bytes(),
            grouped_mm(stream, a.contiguous(), b.contiguous(), offs).to_bytes());
}

TEST_P(GroupedMmOn, NoRows) {
  Tensor x = Here::zeros({0, 16}, f32), none = Here::zeros({2}, i32), b = Here::zeros({2, 16, 8}, f32);
  EXPECT_EQ(grouped_mm(stream, x, b, none).shape(), (Dims{0, 8}));
  EXPECT_EQ(
      grouped_mm(stream, x, b, none, {.gather = Here::zeros({0}, i32), .activation = Activation::swiglu()}).shape(),
      (Dims{0, 4}));
  for (double v : values(grouped_mm_backward_b(stream, x, Here::zeros({0, 8}, f32), none))) ASSERT_EQ(v, 0);
}

} // namespace
} // namespace moec
