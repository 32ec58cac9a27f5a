#include "compiler/target/nvptx/Resources.h"

#include "llvm/Object/ELFTypes.h"
#include "llvm/Support/Endian.h"
#include <algorithm>
#include <optional>
#include <vector>

using namespace llvm;
using support::endian::read16le;
using support::endian::read32le;

namespace moec::compiler {

namespace {

// Attributes in .nv.info and .nv.info.<kernel>; layout: u8 format, u8 attribute, then u16 value or size.
constexpr uint8_t kFormatSized = 4;
constexpr uint8_t kFrameSize = 0x11;     // u32 symbol, u32 bytes
constexpr uint8_t kMinStackSize = 0x12;  // u32 symbol, u32 bytes
constexpr uint8_t kRegisterCount = 0x2f; // u32 symbol, u32 registers
constexpr uint8_t kNumBarriers = 0x4c;   // u16 value

// From sm_90 on the system keeps the first KiB of shared memory, and the section's size counts it.
constexpr int kReservedShared = 1024;

struct Section {
  StringRef name;
  uint32_t type = 0, info = 0;
  uint64_t size = 0;
  StringRef bytes; ///< empty for NOBITS
};

using Ehdr = object::ELF64LE::Ehdr;
using Shdr = object::ELF64LE::Shdr;
using Sym = object::ELF64LE::Sym;

std::optional<StringRef> slice(StringRef file, uint64_t offset, uint64_t size) {
  if (offset > file.size() || size > file.size() - offset) return std::nullopt;
  return file.substr(offset, size);
}

StringRef nameAt(StringRef table, uint64_t offset) {
  return offset < table.size() ? table.drop_front(offset).take_until([](char c) { return c == '\0'; }) : StringRef();
}

Expected<std::vector<Section>> readSections(StringRef file) {
  auto bad = [](const char *what) { return createStringError("not a cubin: %s", what); };
  if (file.size() < sizeof(Ehdr) || !file.starts_with("\x7f"
                                                      "ELF"))
    return bad("no ELF header");
  auto *header = reinterpret_cast<const Ehdr *>(file.data());
  auto table = slice(file, header->e_shoff, uint64_t(header->e_shnum) * sizeof(Shdr));
  if (!table || header->e_shentsize != sizeof(Shdr) || header->e_shstrndx >= header->e_shnum)
    return bad("section table out of range");
  auto *headers = reinterpret_cast<const Shdr *>(table->data());
  auto names = slice(file, headers[header->e_shstrndx].sh_offset, headers[header->e_shstrndx].sh_size);
  if (!names) return bad("section names out of range");
  std::vector<Section> sections;
  for (unsigned i = 0; i < header->e_shnum; ++i) {
    const Shdr &h = headers[i];
    StringRef bytes;
    if (h.sh_type != ELF::SHT_NOBITS && h.sh_type != ELF::SHT_NULL) {
      auto content = slice(file, h.sh_offset, h.sh_size);
      if (!content) return bad("section out of range");
      bytes = *content;
    }
    sections.push_back({nameAt(*names, h.sh_name), h.sh_type, h.sh_info, h.sh_size, bytes});
  }
  return sections;
}

const Section *find(const std::vector<Section> &sections, StringRef name) {
  auto it = std::find_if(sections.begin(), sections.end(), [&](const Section &s) { return s.name == name; });
  return it == sections.end() ? nullptr : &*it;
}

/// Calls visit(attribute, value or payload's first word, payload) for every attribute.
template <typename Visit> void forEachAttribute(StringRef info, Visit visit) {
  while (info.size() >= 4) {
    uint8_t format = info[0], attribute = info[1];
    uint16_t value = read16le(info.data() + 2);
    info = info.drop_front(4);
    StringRef payload;
    if (format == kFormatSized) {
      payload = info.take_front(value);
      info = info.drop_front(std::min<size_t>(value, info.size()));
    }
    visit(attribute, value, payload);
  }
}

/// The numbers before every " bytes spill stores" and " bytes spill loads", added up.
int spilledBytes(StringRef statistics) {
  int bytes = 0;
  for (StringRef phrase : {" bytes spill stores", " bytes spill loads"})
    for (size_t at = statistics.find(phrase); at != StringRef::npos; at = statistics.find(phrase, at + 1)) {
      StringRef digits = statistics.take_front(at).rsplit(' ').second;
      int number = 0;
      if (!digits.getAsInteger(10, number)) bytes += number;
    }
  return bytes;
}

} // namespace

Expected<KernelResources> readResources(StringRef cubin, StringRef statistics) {
  Expected<std::vector<Section>> sections = readSections(cubin);
  if (!sections) return sections.takeError();
  KernelResources found;
  // Only kernels have a parameter bank; called functions have code and attributes too.
  constexpr StringRef parameterBank = ".nv.constant0.";
  for (const Section &s : *sections) {
    if (s.name.starts_with(".text.")) found.codeBytes += int(s.size);
    if (!s.name.starts_with(parameterBank)) continue;
    if (!found.kernel.empty()) return createStringError("the cubin has more than one kernel");
    found.kernel = s.name.drop_front(parameterBank.size()).str();
  }
  const Section *info = find(*sections, ".nv.info"), *kernelInfo = find(*sections, ".nv.info." + found.kernel);
  const Section *symbols = find(*sections, ".symtab"), *strings = find(*sections, ".strtab");
  if (found.kernel.empty() || !info || !kernelInfo || !symbols || !strings)
    return createStringError("the cubin has no kernel");

  auto isKernel = [&](uint32_t symbol) {
    if ((uint64_t(symbol) + 1) * sizeof(Sym) > symbols->bytes.size()) return false;
    auto *s = reinterpret_cast<const Sym *>(symbols->bytes.data()) + symbol;
    return nameAt(strings->bytes, s->st_name) == found.kernel;
  };
  int frame = 0, stack = 0;
  forEachAttribute(info->bytes, [&](uint8_t attribute, uint16_t, StringRef payload) {
    if (payload.size() < 8 || !isKernel(read32le(payload.data()))) return;
    int value = int(read32le(payload.data() + 4));
    if (attribute == kRegisterCount) found.registers = value;
    if (attribute == kFrameSize) frame = value;
    if (attribute == kMinStackSize) stack = value;
  });
  forEachAttribute(kernelInfo->bytes, [&](uint8_t attribute, uint16_t value, StringRef) {
    if (attribute == kNumBarriers) found.barriers = value;
  });
  found.stackBytes = std::max(frame, stack);
  found.spillBytes = spilledBytes(statistics);
  if (const Section *shared = find(*sections, ".nv.shared." + found.kernel)) {
    uint32_t flags = reinterpret_cast<const Ehdr *>(cubin.data())->e_flags;
    int capability = int(flags >> 8 & 0xff); // ABI 8, CUDA 12.8 and later
    if (capability == 0) capability = int(flags & 0xff);
    found.sharedBytes = int(shared->size) - (capability >= 90 && shared->size >= kReservedShared ? kReservedShared : 0);
  }
  return found;
}

} // namespace moec::compiler
