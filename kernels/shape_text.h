// Shapes written as text: "[T, 2*H]". Internal to the kernel table, the benchmarks and the tests.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace moec {

/// What a name in an expression stands for. May throw.
using SizeOf = std::function<int64_t(std::string_view name)>;

/// The value of an expression := term {('+'|'-') term}, term := factor {('*'|'/') factor}, factor := number, name or
/// '(' expression ')'. Division rounds down, by 1 at least. Throws InternalError for other text.
int64_t size_from_text(std::string_view text, const SizeOf &size_of);
/// The sizes of "[a, b]", each an expression; none for "[]". Throws InternalError for other text.
std::vector<int64_t> shape_from_text(std::string_view text, const SizeOf &size_of);

} // namespace moec
