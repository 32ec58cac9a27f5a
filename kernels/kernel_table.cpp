// Kernels by name: settings, example arguments and their facts.
#include "kernels/kernel_table.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

#include "kernels/names.h"
#include "kernels/registration.h"
#include "kernels/shape_text.h"

namespace moec {

const KernelInfo *find_kernel(std::string_view name) {
  for (const KernelInfo &k : kernels())
    if (k.name == name) return &k;
  return nullptr;
}
const KernelInfo &kernel_at(std::string_view name) {
  if (const KernelInfo *k = find_kernel(name)) return *k;
  std::vector<std::string> names;
  for (const KernelInfo &k : kernels()) names.push_back(k.name);
  throw UserError(fmt::format("kernel {}", name), "there is no such kernel", did_you_mean(name, names, "moec list"));
}

Settings parse_settings(std::string_view text) {
  Settings settings;
  while (!text.empty()) {
    size_t comma = std::min(text.find(','), text.size());
    std::string_view item = text.substr(0, comma);
    size_t equals = item.find('=');
    if (equals == std::string_view::npos || equals == 0)
      throw UserError(fmt::format("setting '{}'", item), "it is not name=value", "for example topk=8,experts=128");
    settings.insert_or_assign(std::string(item.substr(0, equals)), std::string(item.substr(equals + 1)));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return settings;
}

namespace {

std::string setting(const KernelInfo &kernel, const Settings &settings, std::string_view name) {
  if (auto it = settings.find(name); it != settings.end()) return it->second;
  for (auto *list : {&kernel.spec, &kernel.settings})
    for (const KernelSetting &s : *list)
      if (s.name == name) return s.default_value;
  throw InternalError(kernel.name, fmt::format("'{}' is no setting of the kernel", name), "correct its registration");
}

/// A setting that is a size.
int64_t size_setting(const KernelInfo &kernel, const Settings &settings, std::string_view name) {
  std::string text = setting(kernel, settings, name);
  int64_t v = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc() || end != text.data() + text.size() || v < 0) detail::bad_setting(kernel, name, text, true);
  return v;
}

} // namespace

std::vector<ExampleArgument> example_arguments(const KernelInfo &kernel, const Settings &settings) {
  std::vector<ExampleArgument> arguments;
  for (const KernelArgument &a : kernel.arguments) {
    ExampleArgument e{a.name, {}, f32, a.shape == "scalar"};
    std::string type = dtype_from_name(a.dtype) ? a.dtype : setting(kernel, settings, a.dtype);
    auto dtype = dtype_from_name(type);
    if (!dtype) detail::bad_setting(kernel, a.dtype, type, true);
    e.dtype = *dtype;
    if (!e.scalar)
      e.shape = shape_from_text(a.shape, [&](std::string_view name) { return size_setting(kernel, settings, name); });
    arguments.push_back(std::move(e));
  }
  return arguments;
}

namespace detail {

void bad_setting(const KernelInfo &kernel, std::string_view name, std::string_view value, bool known) {
  std::vector<std::string> names;
  for (auto *list : {&kernel.spec, &kernel.settings})
    for (const KernelSetting &s : *list) names.push_back(s.name);
  std::string asked = fmt::format("kernel {} with {}={}", kernel.name, name, value);
  if (!known)
    throw UserError(asked, "there is no such setting",
                    did_you_mean(name, names, fmt::format("moec list {}", kernel.name)));
  std::string usual;
  for (auto *list : {&kernel.spec, &kernel.settings})
    for (const KernelSetting &s : *list)
      if (s.name == name) usual = s.default_value;
  throw UserError(asked, "the value does not fit",
                  fmt::format("by default it is {}; `moec list {}` shows all settings", usual, kernel.name));
}

void check_settings(const KernelInfo &kernel, const Settings &settings) {
  for (const auto &[name, value] : settings) {
    auto named = [&n = name](const KernelSetting &s) { return s.name == n; };
    if (std::ranges::none_of(kernel.spec, named) && std::ranges::none_of(kernel.settings, named))
      bad_setting(kernel, name, value, false);
  }
}

std::vector<ArgFacts> example_facts(const KernelInfo &kernel, const Settings &settings,
                                    std::span<const rec::Parameter> parameters) {
  std::vector<ArgFacts> facts;
  for (const ExampleArgument &a : example_arguments(kernel, settings)) {
    auto index = facts.size();
    if (a.scalar) {
      ArgFacts f;
      f.kind = ArgFacts::Kind::scalar;
      f.dtype = a.dtype;
      f.align = static_cast<uint8_t>(size_bytes(a.dtype));
      facts.push_back(f);
      continue;
    }
    // Memory that is never touched: only its alignment counts.
    Tensor t = Tensor::lend(reinterpret_cast<void *>(uintptr_t{1} << 20), Dims(a.shape), a.dtype);
    facts.push_back(facts_of(t, parameters[index], static_cast<int>(index), Device::host()));
  }
  return facts;
}

} // namespace detail
} // namespace moec
