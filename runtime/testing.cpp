#include "runtime/testing.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/error.h"
#include "runtime/test_runs.h"

namespace moec {

Tensors on_host(const Tensors &tensors) {
  Tensors host;
  for (const Tensor &t : tensors) host.push_back(t.defined() ? t.to(Device::host()) : t);
  return host;
}
Tensors on_device(const Tensors &tensors, Device device) {
  Tensors there;
  for (const Tensor &t : tensors) there.push_back(t.defined() && !device.can_use(t.device()) ? t.to(device) : t);
  return there;
}

Tensors outputs_of(const TensorFunction &function, Device device, const Tensors &inputs) {
  Stream stream(device);
  Tensors out = function(stream, on_device(inputs, device));
  stream.synchronize();
  return on_host(out);
}

namespace {

std::string output_text(size_t i, const Tensor &t) { return fmt::format("output {} ({})", i, t.text()); }

/// Runs under `schedules` seeds and compares with `first`.
void compare_schedules(Report &report, const TensorFunction &function, const Tensors &inputs, const Tensors &first,
                       int schedules) {
  for (int seed = 1; seed <= schedules && report.ok(); ++seed) {
    SimScope scope({.seed = static_cast<uint64_t>(seed)});
    Tensors again = outputs_of(function, Device::sim(), inputs);
    if (again.size() != first.size()) {
      report.problems.push_back(
          fmt::format("under schedule {} it returns {} outputs, in order {}", seed, again.size(), first.size()));
      return;
    }
    for (size_t i = 0; i < first.size(); ++i)
      if (std::string what = first[i].defined() ? different_bits(again[i], first[i]) : ""; !what.empty())
        report.problems.push_back(fmt::format("{} under random schedule {} differs from the schedule in order: {}",
                                              output_text(i, first[i]), seed, what));
  }
}

/// Calls `body`; an error is a problem of the report.
template <class Body> void guarded(Report &report, const std::string &where, Body body) {
  try {
    body();
  } catch (const std::exception &e) { report.problems.push_back(fmt::format("{}: {}", where, e.what())); }
}

} // namespace

std::string Report::text() const {
  return ok() ? fmt::format("{}: max error {:.3g}", summary, max_error)
              : fmt::format("{}:\n  {}", summary, fmt::join(problems, "\n  "));
}

Tensor away_from(const Tensor &tensor, const std::vector<double> &kinks, double margin) {
  std::vector<double> values = tensor.to_values(), bounds = kinks;
  std::ranges::sort(bounds);
  for (double &v : values)
    for (double kink : bounds)
      if (std::abs(v - kink) < margin) v = v < kink ? kink - margin : kink + margin;
  return Tensor::from_values(values, tensor.shape(), tensor.dtype());
}

Report check(const TensorFunction &function, const ReferenceFunction &reference, const Tensors &inputs,
             const CheckOptions &options) {
  Report report;
  std::vector<std::string> places;
  for (Device d : options.devices) places.push_back(d.name());
  report.summary = fmt::format("check on {}", fmt::join(places, " and "));
  Tensors expected;
  guarded(report, "the reference", [&] { expected = on_host(reference(on_host(inputs))); });
  for (Device device : options.devices) {
    SimScope scope({.checked = options.checked, .seed = 0});
    guarded(report, fmt::format("on {}", device.name()), [&] {
      Tensors got = outputs_of(function, device, inputs);
      if (got.size() != expected.size())
        report.problems.push_back(
            fmt::format("on {} it returns {} outputs, the reference {}", device.name(), got.size(), expected.size()));
      for (size_t i = 0; i < std::min(got.size(), expected.size()); ++i) {
        if (!got[i].defined() && !expected[i].defined()) continue;
        Comparison c = compare_values(got[i], expected[i], options.tolerance, options.floor);
        report.max_error = std::max(report.max_error, c.max_error);
        if (!c.ok())
          report.problems.push_back(fmt::format("{} on {}: {}", output_text(i, got[i]), device.name(), c.problem));
      }
      if (device == Device::sim()) compare_schedules(report, function, inputs, got, options.schedules);
    });
  }
  return report;
}

Report same_on_schedules(const TensorFunction &function, const Tensors &inputs, int schedules, bool checked) {
  Report report;
  report.summary = fmt::format("{} random schedules on sim", schedules);
  SimScope scope({.checked = checked, .seed = 0});
  guarded(report, "on sim", [&] {
    Tensors first = outputs_of(function, Device::sim(), inputs);
    compare_schedules(report, function, inputs, first, schedules);
  });
  return report;
}

TrafficReport measure_traffic(const TensorFunction &function, const Tensors &inputs) {
  SimTraffic traffic;
  Tensors outputs;
  {
    SimScope scope({.traffic = &traffic});
    outputs = function(Stream(Device::sim()), inputs);
  }
  Tensors all = inputs;
  all.insert(all.end(), outputs.begin(), outputs.end());
  for (size_t i = 0; i < all.size(); ++i)
    if (all[i].defined())
      traffic.name(all[i],
                   i < inputs.size() ? fmt::format("input {}", i) : fmt::format("output {}", i - inputs.size()));
  return {traffic.ratio(all), traffic.text()};
}

} // namespace moec
