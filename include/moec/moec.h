// Everything a program needs to write kernels, make tensors and launch.
#pragma once

#include "dsl/dsl.h"
#include "runtime/runtime.h"
