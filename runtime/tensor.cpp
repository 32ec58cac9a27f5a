#include "runtime/tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>
#include <functional>
#include <limits>
#include <new>
#include <utility>

#include "runtime/backend.h"
#include "runtime/capture.h"
#include "runtime/convert.h"
#include "runtime/error.h"

namespace moec {

namespace {

constexpr size_t kAlignment = 256;

/// Product of the sizes. Throws UserError if it is of no dtype, a size is negative or the bytes do not fit in 62 bits
/// (row-major strides then fit, too). `asked()`: for the error, made only then.
template <typename Asked> int64_t checked_numel(const Dims &shape, DType dtype, const Asked &asked) {
  int64_t count = 1, room = size_bytes(dtype);
  if (room == 0) throw UserError(asked(), "it is of no dtype", "give one of DType");
  for (int64_t size : shape) {
    if (size < 0) throw UserError(asked(), fmt::format("size {} is negative", size), "sizes are 0 or more");
    count *= size != 0 ? 1 : 0;
    if (__builtin_mul_overflow(room, std::max<int64_t>(size, 1), &room) || room > (int64_t{1} << 62))
      throw UserError(asked(), "it takes more than 2^62 bytes", "make the shape smaller");
  }
  return count ? room / size_bytes(dtype) : 0;
}

std::string type_text(const Dims &shape, DType dtype) { return fmt::format("{}{}", name(dtype), shape.text()); }

/// Memory with its way back. What is let go while this thread captures goes back with the graph, whose work may use it;
/// and a captured stream frees only what the capture allocated.
std::shared_ptr<void> owned(void *memory, std::function<void(void *)> give_back) {
  return std::shared_ptr<void>(memory, [give_back = std::move(give_back)](void *p) {
    if (Capture *c = Capture::current())
      c->memory.push_back(owned(p, give_back));
    else
      give_back(p);
  });
}

/// Calls f(offset_a, offset_b) for every element in row-major order; offsets in elements.
template <typename F>
void for_each_element(const Dims &shape, const Dims &a, const Dims &b, F &&f, int dim = 0, int64_t at_a = 0,
                      int64_t at_b = 0) {
  if (dim == shape.rank()) return f(at_a, at_b);
  for (int64_t i = 0; i < shape[dim]; ++i)
    for_each_element(shape, a, b, f, dim + 1, at_a + i * a[dim], at_b + i * b[dim]);
}

void copy_elements(void *to, const Dims &to_strides, const void *from, const Dims &from_strides, const Dims &shape,
                   int width) {
  auto *out = static_cast<std::byte *>(to);
  auto *in = static_cast<const std::byte *>(from);
  for_each_element(shape, to_strides, from_strides, [&](int64_t o, int64_t i) {
    std::memcpy(out + o * width, in + i * width, static_cast<size_t>(width));
  });
}

} // namespace

// -- Dims

Dims::Dims(std::span<const int64_t> values) {
  for (int64_t value : values) push_back(value);
}
void Dims::push_back(int64_t value) {
  if (rank_ == kMaxRank)
    throw UserError("make a shape", fmt::format("it has more than {} dimensions", kMaxRank), "merge some");
  values_[static_cast<size_t>(rank_++)] = value;
}
bool Dims::operator==(const Dims &other) const { return std::equal(begin(), end(), other.begin(), other.end()); }
std::string Dims::text() const { return fmt::format("[{}]", fmt::join(begin(), end(), ", ")); }

// -- making one

Tensor Tensor::empty(const Dims &shape, DType dtype, Device device) { return made(shape, dtype, device, nullptr); }
Tensor Tensor::empty(const Dims &shape, DType dtype, const Stream &stream) {
  return made(shape, dtype, stream.device(), &stream);
}

Tensor Tensor::made(const Dims &shape, DType dtype, Device device, const Stream *stream) {
  Tensor t;
  t.shape_ = shape;
  t.dtype_ = dtype;
  t.device_ = device;
  t.defined_ = true;
  auto asked = [&] { return fmt::format("make {} on {}", type_text(shape, dtype), device.name()); };
  int64_t bytes = checked_numel(shape, dtype, asked) * size_bytes(dtype);
  t.strides_ = row_major(shape);
  if (bytes == 0) return t;
  if (device.is_cuda()) {
    Backend *backend = &device.backend();
    const auto size = static_cast<size_t>(bytes);
    if (stream && !Capture::current()) // a graph's memory must outlive the stream's order
      t.owner_ = owned(backend->allocate_on(size, stream->native()),
                       [backend, s = *stream](void *p) { backend->free_on(p, s.native()); });
    else
      t.owner_ = owned(backend->allocate(size), [backend](void *p) { backend->free(p); });
  } else {
    bool hopeless = bytes > (int64_t{1} << 47); // beyond x86-64's address space
    void *p =
        hopeless ? nullptr : ::operator new(static_cast<size_t>(bytes), std::align_val_t(kAlignment), std::nothrow);
    if (!p) throw DeviceError(asked(), fmt::format("the host has no {} bytes left", bytes), "use a smaller tensor");
    t.owner_ = owned(p, [](void *q) { ::operator delete(q, std::align_val_t(kAlignment)); });
  }
  t.data_ = t.owner_.get();
  if (Capture *c = Capture::current()) c->memory.push_back(t.owner_);
  return t;
}

Tensor Tensor::zeros(const Dims &shape, DType dtype, const Stream &stream) {
  Tensor t = empty(shape, dtype, stream);
  stream.fill(t.data_, 0, static_cast<size_t>(t.extent_bytes()));
  return t;
}

Tensor Tensor::zeros(const Dims &shape, DType dtype, Device device) {
  if (Capture *c = Capture::current(); c && c->stream.device() == device) return zeros(shape, dtype, c->stream);
  Tensor t = empty(shape, dtype, device);
  if (size_t bytes = static_cast<size_t>(t.extent_bytes())) {
    if (device.host_memory()) {
      std::memset(t.data_, 0, bytes);
    } else {
      Stream stream(device);
      stream.fill(t.data_, 0, bytes);
      stream.synchronize();
    }
  }
  return t;
}

Tensor Tensor::from_bytes(const void *values, size_t count, DType dtype, const Dims &shape, Device device) {
  auto asked = [&] { return fmt::format("make {} from {} values", type_text(shape, dtype), count); };
  if (int64_t elements = checked_numel(shape, dtype, asked); elements != static_cast<int64_t>(count))
    throw UserError(asked(), fmt::format("the shape has {} elements", elements), "pass as many values");
  Tensor host = empty(shape, dtype);
  if (count) std::memcpy(host.data_, values, count * static_cast<size_t>(size_bytes(dtype)));
  host.device_ = device.host_memory() ? device : Device::host();
  if (device.host_memory() || !count) return device.host_memory() ? host : empty(shape, dtype, device);
  Tensor t = empty(shape, dtype, device);
  // Not the captured stream: a constant is uploaded once; nor the default stream, which a captured one may wait for.
  const Stream stream = Capture::current() ? Stream::create(device) : Stream(device);
  Backend &backend = device.backend();
  backend.copy(t.data_, false, host.data_, true, static_cast<size_t>(host.extent_bytes()), stream.native());
  backend.synchronize(stream.native());
  return t;
}

Tensor Tensor::from_values(std::span<const double> values, const Dims &shape, DType dtype, Device device) {
  std::vector<std::byte> bytes(values.size() * static_cast<size_t>(size_bytes(dtype)));
  for (size_t i = 0; i < values.size(); ++i)
    store_element(dtype, bytes.data() + i * static_cast<size_t>(size_bytes(dtype)), values[i]);
  return from_bytes(bytes.data(), values.size(), dtype, shape, device);
}

Tensor Tensor::lend(void *data, const Dims &shape, DType dtype, Device device, const Dims &strides,
                    std::function<void()> release) {
  auto asked = [&] { return fmt::format("lend memory as {} on {}", type_text(shape, dtype), device.name()); };
  int64_t count = checked_numel(shape, dtype, asked);
  if (!strides.empty() && strides.rank() != shape.rank())
    throw UserError(asked(), fmt::format("there are {} strides for {} dimensions", strides.rank(), shape.rank()),
                    "pass one stride, in elements, per dimension");
  if (count && !data) throw UserError(asked(), "the pointer is null", "pass memory for all elements");
  if (reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(size_bytes(dtype)))
    throw UserError(asked(), fmt::format("the pointer is not a multiple of {} bytes", size_bytes(dtype)),
                    "pass memory that is aligned to its elements");
  Tensor t;
  t.shape_ = shape;
  t.strides_ = strides.empty() ? row_major(shape) : strides;
  int64_t last = 0;
  for (int i = 0; i < shape.rank(); ++i) {
    int64_t step = 0;
    if (t.strides_[i] < 0)
      throw UserError(asked(), fmt::format("stride {} is negative", t.strides_[i]), "flip the tensor by a copy");
    if (count && (__builtin_mul_overflow(t.strides_[i], shape[i] - 1, &step) ||
                  __builtin_add_overflow(last, step, &last) || last > (int64_t{1} << 59)))
      throw UserError(asked(), "its last element lies beyond 2^62 bytes", "check the strides; they are in elements");
  }
  t.dtype_ = dtype;
  t.device_ = device;
  t.defined_ = true;
  t.data_ = data;
  if (release) t.owner_ = std::shared_ptr<void>(static_cast<void *>(nullptr), [release](void *) { release(); });
  return t;
}

Tensor &Tensor::operator=(Tensor &&other) noexcept {
  if (this == &other) return *this;
  owner_ = std::move(other.owner_);
  data_ = std::exchange(other.data_, nullptr);
  shape_ = std::exchange(other.shape_, {});
  strides_ = std::exchange(other.strides_, {});
  dtype_ = std::exchange(other.dtype_, DType::f32);
  device_ = std::exchange(other.device_, {});
  defined_ = std::exchange(other.defined_, false);
  return *this;
}

// -- what it is

int Tensor::checked_dim(int dim, const char *what) const {
  int d = dim < 0 ? dim + rank() : dim;
  if (d < 0 || d >= rank())
    throw UserError(fmt::format("{} of dimension {} of {}", what, dim, text()),
                    fmt::format("it has {} dimensions", rank()), "count from 0, or from -1 at the end");
  return d;
}
int64_t Tensor::size(int dim) const { return shape_[checked_dim(dim, "size")]; }
int64_t Tensor::stride(int dim) const { return strides_[checked_dim(dim, "stride")]; }
int64_t Tensor::numel() const {
  int64_t count = defined_ ? 1 : 0;
  for (int64_t size : shape_) count *= size;
  return count;
}
Dims row_major(const Dims &shape) {
  Dims strides = shape;
  int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[i] = step;
    step *= std::max<int64_t>(shape[i], 1);
  }
  return strides;
}

