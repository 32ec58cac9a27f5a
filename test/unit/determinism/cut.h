// Cutting a call's batch to rows begin..end, and what its outputs should then be.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/registry.h"
#include "kernels/verify.h"

namespace moec {

/// What a tensor's values say of the batch's rows, so what they become where the batch is cut.
enum class RowValues : uint8_t {
  none,          ///< nothing: they stay as they are
  ends,          ///< one past the last row of each group, ascending: clamped to the cut
  counts,        ///< rows of each group, in order: those that stay
  routed_counts, ///< the same of the routed rows
  rows,          ///< numbers of rows, -1: none: less `begin`
  slots,         ///< row * K + k, K being the parameter topk or the columns of the op's tensor [row, K]; less begin * K
  across,        ///< they depend on other rows (sums over them, places among them): not comparable
};

/// How an op's batch is cut.
struct Batch {
  /// The letters that stand for the batch's rows in the shapes; empty: the first letter of the first input. Where that
  /// is "...", M and N stand for its rows, too.
  std::vector<std::string> letters = {};
  /// Where tensors have another leading letter ("N", routed rows): the tensor that has the batch row (RowValues::rows
  /// or slots) of each of them, an input or output. "": a call with such inputs is not cut, optional ones are left out.
  std::string routed = "";
  std::map<std::string, RowValues> values = {};    ///< of tensors; else none
  std::map<std::string, std::string> leading = {}; ///< of tensors whose leading letter is another than it says
  std::map<std::string, std::string> shapes = {};  ///< of tensors that may have another rank: their shape then
  /// Of the tensors whose leading letter is "S", where no tensor says it: the batch row of each row.
  std::vector<int64_t> (*sorted)(const NamedTensors &inputs) = nullptr;
  /// The dimension that is cut in place of the rows, where these depend on each other: its letter in the shapes.
  std::string columns = "";
};

/// "T" of "[T, 2*H]"; "[B, S, D]" is taken as "[T, D]".
inline std::string leading(const OpTensor &tensor) {
  if (tensor.shape.starts_with("[B, S, ")) return "T";
  return tensor.shape.substr(1, tensor.shape.find_first_of(",]") - 1);
}

inline int rank_of(const OpTensor &t) {
  return static_cast<int>(std::ranges::count(t.shape, ',')) + (t.shape.starts_with("[B, S, ") ? 0 : 1);
}

/// The call with its inputs [B, S, D] as [T, D], and [..., F] of more dimensions as [M, F].
inline RecordedCall flattened(RecordedCall call) {
  for (auto &[name, tensor] : call.inputs) {
    const std::string &shape = call.op->input(name)->shape;
    if ((shape.starts_with("[B, S, ") || shape.starts_with("[..., ")) && tensor.rank() > 2)
      tensor = tensor.contiguous().reshape({tensor.numel() / std::max<int64_t>(tensor.size(-1), 1), tensor.size(-1)});
  }
  return call;
}

class Cutter {
public:
  /// `outputs`: of the whole batch.
  Cutter(const RecordedCall &call, const Batch &batch, const NamedTensors &outputs)
      : call_(call), op_(*call.op), batch_(batch), outputs_(outputs) {
    for (OpTensor &t : op_.tensors) {
      const NamedTensors &tensors = t.output ? outputs : call.inputs;
      auto it = tensors.find(t.name);
      if (auto other = batch.shapes.find(t.name);
          other != batch.shapes.end() && it != tensors.end() && it->second.rank() != rank_of(t))
        t.shape = other->second;
    }
    for (const OpTensor &t : op_.tensors)
      if (batch_.letters.empty() && !t.output) batch_.letters = {lead(t)};
    if (batch_.letters[0] == "...") batch_.letters.insert(batch_.letters.end(), {"M", "N"});
    for (const OpTensor &t : op_.tensors) {
      auto it = call.inputs.find(t.name);
      if (t.output || it == call.inputs.end() || dim_of(t, it->second) < 0) continue;
      if (!fits(t, it->second)) return;
      if (rows_ < 0) rows_ = it->second.size(dim_of(t, it->second));
      if (!topk_ && t.shape.ends_with(", K]")) topk_ = it->second.size(1);
    }
    for (const auto &[name, tensor] : outputs)
      if (int d = dim_of(*op_.output(name), tensor); rows_ < 0 && d >= 0) rows_ = tensor.size(d);
    if (auto it = call.parameters.find("topk"); it != call.parameters.end()) topk_ = std::stoll(it->second);
    find_routed();
  }
  /// Rows of the batch; -1 if it cannot be cut.
  int64_t rows() const { return rows_; }

