// Every op of the registry with one input at a time made wrong: another dtype, one dimension more, a size that does not
// fit the other tensors'. Each must be refused by the host, before anything runs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "runtime/error.h"
#include "test/unit/kernels/recorded_calls.h"

namespace moec {
namespace {

constexpr int64_t kMostElements = 60'000;

/// Mistakes that are none, "op.tensor what", and why.
const char *const kCopies = "rows of any dtype are copied",
                  *const kAlone = "the gradient is an op of its own, of any width",
                  *const kOneRow = "[1, 2*H] is one row, too", *const kViewed = "any leading sizes are viewed as rows";
const char *const kOneElement = "one element of any shape will do";
const char *const kBound = "the number of rows may be a bound";
const std::map<std::string, std::string> allowed{
    {"aux_loss.grad_aux_loss dimensions", kOneElement},
    {"permute.grad_permuted_probs size N", kBound},
    {"permute.grad_permuted_tokens size N", kBound},
    {"permute_drop_and_pad.grad_permuted_probs size N", kBound},
    {"permute_drop_and_pad.grad_permuted_tokens size N", kBound},
    {"moe_aux_loss_auto_scaler.output dtype", kCopies},
    {"moe_aux_loss_auto_scaler.grad_output dtype", kCopies},
    {"permute.tokens dtype", kCopies},
    {"permute_drop_and_pad.tokens dtype", kCopies},
    {"sort_chunks_by_idxs.input dtype", kCopies},
    {"sort_chunks_by_idxs.probs dtype", kCopies},
    {"sort_chunks_by_idxs.grad_output dtype", kCopies},
    {"sort_chunks_by_idxs.grad_permuted_probs dtype", kCopies},
    {"unsloth_routing_permute.x dtype", kCopies},
    {"unsloth_unpermute.x dtype", kCopies},
    {"unsloth_unpermute.grad_output dtype", kCopies},
    {"permute.tokens size D", kAlone},
    {"permute.grad_permuted_tokens size D", kAlone},
    {"permute_drop_and_pad.tokens size D", kAlone},
    {"permute_drop_and_pad.grad_permuted_tokens size D", kAlone},
    {"permute_fused_te.tokens size D", kAlone},
    {"permute_fused_te.grad_permuted_tokens size D", kAlone},
    {"sort_chunks_by_idxs.input size D", kAlone},
    {"sort_chunks_by_idxs.grad_output size D", kAlone},
    {"unsloth_routing_permute.x size D", kAlone},
    {"unsloth_routing_permute.grad_permuted size D", kAlone},
    {"unsloth_unpermute.x size D", kAlone},
    {"unsloth_unpermute.grad_output size D", kAlone},
    {"unsloth_grouped_gemm.x dimensions", kViewed},
    {"unsloth_grouped_gemm.topk_weights dimensions", kViewed},
    {"unsloth_routing_permute.x dimensions", kViewed},
    {"unsloth_torch_grouped_gemm.x dimensions", kViewed},
    {"weighted_bias_quick_geglu.bias dimensions", kOneRow},
    {"weighted_bias_quick_geglu_impl.bias dimensions", kOneRow},
};

/// "T" and "D" of "[T, D]"; "" for a dimension that is no single letter.
std::vector<std::string> letters_of(const OpTensor &t) {
  std::vector<std::string> letters;
  std::string inside = t.shape.substr(1, t.shape.size() - 2);
  while (!inside.empty()) {
    size_t comma = std::min(inside.find(','), inside.size());
    std::string one = inside.substr(0, comma);
    letters.push_back(one.size() == 1 && std::isupper(one[0]) ? one : "");
    inside.erase(0, std::min(comma + 2, inside.size()));
  }
  return letters;
}

/// Dtypes that the op takes for the tensor.
std::string dtypes_of(const Op &op, const OpTensor &t) {
  const OpTensor *like = op.input(t.dtypes);
  return like ? like->dtypes : t.dtypes;
}

struct Mistake {
  std::string tensor, what;
  Tensor value;
};

std::vector<Mistake> mistakes_of(const RecordedCall &call) {
  std::vector<Mistake> list;
  std::map<std::string, int> uses; // of each letter
  for (const auto &[name, tensor] : call.inputs)
    for (const std::string &letter : letters_of(*call.op->input(name))) ++uses[letter];
  for (const auto &[name, tensor] : call.inputs) {
    const OpTensor &t = *call.op->input(name);
    for (DType wrong : {boolean, i32, f32, e5m2})
      if (dtypes_of(*call.op, t).find(moec::name(wrong)) == std::string::npos) {
        list.push_back({name, "dtype", Tensor::zeros(tensor.shape(), wrong)});
        break;
      }
    auto letters = letters_of(t);
    if (t.shape.find("...") != std::string::npos || letters.size() != static_cast<size_t>(tensor.rank())) continue;
    Dims deeper{1};
    for (int64_t size : tensor.shape()) deeper.push_back(size);
    list.push_back({name, "dimensions", tensor.reshape(deeper)});
    for (size_t d = 0; d < letters.size(); ++d) {
      if (letters[d].empty() || uses[letters[d]] < 2) continue;
      Dims longer = tensor.shape();
      ++longer[static_cast<int>(d)];
      list.push_back({name, "size " + letters[d], Tensor::zeros(longer, tensor.dtype())});
    }
  }
  return list;
}

class EveryOp : public testing::TestWithParam<std::string> {};

TEST_P(EveryOp, RefusesWhatDoesNotFit) {
  const Op &op = op_at(GetParam());
  std::set<std::string> tried;
  for (const NamedCall &c : recorded_calls(op, kMostElements)) {
    const bool empty = std::ranges::any_of(c.call.inputs, [](const auto &t) { return t.second.numel() == 0; });
    for (const Mistake &mistake : empty ? std::vector<Mistake>{} : mistakes_of(c.call)) {
      const std::string what = op.name + "." + mistake.tensor + " " + mistake.what;
      if (allowed.contains(what) || !tried.insert(what).second) continue;
      NamedTensors inputs = c.call.inputs;
      inputs[mistake.tensor] = mistake.value;
      Stream stream(Device::sim());
      try {
        OpCall call(op, stream, inputs, c.call.parameters, c.call.outputs);
        call.run();
        stream.synchronize();
        ADD_FAILURE() << what << ": " << mistake.value.text() << " is taken";
      } catch (const UserError &e) {
        if (std::getenv("MOEC_SHOW_ERRORS")) std::printf("%s: %s\n", what.c_str(), e.what());
      } catch (const std::exception &e) { ADD_FAILURE() << what << ": no UserError: " << e.what(); }
    }
  }
  EXPECT_FALSE(tried.empty()) << "record a case of at most " << kMostElements << " elements";
}

INSTANTIATE_TEST_SUITE_P(Ops, EveryOp, testing::ValuesIn(op_names()), [](const auto &info) { return info.param; });

} // namespace
} // namespace moec
