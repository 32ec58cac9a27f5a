// Tensors: shape, dtype and strides over memory that is owned or lent. Standard library only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "dsl/dtype.h"
#include "runtime/device.h"

struct DLManagedTensor; // of <dlpack/dlpack.h>, which only the caller needs

namespace moec {

/// A tensor's rank is at most this.
inline constexpr int kMaxRank = 8;

/// Sizes or strides of up to kMaxRank dimensions; no allocation.
class Dims {
public:
  constexpr Dims() = default;
  /// Throws UserError for more than kMaxRank values.
  Dims(std::initializer_list<int64_t> values) : Dims(std::span(values.begin(), values.size())) {}
  Dims(const std::vector<int64_t> &values) : Dims(std::span(values)) {}
  explicit Dims(std::span<const int64_t> values);
  int rank() const { return rank_; }
  size_t size() const { return static_cast<size_t>(rank_); }
  bool empty() const { return rank_ == 0; }
  int64_t &operator[](int i) { return values_[static_cast<size_t>(i)]; }
  int64_t operator[](int i) const { return values_[static_cast<size_t>(i)]; }
  const int64_t *begin() const { return values_.data(); }
  const int64_t *end() const { return values_.data() + rank_; }
  int64_t *begin() { return values_.data(); }
  int64_t *end() { return values_.data() + rank_; }
  void push_back(int64_t value);
  bool operator==(const Dims &other) const;
  /// "[2, 3]".
  std::string text() const;

private:
  std::array<int64_t, kMaxRank> values_{};
  int rank_ = 0;
};

/// Strides, in elements, of a tensor of this shape without gaps, the last dimension the fastest; sizes of 0 count as 1.
Dims row_major(const Dims &shape);

template <typename T> struct dtype_of;
template <> struct dtype_of<bool> {
  static constexpr DType value = DType::boolean;
};
template <> struct dtype_of<int8_t> {
  static constexpr DType value = DType::i8;
};
template <> struct dtype_of<uint8_t> {
  static constexpr DType value = DType::u8;
};
template <> struct dtype_of<int32_t> {
  static constexpr DType value = DType::i32;
};
template <> struct dtype_of<int64_t> {
  static constexpr DType value = DType::i64;
};
template <> struct dtype_of<float> {
  static constexpr DType value = DType::f32;
};
template <> struct dtype_of<double> {
  static constexpr DType value = DType::f64;
};

/// A handle: copies share memory. Strides are in elements, may be zero (broadcast) but not negative.
class Tensor {
public:
  /// No tensor: no memory, rank 0, dtype f32. defined() is false.
  Tensor() = default;
  Tensor(const Tensor &) = default;
  Tensor &operator=(const Tensor &) = default;
  /// `other` is no tensor then.
  Tensor(Tensor &&other) noexcept { *this = std::move(other); }
  Tensor &operator=(Tensor &&other) noexcept;

  // -- making one
  /// Uninitialised memory, 256-byte aligned. Throws UserError for a negative size or too many bytes, DeviceError if out
  /// of memory.
  static Tensor empty(const Dims &shape, DType dtype, Device device = Device::host());
  static Tensor zeros(const Dims &shape, DType dtype, Device device = Device::host());
  /// The same in a stream's order: memory (and zeros) for work that comes later on `stream`, without waiting. Another
  /// stream may use the tensor once it waited for this one, and must be done before the last handle is gone.
  static Tensor empty(const Dims &shape, DType dtype, const Stream &stream);
  static Tensor zeros(const Dims &shape, DType dtype, const Stream &stream);
  /// A copy of `values` in row-major order, with T's dtype. Throws UserError unless values.size() == shape's product.
  template <typename T>
  static Tensor from(std::span<const T> values, const Dims &shape, Device device = Device::host()) {
    return from_bytes(values.data(), values.size(), dtype_of<T>::value, shape, device);
  }
  template <typename T>
  static Tensor from(const std::vector<T> &values, const Dims &shape, Device device = Device::host()) {
    return from(std::span<const T>(values), shape, device);
  }
  /// `values` in row-major order, each rounded once to `dtype` (see store_element).
  static Tensor from_values(std::span<const double> values, const Dims &shape, DType dtype,
                            Device device = Device::host());
  /// Memory of the caller's, which must stay until `release` (called when the last handle is gone). `strides` in
  /// elements; empty: row-major. Throws UserError for a null pointer with elements, a misaligned pointer or a negative
  /// stride.
  static Tensor lend(void *data, const Dims &shape, DType dtype, Device device = Device::host(),
                     const Dims &strides = {}, std::function<void()> release = {});

