// The printer: MLIR's generic form, one function for all ops, driven by the table.
#include "dsl/recorder.h"

#include <charconv>

namespace moec::rec {

class Printer {
public:
  Printer(std::string &out, std::vector<SourceLine> &lines) : out_(out), lines_(lines) {}

  void kernel(Recorder &r, std::string_view name, Where where) {
    Block *b = r.top;
    out_ += "\"builtin.module\"() ({\n  \"tile.kernel\"() <{function_type = (";
    types(b->args.size(), [&](size_t i) { return b->args[i]->type; });
    out_ += ") -> (), sym_name = ";
    quote(name);
    out_ += "}> ({\n";
    line(where);
    block(b);
    out_ += "  }) : () -> ()\n}) : () -> ()\n";
  }

private:
  void number(int64_t v) {
    char s[24];
    out_.append(s, std::to_chars(s, s + sizeof s, v).ptr);
  }
  void indent() { out_.append(static_cast<size_t>(depth_) * 2, ' '); }
  void line(Where w) { lines_.push_back({w.file_name(), static_cast<int>(w.line())}); }

  void quote(std::string_view s) {
    static const char hex[] = "0123456789ABCDEF";
    out_ += '"';
    for (unsigned char c : s) {
      if (c == '"' || c == '\\' || c < 32 || c > 126) {
        out_ += '\\';
        out_ += hex[c >> 4];
        out_ += hex[c & 15];
      } else {
        out_ += static_cast<char>(c);
      }
    }
    out_ += '"';
  }

  template <class F> void types(size_t n, F type) {
    for (size_t i = 0; i < n; ++i) {
      if (i) out_ += ", ";
      out_ += type(i)->text;
    }
  }

  void use(const Value *v) {
    if (!v->def) {
      out_ += "%arg";
      number(v->number);
      return;
    }
    out_ += '%';
    number(v->number);
    if (v->def->num_results > 1) {
      out_ += '#';
      number(v->index);
    }
  }

  void block(Block *b) {
    if (!b->args.empty()) {
      indent();
      out_ += "^bb0(";
      for (size_t i = 0; i < b->args.size(); ++i) {
        Value *v = b->args[i];
        v->number = next_arg_++;
        if (i) out_ += ", ";
        use(v);
        out_ += ": ";
        out_ += v->type->text;
      }
      out_ += "):\n";
    }
    ++depth_;
    for (Node *n : b->order) op(n);
    --depth_;
  }

  void op(Node *n) {
    const OpInfo &o = info(n->op);
    line(n->where);
    indent();
    if (n->num_results) {
      for (int i = 0; i < n->num_results; ++i) n->results[i].number = next_value_;
      out_ += '%';
      number(next_value_++);
      if (n->num_results > 1) {
        out_ += ':';
        number(n->num_results);
      }
      out_ += " = ";
    }
    out_ += '"';
    out_ += o.name;
    out_ += "\"(";
    for (uint32_t i = 0; i < n->num_operands; ++i) {
      if (i) out_ += ", ";
      use(n->operands[i]);
    }
    out_ += ')';
    properties(n, o);
    if (n->num_regions) regions(n);
    out_ += " : (";
    types(n->num_operands, [&](size_t i) { return n->operands[i]->type; });
    out_ += ") -> ";
    if (n->num_results != 1) out_ += '(';
    types(n->num_results, [&](size_t i) { return n->results[i].type; });
    if (n->num_results != 1) out_ += ')';
    out_ += '\n';
  }

  void regions(Node *n) {
    out_ += " (";
    for (int i = 0; i < n->num_regions; ++i) {
      out_ += i ? ", {\n" : "{\n";
      block(n->regions[i]);
      indent();
      out_ += '}';
    }
    out_ += ')';
  }

  void properties(Node *n, const OpInfo &o) {
    bool any = false;
    auto key = [&](std::string_view name) {
      out_ += any ? ", " : " <{";
      any = true;
      out_ += name;
    };
    for (int i = 0; i < n->num_attrs; ++i) attribute(n, o.attrs[i], n->attrs[i], key);
    if (o.segments) {
      key("operandSegmentSizes = array<i32: ");
      for (int i = 0; i < o.num_operands; ++i) {
        if (i) out_ += ", ";
        number(n->segments[i]);
      }
      out_ += '>';
    }
    if (any) out_ += "}>";
  }

