#include "compiler/Source.h"

#include "compiler/Register.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"

using namespace mlir;

namespace moec::compiler {

MLIRContext &threadContext() {
  thread_local std::unique_ptr<MLIRContext> context = [] {
    DialectRegistry registry;
    registerDialects(registry);
    registerBuiltinDialectTranslation(registry);
    registerLLVMDialectTranslation(registry);
    registerNVVMDialectTranslation(registry);
    auto made = std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
    made->loadAllAvailableDialects();
    return made;
  }();
  return *context;
}

FileLineColLoc fileLocation(Location loc) {
  FileLineColLoc found;
  loc->walk([&](Location inner) {
    found = dyn_cast<FileLineColLoc>(inner);
    return found ? WalkResult::interrupt() : WalkResult::advance();
  });
  return found;
}

static const char *severityName(DiagnosticSeverity severity) {
  switch (severity) {
  case DiagnosticSeverity::Note: return "note";
  case DiagnosticSeverity::Warning: return "warning";
  case DiagnosticSeverity::Remark: return "remark";
  case DiagnosticSeverity::Error: break;
  }
  return "error";
}

DiagnosticCollector::DiagnosticCollector(MLIRContext &context)
    : handler(&context, [this](Diagnostic &diagnostic) {
        add(severityName(diagnostic.getSeverity()), diagnostic.getLocation(), diagnostic.str());
        for (Diagnostic &note : diagnostic.getNotes()) {
          // "see current operation" prints the op for MLIR's developers; the location says it to authors.
          if (!StringRef(note.str()).starts_with("see current operation")) add("note", note.getLocation(), note.str());
        }
        return success();
      }) {}

void DiagnosticCollector::add(StringRef severity, Location loc, std::string message) {
  // The parser's words name an option of its own tools.
  if (StringRef(message).starts_with("operation being parsed with an unregistered dialect"))
    message = "unknown operation: no dialect of this name is registered";
  SourceDiagnostic d{severity.str(), "", 0, 0, std::move(message)};
  if (FileLineColLoc place = fileLocation(loc)) {
    d.file = place.getFilename().str();
    d.line = place.getLine();
    d.column = place.getColumn();
  }
  add(std::move(d));
}

bool DiagnosticCollector::hasErrors() const {
  return llvm::any_of(list, [](const SourceDiagnostic &d) { return d.severity == "error"; });
}

std::string DiagnosticCollector::text() const {
  std::string out;
  llvm::raw_string_ostream os(out);
  for (const SourceDiagnostic &d : list) {
    os << d.severity << '\t' << d.file << '\t' << d.line << '\t' << d.column << '\t';
    for (char c : d.message) {
      if (c == '\n')
        os << "\\n";
      else
        os << c;
    }
    os << '\n';
  }
  return out;
}

/// The "file:line" of the lines that begin with "//! ", in order.
static SmallVector<std::pair<StringRef, unsigned>> placesIn(StringRef text) {
  constexpr StringLiteral mark = "//! ";
  SmallVector<std::pair<StringRef, unsigned>> places;
  for (StringRef rest = text.substr(text.find(("\n" + mark).str())); !rest.empty();) {
    auto [line, after] = rest.split('\n');
    rest = after;
    if (!line.consume_front(mark)) continue;
    auto [file, number] = line.rsplit(':');
    unsigned n = 0;
    number.getAsInteger(10, n);
    places.emplace_back(file, n);
  }
  return places;
}

static void setOrdinalLocations(ModuleOp module, StringRef text) {
  MLIRContext *context = module.getContext();
  StringAttr file = StringAttr::get(context, "kernel");
  SmallVector<std::pair<StringRef, unsigned>> places = placesIn(text);
  unsigned ordinal = 0;
  module->walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (op == module) return;
    unsigned n = ordinal++;
    op->setLoc(n < places.size() ? FileLineColLoc::get(context, places[n].first, places[n].second, 0)
                                 : FileLineColLoc::get(file, n, 0));
  });
}

