// How a kernel file adds its ops and kernels to the library. Internal to kernels/.
#pragma once

#include <algorithm>
#include <memory>

#include "kernels/kernel_table.h"
#include "kernels/registry.h"
#include "kernels/setting_text.h"
#include "kernels/specializations.h"

namespace moec {

/// All that the library offers.
struct Library {
  std::vector<Op> ops;
  std::vector<KernelInfo> kernels;
  std::vector<SpecializationRow> specializations;

  /// Keeps them by kernel, those of one kernel in the order in which they came.
  void add_specializations(std::initializer_list<SpecializationRow> rows) {
    for (const SpecializationRow &row : rows)
      specializations.insert(std::ranges::upper_bound(specializations, row.kernel, {}, &SpecializationRow::kernel),
                             row);
  }
};
const Library &library();

// One function per file; library.cpp calls them.
void register_multihot(Library &);
void register_topk(Library &);
void register_routing(Library &);
void register_routing_map(Library &);
void register_permute(Library &);
void register_permute_fused(Library &);
void register_unpermute(Library &);
void register_rows(Library &);
void register_inverse(Library &);
void register_pad_map(Library &);
void register_capacity(Library &);
void register_capacity_backward(Library &);
void register_sort_chunks(Library &);
void register_activation(Library &);
void register_convert(Library &);
void register_grouped_mm(Library &);
void register_unsloth_gemm(Library &);
void register_matmul(Library &);
void register_gate(Library &);
void register_gate_backward(Library &);
void register_aux_loss(Library &);
void register_bias(Library &);
void register_arithmetic(Library &);
void register_experts(Library &);
void register_unsloth_blocks(Library &);

namespace detail {
/// Facts of the kernel's example arguments under `settings`.
std::vector<ArgFacts> example_facts(const KernelInfo &kernel, const Settings &settings,
                                    std::span<const rec::Parameter> parameters);
[[noreturn]] void bad_setting(const KernelInfo &kernel, std::string_view name, std::string_view value, bool known);
/// Throws UserError for a setting that is neither a spec field nor one of the kernel's own.
void check_settings(const KernelInfo &kernel, const Settings &settings);
} // namespace detail

/// Adds a kernel function to the table. `arguments` and `settings` describe example arguments; the spec's fields are
/// found by themselves.
template <class Spec, class... P>
void add_kernel(Library &library, void (*function)(const Spec &, P...), std::string name, std::string summary,
                const Schedule &schedule, std::vector<KernelArgument> arguments, std::vector<KernelSetting> settings) {
  KernelInfo info{name, std::move(summary), {}, std::move(settings), std::move(arguments), schedule, {}};
  Spec defaults{};
  visit_fields(defaults, [&](const char *field, auto &value) {
    info.spec.push_back({field, detail::setting_text(value), detail::setting_doc(value)});
  });
  auto self =
      std::make_shared<KernelInfo>(info); // without record: what the recording needs to know of its own table row
  info.record = [self, function](const Settings &given) {
    detail::check_settings(*self, given);
    Spec spec{};
    for (const KernelSetting &field : self->spec)
      if (auto it = given.find(field.name); it != given.end() && !detail::set_setting(spec, field.name, it->second))
        detail::bad_setting(*self, field.name, it->second, true);
    constexpr std::array<rec::Parameter, sizeof...(P)> parameters{rec::parameter_of<P>::value...};
    return moec::record(function, spec, detail::example_facts(*self, given, parameters), self->name);
  };
  library.kernels.push_back(std::move(info));
}

} // namespace moec
