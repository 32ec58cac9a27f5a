// JSON from files that may be hostile: bounded depth, no duplicate names, no trailing text. Internal (includes
// nlohmann/json.hpp).
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace moec {

using Json = nlohmann::ordered_json;

/// Parses `text`. On failure returns false and says in `wrong` what is the matter. Never throws for bad text.
bool parse_json(std::string_view text, int max_depth, Json &value, std::string &wrong);

} // namespace moec