  // -- what it is
  bool defined() const { return defined_; }
  const Dims &shape() const { return shape_; }
  const Dims &strides() const { return strides_; }
  int rank() const { return shape_.rank(); }
  /// Size of dimension `dim`; negative counts from the last. Throws UserError if there is no such dimension.
  int64_t size(int dim) const;
  int64_t stride(int dim) const;
  int64_t numel() const;
  DType dtype() const { return dtype_; }
  Device device() const { return device_; }
  bool is_contiguous() const;
  void *data() const { return data_; }
  /// Bytes from data() to the end of the last element; 0 for an empty tensor.
  int64_t extent_bytes() const;
  /// Typed pointer on the host. Throws UserError for another dtype or a device whose memory the host cannot touch.
  template <typename T> T *data_as() const { return static_cast<T *>(checked_data(dtype_of<T>::value)); }
  /// "bf16[4, 8] on cuda:0".
  std::string text() const;

  // -- other views of the same memory
  /// Elements begin, begin+step, ... below end of dimension `dim`. Throws UserError unless 0 <= begin <= end <= size,
  /// step >= 1.
  Tensor slice(int dim, int64_t begin, int64_t end, int64_t step = 1) const;
  /// Element `index` of dimension `dim`, which goes away.
  Tensor select(int dim, int64_t index) const;
  /// Same elements, row-major, in another shape (one size may be -1). Throws UserError if strides do not allow it
  /// without a copy.
  Tensor reshape(const Dims &shape) const;
  /// Dimensions `a` and `b` swapped.
  Tensor transpose(int a, int b) const;
  /// Dimensions of size 1 repeated (stride 0) up to `shape`. Throws UserError for another shape, and beyond 2^62 bytes.
  Tensor expand(const Dims &shape) const;
  /// The same memory as another dtype of the same width (bool and u8, for instance).
  Tensor bitcast(DType dtype) const;

  // -- copies. They run on the device's default stream, which does not wait for streams of Stream::create: synchronize
  // such a stream first.
  /// A contiguous copy on `device` (waits for it).
  Tensor to(Device device) const;
  /// Itself if row-major without gaps, or a copy that is.
  Tensor contiguous() const;
  /// Copies elements from a tensor of the same shape and dtype (waits for it). Throws UserError for another shape or
  /// dtype.
  void copy_from(const Tensor &source) const;
  /// Elements in row-major order. Throws UserError for another dtype.
  template <typename T> std::vector<T> to_vector() const {
    std::vector<T> values(static_cast<size_t>(numel()));
    if constexpr (std::is_same_v<T, bool>) {
      auto bytes = bitcast(u8).to_vector<uint8_t>();
      if (dtype_ != DType::boolean) checked_data(DType::boolean);
      values.assign(bytes.begin(), bytes.end());
    } else {
      copy_out(values.data(), dtype_of<T>::value);
    }
    return values;
  }
  /// Elements of any dtype in row-major order, as f64.
  std::vector<double> to_values() const;
  /// Raw bytes in row-major order.
  std::vector<std::byte> to_bytes() const;

private:
  static Tensor made(const Dims &shape, DType dtype, Device device, const Stream *stream);
  static Tensor from_bytes(const void *values, size_t count, DType dtype, const Dims &shape, Device device);
  void *checked_data(DType expected) const;
  void copy_out(void *values, DType expected) const;
  int checked_dim(int dim, const char *what) const;

  std::shared_ptr<void> owner_;
  void *data_ = nullptr;
  Dims shape_, strides_;
  DType dtype_ = DType::f32;
  Device device_;
  bool defined_ = false;
};

/// True if bytes from first to last element, gaps included, belong to both. Undefined and empty tensors have none.
bool share_memory(const Tensor &a, const Tensor &b);

/// Takes over a DLPack tensor (its deleter runs when the last handle is gone); the DLManagedTensor itself is consumed.
/// Throws UserError for a device, dtype, lanes, rank or strides that moec does not have; then nothing is consumed.
Tensor from_dlpack(DLManagedTensor *managed);
/// A DLPack tensor that shares this tensor's memory; the receiver calls its deleter. The stream's work must be done or
/// ordered by the caller.
DLManagedTensor *to_dlpack(const Tensor &tensor);

} // namespace moec
