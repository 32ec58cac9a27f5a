// DLPack import and export. Debian's dlpack.h is 0.6: newer dtype codes are given by number, as later versions define
// them.
#include <dlpack/dlpack.h>
#include <fmt/format.h>

#include "runtime/error.h"
#include "runtime/tensor.h"

namespace moec {

namespace {

constexpr uint8_t kBoolCode = 6, kE4m3fnCode = 10, kE5m2Code = 12;
struct Pair {
  DType dtype;
  uint8_t code, bits;
};
constexpr Pair pairs[] = {{boolean, kBoolCode, 8}, {i8, kDLInt, 8},        {u8, kDLUInt, 8},      {i32, kDLInt, 32},
                          {i64, kDLInt, 64},       {f16, kDLFloat, 16},    {bf16, kDLBfloat, 16}, {f32, kDLFloat, 32},
                          {f64, kDLFloat, 64},     {e4m3, kE4m3fnCode, 8}, {e5m2, kE5m2Code, 8}};

DType dtype_of_dlpack(const DLDataType &t) {
  for (const Pair &p : pairs)
    if (t.lanes == 1 && t.code == p.code && t.bits == p.bits) return p.dtype;
  throw UserError("import a DLPack tensor",
                  fmt::format("moec has no dtype for code {} with {} bits and {} lanes", t.code, t.bits, t.lanes),
                  "convert it first; moec takes bool, i8, u8, i32, i64, f16, bf16, f32, f64, e4m3, e5m2");
}

Device device_of_dlpack(const DLDevice &d) {
  switch (static_cast<int>(d.device_type)) {
  case kDLCPU:
  case kDLCUDAHost: return Device::host();
  case kDLCUDA:
  case 13: return Device::cuda(d.device_id); // 13: managed memory
  default:
    throw UserError("import a DLPack tensor",
                    fmt::format("its memory is of device type {}", static_cast<int>(d.device_type)),
                    "moec takes CPU (1) and CUDA (2) memory");
  }
}

/// What an exported DLManagedTensor keeps alive.
struct Export {
  DLManagedTensor managed;
  Tensor tensor;
  Dims shape, strides;
};

} // namespace

Tensor from_dlpack(DLManagedTensor *managed) {
  if (!managed) throw UserError("import a DLPack tensor", "the pointer is null", "pass a DLManagedTensor");
  const DLTensor &d = managed->dl_tensor;
  if (d.ndim < 0 || d.ndim > kMaxRank || (d.ndim > 0 && !d.shape))
    throw UserError("import a DLPack tensor", fmt::format("it has {} dimensions", d.ndim),
                    fmt::format("moec takes 0 to {}", kMaxRank));
  DType dtype = dtype_of_dlpack(d.dtype);
  Device device = device_of_dlpack(d.device);
  auto rank = static_cast<size_t>(d.ndim);
  Dims shape(std::span<const int64_t>(d.shape, rank));
  Dims strides = d.strides ? Dims(std::span<const int64_t>(d.strides, rank)) : Dims();
  auto *data = d.data ? static_cast<std::byte *>(d.data) + d.byte_offset : nullptr;
  return Tensor::lend(data, shape, dtype, device, strides, [managed] {
    if (managed->deleter) managed->deleter(managed);
  });
}

DLManagedTensor *to_dlpack(const Tensor &tensor) {
  if (!tensor.defined()) throw UserError("export a tensor by DLPack", "there is no tensor", "make one first");
  auto *e = new Export{{}, tensor, tensor.shape(), tensor.strides()};
  DLTensor &d = e->managed.dl_tensor;
  d.data = tensor.data();
  d.device.device_type = tensor.device().is_cuda() ? kDLCUDA : kDLCPU;
  d.device.device_id = tensor.device().is_cuda() ? tensor.device().index() : 0;
  d.ndim = tensor.rank();
  for (const Pair &p : pairs)
    if (p.dtype == tensor.dtype()) d.dtype = {p.code, p.bits, 1};
  d.shape = e->shape.begin();
  d.strides = e->strides.begin();
  d.byte_offset = 0;
  e->managed.manager_ctx = e;
  e->managed.deleter = [](DLManagedTensor *self) { delete static_cast<Export *>(self->manager_ctx); };
  return &e->managed;
}

} // namespace moec
