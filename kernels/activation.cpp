// Activations: the registry of names, host functions over the kernels of activation_kernels.cpp.
#include "kernels/activation.h"

#include <fmt/format.h>

#include "runtime/error.h"

namespace moec {

bool is_gated_activation(std::string_view name) {
  return name == "swiglu" || name == "swigluoai" || name == "quick_geglu" || name == "geglu";
}

Activation activation_named(std::string_view expert_activation, double activation_alpha, double activation_limit,
                            double swiglu_limit) {
  if (expert_activation == "swiglu")
    return swiglu_limit > 0 ? Activation::swiglu_clamped(swiglu_limit) : Activation::swiglu();
  if (expert_activation == "swigluoai") return Activation::swiglu_oai(activation_alpha, activation_limit);
  if (expert_activation == "quick_geglu") return Activation::quick_geglu_interleaved(activation_alpha, activation_limit);
  if (expert_activation == "geglu") return Activation::geglu();
  if (expert_activation == "relu2") return Activation::relu2();
  throw UserError("Invalid expert activation", fmt::format("'{}' is none", expert_activation),
                  "use swiglu, swigluoai, quick_geglu, geglu or relu2");
}

} // namespace moec
