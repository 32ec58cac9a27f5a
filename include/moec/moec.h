// Everything a program needs to write kernels, make tensors and launch.
#pragma once

#include "runtime/runtime.h"
