// A spec's fields as settings of the kernel table: enums by their names, what a field may be. Internal to kernels/.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "runtime/spec.h"

namespace moec::detail {

/// An enum whose values the settings name: 0, 1, ... without gaps. A DType has its own names.
template <class T>
concept NamedEnum = std::is_enum_v<T> && !std::is_same_v<T, DType>;

/// "silu" of Gate::silu; "" where no enumerator has the value. As g++ and clang spell template arguments.
template <auto value> constexpr std::string_view enumerator_name() {
  std::string_view text = __PRETTY_FUNCTION__;
  text = text.substr(text.find("value = ") + 8);
  text = text.substr(0, text.find_first_of(";]"));
  return text.starts_with('(') ? std::string_view() : text.substr(text.rfind(':') + 1);
}
template <NamedEnum E, int first = 0> std::vector<std::string> enumerator_names() {
  constexpr std::string_view name = enumerator_name<static_cast<E>(first)>();
  if constexpr (name.empty())
    return {};
  else {
    std::vector<std::string> names = enumerator_names<E, first + 1>();
    names.insert(names.begin(), std::string(name));
    return names;
  }
}

template <SpecField T> std::string setting_text(T value) {
  if constexpr (NamedEnum<T>)
    return enumerator_names<T>().at(static_cast<size_t>(value));
  else
    return field_text(value);
}

/// What a field may be.
template <SpecField T> std::string setting_doc(T) {
  if constexpr (std::is_same_v<T, bool>)
    return "true or false";
  else if constexpr (std::is_same_v<T, DType>)
    return "a dtype";
  else if constexpr (std::is_floating_point_v<T>)
    return "a number";
  else if constexpr (std::is_integral_v<T>)
    return "an integer";
  else {
    std::string text;
    for (const std::string &name : enumerator_names<T>()) text += (text.empty() ? "" : ", ") + name;
    return text;
  }
}

/// Sets a field from text; an enum from a name or its number. False if the text is no value of its type.
template <class S> bool set_setting(S &spec, std::string_view name, std::string_view text) {
  std::string number(text); // as set_spec_field takes enums
  bool known = true;
  visit_fields(spec, [&](const char *field, auto &value) {
    using T = std::remove_reference_t<decltype(value)>;
    if constexpr (NamedEnum<T>) {
      if (name != field) return;
      const std::vector<std::string> names = enumerator_names<T>();
      if (auto at = std::ranges::find(names, text); at != names.end()) number = std::to_string(at - names.begin());
      size_t value_of_number = 0;
      known = set_field(value_of_number, number) && value_of_number < names.size();
    }
  });
  return known && set_spec_field(spec, name, number) == 0;
}

} // namespace moec::detail