bool Tensor::is_contiguous() const {
  if (numel() == 0) return true;
  int64_t step = 1;
  for (int i = rank() - 1; i >= 0; --i) {
    if (shape_[i] != 1 && strides_[i] != step) return false;
    step *= shape_[i];
  }
  return true;
}
int64_t Tensor::extent_bytes() const {
  if (numel() == 0) return 0;
  int64_t last = 0;
  for (int i = 0; i < rank(); ++i) last += (shape_[i] - 1) * strides_[i];
  return (last + 1) * size_bytes(dtype_);
}
std::string Tensor::text() const {
  if (!defined_) return "no tensor";
  return fmt::format("{} on {}", type_text(shape_, dtype_), device_.name());
}
void *Tensor::checked_data(DType expected) const {
  if (dtype_ != expected)
    throw UserError(fmt::format("read {} as {}", text(), name(expected)), "it has another dtype", "ask for its own");
  if (!device_.host_memory())
    throw UserError(fmt::format("read {} on the host", text()), "its memory is the device's",
                    "copy it with to(Device::host())");
  return data_;
}

// -- views

Tensor Tensor::slice(int dim, int64_t begin, int64_t end, int64_t step) const {
  int d = checked_dim(dim, "slice");
  if (begin < 0 || begin > end || end > shape_[d] || step < 1)
    throw UserError(fmt::format("slice [{}, {}) step {} of dimension {} of {}", begin, end, step, dim, text()),
                    fmt::format("that is not within 0..{}", shape_[d]), "pass 0 <= begin <= end <= size and step >= 1");
  Tensor t = *this;
  t.shape_[d] = begin == end ? 0 : (end - begin - 1) / step + 1;
  if (t.shape_[d] > 0 && data_) t.data_ = static_cast<std::byte *>(data_) + begin * strides_[d] * size_bytes(dtype_);
  t.strides_[d] = t.shape_[d] > 1 ? strides_[d] * step : strides_[d];
  return t;
}
Tensor Tensor::select(int dim, int64_t index) const {
  int d = checked_dim(dim, "select");
  if (index < 0 || index >= shape_[d])
    throw UserError(fmt::format("select element {} of dimension {} of {}", index, dim, text()),
                    "there is no such element", fmt::format("pass 0 to {}", shape_[d] - 1));
  Tensor t = slice(d, index, index + 1);
  Dims shape, strides;
  for (int i = 0; i < rank(); ++i)
    if (i != d) shape.push_back(shape_[i]), strides.push_back(strides_[i]);
  t.shape_ = shape;
  t.strides_ = strides;
  return t;
}
Tensor Tensor::transpose(int a, int b) const {
  int i = checked_dim(a, "transpose"), j = checked_dim(b, "transpose");
  Tensor t = *this;
  std::swap(t.shape_[i], t.shape_[j]);
  std::swap(t.strides_[i], t.strides_[j]);
  return t;
}
Tensor Tensor::expand(const Dims &shape) const {
  auto fail = [&](std::string wrong) {
    return UserError(fmt::format("expand {} to {}", text(), shape.text()), std::move(wrong),
                     "only sizes of 1 can be repeated");
  };
  if (shape.rank() != rank()) throw fail(fmt::format("that has {} dimensions", shape.rank()));
  Tensor t = *this;
  for (int i = 0; i < rank(); ++i) {
    if (shape[i] == shape_[i]) continue;
    if (shape_[i] != 1 || shape[i] < 0) throw fail(fmt::format("dimension {} is {}", i, shape_[i]));
    t.shape_[i] = shape[i];
    t.strides_[i] = 0;
  }
  checked_numel(shape, dtype_, [&] { return fmt::format("expand {} to {}", text(), shape.text()); });
  return t;
}
Tensor Tensor::bitcast(DType dtype) const {
  if (size_bytes(dtype) != size_bytes(dtype_))
    throw UserError(fmt::format("see {} as {}", text(), name(dtype)), "its elements have another width",
                    "convert them instead");
  Tensor t = *this;
  t.dtype_ = dtype;
  return t;
}

