// Suggestions for mistyped names. Internal to kernels/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moec {

/// "did you mean weighted_swiglu? moec list shows all": the name that comes closest, if one is close.
std::string did_you_mean(std::string_view name, const std::vector<std::string> &names, std::string_view command);

} // namespace moec
