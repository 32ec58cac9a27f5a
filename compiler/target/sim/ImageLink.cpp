// From a relocatable ELF object in memory to one flat, position-independent image: header, locations, strings, code and
// constants, with every relocation applied. Anything that would need a dynamic linker is an error.
#include "compiler/target/sim/SimLowering.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/LEB128.h"
#include "llvm/Support/MathExtras.h"

using namespace llvm;

namespace moec::compiler::simtarget {
using namespace moec::sim;
namespace {

class ImageLinker {
public:
  ImageLinker(StringRef object, const SimModuleInfo &info, const SimTargetOptions &options)
      : object(object), info(info), options(options) {}

  Expected<SimImage> run() {
    auto file = object::ObjectFile::createELFObjectFile(MemoryBufferRef(object, "kernel.o"));
    if (!file) return file.takeError();
    elf = cast<object::ELFObjectFileBase>(file->get());
    writeTables();
    if (Error error = layOut()) return error;
    if (Error error = relocate()) return error;
    return finish();
  }

private:
  void writeTables();
  Error layOut();
  Error relocate();
  Error relocateOne(uint64_t place, const object::RelocationRef &relocation);
  Expected<uint64_t> addressOf(const object::SymbolRef &symbol);
  Expected<SimImage> finish();
  uint32_t largestFrame();

  void align(size_t to) { image.resize(alignTo(image.size(), to)); }
  size_t append(const void *data, size_t size) {
    size_t at = image.size();
    const char *bytes = static_cast<const char *>(data);
    image.insert(image.end(), bytes, bytes + size);
    return at;
  }