/// What the parser must be kept from, found outside strings and comments.
struct Extremes {
  unsigned depth = 0;  ///< the deepest nesting of brackets or row of signs (each an expression inside the one before)
  uint64_t width = 0;  ///< bits of the widest integer type
  size_t widestAt = 0; ///< where that type stands
};

/// The width of the integer type whose 'i' is text[at], 0 if none is: "i32", "si8" or the end of "4x8xi32", but not a
/// name such as "%i32".
static uint64_t integerWidth(StringRef text, size_t at) {
  auto inName = [](char c) {
    return llvm::isAlnum(c) || llvm::is_contained({'_', '$', '.', '-', '%', '@', '#', '!', '^'}, c);
  };
  StringRef before = text.take_front(at), digits = text.substr(at + 1).take_while(llvm::isDigit);
  if (before.ends_with("s") || before.ends_with("u")) before = before.drop_back();
  bool element = before.consume_back("x") && !before.empty() &&
                 (llvm::isDigit(before.back()) || before.ends_with("?") || before.ends_with("]"));
  if (digits.empty() || (!element && !before.empty() && inName(before.back()))) return 0;
  uint64_t width = 0;
  return digits.getAsInteger(10, width) ? std::numeric_limits<uint64_t>::max() : width;
}

/// '>' of "->" closes nothing, and neither does one too many.
static Extremes extremesOf(StringRef text) {
  Extremes found;
  unsigned depth = 0, signs = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '-')
      found.depth = std::max(found.depth, ++signs);
    else if (!llvm::isSpace(c))
      signs = 0;
    switch (c) {
    case '(':
    case '[':
    case '{':
    case '<': found.depth = std::max(found.depth, ++depth); break;
    case ')':
    case ']':
    case '}': depth -= depth > 0; break;
    case '>': depth -= depth > 0 && i > 0 && text[i - 1] != '-'; break;
    case 'i':
      if (uint64_t width = integerWidth(text, i); width > found.width) found.width = width, found.widestAt = i;
      break;
    case '"':
      for (++i; i < text.size() && text[i] != '"' && text[i] != '\n'; ++i) i += text[i] == '\\';
      break;
    case '/':
      if (text.substr(i).starts_with("//")) i = std::min(text.find('\n', i), text.size());
      break;
    default: break;
    }
  }
  return found;
}

/// The parser descends recursively: text from anywhere must not exhaust its stack.
static constexpr unsigned maxNesting = 256;
/// MLIR takes integers of 2^24 bits, and code generators split such one by one into registers, for hours.
static constexpr uint64_t maxIntegerWidth = 128;

OwningOpRef<ModuleOp> parseSource(MLIRContext &context, StringRef text, bool ordinal, DiagnosticCollector &collector,
                                  StringRef name) {
  // The lexer reads one byte past the end, and the caller's text need not end in NUL.
  std::string terminated = text.str();
  Extremes extremes = extremesOf(terminated);
  if (extremes.depth > maxNesting) {
    collector.add(
        {"error", name.str(), 1, 0, "the text is nested deeper than " + std::to_string(maxNesting) + " levels"});
    return nullptr;
  }
  if (extremes.width > maxIntegerWidth) {
    auto line = static_cast<unsigned>(1 + StringRef(terminated).take_front(extremes.widestAt).count('\n'));
    collector.add({"error", name.str(), line, 0,
                   "an integer type of " + std::to_string(extremes.width) + " bits; the widest has " +
                       std::to_string(maxIntegerWidth)});
    return nullptr;
  }
  OwningOpRef<ModuleOp> module =
      parseSourceString<ModuleOp>(terminated, ParserConfig(&context, /*verifyAfterParse=*/false), name);
  if (!module) {
    if (!collector.hasErrors()) collector.add({"error", name.str(), 1, 0, "the text is not a module"});
    return nullptr;
  }
  if (ordinal) setOrdinalLocations(*module, terminated);
  if (failed(verify(*module))) return nullptr;
  return module;
}

} // namespace moec::compiler
