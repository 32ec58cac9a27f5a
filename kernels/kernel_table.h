// Every kernel function of the library by name, with what is needed to compile it without data: `moec compile KERNEL
// --set k=v`, the committed specializations, compile benchmarks.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dsl/recording.h"
#include "kernels/registry.h"
#include "runtime/jit.h"

namespace moec {

/// An argument of a kernel, described in the kernel's settings.
struct KernelArgument {
  std::string name;
  std::string shape; ///< "[T, 2*H]": products and sums of numbers and settings; "scalar"
  std::string dtype; ///< "i32", or the name of a setting that holds a dtype
};

/// A name and its default: of a spec's field, of a size ("T") or of a dtype ("dtype").
struct KernelSetting {
  std::string name, default_value, doc;
};

struct KernelInfo {
  std::string name;
  std::string summary;
  std::vector<KernelSetting> spec; ///< the spec's fields
  std::vector<KernelSetting>
      settings; ///< sizes and dtypes of the example arguments; fields and settings share one name space
  std::vector<KernelArgument> arguments;
  Schedule schedule; ///< the library's choice for the default settings
  /// Records the specialization for contiguous, 16-byte aligned arguments of these shapes. Throws UserError for an
  /// unknown setting or a bad value, KernelError.
  std::function<Recording(const Settings &)> record;
};

std::span<const KernelInfo> kernels();
const KernelInfo *find_kernel(std::string_view name);
/// Throws UserError with the names that come closest.
const KernelInfo &kernel_at(std::string_view name);

/// Example arguments of a kernel under these settings: name, shape, dtype; no memory.
struct ExampleArgument {
  std::string name;
  std::vector<int64_t> shape;
  DType dtype;
  bool scalar = false;
};
std::vector<ExampleArgument> example_arguments(const KernelInfo &kernel, const Settings &settings);

/// "topk=8,experts=128" as settings. Throws UserError for text without '='.
Settings parse_settings(std::string_view text);

} // namespace moec
