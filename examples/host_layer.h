// The experts layer on the host in f64, simple and multi-threaded: what the demo's large layer is held against.
#pragma once

#include "kernels/verify.h"
#include "runtime/tensor.h"

/// y [T, D] bf16 of x [T, D], ids i64 [T, K], weights [T, K], gate_and_up [E, D, 2I], down [E, I, D], all bf16 on the
/// host. Products and sums in f64; h, a, o and y are rounded to bf16 where the layer rounds them.
moec::Tensor host_layer(const moec::Tensor &x, const moec::Tensor &ids, const moec::Tensor &weights,
                        const moec::Tensor &gate_and_up, const moec::Tensor &down);

/// The weights and ids of a softmax, top-k, renormalize routing of bf16 logits [T, E]: scores of the chosen experts
/// against those of an f64 softmax. Wrong if an expert was left out that scores more than half a bf16 unit above a
/// chosen one.
moec::TensorReport compare_routing(const moec::Tensor &logits, const moec::Tensor &ids, const moec::Tensor &weights);
