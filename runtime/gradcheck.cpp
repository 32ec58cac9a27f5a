// Gradients against central differences.
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numeric>

#include "runtime/error.h"
#include "runtime/test_runs.h"

namespace moec {

namespace {

class Gradcheck {
public:
  Gradcheck(const TensorFunction &forward, const Tensors &inputs, const GradcheckOptions &options)
      : forward_(forward), options_(options) {
    for (const Tensor &t : inputs) // copies: elements are changed in place
      inputs_.push_back(
          !t.defined() || t.dtype() != f64 ? t : away_from(t.to(Device::host()), options.kinks, options.margin));
  }

  Report run(const BackwardFunction &backward) {
    report_.summary = fmt::format("gradient check in f64 on {}", options_.device.name());
    Tensors outputs = values(), grads;
    for (size_t j = 0; j < outputs.size(); ++j) {
      if (outputs[j].dtype() != f64)
        throw UserError("gradcheck", fmt::format("output {} is {}", j, outputs[j].text()),
                        "give the function f64 inputs and outputs");
      grads.push_back(hash_uniform(options_.seed + j, 1, outputs[j].shape(), f64));
      weights_.push_back(grads.back().to_values());
    }
    const Stream stream(options_.device);
    Tensors gradients = backward(stream, on_device(grads, options_.device), on_device(inputs_, options_.device));
    stream.synchronize();
    if (gradients.size() != inputs_.size())
      throw UserError("gradcheck",
                      fmt::format("the backward returns {} gradients for {} inputs", gradients.size(), inputs_.size()),
                      "return one per input, an undefined Tensor where there is none");
    int checked = 0;
    for (size_t i = 0; i < inputs_.size(); ++i)
      if (gradients[i].defined()) check_input(i, gradients[i].to(Device::host())), ++checked;
    if (!checked) report_.problems.push_back("the backward returns no gradient");
    return std::move(report_);
  }

private:
  Tensors values() const { return outputs_of(forward_, options_.device, inputs_); }

  /// d(sum of g * y) / dx: only outputs that change add to the sum, so that the others' rounding does not.
  double numeric(double &x) {
    const double at = x, h = options_.step * std::max(1.0, std::abs(at));
    volatile double above = at + h, below = at - h;
    x = above;
    Tensors high = values();
    x = below;
    Tensors low = values();
    x = at;
    double sum = 0;
    for (size_t j = 0; j < high.size(); ++j) {
      std::vector<double> a = high[j].to_values(), b = low[j].to_values();
      for (size_t i = 0; i < a.size(); ++i) sum += weights_[j][i] * (a[i] - b[i]);
    }
    return sum / (above - below);
  }

  std::vector<int64_t> samples(int64_t count, size_t input) const {
    std::vector<int64_t> list;
    if (count <= options_.samples) {
      list.resize(static_cast<size_t>(count));
      std::iota(list.begin(), list.end(), 0);
      return list;
    }
    std::vector<double> where =
        hash_integers(options_.seed + 1000 * (input + 1), 0, count - 1, {options_.samples}, i64).to_values();
    for (double w : where) list.push_back(static_cast<int64_t>(w));
    return list;
  }

  void check_input(size_t i, const Tensor &gradient) {
    Tensor &input = inputs_[i];
    if (input.dtype() != f64 || gradient.dtype() != f64 || gradient.shape() != input.shape()) {
      report_.problems.push_back(
          fmt::format("the gradient of input {} is {}, the input {}", i, gradient.text(), input.text()));
      return;
    }
    std::vector<double> analytic = gradient.to_values(), found;
    std::vector<int64_t> where = samples(input.numel(), i);
    auto *x = input.data_as<double>();
    for (int64_t w : where) found.push_back(numeric(x[w]));
    double largest = 0, worst = -1;
    for (double n : found) largest = std::max(largest, std::abs(n));
    std::string problem;
    for (size_t s = 0; s < where.size(); ++s) {
      double a = analytic[static_cast<size_t>(where[s])], n = found[s];
      double scale = std::max(std::abs(a), std::abs(n)) + options_.floor * largest;
      double error = a == n ? 0 : std::abs(a - n) / scale;
      if (!(error < INFINITY)) error = INFINITY;
      report_.max_error = std::max(report_.max_error, error);
      if (error <= options_.max_error || error <= worst) continue;
      worst = error;
      problem = fmt::format("the gradient of input {} ({}): element {} is {}, central differences give {}; relative "
                            "error {:.3g} (at most {:.3g})",
                            i, input.text(), where[s], a, n, error, options_.max_error);
    }
    if (!problem.empty()) report_.problems.push_back(problem);
  }

  const TensorFunction &forward_;
  const GradcheckOptions &options_;
  Tensors inputs_;
  std::vector<std::vector<double>> weights_; ///< of each output
  Report report_;
};

} // namespace

Report gradcheck(const TensorFunction &forward, const BackwardFunction &backward, const Tensors &inputs,
                 const GradcheckOptions &options) {
  try {
    return Gradcheck(forward, inputs, options).run(backward);
  } catch (const std::exception &e) {
    Report report;
    report.summary = fmt::format("gradient check in f64 on {}", options.device.name());
    report.problems.push_back(e.what());
    return report;
  }
}

} // namespace moec
