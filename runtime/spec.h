// A kernel's spec: a plain struct of constants that names its fields once,
//   static void fields(auto &s, auto &&f) { f("block", s.block); ... }
// for the key, metadata, errors and the CLI's --set. Standard library only.
#pragma once

#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "dsl/dtype.h"

namespace moec {

/// Words that tell one specialization of a kernel from another: spec fields, then facts of the arguments.
struct SpecializationKey {
  static constexpr uint32_t kMaxWords = 64;
  uint32_t size = 0;
  std::array<uint64_t, kMaxWords> words;
  void add(uint64_t word) {
    if (size < kMaxWords) words[size] = word;
    ++size; // beyond kMaxWords: too many, which the launch reports
  }
  bool fits() const { return size <= kMaxWords; }
  uint64_t hash() const {
    uint64_t h = size;
    for (uint32_t i = 0; i < size; ++i) h = (h ^ words[i]) * 0x9e3779b97f4a7c15, h ^= h >> 32;
    return h;
  }
  bool operator==(const SpecializationKey &o) const {
    if (size != o.size) return false;
    for (uint32_t i = 0; i < size; ++i)
      if (words[i] != o.words[i]) return false;
    return true;
  }
};

namespace detail {

template <class T>
concept SpecField = std::is_arithmetic_v<T> || std::is_enum_v<T>;

template <SpecField T> uint64_t field_word(T v) {
  if constexpr (std::is_same_v<T, float>)
    return std::bit_cast<uint32_t>(v);
  else if constexpr (std::is_same_v<T, double>)
    return std::bit_cast<uint64_t>(v);
  else
    return static_cast<uint64_t>(v);
}
template <SpecField T> std::string field_text(T v) {
  if constexpr (std::is_same_v<T, bool>)
    return v ? "true" : "false";
  else if constexpr (std::is_same_v<T, DType>)
    return std::string(name(v));
  else if constexpr (std::is_enum_v<T>)
    return std::to_string(static_cast<std::underlying_type_t<T>>(v));
  else {
    char text[64];
    return std::string(text, std::to_chars(text, text + sizeof text, v).ptr);
  }
}
template <SpecField T> bool set_field(T &v, std::string_view text) {
  if constexpr (std::is_same_v<T, bool>) {
    bool on = text == "true" || text == "1", off = text == "false" || text == "0";
    if (on || off) v = on;
    return on || off;
  } else if constexpr (std::is_same_v<T, DType>) {
    auto t = dtype_from_name(text);
    if (t) v = *t;
    return t.has_value();
  } else if constexpr (std::is_enum_v<T>) {
    auto number = static_cast<std::underlying_type_t<T>>(v);
    bool fine = set_field(number, text);
    v = static_cast<T>(number);
    return fine;
  } else {
    T parsed{};
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
    bool fine = error == std::errc() && end == text.data() + text.size();
    if (fine) v = parsed;
    return fine;
  }
}
struct AnyFieldVisitor {
  template <class T> void operator()(const char *, T &) const {}
};

} // namespace detail

/// True if S names its fields. An empty struct needs none.
template <class S>
concept HasFields = requires(S &s) { S::fields(s, detail::AnyFieldVisitor{}); };

template <class S, class F> void visit_fields(S &spec, F &&f) {
  using Plain = std::remove_const_t<S>;
  if constexpr (HasFields<Plain>) {
    Plain::fields(spec, [&](const char *field, auto &value) {
      static_assert(detail::SpecField<std::remove_cvref_t<decltype(value)>>,
                    "a spec's fields are bool, integers, floats, enums or DType");
      f(field, value);
    });
  } else {
    static_assert(std::is_empty_v<Plain>,
                  "a spec names its fields: static void fields(auto &s, auto &&f) { f(\"block\", s.block); }");
  }
}

/// "block=1024, topk=8".
template <class S> std::string spec_text(const S &spec) {
  std::string text;
  visit_fields(spec, [&](const char *field, const auto &value) {
    text += (text.empty() ? "" : ", ") + std::string(field) + "=" + detail::field_text(value);
  });
  return text;
}
/// Sets the field of that name from text. 0: done, 1: no such field, 2: the text is not a value of its type.
template <class S> int set_spec_field(S &spec, std::string_view name, std::string_view text) {
  int result = 1;
  visit_fields(spec, [&](const char *field, auto &value) {
    if (name == field) result = detail::set_field(value, text) ? 0 : 2;
  });
  return result;
}
/// Adds the spec's fields to a key.
template <class S> void add_spec(const S &spec, SpecializationKey &key) {
  visit_fields(spec, [&](const char *, const auto &value) { key.add(detail::field_word(value)); });
}

} // namespace moec
