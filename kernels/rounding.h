// Dtypes of intermediate results inside kernels. Internal to kernels/.
#pragma once

#include "dsl/dsl.h"

namespace moec::kernel {

/// The dtype of a result of both, as tensor libraries promote floats: f64 if one is, the same for equal ones, else f32.
constexpr DType promoted(DType a, DType b) { return a == b ? a : a == f64 || b == f64 ? f64 : f32; }

/// v rounded to `dtype`, in its own dtype again.
inline Tile rounded(const Tile &v, DType dtype) { return cast(cast(v, dtype), v.dtype()); }

} // namespace moec::kernel