namespace {

/// Strides with which memory of `shape`/`strides` reads as `wanted` in row-major order, or false: each run of merged
/// old dimensions must be walked with one stride.
bool merged_strides(const Dims &shape, const Dims &strides, const Dims &wanted, Dims &out) {
  out = wanted;
  int w = wanted.rank() - 1;
  for (int d = shape.rank() - 1; d >= 0;) {
    int64_t run = 1, step = 0;
    bool started = false;
    for (; d >= 0; --d) { // a run of old dimensions that continue each other
      if (shape[d] == 1) continue;
      if (!started)
        step = strides[d], started = true;
      else if (strides[d] != step * run)
        break;
      run *= shape[d];
    }
    if (!started) break;
    int64_t done = 1;
    for (; w >= 0 && (done < run || wanted[w] == 1); --w) {
      out[w] = step * done;
      done *= wanted[w];
    }
    if (done != run) return false;
  }
  for (; w >= 0; --w) out[w] = 1; // only sizes of 1 are left
  return true;
}

} // namespace

Tensor Tensor::reshape(const Dims &asked_shape) const {
  auto asked = [&] { return fmt::format("reshape {} to {}", text(), asked_shape.text()); };
  Dims shape = asked_shape;
  int open = -1;
  int64_t known = 1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == -1 && open < 0)
      open = i;
    else if (shape[i] < 0)
      throw UserError(asked(), fmt::format("size {} is negative", shape[i]), "one size may be -1");
    else if (__builtin_mul_overflow(known, shape[i], &known))
      throw UserError(asked(), "it has too many elements", "the number of elements must stay");
  }
  if (open >= 0) {
    if (known == 0 || numel() % known)
      throw UserError(asked(), fmt::format("{} elements do not divide by {}", numel(), known), "give every size");
    shape[open] = numel() / known;
    known *= shape[open];
  }
  if (known != numel())
    throw UserError(asked(), fmt::format("{} elements are not {}", numel(), known), "the number of elements must stay");
  Tensor t = *this;
  t.shape_ = shape;
  if (is_contiguous())
    t.strides_ = row_major(shape);
  else if (!merged_strides(shape_, strides_, shape, t.strides_))
    throw UserError(asked(), fmt::format("strides {} do not allow it without a copy", strides_.text()),
                    "call contiguous() first");
  return t;
}

