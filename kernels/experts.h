// Experts layers: GroupedExperts, GroupedExpertsDeepEP, GroupedExpertsTE. See moe.h for what holds for all functions.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/activation.h"
#include "kernels/communicator.h"
#include "kernels/routing.h"
#include "runtime/device.h"
#include "runtime/safetensors.h"
#include "runtime/tensor.h"

namespace moec {

struct ExpertsForm;

/// What an experts layer reads of the model's configuration. Source: MoEConfig (nemo_automodel components.moe).
struct MoeConfig {
  int n_routed_experts = 0;                    ///< E
  int n_activated_experts = 0;                 ///< K
  int64_t dim = 0;                             ///< of the model
  std::optional<int64_t> moe_latent_size = {}; ///< of the experts' input, if it is not dim
  int64_t moe_inter_dim = 0;                   ///< I
  std::string expert_activation = "swiglu";    ///< swiglu, swigluoai, quick_geglu, geglu or relu2
  bool expert_bias = false;                    ///< biases of both products
  double activation_alpha = 1.702;             ///< of swigluoai and quick_geglu
  double activation_limit = 7.0;               ///< clamp of swigluoai and quick_geglu
  double swiglu_limit = 0.0;                   ///< clamp of swiglu; 0: none
  bool apply_router_weight_after_down = false; ///< the weights multiply after the second product, not before it
  DType dtype = bf16;                          ///< of the parameters

  /// D, what the experts read and write.
  int64_t expert_dim() const { return moe_latent_size.value_or(dim); }
  /// U, width of the first product: 2I for gated activations, else I.
  int64_t up_dim() const;
  /// Throws UserError for a name that is none of the five.
  Activation activation() const;
  /// T*D*b + N*U*b + 16*N + 8*E for N = T*K and x of b bytes per element: what a forward pass keeps at most.
  /// Throws UserError for a negative number of tokens and for 2^31 rows.
  int64_t kept_bytes_bound(int64_t tokens, DType dtype) const;
};

/// The parameters of a layer, or their gradients. Biases are undefined in layers without.
struct ExpertParameters {
  Tensor gate_up;      ///< gate_and_up_projs [E, D, U]
  Tensor down;         ///< down_projs [E, I, D]
  Tensor gate_up_bias; ///< gate_up_proj_bias [E, U]
  Tensor down_bias;    ///< down_proj_bias [E, D]
};

/// What a forward pass leaves for the backward pass. N = T*K.
struct ExpertsKept {
  Tensor x;                  ///< [T, D]: the caller's, which must not change until then
  Tensor gate_up;            ///< [N, U]: before the activation
  Tensor token_ids;          ///< i32 [N]: token of each row, or -1
  Tensor row_ids;            ///< i32 [N]: row of each slot, or -1
  Tensor weights;            ///< [N]: weight of each row; f32, or f64 for f64 weights
  Tensor offs;               ///< i32 [E]: one past each expert's last row
  int topk = 1;              ///< K
  DType weights_dtype = f32; ///< of the caller's weights

  /// At most MoeConfig::kept_bytes_bound().
  int64_t bytes() const;
};
/// Steps between, for those who look inside. Rows from the last offset on are undefined.
struct ExpertsSteps {
  Routing routing;
  Tensor gate_up, activated, rows; ///< [T*K, U], [T*K, I], [T*K, D]
};
struct ExpertsResult {
  Tensor y; ///< [T, D], dtype of x
  ExpertsKept kept;
};
struct ExpertsGrads {
  Tensor x;                    ///< [T, D]
  Tensor weights;              ///< [T, K]; 0 for slots that no expert took
  ExpertParameters parameters; ///< in dtype and layout of the layer's own; 0 for experts without rows
};

/// What the three layers have in common. For token t, slot k with e = indices[t, k] in 0..E-1 and token_mask[t]:
/// h = x[t] W1[e] + b1[e]; a = act(h) w; o = a W2[e] + b2[e] w, with w = weights[t, k], or 1 with
/// apply_router_weight_after_down; y[t] = sum over k ascending of o (times weights[t, k] then). f32 (f64 for f64)
/// inside; the products before a bias, h, a, o and y are rounded to x's dtype, parameters before use. Nothing waits for
/// the device but what says so, so forward and backward can be captured in a Graph. Movable, not shared: what is
/// left behind throws UserError.
class ExpertsLayer {
public:
  const MoeConfig &config() const { return config_; }
  const Communicator &communicator() const;
  /// Experts of this rank.
  int local_experts() const { return config_.n_routed_experts / communicator().size(); }
  Device device() const { return device_; }
  DType parameter_dtype() const { return form_.dtype; }
  /// As the layer holds them; undefined before initialize(), set_parameters() or load_state().
  const ExpertParameters &parameters() const { return parameters_; }

