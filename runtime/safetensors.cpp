#include "runtime/safetensors.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <set>
#include <tuple>

#include "runtime/error.h"
#include "runtime/json.h"

namespace moec {

namespace {

constexpr uint64_t kMaxHeader = 100'000'000; // as the reference implementation
constexpr int kMaxDepth = 8;                 // a well-formed header has 3 levels
constexpr const char *kRepair = "write the file again; it is damaged or not a safetensors file";

struct DtypeName {
  const char *text;
  DType dtype;
};
constexpr DtypeName dtype_names[] = {{"BOOL", boolean}, {"I8", i8},        {"U8", u8},       {"I32", i32},
                                     {"I64", i64},      {"F16", f16},      {"BF16", bf16},   {"F32", f32},
                                     {"F64", f64},      {"F8_E4M3", e4m3}, {"F8_E5M2", e5m2}};

/// Where a file's bytes come from: fills `into` from `offset`, or throws UserError.
struct Source {
  std::string asked; // "read a.safetensors"
  uint64_t bytes;
  std::function<void(uint64_t offset, void *into, size_t count)> read;

  [[noreturn]] void fail(std::string wrong, std::string todo = kRepair) const {
    throw UserError(asked, std::move(wrong), std::move(todo));
  }
};

struct Entry {
  std::string name;
  DType dtype;
  Dims shape;
  uint64_t begin, end;
};

DType entry_dtype(const Source &source, const std::string &name, const Json &value) {
  const Json *field = value.contains("dtype") ? &value["dtype"] : nullptr;
  if (!field || !field->is_string()) source.fail(fmt::format("tensor \"{}\" has no dtype", name));
  const std::string &text = field->get_ref<const std::string &>();
  for (const DtypeName &n : dtype_names)
    if (text == n.text) return n.dtype;
  bool known = text == "I16" || text == "U16" || text == "U32" || text == "U64";
  source.fail(fmt::format("tensor \"{}\" has dtype {}, which moec does not {}", name, text.substr(0, 40),
                          known ? "take" : "know"),
              "convert it to BOOL, I8, U8, I32, I64, F16, BF16, F32, F64, F8_E4M3 or F8_E5M2");
}

/// Shape and offsets, checked against each other and the file.
Entry parse_entry(const Source &source, const std::string &name, const Json &value, uint64_t data_bytes) {
  if (!value.is_object()) source.fail(fmt::format("the entry of tensor \"{}\" is not an object", name));
  Entry e{name, entry_dtype(source, name, value), {}, 0, 0};
  if (!value.contains("shape") || !value["shape"].is_array())
    source.fail(fmt::format("tensor \"{}\" has no shape", name));
  const Json &shape = value["shape"];
  if (shape.size() > static_cast<size_t>(kMaxRank))
    source.fail(fmt::format("tensor \"{}\" has {} dimensions", name, shape.size()),
                fmt::format("moec takes at most {}", kMaxRank));
  uint64_t bytes = static_cast<uint64_t>(size_bytes(e.dtype));
  bool none = false;
  for (const Json &size : shape) {
    if (!size.is_number_unsigned() || size.get<uint64_t>() > (uint64_t{1} << 62))
      source.fail(fmt::format("tensor \"{}\" has a size that is not a whole number of 0 or more", name));
    auto n = size.get<uint64_t>();
    none |= n == 0;
    if (__builtin_mul_overflow(bytes, std::max<uint64_t>(n, 1), &bytes) || bytes > (uint64_t{1} << 62))
      source.fail(fmt::format("the shape of tensor \"{}\" overflows 2^62 bytes", name));
    e.shape.push_back(static_cast<int64_t>(n));
  }
  if (none) bytes = 0;
  const Json *offsets = value.contains("data_offsets") ? &value["data_offsets"] : nullptr;
  if (!offsets || !offsets->is_array() || offsets->size() != 2 || !(*offsets)[0].is_number_unsigned() ||
      !(*offsets)[1].is_number_unsigned())
    source.fail(fmt::format("tensor \"{}\" has no pair of data_offsets", name));
  e.begin = (*offsets)[0].get<uint64_t>();
  e.end = (*offsets)[1].get<uint64_t>();
  if (e.begin > e.end || e.end > data_bytes)
    source.fail(fmt::format("tensor \"{}\" has data_offsets [{}, {}] but the file has {} bytes of data", name, e.begin,
                            e.end, data_bytes));
  if (e.end - e.begin != bytes)
    source.fail(fmt::format("tensor \"{}\" is {}{}, that is {} bytes, but its data_offsets span {}", name,
                            moec::name(e.dtype), e.shape.text(), bytes, e.end - e.begin));
  for (const auto &[key, _] : value.items())
    if (key != "dtype" && key != "shape" && key != "data_offsets")
      source.fail(fmt::format("tensor \"{}\" has the unknown field \"{}\"", name, key.substr(0, 100)));
  return e;
}

void parse_metadata(const Source &source, const Json &value, TensorFile &file) {
  if (!value.is_object()) source.fail("__metadata__ is not an object");
  for (const auto &[key, text] : value.items()) {
    if (!text.is_string()) source.fail(fmt::format("metadata \"{}\" is not a string", key.substr(0, 100)));
    file.metadata[key] = text.get<std::string>();
  }
}

/// The tensors' bytes must follow each other from 0 to the end, without gap or overlap.
void check_cover(const Source &source, std::vector<Entry> &entries, uint64_t data_bytes) {
  std::sort(entries.begin(), entries.end(), [](const Entry &a, const Entry &b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t at = 0;
  for (const Entry &e : entries) {
    if (e.begin < at) source.fail(fmt::format("tensor \"{}\" overlaps the one before it", e.name));
    if (e.begin > at) source.fail(fmt::format("there is a gap of {} bytes before tensor \"{}\"", e.begin - at, e.name));
    at = e.end;
  }
  if (at != data_bytes) source.fail(fmt::format("{} bytes after the last tensor belong to none", data_bytes - at));
}

TensorFile parse(const Source &source) {
  unsigned char prefix[8];
  if (source.bytes < sizeof prefix) source.fail(fmt::format("it has only {} bytes", source.bytes));
  source.read(0, prefix, sizeof prefix);
  uint64_t header_bytes = 0;
  for (int i = 7; i >= 0; --i) header_bytes = header_bytes << 8 | prefix[i];
  if (header_bytes > kMaxHeader || header_bytes > source.bytes - 8)
    source.fail(fmt::format("its header claims {} bytes of a file of {}", header_bytes, source.bytes));
  std::string text(header_bytes, '\0');
  source.read(8, text.data(), text.size());
  if (text.empty() || text[0] != '{') source.fail("its header does not start with '{'");

  Json header;
  std::string wrong;
  if (!parse_json(text, kMaxDepth, header, wrong)) source.fail("its header is bad: " + wrong);
  uint64_t data_bytes = source.bytes - 8 - header_bytes;
  TensorFile file;
  std::vector<Entry> entries;
  for (const auto &[name, value] : header.items()) {
    if (name == "__metadata__")
      parse_metadata(source, value, file);
    else
      entries.push_back(parse_entry(source, name, value, data_bytes));
  }
  check_cover(source, entries, data_bytes);
  for (const Entry &e : entries) {
    Tensor t = Tensor::empty(e.shape, e.dtype);
    if (e.end > e.begin) source.read(8 + header_bytes + e.begin, t.data(), e.end - e.begin);
    if (e.dtype == boolean) { // kernels rely on 0 and 1
      auto *b = static_cast<const unsigned char *>(t.data());
      for (uint64_t i = 0; i < e.end - e.begin; ++i)
        if (b[i] > 1) source.fail(fmt::format("tensor \"{}\" is BOOL but element {} is {}", e.name, i, b[i]));
    }
    file.add(e.name, std::move(t));
  }
  return file;
}

/// A file descriptor that closes itself.
struct File {
  int fd;
  ~File() {
    if (fd >= 0) ::close(fd);
  }
};

const char *safetensors_dtype(DType t) {
  for (const DtypeName &n : dtype_names)
    if (n.dtype == t) return n.text;
  return "";
}

} // namespace

bool TensorFile::contains(std::string_view name) const {
  return std::any_of(tensors.begin(), tensors.end(), [&](const auto &t) { return t.first == name; });
}
const Tensor &TensorFile::at(std::string_view name) const {
  std::string names;
  for (const auto &[have, tensor] : tensors) {
    if (have == name) return tensor;
    names += (names.empty() ? "" : ", ") + have;
  }
  throw UserError(fmt::format("take tensor \"{}\" of a file", name), "it is not in it",
                  fmt::format("it has: {}", names));
}

TensorFile read_safetensors(const std::string &path) {
  std::string asked = fmt::format("read {}", path);
  File file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat status;
  if (file.fd < 0 || ::fstat(file.fd, &status) != 0) throw UserError(asked, std::strerror(errno), "check the path");
  if (!S_ISREG(status.st_mode)) throw UserError(asked, "it is not a regular file", "check the path");
  return parse(
      {asked, static_cast<uint64_t>(status.st_size), [&](uint64_t offset, void *into, size_t count) {
         auto *p = static_cast<char *>(into);
         while (count) {
           ssize_t n = ::pread(file.fd, p, std::min<size_t>(count, size_t{1} << 30), static_cast<off_t>(offset));
           if (n < 0 && errno == EINTR) continue;
           if (n <= 0)
             throw UserError(asked, n ? std::strerror(errno) : "it became shorter while it was read", "try again");
           p += n, count -= static_cast<size_t>(n), offset += static_cast<uint64_t>(n);
         }
       }});
}

TensorFile parse_safetensors(std::span<const std::byte> file, std::string_view label) {
  return parse({fmt::format("read {}", label), file.size(), [&](uint64_t offset, void *into, size_t count) {
                  if (count) std::memcpy(into, file.data() + offset, count);
                }});
}

std::vector<std::byte> serialize_safetensors(const TensorFile &file) {
  Json header = Json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  uint64_t at = 0;
  std::set<std::string> names{"__metadata__"};
  for (const auto &[name, tensor] : file.tensors) {
    if (!names.insert(name).second)
      throw UserError("write a safetensors file", fmt::format("the name \"{}\" is reserved or appears twice", name),
                      "rename the tensor");
    if (!tensor.defined())
      throw UserError("write a safetensors file", fmt::format("tensor \"{}\" is missing", name),
                      "give one, or leave the name out");
    uint64_t bytes = static_cast<uint64_t>(tensor.numel() * size_bytes(tensor.dtype()));
    header[name] = {{"dtype", safetensors_dtype(tensor.dtype())},
                    {"shape", std::vector<int64_t>(tensor.shape().begin(), tensor.shape().end())},
                    {"data_offsets", {at, at + bytes}}};
    at += bytes;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const std::exception &) {
    throw UserError("write a safetensors file", "a name or a metadata text is not UTF-8", "use UTF-8");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::vector<std::byte> bytes(8 + text.size());
  for (int i = 0; i < 8; ++i) bytes[static_cast<size_t>(i)] = static_cast<std::byte>(uint64_t{text.size()} >> 8 * i);
  std::memcpy(bytes.data() + 8, text.data(), text.size());
  bytes.reserve(bytes.size() + at);
  for (const auto &[name, tensor] : file.tensors) {
    auto data = tensor.to_bytes();
    bytes.insert(bytes.end(), data.begin(), data.end());
  }
  return bytes;
}

void write_safetensors(const std::string &path, const TensorFile &file) {
  std::string asked = fmt::format("write {}", path);
  auto bytes = serialize_safetensors(file);
  std::string aside = fmt::format("{}.{}.tmp", path, ::getpid());
  auto fail = [&] {
    int error = errno;
    ::unlink(aside.c_str());
    throw UserError(asked, std::strerror(error), "check the directory and the space left");
  };
  {
    File out{::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)};
    if (out.fd < 0) fail();
    for (size_t done = 0; done < bytes.size();) {
      ssize_t n = ::write(out.fd, bytes.data() + done, bytes.size() - done);
      if (n < 0 && errno != EINTR) fail();
      if (n > 0) done += static_cast<size_t>(n);
    }
  }
  if (::rename(aside.c_str(), path.c_str()) != 0) fail();
}

} // namespace moec