  StringRef object;
  const SimModuleInfo &info;
  const SimTargetOptions &options;
  const object::ELFObjectFileBase *elf = nullptr;
  SimImageHeader header{};
  std::vector<char> image;
  DenseMap<uint64_t, uint64_t> placeOf; ///< section index -> offset in the image
};

void ImageLinker::writeTables() {
  image.resize(sizeof(SimImageHeader));
  std::string strings(1, '\0');
  StringMap<uint32_t> offsets;
  auto intern = [&](StringRef text) {
    auto [it, inserted] = offsets.try_emplace(text, strings.size());
    if (inserted) strings.append(text.data(), text.size()).push_back('\0');
    return it->second;
  };
  std::vector<SimLocation> locations;
  for (const LocationTable::Entry &entry : info.locations.entries())
    locations.push_back({intern(entry.file), entry.line, entry.column});
  header.kernel_name = intern(info.kernel);
  header.num_locations = locations.size();
  header.locations = append(locations.data(), locations.size() * sizeof(SimLocation));
  header.string_bytes = strings.size();
  header.strings = append(strings.data(), strings.size());
}

Error ImageLinker::layOut() {
  for (const object::SectionRef &section : elf->sections()) {
    object::ELFSectionRef ref(section);
    if (!(ref.getFlags() & ELF::SHF_ALLOC) || section.getSize() == 0) continue;
    auto name = section.getName();
    if (!name) return name.takeError();
    if (name->starts_with(".eh_frame")) continue; // nothing unwinds through kernels
    if (ref.getFlags() & ELF::SHF_TLS) return createStringError("thread-local data in a kernel");
    // .data.rel.ro holds constants with relocations, which the image's own addresses resolve.
    if ((ref.getFlags() & ELF::SHF_WRITE) && !name->starts_with(".data.rel.ro"))
      return createStringError("writable data in a kernel: section " + *name);
    align(std::max<uint64_t>(16, section.getAlignment().value()));
    auto contents = section.getContents();
    if (!contents) return contents.takeError();
    placeOf[section.getIndex()] = append(contents->data(), contents->size());
  }
  return Error::success();
}

Expected<uint64_t> ImageLinker::addressOf(const object::SymbolRef &symbol) {
  auto section = symbol.getSection();
  if (!section) return section.takeError();
  auto name = symbol.getName();
  if (!name) return name.takeError();
  if (*section == elf->section_end())
    return createStringError("the kernel calls the undefined function '" + *name + "'");
  auto it = placeOf.find((*section)->getIndex());
  if (it == placeOf.end())
    return createStringError("the kernel refers to '" + *name + "' in a section that is not loaded");
  auto value = symbol.getValue();
  if (!value) return value.takeError();
  return it->second + *value;
}

Error ImageLinker::relocateOne(uint64_t place, const object::RelocationRef &relocation) {
  auto target = addressOf(*relocation.getSymbol());
  if (!target) return target.takeError();
  int64_t addend = cantFail(object::ELFRelocationRef(relocation).getAddend());
  int64_t relative = static_cast<int64_t>(*target) + addend - static_cast<int64_t>(place);
  char *at = image.data() + place;
  switch (relocation.getType()) {
  case ELF::R_X86_64_PC32:
  case ELF::R_X86_64_PLT32: support::endian::write32le(at, static_cast<uint32_t>(relative)); break;
  case ELF::R_X86_64_PC64: support::endian::write64le(at, relative); break;
  case ELF::R_X86_64_GOTPCRELX:
  case ELF::R_X86_64_REX_GOTPCRELX:
    // mov symbol@GOTPCREL(%rip), reg: the address is known relative to here, so it becomes lea symbol(%rip), reg.
    if (static_cast<uint8_t>(at[-2]) != 0x8b) return createStringError("a reference through the GOT that is not a mov");
    at[-2] = static_cast<char>(0x8d);
    support::endian::write32le(at, static_cast<uint32_t>(relative));
    break;
  default: {
    SmallString<32> name;
    relocation.getTypeName(name);
    return createStringError("the kernel needs the relocation " + name + ", which is not position-independent");
  }
  }
  return Error::success();
}

Error ImageLinker::relocate() {
  for (const object::SectionRef &section : elf->sections()) {
    auto target = section.getRelocatedSection();
    if (!target) return target.takeError();
    if (*target == elf->section_end()) continue;
    auto it = placeOf.find((*target)->getIndex());
    if (it == placeOf.end()) continue;
    for (const object::RelocationRef &relocation : section.relocations())
      if (Error error = relocateOne(it->second + relocation.getOffset(), relocation)) return error;
  }
  return Error::success();
}

/// The largest stack frame, from the .stack_sizes section: per function its address (8 bytes) and size (ULEB128).
uint32_t ImageLinker::largestFrame() {
  uint64_t largest = 0;
  for (const object::SectionRef &section : elf->sections()) {
    if (cantFail(section.getName()) != ".stack_sizes") continue;
    auto contents = cantFail(section.getContents());
    const auto *p = contents.bytes_begin(), *end = contents.bytes_end();
    while (p + 8 < end) {
      unsigned length = 0;
      largest = std::max<uint64_t>(largest, decodeULEB128(p + 8, &length, end));
      p += 8 + length;
    }
  }
  return static_cast<uint32_t>(largest);
}

Expected<SimImage> ImageLinker::finish() {
  std::optional<uint64_t> entry;
  for (const object::SymbolRef &symbol : elf->symbols()) {
    auto name = symbol.getName();
    if (!name) return name.takeError();
    if (*name != "moec_sim_entry") continue;
    auto address = addressOf(symbol);
    if (!address) return address.takeError();
    entry = *address;
  }
  if (!entry) return createStringError("the object has no entry");
  align(16);
  header.magic = kSimMagic;
  header.version = kSimAbiVersion;
  header.header_bytes = sizeof(SimImageHeader);
  header.flags = options.checked ? kImageChecked : 0;
  header.level = options.level == "v4" ? kLevelV4 : options.level == "v3" ? kLevelV3 : kLevelV2;
  header.exchange_slots = info.exchangeSlots;
  header.stack_bytes = largestFrame();
  header.threads = info.threads;
  header.total_bytes = image.size();
  header.entry = *entry;
  memcpy(image.data(), &header, sizeof header);
  SimImage result;
  result.bytes = std::move(image);
  result.entryOffset = *entry;
  result.kernel = info.kernel;
  return result;
}

} // namespace

Expected<SimImage> linkImage(StringRef object, const SimModuleInfo &info, const SimTargetOptions &options) {
  return ImageLinker(object, info, options).run();
}

} // namespace moec::compiler::simtarget
