// The runtime's public face: devices, tensors, streams, jit, files, errors.
#pragma once

#include "runtime/convert.h"
#include "runtime/device.h"
#include "runtime/environment.h"
#include "runtime/error.h"
#include "runtime/graph.h"
#include "runtime/jit.h"
#include "runtime/safetensors.h"
#include "runtime/simulator.h"
#include "runtime/tensor.h"