// -- copies

Tensor Tensor::to(Device device) const {
  Tensor t = empty(shape_, dtype_, device);
  t.copy_from(*this);
  return t;
}
Tensor Tensor::contiguous() const { return is_contiguous() ? *this : to(device_); }

void Tensor::copy_from(const Tensor &source) const {
  if (source.shape_ != shape_ || source.dtype_ != dtype_)
    throw UserError(fmt::format("copy {} into {}", source.text(), text()), "shape or dtype differ",
                    "make them equal first");
  if (numel() == 0) return;
  Capture::refuse(fmt::format("copy {} into {}", source.text(), text()));
  auto width = static_cast<size_t>(size_bytes(dtype_));
  bool both_host = device_.host_memory() && source.device_.host_memory();
  if (is_contiguous() && source.is_contiguous()) {
    size_t bytes = static_cast<size_t>(numel()) * width;
    if (both_host) {
      std::memmove(data_, source.data_, bytes);
    } else {
      Stream stream(device_.is_cuda() ? device_ : source.device_);
      stream.copy(data_, device_, source.data_, source.device_, bytes);
      stream.synchronize();
    }
    return;
  }
  if (both_host && share_memory(*this, source)) return copy_from(source.to(Device::host()));
  if (both_host) return copy_elements(data_, strides_, source.data_, source.strides_, shape_, static_cast<int>(width));
  // Strided memory of a GPU passes through the host, its gaps included.
  auto staged = [](const Tensor &t) {
    if (t.device_.host_memory()) return t;
    Tensor whole = lend(t.data_, {t.extent_bytes()}, u8, t.device_).to(Device::host());
    Tensor s = t;
    s.owner_ = whole.owner_;
    s.data_ = whole.data_;
    s.device_ = Device::host();
    return s;
  };
  Tensor to = staged(*this), from = staged(source);
  copy_elements(to.data_, strides_, from.data_, source.strides_, shape_, static_cast<int>(width));
  if (device_.is_cuda()) lend(data_, {extent_bytes()}, u8, device_).copy_from(lend(to.data_, {extent_bytes()}, u8));
}