  template <class F> void attribute(Node *n, const AttrInfo &info, const Attr &a, F &&key) {
    if (info.kind == AttrKind::none || (info.kind == AttrKind::unit && !a.integer)) return;
    key(info.name);
    if (info.kind == AttrKind::unit) return;
    out_ += " = ";
    switch (info.kind) {
    case AttrKind::i32: number(a.integer), out_ += " : i32"; break;
    case AttrKind::i64: number(a.integer), out_ += " : i64"; break;
    case AttrKind::string: quote(a.text); break;
    case AttrKind::enumeration: out_ += info.prefix, out_ += info.cases[a.integer], out_ += '>'; break;
    case AttrKind::constant: constant(*n->results[0].type, a.integer); break;
    case AttrKind::bool_array: clip(n); break;
    case AttrKind::i32_array:
      out_ += a.size ? "array<i32: " : "array<i32";
      for (uint32_t k = 0; k < a.size; ++k) {
        if (k) out_ += ", ";
        number(a.data[k]);
      }
      out_ += '>';
      break;
    case AttrKind::none:
    case AttrKind::unit:
    case AttrKind::type: break;
    }
  }

  /// Per index: clipped by the view's extents unless it depends on a load.
  void clip(Node *n) {
    const int32_t rank = n->segments[1]; // of view, indices, ...
    out_ += rank ? "array<i1: " : "array<i1";
    for (int32_t i = 0; i < rank; ++i) {
      if (i) out_ += ", ";
      out_ += n->operands[1 + i]->depends_on_load ? "false" : "true";
    }
    out_ += '>';
  }

  void constant(const TypeEntry &t, int64_t bits) {
    if (t.is_tile()) out_ += "dense<";
    if (t.dtype == DType::boolean)
      out_ += bits ? "true" : "false";
    else if (is_float(t.dtype))
      floating(static_cast<uint64_t>(bits), t.dtype);
    else
      number(t.dtype == DType::u8 ? static_cast<int8_t>(bits) : bits);
    if (t.is_tile()) out_ += '>';
    if (t.is_tile() || t.dtype != DType::boolean) {
      out_ += " : ";
      out_ += t.text;
    }
  }

  /// Small whole numbers as such, all else by bits.
  void floating(uint64_t bits, DType t) {
    if (t == DType::f32 || t == DType::f64) {
      double v;
      if (t == DType::f64) {
        std::memcpy(&v, &bits, 8);
      } else {
        uint32_t b = static_cast<uint32_t>(bits);
        float f;
        std::memcpy(&f, &b, 4);
        v = f;
      }
      whole(v, bits, t);
      return;
    }
    for (int v : {0, 1, 2, -1}) // the literals that occur
      if (float_bits(v, t) == bits) return whole(v, bits, t);
    hex(bits, t);
  }
  void whole(double v, uint64_t bits, DType t) {
    const bool small = v > -1e6 && v < 1e6;
    const int64_t i = small ? static_cast<int64_t>(v) : 0;
    if (!small || static_cast<double>(i) != v || (i == 0 && bits)) return hex(bits, t);
    number(i);
    out_ += ".0";
  }
  void hex(uint64_t bits, DType t) {
    out_ += "0x";
    for (int shift = size_bytes(t) * 8 - 4; shift >= 0; shift -= 4) out_ += "0123456789ABCDEF"[bits >> shift & 15];
  }

  std::string &out_;
  std::vector<SourceLine> &lines_;
  int depth_ = 1;
  uint32_t next_value_ = 0, next_arg_ = 0;
};

std::string print(Recorder &r, std::string_view kernel_name, std::vector<SourceLine> &lines) {
  std::string out;
  out.reserve(8192);
  Printer(out, lines).kernel(r, kernel_name, r.where());
  return out;
}

} // namespace moec::rec
