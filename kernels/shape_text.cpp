#include "kernels/shape_text.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fmt/format.h>

#include "runtime/error.h"

namespace moec {

namespace {

class SizeExpression {
public:
  SizeExpression(std::string_view text, const SizeOf &size_of) : whole_(text), text_(text), size_of_(size_of) {}
  int64_t value() {
    int64_t v = sum();
    take(' ');
    if (!text_.empty()) wrong();
    return v;
  }

private:
  [[noreturn]] void wrong() const {
    throw InternalError(fmt::format("read the size '{}'", whole_), fmt::format("'{}' does not fit", text_),
                        "correct the registration");
  }
  bool take(char c) {
    while (!text_.empty() && text_[0] == ' ') text_.remove_prefix(1);
    if (text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  int64_t sum() {
    int64_t v = product();
    for (;;) {
      if (take('+'))
        v += product();
      else if (take('-'))
        v -= product();
      else
        return v;
    }
  }
  int64_t product() {
    int64_t v = factor();
    for (;;) {
      if (take('*'))
        v *= factor();
      else if (take('/'))
        v /= std::max<int64_t>(1, factor());
      else
        return v;
    }
  }
  int64_t factor() {
    if (take('(')) {
      int64_t v = sum();
      if (!take(')')) wrong();
      return v;
    }
    size_t n = 0;
    while (n < text_.size() && (isalnum(static_cast<unsigned char>(text_[n])) || text_[n] == '_')) ++n;
    std::string_view word = text_.substr(0, n);
    if (word.empty()) wrong();
    text_.remove_prefix(n);
    if (!isdigit(static_cast<unsigned char>(word[0]))) return size_of_(word);
    int64_t v = 0;
    auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), v);
    if (error != std::errc() || end != word.data() + word.size()) wrong();
    return v;
  }
  std::string_view whole_, text_;
  const SizeOf &size_of_;
};

} // namespace

int64_t size_from_text(std::string_view text, const SizeOf &size_of) { return SizeExpression(text, size_of).value(); }

std::vector<int64_t> shape_from_text(std::string_view text, const SizeOf &size_of) {
  if (text.size() < 2 || text.front() != '[' || text.back() != ']')
    throw InternalError(fmt::format("read the shape '{}'", text), "it is not [sizes]", "correct the registration");
  std::vector<int64_t> shape;
  text = text.substr(1, text.size() - 2);
  while (!text.empty()) {
    size_t comma = std::min(text.find(','), text.size());
    shape.push_back(size_from_text(text.substr(0, comma), size_of));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return shape;
}

} // namespace moec