bool share_memory(const Tensor &a, const Tensor &b) {
  if (!a.device().can_use(b.device()) || a.numel() == 0 || b.numel() == 0) return false;
  auto begin = [](const Tensor &t) { return static_cast<const std::byte *>(t.data()); };
  return begin(a) < begin(b) + b.extent_bytes() && begin(b) < begin(a) + a.extent_bytes();
}

void Tensor::copy_out(void *values, DType expected) const {
  if (dtype_ != expected)
    throw UserError(fmt::format("read {} as {}", text(), name(expected)), "it has another dtype", "ask for its own");
  if (numel()) lend(values, shape_, dtype_).copy_from(*this);
}
std::vector<std::byte> Tensor::to_bytes() const {
  Capture::refuse(fmt::format("read {}", text()));
  std::vector<std::byte> bytes(static_cast<size_t>(numel() * size_bytes(dtype_)));
  Tensor packed = is_contiguous() && device_.host_memory() ? *this : to(Device::host());
  if (!bytes.empty()) std::memcpy(bytes.data(), packed.data_, bytes.size());
  return bytes;
}
std::vector<double> Tensor::to_values() const {
  std::vector<std::byte> bytes = to_bytes();
  std::vector<double> values(static_cast<size_t>(numel()));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = load_element(dtype_, bytes.data() + i * static_cast<size_t>(size_bytes(dtype_)));
  return values;
}

} // namespace moec
