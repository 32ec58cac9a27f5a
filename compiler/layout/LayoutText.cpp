// The two textual forms of LinearLayout: the compact one that MLIR attributes print and parse, and the table for
// people.
#include "compiler/layout/LinearLayout.h"

#include <charconv>

namespace moec::compiler {

static constexpr InDim kAllInDims[] = {InDim::Register, InDim::Lane, InDim::Warp, InDim::Block, InDim::Offset};

static void printList(std::string &out, const Dims &dims, char open, char close) {
  out += open;
  for (int d = 0; d < dims.size(); ++d) {
    if (d) out += ", ";
    out += std::to_string(dims[d]);
  }
  out += close;
}

std::string LinearLayout::toString() const {
  std::string out;
  for (InDim in : kAllInDims) {
    for (int b = 0; b < inBits(in); ++b) {
      std::string name(b == 0 ? inDimName(in) : "");
      std::string bit = std::to_string(1u << b);
      out += name + std::string(10 - name.size(), ' ') + std::string(bit.size() < 4 ? 4 - bit.size() : 0, ' ') + bit +
             " -> ";
      printList(out, basis(in, b), '(', ')');
      out += '\n';
    }
  }
  out += "shape     ";
  printList(out, shape(), '[', ']');
  out += '\n';
  return out;
}

bool LinearLayout::impliesShape() const {
  uint32_t all = 0;
  for (int i = 0, n = totalInBits(); i < n; ++i) all |= bases_[i];
  if (totalInBits() == 0) return false; // not even the rank is visible
  Dims largest = unflatten(all);
  for (int d = 0; d < rank_; ++d)
    if (std::bit_width(uint32_t(largest[d])) != outBits_[d]) return false;
  return true;
}

std::string LinearLayout::toText() const {
  std::string out;
  bool memory = inBits(InDim::Offset) > 0;
  for (InDim in : kAllInDims) {
    bool always = memory ? in == InDim::Offset : in < InDim::Block;
    if (!always && inBits(in) == 0) continue;
    if (!out.empty()) out += ", ";
    out += inDimName(in);
    out += " = [";
    for (int b = 0; b < inBits(in); ++b) {
      if (b) out += ", ";
      printList(out, basis(in, b), '[', ']');
    }
    out += ']';
  }
  if (!impliesShape()) {
    out += ", shape = ";
    printList(out, shape(), '[', ']');
  }
  return out;
}

namespace {
/// A recursive-descent reader of toText's form; the first mistake wins.
class Reader {
public:
  Reader(std::string_view text) : text_(text) {}

  std::optional<LinearLayout> read() {
    do {
      std::string_view name = word();
      if (name.empty()) return fail("expected register, lane, warp, block, offset or shape");
      if (!expect('=')) return std::nullopt;
      if (!(name == "shape" ? readShape() : readBases(name))) return std::nullopt;
    } while (eat(','));
    if (skipSpaces(); at_ != text_.size()) return fail("expected ',' or the end");
    return build();
  }

  std::string error;

private:
  std::nullopt_t fail(std::string_view what) {
    if (error.empty()) error = std::string(what) + " at character " + std::to_string(at_) + " of a layout";
    return std::nullopt;
  }
  void skipSpaces() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  bool eat(char c) {
    skipSpaces();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool expect(char c) {
    if (eat(c)) return true;
    fail(std::string("expected '") + c + "'");
    return false;
  }
  std::string_view word() {
    skipSpaces();
    size_t from = at_;
    while (at_ < text_.size() && text_[at_] >= 'a' && text_[at_] <= 'z') ++at_;
    return text_.substr(from, at_ - from);
  }
  bool readNumber(int64_t &x) {
    skipSpaces();
    auto [end, ec] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), x);
    if (ec != std::errc() || x < 0 || x > (int64_t(1) << LinearLayout::kMaxOutBits))
      return fail("expected a coordinate"), false;
    at_ = size_t(end - text_.data());
    return true;
  }
  bool readNumbers(Dims &out) { // [1, 2]
    if (!expect('[')) return false;
    if (eat(']')) return true;
    do {
      int64_t x = 0;
      if (!readNumber(x)) return false;
      if (out.size() == Dims::kMax) return fail("more than 5 dimensions"), false;
      out.push_back(x);
    } while (eat(','));
    return expect(']');
  }
  bool readShape() {
    if (shape_) return fail("shape given twice"), false;
    return readNumbers(shape_.emplace());
  }
  bool readBases(std::string_view name) { // [[0, 1], [0, 2]]
    int in = 0;
    while (in < kNumInDims && inDimName(InDim(in)) != name) ++in;
    if (in == kNumInDims) return fail("unknown input dimension '" + std::string(name) + "'"), false;
    if (seen_ >> in & 1) return fail("'" + std::string(name) + "' given twice"), false;
    seen_ |= 1u << in;
    if (!expect('[')) return false;
    if (eat(']')) return true;
    do {
      if (count_ == LinearLayout::kMaxInBits) return fail("more than 32 bases"), false;
      ++count_;
      if (!readNumbers(bases_[in].emplace_back())) return false;
    } while (eat(','));
    return expect(']');
  }

  std::optional<LinearLayout> build() {
    if (!bases_[int(InDim::Offset)].empty() && bases_[int(InDim::Offset)].size() != size_t(count_))
      return fail("offset does not go together with register, lane, warp or block");
    if (!shape_ && count_ == 0) return fail("a layout without bases needs a shape");
    if (!shape_ && !inferShape()) return std::nullopt;
    int64_t bits = 0;
    for (int64_t size : *shape_) {
      if (!isPowerOf2(size)) return fail("a dimension's size is not a power of two");
      bits += log2Exact(size);
    }
    if (bits > LinearLayout::kMaxOutBits) return fail("more than 2^31 elements");
    LinearLayout layout(*shape_);
    for (int in = 0; in < kNumInDims; ++in)
      for (const Dims &coords : bases_[in]) {
        if (coords.size() != shape_->size()) return fail("bases of different rank");
        for (int d = 0; d < coords.size(); ++d)
          if (coords[d] >= (*shape_)[d]) return fail("a basis outside the shape");
        layout.addBasis(InDim(in), coords);
      }
    return layout;
  }
  bool inferShape() {
    std::optional<Dims> all;
    for (const auto &list : bases_)
      for (const Dims &coords : list) {
        if (!all) all = Dims::filled(coords.size(), 0);
        if (all->size() != coords.size()) return fail("bases of different rank"), false;
        for (int d = 0; d < coords.size(); ++d) (*all)[d] |= coords[d];
      }
    shape_.emplace();
    for (int64_t x : *all) shape_->push_back(int64_t(1) << std::bit_width(uint64_t(x)));
    return true;
  }

  std::string_view text_;
  size_t at_ = 0;
  std::vector<Dims> bases_[kNumInDims];
  std::optional<Dims> shape_;
  uint32_t seen_ = 0;
  int count_ = 0;
};
} // namespace

std::optional<LinearLayout> LinearLayout::parse(std::string_view text, std::string *error) {
  Reader reader(text);
  auto layout = reader.read();
  if (!layout && error) *error = reader.error;
  return layout;
}

} // namespace moec::compiler