  /// Inputs and parameters of rows begin..end; nullopt if a needed input cannot be cut.
  std::optional<RecordedCall> cut(int64_t begin, int64_t end) const {
    RecordedCall part{call_.op, {}, call_.parameters, call_.outputs};
    for (const auto &[name, tensor] : call_.inputs) {
      const OpTensor &t = *op_.input(name);
      std::optional<Tensor> piece = cut(t, tensor, begin, end);
      if (!piece && !t.optional) return std::nullopt;
      if (piece) part.inputs.emplace(name, *piece);
    }
    const std::string size = batch_.columns.empty() ? "tokens" : "n_routed_experts"; // a parameter that repeats it
    if (part.parameters.contains(size)) part.parameters[size] = std::to_string(end - begin);
    return part;
  }
  /// What the output should be, or nullopt if it depends on the other rows. Rows after those are of no meaning.
  std::optional<Tensor> expected(const std::string &name, int64_t begin, int64_t end) const {
    const OpTensor &t = *op_.output(name);
    const bool depends = dim_of(t, outputs_.at(name)) >= 0 || (batch_.columns.empty() && lead(t) == routed_letter_);
    if (values_of(t) == RowValues::across || !depends) return std::nullopt;
    return cut(t, outputs_.at(name), begin, end);
  }

private:
  std::string lead(const OpTensor &t) const {
    auto it = batch_.leading.find(t.name);
    return it == batch_.leading.end() ? leading(t) : it->second;
  }
  bool of_batch(const OpTensor &t) const { return std::ranges::find(batch_.letters, lead(t)) != batch_.letters.end(); }
  /// The dimension that is cut, -1: none. Counted from the last one, as "..." stands for any number of them.
  int dim_of(const OpTensor &t, const Tensor &tensor) const {
    if (batch_.columns.empty()) return of_batch(t) ? 0 : -1;
    std::string_view rest = std::string_view(t.shape).substr(1, t.shape.size() - 2);
    for (int d = tensor.rank() - 1; d >= 0; --d) {
      size_t comma = rest.rfind(", ");
      if (rest.substr(comma == std::string_view::npos ? 0 : comma + 2) == batch_.columns) return d;
      if (comma == std::string_view::npos) break;
      rest = rest.substr(0, comma);
    }
    return -1;
  }
  bool fits(const OpTensor &t, const Tensor &tensor) const {
    return t.shape == "[...]" ? tensor.rank() > 0 || !of_batch(t) : tensor.rank() == rank_of(t);
  }
  RowValues values_of(const OpTensor &t) const {
    auto it = batch_.values.find(t.name);
    return it == batch_.values.end() ? RowValues::none : it->second;
  }
  void find_routed() {
    if (batch_.sorted) routed_letter_ = "S", routed_ = batch_.sorted(call_.inputs);
    const OpTensor *t = op_.input(batch_.routed);
    const NamedTensors &tensors = t ? call_.inputs : outputs_;
    if (!t) t = op_.output(batch_.routed);
    if (!t) return;
    routed_letter_ = lead(*t);
    auto it = tensors.find(t->name);
    if (it == tensors.end()) return;
    for (double v : it->second.to_values()) routed_.push_back(v < 0 ? -1 : static_cast<int64_t>(v) / unit(*t));
  }
  int64_t unit(const OpTensor &t) const { return values_of(t) == RowValues::slots ? std::max<int64_t>(topk_, 1) : 1; }

  std::optional<Tensor> cut(const OpTensor &t, const Tensor &tensor, int64_t begin, int64_t end) const {
    if (!fits(t, tensor)) return std::nullopt;
    if (int d = dim_of(t, tensor); d >= 0) return shifted(t, tensor.slice(d, begin, end), begin, end);
    if (!batch_.columns.empty()) return shifted(t, tensor, begin, end);
    if (lead(t) == routed_letter_) {
      if (routed_.empty() && tensor.size(0) > 0) return std::nullopt;
      return shifted(t, kept(tensor, begin, end), begin, end);
    }
    const bool routed = lead(t) == "N" || std::ranges::any_of(batch_.letters, [&](const std::string &letter) {
                          return lead(t).find(letter) != std::string::npos;
                        });
    if (routed) return std::nullopt; // in no known order
    return shifted(t, tensor, begin, end);
  }
  /// The routed rows that belong to rows begin..end.
  Tensor kept(const Tensor &tensor, int64_t begin, int64_t end) const {
    std::vector<size_t> rows;
    for (size_t i = 0; i < routed_.size(); ++i)
      if (routed_[i] >= begin && routed_[i] < end) rows.push_back(i);
    Dims shape = tensor.shape();
    shape[0] = static_cast<int64_t>(rows.size());
    Tensor out = Tensor::empty(shape, tensor.dtype());
    for (size_t i = 0; i < rows.size(); ++i)
      out.slice(0, static_cast<int64_t>(i), static_cast<int64_t>(i) + 1)
          .copy_from(tensor.slice(0, static_cast<int64_t>(rows[i]), static_cast<int64_t>(rows[i]) + 1));
    return out;
  }
  Tensor shifted(const OpTensor &t, const Tensor &tensor, int64_t begin, int64_t end) const {
    const RowValues meaning = values_of(t);
    if (meaning == RowValues::none || meaning == RowValues::across) return tensor;
    std::vector<double> values = tensor.to_values();
    const auto first = static_cast<double>(begin), last = static_cast<double>(end);
    auto within = [&](double v) { return std::clamp(v, first, last) - first; };
    double sum = 0;
    auto routed_before = [&](double row) { // routed rows that stay, of the first `row`
      auto stay = std::span(routed_).first(static_cast<size_t>(row));
      return static_cast<double>(std::ranges::count_if(stay, [&](int64_t r) { return r >= begin && r < end; }));
    };
    for (double &v : values) {
      if (meaning == RowValues::ends) {
        v = within(v);
      } else if (meaning == RowValues::counts || meaning == RowValues::routed_counts) {
        double before = sum;
        sum += v;
        v = meaning == RowValues::counts ? within(sum) - within(before) : routed_before(sum) - routed_before(before);
      } else if (v >= 0) {
        v -= first * static_cast<double>(unit(t));
      }
    }
    return Tensor::from_values(values, tensor.shape(), tensor.dtype());
  }

  const RecordedCall &call_;
  Op op_; ///< with the shapes that its tensors have in this call
  Batch batch_;
  const NamedTensors &outputs_;
  std::string routed_letter_;
  int64_t rows_ = -1, topk_ = 0;
  std::vector<int64_t> routed_; ///< batch row of each routed row
};

} // namespace moec
