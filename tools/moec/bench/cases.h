// What `moec bench` times: every op of the registry at the shapes of real models.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/registry.h"

namespace moec::bench {

/// The experts of a published model. Sizes are those of its configuration file.
struct Model {
  std::string_view name;
  int64_t hidden; ///< D
  int64_t inter;  ///< I, of one expert
  int64_t experts, topk;
};
std::span<const Model> models();
/// Throws UserError with the names that there are.
const Model &model_at(std::string_view name);

enum class Pass : uint8_t { forward, backward };

/// A tensor of a case.
struct CaseTensor {
  std::string name;
  std::vector<int64_t> shape;
  DType dtype = f32;
  bool counted = true; ///< false: an input that the pass does not read whole (only its shape, or parts)
  int64_t bytes() const;
};

/// One op in one direction for one model.
struct Case {
  const Op *op = nullptr;
  Model model;
  Pass pass = Pass::forward;
  int64_t tokens = 0;
  DType dtype = bf16;
  Settings parameters;
  std::vector<CaseTensor> inputs, outputs;
  double flops = 0; ///< of matrix products; 0: the op is bound by memory
  /// Bytes of the inputs that are read and of the outputs: what any implementation moves at least.
  int64_t bytes() const;
  /// "T=4096 D=2048 I=768 E=128 K=8".
  std::string shape_text() const;
};

/// The op's cases for a model, forward and (if it has gradients) backward. Floats are `dtype` where the op takes it,
/// probabilities and weights f32. tokens >= 1.
std::vector<Case> cases(const Op &op, const Model &model, int64_t tokens, DType dtype);

/// Random numbers in [-1, 1), the same for the same name, of dtypes f32, bf16, f16, f64 or fp8. From 4 Mi elements on,
/// on CUDA the same 4 Mi again and again (a GPU's clock depends on the bits that change: constants would flatter), on
/// the host memory fresh from the system.
Tensor numbers(std::string_view name, const Dims &shape, DType dtype, Device device);

/// Inputs on `device`: a routing of `topk` different experts per token drawn at random (the same every time), and
/// numbers().
NamedTensors make_inputs(const Case &c, Device device);

} // namespace moec::bench
