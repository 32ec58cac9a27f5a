#include "compiler/options.h"

#include "compiler/target/sim/SimTarget.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;

namespace moec::compiler {

static constexpr StringLiteral simPrefix = "sim-x86-64-";
static constexpr StringLiteral simLevels[] = {"v2", "v3", "v4"};

std::vector<std::string> targetNames() {
  std::vector<std::string> names;
  for (const NvptxTarget &target : nvptxTargets()) names.push_back(target.name.str());
  for (StringRef level : simLevels) names.push_back((simPrefix + level).str());
  return names;
}

static Error bad(const Twine &message) { return createStringError(message); }

/// "sm_130a" gives 130; 0 if it is not of that form.
static int smNumber(StringRef name) {
  int number = 0;
  if (!name.consume_front("sm_") ||
      name.take_while([](char c) { return c >= '0' && c <= '9'; }).getAsInteger(10, number))
    return 0;
  return number;
}

static Error parseTarget(StringRef value, CompileOptions &options) {
  options.gpu = findNvptxTarget(value);
  options.simLevel.clear();
  options.targetName = value.str();
  if (options.gpu) return Error::success();
  StringRef level = value;
  if (value == "sim")
    options.simLevel = hostSimLevel().str();
  else if (level.consume_front(simPrefix) && is_contained(simLevels, level))
    options.simLevel = level.str();
  if (!options.simLevel.empty()) {
    options.targetName = simPrefix.str() + options.simLevel;
    return Error::success();
  }
  std::string known = join(targetNames(), ", ");
  const NvptxTarget &oldest = nvptxTargets().front(), &newest = nvptxTargets().back();
  int number = smNumber(value);
  if (number > newest.capability)
    return bad("target " + value + " is newer than this moec, which knows GPUs up to " + newest.name +
               "; compile for sm_120 with emit=ptx, which the driver translates for newer GPUs (targets: " + known +
               ")");
  if (number != 0 && number < oldest.capability)
    return bad("target " + value + " is too old: moec needs " + oldest.name + " or later (targets: " + known + ")");
  return bad("unknown target '" + value + "' (targets: " + known + ")");
}

static Error parseBool(StringRef key, StringRef value, bool &out) {
  if (value != "0" && value != "1") return bad("option " + key + "=" + value + ": must be 0 or 1");
  out = value == "1";
  return Error::success();
}

static Error parseInt(StringRef key, StringRef value, ArrayRef<int> allowed, int &out) {
  int number = 0;
  if (!value.getAsInteger(10, number) && is_contained(allowed, number)) {
    out = number;
    return Error::success();
  }
  std::string list = join(map_range(allowed, [](int n) { return std::to_string(n); }), ", ");
  return bad("option " + key + "=" + value + ": must be one of " + list);
}

static Error parseCapability(StringRef value, int &out) {
  std::vector<int> known;
  for (const NvptxTarget &target : nvptxTargets())
    if (!is_contained(known, target.capability)) known.push_back(target.capability);
  return parseInt("cc", value, known, out);
}

namespace {
struct Key {
  StringLiteral name;
  Error (*parse)(StringRef value, CompileOptions &options);
};
} // namespace

static const Key keys[] = {
    {"target", parseTarget},
    {"cc", [](StringRef v, CompileOptions &o) { return parseCapability(v, o.computeCapability); }},
    {"num_warps",
     [](StringRef v, CompileOptions &o) { return parseInt("num_warps", v, {1, 2, 4, 8, 16}, o.numWarps); }},
    {"num_stages",
     [](StringRef v, CompileOptions &o) { return parseInt("num_stages", v, {1, 2, 3, 4, 5, 6, 7, 8}, o.numStages); }},
    {"contract_fma", [](StringRef v, CompileOptions &o) { return parseBool("contract_fma", v, o.contractFma); }},
    {"checked", [](StringRef v, CompileOptions &o) { return parseBool("checked", v, o.checked); }},
    {"lineinfo", [](StringRef v, CompileOptions &o) { return parseBool("lineinfo", v, o.lineInfo); }},
    {"verify_each", [](StringRef v, CompileOptions &o) { return parseBool("verify_each", v, o.verifyEach); }},
    {"verbose", [](StringRef v, CompileOptions &o) { return parseBool("verbose", v, o.verbose); }},
    {"dump",
     [](StringRef v, CompileOptions &o) -> Error {
       o.dumpFolder = v.str();
       return Error::success();
     }},
    {"nvjitlink",
     [](StringRef v, CompileOptions &o) -> Error {
       o.nvJitLink = v.str();
       return Error::success();
     }},
};

static Error unknownKey(StringRef name) {
  const Key *nearest = min_element(
      keys, [&](const Key &a, const Key &b) { return name.edit_distance(a.name) < name.edit_distance(b.name); });
  std::string hint = name.edit_distance(nearest->name) <= 3 ? " Did you mean '" + nearest->name.str() + "'?" : "";
  std::string list = join(map_range(keys, [](const Key &k) { return k.name.str(); }), ", ");
  return bad("unknown option '" + name + "' (options: " + list + ")." + hint);
}

Expected<CompileOptions> parseOptions(StringRef text) {
  CompileOptions options;
  bool hasCapability = false;
  for (StringRef item : split(text, ';')) {
    item = item.trim();
    if (item.empty()) continue;
    if (!item.contains('='))
      return bad("option '" + item + "' has no value: options are written key=value, separated by ';'");
    auto [name, value] = item.split('=');
    const Key *key = find_if(keys, [&, wanted = name](const Key &k) { return k.name == wanted; });
    if (key == std::end(keys)) return unknownKey(name);
    if (Error e = key->parse(value, options)) return e;
    hasCapability |= name == "cc";
  }
  if (options.targetName.empty()) return bad("option target is missing (targets: " + join(targetNames(), ", ") + ")");
  if (options.gpu && hasCapability && options.computeCapability != options.gpu->capability)
    return bad("option cc=" + Twine(options.computeCapability) + " contradicts target=" + options.targetName +
               ": cc is for the simulated GPU only");
  if (options.gpu) options.computeCapability = options.gpu->capability;
  if (options.gpu && options.checked)
    return bad("option checked=1 is for the simulated GPU only (target=" + options.targetName + ")");
  return options;
}

} // namespace moec::compiler
