// The op reference as Markdown, from the registry.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "kernels/registry.h"

namespace moec {

static std::string tolerance(const OpTensor &t) {
  if (!t.output) return "";
  return t.f32_tolerance == 0 ? "exact" : fmt::format("{:.0e}, {:.0e}", t.f32_tolerance, t.low_tolerance);
}

static std::string section(const Op &op) {
  std::string text =
      fmt::format("## {}\n\n{}.\n\n`{}`\n\n**Formula:** {}.\n\n", op.name, op.summary, signature(op), op.formula);
  text += "| tensor | shape | dtype | | tolerance | meaning |\n|---|---|---|---|---|---|\n";
  for (const OpTensor &t : op.tensors) {
    bool like = op.input(t.dtypes) != nullptr;
    text += fmt::format("| `{}` | {} | {} | {}{} | {} | {} |\n", t.name, t.shape,
                        like ? "that of `" + t.dtypes + "`" : t.dtypes, t.output ? "out" : "in",
                        t.optional ? ", optional" : "", tolerance(t), t.doc);
  }
  if (!op.parameters.empty()) text += "\n| parameter | default | values | meaning |\n|---|---|---|---|\n";
  for (const OpParameter &p : op.parameters)
    text += fmt::format("| `{}` | {} | {} | {} |\n", p.name, p.required ? "required" : p.default_value,
                        fmt::join(p.allowed, ", "), p.doc);
  return text + fmt::format("\n**Determinism, order and rounding:** {}.\n\n**Functions:** `{}`.\n\n**Kernels:** {}.\n\n"
                            "**Source:** {}.\n\n",
                            op.determinism, fmt::join(op.functions, "`, `"), fmt::join(op.kernels, ", "), op.source);
}

std::string op_reference() {
  std::string text =
      "# Op reference\n\nMade from the registry (kernels/registry.h); a test holds it fresh. Equal "
      "letters are equal sizes. Tolerances are those of "
      "`moec verify`: of f32 cases, then of bf16 and f16 cases, in the metric max |got - ref| / (|ref| "
      "+ 0.05 max |ref|). No op's bits depend on the number of warps, the order of programs, the alignment of its "
      "tensors or the rows around a row; what follows says in which order it adds, and what it rounds. "
      "Functions are those that a program calls, forward and backward: kernels/moe.h and what it includes.\n\n";
  for (const Op &op : ops()) text += fmt::format("- [{0}](#{0}): {1}\n", op.name, op.summary);
  text += "\n";
  for (const Op &op : ops()) text += section(op);
  text.pop_back();
  return text;
}

} // namespace moec
