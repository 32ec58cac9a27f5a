#include "tools/moec/bench/cublas.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include "runtime/backend.h"
#include "runtime/error.h"

namespace moec::bench {

namespace {

// Values of cublas_api.h and library_types.h.
constexpr int kNoTranspose = 0, kDefaultAlgorithm = -1, kCompute32F = 68, kCompute64F = 70;
int data_type(DType t) {
  switch (t) {
  case DType::f32: return 0;
  case DType::f64: return 1;
  case DType::f16: return 2;
  case DType::bf16: return 14;
  default: throw UserError("cuBLAS", fmt::format("there is no product in {}", name(t)), "f32, bf16, f16 or f64");
  }
}

} // namespace

struct Cublas::Functions {
  int (*create)(void **);
  int (*destroy)(void *);
  int (*set_stream)(void *, void *);
  int (*gemm_ex)(void *, int, int, int, int, int, const void *, const void *, int, int, const void *, int, int,
                 const void *, void *, int, int, int, int);
};

Cublas::Cublas(std::unique_ptr<Functions> functions, Device device, void *handle)
    : functions_(std::move(functions)), device_(device), handle_(handle) {}
Cublas::~Cublas() {
  auto context = device_.backend().make_current();
  functions_->destroy(handle_);
}

std::unique_ptr<Cublas> Cublas::open(const Stream &stream) {
  if (!stream.device().is_cuda()) return nullptr;
  void *library = nullptr;
  for (const char *file : {"libcublas.so.13", "libcublas.so.12", "/usr/local/cuda/lib64/libcublas.so"})
    if ((library = dlopen(file, RTLD_NOW | RTLD_LOCAL))) break;
  if (!library) return nullptr;
  auto f = std::make_unique<Functions>();
  auto find = [&](auto &function, const char *symbol) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, symbol));
    return function != nullptr;
  };
  auto context = stream.device().backend().make_current();
  void *handle = nullptr;
  if (!find(f->create, "cublasCreate_v2") || !find(f->destroy, "cublasDestroy_v2") ||
      !find(f->set_stream, "cublasSetStream_v2") || !find(f->gemm_ex, "cublasGemmEx") || f->create(&handle) != 0)
    return nullptr;
  std::unique_ptr<Cublas> cublas(new Cublas(std::move(f), stream.device(), handle));
  if (cublas->functions_->set_stream(handle, stream.native()) != 0) return nullptr;
  return cublas;
}

void Cublas::multiply(const Tensor &a, const Tensor &b, const Tensor &c) const {
  const bool wide = a.dtype() == f64;
  const float one = 1, zero = 0;
  const double one_wide = 1, zero_wide = 0;
  const int m = static_cast<int>(a.size(0)), k = static_cast<int>(a.size(1)), n = static_cast<int>(b.size(1));
  const int type = data_type(a.dtype());
  auto context = device_.backend().make_current();
  // cuBLAS has columns where we have rows: c^T = b^T a^T.
  int status = functions_->gemm_ex(handle_, kNoTranspose, kNoTranspose, n, m, k,
                                   wide ? static_cast<const void *>(&one_wide) : &one, b.data(), type, n, a.data(),
                                   type, k, wide ? static_cast<const void *>(&zero_wide) : &zero, c.data(), type, n,
                                   wide ? kCompute64F : kCompute32F, kDefaultAlgorithm);
  if (status != 0)
    throw DeviceError(fmt::format("multiply {} by {} with cuBLAS", a.text(), b.text()),
                      fmt::format("its status is {}", status), "");
}

} // namespace moec::bench