  /// Weights from N(0, 0.02), biases 0. Element i of a parameter's [E, ., .] form over all ranks comes from the
  /// Box-Muller transform of two values of splitmix64 at (seed, parameter, i/2), in f64, rounded once: the same for all
  /// layers, ranks and devices.
  void initialize(uint64_t seed);
  /// Takes tensors of the caller's, on the layer's device, in its layout and dtype, without copying: changes of their
  /// contents are the layer's. Throws UserError for shapes and dtypes that do not fit; then nothing has changed.
  void set_parameters(const ExpertParameters &parameters);
  /// Parameters by key (docs/experts.md's names after `prefix`) in the stacked form, on the host: write_safetensors()
  /// takes it.
  TensorFile state(const std::string &prefix = "") const;
  /// Takes parameters from read_safetensors()'s result or another layer's state; undefined tensors leave a parameter as
  /// it is, float dtypes are rounded to the parameter's. Keys that are not there are appended to `missing_keys`;
  /// without it they are an error. Other keys are ignored. Throws UserError for a shape or dtype that does not fit;
  /// then nothing has changed.
  void load_state(const TensorFile &state, const std::string &prefix = "",
                  std::vector<std::string> *missing_keys = nullptr);

  /// x [T, D] of f32, bf16, f16 or f64; token_mask bool [T] (false: the token has no expert, its y is 0) or undefined;
  /// weights [T, K] of any of these dtypes; indices i32 or i64 [T, K], others than 0..E-1 are skipped. `steps` gets the
  /// steps between.
  ExpertsResult forward(const Stream &stream, const Tensor &x, const Tensor &token_mask, const Tensor &weights,
                        const Tensor &indices, ExpertsSteps *steps = nullptr) const;
  /// For the gradient of y [T, D] of x's dtype. Activation and gathered rows are computed again. Sums of the matrices'
  /// gradients: as grouped_mm_backward_b; of the biases': as bias_grad.
  ExpertsGrads backward(const Stream &stream, const Tensor &grad, const ExpertsKept &kept) const;
  /// Makes those gradients undefined that the source leaves out where no slot has an expert (moec has zeros there, and
  /// the host does not know). Waits for the stream.
  void drop_idle_gradients(const Stream &stream, const ExpertsKept &kept, ExpertsGrads &grads) const;

  /// One line: class, sizes, activation, bytes of the parameters and what is kept for `tokens` tokens in `dtype`.
  std::string describe(int64_t tokens, DType dtype) const;

protected:
  /// How one class differs from the others.
  struct Form {
    const char *name;
    DType dtype;                            ///< of the parameters
    bool transposed = false;                ///< matrices are [E, out, in]
    bool idle_x = true, idle_biases = true; ///< their gradients exist where no slot has an expert
    bool round_weighted = false;            ///< with apply_router_weight_after_down: see combine_rows
  };
  /// Throws UserError for a configuration that is none.
  ExpertsLayer(MoeConfig config, const Form &form, Device device, std::shared_ptr<const Communicator> communicator);
  ~ExpertsLayer() = default;
  ExpertsLayer(ExpertsLayer &&) = default;
  ExpertsLayer &operator=(ExpertsLayer &&) = default;

private:
  struct Entry;
  std::vector<Entry> entries() const;
  ExpertsForm expert_form() const;
  void check_call(const Tensor &x, const Tensor &token_mask, const Tensor &weights, const Tensor &indices) const;
  void check_ready() const;

  MoeConfig config_;
  Form form_;
  Activation activation_;
  Device device_;
  std::shared_ptr<const Communicator> communicator_;
  ExpertParameters parameters_;
};

/// The layer without a dispatcher. Parameters in config.dtype. Source: GroupedExperts (nemo_automodel experts), whose
/// loop and torch_mm paths agree up to rounding.
class GroupedExperts : public ExpertsLayer {
public:
  explicit GroupedExperts(MoeConfig config, Device device = Device::best(),
                          std::shared_ptr<const Communicator> communicator = std::make_shared<SingleRank>());
};

/// The layer behind a token dispatcher, which one rank does not need. Parameters in `dtype`, the framework's default,
/// not config.dtype. Source: GroupedExpertsDeepEP.
class GroupedExpertsDeepEP : public ExpertsLayer {
public:
  explicit GroupedExpertsDeepEP(MoeConfig config, Device device = Device::best(),
                                std::shared_ptr<const Communicator> communicator = std::make_shared<SingleRank>(),
                                DType dtype = f32);
};

/// The layer on linear maps per expert, weight [out, in]; its state is in the stacked form all the same. Source:
/// GroupedExpertsTE.
class GroupedExpertsTE : public ExpertsLayer {
public:
  /// Throws UserError for apply_router_weight_after_down.
  explicit GroupedExpertsTE(MoeConfig config, Device device = Device::best(),
                            std::shared_ptr<const Communicator> communicator = std::make_shared<SingleRank>());
  /// One expert's map; the memory is the layer's.
  struct Linear {
    Tensor weight; ///< [out, in]
    Tensor bias;   ///< [out], or undefined
  };
  /// weight{expert} and bias{expert} of the first map. Throws UserError for an expert that is not there.
  Linear gate_up_linear(int expert) const;
  Linear down_linear(int expert) const;
};

} // namespace moec
