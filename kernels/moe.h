// The kernel library's public functions. Each launches kernels on `stream` and returns new tensors on its device.
// Nothing waits for the device unless a function says so. All are deterministic: the same input gives the same bits on
// every run and schedule; sums have the order that their function names. Letters: T tokens, K topk, E experts, D hidden
// size, I expert width, N routed rows. Errors: UserError for shapes, dtypes and devices that do not fit, naming
// function and tensor; KernelError and DeviceError as a launch. f64 tensors are computed in f64, all others in f32 with
// one rounding at the store.
#pragma once

#include "kernels/activation.h"
#include "kernels/arithmetic.h"
#include "kernels/aux_loss.h"
#include "kernels/bias.h"
#include "kernels/convert.h"
#include "kernels/experts.h"
#include "kernels/gate.h"
#include "kernels/grouped_mm.h"
#include "kernels/indices.h"
#include "kernels/matmul.h"
#include "kernels/routing.h"
#include "kernels/rows.h"
#include "kernels/unsloth_blocks.h"
#include "kernels/unsloth_gemm.h"
